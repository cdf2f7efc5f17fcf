"""Which variables tell things apart and have no mean: labels of tracks, and flags."""

import re

import xarray as xr

_LABEL = re.compile(
    r"((absolute|relative|half)_?)?(mission|platform|satellite|cycle|track|pass|orbit)"
    r"(_?(number|num|nb|id|index))?"
)
_FLAG = re.compile(r"(.*_)?(flags?|qc)|quality_level|qual_\w+|flags?_.*")
_STANDARD_FLAG = re.compile(r"(.* )?(status|quality)_flag|.*_quality_flag")


def is_category(array: xr.DataArray) -> bool:
    """Whether the values of a variable are labels or flags, whatever their dtype.

    Labels are missions, cycles, passes and orbits, by their names; flags are variables with the CF
    attributes ``flag_meanings``, ``flag_values`` or ``flag_masks``, a standard name of flags, or
    a usual name of them, such as ``quality_level``.
    """
    name, standard_name = str(array.name).lower(), str(array.attrs.get("standard_name", ""))
    return bool(
        {"flag_meanings", "flag_values", "flag_masks"} & set(array.attrs)
        or _LABEL.fullmatch(name)
        or _FLAG.fullmatch(name)
        or _STANDARD_FLAG.fullmatch(standard_name)
    )
