"""Observation of a variable through another one, by learned features of both."""

import torch
from torch import nn
from torch.nn import functional

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.contracts import ObservationTerm, initial_weights
from xdvarnet.solver.data import Data


class FeatureObservation(ObservationTerm):
    """Squared misfit between learned features of the state and of observations of something else.

    ``J(x) = |m (G(x[state]) - H(y[observed], mask[observed]))|^2 / n``, where G and H are small
    convolutional networks to features at a reduced resolution, m is the share of the days and cells
    under a feature that are observed, and n the number of features of a sample. What observations
    of the sea surface temperature say of its height is thus learned with the solver (Fablet et al.
    2023, doi 10.1109/TGRS.2023.3268006).

    Unlike other terms, it takes the data of all channels of the state and selects.

    Parameters
    ----------
    state : slice
        Channels of the state that G sees, with a stop.
    observed : slice
        Channels of the data that H sees, with a stop.
    features : int
        Number of features of a coarse cell.
    hidden : int
        Channels of the hidden layer of both networks.
    downscale : int
        Side of the square of cells under a feature. Rows and columns beyond the last square are
        not seen.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.

    Raises
    ------
    InvalidInputError
        If a slice selects nothing or has no stop.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.features import FeatureObservation
    >>> from xdvarnet.solver.data import Data
    >>> term = FeatureObservation(slice(0, 5), slice(5, 10))
    >>> data = Data.from_gappy(torch.ones(2, 10, 24, 32))
    >>> term.gradient(torch.zeros(2, 10, 24, 32), data).shape
    torch.Size([2, 10, 24, 32])
    """

    def __init__(
        self,
        state: slice,
        observed: slice,
        *,
        features: int = 8,
        hidden: int = 16,
        downscale: int = 2,
        rng: RandomState = None,
    ) -> None:
        super().__init__()
        self.state, self.observed = state, observed
        self.features, self.hidden, self.downscale = features, hidden, downscale
        with initial_weights(rng):
            self.of_state = _features(_length(state), hidden, features, downscale)
            self.of_data = _features(2 * _length(observed), hidden, features, downscale)

    def cost(self, state: torch.Tensor, data: Data) -> torch.Tensor:
        """Cost of each sample, shape (batch,)."""
        target, weight = self._target(data)
        misfit = self.of_state(state[:, self.state]) - target
        return (weight * misfit).square().flatten(1).mean(1)

    def gradient(self, state: torch.Tensor, data: Data) -> torch.Tensor:
        """Gradient of the cost with respect to the state; one vector-Jacobian product."""
        training = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            point = state if state.requires_grad else state.detach().clone().requires_grad_()
            features = self.of_state(point[:, self.state])
        target, weight = self._target(data)
        seed = 2 / features[0].numel() * weight.square() * (features - target)
        (gradient,) = torch.autograd.grad(
            features, point, seed.to(features.dtype), create_graph=training
        )
        return gradient

    def _target(self, data: Data) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of the data, and the share of what is under them that is observed."""
        mask = data.mask[:, self.observed]
        target = self.of_data(torch.cat([mask * data.values[:, self.observed], mask], 1))
        return target, functional.avg_pool2d(mask.mean(1, keepdim=True), self.downscale)


def _features(channels: int, hidden: int, features: int, downscale: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, hidden, downscale + 2, stride=downscale, padding=1),
        nn.SiLU(),
        nn.Conv2d(hidden, features, 3, padding=1),
    )


def _length(channels: slice) -> int:
    number = 0 if channels.stop is None else len(range(channels.stop)[channels])
    if number < 1:
        raise InvalidInputError(
            f"{channels} selects no known number of channels; give a slice with a positive stop, "
            "such as slice(0, 7)."
        )
    return number
