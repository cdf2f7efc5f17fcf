"""Minimisation by standard optimisers: where it arrives, and how."""

import math

import pytest
import torch

from xdvarnet.dynamics.lorenz import Lorenz63
from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.solver.data import Data
from xdvarnet.solver.minimisation import Minimisation
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.linear import LinearPrior
from xdvarnet.solver.priors.ode import OdePrior
from xdvarnet.solver.priors.projection import Projection
from xdvarnet.solver.steps import GradientStep
from xdvarnet.solver.variational import VariationalSolver

SHAPE = (1, 5, 3)
CELLS = math.prod(SHAPE)
NOISE, WEIGHTS = 0.7, (2.0, 3.0)
OPTIMISERS = pytest.mark.parametrize(
    ("optimiser", "rate", "iterations", "tolerance"),
    [("sgd", 0.1, 600, 1e-4), ("adam", 0.05, 600, 1e-4), ("lbfgs", 1.0, 60, 1e-4)],
)


class Nothing(Projection):
    """A prior that says nothing: every state is its own projection."""

    def forward(self, state):
        return state


def make_prior() -> LinearPrior:
    """Projection on four patterns of a window."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(20, *SHAPE, generator=generator, dtype=torch.float64)
    return LinearPrior(SHAPE, patterns=4).double().fit(states)


def make_data(batch: int = 3) -> Data:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(batch, *SHAPE, generator=generator, dtype=torch.float64)
    mask = torch.zeros_like(values)
    mask[:, :, ::2] = 1
    return Data(values, mask)


def make_descent(optimiser: str = "sgd", rate: float = 0.1, iterations: int = 5) -> Minimisation:
    return Minimisation(
        make_prior(),
        MaskedObservation(noise=NOISE),
        optimiser=optimiser,
        rate=rate,
        iterations=iterations,
        weights=WEIGHTS,
    )


def minimum(prior: LinearPrior, data: Data) -> torch.Tensor:
    """Minimum of the cost by one dense solution for each sample."""
    outside = torch.eye(CELLS).double() - prior.basis.mT @ prior.basis
    mean = prior.mean.flatten()
    found = []
    for values, mask in zip(data.values.flatten(1), data.mask.flatten(1), strict=True):
        precision = WEIGHTS[0] / NOISE**2 * torch.diag(mask)
        right = precision @ values + WEIGHTS[1] * outside @ mean
        found.append(torch.linalg.solve(precision + WEIGHTS[1] * outside, right))
    return torch.stack(found).view(-1, *SHAPE)


@OPTIMISERS
def test_the_minimum_of_a_quadratic_cost_is_reached(optimiser, rate, iterations, tolerance):
    data = make_data()
    descent = make_descent(optimiser, rate, iterations)
    result = descent(torch.zeros_like(data.values), [data])
    expected = minimum(descent.prior, data)
    torch.testing.assert_close(result, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_rate_does_not_depend_on_the_size_of_a_window(optimiser):
    """Where the prior says nothing, each cell descends by itself."""
    data = make_data()
    wide = Data(*(torch.cat([part, part], 2) for part in (data.values, data.mask)))
    descent = Minimisation(
        Nothing(), MaskedObservation(), optimiser=optimiser, rate=0.02, iterations=5
    )
    result = descent(torch.zeros_like(wide.values), [wide])
    expected = descent(torch.zeros_like(data.values), [data])
    torch.testing.assert_close(result, torch.cat([expected, expected], 2))


def test_a_plain_step_by_hand():
    """Cells of which the prior says nothing: x - r 2 w (x - y) / noise^2, where observed."""
    data = make_data()
    descent = Minimisation(
        Nothing(),
        MaskedObservation(noise=NOISE),
        optimiser="sgd",
        rate=0.05,
        iterations=1,
        weights=(2.0, 1.0),
    )
    start = torch.ones_like(data.values)
    expected = start - 0.05 * 2 * 2.0 * data.mask * (start - data.values) / NOISE**2
    torch.testing.assert_close(descent(start, [data]), expected)


def test_the_cost_and_its_gradient_are_those_of_the_variational_solver():
    data = make_data()
    descent = make_descent()
    solver = VariationalSolver(descent.prior, [*descent.observations], GradientStep(1.0)).double()
    solver.log_weights.data = torch.tensor(WEIGHTS).double().log()
    state = torch.ones_like(data.values)
    torch.testing.assert_close(descent.cost(state, [data]), solver.cost(state, [data]))
    torch.testing.assert_close(descent.gradient(state, [data]), solver.gradient(state, [data]))


@pytest.mark.parametrize(("optimiser", "rate"), [("sgd", 0.01), ("adam", 0.05), ("lbfgs", 1.0)])
def test_every_iteration_lowers_the_cost_of_a_model(optimiser, rate):
    """Not quadratic: Lorenz-63 in its own units."""
    truth = torch.tensor([1.0, 2.0, 20.0]) + torch.arange(12.0)[:, None] / 10
    data = Data(truth.expand(2, 1, 12, 3).double(), torch.ones(2, 1, 12, 3).double())
    descent = Minimisation(
        OdePrior(Lorenz63(), 0.01),
        MaskedObservation(),
        optimiser=optimiser,
        rate=rate,
        iterations=15,
    )
    start = torch.zeros_like(data.values)
    states = [start, *descent.path(start, [data])]
    costs = torch.stack([descent.cost(state, [data]) for state in states])
    assert len(states) == 16
    assert (costs.diff(dim=0) <= 0).all()
    assert (costs[-1] < 0.96 * costs[0]).all()
    assert torch.equal(descent(start, [data]), states[-1])


def test_quasi_newton_directions_need_fewer_iterations():
    data = make_data()
    start = torch.zeros_like(data.values)
    results = [
        make_descent(name, rate, 25)(start, [data]) for name, rate in [("lbfgs", 1.0), ("sgd", 0.1)]
    ]
    expected = minimum(make_prior(), data)
    newton, plain = ((result - expected).square().mean() for result in results)
    assert newton < 1e-3 * plain


def test_states_of_a_path_are_kept_apart():
    data = make_data()
    states = list(make_descent().path(torch.zeros_like(data.values), [data]))
    for earlier, later in zip(states, states[1:], strict=False):
        assert not torch.equal(earlier, later)


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "lbfgs"])
def test_a_path_leaves_the_mode_of_gradients(optimiser):
    data = make_data()
    for _ in make_descent(optimiser).path(torch.zeros_like(data.values), [data]):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


def test_parameters_of_the_prior_stay():
    data = make_data()
    prior = OdePrior(Lorenz63(learned=True), 0.01)
    before = prior.dynamics.coefficients.detach().clone()
    result = Minimisation(prior, MaskedObservation(), iterations=3)(data.values, [data])
    assert torch.equal(prior.dynamics.coefficients, before)
    assert prior.dynamics.coefficients.grad is None
    assert not result.requires_grad


def test_a_descent_that_diverges_is_an_error():
    data = make_data()
    with pytest.raises(InvalidInputError, match=r"rate=100 diverges.*smaller rate"):
        make_descent("sgd", rate=100.0, iterations=500)(data.values, [data])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rate": 0.0}, "rate=0"),
        ({"rate": float("nan")}, "rate=nan"),
        ({"iterations": 0}, "iterations=0"),
        ({"weights": (1.0,)}, "give 2 finite"),
        ({"weights": (1.0, -1.0)}, "none negative"),
        ({"weights": (1.0, float("inf"))}, "finite"),
    ],
)
def test_numbers_out_of_range_are_refused(given, message):
    with pytest.raises(InvalidInputError, match=message):
        Minimisation(make_prior(), MaskedObservation(), **given)


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(UnknownNameError, match=r"'newton'.*sgd, adam, lbfgs"):
        Minimisation(make_prior(), MaskedObservation(), optimiser="newton")


def test_data_are_one_for_each_term():
    data = make_data()
    with pytest.raises(InvalidInputError, match="1 observation terms and 2 data"):
        make_descent()(data.values, [data, data])
