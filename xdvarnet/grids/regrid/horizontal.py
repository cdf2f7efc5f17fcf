"""Find the horizontal grid of a Dataset: axes, or two-dimensional longitude and latitude.

Longitude and latitude are found by CF attributes, then by name, among the coordinates and then
among the variables; bounds by the CF attribute ``bounds``.
"""

import warnings
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import cf_xarray  # noqa: F401  registers .cf
import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_dataset
from xdvarnet.grids.coords import find_axes, find_grid
from xdvarnet.grids.names import COORDINATES, DEGREES

_SAME = 1e-6
"""Difference in degrees that is only rounding."""

_KINDS = ("latitude", "longitude")

_LARGEST = {"latitude": 90.5, "longitude": 1000.0}
"""Degrees; larger numbers are no positions."""

_ZEROS = 4
"""Number of points at exactly 0 N, 0 E that may still be one point and its copies in a halo."""


@dataclass(frozen=True)
class HorizontalGrid:
    """Positions of the points of a horizontal grid, in the order of the Dataset.

    Attributes
    ----------
    names : tuple of str
        Names of latitude and longitude.
    dims : tuple of str
        Dimensions of the grid: those of latitude and longitude where they are axes, and else the
        two that both have.
    latitude, longitude : numpy.ndarray
        Degrees, in any convention: axes of shapes (ny,) and (nx,), or both of shape (ny, nx), NaN
        where the position is unknown.
    bounds : tuple of numpy.ndarray or None
        CF bounds of latitude and longitude in degrees, of shapes (ny, 2) and (nx, 2), or both of
        shape (ny, nx, vertices).
    """

    names: tuple[str, str]
    dims: tuple[str, str]
    latitude: np.ndarray
    longitude: np.ndarray
    bounds: tuple[np.ndarray, np.ndarray] | None

    @property
    def rectilinear(self) -> bool:
        """Whether longitude and latitude are axes."""
        return self.latitude.ndim == 1

    @property
    def shape(self) -> tuple[int, int]:
        """Sizes of the two dimensions."""
        return (self.latitude.shape[0], self.longitude.shape[-1])

    @property
    def size(self) -> int:
        """Number of points."""
        return self.shape[0] * self.shape[1]

    @cached_property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude of all points in degrees, shape (points,) each."""
        latitude = self.latitude[:, None] if self.rectilinear else self.latitude
        both = np.broadcast_arrays(latitude, self.longitude)
        return both[0].reshape(-1), both[1].reshape(-1)

    @cached_property
    def placed(self) -> np.ndarray:
        """Whether the position of a point is known, shape (points,)."""
        return np.isfinite(self.points[0]) & np.isfinite(self.points[1])

    def describe_range(self) -> str:
        """Say where the grid is."""
        (south, north), (west, east) = (
            (np.nanmin(values), np.nanmax(values)) for values in (self.latitude, self.longitude)
        )
        return f"latitude {south:g} to {north:g} and longitude {west:g} to {east:g}"


def from_vectors(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude in degrees of vectors of any length, shape (..., 3)."""
    east, north, up = np.moveaxis(vectors, -1, 0)
    return np.rad2deg(np.arctan2(up, np.hypot(east, north))), np.rad2deg(np.arctan2(north, east))


def wrap(degrees: np.ndarray) -> np.ndarray:
    """Differences of longitude from -180 to 180."""
    return degrees - 360 * np.round(degrees / 360)


def in_degrees(variable: xr.Variable, name: Hashable, units: str = "degrees") -> np.ndarray:
    """Return positions in degrees, however their attribute ``units`` writes them.

    Parameters
    ----------
    variable : xarray.Variable
        With ``units`` of degrees in any spelling (``degrees``, ``degree_north``, ``degrees east``,
        ``degE`` ...) or of radians.
    name : str
        The variable's name, for the message.
    units : str
        What it has without the attribute.

    Raises
    ------
    InvalidInputError
        If the units are of no angle.
    """
    written = str(variable.attrs.get("units") or units)
    values = variable.values.astype(float)
    if "deg" in written.lower() or "°" in written:
        return values
    if written.lower().startswith("rad"):
        return np.rad2deg(values)
    raise InvalidInputError(
        f"{name!r} has the units {written!r}; positions are in degrees or radians. Correct the "
        f"attribute: dataset[{name!r}].attrs['units'] = 'degrees'; or drop the variable if it is "
        "no longitude or latitude."
    )


def find_horizontal(dataset: xr.Dataset) -> HorizontalGrid:
    """Describe the horizontal grid of `dataset`.

    Positions on two dimensions that run along latitude and longitude are the axes that they are: so
    a globe is one in either form.

    Parameters
    ----------
    dataset : xarray.Dataset
        With longitude and latitude as axes or on the same two dimensions, in degrees (or radians,
        if their units say so).

    Raises
    ------
    InvalidTypeError
        If `dataset` is no Dataset.
    InvalidInputError
        If no pair of longitude and latitude is found, or several; if they are points along a track,
        or have further dimensions; if positions are impossible, were filled with zeros, or have
        units that are no angle.
    """
    check_dataset(dataset)
    names = _find_names(dataset)
    latitude, longitude = (dataset[name].reset_coords(drop=True) for name in names)
    dims = tuple(map(str, latitude.dims))
    if dims == longitude.dims and len(dims) == 1:
        raise InvalidInputError(
            f"{names[0]!r} and {names[1]!r} are both on the dimension {dims[0]!r}: points along a "
            "track and no grid. Maps are sampled at such points with sample_tracks, and points are "
            "put on a grid with bin_tracks."
        )
    if len(dims) == 1 and longitude.ndim == 1:
        return _rectilinear(dataset, names)
    if len(dims) != 2 or set(dims) != set(longitude.dims):
        extra = dims[0] if dims else names[0]
        raise InvalidInputError(
            f"{names[0]!r} has dimensions {dims} and {names[1]!r} {longitude.dims}; a grid has "
            "one-dimensional axes, or both on the same two dimensions. Select one of each further "
            f"dimension, e.g. dataset.isel({extra}=0)."
        )
    phi = in_degrees(latitude.variable, names[0])
    lam = in_degrees(longitude.transpose(*dims).variable, names[1])
    for name, values, kind in zip(names, (phi, lam), _KINDS, strict=True):
        _check_range(name, values, kind)
    _check_zeros(names, phi, lam)
    bounds = _find_bounds(dataset, names, (dims, dims))
    return HorizontalGrid(names, dims, *(_as_axes(phi, lam, bounds) or (phi, lam, bounds)))


def bounds_names(dataset: xr.Dataset, names: Iterable[str] | None = None) -> set[Hashable]:
    """Names of the variables that are the CF bounds of those called `names`, or of any."""
    of: Iterable[Hashable] = dataset.variables if names is None else names
    named: set[Hashable] = {_bounds_name(dataset[name].variable) for name in of}
    return named & set(dataset.variables)


def _bounds_name(variable: xr.Variable) -> str | None:
    return variable.attrs.get("bounds", variable.encoding.get("bounds"))


def _find_names(dataset: xr.Dataset) -> tuple[str, str]:
    coords, variables = set(dataset.coords), set(dataset.data_vars)
    first = {
        kind: _candidates(dataset, kind, coords) or _candidates(dataset, kind, variables)
        for kind in _KINDS
    }
    every = {kind: _candidates(dataset, kind, coords | variables) for kind in _KINDS}
    # one-dimensional coordinates beside positions on the same two dimensions are only nominal
    exact = [pair for pair in _pairs(dataset, every) if dataset[pair[0]].ndim == 2]
    covered = {_dims(dataset, pair) for pair in exact}
    pairs = [pair for pair in _pairs(dataset, first) if _dims(dataset, pair) not in covered] + exact
    if not pairs:
        axes = find_axes(dataset, time=False)
        return axes.latitude, axes.longitude
    used = [pair for pair in pairs if len(pairs) == 1 or _carries_data(dataset, pair)]
    if len(used) != 1:
        raise InvalidInputError(
            f"several grids could be meant, {' and '.join(map(str, used or pairs))} of latitude "
            "and longitude; select the variables of one grid, e.g. dataset[['zeta']], or drop the "
            "others with dataset.drop_vars."
        )
    return used[0]


def _candidates(dataset: xr.Dataset, kind: str, pool: set[Hashable]) -> list[str]:
    """Names of coordinates of a kind among `pool`, by attributes, and else by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = set(dataset.set_coords(list(dataset.data_vars)).cf.coordinates.get(kind, []))
    names = {str(name) for name in pool} - bounds_names(dataset)
    usual = COORDINATES[kind].curvilinear
    return sorted(names & known or {name for name in names if name.lower() in usual})


def _pairs(dataset: xr.Dataset, names: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Pairs of latitude and longitude that can be a grid, or points."""
    return [
        pair
        for pair in product(names["latitude"], names["longitude"])
        if dataset[pair[0]].ndim == dataset[pair[1]].ndim == 1
        or set(dataset[pair[0]].dims) == set(dataset[pair[1]].dims)
    ]


def _dims(dataset: xr.Dataset, pair: tuple[str, str]) -> frozenset[Hashable]:
    return frozenset(dim for name in pair for dim in dataset[name].dims)


def _carries_data(dataset: xr.Dataset, pair: tuple[str, str]) -> bool:
    dims = _dims(dataset, pair)
    skip = bounds_names(dataset) | set(pair)
    return any(dims <= set(array.dims) for name, array in dataset.items() if name not in skip)


def _rectilinear(dataset: xr.Dataset, names: tuple[str, str]) -> HorizontalGrid:
    latitude, longitude = (in_degrees(dataset[name].variable, name) for name in names)
    positions = zip(names, (latitude, longitude), DEGREES.values(), strict=True)
    axes = {name: (name, values, attrs) for name, values, attrs in positions}
    find_grid(xr.Dataset(coords=axes), time=False, least=1)  # checks the values
    (row,), (column,) = dims = [tuple(map(str, dataset[name].dims)) for name in names]
    bounds = _find_bounds(dataset, names, dims)
    return HorizontalGrid(names, (row, column), latitude, longitude, bounds)


def _as_axes(
    latitude: np.ndarray, longitude: np.ndarray, bounds: tuple[np.ndarray, np.ndarray] | None
) -> tuple | None:
    """Axes and their bounds, if rows are parallels and columns are meridians, and cells are boxes.

    None where they are not, where a position is missing, and where rows or columns are repeated.
    """
    phi, lam = latitude[:, 0], longitude[0]
    away = [np.abs(latitude - phi[:, None]), np.abs(wrap(longitude - lam))]
    straight = all((array <= _SAME).all() for array in away)
    if not straight or _repeated(phi, np.inf) or _repeated(lam % 360, 360):
        return None
    if bounds is None:
        return phi, lam, None
    rows, north = _sides(bounds[0] - phi[:, None, None], 1)
    columns, east = _sides(wrap(bounds[1] - lam[None, :, None]), 0)
    vertices = np.sort(2 * north + east, axis=-1)
    if vertices.shape[-1] != 4 or (vertices != np.arange(4)).any():
        return None
    return phi, lam, (phi[:, None] + rows, lam[:, None] + columns)


def _repeated(degrees: np.ndarray, period: float) -> bool:
    ordered = np.sort(degrees)
    return bool((np.diff(ordered, append=ordered[0] + period) <= _SAME).any())


def _sides(away: np.ndarray, along: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest of vertices along an axis, shape (n, 2), and which are which.

    1 is for the highest, 0 for the lowest, and nan for what is between.
    """
    low, high = (ends(axis=(along, 2)) for ends in (away.min, away.max))
    lowest, highest = (
        np.abs(away - np.expand_dims(side, (along, 2))) <= _SAME for side in (low, high)
    )
    return np.stack([low, high], axis=1), np.where(lowest != highest, highest, np.nan)


def _find_bounds(
    dataset: xr.Dataset, names: tuple[str, str], dims: tuple | list
) -> tuple[np.ndarray, np.ndarray] | None:
    found = []
    for name, horizontal in zip(names, dims, strict=True):
        bounds = _bounds_name(dataset[name].variable)
        if bounds is None or bounds not in dataset.variables:
            return None
        variable = dataset[bounds].variable
        vertex = [dim for dim in variable.dims if dim not in horizontal]
        least, most = (2, 2) if len(horizontal) == 1 else (3, np.inf)
        if len(vertex) != 1 or not least <= variable.sizes[vertex[0]] <= most:
            raise InvalidInputError(
                f"variable {bounds!r}, the bounds of {name!r}, has dimensions "
                f"{dict(variable.sizes)}; it must have {horizontal} and one more, of 2 bounds for "
                "an axis and of the vertices else. Correct it, or drop it to have the cells built "
                "from the centres."
            )
        units = str(
            dataset[name].attrs.get("units") or "degrees"
        )  # CF: bounds have those of `name`
        found.append(in_degrees(variable.transpose(*horizontal, vertex[0]), bounds, units))
    return found[0], found[1]


def _check_range(name: str, values: np.ndarray, kind: str) -> None:
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise InvalidInputError(f"coordinate {name!r} has no finite value.")
    if np.abs(finite).max() > _LARGEST[kind]:
        raise InvalidInputError(
            f"coordinate {name!r} goes from {finite.min():g} to {finite.max():g} degrees, which is "
            f"no {kind}. Are latitude and longitude swapped? Rename them with dataset.rename. "
            "Fill values are to be NaN."
        )


def _check_zeros(names: tuple[str, str], latitude: np.ndarray, longitude: np.ndarray) -> None:
    zeros = int(((latitude == 0) & (longitude == 0)).sum())
    if zeros > _ZEROS:
        raise InvalidInputError(
            f"{zeros} points of {names[0]!r} and {names[1]!r} are at exactly 0 N, 0 E: their "
            "positions were filled with zeros, as some models do on land. Take the positions from "
            f"the model's mesh file, or mark them with NaN: placed = (dataset.{names[0]} != 0) | "
            f"(dataset.{names[1]} != 0); dataset.assign_coords({names[0]}="
            f"dataset.{names[0]}.where(placed), {names[1]}=dataset.{names[1]}.where(placed))."
        )
