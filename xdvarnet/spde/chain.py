r"""The equation in time steps, as one Gaussian field: its density, and draws by time marching.

.. math::

    \partial_t v + (r \kappa^2 - \nabla \cdot r H \nabla + m \cdot \nabla) v = \text{noise},
    \qquad (\kappa^2 - \nabla \cdot H \nabla) x = v

with parameters that may vary in space and time: see `xdvarnet.spde.scales` for what they mean.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.dissection import dissect
from xdvarnet.spde.elimination import Elimination
from xdvarnet.spde.engines import SparseCholesky
from xdvarnet.spde.marching import Marching
from xdvarnet.spde.mesh import Mesh, wrap_columns
from xdvarnet.spde.operator import (
    Values,
    advection,
    anisotropy_tensor,
    checked_field,
    damping,
    diffusion,
)
from xdvarnet.spde.precision import (
    filtered,
    space_time_precision,
    stationary_precision,
)
from xdvarnet.spde.scales import spde_parameters, stationary_variance
from xdvarnet.spde.stencil import Stencil

REACH = 4
"""Rows that the precision reaches: two of K^T K, and one on both sides of the spatial filter."""

REACH_OF_START = 2
"""Rows that the precision of v at the first time reaches."""


@dataclass(frozen=True, eq=False)
class Chain:
    """The equation in implicit Euler steps: B_k v_k = v_(k-1) + noise, x_k = v_k filtered, scaled.

    The first v has the stationary precision of the first operator. Fields x have the shape
    (..., times, ny, nx); on land they are noise of no meaning, apart from all else.

    Attributes
    ----------
    mesh : Mesh
        The cells.
    times : int
        Number of times.
    steps : Stencil
        Integrated operator K in m2/day, with B = I + dt V^-1 K: coefficients
        (..., times or 1, 9, ny, nx), one time if it does not change.
    smoothing : Stencil
        Integrated filter S, symmetric, without units: coefficients (..., times or 1, 9, ny, nx).
    scale : torch.Tensor
        In ``x = S^-1 V v / scale``, broadcastable to (..., times, ny, nx).
    dt : float
        Step in days.

    Notes
    -----
    Leading dimensions are a batch of equations, for `quadratic` and `log_determinant`; the others
    are of one equation.
    """

    mesh: Mesh
    times: int
    steps: Stencil
    smoothing: Stencil
    scale: torch.Tensor
    dt: float

    def precision(self) -> torch.Tensor:
        """Return the precision Q of x, sparse, in the order (time, row, column)."""
        steps, smoothing = (
            self.over_times([one.to_sparse() for one in self.operators(stencil)])
            for stencil in (self.steps, self.smoothing)
        )
        scale = self.scale.broadcast_to(self.times, *self.mesh.shape).flatten(1)
        whole = space_time_precision(steps, self.mesh.area, self.dt)
        return filtered(whole, smoothing, self.mesh.area, scale)

    def quadratic(self, fields: torch.Tensor) -> torch.Tensor:
        """Return x^T Q x of fields (..., times, ny, nx), shape (...), by stencils alone."""
        area = self.mesh.area
        v = self.smoothing.apply(self.scale * fields) / area
        drift = self.steps.apply(v)
        v_first, drift_first = v[..., 0, :, :], drift[..., 0, :, :]
        first = 2 * v_first * drift_first + self.dt * drift_first.square() / area
        noise = area / self.dt * v.diff(dim=-3) + drift[..., 1:, :, :]
        later = (self.dt / area * noise.square()).sum(-3)
        return (first + later).sum((-2, -1))

    def log_determinant(self) -> torch.Tensor:
        """Return log|Q|, of the shape of the batch, from matrices of one time each."""
        area, size = self.mesh.area, (self.times, *self.mesh.shape)
        steps = Elimination.factor(self.steps.add_diagonal(area / self.dt)).log_determinant()
        filters = Elimination.factor(self.smoothing).log_determinant()
        steps, filters = (each.expand(*each.shape[:-1], self.times) for each in (steps, filters))
        scale = self.scale.broadcast_to(torch.broadcast_shapes(self.scale.shape, size))
        return (
            self._log_determinant_of_start()
            + (2 * steps[..., 1:] - (area / self.dt).log().sum()).sum(-1)
            + 2 * (filters - area.log().sum()).sum(-1)
            + 2 * scale.log().sum((-3, -2, -1))
        )

    def colour(self, white: torch.Tensor) -> torch.Tensor:
        """Return W white by time marching: of covariance W W^T = Q^-1 if `white` is noise.

        Both have the shape (..., times, ny, nx). W is lower triangular in time. The factors that it
        needs are kept: one dense matrix for each row and each operator that differs.
        """
        return self.marching.colour(white)

    def colour_adjoint(self, fields: torch.Tensor) -> torch.Tensor:
        """Return W^T fields; both have the shape (..., times, ny, nx)."""
        return self.marching.colour_adjoint(fields)

    def white(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw noise for `colour`, shape (count, times, ny, nx).

        One after the other, so that none depends on how many follow.
        """
        area, size = self.mesh.area, (self.times, *self.mesh.shape)
        fields = [
            torch.randn(size, generator=generator, dtype=area.dtype, device=area.device)
            for _ in range(count)
        ]
        return torch.stack(fields)

    def sample(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw `count` fields from N(0, Q^-1), shape (count, times, ny, nx)."""
        return self.colour(self.white(count, generator))

    @torch.no_grad()
    def normalise(self, std: Values) -> "Chain":
        """Return the chain with the standard deviation `std` in every cell.

        Walls raise the variance of the cells beside them, and cells of finite size change it by
        some percent; both are divided out, by the exact variances of the stationary field of each
        time. Those are the variances of the chain if it `is_stationary`. Without derivatives.

        Parameters
        ----------
        std : torch.Tensor or float
            Broadcastable to (times, ny, nx).
        """
        times = max(len(each) for each in self._parts)
        variances = [self._at(k)._variances() for k in range(times)]
        return replace(self, scale=self.scale * torch.stack(variances).sqrt() / std)

    @cached_property
    def is_stationary(self) -> bool:
        """Whether all times have the covariance of the first, but for the filter and the scale."""
        return len(self.steps.coefficients) == 1 and self._is_self_adjoint

    @property
    def _is_self_adjoint(self) -> bool:
        first = self._first
        return torch.equal(first.coefficients, first.transpose().coefficients)

    @property
    def _first(self) -> Stencil:
        """Operator of the first time, shape (..., 9, ny, nx)."""
        return self.steps.take(0)

    @cached_property
    def marching(self) -> Marching:
        """The factors that `colour` marches with."""
        implicit = self.steps.add_diagonal(self.mesh.area / self.dt)
        steps, filters = (
            self.over_times([Elimination.factor(one) for one in self.operators(stencil)])
            for stencil in (implicit, self.smoothing)
        )
        scale = self.scale.broadcast_to(self.times, *self.mesh.shape)
        start = self._start(self._first)
        return Marching(self.mesh.area, self.dt, start, steps[1:], filters, scale)

    def _start(self, first: Stencil) -> SparseCholesky:
        """Factor the precision of v at the first time, for one of the batch."""
        precision = stationary_precision(first.to_sparse(), self.mesh.area, self.dt)
        fronts = dissect(1, *self.mesh.shape, REACH_OF_START, self.mesh.ring)
        return SparseCholesky.factor(precision, fronts)

    def _log_determinant_of_start(self) -> torch.Tensor:
        """Return log|P|; of a self-adjoint operator, P = K V^-1 (2 V + dt K)."""
        first, area = self._first, self.mesh.area
        if self._is_self_adjoint:
            factors = first, first.scale(self.dt).add_diagonal(2 * area)
            both = [Elimination.factor(one).log_determinant() for one in factors]
            return sum(both) - area.log().sum()
        batch = first.coefficients.shape[:-3]
        each = first.coefficients.reshape(-1, *first.coefficients.shape[-3:])
        starts = [self._start(Stencil(one, first.ring)) for one in each]
        return torch.stack([start.log_determinant() for start in starts]).view(batch)

    def operators(self, stencil: Stencil) -> list[Stencil]:
        """Return the operators of the times that differ."""
        if stencil.coefficients.ndim != 4:
            raise InvalidInputError(
                f"coefficients of shape {tuple(stencil.coefficients.shape)} are of several "
                "equations; a precision and draws are those of one, (times or 1, 9, ny, nx)."
            )
        return [stencil.take(time) for time in range(len(stencil.coefficients))]

    def over_times(self, parts: list) -> list:
        """Return a part for each time, where one may stand for all."""
        return parts * self.times if len(parts) == 1 else parts

    @property
    def _parts(self) -> tuple[torch.Tensor, ...]:
        return self.steps.coefficients, self.smoothing.coefficients, self.scale

    def _at(self, k: int) -> "Chain":
        """Return the stationary chain of the parameters at one time."""
        days = [slice(k, k + 1) if len(each) > 1 else slice(None) for each in self._parts]
        steps, smoothing = self.steps.take(days[0]), self.smoothing.take(days[1])
        return Chain(self.mesh, 1, steps, smoothing, self.scale[days[2]], self.dt)

    def _variances(self) -> torch.Tensor:
        """Return the exact variances at the only time, shape (ny, nx)."""
        fronts = dissect(1, *self.mesh.shape, REACH, self.mesh.ring)
        return SparseCholesky.factor(self.precision(), fronts).variances().view(self.mesh.shape)


def matern_chain(
    mesh: Mesh,
    times: int,
    *,
    length: Values,
    time: Values,
    std: Values,
    anisotropy: Values = 1.0,
    angle: Values = 0.0,
    propagation: tuple[Values, Values] = (0.0, 0.0),
    step: float = 1.0,
) -> Chain:
    """Make the chain of a field with these correlations.

    Each parameter is a number, or a tensor that broadcasts to (..., times or 1, ny, nx); values on
    land are not read.

    Parameters
    ----------
    mesh : Mesh
        The cells, with a margin that is left out of results: its edges are walls. A ring has none
        in the east and west.
    times : int
        Number of times, `step` days apart.
    length, time : torch.Tensor or float
        Correlation length in m (geometric mean of those along and across the axis) and time in
        days.
    std : torch.Tensor or float
        Standard deviation of the field far from walls, for small cells and parameters that vary
        slowly; see `Chain.normalise`.
    anisotropy : torch.Tensor or float
        Correlation length along the axis over that across it.
    angle : torch.Tensor or float
        Direction of the axis in radians, counterclockwise from east.
    propagation : tuple of torch.Tensor or float
        Velocities to the east and to the north in m/day.
    step : float
        In days.

    Raises
    ------
    InvalidInputError
        If a parameter is not finite, or not positive where it must be, with its place; or if it
        does not fit the mesh.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.spde.chain import matern_chain
    >>> from xdvarnet.spde.mesh import Mesh
    >>> mesh = Mesh.from_metres(15e3 * torch.arange(20), 15e3 * torch.arange(30))
    >>> chain = matern_chain(mesh, 4, length=80e3, time=10.0, std=0.05)
    >>> chain.sample(3, torch.Generator().manual_seed(0)).shape
    torch.Size([3, 4, 20, 30])
    """
    cells = mesh.unrolled() if mesh.ring else mesh

    def field(name: str, values: Values, *, positive: bool = False) -> torch.Tensor:
        fill = 1.0 if positive else 0.0
        found = checked_field(name, values, mesh, mesh.sea, fill=fill, positive=positive)
        found = wrap_columns(found) if mesh.ring else found
        return found.reshape(1, *found.shape) if found.ndim == 2 else found

    kappa, rate = spde_parameters(
        field("length", length, positive=True), field("time", time, positive=True)
    )
    ratio = field("anisotropy", anisotropy, positive=True).square()
    tensor = ee, en, nn = anisotropy_tensor(ratio, field("angle", angle))
    velocity = [field("propagation", component) for component in propagation]
    smoothing = damping(cells, kappa.square()) + diffusion(cells, tensor)
    spread = diffusion(cells, (rate * ee, rate * en, rate * nn))
    steps = damping(cells, rate * kappa.square()) + spread + _propagation(cells, *velocity)
    scale = stationary_variance(kappa, rate, step).sqrt() / field("std", std, positive=True)
    if mesh.ring:
        steps, smoothing, scale = steps.closed(), smoothing.closed(), scale[..., 1:-1]
    return Chain(mesh, times, steps, smoothing, scale, step)


def _propagation(mesh: Mesh, east: torch.Tensor, north: torch.Tensor) -> Stencil:
    """Return the mean of div(m u) and m . grad(u), of velocities at the centres of cells.

    They differ at coasts and edges, where the velocity ends, and where it diverges; their mean
    takes and gives no variance there, so that the symmetric part is positive semidefinite.
    """
    conservative = advection(
        mesh,
        east=(east[..., 1:] + east[..., :-1]) / 2,
        north=(north[..., 1:, :] + north[..., :-1, :]) / 2,
    )
    return conservative.add_diagonal(-conservative.apply(torch.ones_like(mesh.area)) / 2)
