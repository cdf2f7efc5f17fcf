"""Average the points of tracks in the cells of a grid."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.blocks import BLOCK, blocks
from xdvarnet.grids.categories import is_category
from xdvarnet.grids.checks import check_dataset, check_known, check_times
from xdvarnet.grids.coords import (
    EPOCH,
    Axes,
    Grid,
    days_since_epoch,
    find_axes,
    find_grid,
    holds_dates,
)
from xdvarnet.grids.points import Points, find_points
from xdvarnet.grids.provenance import derived, encode_axes, lasting
from xdvarnet.grids.times import LARGEST_GAP, check_calendars, end_steps, find_holes, to_dates
from xdvarnet.grids.values import check_decoded, trusted_values
from xdvarnet.tracks.noise import (
    SUFFIX,
    PointNoise,
    measurement_noise,
    noise_attributes,
    only_variable,
)
from xdvarnet.tracks.sample import describe_ranges, wrap_longitude

STATISTICS: dict[str, Callable] = {
    "mean": lambda groups: groups.mean(),
    "median": lambda groups: groups.median(),
    "count": lambda groups: groups.count(),
    "std": lambda groups: groups.std(ddof=0),
}
"""Statistics of the values in a cell that `bin_tracks` knows, missing values left out."""

CELL_METHODS = {"mean": "mean", "median": "median", "std": "standard_deviation"}
"""Names of the statistics in the CF attribute ``cell_methods``."""


def bin_tracks(
    tracks: xr.Dataset,
    grid: xr.Dataset,
    *,
    statistic: Literal["mean", "median", "count", "std"] = "mean",
    time: xr.DataArray | pd.DatetimeIndex | Sequence | None = None,
    noise: PointNoise | None = None,
) -> xr.Dataset:
    """Average the points of tracks in the cells of a grid and the steps of a time axis.

    Cells reach half-way to their neighbours, and the outermost as far outwards as inwards; a point
    on a border belongs to the cell of the larger coordinate. In the same way a stamp stands for the
    points nearest to it: a midnight stamp for noon to noon around it. Beside a hole, of more than
    two usual (median) steps of the time axis, it stands for half a usual step.

    Parameters
    ----------
    tracks : xarray.Dataset
        Longitude, latitude and time of the points, along a nadir track or in a swath. All
        floating-point variables on the dimensions of the points are binned. Labels have no mean and
        are left out: integers, and also where they are floating-point numbers flags, and missions,
        cycles, passes and orbits, by their attributes and names.
    grid : xarray.Dataset
        Its longitude and latitude are used, in any order and convention, its coordinate ``sea``
        (latitude, longitude) if it has one, and its dates if these are one of its dimensions.
    statistic : {"mean", "median", "count", "std"}
        Of the values in a cell, missing ones left out; ``std`` is that of the population (0 of one
        value).
    time : xarray.DataArray, pandas.DatetimeIndex or sequence of dates, optional
        Increasing stamps; a single one stands for the day around it. Default are the dates of
        `grid`; of a grid without dates, midnight of every day from the one nearest to the first
        point to the one nearest to the last.
    noise : str, float or mapping, optional
        Standard deviation of the error of a measurement, of one variable: a quantity such as
        ``"3 cm"`` or a number in the units of the variable, a mapping to these from the names of
        the missions (in the variable or coordinate ``mission``), or the name of a variable of
        `tracks`. The mean of a cell is then weighted with the inverse variances, and comes with
        the standard deviation of its own error. Errors of different measurements are taken as
        independent, also along a pass.

    Returns
    -------
    xarray.Dataset
        With the dimensions ``time``, latitude and longitude, the latter two named and ordered as
        in `grid`. Units, dtypes and attributes are those of `tracks`, but not those about packing
        and valid ranges, nor those of the file: its title and institution are the ``source``. NaN
        where a cell has no value or is land; the attribute
        ``cell_methods`` says what was done. Counts are integers, without units, 0 where there is
        nothing. The attribute ``xdvarnet_points_outside`` is the number of points that are outside
        the grid or the period, or on land. With a `noise`, ``<variable>_noise`` is the standard
        deviation of the error of the mean, ``1 / sqrt(sum(1 / noise^2))``, in the units of the
        variable.

    Raises
    ------
    InvalidTypeError
        If `tracks` or `grid` is no Dataset.
    UnknownNameError
        If `statistic` is unknown, or there is no variable of the name `noise`.
    InvalidInputError
        If an axis is missing, the stamps do not increase or have another calendar, `tracks` has
        no variable to bin, or no point is left; without stamps, if more than a year without any
        point lies between two points, as with one date that is wrong; or values are packed, fills
        or infinite; if a noise is not positive, a mission has none, several variables are to be
        binned with it, or the statistic is no mean.

    Examples
    --------
    >>> tracks = xr.Dataset({"sla": ("time", [0.1, 0.3, 0.5])},
    ...                     {"time": pd.date_range("2017-01-01T23:00", periods=3, freq="s"),
    ...                      "longitude": ("time", [350.0, 350.1, 351.0]),
    ...                      "latitude": ("time", [40.0, 40.1, 41.0])})
    >>> grid = xr.Dataset(coords={"lat": [40.0, 41.0], "lon": [-10.0, -9.0]})
    >>> binned = bin_tracks(tracks, grid)
    >>> binned["sla"].dims
    ('time', 'lat', 'lon')
    >>> binned["sla"].values
    array([[[0.2, nan],
            [nan, 0.5]]])

    Two measurements of a cell are better than one:

    >>> bin_tracks(tracks, grid, noise=0.02)["sla_noise"].values.round(4)
    array([[[0.0141,    nan],
            [   nan, 0.02  ]]])
    """
    check_known(statistic, STATISTICS, "statistic")
    check_dataset(grid)
    axes = replace(find_axes(grid, time=False), time=None)
    cells, points = find_grid(grid[list(axes.dims)], time=False), find_points(tracks)
    names = _point_variables(tracks, points)
    if noise is not None:
        if statistic != "mean":
            raise InvalidInputError(
                f"statistic={statistic!r} has no use for the noise of the measurements, which "
                "weighs them in a mean; leave one of the two out."
            )
        measured = only_variable(names, noise)
        names, errors = [measured], measurement_noise(tracks, measured, noise)
    coords = _horizontal_coords(grid, axes)
    if time is None:
        time = dates_of(grid)
    stamps = daily_stamps(points.days, points.calendar) if time is None else _given_stamps(time)
    check_calendars(stamps, tracks[points.axes.time])
    index = _cell_indices(points, cells, days_since_epoch(stamps))
    if "sea" in coords:
        sea = coords["sea"].transpose(*axes.dims).values.astype(bool).ravel()
        for part in blocks(index.size):
            index[part][~sea[index[part] % sea.size]] = -1
    outside = int((index < 0).sum())
    if outside == index.size:
        dated = dates_of(grid) is not None
        leave = ", or leave the dates of the grid out: grid.isel(time=0)" if dated else ""
        raise InvalidInputError(
            f"no point of the tracks ({describe_ranges(tracks, points.axes)}) is in a cell of the "
            f"grid ({describe_ranges(grid, axes)}, time {stamps.values[0]} to "
            f"{stamps.values[-1]}) that is sea; select the same region and period{leave}."
        )
    order = np.argsort(index, kind="stable")
    index = index[order]
    shape = (stamps.size, *cells.shape)
    dims = ("time", *axes.dims)
    binned = xr.Dataset(coords={"time": stamps, **coords})
    for name in names:
        array = trusted_values(tracks[name])
        values, attributes = points.flatten(array), _attributes(array, statistic, dims)
        if noise is None:
            means = _statistic(values, order, index, shape, statistic)
            binned[name] = xr.DataArray(means, binned.coords, dims, attrs=attributes)
        else:
            means, spread = _weighted_means(values, errors, order, index, shape)
            attributes["ancillary_variables"] = of_noise = f"{name}{SUFFIX}"
            binned[name] = xr.DataArray(means, binned.coords, dims, attrs=attributes)
            attributes = noise_attributes(array)
            binned[of_noise] = xr.DataArray(spread, binned.coords, dims, attrs=attributes)
    title = {"title": f"{statistic} of points in cells and days"}
    binned.attrs = title | derived(tracks.attrs, f"bin_tracks, {statistic}")
    return encode_axes(binned).assign_attrs(xdvarnet_points_outside=outside)


def daily_stamps(days: np.ndarray, calendar: str = "standard") -> xr.DataArray:
    """Return each midnight from the one nearest to the first time to the one nearest to the last.

    Parameters
    ----------
    days : numpy.ndarray
        Days since 1950-01-01 in the calendar, of any shape and order.
    calendar : str
        CF name. Of the standard calendar, the stamps are ``datetime64[ns]``, else cftime dates.

    Returns
    -------
    xarray.DataArray
        The stamps, along ``time``.

    Raises
    ------
    InvalidInputError
        If there is no time, a date is beyond those of nanoseconds, or more than a year without any
        time lies between two: all its days would be there, because of a date that is wrong.
    """
    if not days.size:
        raise InvalidInputError("the tracks have no points, and so no days.")
    first, last = np.floor(np.array([days.min(), days.max()]) + 0.5).astype(int)
    if last - first > LARGEST_GAP:
        _check_gaps(days, calendar)
    midnights = _to_calendar(np.arange(first, last + 1), calendar)
    return xr.DataArray(midnights, dims="time", name="time", attrs={"standard_name": "time"})


def _to_calendar(midnights: np.ndarray, calendar: str) -> np.ndarray:
    if calendar in ("standard", "gregorian", "proleptic_gregorian"):
        return to_dates(midnights)
    import cftime

    return cftime.num2date(midnights, f"days since {EPOCH}", calendar=calendar)


def _check_gaps(days: np.ndarray, calendar: str) -> None:
    """Refuse times with more than a year between them, and say on which side few of them are."""
    midnights, counts = np.unique(np.floor(days.ravel() + 0.5), return_counts=True)
    gaps = np.diff(midnights)
    if gaps.max(initial=0) <= LARGEST_GAP:
        return
    widest = int(gaps.argmax())
    before, after = int(counts[: widest + 1].sum()), int(counts[widest + 1 :].sum())
    early, late = (
        str(date)[:10] for date in _to_calendar(midnights[widest : widest + 2], calendar)
    )
    few, side = (before, f"until {early}") if before <= after else (after, f"from {late} on")
    raise InvalidInputError(
        f"the tracks have no point from {early} to {late}, and {few} of {days.size} points are "
        f"{side}: all {midnights[-1] - midnights[0] + 1:.0f} days in between would be binned. If "
        "these dates are wrong, leave their points out, for example by the year, tracks['time']"
        ".dt.year; else give the days that you want, such as "
        "time=pandas.date_range('2017-01-01', '2017-01-31')."
    )


def dates_of(grid: xr.Dataset) -> xr.DataArray | None:
    """Return the dates of a grid, where they are one of its dimensions."""
    name = find_axes(grid, time=False).time
    if name is None or name not in grid.dims or not holds_dates(grid[name]):
        return None
    return grid[name]


def _point_variables(tracks: xr.Dataset, points: Points) -> list[Hashable]:
    along = {
        name: array
        for name, array in tracks.data_vars.items()
        if set(array.dims) == set(points.sizes) and name not in points.axes.dims
    }
    for array in along.values():
        check_decoded(array)
    names = [
        name
        for name, array in along.items()
        if np.issubdtype(array.dtype, np.floating) and not is_category(array)
    ]
    if not names:
        found = {str(name): (array.dims, str(array.dtype)) for name, array in tracks.items()}
        raise InvalidInputError(
            f"no variable to bin: the tracks have {found}; binned are floating-point variables "
            f"with the dimensions {list(points.sizes)} that are no labels or flags. Convert "
            "integers with astype(float)."
        )
    return names


def _horizontal_coords(grid: xr.Dataset, axes: Axes) -> dict[Hashable, xr.DataArray]:
    """Return the axes of the grid, and its mask of the sea."""
    names = list(axes.dims)
    if "sea" in grid.data_vars:
        raise InvalidInputError(
            "'sea' is a data variable of the grid, and the mask of the sea is a coordinate; make "
            "it one with grid.set_coords('sea')."
        )
    if "sea" in grid.coords:
        if set(grid["sea"].dims) != set(names):
            raise InvalidInputError(
                f"coordinate 'sea' has dimensions {grid['sea'].dims}; a mask of the sea has "
                f"{names}, in any order."
            )
        names.append("sea")
    return {name: grid[name].reset_coords(drop=True) for name in names}


def _given_stamps(time: xr.DataArray | pd.DatetimeIndex | Sequence) -> xr.DataArray:
    attributes = time.attrs if isinstance(time, xr.DataArray) else {"standard_name": "time"}
    values = np.asarray(time)
    if values.ndim != 1 or not values.size:
        raise InvalidInputError(
            f"time has shape {values.shape}; give a sequence of dates, such as "
            "pandas.date_range('2017-01-01', '2017-01-31')."
        )
    stamps = xr.DataArray(values, dims="time", name="time", attrs=attributes)
    check_times(days_since_epoch(stamps), "time", daily=False)
    return stamps


def _cell_indices(points: Points, cells: Grid, days: np.ndarray) -> np.ndarray:
    """Return the flat index of each point in (time, latitude, longitude) of the grid, or -1."""
    longitudes = _edges(cells.longitude, period=360 if cells.is_ring else None)
    latitudes, borders = _edges(cells.latitude), _edges(days)
    first, last = end_steps(days)
    borders[0], borders[-1] = days[0] - first / 2, days[-1] + last / 2
    height, width = cells.shape
    index = np.empty(points.days.size, int)
    for part in blocks(index.size):
        column = _find_cell(wrap_longitude(points.longitude[part], longitudes[0]), longitudes)
        row = _find_cell(points.latitude[part], latitudes)
        day = _find_cell(points.days[part], borders)
        hole, held = find_holes(points.days[part], days)
        inside = (column >= 0) & (row >= 0) & (day >= 0) & (held | ~hole)
        place = (day * height + cells.latitude_order[row]) * width + cells.longitude_order[column]
        index[part] = np.where(inside, place, -1)
    return index


def _edges(centres: np.ndarray, *, period: float | None = None) -> np.ndarray:
    """Borders half-way between increasing `centres`, shape (n + 1,); one alone has the width 1."""
    if centres.size == 1:
        return centres + np.array([-0.5, 0.5])
    if period is None:
        before, after = 2 * centres[0] - centres[1], 2 * centres[-1] - centres[-2]
    else:
        before, after = centres[-1] - period, centres[0] + period
    around = np.concatenate([[before], centres, [after]])
    return (around[1:] + around[:-1]) / 2


def _find_cell(positions: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return in which of the n cells each position is, -1 outside."""
    cell = np.searchsorted(edges, positions, side="right") - 1
    return np.where(cell < edges.size - 1, cell, -1)


def _statistic(
    values: np.ndarray,
    order: np.ndarray,
    index: np.ndarray,
    shape: tuple[int, ...],
    statistic: str,
) -> np.ndarray:
    """Return the statistic of the points of each cell.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (points,).
    order, index : numpy.ndarray
        The points in the order of their cells, and these cells, -1 outside; shape (points,).
    shape : tuple of int
        Of the cells.
    statistic : str
        Its name.
    """
    binned = np.zeros(shape, int) if statistic == "count" else np.full(shape, np.nan, values.dtype)
    for part in _whole_cells(index):
        groups = pd.Series(values[order[part]].astype(float)).groupby(index[part])
        cells = STATISTICS[statistic](groups)
        binned.reshape(-1)[cells.index] = cells
    return binned


def _weighted_means(
    values: np.ndarray,
    errors: np.ndarray,
    order: np.ndarray,
    index: np.ndarray,
    shape: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the means in each cell, weighted with inverse variances, and their errors.

    Parameters
    ----------
    values, errors : numpy.ndarray
        Measurements, NaN where missing, and standard deviations of their errors, shape (points,).
    order, index, shape
        As in `_statistic`.
    """
    means, spread = (np.full(shape, np.nan, values.dtype) for _ in range(2))
    for part in _whole_cells(index):
        measured = values[order[part]].astype(float)
        weights = np.where(np.isnan(measured), 0, errors[order[part]] ** -2.0)
        starts = np.flatnonzero(np.diff(index[part], prepend=-1))
        totals = np.add.reduceat(weights, starts)
        sums = np.add.reduceat(weights * np.nan_to_num(measured), starts)
        seen = totals > 0
        cells = index[part][starts][seen]
        means.reshape(-1)[cells] = sums[seen] / totals[seen]
        spread.reshape(-1)[cells] = totals[seen] ** -0.5
    return means, spread


def _whole_cells(index: np.ndarray) -> Iterator[slice]:
    """Cut points in the order of their cells into blocks that end where a cell ends."""
    start = int(np.searchsorted(index, 0))
    while start < index.size:
        last = min(start + BLOCK, index.size) - 1
        stop = int(np.searchsorted(index, index[last], side="right"))
        yield slice(start, stop)
        start = stop


def _attributes(array: xr.DataArray, statistic: str, dims: tuple[str, ...]) -> dict:
    if statistic in CELL_METHODS:
        return {
            **lasting(array.attrs),
            "cell_methods": f"{': '.join(dims)}: {CELL_METHODS[statistic]}",
        }
    attributes = {"units": "1", "long_name": f"number of values of {array.name}"}
    if "standard_name" in array.attrs:
        attributes["standard_name"] = f"{array.attrs['standard_name']} number_of_observations"
    return attributes
