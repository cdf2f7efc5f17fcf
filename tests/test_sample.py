"""Maps at the points of tracks: linear functions, an independent interpolation, and the edges."""

import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.interpolate import RegularGridInterpolator

from xdvarnet.errors import (
    InvalidInputError,
    InvalidTypeError,
    MissingDependencyError,
    UnknownNameError,
)
from xdvarnet.tracks.sample import sample_tracks

SHAPE = (5, 7, 9)


@pytest.fixture(params=["xarray", "pyinterp"])
def engine(request):
    if request.param == "pyinterp":
        pytest.importorskip("pyinterp")
    return request.param


def maps(values=None, *, missing=0.0) -> xr.Dataset:
    """Return random maps of five days, the last after a gap, near the meridian of Greenwich."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=SHAPE) if values is None else values
    values = np.where(rng.random(SHAPE) < missing, np.nan, values)
    days = pd.to_datetime(["2017-01-01", "2017-01-02", "2017-01-03", "2017-01-04", "2017-01-06"])
    axes = {"time": days, "lat": 40 + 0.5 * np.arange(7), "lon": -1 + 0.25 * np.arange(9)}
    attributes = {"units": "m", "standard_name": "sea_surface_height_above_geoid"}
    return xr.Dataset({"ssh": (tuple(axes), values, attributes)}, axes, {"title": "random"})


def tracks(count=400, *, seed=1) -> xr.Dataset:
    """Return points inside the maps, in the other convention of longitudes."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.choice(5 * 86400, count, replace=False))
    return xr.Dataset(
        {"sla": ("time", rng.normal(size=count))},
        {
            "time": pd.Timestamp("2017-01-01") + pd.to_timedelta(seconds, "s"),
            "longitude": ("time", rng.uniform(-1, 1, count) % 360),
            "latitude": ("time", rng.uniform(40, 43, count)),
            "cycle": ("time", np.arange(count)),
        },
    )


def at(time, longitude, latitude) -> xr.Dataset:
    """Return points at given places, in a dimension without coordinate."""
    time, longitude, latitude = np.broadcast_arrays(time, longitude, latitude)
    places = {"time": time.astype("datetime64[ns]"), "longitude": longitude, "latitude": latitude}
    return xr.Dataset(coords={name: ("obs", np.atleast_1d(v)) for name, v in places.items()})


def places(points: xr.Dataset) -> np.ndarray:
    """Return days since the first map, latitude and longitude of points, shape (points, 3)."""
    days = (points["time"].values - np.datetime64("2017-01-01", "ns")) / np.timedelta64(1, "D")
    return np.stack(
        [days, points["latitude"].values, (points["longitude"].values + 180) % 360 - 180], axis=-1
    )


def reference(dataset: xr.Dataset, points: xr.Dataset, method: str) -> np.ndarray:
    """Interpolate with scipy."""
    days = (dataset["time"].values - np.datetime64("2017-01-01")) / np.timedelta64(1, "D")
    axes = (days, dataset["lat"].values, dataset["lon"].values)
    return RegularGridInterpolator(axes, dataset["ssh"].values, method=method)(places(points))


def linear_maps() -> xr.Dataset:
    """Return maps of a linear function of the day, the latitude and the longitude."""
    dataset = maps()
    days = (dataset["time"] - np.datetime64("2017-01-01")) / np.timedelta64(1, "D")
    values = days - 3 * dataset["lat"] + 10 * dataset["lon"]
    return dataset.assign(ssh=values.transpose("time", "lat", "lon"))


@pytest.mark.parametrize(
    ("method", "engine"), [("linear", "xarray"), ("linear", "pyinterp"), ("bicubic", "pyinterp")]
)
def test_linear_functions_are_exact(method, engine):
    """A linear function of place and time is reproduced, by the bicubic method too."""
    pytest.importorskip(engine)
    points = tracks()
    sampled = sample_tracks(linear_maps(), points, method=method, engine=engine)
    days, latitude, longitude = places(points).T
    np.testing.assert_allclose(sampled["ssh"], days - 3 * latitude + 10 * longitude, atol=1e-9)


@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_it_agrees_with_scipy(method, engine):
    """Another library gives the same values at random points of random maps."""
    dataset, points = maps(), tracks()
    sampled = sample_tracks(dataset, points, method=method, engine=engine)
    np.testing.assert_allclose(sampled["ssh"], reference(dataset, points, method), atol=1e-10)


@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_engines_agree_where_values_are_missing(method):
    """Both engines give the same values and the same gaps, at nodes and between them."""
    pytest.importorskip("pyinterp")
    dataset = maps(missing=0.05)
    nodes = at(dataset["time"].values[[0, 1, 3, 4]], [-1.0, 0.0, 359.5, 1.0], [40, 41, 42.5, 43])
    between = at(*(tracks()[name].values for name in ("time", "longitude", "latitude")))
    points = xr.concat([between, nodes], "obs")
    ours, theirs = (
        sample_tracks(dataset, points, method=method, engine=engine)["ssh"]
        for engine in ("xarray", "pyinterp")
    )
    assert 0.01 < ours.isnull().mean() < 0.5
    np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_only_neighbours_with_a_weight_count(engine):
    """A point on a node is the node's value, whatever is missing beside it."""
    dataset = maps()
    dataset["ssh"][1, 2, 3] = np.nan
    time = dataset["time"].values
    on_nodes = at(time[[0, 2, 1, 1, 1]], [-0.25, -0.25, 0.0, 359.5, -0.25], [41, 41, 41, 41, 41.5])
    beside = at(time[[1, 1, 1]] + np.timedelta64(1, "h"), [-0.25, -0.2, -0.3], [41, 41, 40.9])
    assert sample_tracks(dataset, on_nodes, engine=engine)["ssh"].notnull().all()
    assert sample_tracks(dataset, beside, engine=engine)["ssh"].isnull().all()


def test_conventions_do_not_matter(engine):
    """Neither 360 degrees, nor the order of dimensions and axes, nor the unit of time change it."""
    dataset, points = maps(missing=0.05), tracks()
    expected = sample_tracks(dataset, points, engine=engine)["ssh"]
    changed = dataset.assign_coords(
        lon=dataset["lon"] % 360, time=dataset["time"].astype("datetime64[s]")
    )
    changed = changed.sortby("lon").sortby("lat", ascending=False).transpose("lon", "time", "lat")
    moved = points.assign_coords(longitude=points["longitude"] - 360)
    np.testing.assert_allclose(sample_tracks(changed, moved, engine=engine)["ssh"], expected)


def test_a_global_grid_is_periodic(engine):
    """Between the last and the first longitude the map is linear too."""
    longitude = np.arange(0.125, 360, 0.25)
    field = np.cos(np.radians(longitude)) * np.ones((3, 1))
    dataset = xr.Dataset({"ssh": (("lat", "lon"), field)}, {"lat": [1.0, 2, 3], "lon": longitude})
    points = at("2017-01-01", [359.99, 0.01, -0.01, 720.0], 1.5)
    for rolled in (dataset, dataset.assign_coords(lon=(longitude + 180) % 360 - 180).sortby("lon")):
        sampled = sample_tracks(rolled, points, engine=engine)
        np.testing.assert_allclose(sampled["ssh"], np.cos(np.radians(0.125)))
        assert sampled.attrs["xdvarnet_points_outside"] == 0


def test_end_maps_are_held_for_half_a_step(engine):
    """The steps at the ends differ: one day and two."""
    dataset = maps()
    times = np.array(
        ["2016-12-31T11:59", "2016-12-31T12:00", "2017-01-07T00:00", "2017-01-07T00:01"],
        "datetime64[ns]",
    )
    sampled = sample_tracks(dataset, at(times, 0.0, 41.0), engine=engine)
    held = dataset["ssh"].sel(lon=0, lat=41).values
    np.testing.assert_array_equal(sampled["ssh"], [np.nan, held[0], held[-1], np.nan])
    assert sampled.attrs["xdvarnet_points_outside"] == 2
    single = sample_tracks(dataset.isel(time=[0]), at(times[:2], 0.0, 41.0), engine=engine)
    np.testing.assert_array_equal(single["ssh"], [np.nan, held[0]])


def test_points_outside_are_counted():
    """Beyond each side of the grid, and without a position, there is no value."""
    points = at("2017-01-02T06:00", [0, 1.01, -1.01, 0, 0, np.nan], [41, 41, 41, 43.1, 39.9, 41])
    sampled = sample_tracks(maps(), points)
    np.testing.assert_array_equal(sampled["ssh"].isnull(), [False] + [True] * 5)
    assert sampled.attrs["xdvarnet_points_outside"] == 5


def test_the_result_is_on_the_tracks():
    """Coordinates are the tracks', in their order; names, attributes and dtype are the maps'."""
    dataset, points = maps().astype(np.float32), tracks().isel(time=slice(None, None, -1))
    dataset["mean"] = dataset["ssh"].mean("time")
    dataset["day"] = "time", np.arange(5.0)
    before = dataset.copy(deep=True), points.copy(deep=True)
    sampled = sample_tracks(dataset, points)
    assert set(sampled.data_vars) == {"ssh", "mean"}
    assert sampled["ssh"].attrs == maps()["ssh"].attrs
    assert sampled["ssh"].dtype == sampled["mean"].dtype == np.float32
    xr.testing.assert_identical(
        sampled.drop_vars(["ssh", "mean"]).drop_attrs(deep=False), points.drop_vars("sla")
    )
    assert sampled.attrs["source"] == "random"
    assert sampled.attrs["history"].endswith("sample_tracks, linear")
    xr.testing.assert_identical(dataset, before[0])
    xr.testing.assert_identical(points, before[1])


def test_a_field_without_time_holds_always():
    """A variable of latitude and longitude has values outside the period of the others."""
    dataset = maps().assign(mean=maps()["ssh"].mean("time"))
    points = at(["2017-01-02", "2018-01-02"], 0.1, 41.2)
    sampled = sample_tracks(dataset, points)
    np.testing.assert_array_equal(sampled["ssh"].isnull(), [False, True])
    assert sampled["mean"].notnull().all()
    assert sampled.attrs["xdvarnet_points_outside"] == 1


def test_a_swath_keeps_its_shape():
    """Points on two dimensions, with time on one of them, and positions that are variables."""
    points = tracks(12)
    swath = xr.Dataset(
        {
            "longitude": (("pixel", "line"), points["longitude"].values.reshape(3, 4)),
            "latitude": (("line", "pixel"), points["latitude"].values.reshape(3, 4).T),
        },
        {"time": ("line", points["time"].values[:4])},
    )
    flat = points.assign_coords(time=np.tile(points["time"].values[:4], 3))
    sampled = sample_tracks(maps(), swath)["ssh"]
    assert {"longitude", "latitude", "time"} <= set(sampled.coords)
    expected = sample_tracks(maps(), flat)["ssh"].values.reshape(3, 4)
    np.testing.assert_array_equal(sampled.transpose("pixel", "line"), expected)


def test_lazy_equals_eager(engine):
    """Chunked maps give a lazy result with the same values; members are kept."""
    pytest.importorskip("dask")
    dataset = maps(missing=0.05)
    dataset["members"] = dataset["ssh"] * xr.DataArray([1.0, 2.0], {"member": [3, 4]}, "member")
    lazy = sample_tracks(dataset.chunk(time=2, lon=4), tracks(), engine=engine)
    eager = sample_tracks(dataset, tracks(), engine=engine)
    assert lazy["ssh"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), eager)
    assert eager["members"].sizes == {"member": 2, "time": 400}
    np.testing.assert_allclose(eager["members"].sel(member=4), 2 * eager["ssh"])


def test_bicubic_is_closer_to_a_smooth_field():
    """Errors of a wave of 16 cells are far below the linear ones; gaps reach three cells."""
    pytest.importorskip("pyinterp")

    def wave(longitude, latitude):
        return np.sin(2 * np.pi * longitude / 4) * np.cos(2 * np.pi * latitude / 5)

    latitude, longitude = np.arange(30, 46, 0.25), np.arange(-10, 10, 0.25)
    field = wave(longitude, latitude[:, None])
    field[40, 50] = np.nan
    dataset = xr.Dataset({"ssh": (("lat", "lon"), field)}, {"lat": latitude, "lon": longitude})
    rng = np.random.default_rng(0)
    points = at("2017-01-01", rng.uniform(-9, 0, 300), rng.uniform(31, 38, 300))
    error = {
        method: np.abs(
            sample_tracks(dataset, points, method=method, engine="pyinterp")["ssh"]
            - wave(points["longitude"], points["latitude"])
        ).max()
        for method in ("linear", "bicubic")
    }
    assert error["bicubic"] < 0.1 * error["linear"]
    near = at("2017-01-01", longitude[50] + np.array([-0.8, -0.7, 0.7, 0.8]), latitude[40] + 0.1)
    sampled = sample_tracks(dataset, near, method="bicubic", engine="pyinterp")["ssh"]
    np.testing.assert_array_equal(sampled.isnull(), [False, True, True, False])


def test_bicubic_crosses_the_seam_of_a_global_grid():
    """The result does not depend on where the longitudes start."""
    pytest.importorskip("pyinterp")
    rng = np.random.default_rng(0)
    axes = {"lat": np.arange(-20.0, 20), "lon": np.arange(0.5, 360)}
    dataset = xr.Dataset({"ssh": (("lat", "lon"), rng.normal(size=(40, 360)))}, axes)
    rolled = dataset.assign_coords(lon=(dataset["lon"] + 180) % 360 - 180).sortby("lon")
    points = at("2017-01-01", np.linspace(-2, 2, 41), np.linspace(-5, 5, 41))
    one, other = (
        sample_tracks(each, points, method="bicubic", engine="pyinterp")["ssh"]
        for each in (dataset, rolled)
    )
    assert one.notnull().all()
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_cftime_calendars():
    """Two Datasets of one calendar fit each other; two calendars are refused."""
    pytest.importorskip("cftime")
    dataset, points = maps(), tracks()
    ours, theirs = (each.convert_calendar("noleap") for each in (dataset, points))
    expected = sample_tracks(dataset, points)["ssh"].values
    np.testing.assert_allclose(sample_tracks(ours, theirs)["ssh"], expected)
    with pytest.raises(InvalidInputError, match="'proleptic_gregorian'.*'noleap' is wanted"):
        sample_tracks(ours, points)


def test_what_is_wrong_is_said():
    """Each bad input has an error of its own."""
    dataset, points = maps(), tracks()
    with pytest.raises(UnknownNameError, match="unknown method 'cubic'; known are bicubic, linear"):
        sample_tracks(dataset, points, method="cubic")
    with pytest.raises(UnknownNameError, match="unknown engine 'scipy'; known are pyinterp"):
        sample_tracks(dataset, points, engine="scipy")
    with pytest.raises(InvalidInputError, match="'xarray' has no method 'bicubic'.*'pyinterp'"):
        sample_tracks(dataset, points, method="bicubic")
    with pytest.raises(InvalidTypeError, match="Dataset"):
        sample_tracks(dataset["ssh"], points)
    with pytest.raises(InvalidInputError, match="no points along a track"):
        sample_tracks(dataset, dataset)
    with pytest.raises(InvalidInputError, match=r"dataset.sortby\('time'\)"):
        sample_tracks(dataset.isel(time=[1, 0]), points)
    with pytest.raises(InvalidInputError, match="no variable to sample.*'ssh'.*int64"):
        sample_tracks(dataset.astype("int64"), points)
    with pytest.raises(InvalidInputError, match="time empty.* is inside the maps"):
        sample_tracks(dataset, points.isel(time=slice(0)))
    pytest.importorskip("pyinterp")
    with pytest.raises(InvalidInputError, match=r"\(7, 3\) .*'bicubic' needs 4 of each"):
        sample_tracks(dataset.isel(lon=slice(3)), points, method="bicubic", engine="pyinterp")
    far = points.assign_coords(latitude=points["latitude"] + 10)
    with pytest.raises(InvalidInputError, match=r"latitude 5\d.* is inside .*lat 40.0 to 43.0"):
        sample_tracks(dataset, far)


def test_a_missing_library_is_named(monkeypatch):
    """Without pyinterp, the message says what to install."""
    monkeypatch.setitem(sys.modules, "pyinterp", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "xdvarnet\[tracks\]"'):
        sample_tracks(maps(), tracks(), engine="pyinterp")


def test_real_maps_along_a_real_track(shared_data, engine):
    """Maps of the Gulf Stream along Cryosat-2, as xarray interpolates them."""
    with xr.open_dataset(shared_data("oi_gulfstream_201701.nc")) as dataset:
        dataset.load()
    with xr.open_dataset(shared_data("dt_gulfstream_c2_phy_l3_20161220_20170126.nc")) as points:
        points.load()
    sampled = sample_tracks(dataset, points, engine=engine)
    inside = points.isel(time=(points["time"] >= dataset["time"][0]).values)
    here = {"lon": inside["longitude"] - 360, "lat": inside["latitude"], "time": inside["time"]}
    expected = dataset["c2"].astype(float).interp(here)
    assert expected.notnull().sum() > 400
    np.testing.assert_allclose(sampled["c2"].sel(time=inside["time"]), expected, atol=1e-5)
    held = (points["time"] >= dataset["time"][0] - np.timedelta64(12, "h")).sum()
    assert sampled["c2"].notnull().sum() == held
    assert sampled.attrs["xdvarnet_points_outside"] == points.sizes["time"] - held
