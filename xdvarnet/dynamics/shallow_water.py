"""Rotating shallow water with a free surface: balanced currents, gravity waves, Rossby waves.

Unlike quasi-geostrophic models, its currents have an ageostrophic part, which sea surface height
alone does not tell.
"""

import math

import torch
from torch import nn

from xdvarnet.dynamics.integration import check_step_size, rk4_step
from xdvarnet.errors import InvalidInputError, InvalidTypeError

X, Y = -1, -2
"""Dimensions of a field."""

CFL_LIMIT = 1.39
"""RK4 is stable for oscillations to a phase of 2.82 in a step, for decay to 2.78; half of it."""


class ShallowWater(nn.Module):
    """One layer of rotating water with a free surface, on a plane.

    With the depth ``h = depth + eta``, the vorticity ``zeta = dv/dx - du/dy`` and the potential
    vorticity ``q = (f + zeta) / h``::

        du/dt   =  q h v - d/dx (gravity eta + (u^2 + v^2) / 2)
        dv/dt   = -q h u - d/dy (gravity eta + (u^2 + v^2) / 2)
        deta/dt = -d/dx (h u) - d/dy (h v)

    in the energy-conserving form of Sadourny (1975, doi
    10.1175/1520-0469(1975)032<0680:TDOFDM>2.0.CO;2), of second order: in space, energy and mass are
    conserved to rounding, nonlinear terms included. A viscosity adds ``-viscosity laplacian^2`` of
    u and v.

    A state has the shape (..., 3, ny, nx): u, v in m/s and eta in m, on a C-grid (Arakawa and Lamb
    1977). The cell (j, i) has ``eta`` in its centre, ``x = (i + 1/2) dx`` and ``y = (j + 1/2) dy``;
    ``u`` is in the middle of its western side, ``v`` in the middle of its southern side, and
    vorticity in its south-western corner. The domain is periodic. With walls, ``v`` is zero in the
    row 0, which is the southern wall and, around, the northern one; water slips along them.

    Parameters
    ----------
    shape : tuple of int
        Cells from south to north and from west to east, (ny, nx), at least 3 each.
    dx, dy : float
        Sizes of a cell in m.
    depth : float
        Mean depth in m; the equivalent depth, for a reduced gravity.
    coriolis : float
        Coriolis parameter in s-1, in the middle between south and north.
    beta : float
        Its derivative to the north in m-1 s-1; it needs walls.
    gravity : float
        Acceleration of gravity, or the reduced one, in m s-2.
    viscosity : float
        Biharmonic, in m4 s-1. Without it a turbulent flow stays stable and keeps its energy, and in
        weeks vorticity gathers at the scale of the grid; some ``0.02 |velocity| dx^3`` prevents it.
    walls : bool
        Whether walls close the domain in the south and the north.

    Raises
    ------
    InvalidInputError
        If a number is out of range, or there is a beta without walls.

    Examples
    --------
    A bump of the surface of 10 cm and its ageostrophic currents after three hours:

    >>> import torch
    >>> from xdvarnet.dynamics.shallow_water import ShallowWater
    >>> model = ShallowWater((30, 40), dx=8e3, dy=9e3, depth=100.0, coriolis=1e-4)
    >>> y, x = torch.meshgrid(torch.arange(30) - 15, torch.arange(40) - 20, indexing="ij")
    >>> start = model.geostrophic_start(0.1 * torch.exp(-(x**2 + y**2) / 32))
    >>> states = model.run(start, steps=45, dt=240.0)
    >>> states.shape
    torch.Size([46, 3, 30, 40])
    >>> geostrophic, ageostrophic = model.centred_velocity(states[-1])
    >>> bool(ageostrophic.std() < 0.1 * geostrophic.std())
    True
    """

    _f_corner: torch.Tensor
    _f_centre: torch.Tensor
    _inside: torch.Tensor

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        dx: float,
        dy: float,
        depth: float,
        coriolis: float,
        beta: float = 0.0,
        gravity: float = 9.81,
        viscosity: float = 0.0,
        walls: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.dx, self.dy, self.depth = tuple(shape), dx, dy, depth
        self.coriolis, self.beta, self.gravity = coriolis, beta, gravity
        self.viscosity, self.walls = viscosity, walls
        _check_parameters(self)
        half = self.shape[0] / 2
        self._f_walls = (coriolis - beta * dy * half, coriolis + beta * dy * half)
        rows = torch.arange(self.shape[0], dtype=torch.float64)[:, None]
        for name, values in {
            "_f_corner": coriolis + beta * dy * (rows - half),
            "_f_centre": coriolis + beta * dy * (rows + 0.5 - half),
            "_inside": (rows >= walls).double(),  # 0 in the row of v that is the walls
        }.items():
            self.register_buffer(name, values, persistent=False)

    def extra_repr(self) -> str:
        """Arguments, for the repr."""
        names = ("dx", "dy", "depth", "coriolis", "beta", "gravity", "viscosity", "walls")
        return f"{self.shape}, " + ", ".join(f"{name}={getattr(self, name)}" for name in names)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Tendency of a state (..., 3, ny, nx)."""
        u, v, eta = self._parts(state)
        h = self.depth + eta
        flux_x, flux_y = _mean_before(h, X) * u, _mean_before(h, Y) * v
        q = (self._f_corner.to(state.dtype) + self._vorticity(u, v)) / _at_corners(h)
        head = self.gravity * eta + (_mean_next(u**2, X) + _mean_next(v**2, Y)) / 2
        du = _mean_next(q * _mean_before(flux_y, X), Y) - _step_before(head, X) / self.dx
        dv = -_mean_next(q * _mean_before(flux_x, Y), X) - _step_before(head, Y) / self.dy
        if self.viscosity:
            friction_x, friction_y = self._laplacian(*self._laplacian(u, v))
            du, dv = du - self.viscosity * friction_x, dv - self.viscosity * friction_y
        deta = -self._divergence(flux_x, flux_y)
        return torch.stack([du, self._inside.to(state.dtype) * dv, deta], -3)

    def run(self, state: torch.Tensor, steps: int, dt: float) -> torch.Tensor:
        """Integrate with the classical Runge-Kutta scheme, of fourth order; differentiable.

        Parameters
        ----------
        state : torch.Tensor
            Start, shape (..., 3, ny, nx).
        steps : int
            Number of steps, at least 1.
        dt : float
            Size of a step in s.

        Returns
        -------
        torch.Tensor
            The start and the state after each step, shape (..., steps + 1, 3, ny, nx).

        Raises
        ------
        InvalidTypeError
            If the start is no tensor.
        InvalidInputError
            If the start is not of the model's shape, not finite or somewhere dry, flows through a
            wall, or the step is unstable (`cfl_number`), all before the first step; or if the flow
            falls dry or diverges.
        """
        _check_start(self, state, steps, dt)
        states = [state]
        for _ in range(steps):
            states.append(rk4_step(self, states[-1], dt))
        trajectory = torch.stack(states, -4)
        wet = torch.isfinite(trajectory).all(-3) & (self.depth + trajectory[..., 2, :, :] > 0)
        wet = wet.flatten(-2).all(-1).reshape(-1, steps + 1).all(0)
        if not wet.all():
            step = int((~wet).nonzero()[0])
            raise InvalidInputError(
                f"at step {step} (time {step * dt:g} s) the water has fallen dry somewhere or the "
                "state is no longer finite; give a smoother start, a greater depth or a smaller dt."
            )
        return trajectory

    def cfl_number(self, state: torch.Tensor, dt: float) -> float:
        """Half the phase by which the fastest wave of the grid turns in a step of `dt`.

        ``dt sqrt((c + |velocity|)^2 s + f^2 / 4)`` with ``s = 1/dx^2 + 1/dy^2``, ``c = sqrt(gravity
        h)`` and the largest depth, speed and f there are; and half the decay by viscosity in a
        step, ``8 viscosity s^2 dt``. Steps of `run` are stable to 1.39.
        """
        u, v, eta = self._parts(state.detach())
        wave = (self.gravity * (self.depth + eta).max().clamp(min=0)).sqrt()
        speed = (wave + (u**2 + v**2).max().sqrt()).item()
        f = max(abs(end) for end in self._f_walls)
        grid = 1 / self.dx**2 + 1 / self.dy**2
        return dt * (math.sqrt(speed**2 * grid + f**2 / 4) + 8 * self.viscosity * grid**2)

    def geostrophic_start(self, eta: torch.Tensor) -> torch.Tensor:
        """State in geostrophic balance.

        The surface is smoothed a little, with the weights 1/4, 1/2, 1/4 in x and y, and u and v are
        those that balance it on the C-grid: ``f v = gravity deta/dx`` and ``f u = -gravity
        deta/dy``. On an f-plane without walls the linear tendency is zero to rounding, with a beta
        to second order; the nonlinear terms are not balanced, and of the order of the Rossby
        number. At walls the balance takes an eta that is constant along them.

        Parameters
        ----------
        eta : torch.Tensor
            Height of the surface in m at the centres of cells, shape (..., ny, nx).

        Returns
        -------
        torch.Tensor
            Shape (..., 3, ny, nx).

        Raises
        ------
        InvalidInputError
            If the shape is not that of the model, or f is zero or changes sign.
        """
        _check_shape(self, eta, self.shape)
        u, v = self._geostrophic(eta)
        u, v = _mean_before(self._rows_to_centres(u), X), _mean_before(_mean_next(v, X), Y)
        inside = self._inside.to(eta.dtype)
        smooth = _mean_before(_mean_next(eta, X), X)
        bend = _step_before(_step_next(smooth, Y), Y) / 4 * inside * inside.roll(-1, 0)
        return torch.stack([u, inside * v, smooth + bend], -3)

    def centred_velocity(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Geostrophic and ageostrophic velocity at the centres of cells.

        The geostrophic one is by central differences of eta. Their sum is the velocity of the
        state, interpolated to where pressure gradients are and then to the centres, as in the
        Coriolis terms: the ageostrophic part of a state in discrete balance is zero to rounding.

        Parameters
        ----------
        state : torch.Tensor
            Shape (..., 3, ny, nx).

        Returns
        -------
        tuple of torch.Tensor
            Geostrophic and ageostrophic, each of (..., 2, ny, nx), to the east and to the north in
            m/s.

        Raises
        ------
        InvalidInputError
            If the shape is not that of the model, or f is zero or changes sign.
        """
        u, v, eta = self._parts(state)
        u_balanced, v_balanced = self._geostrophic(eta)
        u, v = _mean_next(_mean_before(u, Y), X), _mean_next(_mean_before(v, X), Y)
        parts = (u_balanced, v_balanced), (u - u_balanced, v - v_balanced)
        geostrophic, ageostrophic = (
            torch.stack([self._rows_to_centres(east), _mean_next(north, X)], -3)
            for east, north in parts
        )
        return geostrophic, ageostrophic

    def mass(self, state: torch.Tensor) -> torch.Tensor:
        """Volume of water in m3, shape (...)."""
        return (self.depth + self._parts(state)[2]).sum((Y, X)) * self.dx * self.dy

    def energy(self, state: torch.Tensor) -> torch.Tensor:
        """Kinetic and available potential energy per density in m5 s-2, shape (...)."""
        u, v, eta = self._parts(state)
        kinetic = (self.depth + eta) * (_mean_next(u**2, X) + _mean_next(v**2, Y))
        return ((kinetic + self.gravity * eta**2) / 2).sum((Y, X)) * self.dx * self.dy

    def potential_vorticity(self, state: torch.Tensor) -> torch.Tensor:
        """``(f + zeta) / h`` in m-1 s-1 at corners, (..., ny, nx); with walls without row 0."""
        u, v, eta = self._parts(state)
        absolute = self._f_corner.to(state.dtype) + self._vorticity(u, v)
        return (absolute / _at_corners(self.depth + eta))[..., int(self.walls) :, :]

    def divergence(self, state: torch.Tensor) -> torch.Tensor:
        """``du/dx + dv/dy`` in s-1 at centres of cells, shape (..., ny, nx)."""
        u, v, _ = self._parts(state)
        return self._divergence(u, v)

    def _parts(self, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        _check_shape(self, state, (3, *self.shape))
        return state.unbind(-3)

    def _vorticity(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return _step_before(v, X) / self.dx - _step_before(u, Y) / self.dy

    def _divergence(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return _step_next(x, X) / self.dx + _step_next(y, Y) / self.dy

    def _laplacian(self, u: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradient of the divergence less the curl of vorticity, which is zero on the walls."""
        inside = self._inside.to(u.dtype)
        spread, turn = self._divergence(u, v), inside * self._vorticity(u, v)
        x = _step_before(spread, X) / self.dx - _step_next(turn, Y) / self.dy
        y = _step_before(spread, Y) / self.dy + _step_next(turn, X) / self.dx
        return x, inside * y

    def _geostrophic(self, eta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Velocity that balances the pressure: u where v is, v where u is."""
        south, north = self._f_walls
        if south * north <= 0:
            raise InvalidInputError(
                f"the Coriolis parameter goes from {south:g} to {north:g} s-1; there is no "
                "geostrophic balance where it is zero. Give a domain on one side of the equator."
            )
        slope_x, slope_y = _step_before(eta, X) / self.dx, _step_before(eta, Y) / self.dy
        u = -self.gravity / self._f_corner.to(eta.dtype) * slope_y
        return u, self.gravity / self._f_centre.to(eta.dtype) * slope_x

    def _rows_to_centres(self, field: torch.Tensor) -> torch.Tensor:
        """Mean of the rows of v around those of eta, walls left out."""
        inside = self._inside.to(field.dtype)
        return _mean_next(inside * field, Y) / _mean_next(inside, Y)


def _check_parameters(model: ShallowWater) -> None:
    if len(model.shape) != 2 or min(model.shape) < 3:
        raise InvalidInputError(f"shape={model.shape}; give (ny, nx), at least 3 cells each.")
    for name in ("dx", "dy", "depth", "gravity"):
        if not 0 < getattr(model, name) < math.inf:
            raise InvalidInputError(
                f"{name}={getattr(model, name)}; give a positive number in SI units."
            )
    if not (math.isfinite(model.coriolis + model.beta) and 0 <= model.viscosity < math.inf):
        raise InvalidInputError(
            f"coriolis={model.coriolis}, beta={model.beta} and viscosity={model.viscosity}; give "
            "finite numbers, and a viscosity that is not negative."
        )
    if model.beta and not model.walls:
        raise InvalidInputError(
            f"beta={model.beta:g} in a periodic domain, where f would jump from the north to "
            "the south; give walls=True, or beta=0."
        )


def _check_shape(model: ShallowWater, field: torch.Tensor, shape: tuple[int, ...]) -> None:
    if not isinstance(field, torch.Tensor):
        raise InvalidTypeError(
            f"expected a tensor, got {type(field).__name__}; give torch.as_tensor(...)."
        )
    if field.shape[-len(shape) :] != shape:
        raise InvalidInputError(
            f"expected a shape (..., {', '.join(map(str, shape))}) for {model}, got "
            f"{tuple(field.shape)}."
        )


def _check_start(model: ShallowWater, state: torch.Tensor, steps: int, dt: float) -> None:
    _, v, eta = model._parts(state)
    if steps < 1:
        raise InvalidInputError(f"steps={steps}; a run takes at least 1.")
    check_step_size(dt)
    if not torch.isfinite(state).all():
        raise InvalidInputError("the state to start from has values that are not finite.")
    if eta.min() <= -model.depth:
        raise InvalidInputError(
            f"eta goes down to {eta.min():g} m, and the depth is {model.depth:g} m; the water "
            "should be deeper than its surface is low."
        )
    if model.walls and v[..., 0, :].any():
        raise InvalidInputError(
            "v is not zero in the row 0, which is the walls; set state[..., 1, 0, :] = 0."
        )
    number = model.cfl_number(state, dt)
    if number > CFL_LIMIT:
        raise InvalidInputError(
            f"dt={dt:g} s is unstable: its CFL number is {number:.3g}, and the limit is "
            f"{CFL_LIMIT:.3g}. The largest safe dt for this start is "
            f"{0.999 * dt * CFL_LIMIT / number:.4g} s."
        )


def _step_next(field: torch.Tensor, dim: int) -> torch.Tensor:
    """Differences of the values at sides, at the centres between them."""
    return field.roll(-1, dim) - field


def _step_before(field: torch.Tensor, dim: int) -> torch.Tensor:
    """Differences of the values at centres, at the sides between them."""
    return field - field.roll(1, dim)


def _mean_next(field: torch.Tensor, dim: int) -> torch.Tensor:
    """Means of the values at sides, at the centres between them."""
    return (field.roll(-1, dim) + field) / 2


def _mean_before(field: torch.Tensor, dim: int) -> torch.Tensor:
    """Means of the values at centres, at the sides between them."""
    return (field + field.roll(1, dim)) / 2


def _at_corners(field: torch.Tensor) -> torch.Tensor:
    """Means of the four centres around corners."""
    return _mean_before(_mean_before(field, X), Y)
