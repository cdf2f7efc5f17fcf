"""Read units as people write them: ``Meters``, ``0.01 m``, ``deg. C``, ``m s-1``, ``mg.m-3``."""

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pint import Quantity, UnitRegistry

EARTH_RADIUS = 6371.0
"""Mean radius of the Earth in km."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan(?=\s)|inf(?=\s)"
_SCALED = re.compile(
    rf"(?:10(?:\*\*|\^|(?=-))([-+]?\d\d?)|({_NUMBER}))(?=[\s*(a-zA-Z%°µ]|$)\s*\*?(.*)"
)
_DECIMAL_COMMA = re.compile(r"([-+]?(?:0+,\d+|\d+,(?:\d\d?|\d{4,})))(?![\d.,])(.*)")  # no 1,000
_CAPITALS = {"M": "m", "MM": "mm", "CM": "cm", "KM": "km"}  # a molar is written mol/L
_POWER_OF_A_NUMBER = re.compile(r"\d[\s)]*(\*\*|\^)")


def convert_units(values: npt.ArrayLike, given: object, target: str) -> np.ndarray:
    """Convert numbers from units to others.

    Parameters
    ----------
    values : array_like
        Numbers in the units `given`.
    given : object
        Units, with a number before them or without; anything but a string is refused.
    target : str
        Units of the result.

    Raises
    ------
    ValueError
        If units cannot be read, or measure something else.
    """
    factor, units = _read(given)
    divisor, wanted = _read(target)
    try:
        one = _registry().Quantity(np.asarray(values, float) * factor, units.units)
        return one.to(wanted.units).magnitude / divisor
    except Exception as error:  # see _registry
        raise ValueError(str(error) or type(error).__name__) from error


def check_readable(units: object) -> None:
    """Require units that can be read.

    Raises
    ------
    ValueError
        If they cannot.
    """
    _read(units)


def _read(text: object) -> tuple[float, "Quantity"]:
    """Return the number before the units, and one of these."""
    if not isinstance(text, str):
        raise ValueError("they are no text")
    number, plain = 1.0, _decimal_point(text.strip().removeprefix("[").removesuffix("]"))
    scaled = _SCALED.fullmatch(plain)
    if scaled is not None:
        power, number, plain = scaled[1], float(scaled[2] or 1), scaled[3].strip()
        number = float(f"1e{power}") if power else number
    plain = _mark_exponents(_spell_out(plain))
    if _POWER_OF_A_NUMBER.search(plain):  # 9**9**9 would never end
        raise ValueError("a power of a number is not read")
    try:
        return number, _registry().Quantity(1.0, plain)
    except AttributeError as error:  # a word is not known
        lower = re.sub("[A-Za-z]{4,}", lambda word: word[0].lower(), plain)
        if lower == plain:
            raise ValueError(str(error)) from error
        return number, _read(lower)[1]
    except Exception as error:  # see _registry
        raise ValueError("they are no product of powers of units") from error


def _decimal_point(text: str) -> str:
    """Write ``0,01 m`` as ``0.01 m``; the comma of ``1,000 m`` may be either."""
    number = _DECIMAL_COMMA.fullmatch(text)
    if number is not None:
        return number[1].replace(",", ".") + number[2]
    if "," in text:
        raise ValueError("they have a comma; write a decimal point, as in '0.01 m'")
    return text


def _mark_exponents(units: str) -> str:
    """Write the CF units ``m s-1`` as ``m s**-1``, but leave the number ``1e3`` alone."""
    return re.sub(r"(?<=[A-Za-z])(?<!\d[eE])(?=-?\d)", "**", units)


def _spell_out(units: str) -> str:
    """Write units of oceanography that pint does not know: whole strings, and dots of products."""
    units = re.sub(r"(?i)^psu$", "dimensionless", _CAPITALS.get(units, units))
    units = re.sub(r"(?i)^(degrees?|deg)\.?[ _]?k(elvin)?$", "kelvin", units)
    units = re.sub(
        r"(?i)^((degrees?|deg)\.?[ _]?c|((degrees?|deg)\.?[ _]?)?cel[sc]ius)$", "degC", units
    )
    return re.sub(r"(?<=[A-Za-z\d])\.(?=[A-Za-z])", " ", re.sub(r"(?<=[A-Za-z])\.$", "", units))


@cache
def _registry() -> "UnitRegistry":
    """Return what reads units; pint is slow to import, and brings dask along.

    It refuses bad units with whatever its parser meets: besides its own errors AssertionError
    (``m^``, in some versions), TokenError (``m(``), TypeError or ZeroDivisionError (``m/0``). So
    every exception is caught where units are read, and nothing else is done there.
    """
    from pint import UnitRegistry

    return UnitRegistry()
