"""Steps of the solver: from the gradient of the cost to the update of the state.

A step is called as ``update, memory = step(gradient, context, memory)``. Its memory is None at the
start; it is an argument and a result, so that a step holds nothing between two samples.
"""

import math
from collections.abc import Sequence
from typing import Any, overload

import torch
from torch import nn
from torch.nn import functional

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.contracts import Network, Step, check_part, initial_weights
from xdvarnet.solver.layout import PLANE, Convolution, Layout, check_kernel
from xdvarnet.solver.networks import UNet


class GradientStep(Step):
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


class CNNStep(Step):
    """Convolutional step on the gradient and the previous update.

    ``update = bound * atan(CNN([gradient, previous update, context]) / bound)``: the bound keeps
    the unrolled iterations stable (Fablet et al. 2021, doi 10.1029/2021MS002572).

    Parameters
    ----------
    channels : int
        Channels of the state.
    hidden : int
        Channels of the hidden layer.
    kernel : tuple of int
        Of both layers, in rows and columns, odd.
    context : int
        Channels of the context.
    layout : Layout
        How the columns lie: windows of maps are planes; for series, see `Layout`.
    bound : float
        Scale at which an update saturates, in units of the state: none exceeds pi / 2 of it.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.
    """

    def __init__(
        self,
        channels: int,
        *,
        hidden: int = 32,
        kernel: Sequence[int] = (3, 3),
        context: int = 0,
        layout: Layout = PLANE,
        bound: float = 1.0,
        rng: RandomState = None,
    ) -> None:
        super().__init__()
        self.channels, self.hidden, self.context, self.bound = channels, hidden, context, bound
        self.kernel, self.layout = check_kernel(kernel), layout
        with initial_weights(rng):
            self.layers = nn.Sequential(
                Convolution(layout.width(2 * channels + context), hidden, kernel, layout),
                nn.SiLU(),
                Convolution(hidden, layout.width(channels), kernel, layout),
            )

    def forward(
        self, gradient: torch.Tensor, context: torch.Tensor | None, memory: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the update and, as memory, the update again."""
        previous = torch.zeros_like(gradient) if memory is None else memory
        fields = self.layers(self.layout.to_fields(join(gradient, previous, context)))
        features = self.layout.to_state(fields)
        update = _saturate(features, self.bound)
        return update, update


class ConvLSTMStep(Step):
    """Convolutional LSTM step (Shi et al. 2015, arXiv 1506.04214), at a reduced resolution.

    The output layer starts at zero: an untrained step leaves the state as it is. With a bound, the
    memory sees ``asinh(gradient)`` and ``update = bound * atan(decoded / bound)``, as in
    `NetworkStep`: far from the minimum, neither grows without limit.

    Parameters
    ----------
    channels : int
        Channels of the state.
    hidden : int
        Channels of the memory.
    kernel : tuple of int
        Of all layers, in rows and columns, odd.
    context : int
        Channels of the context.
    downscale : int
        Factor by which the resolution is reduced, of rows, and of the columns of a plane; the
        update is interpolated back. Sizes of the grid that are no multiples of it lose their last
        rows or columns, beyond one, from the features.
    layout : Layout
        How the columns lie: windows of maps are planes; for series, see `Layout`.
    bound : float, optional
        Scale at which an update saturates, in units of the state; by default it does not.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.
    """

    def __init__(
        self,
        channels: int,
        *,
        hidden: int = 48,
        kernel: Sequence[int] = (3, 3),
        context: int = 0,
        downscale: int = 1,
        layout: Layout = PLANE,
        bound: float | None = None,
        rng: RandomState = None,
    ) -> None:
        super().__init__()
        self.channels, self.hidden, self.context, self.bound = channels, hidden, context, bound
        self.kernel, self.layout, self.downscale = check_kernel(kernel), layout, downscale
        cell = downscale, downscale if layout == PLANE else 1
        with initial_weights(rng):
            self.encode = Convolution(
                layout.width(channels + context), hidden, kernel, layout, cell=cell
            )
            self.gates = Convolution(2 * hidden, 4 * hidden, kernel, layout)
            self.decode = Convolution(hidden, layout.width(channels), kernel, layout)
            _start_at_zero(self.decode)

    def forward(
        self,
        gradient: torch.Tensor,
        context: torch.Tensor | None,
        memory: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Return the update and the memory (hidden state, cell state)."""
        seen = gradient if self.bound is None else torch.asinh(gradient)
        fields = self.layout.to_fields(join(seen, context))
        features = functional.silu(self.encode(fields))
        hidden, cell = memory if memory is not None else (torch.zeros_like(features),) * 2
        forget, store, show, candidate = self.gates(torch.cat([features, hidden], 1)).chunk(4, 1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(store) * torch.tanh(candidate)
        hidden = torch.sigmoid(show) * torch.tanh(cell)
        update = self.decode(hidden)
        if self.downscale > 1:
            update = functional.interpolate(
                update, size=fields.shape[-2:], mode="bilinear", align_corners=False
            )
        update = self.layout.to_state(update)
        return update if self.bound is None else _saturate(update, self.bound), (hidden, cell)


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
    >>> from xdvarnet.solver.steps import UNetStep
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
        _start_at_zero(self.network.decode)

    def forward(
        self, gradient: torch.Tensor, context: torch.Tensor | None, memory: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the update and, as memory, the update again."""
        previous = torch.zeros_like(gradient) if memory is None else memory
        update = self.network(join(gradient, previous, context))
        return update, update


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
        `xdvarnet.solver.StridedUNet`.
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
        if isinstance(network, Network) and (network.channels, network.features) != (4, 1):
            raise InvalidInputError(
                f"{type(network).__name__} takes {network.channels} channels and gives "
                f"{network.features}; give a network from 4 channels (gradient, observations, "
                "where they are, state) to 1."
            )
        self.network, self.bound = network, bound

    def forward(
        self, gradient: torch.Tensor, context: torch.Tensor, memory: None
    ) -> tuple[torch.Tensor, None]:
        """Return the update, from a context with the state as its last channel, and no memory."""
        features = self.network(torch.cat([torch.asinh(gradient), context], 1))
        return _saturate(features, self.bound), None


class ObservationAge(Step):
    """Tell a step how old the last observation of each cell is, and how far the next one.

    Of each day t of a variable, the inner step sees ``exp(-(t - s) / scale)`` with s the last
    observed day, not after t, and the same of the next observed day, not before t; zero where
    there is none. The mask alone says it too, but only to a network that looks at all days
    together. The new channels come before those of the context.

    Parameters
    ----------
    step : Step
        Any step whose ``context`` counts the new channels, two for each day of
        each variable.
    days, variables : int
        The first ``days * variables`` channels of the context are the masks of the observations,
        with the days of a variable together.
    scale : float
        Days after which an observation counts 1/e.

    Attributes
    ----------
    channels, context, sees_state
        Those of the step; the context without the new channels.

    Raises
    ------
    InvalidInputError
        If the step takes no context that could hold the masks and the new channels, or the scale
        is not positive.

    Examples
    --------
    >>> from xdvarnet.solver.steps import ConvLSTMStep, ObservationAge
    >>> days, context = 7, 8
    >>> step = ObservationAge(ConvLSTMStep(days, context=context + 2 * days), days)
    >>> step.context
    8
    """

    variables: int

    def __init__(self, step: Step, days: int, *, variables: int = 1, scale: float = 5.0) -> None:
        super().__init__()
        check_part(step, Step, "step", "one such as ConvLSTMStep(...)")
        given = step.context or 0
        if given < 3 * days * variables or not scale > 0:
            raise InvalidInputError(
                f"a step with context={given}, days={days}, variables={variables} and "
                f"scale={scale}; the step takes 2 x days x variables = {2 * days * variables} more "
                "channels than the context, which begins with the masks, and the scale is positive."
            )
        self.step, self.days, self.variables, self.scale = step, days, variables, scale

    @property
    def channels(self) -> int | None:
        """Number of channels of the state."""
        return self.step.channels

    @property
    def context(self) -> int:
        """Number of channels of the context."""
        return (self.step.context or 0) - 2 * self.days * self.variables

    @property
    def sees_state(self) -> bool:
        """Whether the step sees the state."""
        return self.step.sees_state

    def forward(
        self, gradient: torch.Tensor, context: torch.Tensor, memory: tuple[torch.Tensor, Any] | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, Any]]:
        """Return the update and, as memory, the new channels and the memory of the step."""
        ages, inner = (self.ages(context), None) if memory is None else memory
        update, inner = self.step(gradient, torch.cat([ages, context], 1), inner)
        return update, (ages, inner)

    def ages(self, context: torch.Tensor) -> torch.Tensor:
        """Return the new channels: all that look back, then all that look ahead."""
        masks = context[:, : self.days * self.variables].unflatten(1, (self.variables, self.days))
        back = self._decay(masks)
        ahead = self._decay(masks.flip(2)).flip(2)
        return torch.cat([back, ahead], 1).flatten(1, 2)

    def _decay(self, masks: torch.Tensor) -> torch.Tensor:
        """Let the mask (batch, variable, day, latitude, longitude) decay from day to day."""
        decay = math.exp(-1 / self.scale)
        ages = [masks[:, :, 0]]
        for mask in masks.unbind(2)[1:]:
            ages.append(torch.maximum(mask, decay * ages[-1]))
        return torch.stack(ages, 2)


@overload
def join(first: torch.Tensor, /, *others: torch.Tensor | None) -> torch.Tensor: ...


@overload
def join(*parts: torch.Tensor | None) -> torch.Tensor | None: ...


def join(*parts: torch.Tensor | None) -> torch.Tensor | None:
    """Concatenate the channels of the parts that are not None; None where all are."""
    given = [part for part in parts if part is not None]
    return torch.cat(given, dim=1) if given else None


def _saturate(update: torch.Tensor, bound: float) -> torch.Tensor:
    """Keep an update within pi / 2 of a bound."""
    return bound * torch.atan(update / bound)


def _start_at_zero(layer: nn.Conv2d) -> None:
    """Set the weights of a layer to zero."""
    for weights in layer.parameters():
        nn.init.zeros_(weights)
