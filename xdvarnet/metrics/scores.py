"""Scores of maps against a reference, lazily, over any dimensions.

Maps and reference are compared where their coordinates agree: on their common days, latitudes and
longitudes, in any order and any longitude convention, in the units of the reference. Only cells
that are finite in both count.

`mu` and `sigma` are those of the ocean data challenge 2020a (SSH mapping, observing system
simulation experiment; https://doi.org/10.24400/527896/a01-2020.002).
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import xarray as xr

from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.grids.checks import DAY_TOLERANCE, check_dataset, check_variable, units_factor
from xdvarnet.grids.coords import EARTH_RADIUS, days_since_epoch, find_axes, find_grid

Dims = str | Iterable[str] | None
"""Dimensions to reduce; None for all dimensions of the reference."""

CELL_TOLERANCE = 0.01
"""Distance at which two cells are still the same, as a fraction of the grid's spacing."""


def rmse(
    maps: xr.DataArray,
    reference: xr.DataArray,
    *,
    dim: Dims = None,
    weights: xr.DataArray | None = None,
) -> xr.DataArray:
    """Root mean square error, in the units of `reference`.

    Parameters
    ----------
    maps, reference : xarray.DataArray
        With longitude and latitude, and time where they have one; other dimensions, such as
        ``member``, are broadcast and kept.
    dim : str or iterable of str, optional
        Dimensions to reduce, by their names in `reference`; default all of its dimensions.
    weights : xarray.DataArray, optional
        Weights of the cells, such as `area_weights`; default equal.

    Raises
    ------
    InvalidInputError
        If the two have no day or no cell in common, or units that do not convert.
    """
    error, reference = _compare(maps, reference)
    return np.sqrt(_mean(error**2, dim, reference, weights))


def bias(
    maps: xr.DataArray,
    reference: xr.DataArray,
    *,
    dim: Dims = None,
    weights: xr.DataArray | None = None,
) -> xr.DataArray:
    """Mean of maps minus reference, in the units of `reference`; parameters as in `rmse`."""
    error, reference = _compare(maps, reference)
    return _mean(error, dim, reference, weights)


def explained_variance(
    maps: xr.DataArray,
    reference: xr.DataArray,
    *,
    dim: Dims = None,
    weights: xr.DataArray | None = None,
) -> xr.DataArray:
    """``1 - var(maps - reference) / var(reference)``, without units; parameters as in `rmse`."""
    error, reference = _compare(maps, reference)

    def variance(array: xr.DataArray) -> xr.DataArray:
        centred = array - _mean(array, dim, reference, weights)
        return _mean(centred**2, dim, reference, weights)

    return 1 - variance(error) / variance(reference.where(error.notnull()))


def mu(
    maps: xr.DataArray,
    reference: xr.DataArray,
    *,
    dim: Dims = None,
    weights: xr.DataArray | None = None,
) -> xr.DataArray:
    """``1 - rms(maps - reference) / rms(reference)``, pooled over `dim`; parameters as in `rmse`.

    The denominator is the root mean square of the full field, so it depends on the field's zero.
    Over latitude and longitude alone it is the daily score of the 2020a challenge.
    """
    error, reference = _compare(maps, reference)
    signal = reference.where(error.notnull())
    return 1 - np.sqrt(
        _mean(error**2, dim, reference, weights) / _mean(signal**2, dim, reference, weights)
    )


def sigma(
    maps: xr.DataArray, reference: xr.DataArray, *, weights: xr.DataArray | None = None
) -> xr.DataArray:
    """Population standard deviation over time of the daily `mu`; parameters as in `rmse`.

    NaN where fewer than two days are compared.

    Raises
    ------
    InvalidInputError
        If `reference` has no time dimension.
    """
    reference = _with_axes(reference)
    time = find_axes(reference).time
    if time not in reference.dims:
        raise InvalidInputError(f"sigma is a spread in time, and {time!r} is no dimension.")
    horizontal = [dim for dim in reference.dims if dim != time]
    daily = mu(maps, reference, dim=horizontal, weights=weights)
    return daily.std(time).where(daily.count(time) > 1)


def gradient_rmse(
    maps: xr.DataArray,
    reference: xr.DataArray,
    *,
    dim: Dims = None,
    weights: xr.DataArray | None = None,
) -> xr.DataArray:
    """Root mean square of the error's horizontal gradient, in units of `reference` per 100 km.

    Central differences on the sphere; a cell counts where its four neighbours are finite in both.
    For sea surface height it is a score of the geostrophic current. Parameters as in `rmse`.
    """
    error, reference = _compare(maps, reference)
    grid = find_grid(error, time=False)
    latitude, longitude = grid.axes.latitude, grid.axes.longitude
    error = error.isel({latitude: grid.latitude_order, longitude: grid.longitude_order})
    # a degree of longitude is measured without the jump at 0/360 that the coordinate may have
    x = xr.DataArray(np.radians(grid.longitude), dims=longitude)
    y = xr.DataArray(np.radians(grid.latitude), dims=latitude)
    eastward = _central(error, x, longitude) / np.cos(y)
    northward = _central(error, y, latitude)
    per_100_km = 100 / EARTH_RADIUS
    return per_100_km * np.sqrt(_mean(eastward**2 + northward**2, dim, reference, weights))


def area_weights(array: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """Cosine of the latitude of `array`, the area of the cells of a regular grid."""
    return np.cos(np.radians(array[find_axes(array, time=False).latitude])).rename("area_weights")


def score(maps: xr.Dataset, reference: xr.Dataset, *, variable: str | None = None) -> xr.Dataset:
    """Score maps against a reference.

    Parameters
    ----------
    maps : xarray.Dataset
        Maps, such as `reconstruct` gives.
    reference : xarray.Dataset
        The truth, or better maps, on the same grid; only the common days and cells are compared.
    variable : str, optional
        The variable to score; by default all gridded variables that both have.

    Returns
    -------
    xarray.Dataset
        Scalars ``rmse`` and ``bias`` (units of the reference), ``explained_variance``, ``mu`` and
        ``sigma`` (1; the latter only with time, NaN for one day), ``gradient_rmse`` (units of the
        reference per 100 km), ``n_points`` (cells and days that are finite in both, on which all
        scores rest) and ``n_missing`` (those where only the reference is finite; two methods are
        compared fairly where theirs agree). With several variables, along a dimension ``variable``.

    Raises
    ------
    InvalidTypeError
        If `maps` or `reference` is no Dataset.
    UnknownNameError
        If `variable`, or any common variable, is missing.
    InvalidInputError
        If there is no common day or cell, no cell finite in both, or units do not convert.

    Examples
    --------
    >>> grid = {"time": pd.date_range("2005-06-10", periods=3), "lat": [36.0, 36.5, 37.0],
    ...         "lon": [4.0, 4.5, 5.0, 5.5]}
    >>> truth = xr.Dataset({"ssh": (("time", "lat", "lon"), np.ones((3, 3, 4)))}, grid)
    >>> float(score(truth + 0.02, truth)["rmse"].round(3))
    0.02
    """
    check_dataset(maps)
    check_dataset(reference)
    find_axes(maps, time=False)
    horizontal = set(find_axes(reference, time=False).dims[-2:])
    if variable is not None:
        return _score(check_variable(maps, variable), check_variable(reference, variable))
    names = [
        name
        for name, array in reference.data_vars.items()
        if name in maps.data_vars and horizontal <= set(array.dims)
    ]
    if not names:
        raise UnknownNameError(
            f"the maps {sorted(map(str, maps.data_vars))} and the reference "
            f"{sorted(map(str, reference.data_vars))} have no gridded variable in common; rename "
            "one of them with dataset.rename."
        )
    scores = [_score(maps[name], reference[name]) for name in names]
    if len(names) == 1:
        return scores[0]
    dim = xr.IndexVariable("variable", np.array(names))
    return xr.concat(scores, dim, combine_attrs="drop_conflicts")


def _score(maps: xr.DataArray, reference: xr.DataArray) -> xr.Dataset:
    error, common = _compare(maps, reference)
    units = reference.attrs.get("units", "1")
    count = error.notnull().sum(list(common.dims))
    if count.chunks is None and not count.all():
        raise InvalidInputError(
            f"variable {reference.name!r} has no cell that is finite in both maps and reference; "
            "compare days and regions where both have values."
        )
    scores = {
        "n_points": (count, "number of cells and days compared", "1"),
        "n_missing": (
            common.notnull().sum() - count,
            "number of cells and days that only the reference has",
            "1",
        ),
        "rmse": (rmse(maps, reference), "root mean square error", units),
        "bias": (bias(maps, reference), "mean error", units),
        "explained_variance": (explained_variance(maps, reference), "explained variance", "1"),
        "mu": (mu(maps, reference), "1 - rms error / rms of the reference", "1"),
        "gradient_rmse": (
            gradient_rmse(maps, reference),
            "root mean square error of the horizontal gradient",
            f"{units}/(100 km)",
        ),
    }
    if find_axes(common, time=False).time in common.dims:
        spread = sigma(maps, reference)
        scores["sigma"] = (spread, "standard deviation of the daily mu", "1")
    return xr.Dataset(
        {
            name: array.drop_vars(array.coords.keys() - array.indexes.keys())
            .drop_attrs()  # of the field, such as its standard_name
            .assign_attrs(long_name=text, units=unit)
            for name, (array, text, unit) in scores.items()
        }
    )


def _mean(
    array: xr.DataArray, dim: Dims, reference: xr.DataArray, weights: xr.DataArray | None
) -> xr.DataArray:
    dims = reference.dims if dim is None else [dim] if isinstance(dim, str) else list(dim)
    return (array if weights is None else array.weighted(weights)).mean(dims)


def _central(array: xr.DataArray, position: xr.DataArray, dim: str) -> xr.DataArray:
    step = position.shift({dim: -1}) - position.shift({dim: 1})
    return (array.shift({dim: -1}) - array.shift({dim: 1})) / step


def _with_axes(array: xr.DataArray) -> xr.DataArray:
    """Make a dimension of each scalar axis, such as one day that was selected."""
    names = find_axes(array, time=False).dims
    return array.expand_dims([name for name in names if array[name].ndim == 0])


def _compare(maps: xr.DataArray, reference: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return maps minus reference and the reference, both where the coordinates agree."""
    factor = units_factor(maps, reference.attrs.get("units", maps.attrs.get("units", "1")))
    maps, reference = _with_axes(maps), _with_axes(reference)
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
