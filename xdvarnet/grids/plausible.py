"""Which numbers are plausible: those of the sea's heights and temperatures in their units."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import units_factor
from xdvarnet.grids.harmonise.roles import ROLES, standard_name_of
from xdvarnet.grids.names import COORDINATES
from xdvarnet.grids.units import convert_units

HIGHEST = 200.0
"""Largest magnitude of a height of the sea in m; above the ellipsoid it is at most 110 m."""

TEMPERATURES = -50.0, 60.0
"""Smallest and largest temperature of the surface in degC, with ice and skins, and of anomalies."""

HOTTEST = 1000.0
"""Larger magnitudes are no temperature of the sea in any unit."""

LARGEST = 1e19
"""Largest magnitude of any other variable; those of fills such as 1e20 and 9.97e36 are larger."""

USUAL_HEIGHTS = 0.004, 3.0
"""Smallest and largest usual root mean square of heights in m, tides included, but not above the
ellipsoid."""

USUAL_TEMPERATURES = -5.0, 45.0
"""Smallest and largest usual median of temperatures in degC."""


@dataclass(frozen=True)
class Limits:
    """Which numbers of a variable are plausible, in its units.

    Attributes
    ----------
    always : float
        Largest magnitude.
    low, high : float
        Smallest and largest number, if the units are right.
    usual : tuple of float
        Between which the median then lies.
    """

    always: float
    low: float = -np.inf
    high: float = np.inf
    usual: tuple[float, float] = (-np.inf, np.inf)

    @classmethod
    def of(cls, array: xr.DataArray) -> "Limits":
        """Return those of heights, temperatures and latitudes, and of any other variable."""
        try:
            if _is_a(array, "sst"):
                return cls(HOTTEST, *_temperatures(array))
            if is_quantity(array) and "units" in array.attrs:
                return cls(HIGHEST / units_factor(array, "m"))
        except (InvalidInputError, ValueError):
            pass  # what needs the units says so
        return cls(90.0 if _is_latitude(array) else LARGEST)

    def range_of(self, values: np.ndarray) -> tuple[float, float]:
        """Return the smallest and the largest plausible one of these numbers."""
        low, high = max(self.low, -self.always), min(self.high, self.always)
        if (low, high) != (-self.always, self.always) and ((values < low) | (values > high)).any():
            median = np.median(values[np.isfinite(values)])
            if not self.usual[0] <= median <= self.usual[1]:  # the units are wrong, not a value
                return -self.always, self.always
        return low, high


def is_quantity(array: xr.DataArray) -> bool:
    """Whether a variable is a height or a temperature of the sea, by its names."""
    return _is_a(array, *ROLES)


def warn_of_units(array: xr.DataArray) -> None:
    """Warn of heights and temperatures that as a whole are not those of the sea in their units.

    Nothing is said of dask chunks, of anomalies of temperature, and of heights above the ellipsoid.

    Warns
    -----
    XdvarnetWarning
        If the root mean square of heights is outside `USUAL_HEIGHTS`, or the median of temperatures
        outside `USUAL_TEMPERATURES`.
    """
    warm, units = _is_a(array, "sst"), array.attrs.get("units")
    other = _is_named(array, "anomaly" if warm else "ellipsoid") or _is_a(array, "lwe")
    if other or not is_quantity(array) or array.chunks is not None or array.dtype.kind != "f":
        return
    values = array.values[np.isfinite(array.values)]
    if units is None or not values.any():
        return
    if warm:
        size, (low, high), candidates = np.median(values), USUAL_TEMPERATURES, ["degC", "K"]
    else:
        size = np.sqrt(np.mean(np.square(values, dtype=float)))
        (low, high), candidates = USUAL_HEIGHTS, ["m", "cm", "mm"]
    found = "a median" if warm else "a root mean square"
    try:
        if low <= convert_units([size], units, candidates[0]).item() <= high:
            return
    except ValueError:
        return  # what needs the units says so
    message = (
        f"variable {array.name!r} has {found} of {size:.3g} {units}, and that of the sea is "
        f"{low:g} to {high:g} {candidates[0]}: its attribute 'units' may be wrong."
    )
    for other_units in candidates:
        if low <= convert_units([size], other_units, candidates[0]).item() <= high:
            message += (
                " If so, correct it, as in "
                f"dataset[{array.name!r}].attrs['units'] = {other_units!r}."
            )
            break
    warn(message)


def warn_of_noise(noise: float, values: np.ndarray, name: str, units: str) -> None:
    """Warn of a noise that is larger than the root mean square of what is observed.

    Parameters
    ----------
    noise : float
        Standard deviation of the error of an observation.
    values : numpy.ndarray
        Observations, or their anomalies from a background; NaN where there are none.
    name, units : str
        Of the variable, and of both.

    Warns
    -----
    XdvarnetWarning
        With both numbers.
    """
    known = values[np.isfinite(values)]
    size = float(np.sqrt(np.mean(np.square(known, dtype=float)))) if known.size else np.inf
    if noise > size:
        warn(
            f"the noise of {name!r}, {noise:.3g} {units}, is larger than the root mean square of "
            f"what it is the noise of, {size:.3g} {units}: observations hardly count. A number is "
            f"in {units}; of other units write them, such as noise='3 cm' for heights. If the "
            "noise is right, give the standard deviation of the field too: std=..."
        )


def _is_a(array: xr.DataArray, *roles: str) -> bool:
    """Whether a variable is one of these quantities, by its names."""
    name, standard_name = str(array.name).lower(), standard_name_of(array)
    return any(name in ROLES[r].names or standard_name in ROLES[r].standard_names for r in roles)


def _is_named(array: xr.DataArray, word: str) -> bool:
    return word in f"{standard_name_of(array)} {array.attrs.get('long_name', '')}".lower()


def _is_latitude(array: xr.DataArray) -> bool:
    names = COORDINATES["latitude"].product
    return standard_name_of(array) == "latitude" or str(array.name).lower() in names


def _temperatures(array: xr.DataArray) -> tuple[float, float, tuple[float, float]]:
    """Return the plausible range and that of the median, in the units of the variable."""
    ends = [0.0, *TEMPERATURES, *USUAL_TEMPERATURES]
    zero, low, high, *usual = convert_units(ends, "degC", array.attrs.get("units", "degC")).tolist()
    if _is_named(array, "anomaly"):
        return low - zero, high - zero, (low - zero, high - zero)
    return low, high, (usual[0], usual[1])
