"""Steps of the solver: from the gradient of the cost to the update of the state.

A step is called as ``update, memory = step(gradient, context, memory)``. Its memory is None at the
start; it is an argument and a result, so that a step holds nothing between two samples.
"""

import torch
from torch import nn
from torch.nn import functional


class GradientStep(nn.Module):
    """Plain gradient descent with a fixed step: ``update = rate * gradient``.

    Parameters
    ----------
    rate : float
        Size of the step; the solver hands over a gradient scaled to unit root mean square at the
        first iteration.
    """

    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        self.rate = rate

    def forward(
        self, gradient: torch.Tensor, context: torch.Tensor | None, memory: None
    ) -> tuple[torch.Tensor, None]:
        """Return the update and no memory."""
        return self.rate * gradient, None


class CNNStep(nn.Module):
    """Convolutional step on the gradient and the previous update.

    ``update = bound * atan(CNN([gradient, previous update, context]) / bound)``: the bound keeps
    the unrolled iterations stable (Fablet et al. 2021, doi 10.1029/2021MS002572).

    Parameters
    ----------
    channels : int
        Channels of the state.
    hidden : int
        Channels of the hidden layer.
    context : int
        Channels of the context.
    bound : float
        Scale at which an update saturates, in units of the state: none exceeds pi / 2 of it.
    """

    def __init__(
        self, channels: int, *, hidden: int = 32, context: int = 0, bound: float = 1.0
    ) -> None:
        super().__init__()
        self.channels, self.hidden, self.context, self.bound = channels, hidden, context, bound
        self.layers = nn.Sequential(
            nn.Conv2d(2 * channels + context, hidden, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(hidden, channels, 3, padding=1),
        )

    def forward(
        self, gradient: torch.Tensor, context: torch.Tensor | None, memory: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the update and, as memory, the update again."""
        previous = torch.zeros_like(gradient) if memory is None else memory
        features = self.layers(_join(gradient, previous, context))
        update = self.bound * torch.atan(features / self.bound)
        return update, update


class ConvLSTMStep(nn.Module):
    """Convolutional LSTM step (Shi et al. 2015, arXiv 1506.04214), at a reduced resolution.

    The output layer starts at zero: an untrained step leaves the state as it is.

    Parameters
    ----------
    channels : int
        Channels of the state.
    hidden : int
        Channels of the memory.
    context : int
        Channels of the context.
    downscale : int
        Factor by which the resolution is reduced; the update is interpolated back. Sizes of the
        grid that are no multiples of it lose their last rows or columns, beyond one, from the
        features.
    """

    def __init__(
        self, channels: int, *, hidden: int = 48, context: int = 0, downscale: int = 1
    ) -> None:
        super().__init__()
        self.channels, self.hidden, self.context = channels, hidden, context
        self.downscale = downscale
        self.encode = nn.Conv2d(
            channels + context, hidden, downscale + 2, stride=downscale, padding=1
        )
        self.gates = nn.Conv2d(2 * hidden, 4 * hidden, 3, padding=1)
        self.decode = nn.Conv2d(hidden, channels, 3, padding=1)
        nn.init.zeros_(self.decode.weight)
        nn.init.zeros_(self.decode.bias)

    def forward(
        self,
        gradient: torch.Tensor,
        context: torch.Tensor | None,
        memory: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Return the update and the memory (hidden state, cell state)."""
        features = functional.silu(self.encode(_join(gradient, context)))
        hidden, cell = memory if memory is not None else (torch.zeros_like(features),) * 2
        forget, store, show, candidate = self.gates(torch.cat([features, hidden], 1)).chunk(4, 1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(store) * torch.tanh(candidate)
        hidden = torch.sigmoid(show) * torch.tanh(cell)
        update = self.decode(hidden)
        if self.downscale > 1:
            update = functional.interpolate(
                update, size=gradient.shape[-2:], mode="bilinear", align_corners=False
            )
        return update, (hidden, cell)


def _join(*parts: torch.Tensor | None) -> torch.Tensor:
    return torch.cat([part for part in parts if part is not None], dim=1)
