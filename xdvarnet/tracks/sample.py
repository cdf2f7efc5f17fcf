"""Sample maps at the points of tracks."""

import itertools
import math
import operator
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, MissingDependencyError
from xdvarnet.grids.blocks import blocks
from xdvarnet.grids.categories import is_category
from xdvarnet.grids.checks import check_dataset, check_known, check_times
from xdvarnet.grids.coords import Axes, Grid, find_grid
from xdvarnet.grids.points import Points, find_points
from xdvarnet.grids.provenance import lasting, passed_on
from xdvarnet.grids.times import check_calendars, end_steps, find_holes
from xdvarnet.grids.values import check_decoded, trusted_values

METHODS = ("linear", "nearest", "bicubic")
"""Interpolations that `sample_tracks` knows."""

ENGINES = ("xarray", "pyinterp")
"""What may interpolate: the package's own kernel on arrays, or the library pyinterp."""

ROUNDING = 1e-9
"""Distance, in steps of an axis, at which a point is on a node."""

BICUBIC_HALF_WINDOW = 3
"""Cells on each side of a point that the bicubic interpolation uses."""


def sample_tracks(
    maps: xr.Dataset,
    tracks: xr.Dataset,
    *,
    method: Literal["linear", "nearest", "bicubic"] = "linear",
    engine: Literal["xarray", "pyinterp"] = "xarray",
) -> xr.Dataset:
    """Sample maps at the points of tracks.

    A map holds for the time nearest to its stamp, so the first and the last map are held for half a
    step; a single map is held for half a day. Between maps that are more than two usual (median)
    steps apart nothing is interpolated: there each is held for half a usual step, and points
    farther from both are outside. A grid around the globe is periodic.

    Parameters
    ----------
    maps : xarray.Dataset
        Floating-point variables with latitude and longitude, in any order and convention, are
        sampled: in space and time where they have a time dimension, else in space. Further
        dimensions, such as ``member``, are kept. Labels and flags have no mean, and are left out
        but with ``nearest``. dask arrays stay lazy, and only the part around the points is
        computed.
    tracks : xarray.Dataset
        Longitude, latitude and time of the points, along a nadir track or in a swath.
    method : {"linear", "nearest", "bicubic"}
        Interpolation in space. In time it is nearest for ``nearest``, else linear.
    engine : {"xarray", "pyinterp"}
        What interpolates. Both give the same values; ``bicubic`` exists in pyinterp only.

    Returns
    -------
    xarray.Dataset
        The sampled variables, with their names, dtypes and attributes, and the dimensions and
        coordinates of `tracks`. NaN where a point is outside the grid (beyond the outermost
        centres of cells), the period or in a hole of it, and where a neighbour with a weight other
        than zero is missing: of bicubic, any value of the 6 x 6 cells around the point. The
        attribute ``xdvarnet_points_outside`` is the number of points outside.

    Raises
    ------
    InvalidTypeError
        If `maps` or `tracks` is no Dataset.
    UnknownNameError
        If `method` or `engine` is unknown.
    InvalidInputError
        If axes are missing or unsorted, no variable can be sampled, all points are outside, the
        calendars differ, the engine has no such method, or the grid is too small for it; or values
        are packed, fills or infinite.
    MissingDependencyError
        If pyinterp is asked for and not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> maps = xr.Dataset({"ssh": (("lat", "lon"), [[0.0, 1.0], [2.0, 3.0]])},
    ...                   {"lat": [40.0, 41.0], "lon": [-10.0, -9.0]})
    >>> tracks = xr.Dataset(coords={"time": pd.date_range("2017-01-01", periods=2, freq="s"),
    ...                             "longitude": ("time", [350.5, 351.0]),
    ...                             "latitude": ("time", [40.0, 40.25])})
    >>> sample_tracks(maps, tracks)["ssh"].values
    array([0.5, 1.5])
    """
    check_dataset(maps)
    grid, points = find_grid(maps, time=False), find_points(tracks)
    _check_method(method, engine, grid)
    names = _gridded_variables(maps, grid, method)
    places = {
        dim: place
        for dim, place in _find_places(maps, tracks, grid, points).items()
        if any(dim in maps[name].dims for name in names)
    }
    outside = np.logical_or.reduce([~np.isfinite(place) for place in places.values()])
    elsewhere = np.logical_or.reduce([np.isnan(place) for place in places.values()])
    if elsewhere.all():
        raise InvalidInputError(
            f"no point of the tracks ({describe_ranges(tracks, points.axes)}) is inside the maps "
            f"({describe_ranges(maps, grid.axes)}); select the same region and period."
        )
    if method == "nearest":
        for place in places.values():
            np.floor(place + 0.5, out=place)
    kernel = _linear if engine == "xarray" else partial(_pyinterp, method=method)
    sampled = tracks.set_coords(points.axes.dims).coords.to_dataset()
    for name in names:
        sampled[name] = _sample(maps[name], grid, places, points, kernel)
        sampled[name].attrs = lasting(maps[name].attrs)
    sampled.attrs = passed_on(maps.attrs, f"sample_tracks, {method}")
    return sampled.assign_attrs(xdvarnet_points_outside=int(outside.sum()))


def wrap_longitude(longitude: np.ndarray, start: float) -> np.ndarray:
    """Return `longitude` in degrees from `start` to `start` + 360."""
    return start + (longitude - start) % 360


def describe_ranges(dataset: xr.Dataset, axes: Axes) -> str:
    """Return the ranges of time, latitude and longitude in words, for messages."""
    return ", ".join(
        f"{name} {dataset[name].min().values} to {dataset[name].max().values}"
        if dataset[name].size
        else f"{name} empty"
        for name in axes.dims
    )


def _check_method(method: str, engine: str, grid: Grid) -> None:
    check_known(method, METHODS, "method")
    check_known(engine, ENGINES, "engine")
    if method != "bicubic":
        return
    if engine != "pyinterp":
        raise InvalidInputError(
            f"engine={engine!r} has no method 'bicubic', only 'linear' and 'nearest'; give "
            "engine='pyinterp'."
        )
    if min(grid.shape) <= BICUBIC_HALF_WINDOW:
        raise InvalidInputError(
            f"the grid has {grid.shape} latitudes and longitudes; 'bicubic' needs "
            f"{BICUBIC_HALF_WINDOW + 1} of each. Give method='linear'."
        )


def _gridded_variables(maps: xr.Dataset, grid: Grid, method: str) -> list[Hashable]:
    horizontal = {grid.axes.latitude, grid.axes.longitude}
    mapped = {name: array for name, array in maps.items() if horizontal <= set(array.dims)}
    for array in mapped.values():
        check_decoded(array)
    names = [
        name
        for name, array in mapped.items()
        if array.dtype.kind == "f" and (method == "nearest" or not is_category(array))
    ]
    if not names:
        found = {str(name): (array.dims, str(array.dtype)) for name, array in maps.items()}
        raise InvalidInputError(
            f"no variable to sample: the dataset has {found}; maps are floating-point variables "
            f"with the dimensions {sorted(horizontal)}, of which flags and labels have the method "
            "'nearest' alone. Convert integers with astype(float)."
        )
    return names


def _find_places(
    maps: xr.Dataset, tracks: xr.Dataset, grid: Grid, points: Points
) -> dict[str, np.ndarray]:
    """Return the place of the points on each axis, in steps, by dimension; NaN outside.

    Infinity is in the period, and too far from any map.
    """
    longitudes = grid.longitude
    if grid.is_ring:
        longitudes = np.append(longitudes, longitudes[0] + 360)
    start = longitudes[0] - ROUNDING * (longitudes[1] - longitudes[0])
    margin = ROUNDING * np.diff(longitudes)[[0, -1]], ROUNDING * np.diff(grid.latitude)[[0, -1]]
    find: dict[str, Callable[[slice], np.ndarray]] = {
        grid.axes.longitude: lambda part: _place(
            wrap_longitude(points.longitude[part], start), longitudes, margin[0]
        ),
        grid.axes.latitude: lambda part: _place(points.latitude[part], grid.latitude, margin[1]),
    }
    if grid.days is not None:
        days = grid.days
        check_times(days, str(grid.axes.time), daily=False)
        check_calendars(maps[grid.axes.time], tracks[points.axes.time])
        find[str(grid.axes.time)] = lambda part: _place_in_time(points.days[part], days)
    places = {dim: np.empty(points.days.size) for dim in find}
    for dim, place in find.items():
        for part in blocks(points.days.size):
            places[dim][part] = place(part)
    return places


def _place_in_time(times: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Return the place of `times` among the days of maps; in a hole of one map, or infinity."""
    half = (0.5 + ROUNDING) * np.array(end_steps(days))
    place = _place(times, days, half)
    inside, held = find_holes(times, days)
    return np.where(inside, np.where(held, np.round(place), np.inf), place)


def _place(positions: np.ndarray, centres: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Return the place of `positions` among increasing `centres`: 2.25 is between 2 and 3.

    Positions up to `reach` (before the first, after the last) outside belong to the end; further
    ones are NaN.
    """
    place = np.interp(positions, centres, np.arange(centres.size))
    node = np.round(place)
    place = np.where(np.abs(place - node) < ROUNDING, node, place)
    inside = (positions >= centres[0] - reach[0]) & (positions <= centres[-1] + reach[1])
    return np.where(inside, place, np.nan)


def _sample(
    array: xr.DataArray,
    grid: Grid,
    places: dict[str, np.ndarray],
    points: Points,
    kernel: Callable[[np.ndarray], Callable[[list[np.ndarray]], np.ndarray]],
) -> xr.DataArray:
    dims = [dim for dim in places if dim in array.dims]
    inside = np.logical_and.reduce([np.isfinite(places[dim]) for dim in dims])
    nodes = {dim: _nodes_around(places[dim], inside, dim, array.sizes[dim], grid) for dim in dims}
    order = {
        grid.axes.longitude: grid.longitude_order,
        grid.axes.latitude: grid.latitude_order,
        grid.axes.time: np.arange(array.sizes.get(grid.axes.time, 0)),
    }
    needed = array.isel({dim: order[dim][nodes[dim] % order[dim].size] for dim in dims})
    needed = trusted_values(needed)
    needed = needed.reset_coords(drop=True).drop_vars(dims).rename({dim: f"_{dim}" for dim in dims})
    if needed.chunks is not None:
        needed = needed.chunk({f"_{dim}": -1 for dim in dims})

    def sample(values: np.ndarray) -> np.ndarray:
        sampled = np.full(inside.shape, np.nan, array.dtype)
        interpolate = kernel(values)
        for part in blocks(inside.size):
            here = inside[part]
            if here.any():
                wanted = [places[dim][part][here] - nodes[dim][0] for dim in dims]
                sampled[part][here] = interpolate(wanted)
        return sampled.reshape(tuple(points.sizes.values()))

    return xr.apply_ufunc(
        sample,
        needed,
        input_core_dims=[[f"_{dim}" for dim in dims]],
        output_core_dims=[list(points.sizes)],
        vectorize=True,
        dask="parallelized",
        output_dtypes=[array.dtype],
        dask_gufunc_kwargs={"output_sizes": points.sizes},
        keep_attrs=False,
    )


def _nodes_around(
    place: np.ndarray, inside: np.ndarray, dim: str, size: int, grid: Grid
) -> np.ndarray:
    """Return the nodes that the points need, beyond the ends of an axis that is periodic."""
    if not inside.any():
        return np.zeros(1, int)
    margin = 0 if dim == grid.axes.time else BICUBIC_HALF_WINDOW
    first = np.min(place, where=inside, initial=np.inf)
    last = np.max(place, where=inside, initial=-np.inf)
    nodes = np.arange(int(first) - margin, int(np.ceil(last)) + margin + 1)
    if dim == grid.axes.longitude and grid.is_ring:
        return nodes
    return nodes[(nodes >= 0) & (nodes < size)]


def _linear(values: np.ndarray) -> Callable[[list[np.ndarray]], np.ndarray]:
    """Return what interpolates linearly along all axes of `values`."""
    return partial(_interpolate, values)


def _interpolate(values: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    """Interpolate linearly along all axes of `values` at `places`, in steps of each axis."""
    sizes = values.shape
    strides = [int(np.prod(sizes[axis + 1 :])) for axis in range(len(sizes))]
    lower = [
        np.minimum(place.astype(int), max(size - 2, 0))
        for place, size in zip(places, sizes, strict=True)
    ]
    upper = [place - node for place, node in zip(places, lower, strict=True)]
    shares = [(1 - share, share) for share in upper]
    origin = sum(node * stride for node, stride in zip(lower, strides, strict=True))
    flat, total = values.ravel(), np.zeros(origin.shape)
    # an axis with one node has no upper neighbour, and no weight for it
    for corner in itertools.product(*(range(min(size, 2)) for size in sizes)):
        weight = math.prod(share[side] for share, side in zip(shares, corner, strict=True))
        neighbour = flat[origin + sum(map(operator.mul, corner, strides))]
        total += np.where(weight > 0, weight * neighbour, 0)
    return total


def _pyinterp(values: np.ndarray, method: str) -> Callable[[list[np.ndarray]], np.ndarray]:
    """Return what interpolates as `_linear`, or bicubically in the first two axes, by pyinterp."""
    try:
        import pyinterp
    except ImportError as error:
        raise MissingDependencyError(
            "engine='pyinterp' needs pyinterp, which cannot be imported; "
            'pip install "xdvarnet[tracks]".'
        ) from error
    values = values.astype(float)
    for axis in np.flatnonzero(np.array(values.shape) == 1):  # pyinterp needs two nodes
        values = values.repeat(2, axis)
    # both go by the number of axes, and their stubs by the type of each argument
    make_grid: Callable[..., Any] = pyinterp.Grid
    interpolate: Callable[..., np.ndarray] = (
        pyinterp.bivariate if values.ndim == 2 else pyinterp.trivariate
    )
    axes = [pyinterp.Axis(np.arange(float(size))) for size in values.shape]
    if method == "bicubic":
        options = {
            "half_window_size_x": BICUBIC_HALF_WINDOW,
            "half_window_size_y": BICUBIC_HALF_WINDOW,
        }
        grid = make_grid(*axes, values)
        return lambda places: interpolate(
            grid, *places, "bicubic", boundary_mode="shrink", **options
        )
    # a missing neighbour of weight zero would make the sum NaN: weigh values and gaps apart
    missing = np.isnan(values)
    filled = make_grid(*axes, np.where(missing, 0, values))
    gaps = make_grid(*axes, missing.astype(float))

    def sample(places: list[np.ndarray]) -> np.ndarray:
        sampled = interpolate(filled, *places, "bilinear")
        return np.where(interpolate(gaps, *places, "bilinear") > 0, np.nan, sampled)

    return sample
