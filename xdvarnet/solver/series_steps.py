"""Steps of the solver for series: from the gradient of the cost to the update of the state.

They are called as those of `xdvarnet.solver.steps`, with tensors (batch, channels, time,
component). The state has one channel.
"""

from collections.abc import Sequence

import torch
from torch import nn

from xdvarnet._random import RandomState
from xdvarnet.solver.contracts import Step, initial_weights
from xdvarnet.solver.layout import PLANE, Convolution, Layout, check_kernel
from xdvarnet.solver.series_unet import check_channels


class SeriesLSTMStep(Step):
    """Convolutional LSTM step (Shi et al. 2015, arXiv 1506.04214), as in Fablet et al. 2021.

    The memory sees ``asinh(gradient)``, and ``update = bound * atan(decoded / bound)``: as in
    `NetworkStep`, neither grows without limit far from the minimum. The output layer starts at
    zero: an untrained step leaves the state as it is.

    Parameters
    ----------
    hidden : int
        Channels of the memory.
    kernel : tuple of int
        In times and components, odd.
    layout : Layout
        How the components lie.
    bound : float
        Scale at which an update saturates, in units of the state.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.
    """

    channels, context = 1, 0

    def __init__(
        self,
        *,
        hidden: int = 14,
        kernel: Sequence[int] = (3, 1),
        layout: Layout = PLANE,
        bound: float = 1.0,
        rng: RandomState = None,
    ) -> None:
        super().__init__()
        self.hidden, self.kernel, self.bound = hidden, check_kernel(kernel), bound
        self.layout = layout
        with initial_weights(rng):
            fields = layout.width(1)
            self.gates = Convolution(fields + hidden, 4 * hidden, kernel, layout)
            self.decode = nn.Conv2d(hidden, fields, 1)
            nn.init.zeros_(self.decode.weight)
            assert self.decode.bias is not None
            nn.init.zeros_(self.decode.bias)

    def forward(
        self,
        gradient: torch.Tensor,
        context: None,
        memory: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Return the update and the memory (hidden state, cell state)."""
        seen = self.layout.to_fields(torch.asinh(gradient))
        start = seen.new_zeros(len(seen), self.hidden, *seen.shape[2:])
        hidden, cell = memory if memory is not None else (start, start)
        forget, store, show, candidate = self.gates(torch.cat([seen, hidden], 1)).chunk(4, 1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(store) * torch.tanh(candidate)
        hidden = torch.sigmoid(show) * torch.tanh(cell)
        update = self.bound * torch.atan(self.decode(hidden) / self.bound)
        return self.layout.to_state(update), (hidden, cell)


class NetworkStep(Step):
    """Step by a network that sees the state and the observations besides the gradient.

    ``update = bound * atan(network([asinh(gradient), context, state]) / bound)``: far from the
    minimum, where the gradient of a dynamical prior grows without limit, neither what the network
    sees nor what it does becomes large.

    Parameters
    ----------
    network : torch.nn.Module
        From (batch, 4, time, component), which are the gradient, the observations (zero where
        there are none), where they are, and the state, to (batch, 1, time, component); such as a
        `xdvarnet.solver.SeriesUNet`.
    bound : float
        Scale at which an update saturates, in units of the state.

    Raises
    ------
    InvalidInputError
        If the network says that it is for another number of channels.
    """

    channels, context, sees_state = 1, 2, True

    def __init__(self, network: nn.Module, *, bound: float = 2.0) -> None:
        super().__init__()
        check_channels(network, ("gradient", "observations", "where they are", "state"))
        self.network, self.bound = network, bound

    def forward(
        self, gradient: torch.Tensor, context: torch.Tensor, memory: None
    ) -> tuple[torch.Tensor, None]:
        """Return the update, from a context with the state as its last channel, and no memory."""
        features = self.network(torch.cat([torch.asinh(gradient), context], 1))
        return self.bound * torch.atan(features / self.bound), None
