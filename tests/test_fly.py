"""Datasets of the points that a mission measures."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.grids.points import find_points
from xdvarnet.observing.fly import fly
from xdvarnet.observing.missions import MISSIONS
from xdvarnet.observing.orbits import ground_track
from xdvarnet.observing.swath import swath_points

REGION = (-6.0, 4.0, 35.0, 40.0)
FIRST = (pd.Timestamp("2023-08-01") - pd.Timestamp("1950-01-01")).days


def test_points_of_an_altimeter():
    """They are those of its ground track, one each second of the period."""
    dataset = fly("saral", "2023-08-01", "2023-08-03", phase=0.3, region=REGION)
    days, longitude, latitude = ground_track(
        MISSIONS["saral"], FIRST, FIRST + 2, phase=0.3, region=REGION
    )
    np.testing.assert_array_equal(dataset["longitude"], longitude)
    np.testing.assert_array_equal(dataset["latitude"], latitude)
    seconds = (dataset["time"].values - np.datetime64("2023-08-01", "ns")) / np.timedelta64(1, "s")
    np.testing.assert_array_equal(seconds, np.round((days - FIRST) * 86400))
    assert set(dataset["latitude"].dims) == {"time"}


def test_points_of_a_swath():
    """Lines and pixels, with the distance from the track."""
    dataset = fly("swot", "2023-08-01", "2023-08-09", phase=0.3, region=REGION)
    swot = MISSIONS["swot"]
    _, longitude, latitude = swath_points(
        swot, swot.swath, FIRST, FIRST + 8, phase=0.3, region=REGION
    )
    assert dataset["longitude"].dims == ("num_lines", "num_pixels")
    assert dataset["time"].dims == ("num_lines",)
    np.testing.assert_array_equal(dataset["longitude"], longitude)
    np.testing.assert_array_equal(dataset["latitude"], latitude)
    np.testing.assert_array_equal(dataset["cross_track_distance"], MISSIONS["swot"].swath.distances)
    assert dataset["cross_track_distance"].attrs["units"] == "km"


@pytest.mark.parametrize("name", ["hy2b", "swot"])
def test_points_are_found_by_their_attributes(name):
    """Whatever the names, and again when read from a file."""
    dataset = fly(name, "2023-08-01", "2023-08-05", region=REGION)
    renamed = dataset.rename(time="when", longitude="a", latitude="b")
    for given in (dataset, renamed):
        points = find_points(given)
        assert points.days.size == dataset["longitude"].size
        assert FIRST <= points.days.min() and points.days.max() < FIRST + 4


def test_points_can_be_written(tmp_path):
    """Attributes are strings and numbers; times keep their microseconds."""
    dataset = fly("swot", "2023-08-01", "2023-08-05", region=REGION)
    dataset.to_netcdf(tmp_path / "points.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "points.nc", engine="h5netcdf") as stored:
        again = find_points(stored)
    np.testing.assert_allclose(again.days, find_points(dataset).days, rtol=0, atol=1e-9)


def test_missions_of_one_phase_keep_their_places():
    """The altimeter of SWOT is in the middle of its swath; Jason-3 between Sentinel-6's tracks."""
    cycle = {"start": "2023-08-01", "end": "2023-08-11", "phase": 0.7}
    node = {}
    for name in ("jason3", "sentinel6"):
        track = fly(name, **cycle, region=(-180, 180, -0.05, 0.05))
        rising = np.gradient(track["latitude"]) > 0
        node[name] = track["longitude"].values[rising]
    gap = np.abs((node["jason3"][:, None] - node["sentinel6"] + 180) % 360 - 180).min(axis=1)
    np.testing.assert_allclose(gap, 180 / 127, atol=0.05)
    swath = fly("swot", **cycle, region=REGION)
    nadir = fly("swot_nadir", **cycle, region=REGION)
    where = np.searchsorted(swath["time"], nadir["time"])
    where = np.clip(where, 0, swath.sizes["num_lines"] - 1)
    near = np.abs(swath["time"].values[where] - nadir["time"].values) < np.timedelta64(400, "ms")
    middle = swath["longitude"].isel(num_pixels=[25, 26]).mean("num_pixels").values[where]
    assert near.mean() > 0.95
    assert np.abs(middle - nadir["longitude"].values)[near].max() < 0.03


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("jason9", "2023-08-01", "2023-08-02"), UnknownNameError, "unknown mission 'jason9'"),
        (("gfo", "2023-08-02", "2023-08-02"), InvalidInputError, "is not before end=2023-08-02"),
        (("gfo", "soon", "2023-08-02"), InvalidInputError, "start='soon' is no date"),
        (("gfo", "2023-08-01", "2023-08-02T00Z"), InvalidInputError, "without a time zone"),
        (("gfo", "2023-08-01", None), InvalidInputError, "end=None is no date"),
    ],
)
def test_bad_period(arguments, error, message):
    """Messages say which of the two is wrong."""
    with pytest.raises(error, match=message):
        fly(*arguments)


@pytest.mark.parametrize(
    "region", [(4, -6, 35, 40), (-6, 4, 40, 35), (0, 361, 0, 1), (0, 1, 2), (0, 1, 0, 91), "here"]
)
def test_bad_region(region):
    """A message says the order of the borders."""
    with pytest.raises(InvalidInputError, match=r"give \(west, east, south, north\) in degrees"):
        fly("gfo", "2023-08-01", "2023-08-02", region=region)
