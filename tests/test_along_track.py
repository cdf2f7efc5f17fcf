"""Errors along tracks: the values at points, and their averages by cells and by days."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xdvarnet
from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.metrics.along_track import binned_rmse, daily_rms, track_errors


@pytest.fixture
def maps() -> xr.DataArray:
    """Return four days of a field that is linear in everything, in centimetres."""
    coords = {
        "time": pd.date_range("2017-01-01", periods=4),
        "lat": 36 + 0.5 * np.arange(6),
        "lon": -3 + 0.25 * np.arange(30),
    }
    days = xr.DataArray(np.arange(4.0), coords={"time": coords["time"]}, dims="time")
    axes = xr.Dataset(coords=coords)
    values = 100 * (0.1 * days + 0.2 * (axes["lat"] - 36) + 0.05 * axes["lon"])
    return values.transpose("time", "lat", "lon").rename("ssh").assign_attrs(units="cm")


@pytest.fixture
def tracks() -> xr.Dataset:
    """Return fifty points across the meridian, five of them north of the maps, in metres."""
    rng = np.random.default_rng(31)
    time = pd.Timestamp("2017-01-01") + pd.to_timedelta(np.sort(rng.uniform(0, 3, 50)), "D")
    latitude = np.linspace(36, 38.4, 50)
    latitude[45:] = 40
    return xr.Dataset(
        {"ssh": ("time", rng.normal(size=50), {"units": "m"})},
        {
            "time": time,
            "latitude": ("time", latitude),
            "longitude": ("time", rng.uniform(-3, 4, 50) % 360),
        },
    )


def test_errors_of_a_linear_field(maps, tracks):
    """Linear interpolation is exact, in the units of the truth; NaN outside."""
    found = track_errors(maps, tracks, tracks["ssh"])
    days = (tracks["time"].values - np.datetime64("2017-01-01")) / np.timedelta64(1, "D")
    longitude = (tracks["longitude"].values + 180) % 360 - 180
    expected = 0.1 * days + 0.2 * (tracks["latitude"].values - 36) + 0.05 * longitude
    np.testing.assert_allclose(found["map"][:45], expected[:45], atol=1e-9)
    assert np.isnan(found["error"][45:]).all()
    np.testing.assert_array_equal(found["truth"], tracks["ssh"])
    xr.testing.assert_allclose(found["error"], found["map"] - found["truth"])
    assert {array.attrs["units"] for array in found.values()} == {"m"}


def test_the_mission_is_kept(maps, tracks):
    known = tracks.assign(mission=("time", ["c2"] * 50))
    found = track_errors(maps, known, tracks["ssh"])
    assert list(found["mission"].values) == ["c2"] * 50
    named = track_errors(maps, known.set_coords("mission"), tracks["ssh"])
    assert "mission" in named.variables


def test_errors_in_a_swath(maps, tracks):
    """Two pixels across the track, each like a track of its own."""
    latitude = tracks["latitude"].values
    swath = xr.Dataset(
        {"ssh": tracks["ssh"]},
        {
            "time": tracks["time"],
            "longitude": (("time", "pixel"), np.stack([tracks["longitude"]] * 2, -1)),
            "latitude": (("time", "pixel"), np.stack([latitude, latitude - 0.1], -1)),
        },
    )
    found = track_errors(maps, swath, swath["ssh"])
    assert found["error"].dims == ("time", "pixel")
    line = track_errors(maps, tracks, tracks["ssh"])["error"]
    np.testing.assert_allclose(found["error"][:, 0], line)


def test_binned_errors_equal_loops(maps, tracks):
    errors = track_errors(maps, tracks, tracks["ssh"])
    found = binned_rmse(errors, spacing=0.75)
    assert int(found["n_points"].sum()) == 45
    longitude = (tracks["longitude"].values + 180) % 360 - 180
    for cell in found["rmse"].stack(cell=("latitude", "longitude")):
        centre_lat, centre_lon = float(cell["latitude"]), float(cell["longitude"])
        offset = (longitude - centre_lon + 180) % 360 - 180
        inside = (np.abs(offset) <= 0.375) & (np.abs(tracks["latitude"] - centre_lat) <= 0.375)
        inside &= errors["error"].notnull()
        squares = errors["error"].values[inside.values] ** 2
        if squares.size:
            assert float(cell) == pytest.approx(np.sqrt(squares.mean()))
        else:
            assert np.isnan(cell)
    assert found["rmse"].attrs["units"] == "m"
    np.testing.assert_allclose(np.diff(found["longitude"]), 0.75)


def test_all_errors_are_in_one_large_cell(tracks):
    """Cells are aligned with multiples of their size."""
    found = binned_rmse(tracks.isel(time=tracks["longitude"] < 180), "ssh", spacing=60)
    assert found["rmse"].shape == (1, 1)
    assert (float(found["latitude"][0]), float(found["longitude"][0])) == (30, 30)


def test_cells_around_the_globe_are_not_cut(tracks):
    rng = np.random.default_rng(32)
    around = tracks.assign_coords(longitude=("time", rng.permutation(50) * 7.2 - 178.3))
    found = binned_rmse(around, "ssh", spacing=40)
    np.testing.assert_allclose(found["longitude"], 20 + 40 * np.arange(9))
    assert int(found["n_points"].sum()) == 50


def test_daily_errors_equal_loops(maps, tracks):
    errors = track_errors(maps, tracks, tracks["ssh"])
    found = daily_rms(errors)
    stamps = tracks["time"].dt.floor("D")
    assert found["time"].size == 3
    for day in found["time"].values:
        values = errors["error"].values[stamps.values == day]
        known = values[np.isfinite(values)]
        one = found.sel(time=day)
        assert float(one["rms"]) == pytest.approx(np.sqrt(np.mean(known**2)))
        assert int(one["n_points"]) == known.size


def test_maps_that_cannot_be_compared(maps, tracks):
    with pytest.raises(InvalidInputError, match=r"select one along \['member'\]"):
        track_errors(maps.expand_dims(member=2), tracks, tracks["ssh"])
    with pytest.raises(InvalidInputError, match="points along a track, where a grid is meant"):
        track_errors(tracks["ssh"], tracks, tracks["ssh"])
    with pytest.raises(InvalidInputError, match="do not convert"):
        track_errors(maps.assign_attrs(units="kg"), tracks, tracks["ssh"])


def test_what_cannot_be_averaged(tracks):
    with pytest.raises(UnknownNameError, match="'error' is missing"):
        binned_rmse(tracks)
    with pytest.raises(UnknownNameError, match="'error' is missing"):
        daily_rms(tracks)
    with pytest.raises(InvalidInputError, match="no finite value"):
        binned_rmse(tracks.where(tracks["ssh"] > 99), "ssh")
    with pytest.raises(InvalidInputError, match="spacing=0"):
        binned_rmse(tracks, "ssh", spacing=0)


@pytest.mark.parametrize("kind", ["gridded", "osse2020a", "ose2021a", "ose2023a"])
def test_warnings_name_the_variable_of_the_user(kind):
    """Of maps in wrong units, and of nothing else: a small error is no height of the sea."""
    rng, length = np.random.default_rng(3), 400
    dims = {"time": pd.date_range("2017-01-01", periods=3), "lat": np.arange(9.0, 21, 0.5)}
    dims["lon"] = np.arange(-6.0, 3, 0.5)
    attributes = {"units": "m", "standard_name": "sea_surface_height_above_geoid"}
    heights = 0.1 * rng.standard_normal([axis.size for axis in dims.values()])
    truth = xr.Dataset({"adt": (tuple(dims), heights, attributes)}, dims)
    maps = truth.copy(data={"adt": 1e-3 * heights})
    seconds = pd.to_timedelta(np.arange(length), "s")
    tracks = xr.Dataset(
        {"ssh": ("time", 0.1 * rng.standard_normal(length), attributes)},
        {
            "time": dims["time"][1] + seconds,
            "latitude": ("time", np.linspace(9.5, 20, length)),
            "longitude": ("time", np.linspace(-5, 2, length)),
        },
    )
    reference = {"ose2021a": tracks, "ose2023a": tracks.rename(ssh="sla")}.get(kind, truth)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        xdvarnet.score(maps, reference, variable="adt", kind=kind)
    named = [re.findall("variable '([a-z]+)'", str(each.message)) for each in caught]
    assert {name for names in named for name in names} == {"adt"}
    if reference is truth:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            xdvarnet.score(truth + 1e-3, truth, variable="adt", kind=kind)
        assert not [each for each in caught if "root mean square" in str(each.message)]
