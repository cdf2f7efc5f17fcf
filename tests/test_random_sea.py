"""Random seas have the covariance that they claim."""

import numpy as np
import pytest
from toys import toy_truth

from xdvarnet.datasets import random_sea
from xdvarnet.datasets.random_sea import _gaussian_field
from xdvarnet.errors import InvalidInputError

SPACING = (1.0, 12.0, 9.0)  # days, km, km


def correlation(field, lags):
    """Mean product of a field of unit variance with itself shifted by `lags` cells."""
    here = field[tuple(slice(0, n - lag) for n, lag in zip(field.shape, lags, strict=True))]
    there = field[tuple(slice(lag, None) for lag in lags)]
    return float((here * there).mean())


@pytest.fixture(scope="module")
def field():
    rng = np.random.default_rng(0)
    return _gaussian_field((60, 150, 200), SPACING, 36.0, 4.0, rng)


@pytest.mark.parametrize("lags", [(0, 0, 0), (4, 0, 0), (0, 3, 0), (0, 0, 4), (2, 1, 2), (0, 6, 0)])
def test_covariance_is_gaussian_with_the_lengths_asked_for(field, lags):
    squares = np.square(np.array(lags) * SPACING / np.array([4.0, 36.0, 36.0]))
    assert correlation(field, lags) == pytest.approx(np.exp(-squares.sum()), abs=0.03)


def test_features_move_with_the_velocity():
    """After three days, the correlation is highest at the place where the feature went."""
    rng = np.random.default_rng(1)
    velocity = (8.0, 6.0)  # km a day: two rows in three days, two columns
    field = _gaussian_field((60, 120, 160), SPACING, 36.0, 6.0, rng, velocity=velocity)
    moved = correlation(field, (3, 2, 2))
    assert moved == pytest.approx(np.exp(-((3 / 6) ** 2)), abs=0.05)
    assert moved > correlation(field, (3, 0, 0)) + 0.1


def test_anisotropy_stretches_along_the_angle():
    rng = np.random.default_rng(2)
    field = _gaussian_field((40, 120, 160), SPACING, 36.0, 3.0, rng, stretch=2.0, angle=0.0)
    along, across = correlation(field, (0, 0, 4)), correlation(field, (0, 3, 0))
    assert along == pytest.approx(np.exp(-0.5), abs=0.05)
    assert across == pytest.approx(np.exp(-2.0), abs=0.05)


def test_a_random_sea_has_the_grid_the_land_and_a_seed():
    like = toy_truth(6).isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat")
    sea = random_sea(like, rng=3)
    assert sea["ssh"].dims == ("time", "lat", "lon")
    assert sea["ssh"].attrs["units"] == "m"
    assert sea["lat"].equals(like["lat"])
    assert np.array_equal(sea["ssh"].notnull().all("time"), like["sea"].transpose("lat", "lon"))
    assert sea.identical(random_sea(like, rng=3))
    assert not sea.equals(random_sea(like, rng=4))
    assert 0.01 < float(sea["ssh"].std()) < 0.08


def test_missing_days_are_refused():
    with pytest.raises(InvalidInputError, match="needs one field a day without gaps"):
        random_sea(toy_truth(6).isel(time=[0, 1, 3]))
