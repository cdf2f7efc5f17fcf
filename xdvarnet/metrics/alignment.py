"""Compare maps and reference where their coordinates agree.

They are compared on their common days, latitudes and longitudes, in any order and any longitude
convention, in the units of the reference.
"""

import numpy as np
import pandas as pd
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import DAY_TOLERANCE, units_factor
from xdvarnet.grids.coords import days_since_epoch, find_axes
from xdvarnet.grids.values import trusted_values

CELL_TOLERANCE = 0.01
"""Distance at which two cells are still the same, as a fraction of the grid's spacing."""


def compare(maps: xr.DataArray, reference: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return maps minus reference and the reference, both where the coordinates agree.

    Parameters
    ----------
    maps, reference : xarray.DataArray
        With longitude and latitude, and time where they have one; other dimensions are broadcast.

    Raises
    ------
    InvalidInputError
        If the two have no day or no cell in common, other dimensions that do not fit, or units that
        do not convert.
    """
    maps, reference = trusted_values(maps), trusted_values(reference)
    factor = units_factor(maps, reference.attrs.get("units", maps.attrs.get("units", "1")))
    maps, reference = with_axes(maps), with_axes(reference)
    theirs, ours = find_axes(maps, time=False), find_axes(reference, time=False)
    names = {}
    for kind in ("time", "latitude", "longitude"):
        given, wanted = getattr(theirs, kind), getattr(ours, kind)
        if given in maps.dims and wanted in reference.dims:
            here, there = _common(maps[given], reference[wanted], kind)
            maps, reference = maps.isel({given: here}), reference.isel({wanted: there})
            names[given] = wanted
    maps = maps.reset_coords(drop=True).drop_vars(list(names)).rename(names)
    maps = maps.assign_coords({name: reference[name] for name in names.values()})
    try:
        error = maps.astype(float) * factor - reference
    except ValueError as problem:
        raise InvalidInputError(
            f"maps with dimensions {maps.dims} and reference with dimensions {reference.dims} do "
            "not fit each other; along other dimensions than time, latitude and longitude they "
            "need the same coordinates."
        ) from problem
    return error, reference


def with_axes(array: xr.DataArray) -> xr.DataArray:
    """Make a dimension of each scalar axis, such as one day that was selected."""
    names = find_axes(array, time=False).dims
    return array.expand_dims([name for name in names if array[name].ndim == 0])


def _common(given: xr.DataArray, wanted: xr.DataArray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions in `given` and in `wanted` of the values that both have."""
    if kind == "time":
        values, targets = days_since_epoch(given), days_since_epoch(wanted)
        tolerance = DAY_TOLERANCE
    else:
        values, targets = given.values.astype(float), wanted.values.astype(float)
        spacing = np.diff(np.sort(targets)) if targets.size > 1 else np.ones(1)
        tolerance = CELL_TOLERANCE * float(np.median(spacing))
    if kind == "longitude":
        start = targets.min() - tolerance
        values, targets = start + (values - start) % 360, start + (targets - start) % 360
    order = np.argsort(values)
    index = pd.Index(values[order])
    if not index.is_unique:
        raise InvalidInputError(f"coordinate {given.name!r} of the maps has repeated values.")
    nearest = index.get_indexer(targets, method="nearest", tolerance=tolerance)
    found = np.flatnonzero(nearest >= 0)
    if not found.size:
        raise InvalidInputError(
            f"maps and reference have no {kind} in common: {given.name!r} of the maps goes from "
            f"{given.values.min()} to {given.values.max()} in {given.size} step(s), "
            f"{wanted.name!r} of the reference from {wanted.values.min()} to "
            f"{wanted.values.max()} in {wanted.size}. Select the same days and region, and regrid "
            "one to the grid of the other."
        )
    return order[nearest[found]], found
