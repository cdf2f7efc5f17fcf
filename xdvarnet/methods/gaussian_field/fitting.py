"""The Gaussian field of greatest likelihood."""

import logging
import warnings
from typing import Any, Protocol, Self

import numpy as np
import xarray as xr
from scipy import optimize

from xdvarnet._progress import count_up
from xdvarnet.errors import InvalidInputError, XdvarnetWarning, warn
from xdvarnet.grids.checks import check_counts, check_dataset, check_variable
from xdvarnet.grids.coords import find_axes
from xdvarnet.grids.values import trusted_values
from xdvarnet.methods.optimal_interpolation.tuning import (
    TYPICAL_NOISE,
    TYPICAL_TIME,
    typical_length,
)

logger = logging.getLogger("xdvarnet")

FIRST_STEP = 1.5
"""Factor on each parameter in the first simplex of `SPDEField.fit`."""

FITTED = ("correlation_length", "correlation_time", "std", "noise")
"""Parameters that `SPDEField.fit` seeks, the noise only where it is one for all."""


class Likely(Protocol):
    """A field that knows how likely observations are, such as `xdvarnet.SPDEField`."""

    @property
    def units(self) -> str:
        """Units of the field."""
        ...

    def replace(self, **changes: object) -> Self:
        """Return another field, with some arguments of this one changed."""
        ...

    def known_noise(self) -> str | float:
        """Standard deviation of the noise, or its name, or an error where there is none."""
        ...

    def log_likelihood(self, observations: xr.Dataset, grid: xr.Dataset | None = None) -> float:
        """Logarithm of the density of observations."""
        ...


def fit_field[Field: Likely](
    start_field: Field, observations: xr.Dataset, grid: xr.Dataset | None, trials: int
) -> Field:
    """Search the field of greatest likelihood from another one, as `SPDEField.fit` describes."""
    check_counts({"trials": trials})
    if grid is not None and (time := find_axes(grid, time=False).time) in grid.dims:
        grid = grid.isel({time: 0}, drop=True)  # all days of the tracks count
    names = FITTED[:-1] if isinstance(start_field.known_noise(), str) else FITTED
    maps = [name for name in names if isinstance(vars(start_field)[name], xr.DataArray)]
    if maps:
        raise InvalidInputError(
            f"{', '.join(maps)}: a map is not fitted; start from a field of numbers."
        )

    def field(logarithms: np.ndarray) -> Field:
        return start_field.replace(**dict(zip(names, np.exp(logarithms).tolist(), strict=True)))

    tried: list[dict[str, float]] = []

    def cost(logarithms: np.ndarray) -> float:
        with warnings.catch_warnings():
            # all trials take much the same, and many have short lengths on the way
            ignored = "" if tried else "the correlation length of"
            warnings.filterwarnings("ignore", ignored, XdvarnetWarning)
            likelihood = field(logarithms).log_likelihood(observations, grid)
        parameters = dict(zip(names, np.exp(logarithms).tolist(), strict=True))
        tried.append({**parameters, "log_likelihood": likelihood})
        count(1)
        return -likelihood

    start = np.log([vars(start_field)[name] for name in names])
    simplex = np.vstack([start, start + np.log(FIRST_STEP) * np.eye(len(names))])
    with count_up("trial", trials) as count:
        found = optimize.minimize(
            cost,
            start,
            method="Nelder-Mead",
            options={"maxfev": trials, "initial_simplex": simplex, "xatol": 0.01, "fatol": 0.01},
        )
    if not found.success:
        warn(
            f"the search was stopped after {found.nfev} trials, and the best field may be another "
            "one; give more trials, or start from what was found: fit(..., start=field)."
        )
    logger.info("log-likelihood %.6g after %d trials", -found.fun, found.nfev)
    return field(found.x).replace(history=_label(tried, start_field.units))


def _label(trials: list[dict[str, float]], units: str) -> xr.Dataset:
    """Return the trials, in their order."""
    of = {"correlation_length": "km", "correlation_time": "days", "log_likelihood": "1"}
    return xr.Dataset(
        {
            name: ("trial", [trial[name] for trial in trials], {"units": of.get(name, units)})
            for name in trials[0]
        }
    )


def usual_parameters(observations: xr.Dataset, variable: str) -> dict[str, Any]:
    """Return parameters to start from, by the latitude and the spread of observations."""
    check_dataset(observations)
    values = trusted_values(check_variable(observations, variable, argument="variable"))
    latitude = observations[find_axes(observations, time=False).latitude]
    std = float(values.std())
    if not std > 0:
        raise InvalidInputError(
            f"{variable!r} has no two different values: there is nothing to learn from."
        )
    return {
        "correlation_length": typical_length(float(latitude.mean())),
        "correlation_time": TYPICAL_TIME,
        "std": std,
        "noise": TYPICAL_NOISE * std,
        "units": values.attrs.get("units", "m"),
    }
