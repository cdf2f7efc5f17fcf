"""Find where and when the points of along-track and swath Datasets are.

Points are scattered: longitude and latitude are coordinates, or variables, on the same dimensions,
one for a nadir altimeter and two for a swath. A grid, whose longitude and latitude are axes of
their own, is described by `xdvarnet.grids.coords`.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_dataset
from xdvarnet.grids.coords import Axes, days_since_epoch, find_axes
from xdvarnet.grids.values import trusted_values


@dataclass(frozen=True)
class Points:
    """Position and time of points, in the order of the Dataset.

    Attributes
    ----------
    axes : Axes
        Names of time, latitude and longitude in the Dataset.
    sizes : dict of str to int
        Dimensions of the points and their sizes: one along a track, two in a swath.
    calendar : str
        CF name of the calendar of the times.
    days : numpy.ndarray
        Days since 1950-01-01 in this calendar, shape (points,).
    latitude, longitude : numpy.ndarray
        Degrees, NaN where the position is unknown, shape (points,).
    """

    axes: Axes
    sizes: dict[str, int]
    calendar: str
    days: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray

    def flatten(self, array: xr.DataArray) -> np.ndarray:
        """Return the values of `array`, which has some of the dimensions, shape (points,)."""
        return _flatten(array, self.sizes)

    def restore(self, values: np.ndarray) -> xr.DataArray:
        """Return `values`, shape (points,), with the dimensions of the points."""
        return xr.DataArray(values.reshape(*self.sizes.values()), dims=list(self.sizes))


def find_points(tracks: xr.Dataset) -> Points:
    """Describe the points of `tracks`.

    Parameters
    ----------
    tracks : xarray.Dataset
        Longitude and latitude on the same dimensions, and time on some of these; found by CF
        attributes, then by name, among the coordinates and then among the variables.

    Raises
    ------
    InvalidTypeError
        If `tracks` is no Dataset.
    InvalidInputError
        If one of the three is not found, holds no dates or is missing, or if longitude and latitude
        are the axes of a grid; or positions are packed or fills.
    """
    check_dataset(tracks)
    axes = find_axes(tracks.set_coords(list(tracks.data_vars)))
    time, latitude, longitude = (tracks[name] for name in axes.dims)
    sizes = {str(dim): size for dim, size in latitude.sizes.items()}
    if not sizes or set(longitude.dims) != set(sizes) or not set(time.dims) <= set(sizes):
        raise InvalidInputError(
            f"these are no points along a track: {axes.longitude!r} has dimensions "
            f"{longitude.dims}, {axes.latitude!r} {latitude.dims} and {axes.time!r} {time.dims}; "
            "points have longitude and latitude on the same dimensions, and time on one of them. "
            "Are two arguments swapped? Maps are sampled at points with "
            "maps.dvarnet.sample_tracks(tracks)."
        )
    days = days_since_epoch(time)
    return Points(
        axes,
        sizes,
        time.dt.calendar if time.size else "standard",
        _flatten(time.copy(data=days), sizes),
        _flatten(trusted_values(latitude), sizes).astype(float, copy=False),
        _flatten(trusted_values(longitude), sizes).astype(float, copy=False),
    )


def _flatten(array: xr.DataArray, sizes: dict[str, int]) -> np.ndarray:
    missing = {dim: size for dim, size in sizes.items() if dim not in array.dims}
    return array.variable.set_dims(missing | dict(array.sizes)).transpose(*sizes).values.reshape(-1)
