"""The SPDE prior: its cost, gradient and likelihood in dense algebra, its minimum, its learning."""

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.data import Data
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.spde import PARAMETERS, RANGE, SPDEPrior
from xdvarnet.solver.steps import ConvLSTMStep, GradientStep
from xdvarnet.solver.variational import VariationalSolver
from xdvarnet.training.loop import autocast

DAYS, SIZE, SPACING = 3, (5, 7), (12.0, 20.0)
CELLS = DAYS * SIZE[0] * SIZE[1]


def make_prior(*, varied: bool = True, augmented: bool = False, **changes) -> SPDEPrior:
    """Return a prior whose parameters vary in space."""
    options = {"spacing": SPACING, "length": 60.0, "time": 4.0, "std": 1.3, "knots": (2, 3)}
    prior = SPDEPrior(DAYS, augmented=augmented, **{**options, **changes})
    if varied:
        torch.manual_seed(1)
        nn.init.normal_(prior.base, std=0.02)
    return prior.double()


def make_state(prior: SPDEPrior, batch: int = 2) -> torch.Tensor:
    random = torch.Generator().manual_seed(2)
    shape = (batch, prior.channels, *SIZE)
    return 0.5 * torch.randn(shape, generator=random, dtype=torch.float64)


def dense(prior: SPDEPrior, state: torch.Tensor) -> torch.Tensor:
    """Return the precision of one equation."""
    return prior.chain(state).precision().to_dense().detach()


def test_cost_and_gradient_are_those_of_the_dense_matrix():
    prior = make_prior()
    state = make_state(prior)
    precision = dense(prior, state)
    flat = state.flatten(1)
    torch.testing.assert_close(
        prior.cost(state), ((flat @ precision) * flat).sum(1) / CELLS, rtol=1e-9, atol=0
    )
    expected = (2 / CELLS * flat @ precision).view_as(state)
    torch.testing.assert_close(prior.gradient(state), expected, rtol=1e-8, atol=1e-10)
    with torch.no_grad():
        found = prior.gradient(state, 0.5)
    torch.testing.assert_close(found, 0.5 * expected, rtol=1e-8, atol=1e-10)


def test_training_cost_is_the_likelihood_of_the_truth():
    prior = make_prior()
    state, truth = make_state(prior), 2 * make_state(prior).flip(0)
    normal = torch.distributions.MultivariateNormal(
        torch.zeros(CELLS, dtype=torch.float64), precision_matrix=dense(prior, state)
    )
    constant = torch.log(torch.tensor(2 * torch.pi)) / 2
    expected = -normal.log_prob(truth.flatten(1)) / CELLS - constant
    torch.testing.assert_close(prior.training_cost(state, truth), expected, rtol=1e-8, atol=0)


def test_parameters_in_the_state_are_those_of_each_sample():
    """An augmented state costs what the same days cost under its own parameters."""
    augmented, plain = (make_prior(augmented=flag, knots=(1, 1)) for flag in (True, False))
    state = make_state(augmented)
    state[:, DAYS:] = 0.3 * state[:, DAYS:, :1, :1]  # constant in space: what one knot can say
    truth = make_state(plain)
    for i in range(2):
        one = SPDEPrior(
            DAYS, spacing=SPACING, length=60.0, time=4.0, std=1.3, augmented=True
        ).double()
        offset = augmented.parameters_in(state[i : i + 1]) - one.parameters_in(0 * state[:1])
        moved = torch.cat([state[i : i + 1, :DAYS], offset], 1)
        torch.testing.assert_close(augmented.cost(state)[i], one.cost(moved)[0], rtol=1e-9, atol=0)
        torch.testing.assert_close(
            augmented.training_cost(state, truth)[i],
            one.training_cost(moved, truth[i : i + 1])[0],
            rtol=1e-9,
            atol=0,
        )


def test_gradient_check_by_days_parameters_and_weights():
    prior = make_prior(augmented=True)
    state = 0.3 * make_state(prior, batch=1)[..., :3, :2]

    def costs(state, base):
        return torch.func.functional_call(prior, {"base": base}, (state,))

    prior.forward = lambda state: torch.stack(
        [prior.cost(state), prior.training_cost(state, state[:, :DAYS])]
    )
    inputs = [state.requires_grad_(), prior.base.detach().clone().requires_grad_()]
    assert torch.autograd.gradcheck(costs, inputs, fast_mode=True)


def test_gradient_of_an_augmented_state_is_that_of_its_cost():
    prior = make_prior(augmented=True)
    state = make_state(prior).requires_grad_()
    (expected,) = torch.autograd.grad(prior.cost(state).sum(), state)
    torch.testing.assert_close(prior.gradient(state), expected)
    assert all(expected[:, k].abs().max() > 0 for k in range(prior.channels))


def test_a_state_of_zeros_can_be_learned_from():
    """No axis and no amplitude: neither the angle nor anything else gives NaN."""
    prior = make_prior(varied=False, augmented=True)
    state = torch.zeros(1, prior.channels, *SIZE, dtype=torch.float64, requires_grad=True)
    (prior.gradient(state).sum() + prior.training_cost(state, state).sum()).backward()
    assert torch.isfinite(state.grad).all()
    assert torch.isfinite(prior.base.grad).all()
    assert prior.base.grad[:, :3].abs().max() > 0


def test_parameters_stay_within_their_range():
    prior = make_prior(augmented=True)
    state = 1e3 * make_state(prior)
    found = prior.parameters_of(state)
    assert ((found.length / 60).log().abs() <= RANGE + 1e-9).all()
    assert ((found.anisotropy.log() <= RANGE + 1e-9) & (found.anisotropy >= 1)).all()
    assert torch.isfinite(prior.cost(state)).all()


def test_the_first_channel_keeps_the_fine_scales():
    """Rate and noise, hence the precision of all but the large scales."""
    prior = make_prior(varied=False, augmented=True, knots=(1, 1))
    state = make_state(prior, batch=1)
    state[:, DAYS:] = 0
    other = state.clone()
    other[:, DAYS] = 0.2
    before, after = (vars(prior.parameters_of(one)) for one in (state, other))
    for kept in (
        lambda length, time, std: length**2 / time,
        lambda length, time, std: std**2 / (time * length**2),
    ):
        was, is_now = (
            kept(*(one[k] for k in ("length", "time", "std"))) for one in (before, after)
        )
        torch.testing.assert_close(is_now, was, rtol=0.03, atol=0)
    assert (after["length"] / before["length"]).log().mean().item() == pytest.approx(0.2, rel=0.02)


def test_an_axis_turns_by_half_the_angle_of_its_vector():
    prior = make_prior(varied=False, augmented=True, knots=(1, 1))
    state = torch.zeros(1, prior.channels, *SIZE, dtype=torch.float64)
    state[:, PARAMETERS.index("axis north") + DAYS] = 0.4
    found = prior.parameters_of(state)
    expected = torch.full_like(found.angle, torch.pi / 4)
    torch.testing.assert_close(found.angle, expected, rtol=0, atol=1e-3)
    shape = torch.full_like(expected, RANGE * torch.tanh(torch.tensor(0.4 / RANGE)))
    torch.testing.assert_close(found.anisotropy.log(), shape, rtol=1e-5, atol=0)


def test_preconditioning_undoes_the_prior_of_constant_parameters():
    """P grad J = x, with the base moved from its start; parameters are averaged."""
    prior = make_prior(varied=False, augmented=True)
    with torch.no_grad():
        prior.base[:, :3] = torch.tensor([0.01, -0.02, 0.015]).view(1, 3, 1, 1)
    state = make_state(prior)
    state[:, DAYS:] = 0
    found = prior.precondition(prior.gradient(state))
    torch.testing.assert_close(found[:, :DAYS], state[:, :DAYS], rtol=0, atol=1e-5)
    assert found.shape == state.shape


def make_problem(prior: SPDEPrior, noise: float):
    """Return a solver, its data, and the kriging of these in dense algebra."""
    random = torch.Generator().manual_seed(3)
    shape = (2, DAYS, *SIZE)
    values = torch.randn(shape, generator=random, dtype=torch.float64)
    mask = (torch.rand(shape, generator=random) < 0.4).double()
    solver = VariationalSolver(prior, MaskedObservation(noise=noise), GradientStep(0.0)).double()
    exact = []
    for seen, given in zip(mask.flatten(1) / noise**2, values.flatten(1), strict=True):
        exact.append(torch.linalg.solve(dense(prior, values) + seen.diag(), seen * given))
    return solver, [Data(values, mask)], torch.stack(exact).view(shape)


def test_the_minimum_is_kriging():
    """The cost is convex, and its gradient vanishes at the solution of the normal equations."""
    solver, data, exact = make_problem(make_prior(), 0.1)
    zero = torch.zeros_like(exact)
    at_start = solver.gradient(zero, data).abs().max()
    assert solver.gradient(exact, data).abs().max() < 1e-9 * at_start


def test_preconditioning_rounds_the_cost():
    """With parameters that the preconditioner does not know: the steps of a descent get longer."""
    prior = make_prior()
    solver, data, exact = make_problem(prior, 1.0)
    unit = torch.eye(CELLS, dtype=torch.float64).view(-1, *exact.shape[1:])
    with torch.no_grad():
        hessian = solver.gradient(unit, [Data(0 * unit, data[0].mask[:1].expand_as(unit))])
        plain, rounded = (
            torch.linalg.eigvals(one.flatten(1)).real
            for one in (hessian, prior.precondition(hessian))
        )
    assert (rounded > 0).all()
    assert rounded.max() / rounded.min() < 0.4 * plain.max() / plain.min()


def test_the_likelihood_is_greatest_at_the_true_parameters():
    """The mean slope is zero there, within four standard errors, and not at other parameters."""
    with torch.no_grad():
        truth = make_prior(varied=False, knots=(1, 1))
        truth.base[:, 3:] = torch.tensor([0.02, -0.01]).view(1, 2, 1, 1)
        fields = truth.chain(torch.zeros(1, DAYS, *SIZE)).sample(
            2000, torch.Generator().manual_seed(4)
        )
    slopes = []
    for some in fields.split(100):
        truth.base.grad = None
        truth.training_cost(some, some).mean().backward()
        slopes.append(truth.base.grad.flatten())
    slopes = torch.stack(slopes)
    error = slopes.std(0) / len(slopes) ** 0.5
    assert (slopes.mean(0).abs() < 4 * error).all()
    with torch.no_grad():
        truth.base += 0.01
    truth.base.grad = None
    truth.training_cost(fields, fields).mean().backward()
    assert (truth.base.grad.flatten().abs() > 4 * error).all()


def test_samples_do_not_depend_on_their_neighbours():
    prior = make_prior(augmented=True)
    state = make_state(prior, batch=3)
    together = prior.cost(state), prior.training_cost(state, state)
    for i in range(3):
        one = state[i : i + 1]
        torch.testing.assert_close(together[0][i : i + 1], prior.cost(one))
        torch.testing.assert_close(together[1][i : i + 1], prior.training_cost(one, one))


def test_low_precision_does_not_reach_the_quadratic_form():
    prior = make_prior().float()
    state = make_state(prior).float()
    exact = prior.cost(state), prior.gradient(state), prior.precondition(state)
    with autocast("cpu", "bfloat16"):
        rounded = prior.cost(state), prior.gradient(state), prior.precondition(state)
    assert all(torch.equal(one, other) for one, other in zip(exact, rounded, strict=True))


def test_a_solver_learns_state_and_parameters_together():
    prior = make_prior(augmented=True).float()
    step = ConvLSTMStep(prior.channels, hidden=4)
    nn.init.normal_(step.decode.weight, std=0.1)
    solver = VariationalSolver(
        prior, MaskedObservation(noise=0.5, channels=slice(DAYS)), step, iterations=2
    )
    truth = make_state(make_prior()).float()
    start = torch.zeros(2, prior.channels, *SIZE)
    state = solver(start, [Data(truth, torch.ones_like(truth))])
    assert state[:, DAYS:].abs().max() > 0
    loss = (state[:, :DAYS] - truth).square().mean() + solver.training_cost(state, truth).mean()
    loss.backward()
    for name, parameter in solver.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": -2.0}, "length of an SPDEPrior is out of range .*length=-2.0"),
        ({"time": float("nan")}, "time of an SPDEPrior"),
        ({"spacing": (0.0, 3.0)}, "spacing of an SPDEPrior"),
        ({"knots": (0, 3)}, "knots of an SPDEPrior"),
    ],
)
def test_bad_numbers_are_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        make_prior(varied=False, **changes)


def test_one_day_has_no_correlation_time():
    with pytest.raises(InvalidInputError, match="give two days or more"):
        SPDEPrior(1, spacing=SPACING, length=60.0, time=4.0)
