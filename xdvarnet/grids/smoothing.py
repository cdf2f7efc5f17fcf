"""Local averages of scattered values on a grid."""

import numpy as np
from scipy import fft

from xdvarnet.grids.coords import is_ring
from xdvarnet.grids.units import EARTH_RADIUS

FAR_WEIGHT = 0.01
"""Weight of the overall mean, in observations per cell relative to their average number."""

REACH = 5.0
"""Distance in standard deviations at which a Gaussian is zero."""


def local_mean(
    total: np.ndarray,
    count: np.ndarray,
    latitude: np.ndarray,
    longitude: np.ndarray,
    length: float,
) -> np.ndarray:
    """Average of values around each cell, weighted with a Gaussian; far from all, the overall mean.

    The Gaussian is one of the distance on the sphere (of the chord), so that neither the poles nor
    the place where longitudes around the globe are cut are edges.

    Parameters
    ----------
    total, count : numpy.ndarray
        Sum and number of the values in each cell, shape (latitude, longitude).
    latitude : numpy.ndarray
        Degrees, increasing, in any steps.
    longitude : numpy.ndarray
        Degrees, increasing, in equal steps.
    length : float
        Standard deviation of the Gaussian, in km.
    """
    far = max(FAR_WEIGHT * count.mean(), 1e-12)
    overall = total.sum() / max(count.sum(), 1.0)
    fields = np.stack([total, count, np.ones(count.shape)])
    sums, weights, cells = _gaussian_sums(fields, latitude, longitude, length)
    return (sums + far * overall * cells) / (weights.clip(min=0) + far * cells)


def _gaussian_sums(
    fields: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, length: float
) -> np.ndarray:
    """Sum fields (..., latitude, longitude) around each cell, weighted with a Gaussian.

    For each pair of rows the sum is a convolution along the circle.
    """
    columns = longitude.size
    if is_ring(longitude):
        period, lags = columns, 2 * np.pi * np.arange(columns) / columns
    else:
        period = fft.next_fast_len(2 * columns - 1, real=True)
        places = np.minimum(np.arange(period), period - np.arange(period))
        lags = np.deg2rad(np.ptp(longitude) / (columns - 1)) * places
    sine, cosine = np.sin(np.deg2rad(latitude)), np.cos(np.deg2rad(latitude)).clip(min=0)
    sharpness = (EARTH_RADIUS / length) ** 2
    spectra = fft.rfft(fields, period)
    sums = np.empty(fields.shape)
    reach = np.rad2deg(REACH * length / EARTH_RADIUS)
    for row, centre in enumerate(latitude):
        near = slice(*np.searchsorted(latitude, [centre - reach, centre + reach]))
        # 1 - cos(angle) between the cells is half the square of the chord
        rise = 1 - sine[row] * sine[near, None] - cosine[row] * cosine[near, None] * np.cos(lags)
        kernel = fft.rfft(np.exp(-sharpness * rise))
        sums[..., row, :] = fft.irfft((spectra[..., near, :] * kernel).sum(-2), period)[
            ..., :columns
        ]
    return sums
