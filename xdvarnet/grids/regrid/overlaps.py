"""Areas that the cells of two grids have in common, for conservative regridding.

Exact for cells that are polygons in the plane of longitude and sine of latitude (see
`xdvarnet.grids.regrid.polygons`). Two rectilinear grids need no polygons: the area is a product
of the overlaps of rows and of columns.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from xdvarnet.grids.coords import unit_vectors
from xdvarnet.grids.regrid.cells import SAME_POINT, axis_bounds, corners
from xdvarnet.grids.regrid.horizontal import HorizontalGrid
from xdvarnet.grids.regrid.polygons import boxes, import_shapely, polygons

_ROUNDING = 1e-10
"""Part of the smaller cell; smaller overlaps are rounding of cells that only touch."""

_TURNS = (-1, 0, 1)
"""Whole turns between polygons that start between 0 and 2 pi."""

_AT_ONCE = 200_000
"""Intersections held in memory at a time."""


@dataclass(frozen=True)
class Overlaps:
    """Common areas of the cells of a source and a target, in steradians.

    Attributes
    ----------
    areas : scipy.sparse.csr_array
        Shape (target cells, source cells).
    source, target : numpy.ndarray
        Areas of the cells, zero where a cell is unknown or degenerate, shape (cells,).
    """

    areas: sparse.csr_array
    source: np.ndarray
    target: np.ndarray


def overlaps(source: HorizontalGrid, target: HorizontalGrid) -> Overlaps:
    """Compute the common areas of all pairs of cells.

    Cells of the source whose centres coincide, as in the halo of a global model, are one cell:
    the first of them counts, so that no area counts twice.

    Raises
    ------
    InvalidInputError
        If bounds of an axis have missing values.
    MissingDependencyError
        If a grid is curvilinear and shapely is not installed.
    """
    if source.rectilinear and target.rectilinear:
        areas, areas_source, areas_target = _by_axes(source, target)
    else:
        areas, areas_source, areas_target = _by_polygons(source, target, ~duplicated_cells(source))
    areas = areas.tocoo()
    least = np.minimum(areas_target[areas.row], areas_source[areas.col])
    keep = areas.data > _ROUNDING * least
    index = (areas.row[keep], areas.col[keep])
    kept = sparse.csr_array((areas.data[keep], index), shape=areas.shape)
    return Overlaps(kept, areas_source, areas_target)


def duplicated_cells(grid: HorizontalGrid) -> np.ndarray:
    """Whether the centre of a cell is that of an earlier one, shape (points,)."""
    duplicated = np.zeros(grid.size, dtype=bool)
    if not grid.rectilinear:  # the values of an axis are never repeated
        known = np.flatnonzero(grid.placed)
        positions = unit_vectors(*(array[known] for array in grid.points))
        _, first = np.unique(np.round(positions, 9), axis=0, return_index=True)
        pairs = cKDTree(positions[first]).query_pairs(SAME_POINT, output_type="ndarray")
        duplicated[known] = True
        duplicated[known[first]] = False
        duplicated[known[first[pairs].max(axis=1)]] = True
    return duplicated


def _by_axes(source: HorizontalGrid, target: HorizontalGrid) -> tuple:
    rows, columns, areas = [], [], []
    for grid in (source, target):
        latitude, longitude = axis_bounds(grid)
        rows.append(np.sin(np.deg2rad(latitude)))
        columns.append(np.deg2rad(longitude))
        areas.append(np.outer(np.diff(rows[-1]), np.diff(columns[-1])).reshape(-1))
    around = sum(_intervals(columns[0] + 2 * np.pi * k, columns[1]) for k in _turns(*columns))
    return sparse.kron(_intervals(*rows), around, format="coo"), *areas


def _turns(source: np.ndarray, target: np.ndarray) -> range:
    """Whole turns by which the source may be shifted to meet the target."""
    lowest = np.floor((target.min() - source.max()) / (2 * np.pi))
    return range(int(lowest), int(np.ceil((target.max() - source.min()) / (2 * np.pi))) + 1)


def _intervals(source: np.ndarray, target: np.ndarray) -> sparse.csr_array:
    """Lengths that intervals of shapes (n, 2) and (m, 2) have in common, shape (m, n)."""
    order = np.argsort(source[:, 0])
    lower, upper = source[order].T
    first = np.searchsorted(np.maximum.accumulate(upper), target[:, 0], side="right")
    counts = np.maximum(np.searchsorted(lower, target[:, 1], side="left") - first, 0)
    row = np.repeat(np.arange(len(target)), counts)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    place += np.repeat(first, counts)
    length = np.minimum(upper[place], target[row, 1]) - np.maximum(lower[place], target[row, 0])
    shape = (len(target), len(source))
    return sparse.csr_array((np.maximum(length, 0), (row, order[place])), shape=shape)


def _by_polygons(source: HorizontalGrid, target: HorizontalGrid, used: np.ndarray) -> tuple:
    cells = [_cells(source, used), _cells(target, np.ones(target.size, dtype=bool))]
    shapely = import_shapely()
    tree = shapely.STRtree(cells[0].shapes)
    rows, columns, areas = [], [], []
    for turn in _TURNS:
        moved = shapely.transform(cells[1].shapes, lambda xy, k=turn: xy + (2 * np.pi * k, 0))
        row, column = tree.query(moved)
        rows.append(cells[1].index[row])
        columns.append(cells[0].index[column])
        pairs = moved[row], cells[0].shapes[column]
        areas.append(_common_areas(*pairs, (target.rectilinear, source.rectilinear)))
    index = (np.concatenate(rows), np.concatenate(columns))
    shape = (target.size, source.size)
    areas = sparse.coo_array((np.concatenate(areas), index), shape=shape)
    return areas.tocsr(), cells[0].areas, cells[1].areas


def _common_areas(shapes: np.ndarray, others: np.ndarray, boxes: tuple[bool, bool]) -> np.ndarray:
    """Areas of the intersections of pairs; `boxes` says which of the two are boxes."""
    shapely = import_shapely()
    areas = np.full(len(shapes), np.nan)
    for is_box, outer, inner in ((boxes[0], shapes, others), (boxes[1], others, shapes)):
        if is_box:  # of a cell inside a box no intersection is needed
            limits, extent = shapely.bounds(outer), shapely.bounds(inner)
            above, below = extent[:, :2] >= limits[:, :2], extent[:, 2:] <= limits[:, 2:]
            inside = above.all(axis=1) & below.all(axis=1)
            areas[inside] = shapely.area(inner[inside])
    crossing = np.flatnonzero(np.isnan(areas))
    for begin in range(0, len(crossing), _AT_ONCE):
        some = crossing[begin : begin + _AT_ONCE]
        areas[some] = shapely.area(shapely.intersection(shapes[some], others[some]))
    return areas


@dataclass(frozen=True)
class _Cells:
    shapes: np.ndarray  # polygons of the cells that have an area
    index: np.ndarray  # their places in the flattened grid
    areas: np.ndarray  # of all cells


def _cells(grid: HorizontalGrid, used: np.ndarray) -> _Cells:
    if grid.rectilinear:
        shapes, index = boxes(*axis_bounds(grid)), np.arange(grid.size)
    else:
        vertices = corners(grid)
        index = np.flatnonzero(used & np.isfinite(vertices).all(axis=(0, 2)))
        shapes = polygons(*(array[index] for array in vertices))
    areas = np.zeros(grid.size)
    areas[index] = import_shapely().area(shapes)
    solid = areas[index] > 0
    return _Cells(shapes[solid], index[solid], areas)
