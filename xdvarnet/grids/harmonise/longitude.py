"""Bring the longitudes of a product to one range."""

import numpy as np
import xarray as xr

from xdvarnet.grids.coords import continuous_longitude
from xdvarnet.grids.harmonise.positions import bounds_of

SAME_POSITION = 1e-3
"""Difference in degrees that is only rounding, in single precision."""


def wrap_longitude(dataset: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Bring ``lon`` to -180..180: each point or cell, or an axis as a whole.

    An axis keeps its order and stays one increasing piece: it is shifted by whole turns so that its
    western end lies in [-180, 180). A basin across the date line goes on beyond 180, and a grid
    around the globe that starts at 0 goes on to 360.

    Parameters
    ----------
    dataset : xarray.Dataset
        With the coordinate ``lon``; its bounds, named by the attribute ``bounds``, go with it, and
        so do other longitudes (of a staggered grid, of a nadir).

    Returns
    -------
    xarray.Dataset, list of str
        The Dataset, and what was done.
    """
    longitude = dataset["lon"]
    axis = "lon" in dataset.dims
    turns = {name: _turns_of_points(dataset[name]) for name in _longitudes(dataset)}
    turns["lon"] = _turns_of_axis(longitude) if axis else _turns_of_points(longitude)
    turns = {name: whole for name, whole in turns.items() if bool((whole != 0).any())}
    if "lon" not in turns:
        return dataset, []
    shifted = {name: _shift(dataset[name], whole) for name, whole in turns.items()}
    bounds = bounds_of(longitude)
    if bounds is not None and bounds in dataset.variables:
        shifted[bounds] = _shift(dataset[bounds], turns["lon"])
        shifted["lon"].attrs["bounds"] = bounds
    coords = {name: shifted.pop(name) for name in list(shifted) if name in dataset.coords}
    old, new = (f"{float(a.min()):g}..{float(a.max()):g}" for a in (longitude, coords["lon"]))
    done = f"longitude {old} -> {new if axis else '-180..180'}"
    return dataset.assign_coords(coords).assign(shifted), [done]


def drop_repeated(dataset: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Leave out the columns of a globe that come again after a turn.

    Parameters
    ----------
    dataset : xarray.Dataset
        With the axis ``lon``; of two columns that are whole turns apart, the first is kept.

    Returns
    -------
    xarray.Dataset, list of str
        The Dataset, and what was done.
    """
    degrees = dataset["lon"].values.astype(float)
    if not degrees.size or np.ptp(degrees) < 360 - SAME_POSITION:
        return dataset, []
    order = np.argsort(degrees % 360)
    turned = degrees[order] % 360
    same = np.diff(turned, append=turned[0] + 360) < SAME_POSITION
    repeated = np.unique(np.maximum(order, np.roll(order, -1))[same])
    if not repeated.size:
        return dataset, []
    done = f"{repeated.size} column(s) that come again after 360 degrees left out"
    return dataset.isel(lon=np.delete(np.arange(degrees.size), repeated)), [done]


def _longitudes(dataset: xr.Dataset) -> list[str]:
    """Return the longitudes that are no axes."""
    every = dataset.variables.items()
    named = {str(name) for name, v in every if v.attrs.get("standard_name") == "longitude"}
    return sorted(named - set(dataset.dims))


def _turns_of_points(longitude: xr.DataArray) -> xr.DataArray:
    turns: xr.DataArray = -np.floor((longitude.astype(float) + 180) / 360)  # type: ignore[assignment]  # numpy's stubs leave xarray out
    return turns.fillna(0)


def _turns_of_axis(longitude: xr.DataArray) -> xr.DataArray:
    values = longitude.values.astype(float)
    turns = np.round((continuous_longitude(values) - values) / 360)
    west = np.min(values + 360 * turns, initial=np.inf)
    return longitude.copy(data=turns - np.floor((west + 180) / 360))


def _shift(array: xr.DataArray, turns: xr.DataArray) -> xr.Variable:
    shifted = (array.variable + 360 * turns.variable).transpose(*array.dims).astype(array.dtype)
    shifted.attrs = dict(array.attrs)
    return shifted
