"""Integration in time: orders of convergence, an independent scheme, derivatives, divergence."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from xdvarnet.dynamics.integration import integrate, reference_trajectory
from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError

START = torch.tensor([[1.0, 2.0, 20.0], [-5.0, -7.0, 18.0]], dtype=torch.float64)


def independent(start: list[float], times: np.ndarray) -> np.ndarray:
    """Lorenz-63 by a scheme of eighth order, written in numpy."""

    def tendency(_, state):
        x, y, z = state
        return [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]

    return solve_ivp(tendency, (0, times[-1]), start, "DOP853", times, rtol=1e-13, atol=1e-13).y.T


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk4", 4)])
def test_order_of_convergence(method, order):
    """With half the step, the error at one time falls by 2 to the power of the order."""
    exact = torch.from_numpy(independent(START[0].tolist(), np.array([0, 0.4])))[-1]
    errors = [
        (integrate(Lorenz63(), START[0], steps, 0.4 / steps, method)[-1] - exact).norm().item()
        for steps in (640, 1280)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_rk4_follows_the_flow():
    """Two units of time with the usual step, where errors grow tenfold or so."""
    times = 0.01 * np.arange(201)
    trajectory = integrate(Lorenz63(), START, 200, 0.01)
    assert trajectory.shape == (2, 201, 3)
    assert torch.equal(trajectory[:, 0], START)
    for start, states in zip(START, trajectory, strict=True):
        assert np.abs(states.numpy() - independent(start.tolist(), times)).max() < 0.01


def test_reference_agrees_with_a_scheme_of_higher_order():
    times = 0.01 * np.arange(201)
    trajectory = reference_trajectory(Lorenz63(), START, 200, 0.01)
    assert trajectory.shape == (2, 201, 3)
    for start, states in zip(START, trajectory, strict=True):
        assert np.abs(states.numpy() - independent(start.tolist(), times)).max() < 1e-5


def test_decay_is_exponential():
    """Each scheme multiplies by its polynomial of -dt; the reference by the exponential."""
    start = torch.tensor([3.0, -2.0], dtype=torch.float64)
    options = {"steps": 5, "dt": 0.3}
    powers = torch.arange(6, dtype=torch.float64)[:, None]
    for found, factor, tolerance in (
        (integrate(torch.neg, start, method="euler", **options), 0.7, 1e-12),
        (integrate(torch.neg, start, **options), 1 - 0.3 + 0.045 - 0.0045 + 0.0003375, 1e-12),
        (reference_trajectory(torch.neg, start, **options), np.exp(-0.3), 1e-7),
    ):
        torch.testing.assert_close(found, start * factor**powers, rtol=tolerance, atol=0)


def test_samples_do_not_mix():
    model = Lorenz96(6)
    start = torch.randn(4, 2, 6, generator=torch.Generator().manual_seed(1)).double()
    together = integrate(model, start, 12, 0.05)
    assert together.shape == (4, 2, 13, 6)
    torch.testing.assert_close(together[2, 1], integrate(model, start[2, 1], 12, 0.05))
    reference = reference_trajectory(model, start, 12, 0.05)
    alone = reference_trajectory(model, start[2, 1], 12, 0.05)
    torch.testing.assert_close(reference[2, 1], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_derivatives_exist_twice(method):
    start = START.clone().requires_grad_()

    def end(start):
        return integrate(Lorenz63(), start, 3, 0.01, method)[..., -1, :]

    assert torch.autograd.gradcheck(end, start)
    assert torch.autograd.gradgradcheck(end, start)


def test_divergence_says_when():
    """The step at which plain numbers overflow; and the time of the pole of 1 / (2 - t)."""
    value, steps = 2.0, 0
    while math.isfinite(value):
        value, steps = value + value * value, steps + 1
    start = torch.tensor([2.0], dtype=torch.float64)
    assert torch.isfinite(integrate(torch.square, start, steps - 1, 1.0, "euler")).all()
    message = rf"diverges: at step {steps} \(time {steps}\).*method='euler' and dt=1"
    with pytest.raises(InvalidInputError, match=message):
        integrate(torch.square, start, steps + 5, 1.0, "euler")
    with pytest.raises(InvalidInputError, match=r"diverges: at step 5 \(time 2\)"):
        reference_trajectory(torch.square, start / 4, 10, 0.4)


def test_too_large_a_step_diverges():
    assert torch.isfinite(integrate(Lorenz63(), START, 100, 0.05)).all()
    with pytest.raises(InvalidInputError, match="diverges"):
        integrate(Lorenz63(), START, 100, 0.5)


def test_divergence_in_one_sample_is_found():
    start = torch.tensor([[0.1], [30.0], [0.2]], dtype=torch.float64)
    with pytest.raises(InvalidInputError, match="diverges"):
        integrate(torch.square, start, 30, 0.1)


@pytest.mark.parametrize("way", [integrate, reference_trajectory])
def test_bad_numbers_are_refused(way):
    with pytest.raises(InvalidInputError, match="steps=0"):
        way(Lorenz63(), START, 0, 0.1)
    for dt in (0.0, -0.1, float("nan")):
        with pytest.raises(InvalidInputError, match="dt="):
            way(Lorenz63(), START, 2, dt)
    with pytest.raises(InvalidInputError, match="to start from"):
        way(Lorenz63(), START * float("nan"), 2, 0.1)


@pytest.mark.parametrize("way", [integrate, reference_trajectory])
def test_models_and_starts_of_another_kind_are_refused(way):
    with pytest.raises(InvalidTypeError, match="x0 is a ndarray"):
        way(Lorenz63(), START.numpy(), 2, 0.1)
    with pytest.raises(InvalidTypeError, match="tendency is a ndarray"):
        way(lambda state: -state.numpy(), START, 2, 0.1)
    for part in (slice(2), slice(1)):  # the second would be broadcast
        with pytest.raises(InvalidInputError, match=r"shape \(2, 3\) has the shape \(2, [12]\)"):
            way(lambda state, part=part: state[..., part], START, 2, 0.1)


def test_a_graph_is_made_for_what_is_learned():
    assert not integrate(Lorenz63(), START, 2, 0.1).requires_grad
    assert integrate(Lorenz63(learned=True), START, 2, 0.1).requires_grad
    with torch.no_grad():
        assert not integrate(torch.nn.Linear(3, 3).double(), START, 2, 0.1).requires_grad


def test_unknown_methods_are_refused():
    with pytest.raises(UnknownNameError, match="'rk5' is unknown; known are euler, rk4"):
        integrate(Lorenz63(), START, 2, 0.1, "rk5")
