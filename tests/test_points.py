"""Points of tracks and swaths: where they are found, and in which order."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.points import find_points


def track(**names) -> xr.Dataset:
    """Return five points along a track."""
    dataset = xr.Dataset(
        {"sla": ("time", np.arange(5.0))},
        {
            "time": pd.date_range("2017-01-01T12:00", periods=5, freq="s"),
            "longitude": ("time", np.linspace(300, 301, 5)),
            "latitude": ("time", np.linspace(33, 35, 5)),
        },
    )
    return dataset.rename(names)


def swath() -> xr.Dataset:
    """Return a swath of four lines and three pixels, with the pixels first."""
    return xr.Dataset(
        {"ssha": (("pixel", "line"), np.arange(12.0).reshape(3, 4))},
        {
            "time": ("line", pd.date_range("2023-04-01", periods=4, freq="s")),
            "latitude": (("pixel", "line"), np.arange(12.0).reshape(3, 4)),
            "longitude": (("line", "pixel"), np.arange(12.0).reshape(3, 4).T + 20),
        },
    )


def test_a_track_is_found():
    """Days count from 1950-01-01, positions are in degrees."""
    points = find_points(track())
    assert points.sizes == {"time": 5}
    assert points.days[0] == (pd.Timestamp("2017-01-01") - pd.Timestamp("1950-01-01")).days + 0.5
    np.testing.assert_array_equal(points.longitude, np.linspace(300, 301, 5))


@pytest.mark.parametrize("names", [{}, {"longitude": "lon", "latitude": "lat"}, {"time": "t"}])
def test_names_and_variables_do_not_matter(names):
    """Coordinates may be data variables, and have any name with CF attributes."""
    dataset = track(**names)
    dataset[names.get("time", "time")].attrs["standard_name"] = "time"
    points = find_points(dataset.reset_coords([names.get("longitude", "longitude")]))
    np.testing.assert_array_equal(points.latitude, np.linspace(33, 35, 5))


def test_a_swath_is_flattened_in_one_order():
    """Time, position and values of a pixel stay together, whatever the order of dimensions."""
    points = find_points(swath())
    values = points.flatten(swath()["ssha"])
    np.testing.assert_array_equal(values, points.latitude)
    np.testing.assert_array_equal(values + 20, points.longitude)
    lines = (values % 4).round()
    np.testing.assert_allclose(points.days - points.days.min(), lines / 86400, atol=1e-9)


def test_values_come_back_to_their_pixels():
    """Flattening and restoring is the identity."""
    points = find_points(swath())
    xr.testing.assert_equal(
        points.restore(points.flatten(swath()["ssha"])),
        swath()["ssha"].drop_vars(["time", "latitude", "longitude"]),
    )


def test_a_grid_is_refused():
    """Longitude and latitude that are axes are a grid."""
    grid = xr.Dataset(
        {"ssh": (("time", "lat", "lon"), np.zeros((2, 3, 4)))},
        {"time": pd.date_range("2017-01-01", periods=2), "lat": [1.0, 2, 3], "lon": [1.0, 2, 3, 4]},
    )
    with pytest.raises(InvalidInputError, match="no points along a track.*'lon'"):
        find_points(grid)


def test_what_is_missing_is_named():
    """No longitude, no dates and no Dataset are errors of their own."""
    with pytest.raises(InvalidInputError, match="no longitude"):
        find_points(track().drop_vars("longitude"))
    with pytest.raises(InvalidInputError, match="no dates"):
        find_points(track().assign_coords(time=np.arange(5.0)))
    with pytest.raises(InvalidTypeError, match="expected an xarray Dataset"):
        find_points(track()["sla"])
