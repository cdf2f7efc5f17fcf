"""Pieces of tracks without a gap: where they are cut, and where not."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.tracks.segments import find_label, segments


def track(seconds, **labels) -> xr.Dataset:
    """Return points at times in seconds, with labels as variables."""
    seconds = np.asarray(seconds, float)
    return xr.Dataset(
        {name: ("time", np.asarray(values)) for name, values in labels.items()},
        {
            "time": pd.Timestamp("2017-01-01T23:59:50") + pd.to_timedelta(seconds, "s"),
            "longitude": ("time", np.linspace(359, 361, seconds.size)),
            "latitude": ("time", np.linspace(40, 44, seconds.size)),
        },
    )


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        ("4 s", [0, 0, 0, 1, 1, 2]),
        (4, [0, 0, 0, 1, 1, 2]),
        (3.9, [0, 0, 1, 2, 2, 3]),
        ("1 minute", [0, 0, 0, 0, 0, 1]),
        ("1 h", [0] * 6),
    ],
)
def test_a_gap_cuts(gap, expected):
    """A step longer than the gap ends a segment; one of just its length does not."""
    found = segments(track([0, 1, 5, 9.1, 10, 100]), gap=gap)
    np.testing.assert_array_equal(found, expected)
    assert found.name == "segment"
    assert found.dims == ("time",)
    assert np.issubdtype(found.dtype, np.integer)
    assert "longitude" in found.coords


def test_the_length_of_a_second_is_not_rounded():
    """Measurements one second apart are one segment for a gap of one second."""
    assert segments(track(np.arange(20_000)), gap="1 s").max() == 0


@pytest.mark.parametrize("name", ["cycle", "cycle_number", "track", "pass", "mission", "platform"])
def test_a_label_cuts(name):
    """A segment ends where the mission, the cycle or the pass changes, not by an attribute."""
    values = ["a", "a", "b", "b", "b"] if name in ("mission", "platform") else [3, 3, 4, 4, 4]
    points = track(range(5), **{name: values})
    np.testing.assert_array_equal(segments(points), [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(segments(points.set_coords(name)), [0, 0, 1, 1, 1])
    assert segments(points.drop_vars(name).assign_attrs({name: "b"})).max() == 0


def test_mixed_missions_do_not_cut_each_other():
    """In blocks or in the order of time, the missions have the same segments."""
    one = track([0, 1, 2, 30, 31], mission=["j3"] * 5)
    other = track([0.5, 1.5, 2.5, 3.5], mission=["c2"] * 4)
    blocks = xr.concat([one, other], "time")
    np.testing.assert_array_equal(segments(blocks), [0, 0, 0, 1, 1, 2, 2, 2, 2])
    mixed = segments(blocks.sortby("time"))
    np.testing.assert_array_equal(mixed, [0, 2, 0, 2, 0, 2, 2, 1, 1])


def test_two_missions_may_measure_at_one_time():
    """Equal times of two missions are no duplicates."""
    one, other = (track(range(3), mission=[name] * 3) for name in ("s3a", "s3b"))
    assert segments(xr.concat([one, other], "time")).max() == 1


def test_times_must_increase():
    """The messages say how to sort, to drop, and to label missions."""
    with pytest.raises(InvalidInputError, match=r"backwards.* 1 time.*tracks.sortby\('time'\)"):
        segments(track([0, 1, 3, 2]))
    with pytest.raises(InvalidInputError, match=r"2 dup.*tracks.drop_duplicates\('time'\)"):
        segments(track([0, 1, 1, 2, 2]))
    points = track([0, 1, 1]).rename_dims(time="obs").reset_index("time")
    with pytest.raises(InvalidInputError, match=r"swap_dims\(obs='time'\).drop_duplicates"):
        segments(points)
    assert segments(points.swap_dims(obs="time").drop_duplicates("time")).size == 2
    with pytest.raises(InvalidInputError, match=r"label them: tracks.assign\(mission=\('time'"):
        segments(xr.concat([track([0, 1]), track([0, 1])], "time"))


def test_what_is_wrong_is_said():
    """Swaths, gaps that are no time and things that are no Dataset are refused."""
    with pytest.raises(InvalidInputError, match="gap='4 km' is not understood"):
        segments(track([0, 1]), gap="4 km")
    with pytest.raises(InvalidInputError, match="gap=0 is not accepted"):
        segments(track([0, 1]), gap=0)
    with pytest.raises(InvalidTypeError, match="Dataset"):
        segments(track([0, 1])["time"])
    swath = track(range(4)).drop_vars(["longitude", "latitude"])
    swath = swath.assign_coords(
        longitude=(("time", "pixel"), np.zeros((4, 3))),
        latitude=(("time", "pixel"), np.zeros((4, 3))),
    )
    with pytest.raises(InvalidInputError, match="nadir tracks, along one dimension"):
        segments(swath)


def test_no_points_have_no_segments():
    assert segments(track([])).sizes == {"time": 0}


def test_labels_are_found():
    """Labels are variables or coordinates of the points, or one for all of them."""
    points = track(range(3), platform=["a", "b", "b"], track=[1, 1, 2])
    np.testing.assert_array_equal(find_label(points, "mission"), ["a", "b", "b"])
    np.testing.assert_array_equal(find_label(points, "pass"), [1, 1, 2])
    assert find_label(points, "cycle") is None
    named = points.assign_coords(mission="al")
    np.testing.assert_array_equal(find_label(named, "mission"), ["al"] * 3)
    other = points.assign(cycle=("other", [1, 2]))
    assert find_label(other, "cycle") is None
    with pytest.raises(UnknownNameError, match="unknown label 'orbit'; known are cycle, mission"):
        find_label(points, "orbit")


def test_a_real_day_of_jason(shared_data):
    """Within a segment the steps are short and cycle and track are one; between, one is not."""
    with xr.open_dataset(shared_data("dt_global_j1_phy_l3_20070101.nc")) as points:
        points = points[["cycle", "track"]].load()
    found = segments(points).values
    steps = np.diff(points["time"].values) / np.timedelta64(1, "s")
    same = (np.diff(points["cycle"]) == 0) & (np.diff(points["track"]) == 0)
    np.testing.assert_array_equal(np.diff(found), ~(same & (steps <= 4)))
    assert 100 < found.max() < 500


def test_real_missions_in_the_order_of_time(shared_data):
    """Four missions that are mixed have the segments that each has alone."""
    with xr.open_dataset(shared_data("med_l3_adt_20140515_20140524.nc")) as points:
        points.load()
    whole = segments(points, gap="60 s")
    for mission in range(4):
        here = np.flatnonzero(points["mission"] == mission)
        alone = segments(points.isel(time=here), gap="60 s")
        np.testing.assert_array_equal(np.diff(whole[here]) != 0, np.diff(alone) != 0)
    assert np.unique(whole).size == whole.max() + 1
