"""Points of tracks in the cells of a grid: against loops, and what must not matter."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.tracks.bin import STATISTICS, bin_tracks, daily_stamps
from xdvarnet.tracks.sample import sample_tracks

LATITUDE = 40 + 0.5 * np.arange(4)
LONGITUDE = -1 + 0.4 * np.arange(6)


def grid(**coords) -> xr.Dataset:
    return xr.Dataset(coords={"lat": LATITUDE, "lon": LONGITUDE} | coords)


def tracks(count=300) -> xr.Dataset:
    """Return points of three days, a third of them outside the grid, some without a value."""
    rng = np.random.default_rng(0)
    seconds = np.sort(rng.choice(3 * 86400, count, replace=False))
    values = rng.normal(size=count)
    attributes = {"units": "m", "standard_name": "sea_surface_height_above_sea_level"}
    return xr.Dataset(
        {
            "sla": ("time", np.where(rng.random(count) < 0.1, np.nan, values), attributes),
            "mdt": ("time", rng.normal(size=count).astype(np.float32)),
            "cycle": ("time", np.arange(count, dtype=np.int16)),
        },
        {
            "time": pd.Timestamp("2017-01-01T09:00") + pd.to_timedelta(seconds, "s"),
            "longitude": ("time", rng.uniform(-1.3, 1.5, count) % 360),
            "latitude": ("time", rng.uniform(39.5, 42, count)),
        },
        {"title": "random", "mission": "none"},
    )


def loop(points: xr.Dataset, name: str, statistic: str) -> np.ndarray:
    """Compute the statistic cell by cell, on the days of the test."""
    days = pd.date_range("2017-01-01", "2017-01-04")
    result = np.full((days.size, LATITUDE.size, LONGITUDE.size), np.nan)
    longitude = (points["longitude"].values + 180) % 360 - 180
    for t, day in enumerate(days):
        near = np.abs(points["time"].values - day.to_datetime64()) < np.timedelta64(12, "h")
        for i, j in np.ndindex(LATITUDE.size, LONGITUDE.size):
            here = near & (np.abs(points["latitude"].values - LATITUDE[i]) < 0.25)
            here &= np.abs(longitude - LONGITUDE[j]) < 0.2
            values = points[name].values[here].astype(float)
            values = values[~np.isnan(values)]
            if statistic == "count":
                result[t, i, j] = values.size
            elif values.size:
                result[t, i, j] = getattr(np, statistic)(values)
    return result


@pytest.mark.parametrize("statistic", STATISTICS)
def test_it_agrees_with_a_loop(statistic):
    """Each statistic is that of numpy over the points nearest to cell and midnight."""
    binned = bin_tracks(tracks(), grid(), statistic=statistic)
    assert set(binned.data_vars) == {"sla", "mdt"}
    for name, precision in (("sla", 1e-12), ("mdt", 1e-6)):
        expected = loop(tracks(), name, statistic)
        assert np.nanmax(expected) > 0
        np.testing.assert_allclose(binned[name], expected, atol=precision)


def test_dtypes_and_attributes():
    """Values keep their dtype, units and names; counts are integers without units."""
    mean = bin_tracks(tracks(), grid())
    assert mean["sla"].dtype == np.float64
    assert mean["mdt"].dtype == np.float32
    assert mean["sla"].attrs == tracks()["sla"].attrs | {"cell_methods": "time: lat: lon: mean"}
    std = bin_tracks(tracks(), grid(), statistic="std")
    assert std["mdt"].attrs["cell_methods"] == "time: lat: lon: standard_deviation"
    count = bin_tracks(tracks(), grid(), statistic="count")
    assert np.issubdtype(count["sla"].dtype, np.integer)
    assert count["sla"].attrs["units"] == "1"
    assert count["sla"].attrs["standard_name"].endswith("sea_level number_of_observations")
    assert mean.attrs["source"] == "random"
    assert mean.attrs["title"] == "mean of points in cells and days"
    assert mean.attrs["history"].endswith("bin_tracks, mean")


def test_every_point_is_counted_once():
    """Counts and points left out add up; a constant stays a constant."""
    points = tracks().assign(one=("time", np.ones(300)))
    count = bin_tracks(points, grid(), statistic="count")
    assert 50 < count.attrs["xdvarnet_points_outside"] < 200
    assert count["one"].sum() + count.attrs["xdvarnet_points_outside"] == 300
    one = bin_tracks(points, grid())["one"]
    np.testing.assert_array_equal(one.values[one.notnull()], 1)
    np.testing.assert_array_equal(one.notnull(), count["one"] > 0)


def test_binning_is_the_transpose_of_nearest_sampling():
    """Sums over points of value times sampled map are sums over cells of count, mean and map."""
    points = tracks()
    inner = (np.abs((points["longitude"] + 180) % 360 - 180) < 0.99) & (points["latitude"] > 40)
    points = points.isel(time=np.flatnonzero(inner & (points["latitude"] < 41.5)))
    mean, count = (bin_tracks(points, grid(), statistic=each) for each in ("mean", "count"))
    maps = mean[["sla"]].copy(data={"sla": np.random.default_rng(1).normal(size=mean["sla"].shape)})
    sampled = sample_tracks(maps, points, method="nearest")
    np.testing.assert_allclose(
        (points["sla"] * sampled["sla"]).sum(), (count["sla"] * mean["sla"] * maps["sla"]).sum()
    )


def test_conventions_do_not_matter():
    """Neither 360 degrees nor the order of the grid's axes change a cell; the order is kept."""
    expected = bin_tracks(tracks(), grid())
    order = {"lat": LATITUDE[::-1], "lon": np.roll(LONGITUDE % 360, 2)}
    other = xr.Dataset({"x": (("lon", "lat"), np.zeros((6, 4)))}, order)
    points = tracks().assign_coords(longitude=tracks()["longitude"] + 360)
    binned = bin_tracks(points, other)
    np.testing.assert_array_equal(binned["lon"], order["lon"])
    assert binned["sla"].dims == ("time", "lat", "lon")
    back = binned.assign_coords(lon=np.roll(LONGITUDE, 2)).sortby("lon").sortby("lat")
    xr.testing.assert_equal(back, expected)


def test_a_global_grid_has_no_seam():
    """The cell of 0 degrees holds the points on both sides of it."""
    longitude = np.arange(0, 360, 2.0)
    points = xr.Dataset(
        {"sla": ("time", [1.0, 2, 3, 4])},
        {
            "time": pd.date_range("2017-01-01", periods=4, freq="s"),
            "longitude": ("time", [359.5, 0.5, -0.9, 358.9]),
            "latitude": ("time", [0.0, 0, 0, 0]),
        },
    )
    for lon in (longitude, longitude - 180, longitude + 1):
        whole = xr.Dataset(coords={"latitude": [-1.0, 1.0], "longitude": lon})
        binned = bin_tracks(points, whole, statistic="count")["sla"].isel(time=0, latitude=1)
        wanted = {0: 3, 358: 1} if 0 in lon else {1: 1, 359: 3}
        for where, number in wanted.items():
            assert binned.sel(longitude=(where - lon[0]) % 360 + lon[0]) == number
        assert binned.sum() == 4


def test_irregular_global_grids_have_no_seam():
    """Half-way between the last and the first longitude, where their distance is not the usual."""
    longitude = np.append(np.arange(0, 358, 2.0), 357.5)
    points = tracks(2).assign_coords(
        longitude=("time", [358.7, 358.8]), latitude=("time", [1.0, 1.0])
    )
    whole = xr.Dataset(coords={"lat": [0.0, 1.0], "lon": longitude})
    count = bin_tracks(points, whole, statistic="count")["mdt"].sum(["time", "lat"])
    assert count.sel(lon=357.5) == count.sel(lon=0) == 1


def test_days_run_from_noon_to_noon():
    """A midnight stamp holds the day around it, and days without points are there, all missing."""
    times = ["2017-01-01T11:59", "2017-01-01T12:00", "2017-01-04T11:59"]
    points = tracks(3).assign_coords(
        time=pd.to_datetime(times),
        longitude=("time", np.zeros(3)),
        latitude=("time", np.full(3, 41.0)),
    )
    count = bin_tracks(points, grid(), statistic="count")["mdt"]
    np.testing.assert_array_equal(count["time"], pd.date_range("2017-01-01", "2017-01-04"))
    np.testing.assert_array_equal(count.sum(["lat", "lon"]), [1, 1, 0, 1])
    assert bin_tracks(points, grid())["mdt"].isel(time=2).isnull().all()


@pytest.mark.parametrize("kind", ["index", "array", "coordinate", "list"])
def test_given_stamps(kind):
    """Points go to the nearest stamp, within half a step; the others are counted as left out."""
    index = pd.DatetimeIndex(["2017-01-02", "2017-01-02T12:00", "2017-01-03T12:00"])
    stamps = {
        "index": index,
        "array": index.to_numpy().astype("datetime64[s]"),
        "coordinate": xr.DataArray(index, dims="day", attrs={"long_name": "day"}),
        "list": list(index),
    }[kind]
    points = tracks()
    binned = bin_tracks(points, grid(), statistic="count", time=stamps)
    np.testing.assert_array_equal(binned["time"], index)
    edges = pd.DatetimeIndex(["2017-01-01T18", "2017-01-02T06", "2017-01-03T00", "2017-01-04T00"])
    longitude = (points["longitude"].values + 180) % 360 - 180
    inside = (points["latitude"].values >= 39.75) & (points["latitude"].values < 41.75)
    inside &= (longitude >= -1.2) & (longitude < 1.2)
    expected = [
        (inside & (points["time"] >= a).values & (points["time"] < b).values).sum()
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]
    np.testing.assert_array_equal(binned["mdt"].sum(["lat", "lon"]), expected)
    assert binned.attrs["xdvarnet_points_outside"] == 300 - sum(expected)


def test_land_is_left_out():
    """Cells where the coordinate `sea` is false are missing; their points are not counted."""
    sea = np.ones((4, 6), bool)
    sea[1, 2] = sea[3, :] = False
    whole = bin_tracks(tracks(), grid(), statistic="count")
    masked = bin_tracks(tracks(), grid(sea=(("lon", "lat"), sea.T)), statistic="count")
    xr.testing.assert_equal(masked["mdt"].drop_vars("sea"), whole["mdt"] * sea)
    np.testing.assert_array_equal(masked["sea"].transpose("lat", "lon"), sea)
    lost = int((whole["mdt"] * ~sea).sum())
    left_out = [each.attrs["xdvarnet_points_outside"] for each in (masked, whole)]
    assert left_out[0] - left_out[1] == lost > 0
    mean = bin_tracks(tracks(), grid(sea=(("lat", "lon"), sea.astype("int8"))))
    assert mean["mdt"].where(~masked["sea"]).isnull().all()


def test_a_swath_is_binned():
    """The shape of the points does not matter; positions that are variables are not binned."""
    points = tracks()
    swath = xr.Dataset(
        {
            name: (("line", "pixel"), points[name].values.reshape(60, 5))
            for name in ("sla", "longitude", "latitude", "time")
        }
    )
    binned = bin_tracks(swath, grid())
    assert list(binned.data_vars) == ["sla"]
    np.testing.assert_array_equal(binned["sla"], bin_tracks(points, grid())["sla"])


def test_cftime_calendars():
    """Days are those of the tracks' calendar; stamps of another one are refused."""
    pytest.importorskip("cftime")
    points = tracks().convert_calendar("noleap")
    binned = bin_tracks(points, grid())
    assert binned["time"].dt.calendar == "noleap"
    np.testing.assert_array_equal(binned["time"].dt.day, [1, 2, 3, 4])
    np.testing.assert_allclose(binned["sla"], bin_tracks(tracks(), grid())["sla"])
    with pytest.raises(InvalidInputError, match="'noleap'.*convert_calendar"):
        bin_tracks(points, grid(), time=pd.date_range("2017-01-01", periods=3))


def test_stamps_cover_the_days():
    """From the midnight nearest to the first time to the one nearest to the last."""
    days = np.array([[0.6, 2.4], [1.0, -0.4]])
    expected = pd.date_range("1950-01-01", "1950-01-03")
    np.testing.assert_array_equal(daily_stamps(days), expected)
    with pytest.raises(InvalidInputError, match="no points"):
        daily_stamps(days[:0])


def test_only_the_cells_of_the_grid_are_used():
    """Months or other fields of the grid do not matter."""
    maps = grid().assign_coords(time=np.arange(12)).assign(mean=("time", np.zeros(12)))
    xr.testing.assert_identical(bin_tracks(tracks(), maps), bin_tracks(tracks(), grid()))


def test_arguments_are_untouched():
    """Neither the tracks nor the grid change."""
    points, cells = tracks(), grid(sea=(("lat", "lon"), np.ones((4, 6), bool)))
    bin_tracks(points, cells)
    xr.testing.assert_identical(points, tracks())
    xr.testing.assert_identical(cells, grid(sea=(("lat", "lon"), np.ones((4, 6), bool))))


def test_what_is_wrong_is_said():
    """Each bad input has an error of its own."""
    points = tracks()
    with pytest.raises(UnknownNameError, match="unknown statistic 'max'; known are count, mean"):
        bin_tracks(points, grid(), statistic="max")
    with pytest.raises(InvalidTypeError, match="Dataset"):
        bin_tracks(points, points["sla"])
    with pytest.raises(InvalidInputError, match="no points along a track"):
        bin_tracks(bin_tracks(points, grid()), grid())
    with pytest.raises(InvalidInputError, match="no variable to bin.*'cycle'.*int16"):
        bin_tracks(points[["cycle"]], grid())
    with pytest.raises(InvalidInputError, match="no points"):
        bin_tracks(points.isel(time=slice(0)), grid())
    with pytest.raises(InvalidInputError, match="'time' is not in increasing order"):
        bin_tracks(points, grid(), time=pd.DatetimeIndex(["2017-01-02", "2017-01-01"]))
    with pytest.raises(InvalidInputError, match=r"time has shape \(\); give a sequence"):
        bin_tracks(points, grid(), time=pd.Timestamp("2017-01-02"))
    with pytest.raises(InvalidInputError, match=r"time 2018.*select the same region and period"):
        bin_tracks(points, grid(), time=pd.date_range("2018-01-01", periods=3))
    with pytest.raises(InvalidInputError, match=r"grid.set_coords\('sea'\)"):
        bin_tracks(points, grid(sea=(("lat", "lon"), np.ones((4, 6), bool))).reset_coords("sea"))
    with pytest.raises(InvalidInputError, match=r"'sea' has dimensions \('lat',\)"):
        bin_tracks(points, grid(sea=("lat", np.ones(4, bool))))


def test_real_tracks(shared_data):
    """Four missions over the Mediterranean: each point is in the cell and day nearest to it."""
    with xr.open_dataset(shared_data("med_l3_adt_20140515_20140524.nc")) as points:
        points.load()
    axes = {"lat": np.arange(30.0625, 46, 0.125), "lon": np.arange(-5.9375, 37, 0.125)}
    cells = xr.Dataset(coords=axes)
    binned = bin_tracks(points, cells)
    assert list(binned.data_vars) == ["adt"]
    assert binned.sizes == {"time": 11, "lat": 128, "lon": 344}
    table = points["adt"].to_dataframe()
    groups = [
        (points["time"] + np.timedelta64(12, "h")).values.astype("datetime64[D]"),
        np.round((points["latitude"].values - axes["lat"][0]) / 0.125),
        np.round((points["longitude"].values - axes["lon"][0]) / 0.125),
    ]
    expected = table["adt"].groupby(groups).mean()
    found = binned["adt"].values[binned["adt"].notnull()]
    np.testing.assert_allclose(np.sort(found), np.sort(expected))


def test_attributes_of_the_file_are_left_behind():
    """The extent and the level of a file of tracks are not those of what is binned."""
    tracks = xr.Dataset(
        {"ssh": ("time", [0.1, 0.2])},
        {
            "time": np.array(["2017-01-01T01", "2017-01-01T02"], "datetime64[ns]"),
            "longitude": ("time", [10.1, 10.2]),
            "latitude": ("time", [40.1, 40.2]),
        },
        {"title": "tracks", "time_coverage_start": "2016-01-01", "processing_level": "L3"},
    )
    binned = bin_tracks(tracks, xr.Dataset(coords={"lat": [40.0, 41], "lon": [10.0, 11, 12]}))
    told = {"title", "source", "history", "Conventions", "xdvarnet_points_outside"}
    assert set(binned.attrs) == told and binned.attrs["source"] == "tracks"


def test_labels_have_no_mean():
    """Cycle, pass, mission and flags stay out, also as floating-point numbers."""
    passes = np.repeat([5, 7], 150).astype("float32")
    flag = xr.DataArray(passes, dims="time", attrs={"flag_meanings": "good bad"})
    points = tracks().assign(track=("time", passes), cycle=("time", passes), quality=flag)
    assert set(bin_tracks(points, grid())) == {"sla", "mdt"}
    with pytest.raises(InvalidInputError, match="no labels or flags"):
        bin_tracks(points.drop_vars(["sla", "mdt"]), grid())


@pytest.mark.parametrize("dated", [False, True])
def test_advice_where_no_point_is_in_the_grid(dated):
    """The dates of a grid are left out where it has some."""
    times = pd.date_range("2017-01-01", periods=3)
    tracks = xr.Dataset(
        {"sla": ("time", [0.1, 0.2, 0.3])},
        {"time": times, "longitude": ("time", [5.0] * 3), "latitude": ("time", [40.0] * 3)},
    )
    grid = xr.Dataset(coords={"lat": [40.0, 41.0], "lon": [55.0, 56.0]})
    grid = grid.expand_dims(time=times) if dated else grid
    with pytest.raises(InvalidInputError, match="no point of the tracks") as told:
        bin_tracks(tracks, grid)
    assert ("grid.isel(time=0)" in str(told.value)) == dated
