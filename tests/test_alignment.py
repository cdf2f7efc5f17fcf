"""The common part of maps and reference."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.metrics.alignment import compare, with_axes


@pytest.fixture
def reference() -> xr.DataArray:
    """Return three days of 4 x 5 cells."""
    coords = {
        "time": pd.date_range("2005-06-10", periods=3),
        "lat": 36 + 0.25 * np.arange(4),
        "lon": -1 + 0.5 * np.arange(5),
    }
    values = np.random.default_rng(41).normal(size=(3, 4, 5))
    return xr.DataArray(values, coords, ("time", "lat", "lon"), "ssh", {"units": "m"})


def test_the_error_is_on_the_coordinates_of_the_reference(reference):
    """Cells are matched by position, whatever their order, convention and names."""
    maps = (100 * reference + 3).assign_attrs(units="cm").rename(lon="longitude")
    maps = maps.assign_coords(longitude=maps["longitude"] % 360).isel(lat=[3, 1, 2])
    error, common = compare(maps, reference.isel(time=[1, 2]))
    xr.testing.assert_identical(common, reference.isel(time=[1, 2], lat=[1, 2, 3]))
    assert error.transpose(*common.dims).coords.equals(common.coords)
    np.testing.assert_allclose(error, 0.03)


def test_a_scalar_axis_becomes_a_dimension(reference):
    assert with_axes(reference[1, :, 2]).sizes == {"time": 1, "lon": 1, "lat": 4}


def test_other_dimensions_must_fit(reference):
    members = reference.expand_dims(member=[0, 1])
    with pytest.raises(InvalidInputError, match="do not fit each other"):
        compare(members.isel(member=[0, 1, 1]).drop_vars("member"), members.drop_vars("member"))
