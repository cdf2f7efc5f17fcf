"""Local averages."""

import numpy as np

from xdvarnet.grids.smoothing import local_mean
from xdvarnet.grids.units import EARTH_RADIUS

LATITUDE = 40 + 0.2 * np.arange(40)
LONGITUDE = 5 + 0.3 * np.arange(50)


def test_a_constant_is_kept_whatever_the_coverage():
    rng = np.random.default_rng(0)
    count = rng.poisson(0.3, (40, 50))
    mean = local_mean(2.5 * count, count, LATITUDE, LONGITUDE, 60.0)
    np.testing.assert_allclose(mean, 2.5)


def test_the_weight_is_a_gaussian_of_the_given_length_in_km():
    """Two values of weight one: at a third place the ratio of weights is that of the Gaussian."""
    total, count = np.zeros((40, 50)), np.zeros((40, 50))
    count[20, 20] = count[20, 30] = 1
    total[20, 20] = 1
    mean = local_mean(total, count, LATITUDE, LONGITUDE, 100.0)[20, 24]
    cell = np.deg2rad(0.3) * EARTH_RADIUS * np.cos(np.deg2rad(LATITUDE.mean()))
    near, far = np.exp(-0.5 * (np.array([4, 6]) * cell / 100) ** 2)
    np.testing.assert_allclose(mean, near / (near + far), atol=2e-3)


def test_no_value_gives_zero():
    empty = np.zeros((40, 50))
    assert (local_mean(empty, empty, LATITUDE, LONGITUDE, 80.0) == 0).all()
