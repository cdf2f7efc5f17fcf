"""What all maps share: the day, the axes, the coast, the colours and the labels."""

import importlib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, MissingDependencyError
from xdvarnet.grids.checks import check_dataset, check_variable
from xdvarnet.grids.coords import EPOCH, Grid, find_axes, find_grid

if TYPE_CHECKING:
    from cartopy.crs import PlateCarree
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.collections import Collection
    from matplotlib.colors import Colormap

Day = str | datetime | np.datetime64 | xr.DataArray
"""A day: ``"2005-06-20"``, a date of the standard library or NumPy, or one time of a Dataset."""

LAND = "0.72"
COAST = "0.25"

ROUNDING = 1e-6
"""Degrees; a frame that ends at 180 does not cross it."""


class Frame(NamedTuple):
    """What a map shows, in degrees; the longitudes have no jump, and east is above west."""

    west: float
    east: float
    south: float
    north: float

    @property
    def middle(self) -> float:
        """Longitude half-way between west and east."""
        return (self.west + self.east) / 2


class Field(NamedTuple):
    """A variable to be drawn.

    Attributes
    ----------
    values : numpy.ndarray
        On a grid, shape (time, latitude, longitude); one entry in time where there is no time. Of
        points, shape (points,).
    latitude, longitude : numpy.ndarray
        Degrees, the longitudes without a jump: axes of the grid, both increasing, or positions of
        the points.
    frame : Frame
        What the map shows.
    land : numpy.ndarray or None
        True on land, shape (latitude, longitude); None where it is not known.
    date : str
        The day, or the first and the last.
    name, label : str
        The variable's name, and its long name with units.
    """

    values: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    frame: Frame
    land: np.ndarray | None
    date: str
    name: str
    label: str

    @property
    def x(self) -> np.ndarray:
        """Longitudes in the projection `frame_crs`."""
        return self.longitude - self.frame.middle


class Colours(NamedTuple):
    """Colour map and limits of a field."""

    cmap: "str | Colormap"
    vmin: float
    vmax: float


def check_installed() -> None:
    """Require the packages that draw.

    Raises
    ------
    MissingDependencyError
        If one is not installed; the message says how to install it.
    """
    for name in ("matplotlib", "cartopy", "cmocean"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MissingDependencyError(
                f'figures need {name}, which cannot be imported; pip install "xdvarnet[plot]".'
            ) from error


def select_field(dataset: xr.Dataset, variable: str, day: Day | None) -> Field:
    """Read a variable of one day, or of all days where `day` is None.

    Raises
    ------
    InvalidTypeError
        If `dataset` is no Dataset.
    UnknownNameError
        If the variable does not exist.
    InvalidInputError
        If the day is not in the dataset, or the variable has other dimensions than time, latitude
        and longitude.
    """
    check_dataset(dataset)
    find_axes(dataset, time=False)
    array = check_variable(dataset, variable, argument="variable")
    grid = find_grid(array, time=False)
    further = [dim for dim in array.dims if dim not in grid.axes.dims]
    if further:
        raise InvalidInputError(
            f"variable {variable!r} has the dimensions {array.dims}; a map has time, latitude and "
            f"longitude. Select one entry first: dataset.isel({further[0]}=0)."
        )
    if day is not None:
        array = _select_day(array, grid, day)
    date = ""
    if grid.axes.time is not None:
        dates = np.atleast_1d(array[grid.axes.time].values)
        date = describe_period(dates[0], dates[-1])
    values = grid.arrange(array).values
    land = None
    if "sea" in dataset.coords:
        land = ~grid.arrange(dataset["sea"]).values.astype(bool)
    return Field(
        values.reshape(-1, *grid.shape),
        grid.latitude,
        grid.longitude,
        _frame(grid),
        land,
        date,
        variable,
        label(array),
    )


def _frame(grid: Grid) -> Frame:
    """Return the borders of the outermost cells."""
    height, width = grid.spacing
    south, north = grid.latitude[[0, -1]] + np.array([-0.5, 0.5]) * height
    west, east = grid.longitude[[0, -1]] + np.array([-0.5, 0.5]) * width
    return Frame(float(west), float(east), max(float(south), -90.0), min(float(north), 90.0))


def describe_period(first: object, last: object) -> str:
    """Return the date, or both dates where they differ."""
    dates = [str(date)[:10] for date in (first, last)]
    return " to ".join(dict.fromkeys(dates))


def _select_day(array: xr.DataArray, grid: Grid, day: Day) -> xr.DataArray:
    time = grid.axes.time
    if time is None or grid.days is None:
        raise InvalidInputError(
            f"time={day!r} was given, but {array.name!r} has no time dimension."
        )
    wanted = read_day(day)
    dates = np.array([str(value)[:10] for value in array[time].values])  # of any calendar
    same_day = np.flatnonzero(dates == str(wanted)[:10])
    if not same_day.size:
        raise InvalidInputError(
            f"the dataset has no field on time={day!r}; its days go from {dates[0]} to {dates[-1]}."
        )
    hour = (wanted - EPOCH) / np.timedelta64(1, "D") % 1
    nearest = same_day[np.argmin(np.abs(grid.days[same_day] % 1 - hour))]
    return array.isel({time: [nearest]})


def read_day(day: Day) -> np.datetime64:
    """Return a day in nanoseconds.

    Raises
    ------
    InvalidInputError
        If it is no date.
    """
    date: Any = day
    if isinstance(day, xr.DataArray):
        date = day.values[()]  # a date where there is one, else refused below
        # numpy reads no date of cftime, whose class is there only where cftime is installed
        date = date.isoformat() if hasattr(date, "isoformat") else date
    try:
        return np.datetime64(date, "ns")
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"time={date!r} is no date; give one such as '2005-06-20'."
        ) from error


def label(array: xr.DataArray) -> str:
    """Return the long name of a variable with its units."""
    name = array.attrs.get("long_name") or array.attrs.get("standard_name") or array.name
    units = array.attrs.get("units", "1")
    name = str(name).replace("_", " ")
    return name if units in ("1", "") else f"{name} ({units})"


def choose_colours(
    field: Field,
    cmap: "str | Colormap | None",
    vmin: float | None,
    vmax: float | None,
    ax: "GeoAxes | None",
) -> Colours:
    """Choose the colour map and the limits that are not given.

    They are those of the same quantity where `ax` shows it already, so that tracks on a map can be
    compared with it.
    Temperature is drawn with cmocean's ``thermal``, salinity with ``haline``, a standard deviation
    or error with ``amp`` from zero on. All else is drawn with ``balance``, symmetric about zero, or
    about its median where zero is far from the middle. Limits hold 98 % of the values.
    """
    import cmocean

    finite = field.values[np.isfinite(field.values)]
    if not finite.size:
        finite = np.array([-1.0, 1.0])
    low, high = np.percentile(finite, [1, 99])
    text = f"{field.name} {field.label}".lower()
    shown = [each for each in ax.collections if each.get_gid() == field.label] if ax else []
    if shown:
        colours = Colours(shown[0].get_cmap(), *shown[0].get_clim())
    elif any(word in text for word in ("standard error", "standard deviation", "std")):
        colours = Colours(cmocean.cm.amp, 0, high)
    elif "temperature" in text or "sst" in text:
        colours = Colours(cmocean.cm.thermal, low, high)
    elif "salinity" in text:
        colours = Colours(cmocean.cm.haline, low, high)
    else:
        middle = float(np.median(finite))
        centre = middle if abs(middle) > 0.25 * (high - low) else 0.0
        reach = max(high - centre, centre - low)
        colours = Colours(cmocean.cm.balance, centre - reach, centre + reach)
    return Colours(
        colours.cmap if cmap is None else cmap,
        float(colours.vmin if vmin is None else vmin),
        float(colours.vmax if vmax is None else vmax),
    )


def frame_crs(frame: Frame) -> "PlateCarree":
    """Return a plain projection centred on the frame, in which no basin crosses its seam."""
    from cartopy.crs import PlateCarree

    return PlateCarree((frame.middle + 180) % 360 - 180)


def map_axes(frame: Frame, ax: "GeoAxes | None") -> "GeoAxes":
    """Prepare the axes of a map: extent and labelled grid lines.

    Parameters
    ----------
    frame : Frame
        What the map shows.
    ax : cartopy.mpl.geoaxes.GeoAxes, optional
        Axes to use; default new ones in a new figure.

    Raises
    ------
    InvalidTypeError
        If `ax` has no projection.
    """
    import matplotlib.pyplot as plt
    from cartopy.crs import PlateCarree
    from cartopy.mpl.geoaxes import GeoAxes
    from cartopy.mpl.gridliner import Gridliner
    from matplotlib.ticker import FixedLocator, MaxNLocator

    west, east, south, north = frame
    crs = frame_crs(frame)
    turns = (west + 180 + ROUNDING) // 360, (east + 180 - ROUNDING) // 360
    around_the_globe = east - west > 350
    seam = turns[0] != turns[1] and not around_the_globe
    if ax is None:
        projection = crs if seam else PlateCarree()
        height = np.clip(9 * (north - south) / (east - west) + 1.2, 3.5, 9)
        _, made = plt.subplots(
            figsize=(9, height), layout="constrained", subplot_kw={"projection": projection}
        )
        ax = cast(GeoAxes, made)  # the axes of the projection
    elif not isinstance(ax, GeoAxes):
        raise InvalidTypeError(
            f"ax is {type(ax).__name__} and has no projection; make it with "
            'plt.subplots(subplot_kw={"projection": cartopy.crs.PlateCarree()}).'
        )
    if around_the_globe:
        ax.set_global()
    else:
        half = (east - west) / 2
        ax.set_extent((-half, half, south, north), crs=crs)
    if any(isinstance(artist, Gridliner) for artist in ax.artists):  # from an earlier plot
        return ax
    lines = ax.gridlines(draw_labels=["left", "bottom"], color="0.5", alpha=0.4, linewidth=0.5)
    if seam:  # cartopy would label one side of it only
        ticks = np.asarray(MaxNLocator(6, steps=[1, 2, 3, 5, 10]).tick_values(west, east))
        lines.xlocator = FixedLocator(((ticks + 180) % 360 - 180).tolist())
    lines.xlabel_style = lines.ylabel_style = {"size": "small"}
    return ax


def draw_land(ax: "GeoAxes", field: Field) -> None:
    """Draw land and coast without any download.

    From Natural Earth where cartopy has it on disk (scale 10 m or 50 m), else from the land mask
    of the field, if there is one.
    """
    from cartopy import feature

    scale = next((scale for scale in ("10m", "50m") if _on_disk(scale)), None)
    if scale is not None:
        ax.add_feature(feature.LAND.with_scale(scale), facecolor=LAND, zorder=2)
        ax.add_feature(feature.COASTLINE.with_scale(scale), edgecolor=COAST, linewidth=0.6)
        return
    if field.land is None or not field.land.any():
        return
    crs, x, y = frame_crs(field.frame), field.x, field.latitude
    land = field.land.astype(float)
    cells = np.where(field.land, 1.0, np.nan)
    ax.pcolormesh(x, y, cells, cmap=_plain(LAND), transform=crs, shading="nearest", zorder=2)
    ax.contourf(x, y, land, levels=[0.5, 1.5], colors=[LAND], transform=crs, zorder=2)
    if not field.land.all():
        ax.contour(x, y, land, levels=[0.5], colors=COAST, linewidths=0.6, transform=crs, zorder=3)


def _plain(colour: str) -> "Colormap":
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour])


def _on_disk(scale: str) -> bool:
    from cartopy import config
    from cartopy.io import Downloader

    for name in ("land", "coastline"):
        parts = {"resolution": scale, "category": "physical", "name": name, "config": config}
        source = Downloader.from_config(("shapefiles", "natural_earth", scale, "physical", name))
        paths = (source.pre_downloaded_path(parts), source.target_path(parts))
        if not any(path is not None and Path(path).exists() for path in paths):
            return False
    return True


def finish(
    ax: "GeoAxes", drawn: "Collection", field: Field, title: str | None, colorbar: bool
) -> None:
    """Add the title and the colour bar, and note the quantity that was drawn."""
    drawn.set_gid(field.label)
    ax.set_title(field.date if title is None else title)
    if not colorbar:
        return
    from matplotlib.ticker import MaxNLocator

    west, east, south, north = field.frame
    wide = east - west > 1.5 * (north - south)
    finite = field.values[np.isfinite(field.values)]
    below = finite.size and finite.min() < drawn.norm.vmin
    above = finite.size and finite.max() > drawn.norm.vmax
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}
    ax.figure.colorbar(
        drawn,
        ax=ax,
        label=field.label,
        ticks=MaxNLocator(5),
        extend=extend[int(below), int(above)],
        orientation="horizontal" if wide else "vertical",
        shrink=0.7 if wide else 0.9,
        aspect=40 if wide else 25,
        pad=0.03,
    )
