"""Observations and cells in units of correlation lengths, times and standard deviations."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from xdvarnet.grids.checks import check_regular
from xdvarnet.grids.coords import nearest_positions
from xdvarnet.grids.smoothing import local_mean
from xdvarnet.grids.units import EARTH_RADIUS
from xdvarnet.mapping.observations import Observations
from xdvarnet.methods.optimal_interpolation.local import Sample

LEAST_NOISE = 1e-10
"""Smallest variance of the error, relative to the prior's, with which matrices stay regular."""

SCORING_STEPS = 20
"""Steps towards the variance of greatest likelihood; one is enough where all errors are equal."""

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

    def at(self, target: Observations, lengths: tuple[float, float]) -> "Scaled":
        """Return the same observations, with the cells and days of another domain."""
        arrays = positions(*target.place) / lengths[0], target.days / lengths[1]
        cells, times = (torch.from_numpy(array).to(self.cells.device) for array in arrays)
        return replace(self, cells=cells, times=times)


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
    cells, times = positions(*observations.place) / lengths[0], observations.days / lengths[1]
    amplitude = prior.ravel()[cell]
    variance = np.maximum((noise[observed] / amplitude) ** 2, LEAST_NOISE)
    arrays = cells[cell], times[day], values[observed] / amplitude, variance, cells, times
    *sample, cell_tensor, time_tensor = (torch.from_numpy(a).to(device) for a in arrays)
    return Scaled(Sample(*sample), cell_tensor, time_tensor, prior, amplitude)


def prior_std(
    cells: np.ndarray,
    values: np.ndarray,
    noise: np.ndarray,
    place: tuple[np.ndarray, np.ndarray],
    std_length: float | None,
) -> np.ndarray:
    """Estimate the standard deviation of the anomaly, shape (latitude, longitude).

    The estimate of its square is that of greatest likelihood of independent anomalies: the mean of
    what squares are above the variances of their errors, weighted as in `_excess`.

    Parameters
    ----------
    cells : numpy.ndarray
        Flat positions in a map of the observations at sea, shape (n,).
    values, noise : numpy.ndarray
        Anomalies and standard deviations of their errors, shape (n,).
    place : tuple of numpy.ndarray
        Latitudes and longitudes of the map.
    std_length : float or None
        Standard deviation of the Gaussian (km) over which the estimate is averaged; None for one
        estimate for all.
    """
    shape = place[0].size, place[1].size
    squares, variances = (np.square(each, dtype=float) for each in (values, noise))
    overall, weights = _excess(squares, variances)
    if std_length is None:
        return np.full(shape, overall**0.5)
    check_regular(place[1], "longitude", "std_length")
    sums, counts = (
        np.bincount(cells, each, shape[0] * shape[1]).reshape(shape)
        for each in (weights * (squares - variances), weights)
    )
    local = local_mean(sums, counts, *place, std_length)
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


def nearest_cells(
    field: np.ndarray, known: tuple[np.ndarray, np.ndarray], target: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return a map (latitude, longitude) at the nearest cells of other, increasing axes."""
    rows, columns = (
        nearest_positions(axis, points) for axis, points in zip(known, target, strict=True)
    )
    return field[np.ix_(rows, columns)]


def positions(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Positions of the cells of a map, in km from the centre of the Earth, shape (cell, 3)."""
    north, east = np.meshgrid(np.deg2rad(latitude), np.deg2rad(longitude), indexing="ij")
    across = np.cos(north)
    components = across * np.cos(east), across * np.sin(east), np.sin(north)
    return EARTH_RADIUS * np.stack(components, axis=-1).reshape(-1, 3)
