"""Maps of gridded observations with gaps, such as the tracks of altimeters."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xdvarnet.plot.axes import (
    Day,
    check_installed,
    choose_colours,
    draw_land,
    finish,
    map_axes,
    select_field,
    source_crs,
)

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.colors import Colormap

SMALLEST_MARKER = 3.0
"""Smallest side of an observed cell in the figure, in points."""

OUTLINE = "0.45"
"""Colour around the tracks, so that pale values are seen on the white of unobserved sea."""


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
    """Draw the observed cells large enough to be seen, with the coast.

    Parameters
    ----------
    dataset : xarray.Dataset
        Gridded observations, NaN where there is none; land is where its coordinate ``sea`` is
        False, and is not drawn without that.
    variable : str
        What to draw.
    time : str or date, optional
        The day, such as ``"2005-06-20"``; default all days together, each cell with its mean.
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
        If the day does not exist.
    InvalidTypeError
        If `dataset` is no Dataset, or `ax` has no projection.
    MissingDependencyError
        If cartopy, matplotlib or cmocean is not installed.
    """
    check_installed()
    field = select_field(dataset, variable, time)
    observed = np.isfinite(field.values)
    number = observed.sum(0)
    rows, columns = np.nonzero(number)
    total = np.where(observed, field.values, 0).sum(0)
    values = total[rows, columns] / number[rows, columns]
    colours = choose_colours(field, cmap, vmin, vmax)
    axes = map_axes(field.grid, ax)
    crs, x = source_crs(field.grid)
    draw_land(axes, field)
    width = axes.get_position().width * axes.figure.get_figwidth() * 72  # in points
    side = max(SMALLEST_MARKER, width / x.size)
    place = x[columns], field.grid.latitude[rows]
    square = {"marker": "s", "linewidths": 0, "transform": crs, "zorder": 4}
    axes.scatter(*place, s=(side + 1) ** 2, color=OUTLINE, **square)
    drawn = axes.scatter(*place, s=side**2, c=values, **square, **colours._asdict())
    finish(axes, drawn, field, title, colorbar)
    return axes
