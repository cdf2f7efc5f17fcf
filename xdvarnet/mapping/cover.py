"""Windows that cover a domain: where they lie, which weights they have, and their patches.

A domain of (time, latitude, longitude) cells is cut into overlapping windows of equal size. The
weights of the windows at each cell sum to one, and are a product of one weight for each axis, so
that what was solved window by window is put together again by `xdvarnet.mapping.blend`.
"""

import itertools
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr
import xbatcher

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.internal import DIMS

MOST = 100_000
"""Cells of a window along an axis, at most."""

Position = tuple[slice, slice, slice]
"""Where a patch lies in the padded domain: slices of time, latitude and longitude."""


@dataclass(frozen=True)
class Window:
    """The box of cells that a model sees at once, and how boxes follow each other.

    Parameters
    ----------
    time, latitude, longitude : int
        Size in cells.
    stride : tuple of int, optional
        Largest step in cells from one window to the next along time, latitude and longitude, at
        most the core (the size without its halo). Where cores overlap, the weights of the
        neighbours are ramps that sum to one. Default: half of the core, rounded up.
    halo : tuple of int
        Cells at both sides, along time, latitude and longitude, that are seen as context and
        have no weight, except at the edge of the domain.

    Raises
    ------
    InvalidInputError
        If a size or stride is not from 1 to 100000, a halo leaves no core, or the stride exceeds
        the core.

    Examples
    --------
    >>> Window(time=21, latitude=64, longitude=96, halo=(5, 8, 8)).stride
    (6, 24, 40)
    """

    time: int
    latitude: int
    longitude: int
    stride: tuple[int, int, int] | None = None
    halo: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        halo = tuple(self.halo)
        core = tuple(size - 2 * h for size, h in zip(self.sizes, halo, strict=False))
        stride = tuple((c + 1) // 2 for c in core) if self.stride is None else tuple(self.stride)
        for name, values, lowest in (
            ("sizes", self.sizes, 1),
            ("halo", halo, 0),
            ("core", core, 1),
            ("stride", stride, 1),
        ):
            whole = all(isinstance(value, int | np.integer) for value in values)
            if len(values) != 3 or not whole or not lowest <= min(values) <= max(values) <= MOST:
                raise InvalidInputError(
                    f"the window's {name} {values} (sizes {self.sizes}, halo {halo}) is not "
                    f"accepted; give three whole numbers from {lowest} to {MOST} for {DIMS}, "
                    "and a halo of less than half the size."
                )
        if any(s > c for s, c in zip(stride, core, strict=True)):
            raise InvalidInputError(
                f"the window's stride {stride} leaves cells without weight; it is at most the size "
                f"without the halo, here {core}."
            )
        object.__setattr__(self, "halo", tuple(map(int, halo)))
        object.__setattr__(self, "stride", tuple(map(int, stride)))

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Number of cells along time, latitude and longitude."""
        return self.time, self.latitude, self.longitude


@dataclass(frozen=True)
class AxisCover:
    """The windows along one axis.

    Attributes
    ----------
    length : int
        Cells of the domain.
    size, stride, halo : int
        Cells of a window, from a window to the next, and without weight at each side of it.
    count : int
        Number of windows.
    before : int
        Unobserved cells added before the domain.
    """

    length: int
    size: int
    stride: int
    halo: int
    count: int
    before: int

    @property
    def padded(self) -> int:
        """Number of cells with padding."""
        return (self.count - 1) * self.stride + self.size

    @property
    def padding(self) -> tuple[int, int]:
        """Unobserved cells added before and after the domain."""
        return self.before, self.padded - self.length - self.before

    @property
    def slices(self) -> list[slice]:
        """The windows in padded cells, in order."""
        return [slice(i * self.stride, i * self.stride + self.size) for i in range(self.count)]

    @cached_property
    def weights(self) -> np.ndarray:
        """Weights of each window, shape (count, size); they sum to one at each padded cell."""
        core = self.size - 2 * self.halo
        centre = np.arange(core) + 0.5
        ramp = max(core - self.stride, 1e-9)
        profile = np.zeros(self.size)
        profile[self.halo : self.halo + core] = np.minimum(
            1, np.minimum(centre, core - centre) / ramp
        )
        weights = np.tile(profile, (self.count, 1))
        top = np.flatnonzero(profile == profile.max())
        weights[0, : top[0]] = profile.max()  # nobody else sees the edge of the domain
        weights[-1, top[-1] :] = profile.max()
        cells = np.add.outer(np.arange(self.count) * self.stride, np.arange(self.size))
        total = np.bincount(cells.ravel(), weights.ravel(), minlength=self.padded)
        return weights / total[cells]

    def support(self, start: int) -> slice:
        """Cells with weight of the window that begins at padded cell `start`."""
        cells = np.flatnonzero(self.weights[start // self.stride])
        return slice(int(cells[0]), int(cells[-1]) + 1)

    def between(self, start: int, stop: int) -> list[slice]:
        """Return the windows with weight in the cells ``[start, stop)`` of the domain."""
        chosen = []
        for window in self.slices:
            support = self.support(window.start)
            first = window.start + support.start - self.before
            last = window.start + support.stop - self.before
            if first < stop and last > start:
                chosen.append(window)
        return chosen


def _cover_axis(length: int, size: int, stride: int, halo: int) -> AxisCover:
    if length <= size:
        return AxisCover(length, size, size, halo, 1, (size - length) // 2)
    steps = -(-(length - size) // stride)
    # the smallest stride that needs no more windows: padding is shorter, ramps are longer
    return AxisCover(length, size, -(-(length - size) // steps), halo, steps + 1, 0)


@dataclass(frozen=True)
class Cover:
    """The windows that cover a domain; made by `cover`.

    Attributes
    ----------
    axes : tuple of AxisCover
        Windows along time, latitude and longitude.
    """

    axes: tuple[AxisCover, AxisCover, AxisCover]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells of the domain."""
        time, latitude, longitude = self.axes
        return time.length, latitude.length, longitude.length

    @property
    def padded_shape(self) -> tuple[int, int, int]:
        """Cells of the domain with padding."""
        time, latitude, longitude = self.axes
        return time.padded, latitude.padded, longitude.padded

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """Unobserved cells before and after the domain, for each axis."""
        return tuple(axis.padding for axis in self.axes)

    @property
    def starts(self) -> tuple[list[int], ...]:
        """First padded cells of the windows, for each axis."""
        return tuple([window.start for window in axis.slices] for axis in self.axes)

    def positions(self, start: int = 0, stop: int | None = None) -> list[Position]:
        """List the windows with weight in the days ``[start, stop)``, time first.

        Parameters
        ----------
        start, stop : int
            Days of the domain (without padding); by default all.

        Raises
        ------
        InvalidInputError
            If the days are not in the domain.
        """
        time, latitude, longitude = self.axes
        days = self._check_days(start, stop)
        return list(itertools.product(time.between(*days), latitude.slices, longitude.slices))

    def days(self, start: int = 0, stop: int | None = None) -> slice:
        """Return the days of the domain that the windows of ``[start, stop)`` see.

        These are the input of a task that computes the days ``[start, stop)``.
        """
        time = self.axes[0]
        windows = time.between(*self._check_days(start, stop))
        first, last = windows[0].start - time.before, windows[-1].stop - time.before
        return slice(max(first, 0), min(last, time.length))

    def patches(
        self, dataset: xr.Dataset, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[Position, xr.Dataset]]:
        """Cut `dataset` into the patches of the windows, in the order of `positions`.

        Parameters
        ----------
        dataset : xarray.Dataset
            The whole domain, or only its days ``cover.days(start, stop)``; variables of
            (time, latitude, longitude) or (latitude, longitude). Padding is NaN in floating point
            variables, False in boolean ones; the axes' coordinates go on with their last step.
        start, stop : int
            Days for which the windows with weight are wanted; by default all.

        Yields
        ------
        position : tuple of slice
            In padded cells of the whole domain.
        patch : xarray.Dataset
            In memory, with the window's sizes.

        Raises
        ------
        InvalidInputError
            If the sizes of `dataset` are not those of the domain, or a variable to be padded is
            neither floating point nor boolean.
        """
        positions = self.positions(start, stop)
        days = self.days(start, stop)
        given = tuple(dataset.sizes.get(dim, 0) for dim in DIMS)
        part = (days.stop - days.start, *self.shape[1:])
        if given not in (self.shape, part):
            raise InvalidInputError(
                f"the dataset has sizes {given} along {DIMS}; the domain has {self.shape}, and "
                f"the windows of the asked days need {part}."
            )
        if given != part:
            dataset = dataset.isel(time=days)
        first = positions[0][0].start
        padded_days = (days.start + self.padding[0][0], days.stop + self.padding[0][0])
        padding = {
            "time": (padded_days[0] - first, positions[-1][0].stop - padded_days[1]),
            "latitude": self.padding[1],
            "longitude": self.padding[2],
        }
        axes = dict(zip(DIMS, self.axes, strict=True))
        generator = xbatcher.BatchGenerator(
            _pad(dataset, padding),
            input_dims={dim: axis.size for dim, axis in axes.items()},
            input_overlap={dim: axis.size - axis.stride for dim, axis in axes.items()},
        )
        yield from zip(positions, generator, strict=True)

    def _check_days(self, start: int, stop: int | None) -> tuple[int, int]:
        stop = self.shape[0] if stop is None else stop
        if not 0 <= start < stop <= self.shape[0]:
            raise InvalidInputError(
                f"days [{start}, {stop}) are not in the domain of {self.shape[0]} days."
            )
        return start, stop


def cover(shape: tuple[int, int, int], window: Window) -> Cover:
    """Cover a domain with windows.

    Windows begin at the first cell and follow each other at the smallest stride that needs no more
    windows than ``window.stride``; the last one may reach beyond the domain, into unobserved
    cells. A period shorter than the window is padded with unobserved days on both sides.

    Parameters
    ----------
    shape : tuple of int
        Number of days, latitudes and longitudes of the domain.
    window : Window
        Sizes, largest stride and halo.

    Raises
    ------
    InvalidInputError
        If the domain is smaller than the window in space, or empty.

    Examples
    --------
    >>> cover((30, 40, 60), Window(time=10, latitude=16, longitude=24)).starts[0]
    [0, 5, 10, 15, 20]
    """
    if len(shape) != 3 or shape[0] < 1:
        raise InvalidInputError(
            f"a domain of {tuple(shape)} cells cannot be covered; at least one day is needed along "
            f"the first of {DIMS}."
        )
    if any(length < size for length, size in zip(shape[1:], window.sizes[1:], strict=True)):
        raise InvalidInputError(
            f"the domain has {shape[1]} latitudes x {shape[2]} longitudes, fewer than the model's "
            f"window of {window.latitude} x {window.longitude} cells; give a region of at least "
            "this size, or use a model with a smaller window."
        )
    assert window.stride is not None
    time, latitude, longitude = (
        _cover_axis(int(length), *sizes)
        for length, *sizes in zip(shape, window.sizes, window.stride, window.halo, strict=True)
    )
    return Cover((time, latitude, longitude))


def _pad(dataset: xr.Dataset, padding: dict[str, tuple[int, int]]) -> xr.Dataset:
    padding = {dim: width for dim, width in padding.items() if any(width)}
    if not padding:
        return dataset
    variables: dict[Hashable, xr.Variable] = {}
    for name, variable in dataset.variables.items():
        widths = {dim: width for dim, width in padding.items() if dim in variable.dims}
        if name in padding:
            values = _extend(variable.values, *padding[str(name)])
            variables[name] = xr.Variable(name, values, variable.attrs)
        elif not widths:
            variables[name] = variable
        elif variable.dtype == bool:
            variables[name] = variable.pad(widths, constant_values=False)
        elif np.issubdtype(variable.dtype, np.floating):
            variables[name] = variable.pad(widths, constant_values=np.nan)
        else:
            raise InvalidInputError(
                f"variable {name!r} of dtype {variable.dtype} cannot be padded with unobserved "
                "cells; floating point and boolean variables are accepted."
            )
    return xr.Dataset(variables, attrs=dataset.attrs).set_coords(list(dataset.coords))


def _extend(values: np.ndarray, before: int, after: int) -> np.ndarray:
    if values.size > 1:
        first, last = values[1] - values[0], values[-1] - values[-2]
    else:
        first = last = np.timedelta64(1, "D") if values.dtype.kind == "M" else values.dtype.type(1)
    head = values[0] - np.arange(before, 0, -1) * first
    tail = values[-1] + np.arange(1, after + 1) * last
    return np.concatenate([head, values, tail]).astype(values.dtype)
