"""The distribution of single states: what it is taken from, its draws, what it refuses."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import chi2, kstest

from xdvarnet.errors import InvalidInputError
from xdvarnet.methods.climatology import Climatology

COVARIANCE = np.array([[4.0, 1.5, 0], [1.5, 1, -0.2], [0, -0.2, 0.3]])


def make_series(values: np.ndarray) -> xr.Dataset:
    """Series (sample, time, component) with named components."""
    coords = {"time": 0.1 * np.arange(values.shape[1]), "component": list("uvw")}
    return xr.Dataset({"state": (("run", "time", "component"), values)}, coords=coords)


def test_only_complete_states_count():
    values = np.random.default_rng(0).standard_normal((4, 6, 3)) * [1, 2, 5] + [0, 1, 9]
    values[1, 2, 0] = values[3, 5, 2] = np.nan
    complete = np.array([state for run in values for state in run if not np.isnan(state).any()])
    assert len(complete) == 22
    for series in (make_series(values), make_series(values).transpose("component", ...)):
        found = Climatology.from_series(series)
        centred = complete - complete.mean(0)
        np.testing.assert_allclose(found.mean, complete.mean(0))
        np.testing.assert_allclose(found.covariance, centred.T @ centred / 21)
        assert (found.labels, found.components) == (["u", "v", "w"], 3)


def test_one_component_has_a_covariance_too():
    values = np.random.default_rng(0).standard_normal((2, 5, 3))
    found = Climatology.from_series(make_series(values)[["state"]].isel(component=[1]))
    np.testing.assert_allclose(found.covariance, [[values[..., 1].var(ddof=1)]])
    assert found.draw(4, np.random.default_rng(0)).shape == (4, 1)


def test_draws_have_the_distribution():
    """Their squared distances from the mean, in standard deviations, are those of chi-square."""
    climate = Climatology([1, -2, 30], COVARIANCE)
    states = climate.draw(4000, np.random.default_rng(3))
    away = states - climate.mean
    squares = (away * np.linalg.solve(COVARIANCE, away.T).T).sum(1)
    assert kstest(squares, chi2(3).cdf).pvalue > 0.01
    np.testing.assert_allclose(states.mean(0), climate.mean, atol=0.1)
    np.testing.assert_allclose(np.cov(states.T), COVARIANCE, atol=0.25)
    np.testing.assert_array_equal(states, climate.draw(4000, np.random.default_rng(3)))


@pytest.mark.parametrize(
    ("mean", "covariance", "message"),
    [
        (np.zeros(2), COVARIANCE, r"shape \(2,\) and .* \(3, 3\) do not fit"),
        (np.zeros((3, 1)), COVARIANCE, r"shape \(3, 1\)"),
        (0.0, [[1.0]], r"shape \(\) .* give \(n,\) and \(n, n\)"),
        ([0, np.nan, 0], COVARIANCE, "not finite"),
        (np.zeros(3), np.diag([1, np.inf, 1]), "not finite"),
        (np.zeros(3), np.ones((3, 3)), "not positive definite; take it from more states"),
        (np.zeros(3), -COVARIANCE, "not positive definite"),
        (np.zeros(2), [[1, 0.5], [0.1, 1]], "not symmetric"),
    ],
)
def test_what_is_no_distribution_is_refused(mean, covariance, message):
    with pytest.raises(InvalidInputError, match=message):
        Climatology(mean, covariance)


def test_each_component_has_one_label():
    with pytest.raises(InvalidInputError, match="2 labels for 3 components"):
        Climatology(np.zeros(3), COVARIANCE, labels=["x", "y"])


def test_observations_are_no_truth():
    values = np.random.default_rng(0).standard_normal((2, 5, 3))
    values[..., 1] = np.nan
    with pytest.raises(InvalidInputError, match="there are 0. Give the truth"):
        Climatology.from_series(make_series(values))
    with pytest.raises(InvalidInputError, match="take it from more states"):
        Climatology.from_series(make_series(np.ones((1, 4, 3))))
