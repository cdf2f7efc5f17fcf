"""Which numbers are plausible: those of the sea's heights and temperatures in their units."""

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import units_factor
from xdvarnet.grids.harmonise.roles import ROLES, standard_name_of
from xdvarnet.grids.units import convert_units

HIGHEST = 200.0
"""Largest magnitude of a height of the sea in m; above the ellipsoid it is at most 110 m."""

HOTTEST = 1000.0
"""Larger magnitudes are no temperature of the sea in any unit."""

LARGEST = 1e19
"""Largest magnitude of any other variable; those of fills such as 1e20 and 9.97e36 are larger."""

USUAL_HEIGHT = 3.0
"""Largest usual root mean square of heights in m, tides included, but not above the ellipsoid."""

USUAL_TEMPERATURES = -5.0, 45.0
"""Smallest and largest usual median of temperatures in degC."""


def largest_magnitude(array: xr.DataArray) -> float:
    """Return the largest plausible magnitude in the units of the variable."""
    if _is_a(array, "sst"):
        return HOTTEST
    if not _is_a(array, *ROLES) or "units" not in array.attrs:
        return LARGEST
    try:
        return HIGHEST / units_factor(array, "m")
    except InvalidInputError:
        return LARGEST  # what needs the units says so


def warn_of_units(array: xr.DataArray) -> None:
    """Warn of heights and temperatures that as a whole are not those of the sea in their units.

    Nothing is said of dask chunks, of anomalies of temperature, and of heights above the ellipsoid.

    Warns
    -----
    XdvarnetWarning
        If the root mean square of heights is beyond `USUAL_HEIGHT`, or the median of temperatures
        outside `USUAL_TEMPERATURES`.
    """
    warm, units = _is_a(array, "sst"), array.attrs.get("units")
    named = f"{standard_name_of(array)} {array.attrs.get('long_name', '')}".lower()
    other = ("anomaly" in named) if warm else ("ellipsoid" in named)
    if other or not _is_a(array, *ROLES) or array.chunks is not None or array.dtype.kind != "f":
        return
    values = array.values[np.isfinite(array.values)]
    if units is None or not values.size:
        return
    if warm:
        size, (low, high) = float(np.median(values)), USUAL_TEMPERATURES
        found, usual = f"a median of {size:.3g}", f"{low:g} to {high:g} degC"
    else:
        size, low, high = float(np.sqrt(np.mean(np.square(values, dtype=float)))), 0.0, USUAL_HEIGHT
        found, usual = f"a root mean square of {size:.3g}", f"at most {high:g} m"
    try:
        one, converted = convert_units([1.0, size], units, "degC" if warm else "m").tolist()
    except ValueError:
        return  # what needs the units says so
    if warm:
        other_units = "K" if one > 0 else "degC"
    else:
        other_units = "cm" if one >= 1 else "mm"
    if not low <= converted <= high:
        warn(
            f"variable {array.name!r} has {found} {units}, and that of the sea is {usual}: its "
            "attribute 'units' may be wrong. If so, correct it, as in "
            f"dataset[{array.name!r}].attrs['units'] = {other_units!r}."
        )


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
