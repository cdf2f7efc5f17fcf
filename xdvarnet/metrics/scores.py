"""Scores of maps against a reference, lazily, over any dimensions.

Maps and reference are compared where their coordinates agree: on their common days, latitudes and
longitudes, in any order and any longitude convention, in the units of the reference. Only cells
that are finite in both count.

`mu` and `sigma` are those of the ocean data challenge 2020a (SSH mapping, observing system
simulation experiment; https://doi.org/10.24400/527896/a01-2020.002).
"""

from collections.abc import Hashable, Iterable, Mapping

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import find_axes, find_grid
from xdvarnet.grids.units import EARTH_RADIUS
from xdvarnet.metrics.alignment import compare, with_axes

Dims = str | Iterable[Hashable] | None
"""Dimensions to reduce; None for all dimensions of the reference."""


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
    error, reference = compare(maps, reference)
    return np.sqrt(_mean(error**2, dim, reference, weights))  # type: ignore[return-value]  # numpy's stubs leave xarray out


def bias(
    maps: xr.DataArray,
    reference: xr.DataArray,
    *,
    dim: Dims = None,
    weights: xr.DataArray | None = None,
) -> xr.DataArray:
    """Mean of maps minus reference, in the units of `reference`; parameters as in `rmse`."""
    error, reference = compare(maps, reference)
    return _mean(error, dim, reference, weights)


def explained_variance(
    maps: xr.DataArray,
    reference: xr.DataArray,
    *,
    dim: Dims = None,
    weights: xr.DataArray | None = None,
) -> xr.DataArray:
    """``1 - var(maps - reference) / var(reference)``, without units; parameters as in `rmse`."""
    error, reference = compare(maps, reference)

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
    error, reference = compare(maps, reference)
    signal = reference.where(error.notnull())
    squares = _mean(error**2, dim, reference, weights) / _mean(signal**2, dim, reference, weights)
    return 1 - np.sqrt(squares)  # type: ignore[return-value]  # numpy's stubs leave xarray out


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
    reference = with_axes(reference)
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
    error, reference = compare(maps, reference)
    grid = find_grid(error, time=False)
    latitude, longitude = grid.axes.latitude, grid.axes.longitude
    error = error.isel({latitude: grid.latitude_order, longitude: grid.longitude_order})
    # a degree of longitude is measured without the jump at 0/360 that the coordinate may have
    x = xr.DataArray(np.radians(grid.longitude), dims=longitude)
    y = xr.DataArray(np.radians(grid.latitude), dims=latitude)
    eastward = _central(error, x, longitude) / np.cos(y)
    northward = _central(error, y, latitude)
    per_100_km = 100 / EARTH_RADIUS
    squares = _mean(eastward**2 + northward**2, dim, reference, weights)
    return per_100_km * np.sqrt(squares)  # type: ignore[return-value]  # numpy's stubs leave xarray out


def area_weights(array: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """Cosine of the latitude of `array`, the area of the cells of a regular grid."""
    latitude = array[find_axes(array, time=False).latitude]
    weights: xr.DataArray = np.cos(np.radians(latitude))  # type: ignore[assignment]  # numpy's stubs leave xarray out
    return weights.rename("area_weights")


def label_scores(scores: Mapping[str, tuple[xr.DataArray, str, str]]) -> xr.Dataset:
    """Return a Dataset of scores from their values, long names and units, by name."""
    return xr.Dataset(
        {
            name: array.drop_vars(array.coords.keys() - array.indexes.keys())
            .drop_attrs()  # of the field, such as its standard_name
            .assign_attrs(long_name=text, units=units)
            for name, (array, text, units) in scores.items()
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
