"""A Gaussian field on a mesh, and what observations make of it."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from xdvarnet.spde.chain import REACH, Chain
from xdvarnet.spde.coarse import cells_in_length
from xdvarnet.spde.cost import check_exact_memory, choose_coarsening
from xdvarnet.spde.dissection import dissect
from xdvarnet.spde.engines import IndefiniteError, SparseCholesky
from xdvarnet.spde.iterative import IterativePosterior
from xdvarnet.spde.mesh import Mesh
from xdvarnet.spde.operator import Values


@dataclass(frozen=True, eq=False)
class Prior:
    """Zero-mean Gaussian field at the times and cells of a mesh.

    Attributes
    ----------
    chain : Chain
        The equation in time steps.
    """

    chain: Chain

    @property
    def mesh(self) -> Mesh:
        """The cells."""
        return self.chain.mesh

    @property
    def times(self) -> int:
        """Number of times."""
        return self.chain.times

    @property
    def unknowns(self) -> int:
        """Number of times and cells."""
        return self.times * self.mesh.area.numel()

    @cached_property
    def precision(self) -> torch.Tensor:
        """Sparse, shape (unknowns, unknowns), in the order (time, row, column)."""
        return self.chain.precision()

    def factor(self, addition: torch.Tensor | None = None) -> SparseCholesky:
        """Factor the precision, plus `addition` where there is one.

        Raises
        ------
        InvalidInputError
            If there is not enough memory, before any is taken.
        IndefiniteError
            If the matrix is not positive definite, with the place of the pivot.
        """
        mesh = self.mesh
        check_exact_memory(self.times, *mesh.shape, mesh.area.device, ring=mesh.ring)
        fronts = dissect(self.times, *mesh.shape, REACH, mesh.ring)
        matrix = self.precision if addition is None else (self.precision + addition).coalesce()
        try:
            return SparseCholesky.factor(matrix, fronts)
        except IndefiniteError as error:
            cell, columns = error.unknown % self.mesh.area.numel(), self.mesh.shape[1]
            raise IndefiniteError(
                f"the precision is not positive definite: its pivot at time "
                f"{error.unknown // self.mesh.area.numel()}, row {cell // columns}, column "
                f"{cell % columns} (counted from 0, with the margin) is not positive; the "
                "parameters or the noise differ by too many orders of magnitude there.",
                error.unknown,
            ) from error

    def normalise(self, std: Values) -> "Prior":
        """Return the field with exactly this standard deviation in every cell.

        Walls raise the variance of the cells beside them, and cells of finite size change it by
        some percent; both are divided out. Without derivatives. See `Chain.normalise`, which takes
        less memory, for fields of which it is not exact.

        Parameters
        ----------
        std : torch.Tensor or float
            Broadcastable to (times, ny, nx).
        """
        if self.chain.is_stationary:
            return Prior(self.chain.normalise(std))
        variances = self.factor().variances().view(self.times, *self.mesh.shape)
        return Prior(replace(self.chain, scale=self.chain.scale * variances.sqrt() / std))

    def condition(
        self, operator: torch.Tensor, values: torch.Tensor, noise: torch.Tensor
    ) -> "Posterior":
        """Condition the field on observations ``y = H x + e``, exactly.

        Parameters
        ----------
        operator : torch.Tensor
            H, sparse, shape (m, unknowns); it may join neighbouring cells of one time.
        values, noise : torch.Tensor
            y and the standard deviations of e, shape (m,).
        """
        weighted = operator * noise.reciprocal()[:, None]
        factor = self.factor((weighted.T @ weighted).coalesce())
        mean = factor.solve(operator.T @ (values / noise.square()))
        return Posterior(self, operator, values, noise, factor, mean)

    def condition_iteratively(
        self, operator: torch.Tensor, values: torch.Tensor, noise: torch.Tensor
    ) -> IterativePosterior:
        """As `condition`, by conjugate gradients: for fields whose factor does not fit."""
        coarsening = choose_coarsening(
            self.times, self.mesh.shape, cells_in_length(self.chain), self.mesh.ring
        )
        return IterativePosterior(self.chain, operator, values, noise, coarsening=coarsening)


@dataclass(frozen=True, eq=False)
class Posterior:
    """The field given observations: Gaussian, with this mean and the factor of its precision."""

    prior: Prior
    operator: torch.Tensor
    values: torch.Tensor
    noise: torch.Tensor
    factor: SparseCholesky
    mean: torch.Tensor

    def describe(
        self, count: int | None, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the mean and the standard deviation, shape (n,), and draws, shape (count, n)."""
        draws = self.mean + self.factor.sample(count or 0, generator)
        return self.mean, self.factor.variances().sqrt(), draws

    def log_likelihood(self) -> torch.Tensor:
        r"""Return the logarithm of the density of the observations, a scalar.

        .. math::

            \log p(y) = \tfrac12 \left[\log|Q| - \log|Q + H^T R^{-1} H| - \log|R|
            - y^T R^{-1} (y - H \bar x) - m \log 2 \pi\right]
        """
        misfit = self.values * (self.values - self.operator @ self.mean) / self.noise.square()
        determinants = self.prior.chain.log_determinant() - self.factor.log_determinant()
        return 0.5 * (
            determinants
            - 2 * self.noise.log().sum()
            - misfit.sum()
            - self.values.numel() * math.log(2 * math.pi)
        )
