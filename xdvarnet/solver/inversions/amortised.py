"""Amortised 4DVar: a network finds the starts of orbits of a model."""

from collections.abc import Sequence

import torch
from torch import nn

from xdvarnet.dynamics.integration import find_step
from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.contracts import Solver
from xdvarnet.solver.data import Data


class AmortisedFourDVar(Solver):
    """Orbits of a model from states that a network finds in the observations.

    The network gives a state at each time; that of the first time, x(0), is kept and the model is
    integrated from it over the window. With the misfit of the orbit to the observations as its
    loss, the network learns the minimum of the cost of strong-constraint 4DVar without any truth
    (Filoche et al. 2022, arXiv 2211.09741), and parameters of the model may learn with it.

    With `segment`, a new orbit starts every so many times (multiple shooting), and gradients pass
    through as many steps only: in a chaotic model they grow as errors do. What remains of the model
    error are the jumps between segments. They are all that the cost of a
    `xdvarnet.solver.priors.ode.OdePrior` of the same model and step sees of the result, so that the
    variational cost is the loss of a weak-constraint 4DVar. The attribute may be changed, for
    windows that grow during a training.

    Starts are kept on the scale of the attractor, ``bound tanh(x / bound)``, for an orbit from far
    away may diverge.

    Parameters
    ----------
    network : torch.nn.Module
        Called as ``network(first_guess, data, context)``, as this one is; such as a
        `xdvarnet.solver.inversions.direct.DirectInversion`.
    dynamics : torch.nn.Module
        The model, in the units of the state (`xdvarnet.dynamics.rescaled.Rescaled`); its parameters
        are learned if they require a gradient.
    dt : float
        Time between two states of a window, in the model's unit; one step is taken over it.
    method : str
        ``"rk4"`` or ``"euler"``.
    segment : int, optional
        Times of a segment; the last of a window may be shorter. By default, a window is one.
    bound : float
        No component of a start exceeds it, in the units of the state.

    Raises
    ------
    InvalidInputError
        If a number is out of range, or an orbit diverges in evaluation.
    UnknownNameError
        If the method is unknown.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> from xdvarnet.dynamics.rescaled import Rescaled
    >>> from xdvarnet.solver.inversions.amortised import AmortisedFourDVar
    >>> from xdvarnet.solver import Data, DirectInversion, Layout, StridedUNet
    >>> model = Rescaled(Lorenz63(), mean=(0.0, 0.0, 23.5), std=(8.0, 9.0, 8.6))
    >>> encoder = DirectInversion(StridedUNet(3, 1, layout=Layout(components=3)))
    >>> inversion = AmortisedFourDVar(encoder, model, 0.01)
    >>> first_guess, data = torch.zeros(2, 1, 50, 3), [Data.from_gappy(torch.ones(2, 1, 50, 3))]
    >>> inversion(first_guess, data, None).shape
    torch.Size([2, 1, 50, 3])
    """

    def __init__(
        self,
        network: Solver,
        dynamics: nn.Module,
        dt: float,
        *,
        method: str = "rk4",
        segment: int | None = None,
        bound: float = 5.0,
    ) -> None:
        super().__init__()
        if not 0 < dt < float("inf") or not 0 < bound < float("inf"):
            raise InvalidInputError(f"dt={dt} and bound={bound}; give positive numbers.")
        if segment is not None and segment < 1:
            raise InvalidInputError(f"segment={segment}; a segment has at least 1 time.")
        self.step = find_step(method)
        self.network, self.dynamics = network, dynamics
        self.dt, self.method, self.segment, self.bound = dt, method, segment, bound
        self.context = network.context

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The network."""
        return {"network": self.network}

    def forward(
        self, first_guess: torch.Tensor, data: Sequence[Data], context: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the orbits.

        Parameters
        ----------
        first_guess : torch.Tensor
            Shape (batch, 1, time, component).
        data : sequence of Data
            For the network.
        context : torch.Tensor, optional
            For the network.

        Raises
        ------
        InvalidInputError
            If the network or the model is for another number of components, or, not in training,
            an orbit diverges.
        """
        times = first_guess.shape[2]
        length = min(self.segment or times, times)
        found = self.network(first_guess, data, context)[:, :, ::length]
        states = [self.bound * torch.tanh(found / self.bound)]
        for _ in range(length - 1):
            states.append(self.step(self.dynamics, states[-1], self.dt))
        orbits = torch.stack(states, 3).flatten(2, 3)[:, :, :times]
        if not self.training and not torch.isfinite(orbits).all():
            raise InvalidInputError(
                f"the model diverges from the starts that the network finds, with dt={self.dt:g}, "
                f"segment={self.segment} and bound={self.bound:g}; give a shorter segment or a "
                "smaller bound, or train again."
            )
        return orbits
