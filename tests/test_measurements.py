"""Measurements: their place in the grid, their mission and their place in the swath."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet._random import default_rng
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import find_grid
from xdvarnet.observing.measurements import Flight, draw_phases
from xdvarnet.observing.missions import MISSIONS, read_missions
from xdvarnet.observing.orbits import ground_speed, ground_track

MISSION_NAMES = ["saral", "swot", "sentinel6", "swot_nadir"]
FLOWN = read_missions(MISSION_NAMES)


def grid(days=6):
    """Return a grid with three different steps and sizes."""
    return find_grid(
        xr.Dataset(
            coords={
                "time": pd.date_range("2023-08-01", periods=days),
                "lat": 33 + 0.25 * np.arange(22),
                "lon": -5 + 0.4 * np.arange(31),
            }
        )
    )


@pytest.fixture(scope="module")
def flight():
    """Return four missions on six days."""
    return Flight(FLOWN, grid(), default_rng(2))


def joined(flight, name, mission):
    """Return what is measured by a mission on all days, and the position of the day of each."""
    own = [points.missions == MISSION_NAMES.index(mission) for points in flight]
    parts = [getattr(points, name)[here] for points, here in zip(flight, own, strict=True)]
    return np.concatenate(parts), np.repeat(range(6), [part.size for part in parts])


def test_all_are_in_the_cells_of_the_grid(flight):
    """Places are clamped to the centres at the borders."""
    assert len(flight.counts) == 6 and sum(flight.counts) > 1000
    for points, count in zip(flight, flight.counts, strict=True):
        assert points.rows.size == points.along.size == count
        for places, size in ((points.rows, 22), (points.columns, 31)):
            assert places.min() >= 0 and places.max() <= size - 1


def test_a_nadir_altimeter_has_the_points_of_its_track(flight):
    """In the middle of the domain rows and columns are its latitudes and longitudes."""
    phase = draw_phases(FLOWN, default_rng(2))["sentinel6"]
    first = grid().days[0]
    days, longitude, latitude = ground_track(
        MISSIONS["sentinel6"], first, first + 6, phase=phase, region=(-5.2, 7.2, 32.875, 38.375)
    )
    rows, day = joined(flight, "rows", "sentinel6")
    np.testing.assert_array_equal(day, (days - first).astype(int))
    np.testing.assert_allclose(rows, np.clip((latitude - 33) / 0.25, 0, 21), atol=1e-9)
    columns, _ = joined(flight, "columns", "sentinel6")
    np.testing.assert_allclose(columns, np.clip((longitude + 5) / 0.4, 0, 30), atol=1e-9)
    assert (joined(flight, "across", "sentinel6")[0] == 0).all()


def test_pixels_of_a_swath_have_their_place_in_it(flight):
    """Lines 2 km apart along the track, pixels at distances that the mission has."""
    assert set(joined(flight, "across", "swot")[0]) == set(MISSIONS["swot"].swath.distances)
    lines, counts = np.unique(joined(flight, "along", "swot")[0], return_counts=True)
    assert counts.max() == 52
    steps = np.diff(lines)
    np.testing.assert_allclose(steps[steps < 100], 2, rtol=1e-5)
    assert steps[steps > 100].min() > 5000  # to the next revolution


def test_distance_flown_is_that_of_the_time(flight):
    """The altimeter of SWOT is along the track where its swath is on that second."""
    speed = ground_speed(MISSIONS["swot"])
    for name in ("swot", "swot_nadir"):
        along, day = joined(flight, "along", name)
        np.testing.assert_array_equal(np.floor(along / speed / 86400 - grid().days[0]), day)


def test_days_that_are_not_kept_are_flown_again(flight, monkeypatch):
    """To the same points, in any order."""
    monkeypatch.setattr("xdvarnet.observing.measurements.KEPT", flight.counts[0])
    again = Flight(FLOWN, grid(), default_rng(2))
    assert again.counts == flight.counts
    assert again.on(0) is again.on(0) and again.on(1) is not again.on(1)
    for day in (4, 0, 3):
        for name, expected in vars(flight.on(day)).items():
            np.testing.assert_array_equal(getattr(again.on(day), name), expected)


def test_phases_of_partners_are_bound_and_others_free():
    """Each mission uses one number of the generator, with or without a partner."""
    drawn = default_rng(5).random(4)
    phases = draw_phases(FLOWN, default_rng(5))
    assert phases["swot"] == phases["swot_nadir"] == drawn[3]
    assert [phases["saral"], phases["sentinel6"]] == [drawn[0], drawn[2]]
    assert draw_phases(read_missions("swot"), default_rng(5)) == {"swot": drawn[0]}
    jason = draw_phases(read_missions(["jason3", "sentinel6"]), default_rng(5))["jason3"]
    assert jason == pytest.approx((drawn[1] - 4.5 / 127) % 1)


def test_no_days():
    """An empty time axis is refused."""
    with pytest.raises(InvalidInputError, match="'time' is empty; there is no day to observe"):
        Flight(read_missions("gfo"), grid(days=0), default_rng(0))
