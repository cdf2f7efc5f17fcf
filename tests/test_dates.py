"""Grids whose dates are not those of the tracks: only their places are used, and this is said."""

import warnings
from contextlib import suppress

import pandas as pd
import pytest
import xarray as xr
from test_values import maps, oi, tracks

import xdvarnet
from xdvarnet.errors import InvalidInputError, XdvarnetWarning
from xdvarnet.grids.points import find_points
from xdvarnet.tracks.bin import daily_stamps
from xdvarnet.tracks.dates import days_of_tracks


def grid(start: str | None, days: int = 4) -> xr.Dataset:
    places = maps()[["lat", "lon"]]
    return (
        places if start is None else places.assign_coords(time=pd.date_range(start, periods=days))
    )


USES = {
    "evaluate": lambda where: xdvarnet.evaluate(
        {"OI": oi()}, tracks(), where, withhold="a", noise=0.01
    ),
    "calibrate": lambda where: xdvarnet.calibrate(oi(), tracks(), grid=where, noise=0.01, rng=0),
    "fit": lambda where: xdvarnet.OptimalInterpolation.fit(tracks(), where, trials=1),
}


@pytest.mark.filterwarnings("ignore::xdvarnet.XdvarnetWarning")
@pytest.mark.parametrize("use", USES)
def test_functions_that_use_places_alone_say_so(use):
    """What the warning advises ends it."""
    other = grid("2005-01-01")
    said = r"from 2005-01-01.*leave its dates out"
    with pytest.warns(XdvarnetWarning, match=said), suppress(InvalidInputError):
        USES[use](other)  # these tracks are too few for a calibration
    with warnings.catch_warnings(), suppress(InvalidInputError):
        warnings.filterwarnings("error", message="the grid has dates")
        USES[use](other.isel(time=0, drop=True))


@pytest.mark.parametrize(
    ("start", "days", "warned"),
    [
        (None, 0, False),
        ("2016-12-02", 1, False),
        ("2016-11-01", 60, False),
        ("2016-12-09", 9, True),
    ],
)
def test_days_that_overlap_are_of_the_tracks(start, days, warned):
    points = find_points(tracks())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = days_of_tracks(points, grid(start, days))
    assert len(caught) == warned
    xr.testing.assert_identical(found, daily_stamps(points.days, points.calendar))
