"""Read the flags of products: which points are good, and which cells are sea."""

import re
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from xdvarnet.errors import warn

_DOCUMENTED = {"water": 1, "land": 2, "lake": 4, "sea_ice": 8, "river": 16}
"""Bits of the mask of GHRSST (GHRSST Data Specification 2.0)."""

_QUALITY = {"quality_flag": (0,), "quality_level": (4, 5), "qual_sst": (0, 1)}
"""Values of flags that are good where no meaning says so: of altimetry, of GHRSST (4 acceptable, 5
best quality; Data Specification 2.0) and of the Ocean Biology group (0 best, 1 good)."""

_OF_TEMPERATURE = {"quality_level", "qual_sst"}
_GOOD = {"good", "best", "high", "highest", "excellent", "acceptable", "usable", "useable"}
_BAD = {"no", "not", "non", "bad", "low", "lowest", "poor", "worst"}
_LAND = {"land", "inland", "continental", "lake", "lakes", "river", "rivers"}
_WATER = {"water", "sea", "ocean"}

STRAY = 0.01
"""Largest share of the cells of land that have a value by mistake, over that of the sea."""

_BINARY = {
    "sea_binary_mask": {"sea": 1, "land": 0},
    "land_binary_mask": {"land": 1, "sea": 0},
}
"""CF standard names of masks of zeros and ones, and what these mean."""


def keep_good(
    array: xr.DataArray, dataset: xr.Dataset, *, temperature: bool = False
) -> tuple[xr.DataArray, list[str]]:
    """Make points NaN whose quality flag is not good.

    The flag is a variable with the standard name ``quality_flag``, or of that name, on dimensions
    of `array`; or, of temperatures, ``quality_level`` (GHRSST) or ``qual_sst``. Good are the values
    whose meaning says so (good, best, acceptable, usable); without such a meaning 0, of
    ``quality_level`` 4 and 5, and of ``qual_sst`` 0 and 1.

    Returns
    -------
    xarray.DataArray, list of str
        With the attributes and the dtype of `array`, and what was done.

    Warns
    -----
    XdvarnetWarning
        If no value is good (not of dask chunks).
    """
    for name, flag in dataset.data_vars.items():
        known = set(_QUALITY) if temperature else set(_QUALITY) - _OF_TEMPERATURE
        is_flag = flag.attrs.get("standard_name") == "quality_flag" or name in known
        if not is_flag or not flag.dims or not set(flag.dims) <= set(array.dims):
            continue
        good = [value for meaning, value in _meanings(flag).items() if _is_good(meaning)]
        good = good or list(_QUALITY.get(str(name), (0,)))
        kept = array.where(flag.isin(good)).transpose(*array.dims)
        wanted = " or ".join(map(str, good))
        if kept.chunks is None and array.notnull().any() and not kept.notnull().any():
            warn(f"no value of {array.name!r} is good: {name!r} is nowhere {wanted}.")
        what = "temperatures" if temperature else "heights"
        return kept, [f"{what} where {name} is not {wanted} -> NaN"]
    return array, []


def find_sea(
    dataset: xr.Dataset, quantities: Sequence[Hashable] = ()
) -> tuple[xr.DataArray | None, list[str]]:
    """Read the mask of the sea from flags of land and water.

    Parameters
    ----------
    dataset : xarray.Dataset
        With a variable whose ``flag_meanings`` name land and water, or whose ``standard_name`` is
        that of a binary mask, or the variable `mask` of a GHRSST file, whose bits are documented;
        or with a mask of zeros and ones that says nothing of itself.
    quantities : sequence of hashable
        Variables that have values on the sea alone. They tell what the zeros and ones of a bare
        mask mean, if one of both is where they have none, but for strays; dask chunks are computed
        for it. A single map that has values just where the mask is one does not tell it from a mask
        of clouds.

    Returns
    -------
    xarray.DataArray or None, list of str
        True on the sea, ice included, and False on land, lakes and rivers and where the flag is
        missing; from the first map, since land does not move. None where there are no flags, or all
        are missing; and what was done.
    """
    for name, flag in dataset.data_vars.items():
        if "quality" in f"{name} {flag.attrs.get('standard_name')}".lower():
            continue
        meanings = _meanings(flag)
        if not meanings and name == "mask" and "analysed_sst" in dataset:
            meanings, flag = _DOCUMENTED, flag.assign_attrs(flag_masks="1 2 4 8 16")
        if not meanings and "mask" in str(name).lower():
            meanings = _meanings_by_values(flag, [dataset[each] for each in quantities])
        here = set(flag.dims) - {"time"} == {*dataset["lat"].dims, *dataset["lon"].dims}
        if not here or not any(map(_is_land, meanings)) or not any(map(_is_open, meanings)):
            continue
        first = flag.isel(time=0, drop=True) if "time" in flag.dims else flag
        if not bool(first.notnull().any()):
            return None, [f"{name} has no values and gives no mask of the sea"]
        sea = _is_sea(first, meanings)
        attributes = {"standard_name": "sea_binary_mask", "long_name": f"sea, from {name}"}
        return sea.drop_attrs(deep=False).assign_attrs(attributes), [f"sea = {name}"]
    return None, []


def _is_sea(flag: xr.DataArray, meanings: dict[str, int]) -> xr.DataArray:
    sea = [value for word, value in meanings.items() if _is_open(word) or _is_ice(word)]
    if "flag_masks" not in flag.attrs or "=" in str(flag.attrs.get("flag_meanings")):
        return flag.isin(sea)
    other = set(meanings.values()) - set(sea)
    bits = flag.fillna(0).astype(int)
    return ((bits & sum(sea)) != 0) & ((bits & sum(other)) == 0)


def _words(meaning: str) -> set[str]:
    return set(re.findall("[a-z]+", meaning.lower()))


def _is_good(meaning: str) -> bool:
    return bool(_words(meaning) & _GOOD) and not _words(meaning) & _BAD


def _is_land(meaning: str) -> bool:
    return bool(_words(meaning) & _LAND)


def _is_ice(meaning: str) -> bool:
    return "ice" in _words(meaning) and not _is_land(meaning)


def _is_open(meaning: str) -> bool:
    return bool(_words(meaning) & _WATER) and not _is_ice(meaning) and not _is_land(meaning)


def _meanings_by_values(flag: xr.DataArray, quantities: list[xr.DataArray]) -> dict[str, int]:
    """Return what zeros and ones mean: land is where quantities hardly ever have a value."""
    if not np.isin(flag.values, (0, 1)).all():
        return {}
    for array in quantities:
        if not set(flag.dims) <= set(array.dims):
            continue
        often = array.notnull().sum(set(array.dims) - set(flag.dims)).transpose(*flag.dims).values
        one, zero = often[flag.values == 1] > 0, often[flag.values == 0] > 0
        low, high = sorted([one.mean(), zero.mean()]) if one.size and zero.size else (1.0, 1.0)
        if low < STRAY * high and (array.size > often.size or high < 1):
            sea = int(one.mean() > zero.mean())
            return {"sea": sea, "land": 1 - sea}
    return {}


def _meanings(flag: xr.DataArray) -> dict[str, int]:
    """Return the value or the bit of each meaning; MUR writes ``1=open-sea, 2=land, ...``."""
    if str(flag.attrs.get("standard_name")) in _BINARY:
        return _BINARY[str(flag.attrs["standard_name"])]
    words = str(flag.attrs.get("flag_meanings", ""))
    if "=" in words:
        return {word.strip(): int(n) for n, word in re.findall(r"(\d+)=([^,;]+)", words)}
    values = _numbers(flag.attrs.get("flag_masks", flag.attrs.get("flag_values", ())))
    return dict(zip(re.split(r"[\s,]+", words.strip()), values, strict=False))


def _numbers(values: npt.ArrayLike) -> list[int]:
    """Read flag values, which some files give as text such as ``1b, 2b, 4b``."""
    if isinstance(values, str):
        return [int(number) for number in re.findall(r"-?\d+", values)]
    return [int(number) for number in np.atleast_1d(values)]
