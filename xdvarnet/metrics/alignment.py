"""Compare maps and reference where their coordinates agree.

They are compared on their common days, latitudes and longitudes, in any order and any longitude
convention, in the units of the reference.
"""

import numpy as np
import pandas as pd
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import DAY_TOLERANCE, STEP_TOLERANCE, units_factor
from xdvarnet.grids.coords import continuous_longitude, days_since_epoch, find_axes
from xdvarnet.grids.times import check_calendars
from xdvarnet.grids.values import trusted_values

CELL_TOLERANCE = 0.01
"""Distance at which two cells are still the same, as a fraction of the grid's spacing."""

FEW = 0.5
"""Share of the reference below which a warning says how little is compared."""


def compare(maps: xr.DataArray, reference: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return maps minus reference and the reference, both where the coordinates agree.

    Parameters
    ----------
    maps, reference : xarray.DataArray
        With longitude and latitude, and time where they have one; other dimensions are broadcast.

    Raises
    ------
    InvalidInputError
        If the two have no day or no cell in common, other calendars, grids of other steps, other
        dimensions that do not fit, or units that do not convert.
    """
    maps, reference = trusted_values(maps), trusted_values(reference)
    units = reference.attrs.get("units", maps.attrs.get("units", "1"))
    factor = units_factor(maps, units)
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
    error.attrs = {"units": units}  # it is no height, whose size could be judged
    return error.rename("error"), reference


def warn_if_few(maps: xr.DataArray, reference: xr.DataArray, compared: int) -> None:
    """Warn if under half of the reference in the region and period of the maps is compared.

    Parameters
    ----------
    maps, reference : xarray.DataArray
        As in `compare`.
    compared : int
        Number of values that are finite in both.
    """
    maps, reference = with_axes(maps), with_axes(reference)
    there, here = (
        int(a.notnull().sum()) for a in (_within(reference, maps), _within(maps, reference))
    )
    if compared < FEW * there:
        warn(
            f"{compared} values are compared: {compared / there:.0%} of those of the reference in "
            f"the region and period of the maps, and {compared / max(here, 1):.0%} of those of "
            "the maps in the region and period of the reference. Are both on one grid and on the "
            "same days?"
        )


def _within(array: xr.DataArray, other: xr.DataArray) -> xr.DataArray:
    """Return the part of `array` in the region and period that `other` spans."""
    ours, theirs = find_axes(array, time=False), find_axes(other, time=False)
    for kind in ("time", "latitude", "longitude"):
        name, dim = getattr(theirs, kind), getattr(ours, kind)
        if name not in other.dims or dim not in array.dims:
            continue
        if kind == "time":
            span, values = days_since_epoch(other[name]), days_since_epoch(array[dim])
        else:
            span, values = other[name].values.astype(float), array[dim].values.astype(float)
        tolerance = DAY_TOLERANCE if kind == "time" else CELL_TOLERANCE
        if kind == "longitude":
            span = continuous_longitude(span)
            start = span.min() - tolerance
            values = start + (values - start) % 360
        inside = (values >= span.min() - tolerance) & (values <= span.max() + tolerance)
        array = array.isel({dim: inside})
    return array


def with_axes(array: xr.DataArray) -> xr.DataArray:
    """Make a dimension of each scalar axis, such as one day that was selected."""
    names = find_axes(array, time=False).dims
    return array.expand_dims([name for name in names if array[name].ndim == 0])


def _common(given: xr.DataArray, wanted: xr.DataArray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions in `given` and in `wanted` of the values that both have."""
    if kind == "time":
        values, targets = days_since_epoch(given), days_since_epoch(wanted)
        check_calendars(wanted, given)
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
    if kind != "time" and found.size < targets.size:
        _check_steps(np.sort(values), np.sort(targets), kind)
    return order[nearest[found]], found


def _check_steps(values: np.ndarray, targets: np.ndarray, kind: str) -> None:
    """Refuse increasing positions of two grids: only some of them agree, by chance."""
    if values.size < 2 or targets.size < 2:
        return
    given, wanted = (float(np.median(np.diff(axis))) for axis in (values, targets))
    if abs(given / wanted - 1) > STEP_TOLERANCE:
        raise InvalidInputError(
            f"maps and reference are on two grids: the maps step by {given:g} degrees of {kind} "
            f"and the reference by {wanted:g}, and only some of their cells agree. Bring one to "
            "the grid of the other: reference.dvarnet.regrid(maps)."
        )
