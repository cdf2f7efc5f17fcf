"""Networks on several scales: a U-Net, attention between days, and a step of both."""

import torch
from torch import nn
from torch.nn import functional

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.contracts import Network, Step, initial_weights
from xdvarnet.solver.steps import join


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
    >>> from xdvarnet.solver.multiscale import TimeAttention
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
    >>> from xdvarnet.solver.multiscale import UNet
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
        rows, columns = fields.shape[-2:]
        features = fields.contiguous(memory_format=torch.channels_last)
        if self.enter is not None:
            lacking = 0, -columns % self.downscale, 0, -rows % self.downscale
            features = self.enter(functional.pad(features, lacking))
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
        return patches[..., :rows, :columns]


class UNetStep(Step):
    """Step by a U-Net, most of whose work is at reduced resolutions.

    ``update = UNet([gradient, previous update, context, state])``. The previous update is its
    memory. The output layer starts at zero: an untrained step leaves the state as it is.

    Parameters
    ----------
    channels : int
        Channels of the state.
    hidden, depth, downscale : int
        Of the `UNet`.
    context : int
        Channels of the context, without the state.
    sees_state : bool
        Whether the solver gives it the state, as the last channels of the context.
    attention : bool
        Whether days attend to each other at the coarsest scale.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.multiscale import UNetStep
    >>> step = UNetStep(5, context=6, sees_state=False)
    >>> update, memory = step(torch.ones(2, 5, 24, 31), torch.ones(2, 6, 24, 31), None)
    >>> update.shape, bool((update == 0).all())
    (torch.Size([2, 5, 24, 31]), True)
    """

    def __init__(
        self,
        channels: int,
        *,
        hidden: int = 32,
        depth: int = 2,
        context: int = 0,
        downscale: int = 2,
        sees_state: bool = True,
        attention: bool = False,
        rng: RandomState = None,
    ) -> None:
        super().__init__()
        self.channels, self.hidden, self.depth, self.context = channels, hidden, depth, context
        self.downscale, self.sees_state, self.attention = downscale, sees_state, attention
        self.network = UNet(
            (2 + sees_state) * channels + context,
            channels,
            hidden=hidden,
            depth=depth,
            downscale=downscale,
            attention=attention,
            rng=rng,
        )
        nn.init.zeros_(self.network.decode.weight)
        assert self.network.decode.bias is not None
        nn.init.zeros_(self.network.decode.bias)

    def forward(
        self, gradient: torch.Tensor, context: torch.Tensor | None, memory: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the update and, as memory, the update again."""
        previous = torch.zeros_like(gradient) if memory is None else memory
        update = self.network(join(gradient, previous, context))
        return update, update


def _block(before: int, after: int) -> nn.Sequential:
    """Two layers that keep the size of what goes through (He et al. 2015, arXiv 1502.01852)."""
    layers = [nn.Conv2d(channels, after, 3, padding=1) for channels in (before, after)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.SiLU(), layers[1], nn.SiLU())
