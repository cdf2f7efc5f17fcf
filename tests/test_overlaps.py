"""Common areas of cells, against pairs of polygons and against formulas."""

import numpy as np
import pytest
from grids_of_tests import axes, curved

from xdvarnet.grids.regrid.cells import axis_bounds, corners
from xdvarnet.grids.regrid.horizontal import HorizontalGrid
from xdvarnet.grids.regrid.overlaps import duplicated_cells, overlaps
from xdvarnet.grids.regrid.polygons import boxes, polygons

shapely = pytest.importorskip("shapely")


def skewed(ny: int, nx: int, longitude: float = 0.0) -> HorizontalGrid:
    """Return a turned regional grid of steps that vary."""
    j, i = np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij")
    return curved(30 + 1.1 * j + 0.4 * i + 0.02 * j**2, longitude + 1.3 * i - 0.5 * j)


def as_curved(grid: HorizontalGrid) -> HorizontalGrid:
    """Return a rectilinear grid with two-dimensional positions and its own cells as bounds."""
    rows, columns = axis_bounds(grid)
    shape = (*grid.shape, 4)
    bounds = (
        np.broadcast_to(rows[:, None, [0, 0, 1, 1]], shape),
        np.broadcast_to(columns[None][:, :, [0, 1, 1, 0]], shape),
    )
    return curved(*(array.reshape(grid.shape) for array in grid.points), bounds)


def brute_force(source: HorizontalGrid, target: HorizontalGrid) -> np.ndarray:
    """Intersect all pairs of cells, turned by each whole turn."""
    shapes = [
        boxes(*axis_bounds(grid)) if grid.rectilinear else polygons(*corners(grid))
        for grid in (source, target)
    ]
    areas = 0
    for turn in (-2 * np.pi, 0, 2 * np.pi):
        moved = shapely.transform(shapes[0], lambda xy, turn=turn: xy + (turn, 0))
        areas = areas + shapely.area(shapely.intersection(shapes[1][:, None], moved[None]))
    return areas


GLOBAL = axes(np.arange(-81.0, 82, 18), np.arange(-170.0, 180, 20))
OFFSET = axes(np.linspace(82.0, -82, 11), np.arange(7.0, 360, 24))
BELT = axes(np.arange(-63.0, 64, 14), np.arange(-170.0, 180, 20))
REGIONAL = axes(np.arange(30.0, 42, 1.5), np.arange(352.0, 367, 2.5) % 360)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (GLOBAL, OFFSET),
        (OFFSET, REGIONAL),
        (REGIONAL, skewed(6, 7)),
        (skewed(6, 7), REGIONAL),
        (skewed(6, 7, 355.0), skewed(4, 9, -4.0)),
        (GLOBAL, skewed(5, 6, 177.0)),
    ],
)
def test_all_pairs_are_found(source, target):
    """The search finds what intersecting all pairs finds, across the date line too."""
    found = overlaps(source, target)
    expected = brute_force(source, target)
    np.testing.assert_allclose(found.areas.toarray(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("target", [axes(BELT.latitude[2:], [7.0, 12, 19]), REGIONAL])
def test_axes_and_polygons_agree(target):
    """The product of the axes equals the intersection of the same cells as polygons."""
    by_axes = overlaps(BELT, target)
    for source, other in [(as_curved(BELT), target), (BELT, as_curved(target))]:
        by_polygons = overlaps(source, other)
        np.testing.assert_allclose(
            by_polygons.areas.toarray(), by_axes.areas.toarray(), rtol=1e-10, atol=1e-14
        )
        np.testing.assert_allclose(by_polygons.source, by_axes.source, rtol=1e-12)
        np.testing.assert_allclose(by_polygons.target, by_axes.target, rtol=1e-12)


def test_areas_follow_the_formula():
    """The common area of two cells is the difference of longitudes times that of the sines."""
    source, target = axes([10.0, 20], [0.0, 10]), axes([13.0, 15], [4.0, 8])
    found = overlaps(source, target).areas.toarray()
    # target cell 0: 12 to 14 N, 2 to 6 E; source cells 0 and 1: 5 to 15 N, -5 to 5 and 5 to 15 E
    height = np.sin(np.deg2rad(14)) - np.sin(np.deg2rad(12))
    np.testing.assert_allclose(found[0], np.deg2rad([3, 1, 0, 0]) * height, rtol=1e-13)


def test_rows_and_columns_add_up():
    """Where one grid covers the other, the overlaps of a cell sum to its area."""
    found = overlaps(GLOBAL, OFFSET)
    np.testing.assert_allclose(found.areas.sum(axis=0), found.source, rtol=1e-12)
    assert found.source.sum() == pytest.approx(4 * np.pi, rel=1e-13)
    inside = overlaps(GLOBAL, skewed(5, 6, 177.0))
    np.testing.assert_allclose(inside.areas.sum(axis=1), inside.target, rtol=1e-12)


def test_cells_that_touch_have_nothing_in_common():
    """Equal grids have one entry a cell, although rounding would leave slivers."""
    longitude = np.arange(0.1, 360, 0.7)[:500]
    latitude = np.arange(-60.05, 60, 0.3)[:100]
    shifted = axes(latitude, longitude - 360)
    assert overlaps(axes(latitude, longitude), shifted).areas.nnz == 50_000


def test_a_halo_counts_once():
    """Columns that are repeated have no area, and the total is that without them."""
    j, i = np.meshgrid(np.arange(-60.0, 61, 15), np.arange(0.0, 360, 20), indexing="ij")
    once = as_curved(axes(j[:, 0], i[0]))
    columns = np.arange(-1, 19) % 18
    halo = curved(
        once.latitude[:, columns],
        once.longitude[:, columns] + 360.0 * (np.arange(20) == 19),
        tuple(bounds[:, columns] for bounds in once.bounds),
    )
    found = overlaps(halo, OFFSET)
    repeated = duplicated_cells(halo).reshape(9, 20)
    np.testing.assert_array_equal(np.flatnonzero(repeated.all(axis=0)), [18, 19])
    assert repeated.sum() == 18
    np.testing.assert_allclose(
        found.areas.sum(axis=1), overlaps(once, OFFSET).areas.sum(axis=1), rtol=1e-12
    )


def test_unknown_and_empty_cells_are_skipped():
    """Cells with a missing corner or without an area have no overlaps, and no area."""
    grid = as_curved(REGIONAL)
    bounds = [array.copy() for array in grid.bounds]
    bounds[0][1, 2, 3] = np.nan
    for array in bounds:
        array[4, 3] = array[4, 3, 0]
    found = overlaps(curved(grid.latitude, grid.longitude, tuple(bounds)), GLOBAL)
    areas = found.areas.sum(axis=0).reshape(grid.shape)
    assert areas[1, 2] == areas[4, 3] == 0
    assert (areas > 0).sum() == grid.size - 2
