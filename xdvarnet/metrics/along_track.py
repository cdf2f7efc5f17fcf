"""Errors of maps along the tracks of altimeters, by points, by days and by cells."""

import numpy as np
import pandas as pd
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import check_positive, check_variable, units_factor
from xdvarnet.grids.coords import continuous_longitude, find_grid
from xdvarnet.grids.names import DEGREES
from xdvarnet.grids.points import find_points
from xdvarnet.grids.times import to_dates
from xdvarnet.grids.values import trusted_values
from xdvarnet.tracks.sample import sample_tracks
from xdvarnet.tracks.segments import find_label

LARGEST_OFFSET = 3
"""Mean error, in its standard deviations, above which the two have another zero."""


def track_errors(maps: xr.DataArray, tracks: xr.Dataset, truth: xr.DataArray) -> xr.Dataset:
    """Sample maps at the points of tracks, and compare them with the truth there.

    Parameters
    ----------
    maps : xarray.DataArray
        Maps with latitude and longitude, and time where they have one; interpolated linearly in
        space and time.
    tracks : xarray.Dataset
        Longitude, latitude and time of the points.
    truth : xarray.DataArray
        What was measured at these points.

    Returns
    -------
    xarray.Dataset
        ``truth``, ``map`` and ``error`` (map minus truth) at the points, in the units of `truth`;
        and ``mission``, if the tracks say it.

    Raises
    ------
    InvalidInputError
        If `maps` are on no grid or have other dimensions, `tracks` are none, all points are
        outside the maps, or units do not convert.
    """
    units = str(truth.attrs.get("units", maps.attrs.get("units", "1")))
    factor = units_factor(maps, units)
    others = set(maps.dims) - set(find_grid(maps, time=False).axes.dims)
    if others:
        raise InvalidInputError(
            f"the maps have the dimensions {maps.dims}; they are compared with tracks one at a "
            f"time: select one along {sorted(map(str, others))}."
        )
    name = "map" if maps.name is None else maps.name  # a warning of the values says it
    gridded = trusted_values(maps).astype(float).reset_coords(drop=True).to_dataset(name=name)
    sampled = sample_tracks(gridded, tracks)
    mapped = factor * sampled[name]
    values = {"truth": truth.astype(float), "map": mapped}
    values["error"] = values["map"] - values["truth"]
    errors = sampled.coords.to_dataset().assign(
        {each: array.variable.set_dims(mapped.sizes) for each, array in values.items()}
    )
    for each, text in (("truth", "truth"), ("map", "map"), ("error", "map minus truth")):
        errors[each].attrs = {"long_name": text, "units": units}
    mission = find_label(tracks, "mission")
    return (
        errors if mission is None else errors.assign(mission=find_points(tracks).restore(mission))
    )


def warn_of_offset(errors: xr.Dataset) -> None:
    """Warn if maps and truth seem to have another zero, as anomalies and absolute heights have."""
    mean, spread = float(errors["error"].mean()), float(errors["error"].std())
    if abs(mean) > LARGEST_OFFSET * spread:
        units = errors["error"].attrs["units"]
        warn(
            f"the maps differ from the tracks by {mean:.3g} {units} on average, and by no more "
            f"than {spread:.3g} {units} (standard deviation) around that: is one of them a sea "
            "level anomaly and the other an absolute dynamic topography? Add the mean dynamic "
            "topography to the anomaly, or score with variable=... of the same kind."
        )


def binned_rmse(tracks: xr.Dataset, variable: str = "error", *, spacing: float = 1.0) -> xr.Dataset:
    """Root mean square of an error along tracks in cells of longitude and latitude.

    Parameters
    ----------
    tracks : xarray.Dataset
        Points with the error, such as `track_errors` gives.
    variable : str
        The error.
    spacing : float
        Size of the cells, in degrees.

    Returns
    -------
    xarray.Dataset
        ``rmse``, NaN where there is no point, and ``n_points``, with the dimensions ``latitude``
        and ``longitude`` (centres of the cells).

    Raises
    ------
    UnknownNameError
        If there is no such variable.
    InvalidInputError
        If it has no finite value, or `spacing` is not positive.
    """
    points, error = find_points(tracks), check_variable(tracks, variable, argument="variable")
    spacing = check_positive(spacing, "spacing", "degrees")
    values = points.flatten(error).astype(float)
    known = np.isfinite(values + points.latitude + points.longitude)
    if not known.any():
        raise InvalidInputError(f"variable {variable!r} has no finite value at a known position.")
    longitudes = continuous_longitude(points.longitude[known])
    if np.ptp(longitudes) > 360 - spacing:
        longitudes = longitudes % 360  # around the globe, no cell is cut in two
    positions = points.latitude[known], longitudes
    edges = [
        spacing * np.arange(np.floor(p.min() / spacing), np.floor(p.max() / spacing) + 1.5)
        for p in positions
    ]
    count = np.histogram2d(*positions, edges)[0]
    squares = np.histogram2d(*positions, edges, weights=values[known] ** 2)[0]
    rmse = np.sqrt(np.divide(squares, count, out=np.full(count.shape, np.nan), where=count > 0))
    latitude, longitude = (edge[:-1] + spacing / 2 for edge in edges)
    dims = ("latitude", "longitude")
    units = error.attrs.get("units", "1")
    return xr.Dataset(
        {
            "rmse": (dims, rmse, {"long_name": "root mean square error", "units": units}),
            "n_points": (
                dims,
                count.astype(int),
                {"long_name": "number of points", "units": "1"},
            ),
        },
        {
            "latitude": ("latitude", latitude, DEGREES["latitude"]),
            "longitude": ("longitude", longitude, DEGREES["longitude"]),
        },
    )


def daily_rms(tracks: xr.Dataset, variable: str = "error") -> xr.Dataset:
    """Root mean square of a variable along tracks on each calendar day that has points.

    Parameters
    ----------
    tracks : xarray.Dataset
        Points with the variable, such as `track_errors` gives.
    variable : str
        The error, or another variable.

    Returns
    -------
    xarray.Dataset
        ``rms`` and ``n_points``, with the dimension ``time`` (midnight at the start of the day).

    Raises
    ------
    UnknownNameError
        If there is no such variable.
    """
    points, array = find_points(tracks), check_variable(tracks, variable, argument="variable")
    squares = pd.Series(points.flatten(array).astype(float) ** 2, np.floor(points.days)).dropna()
    days = squares.groupby(level=0)
    stamps = to_dates(days.mean().index.values)
    units = array.attrs.get("units", "1")
    return xr.Dataset(
        {
            "rms": (
                "time",
                np.sqrt(days.mean()),
                {"long_name": "root mean square", "units": units},
            ),
            "n_points": ("time", days.size(), {"long_name": "number of points", "units": "1"}),
        },
        {"time": stamps},
    )
