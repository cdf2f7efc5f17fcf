"""Optimal interpolation of series: the dense analysis, the covariances, and their law."""

import numpy as np
import pytest
import xarray as xr

import xdvarnet  # noqa: F401 (the accessor)
from xdvarnet.errors import InvalidInputError
from xdvarnet.methods.dynamical import StateWindow
from xdvarnet.methods.series_interpolation import SeriesOptimalInterpolation

DT, NOISE = 0.1, 0.6

STEP = np.array([[0.9, 0.3], [-0.2, 0.8]])
"""Of a stationary autoregression of order 1, with noise of unit variance."""


def stationary_covariance():
    """Solution of ``C = M C M' + I``."""
    product = np.eye(4) - np.kron(STEP, STEP)
    return np.linalg.solve(product, np.eye(2).ravel()).reshape(2, 2)


def as_dataset(values):
    return xr.Dataset(
        {"state": (("sample", "time", "component"), values)},
        coords={"time": DT * np.arange(values.shape[1])},
    )


def simulate(samples, times, seed):
    rng = np.random.default_rng(seed)
    state = rng.multivariate_normal([0, 0], stationary_covariance(), samples)
    states = [state]
    for _ in range(times - 1):
        state = state @ STEP.T + rng.standard_normal(state.shape)
        states.append(state)
    return as_dataset(np.stack(states, 1) + [3.0, -1.0])


def observe(truth, seed):
    rng = np.random.default_rng(seed)
    values = truth["state"].values + NOISE * rng.standard_normal(truth["state"].shape)
    return np.where(rng.random(values.shape) < 0.4, values, np.nan)


@pytest.fixture(scope="module")
def fitted():
    return SeriesOptimalInterpolation(noise=NOISE).fit(simulate(4000, 12, seed=0))


def dense_analysis(fitted, values):
    """Condition the vector of all cells, one covariance at a time."""
    times, components = values.shape
    cells = [(t, i) for t in range(times) for i in range(components)]

    def covariance(first, second):
        (t, i), (u, j) = first, second
        return (
            fitted.statistics.covariance[t - u, i, j]
            if t >= u
            else fitted.statistics.covariance[u - t, j, i]
        )

    prior = np.array([[covariance(a, b) for b in cells] for a in cells])
    mean = np.tile(fitted.statistics.mean, times)
    select = np.eye(len(cells))[np.isfinite(values).ravel()]
    gain = (
        prior @ select.T @ np.linalg.inv(select @ prior @ select.T + NOISE**2 * np.eye(len(select)))
    )
    analysis = mean + gain @ (values.ravel()[np.isfinite(values).ravel()] - select @ mean)
    variance = np.diag(prior - gain @ select @ prior)
    return analysis.reshape(values.shape), np.sqrt(variance).reshape(values.shape)


def test_it_is_the_dense_gaussian_conditioning(fitted):
    values = observe(simulate(4, 10, seed=1), seed=2)
    values[3] = np.where(np.isfinite(values[0]), values[3], np.nan)
    values[2] = np.nan
    found = fitted.solve_states(StateWindow(values, DT))
    for sample in range(4):
        mean, std = dense_analysis(fitted, values[sample])
        np.testing.assert_allclose(found.mean[sample], mean, atol=1e-9)
        np.testing.assert_allclose(found.std[sample], std, atol=1e-9)


def test_covariances_are_those_of_the_process(fitted):
    """``C(lag) = M^lag C(0)``; 4000 windows of 12 times."""
    wanted = [np.linalg.matrix_power(STEP, lag) @ stationary_covariance() for lag in range(12)]
    np.testing.assert_allclose(fitted.statistics.covariance, wanted, atol=0.35)
    assert np.abs(wanted).max() > 5
    np.testing.assert_allclose(fitted.statistics.mean, [3.0, -1.0], atol=0.1)


def test_errors_follow_the_standard_deviation(fitted):
    """Of a Gaussian process: the mean square of normalised errors is 1."""
    truth = simulate(300, 12, seed=3)
    found = fitted.solve_states(StateWindow(observe(truth, seed=4), DT))
    normalised = (found.mean - truth["state"].values) / found.std
    assert np.mean(normalised**2) == pytest.approx(1, abs=0.05)


def test_a_sample_does_not_depend_on_the_others(fitted):
    """Two of them are observed alike, and solved together."""
    values = observe(simulate(5, 12, seed=5), seed=6)
    values[1] = np.where(np.isfinite(values[0]), 1.0, np.nan)
    together = fitted.solve_states(StateWindow(values, DT))
    for sample in range(5):
        alone = fitted.solve_states(StateWindow(values[[sample]], DT))
        np.testing.assert_allclose(together.mean[sample], alone.mean[0], atol=1e-12)
        np.testing.assert_allclose(together.std[sample], alone.std[0], atol=1e-12)


def test_statistics_of_a_ring_are_those_of_all_its_turns():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((20, 6, 5)).cumsum(1).cumsum(2)
    turned = np.concatenate([np.roll(values, turn, 2) for turn in range(5)])
    ring = SeriesOptimalInterpolation(noise=NOISE, periodic=True).fit(as_dataset(values))
    plain = SeriesOptimalInterpolation(noise=NOISE).fit(as_dataset(turned))
    np.testing.assert_allclose(ring.statistics.covariance, plain.statistics.covariance, atol=1e-10)
    np.testing.assert_allclose(ring.statistics.mean, plain.statistics.mean)


def test_reconstruct_labels_the_result(fitted):
    truth = simulate(2, 12, seed=7)
    found = as_dataset(observe(truth, seed=8)).dvarnet.reconstruct(fitted)
    assert set(found.data_vars) == {"state", "state_std"}
    assert "SeriesOptimalInterpolation" in found.attrs["xdvarnet_model"]


def test_what_is_refused(fitted):
    values = observe(simulate(2, 12, seed=0), seed=1)
    good = StateWindow(values, DT)
    for noise in (0.0, -1.0, np.nan):
        with pytest.raises(InvalidInputError, match="noise="):
            SeriesOptimalInterpolation(noise=noise)
    with pytest.raises(InvalidInputError, match="fit"):
        SeriesOptimalInterpolation(noise=1.0).solve_states(good)
    with pytest.raises(InvalidInputError, match="no ensemble"):
        fitted.solve_states(good, members=5)
    with pytest.raises(InvalidInputError, match="Fit longer"):
        fitted.solve_states(StateWindow(np.tile(values, (1, 2, 1)), DT))
    with pytest.raises(InvalidInputError, match="same time step"):
        fitted.solve_states(StateWindow(values, 2 * DT))
    with pytest.raises(InvalidInputError, match="2 components, and the state has 1"):
        fitted.solve_states(StateWindow(values[..., :1], DT))
    with pytest.raises(InvalidInputError, match="missing"):
        SeriesOptimalInterpolation(noise=1.0).fit(as_dataset(values))
