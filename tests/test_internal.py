"""The form in which data travel: order, units, dtype, the mask of the sea."""

import numpy as np
import pytest
import xarray as xr
from reconstructors import explode, gappy, lazy

from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.grids.coords import days_since_epoch
from xdvarnet.grids.internal import DIMS, to_internal

pytestmark = pytest.mark.filterwarnings("error")

METRES = {"ssh": "m"}


@pytest.fixture
def dataset():
    return gappy()


def test_order_names_and_dtype(dataset):
    shuffled = dataset.astype(float).transpose("lon", "time", "lat").isel(lat=slice(None, None, -1))
    internal = to_internal(shuffled, METRES)
    assert internal["ssh"].dims == DIMS
    assert internal["sea"].dims == DIMS[1:]
    assert internal["ssh"].dtype == np.float32
    assert internal["sea"].dtype == bool
    assert internal["ssh"].attrs == {"units": "m"}
    np.testing.assert_array_equal(internal["ssh"], dataset["ssh"])
    np.testing.assert_array_equal(internal["sea"], dataset["sea"])
    np.testing.assert_array_equal(internal["latitude"], dataset["lat"])
    np.testing.assert_array_equal(internal["time"], days_since_epoch(dataset["time"]))


def test_basin_across_the_meridian_is_in_one_piece(dataset):
    shifted = dataset.assign_coords(lon=(dataset["lon"] - 5) % 360).sortby("lon")
    internal = to_internal(shifted, METRES)
    np.testing.assert_allclose(internal["longitude"], dataset["lon"] - 5)
    np.testing.assert_array_equal(internal["ssh"], dataset["ssh"])
    np.testing.assert_array_equal(internal["sea"], dataset["sea"])


def test_units_convert(dataset):
    centimetres = 100 * dataset
    centimetres["ssh"].attrs["units"] = "cm"
    internal = to_internal(centimetres, METRES)
    np.testing.assert_allclose(internal["ssh"], dataset["ssh"], atol=1e-7)
    assert internal["ssh"].attrs["units"] == "m"


def test_without_units_those_of_the_model_are_meant(dataset):
    del dataset["ssh"].attrs["units"]
    np.testing.assert_array_equal(to_internal(dataset, METRES)["ssh"], dataset["ssh"])


def test_input_is_left_as_it_is(dataset):
    before = dataset.copy(deep=True)
    internal = to_internal(dataset, METRES)
    internal["ssh"][:] = 0
    internal["sea"][:] = False
    xr.testing.assert_identical(dataset, before)


def test_further_coordinates_are_left_out(dataset):
    dataset = dataset.assign_coords(
        month=("time", np.arange(11)), depth=0.5, area=(("lat", "lon"), np.ones((14, 19)))
    )
    assert set(to_internal(dataset, METRES).variables) == {"ssh", "sea", *DIMS}


# the mask of the sea


def test_without_a_mask_all_is_sea(dataset):
    assert to_internal(dataset.drop_vars("sea"), METRES)["sea"].values.all()


@pytest.mark.parametrize("dtype", [bool, "int8", float])
def test_masks_that_are_accepted(dataset, dtype):
    masked = dataset.assign_coords(sea=dataset["sea"].astype(dtype).T)
    sea = to_internal(masked, METRES)["sea"]
    assert sea.dtype == bool
    np.testing.assert_array_equal(sea, dataset["sea"])


@pytest.mark.parametrize("values", [np.nan, 2, -1, "sea"])
def test_masks_that_are_not(dataset, values):
    mask = dataset["sea"].astype(object if isinstance(values, str) else float).copy()
    mask[0, 0] = values
    if isinstance(values, str):
        mask = mask.astype(str)
    with pytest.raises(InvalidInputError, match="'sea' .* has other values than True and False"):
        to_internal(dataset.assign_coords(sea=mask), METRES)


@pytest.mark.parametrize("dims", [("time", "lat", "lon"), ("lat",), ()])
def test_mask_of_other_dimensions(dataset, dims):
    mask = xr.DataArray(np.ones([dataset.sizes[dim] for dim in dims], bool), dims=dims)
    message = r"'sea' has dimensions .*; a mask of the sea has \('lat', 'lon'\)"
    with pytest.raises(InvalidInputError, match=message):
        to_internal(dataset.assign_coords(sea=mask), METRES)


# values


@pytest.mark.parametrize("dtype", [int, bool, complex, object])
def test_values_without_nan(dataset, dtype):
    dataset["ssh"] = dataset["ssh"].fillna(0).astype(dtype)
    with pytest.raises(InvalidInputError, match="'ssh' holds .* no NaN.*astype"):
        to_internal(dataset, METRES)


def test_infinities(dataset):
    dataset["ssh"][2, 3, 4:6] = [np.inf, -np.inf]
    with pytest.raises(InvalidInputError, match="'ssh' has 2 infinite value.*NaN"):
        to_internal(dataset, METRES)


def test_variable_of_other_dimensions(dataset):
    with pytest.raises(InvalidInputError, match=r"'ssh' has dimensions \('depth', 'time'"):
        to_internal(dataset.expand_dims(depth=2), METRES)
    with pytest.raises(InvalidInputError, match=r"'mean' has dimensions \('lat', 'lon'\)"):
        to_internal(dataset.assign(mean=dataset["ssh"].mean("time")), {"mean": "m"})


def test_missing_variable(dataset):
    with pytest.raises(UnknownNameError, match=r"variable 'sst' is missing; .*\['ssh'\]"):
        to_internal(dataset, {"sst": "K"})


# lazily


def test_nothing_is_computed_before_it_is_asked_for(dataset):
    exploding = dataset.assign(ssh=explode(dataset["ssh"], time=4))
    exploding["sea"] = explode(dataset["sea"], lat=5)
    internal = to_internal(exploding, METRES)
    assert internal["ssh"].chunksizes["time"] == (4, 4, 3)
    with pytest.raises(AssertionError, match="a value was computed"):
        internal.compute()


def test_values_are_checked_when_they_are_computed(dataset):
    dataset["ssh"][9, 3, 4] = np.inf
    internal = to_internal(dataset.assign(ssh=lazy(dataset["ssh"], time=4)), METRES)
    internal["ssh"][:8].compute()
    with pytest.raises(InvalidInputError, match="1 infinite value"):
        internal["ssh"].compute()


def test_the_mask_is_checked_when_it_is_computed(dataset):
    internal = to_internal(dataset.assign_coords(sea=(7 * dataset["sea"]).chunk(lat=5)), METRES)
    with pytest.raises(InvalidInputError, match="other values than True and False"):
        internal["sea"].compute()


def test_lazy_equals_eager(dataset):
    chunked = dataset.chunk(time=4, lon=5)
    xr.testing.assert_identical(
        to_internal(chunked, METRES).compute(), to_internal(dataset, METRES)
    )
