"""A stationary Gaussian field on a mesh: its precision, and what observations make of it."""

import math
from dataclasses import dataclass, replace

import torch

from xdvarnet.spde.engines import BlockCholesky
from xdvarnet.spde.mesh import Mesh
from xdvarnet.spde.operator import advection, anisotropy_tensor, damping, diffusion
from xdvarnet.spde.precision import filtered, rows_first, space_time_precision
from xdvarnet.spde.scales import spde_parameters, stationary_variance
from xdvarnet.spde.stencil import Stencil

REACH = 4
"""Rows that the precision reaches: two of K^T K, and one on both sides of the spatial filter."""


CENTRE = 4
"""Number of the cell itself among the nine of a stencil."""


@dataclass(frozen=True)
class Prior:
    """Zero-mean Gaussian field at the times and cells of a mesh.

    Attributes
    ----------
    mesh : Mesh
        The cells.
    times : int
        Number of times.
    precision : torch.Tensor
        Sparse, shape (times * cells, times * cells), in the order (time, row, column).
    """

    mesh: Mesh
    times: int
    precision: torch.Tensor

    def factor(self, addition: torch.Tensor | None = None) -> BlockCholesky:
        """Factor the precision, plus `addition` where there is one."""
        rows, columns = self.mesh.shape
        matrix = self.precision if addition is None else (self.precision + addition).coalesce()
        return BlockCholesky.factor(
            matrix,
            min(REACH, rows) * self.times * columns,
            order=rows_first(self.times, rows, columns),
        )

    def normalise(self, std: float) -> "Prior":
        """Return the field with exactly this standard deviation in every cell.

        Walls raise the variance of the cells beside them, and cells of finite size change it by
        some percent; both are divided out. Without derivatives.
        """
        scale = self.factor().variances().sqrt() / std
        diagonal = torch.arange(scale.numel()).expand(2, -1)
        size = self.precision.shape
        scaling = torch.sparse_coo_tensor(diagonal, scale, size, check_invariants=False)
        return replace(self, precision=(scaling @ self.precision @ scaling).coalesce())

    def condition(
        self, operator: torch.Tensor, values: torch.Tensor, noise: torch.Tensor
    ) -> "Posterior":
        """Condition the field on observations ``y = H x + e``.

        Parameters
        ----------
        operator : torch.Tensor
            H, sparse, shape (m, times * cells); it may join neighbouring cells of one time.
        values, noise : torch.Tensor
            y and the standard deviations of e, shape (m,).
        """
        weighted = operator * noise.reciprocal()[:, None]
        factor = self.factor((weighted.T @ weighted).coalesce())
        mean = factor.solve(operator.T @ (values / noise.square()))
        return Posterior(self, operator, values, noise, factor, mean)


@dataclass(frozen=True)
class Posterior:
    """The field given observations: Gaussian, with this mean and the factor of its precision."""

    prior: Prior
    operator: torch.Tensor
    values: torch.Tensor
    noise: torch.Tensor
    factor: BlockCholesky
    mean: torch.Tensor

    def log_likelihood(self) -> torch.Tensor:
        r"""Return the logarithm of the density of the observations, a scalar.

        .. math::

            \log p(y) = \tfrac12 \left[\log|Q| - \log|Q + H^T R^{-1} H| - \log|R|
            - y^T R^{-1} (y - H \bar x) - m \log 2 \pi\right]
        """
        misfit = self.values * (self.values - self.operator @ self.mean) / self.noise.square()
        determinants = self.prior.factor().log_determinant() - self.factor.log_determinant()
        return 0.5 * (
            determinants
            - 2 * self.noise.log().sum()
            - misfit.sum()
            - self.values.numel() * math.log(2 * math.pi)
        )


def _propagation(mesh: Mesh, east: float, north: float) -> Stencil:
    """Return the mean of div(m u) and m . grad(u), with a constant velocity.

    They differ at coasts and edges, where the velocity ends; their mean takes and gives no variance
    there, so that the symmetric part is positive semidefinite.
    """
    conservative = advection(mesh, east=east, north=north)
    divergence = conservative.apply(torch.ones_like(mesh.area))
    centre = torch.zeros_like(conservative.coefficients)
    centre[CENTRE] = -divergence / 2
    return conservative + Stencil(centre)


def matern_prior(
    mesh: Mesh,
    times: int,
    *,
    length: float,
    time: float,
    std: float,
    anisotropy: float = 1.0,
    angle: float = 0.0,
    propagation: tuple[float, float] = (0.0, 0.0),
    step: float = 1.0,
) -> Prior:
    """Make the prior of constant parameters.

    Parameters
    ----------
    mesh : Mesh
        The cells, with a margin that is left out of results: its edges are walls.
    times : int
        Number of times, `step` days apart.
    length, time : float
        Correlation length in m (geometric mean of those along and across the axis) and time in
        days.
    std : float
        Standard deviation of the field far from walls, for small cells; see `Prior.normalise`.
    anisotropy : float
        Correlation length along the axis over that across it.
    angle : float
        Direction of the axis in radians, counterclockwise from east.
    propagation : tuple of float
        Velocities to the east and to the north in m/day.
    step : float
        In days.
    """
    kappa, rate = spde_parameters(torch.tensor(length).double(), torch.tensor(time).double())
    smoothing = damping(mesh, kappa.square()) + diffusion(
        mesh, anisotropy_tensor(anisotropy**2, angle)
    )
    operator = smoothing.scale(rate) + _propagation(mesh, *propagation)
    precision = space_time_precision([operator.to_sparse()] * times, mesh.area, step)
    ratio = stationary_variance(kappa, rate, step).sqrt() / std
    precision = filtered(precision, [smoothing.to_sparse()] * times, mesh.area, ratio)
    return Prior(mesh, times, precision)
