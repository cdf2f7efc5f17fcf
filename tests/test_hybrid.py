"""The hybrid of an ensemble's covariance and a climatological one: its cost, and its limits."""

import numpy as np
import pytest

from xdvarnet.dynamics.lorenz import Lorenz96
from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.dynamical import StateWindow
from xdvarnet.methods.ensemble_kalman import EnKF, EnsembleKalmanSmoother
from xdvarnet.methods.hybrid import HybridEnVar
from xdvarnet.methods.localisation import Localisation

NUMBER = 12
BACKGROUND = Climatology(
    np.full(NUMBER, 2.0), 4 * Localisation(2.0).weights(NUMBER).numpy() + 3 * np.eye(NUMBER)
)
SETTING = {
    "noise": 0.8,
    "climatology": BACKGROUND,
    "members": 8,
    "localisation": Localisation(2.0),
}


def make_values(times=4):
    rng = np.random.default_rng(0)
    values = 2 + 2 * rng.standard_normal((3, times, NUMBER))
    values[rng.random(values.shape) < 0.4] = np.nan
    return values


def solve(method, values):
    found = method.solve_states(StateWindow(values, 0.05), members=8, rng=np.random.default_rng(0))
    return found.members


def make(weight):
    return HybridEnVar(Lorenz96(NUMBER), weight=weight, **SETTING)


def test_mean_minimises_the_cost():
    """The gradient of J, with P built here, is zero at the mean of the analysis."""
    values = make_values()
    first = solve(make(0.3), np.full_like(values, np.nan))[:, :, 0]
    analysis = solve(make(0.3), values)[:, :, 0].mean(0)
    taper = Localisation(2.0).weights(NUMBER).numpy()
    for sample in range(3):
        covariance = 0.3 * BACKGROUND.covariance + 0.7 * taper * np.cov(first[:, sample].T)
        seen = np.isfinite(values[sample, 0])
        departure = np.where(seen, analysis[sample] - values[sample, 0], 0.0)
        increment = analysis[sample] - first[:, sample].mean(0)
        gradient = np.linalg.solve(covariance, increment) + departure / 0.8**2
        np.testing.assert_allclose(gradient, 0, atol=1e-9)
        assert np.abs(increment).max() > 0.5


def test_without_weight_it_is_the_ensemble_filter():
    values = make_values()
    ensemble = EnKF(Lorenz96(NUMBER), **SETTING)
    np.testing.assert_allclose(solve(make(0.0), values), solve(ensemble, values), atol=1e-12)
    np.testing.assert_allclose(
        solve(EnsembleKalmanSmoother(make(0.0)), values),
        solve(EnsembleKalmanSmoother(ensemble), values),
        atol=1e-12,
    )


def test_with_all_weight_the_gain_is_that_of_3dvar():
    """The increments of all members follow from their departures by one matrix."""
    values = make_values(times=2)
    values[:] = values[:1]
    values[:, 0, 5:] = np.nan
    first = solve(make(1.0), np.full_like(values, np.nan))[:, :, 0].mean(0)
    increments = solve(make(1.0), values)[:, :, 0].mean(0) - first
    seen = np.isfinite(values[0, 0])
    covariance = BACKGROUND.covariance
    gain = covariance[:, seen] @ np.linalg.inv(
        covariance[np.ix_(seen, seen)] + 0.8**2 * np.eye(seen.sum())
    )
    np.testing.assert_allclose(increments, (values[:, 0] - first)[:, seen] @ gain.T, atol=1e-10)


def test_only_the_ensemble_reaches_earlier_states():
    values = make_values()
    np.testing.assert_allclose(
        solve(EnsembleKalmanSmoother(make(1.0)), values), solve(make(1.0), values), atol=1e-12
    )
    changed = solve(EnsembleKalmanSmoother(make(0.5)), values) - solve(make(0.5), values)
    assert np.abs(changed[:, :, 0]).max() > 0.1
    np.testing.assert_allclose(changed[:, :, -1], 0, atol=1e-12)


@pytest.mark.parametrize("weight", [-0.1, 1.1, np.nan])
def test_weights_out_of_range_are_refused(weight):
    with pytest.raises(InvalidInputError, match="weight="):
        make(weight)


def test_a_weight_that_is_no_number_is_refused():
    with pytest.raises(InvalidTypeError, match="weight is '0.1'"):
        make("0.1")


def test_repr_has_the_weight():
    assert "model_noise=0, weight=0.25)" in repr(make(0.25))
