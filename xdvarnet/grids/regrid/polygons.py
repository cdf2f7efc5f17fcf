"""Cells as polygons of shapely, in the plane of longitude and the sine of latitude.

Areas in this plane are those on the sphere, and parallels and meridians are straight, as are the
borders of rectilinear cells. Other borders are straight lines in this plane, and not great circles;
but near the poles, where the two differ much, borders that span several degrees of longitude follow
the great circle. Cells that share corners share borders, so a grid leaves no gaps.
"""

from types import ModuleType

import numpy as np

from xdvarnet.errors import MissingDependencyError
from xdvarnet.grids.coords import unit_vectors
from xdvarnet.grids.regrid.horizontal import from_vectors, wrap

_AT_THE_POLE = 1e-6
"""Distance in degrees from the pole, or from a border through it, that is only rounding."""

_CAP = 80.0
"""Latitude in degrees beyond which wide borders follow great circles."""

_WIDE = 5.0
"""Degrees of longitude that a border spans to be wide."""


def import_shapely() -> ModuleType:
    """Import shapely.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        import shapely
    except ImportError as error:
        raise MissingDependencyError(
            "conservative regridding from or to a curvilinear grid needs shapely, which cannot "
            'be imported; pip install "xdvarnet[regrid]".'
        ) from error
    return shapely


def boxes(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Cells of a rectilinear grid in the plane of `polygons`, shape (ny * nx,).

    Parameters
    ----------
    latitude, longitude : numpy.ndarray
        Of `axis_bounds`, in degrees.
    """
    shapely = import_shapely()
    west, east = _from_zero(longitude).T
    south, north = np.sin(np.deg2rad(latitude)).T
    return shapely.box(west, south[:, None], east, north[:, None]).reshape(-1)


def polygons(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Cells as polygons in the plane of longitude (radians) and sine of latitude.

    Longitudes have no jump inside a cell, and each cell starts between 0 and 360 degrees. A cell
    that holds a pole, or that touches it with a corner or a border, reaches up to it along the line
    that the pole is in this plane.

    Parameters
    ----------
    latitude, longitude : numpy.ndarray
        Vertices in degrees, finite, shape (cells, vertices).

    Returns
    -------
    numpy.ndarray
        Valid polygons of shapely, or parts of them, shape (cells,).

    Raises
    ------
    MissingDependencyError
        If shapely is not installed.
    """
    shapely = import_shapely()
    steps = wrap(np.roll(longitude, -1, axis=1) - longitude)
    polar = (
        (np.abs(latitude).max(axis=1) > 90 - _AT_THE_POLE)
        | (np.abs(steps).max(axis=1) > 180 - _AT_THE_POLE)
        | (np.abs(steps.sum(axis=1)) > 180)
        | _wide(latitude, steps).any(axis=1)
    )
    unwrapped = longitude[:, :1] + np.cumsum(steps, axis=1) - steps
    shapes = np.empty(len(longitude), dtype=object)
    shapes[~polar] = shapely.polygons(_to_plane(latitude[~polar], unwrapped[~polar]))
    for cell in np.flatnonzero(polar):
        ring = _polar_ring(*_refined(latitude[cell], longitude[cell]))
        shapes[cell] = shapely.polygons(_to_plane(*ring))
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    return shapes


def _to_plane(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    return np.stack([_from_zero(longitude), np.sin(np.deg2rad(latitude))], axis=-1)


def _from_zero(longitude: np.ndarray) -> np.ndarray:
    """Longitudes of each cell in radians, the westernmost from 0 to 2 pi."""
    turns = np.floor(longitude.min(axis=-1, keepdims=True) / 360)
    return np.deg2rad(longitude - 360 * turns)


def _wide(latitude: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Whether the border after each vertex is wide and near a pole."""
    lowest = np.minimum(np.abs(latitude), np.abs(np.roll(latitude, -1, axis=-1)))
    return (np.abs(steps) > _WIDE) & (lowest > _CAP)


def _refined(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of one cell, with more of them on the great circles of wide borders."""
    steps = wrap(np.roll(longitude, -1) - longitude)
    pieces = np.ceil(np.round(2 * np.abs(steps) / _WIDE, 6))  # not one more by rounding
    counts = np.where(_wide(latitude, steps), pieces, 1).astype(int)
    begin = unit_vectors(latitude, longitude)
    along = np.roll(begin, -1, axis=0) - begin
    parts = [np.linspace(0, 1, count, endpoint=False)[:, None] for count in counts]
    ring = [begin[k] + part * along[k] for k, part in enumerate(parts)]
    return from_vectors(np.concatenate(ring))


def _polar_ring(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of a cell that holds or touches the pole, with the line that the pole is."""
    pole = np.copysign(90.0, latitude.sum())
    away = np.flatnonzero(np.abs(latitude) < 90 - _AT_THE_POLE)
    if away.size < 2:
        return np.full(3, pole), np.zeros(3)  # no area
    phi, lam = latitude[away], longitude[away]
    steps = wrap(np.roll(lam, -1) - lam)
    over_corner = (np.roll(away, -1) - away) % len(latitude) > 1
    through = over_corner | (np.abs(steps) > 180 - _AT_THE_POLE)
    if not through.any() and abs(steps.sum()) > 180:  # the pole is inside: cut the cell open
        phi, lam, steps = np.append(phi, phi[0]), np.append(lam, lam[0]), np.append(steps, 0)
        through = np.arange(len(phi)) == len(phi) - 1
    else:
        steps[through] = -steps[~through].sum() / max(through.sum(), 1)
    lam = lam[0] + np.cumsum(steps) - steps
    ring = []
    for place in range(len(phi)):
        ring.append((phi[place], lam[place]))
        if through[place]:
            ring += [(pole, lam[place]), (pole, lam[(place + 1) % len(phi)])]
    return tuple(np.array(ring).T)
