"""What errors tell of the process that makes them: variance, correlation length and time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_positive
from xdvarnet.grids.coords import unit_vectors
from xdvarnet.grids.units import EARTH_RADIUS
from xdvarnet.spde.scales import LENGTH, TIME

USED_LAGS = 2 / 3
"""Share of the lags that are used; longer ones have few pairs."""

LONGEST = 60
"""Longest lag along a pass, in points."""

SHORTEST = 0.5
"""Shortest correlation time that crossovers are asked for, in days."""


UNITS = {
    "offset": "units of the variable, squared",
    "slope": "shares",
    "length": "km",
    "time": "days",
    "signal_length": "km",
    "signal_time": "days",
    "factor": "shares",
}
"""Units of what a calibration learns, where they are not those of the variable."""


@dataclass(frozen=True)
class ErrorProcess:
    """What a calibration learns of one variable.

    Attributes
    ----------
    offset, slope : float
        Of the variance of the error, ``offset + slope formal_std^2``; `offset` in the units of the
        variable squared.
    length, time : float
        Correlation length (km) and time (days) of the error over its standard deviation.
    signal_std, signal_length, signal_time : float
        Standard deviation, correlation length (km) and time (days) of the anomalies from the
        background.
    noise : float
        Standard deviation of the error of an observation of one cell.
    factor : float
        Size of the error over that of the model's error on simulated signals.

    Raises
    ------
    InvalidInputError
        If one is not finite, or negative; if a length, a time, the size of the signal or the factor
        is zero.
    """

    offset: float
    slope: float
    length: float
    time: float
    signal_std: float
    signal_length: float
    signal_time: float
    noise: float
    factor: float = 1.0

    def __post_init__(self) -> None:
        for name, number in vars(self).items():
            zero = name in ("offset", "slope", "noise")
            check_positive(number, name, UNITS.get(name, "units of the variable"), zero=zero)

    def std(self, formal: np.ndarray) -> np.ndarray:
        """Return the standard deviation of the error from the formal one."""
        return np.sqrt(self.offset + self.slope * np.square(formal)).astype(np.float32)


def fit_variance(
    errors: np.ndarray, formal: np.ndarray, noise: np.ndarray | float = 0.0
) -> tuple[float, float]:
    r"""Fit the variance of errors, ``offset + slope formal^2``, by maximum likelihood.

    .. math:: \sum_i \log(v_i + n_i^2) + e_i^2 / (v_i + n_i^2), \qquad v_i = a + b f_i^2

    Parameters
    ----------
    errors : numpy.ndarray
        Of any shape, finite.
    formal : numpy.ndarray
        What a method gives as their standard deviation, of the same shape.
    noise : numpy.ndarray or float
        Standard deviation of what else is in `errors`, such as the noise of measurements.

    Returns
    -------
    offset, slope : float
        Not negative, in the units of the errors squared, and without units.

    Raises
    ------
    InvalidInputError
        If there is no error, or they are no larger than the noise.
    """
    squares, variances = np.square(errors).ravel(), np.square(formal).ravel()
    added = np.broadcast_to(np.square(noise), errors.shape).ravel()
    size = (squares - added).mean() if squares.size else 0.0
    if not size > 0:
        raise InvalidInputError(
            f"there are {squares.size} errors, with a mean square of "
            f"{squares.mean() if squares.size else 0:.3g} and a noise of mean square "
            f"{added.mean() if squares.size else 0:.3g}; there must be some, larger than the "
            "noise. Check the grid, the period and the noise."
        )
    start = np.log([size / 2, size / 2 / max(variances.mean(), np.finfo(float).tiny)])

    def cost(logarithms: np.ndarray) -> float:
        offset, slope = np.exp(logarithms)
        total = offset + slope * variances + added
        return float((np.log(total) + squares / total).mean())

    bounds = [(centre - 12, centre + 12) for centre in start]
    found = optimize.minimize(cost, start, method="Nelder-Mead", bounds=bounds)
    offset, slope = np.exp(found.x)
    return float(offset), float(slope)


def root_mean_square(values: np.ndarray) -> float:
    """Return the root of the mean of the squares."""
    return float(np.sqrt(np.square(values, dtype=float).mean()))


def grid_scales(
    fields: np.ndarray,
    sea: np.ndarray,
    latitude: np.ndarray,
    longitude: np.ndarray,
) -> tuple[float, float]:
    """Return the correlation length (km) and time (days) of fields on a grid.

    The length is the geometric mean of those along latitude and longitude.

    Parameters
    ----------
    fields : numpy.ndarray
        Of zero mean and one variance, shape (draw, time, latitude, longitude), a day apart.
    sea : numpy.ndarray
        Where they count, shape (latitude, longitude).
    latitude, longitude : numpy.ndarray
        Degrees, in equal steps.

    Raises
    ------
    InvalidInputError
        If an axis has less than two values.
    """
    if min(fields.shape[1:]) < 2:
        raise InvalidInputError(
            f"errors of {fields.shape[1]} day(s) on {fields.shape[2]} x {fields.shape[3]} cells "
            "tell no correlation; give two days and two rows and columns at least."
        )
    degree = np.deg2rad(EARTH_RADIUS)
    north = degree * np.median(np.diff(latitude))
    here = latitude[np.nonzero(sea)[0]]
    east = degree * np.median(np.diff(longitude)) * np.cos(np.deg2rad(here)).mean()
    lengths = [
        _scale_along(fields, sea, axis, step, matern) for axis, step in ((2, north), (3, east))
    ]
    return float(np.sqrt(np.prod(lengths))), _scale_along(fields, sea, 1, 1.0, relaxation)


def _scale_along(
    fields: np.ndarray,
    sea: np.ndarray,
    axis: int,
    step: float,
    law: Callable[[np.ndarray], np.ndarray],
) -> float:
    valid = np.broadcast_to(sea, fields.shape)
    fields = np.moveaxis(np.where(valid, fields, 0), axis, 0)
    valid = np.moveaxis(valid, axis, 0)
    size = len(fields)
    correlations = []
    for lag in range(1 + max(int(USED_LAGS * size), 1)):
        pairs = (valid[lag:] & valid[: size - lag]).sum()
        correlations.append((fields[lag:] * fields[: size - lag]).sum() / max(pairs, 1))
    correlations = np.array(correlations) / correlations[0]
    return efolding(step * np.arange(len(correlations)), correlations, law)


def track_length(
    values: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, passes: np.ndarray
) -> float:
    """Return the correlation length (km) of values along passes.

    The noise of measurements, if it is independent from point to point, changes nothing: the
    correlation at lag zero is taken as one and not from the values.

    Parameters
    ----------
    values : numpy.ndarray
        Of zero mean and one variance (without that of the noise), shape (point,), in the order of
        the passes.
    latitude, longitude : numpy.ndarray
        Degrees.
    passes : numpy.ndarray
        Number of the pass of each point.

    Raises
    ------
    InvalidInputError
        If no pass has two points.
    """
    places = EARTH_RADIUS * unit_vectors(latitude, longitude)
    together, distances, products = [], [], []
    for lag in range(1, min(LONGEST, len(values) - 1) + 1):
        same = passes[lag:] == passes[:-lag]
        together.append(same.any())
        distances.append(np.linalg.norm(places[lag:] - places[:-lag], axis=-1)[same])
        products.append((values[lag:] * values[:-lag])[same])
    if not any(together):
        raise InvalidInputError(
            "no pass has two points with an error, from which a correlation length could be told; "
            "give more tracks, or a grid that holds them."
        )
    spacing = np.median(distances[0] if distances[0].size else np.concatenate(distances))
    distance, product = np.concatenate(distances), np.concatenate(products)
    number = np.rint(distance / spacing).astype(int)
    near = (number > 0) & (number <= LONGEST)
    counts = np.bincount(number[near])
    some = counts > 0
    lags = np.bincount(number[near], distance[near])[some] / counts[some]
    correlations = np.bincount(number[near], product[near])[some] / counts[some]
    used = slice(max(int(USED_LAGS * lags.size), 1))
    return efolding(np.append(0.0, lags[used]), np.append(1.0, correlations[used]), matern)


def crossover_time(products: np.ndarray, lags: np.ndarray) -> float:
    """Return the correlation time (days) that fits products of values at crossovers best.

    It is no longer than the longest lag: more cannot be told.

    Parameters
    ----------
    products : numpy.ndarray
        Of two values of zero mean and one variance, at one place.
    lags : numpy.ndarray
        Days between them.
    """

    def misfit(logarithm: float) -> float:
        return float(np.square(products - relaxation(lags / np.exp(logarithm))).sum())

    bounds = np.log([SHORTEST, max(lags.max(), 2 * SHORTEST)])
    found = optimize.minimize_scalar(misfit, bounds=bounds, method="bounded")
    return float(np.exp(found.x))


def efolding(lags: np.ndarray, correlations: np.ndarray, law: Callable) -> float:
    """Return the lag at which a correlation is 1/e, linear between lags.

    If it is larger at all lags, that of the law which goes through the last one.

    Parameters
    ----------
    lags, correlations : numpy.ndarray
        Beginning with 0 and 1.
    law : callable
        Correlation as a function of the lag over the correlation length or time.
    """
    level = np.exp(-1)
    below = np.flatnonzero(correlations <= level)
    if below.size:
        pair = slice(below[0] - 1, below[0] + 1)
        return float(np.interp(-level, -correlations[pair], lags[pair]))
    last = min(correlations[-1], law(0.01))
    return float(lags[-1] / optimize.brentq(lambda ratio: law(ratio) - last, 0.01, 1.0))


def matern(distance: np.ndarray) -> np.ndarray:
    """Correlation at distances in correlation lengths: Matérn of smoothness 2."""
    scaled = LENGTH * np.asarray(distance, float)
    return np.square(scaled) * special.kn(2, scaled) / 2


def relaxation(lag: np.ndarray) -> np.ndarray:
    """Correlation at one place, at lags in correlation times."""
    return 2 * special.expn(3, TIME * np.asarray(lag, float))
