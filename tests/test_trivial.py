"""The references that every method must beat."""

import numpy as np
import pytest
import xarray as xr
from reconstructors import gappy

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.mapping.reconstruct import reconstruct
from xdvarnet.methods.trivial import MeanMapOffset, Persistence

pytestmark = pytest.mark.filterwarnings("error")

BOTH = pytest.mark.parametrize("method", [MeanMapOffset, Persistence])


@pytest.fixture
def earlier():
    return gappy(days=6, unobserved=0.0, seed=1)


@pytest.fixture
def observed():
    return gappy(days=9)


def known_map(method, maps):
    return maps["ssh"].mean("time") if method is MeanMapOffset else maps["ssh"].isel(time=-1)


@BOTH
def test_maps_are_the_known_map_plus_the_mean_of_what_is_observed(method, earlier, observed):
    maps = reconstruct(observed, method(earlier, days=5))
    known = known_map(method, earlier)
    misfit = observed["ssh"] - known
    for day in range(9):
        near = misfit[max(day - 2, 0) : day + 3]
        wanted = (known + near.mean()).where(observed["sea"])
        np.testing.assert_allclose(maps["ssh"][day], wanted, atol=1e-6)
    assert set(maps.data_vars) == {"ssh"}  # no standard deviation


@BOTH
def test_an_offset_of_the_known_maps_makes_no_difference(method, earlier, observed):
    higher = earlier + 0.7
    higher["ssh"].attrs = earlier["ssh"].attrs
    np.testing.assert_allclose(
        reconstruct(observed, method(higher))["ssh"],
        reconstruct(observed, method(earlier))["ssh"],
        atol=1e-6,
    )


def test_persistence_holds_the_last_map_in_time(earlier, observed):
    shuffled = earlier.isel(time=[3, 5, 0, 1, 4, 2])
    xr.testing.assert_identical(
        reconstruct(observed, Persistence(shuffled)), reconstruct(observed, Persistence(earlier))
    )


@BOTH
def test_units_of_the_maps_and_of_the_data_may_differ(method, earlier, observed):
    centimetres = 100 * earlier
    centimetres["ssh"].attrs = earlier["ssh"].attrs | {"units": "cm"}
    np.testing.assert_allclose(
        reconstruct(observed, method(centimetres))["ssh"],
        reconstruct(observed, method(earlier))["ssh"],
        atol=1e-6,
    )


@BOTH
def test_variables_without_maps_are_left_out(method, earlier):
    method = method(earlier.assign(depth=earlier["ssh"][0], number=3))
    assert method.variables == {"ssh": "m"}
    assert repr(method) == f"{type(method).__name__}(ssh)"


@BOTH
def test_input_is_left_as_it_is(method, earlier, observed):
    before = earlier.copy(deep=True)
    reconstruct(observed, method(earlier))
    xr.testing.assert_identical(earlier, before)


@BOTH
def test_maps_that_are_not_accepted(method, earlier):
    with pytest.raises(InvalidTypeError, match=r"got DataArray. Name it: array.to_dataset"):
        method(earlier["ssh"])
    with pytest.raises(InvalidInputError, match="there are no maps with the dimensions"):
        method(earlier.isel(time=slice(0)))
    with pytest.raises(InvalidInputError, match="there are no maps with the dimensions"):
        method(earlier.isel(time=0).expand_dims(depth=1))
    with pytest.raises(InvalidInputError, match="no time coordinate"):
        method(earlier.mean("time"))
    del earlier["ssh"].attrs["units"]
    with pytest.raises(InvalidInputError, match="'ssh' has no attribute 'units'; set maps"):
        method(earlier)


@BOTH
def test_they_have_no_members(method, earlier, observed):
    with pytest.raises(InvalidInputError, match="has no ensemble. Leave members=None"):
        reconstruct(observed, method(earlier), members=4)
