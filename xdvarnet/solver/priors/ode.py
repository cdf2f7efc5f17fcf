"""The prior of a dynamical model: each state follows from the one before."""

import torch
from torch import nn

from xdvarnet.dynamics.integration import find_step
from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.solver.priors.base import Prior


class OdePrior(Prior):
    """Flow operator of a model: ``Phi(x)(t) = x(t - dt) + integral of the tendency over dt``.

    The cost is ``|x - Phi(x)|^2 / n`` over all times but the first, which has none before it, with
    n the number of cells of a window: that of a weak-constraint 4DVar, up to the variance of the
    model error. Phi(x)(t) does not depend on x(t).

    Parameters
    ----------
    dynamics : torch.nn.Module
        The model, called with states (..., component); its parameters are learned if they require
        a gradient. It works in the units of the state.
    dt : float
        Time between two states of a window, in the model's unit; one step is taken over it.
    method : str
        ``"rk4"`` or ``"euler"``.
    correction : torch.nn.Module, optional
        Learned part that is added to Phi, such as a `xdvarnet.solver.priors.gibbs.GibbsPrior`:
        from a window to the same shape, without regard to x(t) at t.

    Raises
    ------
    InvalidInputError
        If dt is not positive, or a state is no window of at least two times.
    InvalidTypeError
        If the dynamics are no model.
    UnknownNameError
        If the method is unknown.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> from xdvarnet.solver.priors.ode import OdePrior
    >>> prior = OdePrior(Lorenz63(), 0.01)
    >>> prior(torch.ones(5, 1, 200, 3)).shape
    torch.Size([5, 1, 199, 3])
    >>> prior.cost(torch.zeros(5, 1, 200, 3))
    tensor([0., 0., 0., 0., 0.])
    """

    channels = 1

    def __init__(
        self,
        dynamics: nn.Module,
        dt: float,
        *,
        method: str = "rk4",
        correction: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if isinstance(dynamics, type) or not callable(dynamics):
            raise InvalidTypeError(
                f"dynamics={dynamics!r} is no model that gives the tendency of a state; give one "
                "such as Lorenz63()."
            )
        if not 0 < dt < float("inf"):
            raise InvalidInputError(f"dt={dt}; give a positive step in the model's unit of time.")
        self.step = find_step(method)
        self.dynamics, self.correction = dynamics, correction
        self.dt, self.method = dt, method

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Phi(x) at all times but the first, from a state (batch, 1, time, component)."""
        if state.ndim != 4 or state.shape[2] < 2:
            raise InvalidInputError(
                "a state is (batch, 1, time, component) with at least two times; its shape is "
                f"{tuple(state.shape)}."
            )
        forecast = self.step(self.dynamics, state[:, :, :-1], self.dt)
        if self.correction is None:
            return forecast
        return forecast + self.correction(state)[:, :, 1:]

    def cost(self, state: torch.Tensor) -> torch.Tensor:
        """Cost of each sample, shape (batch,)."""
        residual = state[:, :, 1:] - self(state)
        return residual.square().flatten(1).sum(1) / state[0].numel()
