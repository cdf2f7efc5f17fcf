"""Parameters of a Gaussian field: numbers, or maps that are interpolated where they are needed."""

from typing import cast

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import check_times, quantity, units_factor
from xdvarnet.grids.coords import around_the_globe, find_grid
from xdvarnet.grids.values import trusted_values

Parameter = float | xr.DataArray
"""A number, or a map on (time,) latitude, longitude, increasing, in the units of the parameter."""


def read_parameter(
    value: str | float | xr.DataArray,
    name: str,
    units: str,
    *,
    positive: bool = True,
) -> Parameter:
    """Check a parameter and bring it to its units.

    Parameters
    ----------
    value : str, float or xarray.DataArray
        A number in `units`; where it is positive, also such as ``"60 km"``; or a map with latitude,
        longitude and perhaps time, in any order, in `units` unless its attribute ``units`` says
        otherwise.
    name, units : str
        Of the parameter.
    positive : bool
        Whether it must be.

    Raises
    ------
    InvalidInputError
        If a value is not finite, a fill, or not positive where it must be, with its place; if the
        units or the axes are not as they must be.
    """
    if isinstance(value, xr.DataArray) and value.ndim:
        return _read_map(value, name, units, positive)
    return read_number(value, name, units, positive=positive)


def read_number(
    value: str | float | xr.DataArray,
    name: str,
    units: str,
    *,
    positive: bool = True,
) -> float:
    """As `read_parameter`, of parameters that are no maps; a DataArray has no dimension."""
    if isinstance(value, xr.DataArray) and not value.ndim:
        value = float(value) * units_factor(value.rename(name), units)
    if positive:
        return quantity(cast(str | float, value), units, name)
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{name}={value!r} is no number; give one in {units}.") from error
    if not np.isfinite(number):
        raise InvalidInputError(f"{name}={value!r} is not finite; give a number in {units}.")
    return number


def _read_map(value: xr.DataArray, name: str, units: str, positive: bool) -> xr.DataArray:
    grid = find_grid(value, time=False)
    if not set(value.dims) <= set(grid.axes.dims):
        raise InvalidInputError(
            f"{name} has dimensions {value.dims}; a map has latitude, longitude and perhaps time."
        )
    value = trusted_values(value.rename(name))
    arranged = grid.arrange(value.astype(float)) * units_factor(value, units)
    axes = {"latitude": grid.latitude, "longitude": grid.longitude}
    if grid.days is not None:
        check_times(grid.days, f"time of {name}", daily=False)
        axes = {"time": grid.days} | axes
    found = xr.DataArray(arranged.values, axes, list(axes), name, {"units": units})
    wrong = ~np.isfinite(found.values) | (positive & (found.values <= 0))
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        labels = axes | ({} if grid.days is None else {"time": value[grid.axes.time].values})
        first = ", ".join(f"{dim} {labels[dim][i]}" for dim, i in zip(axes, place, strict=True))
        wanted = "positive and finite" if positive else "finite"
        missing = bool(np.isnan(found.values).any())
        advice = "fill them, on land too, for example with fillna" if missing else "correct them"
        raise InvalidInputError(
            f"{name} is {found.values[place]:g} at {first}, and {int(wrong.sum())} value(s) in all "
            f"are not {wanted}; {advice}."
        )
    return found


def on_grid(
    parameter: Parameter, days: np.ndarray, latitude: np.ndarray, longitude: np.ndarray
) -> np.ndarray:
    """Interpolate a parameter linearly; beyond its edges it is that of the edge.

    Parameters
    ----------
    parameter : float or xarray.DataArray
        As `read_parameter` returns it.
    days, latitude, longitude : numpy.ndarray
        Where, in days since the epoch and degrees, increasing.

    Returns
    -------
    numpy.ndarray
        Of no dimension for a number, or of the shape (times or 1, ny, nx).
    """
    if not isinstance(parameter, xr.DataArray):
        return np.asarray(parameter, dtype=float)
    parameter = around_the_globe(parameter)
    wanted = _in_its_convention(parameter, days, latitude, longitude)
    if parameter.sizes.get("time") == 1:
        parameter = parameter.isel(time=0)  # for all days; nothing to interpolate between
    for dim in parameter.dims:
        known = parameter[dim].values
        parameter = parameter.interp({dim: np.clip(wanted[str(dim)], known[0], known[-1])})
    return parameter.values.reshape(-1, latitude.size, longitude.size)


def warn_if_apart(
    parameter: Parameter, days: np.ndarray, latitude: np.ndarray, longitude: np.ndarray
) -> None:
    """Warn of a map that does not reach the domain or its days: only its edge is used then.

    Parameters
    ----------
    parameter, days, latitude, longitude
        As in `on_grid`.
    """
    if not isinstance(parameter, xr.DataArray):
        return
    parameter = around_the_globe(parameter)
    wanted = _in_its_convention(parameter, days, latitude, longitude)
    for dim in map(str, parameter.dims):
        known, reach = parameter[dim].values, 1.0 if dim == "time" else 0.0
        if wanted[dim][0] >= known[-1] + reach or wanted[dim][-1] <= known[0] - reach:
            ranges = [f"{axis[0]:g} to {axis[-1]:g}" for axis in (known, wanted[dim])]
            unit = "days since 1950-01-01" if dim == "time" else "degrees"
            warn(
                f"the map of {parameter.name} is of {dim} {ranges[0]} and the domain of "
                f"{ranges[1]} ({unit}): they do not overlap, and the values at the edge of the map "
                "are used for all. Give a map of this domain."
            )


def _in_its_convention(
    parameter: xr.DataArray, days: np.ndarray, latitude: np.ndarray, longitude: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the axes of a domain, with longitudes beside those of the map."""
    around = 360 * np.round((longitude.mean() - float(parameter["longitude"].mean())) / 360)
    return {"time": days, "latitude": latitude, "longitude": longitude - around}


def axis_on_grid(
    parameter: Parameter, days: np.ndarray, latitude: np.ndarray, longitude: np.ndarray
) -> np.ndarray:
    """Interpolate the direction of an axis, in degrees, and return it in radians.

    Twice the angle is interpolated, as a vector: an axis has no sign, and 179 degrees is beside 1.
    """
    double = 2 * np.deg2rad(parameter)
    east, north = (
        on_grid(component, days, latitude, longitude)  # type: ignore[arg-type]  # numpy's stubs leave xarray out
        for component in (np.cos(double), np.sin(double))
    )
    return np.arctan2(north, east) / 2


def describe_parameter(parameter: Parameter) -> str:
    """Return a number, or the sizes and the range of a map."""
    if not isinstance(parameter, xr.DataArray):
        return f"{parameter:g}"
    sizes = " x ".join(map(str, parameter.shape))
    return f"<map of {sizes}, {float(parameter.min()):g} to {float(parameter.max()):g}>"
