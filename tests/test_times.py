"""Holes between maps, calendars and dates: one rule for all that places points in time."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids import blocks as cut
from xdvarnet.grids.times import end_steps, find_holes, to_dates, usual_step
from xdvarnet.observing import fly
from xdvarnet.tracks import bin_tracks, sample_tracks

START = np.datetime64("2017-01-01", "ns")
AXES = {"lat": [40.0, 41.0, 42.0], "lon": [5.0, 6.0, 7.0, 8.0]}


def maps(days) -> xr.Dataset:
    """Return maps whose value is their day."""
    days = np.asarray(days, float)
    times = START + (days * 86400e9).astype("timedelta64[ns]")
    field = np.broadcast_to(days[:, None, None], (days.size, 3, 4))
    return xr.Dataset({"ssh": (("time", "lat", "lon"), field)}, {"time": times} | AXES)


def points(days) -> xr.Dataset:
    """Return points inside the grid, whose value is one."""
    times = START + (np.asarray(days, float) * 86400e9).astype("timedelta64[ns]")
    place = {
        "latitude": ("time", np.full(times.size, 41.2)),
        "longitude": ("time", np.full(times.size, 6.1)),
    }
    return xr.Dataset({"sla": ("time", np.ones(times.size))}, {"time": times} | place)


def test_the_usual_step_is_the_median():
    assert usual_step(np.array([0.0, 1, 2, 40, 41])) == 1
    assert usual_step(np.array([0.0, 1, 40])) == 1  # of two, the shorter
    assert usual_step(np.array([3.0])) == 1
    assert end_steps(np.array([0.0, 39, 40, 41])) == (1, 1)
    assert end_steps(np.array([0.0, 2, 3, 4])) == (2, 1)


@pytest.mark.parametrize("usual", [1.0, 5.0])
def test_maps_beside_a_hole_hold_for_half_a_step(usual):
    """A hole is longer than two usual steps; a step of two is bridged."""
    days = usual * np.array([0, 1, 2, 4, 5, 12, 13])
    times = usual * np.array([3.0, 5.4, 5.6, 8.0, 11.4, 11.6, 12.5])
    inside, held = find_holes(times, days)
    np.testing.assert_array_equal(inside, [False, True, True, True, True, True, False])
    np.testing.assert_array_equal(held, [False, True, False, False, False, True, False])


@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_nothing_is_sampled_in_a_hole(method):
    """The value is that of the map of the nearest day, or none."""
    at = [0.25, 2.0, 15.0, 39.4, 39.75, 40.3]
    sampled = sample_tracks(maps([0, 1, 40, 41]), points(at), method=method)
    expected = [0.25 if method == "linear" else 0, np.nan, np.nan, np.nan, 40]
    np.testing.assert_allclose(sampled["ssh"][:5], expected)
    assert sampled.attrs["xdvarnet_points_outside"] == 3
    nowhere = sample_tracks(maps([0, 1, 40]), points([15.0, 16.0]), method=method)
    assert nowhere["ssh"].isnull().all()  # the period is right, and there is no map
    steady = sample_tracks(maps([0, 2, 4, 8, 10]), points([6.0]), method=method)
    assert steady["ssh"].notnull().all()  # two usual steps are no hole


def test_stamps_do_not_gather_the_points_of_a_hole():
    """Binning and sampling leave out the same points."""
    at = np.array([0.25, 1.4, 2.0, 15.0, 39.4, 39.75, 40.3])
    binned = bin_tracks(points(at), maps([0, 1, 40, 41]), statistic="count")
    np.testing.assert_array_equal(binned["sla"].sum(["lat", "lon"]), [1, 1, 2, 0])
    assert binned.attrs["xdvarnet_points_outside"] == 3
    first = bin_tracks(points([-3.0, -0.4, 0.4]), maps([0, 39, 40, 41]), statistic="count")
    assert first["sla"].sum() == 2


def test_bins_are_the_days_of_the_grid():
    """Its dates, if it has these; those of the tracks are asked for with `time`."""
    days = np.array([0, 5, 10, 15])
    grid = maps(days).isel(lat=slice(None, None, -1))
    binned = bin_tracks(points([4.0, 7.4, 16.0]), grid)
    np.testing.assert_array_equal(binned["time"], grid["time"])
    np.testing.assert_array_equal(binned["sla"].count(["lat", "lon"]), [0, 1, 0, 1])
    other = points([100.0])
    with pytest.raises(InvalidInputError, match=r"dates of the grid out: grid.isel\(time=0\)"):
        bin_tracks(other, grid)
    assert bin_tracks(other, grid, time=pd.date_range("2017-04-11", periods=1))["sla"].count() == 1
    assert bin_tracks(other, grid.isel(time=0))["time"].size == 1  # one date is no axis


def test_a_stray_date_makes_no_axis_of_decades():
    """It is refused with the date and the count; both ways out of the message work."""
    stray = points([-17000.0, 0.0, 0.3, 1.0])
    with pytest.raises(
        InvalidInputError, match="1 of 4 points are until 1970-06-17.*17002 days"
    ) as problem:
        bin_tracks(stray, xr.Dataset(coords=AXES))
    assert "tracks['time'].dt.year" in str(problem.value)
    kept = stray.isel(time=(stray["time"].dt.year > 1970).values)
    assert bin_tracks(kept, xr.Dataset(coords=AXES))["time"].size == 2
    given = bin_tracks(stray, xr.Dataset(coords=AXES), time=pd.date_range("2017-01-01", periods=2))
    assert given.attrs["xdvarnet_points_outside"] == 1
    late = points([0.0, 0.3, 1.0, 9000.0])
    with pytest.raises(InvalidInputError, match="1 of 4 points are from 2041"):
        bin_tracks(late, xr.Dataset(coords=AXES))


def test_dates_beyond_nanoseconds_are_refused():
    """They would come back as other dates."""
    days = np.array([0.0, 20000.25, -90000.0])
    expected = np.array(["1950-01-01", "2004-10-04T06", "1703-08-04"], "datetime64[ns]")
    np.testing.assert_array_equal(to_dates(days), expected)
    for far in (150_000, -120_000):
        with pytest.raises(InvalidInputError, match="outside 1677-09-22 to 2262-04-10"):
            to_dates(np.array([0.0, far]))
    with pytest.raises(InvalidInputError, match="outside 1677"):
        fly("jason1", "2300-01-01", "2300-01-02", region=(0, 10, 30, 40))
    later = points([0.0]).assign_coords(time=np.array(["2300-01-01"], "datetime64[s]"))
    with pytest.raises(InvalidInputError, match="2300-01-01 are outside 1677"):
        bin_tracks(later, xr.Dataset(coords=AXES))


@pytest.mark.parametrize("statistic", ["mean", "median", "std", "count"])
def test_points_are_treated_some_at_a_time(monkeypatch, statistic):
    """In blocks of seven the results are the same, and no array in between is longer."""
    rng = np.random.default_rng(0)
    many = points(np.sort(rng.uniform(0, 4, 200)))
    many["latitude"][:], many["longitude"][:] = rng.uniform(39, 43, 200), rng.uniform(4, 9, 200)
    many["sla"][:] = rng.normal(size=200)
    whole = bin_tracks(many, maps(range(5)), statistic=statistic)
    sampled = sample_tracks(maps(range(5)), many)
    monkeypatch.setattr(cut, "BLOCK", 7)
    monkeypatch.setattr("xdvarnet.tracks.bin.BLOCK", 7)
    lengths = []
    monkeypatch.setattr(
        "xdvarnet.tracks.sample._place", spy("xdvarnet.tracks.sample", "_place", lengths)
    )
    monkeypatch.setattr(
        "xdvarnet.tracks.bin._find_cell", spy("xdvarnet.tracks.bin", "_find_cell", lengths)
    )
    xr.testing.assert_allclose(bin_tracks(many, maps(range(5)), statistic=statistic), whole)
    xr.testing.assert_identical(sample_tracks(maps(range(5)), many), sampled)
    assert max(lengths) == 7


def spy(module: str, name: str, lengths: list[int]):
    """Return the function of a module that also notes the length of its first argument."""
    function = vars(__import__(module, fromlist=[name]))[name]

    def noted(values, *rest):
        lengths.append(len(values))
        return function(values, *rest)

    return noted
