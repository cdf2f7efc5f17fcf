"""The cost of 4DVar windows: least squares of scipy, its parts, its derivatives and its steps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from xdvarnet.methods.linear_smoother import apply, smooth
from xdvarnet.methods.window_cost import TOLERANCE, WindowCost, step_and_jacobian

SAMPLES, TIMES = 3, 7
MEAN, COVARIANCE = np.array([0.5, -0.3]), np.array([[0.8, 0.2], [0.2, 0.5]])


def pendulum(state: torch.Tensor) -> torch.Tensor:
    angle, speed = state.unbind(-1)
    return torch.stack([angle + 0.4 * speed, 0.9 * speed - 0.5 * angle.sin()], -1)


def make_cost(model_noise: float) -> WindowCost:
    """Noisy observations of swings that begin somewhere in the background."""
    rng = np.random.default_rng(1)
    shape = (SAMPLES, TIMES, 2)
    precision = rng.uniform(2, 9, shape) * (rng.random(shape) < 0.6)
    values = 0.4 * rng.standard_normal(shape)
    arrays = map(torch.from_numpy, (MEAN, COVARIANCE, values, precision))
    cost = WindowCost(pendulum, *arrays, model_noise)
    start = torch.from_numpy(rng.multivariate_normal(MEAN, COVARIANCE, SAMPLES))
    return replace(cost, values=cost.values + cost.run(start))


def residuals(cost: WindowCost, sample: int):
    """What the cost squares, as a function of the control in numpy: all states, or the first."""
    values, precision = cost.values[sample].numpy(), cost.precision[sample].numpy()
    white = np.linalg.inv(np.linalg.cholesky(COVARIANCE))

    def forward(state):
        return np.array([state[0] + 0.4 * state[1], 0.9 * state[1] - 0.5 * np.sin(state[0])])

    def of_states(states):
        parts = [white @ (states[0] - MEAN), (np.sqrt(precision) * (states - values)).ravel()]
        if cost.model_noise:
            jumps = [states[t + 1] - forward(states[t]) for t in range(TIMES - 1)]
            parts.append(np.ravel(jumps) / cost.model_noise)
        return np.concatenate(parts)

    def of_control(control):
        states = list(control.reshape(-1, 2))
        while len(states) < TIMES:
            states.append(forward(states[-1]))
        return of_states(np.array(states))

    return of_control


@pytest.mark.parametrize("model_noise", [0.4, 0.0])
def test_minimum_and_its_error_are_those_of_least_squares(model_noise):
    """Within the tolerance of the cost, which is that of a twentieth of a standard deviation."""
    cost = make_cost(model_noise)
    first = cost.run(cost.mean.expand(SAMPLES, -1))
    found, converged = cost.minimise(first, 50)
    assert converged.all()
    reached = cost.cost(found).numpy()
    assert (reached < cost.cost(first).numpy() - 1).all()
    for sample in range(SAMPLES):
        start = first[sample].numpy().ravel() if model_noise else MEAN
        best = least_squares(residuals(cost, sample), start, xtol=1e-14, gtol=1e-14, ftol=1e-14)
        error = np.linalg.inv(best.jac.T @ best.jac)
        states = found[sample] if model_noise else found[sample, :1]
        away = (states.numpy().ravel() - best.x) / np.sqrt(np.diag(error))
        assert np.abs(away).max() < 0.05
        assert 0 <= reached[sample] - best.cost + 1e-9 < TOLERANCE
        control = torch.from_numpy(best.x).reshape(1, -1, 2)
        exact = control if model_noise else cost.run(control[:, 0])
        alone = cost.take(slice(sample, sample + 1))
        assert alone.cost(exact).item() == pytest.approx(best.cost)
        _, variance = smooth(alone.linearise(exact), variance=True)
        np.testing.assert_allclose(variance[0, 0], np.diag(error)[:2], rtol=1e-5)


@pytest.mark.parametrize("model_noise", [0.4, 0.0])
def test_no_iteration_leads_uphill(model_noise):
    """Where steps without damping do."""
    cost = replace(
        make_cost(model_noise),
        step=lambda state: pendulum(state) - torch.tensor([0, 2.5]) * state[..., :1].sin(),
    )
    trajectory = cost.run(cost.mean.expand(SAMPLES, -1) + 1)
    plain = [trajectory]
    for _ in range(6):
        plain.append(cost.move(plain[-1], cost.damped_step(plain[-1], torch.zeros(SAMPLES))[0]))
    plain = torch.stack([cost.cost(one) for one in plain])
    assert (plain.diff(dim=0) > 0).any()
    costs = torch.stack([cost.cost(cost.minimise(trajectory, count)[0]) for count in range(8)])
    assert not cost.minimise(trajectory, 0)[1].any()
    assert torch.equal(costs[0], plain[0])
    assert (costs.diff(dim=0) <= 0).all()
    assert (costs[-1] < costs[0] - 1).all()


def test_the_cost_of_a_linear_model_is_predicted_exactly():
    """The step without damping is at the minimum at once; damping shortens it."""
    matrix = torch.tensor([[0.9, 0.4], [-0.3, 1.1]], dtype=torch.float64)
    cost = replace(make_cost(0.4), step=lambda state: apply(matrix, state))
    trajectory = torch.ones(SAMPLES, TIMES, 2, dtype=torch.float64)
    lengths = []
    for damping in (0.0, 0.3, 10.0, 1e12):
        increment, predicted = cost.damped_step(trajectory, torch.full((SAMPLES,), damping))
        torch.testing.assert_close(predicted, cost.cost(cost.move(trajectory, increment)))
        lengths.append((increment * (cost.precision > 0).any(-1, keepdim=True)).norm(dim=(1, 2)))
    assert all(
        (after < before).all() for before, after in zip(lengths[:-1], lengths[1:], strict=True)
    )
    assert (lengths[-1] < 1e-9).all()
    best = trajectory + cost.damped_step(trajectory, torch.zeros(SAMPLES))[0]
    best.requires_grad_()
    (gradient,) = torch.autograd.grad(cost.cost(best).sum(), best)
    assert gradient.abs().max() < 1e-10


def test_costs_are_those_of_their_samples_and_times():
    cost, start = make_cost(0.4), torch.tensor([[0.1, 0.9], [2.0, -1], [-0.4, 0]]).double()
    trajectory = cost.run(start) + 0.1
    every = cost.cost(trajectory)
    rows = torch.tensor([2, 0])
    torch.testing.assert_close(cost.take(rows).cost(trajectory[rows]), every[rows])
    pieces = [cost.until(t).cost(trajectory[:, :t]) for t in range(1, TIMES + 1)]
    assert all((b > a).all() for a, b in zip(pieces[:-1], pieces[1:], strict=True))
    torch.testing.assert_close(pieces[-1], every)


def test_jacobian_is_that_by_hand():
    state = torch.tensor([[[0.3, 2.0], [-1.2, 0.5], [4.0, 1.0]]], dtype=torch.float64)
    value, jacobian = step_and_jacobian(pendulum, state)
    torch.testing.assert_close(value, pendulum(state))
    expected = torch.tensor([[1, 0.4], [0, 0.9]], dtype=torch.float64).repeat(1, 3, 1, 1)
    expected[..., 1, 0] = -0.5 * state[..., 0].cos()
    torch.testing.assert_close(jacobian, expected)
