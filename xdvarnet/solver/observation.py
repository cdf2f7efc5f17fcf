"""Observation terms of the variational cost."""

from collections.abc import Sequence
from typing import Any

import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.contracts import ObservationTerm
from xdvarnet.solver.data import Data


class MaskedObservation(ObservationTerm):
    """Squared misfit to direct observations of some channels of the state.

    ``J(x) = |mask (x[channels] - y)|^2 / (noise^2 n)`` with n the number of cells of a sample, so
    that a sample's cost does not depend on the batch.

    Parameters
    ----------
    noise : float
        Standard deviation of the observation error, in the units of the state.
    channels : slice
        Channels of the state that are observed; all by default.

    Raises
    ------
    InvalidInputError
        If the noise is not positive.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.data import Data
    >>> from xdvarnet.solver.observation import MaskedObservation
    >>> data = Data.from_gappy(torch.tensor([[[[0.5, torch.nan]]]]))
    >>> MaskedObservation(noise=0.1).cost(torch.zeros(1, 1, 1, 2), data)
    tensor([12.5000])
    """

    def __init__(self, *, noise: float = 1.0, channels: slice = slice(None)) -> None:
        super().__init__()
        if not noise > 0:
            raise InvalidInputError(
                f"noise={noise} is no standard deviation of an observation error; give a positive "
                "number, in the units of the state."
            )
        self.noise = noise
        self.channels = channels

    def cost(self, state: torch.Tensor, data: Data) -> torch.Tensor:
        """Cost of each sample, shape (batch,)."""
        misfit = data.mask * (state[:, self.channels] - data.values)
        return misfit.square().flatten(1).sum(1) / (self.noise**2 * state[0].numel())

    def gradient(self, state: torch.Tensor, data: Data) -> torch.Tensor:
        """Gradient of the cost with respect to the state, written out; the state's shape."""
        misfit = data.mask * (state[:, self.channels] - data.values)
        gradient = torch.zeros_like(state)
        gradient[:, self.channels] = 2 / (self.noise**2 * state[0].numel()) * misfit
        return gradient


class InitialBackground(ObservationTerm):
    """Background term on the state at the first time of a window.

    ``J(x) = |(x(0) - mean) / std|^2 / n`` with n the number of cells of a sample: what is known of
    the initial state before any observation. It stands beside the observation terms of a solver.

    Parameters
    ----------
    mean, std : float or sequence of float
        Background and its standard deviation, for all components or each, in the units of the
        state; the defaults are the climatology of normalised states.

    Raises
    ------
    InvalidInputError
        If a number is not finite, a standard deviation is not positive, or there is not one number
        for each component of the state.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.observation import InitialBackground
    >>> InitialBackground(std=0.5).cost(torch.ones(2, 1, 4, 3), None)
    tensor([1., 1.])
    """

    def __init__(
        self, *, mean: float | Sequence[float] = 0.0, std: float | Sequence[float] = 1.0
    ) -> None:
        super().__init__()
        self.mean, self.std = _plain(mean), _plain(std)
        self.centre: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("centre", torch.tensor(self.mean), persistent=False)
        self.register_buffer("scale", torch.tensor(self.std), persistent=False)
        numbers = torch.cat([self.centre.flatten(), self.scale.flatten()])
        if not (numbers.isfinite().all() and (self.scale > 0).all()):
            raise InvalidInputError(
                f"mean={mean} and std={std}; give finite numbers and positive deviations."
            )

    def cost(self, state: torch.Tensor, data: Data | None) -> torch.Tensor:
        """Cost of each sample (batch, 1, time, component), shape (batch,); no data are used."""
        departure = self._depart(state) / self.scale
        return departure.square().flatten(1).sum(1) / state[0].numel()

    def gradient(self, state: torch.Tensor, data: Data | None) -> torch.Tensor:
        """Gradient of the cost with respect to the state, written out; the state's shape."""
        gradient = torch.zeros_like(state)
        gradient[:, :, 0] = 2 / state[0].numel() * self._depart(state) / self.scale**2
        return gradient

    def _depart(self, state: torch.Tensor) -> torch.Tensor:
        components = state.shape[-1]
        for name, numbers in (("mean", self.centre), ("std", self.scale)):
            if numbers.shape not in ((), (components,)):
                raise InvalidInputError(
                    f"the background's {name} has the shape {tuple(numbers.shape)}, and the state "
                    f"has {components} components; give one number, or one for each component."
                )
        return state[:, :, 0] - self.centre


def _plain(numbers: float | Sequence[float]) -> float | tuple[float, ...]:
    """Python's numbers, in double precision."""
    plain: Any = torch.as_tensor(numbers, dtype=torch.float64).tolist()
    return plain if isinstance(plain, float) else tuple(plain)
