"""A network over time, for series: a U-Net whose levels are coarser in time."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.contracts import Network, initial_weights
from xdvarnet.solver.layout import PLANE, Convolution, Layout, check_kernel


class SeriesUNet(Network):
    """U-Net over time (Ronneberger et al. 2015, doi 10.1007/978-3-319-24574-4_28).

    Patches of times are taken together, each level below averages over some of them with learned
    weights, and the way back adds what was there before. Components are convolved over, and never
    averaged. Layers are residual.

    Parameters
    ----------
    channels, features : int
        Channels in and out.
    hidden : int
        Channels of the first level; twice and three times as many below.
    depth : int
        Residual layers of a level, on the way down and on the way back.
    patch : int
        Times that are taken together at the start.
    downscale : sequence of int
        Patches of a coarse cell at each level; none for one level.
    kernel : tuple of int
        Of the convolutions, in times and components, odd.
    layout : Layout
        How the components lie.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.

    Raises
    ------
    InvalidInputError
        If a number is out of range, or a series has another number of components.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver import Layout, SeriesUNet
    >>> network = SeriesUNet(2, 1, kernel=(5, 1), layout=Layout(components=3))
    >>> network(torch.zeros(4, 2, 50, 3)).shape
    torch.Size([4, 1, 50, 3])
    """

    def __init__(
        self,
        channels: int,
        features: int,
        *,
        hidden: int = 16,
        depth: int = 1,
        patch: int = 1,
        downscale: Sequence[int] = (2, 2, 2),
        kernel: Sequence[int] = (5, 1),
        layout: Layout = PLANE,
        rng: RandomState = None,
    ) -> None:
        super().__init__()
        if min(hidden, depth, patch, *downscale) < 1:
            raise InvalidInputError(
                f"hidden={hidden}, depth={depth}, patch={patch} and downscale={tuple(downscale)}; "
                "give numbers of at least 1."
            )
        self.channels, self.features, self.hidden = channels, features, hidden
        self.depth, self.patch = depth, patch
        self.downscale, self.kernel = tuple(downscale), check_kernel(kernel)
        self.layout = layout
        with initial_weights(rng):
            sizes = [hidden * min(level + 1, 3) for level in range(len(downscale) + 1)]
            pairs = list(zip(sizes[:-1], sizes[1:], downscale, strict=True))

            def layers(size: int) -> nn.Sequential:
                return nn.Sequential(*(_Residual(size, kernel, layout) for _ in range(depth)))

            self.enter = nn.Conv2d(layout.width(channels), hidden, (patch, 1), stride=(patch, 1))
            self.encode = nn.ModuleList(layers(size) for size in sizes)
            self.down = nn.ModuleList(
                nn.Conv2d(fine, coarse, (factor, 1), stride=(factor, 1))
                for fine, coarse, factor in pairs
            )
            self.up = nn.ModuleList(
                nn.ConvTranspose2d(coarse, fine, (factor, 1), stride=(factor, 1))
                for fine, coarse, factor in pairs
            )
            self.decode = nn.ModuleList(layers(size) for size in sizes)
            self.leave = nn.ConvTranspose2d(
                hidden, layout.width(features), (patch, 1), stride=(patch, 1)
            )

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """From (batch, channels, time, component) to (batch, features, time, component)."""
        fields = self.layout.to_fields(series).contiguous(memory_format=torch.channels_last)
        fields = self.encode[0](self.enter(_fill(fields, self.patch)))
        levels = []
        for factor, down, encode in zip(self.downscale, self.down, self.encode[1:], strict=True):
            levels.append(fields)
            fields = encode(down(_fill(fields, factor)))
        fields = self.decode[-1](fields)
        for up, decode in zip(reversed(self.up), reversed(self.decode[:-1]), strict=True):
            before = levels.pop()
            fields = decode(before + up(fields)[:, :, : before.shape[2]])
        return self.layout.to_state(self.leave(fields)[:, :, : series.shape[2]])


def check_channels(network: nn.Module, channels: Sequence[str]) -> None:
    """Refuse a network for other channels than these, or that gives more than one.

    Parameters
    ----------
    network : torch.nn.Module
        What a `Network` says of itself counts; any other module is taken as it is.
    channels : sequence of str
        What the channels are that it will be given.

    Raises
    ------
    InvalidInputError
        If they differ.
    """
    if not isinstance(network, Network):
        return
    given = network.channels, network.features
    if given != (len(channels), 1):
        raise InvalidInputError(
            f"{type(network).__name__} takes {given[0]} channels and gives {given[1]}; give a "
            f"network from {len(channels)} channels ({', '.join(channels)}) to 1."
        )


class _Residual(nn.Module):
    """Add a convolution of the fields to them."""

    def __init__(self, size: int, kernel: Sequence[int], layout: Layout) -> None:
        super().__init__()
        self.convolution = Convolution(size, size, kernel, layout)

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        return fields + functional.silu(self.convolution(fields))


def _fill(fields: torch.Tensor, factor: int) -> torch.Tensor:
    """Add zeros after the last time, up to a multiple of a factor."""
    lacking = -fields.shape[2] % factor
    return functional.pad(fields, (0, 0, 0, lacking)) if lacking else fields
