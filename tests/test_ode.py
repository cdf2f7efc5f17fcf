"""The prior of a model: orbits cost nothing, no point predicts itself, derivatives, learning."""

import copy

import pytest
import torch
from torch import nn

from xdvarnet.dynamics.integration import integrate
from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.solver.data import Data
from xdvarnet.solver.layout import Layout
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.gibbs import GibbsPrior
from xdvarnet.solver.priors.ode import OdePrior
from xdvarnet.solver.steps import GradientStep
from xdvarnet.solver.variational import VariationalSolver

METHODS = pytest.mark.parametrize("method", ["euler", "rk4"])


def make_state(*shape: int) -> torch.Tensor:
    return 4 * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def make_correction() -> GibbsPrior:
    torch.manual_seed(1)
    return GibbsPrior(
        kernel=(3, 1), downscale=(2, 1), hidden=4, layout=Layout(components=3)
    ).double()


@pytest.mark.parametrize(("method", "tolerance"), [("euler", 1e-9), ("rk4", 0.1)])
def test_orbits_of_the_scheme_cost_nothing_and_others_something(method, tolerance):
    """With a rho that is wrong by one, the tendency of y is wrong by x."""
    start = torch.tensor([[[1.0, 2, 20]], [[-5, -7, 18]]], dtype=torch.float64)
    orbit = integrate(Lorenz63(), start, 11, 0.01, method)
    prior = OdePrior(Lorenz63(), 0.01, method=method)
    torch.testing.assert_close(prior.cost(orbit), torch.zeros(2).double(), rtol=0, atol=1e-24)
    expected = (0.01 * orbit[:, :, :-1, 0]).square().sum((1, 2)) / 36
    wrong = OdePrior(Lorenz63(rho=29.0), 0.01, method=method)
    torch.testing.assert_close(wrong.cost(orbit), expected, rtol=tolerance, atol=0)


def test_cost_by_hand():
    """Where nothing changes in time, the state is expected where it was: |dx|^2 / n."""
    state = torch.tensor([[[[1.0, 5.0], [2.0, 5.0], [4.0, 8.0]]], [[[0.0, 0.0]] * 3]])
    prior = OdePrior(_Still(), 0.1)
    torch.testing.assert_close(prior.cost(state), torch.tensor([(1 + 4 + 9) / 6, 0.0]))


def test_the_first_time_is_free():
    """Of a linear decay, the first state may be anything that decays to the second."""
    state = torch.tensor([[[[1.0]], [[0.5]], [[0.25]]]]).reshape(1, 1, 3, 1)
    assert OdePrior(_Decay(0.5), 1.0, method="euler").cost(state).item() == 0
    assert OdePrior(_Decay(0.25), 1.0, method="euler").cost(state).item() > 0


@METHODS
@pytest.mark.parametrize("corrected", [False, True])
def test_no_time_predicts_itself(method, corrected):
    correction = make_correction() if corrected else None
    prior = OdePrior(Lorenz63(), 0.01, method=method, correction=correction)
    jacobian = torch.autograd.functional.jacobian(prior, make_state(1, 1, 7, 3))
    jacobian = jacobian[0, 0, :, :, 0, 0]  # time - 1, component, time, component
    assert jacobian.shape == (6, 3, 7, 3)
    for time in range(6):
        assert (jacobian[time, :, time + 1] == 0).all()
        assert (jacobian[time, :, time].abs() > 0).any()


def test_the_flow_is_causal_and_a_correction_looks_both_ways():
    state = make_state(1, 1, 7, 3)
    later = state.clone()
    later[:, :, 5] += 1
    plain, corrected = (OdePrior(Lorenz63(), 0.01, correction=c) for c in (None, make_correction()))
    assert torch.equal(plain(state)[:, :, :5], plain(later)[:, :, :5])
    assert not torch.equal(corrected(state)[:, :, 3], corrected(later)[:, :, 3])


def test_a_correction_is_added():
    state, correction = make_state(2, 1, 6, 3), make_correction()
    plain, corrected = (OdePrior(Lorenz63(), 0.01, correction=c) for c in (None, correction))
    torch.testing.assert_close(corrected(state), plain(state) + correction(state)[:, :, 1:])


@METHODS
def test_gradient_is_that_of_the_cost(method):
    prior = OdePrior(Lorenz96(5), 0.05, method=method, correction=None)
    state = make_state(2, 1, 4, 5)
    point = state.clone().requires_grad_()
    (expected,) = torch.autograd.grad(prior.cost(point).sum(), point)
    torch.testing.assert_close(prior.gradient(state, 0.5), 0.5 * expected)
    with torch.inference_mode():
        torch.testing.assert_close(prior.gradient(state, 0.5), 0.5 * expected)
    assert torch.autograd.gradcheck(prior.cost, point)
    assert torch.autograd.gradcheck(prior.gradient, point)


def test_samples_do_not_mix():
    prior, state = OdePrior(Lorenz63(), 0.02, correction=make_correction()), make_state(4, 1, 6, 3)
    torch.testing.assert_close(prior(state)[1:2], prior(state[1:2]))
    torch.testing.assert_close(prior.cost(state)[1:2], prior.cost(state[1:2]))
    torch.testing.assert_close(prior.gradient(state)[1:2], prior.gradient(state[1:2]))


def test_parameters_are_learned_from_orbits():
    """The minimum of the cost of true orbits is at the true parameters."""
    orbit = integrate(Lorenz63(), make_state(20, 1, 3), 10, 0.01)
    model = Lorenz63(sigma=9.0, rho=26.0, beta=3.0, learned=True)
    prior = OdePrior(model, 0.01)
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        cost = 1e4 * prior.cost(orbit).mean()
        cost.backward()
        return cost

    optimiser.step(closure)
    found = model.coefficients.detach()
    torch.testing.assert_close(found, Lorenz63().coefficients.detach(), rtol=1e-4, atol=0)
    assert not list(p for p in OdePrior(Lorenz63(), 0.01).parameters() if p.requires_grad)


def test_a_solver_descends_with_it():
    """Fixed steps lower the cost of gappy observations, and finally the error."""
    truth = integrate(Lorenz63(), torch.tensor([[[1.0, 2, 20]]]), 39, 0.01)
    data = [Data.from_gappy(torch.where(torch.arange(40)[:, None] % 4 == 0, truth, torch.nan))]
    solver = VariationalSolver(
        OdePrior(Lorenz63(), 0.01), MaskedObservation(), GradientStep(0.0), iterations=200
    )
    nn.init.constant_(solver.rate, 0.3)
    start = truth.mean((1, 2), keepdim=True).expand_as(truth)
    with torch.no_grad():
        end = solver(start, data)
        assert solver.cost(end, data) < 0.1 * solver.cost(start, data)
    assert (end - truth).square().mean() < 0.3 * (start - truth).square().mean()


def test_copies_give_the_same():
    prior, state = OdePrior(Lorenz63(), 0.01, correction=make_correction()), make_state(2, 1, 5, 3)
    other = OdePrior(Lorenz63(rho=5.0), prior.dt, method=prior.method, correction=make_correction())
    other.load_state_dict(prior.state_dict())
    assert torch.equal(other(state), prior(state))
    assert torch.equal(copy.deepcopy(prior)(state), prior(state))


def test_bad_input_is_refused():
    with pytest.raises(InvalidInputError, match="dt=0"):
        OdePrior(Lorenz63(), 0)
    for kind in ("lorenz63", Lorenz63):
        with pytest.raises(InvalidTypeError, match="is no model that gives the tendency"):
            OdePrior(kind, 0.1)
    with pytest.raises(UnknownNameError, match="'rk2' is unknown"):
        OdePrior(Lorenz63(), 0.1, method="rk2")
    prior = OdePrior(Lorenz63(), 0.1)
    for shape in ((2, 1, 1, 3), (2, 9, 3)):
        with pytest.raises(InvalidInputError, match="at least two times"):
            prior(torch.zeros(shape))
    with pytest.raises(InvalidInputError, match="Lorenz63 has 3 components"):
        prior(torch.zeros(2, 1, 9, 4))


class _Still(nn.Module):
    def forward(self, state):
        return torch.zeros_like(state)


class _Decay(nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, state):
        return -self.rate * state
