"""What times mean: calendars that do not mix, holes between maps, and dates that there are."""

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import EPOCH

LONGEST_STEP = 2.0
"""Longest step between two maps that are joined, in usual steps; a longer one is a hole."""

SAME_TIME = 1e-6
"""Difference of two times, in days, that is only rounding."""

FIRST_DATE, LAST_DATE = np.datetime64("1677-09-22"), np.datetime64("2262-04-10")
"""Whole days that nanoseconds can count in 64 bits."""

LARGEST_GAP = 366
"""Days without a point between two points, above which some of the dates are wrong."""


def check_calendars(ours: xr.DataArray, theirs: xr.DataArray) -> None:
    """Refuse times of two calendars, whose days are counted apart.

    Raises
    ------
    InvalidInputError
        If the calendars differ.
    """
    names = [array.dt.calendar for array in (ours, theirs)]
    usual = [name.removeprefix("proleptic_").replace("gregorian", "standard") for name in names]
    if usual[0] != usual[1]:
        raise InvalidInputError(
            f"times {theirs.name!r} have the calendar {names[1]!r}, and {names[0]!r} is wanted: "
            "equal dates of two calendars are other days. Convert one of the two, such as "
            f"dataset.convert_calendar({names[0]!r})."
        )


def usual_step(days: np.ndarray) -> float:
    """Return the median step of increasing `days`, the shorter of the middle two; one day of one.

    Parameters
    ----------
    days : numpy.ndarray
        Shape (nt,).
    """
    steps = np.sort(np.diff(days))
    return float(steps[(steps.size - 1) // 2]) if steps.size else 1.0


def end_steps(days: np.ndarray) -> tuple[float, float]:
    """Return the first and the last step of `days`; that of a hole is the usual one."""
    usual = usual_step(days)
    steps = np.diff(days) if days.size > 1 else np.ones(1)
    first, last = np.where(_is_hole(steps, usual), usual, steps)[[0, -1]].tolist()
    return first, last


def find_holes(times: np.ndarray, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell which times are in a hole between maps, and which of them near enough to a map.

    A step of more than two usual ones is a hole. A map beside it holds for half a usual step, as
    the first and the last map do.

    Parameters
    ----------
    times : numpy.ndarray
        Days since the epoch, shape (points,).
    days : numpy.ndarray
        Increasing days of the maps, shape (nt,).

    Returns
    -------
    inside, held : numpy.ndarray
        Boolean, shape (points,): between two maps that are too far apart, and of these within half
        a usual step of one of them.
    """
    if days.size < 2:
        return np.zeros(times.shape, bool), np.zeros(times.shape, bool)
    usual = usual_step(days)
    before = np.clip(np.searchsorted(days, times, side="right") - 1, 0, days.size - 2)
    within = (times > days[0]) & (times < days[-1])
    inside = _is_hole(np.diff(days), usual)[before] & within
    away = np.minimum(times - days[before], days[before + 1] - times)
    return inside, inside & (away <= usual / 2 + SAME_TIME)


def to_dates(days: np.ndarray) -> np.ndarray:
    """Return days since 1950-01-01 of the standard calendar as ``datetime64[ns]``.

    Raises
    ------
    InvalidInputError
        If a day is before 1677-09-22 or after 2262-04-10: nanoseconds in 64 bits go no further.
    """
    whole = np.floor(days)
    dates = EPOCH + whole.astype("timedelta64[D]")
    beyond = (dates < FIRST_DATE) | (dates > LAST_DATE)
    if beyond.any():
        raise InvalidInputError(
            f"{int(beyond.sum())} date(s) such as {dates[beyond][0]} are outside {FIRST_DATE} to "
            f"{LAST_DATE}, which is as far as nanoseconds count; correct them, or take years "
            "of a model with dates of cftime: dataset.convert_calendar('standard', "
            "use_cftime=True)."
        )
    microseconds = np.round((days - whole) * 86400e6).astype("timedelta64[us]")
    return (dates + microseconds).astype("datetime64[ns]")


def _is_hole(steps: np.ndarray, usual: float) -> np.ndarray:
    return steps > LONGEST_STEP * usual + SAME_TIME
