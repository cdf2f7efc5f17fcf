"""Weights of ESMF: what xESMF is given, without it what is said, and with it whether we agree."""

import re
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
    """In two dimensions, the first column again around the globe, under its names of methods."""
    weights = regrid_weights(fine(), COARSE, engine="xesmf")
    assert fake["method"] == "bilinear" and "periodic" not in fake
    assert fake["source"]["lat"].shape == (44, 73) and "lat_b" not in fake["source"]
    np.testing.assert_array_equal(fake["source"]["lon"][:, -1], fine()["lon"][0])
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


ORDERS = [[(first + turn * k) % 4 for k in range(4)] for first in range(4) for turn in (1, -1)]


@pytest.mark.parametrize("order", ORDERS)
def test_given_bounds_become_corners(fake, order):
    """CF bounds of a curved grid, from any vertex on and either way, are the corners it shares."""
    grid = curved()
    j, i = np.meshgrid(np.arange(7), np.arange(10), indexing="ij")
    corner = {"lat": 29.4 + j + 0.2 * i, "lon": 4.45 + 1.4 * i - 0.3 * j}
    for name, array in corner.items():
        around = np.stack([array[:-1, :-1], array[:-1, 1:], array[1:, 1:], array[1:, :-1]], axis=-1)
        grid[name].attrs["bounds"] = f"{name}_bounds"
        grid[f"{name}_bounds"] = (("y", "x", "vertex"), around[..., order])
    regrid_weights(fine(), grid, method="conservative_normed", engine="xesmf")
    assert fake["method"] == "conservative_normed"
    np.testing.assert_allclose(fake["target"]["lat_b"], corner["lat"])
    np.testing.assert_allclose(fake["target"]["lon_b"], corner["lon"])


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Lengths that intervals of shapes (..., m, 2) and (..., n, 2) share, shape (..., m, n)."""
    low = np.maximum(one[..., :, None, 0], other[..., None, :, 0])
    high = np.minimum(one[..., :, None, 1], other[..., None, :, 1])
    return np.maximum(high - low, 0)


def boxes(grid: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Sines of south and north, and west and east, of the cells between the corners handed over."""
    sides = []
    for name in ("lat", "lon"):
        corner, centre = grid[f"{name}_b"].values, grid[name].values
        around = np.stack([corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]])
        away = (around - centre + 180) % 360 - 180  # longitudes may jump
        ends = np.stack([centre + away.min(axis=0), centre + away.max(axis=0)], axis=-1)
        sides.append(ends.reshape(-1, 2))
    return np.sin(np.deg2rad(sides[0])), sides[1]


def conservative(source: xr.Dataset, target: xr.Dataset, method: str) -> np.ndarray:
    """Weights of boxes by their common areas, as ESMF documents them, without masked cells."""
    (rows, columns), (other_rows, other_columns) = boxes(source), boxes(target)
    turns = sum(overlap(other_columns, columns + 360 * turn) for turn in range(-2, 3))
    areas = overlap(other_rows, rows) * turns
    if "mask" in source:
        areas = areas * source["mask"].values.reshape(-1)
    whole = np.prod([np.diff(other_rows), np.diff(other_columns)], axis=0)
    norm = areas.sum(axis=1, keepdims=True) if method == "conservative_normed" else whole
    return np.divide(areas, norm, out=np.zeros_like(areas), where=norm > 0)


def bilinear(source: xr.Dataset, target: xr.Dataset) -> np.ndarray:
    """Bilinear weights between the rows and columns handed over, and nowhere else."""
    latitude, longitude = source["lat"].values[:, 0], source["lon"].values[0]
    longitude = np.unwrap(longitude, period=360)
    turned = longitude[0] + (target["lon"].values.reshape(-1) - longitude[0]) % 360
    parts = []
    for centres, points in ((latitude, target["lat"].values.reshape(-1)), (longitude, turned)):
        units = np.eye(centres.size)
        values = [np.interp(points, centres, unit, left=0, right=0) for unit in units]
        parts.append(np.stack(values, axis=-1))
    return np.einsum("pj,pi->pji", *parts).reshape(len(turned), -1)


@pytest.fixture
def stand_in(monkeypatch) -> None:
    """Put what ESMF computes for grids along latitude and longitude in the place of xESMF."""

    def make(source, target, method, *, ignore_degenerate, unmapped_to_nan):
        assert ignore_degenerate and not unmapped_to_nan
        by_area = method.startswith("conservative")
        dense = conservative(source, target, method) if by_area else bilinear(source, target)
        matrix = sparse.coo_array(dense)
        data = SimpleNamespace(data=matrix.data, coords=np.stack([matrix.row, matrix.col]))
        return SimpleNamespace(weights=SimpleNamespace(data=data))

    monkeypatch.setitem(sys.modules, "xesmf", SimpleNamespace(Regridder=make))


CONSERVATIVE = ("conservative", "conservative_normed")
TARGET = xr.Dataset(coords={"lat": np.arange(30.4, 36, 1.3), "lon": np.arange(-4.2, 6, 1.7)})


def bounded(latitude, longitude, *, seed: int = 0) -> xr.Dataset:
    """Return a random field on axes whose CF bounds are the middles between the centres."""
    field = np.random.default_rng(seed).normal(size=(len(latitude), len(longitude)))
    dataset = xr.Dataset({"ssh": (("lat", "lon"), field)}, {"lat": latitude, "lon": longitude})
    for name, values in (("lat", latitude), ("lon", longitude)):
        step = abs(values[1] - values[0])
        dataset[name].attrs["bounds"] = f"{name}_bnds"
        dataset[f"{name}_bnds"] = ((name, "nv"), np.add.outer(values, [-step / 2, step / 2]))
    return dataset


def in_two_dimensions(dataset: xr.Dataset, order: list[int]) -> xr.Dataset:
    """Return axes with bounds as a curvilinear grid, whose vertices come in this order."""
    curved = xr.Dataset({"ssh": (("y", "x"), dataset["ssh"].values)})
    latitude, longitude = np.meshgrid(dataset["lat"], dataset["lon"], indexing="ij")
    rows, columns = dataset["lat_bnds"].values, dataset["lon_bnds"].values
    shape = (*latitude.shape, 4)
    vertices = {
        "lat": np.broadcast_to(rows[:, None, [0, 0, 1, 1]], shape)[..., order],
        "lon": np.broadcast_to(columns[None, :, [0, 1, 1, 0]], shape)[..., order],
    }
    for name, values in (("lat", latitude), ("lon", longitude)):
        curved = curved.assign_coords({name: (("y", "x"), values, {"bounds": f"{name}_v"})})
        curved[f"{name}_v"] = (("y", "x", "vertex"), vertices[name])
    return curved


def agree(source: xr.Dataset, target: xr.Dataset, method: str, **options) -> None:
    """Check that the stand-in gives what the native engine does."""
    expected = regrid(source, target, method=method, **options)["ssh"]
    found = regrid(source, target, method=method, engine="xesmf", **options)["ssh"]
    assert expected.notnull().any()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("flip", [1, -1])
def test_vertices_may_start_anywhere_and_turn_either_way(stand_in, order, flip):
    """All eight orders are the same cells, in a source and in a target, however it lies."""
    axes = bounded(np.arange(30.0, 36)[::flip], np.arange(-4.0, 5, 1.5))
    curved = in_two_dimensions(axes, order).transpose("x", "y", "vertex")  # so no axes
    assert not find_horizontal(curved).rectilinear
    for method in CONSERVATIVE:
        expected = regrid(axes, TARGET, method=method)["ssh"]
        found = regrid(curved, TARGET, method=method, engine="xesmf")["ssh"]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        other = TARGET.assign(ssh=expected.fillna(0))
        back = regrid(other, curved, method=method, engine="xesmf")["ssh"]
        expected = regrid(other, axes, method=method)["ssh"].values.T
        np.testing.assert_allclose(back, expected, rtol=1e-9, atol=1e-12)


LONGITUDES = {
    "jumps": [176.0, 177, 178, 179, -180, -179, -178, -177],
    "goes on": np.arange(176.0, 184),
    "falls": [-177.0, -178, -179, -180, 179, 178, 177],
    "is a globe": np.arange(-180.0, 180, 10),
    "is a globe cut elsewhere": (np.arange(0.0, 360, 10) + 130) % 360 - 180,
}


@pytest.mark.parametrize("longitude", LONGITUDES.values(), ids=LONGITUDES.keys())
@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("method", [*CONSERVATIVE, "linear"])
def test_bounded_axes_may_jump(stand_in, longitude, flip, method):
    """Over the date line, in either direction, for sources and targets."""
    axes = bounded(np.arange(-3.0, 4)[::flip], np.asarray(longitude))
    other = bounded(np.arange(-2.7, 4, 1.6), np.arange(177.3, 182, 1.1))
    agree(axes, other, method)
    agree(other, axes, method)


def test_cells_that_share_no_corners_are_refused(stand_in):
    """They would be widened until they do; the native engine, as advised, leaves the gaps."""
    axes = bounded(np.arange(30.0, 36), np.arange(-4.0, 5, 1.5))
    axes["lat_bnds"] = axes["lat_bnds"].copy(data=axes["lat"].values[:, None] + [-0.5, 0.0])
    axes["ssh"] = xr.ones_like(axes["ssh"])
    curved = in_two_dimensions(axes, ORDERS[0])
    for given in (axes, curved, curved.transpose("x", "y", "vertex")):
        for pair in ((given, TARGET), (TARGET, given)):
            with pytest.raises(
                InvalidInputError, match=r"share their four corners.*do not.*native"
            ):
                regrid_weights(*pair, method="conservative", engine="xesmf")
        target = bounded(np.arange(31.0, 34), np.array([-1.0, 0.5, 2]))
        found = regrid(given, target, method="conservative", engine="native")["ssh"]
        np.testing.assert_allclose(found, 0.5, atol=0.01)
    free = axes.drop_vars(["lat_bnds", "lon_bnds"])
    agree(free, TARGET, "conservative")


def test_cells_of_other_vertices_are_refused(stand_in):
    """Five, and missing ones."""
    curved = in_two_dimensions(bounded(np.arange(30.0, 36), np.arange(-4.0, 5, 1.5)), ORDERS[0])
    five = curved.isel(vertex=[0, 1, 2, 3, 3])
    with pytest.raises(InvalidInputError, match="they have 5.*engine='native'"):
        regrid_weights(five, TARGET, method="conservative", engine="xesmf")
    curved["lat_v"][2, 3, 1] = np.nan
    with pytest.raises(InvalidInputError, match="1 points .* no corner of their cells.*native"):
        regrid_weights(curved, TARGET, method="conservative", engine="xesmf")


@pytest.mark.parametrize("method", CONSERVATIVE)
def test_a_halo_counts_once(stand_in, method):
    """Columns that a model repeats are masked for ESMF, and counted."""
    once = in_two_dimensions(bounded(np.arange(-40.0, 41, 10), np.arange(0.0, 360, 20)), ORDERS[0])
    columns = np.arange(-1, 19) % 18
    halo = once.isel(x=columns)
    target = bounded(np.arange(-35.0, 36, 14), np.arange(3.0, 360, 30))
    expected = regrid(once, target, method=method, engine="xesmf")
    found = regrid(halo, target, method=method, engine="xesmf")
    np.testing.assert_allclose(found["ssh"], expected["ssh"], rtol=1e-9)
    assert found.attrs["xdvarnet_duplicated_cells"] == 2 * 9
    assert "xdvarnet_duplicated_cells" not in expected.attrs
    back = regrid(target, halo, method=method, engine="xesmf")["ssh"]  # a target may repeat cells
    assert not back.isnull().any()
    np.testing.assert_array_equal(back[:, 0], back[:, -2])


def test_a_single_row_is_for_the_native_engine(stand_in):
    """Between which ESMF cannot interpolate; with bounds its cells are as any."""
    row = bounded(np.arange(30.0, 36), np.arange(-4.0, 5, 1.5)).isel(lat=[2])
    target = xr.Dataset(coords={"lat": [32.0], "lon": [-3.3, 1.0]})
    with pytest.raises(InvalidInputError, match=r"shape \(1, 6\).*engine='native'.*nearest"):
        regrid(row, target, engine="xesmf")
    assert regrid(row, target)["ssh"].notnull().all()
    for method in CONSERVATIVE:
        agree(row, TARGET, method)
        agree(TARGET.assign(ssh=regrid(row, TARGET, method="nearest")["ssh"]), row, method)


def test_one_missing_value_leaves_the_others_poleward(stand_in):
    """ESMF itself would take the mean of the whole last row there."""
    latitude, longitude = np.arange(-87.5, 90, 5), np.arange(2.5, 360, 5)
    field = np.random.default_rng(0).normal(size=(36, 72))
    field[-1, 10] = field[0, 40] = np.nan
    source = xr.Dataset({"ssh": (("lat", "lon"), field)}, {"lat": latitude, "lon": longitude})
    target = xr.Dataset(coords={"lat": [-90.0, -88, 0, 89, 90], "lon": np.arange(1.0, 360, 3)})
    agree(source, target, "linear")
    agree(source.isel(lat=slice(None, None, -1)), target, "linear")
    found = regrid(source, target, engine="xesmf")["ssh"]
    missing = found.isnull().sum("lon").values
    assert missing[2] == 0 and (missing[[0, 1, 3, 4]] > 0).all() and missing.max() <= 4


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


def test_the_page_for_users_of_xesmf_runs(repository, tmp_path, monkeypatch):
    """As it is written; the grid with corners has the cells between them."""
    page = (repository / "docs" / "xesmf.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    latitude, _ = find_horizontal(names["grid"]).bounds
    np.testing.assert_array_equal(latitude[:3], [[30, 31], [31, 32], [32, 33]])
    assert "source only" in names["coarse"].attrs["xdvarnet_cell_bounds"]
    fewer, more = (names[name]["ssh"].notnull().sum() for name in ("half_sea", "coarse"))
    assert 0 < int(fewer) < int(more)


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
