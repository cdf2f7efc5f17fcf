"""Find where and when the values of a product are, and name that ``time``, ``lat`` and ``lon``.

Coordinates are found by their CF attributes, then by name, among the coordinates and the variables.
Several may be there (staggered grids, the nadir of a swath): the one that lies on the dimensions of
the data, and on the most of them, is meant.
"""

import re
import warnings
from collections.abc import Sequence

import cf_xarray  # noqa: F401  registers .cf
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import Axes, holds_dates, no_dates
from xdvarnet.grids.names import COORDINATES


def find_positions(dataset: xr.Dataset, variables: Sequence[str]) -> Axes:
    """Find the time, latitude and longitude of `variables`.

    Parameters
    ----------
    dataset : xarray.Dataset
        Coordinates may be data variables.
    variables : sequence of str
        The data, those that decide first.

    Raises
    ------
    InvalidInputError
        If there is no latitude or longitude, one of the three cannot be decided, the variables have
        two time axes, times are no dates, or latitude and longitude are neither axes nor points.
    """
    dims = set(dataset[variables[0]].dims)
    latitude = _find_place(dataset, "latitude", dims)
    longitude = _find_place(dataset, "longitude", dims)
    time = _find_time(dataset, variables)
    lat, lon = dataset[latitude], dataset[longitude]
    axes = lat.ndim == lon.ndim == 1 and lat.dims != lon.dims
    if not axes and (not lat.dims or set(lat.dims) != set(lon.dims)):
        raise InvalidInputError(
            f"{latitude!r} has dimensions {lat.dims} and {longitude!r} {lon.dims}; accepted are "
            "one dimension each (the axes of a grid) or the same dimensions (points, a swath or a "
            "curvilinear grid)."
        )
    if lat.ndim == 1 and not axes and time is None:
        raise InvalidInputError(
            f"points along {lat.dims[0]!r} without a time coordinate; name it 'time' or give it "
            "the CF attribute standard_name 'time'."
        )
    return Axes(time, latitude, longitude)


def are_points(dataset: xr.Dataset, axes: Axes) -> bool:
    """Whether each point has its own time, as along a track and in a swath."""
    dims = set(dataset[axes.longitude].dims)
    same = dims == set(dataset[axes.latitude].dims)
    times = set() if axes.time is None else set(dataset[axes.time].dims)
    return same and bool(times) and times <= dims


def bounds_of(coordinate: xr.DataArray | xr.Variable) -> str | None:
    """Return the name of the bounds of the cells, which CF gives in the attribute ``bounds``."""
    return coordinate.attrs.get("bounds", coordinate.encoding.get("bounds"))


def _candidates(dataset: xr.Dataset, kind: str) -> list[str]:
    """Return the CF coordinates of one kind, or those of its names; no bounds of cells."""
    variables = dataset.variables
    bounds = {bounds_of(variable) for variable in variables.values()}
    every = dataset.set_coords(list(dataset.data_vars))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {str(name) for name in every.cf.coordinates.get(kind, [])}
    found |= {str(name) for name in variables if str(name).lower() in COORDINATES[kind].product}
    return sorted(
        name for name in found - bounds if not re.search("bnds|bounds|vertices", name.lower())
    )


def _preference(kind: str, name: str) -> int:
    names = COORDINATES[kind].product
    return names.index(name.lower()) if name.lower() in names else len(names)


def _find_place(dataset: xr.Dataset, kind: str, dims: set) -> str:
    found = _candidates(dataset, kind)
    on_data = [name for name in found if set(dataset[name].dims) <= dims]
    most = max((dataset[name].ndim for name in on_data), default=0)
    best = [name for name in on_data if dataset[name].ndim == most]
    if not best:
        raise InvalidInputError(
            f"no {kind} found for data with dimensions {sorted(map(str, dims))}; the dataset has "
            f"the coordinates {sorted(map(str, dataset.coords))}. Name it "
            f"{COORDINATES[kind].short!r}, or give it the CF attribute units "
            f"{COORDINATES[kind].units!r}."
        )
    return _one(kind, best)


def _one(kind: str, names: list[str]) -> str:
    ranked = sorted(names, key=lambda name: (_preference(kind, name), name))
    known = len(COORDINATES[kind].product)
    if len(ranked) > 1 and _preference(kind, ranked[0]) == known:
        raise InvalidInputError(
            f"{', '.join(map(repr, ranked))} may each be the {kind}; rename the right one: "
            f"dataset.rename({{...: {COORDINATES[kind].short!r}}})."
        )
    return ranked[0]


def _find_time(dataset: xr.Dataset, variables: Sequence[str]) -> str | None:
    dims = {dim for name in variables for dim in dataset[name].dims}
    named = [n for n in _candidates(dataset, "time") if set(dataset[n].dims) <= dims]
    axes = [str(n) for n in dataset.indexes.keys() if n in dims and holds_dates(dataset[n])]
    dated = [name for name in {*named, *axes} if holds_dates(dataset[name])]
    if not dated and named:
        raise InvalidInputError(no_dates(dataset[named[0]]))
    along = sorted({dataset[name].dims for name in dated if dataset[name].dims})
    if len(along) > 1:
        raise InvalidInputError(
            f"{len(along)} time axes, {' and '.join(repr(str(dim[0])) for dim in along)}, of the "
            f"variables {sorted(variables)}; harmonise the variables of each by themselves: "
            "dataset[[...]]."
        )
    most = [name for name in dated if dataset[name].dims] or dated
    on_axis = [name for name in most if name in dataset.indexes]
    return _one("time", on_axis or most) if dated else None


def name_positions(dataset: xr.Dataset, axes: Axes) -> tuple[xr.Dataset, list[str]]:
    """Rename time, latitude and longitude, and the dimensions of which they are the axes.

    Parameters
    ----------
    dataset : xarray.Dataset
        A product.
    axes : Axes
        As returned by `find_positions`.

    Returns
    -------
    xarray.Dataset, list of str
        With the coordinates ``time`` (where there is one), ``lat`` and ``lon`` and their CF
        attributes, and what was done.
    """
    done = []
    names = {kind: name for kind, name in vars(axes).items() if name is not None}
    dims = {kind: dataset[name].dims for kind, name in names.items()}
    gridded = set(dims["latitude"]) != set(dims["longitude"])
    axis = {kind for kind in dims if len(dims[kind]) == 1 and gridded}
    if not are_points(dataset, axes) and len(dims.get("time", ())) == 1:
        axis.add("time")
    dataset = dataset.set_coords(list(axes.dims))
    for kind, old in names.items():
        short = COORDINATES[kind].short
        if old != short:
            dataset = _free(dataset, short).rename({old: short})
            done.append(f"{old} -> {short}")
        if kind in axis:
            dataset, steps = _make_axis(dataset, short)
            done += steps
        coordinate = dataset[short]
        attributed = coordinate.variable.copy()
        attributed.attrs = _attributes(coordinate, kind)
        dataset = dataset.assign_coords({short: attributed})
    return dataset, done


def _free(dataset: xr.Dataset, name: str) -> xr.Dataset:
    """Rename what else has the name that is wanted, the dimension of a curvilinear grid often."""
    if name in dataset.variables or name in dataset.dims:
        return dataset.rename({name: f"{name}_index"})
    return dataset


def _make_axis(dataset: xr.Dataset, name: str) -> tuple[xr.Dataset, list[str]]:
    """Make a coordinate the axis of its dimension, in place of one that holds no positions."""
    (dim,) = dataset[name].dims
    if dim == name:
        return dataset, []
    old = [dim] if dim in dataset.coords else []
    return dataset.swap_dims({dim: name}).drop_vars(old), [f"dimension {dim} -> {name}"]


def _attributes(coordinate: xr.DataArray, kind: str) -> dict:
    attributes = {"standard_name": kind, **coordinate.attrs}
    units = COORDINATES[kind].units
    if coordinate.name in coordinate.dims:
        attributes["axis"] = COORDINATES[kind].axis
    if units is not None:
        given = attributes.get("units", units)
        if not re.match(r"(?i)\s*(deg|°)", str(given)):
            raise InvalidInputError(
                f"coordinate {coordinate.name!r} has units {given!r}; accepted is {units!r}."
            )
        attributes["units"] = units
    return attributes
