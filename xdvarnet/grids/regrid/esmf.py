"""Regridding weights computed by ESMF, through xESMF.

ESMF takes grids whose neighbouring cells share their corners, given once each, in two dimensions.
What it is handed is made here from what files have: bounds whose vertices start anywhere and run
either way, globes that are cut anywhere, and columns that are there twice.
"""

from importlib import import_module
from itertools import product

import numpy as np
import xarray as xr
from scipy import sparse

from xdvarnet.errors import InvalidInputError, MissingDependencyError
from xdvarnet.grids.coords import unit_vectors
from xdvarnet.grids.regrid.cells import axis_bounds, built_corners, joined_index
from xdvarnet.grids.regrid.horizontal import HorizontalGrid
from xdvarnet.grids.regrid.interpolation import joined_axes, linear
from xdvarnet.grids.regrid.overlaps import duplicated_cells
from xdvarnet.grids.regrid.weights import METHODS

_SAME_CORNER = 2e-6
"""Radians (13 m: single precision) between two vertices that are one corner."""

_VERTICES = [
    [(first + turn * step) % 4 for step in range(4)] for first, turn in product(range(4), (1, -1))
]
"""The orders that vertices around a cell may have, each from the corner that comes first."""


def esmf_matrix(source: HorizontalGrid, target: HorizontalGrid, method: str) -> sparse.csr_array:
    """Compute the weights of `method` with ESMF, shape (target points, source points).

    Cells of ESMF have great circles as borders. Where a source goes around the globe or is folded,
    `linear` hands ESMF its first row or column once more instead of a periodic grid: of that, ESMF
    makes every point beyond the last row the mean of that row, which one missing value makes
    missing. Beyond the last row of axes, weights are those of the native engine. For the
    conservative methods, source cells that repeat another one are masked.

    Raises
    ------
    MissingDependencyError
        If xESMF or ESMPy is not installed.
    InvalidInputError
        If positions or corners are missing, neighbouring cells share no corners, or `linear` has a
        single row or column.
    """
    try:
        xesmf = import_module("xesmf")
    except ImportError as error:
        raise MissingDependencyError(
            "engine='xesmf' needs xESMF and ESMPy, which conda installs: "
            "conda install -c conda-forge xesmf. engine='native' needs neither."
        ) from error
    places = _joined(source) if method == "linear" else _in_order(source)
    handed = [_positions(source, places), _positions(target, _in_order(target))]
    if method.startswith("conservative"):
        handed = [
            positions.assign(_corners(grid))
            for positions, grid in zip(handed, (source, target), strict=True)
        ]
        repeated = duplicated_cells(source)
        if repeated.any():
            handed[0]["mask"] = (("y", "x"), (~repeated).astype(int).reshape(source.shape))
    regridder = xesmf.Regridder(
        *handed,
        METHODS[method].esmf,
        ignore_degenerate=True,
        unmapped_to_nan=False,
    )
    weights = regridder.weights.data  # sparse.COO
    row, column = weights.coords
    index = (row, places.reshape(-1)[column])
    matrix = sparse.csr_array((weights.data, index), shape=(target.size, source.size))
    if method == "linear" and source.rectilinear:
        matrix = _with_poles(matrix, source, target)
    return matrix


def _in_order(grid: HorizontalGrid) -> np.ndarray:
    return np.arange(grid.size).reshape(grid.shape)


def _joined(grid: HorizontalGrid) -> np.ndarray:
    """Places of the points, with the row or column more where the grid joins itself."""
    if min(grid.shape) < 2:
        raise InvalidInputError(
            f"the source has the shape {grid.shape}; ESMF interpolates between two rows and two "
            "columns at least. Take engine='native' or method='nearest'."
        )
    if not grid.rectilinear:
        return joined_index(grid)
    _, rows, _, columns = joined_axes(grid)
    return rows[:, None] * grid.shape[1] + columns


def _with_poles(
    matrix: sparse.csr_array, source: HorizontalGrid, target: HorizontalGrid
) -> sparse.csr_array:
    """Take the native weights between the last row of a globe and the pole."""
    latitude = target.points[0]
    beyond = (latitude > source.latitude.max()) | (latitude < source.latitude.min())
    if not beyond.any():
        return matrix
    parts = ((~beyond, matrix), (beyond, linear(source, target)))
    return sparse.csr_array(
        sum(sparse.diags_array(some.astype(float)) @ part for some, part in parts)
    )


def _positions(grid: HorizontalGrid, places: np.ndarray) -> xr.Dataset:
    """Centres of the points at `places` under the names of xESMF."""
    _check_known(grid, grid.placed, "position")
    latitude, longitude = (array[places] for array in grid.points)
    return xr.Dataset({"lat": (("y", "x"), latitude), "lon": (("y", "x"), longitude)})


def _corners(grid: HorizontalGrid) -> dict[str, tuple[tuple[str, str], np.ndarray]]:
    """Corners that cells share, shape (ny + 1, nx + 1), under the names of xESMF."""
    if grid.rectilinear:
        latitude, longitude = _shared(grid, *_boxes(grid))
    elif grid.bounds is None:
        latitude, longitude = built_corners(grid)
    else:
        latitude, longitude = _shared(grid, *grid.bounds)
    dims = ("y_b", "x_b")
    return {"lat_b": (dims, latitude), "lon_b": (dims, longitude)}


def _boxes(grid: HorizontalGrid) -> tuple[np.ndarray, np.ndarray]:
    """Vertices around the cells of axes in degrees, shape (ny, nx, 4)."""
    rows, columns = axis_bounds(grid)
    shape = (*grid.shape, 4)
    latitude = np.broadcast_to(rows[:, None, [0, 0, 1, 1]], shape)
    return latitude, np.broadcast_to(columns[None, :, [0, 1, 1, 0]], shape)


def _shared(
    grid: HorizontalGrid, latitude: np.ndarray, longitude: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bring vertices, in whichever order they are, to the corners that neighbours share."""
    positions = unit_vectors(latitude, longitude)
    _check_known(grid, np.isfinite(positions).all(axis=(2, 3)).reshape(-1), "corner of their cells")
    apart = (
        [_apart(positions[:, :, order]) for order in _VERTICES] if latitude.shape[2] == 4 else []
    )
    if not apart or min(apart):
        found = (
            f"{min(apart)} pairs of neighbours do not"
            if apart
            else f"they have {latitude.shape[2]}"
        )
        raise InvalidInputError(
            f"for ESMF, cells of {grid.names[0]!r} and {grid.names[1]!r} have to share their four "
            f"corners with their neighbours, and {found}. Take engine='native', which takes any "
            "cells, or drop the bounds to have cells built from the centres."
        )
    order = _VERTICES[int(np.argmin(apart))]
    return _once(latitude[:, :, order]), _once(longitude[:, :, order])


def _apart(vertices: np.ndarray) -> int:
    """Number of neighbours whose vertices, in the order of `cells.around`, do not meet."""
    sides = (
        (vertices[:, :-1, [1, 2]], vertices[:, 1:, [0, 3]]),
        (vertices[:-1, :, [3, 2]], vertices[1:, :, [0, 1]]),
    )
    distances = (np.linalg.norm(one - other, axis=-1).max(axis=-1) for one, other in sides)
    return int(sum((distance > _SAME_CORNER).sum() for distance in distances))


def _once(vertices: np.ndarray) -> np.ndarray:
    """From four around each cell to each corner once: the inverse of `cells.around`."""
    corners = np.empty(np.add(vertices.shape[:2], 1))
    (corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]) = np.moveaxis(
        vertices, -1, 0
    )
    return corners


def _check_known(grid: HorizontalGrid, known: np.ndarray, what: str) -> None:
    if not known.all():
        raise InvalidInputError(
            f"{int((~known).sum())} points of {grid.names[0]!r} and {grid.names[1]!r} have "
            f"no {what}, which ESMF does not accept; take engine='native'."
        )
