"""What the numbers of a variable mean: one rule for fills, packing, valid ranges and infinities.

NaN alone means missing. A number that stands for a missing one is a fill: one that the variable
declares (``_FillValue``, ``missing_value``, packed or not), or a usual one that lies far from all
other values. Magnitudes that are not plausible are of no value (`xdvarnet.grids.plausible`).

`mask_fills` makes fills NaN, with a warning; `trusted_values` refuses them. Both leave out the
attributes that describe how values are stored, which are not true of a result.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.plausible import largest_magnitude, warn_of_units

VALID = ("valid_min", "valid_max", "valid_range")

PACKING = {"_FillValue", "missing_value", "scale_factor", "add_offset"}
"""Attributes that say how numbers are packed."""

STORAGE = PACKING | {*VALID, "_Unsigned", "actual_range"}
"""Attributes that describe how values are stored, and in which range."""

USUAL = (
    *(-999.0, -9999.0, 9999.0, -99999.0, 99999.0, 32767.0, -32767.0, -32768.0, 65535.0),
    *(sign * 2147483647 * 10.0**-k for k in range(7) for sign in (-1, 1)),
)
"""Fills that files hold undeclared; that of 32 bits is met divided by powers of ten."""

DEFAULTS = (-32767, -32768, -2147483647)
"""Fills of integers, which are decoded with the others where nothing declares them."""

ROUNDING = 1e-6
"""Relative difference of two numbers that is only rounding, in single precision."""

_SEVERAL = 3
"""Different values of a packed variable that are all whole by no accident."""


@dataclass(frozen=True)
class Finding:
    """Values that mean something else than they say.

    Attributes
    ----------
    reason : str
        What they are, after "has 3".
    where : numpy.ndarray
        True at these values.
    others : str
        Condition that all other values fulfil, on the variable ``{}``.
    """

    reason: str
    where: np.ndarray
    others: str


@dataclass(frozen=True)
class Rule:
    """What a variable says about its numbers, and what is plausible.

    Attributes
    ----------
    limit : float
        Largest plausible magnitude, in the units of the variable.
    declared : tuple of float
        Fills that the variable declares.
    suspected : tuple of float
        Usual fills, which count where they lie far from all other values.
    valid : tuple of float
        The least and the largest valid value.
    scale : float
        ``scale_factor`` of values that are packed by their attributes, else 1.
    """

    limit: float
    declared: tuple[float, ...]
    suspected: tuple[float, ...]
    valid: tuple[float, float]
    scale: float

    @classmethod
    def of(cls, array: xr.DataArray) -> "Rule":
        """Read the attributes and the encoding of a variable."""
        said = {**array.encoding, **array.attrs}
        scale, offset = _number(said, "scale_factor", 1), _number(said, "add_offset", 0)
        stored = _numbers(said, "_FillValue") + _numbers(said, "missing_value")
        declared, suspected = stored, list(USUAL)
        if (scale, offset) != (1, 0):
            declared = [scale * fill + offset for fill in stored]
            suspected += stored or [scale * fill + offset for fill in DEFAULTS]
        return cls(
            largest_magnitude(array),
            tuple(declared),
            tuple(suspected),
            _valid_range(said, scale, offset),
            _number(array.attrs, "scale_factor", 1),
        )

    def find(self, values: np.ndarray) -> list[Finding]:
        """Find infinities, fills and magnitudes that are not plausible."""
        low, high = _extremes(values)
        declared = [fill for fill in self.declared if _between(fill, low, high)]
        suspected = [fill for fill in self.suspected if _between(fill, low, high)]
        if not declared and not suspected and max(-low, high) <= self.limit:
            return []
        large, infinite = np.abs(values) > self.limit, np.isinf(values)
        at = {fill: _equal(values, fill) for fill in (*declared, *suspected)}
        low, high = _extremes(values[~np.logical_or.reduce([large, *at.values()])])
        gap = (high - low) / 2 if low <= high else 0.0
        fills = declared + [f for f in suspected if not low - gap <= f <= high + gap]
        plausible = f"abs({{}}) <= {self.limit:g}"
        found, seen = [Finding("infinite value(s)", infinite, plausible)], infinite
        for fill in dict.fromkeys(fills):
            where, seen = at[fill] & ~seen, seen | at[fill]
            exact = float(values[where][0]) if where.any() else fill  # as rounded by the dtype
            found.append(Finding(f"fill value(s) {fill:.9g}", where, f"{{}} != {exact!r}"))
        beyond = large & ~seen
        such = f"{values[beyond][0]:g}" if beyond.any() else ""
        found.append(Finding(f"value(s) beyond {self.limit:g}, such as {such}", beyond, plausible))
        return [finding for finding in found if finding.where.any()]

    def is_packed(self, values: np.ndarray) -> bool:
        """Whether values that should be decoded are whole numbers still."""
        if not 0 < abs(self.scale) < 1:  # of larger ones, whole numbers remain whole
            return False
        known = values[np.isfinite(values)]
        whole = bool((known == np.round(known)).all())
        return whole and np.unique(known).size >= _SEVERAL


def trusted_values(array: xr.DataArray) -> xr.DataArray:
    """Return a variable whose numbers are values, or NaN; others are refused.

    Parameters
    ----------
    array : xarray.DataArray
        A variable as a user gives it. One in dask chunks stays so, and is checked when it is
        computed. Whole numbers that are not packed are returned as they are.

    Returns
    -------
    xarray.DataArray
        Without the attributes and the encoding of `STORAGE`.

    Raises
    ------
    InvalidInputError
        If it holds packed integers, fills, infinities or values that are not plausible; with their
        number, the place of the first, and what to do.

    Warns
    -----
    XdvarnetWarning
        If its values in memory are not usual in its units (`warn_of_units`).
    """
    check_decoded(array)
    trusted = _apply(_refuse, array)
    warn_of_units(trusted)
    return trusted


def mask_fills(array: xr.DataArray) -> tuple[xr.DataArray, list[str]]:
    """Make NaN what `trusted_values` refuses, and what is outside the valid range.

    The valid range is that of CF (``valid_min``, ``valid_max``, ``valid_range``): whole numbers are
    in the units of packed data, where the variable says how it is packed.

    Parameters
    ----------
    array : xarray.DataArray
        Floating-point values; in dask chunks they stay so.

    Returns
    -------
    xarray.DataArray, list of str
        The variable without the attributes and the encoding of `STORAGE`, and what was done.

    Warns
    -----
    XdvarnetWarning
        With the number of values, and the place of the first; of dask chunks when they are
        computed.

    Raises
    ------
    InvalidInputError
        If these are packed integers made floating-point numbers.
    """
    done: list[str] = []
    masked = _apply(partial(_mask, done=done), array)
    warn_of_units(masked)
    return masked, ["fill values, if any, -> NaN"] if array.chunks is not None else done


def check_decoded(array: xr.DataArray) -> None:
    """Refuse packed integers, whose numbers are not those of the quantity.

    Raises
    ------
    InvalidInputError
        With how to decode them.
    """
    if array.dtype.kind in "iu" and {"scale_factor", "add_offset"} & set(array.attrs):
        raise InvalidInputError(_how_to_decode(str(array.name), str(array.dtype)))


def check_errors(errors: xr.DataArray, observed: xr.DataArray) -> None:
    """Refuse standard deviations of errors that are not positive and finite at an observation.

    Parameters
    ----------
    errors, observed : xarray.DataArray
        Standard deviations, and where there is an observation, with the same dimensions in order.

    Raises
    ------
    InvalidInputError
        With their number and the place of the first.
    """
    values = errors.values
    wrong = observed.values & ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        axes = [(str(dim), errors.indexes.get(dim)) for dim in errors.dims]
        place = _place(wrong, axes, [0] * wrong.ndim)
        raise InvalidInputError(
            f"{str(errors.name)!r} has {int(wrong.sum())} value(s) at observations that are not "
            f"positive and finite, the first, {values[wrong][0]:g}, at {place}; it is the standard "
            "deviation of their errors. Correct it, or leave these observations out, such as "
            f"dataset['ssh'].where(dataset[{str(errors.name)!r}] > 0)."
        )


def lasting_attributes(attributes: Mapping[Hashable, object]) -> dict:
    """Return the attributes that describe a quantity, without those of its storage."""
    return {name: value for name, value in attributes.items() if name not in STORAGE}


Kernel = Callable[[np.ndarray, Rule, str, Callable[[np.ndarray], str]], np.ndarray]
"""From values, their rule, the name of the variable and the place of a position to values."""


def _apply(kernel: Kernel, array: xr.DataArray) -> xr.DataArray:
    rule, name = Rule.of(array), str(array.name)
    axes = [(str(dim), array.indexes.get(dim)) for dim in array.dims]

    def block(values: np.ndarray, block_info: dict | None = None) -> np.ndarray:
        start = [0] * values.ndim
        if block_info is not None:
            start = [first for first, _ in block_info[0]["array-location"]]
        return kernel(values, rule, name, partial(_place, axes=axes, start=start))

    if array.dtype.kind != "f":
        data = array.data
    elif array.chunks is None:
        data = block(array.values)
    else:
        data = array.data.map_blocks(
            block, dtype=array.dtype, meta=np.empty((0,) * array.ndim, array.dtype)
        )
    result = array.copy(deep=False, data=data)
    result.attrs = lasting_attributes(array.attrs)
    result.encoding = {
        key: v for key, v in array.encoding.items() if key not in STORAGE | {"dtype"}
    }
    return result


def _refuse(
    values: np.ndarray, rule: Rule, name: str, place: Callable[[np.ndarray], str]
) -> np.ndarray:
    if rule.is_packed(values):
        raise InvalidInputError(_how_to_decode(name, "whole numbers"))
    for finding in rule.find(values):
        condition = finding.others.format(f"dataset[{name!r}]")
        raise InvalidInputError(
            f"variable {name!r} has {int(finding.where.sum())} {finding.reason}, the first at "
            f"{place(finding.where)}; what is missing is NaN. dataset.dvarnet.harmonise() makes "
            f"them NaN in a product; or mask them: dataset.assign({{{name!r}: "
            f"dataset[{name!r}].where({condition})}})."
        )
    return values


def _mask(
    values: np.ndarray,
    rule: Rule,
    name: str,
    place: Callable[[np.ndarray], str],
    *,
    done: list[str],
) -> np.ndarray:
    if rule.is_packed(values):
        raise InvalidInputError(_how_to_decode(name, "whole numbers"))
    found = rule.find(values)
    low, high = rule.valid
    outside = (values < low) | (values > high)
    for finding in found:
        outside &= ~finding.where
    if outside.any():
        found.append(Finding(f"value(s) outside the valid range {low:g} to {high:g}", outside, ""))
    for finding in found:
        count = int(finding.where.sum())
        values = np.where(finding.where, np.nan, values).astype(values.dtype)
        warn(
            f"variable {name!r} has {count} {finding.reason}, the first at "
            f"{place(finding.where)}; taken as missing (NaN)."
        )
        done.append(f"{name}: {count} {finding.reason} -> NaN")
    return values


def _how_to_decode(name: str, what: str) -> str:
    return (
        f"variable {name!r} holds packed values ({what}): its attributes have a scale_factor or an "
        "add_offset. Decode them: dataset = xarray.decode_cf(dataset); or open the file without "
        "mask_and_scale=False. If they are decoded, delete these attributes."
    )


def _place(where: np.ndarray, axes: list, start: list[int]) -> str:
    """Describe the first position of a block that is True."""
    first = np.unravel_index(int(np.argmax(where)), where.shape)
    places = [int(i) + begin for i, begin in zip(first, start, strict=True)]
    labels = [
        f"{dim}[{place}]" if index is None else f"{dim}={index[place]}"
        for (dim, index), place in zip(axes, places, strict=True)
    ]
    return ", ".join(labels) or "its only place"


def _extremes(values: np.ndarray) -> tuple[float, float]:
    """Smallest and largest number; infinite, the wrong way round, where there is none."""
    if not values.size or np.isnan(low := np.fmin.reduce(values, axis=None)):
        return np.inf, -np.inf
    return float(low), float(np.fmax.reduce(values, axis=None))


def _between(fill: float, low: float, high: float) -> bool:
    return low - ROUNDING * abs(low) <= fill <= high + ROUNDING * abs(high)


def _equal(values: np.ndarray, fill: float) -> np.ndarray:
    return np.abs(values - fill) <= ROUNDING * abs(fill)


def _numbers(attributes: Mapping, name: str) -> list[float]:
    values = np.atleast_1d(np.asarray(attributes.get(name, ())))
    return [float(value) for value in values if values.dtype.kind in "iuf" and np.isfinite(value)]


def _number(attributes: Mapping, name: str, usual: float) -> float:
    return next(iter(_numbers(attributes, name)), float(usual))


def _valid_range(said: Mapping, scale: float, offset: float) -> tuple[float, float]:
    """Return the least and the largest valid value, decoded, with a margin of rounding."""
    low, high, margin = -np.inf, np.inf, 0.0
    pair = _numbers(said, "valid_range")
    if len(pair) == 2:
        low, high = pair
    low, high = _number(said, "valid_min", low), _number(said, "valid_max", high)
    given = [np.asarray(said[name]).dtype.kind for name in VALID if name in said]
    if (scale, offset) != (1, 0) and given and set(given) <= set("iu"):
        low, high = sorted((scale * low + offset, scale * high + offset))
        margin = abs(scale) / 2
    return low - margin - _rounding(low), high + margin + _rounding(high)


def _rounding(bound: float) -> float:
    return ROUNDING * abs(bound) if np.isfinite(bound) else 0.0
