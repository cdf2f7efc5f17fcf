"""The days of tracks, where a grid is asked for its places alone."""

import numpy as np
import xarray as xr

from xdvarnet.errors import warn
from xdvarnet.grids.coords import days_since_epoch
from xdvarnet.grids.points import Points
from xdvarnet.tracks.bin import daily_stamps, dates_of


def days_of_tracks(points: Points, grid: xr.Dataset) -> xr.DataArray:
    """Return midnight of each day of tracks, whatever the dates of a grid are.

    Parameters
    ----------
    points : Points
        Of the tracks.
    grid : xarray.Dataset
        Whose places are used.

    Raises
    ------
    InvalidInputError
        As `daily_stamps` does.

    Warns
    -----
    XdvarnetWarning
        If the grid has dates, and no point is of one of these days.
    """
    stamps, dates = daily_stamps(points.days, points.calendar), dates_of(grid)
    if dates is None or dates.dt.calendar != stamps.dt.calendar:
        return stamps
    days = days_since_epoch(dates)
    if np.isin(np.round(points.days), np.round(days)).any():
        return stamps
    warn(
        f"the grid has dates from {dates.values[0]} to {dates.values[-1]}, and the tracks are from "
        f"{stamps.values[0]} to {stamps.values[-1]}; only the places and the mask of the grid are "
        "used. If that is meant, leave its dates out: grid.isel(time=0, drop=True)."
    )
    return stamps
