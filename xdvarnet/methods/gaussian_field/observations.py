"""Observations of a Gaussian field: the cells that each is made of, and its error; maps for it."""

import itertools
from collections.abc import Mapping

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.checks import (
    check_dataset,
    check_kind,
    check_variable,
    read_noise,
    units_factor,
)
from xdvarnet.grids.coords import find_axes, find_grid, is_ring
from xdvarnet.grids.internal import DIMS, check_mask_is_coordinate, internal_grid
from xdvarnet.grids.points import find_points
from xdvarnet.grids.times import check_calendars
from xdvarnet.grids.values import check_errors, lasting_attributes, trusted_values
from xdvarnet.methods.gaussian_field.domain import Domain
from xdvarnet.tracks.bin import bin_tracks
from xdvarnet.tracks.noise import SUFFIX, PointNoise, add_noise
from xdvarnet.tracks.sample import wrap_longitude

ErrorStd = PointNoise | np.ndarray | xr.DataArray
"""Standard deviations of the errors of observations, in any of the forms that are accepted."""


def gridded_cells(
    known: xr.Dataset, name: str, domain: Domain
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the values, the cells and the weights of gridded observations."""
    seen = observed_at_sea(known, name)
    places = domain.places(*np.nonzero(seen))[None]
    return known[name].values[seen], places, np.ones(places.shape)


def observed_at_sea(known: xr.Dataset, name: str) -> np.ndarray:
    """Return where there is an observation at sea, shape (time, latitude, longitude)."""
    return np.isfinite(known[name].values) & known["sea"].values


def map_of_tracks(tracks: xr.Dataset, grid: xr.Dataset, name: str) -> xr.Dataset:
    """Return a field on the days of `grid`, or on those of the tracks if it has none."""
    check_dataset(grid)
    if find_grid(grid, time=False).days is None:
        return bin_tracks(tracks, grid)
    check_calendars(grid[find_axes(grid).time], tracks[find_points(tracks).axes.time])
    return empty_map(grid, name, tracks[name].attrs)


def track_cells(
    tracks: xr.Dataset, name: str, known: xr.Dataset, domain: Domain
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the values, the four cells and their weights of points, and which points count."""
    points = find_points(tracks)
    values = points.flatten(tracks[name]).astype(float)
    axes = {
        "time": points.days,
        "latitude": points.latitude,
        "longitude": wrap_longitude(points.longitude, float(known["longitude"][0]) - 1e-6),
    }
    centres = {dim: known[dim].values for dim in DIMS[1:]}
    if is_ring(centres["longitude"]):
        centres["longitude"] = np.append(centres["longitude"], centres["longitude"][0] + 360)
    place = {
        dim: np.interp(axes[dim], degrees, np.arange(degrees.size), np.nan, np.nan)
        for dim, degrees in centres.items()
    }
    day = np.floor(points.days - float(known["time"][0]) + 0.5)
    inside = np.isfinite(values + place["latitude"] + place["longitude"])
    inside &= (day >= 0) & (day < known.sizes["time"])
    row, column = (place[dim][inside] for dim in DIMS[1:])
    south, west = (
        np.minimum(at.astype(int), centres[dim].size - 2)
        for dim, at in (("latitude", row), ("longitude", column))
    )
    sea = known["sea"].values
    corners = []
    for up, right in itertools.product((0, 1), (0, 1)):
        weight = np.abs(1 - up - (row - south)) * np.abs(1 - right - (column - west))
        east = (west + right) % known.sizes["longitude"]
        corners.append((south + up, east, weight * sea[south + up, east]))
    total = sum(weight for _, _, weight in corners)
    at_sea = total > 0
    places = [domain.places(day[inside].astype(int), r, c)[at_sea] for r, c, _ in corners]
    weights = [(weight / np.where(at_sea, total, 1))[at_sea] for _, _, weight in corners]
    inside[np.flatnonzero(inside)[~at_sea]] = False
    return values[inside], np.stack(places), np.stack(weights), inside


def read_errors(
    noise: ErrorStd, observations: xr.Dataset, name: str, units: str
) -> float | np.ndarray | xr.DataArray:
    """Return errors that are given by name, by mission or as a quantity, as numbers in `units`."""
    wanted = f"a number in {units}, an array of numbers, one for each observation, or a name of one"
    check_kind(not isinstance(noise, bytes | xr.Dataset), "noise", noise, wanted)
    if isinstance(noise, Mapping):
        return add_noise(observations, name, noise)[name + SUFFIX]
    if not isinstance(noise, str):
        return noise
    errors = read_noise(noise, name, units)
    if isinstance(errors, str):
        return trusted_values(check_variable(observations, errors))
    return errors


def error_std(
    noise: float | np.ndarray | xr.DataArray, like: xr.DataArray, units: str
) -> xr.DataArray:
    """Return the standard deviations of the errors in `units`, of the shape of `like`."""
    if isinstance(noise, xr.DataArray):
        noise = trusted_values(noise.rename("noise"))
        noise = _arranged(noise, like) * units_factor(noise, units)
    wanted = f"a number in {units}, or an array of numbers, one for each observation"
    try:
        values = np.asarray(noise, dtype=float)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(f"noise is {noise!r}; give {wanted}.") from error
    if values.ndim and values.shape != like.shape:
        raise InvalidInputError(
            f"noise has the shape {values.shape} and the observations {like.shape}; give one "
            "number, or one for each observation."
        )
    errors = (xr.zeros_like(like, dtype=float) + values).rename("noise")
    check_errors(errors, like.notnull())
    return errors


def _arranged(noise: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Return a noise for each observation with the dimensions in the order of the observations."""
    if not noise.ndim:
        return noise
    if set(noise.dims) != set(like.dims):
        raise InvalidInputError(
            f"noise has the dimensions {noise.dims} and the observations {like.dims}; give one "
            "number, or one for each observation."
        )
    try:
        xr.align(noise, like, join="exact")
    except ValueError as error:
        raise InvalidInputError(
            "noise has other coordinates than the observations; select the same cells or points, "
            "in the same order."
        ) from error
    return noise.transpose(*like.dims)


def empty_map(grid: xr.Dataset, name: str, attributes: dict) -> xr.Dataset:
    """Return a field of zeros on a grid of which coordinates suffice."""
    check_mask_is_coordinate(grid)
    axes = find_grid(grid).axes.dims
    zeros = xr.DataArray(
        np.zeros([grid.sizes[dim] for dim in axes], np.float32),
        {dim: grid[dim] for dim in axes} | ({"sea": grid["sea"]} if "sea" in grid.coords else {}),
        axes,
        attrs=attributes,
    )
    return zeros.to_dataset(name=name)


def label_map(values: np.ndarray, template: xr.DataArray, name: str) -> xr.DataArray:
    """Return fields (..., time, latitude, longitude) in the order and with the labels of a grid."""
    grid = internal_grid(template)
    extra = ["member"] * (values.ndim - len(DIMS))
    array = xr.DataArray(values, dims=[*extra, *grid.axes.dims], name=name)
    order = {
        grid.axes.latitude: np.argsort(grid.latitude_order),
        grid.axes.longitude: np.argsort(grid.longitude_order),
    }
    array = array.isel(order).transpose(*extra, *template.dims).assign_coords(template.coords)
    return array.assign_attrs(lasting_attributes(template.attrs))
