"""The Gaussian field of greatest likelihood."""

import logging
import warnings
from typing import Protocol, Self

import numpy as np
import xarray as xr
from scipy import optimize

from xdvarnet.errors import InvalidInputError, XdvarnetWarning
from xdvarnet.grids.checks import check_counts

logger = logging.getLogger("xdvarnet")

FIRST_STEP = 1.5
"""Factor on each parameter in the first simplex of `SPDEField.fit`."""

FITTED = ("correlation_length", "correlation_time", "std", "noise")
"""Parameters that `SPDEField.fit` seeks."""


class Likely(Protocol):
    """A field that knows how likely observations are, such as `xdvarnet.SPDEField`."""

    def replace(self, **changes: object) -> Self:
        """Return another field, with some arguments of this one changed."""
        ...

    def known_noise(self) -> float:
        """Standard deviation of the noise, or an error where there is none."""
        ...

    def log_likelihood(self, observations: xr.Dataset, grid: xr.Dataset | None = None) -> float:
        """Logarithm of the density of observations."""
        ...


def fit_field[Field: Likely](
    start_field: Field, observations: xr.Dataset, grid: xr.Dataset | None, trials: int
) -> Field:
    """Search the field of greatest likelihood from another one, as `SPDEField.fit` describes."""
    check_counts({"trials": trials})
    start_field.known_noise()
    maps = [name for name in FITTED if isinstance(vars(start_field)[name], xr.DataArray)]
    if maps:
        raise InvalidInputError(
            f"{', '.join(maps)}: a map is not fitted; start from a field of numbers."
        )

    def field(logarithms: np.ndarray) -> Field:
        return start_field.replace(**dict(zip(FITTED, np.exp(logarithms).tolist(), strict=True)))

    start = np.log([vars(start_field)[name] for name in FITTED])
    simplex = np.vstack([start, start + np.log(FIRST_STEP) * np.eye(len(FITTED))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XdvarnetWarning)  # of short lengths on the way
        found = optimize.minimize(
            lambda logarithms: -field(logarithms).log_likelihood(observations, grid),
            start,
            method="Nelder-Mead",
            options={
                "maxfev": trials,
                "initial_simplex": simplex,
                "xatol": 0.01,
                "fatol": 0.01,
            },
        )
    logger.info("log-likelihood %.6g after %d trials", -found.fun, found.nfev)
    return field(found.x)
