"""Weight Datasets: written, read back, refused where they do not fit, and applied."""

import numpy as np
import pytest
import xarray as xr
from scipy import sparse

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.regrid.horizontal import HorizontalGrid
from xdvarnet.grids.regrid.weights import METHODS, read_weights, weighted, weights_dataset

SHAPES = ((3, 4), (2, 5))


def axes(latitude, longitude) -> HorizontalGrid:
    """Return a rectilinear grid."""
    latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
    return HorizontalGrid(("lat", "lon"), ("lat", "lon"), latitude, longitude, None)


SOURCE, TARGET = (axes(np.arange(ny), np.arange(nx)) for ny, nx in SHAPES)


def random_matrix() -> sparse.csr_array:
    """Return weights of ten target points in twelve source points; rows sum to one."""
    dense = np.random.default_rng(3).random((10, 12)) * (np.arange(12) % 3 != 0)
    return sparse.csr_array(dense / dense.sum(axis=1, keepdims=True))


def test_the_layout_is_that_of_esmf():
    """Places count from 1 along the rows; sizes of the grids have the fastest first."""
    matrix = sparse.csr_array(([0.25, 0.75], ([9, 0], [0, 11])), shape=(10, 12))
    weights = weights_dataset(matrix, "conservative_normed", SOURCE, TARGET).sortby("row")
    np.testing.assert_array_equal(weights["S"], [0.75, 0.25])
    np.testing.assert_array_equal(weights["row"], [1, 10])
    np.testing.assert_array_equal(weights["col"], [12, 1])
    np.testing.assert_array_equal(weights["src_grid_dims"], [4, 3])
    np.testing.assert_array_equal(weights["dst_grid_dims"], [5, 2])
    assert weights.sizes["n_a"] == 12 and weights.sizes["n_b"] == 10
    np.testing.assert_array_equal(weights["yc_b"], np.repeat([0, 1], 5))
    assert weights.attrs["map_method"] == "Conservative remapping"
    assert weights.attrs["normalization"] == "fracarea"


@pytest.mark.parametrize("method", METHODS)
def test_weights_come_back(method, tmp_path):
    """Through a file too."""
    weights = weights_dataset(random_matrix(), method, SOURCE, TARGET)
    weights.to_netcdf(tmp_path / "weights.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "weights.nc", engine="h5netcdf") as saved:
        for given in (weights, saved):
            found = read_weights(given, method, SOURCE, TARGET)
            np.testing.assert_array_equal(found.toarray(), random_matrix().toarray())


def test_bare_weights_are_accepted():
    """xESMF writes the weights alone."""
    weights = weights_dataset(random_matrix(), "linear", SOURCE, TARGET)[["S", "row", "col"]]
    found = read_weights(weights.drop_attrs(), "nearest", SOURCE, TARGET)
    np.testing.assert_array_equal(found.toarray(), random_matrix().toarray())


def test_another_method_is_refused():
    """By our attribute, and by those of ESMF."""
    weights = weights_dataset(random_matrix(), "conservative_normed", SOURCE, TARGET)
    with pytest.raises(InvalidInputError, match="'conservative_normed'.*method='linear'"):
        read_weights(weights, "linear", SOURCE, TARGET)
    del weights.attrs["xdvarnet_regrid_method"]
    with pytest.raises(InvalidInputError, match="'conservative_normed'.*method='conservative'"):
        read_weights(weights, "conservative", SOURCE, TARGET)
    read_weights(weights, "conservative_normed", SOURCE, TARGET)
    weights.attrs.update(map_method="Bilinear remapping")
    with pytest.raises(InvalidInputError, match="made by the method 'linear'"):
        read_weights(weights, "nearest", SOURCE, TARGET)


def test_another_shape_is_refused():
    """With both shapes, also where only the number of points is known."""
    weights = weights_dataset(random_matrix(), "linear", SOURCE, TARGET)
    with pytest.raises(InvalidInputError, match=r"source of shape \(3, 4\).*has \(2, 5\)"):
        read_weights(weights, "linear", TARGET, TARGET)
    with pytest.raises(InvalidInputError, match=r"target of shape \(2, 5\).*has \(3, 4\)"):
        read_weights(weights, "linear", SOURCE, SOURCE)
    bare = weights[["S", "row", "col"]]
    with pytest.raises(InvalidInputError, match="source of 12 points.*has 10"):
        read_weights(bare, "linear", TARGET, TARGET)


def test_another_place_is_refused():
    """A grid of the same shape elsewhere, or in another order; other conventions pass."""
    weights = weights_dataset(random_matrix(), "linear", SOURCE, TARGET)
    turned = axes(SOURCE.latitude, SOURCE.longitude - 360)
    read_weights(weights, "linear", turned, TARGET)
    for other in (
        axes(SOURCE.latitude[::-1], SOURCE.longitude),
        axes(SOURCE.latitude, SOURCE.longitude + 1),
    ):
        with pytest.raises(InvalidInputError, match="a source whose points are elsewhere"):
            read_weights(weights, "linear", other, TARGET)
    weights["yc_a"].attrs["units"] = "radians"  # positions in other units are not compared
    read_weights(weights, "linear", other, TARGET)


def test_what_is_no_weights_is_refused():
    """A path, or another Dataset."""
    with pytest.raises(InvalidTypeError, match="open_dataset"):
        read_weights("weights.nc", "linear", SOURCE, TARGET)
    with pytest.raises(InvalidInputError, match="'S', 'row' and 'col'.*regrid_weights"):
        read_weights(xr.Dataset({"a": 1}), "linear", SOURCE, TARGET)


NOWHERE = np.zeros(12, dtype=bool)


@pytest.mark.parametrize("method", METHODS)
def test_whole_fields_are_the_product(method):
    """Without missing values all methods are one product, for each leading index."""
    values = np.random.default_rng(4).normal(size=(2, 3, *SHAPES[0]))
    found = weighted(random_matrix(), method, "ssh", NOWHERE, SHAPES[1])(values)
    expected = np.einsum("ba,tka->tkb", random_matrix().toarray(), values.reshape(2, 3, 12))
    np.testing.assert_allclose(found.reshape(2, 3, 10), expected, rtol=1e-12)


def test_missing_values_follow_the_method():
    """Each mask is that of its own field."""
    matrix = sparse.csr_array(np.array([[0.25, 0.75, 0], [0, 0.5, 0.5], [0.0005, 0, 0.9995]]))
    values = np.array([[[np.nan, 4.0, 2.0]], [[8.0, np.nan, np.nan]]])
    expected = {
        "linear": [[np.nan, 3, 2], [np.nan] * 3],
        "nearest": [[4, 3, 2], [np.nan] * 3],
        "conservative": [[3, 3, 2 * 0.9995], [2, np.nan, 8 * 0.0005]],
        "conservative_normed": [[4, 3, 2], [8, np.nan, 8]],
    }
    for method, result in expected.items():
        apply = weighted(matrix, method, "ssh", NOWHERE[:3], (1, 3))
        np.testing.assert_allclose(apply(values)[:, 0], result, rtol=1e-12)


def test_single_precision_is_kept_and_sums_are_double():
    """float32 comes back, rounded once."""
    values = np.random.default_rng(4).normal(1e4, 1, SHAPES[0]).astype(np.float32)
    found = weighted(random_matrix(), "conservative", "ssh", NOWHERE, SHAPES[1])(values)
    assert found.dtype == np.float32
    exact = (random_matrix() @ values.reshape(-1).astype(float)).astype(np.float32)
    np.testing.assert_array_equal(found.reshape(-1), exact)


def test_impossible_values_are_refused():
    """Infinities, fill values, and values at points without a position."""
    apply = weighted(random_matrix(), "linear", "ssh", NOWHERE, SHAPES[1])
    with pytest.raises(InvalidInputError, match="'ssh' has 12 infinite"):
        apply(np.full(SHAPES[0], np.inf))
    left_out = NOWHERE.copy()
    left_out[[2, 7]] = True
    values = np.ones(SHAPES[0])
    apply = weighted(random_matrix(), "linear", "ssh", left_out, SHAPES[1])
    with pytest.raises(InvalidInputError, match="'ssh' has values at 2 points whose position"):
        apply(values)
    assert apply(np.where(left_out.reshape(SHAPES[0]), np.nan, values)).shape == SHAPES[1]
