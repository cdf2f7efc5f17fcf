"""Maps of complete fields."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import find_grid
from xdvarnet.plot.axes import (
    Day,
    check_installed,
    choose_colours,
    draw_land,
    finish,
    frame_crs,
    map_axes,
    select_field,
)

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.colors import Colormap


def plot_map(
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
    """Draw the map of one day, with the coast.

    Parameters
    ----------
    dataset : xarray.Dataset
        Gridded, with longitude and latitude. Land is where its coordinate ``sea`` is False, or
        without that, where the variable is missing on all days.
    variable : str
        What to draw.
    time : str or date, optional
        The day, such as ``"2005-06-20"``; not needed where there is only one.
    ax : cartopy.mpl.geoaxes.GeoAxes, optional
        Axes to draw in; default new ones in a new figure.
    cmap : str or matplotlib.colors.Colormap, optional
        Default by the variable's name, from cmocean.
    vmin, vmax : float, optional
        Limits of the colours, in the variable's units; default from the data.
    title : str, optional
        Default the date.
    colorbar : bool
        Whether to draw the colour bar, with the variable's long name and units.

    Returns
    -------
    cartopy.mpl.geoaxes.GeoAxes
        The axes, to add to.

    Raises
    ------
    UnknownNameError
        If the variable does not exist.
    InvalidInputError
        If the day does not exist, or none is given and there are several.
    InvalidTypeError
        If `dataset` is no Dataset, or `ax` has no projection.
    MissingDependencyError
        If cartopy, matplotlib or cmocean is not installed.
    """
    check_installed()
    field = select_field(dataset, variable, time)
    if field.values.shape[0] > 1:
        raise InvalidInputError(
            f"variable {variable!r} has {field.values.shape[0]} days, {field.date}; choose one "
            f"with time='{field.date[:10]}'."
        )
    if field.land is None:
        field = field._replace(land=~_ever_known(dataset[variable]))
    colours = choose_colours(field, cmap, vmin, vmax, ax)
    axes = map_axes(field.frame, ax)
    drawn = axes.pcolormesh(
        field.x,
        field.latitude,
        np.ma.masked_invalid(field.values[0]),
        transform=frame_crs(field.frame),
        shading="nearest",
        rasterized=True,
        **colours._asdict(),
    )
    draw_land(axes, field)
    finish(axes, drawn, field, title, colorbar)
    return axes


def _ever_known(array: xr.DataArray) -> np.ndarray:
    """Return where there is a value on any day, shape (latitude, longitude)."""
    grid = find_grid(array, time=False)
    days = [dim for dim in array.dims if dim == grid.axes.time]
    return grid.arrange(array.notnull().any(days)).values
