"""Networks from fields to fields: two U-Nets, and attention between days."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.contracts import Network, initial_weights
from xdvarnet.solver.layout import PLANE, Convolution, Layout, check_cell, check_kernel


class TimeAttention(nn.Module):
    """Self-attention between the days of a cell, added to its features.

    Convolutions mix days with weights that are the same whatever was seen. Attention (Vaswani et
    al. 2017, arXiv 1706.03762) lets a day without observations take from the days that have some.
    The features of a cell are projected to a token for each day; each head gives ::

        softmax(Q K^T / sqrt(d)) V

    over the tokens of the cell, with d the length of its queries. The projection to a token is that
    of its day, so that days know their order.

    Parameters
    ----------
    features : int
        Channels in and out.
    days : int
        Number of tokens.
    size : int
        Length of a token.
    heads : int
        Number of heads, a divisor of `size`.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.

    Raises
    ------
    InvalidInputError
        If it is none.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.networks import TimeAttention
    >>> TimeAttention(32, days=7)(torch.zeros(2, 32, 4, 5)).shape
    torch.Size([2, 32, 4, 5])
    """

    def __init__(
        self,
        features: int,
        *,
        days: int,
        size: int = 16,
        heads: int = 4,
        rng: RandomState = None,
    ) -> None:
        super().__init__()
        if size % heads:
            raise InvalidInputError(f"size={size} is no multiple of heads={heads}.")
        self.features, self.days, self.size, self.heads = features, days, size, heads
        with initial_weights(rng):
            self.enter = nn.Conv2d(features, days * size, 1)
            self.project = nn.Linear(size, 3 * size)
            self.leave = nn.Conv2d(days * size, features, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features (batch, features, latitude, longitude) that know those of other days."""
        tokens = self.enter(features).unflatten(1, (self.days, self.size))
        tokens = tokens.movedim((1, 2), (-2, -1))  # batch, latitude, longitude, day, size
        heads = self.project(tokens).unflatten(-1, (3, self.heads, -1))
        query, key, value = heads.movedim(-2, -4).unbind(-2)  # ..., head, day, size of a head
        weights = torch.softmax(query @ key.mT / query.shape[-1] ** 0.5, -1)
        mixed = (weights @ value).movedim((-2, -3, -1), (1, 2, 3)).flatten(1, 3)
        return features + self.leave(mixed)


class UNet(Network):
    """U-Net over maps (Ronneberger et al. 2015, doi 10.1007/978-3-319-24574-4_28).

    There is no normalisation: a sample's result does not depend on its neighbours in the batch.

    Parameters
    ----------
    channels, features : int
        Channels in and out.
    hidden : int
        Channels at the finest scale; they double with each coarser one.
    depth : int
        Number of times that the resolution is halved.
    downscale : int
        Side of the square patches of cells that the finest scale takes as one: a learned projection
        of each patch at the start, and of each of its features to a patch at the end.
    attention : bool
        Whether the coarsest features go through a `TimeAttention`, with a token for each channel
        of the result, which are days.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.

    Raises
    ------
    InvalidInputError
        If a number is out of range.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.networks import UNet
    >>> UNet(7, 3, hidden=8, downscale=2)(torch.zeros(2, 7, 25, 32)).shape
    torch.Size([2, 3, 25, 32])
    """

    def __init__(
        self,
        channels: int,
        features: int,
        *,
        hidden: int = 32,
        depth: int = 2,
        downscale: int = 1,
        attention: bool = False,
        rng: RandomState = None,
    ) -> None:
        super().__init__()
        if min(hidden, downscale) < 1 or depth < 0:
            raise InvalidInputError(
                f"hidden={hidden}, downscale={downscale} and depth={depth}; give numbers of at "
                "least 1, 1 and 0."
            )
        self.channels, self.features, self.hidden = channels, features, hidden
        self.depth, self.downscale, self.attention = depth, downscale, attention
        with initial_weights(rng):
            widths = [hidden * 2**level for level in range(depth + 1)]
            patches = downscale > 1
            self.enter = (
                nn.Conv2d(channels, hidden, downscale, stride=downscale) if patches else None
            )
            self.down = nn.ModuleList(
                _block(before, after)
                for before, after in zip(
                    [hidden if patches else channels, *widths[:-1]], widths, strict=True
                )
            )
            self.attend = TimeAttention(widths[-1], days=features) if attention else None
            self.up = nn.ModuleList(
                _block(fine + coarse, fine)
                for fine, coarse in zip(widths[-2::-1], widths[:0:-1], strict=True)
            )
            self.decode = nn.Conv2d(hidden, features * downscale**2, 1)

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        """From (batch, channels, latitude, longitude) to (batch, features, same, same)."""
        features = fields.contiguous(memory_format=torch.channels_last)
        if self.enter is not None:
            features = self.enter(_fill(features, (self.downscale, self.downscale)))
        skipped = []
        for level, block in enumerate(self.down):
            if level:
                skipped.append(features)
                features = functional.avg_pool2d(features, 2, ceil_mode=True)
            features = block(features)
        if self.attend is not None:
            features = self.attend(features)
        for block in self.up:
            fine = skipped.pop()
            features = functional.interpolate(
                features, size=fine.shape[-2:], mode="bilinear", align_corners=False
            )
            features = block(torch.cat([fine, features], dim=1))
        patches = functional.pixel_shuffle(self.decode(features), self.downscale)
        return _cut(patches, fields)


class StridedUNet(Network):
    """Residual U-Net with learned strides, over maps or over the times of series.

    A `UNet` averages on the way down, interpolates on the way back, and concatenates what was there
    before. This one has strided convolutions and transposed ones, and adds, as LinkNet does
    (Chaurasia and Culurciello 2017, arXiv 1707.03718); its layers are residual.

    Parameters
    ----------
    channels, features : int
        Channels in and out.
    hidden : int
        Channels of the first level; twice and three times as many below.
    depth : int
        Residual layers of a level, on the way down and on the way back.
    patch : tuple of int
        Rows and columns that are taken together at the start.
    downscale : sequence of tuple of int
        Rows and columns, in patches, of a coarse cell at each level; none for one level.
    kernel : tuple of int
        Of the convolutions, in rows and columns, odd.
    layout : Layout
        How the columns lie. Only in a plane are they taken together.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.

    Raises
    ------
    InvalidInputError
        If a number is out of range, or a state has another number of components.

    Examples
    --------
    Of series, rows are times:

    >>> import torch
    >>> from xdvarnet.solver import Layout, StridedUNet
    >>> network = StridedUNet(2, 1, layout=Layout(components=3))
    >>> network(torch.zeros(4, 2, 50, 3)).shape
    torch.Size([4, 1, 50, 3])

    Of maps:

    >>> network = StridedUNet(7, 5, patch=(2, 2), downscale=[(2, 2)], kernel=(3, 3))
    >>> network(torch.zeros(4, 7, 25, 32)).shape
    torch.Size([4, 5, 25, 32])
    """

    def __init__(
        self,
        channels: int,
        features: int,
        *,
        hidden: int = 16,
        depth: int = 1,
        patch: Sequence[int] = (1, 1),
        downscale: Sequence[Sequence[int]] = ((2, 1), (2, 1), (2, 1)),
        kernel: Sequence[int] = (5, 1),
        layout: Layout = PLANE,
        rng: RandomState = None,
    ) -> None:
        super().__init__()
        if min(hidden, depth) < 1:
            raise InvalidInputError(
                f"hidden={hidden} and depth={depth}; give numbers of at least 1."
            )
        self.channels, self.features, self.hidden = channels, features, hidden
        self.depth, self.layout, self.kernel = depth, layout, check_kernel(kernel)
        self.patch = check_cell(patch, layout)
        self.downscale = tuple(check_cell(cell, layout) for cell in downscale)
        with initial_weights(rng):
            sizes = [hidden * min(level + 1, 3) for level in range(len(downscale) + 1)]
            levels = list(zip(sizes[:-1], sizes[1:], self.downscale, strict=True))

            def layers(size: int) -> nn.Sequential:
                return nn.Sequential(*(_Residual(size, kernel, layout) for _ in range(depth)))

            self.enter = nn.Conv2d(layout.width(channels), hidden, self.patch, stride=self.patch)
            self.encode = nn.ModuleList(layers(size) for size in sizes)
            self.down = nn.ModuleList(
                nn.Conv2d(fine, coarse, cell, stride=cell) for fine, coarse, cell in levels
            )
            self.up = nn.ModuleList(
                nn.ConvTranspose2d(coarse, fine, cell, stride=cell) for fine, coarse, cell in levels
            )
            self.decode = nn.ModuleList(layers(size) for size in sizes)
            self.leave = nn.ConvTranspose2d(
                hidden, layout.width(features), self.patch, stride=self.patch
            )

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """From (batch, channels, rows, columns) to (batch, features, rows, columns)."""
        given = self.layout.to_fields(state).contiguous(memory_format=torch.channels_last)
        fields = self.encode[0](self.enter(_fill(given, self.patch)))
        levels = []
        for cell, down, encode in zip(self.downscale, self.down, self.encode[1:], strict=True):
            levels.append(fields)
            fields = encode(down(_fill(fields, cell)))
        fields = self.decode[-1](fields)
        for up, decode in zip(reversed(self.up), reversed(self.decode[:-1]), strict=True):
            before = levels.pop()
            fields = decode(before + _cut(up(fields), before))
        return self.layout.to_state(_cut(self.leave(fields), given))


class _Residual(nn.Module):
    """Add a convolution of the fields to them."""

    def __init__(self, size: int, kernel: Sequence[int], layout: Layout) -> None:
        super().__init__()
        self.convolution = Convolution(size, size, kernel, layout)

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        return fields + functional.silu(self.convolution(fields))


def _fill(fields: torch.Tensor, cell: Sequence[int]) -> torch.Tensor:
    """Add zeros after the last row and column, up to whole cells."""
    rows, columns = (-size % side for size, side in zip(fields.shape[2:], cell, strict=True))
    return functional.pad(fields, (0, columns, 0, rows)) if rows or columns else fields


def _cut(fields: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Leave out the rows and columns that other fields do not have."""
    return fields[..., : like.shape[2], : like.shape[3]]


def _block(before: int, after: int) -> nn.Sequential:
    """Two layers that keep the size of what goes through (He et al. 2015, arXiv 1502.01852)."""
    layers = [nn.Conv2d(channels, after, 3, padding=1) for channels in (before, after)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.SiLU(), layers[1], nn.SiLU())
