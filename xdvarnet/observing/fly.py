"""Where a mission measures, as a Dataset of points."""

import numpy as np
import pandas as pd
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import EPOCH
from xdvarnet.grids.names import DEGREES
from xdvarnet.grids.times import to_dates
from xdvarnet.observing.base import Mission, checked_positions
from xdvarnet.observing.missions import read_mission
from xdvarnet.observing.orbits import Orbit, Region

_ATTRIBUTES = {
    "time": {"standard_name": "time", "long_name": "time of the measurement"},
    "longitude": {"standard_name": "longitude", **DEGREES["longitude"]},
    "latitude": {"standard_name": "latitude", **DEGREES["latitude"]},
    "cross_track_distance": {
        "long_name": "distance from the ground track, negative on the left",
        "units": "km",
    },
}


def fly(
    mission: str | Mission,
    start: str | np.datetime64 | pd.Timestamp,
    end: str | np.datetime64 | pd.Timestamp,
    *,
    phase: float = 0.0,
    region: Region | None = None,
) -> xr.Dataset:
    """Fly a mission: the points that it measures, without values.

    Parameters
    ----------
    mission : str or Mission
        Name, one of `xdvarnet.observing.list_missions`, or a mission of your own.
    start, end : str, numpy.datetime64 or pandas.Timestamp
        Period, the end excluded.
    phase : float
        Place of the orbit: longitude of its ascending node at 1950-01-01 00:00 as a fraction of a
        turn. Where the orbit has a partner it is that of the partner, so missions that are flown
        with one phase keep their places: Sentinel-3A and 3B, Sentinel-6 and Jason-3, and the
        altimeter and the swath of SWOT.
    region : tuple of float, optional
        West, east, south and north border in degrees. The whole globe by default, where a day of a
        swath has 14 million pixels.

    Returns
    -------
    xarray.Dataset
        Without variables. Of a swath: time along ``num_lines``, longitude and latitude along
        ``num_lines`` and ``num_pixels``, and ``cross_track_distance`` in km along ``num_pixels``;
        lines are whole, so some of their pixels may be outside the region. Of all others: time,
        longitude and latitude along ``time``; a nadir altimeter has one point a second.

    Raises
    ------
    UnknownNameError
        If the mission is unknown.
    InvalidTypeError
        If it is neither a name nor a mission.
    InvalidInputError
        If the period is empty or no dates, the region is none, or a mission of your own has the
        name of a known one, or positions that are not as they must be.

    Examples
    --------
    >>> cycle = fly("swot", "2023-08-01", "2023-08-22", region=(-6, 4, 35, 40))
    >>> dict(cycle.sizes)
    {'num_lines': 5438, 'num_pixels': 52}
    """
    flown = read_mission(mission)
    first, last = _days(start, "start"), _days(end, "end")
    if last <= first:
        raise InvalidInputError(f"start={start} is not before end={end}; give a period.")
    _check_region(region)
    positions = checked_positions(flown, first, last, phase=flown.phase(phase), region=region)
    dims = ("time",) if flown.swath is None else ("num_lines", "num_pixels")
    coords = {
        "time": (dims[0], to_dates(positions.days)),
        "longitude": (dims, positions.longitude),
        "latitude": (dims, positions.latitude),
    }
    if flown.swath is not None:
        coords["cross_track_distance"] = ("num_pixels", flown.swath.distances)
    described = {name: (*value, _ATTRIBUTES[name]) for name, value in coords.items()}
    source = "circular orbit" if isinstance(flown, Orbit) else type(flown).__name__
    return xr.Dataset(coords=described, attrs={"mission": flown.name, "source": source})


def _days(date: str | np.datetime64 | pd.Timestamp, name: str) -> float:
    try:
        days = (pd.Timestamp(date) - pd.Timestamp(EPOCH)) / pd.Timedelta(days=1)
        if np.isnan(days):
            raise ValueError("not a time")
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"{name}={date!r} is no date ({error}); give one such as '2023-08-01', in UTC and "
            "without a time zone."
        ) from error
    return days


def _check_region(region: Region | None) -> None:
    if region is None:
        return
    try:
        west, east, south, north = map(float, region)
        good = west < east <= west + 360 and -90 <= south < north <= 90
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InvalidInputError(
            f"region={region!r} is not accepted; give (west, east, south, north) in degrees, with "
            "west below east by at most 360, also across a meridian: (170, 190, -10, 10)."
        )
