"""Find the axes of a gridded Dataset, and bring them to one order and back.

Axes are found by CF attributes, then by name (`cf_xarray`). Inside the package a grid is
``(time, latitude, longitude)`` with latitude and longitude increasing and a basin across the
0/360 meridian in one piece; what the user sees keeps the order of the input.
"""

import re
import warnings
from dataclasses import dataclass, replace
from typing import Literal, overload

import cf_xarray  # noqa: F401  registers .cf
import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.blocks import blocks
from xdvarnet.grids.names import COORDINATES
from xdvarnet.grids.values import check_decoded

EPOCH = np.datetime64("1950-01-01", "D")
"""Origin of the day numbers used inside (the origin of altimetry products)."""

_SAME_POSITION = 1e-6
"""Difference in degrees that is only rounding."""

_SAME_MERIDIAN = 1e-4
"""Difference in degrees, after a turn of 360, that is only rounding: of float32, 3e-5."""

_LARGEST_LATITUDE = 90.5
"""Degrees; grids of cell borders or of rounded values go a little beyond the pole."""


@dataclass(frozen=True)
class Axes:
    """Names of the coordinates of a Dataset; `time` is None where there is none."""

    time: str | None
    latitude: str
    longitude: str

    @property
    def dims(self) -> tuple[str, ...]:
        """The names that exist, in the order time, latitude, longitude."""
        names = (self.time, self.latitude, self.longitude)
        return tuple(name for name in names if name is not None)


def find_axes(dataset: xr.Dataset | xr.DataArray, *, time: bool = True) -> Axes:
    """Find the time, latitude and longitude coordinates of `dataset`.

    Parameters
    ----------
    dataset : xarray.Dataset or xarray.DataArray
        Any order of dimensions; coordinates are recognised by their CF attributes
        (``standard_name``, ``units``, ``axis``), then by name.
    time : bool
        Whether a time coordinate is required.

    Raises
    ------
    InvalidTypeError
        If `dataset` is no xarray object.
    InvalidInputError
        If a required coordinate is not found, or more than one could be meant.
    """
    if not isinstance(dataset, xr.Dataset | xr.DataArray):
        raise InvalidTypeError(
            f"expected an xarray Dataset or DataArray, got {type(dataset).__name__}."
        )
    return Axes(
        time=_find(dataset, "time", required=time),
        latitude=_find(dataset, "latitude", required=True),
        longitude=_find(dataset, "longitude", required=True),
    )


@overload
def _find(dataset: xr.Dataset | xr.DataArray, kind: str, *, required: Literal[True]) -> str: ...


@overload
def _find(dataset: xr.Dataset | xr.DataArray, kind: str, *, required: bool) -> str | None: ...


def _find(dataset: xr.Dataset | xr.DataArray, kind: str, *, required: bool) -> str | None:
    names, units = COORDINATES[kind].grid, COORDINATES[kind].units
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = sorted(set(dataset.cf.coordinates.get(kind, [])) & set(map(str, dataset.coords)))
    on_axis = [name for name in found if name in dataset.dims]
    usual = [name for name in found if name.lower() in names]
    if len(found) > 1 and len(on_axis) == 1:
        found = on_axis
    elif len(found) > 1 and not on_axis and len(usual) == 1:
        found = usual  # the others are those of the nadir, or of other points of a cell
    if not found:
        lower = {str(name).lower(): str(name) for name in dataset.coords}
        found = [lower[name] for name in names if name in lower][:1]
    if len(found) == 1:
        return found[0]
    if not found and not required:
        return None
    problem = f"{len(found)} {kind} coordinates {found}" if found else f"no {kind} coordinate"
    example = f"standard_name {kind!r}" if units is None else f"units {units!r}"
    raise InvalidInputError(
        f"{problem} found among the coordinates {sorted(map(str, dataset.coords))}; name it "
        f"{' or '.join(map(repr, names))}, or give it the CF attribute {example}."
    )


def days_since_epoch(time: xr.DataArray) -> np.ndarray:
    """Convert times to days since 1950-01-01 as float64.

    Interpolating a ``datetime64[us]`` axis at ``datetime64[ns]`` times gives silently wrong
    results; day numbers for all exclude it. cftime dates of any calendar are counted in their
    own calendar.

    Parameters
    ----------
    time : xarray.DataArray
        Dates, of any shape.

    Raises
    ------
    InvalidInputError
        If the values are no dates.
    """
    values = time.values
    if np.issubdtype(values.dtype, np.datetime64):
        if np.isnat(values).any():
            raise InvalidInputError(f"coordinate {time.name!r} has missing times (NaT); drop them.")
        days = np.empty(values.shape)
        for part in blocks(values.size):
            some = values.reshape(-1)[part]
            whole = some.astype("datetime64[D]")  # with the rest apart, no year is out of range
            rest = (some - whole) / np.timedelta64(1, "D")
            days.reshape(-1)[part] = (whole - EPOCH).astype(float) + rest
        return days
    if holds_dates(time):
        import cftime

        calendar = values.flat[0].calendar
        return np.asarray(
            cftime.date2num(values, "days since 1950-01-01", calendar=calendar), dtype=float
        )
    raise InvalidInputError(no_dates(time))


def no_dates(time: xr.DataArray) -> str:
    """Say that times are no dates, and how they become dates."""
    holds = f"coordinate {time.name!r} holds {time.dtype} values and no dates"
    origin = re.fullmatch(r"\s*(\w+)\s+since\s+(\D.*)", str(time.attrs.get("units", "")))
    if origin is None:
        return (
            f"{holds}; accepted are datetime64 and cftime dates. Open the file with "
            "decode_times=True, or apply xarray.decode_cf."
        )
    return (
        f"{holds}: they count {origin[1]} since {origin[2]!r}, which is no date. Say when that was "
        f"and decode: dataset[{time.name!r}].attrs['units'] = '{origin[1]} since 2000-01-01'; "
        "dataset = xarray.decode_cf(dataset)."
    )


def holds_dates(array: xr.DataArray) -> bool:
    """Whether the values are dates, of numpy or of cftime; an empty array of objects has none."""
    if array.dtype != object or not array.size:
        return array.dtype.kind == "M"
    # Only dates of cftime have a calendar; their class is not asked for, as importing it takes time
    # and the values are there only if cftime is.
    return hasattr(array.values.flat[0], "calendar")


def continuous_longitude(longitude: np.ndarray) -> np.ndarray:
    """Write the longitudes of one basin without a jump at 0/360 or -180/180.

    The cut is put in the widest gap; a grid around the whole globe keeps the start of its input.

    Parameters
    ----------
    longitude : numpy.ndarray
        Degrees east, in any convention and order, shape (nx,).

    Returns
    -------
    numpy.ndarray
        The same positions, in the same order, within 360 degrees of each other.
    """
    longitude = np.asarray(longitude, dtype=float)
    if longitude.size < 2:
        return longitude
    wrapped = np.sort(longitude % 360)
    gaps = np.diff(wrapped, append=wrapped[0] + 360)
    widest = int(np.argmax(gaps))
    around_the_globe = gaps[widest] < 1.5 * np.median(gaps)
    start = longitude[0] if around_the_globe else wrapped[(widest + 1) % wrapped.size]
    # a step back of rounding size must not throw the first point once around
    unwrapped = start + (longitude - start + _SAME_POSITION) % 360 - _SAME_POSITION
    return unwrapped + 360 * round((longitude.min() - unwrapped.min()) / 360)


def is_ring(longitude: np.ndarray) -> bool:
    """Return whether increasing longitudes, in degrees, go around the globe without a gap."""
    steps = np.diff(longitude)
    return bool(360 - np.ptp(longitude) < 1.5 * np.median(steps))


def nearest_positions(axis: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the positions on an increasing axis that are nearest to points; of two, the lower."""
    right = np.clip(np.searchsorted(axis, points), 1, max(axis.size - 1, 1))
    left = right - 1
    right = np.minimum(right, axis.size - 1)
    return np.where(points - axis[left] <= axis[right] - points, left, right)


def around_the_globe(known: xr.DataArray) -> xr.DataArray:
    """Repeat a map of all longitudes on both sides, so that it reaches over any basin.

    Parameters
    ----------
    known : xarray.DataArray
        With an increasing coordinate ``longitude``; a map that is no ring stays as it is.
    """
    longitude = known["longitude"].values
    if not is_ring(longitude):
        return known
    turns = [known.assign_coords(longitude=longitude + turn) for turn in (-360, 0, 360)]
    return xr.concat(turns, "longitude")


def unit_vectors(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Return the points of the unit sphere at these degrees, shape (..., 3)."""
    phi, lam = np.deg2rad(latitude), np.deg2rad(longitude)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


@dataclass(frozen=True)
class Grid:
    """The horizontal grid and the days of a Dataset, and how to reach the internal order.

    Attributes
    ----------
    axes : Axes
        Names in the Dataset.
    days : numpy.ndarray or None
        Days since 1950-01-01, shape (nt,).
    latitude, longitude : numpy.ndarray
        Degrees, increasing and without a jump, shapes (ny,) and (nx,).
    latitude_order, longitude_order : numpy.ndarray
        Integer positions in the Dataset of these increasing values.
    """

    axes: Axes
    days: np.ndarray | None
    latitude: np.ndarray
    longitude: np.ndarray
    latitude_order: np.ndarray
    longitude_order: np.ndarray

    @property
    def spacing(self) -> tuple[float, float]:
        """Median spacing in degrees, (latitude, longitude)."""
        return float(np.median(np.diff(self.latitude))), float(np.median(np.diff(self.longitude)))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of latitudes and longitudes."""
        return self.latitude.size, self.longitude.size

    @property
    def is_ring(self) -> bool:
        """Whether the longitudes go around the globe."""
        return is_ring(self.longitude)

    def from_greenwich(self) -> "Grid":
        """Return a globe with its columns from 0 to 360 degrees east; other grids as they are."""
        if not self.is_ring:
            return self
        wrapped = (self.longitude + _SAME_POSITION) % 360 - _SAME_POSITION  # a zero less rounding
        start = -int(np.argmin(wrapped))
        return replace(
            self,
            longitude=np.roll(wrapped, start),
            longitude_order=np.roll(self.longitude_order, start),
        )

    def arrange(self, array: xr.DataArray) -> xr.DataArray:
        """Bring `array` to the internal order: (time,) latitude, longitude, both increasing."""
        dims = [name for name in self.axes.dims if name in array.dims]
        order = {
            self.axes.latitude: self.latitude_order,
            self.axes.longitude: self.longitude_order,
        }
        return array.transpose(*dims).isel({d: i for d, i in order.items() if d in array.dims})

    def restore(self, array: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
        """Bring `array` back to the order of dimensions and the coordinates of `like`."""
        order = {
            self.axes.latitude: np.argsort(self.latitude_order),
            self.axes.longitude: np.argsort(self.longitude_order),
        }
        return array.isel(order).transpose(..., *like.dims).assign_coords(like.coords)


def find_grid(dataset: xr.Dataset | xr.DataArray, *, time: bool = True, least: int = 2) -> Grid:
    """Describe the grid of `dataset`.

    Parameters
    ----------
    dataset : xarray.Dataset or xarray.DataArray
        With one-dimensional longitude and latitude that are dimensions.
    time : bool
        Whether a time coordinate is required; it is read where it is a dimension.
    least : int
        Fewest rows and columns that make a grid.

    Raises
    ------
    InvalidInputError
        If a coordinate is missing, short, curvilinear, not finite or has repeated values, or
        latitudes go beyond the poles.
    """
    axes = find_axes(dataset, time=time)
    shared = set(dataset[axes.latitude].dims) & set(dataset[axes.longitude].dims)
    if shared and dataset[axes.latitude].ndim == 1:
        raise InvalidInputError(
            f"coordinates {axes.latitude!r} and {axes.longitude!r} are both along "
            f"{shared.pop()!r}: points along a track, where a grid is meant. Are two arguments "
            "swapped? "
            "Points are averaged on a grid with tracks.dvarnet.bin_tracks(grid)."
        )
    for name in axes.dims:
        if name not in dataset.dims and name != axes.time:
            raise InvalidInputError(
                f"coordinate {name!r} has dimensions {dataset[name].dims} and is no grid axis; "
                "one-dimensional longitude and latitude are accepted. Regrid the data first: "
                "dataset.dvarnet.regrid(target)."
            )
    for name in (axes.latitude, axes.longitude):
        check_decoded(dataset[name])
        if not np.isfinite(dataset[name].values.astype(float)).all():
            raise InvalidInputError(
                f"coordinate {name!r} has missing values; each row and column of the grid needs a "
                "finite position."
            )
    latitude = dataset[axes.latitude].values.astype(float)
    if latitude.size and np.abs(latitude).max() > _LARGEST_LATITUDE:
        raise InvalidInputError(
            f"coordinate {axes.latitude!r} goes from {latitude.min():g} to {latitude.max():g} "
            "degrees; latitudes are -90 to 90. Are latitude and longitude swapped? Rename them "
            "with dataset.rename."
        )
    longitude = continuous_longitude(dataset[axes.longitude].values)
    orders = []
    for name, values in ((axes.latitude, latitude), (axes.longitude, longitude)):
        order = np.argsort(values, kind="stable")
        turn = np.ptp(values) if name == axes.longitude and values.size else 0.0
        if turn >= 360 - _SAME_MERIDIAN or (np.diff(values[order]) <= _SAME_POSITION).any():
            raise InvalidInputError(
                f"coordinate {name!r} has repeated values; each row and column of the grid needs "
                f"its own position: dataset.drop_duplicates({name!r}), or leave out the longitude "
                "that comes again after 360 degrees."
            )
        if values.size < least:
            raise InvalidInputError(
                f"coordinate {name!r} has {values.size} value(s); a grid needs at least "
                f"{'two' if least > 1 else 'one'}."
            )
        orders.append(order)
    days = None
    if axes.time is not None and axes.time in dataset.dims:
        days = days_since_epoch(dataset[axes.time])
    elif time:
        raise InvalidInputError(
            f"coordinate {axes.time!r} is no dimension of the dataset (dimensions "
            f"{tuple(dataset.dims)}); add it with dataset.expand_dims({axes.time!r})."
        )
    return Grid(axes, days, latitude[orders[0]], longitude[orders[1]], *orders)
