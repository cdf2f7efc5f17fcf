"""Tests of the observations of a Gaussian field."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.internal import to_internal
from xdvarnet.methods.gaussian_field.observations import (
    empty_map,
    error_std,
    gridded_cells,
    label_map,
    map_of_tracks,
    track_cells,
)

ROWS, COLUMNS = 5, 7
PLAIN = SimpleNamespace(places=lambda day, row, column: (day * ROWS + row) * COLUMNS + column)
"""A domain without a margin."""


def grid(sea: np.ndarray | None = None) -> xr.Dataset:
    """Return three days, the latitudes from north to south."""
    coords = {
        "time": pd.date_range("2005-01-01", periods=3),
        "lat": 41.0 - 0.5 * np.arange(ROWS),
        "lon": 2.0 + 0.25 * np.arange(COLUMNS),
    }
    found = xr.Dataset(coords=coords)
    return found if sea is None else found.assign_coords(sea=(("lat", "lon"), sea))


def tracks(count: int = 40) -> xr.Dataset:
    """Return points of a field that is linear in latitude and longitude."""
    rng = np.random.default_rng(0)
    time = np.datetime64("2005-01-01T00", "ns") + np.sort(rng.integers(0, 2 * 86400, count)) * (
        np.timedelta64(1, "s")
    )
    latitude, longitude = rng.uniform(39.05, 40.95, count), rng.uniform(2.05, 3.45, count)
    return xr.Dataset(
        {"ssh": ("time", 3 * latitude - 2 * longitude, {"units": "m"})},
        {"time": time, "latitude": ("time", latitude), "longitude": ("time", longitude)},
    )


def test_weights_of_points_reproduce_a_linear_field():
    """Bilinear weights do, whatever the order of the axes; their sum is one."""
    points = tracks()
    known = to_internal(empty_map(grid(), "ssh", {"units": "m"}), {"ssh": "m"})
    values, places, weights, inside = track_cells(points, "ssh", known, PLAIN)
    linear = 3 * known["latitude"] - 2 * known["longitude"]
    field = np.broadcast_to(linear.transpose("latitude", "longitude"), (3, ROWS, COLUMNS)).ravel()
    assert inside.all() and places.shape == weights.shape == (4, 40)
    np.testing.assert_allclose(weights.sum(0), 1)
    np.testing.assert_allclose((weights * field[places]).sum(0), values)
    days = places // (ROWS * COLUMNS)
    nearest = (points["time"] + np.timedelta64(12, "h")).dt.floor("D") - np.datetime64(
        "2005-01-01", "ns"
    )
    assert (days == nearest.dt.days.values).all()


def test_points_beside_land_use_the_sea_alone():
    """And points that have land all around do not count."""
    sea = np.ones((ROWS, COLUMNS), bool)
    sea[:3, :4] = False
    known = to_internal(empty_map(grid(sea), "ssh", {"units": "m"}), {"ssh": "m"})
    _, places, weights, inside = track_cells(tracks(), "ssh", known, PLAIN)
    at_sea = known["sea"].values.ravel()[places % (ROWS * COLUMNS)]
    assert 0 < inside.sum() < 40
    np.testing.assert_allclose(weights.sum(0), 1)
    assert (weights[~at_sea] == 0).all()


def test_gridded_observations_are_their_own_cells():
    """In the order of the field, latitudes increasing."""
    rng = np.random.default_rng(1)
    values = np.where(
        rng.random((3, ROWS, COLUMNS)) < 0.3, rng.normal(size=(3, ROWS, COLUMNS)), np.nan
    )
    gridded = grid().assign(ssh=(("time", "lat", "lon"), values, {"units": "m"}))
    known = to_internal(gridded, {"ssh": "m"})
    found, places, weights = gridded_cells(known, "ssh", PLAIN)
    np.testing.assert_array_equal(found, values[:, ::-1].ravel()[places[0]].astype(found.dtype))
    assert (weights == 1).all() and found.size == np.isfinite(values).sum()


def test_labels_undo_the_order_of_the_field():
    """A map in the order of the field comes back in that of the grid, with members first."""
    template = empty_map(grid(), "ssh", {"units": "m"})["ssh"].transpose("lon", "time", "lat")
    values = np.random.default_rng(2).normal(size=(2, 3, ROWS, COLUMNS))
    found = label_map(values, template, "ssh")
    assert found.dims == ("member", "lon", "time", "lat")
    np.testing.assert_array_equal(
        found.transpose("member", "time", "lat", "lon"), values[:, :, ::-1]
    )


def test_errors_in_other_units_and_orders():
    """A noise array is converted, and matched by the names of its dimensions."""
    like = tracks()["ssh"]
    noise = xr.full_like(like, 2.0).assign_attrs(units="cm")
    np.testing.assert_allclose(error_std(noise, like, "m"), 0.02)
    plane = xr.DataArray(np.ones((3, 4)), dims=("lat", "lon"), attrs={"units": "m"})
    turned = (plane * np.arange(1.0, 5)).assign_attrs(units="m").transpose("lon", "lat")
    np.testing.assert_array_equal(error_std(turned, plane, "m"), turned.T)
    with pytest.raises(InvalidInputError, match="dimensions"):
        error_std(turned.rename(lat="time"), plane, "m")


def test_maps_have_the_days_of_the_grid_or_of_the_tracks():
    """The tracks cover the first two days."""
    assert map_of_tracks(tracks(), grid(), "ssh").sizes["time"] == 3
    without = grid().drop_vars("time")
    assert map_of_tracks(tracks(), without, "ssh").sizes["time"] in (2, 3)
