"""What the numbers of a variable mean: one rule for fills, packing, valid ranges and infinities.

NaN alone means missing. A number that stands for a missing one is a fill: one that the variable
declares (``_FillValue``, ``missing_value``, packed or not), or a usual one that lies far from all
other values. Magnitudes that are not plausible are of no value (`xdvarnet.grids.plausible`), nor
is what lies outside the range that the variable declares as valid.

`mask_fills` makes fills NaN, with a warning; `trusted_values` refuses them. Both make NaN what is
outside the valid range, and leave out the attributes that describe how values are stored, which
are not true of a result.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.plausible import Limits, is_quantity, warn_of_units

VALID = ("valid_min", "valid_max", "valid_range")

PACKING = {"_FillValue", "missing_value", "scale_factor", "add_offset"}
"""Attributes that say how numbers are packed."""

STORAGE = PACKING | {*VALID, "_Unsigned", "actual_range"}
"""Attributes that describe how values are stored, and in which range."""

ROUND = (-999.0, 999.0, -9999.0, 9999.0, -99999.0, 99999.0)
"""Usual fills that are whole numbers, in any units."""

SCALED = tuple(
    sign * largest * 10.0**-k
    for largest, digits in ((32767, 6), (32768, 6), (65535, 6), (2147483647, 7))
    for k in range(digits)
    for sign in (-1, 1)
)
"""Fills of 16 and 32 bits divided by powers of ten; no other value is larger in magnitude."""

POWERS = tuple(sign * 10.0**k for k in range(9, 20) for sign in (-1, 1))
"""Fills that are powers of ten."""

USUAL = (*ROUND, -99.99, 99.99, -999.9, 999.9, *POWERS, *SCALED)
"""Fills that files hold undeclared."""

DEFAULTS = (-32767, -32768, -2147483647)
"""Fills of integers, which are decoded with the others where nothing declares them."""

ROUNDING = 1e-6
"""Relative difference of two numbers that is only rounding, in single precision."""

_SEVERAL = 3
"""Different values of a packed variable that are all whole by no accident."""

_MANY = 100
"""Values of which some are whole numbers by accident, if they have few decimals."""

_WHOLE = 1e-3
"""Difference of a number from a whole one that is only rounding."""


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
        Condition that all other values fulfil, on the variable ``{0}``.
    """

    reason: str
    where: np.ndarray
    others: str


@dataclass(frozen=True)
class Rule:
    """What a variable says about its numbers, and what is plausible.

    Attributes
    ----------
    limits : Limits
        Which numbers are plausible.
    declared : tuple of float
        Fills that the variable declares.
    suspected : tuple of float
        Usual fills, which count where they lie far from all other values.
    valid : tuple of float
        The least and the largest valid value.
    packing : tuple of float
        ``scale_factor`` and ``add_offset`` of values that are packed by their attributes, else 1
        and 0.
    """

    limits: Limits
    declared: tuple[float, ...]
    suspected: tuple[float, ...]
    valid: tuple[float, float]
    packing: tuple[float, float]

    @classmethod
    def of(cls, array: xr.DataArray) -> "Rule":
        """Read the attributes and the encoding of a variable."""
        said = {**array.encoding, **array.attrs}
        scale, offset = _number(said, "scale_factor", 1), _number(said, "add_offset", 0)
        stored = _numbers(said, "_FillValue") + _numbers(said, "missing_value")
        declared, packed = stored, []
        if (scale, offset) != (1, 0):
            declared = [scale * fill + offset for fill in stored]
            packed = stored or [scale * fill + offset for fill in DEFAULTS]
        label = array.dtype.kind in "iu" and not is_quantity(array)
        return cls(
            Limits.of(array),
            tuple(dict.fromkeys(declared)),
            () if label else (*USUAL, *packed),
            _valid_range(said, scale, offset),
            (_number(array.attrs, "scale_factor", 1), _number(array.attrs, "add_offset", 0)),
        )

    def find(self, values: np.ndarray) -> list[Finding]:
        """Find infinities, fills and magnitudes that are not plausible."""
        if values.dtype.kind in "iu":
            values = values.astype(float)  # the smallest integer has no magnitude
        low, high = _extremes(values)
        smallest, largest = self.limits.range_of(values)
        least, most = smallest - _rounding(smallest), largest + _rounding(largest)
        known = [fill for fill in self.declared if _between(fill, low, high)]
        if not known and not self._suspects(low, high) and least <= low and high <= most:
            return []
        far = [fill for fill in self.suspected if not least <= fill <= most]
        known += [fill for fill in far if _between(fill, low, high)]
        outside = (values < least) | (values > most)
        rest = values[~np.logical_or.reduce([outside, *(_equal(values, fill) for fill in known)])]
        low, high = _extremes(rest)
        suspected: list[float] = []
        while new := [fill for fill in self._suspects(low, high) if fill not in suspected]:
            suspected += new  # a fill far from all others is an extreme
            rest = rest[~np.logical_or.reduce([_equal(rest, fill) for fill in new])]
            low, high = _extremes(rest)
        gap = (high - low) / 2 if low <= high else 0.0
        fills = known + [
            fill
            for fill in suspected
            if not low - gap <= fill <= high + gap
            and (fill not in SCALED or abs(fill) >= max(-low, high))
        ]
        plausible, seen = _inside(smallest, largest), np.isinf(values)
        found = [Finding("infinite value(s)", seen, plausible)]
        for fill in dict.fromkeys(fills):
            same = _equal(values, fill)
            where, seen = same & ~seen, seen | same
            exact = float(values[where][0]) if where.any() else fill  # as rounded by the dtype
            found.append(Finding(f"fill value(s) {fill:.9g}", where, f"{{0}} != {exact!r}"))
        beyond = outside & ~seen
        such = f"{values[beyond][0]:g}" if beyond.any() else ""
        reason = f"value(s) outside {smallest:.9g} to {largest:.9g}, such as {such}"
        found.append(Finding(reason, beyond, plausible))
        return [finding for finding in found if finding.where.any()]

    def find_invalid(self, values: np.ndarray) -> list[Finding]:
        """Find what is outside the valid range."""
        low, high = self.valid
        if (low, high) == (-np.inf, np.inf):
            return []
        outside = (values < low) | (values > high)
        reason = f"value(s) outside the valid range {low:g} to {high:g} of its attributes"
        return [Finding(reason, outside, _inside(low, high))] if outside.any() else []

    def find_hidden(self, values: np.ndarray) -> list[float]:
        """Find usual fills among values like them, which alone are whole: they may be fills."""
        low, high = _extremes(values)
        among = [fill for fill in ROUND if low <= fill <= high]
        if not among or values.dtype.kind != "f" or values.size < _MANY:
            return []
        whole = np.unique(values[(values == np.round(values)) & (values != 0)])
        return whole.tolist() if whole.size and np.isin(whole, among).all() else []

    def is_packed(self, values: np.ndarray) -> bool:
        """Whether values that should be decoded are whole numbers still."""
        scale, offset = self.packing
        if scale == 0 or self.packing == (1, 0):
            return False
        known = values[np.isfinite(values)]
        if not (known == np.round(known)).all() or np.unique(known).size < _SEVERAL:
            return False
        stored = (known - offset) / scale  # of a large scale, decoded numbers may be whole
        return abs(scale) < 1 or not np.allclose(stored, np.round(stored), atol=_WHOLE)

    def _suspects(self, *extremes: float) -> list[float]:
        """Return the usual fills that equal one of the extremes."""
        return [
            fill
            for fill in self.suspected
            if any(abs(fill - end) <= ROUNDING * abs(fill) for end in extremes)
        ]


def trusted_values(array: xr.DataArray) -> xr.DataArray:
    """Return a variable whose numbers are values, or NaN; others are refused.

    Parameters
    ----------
    array : xarray.DataArray
        A variable as a user gives it. One in dask chunks stays so, and is checked when it is
        computed. Integers are returned as they are if they are values.

    Returns
    -------
    xarray.DataArray
        NaN outside the valid range, as `mask_fills` reads it, and without the attributes and the
        encoding of `STORAGE`.

    Raises
    ------
    InvalidInputError
        If it holds packed integers, fills, infinities or values that are not plausible, or integers
        outside the valid range; with their number, the place of the first, and what to do.

    Warns
    -----
    XdvarnetWarning
        Of values outside the valid range, with their number and the place of the first; of usual
        fills among values like them; and if its values in memory are not usual in its units
        (`warn_of_units`).
    """
    check_decoded(array)
    trusted = _apply(partial(_trust, refused=True, done=[]), array)
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
    masked = _apply(partial(_trust, refused=False, done=done), array)
    warn_of_units(masked)
    return masked, ["fill values, if any, -> NaN"] if array.chunks is not None else done


def check_decoded(array: xr.DataArray) -> None:
    """Refuse packed integers, whose numbers are not those of the quantity.

    Raises
    ------
    InvalidInputError
        With how to decode them.
    """
    packed = {"scale_factor", "add_offset", "_Unsigned"} & set(array.attrs)
    if array.dtype.kind in "iu" and packed:
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

    if array.dtype.kind not in "fiu":
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


def _trust(
    values: np.ndarray,
    rule: Rule,
    name: str,
    place: Callable[[np.ndarray], str],
    *,
    refused: bool,
    done: list[str],
) -> np.ndarray:
    """Refuse what is no value, or make it NaN; and make NaN what is not valid."""
    if rule.is_packed(values):
        raise InvalidInputError(_how_to_decode(name, "whole numbers"))
    for find, refuse in ((rule.find, refused), (rule.find_invalid, False)):
        for finding in find(values):
            what = f"{int(finding.where.sum())} {finding.reason}"
            message = f"variable {name!r} has {what}, the first at {place(finding.where)}"
            if refuse or values.dtype.kind != "f":  # integers have no NaN
                condition = finding.others.format(f"dataset[{name!r}]")
                raise InvalidInputError(
                    f"{message}; what is missing is NaN. dataset.dvarnet.harmonise() makes them "
                    f"NaN in a product; or mask them: dataset.assign({{{name!r}: "
                    f"dataset[{name!r}].where({condition})}})."
                )
            values = np.where(finding.where, np.nan, values).astype(values.dtype)
            warn(f"{message}; taken as missing (NaN).")
            done.append(f"{name}: {what} -> NaN")
    for fill in rule.find_hidden(values):
        where = values == fill
        warn(
            f"variable {name!r} has {int(where.sum())} value(s) {fill:g}, the first at "
            f"{place(where)}, which may be fills: no other values are whole numbers. If so, mask "
            f"them: dataset.assign({{{name!r}: dataset[{name!r}].where(dataset[{name!r}] != "
            f"{fill!r})}})."
        )
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


def _inside(low: float, high: float) -> str:
    """Write the condition that a variable ``{0}`` is in a range."""
    above = [f"({{0}} >= {low!r})"] if np.isfinite(low) else []
    return " & ".join(above + ([f"({{0}} <= {high!r})"] if np.isfinite(high) else []))


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
