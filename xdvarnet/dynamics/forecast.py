"""What takes a state over a time step: a model's Runge-Kutta step, or a forecast of its own."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import partial

import torch

from xdvarnet.dynamics.integration import Dynamics, check_tendency, rk4_step
from xdvarnet.errors import InvalidInputError, InvalidTypeError

Advance = Callable[[torch.Tensor, float], torch.Tensor]
"""From states (..., component) and a time step to the states after it."""


class Forecast(ABC):
    """Base class of what forecasts states without being a tendency, such as analogs.

    Attributes
    ----------
    labels : sequence or None
        Names of the components, where they have any.
    """

    labels: Sequence[Hashable] | None = None

    @abstractmethod
    def forecast(self, states: torch.Tensor, dt: float) -> torch.Tensor:
        """Return states (..., component) after a time of `dt`."""


def as_advance(dynamics: Dynamics | Forecast) -> Advance:
    """Return what takes states over a time step: a forecast, or a model's Runge-Kutta step.

    Raises
    ------
    InvalidTypeError
        If it is neither.
    """
    if isinstance(dynamics, Forecast):
        return dynamics.forecast
    if callable(dynamics) and not isinstance(dynamics, type):
        return partial(rk4_step, dynamics)
    raise InvalidTypeError(
        f"dynamics={dynamics!r} is no model and no Forecast; give Lorenz63(), a torch.nn.Module or "
        "function of your own from states to their tendencies, AnalogForecast(...).fit(training) "
        "or Heights(ReducedGravityQG(...))."
    )


def check_advance(
    dynamics: Dynamics | Forecast, start: torch.Tensor, dt: float, times: int
) -> None:
    """Run a model once over a window, and refuse one that does not fit the state or diverges.

    Raises
    ------
    InvalidTypeError
        If the tendency is no tensor.
    InvalidInputError
        If a state after a step has another shape, or is not finite.
    """
    advance = as_advance(dynamics)
    if not isinstance(dynamics, Forecast):
        try:
            check_tendency(dynamics, start)
        except InvalidInputError as error:
            raise InvalidInputError(
                f"{error} States are flat here, (..., component): a model of fields is given with "
                "their shape, as Gridded(model, (3, ny, nx)), and one of heights as Heights(model)."
            ) from error
    with torch.no_grad():
        state = start
        for step in range(1, times):
            state = advance(state, dt)
            if state.shape != start.shape:
                raise InvalidInputError(
                    f"the model makes a state of shape {tuple(state.shape)} of one of "
                    f"{tuple(start.shape)}; both should be the same (..., component)."
                )
            if not torch.isfinite(state).all():
                raise InvalidInputError(
                    f"the integration diverges: at step {step} (time {step * dt:g}) the state is "
                    f"no longer finite, with dt={dt:g}; give a smaller step, or a start nearer to "
                    "the attractor."
                )
