"""Weight Datasets: written, read back, refused where they do not fit, and applied."""

import numpy as np
import pytest
import xarray as xr
from grids_of_tests import axes
from scipy import sparse

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.regrid.weights import METHODS, read_weights, weighted, weights_dataset

SHAPES = ((3, 4), (2, 5))


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
    """By our attribute; following the advice works."""
    weights = weights_dataset(random_matrix(), "conservative_normed", SOURCE, TARGET)
    with pytest.raises(InvalidInputError, match="method='linear'.*give method='conservative_norm"):
        read_weights(weights, "linear", SOURCE, TARGET)
    read_weights(weights, "conservative_normed", SOURCE, TARGET)


WRITTEN = {  # attributes of files: what ESMF's program writes, older ESMF and others
    ("Bilinear remapping", "Bilinear", "destarea"): "linear",
    ("Bilinear remapping", "Nearest source to destination", "destarea"): "nearest",
    ("Conservative remapping", "First-order Conservative", "destarea"): "conservative",
    ("Conservative remapping", "First-order Conservative", "fracarea"): "conservative_normed",
    ("Bilinear remapping", None, "destarea"): "linear",
    ("Nearest neighbor", None, None): "nearest",
    ("Conservative remapping using clipping", None, None): "conservative",
    ("Conservative remapping", None, "fracarea"): "conservative_normed",
}


@pytest.mark.parametrize("attributes", WRITTEN)
def test_the_method_in_a_file_is_the_truth(attributes):
    """ESMF calls the map method of nearest weights bilinear too; its own attribute counts."""
    made_by = WRITTEN[attributes]
    names = ("map_method", "ESMF_regrid_method", "normalization")
    written = {n: v for n, v in zip(names, attributes, strict=True) if v is not None}
    weights = weights_dataset(random_matrix(), "linear", SOURCE, TARGET).drop_attrs(deep=False)
    weights = weights.assign_attrs(written)
    for method in METHODS:
        if method == made_by:
            read_weights(weights, method, SOURCE, TARGET)
            continue
        with pytest.raises(InvalidInputError, match=f"made by the method '{made_by}'"):
            read_weights(weights, method, SOURCE, TARGET)


@pytest.mark.parametrize("method", METHODS)
def test_our_weights_say_their_method_as_esmf_does(method):
    """So they are known without our own attribute, as after a tool that drops it."""
    weights = weights_dataset(random_matrix(), method, SOURCE, TARGET)
    del weights.attrs["xdvarnet_regrid_method"]
    read_weights(weights, method, SOURCE, TARGET)


@pytest.mark.parametrize("name", ["Higher-order Patch", "Nearest destination to source"])
def test_methods_that_are_not_ours_are_refused(name):
    """Their weights would be applied by a wrong rule."""
    weights = weights_dataset(random_matrix(), "linear", SOURCE, TARGET)
    del weights.attrs["xdvarnet_regrid_method"]
    weights.attrs.update(map_method="Bilinear remapping", ESMF_regrid_method=name)
    for method in METHODS:
        with pytest.raises(InvalidInputError, match=f"{name}.*none of linear, nearest"):
            read_weights(weights, method, SOURCE, TARGET)


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


SPELLINGS = [
    ("degrees", "degrees"),
    ("degrees_north", "degrees_east"),
    ("degree_north", "degree_east"),
    ("degrees north", "degrees east"),
    ("degreesN", "degrees_E"),
    ("Degrees", "degree"),
    ("deg", "deg"),
    ("radians", "rad"),
    (None, None),
]


@pytest.mark.parametrize("units", SPELLINGS)
def test_positions_are_compared_however_degrees_are_written(units):
    """Radians too; what is no angle is refused, and what the message says to do works."""
    weights = weights_dataset(random_matrix(), "linear", SOURCE, TARGET)
    for side in "ab":
        for name, written in zip((f"yc_{side}", f"xc_{side}"), units, strict=True):
            weights[name] = np.deg2rad(weights[name]) if "rad" in str(written) else weights[name]
            weights[name].attrs = {} if written is None else {"units": written}
    read_weights(weights, "linear", SOURCE, TARGET)
    other = axes(SOURCE.latitude, SOURCE.longitude + 1)
    with pytest.raises(InvalidInputError, match="a source whose points are elsewhere"):
        read_weights(weights, "linear", other, TARGET)
    weights["yc_a"].attrs["units"] = "m"
    with pytest.raises(InvalidInputError, match=r"'yc_a' has the units 'm'.*attrs\['units'\]"):
        read_weights(weights, "linear", SOURCE, TARGET)


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


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("na_thres", [None, 0, 0.1, 0.4, 1])
def test_missing_weights_count_field_by_field(method, na_thres):
    """Against sums written out; of fields whose masks are equal, change, and come back."""
    dense, rng = random_matrix().toarray(), np.random.default_rng(5)
    masks = rng.random((3, 12)) < 0.3
    fields = rng.normal(size=(7, 12))
    fields[masks[[0, 0, 1, 2, 2, 0, 1]]] = np.nan
    apply = weighted(random_matrix(), method, "ssh", NOWHERE, SHAPES[1], na_thres)
    found = apply(fields.reshape(7, *SHAPES[0])).reshape(7, 10)
    for field, result in zip(fields, found, strict=True):
        for row, value in zip(dense, result, strict=True):
            some = np.isfinite(field)
            part, total = row[some].sum(), (row[some] * field[some]).sum()
            if na_thres is not None:  # one value is missing at 0, all are at 1
                missing = part < min(max(1 - na_thres, 1e-6), 1 - 1e-6)
            else:
                missing = part <= {"linear": 0.999, "nearest": 0.5}.get(method, 0)
            whole = total if method == "conservative" and na_thres is None else total / part
            np.testing.assert_allclose(value, np.nan if missing else whole, rtol=1e-12)


def test_single_precision_is_kept_and_sums_are_double():
    """float32 comes back, rounded once."""
    values = np.random.default_rng(4).normal(1e4, 1, SHAPES[0]).astype(np.float32)
    found = weighted(random_matrix(), "conservative", "ssh", NOWHERE, SHAPES[1])(values)
    assert found.dtype == np.float32
    exact = (random_matrix() @ values.reshape(-1).astype(float)).astype(np.float32)
    np.testing.assert_array_equal(found.reshape(-1), exact)


def test_values_without_a_position_are_refused():
    left_out = NOWHERE.copy()
    left_out[[2, 7]] = True
    values = np.ones(SHAPES[0])
    apply = weighted(random_matrix(), "linear", "ssh", left_out, SHAPES[1])
    with pytest.raises(InvalidInputError, match="'ssh' has values at 2 points whose position"):
        apply(values)
    assert apply(np.where(left_out.reshape(SHAPES[0]), np.nan, values)).shape == SHAPES[1]
