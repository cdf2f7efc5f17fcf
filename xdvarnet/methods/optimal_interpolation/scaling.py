"""Observations and cells in units of correlation lengths, times and standard deviations."""

from dataclasses import dataclass

import numpy as np
import torch

from xdvarnet.grids.checks import check_regular
from xdvarnet.grids.coords import EARTH_RADIUS
from xdvarnet.grids.smoothing import local_mean
from xdvarnet.mapping.protocol import Observations
from xdvarnet.methods.optimal_interpolation.local import Sample

LEAST_NOISE = 1e-10
"""Smallest variance of the error, relative to the prior's, with which matrices stay regular."""

SCORING_STEPS = 20
"""Steps towards the variance of greatest likelihood; one is enough where all errors are equal."""

UNKNOWN = 1.0
"""Standard deviation of the anomaly, in its units, where no observation and no error is there."""

LEAST_VARIANCE = 0.1
"""Smallest local estimate of the variance, relative to that of the whole domain."""


@dataclass(frozen=True)
class Scaled:
    """A domain in units of its covariance.

    Attributes
    ----------
    sample : Sample
        The observations at sea, in the order of time.
    cells : torch.Tensor
        Positions of the cells of a map, shape (cell, 3).
    times : torch.Tensor
        Shape (day,).
    prior : numpy.ndarray
        Standard deviation of the anomaly, shape (latitude, longitude).
    scale : numpy.ndarray
        The same at each observation, shape (n,).
    """

    sample: Sample
    cells: torch.Tensor
    times: torch.Tensor
    prior: np.ndarray
    scale: np.ndarray


def scale(
    observations: Observations,
    values: np.ndarray,
    prior: np.ndarray,
    noise: np.ndarray,
    lengths: tuple[float, float],
    device: str,
) -> Scaled:
    """Scale a domain.

    Parameters
    ----------
    observations : Observations
        Places and days.
    values : numpy.ndarray
        Anomalies, shape (time, latitude, longitude), NaN where unobserved.
    prior : numpy.ndarray
        Their standard deviation, shape (latitude, longitude).
    noise : numpy.ndarray
        Standard deviations of the errors, of the shape of `values`.
    lengths : tuple of float
        Correlation length (km) and time (days).
    device : str
        Where the tensors are.
    """
    observed = np.isfinite(values) & observations.sea
    day, cell = np.divmod(np.flatnonzero(observed), prior.size)
    cells, times = _positions(*observations.place) / lengths[0], observations.days / lengths[1]
    amplitude = prior.ravel()[cell]
    variance = np.maximum((noise[observed] / amplitude) ** 2, LEAST_NOISE)
    arrays = cells[cell], times[day], values[observed] / amplitude, variance, cells, times
    *sample, cell_tensor, time_tensor = (torch.from_numpy(a).to(device) for a in arrays)
    return Scaled(Sample(*sample), cell_tensor, time_tensor, prior, amplitude)


def prior_std(
    observations: Observations,
    values: np.ndarray,
    noise: np.ndarray,
    std: float | None,
    std_length: float | None,
) -> np.ndarray:
    """Return the standard deviation of the anomaly, shape (latitude, longitude).

    The estimate of its square is that of greatest likelihood of independent anomalies: the mean of
    what squares are above the variances of their errors, weighted as in `_excess`.

    Parameters
    ----------
    observations : Observations
        Places.
    values : numpy.ndarray
        Anomalies, shape (time, latitude, longitude), NaN where unobserved.
    noise : numpy.ndarray
        Standard deviations of the errors, of the shape of `values`.
    std : float or None
        The one that was given; by default it is estimated.
    std_length : float or None
        Standard deviation of the Gaussian (km) over which the estimate is averaged.
    """
    shape = observations.sea.shape
    if std is not None:
        return np.full(shape, std)
    observed = np.isfinite(values) & observations.sea
    squares, variances = (np.square(each[observed], dtype=float) for each in (values, noise))
    if not squares.size:
        known = noise[np.isfinite(noise)]
        return np.full(shape, known.mean() if known.size else UNKNOWN)
    overall, weights = _excess(squares, variances)
    if std_length is None:
        return np.full(shape, overall**0.5)
    latitude, longitude = observations.place
    check_regular(longitude, "longitude", "std_length")
    cell = np.flatnonzero(observed) % observations.sea.size
    sums, counts = (
        np.bincount(cell, each, observations.sea.size).reshape(shape)
        for each in (weights * (squares - variances), weights)
    )
    local = local_mean(sums, counts, latitude, longitude, std_length)
    return np.sqrt(np.maximum(local, LEAST_VARIANCE * overall))


def _excess(squares: np.ndarray, variances: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the variance of what is observed with errors, and the weight of each observation.

    The likelihood of independent Gaussian values is greatest for the mean of what their squares
    exceed the variances of their errors, weighted with the inverse squares of the sums of both
    variances (Fisher scoring). So an observation with a large error tells nothing. The variance is
    at least that of the errors, with the same weights.
    """
    overall = float(np.median(squares))
    for _ in range(SCORING_STEPS):
        both = overall + variances
        weights = (both.min() / both) ** 2
        excess = np.average(squares - variances, weights=weights)
        overall = float(max(excess, np.average(variances, weights=weights)))
    return overall, weights


def _positions(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Positions of the cells of a map, in km from the centre of the Earth, shape (cell, 3)."""
    north, east = np.meshgrid(np.deg2rad(latitude), np.deg2rad(longitude), indexing="ij")
    across = np.cos(north)
    components = across * np.cos(east), across * np.sin(east), np.sin(north)
    return EARTH_RADIUS * np.stack(components, axis=-1).reshape(-1, 3)
