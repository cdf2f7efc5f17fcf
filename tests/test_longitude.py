"""Longitudes of products come to one range, each point or an axis as a whole."""

import numpy as np
import pytest
import xarray as xr

from xdvarnet.grids.harmonise.longitude import drop_repeated, wrap_longitude


def axis(*longitude: float, dtype: str = "float64") -> xr.Dataset:
    """Return a dataset with an axis of longitude."""
    return xr.Dataset(coords={"lon": np.array(longitude, dtype)})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([295, 296, 297], [-65, -64, -63]),
        ([358, 359, 0, 1], [-2, -1, 0, 1]),
        ([178, 179, -180, -179], [178, 179, 180, 181]),
        ([178, 179, 180, 181], [178, 179, 180, 181]),
        ([181, 180, 179], [181, 180, 179]),
        ([-190, -189], [170, 171]),
        (range(0, 360, 10), range(0, 360, 10)),
        (range(-180, 180, 10), range(-180, 180, 10)),
        (range(20, 380, 10), range(20, 380, 10)),
        (range(200, 560, 10), range(-160, 200, 10)),
    ],
)
def test_an_axis_stays_one_piece(given, wanted, dtype):
    """It is shifted as a whole, in its order, its western end in [-180, 180)."""
    wrapped, done = wrap_longitude(axis(*given, dtype=dtype))
    assert wrapped["lon"].values.tolist() == list(wanted)
    assert wrapped["lon"].dtype == dtype
    assert bool(done) == (list(given) != list(wanted))
    again, nothing = wrap_longitude(wrapped)
    xr.testing.assert_identical(again, wrapped)
    assert nothing == []


def test_points_are_wrapped_exactly():
    """Each point by whole turns: subtracting 360 is exact, and NaN stays."""
    longitude = np.append(np.random.default_rng(0).uniform(180, 360, 99), np.nan)
    points = xr.Dataset(coords={"lon": ("n", longitude)})
    wrapped, _ = wrap_longitude(points)
    np.testing.assert_array_equal(wrapped["lon"], longitude - 360)
    edges = xr.Dataset(coords={"lon": ("n", [-180.0, 180, 540, -180 - 1e-9, 179.5])})
    assert wrap_longitude(edges)[0]["lon"].values.tolist() == [-180, -180, -180, 180 - 1e-9, 179.5]


def test_bounds_and_other_longitudes_go_along():
    """Bounds stay around their cells; a longitude of other points is brought to the same range."""
    dataset = axis(180, 181)
    dataset["lon"].attrs = {"bounds": "edges", "long_name": "Longitude"}
    dataset["edges"] = (("lon", "nv"), [[179.5, 180.5], [180.5, 181.5]])
    dataset["lon_u"] = ("u", [300.0, 10.0], {"standard_name": "longitude"})
    wrapped, _ = wrap_longitude(dataset)
    assert wrapped["lon"].values.tolist() == [-180, -179]
    assert wrapped["edges"].values.tolist() == [[-180.5, -179.5], [-179.5, -178.5]]
    assert wrapped["lon_u"].values.tolist() == [-60, 10]
    assert wrapped["lon"].attrs == dataset["lon"].attrs


@pytest.mark.parametrize("start", [0, -180, 20.0375, 350])
@pytest.mark.parametrize("halo", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_that_come_again_are_left_out(start, halo, dtype):
    """The first of each is kept, the axis increases, and no position is lost."""
    degrees = (start + 0.1 * np.arange(3600 + halo)).astype(dtype)
    ring = xr.Dataset({"adt": ("lon", np.arange(degrees.size))}, {"lon": degrees})
    once, done = drop_repeated(ring)
    np.testing.assert_array_equal(once["adt"], np.arange(3600))
    assert done == [f"{halo} column(s) that come again after 360 degrees left out"]
    wrapped, _ = wrap_longitude(once)
    assert (np.diff(wrapped["lon"]) > 0).all() and -180 <= wrapped["lon"][0] < 180
    assert drop_repeated(once) == (once, [])
