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
from xdvarnet.grids.checks import check_dataset, check_known, check_times
from xdvarnet.grids.coords import Axes, Grid, find_grid
from xdvarnet.grids.history import add_history
from xdvarnet.grids.points import Points, find_points
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
    step; a single map is held for half a day. A grid around the globe is periodic.

    Parameters
    ----------
    maps : xarray.Dataset
        Floating-point variables with latitude and longitude, in any order and convention, are
        sampled: in space and time where they have a time dimension, else in space. Further
        dimensions, such as ``member``, are kept. dask arrays stay lazy, and only the part around
        the points is computed.
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
        centres of cells) or the period, and where a neighbour with a weight other than zero is
        missing: of bicubic, any value of the 6 x 6 cells around the point. The attribute
        ``xdvarnet_points_outside`` is the number of points outside.

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
    names = _gridded_variables(maps, grid)
    places = {
        dim: place
        for dim, place in _find_places(maps, tracks, grid, points).items()
        if any(dim in maps[name].dims for name in names)
    }
    outside = np.isnan(list(places.values())).any(0)
    if outside.all():
        raise InvalidInputError(
            f"no point of the tracks ({describe_ranges(tracks, points.axes)}) is inside the maps "
            f"({describe_ranges(maps, grid.axes)}); select the same region and period."
        )
    if method == "nearest":
        places = {dim: np.floor(place + 0.5) for dim, place in places.items()}
    kernel = _linear if engine == "xarray" else partial(_pyinterp, method=method)
    sampled = tracks.set_coords(points.axes.dims).coords.to_dataset()
    for name in names:
        sampled[name] = _sample(maps[name], grid, places, points, kernel)
    sampled.attrs = add_history(maps.attrs, f"sample_tracks, {method}")
    return sampled.assign_attrs(xdvarnet_points_outside=int(outside.sum()))


def is_global(grid: Grid) -> bool:
    """Return whether the longitudes of `grid` go around the globe."""
    steps = np.diff(grid.longitude)
    return bool(360 - np.ptp(grid.longitude) < 1.5 * np.median(steps))


def wrap_longitude(longitude: np.ndarray, start: float) -> np.ndarray:
    """Return `longitude` in degrees from `start` to `start` + 360."""
    return start + (longitude - start) % 360


def check_calendars(ours: xr.DataArray, theirs: xr.DataArray) -> None:
    """Refuse times of two calendars, whose days are counted apart.

    Raises
    ------
    InvalidInputError
        If the calendars differ.
    """
    names = [array.dt.calendar for array in (ours, theirs)]
    usual = [name.removeprefix("proleptic_").replace("gregorian", "standard") for name in names]
    if usual[0] != usual[1]:
        raise InvalidInputError(
            f"the tracks have the calendar {names[1]!r}, and {names[0]!r} is wanted; convert one "
            "of the two with dataset.convert_calendar."
        )


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


def _gridded_variables(maps: xr.Dataset, grid: Grid) -> list[Hashable]:
    horizontal = {grid.axes.latitude, grid.axes.longitude}
    mapped = {name: array for name, array in maps.items() if horizontal <= set(array.dims)}
    for array in mapped.values():
        check_decoded(array)
    names = [name for name, array in mapped.items() if np.issubdtype(array.dtype, np.floating)]
    if not names:
        found = {str(name): (array.dims, str(array.dtype)) for name, array in maps.items()}
        raise InvalidInputError(
            f"no variable to sample: the dataset has {found}; maps are floating-point variables "
            f"with the dimensions {sorted(horizontal)}. Convert integers with astype(float)."
        )
    return names


def _find_places(
    maps: xr.Dataset, tracks: xr.Dataset, grid: Grid, points: Points
) -> dict[str, np.ndarray]:
    """Return the place of the points on each axis, in steps, NaN outside, by dimension."""
    longitudes = grid.longitude
    if is_global(grid):
        longitudes = np.append(longitudes, longitudes[0] + 360)
    start = longitudes[0] - ROUNDING * (longitudes[1] - longitudes[0])
    places = {
        grid.axes.longitude: _place(wrap_longitude(points.longitude, start), longitudes, ROUNDING),
        grid.axes.latitude: _place(points.latitude, grid.latitude, ROUNDING),
    }
    if grid.days is not None:
        check_times(grid.days, str(grid.axes.time), daily=False)
        check_calendars(maps[grid.axes.time], tracks[points.axes.time])
        places[str(grid.axes.time)] = _place(points.days, grid.days, 0.5 + ROUNDING)
    return places


def _place(positions: np.ndarray, centres: np.ndarray, reach: float) -> np.ndarray:
    """Return the place of `positions` among increasing `centres`: 2.25 is between 2 and 3.

    Positions up to `reach` steps outside belong to the end; further ones are NaN.
    """
    steps = np.diff(centres) if centres.size > 1 else np.ones(1)
    place = np.interp(positions, centres, np.arange(centres.size))
    node = np.round(place)
    place = np.where(np.abs(place - node) < ROUNDING, node, place)
    inside = (positions >= centres[0] - reach * steps[0]) & (
        positions <= centres[-1] + reach * steps[-1]
    )
    return np.where(inside, place, np.nan)


def _sample(
    array: xr.DataArray,
    grid: Grid,
    places: dict[str, np.ndarray],
    points: Points,
    kernel: Callable[[np.ndarray, list[np.ndarray]], np.ndarray],
) -> xr.DataArray:
    dims = [dim for dim in places if dim in array.dims]
    inside = np.isfinite([places[dim] for dim in dims]).all(0)
    nodes = {dim: _nodes_around(places[dim][inside], dim, array.sizes[dim], grid) for dim in dims}
    wanted = [places[dim][inside] - nodes[dim][0] for dim in dims]
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
        if wanted[0].size:
            sampled[inside] = kernel(values.astype(float), wanted)
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
        keep_attrs=True,
    )


def _nodes_around(place: np.ndarray, dim: str, size: int, grid: Grid) -> np.ndarray:
    """Return the nodes that the points need, beyond the ends of an axis that is periodic."""
    if not place.size:
        return np.zeros(1, int)
    margin = 0 if dim == grid.axes.time else BICUBIC_HALF_WINDOW
    nodes = np.arange(int(place.min()) - margin, int(np.ceil(place.max())) + margin + 1)
    if dim == grid.axes.longitude and is_global(grid):
        return nodes
    return nodes[(nodes >= 0) & (nodes < size)]


def _linear(values: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
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


def _pyinterp(values: np.ndarray, places: list[np.ndarray], method: str) -> np.ndarray:
    """Interpolate as `_linear` does, or bicubically in the first two axes, with pyinterp."""
    try:
        import pyinterp
    except ImportError as error:
        raise MissingDependencyError(
            "engine='pyinterp' needs pyinterp, which cannot be imported; "
            'pip install "xdvarnet[tracks]".'
        ) from error
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
        return interpolate(grid, *places, "bicubic", boundary_mode="shrink", **options)
    # a missing neighbour of weight zero would make the sum NaN: weigh values and gaps apart
    missing = np.isnan(values)
    filled = make_grid(*axes, np.where(missing, 0, values))
    gaps = make_grid(*axes, missing.astype(float))
    sampled = interpolate(filled, *places, "bilinear")
    return np.where(interpolate(gaps, *places, "bilinear") > 0, np.nan, sampled)
