"""Regridding: integrals, constants and linear functions are kept, on synthetic and real grids."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.grids.regrid.fields import regrid, regrid_weights
from xdvarnet.grids.regrid.weights import METHODS

CONSERVATIVE = ("conservative", "conservative_normed")


def rectilinear(latitude, longitude, *, seed: int = 0, land: float = 0.3) -> xr.Dataset:
    """Return three days of random fields whose masks change, with attributes."""
    rng = np.random.default_rng(seed)
    shape = (3, len(latitude), len(longitude))
    field = np.where(rng.random(shape) < land, np.nan, rng.normal(size=shape))
    return xr.Dataset(
        {"ssh": (("time", "lat", "lon"), field, {"units": "m"})},
        {
            "time": pd.date_range("2020-03-01", periods=3),
            "lat": ("lat", latitude, {"units": "degrees_north"}),
            "lon": ("lon", longitude, {"units": "degrees_east"}),
        },
        attrs={"title": "test", "history": "made"},
    )


def skewed(ny: int, nx: int, *, south=31.0, west=-3.0, seed: int = 1) -> xr.Dataset:
    """Return random masked fields on a turned grid of uneven steps."""
    j, i = np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij")
    rng = np.random.default_rng(seed)
    field = np.where(rng.random((2, ny, nx)) < 0.2, np.nan, rng.normal(size=(2, ny, nx)))
    return xr.Dataset(
        {"tos": (("t", "y", "x"), field)},
        {
            "nav_lat": (("y", "x"), south + 0.7 * j + 0.2 * i),
            "nav_lon": (("y", "x"), west + 1.1 * i - 0.3 * j + 0.01 * i**2),
        },
    )


def stereographic(ny: int, nx: int, step: float = 0.05) -> xr.Dataset:
    """Return a polar stereographic grid over the north pole, with `step` in radians."""
    j, i = np.meshgrid(
        (np.arange(ny) - 0.43 * ny) * step, (np.arange(nx) - 0.52 * nx) * step, indexing="ij"
    )
    latitude = 90 - 2 * np.degrees(np.arctan(np.hypot(i, j) / 2))
    return xr.Dataset(
        {"ice": (("y", "x"), np.random.default_rng(2).normal(size=(ny, nx)))},
        {
            "lat": (("y", "x"), latitude),
            "lon": (("y", "x"), np.degrees(np.arctan2(i, -j))),
            "x": ("x", 6.4e6 * i[0], {"standard_name": "projection_x_coordinate"}),
            "y": ("y", 6.4e6 * j[:, 0], {"standard_name": "projection_y_coordinate"}),
        },
    )


GLOBAL = rectilinear(np.arange(-87.0, 88, 6), np.arange(2.5, 360, 5))
OTHER = rectilinear(np.linspace(85.2, -85.1, 18), np.arange(-178.77, 180, 8))
INSIDE = rectilinear(np.arange(34.0, 37.6, 0.8), np.arange(-1.0, 5, 0.9))


def only_grid(dataset: xr.Dataset) -> xr.Dataset:
    """Drop the variables."""
    return dataset.drop_vars(list(dataset.data_vars))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("source", [GLOBAL, skewed(20, 30), stereographic(40, 37)])
def test_constants_are_reproduced(method, source):
    """Where the target is covered, each method gives a constant back."""
    name = next(iter(source.data_vars))
    target = INSIDE
    if name == "ice":
        target = rectilinear(np.arange(61.0, 90, 2), np.arange(0.0, 360, 15))
    constant = source.assign({name: xr.full_like(source[name], 7.25)})
    found = regrid(constant, target, method=method)[name]
    np.testing.assert_allclose(found, 7.25, rtol=1e-9)


def test_linear_functions_are_exact():
    """By `linear` on axes, away from the ends of the globe."""
    plane = (2.0 * GLOBAL["lat"] - 0.3 * GLOBAL["lon"]).to_dataset(name="ssh")
    target = xr.Dataset(coords={"lat": np.arange(-80.3, 80, 7), "lon": np.arange(4.0, 355, 11)})
    found = regrid(plane, target)["ssh"]
    np.testing.assert_allclose(found, 2.0 * target["lat"] - 0.3 * target["lon"], atol=1e-10)


@pytest.mark.parametrize("method", ["linear", "conservative_normed", "nearest"])
@pytest.mark.parametrize("source", [GLOBAL, INSIDE, skewed(7, 9)])
def test_the_same_grid_is_the_identity(method, source):
    """With the same mask."""
    found = regrid(source, source, method=method)
    for name, array in source.data_vars.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (GLOBAL, OTHER),
        (OTHER, GLOBAL),
        (INSIDE, GLOBAL),
        (skewed(8, 11), GLOBAL),
        (skewed(8, 11, west=176.0), GLOBAL),
        (stereographic(20, 17), GLOBAL),
        (skewed(8, 9, south=36.0, west=2.0), skewed(30, 25, south=28.0)),
    ],
)
def test_integrals_are_kept(source, target):
    """A target that covers the source has the integral of each masked field, to 1e-12."""
    name = next(iter(source.data_vars))
    weights = regrid_weights(source, target, method="conservative")
    found = regrid(source, target, method="conservative", weights=weights)[name]
    axes = target[next(iter(target.data_vars))].dims[-2:]
    fields = source[name].fillna(0).values.reshape(-1, weights.sizes["n_a"])
    results = found.transpose(..., *axes).fillna(0).values.reshape(-1, weights.sizes["n_b"])
    total = weights["area_a"].values * np.abs(fields)
    difference = results @ weights["area_b"].values - fields @ weights["area_a"].values
    assert np.abs(difference).max() < 1e-12 * total.sum(axis=1).max()
    normed = regrid(source, target, method="conservative_normed")[name]
    valid = (source[name] * 0 + 1).fillna(0).to_dataset(name=name)
    fraction = regrid(valid, target, method="conservative", weights=weights)[name]
    np.testing.assert_allclose(normed * fraction, found, rtol=1e-9, atol=1e-13)


def test_integrals_hold_over_the_common_region():
    """Where a target covers a part, the integral is that of the source over this part."""
    source = skewed(20, 30)
    source = source.assign(tos=source["tos"].fillna(0))
    weights = regrid_weights(source, INSIDE, method="conservative")
    found = regrid(source, INSIDE, method="conservative", weights=weights)["tos"]
    part = (weights["frac_a"] * weights["area_a"]).values
    expected = source["tos"].values.reshape(2, -1) @ part
    np.testing.assert_allclose(found.values.reshape(2, -1) @ weights["area_b"].values, expected)
    assert 0 < part.sum() < weights["area_a"].sum()
    assert part.sum() == pytest.approx(float(weights["area_b"].sum()), rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_a_partition_of_unity(method):
    """The weights of each covered target sum to one."""
    for source, target in [(GLOBAL, OTHER), (skewed(20, 30), INSIDE)]:
        weights = regrid_weights(source, target, method=method)
        sums = np.bincount(weights["row"] - 1, weights["S"], minlength=weights.sizes["n_b"])
        np.testing.assert_allclose(sums, 1, rtol=1e-11)


def test_normalisations_are_those_of_esmf():
    """Where a target is covered in part, weights sum to this part, or to one if normed."""
    for source, target in [(INSIDE, OTHER), (skewed(8, 11), OTHER)]:
        for method in CONSERVATIVE:
            weights = regrid_weights(source, target, method=method)
            sums = np.bincount(weights["row"] - 1, weights["S"], minlength=weights.sizes["n_b"])
            part = weights["frac_b"].values
            assert 0 < part[part > 0].min() < 0.9
            expected = part if method == "conservative" else part > 0
            np.testing.assert_allclose(sums, expected, rtol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_masks_are_those_of_each_field(method):
    """Three fields together equal each alone."""
    together = regrid(GLOBAL, OTHER, method=method)["ssh"]
    for day in range(3):
        alone = regrid(GLOBAL.isel(time=day), OTHER, method=method)["ssh"]
        np.testing.assert_array_equal(together[day], alone)
    assert int((together[0].notnull() != together[1].notnull()).sum()) > 0


def test_missing_values_spread_as_they_should():
    """One missing source cell: NaN around it by `linear`, its own area by the conservative ones."""
    source = rectilinear(np.arange(30.5, 40), np.arange(0.5, 10), land=0)
    source["ssh"] = xr.ones_like(source["ssh"])
    source["ssh"][:, 4, 5] = np.nan
    target = xr.Dataset(coords={"lat": [34.0, 35, 36], "lon": [5.25, 6.25, 7.25]})
    found = {name: regrid(source, target, method=name)["ssh"][0].values for name in METHODS}
    nan = np.nan
    np.testing.assert_array_equal(found["linear"], [[nan, nan, 1], [nan, nan, 1], [1, 1, 1]])
    np.testing.assert_array_equal(found["conservative_normed"], np.ones((3, 3)))
    lost = 1 - found["conservative"]  # target cells of one degree: halves and quarters of the cell
    np.testing.assert_allclose(lost[:2], np.array([[3, 1, 0]] * 2) / 8, atol=4e-3)
    np.testing.assert_allclose(lost[2], 0, atol=1e-12)


def test_one_corner_of_four_may_be_missing():
    """`na_thres` is that of xESMF: a quarter of the weights, for any method."""
    source = rectilinear([30.0, 31], [0.0, 1], land=0)
    source["ssh"][:, 0, 0] = np.nan
    target = xr.Dataset(coords={"lat": [30.5, 30.75], "lon": [0.5, 0.75]})
    rest = source["ssh"].values.reshape(3, 4)[:, 1:]
    for given in (source, source.chunk()):
        assert np.isnan(regrid(given, target, na_thres=0.24)["ssh"][:, 0, 0]).all()
        found = regrid(given, target, na_thres=0.25)
        expected = (source["ssh"].sum(["lat", "lon"]) / 3).values
        np.testing.assert_allclose(found["ssh"][:, 0, 0], expected, rtol=1e-12)
        assert found.attrs["xdvarnet_regrid_na_thres"] == 0.25
    assert "xdvarnet_regrid_na_thres" not in regrid(source, target).attrs
    whole = xr.Dataset(coords={"lat": [30.5, 32.5], "lon": [0.5, 2.5]})
    found = regrid(source, whole, method="conservative", na_thres=1)["ssh"].values[:, 0, 0]
    assert ((rest.min(axis=1) < found) & (found < rest.max(axis=1))).all()
    for wrong in (-0.1, 1.5, np.nan, "all"):
        with pytest.raises(InvalidInputError, match="na_thres=.*from 0.*to 1"):
            regrid(source, target, na_thres=wrong)


def test_cells_outside_are_missing():
    """Nothing is extrapolated but by `nearest`."""
    wide = rectilinear(np.arange(20.0, 50, 2), np.arange(-15.0, 20, 2))
    source = INSIDE.assign(ssh=xr.ones_like(INSIDE["ssh"]))
    for method in METHODS:
        found = regrid(source, wide, method=method)["ssh"]
        missing = found.isnull().values
        assert not missing.any() if method == "nearest" else missing.mean() > 0.8
    part = regrid(source, wide, method="conservative")["ssh"]
    assert 0 < float(part.min()) < 0.9 and float(part.max()) <= 1 + 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_conventions_of_longitude_agree(method):
    """0 to 360 equals -180 to 180, for the source and for the target."""
    expected = regrid(GLOBAL, OTHER, method=method)["ssh"]
    turned = GLOBAL.assign_coords(lon=(GLOBAL["lon"] + 180) % 360 - 180)
    np.testing.assert_allclose(regrid(turned, OTHER, method=method)["ssh"], expected, atol=1e-9)
    rolled = turned.sortby("lon")
    np.testing.assert_allclose(regrid(rolled, OTHER, method=method)["ssh"], expected, atol=1e-9)
    target = OTHER.assign_coords(lon=OTHER["lon"] % 360)
    np.testing.assert_allclose(regrid(GLOBAL, target, method=method)["ssh"], expected, atol=1e-9)
    curved = skewed(8, 11, west=-5.0)
    other = curved.assign_coords(nav_lon=curved["nav_lon"] % 360)
    for given in (curved, other):
        found = regrid(given, OTHER, method=method)["tos"]
        np.testing.assert_allclose(found, regrid(curved, OTHER, method=method)["tos"], atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_dimensions_is_kept(method):
    """Each order gives the same values, in its own order."""
    expected = regrid(GLOBAL, OTHER, method=method)["ssh"]
    turned = regrid(GLOBAL.transpose("lon", "time", "lat"), OTHER, method=method)["ssh"]
    assert turned.dims == ("lon", "time", "lat")
    np.testing.assert_array_equal(turned.transpose(*expected.dims), expected)
    curved = skewed(8, 11)
    expected = regrid(curved, OTHER, method=method)["tos"]
    swapped = regrid(curved.transpose("x", "t", "y"), OTHER, method=method)["tos"]
    assert swapped.dims == ("lat", "t", "lon")
    np.testing.assert_allclose(swapped.transpose(*expected.dims), expected, atol=1e-9)
    flipped = regrid(GLOBAL.isel(lat=slice(None, None, -1)), OTHER, method=method)["ssh"]
    np.testing.assert_allclose(
        flipped, regrid(GLOBAL, OTHER, method=method)["ssh"], rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("method", METHODS)
def test_lazy_equals_eager(method):
    """Nothing is computed by the call, and the result is the same."""
    pytest.importorskip("dask")
    for source, target in [(GLOBAL, OTHER), (skewed(8, 11), INSIDE)]:
        name = next(iter(source.data_vars))
        chunked = source.chunk({source[name].dims[0]: 1, source[name].dims[2]: 4})
        lazy = regrid(chunked, target, method=method)
        assert lazy[name].chunks is not None
        assert lazy[name].chunksizes[source[name].dims[0]] == (1,) * source[name].shape[0]
        xr.testing.assert_identical(lazy.compute(), regrid(source, target, method=method))


@pytest.mark.parametrize("method", METHODS)
def test_saved_weights_give_the_same(method, tmp_path):
    """Through a netCDF file, without computing them again."""
    for source, target in [(GLOBAL, OTHER), (skewed(8, 11), OTHER)]:
        regrid_weights(source, target, method=method).to_netcdf(
            tmp_path / "weights.nc", engine="h5netcdf"
        )
        with xr.open_dataset(tmp_path / "weights.nc", engine="h5netcdf") as weights:
            found = regrid(source, target, method=method, weights=weights)
        xr.testing.assert_identical(found, regrid(source, target, method=method))
    with pytest.raises(InvalidInputError, match=r"shape \(8, 11\).*\(30, 72\)"):
        regrid(GLOBAL, OTHER, method=method, weights=weights)


def test_the_dataset_is_described():
    """Attributes, dtype and other variables are kept; coordinates are those of the target."""
    source = GLOBAL.astype(np.float32).assign(
        mean=("time", [1, 2, 3]), sea=(("lat", "lon"), np.ones((30, 72), bool))
    )
    source = source.set_coords("sea").assign_coords(run=4)
    before = source.copy(deep=True)
    target = OTHER.assign_coords(sea=(("lat", "lon"), np.ones((18, 45), bool)))
    found = regrid(source, only_grid(OTHER))
    assert found["ssh"].dtype == np.float32 and found["ssh"].attrs == {"units": "m"}
    assert set(found.coords) == {"time", "lat", "lon", "run"}
    xr.testing.assert_identical(found["mean"], source["mean"])
    xr.testing.assert_identical(found["lat"].variable, OTHER["lat"].variable)
    assert found.attrs["source"] == "test"
    assert found.attrs["history"].startswith("made\nxdvarnet")
    assert found.attrs["history"].endswith("regrid to 18 x 45 points, method='linear'")
    assert found.attrs["xdvarnet_regrid_method"] == "linear"
    np.testing.assert_allclose(found["ssh"], regrid(GLOBAL, OTHER)["ssh"], atol=1e-5)
    assert regrid(source, target)["sea"].shape == (18, 45)
    assert regrid(source, target).attrs == found.attrs
    xr.testing.assert_identical(source, before)


def test_a_curved_target_gives_its_positions():
    """Names of dimensions, two-dimensional coordinates and bounds are those of the target."""
    target = skewed(5, 6)
    target["nav_lat"].attrs["bounds"] = "corners_lat"
    target["nav_lon"].attrs["bounds"] = "corners_lon"
    for name, axis in (("corners_lat", "nav_lat"), ("corners_lon", "nav_lon")):
        sides = [-0.3, -0.3, 0.3, 0.3] if "lat" in name else [-0.5, 0.5, 0.5, -0.5]
        target[name] = target[axis] + xr.DataArray(sides, dims="vertex")
    found = regrid(GLOBAL, target.drop_vars("tos"), method="conservative")
    assert found["ssh"].dims == ("time", "y", "x")
    assert {"nav_lat", "nav_lon"} <= set(found.coords)
    assert {"corners_lat", "corners_lon"} <= set(found.data_vars)
    assert found.attrs["xdvarnet_cell_bounds"] == "built from centres (source only)"
    back = regrid(found, GLOBAL, method="conservative_normed")
    assert set(back.data_vars) == {"ssh"}
    assert back.attrs["xdvarnet_cell_bounds"] == "built from centres (target only)"


def test_bounds_make_the_cells():
    """Cells that the file gives are taken instead of those between the centres."""
    source = rectilinear([0.0, 1], [0.0, 1], land=0)
    edges = np.array([[-0.5, 0.9], [0.9, 1.5]])
    for name in ("lat", "lon"):
        source[name].attrs["bounds"] = f"{name}_bnds"
        source[f"{name}_bnds"] = ((name, "nv"), edges)
    target = xr.Dataset(coords={"lat": [0.6, 0.8], "lon": [0.6, 0.8]})
    found = regrid(source, target, method="conservative")
    np.testing.assert_allclose(found["ssh"][:, 0, 0], source["ssh"][:, 0, 0])
    assert set(found.data_vars) == {"ssh"}
    assert "xdvarnet_cell_bounds" in found.attrs
    both = regrid(source, source, method="conservative")
    assert "xdvarnet_cell_bounds" not in both.attrs


def with_bounds(dataset: xr.Dataset, **sides: float) -> xr.Dataset:
    """Add CF bounds so far from the centres on both sides."""
    for name, side in sides.items():
        dataset[name].attrs["bounds"] = f"{name}_bnds"
        edges = dataset[name].values[:, None] + [-side, side]
        dataset[f"{name}_bnds"] = ((name, "nv"), edges)
    return dataset


@pytest.mark.parametrize("latitude", [[35.0], np.arange(34.0, 38)])
def test_a_single_row_or_column_is_a_grid(latitude):
    """Linear along itself, nearest, and conservative where bounds say how wide it is."""
    longitude = [2.0] if len(latitude) > 1 else np.arange(-1.0, 4)
    line = rectilinear(np.asarray(latitude), np.asarray(longitude), land=0)
    plane = (2.0 * line["lat"] - 0.3 * line["lon"]).to_dataset(name="ssh")
    inside = (
        {"lat": [35.0], "lon": [0.25, 2.5]}
        if len(latitude) == 1
        else {"lat": [34.25, 36.5], "lon": [2.0]}
    )
    target = xr.Dataset(coords=inside)
    found = regrid(plane, target)["ssh"]
    np.testing.assert_allclose(found, 2.0 * target["lat"] - 0.3 * target["lon"], rtol=1e-12)
    beside = xr.Dataset(coords={name: np.asarray(v) + 0.1 for name, v in inside.items()})
    with pytest.raises(InvalidInputError, match="no point in common"):
        regrid(plane, beside)
    assert regrid(plane, beside, method="nearest")["ssh"].notnull().all()
    for method in CONSERVATIVE:
        for source, other in ((plane, INSIDE), (INSIDE, target)):
            with pytest.raises(InvalidInputError, match="single row or column.*CF bounds.*linear"):
                regrid(source, other, method=method)
        cells = with_bounds(plane.copy(), lat=0.5, lon=0.5)
        wide = with_bounds(target.copy(), lat=0.25, lon=0.25)
        mean = regrid(with_bounds(INSIDE.copy(), lat=0.4, lon=0.45), wide, method=method)
        assert mean["ssh"].shape == (3, *(target.sizes[name] for name in ("lat", "lon")))
        same = regrid(cells, cells, method=method)["ssh"]
        np.testing.assert_allclose(same, plane["ssh"], rtol=1e-12)
    for method in ("linear", "nearest"):
        assert regrid(GLOBAL, line, method=method)["ssh"].shape == (3, *line["ssh"].shape[1:])


def test_a_single_curved_row_is_a_grid():
    """Nearest in both roles and linear as a target; as a source, the message says what works."""
    row = skewed(20, 30).isel(y=[7])
    assert regrid(skewed(20, 30), row, method="linear")["tos"].shape == (2, 1, 30)
    found = regrid(row, row, method="nearest")["tos"]
    np.testing.assert_array_equal(found, row["tos"])
    with pytest.raises(InvalidInputError, match=r"shape \(1, 30\).*method='nearest'.*bounds"):
        regrid(row, INSIDE)
    with pytest.raises(InvalidInputError, match=r"shape \(1, 30\).*CF bounds.*'nearest'"):
        regrid(row, INSIDE, method="conservative")
    sides = xr.DataArray([[-0.3, -0.3, 0.3, 0.3], [-0.5, 0.5, 0.5, -0.5]], dims=("of", "vertex"))
    for k, name in enumerate(("nav_lat", "nav_lon")):
        row[name].attrs["bounds"] = f"{name}_v"
        row[f"{name}_v"] = (row[name] + sides[k]).transpose("y", "x", "vertex")
    mean = regrid(row.fillna(1.0), GLOBAL, method="conservative_normed")["tos"]
    assert 0 < int(mean[0].notnull().sum()) < 20


def test_points_without_position_are_left_out():
    """NaN positions on land are no error, and are counted; with values there they are."""
    source = skewed(20, 30)
    whole = regrid(source, INSIDE)
    land = ((source["nav_lat"] > 40) & (source["nav_lon"] < 10)).reset_coords(drop=True)
    broken = source.assign_coords(
        nav_lat=source["nav_lat"].where(~land), nav_lon=source["nav_lon"].where(~land)
    )
    found = regrid(broken.where(~land), INSIDE)
    np.testing.assert_allclose(found["tos"], whole["tos"])
    assert found.attrs["xdvarnet_points_without_position"] == int(land.sum())
    with pytest.raises(InvalidInputError, match="'tos' has values at .* points whose position"):
        regrid(broken.fillna(1.0), INSIDE)
    with pytest.raises(InvalidInputError, match="corner"):
        regrid(broken.where(~land, np.nan), INSIDE, method="conservative")


def test_whole_numbers_are_for_nearest():
    """Flags keep their dtype, and other methods refuse them."""
    flags = GLOBAL.assign(ssh=GLOBAL["ssh"].notnull().astype(np.int8))
    found = regrid(flags, OTHER, method="nearest")["ssh"]
    assert found.dtype == np.int8 and set(np.unique(found)) == {0, 1}
    with pytest.raises(InvalidInputError, match="'ssh' holds int8.*nearest"):
        regrid(flags, OTHER)


def test_unknown_names_are_refused():
    """Methods and engines are listed."""
    with pytest.raises(UnknownNameError, match="method 'cubic'; known are conservative"):
        regrid(GLOBAL, OTHER, method="cubic")
    with pytest.raises(UnknownNameError, match="engine 'cdo'; known are native, xesmf"):
        regrid_weights(GLOBAL, OTHER, engine="cdo")
    with pytest.raises(InvalidTypeError, match="to_dataset"):
        regrid(GLOBAL["ssh"], OTHER)


def test_tracks_are_refused():
    """Points along a track and swaths are sampled instead."""
    times = pd.date_range("2020", periods=4)
    track = xr.Dataset(coords={"time": times, "lat": ("time", [1.0, 2, 3, 4])})
    track = track.assign_coords(lon=("time", [1.0, 2, 3, 4]))
    with pytest.raises(InvalidInputError, match="sample_tracks"):
        regrid(GLOBAL, track)
    swath = skewed(4, 5).assign_coords(time=("y", times))
    with pytest.raises(InvalidInputError, match="track or a swath.*'time'.*sample_tracks"):
        regrid(GLOBAL, swath)


@pytest.mark.parametrize("method", ["linear", *CONSERVATIVE])
def test_grids_apart_are_refused(method):
    """With the ranges of both."""
    apart = rectilinear([-30.0, -29], [100.0, 101])
    with pytest.raises(
        InvalidInputError, match="source has latitude 34 to 37.2 .*target latitude -30 to -29"
    ):
        regrid(INSIDE, apart, method=method)


def test_a_variable_without_values_stays_so_beside_others():
    """Such as the ice of a summer; lazily and at once."""
    dataset = GLOBAL.assign(ice=GLOBAL["ssh"] * np.nan)
    for given in (dataset, dataset.chunk()):
        result = regrid(given, OTHER)
        assert result["ice"].isnull().all()
        xr.testing.assert_equal(result["ssh"], regrid(GLOBAL, OTHER)["ssh"])


def test_variables_that_cannot_be_are_refused():
    """All missing, infinite, on one dimension of the grid only, on the target's, or none."""
    with pytest.raises(InvalidInputError, match=r"\['ssh'\] has a finite value.*mask"):
        regrid(GLOBAL * np.nan, OTHER)
    with pytest.raises(InvalidInputError, match="infinite"):
        regrid(GLOBAL.fillna(np.inf), OTHER)
    with pytest.raises(InvalidInputError, match="'zonal' has only one.*drop_vars"):
        regrid(GLOBAL.assign(zonal=GLOBAL["ssh"].mean("lon")), OTHER)
    with pytest.raises(InvalidInputError, match="'tos' has the dimension 'lat'.*target"):
        regrid(skewed(20, 30).rename(t="lat"), INSIDE)
    with pytest.raises(InvalidInputError, match=r"no variable has the dimensions \('lat', 'lon'\)"):
        regrid(only_grid(GLOBAL), OTHER)


def area_mean(array: xr.DataArray) -> float:
    """Mean with the cosine of the latitude."""
    return float(array.weighted(np.cos(np.deg2rad(array["lat"]))).mean())


def test_the_sea_surface_temperature_of_nemo(shared_data):
    """Tripolar to one degree: within the source's range, and the global integral to 1e-6."""
    with xr.open_dataset(shared_data("nemo_eorca1_tos_201501.nc"), decode_times=False) as dataset:
        source = dataset.load()
    target = xr.Dataset(coords={"lat": np.arange(-89.0, 90, 2), "lon": np.arange(1.0, 360, 2)})
    weights = regrid_weights(source, target, method="conservative_normed")
    found = regrid(source, target, method="conservative_normed", weights=weights)
    assert found["tos"].dims == ("time_counter", "lat", "lon")
    assert float(found["tos"].min()) >= float(source["tos"].min())
    assert float(found["tos"].max()) <= float(source["tos"].max())
    assert set(found.data_vars) == {"tos", "time_centered_bounds"}
    values = source["tos"].values.reshape(-1).astype(float)
    area = weights["area_a"].values
    sums = np.bincount(
        weights["row"] - 1,
        weights["S"] * np.isfinite(values[weights["col"] - 1]),
        minlength=weights.sizes["n_b"],
    )
    covered = sums * (weights["frac_b"] * weights["area_b"]).values
    result = found["tos"].values.reshape(-1).astype(float)
    expected = np.nansum(area * values) / area[np.isfinite(values)].sum()
    assert np.nansum(covered * result) / covered.sum() == pytest.approx(expected, rel=1e-6)
    linear = regrid(source, target)["tos"]
    arctic = linear.sel(lat=slice(87, None))
    assert int(arctic.isnull().sum()) == 0  # neither the fold nor the pole is a gap
    both = found["tos"].where(linear.notnull())
    assert float(np.abs(both - linear).quantile(0.99)) < 0.5


def test_the_black_sea_on_the_grid_of_its_sea_level(shared_data):
    """SST to the coarser SSH grid: near to the mean of the finer cells inside, in range."""
    names = ("blacksea_ghrsst_sst_20160707.nc", "dt_blacksea_allsat_phy_l4_20160707.nc")
    with (
        xr.open_dataset(shared_data(names[0]), decode_times=False) as sst,
        xr.open_dataset(shared_data(names[1]), decode_times=False) as ssh,
    ):
        source, target = sst[["analysed_sst"]].load(), ssh.load()
    linear = regrid(source, target)["analysed_sst"]
    found = regrid(source, target, method="conservative_normed")
    mean = found["analysed_sst"]
    assert mean.dims == ("time", "latitude", "longitude") and mean.dtype == np.float32
    assert found.attrs["xdvarnet_cell_bounds"] == "built from centres (source only)"
    assert "lat_bnds" in found and float(mean.min()) >= float(source["analysed_sst"].min())
    edges = [np.append(target[n][:, 0], target[n][-1, 1]) for n in ("lat_bnds", "lon_bnds")]
    binned = (
        source["analysed_sst"][0]
        .groupby_bins("lat", edges[0])
        .mean()
        .groupby_bins("lon", edges[1])
        .mean()
    )
    difference = np.abs(mean[0].values - binned.values)
    assert np.nanquantile(difference, 0.9) < 0.1
    both = np.isfinite(linear[0].values) & np.isfinite(mean[0].values)
    assert both.sum() > 2000
    assert np.abs(linear[0].values - mean[0].values)[both].mean() < 0.1


def test_ice_over_the_pole():
    """From a polar stereographic grid and back, the integral is kept and no point is lost."""
    source = stereographic(30, 27, 0.02)
    target = rectilinear(np.arange(-89.0, 90, 2), np.arange(0.0, 360, 4))
    weights = regrid_weights(source, target, method="conservative")
    there = regrid(source, target, method="conservative", weights=weights)["ice"]
    integral = float((weights["area_a"].values * source["ice"].values.reshape(-1)).sum())
    areas = weights["area_b"].values.reshape(there.shape)
    scale = float((weights["area_a"].values * np.abs(source["ice"].values.reshape(-1))).sum())
    assert abs(float((areas * there.fillna(0)).sum()) - integral) < 1e-12 * scale
    smooth = (np.cos(np.deg2rad(target["lon"])) * np.cos(np.deg2rad(target["lat"]))).rename("ice")
    back = regrid(smooth.to_dataset(), source, method="linear")["ice"]
    expected = np.cos(np.deg2rad(source["lon"])) * np.cos(np.deg2rad(source["lat"]))
    np.testing.assert_allclose(back.transpose(*expected.dims), expected, atol=0.02)
