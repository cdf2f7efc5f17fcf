"""Convolutions over series: components as channels, or as points of a line or a ring."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.contracts import Network, initial_weights


def to_fields(series: torch.Tensor, components: int | None) -> torch.Tensor:
    """Take components as channels, where their number is given.

    From (batch, channels, time, component) to (batch, channels times component, time, 1).

    Raises
    ------
    InvalidInputError
        If the series has another number of components.
    """
    if components is None:
        return series
    if series.shape[-1] != components:
        raise InvalidInputError(
            f"the network is for {components} components, and the series, of shape "
            f"{tuple(series.shape)} (batch, channels, time, component), has {series.shape[-1]}."
        )
    return series.movedim(-1, 1).flatten(1, 2)[..., None]


def to_series(fields: torch.Tensor, components: int | None) -> torch.Tensor:
    """Invert `to_fields`."""
    if components is None:
        return fields
    return fields[..., 0].unflatten(1, (components, -1)).movedim(1, -1)


def check_kernel(kernel: Sequence[int]) -> tuple[int, int]:
    """Return the size of a kernel over times and components.

    Raises
    ------
    InvalidInputError
        If it is not two odd numbers.
    """
    sizes: tuple[Any, ...] = tuple(kernel) if isinstance(kernel, Sequence) else ()
    odd = all(isinstance(size, Integral) and int(size) > 0 and int(size) % 2 for size in sizes)
    if len(sizes) != 2 or not odd:
        raise InvalidInputError(
            f"kernel={kernel!r}; give two odd numbers, of times and of components, such as (5, 1)."
        )
    return sizes


class SeriesConvolution(nn.Conv2d):
    """Convolution over time and components that keeps their numbers.

    Outside of the window are zeros; with `periodic`, the last component is the neighbour of the
    first.

    Parameters
    ----------
    channels, features : int
        Channels in and out.
    kernel : tuple of int
        Times and components, odd.
    periodic : bool
        Whether components are on a ring.

    Raises
    ------
    InvalidInputError
        If the kernel is not two odd numbers; or, when called, if it goes more than once around the
        ring.
    """

    def __init__(
        self, channels: int, features: int, kernel: Sequence[int], *, periodic: bool = False
    ) -> None:
        super().__init__(channels, features, check_kernel(kernel))
        self.periodic = periodic

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        """Convolve fields (batch, channels, time, component)."""
        times, points = (size // 2 for size in self.kernel_size)
        if self.periodic and points:
            if points > fields.shape[-1]:
                raise InvalidInputError(
                    f"a kernel of {self.kernel_size[1]} components goes more than once around a "
                    f"ring of {fields.shape[-1]}; give a smaller one."
                )
            fields, points = Wrap.apply(fields, points), 0
        return functional.conv2d(fields, self.weight, self.bias, padding=(times, points))


class Wrap(torch.autograd.Function):
    """Continue a ring of components on both sides.

    As `torch.nn.functional.pad` does with ``"circular"``, whose derivative takes longer than the
    convolution.
    """

    @staticmethod
    def forward(ctx: Any, fields: torch.Tensor, points: int) -> torch.Tensor:
        """Add `points` components before the first and after the last."""
        ctx.points = points
        return torch.cat([fields[..., -points:], fields, fields[..., :points]], -1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Adjoint."""
        return Fold.apply(gradient, ctx.points), None


class Fold(torch.autograd.Function):
    """Adjoint of `Wrap`: add what is beyond the ends to where it came from."""

    @staticmethod
    def forward(ctx: Any, wrapped: torch.Tensor, points: int) -> torch.Tensor:
        """Add the outer `points` components to the inner ones."""
        ctx.points = points
        fields = wrapped[..., points:-points].clone()
        fields[..., -points:] += wrapped[..., :points]
        fields[..., :points] += wrapped[..., -points:]
        return fields

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Adjoint."""
        return Wrap.apply(gradient, ctx.points), None


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
    components : int, optional
        Number of components, where they are taken as channels.
    periodic : bool
        Whether components are on a ring.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.

    Raises
    ------
    InvalidInputError
        If a number is out of range, or a series has another number of components.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.series_layers import SeriesUNet
    >>> network = SeriesUNet(2, 1, kernel=(5, 1), components=3)
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
        components: int | None = None,
        periodic: bool = False,
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
        self.components, self.periodic = components, periodic
        with initial_weights(rng):
            fields = components or 1
            sizes = [hidden * min(level + 1, 3) for level in range(len(downscale) + 1)]
            pairs = list(zip(sizes[:-1], sizes[1:], downscale, strict=True))

            def layers(size: int) -> nn.Sequential:
                return nn.Sequential(*(_Residual(size, kernel, periodic) for _ in range(depth)))

            self.enter = nn.Conv2d(channels * fields, hidden, (patch, 1), stride=(patch, 1))
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
                hidden, features * fields, (patch, 1), stride=(patch, 1)
            )

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """From (batch, channels, time, component) to (batch, features, time, component)."""
        fields = to_fields(series, self.components).contiguous(memory_format=torch.channels_last)
        fields = self.encode[0](self.enter(_fill(fields, self.patch)))
        levels = []
        for factor, down, encode in zip(self.downscale, self.down, self.encode[1:], strict=True):
            levels.append(fields)
            fields = encode(down(_fill(fields, factor)))
        fields = self.decode[-1](fields)
        for up, decode in zip(reversed(self.up), reversed(self.decode[:-1]), strict=True):
            before = levels.pop()
            fields = decode(before + up(fields)[:, :, : before.shape[2]])
        return to_series(self.leave(fields)[:, :, : series.shape[2]], self.components)


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

    def __init__(self, size: int, kernel: Sequence[int], periodic: bool) -> None:
        super().__init__()
        self.convolution = SeriesConvolution(size, size, kernel, periodic=periodic)

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        return fields + functional.silu(self.convolution(fields))


def _fill(fields: torch.Tensor, factor: int) -> torch.Tensor:
    """Add zeros after the last time, up to a multiple of a factor."""
    lacking = -fields.shape[2] % factor
    return functional.pad(fields, (0, 0, 0, lacking)) if lacking else fields
