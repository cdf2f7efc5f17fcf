"""Cells as polygons: their areas, also over the poles, and those that are odd."""

import sys

import numpy as np
import pytest
import xarray as xr
from grids_of_tests import axes, curved

from xdvarnet.errors import MissingDependencyError
from xdvarnet.grids.coords import unit_vectors
from xdvarnet.grids.regrid.cells import axis_bounds, corners
from xdvarnet.grids.regrid.horizontal import HorizontalGrid, find_horizontal
from xdvarnet.grids.regrid.polygons import boxes, polygons

shapely = pytest.importorskip("shapely")


def stereographic(ny: int, nx: int, step: float, offset=(0.3, 0.4)) -> HorizontalGrid:
    """Return a polar stereographic grid over the north pole, with `step` in radians."""
    j, i = np.meshgrid(
        (np.arange(ny) - ny / 2 + offset[0]) * step,
        (np.arange(nx) - nx / 2 + offset[1]) * step,
        indexing="ij",
    )
    latitude = 90 - 2 * np.degrees(np.arctan(np.hypot(i, j) / 2))
    return curved(latitude, np.degrees(np.arctan2(i, -j)))


def test_boxes_have_the_areas_of_the_sphere():
    """A global grid covers 4 pi, also across the date line."""
    grid = axes(np.arange(-80.0, 81, 20), np.arange(-175.0, 180, 10))
    shapes = boxes(*axis_bounds(grid))
    assert shapely.area(shapes).sum() == pytest.approx(4 * np.pi, rel=1e-13)
    assert shapely.bounds(shapes)[:, 0].min() >= 0
    assert shapely.bounds(shapes)[:, 0].max() <= 2 * np.pi


def test_polygons_of_axes_are_boxes():
    """Cells given by their vertices, up to the poles, equal the boxes of the axes."""
    grid = axes(np.arange(-80.0, 81, 20), np.arange(-178.0, 180, 4))
    rows, columns = axis_bounds(grid)
    latitude = np.broadcast_to(rows[:, None, [0, 0, 1, 1]], (*grid.shape, 4)).reshape(-1, 4)
    longitude = np.broadcast_to(columns[None][:, :, [0, 1, 1, 0]], (*grid.shape, 4)).reshape(-1, 4)
    turned = np.where(longitude > 180, longitude - 360, longitude)
    expected = boxes(rows, columns)
    areas = shapely.area(expected)
    backwards = latitude[:, ::-1], longitude[:, ::-1]
    for vertices in ((latitude, longitude), (latitude, turned), backwards):
        shapes = polygons(*vertices)
        np.testing.assert_allclose(shapely.area(shapes), areas, rtol=1e-11)
        common = shapely.area(shapely.intersection(shapes, expected))
        np.testing.assert_allclose(common, areas, rtol=1e-11)


def test_built_cells_of_a_global_grid_cover_it():
    """Two-dimensional positions up to the poles give cells that meet there."""
    latitude, longitude = np.meshgrid(
        np.arange(-88.5, 89, 3), np.arange(1.0, 360, 4), indexing="ij"
    )
    shapes = polygons(*corners(curved(latitude, longitude)))
    areas = shapely.area(shapes).reshape(latitude.shape)
    assert areas.sum() == pytest.approx(4 * np.pi, rel=1e-12)
    np.testing.assert_allclose(areas, areas[:, :1] * np.ones(90), rtol=1e-9)


@pytest.mark.parametrize("offset", [(0.3, 0.4), (0.5, 0.5), (0.0, 0.0), (0.5, 0.2)])
@pytest.mark.parametrize("pole", [1, -1])
def test_cells_over_the_pole_fill_the_cap(offset, pole):
    """With the pole inside a cell, on a corner or on a border, no area is lost or counted twice."""
    grid = stereographic(12, 15, 0.05, offset)
    latitude, longitude = corners(grid)
    shapes = polygons(pole * latitude, longitude)
    assert shapely.is_valid(shapes).all()
    turns = (-2 * np.pi, 0, 2 * np.pi)
    shapes = [shapely.transform(shapes, lambda xy, turn=turn: xy + (turn, 0)) for turn in turns]
    cap = shapely.box(0, min(pole, 0.985 * pole), 2 * np.pi, max(pole, 0.985 * pole))
    areas = shapely.area(shapely.intersection(shapes, cap))
    assert areas.sum() == pytest.approx(2 * np.pi * 0.015, rel=1e-12)


def test_cells_at_the_pole_have_their_area():
    """Compared to spherical quadrangles between great circles, to some percent."""
    grid = stereographic(40, 47, 0.008)
    latitude, longitude = corners(grid)
    vertices = unit_vectors(latitude, longitude)
    exact = triangle(*np.moveaxis(vertices[:, [0, 1, 2]], 1, 0))
    exact += triangle(*np.moveaxis(vertices[:, [0, 2, 3]], 1, 0))
    np.testing.assert_allclose(shapely.area(polygons(latitude, longitude)), exact, rtol=0.05)


def triangle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Area of spherical triangles (van Oosterom and Strackee 1983)."""
    volume = np.abs((a * np.cross(b, c)).sum(-1))
    return 2 * np.arctan2(volume, 1 + (a * b).sum(-1) + (b * c).sum(-1) + (a * c).sum(-1))


def test_crossed_cells_are_mended():
    """A cell whose vertices cross counts with the area of its parts."""
    shape = polygons(np.array([[0.0, 0, 1, 1]]), np.array([[10.0, 11, 10, 11]]))
    assert shapely.is_valid(shape).all()
    assert shapely.area(shape)[0] == pytest.approx(
        np.deg2rad(1) * np.sin(np.deg2rad(1)) / 2, rel=1e-3
    )


def test_cells_without_area_are_no_error():
    """All vertices in one place, or at the pole."""
    shapes = polygons(
        np.array([[3.0, 3, 3, 3], [90, 90, 90, 90]]), np.array([[5.0, 5, 5, 5], [0, 90, 180, 270]])
    )
    np.testing.assert_array_equal(shapely.area(shapes), 0)


def test_shapely_is_asked_for(monkeypatch):
    """Without shapely the message says how to get it."""
    monkeypatch.setitem(sys.modules, "shapely", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "xdvarnet\[regrid\]"'):
        polygons(np.zeros((1, 4)), np.zeros((1, 4)))


def test_the_bounds_of_nemo_fill_the_ocean(shared_data):
    """The cells of eORCA1 cover all that is north of one of its rows."""
    path = shared_data("nemo_eorca1_tos_201501.nc")
    with xr.open_dataset(path, decode_times=False) as dataset:
        grid = find_horizontal(dataset)
    areas = shapely.area(polygons(*corners(grid))).reshape(grid.shape)
    south = np.sin(np.deg2rad(grid.bounds[0][100].min()))
    assert areas[100:].sum() == pytest.approx(2 * np.pi * (1 - south), rel=1e-6)
