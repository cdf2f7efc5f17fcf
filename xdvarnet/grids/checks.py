"""Checks of what a user gives: each raises an error that says what is wrong and what to do."""

import re
from collections.abc import Hashable, Iterable, Mapping

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.grids.units import EARTH_RADIUS, check_readable, convert_units

DAY_TOLERANCE = 1e-3
"""Departure from daily steps that still counts as daily, in days."""

STEP_TOLERANCE = 0.1
"""Departure from the median step of a grid that still counts as regular, relative to it."""

HARMONISED = ("ssh", "sla", "mdt", "lwe", "sst")
"""Variables that `xdvarnet.harmonise` finds in products."""

MOST_COUNT = 10**6
"""Largest number of what is counted, such as members or modes: more is a mistake."""

LONGEST_REPR = 300
"""Characters of an object that a message shows."""


def check_times(days: np.ndarray, name: str, *, daily: bool) -> None:
    """Require increasing times, and one a day where a method has a time window.

    Parameters
    ----------
    days : numpy.ndarray
        Days since the epoch, shape (nt,).
    name : str
        The coordinate's name, for the message.
    daily : bool
        Whether gaps and other steps than one day are refused.

    Raises
    ------
    InvalidInputError
        If times repeat, go backwards, or are not daily where they must be.
    """
    steps = np.diff(days)
    if (steps == 0).any():
        raise InvalidInputError(
            f"coordinate {name!r} has duplicate times (first at position {np.argmin(steps != 0)}); "
            f"drop them with dataset.drop_duplicates({name!r})."
        )
    if (steps < 0).any():
        raise InvalidInputError(
            f"coordinate {name!r} is not in increasing order; sort with dataset.sortby({name!r})."
        )
    irregular = np.flatnonzero(np.abs(steps - 1) > DAY_TOLERANCE)
    if daily and irregular.size:
        first = int(irregular[0])
        raise InvalidInputError(
            f"coordinate {name!r} steps by {steps[first]:g} days after position {first}; this "
            "method has a time window and needs one field a day without gaps. Fill the days with "
            f"unobserved fields: dataset.resample({name}='1D').asfreq()."
        )


def check_regular(degrees: np.ndarray, name: str, reason: str) -> None:
    """Require equal steps of a horizontal axis: no holes.

    Parameters
    ----------
    degrees : numpy.ndarray
        Increasing positions, shape (n,).
    name : str
        The coordinate's name, for the message.
    reason : str
        What needs equal steps, for the message.

    Raises
    ------
    InvalidInputError
        If a step differs by more than 10 % from the median.
    """
    steps = np.diff(degrees)
    usual = np.median(steps)
    odd = np.flatnonzero(np.abs(steps / usual - 1) > STEP_TOLERANCE)
    if odd.size:
        raise InvalidInputError(
            f"coordinate {name!r} steps by {steps[odd[0]]:g} degrees after {degrees[odd[0]]:g} and "
            f"by {usual:g} elsewhere; {reason} needs equal steps, to {STEP_TOLERANCE:.0%}. Reindex "
            f"to the full axis, unobserved cells being NaN: dataset.reindex({name}=..., "
            "method='nearest', tolerance=...); or regrid to equal steps. Variables that were "
            "merged from two grids are brought to one before: "
            "xarray.merge([ssh, sst.dvarnet.regrid(ssh)], join='exact')."
        )


def check_dataset(dataset: object, role: str = "", *, variable: str = "ssh") -> None:
    """Require an xarray Dataset, as what the message calls `role`, with such a `variable`.

    Raises
    ------
    InvalidTypeError
        If `dataset` is something else; of a DataArray the message says how to make it one.
    """
    if not isinstance(dataset, xr.Dataset):
        array = isinstance(dataset, xr.DataArray)
        hint = f" Name it: array.to_dataset(name={variable!r})." if array else ""
        wanted = "an xarray Dataset" + (f" as {role}" if role else "")
        raise InvalidTypeError(f"expected {wanted}, got {type(dataset).__name__}.{hint}")


def check_variable(
    dataset: xr.Dataset, name: Hashable, *, argument: str | None = None
) -> xr.DataArray:
    """Return the variable `name` of `dataset`.

    Parameters
    ----------
    dataset : xarray.Dataset
        What a user gives.
    name : hashable
        Of the variable.
    argument : str, optional
        The argument of the user's function that names the variable, for the message.

    Raises
    ------
    UnknownNameError
        If it does not exist; the message lists those that do.
    """
    if name not in dataset.data_vars:
        product = name in HARMONISED and "xdvarnet_harmonised" not in dataset.attrs
        there = next((each for each in HARMONISED if each in dataset.data_vars), "...")
        raise UnknownNameError(
            f"variable {name!r} is missing; the dataset has {sorted(map(str, dataset.data_vars))}. "
            + (
                f"Give {argument}={there!r}, the name of yours; or rename "
                if argument
                else "Rename "
            )
            + f"yours with dataset.rename({{...: {name!r}}})"
            + (
                "; a product of altimetry becomes so with dataset.dvarnet.harmonise()." * product
                or "."
            )
        )
    return dataset[name]


def is_speed(units: object) -> bool:
    """Whether these are units of a speed."""
    try:
        convert_units(1.0, units, "m/s")
    except ValueError:
        return False
    return True


def units_factor(array: xr.DataArray, target: str, *, argument: bool = False) -> float:
    """Return the factor that converts the values of `array` to the units `target`.

    Parameters
    ----------
    array : xarray.DataArray
        With an attribute ``units``; without one, `target` is assumed.
    target : str
        Units such as ``"m"``.
    argument : bool
        Whether `target` are units of a method, which may have an argument for them.

    Raises
    ------
    InvalidInputError
        If the units are unknown, measure something else, or differ by an offset (as °C and K do).
    """
    given = array.attrs.get("units", target)
    if isinstance(given, str) and given == target:
        return 1.0
    try:
        zero, one = convert_units([0.0, 1.0], given, target)
        if zero != 0:
            raise ValueError("they differ by an offset, which is not supported")
        return float(one)
    except ValueError as error:
        advice = "Correct the attribute 'units' or convert the values"
        if argument and are_readable(given):
            advice += (
                f"; or, of a method that has the argument, give units={given!r}, as in "
                f"OptimalInterpolation({array.name!r}, ..., units={given!r})"
            )
        raise InvalidInputError(
            f"variable {array.name!r} has units {given!r}, which do not convert to {target!r} "
            f"({error}); accepted are units that differ from {target!r} by a factor. {advice}."
        ) from error


def are_readable(units: object) -> bool:
    """Whether these are units that can be read."""
    try:
        check_readable(units)
    except ValueError:
        return False
    return True


def check_units(units: object) -> str:
    """Return `units` if they can be read.

    Raises
    ------
    InvalidTypeError
        If `units` is no string.
    InvalidInputError
        If no such units are known.
    """
    if not isinstance(units, str):
        raise InvalidTypeError(f"units={units!r} is no string; give units such as 'm'.")
    try:
        check_readable(units)
    except ValueError as error:
        raise InvalidInputError(
            f"units={units!r} are not known ({error}); give units such as 'm', 'cm' or "
            "'degC'. Of the logarithm of a quantity, convert the values to the quantity itself."
        ) from error
    return units


def check_positive(value: float, name: str, units: str, *, zero: bool = False) -> float:
    """Return `value` as a float if it is finite and positive (or zero, if `zero`).

    Raises
    ------
    InvalidInputError
        If it is not.
    """
    accepted = "zero or more" if zero else "more than zero"
    try:
        if isinstance(value, bool):
            raise TypeError("a truth value")
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"{name}={value!r} is no number; give {accepted}, in {units}."
        ) from error
    if not np.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise InvalidInputError(f"{name}={value!r} is not accepted; give {accepted}, in {units}.")
    return number


def quantity(value: str | float, units: str, name: str, *, zero: bool = False) -> float:
    """Read a length, a time or an error such as ``"60 km"`` or ``"3 cm"``; a number is in `units`.

    Parameters
    ----------
    value : str or float
        With units if a string. A length may be in degrees of latitude, and a temperature is a
        difference: 0.3 degrees Celsius are 0.3 K.
    units : str
        Units of the result.
    name : str
        The parameter's name, for the message.
    zero : bool
        Whether it may be zero.

    Raises
    ------
    InvalidInputError
        If `value` cannot be read, has other units, or is not positive.
    """
    if isinstance(value, str):
        try:
            if not re.search(r"\d|nan|inf", value) or re.search(r"\d\s*-\s*\d", value):
                raise ValueError("it has no number, or two")  # of units, "10-2 m" is a power
            arc = re.search(r"(?i)\ddeg|\d°|\d\s+(deg|°)", value) and units == "km"
            origin, one = convert_units([0.0, 1.0], value, "degrees" if arc else units)
            value = float(one - origin) * (np.radians(EARTH_RADIUS) if arc else 1.0)
        except ValueError as error:
            raise InvalidInputError(
                f"{name}={value!r} is not understood; give a number and units that convert to "
                f"{units}, such as '10 {units}'."
            ) from error
    return check_positive(value, name, units, zero=zero)


def read_noise(noise: str | float, variable: str, units: str) -> str | float:
    """Read the standard deviation of the errors of observations, or the name of a variable of them.

    Parameters
    ----------
    noise : str or float
        A quantity such as ``"3 cm"``; a number is in `units`. What does not begin with a digit, a
        sign or a dot is a name, and returned as it is.
    variable, units : str
        What is observed, and the units of the result.

    Raises
    ------
    InvalidInputError
        As `quantity` does, or if it is the name of what is observed.
    """
    if not is_name(noise):
        return quantity(noise, units, "noise")
    if noise == variable:
        raise InvalidInputError(
            f"noise={noise!r} is the variable that is observed; give the name of another one, "
            "which holds the standard deviation of the error of each observation."
        )
    return noise


def describe_noise(noise: str | float) -> str:
    """Write what `read_noise` returns as it is given."""
    return repr(noise) if isinstance(noise, str) else f"{noise:g}"


def is_name(noise: object) -> bool:
    """Whether a noise is the name of a variable: it does not begin as a number does."""
    return isinstance(noise, str) and re.match(r"\s*[^\s\d+.-]", noise) is not None


def check_known(name: str, known: Iterable[str], kind: str) -> None:
    """Refuse a name that is not in `known`.

    Raises
    ------
    UnknownNameError
        With the known names.
    """
    known = sorted(known)
    if name not in known:
        raise UnknownNameError(f"unknown {kind} {name!r}; known are {', '.join(known)}.")


def check_kind(right: bool, name: str, value: object, wanted: str) -> None:
    """Refuse an object of another kind than `wanted`, or a class where an object is meant.

    Raises
    ------
    InvalidTypeError
        If `right` is False or `value` is a class.
    """
    if isinstance(value, type) or not right:
        given = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
        if len(given) > LONGEST_REPR:
            given = f"of the type {type(value).__name__}"
        raise InvalidTypeError(f"{name} is {given}; give {wanted}.")


def check_history(history: xr.Dataset | None) -> xr.Dataset | None:
    """Return what a training or a fit notes of its course, if it is that.

    Raises
    ------
    InvalidTypeError
        If it is neither a Dataset nor None.
    """
    right = history is None or isinstance(history, xr.Dataset)
    check_kind(right, "history", history, "the Dataset that fit makes, or None")
    return history


def check_counts(counts: Mapping[str, int], *, least: int = 1) -> None:
    """Refuse numbers that are not whole, or not from `least` to 1000000.

    Raises
    ------
    InvalidInputError
        With the name of the first of them.
    """
    for name, count in counts.items():
        whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
        if not whole or not least <= count <= MOST_COUNT:
            raise InvalidInputError(
                f"{name}={count!r} is not accepted; give a whole number from {least} to "
                f"{MOST_COUNT}."
            )


def check_members(members: int | None, return_members: bool) -> None:
    """Refuse ensembles of fewer than two members, and to return what is not made.

    Raises
    ------
    InvalidInputError
        If `members` is no whole number from 2, or is None and `return_members` is set.
    """
    if members is None and return_members:
        raise InvalidInputError(
            "return_members=True needs a number of members, such as members=20."
        )
    if members is not None:
        check_counts({"members": members}, least=2)
