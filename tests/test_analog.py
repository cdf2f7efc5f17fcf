"""Analog forecasts: what they are exact for, an independent reference, and assimilation."""

import numpy as np
import pytest
import torch
import xarray as xr

import xdvarnet  # noqa: F401 (the accessor)
from xdvarnet.datasets import lorenz63, lorenz96, observe_series
from xdvarnet.dynamics.integration import rk4_step
from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.methods.analog import AnalogForecast
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.ensemble_kalman import EnKF, EnsembleKalmanSmoother

NOISE = 2**0.5


def as_dataset(values):
    return xr.Dataset(
        {"state": (("sample", "time", "component"), values)},
        coords={"time": 0.1 * np.arange(values.shape[1])},
    )


def random_pairs(samples=300, components=3, seed=0):
    """States and successors that have nothing to do with each other."""
    return np.random.default_rng(seed).standard_normal((samples, 2, components))


@pytest.fixture(scope="module")
def training():
    return lorenz63("training", samples=120)


@pytest.fixture(scope="module")
def states():
    return torch.from_numpy(lorenz63("test", samples=60, steps=2)["state"].values[:, 0])


def test_linear_models_are_forecast_by_local_lines():
    """But for the ridge, which shrinks slopes by about a thousandth."""
    rng = np.random.default_rng(0)
    step = np.eye(3) + 0.3 * rng.standard_normal((3, 3))
    first = rng.standard_normal((400, 3))
    pairs = as_dataset(np.stack([first, first @ step.T + 1.0], 1))
    queries = rng.standard_normal((50, 3)) / 2
    wanted = queries @ step.T + 1.0
    found = AnalogForecast(k=30).fit(pairs).forecast(torch.from_numpy(queries), 0.1).numpy()
    np.testing.assert_allclose(found, wanted, atol=5e-3)
    constant = AnalogForecast(k=30, method="local_constant").fit(pairs)
    error = np.abs(constant.forecast(torch.from_numpy(queries), 0.1).numpy() - wanted)
    assert error.max() > 0.05


def test_local_constant_is_the_weighted_mean_increment_of_the_nearest():
    values = random_pairs()
    method = AnalogForecast(k=7, method="local_constant").fit(as_dataset(values))
    query = np.array([0.2, -0.3, 0.5])
    distance = np.linalg.norm(values[:, 0] - query, axis=1)
    nearest = np.argsort(distance)[:7]
    weights = np.exp(-((distance[nearest] / np.median(distance[nearest])) ** 2))
    wanted = query + weights @ (values[nearest, 1] - values[nearest, 0]) / weights.sum()
    found = method.forecast(torch.from_numpy(query)[None], 0.1)[0]
    np.testing.assert_allclose(found, wanted)


def test_lorenz63_is_forecast_far_better_than_by_persistence(training, states):
    wanted = rk4_step(Lorenz63(), states, 0.01)
    found = AnalogForecast().fit(training).forecast(states, 0.01)
    still = (states - wanted).square().mean()
    assert (found - wanted).square().mean() < 1e-4 * still


def test_several_steps_are_one_after_the_other(training, states):
    method = AnalogForecast().fit(training)
    twice = method.forecast(method.forecast(states, 0.01), 0.01)
    torch.testing.assert_close(method.forecast(states, 0.02), twice)


def test_a_neighbourhood_forecasts_the_ring_alike_at_all_places():
    run = lorenz96("training", samples=20, steps=100)
    method = AnalogForecast(k=60, neighbourhood=3).fit(run)
    states = torch.from_numpy(lorenz96("test", samples=5, steps=2)["state"].values[:, 0])
    wanted = rk4_step(Lorenz96(), states, 0.05)
    found = method.forecast(states, 0.05)
    torch.testing.assert_close(method.forecast(states.roll(7, -1), 0.05), found.roll(7, -1))
    assert (found - wanted).square().mean() < 0.05 * (states - wanted).square().mean()


def test_states_with_gaps_are_left_out():
    values = random_pairs()
    gappy = values.copy()
    gappy[::3, 1, 0] = np.nan
    query = torch.zeros(4, 3, dtype=torch.float64)
    kept = np.delete(values, np.s_[::3], 0)
    torch.testing.assert_close(
        AnalogForecast().fit(as_dataset(gappy)).forecast(query, 0.1),
        AnalogForecast().fit(as_dataset(kept)).forecast(query, 0.1),
    )


def test_assimilation_needs_no_model(training):
    """Whole windows of Lorenz-63, of which x is observed: the variance of z alone is above 70.

    The mean square error is near 1 with many windows, and 0.7 with the model itself.
    """
    truth = lorenz63("test", samples=6)
    observed = observe_series(truth, every=8, components=["x"], noise=NOISE, rng=0)
    background = Climatology.from_series(training)
    method = EnKF(AnalogForecast().fit(training), noise=NOISE, climatology=background, members=30)
    found = observed.dvarnet.reconstruct(EnsembleKalmanSmoother(method), rng=0)
    error = found["state"] - truth["state"]
    assert float((error**2).mean()) < 2.5
    assert float((error**2 / found["state_std"] ** 2).median()) < 2


def test_analogs_and_background_have_the_same_components(training):
    background = Climatology.from_series(training.isel(component=[2, 1, 0]))
    with pytest.raises(InvalidInputError, match=r"sel\(component=\['x', 'y', 'z'\]\)"):
        EnKF(AnalogForecast().fit(training), noise=NOISE, climatology=background)


def test_what_is_refused(training, states):
    with pytest.raises(UnknownNameError, match="local_linear, local_constant"):
        AnalogForecast(method="cubic")
    with pytest.raises(InvalidInputError, match="k=1"):
        AnalogForecast(1)
    with pytest.raises(InvalidInputError, match="k='local_constant' .* whole number"):
        AnalogForecast("local_constant")
    with pytest.raises(InvalidInputError, match="neighbourhood=0"):
        AnalogForecast(neighbourhood=0)
    with pytest.raises(InvalidInputError, match="call fit"):
        AnalogForecast().forecast(states, 0.01)
    with pytest.raises(InvalidInputError, match="catalogue has 39 states"):
        AnalogForecast(40).fit(training.isel(sample=[0], time=slice(40)))
    with pytest.raises(InvalidInputError, match="4 unknowns"):
        AnalogForecast(4).fit(training)
    with pytest.raises(InvalidInputError, match="more than the ring"):
        AnalogForecast(neighbourhood=2).fit(training)
    method = AnalogForecast().fit(training)
    for dt in (0.015, 0.004):
        with pytest.raises(InvalidInputError, match="no multiple"):
            method.forecast(states, dt)
    with pytest.raises(InvalidInputError, match="3 components"):
        method.forecast(states[:, :2], 0.01)
