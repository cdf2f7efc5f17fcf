"""How the columns of a state lie, and convolutions over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from xdvarnet.errors import InvalidInputError


@dataclass(frozen=True)
class Layout:
    """How the columns of a state (batch, channels, rows, columns) lie.

    ``Layout()`` is a plane, such as a window of maps: outside of it are zeros.
    ``Layout(periodic=True)`` is a ring, such as a circle of latitude, or the components of
    Lorenz-96 over time. In ``Layout(components=3)`` columns have no order, such as the components
    of Lorenz-63 over time: they are taken as channels, and all of a row are seen together.

    Parameters
    ----------
    components : int, optional
        Number of columns, where they are taken as channels.
    periodic : bool
        Whether the last column is the neighbour of the first.

    Raises
    ------
    InvalidInputError
        If components are to be on a ring, or their number is below 1.
    """

    components: int | None = None
    periodic: bool = False

    def __post_init__(self) -> None:
        if self.components is not None and (self.periodic or self.components < 1):
            raise InvalidInputError(
                f"{self}: columns are on a ring, or they are channels, of which there is one at "
                "least; give Layout(periodic=True) or Layout(components=3)."
            )

    def width(self, channels: int) -> int:
        """Return the channels of the fields of a state with so many."""
        return channels * (self.components or 1)

    def to_fields(self, state: torch.Tensor) -> torch.Tensor:
        """Take components as channels, where they are.

        From (batch, channels, rows, columns) to (batch, columns times channels, rows, 1).

        Raises
        ------
        InvalidInputError
            If the state has another number of components.
        """
        if self.components is None:
            return state
        if state.shape[-1] != self.components:
            raise InvalidInputError(
                f"the network is for {self.components} components, and the state, of shape "
                f"{tuple(state.shape)} (batch, channels, time, component), has {state.shape[-1]}."
            )
        return state.movedim(-1, 1).flatten(1, 2)[..., None]

    def to_state(self, fields: torch.Tensor) -> torch.Tensor:
        """Invert `to_fields`."""
        if self.components is None:
            return fields
        return fields[..., 0].unflatten(1, (self.components, -1)).movedim(1, -1)


PLANE = Layout()


def check_kernel(kernel: Sequence[int]) -> tuple[int, int]:
    """Return the size of a kernel over rows and columns.

    Raises
    ------
    InvalidInputError
        If it is not two odd numbers.
    """
    sizes: tuple[Any, ...] = tuple(kernel) if isinstance(kernel, Sequence) else ()
    odd = all(isinstance(size, Integral) and int(size) > 0 and int(size) % 2 for size in sizes)
    if len(sizes) != 2 or not odd:
        raise InvalidInputError(
            f"kernel={kernel!r}; give two odd numbers, of rows and of columns, such as (5, 1)."
        )
    return sizes


def check_cell(cell: Sequence[int], layout: Layout) -> tuple[int, int]:
    """Return the rows and columns of a coarse cell.

    Raises
    ------
    InvalidInputError
        If it is not two whole numbers from 1 on, or takes columns together that lie in no plane.
    """
    sizes: tuple[Any, ...] = tuple(cell) if isinstance(cell, Sequence) else ()
    whole = all(isinstance(size, Integral) and int(size) > 0 for size in sizes)
    if len(sizes) != 2 or not whole:
        raise InvalidInputError(
            f"a coarse cell is {cell!r}; give its numbers of rows and of columns, such as (2, 1)."
        )
    if layout != PLANE and sizes[1] != 1:
        raise InvalidInputError(
            f"a coarse cell is {sizes}, and columns are taken together only in a plane; with "
            f"{layout}, give ({sizes[0]}, 1)."
        )
    return sizes


class Convolution(nn.Conv2d):
    """Convolution over rows and columns that keeps their numbers, or reduces them.

    Outside of the window are zeros; on a ring, the last column is the neighbour of the first.

    Parameters
    ----------
    channels, features : int
        Channels in and out.
    kernel : tuple of int
        Rows and columns, odd.
    layout : Layout
        How the columns lie.
    cell : tuple of int
        Rows and columns that become one. The kernel is that around a cell.

    Raises
    ------
    InvalidInputError
        If the kernel is not two odd numbers, or the cell takes columns together that lie in no
        plane; or, when called, if the kernel goes more than once around the ring.
    """

    def __init__(
        self,
        channels: int,
        features: int,
        kernel: Sequence[int],
        layout: Layout,
        *,
        cell: Sequence[int] = (1, 1),
    ) -> None:
        (rows, columns), (height, width) = check_kernel(kernel), check_cell(cell, layout)
        size = rows + height - 1, columns + width - 1
        super().__init__(channels, features, size, stride=(height, width))
        self.layout, self.reach = layout, (rows // 2, columns // 2)

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        """Convolve fields (batch, channels, rows, columns)."""
        rows, columns = self.reach
        if self.layout.periodic and columns:
            if columns > fields.shape[-1]:
                raise InvalidInputError(
                    f"a kernel of {self.kernel_size[1]} columns goes more than once around a "
                    f"ring of {fields.shape[-1]}; give a smaller one."
                )
            fields, columns = Wrap.apply(fields, columns), 0
        return functional.conv2d(fields, self.weight, self.bias, self.stride, (rows, columns))


class Wrap(torch.autograd.Function):
    """Continue a ring of columns on both sides.

    As `torch.nn.functional.pad` does with ``"circular"``, whose derivative takes longer than the
    convolution.
    """

    @staticmethod
    def forward(ctx: Any, fields: torch.Tensor, points: int) -> torch.Tensor:
        """Add `points` columns before the first and after the last."""
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
        """Add the outer `points` columns to the inner ones."""
        ctx.points = points
        fields = wrapped[..., points:-points].clone()
        fields[..., -points:] += wrapped[..., :points]
        fields[..., :points] += wrapped[..., -points:]
        return fields

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Adjoint."""
        return Wrap.apply(gradient, ctx.points), None
