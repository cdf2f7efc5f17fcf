"""Cells: their borders, their corners, and how a grid joins itself."""

import numpy as np
import pytest
import xarray as xr
from grids_of_tests import axes, curved

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import unit_vectors
from xdvarnet.grids.regrid.cells import (
    around_the_globe,
    axis_bounds,
    built_corners,
    corners,
    joined_index,
)
from xdvarnet.grids.regrid.horizontal import (
    HorizontalGrid,
    find_horizontal,
    from_vectors,
)


def tripolar(nj: int = 9, nx: int = 24) -> HorizontalGrid:
    """Return a cap that is folded along a meridian: points i and nx - 1 - i of the last row meet.

    Its columns run around the globe, as do those of ocean models.
    """
    u = (np.arange(nx) + 0.5) / nx * 2 * np.pi
    v = (nj - 0.5 - np.arange(nj)) / nj * 0.9
    grid = np.stack(
        [
            np.cos(u) * np.cosh(v[:, None]),
            np.sin(u) * np.sinh(v[:, None]),
            2.5 * np.ones((nj, nx)),
        ],
        axis=-1,
    )
    return curved(*from_vectors(grid))


@pytest.mark.parametrize("flip", [1, -1])
def test_borders_are_between_the_centres(flip):
    """Cells built from centres follow each other, in any order of the axis."""
    latitude, longitude = axis_bounds(axes([0.0, 1, 4][::flip], [350.0, 355, 3, 5][::flip]))
    np.testing.assert_allclose(latitude[::flip], [[-0.5, 0.5], [0.5, 2.5], [2.5, 5.5]])
    longitude = longitude[::flip] - longitude.min()
    np.testing.assert_allclose(longitude, [[0, 5], [5, 11.5], [11.5, 16.5], [16.5, 18.5]])


def test_borders_end_at_the_poles():
    """A row at the pole is half a row."""
    latitude, _ = axis_bounds(axes([-90.0, 0, 90], [0.0, 120, 240]))
    np.testing.assert_array_equal(latitude, [[-90, -45], [-45, 45], [45, 90]])


def test_given_borders_are_used():
    """In either order, and across the date line."""
    rows = np.array([[1.0, 0], [3, 1]])
    columns = np.array([[178.0, -179], [-179, -175]])
    latitude, longitude = axis_bounds(axes([0.2, 2], [179.9, -177], (rows, columns)))
    np.testing.assert_array_equal(latitude, [[0, 1], [1, 3]])
    np.testing.assert_array_equal(longitude, [[178, 181], [-179, -175]])
    _, reverse = axis_bounds(axes([0.2, 2], [179.9, -177], (rows, columns[:, ::-1])))
    np.testing.assert_array_equal(reverse, longitude)


def test_borders_that_are_missing_are_refused():
    """NaN in the bounds of an axis is an error."""
    rows = np.array([[0, np.nan], [1, 3]])
    with pytest.raises(InvalidInputError, match="bounds of 'lat' and 'lon' have missing"):
        axis_bounds(axes([0.2, 2], [1.0, 2], (rows, rows)))


def test_built_corners_are_those_of_a_regular_grid():
    """On a small regular grid the corners are half a step from the centres."""
    latitude, longitude = np.meshgrid(np.arange(0.0, 0.3, 0.1), np.arange(7.0, 7.6, 0.2))
    phi, lam = built_corners(curved(latitude, longitude))
    expected = np.meshgrid(np.arange(-0.05, 0.3, 0.1), np.arange(6.9, 7.6, 0.2))
    np.testing.assert_allclose(phi, expected[0], atol=1e-5)
    np.testing.assert_allclose(lam, expected[1], atol=1e-5)
    around = corners(curved(latitude, longitude))
    assert around[0].shape == (latitude.size, 4)
    np.testing.assert_allclose(around[1][0], [6.9, 6.9, 7.1, 7.1], atol=1e-5)


def test_built_corners_close_the_globe():
    """Cells share their corners over the ends of the globe and over the fold."""
    vertices = unit_vectors(*built_corners(tripolar()))
    np.testing.assert_allclose(vertices[:, 0], vertices[:, -1], atol=1e-12)
    np.testing.assert_allclose(vertices[-1], vertices[-1, ::-1], atol=1e-12)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_global_grid_joins_itself(transposed):
    """The first column is repeated after the last; a halo or a regional grid is not joined."""
    j, i = np.meshgrid(np.arange(-60.0, 61, 15), np.arange(0.0, 360, 20), indexing="ij")
    turn = (lambda a: a.T) if transposed else (lambda a: a)
    grid = curved(turn(j), turn(i))
    joined = joined_index(grid)
    assert sorted(joined.shape) == sorted((j.shape[0], j.shape[1] + 1))
    first, last = turn(turn(joined)[:, :1]), turn(turn(joined)[:, -1:])
    np.testing.assert_array_equal(first, last)
    halo = np.pad(i, ((0, 0), (1, 1)), mode="wrap"), np.pad(j, ((0, 0), (1, 1)), mode="wrap")
    for other in (curved(halo[1], halo[0]), curved(j[:, :-4], i[:, :-4])):
        assert joined_index(other).shape == other.shape


def test_a_folded_grid_joins_its_mirror_image():
    """The row after the fold is the last one from its end, and the globe is closed too."""
    grid = tripolar()
    joined = joined_index(grid)
    assert joined.shape == (10, 25)
    np.testing.assert_array_equal(joined[-1], 192 + 215 - joined[-2])  # the last row: 192 to 215
    np.testing.assert_array_equal(joined[:, 0], joined[:, -1])
    assert around_the_globe(grid)
    flipped = curved(grid.latitude[::-1], grid.longitude[::-1])
    assert joined_index(flipped).shape == (10, 25)


def test_small_regional_grids_are_not_joined():
    """Few rows and columns are near to each other, and still no globe."""
    for shape in [(2, 2), (3, 2), (2, 5), (4, 4)]:
        j, i = np.meshgrid(*(np.arange(float(n)) for n in shape), indexing="ij")
        grid = curved(40 + j, 5 + i)
        assert joined_index(grid).shape == shape
        assert not around_the_globe(grid)


@pytest.mark.parametrize(("last", "closed"), [(350.0, True), (300.0, False)])
def test_a_global_axis_is_known(last, closed):
    """By the gap between its ends, in any convention."""
    longitude = np.arange(0.0, last + 1, 10)
    assert around_the_globe(axes([0.0, 1], longitude)) is closed
    assert around_the_globe(axes([0.0, 1], (longitude + 180) % 360 - 180)) is closed


def test_the_grid_of_nemo_is_closed(shared_data):
    """eORCA1 joins itself around the globe and at its northern fold."""
    path = shared_data("nemo_eorca1_tos_201501.nc")
    with xr.open_dataset(path, decode_times=False) as dataset:
        grid = find_horizontal(dataset)
    assert joined_index(grid).shape == (grid.shape[0] + 1, grid.shape[1] + 1)
