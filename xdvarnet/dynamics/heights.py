"""Models of fields on a plane as forecasts of flat states, for assimilation."""

from collections.abc import Sequence

import torch
from torch import nn

from xdvarnet.dynamics.forecast import Forecast
from xdvarnet.dynamics.integration import Dynamics, rk4_step
from xdvarnet.dynamics.quasigeostrophic import ReducedGravityQG
from xdvarnet.dynamics.spectral import DAY
from xdvarnet.errors import InvalidInputError, InvalidTypeError


class Gridded(nn.Module, Forecast):
    """A model of fields as a forecast of flat states, with Runge-Kutta steps of one size.

    Parameters
    ----------
    dynamics : callable
        From fields, whose last dimensions are `shape`, to their tendency per second. A model file
        cannot hold a plain function: for `xdvarnet.save_model` give a ``torch.nn.Module``.
    shape : sequence of int
        Of the fields, such as ``(3, ny, nx)`` for `xdvarnet.dynamics.ShallowWater`. A flat state
        has them one after the other, rows together.
    steps : int
        Runge-Kutta steps of a day.

    Raises
    ------
    InvalidTypeError
        If the dynamics are no model.
    InvalidInputError
        If a number is below 1; when it forecasts, if a state has another number of components.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics import Gridded, ShallowWater
    >>> model = ShallowWater((6, 8), dx=20e3, dy=20e3, depth=1.0, coriolis=1e-4)
    >>> Gridded(model, (3, 6, 8), steps=96).forecast(torch.zeros(5, 144), dt=1.0).shape
    torch.Size([5, 144])
    """

    def __init__(self, dynamics: Dynamics, shape: Sequence[int], *, steps: int = 24) -> None:
        super().__init__()
        if isinstance(dynamics, type) or not callable(dynamics):
            raise InvalidTypeError(f"dynamics={dynamics!r} is no model that gives a tendency.")
        if min(*shape, steps) < 1:
            raise InvalidInputError(f"shape={tuple(shape)} and steps={steps}; give at least 1.")
        self.dynamics, self.shape, self.steps = dynamics, tuple(shape), steps

    @property
    def components(self) -> int:
        """Number of components of a state."""
        return torch.Size(self.shape).numel()

    def forecast(self, states: torch.Tensor, dt: float) -> torch.Tensor:
        """Return states (..., component) after `dt` days; differentiable."""
        if states.shape[-1] != self.components:
            raise InvalidInputError(
                f"the model has fields of shape {self.shape}, and a state of {states.shape[-1]} "
                "components was given; give all cells of its grid, land included."
            )
        count = max(round(self.steps * dt), 1)
        fields = self.run(states.unflatten(-1, self.shape), count, dt * DAY / count)
        return fields.flatten(-len(self.shape))

    def run(self, fields: torch.Tensor, count: int, dt: float) -> torch.Tensor:
        """Return fields after so many steps of `dt` seconds."""
        for _ in range(count):
            fields = rk4_step(self.dynamics, fields, dt)
        return fields


class Heights(Gridded):
    """Sea surface heights that a 1.5-layer quasi-geostrophic model carries on.

    A state holds the heights (m) of all cells of the plane, rows together. The smallest scales are
    removed after each step, as `xdvarnet.dynamics.advance` does.

    Parameters
    ----------
    model : ReducedGravityQG
        The model, whose plane is that of the maps.
    steps : int
        Runge-Kutta steps of a day: the speed times a step is to stay below 0.9 cells.

    Raises
    ------
    InvalidTypeError
        If the model is another one.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics import Heights, ReducedGravityQG, SpectralGrid
    >>> grid = SpectralGrid(16, 24, spacing=20e3, dtype=torch.float64)
    >>> model = ReducedGravityQG(grid, f0=9e-5, beta=1.8e-11, deformation_radius=30e3)
    >>> Heights(model).forecast(torch.zeros(2, 384, dtype=torch.float64), dt=1.0).shape
    torch.Size([2, 384])
    """

    dynamics: ReducedGravityQG

    def __init__(self, model: ReducedGravityQG, *, steps: int = 8) -> None:
        if not isinstance(model, ReducedGravityQG):
            raise InvalidTypeError(f"model={model!r}; give a ReducedGravityQG(...).")
        super().__init__(model, (model.grid.rows, model.grid.columns), steps=steps)

    @property
    def model(self) -> ReducedGravityQG:
        """The model."""
        return self.dynamics

    def run(self, fields: torch.Tensor, count: int, dt: float) -> torch.Tensor:
        """Return heights (..., y, x) after so many steps of `dt` seconds."""
        grid = self.model.grid
        spectrum = grid.to_spectrum(self.model.from_ssh(fields.unsqueeze(-3)))
        for _ in range(count):
            spectrum = grid.smooth(rk4_step(self.model.rates, spectrum, dt))
        return self.model.pressure_height(grid.to_field(spectrum)).squeeze(-3)
