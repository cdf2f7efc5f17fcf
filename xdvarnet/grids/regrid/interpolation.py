"""Weights of linear and nearest-neighbour interpolation from a horizontal grid."""

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import continuous_longitude, unit_vectors
from xdvarnet.grids.regrid.cells import around, around_the_globe, joined_index
from xdvarnet.grids.regrid.horizontal import HorizontalGrid

_EDGE = 1e-3
"""Part of a step by which a point may be outside the grid: rounding of single precision."""

_TO_THE_POLE = 1.5
"""Largest gap, in median steps, between the last row and the pole that the row fills."""

_TIES = 1e-9 * np.array([0.61, 0.53, 0.59])
"""Shift (6 mm) of targets that decides between points as near: not the order of the grid does."""

_ON_A_LINE = 1e-4
"""Degrees from a single row or column that are only rounding of single precision."""

_DIGITS = 12
"""Decimal digits of a place between two centres that are no rounding."""

_ITERATIONS = 12
"""Of Newton's method, which doubles the digits in each."""


def nearest(source: HorizontalGrid, target: HorizontalGrid) -> sparse.csr_array:
    """Weight one for the point of the source nearest on the sphere, however far it is.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (target points, source points); no weights where a target's position is unknown.
    """
    known, wanted = np.flatnonzero(source.placed), np.flatnonzero(target.placed)
    tree = cKDTree(_positions(source, known))
    _, found = tree.query(_positions(target, wanted) + _TIES)
    return _matrix(wanted, known[found], np.ones(wanted.size), source, target)


def linear(source: HorizontalGrid, target: HorizontalGrid) -> sparse.csr_array:
    """Bilinear weights of the four points around.

    From a rectilinear grid they are bilinear in longitude and latitude. Around the globe, the last
    column is followed by the first, and between the last row and the pole the values of that row
    are continued. From a curvilinear grid they are bilinear in the indices of the grid: the
    quadrangle of points that holds the target is projected on the tangent plane there, where its
    bilinear map is inverted (as in the SCRIP package; Jones 1999, Monthly Weather Review 127).
    A single row or column of axes is interpolated along itself, for the points on it.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (target points, source points); rows sum to one, or to zero outside the source.

    Raises
    ------
    InvalidInputError
        If a curvilinear grid has a single row or column.
    """
    if not source.rectilinear and min(source.shape) < 2:
        raise InvalidInputError(
            f"the source has the shape {source.shape}, and {source.names[0]!r} and "
            f"{source.names[1]!r} are no axes: no four points of it surround another. Take "
            "method='nearest', or a conservative method if its cells have CF bounds."
        )
    return (_from_axes if source.rectilinear else _from_quadrangles)(source, target)


def _positions(grid: HorizontalGrid, points: np.ndarray) -> np.ndarray:
    latitude, longitude = grid.points
    return unit_vectors(latitude[points], longitude[points])


def _matrix(
    row: np.ndarray,
    column: np.ndarray,
    weights: np.ndarray,
    source: HorizontalGrid,
    target: HorizontalGrid,
) -> sparse.csr_array:
    matrix = sparse.csr_array((weights, (row, column)), shape=(target.size, source.size))
    matrix.eliminate_zeros()
    return matrix


def _from_axes(source: HorizontalGrid, target: HorizontalGrid) -> sparse.csr_array:
    latitude, longitude = target.points
    row_centres, rows, centres, columns = _axes(source)
    start = centres[0] - _EDGE * np.median(np.diff(centres))
    east, part_east, inside_east = _between(centres, start + (longitude - start) % 360)
    north, part_north, inside_north = _between(row_centres, latitude)
    inside = np.flatnonzero(inside_east & inside_north)
    column, weights = [], []
    for row, share in ((north, 1 - part_north), (north + 1, part_north)):
        for place, part in ((east, 1 - part_east), (east + 1, part_east)):
            column.append((rows[row] * source.shape[1] + columns[place])[inside])
            weights.append((share * part)[inside])
    return _matrix(
        np.tile(inside, 4), np.concatenate(column), np.concatenate(weights), source, target
    )


def joined_axes(grid: HorizontalGrid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Increasing latitudes, their rows, longitudes and their columns, of a rectilinear grid.

    Around the globe, the first column comes again after the last.
    """
    longitude = continuous_longitude(grid.longitude)
    columns, rows = np.argsort(longitude), np.argsort(grid.latitude)
    longitude = longitude[columns]
    if around_the_globe(grid):
        longitude = np.append(longitude, longitude[0] + 360)
        columns = np.append(columns, columns[0])
    return grid.latitude[rows], rows, longitude, columns


def _axes(source: HorizontalGrid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Those of `joined_axes`, with rows at the poles of a globe, and single ones with a width."""
    latitude, rows, longitude, columns = joined_axes(source)
    if columns.size > source.shape[1] and rows.size > 1:
        step = _TO_THE_POLE * np.median(np.diff(latitude))
        if 90 - step < latitude[-1] < 90:
            latitude, rows = np.append(latitude, 90), np.append(rows, rows[-1])
        if -90 < latitude[0] < -90 + step:
            latitude, rows = np.insert(latitude, 0, -90), np.insert(rows, 0, rows[0])
    return *_with_width(latitude, rows), *_with_width(longitude, columns)


def _with_width(centres: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Let a single row or column hold the points that are on it but for rounding."""
    if centres.size > 1:
        return centres, places
    return centres + [-_ON_A_LINE, _ON_A_LINE], np.repeat(places, 2)


def _between(centres: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place of the centre below each point, the part of the step above it, and if it is inside."""
    lower = np.clip(np.searchsorted(centres, points, side="right") - 1, 0, centres.size - 2)
    part = (points - centres[lower]) / (centres[lower + 1] - centres[lower])
    part = np.round(part, _DIGITS)
    return lower, np.clip(part, 0, 1), np.abs(part - 0.5) <= 0.5 + _EDGE


def _from_quadrangles(source: HorizontalGrid, target: HorizontalGrid) -> sparse.csr_array:
    quads = around(joined_index(source)).reshape(-1, 4)
    quads = quads[source.placed[quads].all(axis=1)]
    wanted = np.flatnonzero(target.placed)
    points = _positions(target, wanted)
    vertices = unit_vectors(*source.points)
    quad, point = _candidates(vertices[quads], points)
    place = _invert(_project(vertices, quads[quad], points[point]))
    outside = np.abs(place - 0.5).max(axis=1) - 0.5
    order = np.lexsort((outside, point))  # of several quadrangles, the one that holds it best
    order = order[outside[order] <= _EDGE]
    row, first = np.unique(point[order], return_index=True)
    best = order[first]
    weights = _shares(*np.clip(place[best], 0, 1).T).reshape(-1)
    columns = quads[quad[best]].reshape(-1)
    return _matrix(np.repeat(wanted[row], 4), columns, weights, source, target)


def _candidates(corners: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a quadrangle and a point within its circumcircle."""
    centres = corners.mean(axis=1)
    radius = np.linalg.norm(corners - centres[:, None], axis=-1).max(axis=1)
    found = cKDTree(points).query_ball_point(centres, radius * (1 + _EDGE), return_sorted=False)
    counts = np.fromiter(map(len, found), dtype=int, count=len(found))
    return np.repeat(np.arange(len(found)), counts), np.concatenate([[], *found]).astype(int)


def _project(vertices: np.ndarray, quads: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Vertices in the tangent plane of each point, which is its origin, shape (pairs, 4, 2)."""
    pole = np.where(np.abs(points[:, 2:]) < 0.9, [[0.0, 0, 1]], [[1.0, 0, 0]])
    east = np.cross(pole, points)
    east /= np.linalg.norm(east, axis=1, keepdims=True)
    plane = np.stack([east, np.cross(points, east)], axis=2)
    return vertices[quads] @ plane


def _invert(corners: np.ndarray) -> np.ndarray:
    """Where the bilinear map of each quadrangle gives the origin, shape (pairs, 2).

    By Newton's method; infinite where there is no such place.
    """
    first = corners[:, 0]
    along, across = corners[:, 1] - first, corners[:, 3] - first
    twist = corners[:, 2] - corners[:, 1] - across
    u = v = np.full((len(corners), 1), 0.5)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(_ITERATIONS):
            value = first + u * along + v * across + u * v * twist
            by_u, by_v = along + v * twist, across + u * twist
            slope = _cross(by_u, by_v)
            u = u - _cross(value, by_v) / slope
            v = v - _cross(by_u, value) / slope
        value = first + u * along + v * across + u * v * twist
        size = np.abs(corners).max(axis=(1, 2))
        found = np.abs(value).max(axis=1) < 1e-9 * size
    return np.where(found[:, None], np.concatenate([u, v], axis=1), np.inf)


def _shares(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], axis=1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])[:, None]
