"""The smoother of a linear window: dense Gaussian algebra, and the limits of what is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from xdvarnet.methods.linear_smoother import LinearWindow, apply, smooth

SAMPLES, TIMES, NUMBER = 2, 5, 3


def make_window(model_variance: float) -> LinearWindow:
    """Another model at each time of each sample, and other errors of each observation."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((NUMBER, NUMBER))
    shape = (SAMPLES, TIMES, NUMBER)
    precision = rng.uniform(0.5, 4, shape) * (rng.random(shape) < 0.5)
    precision[:, 2] = 0  # nothing seen at this time
    arrays = (
        rng.standard_normal((SAMPLES, NUMBER)),
        root @ root.T + np.eye(NUMBER),
        np.eye(NUMBER) + 0.4 * rng.standard_normal((SAMPLES, TIMES - 1, NUMBER, NUMBER)),
        rng.standard_normal((SAMPLES, TIMES - 1, NUMBER)),
    )
    mean, covariance, transition, offset = map(torch.from_numpy, arrays)
    values, precision = torch.from_numpy(rng.standard_normal(shape)), torch.from_numpy(precision)
    return LinearWindow(mean, covariance, transition, offset, model_variance, values, precision)


def dense(window: LinearWindow, sample: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of all states of a sample, as the normal equations of its sources.

    The sources are the first state and the error of each step, of which the states are a linear
    function.
    """
    response = np.eye(TIMES * NUMBER)
    for t in range(1, TIMES):
        now, before = (slice(NUMBER * s, NUMBER * (s + 1)) for s in (t, t - 1))
        response[now] += window.transition[sample, t - 1].numpy() @ response[before]
    prior = np.concatenate([window.mean[sample], window.offset[sample].ravel()])
    spread = window.model_variance * np.eye(TIMES * NUMBER)
    spread[:NUMBER, :NUMBER] = window.covariance
    mean, covariance = response @ prior, response @ spread @ response.T
    seen = window.precision[sample].numpy().ravel()
    weighted = covariance * seen  # (1 + P W)^-1 needs no inverse of P or W
    kept = np.linalg.inv(np.eye(TIMES * NUMBER) + weighted)
    innovation = window.values[sample].numpy().ravel() - mean
    return mean + kept @ weighted @ innovation, kept @ covariance


@pytest.mark.parametrize("model_variance", [0.3, 0.0])
def test_mean_and_variance_are_those_of_dense_algebra(model_variance):
    window = make_window(model_variance)
    mean, variance = smooth(window, variance=True)
    for sample in range(SAMPLES):
        expected, covariance = dense(window, sample)
        np.testing.assert_allclose(mean[sample].ravel(), expected, atol=1e-9)
        np.testing.assert_allclose(variance[sample].ravel(), np.diag(covariance), atol=1e-9)
    alone, nothing = smooth(window)
    assert torch.equal(alone, mean)
    assert nothing is None


def test_without_observations_the_model_runs_freely():
    window = replace(make_window(0.3), precision=torch.zeros(SAMPLES, TIMES, NUMBER).double())
    mean, variance = smooth(window, variance=True)
    state = window.mean
    torch.testing.assert_close(mean[:, 0], state)
    for t in range(1, TIMES):
        state = apply(window.transition[:, t - 1], state) + window.offset[:, t - 1]
        torch.testing.assert_close(mean[:, t], state)
    torch.testing.assert_close(variance[:, 0], window.covariance.diagonal().expand(SAMPLES, -1))


def test_perfect_observations_are_met():
    window = make_window(0.3)
    exact = replace(window, precision=1e10 * (window.precision > 0))
    mean, variance = smooth(exact, variance=True)
    seen = exact.precision > 0
    torch.testing.assert_close(mean[seen], exact.values[seen], rtol=0, atol=1e-7)
    torch.testing.assert_close(
        variance[seen], torch.full_like(variance[seen], 1e-10), rtol=0.01, atol=1e-12
    )
    assert (variance[~seen] > 1e-3).all()


def test_a_covariance_may_be_singular():
    """With a perfect model, the states stay in the plane of what is uncertain at the start."""
    window = make_window(0.0)
    direction = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    window = replace(window, covariance=direction.mT @ direction)
    mean, variance = smooth(window, variance=True)
    change = mean[:, 0] - window.mean
    share = change / direction
    torch.testing.assert_close(share, share[:, :1].expand_as(share))
    assert share.abs().min() > 1e-3
    assert (variance > 0).all()
    for sample in range(SAMPLES):
        expected, covariance = dense(window, sample)
        np.testing.assert_allclose(mean[sample].ravel(), expected, atol=1e-9)
        np.testing.assert_allclose(variance[sample].ravel(), np.diag(covariance), atol=1e-9)
