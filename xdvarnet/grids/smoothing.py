"""Local averages of scattered values on a grid."""

import numpy as np
from scipy.ndimage import gaussian_filter

from xdvarnet.grids.coords import EARTH_RADIUS

FAR_WEIGHT = 0.01
"""Weight of the overall mean, in observations per cell relative to their average number."""


def local_mean(
    total: np.ndarray,
    count: np.ndarray,
    latitude: np.ndarray,
    longitude: np.ndarray,
    length: float,
) -> np.ndarray:
    """Average of values around each cell, weighted with a Gaussian; far from all, the overall mean.

    Parameters
    ----------
    total, count : numpy.ndarray
        Sum and number of the values in each cell, shape (latitude, longitude).
    latitude, longitude : numpy.ndarray
        Degrees, increasing; the width in cells is that at the middle latitude.
    length : float
        Standard deviation of the Gaussian, in km.
    """
    degree = np.deg2rad(1.0) * EARTH_RADIUS
    row = degree * np.median(np.diff(latitude))
    column = degree * np.cos(np.deg2rad(latitude.mean())) * np.median(np.diff(longitude))
    width = (length / row, length / column)
    far = max(FAR_WEIGHT * count.mean(), 1e-12)
    overall = total.sum() / max(count.sum(), 1.0)
    smoothed = gaussian_filter(total.astype(float), width, mode="constant")
    weights = gaussian_filter(count.astype(float), width, mode="constant")
    return (smoothed + far * overall) / (weights + far)
