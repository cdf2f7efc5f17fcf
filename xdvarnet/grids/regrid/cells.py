"""Cells of a horizontal grid: their borders and corners, and how rows and columns join."""

import numpy as np
from scipy.spatial import cKDTree

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import continuous_longitude, unit_vectors
from xdvarnet.grids.regrid.horizontal import HorizontalGrid, from_vectors, wrap

_GLOBAL_GAP = 1.5
"""Largest widest gap between the longitudes of a global axis, in gaps beside it."""

_ONTO_THE_POLE = 0.85
"""Largest distance to the pole, in steps, of a last row whose cells reach it.

It is half a step for even latitudes, up to 0.77 for Gaussian ones, and one where the pole's own row
is missing.
"""

_FOLDED, _CLOSED = 0.8, 0.5
"""Parts of the last row that have to go on in its own mirror image, or in the first row.

Around a pole two thirds of any row face its mirror image.
"""

SAME_POINT = 3e-7
"""Radians (2 m: single precision) between the centres of one cell and its copy in a halo."""

_NEXT = 2.0
"""Largest distance, in steps of a grid, between the two sides of a seam that join."""


def axis_bounds(grid: HorizontalGrid) -> tuple[np.ndarray, np.ndarray]:
    """South and north of the rows, and west and east of the columns, of a rectilinear grid.

    The CF bounds if there are, and else the middles between the centres. The first and the last
    column of a globe share a border, and the last rows before the poles reach them; other outer
    borders are as far from the outer centres as the next ones, and not beyond the poles.

    Returns
    -------
    tuple of numpy.ndarray
        Degrees, shapes (ny, 2) and (nx, 2); increasing along the second axis, with longitudes of
        one cell within 180 degrees.

    Raises
    ------
    InvalidInputError
        If bounds are missing, or cells cannot be built around a single row or column.
    """
    if grid.bounds is None:
        _check_several(grid)
        latitude = _to_the_poles(_built_bounds(grid.latitude), grid.latitude)
        longitude = _built_bounds(continuous_longitude(grid.longitude), around_the_globe(grid))
    else:
        latitude, longitude = grid.bounds
        width = wrap(longitude[:, 1] - longitude[:, 0])
        west = np.where(width >= 0, longitude[:, 0], longitude[:, 1])
        longitude = np.stack([west, west + np.abs(width)], axis=1)
    _check_finite(grid, bool(np.isfinite(latitude).all() and np.isfinite(longitude).all()))
    return np.sort(np.clip(latitude, -90, 90), axis=1), longitude


def corners(grid: HorizontalGrid) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of the vertices around each cell of a curvilinear grid.

    Those of the CF bounds if there are, and else `built_corners`.

    Returns
    -------
    tuple of numpy.ndarray
        Degrees, shape (points, vertices); NaN where a vertex is unknown.
    """
    if grid.bounds is not None:
        latitude, longitude = grid.bounds
    else:
        latitude, longitude = (around(array) for array in built_corners(grid))
    return latitude.reshape(grid.size, -1), longitude.reshape(grid.size, -1)


def built_corners(grid: HorizontalGrid) -> tuple[np.ndarray, np.ndarray]:
    """Corners of a curvilinear grid: the means of the four centres around, on the sphere.

    At its borders the grid is continued by what it joins there, or else in equal steps.

    Returns
    -------
    tuple of numpy.ndarray
        Latitude and longitude in degrees, shape (ny + 1, nx + 1).

    Raises
    ------
    InvalidInputError
        If there is a single row or column.
    """
    _check_several(grid)
    positions = unit_vectors(grid.latitude, grid.longitude)
    # both orders, which differ in the four corners, so that a transposed grid has the same cells
    positions = _extended(_extended(positions, 0), 1) + _extended(_extended(positions, 1), 0)
    middle = positions[1:] + positions[:-1]
    middle = middle[:, 1:] + middle[:, :-1]
    return from_vectors(middle)


def joined_index(grid: HorizontalGrid) -> np.ndarray:
    """Places of the points of a curvilinear grid, with a row or column more where it joins itself.

    It does where the last column continues in the first (around the globe), and where a border is
    folded (the north of a tripolar grid) and continues in its own mirror image. The columns that a
    model repeats in a halo do not continue each other.

    Returns
    -------
    numpy.ndarray
        Places in the flattened grid, of its shape or with up to one row or column more a side.
    """
    positions = unit_vectors(*grid.points)
    index = np.arange(grid.size).reshape(grid.shape)
    if min(grid.shape) < 2:
        return index
    for next_row in (_next_over_a_fold, _next_around_the_globe):
        for _ in range(4):  # each side becomes the last row in turn
            index = np.rot90(index)
            place = next_row(positions[index])
            if place is not None:
                index = np.concatenate([index, index[place][None]])
    return index


def around_the_globe(grid: HorizontalGrid) -> bool:
    """Whether the last column of the grid continues in the first."""
    if not grid.rectilinear:
        return joined_index(grid).shape[1] > grid.shape[1]
    if grid.longitude.size < 2:
        return False
    longitude = np.sort(grid.longitude % 360)
    gaps = np.diff(longitude, append=longitude[0] + 360)  # the same wherever the axis is cut
    widest = int(np.argmax(gaps))
    beside = max(gaps[widest - 1], gaps[(widest + 1) % gaps.size])
    return bool(gaps[widest] < _GLOBAL_GAP * beside)


def around(array: np.ndarray) -> np.ndarray:
    """From corners of shape (ny + 1, nx + 1) to the four around each cell, shape (ny, nx, 4)."""
    return np.stack([array[:-1, :-1], array[:-1, 1:], array[1:, 1:], array[1:, :-1]], axis=-1)


def _built_bounds(centres: np.ndarray, closed: bool = False) -> np.ndarray:
    order = np.argsort(centres)
    ordered = centres[order]
    middle = (ordered[1:] + ordered[:-1]) / 2
    first, last = 2 * ordered[0] - middle[0], 2 * ordered[-1] - middle[-1]
    if closed:
        first = (ordered[0] + ordered[-1] - 360) / 2
        last = first + 360
    edges = np.concatenate([[first], middle, [last]])
    bounds = np.empty((centres.size, 2))
    bounds[order] = np.stack([edges[:-1], edges[1:]], axis=1)
    return bounds


def _to_the_poles(bounds: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Let the cells of the last rows reach the poles, between which and them no row is missing."""
    order = np.argsort(latitude)
    for row, next_row, side, pole in (
        (order[-1], order[-2], 1, 90.0),
        (order[0], order[1], 0, -90),
    ):
        if abs(pole - latitude[row]) < _ONTO_THE_POLE * abs(latitude[row] - latitude[next_row]):
            bounds[row, side] = pole
    return bounds


def _extended(positions: np.ndarray, axis: int) -> np.ndarray:
    """Continue the grid by one row at both ends of an axis."""
    rows = np.swapaxes(positions, 0, axis)
    extended = np.concatenate([_beyond(rows[::-1])[None], rows, _beyond(rows)[None]])
    return np.swapaxes(extended, 0, axis)


def _beyond(rows: np.ndarray) -> np.ndarray:
    """Positions after the last of `rows`: those that continue it, or one more step as the last."""
    for next_row in (_next_over_a_fold, _next_around_the_globe):
        place = next_row(rows)
        if place is not None:
            return rows[place]
    cosine = (rows[-1] * rows[-2]).sum(axis=-1, keepdims=True)
    return 2 * cosine * rows[-1] - rows[-2]  # as far on the great circle


def _next_over_a_fold(rows: np.ndarray) -> tuple | None:
    """Where in `rows` the last one goes on in its mirror image, wherever the columns are cut."""
    inner, border = rows[-2:]
    known = np.flatnonzero(np.isfinite(inner + border).all(axis=-1))
    if not known.size:
        return None
    again = np.flatnonzero(np.linalg.norm(border[1:] - border[0], axis=-1) < SAME_POINT)
    period = again[0] + 1 if again.size else len(border)  # columns may be repeated at the end
    _, facing = cKDTree(border[known]).query(2 * border[known] - inner[known])
    pairs = np.bincount((known + known[facing]) % period)  # i and k face each other: i + k is one
    mirror = (np.argmax(pairs) - np.arange(len(border))) % period
    folded = _continues(inner, border, border[mirror]) > _FOLDED
    return (-1, mirror) if folded else None


def _next_around_the_globe(rows: np.ndarray) -> tuple | None:
    """Where in `rows` the last one goes on in the first."""
    closed = _continues(rows[-2], rows[-1], rows[0]) > _CLOSED
    return (0, slice(None)) if closed else None


def _continues(inner: np.ndarray, border: np.ndarray, candidate: np.ndarray) -> float:
    """Part of the row `candidate` that is about one step onward from `inner` and `border`."""
    step, onward = border - inner, candidate - border
    lengths = [np.linalg.norm(array, axis=-1) for array in (step, onward)]
    near = lengths[1] < _NEXT * lengths[0]
    ahead = (onward * step).sum(axis=-1) > 0.5 * lengths[0] * lengths[1]
    known = np.isfinite(lengths).all(axis=0)
    return float((near & ahead)[known].sum() / max(known.sum(), 1))


def _check_several(grid: HorizontalGrid) -> None:
    if min(grid.shape) < 2:
        raise InvalidInputError(
            f"{grid.names[0]!r} and {grid.names[1]!r} have the shape {grid.shape}: how wide a "
            "single row or column of cells is cannot be known from its centres. Give both CF "
            "bounds (the attribute 'bounds' with the name of a variable), or take "
            "method='linear' or 'nearest'."
        )


def _check_finite(grid: HorizontalGrid, finite: bool) -> None:
    if not finite:
        raise InvalidInputError(
            f"the bounds of {grid.names[0]!r} and {grid.names[1]!r} have missing values; correct "
            "them, or drop them to have the cells built from the centres."
        )
