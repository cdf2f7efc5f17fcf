"""Weights of ESMF: what xESMF is given, without it what is said, and with it whether we agree."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy import sparse

from xdvarnet.errors import InvalidInputError, MissingDependencyError
from xdvarnet.grids.regrid.esmf import esmf_matrix
from xdvarnet.grids.regrid.fields import regrid, regrid_weights
from xdvarnet.grids.regrid.horizontal import find_horizontal


def fine() -> xr.Dataset:
    """Return a global field with land."""
    latitude, longitude = np.arange(-86.0, 87, 4), np.arange(2.5, 360, 5)
    field = np.cos(np.deg2rad(latitude))[:, None] * np.sin(np.deg2rad(longitude))
    field[20:30, 10:25] = np.nan
    return xr.Dataset({"ssh": (("lat", "lon"), field)}, {"lat": latitude, "lon": longitude})


COARSE = xr.Dataset(coords={"lat": np.arange(70.0, -71, -7), "lon": np.arange(-176.0, 176, 11)})


def curved() -> xr.Dataset:
    """Return a skewed regional grid."""
    j, i = np.meshgrid(np.arange(6), np.arange(9), indexing="ij")
    return xr.Dataset(
        coords={"lat": (("y", "x"), 30 + j + 0.2 * i), "lon": (("y", "x"), 5 + 1.4 * i - 0.3 * j)}
    )


@pytest.fixture
def fake(monkeypatch) -> dict:
    """Put a module that notes its arguments in the place of xESMF."""
    seen = {}

    def make(source, target, method, **options):
        seen.update(source=source, target=target, method=method, **options)
        matrix = sparse.coo_array(np.eye(target["lat"].size, source["lat"].size))
        data = SimpleNamespace(data=matrix.data, coords=np.stack([matrix.row, matrix.col]))
        return SimpleNamespace(weights=SimpleNamespace(data=data))

    monkeypatch.setitem(sys.modules, "xesmf", SimpleNamespace(Regridder=make))
    return seen


def test_xesmf_gets_centres(fake):
    """In two dimensions, periodic around the globe, under its names of methods."""
    weights = regrid_weights(fine(), COARSE, engine="xesmf")
    assert fake["method"] == "bilinear" and fake["periodic"]
    assert fake["source"]["lat"].shape == (44, 72) and "lat_b" not in fake["source"]
    np.testing.assert_array_equal(fake["target"]["lon"][3], COARSE["lon"])
    assert weights.attrs["xdvarnet_regrid_engine"] == "xesmf"
    assert weights.sizes["n_s"] == 21 * 32
    regrid_weights(COARSE, curved(), method="nearest", engine="xesmf")
    assert fake["method"] == "nearest_s2d" and fake["target"]["lat"].shape == (6, 9)


@pytest.mark.parametrize("grid", [fine(), COARSE, curved()])
def test_xesmf_gets_corners(fake, grid):
    """Around each centre, in the order of the axes."""
    regrid_weights(fine(), grid, method="conservative", engine="xesmf")
    corners = fake["target"]["lat_b"].values
    ny, nx = fake["target"]["lat"].shape
    assert corners.shape == fake["target"]["lon_b"].shape == (ny + 1, nx + 1)
    centres = (corners[1:, 1:] + corners[:-1, :-1] + corners[1:, :-1] + corners[:-1, 1:]) / 4
    np.testing.assert_allclose(centres, fake["target"]["lat"], atol=0.05)


def test_given_bounds_become_corners(fake):
    """CF bounds of a curvilinear grid are the corners that its cells share."""
    grid = curved()
    j, i = np.meshgrid(np.arange(7), np.arange(10), indexing="ij")
    corner = {"lat": 29.4 + j + 0.2 * i, "lon": 4.45 + 1.4 * i - 0.3 * j}
    for name, array in corner.items():
        around = np.stack([array[:-1, :-1], array[:-1, 1:], array[1:, 1:], array[1:, :-1]], axis=-1)
        grid[name].attrs["bounds"] = f"{name}_bounds"
        grid[f"{name}_bounds"] = (("y", "x", "vertex"), around)
    regrid_weights(fine(), grid, method="conservative_normed", engine="xesmf")
    assert fake["method"] == "conservative_normed"
    np.testing.assert_allclose(fake["target"]["lat_b"], corner["lat"])
    np.testing.assert_allclose(fake["target"]["lon_b"], corner["lon"])


def test_missing_positions_are_refused(fake):
    """ESMF takes none."""
    grid = curved()
    grid["lat"][2, 3] = np.nan
    with pytest.raises(InvalidInputError, match="1 points.*engine='native'"):
        regrid_weights(fine(), grid, engine="xesmf")


def test_xesmf_is_asked_for(monkeypatch):
    """Without it the message says how to get it."""
    monkeypatch.setitem(sys.modules, "xesmf", None)
    with pytest.raises(MissingDependencyError, match="conda install -c conda-forge xesmf"):
        regrid(fine(), COARSE, engine="xesmf")


@pytest.mark.parametrize("method", ["linear", "conservative", "conservative_normed", "nearest"])
@pytest.mark.parametrize("target", [COARSE, curved()], ids=["axes", "curved"])
def test_both_engines_agree(method, target):
    """Conservative weights differ by the borders of cells, linear ones by the square of a step."""
    pytest.importorskip("xesmf")
    native = regrid(fine(), target, method=method)["ssh"]
    other = regrid(fine(), target, method=method, engine="xesmf")["ssh"]
    both = (native.notnull() & other.notnull()).values
    assert both.mean() > 0.8 and (native.notnull() == other.notnull()).mean() > 0.95
    near = np.abs(native.values[both] - other.values[both]) < 5e-3
    assert near.mean() > (0.9 if method == "nearest" else 0.999)  # points may be equally near


def test_the_weights_of_xesmf_are_used_by_native():
    """They are read by `regrid` whatever the engine."""
    pytest.importorskip("xesmf")
    weights = regrid_weights(fine(), COARSE, engine="xesmf")
    expected = esmf_matrix(find_horizontal(fine()), find_horizontal(COARSE), "linear")
    assert weights.sizes["n_s"] == expected.nnz
    xr.testing.assert_allclose(
        regrid(fine(), COARSE, weights=weights), regrid(fine(), COARSE, engine="xesmf")
    )
