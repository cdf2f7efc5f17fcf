"""Integration of a model in time: steps of one size, and adaptive ones as a reference."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import nn

from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError

Dynamics = Callable[[torch.Tensor], torch.Tensor]
"""A model: the tendency of a state (..., component), in the same shape."""


class Model(nn.Module):
    """A model of a vector of components: the base class of those that say how many there are.

    A subclass defines ``forward``: from states (..., component) to their tendencies.

    Attributes
    ----------
    components : int
        Number of components of a state.
    """

    components: int


Step = Callable[[Dynamics, torch.Tensor, float], torch.Tensor]


def euler_step(model: Dynamics, state: torch.Tensor, dt: float) -> torch.Tensor:
    """State after one explicit Euler step of `dt`, of first order."""
    return state + dt * model(state)


def rk4_step(model: Dynamics, state: torch.Tensor, dt: float) -> torch.Tensor:
    """State after one step of `dt` of the classical Runge-Kutta scheme, of fourth order."""
    first = model(state)
    second = model(state + dt / 2 * first)
    third = model(state + dt / 2 * second)
    fourth = model(state + dt * third)
    return state + dt / 6 * (first + 2 * second + 2 * third + fourth)


STEPS: dict[str, Step] = {"euler": euler_step, "rk4": rk4_step}


def find_step(method: str) -> Step:
    """Return the step of a name; an `UnknownNameError` says which there are."""
    if method not in STEPS:
        raise UnknownNameError(f"method={method!r} is unknown; known are {', '.join(STEPS)}.")
    return STEPS[method]


def integrate(
    model: Dynamics, x0: torch.Tensor, steps: int, dt: float, method: str = "rk4"
) -> torch.Tensor:
    """Integrate a model with steps of one size; differentiable.

    The graph is that of the start and of the model's parameters, where they require a gradient; a
    call within ``torch.no_grad()`` makes none.

    Parameters
    ----------
    model : callable
        From a state to its tendency.
    x0 : torch.Tensor
        States at the start, shape (..., component).
    steps : int
        Number of steps, at least 1.
    dt : float
        Size of a step, in the model's unit of time.
    method : str
        ``"rk4"`` or ``"euler"``.

    Returns
    -------
    torch.Tensor
        The start and the state after each step, shape (..., steps + 1, component).

    Raises
    ------
    InvalidTypeError
        If the start or the tendency is no tensor.
    InvalidInputError
        If the start or the step is not finite, there is no step, the tendency has not the shape of
        the start, or the integration diverges; the message says when.
    UnknownNameError
        If the method is unknown.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics.integration import integrate
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> integrate(Lorenz63(), torch.ones(5, 3), steps=200, dt=0.01).shape
    torch.Size([5, 201, 3])
    """
    step = find_step(method)
    _check_start(model, x0, steps, dt)
    states = [x0]
    for _ in range(steps):
        states.append(step(model, states[-1], dt))
    trajectory = torch.stack(states, -2)
    _check_finite(trajectory, dt, f"method={method!r} and dt={dt:g}")
    return trajectory


def reference_trajectory(
    model: Dynamics, x0: torch.Tensor, steps: int, dt: float, *, tolerance: float = 1e-9
) -> torch.Tensor:
    """Integrate a model with the adaptive Runge-Kutta scheme RK45 of scipy.

    The states of a batch are integrated as one vector in float64, with steps that suit their root
    mean square error. There is no graph.

    Parameters
    ----------
    model : callable
        From a state to its tendency.
    x0 : torch.Tensor
        States at the start, shape (..., component).
    steps : int
        Number of intervals, at least 1.
    dt : float
        Time between two results; the steps of the scheme are its own.
    tolerance : float
        Error of a step, relative and absolute.

    Returns
    -------
    torch.Tensor
        The start and the states after each interval, shape (..., steps + 1, component), float64.

    Raises
    ------
    InvalidTypeError, InvalidInputError
        As for `integrate`.

    References
    ----------
    Dormand and Prince 1980, doi 10.1016/0771-050X(80)90013-3.
    """
    _check_start(model, x0, steps, dt)

    def tendency(_: float, flat: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(flat).view(x0.shape)).flatten().numpy()

    times = dt * np.arange(steps + 1)
    with torch.no_grad(), np.errstate(over="ignore", invalid="ignore"):
        found = solve_ivp(
            tendency,
            (0.0, times[-1]),
            x0.double().flatten().numpy(),
            method="RK45",
            t_eval=times,
            rtol=tolerance,
            atol=tolerance,
        )
    states = np.full((steps + 1, x0.numel()), np.nan)
    states[: found.y.shape[1]] = found.y.T
    trajectory = torch.from_numpy(states).view(steps + 1, *x0.shape).movedim(0, -2)
    _check_finite(trajectory, dt, "method='RK45'")
    return trajectory


def check_step_size(dt: float) -> None:
    """Raise an `InvalidInputError` unless the size of a step is positive and finite."""
    if not 0 < dt < float("inf"):
        raise InvalidInputError(f"dt={dt}; give a positive step in the model's unit of time.")


def check_tendency(model: Dynamics, state: torch.Tensor) -> None:
    """Call a model once, and refuse a tendency that does not fit the state.

    Raises
    ------
    InvalidTypeError
        If the tendency is no tensor.
    InvalidInputError
        If its shape is not that of the state.
    """
    with torch.no_grad():
        tendency = model(state)
    if not isinstance(tendency, torch.Tensor):
        raise InvalidTypeError(
            f"the model's tendency is a {type(tendency).__name__}, and no tensor; write the model "
            "with functions of torch."
        )
    if tendency.shape != state.shape:
        raise InvalidInputError(
            f"the model's tendency of a state of shape {tuple(state.shape)} has the shape "
            f"{tuple(tendency.shape)}; both should be the same (..., component)."
        )


def _check_start(model: Dynamics, x0: torch.Tensor, steps: int, dt: float) -> None:
    if not isinstance(x0, torch.Tensor):
        raise InvalidTypeError(
            f"x0 is a {type(x0).__name__}, and no tensor; give torch.as_tensor(x0)."
        )
    if steps < 1:
        raise InvalidInputError(f"steps={steps}; an integration takes at least 1.")
    check_step_size(dt)
    if not torch.isfinite(x0).all():
        raise InvalidInputError("the state to start from has values that are not finite.")
    check_tendency(model, x0)


def _check_finite(trajectory: torch.Tensor, dt: float, how: str) -> None:
    finite = torch.isfinite(trajectory).all(-1).reshape(-1, trajectory.shape[-2]).all(0)
    if not finite.all():
        step = int((~finite).nonzero()[0])
        raise InvalidInputError(
            f"the integration diverges: at step {step} (time {step * dt:g}) the state is no longer "
            f"finite, with {how}; give a smaller step, or a start nearer to the attractor."
        )
