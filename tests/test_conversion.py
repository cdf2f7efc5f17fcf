"""Quantities of products are decoded and converted."""

import numpy as np
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, XdvarnetWarning
from xdvarnet.grids.harmonise.conversion import build, decode
from xdvarnet.grids.harmonise.roles import find_roles


def dataset(**attributes: dict) -> xr.Dataset:
    """Return a dataset of short variables with given attributes."""
    arrays = {name: ("n", np.arange(3.0), attrs) for name, attrs in attributes.items()}
    return xr.Dataset(arrays)


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("K", [-273.15, -272.15]),
        ("kelvin", [-273.15, -272.15]),
        ("Kelvin", [-273.15, -272.15]),
        ("degC", [0, 1]),
        ("Celsius", [0, 1]),
        ("degree Celsius", [0, 1]),
        ("C", [0, 1]),
    ],
)
def test_temperatures(units, expected):
    """Spellings of kelvin and of degrees Celsius."""
    product = dataset(sst={"units": units})
    built, _ = build(product, find_roles(product))
    np.testing.assert_allclose(built["sst"][:2], expected)
    assert built["sst"].attrs["units"] == "degC"


@pytest.mark.parametrize("units", ["degF", "m", "furlongs of doubt"])
def test_units_that_do_not_convert(units):
    """The message says what is accepted."""
    product = dataset(sst={"units": units})
    with pytest.raises(InvalidInputError, match=f"units '{units}'.* accepted are degC and K"):
        build(product, find_roles(product))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_heights_are_converted_and_keep_their_dtype(dtype):
    """Millimetres become metres; whole numbers become floating ones."""
    product = dataset(adt={"units": "mm"}).astype(dtype)
    built, done = build(product, find_roles(product))
    np.testing.assert_allclose(built["ssh"], [0, 0.001, 0.002], rtol=1e-6)
    assert built["ssh"].dtype == (dtype if dtype[0] == "f" else "float64")
    assert built["ssh"].attrs == {
        "units": "m",
        "standard_name": "sea_surface_height_above_geoid",
    }
    assert done == ["adt: mm -> m", "ssh = adt"]


def test_infinities_and_fills_are_missing():
    """Of every variable, with a warning of each."""
    product = dataset(adt={"units": "m"}, err={"units": "m"})
    product["adt"][:2] = [np.inf, 1e20]
    product["err"][1] = -999
    with pytest.warns(XdvarnetWarning) as said:
        decoded, done = decode(product)
    np.testing.assert_array_equal(decoded["adt"], [np.nan, np.nan, 2])
    np.testing.assert_array_equal(decoded["err"], [0, np.nan, 2])
    assert len(said) == len(done) == 3 and "adt: 1 infinite value(s) -> NaN" in done


def test_assumed_units_are_said():
    """Without the attribute the units are those of the convention."""
    product = dataset(adt={})
    built, done = build(product, find_roles(product))
    assert built["ssh"].attrs["units"] == "m" and "adt: without units, taken as m" in done


def test_decoding_leaves_dates_and_the_rest():
    """Packed variables and coordinates are decoded, dates and what is not packed are not."""
    packing = {"scale_factor": 0.5, "add_offset": 10.0, "_FillValue": np.int16(-1)}
    times = np.array(["2020-01-01", "NaT", "2020-01-03"], "datetime64[ns]")
    product = xr.Dataset(
        {
            "adt": ("lat", np.array([1, -1, 3], "int16"), packing),
            "rest": ("lat", np.array([1, -1, 3], "int16")),
        },
        {
            "lat": ("lat", np.array([2, 4, 6], "int32"), {"scale_factor": 0.1}),
            "time": ("lat", times, {"_FillValue": np.nan}),
        },
    )
    decoded, done = decode(product)
    np.testing.assert_array_equal(decoded["adt"], [10.5, np.nan, 11.5])
    np.testing.assert_allclose(decoded.indexes["lat"], [0.2, 0.4, 0.6])
    xr.testing.assert_identical(decoded["rest"].variable, product["rest"].variable)
    xr.testing.assert_identical(decoded["time"].variable, product["time"].variable)
    assert set(decoded.coords) == {"lat", "time"} and done == ["packed values decoded"]
    assert decode(decoded) == (decoded, [])
