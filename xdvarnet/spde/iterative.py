r"""The posterior of a chain by conjugate gradients, for grids whose exact factor does not fit.

With W the root of the prior covariance that time marching applies (`Chain.colour`) and the whitened
observation operator :math:`G = R^{-1/2} H W`, the posterior precision of the white noise is
:math:`I + G^T G`. A draw with the noise w and the errors e becomes a draw of the posterior,

.. math:: x = W \left[w + G^T (I + G G^T)^{-1} R^{-1/2} (y - e - H W w)\right]

(Matheron's rule), and the one of no noise is the posterior mean. The system has the size of the
observations and the spectrum of :math:`I + G^T G`; the same field on a coarse grid preconditions
it (`xdvarnet.spde.coarse`).
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from xdvarnet._progress import track
from xdvarnet.errors import warn
from xdvarnet.spde.chain import Chain
from xdvarnet.spde.coarse import CoarsePosterior

logger = logging.getLogger("xdvarnet")

LEAST_DRAWS = 100
"""Draws that a standard deviation is estimated from, at least: to 1 / sqrt(200) = 7 %."""

Product = Callable[[torch.Tensor], torch.Tensor]
"""Of a matrix with columns."""

CHUNK = 20_000_000
"""Cells of fields that are marched at once: 160 MB for each copy."""


@dataclass(frozen=True, eq=False)
class IterativePosterior:
    """A chain given observations ``y = H x + e``, by iterations.

    Attributes
    ----------
    chain : Chain
        The prior.
    operator : torch.Tensor
        H, sparse, shape (m, times * cells).
    values, noise : torch.Tensor
        y and the standard deviations of e, shape (m,).
    tolerance : float
        Error of a field in the norm of the posterior precision, over that of m independent errors
        of one posterior standard deviation each. It is bounded, not estimated: the norm is at most
        that of the residual.
    iterations : int
        Most of them; one marches as many fields forth and back as are solved for.
    coarsening : int, optional
        Rows and columns between the nodes of a coarse grid that preconditions; by default none.
    """

    chain: Chain
    operator: torch.Tensor
    values: torch.Tensor
    noise: torch.Tensor
    tolerance: float = 0.01
    iterations: int = 300
    coarsening: int | None = None

    def describe(
        self, count: int | None, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the mean, its standard deviation, shape (n,), and draws, shape (count, n).

        The standard deviation is that of the draws, at least `LEAST_DRAWS`, around the mean: of M
        draws its relative error is 1 / sqrt(2 M).
        """
        fields = self.solve(max(count or 0, LEAST_DRAWS), generator)
        mean, draws = fields[0], fields[1:]
        variance = sum((draw - mean).square() for draw in draws) / len(draws)
        return mean, variance.sqrt(), draws[: count or 0]

    def solve(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return the mean and after it `count` draws, shape (1 + count, n), without derivatives."""
        with torch.no_grad():
            return self._solve(count, generator)

    def _solve(self, count: int, generator: torch.Generator | None) -> torch.Tensor:
        shape = (self.chain.times, *self.chain.mesh.shape)
        fields = self.values.new_zeros(1 + count, math.prod(shape))
        rights = self.values.repeat(1 + count, 1)
        for i in range(1, 1 + count):
            fields[i] = self.chain.white(1, generator).flatten()
            rights[i] -= self.noise * torch.empty_like(self.noise).normal_(generator=generator)
        for white, right in zip(self._chunks(fields), self._chunks(rights), strict=True):
            coloured = self.chain.colour(white.unflatten(1, shape)).flatten(1)
            right -= (self.operator @ coloured.T).T
        weights, residual, done = block_conjugate_gradients(
            self._multiply,
            (rights / self.noise).T,
            self._allowed,
            self.iterations,
            self._preconditioner(),
        )
        logger.info("%d iterations for the mean and %d draws", done, count)
        if residual > self._allowed:
            warn(
                f"after {done} iterations the error of a field is up to "
                f"{residual / math.sqrt(len(self.values)):.2g} standard deviations of the "
                f"posterior, and {self.tolerance:g} was wanted; allow more iterations, or check "
                "for a noise far below what the field varies by."
            )
        for white, few in zip(self._chunks(fields), self._chunks(weights.T), strict=True):
            sources = (self.operator.T @ (few / self.noise).T).T
            both = white + self.chain.colour_adjoint(sources.unflatten(1, shape)).flatten(1)
            white.copy_(self.chain.colour(both.unflatten(1, shape)).flatten(1))
        return fields

    def _preconditioner(self) -> Product:
        """Return the product with the inverse of the system of a coarse grid, if there is one."""
        if self.coarsening is None:
            return _same
        weighted = self.operator * self.noise.reciprocal()[:, None]
        return CoarsePosterior.of(self.chain, weighted, self.coarsening)

    @property
    def _allowed(self) -> float:
        return self.tolerance * math.sqrt(len(self.values))

    def _chunks(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Cut rows, one for each field, into those of fields that are marched at once."""
        return rows.split(max(1, CHUNK // self.operator.shape[1]))

    def _multiply(self, weights: torch.Tensor) -> torch.Tensor:
        """Return (I + G G^T) weights, shape (m, count)."""
        marching, noise = self.chain.marching, self.noise[:, None]
        products = []
        for few in self._chunks(weights.T):
            sources = few.T / noise
            white = marching.march_back([part @ sources for part in self._adjoints])
            fields = marching.march(white)
            product = sum(part @ each for part, each in zip(self._parts, fields, strict=True))
            products.append(product / noise)
        return weights + torch.cat(products, 1)

    @cached_property
    def _parts(self) -> list[torch.Tensor]:
        """H of each time, shape (m, cells), of cells in the order of the marching."""
        cells = self.chain.mesh.area.numel()
        rows, columns = self.operator.coalesce().indices()
        values, rank = self.operator.coalesce().values(), self.chain.marching.order.argsort()
        parts = []
        for k in range(self.chain.times):
            of_time = columns // cells == k
            indices = torch.stack([rows[of_time], rank[columns[of_time] - k * cells]])
            size = (self.operator.shape[0], cells)
            part = torch.sparse_coo_tensor(indices, values[of_time], size, check_invariants=True)
            parts.append(part.to_sparse_csr())
        return parts

    @cached_property
    def _adjoints(self) -> list[torch.Tensor]:
        """The transposed `_parts`."""
        return [part.to_sparse_coo().T.to_sparse_csr() for part in self._parts]


def _same(columns: torch.Tensor) -> torch.Tensor:
    """Precondition nothing."""
    return columns


def block_conjugate_gradients(
    multiply: Product,
    right: torch.Tensor,
    allowed: float,
    iterations: int,
    precondition: Product = _same,
) -> tuple[torch.Tensor, float, int]:
    """Solve with a symmetric positive definite matrix for many right sides at once.

    Every solution is sought in the sum of the Krylov spaces of all right sides, so that many take
    far fewer iterations than one. Residuals are kept as combinations of a basis that is orthonormal
    in the product with the preconditioner, so that they may become dependent.

    Parameters
    ----------
    multiply : callable
        The matrix: (m, directions) to (m, directions).
    right : torch.Tensor
        Right sides, shape (m, count).
    allowed : float
        Norm of a residual at which to stop.
    iterations : int
        Most products with the matrix.
    precondition : callable
        A symmetric positive definite matrix near the inverse; by default the identity.

    Returns
    -------
    solution : torch.Tensor
        Shape (m, count).
    residual : float
        The largest norm of a residual.
    done : int
        How many iterations were made.

    References
    ----------
    Dubrulle, A. (2001), Retooling the method of block conjugate gradients, Electronic Transactions
    on Numerical Analysis 12, 216-233 (the variant BCGrQ).
    """
    solution = torch.zeros_like(right)
    basis, directions, coefficients = _orthonormal(right, precondition)
    for done in track(range(iterations), "iteration"):
        residual = _largest(basis @ coefficients)
        if residual <= allowed:
            return solution, residual, done
        product = multiply(directions)
        step = torch.linalg.inv(directions.T @ product)
        solution += directions @ (step @ coefficients)
        basis, preconditioned, turn = _orthonormal(basis - product @ step, precondition)
        directions = preconditioned + directions @ turn.T
        coefficients = turn @ coefficients
    return solution, _largest(basis @ coefficients), iterations


def _orthonormal(
    columns: torch.Tensor, precondition: Product
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return Q, N Q and T with Q T the columns and Q^T N Q the identity, also of dependent ones."""
    basis, turn = torch.linalg.qr(columns)
    preconditioned = precondition(basis)
    lower = torch.linalg.cholesky(basis.T @ preconditioned)
    basis, preconditioned = (
        torch.linalg.solve_triangular(lower.T, each, upper=True, left=False)
        for each in (basis, preconditioned)
    )
    return basis, preconditioned, lower.T @ turn


def _largest(columns: torch.Tensor) -> float:
    """Return the largest norm of a column; 0 if they have no rows."""
    return float(columns.square().sum(0).max().sqrt())
