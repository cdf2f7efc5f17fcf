"""Linear and nearest weights: exact on linear fields, and the same for every convention."""

import numpy as np
import pytest
from grids_of_tests import axes, curved

from xdvarnet.grids.coords import unit_vectors
from xdvarnet.grids.regrid.horizontal import HorizontalGrid, from_vectors
from xdvarnet.grids.regrid.interpolation import linear, nearest

RNG = np.random.default_rng(5)


def stereographic(ny: int, nx: int, step: float) -> HorizontalGrid:
    """Return a polar stereographic grid over the north pole, with `step` in radians."""
    j, i = np.meshgrid(
        (np.arange(ny) - 0.43 * ny) * step, (np.arange(nx) - 0.52 * nx) * step, indexing="ij"
    )
    latitude = 90 - 2 * np.degrees(np.arctan(np.hypot(i, j) / 2))
    return curved(latitude, np.degrees(np.arctan2(i, -j)))


def scattered(latitude: tuple, longitude: tuple, shape: tuple) -> HorizontalGrid:
    """Return random points in a box, as a target."""
    return curved(RNG.uniform(*latitude, shape), RNG.uniform(*longitude, shape))


def values(grid: HorizontalGrid) -> np.ndarray:
    """Return a function linear in longitude and latitude."""
    return 3 + 0.7 * grid.points[0] - 0.2 * grid.points[1]


UNEVEN = axes([30.0, 31, 33, 34.5], [10.0, 11, 11.5, 14, 16])


def test_linear_functions_are_exact():
    """Also on uneven axes that run downwards."""
    target = scattered((30, 34.5), (10, 16), (6, 9))
    for source in (UNEVEN, axes(UNEVEN.latitude[::-1], UNEVEN.longitude[::-1])):
        matrix = linear(source, target)
        np.testing.assert_allclose(matrix @ values(source), values(target), rtol=1e-11)
        assert (matrix.data > 0).all()


def test_a_product_is_bilinear():
    """In the middle of four points each has a quarter."""
    matrix = linear(axes([0.0, 1], [0.0, 2]), axes([0.5, 1], [1.0, 2]))
    np.testing.assert_allclose(matrix.toarray()[0], [0.25] * 4)
    np.testing.assert_allclose(matrix.toarray()[3], [0, 0, 0, 1])
    assert matrix.nnz == 4 + 2 + 2 + 1


def test_nothing_is_outside():
    """Points outside have no weights, but for the rounding of single precision."""
    target = axes([29.9, 30 - 1e-5, 34.5 + 1e-5, 34.6], [9.9, 10 - 1e-5, 16 + 1e-5, 16.1])
    covered = linear(UNEVEN, target).sum(axis=1).reshape(4, 4)
    np.testing.assert_allclose(covered, np.outer([0, 1, 1, 0], [0, 1, 1, 0]))


@pytest.mark.parametrize("turn", [-360, 0, 360])
@pytest.mark.parametrize("cut", [0, 11, 35])
def test_the_globe_is_closed(turn, cut):
    """A periodic field is interpolated over the ends of the axis, in any convention."""
    longitude = np.roll(np.arange(0.0, 360, 10), cut)
    longitude = np.where(longitude > 180, longitude - 360, longitude)
    source = axes([-10.0, 0, 10], longitude)
    target = axes([-3.0, 7], np.arange(0.0, 360, 7) + turn)
    matrix = linear(source, target)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    found = matrix @ np.cos(np.deg2rad(source.points[1]))
    np.testing.assert_allclose(found, np.cos(np.deg2rad(target.points[1])), atol=0.004)


def test_the_last_row_reaches_the_pole():
    """Beyond the last row of a global grid its values are continued, but not of a regional one."""
    source = axes(np.arange(-85.0, 86, 10), np.arange(0.0, 360, 30))
    target = axes([-90.0, -87, 0, 89, 90], [15.0, 40])
    matrix = linear(source, target)
    field = RNG.normal(size=source.shape)
    found = (matrix @ field.reshape(-1)).reshape(5, 2)
    between = [field[:, 0:2].mean(axis=1), field[:, 1] * 2 / 3 + field[:, 2] / 3]
    for row, last in ((0, 0), (1, 0), (3, -1), (4, -1)):
        np.testing.assert_allclose(found[row], [column[last] for column in between])
    regional = axes(source.latitude, source.longitude[:-3])
    assert linear(regional, axes([89.0, 90], [15.0, 40])).nnz == 0


def test_points_of_a_curved_grid_are_exact():
    """A target on a source point takes its value alone."""
    source = stereographic(9, 12, 0.1)
    matrix = linear(source, source)
    np.testing.assert_allclose(matrix.toarray(), np.eye(source.size), atol=1e-12)


@pytest.mark.parametrize("step", [0.1, 0.004])
def test_functions_of_the_indices_are_exact(step):
    """At places between the points, a function bilinear in the indices is reproduced."""
    source = stereographic(17, 22, step)
    j, i = RNG.uniform(0, 16, 40), RNG.uniform(0, 21, 40)
    row, column = j.astype(int), i.astype(int)
    v, u = j - row, i - column
    corner = unit_vectors(source.latitude, source.longitude)
    place = (
        corner[row, column] * ((1 - u) * (1 - v))[:, None]
        + corner[row, column + 1] * (u * (1 - v))[:, None]
        + corner[row + 1, column] * ((1 - u) * v)[:, None]
        + corner[row + 1, column + 1] * (u * v)[:, None]
    )
    target = curved(*(array.reshape(5, 8) for array in from_vectors(place)))
    rows, columns = np.indices(source.shape)
    matrix = linear(source, target)
    for field, expected in ((rows, j), (columns, i)):
        np.testing.assert_allclose(matrix @ field.reshape(-1), expected, rtol=1e-9, atol=1e-9)


def test_functions_linear_in_space_converge():
    """The error for a smooth function falls with the square of the step."""
    errors = []
    for step in (0.08, 0.04):
        target = scattered((75, 90), (-180, 180), (8, 9))
        source = stereographic(int(1.4 / step), int(1.5 / step), step)
        normal = np.array([0.3, 0.5, 0.7])
        found = linear(source, target) @ (unit_vectors(*source.points) @ normal)
        errors.append(np.abs(found - unit_vectors(*target.points) @ normal).max())
    assert errors[0] < 2e-3 and errors[1] < errors[0] / 2.5


def test_curved_and_straight_agree_where_the_grid_is_small():
    """A small rectilinear grid gives almost the same weights with two-dimensional positions."""
    latitude, longitude = np.linspace(0, 0.1, 5), np.linspace(359.95, 360.1, 7) % 360
    source = axes(latitude, longitude)
    both = curved(*(array.reshape(5, 7) for array in source.points))
    target = scattered((0.001, 0.099), (-0.049, 0.099), (4, 5))
    difference = (linear(source, target) - linear(both, target)).toarray()
    np.testing.assert_allclose(difference, 0, atol=1e-4)


def test_a_folded_grid_has_no_seam():
    """Every point north of a tripolar grid's first row has weights, and so has the date line."""
    u = (np.arange(24) + 0.5) / 24 * 2 * np.pi
    v = ((np.arange(10) + 0.5) / 10 * 0.9)[::-1, None]
    vectors = [np.cos(u) * np.cosh(v), np.sin(u) * np.sinh(v), 2.5 * np.ones((10, 24))]
    source = curved(*from_vectors(np.stack(vectors, axis=-1)))
    target = scattered((69, 90), (-180, 180), (20, 21))
    matrix = linear(source, target)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    smooth = matrix @ np.sin(np.deg2rad(source.points[0]))
    np.testing.assert_allclose(smooth, np.sin(np.deg2rad(target.points[0])), atol=0.01)


def test_points_without_position_have_no_weights():
    """Neither in the source, whose quadrangles with such a point are empty, nor in the target."""
    whole = stereographic(6, 7, 0.1)
    broken = whole.latitude.copy()
    broken[2, 3] = np.nan
    source = curved(broken, whole.longitude)
    assert linear(source, whole)[:, [2 * 7 + 3]].nnz == 0
    np.testing.assert_array_equal(
        np.flatnonzero(linear(source, whole).sum(axis=1) == 0), [2 * 7 + 3]
    )
    assert linear(whole, source)[[2 * 7 + 3]].nnz == 0
    assert nearest(whole, source)[[2 * 7 + 3]].nnz == 0
    assert nearest(source, whole)[:, [2 * 7 + 3]].nnz == 0


def test_the_nearest_point_is_that_on_the_sphere():
    """Compared to all great-circle distances, across the date line and at the poles."""
    source = axes(np.arange(-80.0, 90, 20), np.arange(-175.0, 180, 14))
    target = scattered((-90, 90), (-180, 540), (9, 11))
    cosine = unit_vectors(*target.points) @ unit_vectors(*source.points).T
    matrix = nearest(source, target)
    np.testing.assert_array_equal(matrix.toarray().argmax(axis=1), cosine.argmax(axis=1))
    np.testing.assert_array_equal(matrix.sum(axis=1), 1)
