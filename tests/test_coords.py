import numpy as np
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.coords import (
    Axes,
    continuous_longitude,
    days_since_epoch,
    find_axes,
    find_grid,
)


def days(count=3, unit="ns"):
    start = np.datetime64("2005-04-01", unit)
    return (start + np.arange(count) * np.timedelta64(1, "D")).astype(f"datetime64[{unit}]")


@pytest.fixture
def dataset():
    """3 days x 4 latitudes x 5 longitudes, with different steps and no CF attributes."""
    return xr.Dataset(
        {"ssh": (("time", "lat", "lon"), np.arange(60.0).reshape(3, 4, 5))},
        {"time": days(), "lat": 30 + 0.25 * np.arange(4), "lon": -0.8 + 0.4 * np.arange(5)},
    )


# axes


def test_names_are_found_without_attributes(dataset):
    assert find_axes(dataset) == Axes("time", "lat", "lon")
    assert find_axes(dataset["ssh"]).dims == ("time", "lat", "lon")


@pytest.mark.parametrize(
    "names",
    [
        {"lon": "longitude", "lat": "latitude"},
        {"lon": "LON", "lat": "Lat", "time": "TIME"},
        {"lon": "Longitude", "lat": "LATITUDE", "time": "Time"},
        {"lon": "nav_lon", "lat": "nav_lat", "time": "time_counter"},
        {"lon": "x", "lat": "y", "time": "ocean_time"},
    ],
)
def test_other_names_are_found(dataset, names):
    found = find_axes(dataset.rename(names))
    expected = [names.get(name, name) for name in ("time", "lat", "lon")]
    assert [found.time, found.latitude, found.longitude] == expected


@pytest.mark.parametrize(
    ("latitude", "longitude", "time"),
    [
        ({"units": "degrees_north"}, {"units": "degrees_east"}, {"standard_name": "time"}),
        ({"standard_name": "latitude"}, {"standard_name": "longitude"}, {"axis": "T"}),
    ],
)
def test_cf_attributes_are_found_whatever_the_name(dataset, latitude, longitude, time):
    odd = dataset.rename(lat="a", lon="b", time="c")
    odd["a"].attrs, odd["b"].attrs, odd["c"].attrs = latitude, longitude, {"standard_name": "time"}
    odd["c"].attrs |= time
    assert find_axes(odd) == Axes("c", "a", "b")


def test_cf_attributes_come_before_names(dataset):
    # names that mislead: "lat" holds the longitudes
    odd = dataset.rename(lat="swap").rename(lon="lat", swap="lon")
    odd["lon"].attrs["units"] = "degrees_north"
    odd["lat"].attrs["units"] = "degrees_east"
    assert find_axes(odd) == Axes("time", "lon", "lat")


def test_of_two_coordinates_the_axis_is_meant(dataset):
    dataset["lon"].attrs["units"] = "degrees_east"
    dataset = dataset.assign_coords(
        buoy_lon=("buoy", [3.0, 4.0], {"units": "degrees_east", "standard_name": "longitude"})
    )
    assert find_axes(dataset).longitude == "lon"


def test_of_two_positions_that_are_no_axes_the_usual_name_is_meant():
    """A swath has the positions of its pixels and of its nadir."""
    degrees = {"units": "degrees_east", "standard_name": "longitude"}
    swath = xr.Dataset(
        coords={
            "longitude_nadir": ("line", [3.0, 4.0], degrees),
            "lon": (("line", "pixel"), [[3.0, 3.1, 3.2], [4.0, 4.1, 4.2]], degrees),
            "lat": (("line", "pixel"), np.ones((2, 3)), {"units": "degrees_north"}),
        }
    )
    assert find_axes(swath, time=False).longitude == "lon"
    with pytest.raises(InvalidInputError, match="2 longitude coordinates"):
        find_axes(swath.rename(lon="pixel_lon"), time=False)


def test_two_axes_that_could_be_meant(dataset):
    dataset["lon"].attrs["units"] = "degrees_east"
    dataset = dataset.assign_coords(
        other=("other", [3.0, 4.0], {"units": "degrees_east", "standard_name": "longitude"})
    )
    with pytest.raises(InvalidInputError, match=r"2 longitude coordinates \['lon', 'other'\]"):
        find_axes(dataset)


@pytest.mark.parametrize(
    ("name", "kind", "hint"),
    [
        ("lon", "longitude", "degrees_east"),
        ("lat", "latitude", "degrees_north"),
        ("time", "time", "standard_name 'time'"),
    ],
)
def test_missing_coordinate(dataset, name, kind, hint):
    with pytest.raises(InvalidInputError, match=f"no {kind} coordinate found among.*{hint}"):
        find_axes(dataset.drop_vars(name))


def test_time_may_be_absent(dataset):
    assert find_axes(dataset.drop_vars("time"), time=False) == Axes(None, "lat", "lon")
    assert find_axes(dataset.isel(time=0, drop=True), time=False).dims == ("lat", "lon")
    assert find_grid(dataset.isel(time=0), time=False).days is None


@pytest.mark.parametrize("given", [np.zeros((3, 4, 5)), {"ssh": 1}, None])
def test_no_xarray_object(given):
    with pytest.raises(InvalidTypeError, match="expected an xarray Dataset or DataArray, got"):
        find_axes(given)


# longitude


@pytest.mark.parametrize(
    ("longitude", "expected"),
    [
        ([2.0, 4, 6], [2, 4, 6]),
        ([350.0, 355, 0, 5], [-10, -5, 0, 5]),
        ([0.0, 5, 350, 355], [0, 5, -10, -5]),
        ([5.0, 0, 355], [5, 0, -5]),
        ([175.0, -180, -175], [-185, -180, -175]),
        ([175.0, 180, 185], [175, 180, 185]),
        ([-10.0, 0, 10], [-10, 0, 10]),
        ([359.99999999, 0.1, 0.3], [-1e-8, 0.1, 0.3]),
        ([12.5], [12.5]),
    ],
)
def test_basin_in_one_piece(longitude, expected):
    np.testing.assert_allclose(continuous_longitude(np.array(longitude)), expected, atol=1e-9)


@pytest.mark.parametrize("start", [0.0, -180.0, -179.75, 20.0])
def test_global_grid_keeps_its_start(start):
    longitude = start + np.arange(0, 360, 0.5)
    np.testing.assert_allclose(continuous_longitude(longitude), longitude, atol=1e-9)


def test_global_grid_in_another_convention():
    longitude = (20 + np.arange(0.0, 360, 2)) % 360
    np.testing.assert_allclose(continuous_longitude(longitude), 20 + np.arange(0.0, 360, 2))


@pytest.mark.parametrize("shift", [-360, 0, 360])
def test_the_convention_makes_no_difference(shift):
    basin = np.linspace(-5.9375, 36.9375, 344)
    for given in (basin % 360 + shift, basin + shift, (basin + 180) % 360 - 180 + shift):
        continuous = continuous_longitude(given)
        np.testing.assert_allclose(np.diff(continuous), np.diff(basin), atol=1e-9)
        np.testing.assert_allclose((continuous - basin + 180) % 360, 180, atol=1e-9)


# grid


def test_grid_of_increasing_axes(dataset):
    grid = find_grid(dataset)
    assert grid.shape == (4, 5)
    assert grid.spacing == pytest.approx((0.25, 0.4))
    np.testing.assert_array_equal(grid.days, [20179, 20180, 20181])
    np.testing.assert_array_equal(grid.latitude, dataset["lat"])
    np.testing.assert_allclose(grid.longitude, dataset["lon"], atol=1e-12)


def change(dataset, order, descending, wrapped):
    changed = dataset.transpose(*order)
    if descending:
        changed = changed.isel(lat=slice(None, None, -1))
    if wrapped:
        changed = changed.assign_coords(lon=changed["lon"] % 360).sortby("lon")
    return changed


@pytest.mark.parametrize("order", [("time", "lat", "lon"), ("lon", "time", "lat")])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_arrange_and_restore(dataset, order, descending, wrapped):
    changed = change(dataset, order, descending, wrapped)
    grid = find_grid(changed)
    np.testing.assert_allclose(grid.latitude, dataset["lat"])
    np.testing.assert_allclose(grid.longitude, dataset["lon"], atol=1e-12)
    arranged = grid.arrange(changed["ssh"])
    np.testing.assert_array_equal(arranged.values, dataset["ssh"].values)
    plain = arranged.drop_vars(["time", "lat", "lon"])
    xr.testing.assert_identical(grid.restore(plain, changed["ssh"]), changed["ssh"])


def test_shuffled_axes_are_put_in_order_and_back(dataset):
    shuffled = dataset.isel(lat=[2, 0, 3, 1], lon=[3, 1, 0, 2, 4])
    grid = find_grid(shuffled)
    arranged = grid.arrange(shuffled["ssh"])
    xr.testing.assert_identical(arranged, dataset["ssh"])
    xr.testing.assert_identical(grid.restore(arranged, shuffled["ssh"]), shuffled["ssh"])


def test_restore_keeps_further_dimensions_first(dataset):
    changed = change(dataset, ("lat", "time", "lon"), True, True)
    grid = find_grid(changed)
    members = grid.arrange(changed["ssh"]).expand_dims(member=2)
    restored = grid.restore(members, changed["ssh"])
    assert restored.dims == ("member", "lat", "time", "lon")
    xr.testing.assert_identical(restored.isel(member=1), changed["ssh"])


def test_arrange_a_map_without_time(dataset):
    changed = change(dataset, ("lon", "time", "lat"), True, True)
    arranged = find_grid(changed).arrange(changed["ssh"].isel(time=1, drop=True))
    assert arranged.dims == ("lat", "lon")
    np.testing.assert_array_equal(arranged, dataset["ssh"][1])


def test_curvilinear_grid(dataset):
    lon, lat = np.meshgrid(dataset["lon"], dataset["lat"])
    curvilinear = dataset.rename(lat="j", lon="i").drop_vars(["i", "j"])
    curvilinear = curvilinear.assign_coords(lon=(("j", "i"), lon), lat=(("j", "i"), lat))
    with pytest.raises(InvalidInputError, match=r"\('j', 'i'\) and is no grid axis.*Regrid"):
        find_grid(curvilinear)


@pytest.mark.parametrize("name", ["lat", "lon"])
def test_missing_position(dataset, name):
    values = dataset[name].values.copy()
    values[1] = np.nan
    with pytest.raises(InvalidInputError, match=f"coordinate '{name}' has missing values"):
        find_grid(dataset.assign_coords({name: values}))


@pytest.mark.parametrize("name", ["lat", "lon"])
def test_repeated_position(dataset, name):
    with pytest.raises(InvalidInputError, match=f"coordinate '{name}' has repeated values"):
        find_grid(dataset.isel({name: [0, 1, 1, 2]}))


@pytest.mark.parametrize(("step", "shift"), [(1, 0), (1 / 12, 1 / 24)])
def test_longitude_that_comes_again(step, shift):
    longitude = (step * np.arange(round(360 / step) + 1) + shift).astype(np.float32)
    globe = xr.Dataset(coords={"lat": [0.0, 1.0], "lon": longitude})
    with pytest.raises(InvalidInputError, match="comes again after 360 degrees"):
        find_grid(globe, time=False)


@pytest.mark.parametrize("name", ["lat", "lon"])
def test_too_few_positions(dataset, name):
    with pytest.raises(InvalidInputError, match=f"'{name}' has 1 value.*at least two"):
        find_grid(dataset.isel({name: [2]}))


def test_time_that_is_no_dimension(dataset):
    with pytest.raises(InvalidInputError, match="'time' is no dimension.*expand_dims"):
        find_grid(dataset.isel(time=0))


# time


@pytest.mark.parametrize("unit", ["D", "h", "s", "ms", "us", "ns"])
def test_days_do_not_depend_on_the_unit(unit):
    time = xr.DataArray(days(unit=unit), dims="time", name="time")
    np.testing.assert_array_equal(days_since_epoch(time), [20179.0, 20180.0, 20181.0])


def test_days_replace_an_interpolation_that_is_silently_wrong():
    # a [us] axis at [ns] times: xarray compares the integers and finds all outside
    time = days(5, "us")
    series = xr.DataArray(np.arange(5.0), dims="time", coords={"time": time})
    noons = xr.DataArray(days(3, "ns") + np.timedelta64(12, "h"), dims="time", name="time")
    numbers = series.assign_coords(time=days_since_epoch(series["time"]))
    np.testing.assert_allclose(numbers.interp(time=days_since_epoch(noons)), [0.5, 1.5, 2.5])


def test_days_have_fractions_and_a_wide_range():
    times = np.array(["1949-12-31T18", "1950-01-01T06", "1600-01-01", "9999-12-31T12"], "M8[us]")
    found = days_since_epoch(xr.DataArray(times, dims="time", name="time"))
    np.testing.assert_allclose(found[:2], [-0.25, 0.25])
    assert found[2] == -127835.0
    assert found[3] % 1 == 0.5


def test_subnanosecond_precision_is_not_needed_within_a_day():
    times = np.datetime64("2005-04-01", "ns") + np.arange(0, 86400, 3600) * np.timedelta64(1, "s")
    found = days_since_epoch(xr.DataArray(times, dims="time", name="time"))
    np.testing.assert_allclose((found - 20179) * 24, np.arange(24), atol=1e-9)


@pytest.mark.parametrize("calendar", ["standard", "proleptic_gregorian", "noleap", "360_day"])
def test_cftime_days_are_counted_in_their_calendar(calendar):
    time = xr.date_range("2004-02-27", periods=4, calendar=calendar, use_cftime=True)
    found = days_since_epoch(xr.DataArray(time, dims="time", name="time"))
    assert found.dtype == float
    np.testing.assert_array_equal(np.diff(found), 1.0)


def test_cftime_of_the_standard_calendar_is_datetime64():
    time = xr.date_range("2005-04-01", periods=3, calendar="standard", use_cftime=True)
    found = days_since_epoch(xr.DataArray(time, dims="time", name="time"))
    np.testing.assert_array_equal(found, [20179, 20180, 20181])


def test_missing_time():
    time = days()
    time[1] = "NaT"
    with pytest.raises(InvalidInputError, match=r"'when' has missing times \(NaT\)"):
        days_since_epoch(xr.DataArray(time, dims="when", name="when"))


@pytest.mark.parametrize("values", [[1, 2], [0.5, 1.5], ["2005-04-01", "2005-04-02"]])
def test_times_that_are_no_dates(values):
    with pytest.raises(InvalidInputError, match="'time' holds .* and no dates.*decode_times=True"):
        days_since_epoch(xr.DataArray(values, dims="time", name="time"))
