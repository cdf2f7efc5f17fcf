"""Maps of observations with gaps: along tracks, in swaths, or in the cells of a grid."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_dataset, check_variable
from xdvarnet.grids.coords import continuous_longitude, find_axes
from xdvarnet.grids.points import Points, find_points
from xdvarnet.plot.axes import (
    Day,
    Field,
    Frame,
    check_installed,
    choose_colours,
    describe_period,
    draw_land,
    finish,
    frame_crs,
    label,
    map_axes,
    read_day,
    select_field,
)
from xdvarnet.tracks.bin import daily_stamps

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.colors import Colormap

SMALLEST_MARKER = 3.0
"""Side of a point of a track, and smallest of an observed cell, in points of the figure."""

SMALLEST_PIXEL = 1.0
"""Smallest side of a pixel of a swath, in points of the figure."""

OUTLINE = "0.45"
"""Colour around the cells, so that pale values are seen on the white of unobserved sea."""

LINES = 500
"""A swath is thinned to about as many pixels from the south to the north of the map."""

MARGIN = 0.03
"""Sea around the outermost points, as a share of the larger side of the map."""


def plot_tracks(
    dataset: xr.Dataset,
    variable: str,
    *,
    time: Day | None = None,
    ax: "GeoAxes | None" = None,
    cmap: "str | Colormap | None" = None,
    vmin: float | None = None,
    vmax: float | None = None,
    title: str | None = None,
    colorbar: bool = True,
) -> "GeoAxes":
    """Draw the points of tracks and swaths, or the observed cells of a grid, large enough to see.

    Points are drawn where they are, the last of the Dataset on top; of a swath that is finer than
    the figure, not every line and pixel. The map shows the surroundings of all points of the
    Dataset, whatever the day.

    Parameters
    ----------
    dataset : xarray.Dataset
        Points of nadir tracks or of a swath, with longitude, latitude and time; NaN values are left
        out. Or gridded observations, NaN where there is none. Land is where a grid's coordinate
        ``sea`` is False, and is not drawn without that, unless cartopy has its coast on disk.
    variable : str
        What to draw.
    time : str or date, optional
        The day, such as ``"2005-06-20"``. Of points, those nearest to its midnight are drawn: from
        noon of the day before to noon, which is the day of `xdvarnet.bin_tracks` and of maps
        stamped at midnight. Default all days together, each cell of a grid with its mean.
    ax, cmap, vmin, vmax, title, colorbar
        As in `plot_map`.

    Returns
    -------
    cartopy.mpl.geoaxes.GeoAxes
        The axes, to add to.

    Raises
    ------
    UnknownNameError
        If the variable does not exist.
    InvalidInputError
        If the day does not exist, or the variable has other dimensions than the points or the grid.
    InvalidTypeError
        If `dataset` is no Dataset, or `ax` has no projection.
    MissingDependencyError
        If cartopy, matplotlib or cmocean is not installed.
    """
    check_installed()
    check_dataset(dataset)
    points = _find_points(dataset)
    if points is not None and _is_swath(points):
        dataset = _thin(dataset, points)
        points = find_points(dataset)
    if points is None:
        field = select_field(dataset, variable, time)
        values, place = _mean_of_cells(field)
    else:
        field = _select_points(dataset, points, variable, time)
        values, place = field.values, (field.x, field.latitude)
    colours = choose_colours(field, cmap, vmin, vmax, ax)
    axes = map_axes(field.frame, ax)
    draw_land(axes, field)
    style = {"marker": "s", "linewidths": 0, "transform": frame_crs(field.frame), "zorder": 4}
    degree = _points_of_a_degree(axes, field.frame)
    if points is None:
        cell = (field.frame.east - field.frame.west) / field.longitude.size
        side = max(SMALLEST_MARKER, cell * degree)
        axes.scatter(*place, s=(side + 1) ** 2, color=OUTLINE, **style)
    else:
        side = _side(points, degree)
    drawn = axes.scatter(*place, s=side**2, c=values, rasterized=True, **style, **colours._asdict())
    finish(axes, drawn, field, title, colorbar)
    return axes


def _points_of_a_degree(axes: "GeoAxes", frame: Frame) -> float:
    """Return the length of a degree in points of the figure."""
    size = 72 * axes.figure.get_size_inches() * axes.get_position().size
    return float(min(size / (frame.east - frame.west, frame.north - frame.south)))


def _find_points(dataset: xr.Dataset) -> Points | None:
    """Describe the points of tracks or of a swath, where longitude and latitude share dimensions.

    None of a grid, whose axes are each a dimension.
    """
    axes = find_axes(dataset.set_coords(list(dataset.data_vars)), time=False)
    if {axes.latitude, axes.longitude} <= set(dataset.dims):
        return None
    points = find_points(dataset)
    if not np.isfinite(points.latitude + points.longitude).any():
        raise InvalidInputError("the dataset has no point with a known position.")
    return points


def _is_swath(points: Points) -> bool:
    """Return whether the points have neighbours along two dimensions."""
    return len(points.sizes) == 2 and min(points.sizes.values()) > 1


def _mean_of_cells(field: Field) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return the mean over the days of each observed cell, and where these are."""
    observed = np.isfinite(field.values)
    number = observed.sum(0)
    rows, columns = np.nonzero(number)
    total = np.where(observed, field.values, 0).sum(0)
    return total[rows, columns] / number[rows, columns], (field.x[columns], field.latitude[rows])


def _select_points(dataset: xr.Dataset, points: Points, variable: str, day: Day | None) -> Field:
    """Read the points of a day that have a value, or of all days where `day` is None."""
    array = check_variable(dataset, variable, argument="variable")
    further = [dim for dim in array.dims if dim not in points.sizes]
    if further:
        raise InvalidInputError(
            f"variable {variable!r} has the dimensions {array.dims}, and the points "
            f"{tuple(points.sizes)}. Select one entry first: dataset.isel({further[0]}=0)."
        )
    if array.dtype.kind not in "biuf":
        raise InvalidInputError(
            f"variable {variable!r} holds {array.dtype} values; numbers can be drawn."
        )
    placed = np.isfinite(points.latitude + points.longitude)
    longitude = np.full(placed.shape, np.nan)
    longitude[placed] = continuous_longitude(points.longitude[placed])
    values = points.flatten(array).astype(float)
    drawn = placed & np.isfinite(values)
    dates = dataset[points.axes.time]
    if day is None:
        times = points.flatten(dates)[drawn]
        period = describe_period(times.min(), times.max()) if times.size else ""
    else:
        drawn &= _of_day(points, dates, day)
        period = str(read_day(day))[:10]
    return Field(
        values[drawn],
        points.latitude[drawn],
        longitude[drawn],
        _frame(longitude[placed], points.latitude[placed]),
        None,
        period,
        variable,
        label(array),
    )


def _of_day(points: Points, dates: xr.DataArray, day: Day) -> np.ndarray:
    """Return which points are nearest to the midnight of `day`, shape (points,)."""
    stamps = [str(value)[:10] for value in daily_stamps(points.days, dates.dt.calendar).values]
    wanted = str(read_day(day))[:10]
    if wanted not in stamps:
        raise InvalidInputError(
            f"the dataset has no point within 12 hours of the midnight of time={day!r}; its days, "
            f"noon to noon, go from {stamps[0]} to {stamps[-1]}."
        )
    midnights = np.floor(points.days + 0.5)
    of_day = midnights == midnights.min() + stamps.index(wanted)
    if not of_day.any():
        nearest = np.abs(midnights - midnights.min() - stamps.index(wanted)).argmin()
        other = stamps[int(midnights[nearest] - midnights.min())]
        raise InvalidInputError(
            f"the dataset has no point within 12 hours of the midnight of time={day!r}; the "
            f"nearest day with points is {other}."
        )
    return of_day


def _frame(longitude: np.ndarray, latitude: np.ndarray) -> Frame:
    """Return the surroundings of points, from pole to pole at most."""
    sides = np.ptp(longitude), np.ptp(latitude)
    margin = max(MARGIN * max(sides), 0.1)
    return Frame(
        float(longitude.min()) - margin,
        float(longitude.max()) + margin,
        max(float(latitude.min()) - margin, -90.0),
        min(float(latitude.max()) + margin, 90.0),
    )


def _thin(dataset: xr.Dataset, points: Points) -> xr.Dataset:
    """Leave out lines and pixels of a swath that are too fine for the figure."""
    extent = np.nanmax(points.latitude) - np.nanmin(points.latitude)
    step = max(int(extent / LINES / _spacing(points)), 1)
    return dataset.isel({dim: slice(None, None, step) for dim in points.sizes})


def _side(points: Points, degree: float) -> float:
    """Return the side of the markers in points of the figure, where a degree has `degree`.

    Of a swath it is the diagonal of a pixel, so that pixels that are turned leave no gaps.
    """
    if not _is_swath(points):
        return SMALLEST_MARKER
    return max(SMALLEST_PIXEL, np.sqrt(2) * _spacing(points) * degree)


def _spacing(points: Points) -> float:
    """Return the median distance between the pixels of a swath, in degrees of latitude."""
    shape = tuple(points.sizes.values())
    latitude, longitude = (values.reshape(shape) for values in (points.latitude, points.longitude))
    north = np.diff(latitude, axis=1)
    east = (np.diff(longitude, axis=1) + 180) % 360 - 180
    return float(np.nanmedian(np.hypot(north, east * np.cos(np.radians(latitude[:, 1:])))))
