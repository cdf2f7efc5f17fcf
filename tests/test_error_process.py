"""The variance and the scales that errors tell, from fields whose own are known."""

import numpy as np
import pytest

from xdvarnet.calibration.errors import (
    ErrorProcess,
    crossover_time,
    efolding,
    fit_variance,
    grid_scales,
    matern,
    relaxation,
    root_mean_square,
    track_length,
)
from xdvarnet.errors import InvalidInputError

KILOMETRES = 111.195  # in a degree


def square_root(positions, length):
    """Return a matrix that gives white noise the covariance exp(-(d / length)^2)."""
    distance = np.abs(positions[:, None] - positions)
    return np.linalg.cholesky(np.exp(-((distance / length) ** 2)) + 1e-6 * np.eye(len(positions)))


def test_the_variance_of_errors_is_found():
    rng = np.random.default_rng(0)
    formal = rng.uniform(0.005, 0.04, (40, 900))
    std = np.sqrt(1e-4 + 1.7 * formal**2)
    offset, slope = fit_variance(std * rng.standard_normal(std.shape), formal)
    assert offset == pytest.approx(1e-4, rel=0.08)
    assert slope == pytest.approx(1.7, rel=0.05)


def test_known_noise_is_no_part_of_the_variance():
    rng = np.random.default_rng(1)
    formal = rng.uniform(0.01, 0.06, 60000)
    noise = rng.uniform(0.01, 0.03, formal.size)
    std = np.sqrt(4e-4 + 0.6 * formal**2 + noise**2)
    offset, slope = fit_variance(std * rng.standard_normal(std.size), formal, noise)
    assert offset == pytest.approx(4e-4, rel=0.1)
    assert slope == pytest.approx(0.6, rel=0.1)


def test_no_other_variance_is_likelier():
    rng = np.random.default_rng(2)
    formal = rng.uniform(0.01, 0.03, 500)
    errors = formal * rng.standard_t(5, formal.size)

    def cost(offset, slope):
        variance = offset + slope * formal**2
        return (np.log(variance) + errors**2 / variance).mean()

    offset, slope = fit_variance(errors, formal)
    best = cost(offset, slope)
    for factors in ((1.1, 1), (0.9, 1), (1, 1.1), (1, 0.9), (1.2, 0.9), (0.8, 1.1)):
        assert cost(offset * factors[0], slope * factors[1]) >= best - 1e-9


@pytest.mark.parametrize(
    ("errors", "noise", "message"),
    [
        (np.zeros(0), 0.0, "there are 0 errors"),
        (np.full(7, 0.01), 0.02, "a mean square of 0.0001 and a noise of mean square 0.0004"),
    ],
)
def test_errors_that_tell_nothing_are_refused(errors, noise, message):
    with pytest.raises(InvalidInputError, match=message):
        fit_variance(errors, np.ones_like(errors), noise)


def test_scales_on_a_grid_with_land():
    """Draws of a separable covariance, of one length in km on unequal steps."""
    rng = np.random.default_rng(3)
    latitude, longitude = 40 + 0.2 * np.arange(26), 5 + 0.3 * np.arange(31)
    sea = rng.random((26, 31)) > 0.2
    shrink = np.cos(np.deg2rad(latitude[np.nonzero(sea)[0]])).mean()
    roots = (
        square_root(np.arange(12.0), 4.0),
        square_root(KILOMETRES * latitude, 70.0),
        square_root(KILOMETRES * shrink * longitude, 70.0),
    )
    white = rng.standard_normal((40, 12, 26, 31))
    fields = np.einsum("ta,yb,xc,nabc->ntyx", *roots, white, optimize=True)
    fields[..., ~sea] = np.nan
    length, time = grid_scales(fields, sea, latitude, longitude)
    assert length == pytest.approx(70, rel=0.06)
    assert time == pytest.approx(4, rel=0.06)


def test_one_day_tells_no_time():
    with pytest.raises(InvalidInputError, match=r"errors of 1 day\(s\) on 4 x 5 cells tell no"):
        grid_scales(np.zeros((3, 1, 4, 5)), np.ones((4, 5), bool), np.arange(4.0), np.arange(5.0))


def test_length_along_passes_in_spite_of_noise():
    rng = np.random.default_rng(4)
    count, spacing = 120, 7.0
    along = spacing * np.arange(count)
    values = rng.standard_normal((300, count)) @ square_root(along, 45.0).T
    values += 0.8 * rng.standard_normal(values.shape)
    latitude = np.tile(30 + along / KILOMETRES, 300)
    passes = np.repeat(np.arange(300), count)
    kept = rng.random(values.size) > 0.1  # gaps
    length = track_length(
        values.ravel()[kept], latitude[kept], np.full(kept.sum(), 3.0), passes[kept]
    )
    assert length == pytest.approx(45, rel=0.05)


def test_single_points_tell_no_length():
    with pytest.raises(InvalidInputError, match="no pass has two points"):
        track_length(np.ones(3), np.arange(3.0), np.arange(3.0), np.arange(3))


def test_time_from_products_at_crossovers():
    rng = np.random.default_rng(5)
    lags = rng.uniform(0, 20, 6000)
    correlation = relaxation(lags / 6.5)
    first, other = rng.standard_normal((2, lags.size))
    second = correlation * first + np.sqrt(1 - correlation**2) * other
    assert crossover_time(first * second, lags) == pytest.approx(6.5, rel=0.15)


def test_no_time_longer_than_the_longest_lag_is_told():
    lags = np.linspace(0, 9, 50)
    assert crossover_time(np.ones(50), lags) == pytest.approx(9, rel=1e-3)


def test_efolding_is_linear_between_lags():
    lags, correlations = np.array([0.0, 10.0, 20.0, 30.0]), np.array([1.0, 0.7, 0.2, 0.3])
    expected = 10 + 10 * (0.7 - np.exp(-1)) / 0.5
    assert efolding(lags, correlations, matern) == pytest.approx(expected)


@pytest.mark.parametrize("law", [matern, relaxation])
def test_efolding_beyond_the_lags_follows_the_law(law):
    assert law(1.0) == pytest.approx(np.exp(-1))
    lags = np.array([0.0, 2.0, 4.0])
    assert efolding(lags, np.append(1, law(lags[1:] / 9.0)), law) == pytest.approx(9.0)


def test_a_correlation_that_does_not_fall_gives_a_long_and_finite_scale():
    assert 20 < efolding(np.array([0.0, 1.0]), np.array([1.0, 1.0]), matern) < np.inf


def test_std_of_an_error_process():
    process = ErrorProcess(4e-4, 2.25, 40, 5, 0.03, 60, 10, 0.02)
    std = process.std(np.array([0.0, 0.1]))
    np.testing.assert_allclose(std, [0.02, np.sqrt(4e-4 + 0.0225)], rtol=1e-6)
    assert std.dtype == np.float32
    assert root_mean_square(np.array([3.0, 4.0, 0.0, 0.0])) == 2.5
