"""Parameters as numbers and maps."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.methods.gaussian_field.parameters import (
    axis_on_grid,
    describe_parameter,
    on_grid,
    read_parameter,
)

LATITUDE, LONGITUDE = np.array([35.0, 36.0, 38.0]), np.array([1.0, 2.0, 4.0, 5.0])
DAYS = np.array([20000.0, 20001.0])


def plane(**attributes) -> xr.DataArray:
    values = 10 * LATITUDE[:, None] + LONGITUDE
    return xr.DataArray(
        values, {"lat": LATITUDE, "lon": LONGITUDE}, ["lat", "lon"], None, attributes
    )


def test_linear_maps_are_interpolated_exactly():
    """Also with longitudes of another convention, and constant beyond the edges."""
    read = read_parameter(plane(), "std", "m")
    latitude, longitude = np.array([35.5, 37.0]), np.array([1.25, 3.0, 4.5]) + 360
    found = on_grid(read, DAYS, latitude, longitude)
    np.testing.assert_allclose(found, [10 * latitude[:, None] + longitude - 360])
    beyond = on_grid(read, DAYS, np.array([30.0, 50.0]), np.array([-3.0, 9.0]))
    np.testing.assert_allclose(beyond, [[[351, 355], [381, 385]]])


def test_maps_in_time_are_interpolated_in_time():
    time = pd.date_range("2004-10-02", periods=3, freq="10D")  # days 19998, 20008, 20018
    changing = plane().expand_dims(time=time) * xr.DataArray([1.0, 2.0, 3.0], {"time": time})
    read = read_parameter(changing.transpose("lon", "time", "lat"), "std", "m")
    first = float(read["time"][0])
    found = on_grid(read, np.array([first - 4, first + 5, first + 99]), LATITUDE, LONGITUDE)
    np.testing.assert_allclose(found, plane().values * np.array([1, 1.5, 3])[:, None, None])


def test_units_of_a_map_are_converted():
    np.testing.assert_allclose(read_parameter(plane(units="cm"), "std", "m"), 0.01 * plane())
    assert read_parameter("120 m", "correlation_length", "km") == 0.12
    with pytest.raises(InvalidInputError, match="'std' has units 'K', which do not convert"):
        read_parameter(plane(units="K"), "std", "m")


def test_axes_are_interpolated_the_short_way_round():
    """Between 170 and 10 degrees lies 0, or 180, and not 90."""
    angle = xr.zeros_like(plane()) + np.where(LONGITUDE < 3, 170.0, 10.0)
    read = read_parameter(angle, "angle", "degrees", positive=False)
    found = axis_on_grid(read, DAYS, LATITUDE, np.array([2.0, 3.0, 4.0]))
    expected = np.broadcast_to([-10, 0, 10], (1, 3, 3))
    np.testing.assert_allclose(np.rad2deg(found), expected, atol=1e-10)
    assert axis_on_grid(45.0, DAYS, LATITUDE, LONGITUDE) == pytest.approx(np.pi / 4)


def test_a_number_has_no_dimension():
    assert on_grid(3.5, DAYS, LATITUDE, LONGITUDE).shape == ()
    assert describe_parameter(3.5) == "3.5"
    assert describe_parameter(plane()) == "<map of 3 x 4, 351 to 385>"


def test_maps_of_other_axes_are_refused():
    with pytest.raises(InvalidInputError, match="std has dimensions .*'member'.*; a map has lat"):
        read_parameter(plane().expand_dims(member=2), "std", "m")
    with pytest.raises(InvalidInputError, match="no longitude coordinate"):
        read_parameter(plane().isel(lon=0, drop=True), "std", "m")
    with pytest.raises(InvalidInputError, match="angle='east' is no number"):
        read_parameter("east", "angle", "degrees", positive=False)


def test_a_map_of_one_time_is_that_of_all_days():
    read = read_parameter(
        plane().expand_dims(time=np.array(["2020-01-01"], "datetime64[ns]")), "std", "m"
    )
    latitude, longitude = read["latitude"].values, read["longitude"].values
    days = float(read["time"][0]) + np.arange(-1.0, 2.0)
    expected = on_grid(read_parameter(plane(), "std", "m"), days, latitude, longitude)
    np.testing.assert_allclose(on_grid(read, days, latitude, longitude), expected)
