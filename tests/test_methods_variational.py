"""Variational assimilation of series: the linear case by three other ways, and Lorenz-63."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from xdvarnet.datasets import lorenz63, observe_series
from xdvarnet.dynamics.lorenz import Lorenz63
from xdvarnet.errors import InvalidInputError, InvalidTypeError, XdvarnetWarning
from xdvarnet.mapping.observations import Observations
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.dynamical import StateWindow
from xdvarnet.methods.variational import StrongFourDVar, ThreeDVar, WeakFourDVar

NOISE, STEPS, DT = 0.7, 12, 0.1
RATES = np.array([[-0.1, 2.0, 0.0], [-2.0, 0.0, 0.5], [0.0, 0.3, 0.2]])
BACKGROUND = Climatology(
    np.array([1.0, -2.0, 0.5]), np.array([[2.0, 0.5, 0], [0.5, 1, 0.2], [0, 0.2, 3]])
)


def linear(state):
    return state @ torch.from_numpy(RATES).T


def fourth_order():
    """One step of the scheme for the linear model: the exponential's series up to dt^4."""
    step, term = np.eye(3), np.eye(3)
    for power in range(1, 5):
        term = term @ (DT * RATES) / power
        step = step + term
    np.testing.assert_allclose(step, expm(DT * RATES), atol=1e-4)
    return step


@pytest.fixture(scope="module")
def linear_case():
    """Four samples, of which each component of each time is observed with probability 0.3."""
    rng = np.random.default_rng(0)
    values = 2 * rng.standard_normal((4, STEPS, 3))
    values[rng.random(values.shape) > 0.3] = np.nan
    return StateWindow(values, DT)


def dense(observations, model_variance):
    """Mean and standard deviation of the joint Gaussian of all states of a window."""
    step, size = fourth_order(), 3 * STEPS
    mean, covariance = np.empty((STEPS, 3)), np.empty((STEPS, 3, STEPS, 3))
    mean[0], covariance[0, :, 0] = BACKGROUND.mean, BACKGROUND.covariance
    for t in range(1, STEPS):
        mean[t] = step @ mean[t - 1]
        for other in range(t):
            covariance[t, :, other] = step @ covariance[t - 1, :, other]
            covariance[other, :, t] = covariance[t, :, other].T
        covariance[t, :, t] = step @ covariance[t - 1, :, t - 1] @ step.T
        covariance[t, :, t] += model_variance * np.eye(3)
    mean, covariance = mean.ravel(), covariance.reshape(size, size)
    means, stds = [], []
    for values in observations.values:
        seen = np.isfinite(values.ravel())
        joint = covariance[np.ix_(seen, seen)] + NOISE**2 * np.eye(seen.sum())
        gain = np.linalg.solve(joint, covariance[seen]).T
        means.append(mean + gain @ (values.ravel() - mean)[seen])
        stds.append(np.sqrt(np.diag(covariance - gain @ covariance[seen])))
    shape = observations.values.shape
    return np.reshape(means, shape), np.reshape(stds, shape)


def kalman(values, model_variance):
    """Mean and standard deviation of the smoother of Rauch, Tung and Striebel for a sample."""
    step = fourth_order()
    state, covariance, past = BACKGROUND.mean, BACKGROUND.covariance, []
    for t, row in enumerate(values):
        forecast = (state, covariance)
        if t > 0:
            forecast = step @ state, step @ covariance @ step.T + model_variance * np.eye(3)
        choice = np.eye(3)[np.isfinite(row)]
        joint = choice @ forecast[1] @ choice.T + NOISE**2 * np.eye(len(choice))
        gain = forecast[1] @ choice.T @ np.linalg.inv(joint)
        state = forecast[0] + gain @ (row[np.isfinite(row)] - choice @ forecast[0])
        covariance = (np.eye(3) - gain @ choice) @ forecast[1]
        past.append((*forecast, state, covariance))
    found = [(state, covariance)]
    for (*_, state, covariance), (forecast, spread, *_) in reversed(list(pairwise(past))):
        gain = covariance @ step.T @ np.linalg.inv(spread)
        later, certain = found[-1]
        found.append(
            (state + gain @ (later - forecast), covariance + gain @ (certain - spread) @ gain.T)
        )
    means, covariances = zip(*found[::-1], strict=True)
    return np.array(means), np.sqrt([np.diag(covariance) for covariance in covariances])


def weak(model_noise=0.4):
    return WeakFourDVar(linear, noise=NOISE, climatology=BACKGROUND, model_noise=model_noise)


def strong(**options):
    return StrongFourDVar(linear, noise=NOISE, climatology=BACKGROUND, **options)


@pytest.mark.parametrize(("method", "variance"), [(weak(), 0.16), (strong(), 0.0)])
def test_a_linear_model_gives_the_gaussian_posterior(linear_case, method, variance):
    found = method.solve_states(linear_case)
    mean, std = dense(linear_case, variance)
    np.testing.assert_allclose(found.mean, mean, atol=1e-6)
    np.testing.assert_allclose(found.std, std, atol=1e-6)
    for sample, values in enumerate(linear_case.values):
        mean, std = kalman(values, variance)
        np.testing.assert_allclose(found.mean[sample], mean, atol=1e-6)
        np.testing.assert_allclose(found.std[sample], std, atol=1e-6)


def test_a_small_model_error_is_a_perfect_model(linear_case):
    expected = strong(growth=100).solve_states(linear_case)
    found = weak(1e-5).solve_states(linear_case)
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-6)
    np.testing.assert_allclose(found.std, expected.std, atol=1e-6)


def test_threedvar_is_the_analysis_at_one_time_and_a_run_between(linear_case):
    method = ThreeDVar(linear, noise=NOISE, climatology=BACKGROUND, scale=0.5)
    found = method.solve_states(linear_case).mean
    spread = 0.5 * BACKGROUND.covariance
    for values, states in zip(linear_case.values, found, strict=True):
        forecast = BACKGROUND.mean
        for row, state in zip(values, states, strict=True):
            seen = np.isfinite(row)
            precision = np.linalg.inv(spread) + np.diag(seen / NOISE**2)
            misfit = np.where(seen, row - forecast, 0) / NOISE**2
            expected = forecast + np.linalg.solve(precision, misfit)
            np.testing.assert_allclose(state, expected, atol=1e-9)
            forecast = fourth_order() @ state


@pytest.fixture(scope="module")
def chaos():
    """Background, truth and observations of Lorenz-63."""
    truth = lorenz63("validation", samples=30)
    observed = observe_series(truth, every=8, components=["x"], noise=2**0.5, rng=0)
    background = Climatology.from_series(lorenz63("training", samples=200))
    observations = StateWindow(observed["state"].values, 0.01)
    return background, truth["state"].values, observations


def squared_error(analysis, truth):
    """Mean over times and components, of each sample."""
    return np.square(analysis.mean - truth).mean((1, 2))


def test_weak_fourdvar_smooths_chaos_and_knows_its_error(chaos):
    """A smoother for a perfect model reaches 0.40 +- 0.03 over 200 windows."""
    background, truth, observations = chaos
    method = WeakFourDVar(Lorenz63(), noise=2**0.5, climatology=background, model_noise=0.01)
    found = method.solve_states(observations)
    assert squared_error(found, truth).mean() < 0.6
    normalised = (found.mean - truth) / found.std
    assert 0.6 < np.square(normalised).mean() < 1.6


def test_a_std_of_linear_growth_is_not_to_be_believed(chaos):
    """A forecast of 1.5 units: errors of the last observed time grow until they saturate."""
    background, _, observations = chaos
    values = observations.values[:5].copy()
    values[:, 50:] = np.nan
    method = StrongFourDVar(Lorenz63(), noise=2**0.5, climatology=background)
    with pytest.warns(XdvarnetWarning, match=r"\d of 5 samples exceeds 3 times that of the backg"):
        method.solve_states(StateWindow(values, 0.01))


def test_a_growing_window_finds_a_lower_cost(chaos):
    """Costs: half the squared misfits, and those of the start."""
    background, truth, observations = chaos
    few = StateWindow(observations.values[:4], observations.dt)
    costs, errors = [], []
    for growth in (8, 200):
        method = StrongFourDVar(
            Lorenz63(), noise=2**0.5, climatology=background, growth=growth, iterations=8
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", XdvarnetWarning)
            found = method.solve_states(few)
        start = found.mean[:, 0] - background.mean
        first = (start * np.linalg.solve(background.covariance, start.T).T).sum(1)
        costs.append(first / 2 + np.nansum((found.mean - few.values) ** 2, (1, 2)) / 4)
        errors.append(squared_error(found, truth[:4]))
    assert (costs[0] <= costs[1] + 1e-3).all()
    assert costs[0].mean() < costs[1].mean() / 2
    assert errors[0].mean() < 0.8
    assert (costs[0] < 25).all()


@pytest.mark.parametrize("kind", ["strong", "weak", "3dvar"])
def test_samples_do_not_know_their_neighbours(chaos, kind):
    background, _, observations = chaos
    options = {"noise": 2**0.5, "climatology": background}
    method = {
        "strong": StrongFourDVar(Lorenz63(), **options),
        "weak": WeakFourDVar(Lorenz63(), **options, model_noise=0.01),
        "3dvar": ThreeDVar(Lorenz63(), **options),
    }[kind]
    values = observations.values[:4, :60].copy()
    values[1, 3:20] = np.nan
    together = method.solve_states(StateWindow(values, 0.01)).mean
    alone = method.solve_states(StateWindow(values[2:3], 0.01)).mean
    np.testing.assert_allclose(together[2:3], alone, atol=1e-8)


def test_too_few_iterations_are_warned_of(chaos):
    background, _, observations = chaos
    method = StrongFourDVar(
        Lorenz63(), noise=2**0.5, climatology=background, growth=200, iterations=2
    )
    with pytest.warns(XdvarnetWarning, match="did not converge"):
        found = method.solve_states(observations)
    assert np.isfinite(found.mean).all()


def test_what_is_refused(chaos):
    background, _, observations = chaos
    options = {"noise": 1.0, "climatology": background}
    for make, message in [
        (lambda: StrongFourDVar(Lorenz63(), noise=0, climatology=background), "noise=0"),
        (lambda: StrongFourDVar(Lorenz63(), **options, growth=0), "growth=0"),
        (lambda: StrongFourDVar(Lorenz63(), **options, iterations=1.5), "iterations=1.5"),
        (lambda: WeakFourDVar(Lorenz63(), **options, model_noise=-1), "model_noise=-1"),
        (lambda: WeakFourDVar(Lorenz63(), **options, model_noise=1, stages=()), "stages"),
        (lambda: WeakFourDVar(Lorenz63(), **options, model_noise=1, stages=(1, 2)), "stages"),
        (lambda: ThreeDVar(Lorenz63(), **options, scale=0), "scale=0"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            make()
    for make, message in [
        (lambda: WeakFourDVar(Lorenz63, **options, model_noise=1), "no model"),
        (lambda: WeakFourDVar(Lorenz63(), **options, model_noise=1, stages=1), "stages is 1"),
        (lambda: ThreeDVar("lorenz", **options), "no model"),
        (lambda: StrongFourDVar(Lorenz63(), noise=1, climatology=3), "climatology is a int"),
        (
            lambda: WeakFourDVar(Lorenz63(), **options, model_noise=1, first_guess="lorenz63"),
            r"first_guess: 'lorenz63' is a string; use load_model",
        ),
        (
            lambda: WeakFourDVar(Lorenz63(), **options, model_noise=1, first_guess=WeakFourDVar),
            "first_guess: you gave the class WeakFourDVar",
        ),
    ]:
        with pytest.raises(InvalidTypeError, match=message):
            make()
    far = StateWindow(observations.values, 0.5)
    two = StateWindow(observations.values[..., :2], 0.01)
    for method in (
        StrongFourDVar(Lorenz63(), **options),
        WeakFourDVar(Lorenz63(), **options, model_noise=0.01),
        ThreeDVar(Lorenz63(), **options),
    ):
        with pytest.raises(InvalidInputError, match="has no ensemble"):
            method.solve_states(observations, members=5)
        with pytest.raises(InvalidInputError, match="has 3 components"):
            method.solve_states(two)
        with pytest.raises(InvalidInputError, match="diverges"):
            method.solve_states(far)


def test_minimisation_starts_from_the_first_guess(chaos):
    """From the minimum, one step without annealing stays there; from the observations it cannot."""
    background, _, observations = chaos
    options = {"noise": 2**0.5, "climatology": background, "model_noise": 0.01}
    whole = WeakFourDVar(Lorenz63(), **options)
    again = WeakFourDVar(Lorenz63(), **options, stages=(1,), iterations=1, first_guess=whole)
    expected = whole.solve_states(observations).mean
    times = observations.dt * np.arange(observations.values.shape[1])
    given = Observations.of_series({"state": observations.values}, times)
    assert np.abs(again.solve(given).mean["state"] - expected).mean() < 1e-2
    alone = WeakFourDVar(Lorenz63(), **options, stages=(1,), iterations=1)
    with pytest.warns(XdvarnetWarning, match="did not converge"):
        assert np.abs(alone.solve_states(observations).mean - expected).mean() > 1


def make_each(dynamics, options):
    return (
        StrongFourDVar(dynamics, **options),
        WeakFourDVar(dynamics, **options, model_noise=0.01),
        ThreeDVar(dynamics, **options),
    )


def test_models_whose_tendency_does_not_fit_are_refused(chaos):
    background, _, observations = chaos
    options = {"noise": 1.0, "climatology": background}
    for method in make_each(lambda state: state[..., :2], options):
        with pytest.raises(InvalidInputError, match=r"has the shape \(2, 2\)"):
            method.solve_states(observations)
    for method in make_each(lambda state: state.numpy(), options):
        with pytest.raises(InvalidTypeError, match="tendency is a ndarray"):
            method.solve_states(observations)


def test_observations_in_other_units_are_told_of(chaos):
    """The farthest value, in standard deviations of the background, is computed here anew."""
    background, _, observations = chaos
    values = 1e4 * observations.values[:3]
    std = np.sqrt(np.diag(background.covariance))
    farthest = np.nanmax(np.abs(values - background.mean) / std)
    method = WeakFourDVar(Lorenz63(), noise=2**0.5, climatology=background, model_noise=0.01)
    with pytest.raises(InvalidInputError, match="same units") as caught:
        method.solve_states(StateWindow(values, observations.dt))
    assert f"{farthest:.3g} of its standard deviations" in str(caught.value)
