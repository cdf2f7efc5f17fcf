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
    noise: float,
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
    noise : float
        Standard deviation of the errors.
    lengths : tuple of float
        Correlation length (km) and time (days).
    device : str
        Where the tensors are.
    """
    observed = np.isfinite(values) & observations.sea
    day, cell = np.divmod(np.flatnonzero(observed), prior.size)
    cells, times = positions(*observations.place) / lengths[0], observations.days / lengths[1]
    amplitude = prior.ravel()[cell]
    variance = np.maximum((noise / amplitude) ** 2, LEAST_NOISE)
    arrays = cells[cell], times[day], values[observed] / amplitude, variance, cells, times
    *sample, cell_tensor, time_tensor = (torch.from_numpy(a).to(device) for a in arrays)
    return Scaled(Sample(*sample), cell_tensor, time_tensor, prior, amplitude)


def prior_std(
    observations: Observations,
    values: np.ndarray,
    noise: float,
    std: float | None,
    std_length: float | None,
) -> np.ndarray:
    """Return the standard deviation of the anomaly, shape (latitude, longitude).

    Parameters
    ----------
    observations : Observations
        Places.
    values : numpy.ndarray
        Anomalies, shape (time, latitude, longitude), NaN where unobserved.
    noise : float
        Standard deviation of the errors.
    std : float or None
        The one that was given; by default it is estimated.
    std_length : float or None
        Standard deviation of the Gaussian (km) over which the estimate is averaged.
    """
    shape = observations.sea.shape
    if std is not None:
        return np.full(shape, std)
    observed = np.isfinite(values) & observations.sea
    squares = np.where(observed, values, 0).astype(float) ** 2
    overall = squares.sum() / max(observed.sum(), 1) - noise**2
    overall = max(overall, noise**2)
    if std_length is None:
        return np.full(shape, overall**0.5)
    latitude, longitude = observations.place
    check_regular(longitude, "longitude", "std_length")
    local = local_mean(squares.sum(0), observed.sum(0), latitude, longitude, std_length)
    return np.sqrt(np.maximum(local - noise**2, LEAST_VARIANCE * overall))


def positions(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Positions of the cells of a map, in km from the centre of the Earth, shape (cell, 3)."""
    north, east = np.meshgrid(np.deg2rad(latitude), np.deg2rad(longitude), indexing="ij")
    across = np.cos(north)
    components = across * np.cos(east), across * np.sin(east), np.sin(north)
    return EARTH_RADIUS * np.stack(components, axis=-1).reshape(-1, 3)
