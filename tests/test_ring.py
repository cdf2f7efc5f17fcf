"""A globe is a ring for regridding: cut anywhere, in any convention, and whole up to the poles."""

import numpy as np
import pytest
import xarray as xr

from xdvarnet.grids.regrid.cells import around_the_globe, joined_index
from xdvarnet.grids.regrid.fields import regrid, regrid_weights
from xdvarnet.grids.regrid.horizontal import find_horizontal, from_vectors
from xdvarnet.grids.regrid.weights import METHODS

CUTS = (0, 1, 7, 19)
GAUSSIAN = np.degrees(np.arcsin(np.polynomial.legendre.leggauss(18)[0]))


def smooth(latitude, longitude) -> np.ndarray:
    """Return a field that is one value at each pole."""
    phi, lam = np.deg2rad(latitude), np.deg2rad(longitude)
    return np.sin(phi) + np.cos(phi) * np.cos(lam - 0.4) + 0.5 * np.cos(phi) ** 2 * np.sin(2 * lam)


def axes(latitude, longitude) -> xr.Dataset:
    """Return the field on axes."""
    field = smooth(latitude[:, None], longitude)
    return xr.Dataset({"ssh": (("lat", "lon"), field)}, {"lat": latitude, "lon": longitude})


def curved(latitude, longitude) -> xr.Dataset:
    """Return the field on positions in two dimensions."""
    coords = {"lat": (("y", "lon"), latitude), "lon": (("y", "lon"), longitude)}
    return xr.Dataset({"ssh": (("y", "lon"), smooth(latitude, longitude))}, coords)


def even() -> xr.Dataset:
    return axes(np.arange(-85.0, 86, 10), np.arange(4.0, 364, 15))


def uneven() -> xr.Dataset:
    """Return Gaussian latitudes, and longitudes whose steps vary slowly."""
    turn = np.arange(24) / 24
    return axes(GAUSSIAN[::-1], 360 * turn + 11 * np.sin(2 * np.pi * turn))


def bounded() -> xr.Dataset:
    """Return cells whose borders are not half-way."""
    dataset = even()
    dataset["lon"].attrs["bounds"], dataset["lat"].attrs["bounds"] = "lon_b", "lat_b"
    dataset["lon_b"] = (("lon", "nv"), dataset["lon"].values[:, None] + [-4.0, 11])
    dataset["lat_b"] = (("lat", "nv"), dataset["lat"].values[:, None] + [-5.0, 5])
    return dataset


def two_dimensional() -> xr.Dataset:
    return curved(*np.meshgrid(even()["lat"], even()["lon"], indexing="ij"))


def tripolar() -> xr.Dataset:
    """Return a cap on a belt from 88 S: its ellipses are folded at the last row."""
    u = (np.arange(24) + 0.5) / 24 * 2 * np.pi
    v = (7.5 - np.arange(8)[:, None]) / 8 * 1.1
    height = np.full((8, 24), 2.4)
    cap = from_vectors(np.stack([np.cos(u) * np.cosh(v), np.sin(u) * np.sinh(v), height], axis=-1))
    belt = np.meshgrid(np.linspace(-88, 48, 14), np.rad2deg(u), indexing="ij")
    return curved(*(np.concatenate(pair) for pair in zip(belt, cap, strict=True)))


GLOBES = [even, uneven, bounded, two_dimensional, tripolar]


def cut(dataset: xr.Dataset, columns: int, convention: int) -> xr.Dataset:
    """Return the globe from another column on, from 0, from -180, or without a jump."""
    rolled = dataset.roll(lon=columns, roll_coords=True)
    longitude = rolled["lon"]
    if convention < 2:
        longitude = (longitude + 180 * convention) % 360 - 180 * convention
    elif longitude.ndim == 1:
        longitude = longitude.copy(data=np.unwrap(longitude, period=360) - 360)
    return rolled.assign_coords(lon=longitude.assign_attrs(dataset["lon"].attrs))


TARGETS = [
    axes(np.array([-81.0, -30, 2, 60, 88, 90]), np.array([-179.9, -90, 0, 3.3, 180])),
    axes(np.arange(-87.5, 90, 25), np.arange(-177.0, 180, 17.142857142857142)),
    curved(
        np.array([[70.0, 80, 88], [71, 82, 89]]), np.array([[170.0, 178, 185], [172, 190, 260]])
    ),
]


@pytest.mark.parametrize("globe", GLOBES)
@pytest.mark.parametrize("method", METHODS)
def test_a_source_is_cut_anywhere(globe, method):
    """Each cut gives the same values, and none is missing up to the pole."""
    for target in TARGETS:
        expected = regrid(globe(), target, method=method)["ssh"]
        assert not expected.isnull().any()
        for columns in CUTS:
            for convention in range(3):
                found = regrid(cut(globe(), columns, convention), target, method=method)["ssh"]
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
        if not method.startswith("conservative"):  # the mean of a wide cell is another thing
            error = expected.values - smooth(*xr.broadcast(target["lat"], target["lon"])[:2])
            assert np.abs(error).max() < 0.35


@pytest.mark.parametrize("globe", GLOBES)
@pytest.mark.parametrize("method", METHODS)
def test_a_target_is_cut_anywhere(globe, method):
    """The columns are those of the whole, in their order, wherever the row begins."""
    source = axes(np.arange(-87.0, 88, 6), np.arange(1.0, 360, 9))
    expected = regrid(source, globe(), method=method)["ssh"]
    assert not expected.isnull().any()
    for columns in CUTS:
        found = regrid(source, cut(globe(), columns, columns % 3), method=method)["ssh"]
        rolled = expected.roll(lon=columns, roll_coords=False)
        np.testing.assert_allclose(found, rolled, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("globe", [even, uneven, bounded, two_dimensional])
def test_cells_cover_the_sphere(globe):
    """Up to the poles, once, and so integrals are those of the whole."""
    for columns in CUTS:
        weights = regrid_weights(cut(globe(), columns, 1), TARGETS[1], method="conservative")
        assert float(weights["area_a"].sum()) == pytest.approx(4 * np.pi, rel=1e-12)
        np.testing.assert_allclose(weights["frac_b"], 1, rtol=1e-12)


def test_a_globe_is_known_wherever_it_is_cut():
    """By the widest gap and those beside it; a missing column, or a basin, is no globe."""
    for columns in range(24):
        for globe in (even, uneven):
            assert around_the_globe(find_horizontal(cut(globe(), columns, 0)))
            part = globe().isel(lon=np.arange(24) != 11)
            rolled = part.roll(lon=columns, roll_coords=True)
            assert not around_the_globe(find_horizontal(rolled))
    for longitude in ([0.0, 1], [0.0, 100], [0.0, 100, 200], [-5.0, 2, 8, 40]):
        assert not around_the_globe(find_horizontal(axes(GAUSSIAN, np.array(longitude))))


@pytest.mark.parametrize("columns", range(0, 24, 5))
def test_a_fold_is_found_wherever_it_is_cut(columns):
    """A row more at the fold, and a column more around the globe."""
    grid = find_horizontal(cut(tripolar(), columns, 0))
    assert joined_index(grid).shape == (23, 25)


def test_straight_positions_are_axes():
    """In two dimensions too, with boxes as bounds; others and repeated columns are none."""
    assert find_horizontal(two_dimensional()).rectilinear
    assert not find_horizontal(tripolar()).rectilinear
    assert not find_horizontal(two_dimensional().isel(lon=[*range(24), 0, 1])).rectilinear
    tilted = two_dimensional()
    tilted["lat"] = tilted["lat"] + 1e-3 * tilted["lon"]
    assert not find_horizontal(tilted).rectilinear
    flat, box = bounded(), two_dimensional()
    low_high = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    for order in ([0, 1, 2, 3], [2, 1, 0, 3], [3, 0, 1, 2]):
        south_north, west_east = low_high[order].T
        shape = {"y": 18, "lon": 24}
        vertices = flat["lat_b"].isel(nv=xr.DataArray(south_north, dims="v")).rename(lat="y")
        box["lat_b"] = vertices.drop_vars("y").expand_dims(lon=24).transpose("y", "lon", "v")
        vertices = flat["lon_b"].isel(nv=xr.DataArray(west_east, dims="v")).drop_vars("lon")
        box["lon_b"] = (vertices % 360).expand_dims(y=18).transpose("y", "lon", "v")
        for name in ("lat", "lon"):
            box[name].attrs["bounds"] = f"{name}_b"
        grid = find_horizontal(box)
        assert grid.rectilinear and dict(zip(grid.dims, grid.shape, strict=True)) == shape
        for method in ("conservative", "linear"):
            found = regrid(box, TARGETS[1], method=method)["ssh"]
            np.testing.assert_allclose(found, regrid(flat, TARGETS[1], method=method)["ssh"])
    tilted = box["lat_b"].values.copy()
    tilted[3, 4, 1] += 0.5
    box["lat_b"] = box["lat_b"].copy(data=tilted)
    assert not find_horizontal(box).rectilinear
