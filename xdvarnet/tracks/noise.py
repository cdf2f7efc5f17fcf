"""Standard deviations of the errors of measurements: one of all, one a mission, one each."""

from collections.abc import Hashable, Iterable, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import (
    check_kind,
    check_positive,
    check_variable,
    is_name,
    quantity,
    units_factor,
)
from xdvarnet.grids.points import Points, find_points
from xdvarnet.grids.values import check_errors, trusted_values
from xdvarnet.tracks.segments import find_label

PointNoise = str | float | Mapping[Hashable, str | float]
"""A number or a quantity such as ``"3 cm"``, one for each mission, or the name of a variable."""

SUFFIX = "_noise"
"""At the end of the name of the variable that holds the errors of another one."""


def add_noise(tracks: xr.Dataset, variable: str, noise: PointNoise) -> xr.Dataset:
    """Give each measurement of tracks the standard deviation of its error.

    Parameters
    ----------
    tracks : xarray.Dataset
        Points along tracks or in swaths.
    variable : str
        What was measured.
    noise : str, float or mapping
        See `measurement_noise`.

    Returns
    -------
    xarray.Dataset
        With ``<variable>_noise``, in the units of the variable.

    Raises
    ------
    InvalidInputError, UnknownNameError
        As `measurement_noise` does.
    """
    errors = find_points(tracks).restore(measurement_noise(tracks, variable, noise))
    attributes = noise_attributes(tracks[variable])
    return tracks.assign({variable + SUFFIX: errors.assign_attrs(attributes)})


def name_of_noise(noise: PointNoise, variable: str) -> str:
    """Return the name of the variable that holds errors which are given by name or by mission.

    Raises
    ------
    InvalidInputError
        If it is a number or a quantity, the same for all.
    """
    if isinstance(noise, Mapping):
        return variable + SUFFIX
    if is_name(noise):
        return str(noise)
    raise InvalidInputError(
        f"noise={noise!r} is one for all; give the name of a variable, or a mapping of missions, "
        "or leave it out, and it is sought."
    )


def measurement_noise(tracks: xr.Dataset, variable: str, noise: PointNoise) -> np.ndarray:
    """Return the standard deviation of the error of each measurement.

    Parameters
    ----------
    tracks : xarray.Dataset
        Points along tracks or in swaths.
    variable : str
        What was measured.
    noise : str, float or mapping
        A quantity, such as ``"3 cm"``, or a number in the units of the variable; a mapping to these
        from the missions, by the names of the variable or coordinate ``mission``; or the name of a
        variable of `tracks`.

    Returns
    -------
    numpy.ndarray
        In the units of the variable, shape (points,).

    Raises
    ------
    InvalidInputError
        If it cannot be read, is not positive where something was measured, has other units, or a
        mission has none.
    UnknownNameError
        If there is no such variable.
    InvalidTypeError
        If it is a Dataset or a DataArray.
    """
    wanted = "a number, a quantity, one for each mission, or the name of a variable"
    check_kind(not isinstance(noise, xr.Dataset | xr.DataArray), "noise", noise, wanted)
    measured, points = check_variable(tracks, variable), find_points(tracks)
    if isinstance(noise, Mapping):
        return _by_mission(tracks, measured, noise)
    if is_name(noise):
        return _of_each(tracks, points, measured, str(noise))
    return np.full(points.days.size, _read(noise, measured, "noise"))


def only_variable(names: Iterable[Hashable], noise: PointNoise) -> str:
    """Return the name of the one variable that a noise is of.

    Raises
    ------
    InvalidInputError
        If there are several, or none beside that of the errors.
    """
    measured = [str(name) for name in names if not (is_name(noise) and name == noise)]
    if len(measured) != 1:
        raise InvalidInputError(
            f"a noise is of one variable, and the tracks have {measured}; leave out the others, "
            f"such as tracks.drop_vars({measured[1:] or noise!r})."
        )
    return measured[0]


def noise_attributes(measured: xr.DataArray) -> dict[str, str]:
    """Return the attributes of the standard deviation of the error of a variable."""
    long_name = measured.attrs.get("long_name", measured.name)
    attributes = {"long_name": f"standard deviation of the error of {long_name}"}
    if "units" in measured.attrs:
        attributes["units"] = measured.attrs["units"]
    if "standard_name" in measured.attrs:
        attributes["standard_name"] = f"{measured.attrs['standard_name']} standard_error"
    return attributes


def _by_mission(tracks: xr.Dataset, measured: xr.DataArray, noise: Mapping) -> np.ndarray:
    labels = find_label(tracks, "mission")
    if labels is None:
        raise InvalidInputError(
            f"noise={dict(noise)!r} is by mission, and the tracks do not tell missions apart; give "
            "them a variable 'mission' along the points, tracks.assign(mission=('time', ...)), or "
            "one noise for all."
        )
    positions, labels = pd.factorize(labels, sort=True, use_na_sentinel=False)
    missions = labels.tolist()
    missing = [mission for mission in missions if mission not in noise]
    if missing:
        raise InvalidInputError(
            f"noise has no entry for {', '.join(map(repr, missing))}; the tracks have the missions "
            f"{missions}, and noise {list(noise)}."
        )
    each = [_read(noise[mission], measured, f"noise[{mission!r}]") for mission in missions]
    return np.array(each)[positions]


def _of_each(tracks: xr.Dataset, points: Points, measured: xr.DataArray, name: str) -> np.ndarray:
    errors = trusted_values(check_variable(tracks, name))
    if not set(errors.dims) <= set(points.sizes):
        raise InvalidInputError(
            f"variable {name!r} has the dimensions {errors.dims}; the error of each measurement "
            f"has {list(points.sizes)}."
        )
    errors = errors.broadcast_like(measured).transpose(*measured.dims).astype(float)
    check_errors(errors, measured.notnull())
    units = measured.attrs.get("units", errors.attrs.get("units", "1"))
    return points.flatten(errors) * units_factor(errors, units)


def _read(noise: str | float, measured: xr.DataArray, name: str) -> float:
    """Read a number in the units of what was measured, or a quantity."""
    if not isinstance(noise, str):
        return check_positive(noise, name, measured.attrs.get("units", "the units of the data"))
    if "units" not in measured.attrs:
        raise InvalidInputError(
            f"{name}={noise!r} has units, and variable {measured.name!r} has no attribute 'units'; "
            f"say them: tracks[{str(measured.name)!r}].attrs['units'] = 'm'."
        )
    return quantity(noise, measured.attrs["units"], name)
