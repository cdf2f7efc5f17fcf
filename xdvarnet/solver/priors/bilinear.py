"""Bilinear autoencoder prior."""

import torch
from torch import nn
from torch.nn import functional

from xdvarnet._random import RandomState
from xdvarnet.solver.contracts import initial_weights
from xdvarnet.solver.priors.projection import Projection


class BilinearAutoencoder(Projection):
    """Convolutional autoencoder with a bilinear layer, at a reduced resolution.

    ``Phi(x) = up(W_o [A z, (B z) (C z)])`` with ``z = W_h relu(W_i down(x))``, all W, A, B and C
    being 3 x 3 convolutions: products of fields can express advection (Fablet et al. 2021,
    doi 10.1029/2021MS002572).

    Parameters
    ----------
    channels : int
        Channels of the state (days times variables).
    hidden : int
        Channels of each hidden layer.
    downscale : int
        Factor by which the resolution is reduced.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.
    """

    def __init__(
        self,
        channels: int,
        *,
        hidden: int = 32,
        downscale: int = 2,
        rng: RandomState = None,
    ) -> None:
        super().__init__()
        self.channels, self.hidden, self.downscale = channels, hidden, downscale
        with initial_weights(rng):
            self.encode = nn.Conv2d(channels, hidden, 3, padding=1)
            self.transform = nn.Conv2d(hidden, hidden, 3, padding=1)
            self.linear = nn.Conv2d(hidden, hidden, 3, padding=1)
            self.left = nn.Conv2d(hidden, hidden, 3, padding=1)
            self.right = nn.Conv2d(hidden, hidden, 3, padding=1)
            self.decode = nn.Conv2d(2 * hidden, channels, 3, padding=1)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Project the state (batch, channels, latitude, longitude) on the learned manifold."""
        coarse = functional.avg_pool2d(state, self.downscale, ceil_mode=True)
        code = self.transform(functional.relu(self.encode(coarse)))
        code = torch.cat([self.linear(code), self.left(code) * self.right(code)], dim=1)
        return functional.interpolate(
            self.decode(code), size=state.shape[-2:], mode="bilinear", align_corners=False
        )
