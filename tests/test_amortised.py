"""Amortised 4DVar: orbits of the model, their jumps, and gradients through them."""

import pytest
import torch
from torch import nn

from xdvarnet.dynamics.integration import integrate
from xdvarnet.dynamics.lorenz import Lorenz63
from xdvarnet.dynamics.rescaled import Rescaled
from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.solver.data import Data
from xdvarnet.solver.inversions.amortised import AmortisedFourDVar
from xdvarnet.solver.inversions.direct import DirectInversion
from xdvarnet.solver.priors.ode import OdePrior

TIMES = 22
SEGMENTS = pytest.mark.parametrize("segment", [None, 1, 5, 11, TIMES, 50])


class _FirstGuess(nn.Module):
    """Finds what it is given, times a factor that it could learn."""

    context = 0

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor, dtype=torch.float64))

    def forward(self, first_guess: torch.Tensor, data: list, context: None) -> torch.Tensor:
        return self.factor * first_guess


class _Explosion(nn.Module):
    components = 3

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        return state**3


def make_dynamics(rho: float = 28.0) -> Rescaled:
    model = Lorenz63(rho=rho, learned=True)
    return Rescaled(model, (0.0, 0.0, 23.5), (8.0, 9.0, 8.6))


def make_states(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def times_of_jumps(segment: int | None) -> list[int]:
    return list(range(segment, TIMES, segment)) if segment else []


@SEGMENTS
@pytest.mark.parametrize("method", ["rk4", "euler"])
def test_segments_are_orbits(segment, method):
    """All that the cost of the model sees are the jumps between them."""
    dynamics = make_dynamics()
    inversion = AmortisedFourDVar(_FirstGuess(), dynamics, 0.01, method=method, segment=segment)
    state = inversion(make_states(4, 1, TIMES, 3), [], None)
    prior = OdePrior(dynamics, 0.01, method=method)
    residual = state[:, :, 1:] - prior(state)
    jumps = times_of_jumps(segment)
    inside = [time for time in range(1, TIMES) if time not in jumps]
    assert residual[:, :, [time - 1 for time in inside]].square().sum() < 1e-20
    assert (residual[:, :, [time - 1 for time in jumps]].abs().amax((0, 1, 3)) > 0.1).all()
    expected = residual[:, :, [time - 1 for time in jumps]].square().sum((1, 2, 3)) / (3 * TIMES)
    torch.testing.assert_close(prior.cost(state), expected)


@SEGMENTS
def test_segments_start_where_the_network_finds(segment):
    found = make_states(4, 1, TIMES, 3)
    inversion = AmortisedFourDVar(_FirstGuess(), make_dynamics(), 0.01, segment=segment, bound=1e6)
    starts = [0, *times_of_jumps(segment)]
    state = inversion(found, [], None)
    torch.testing.assert_close(state[:, :, starts], found[:, :, starts])


def test_a_window_is_the_orbit_of_its_first_time():
    dynamics, found = make_dynamics(), make_states(2, 1, TIMES, 3)
    state = AmortisedFourDVar(_FirstGuess(), dynamics, 0.01, bound=1e6)(found, [], None)
    torch.testing.assert_close(state, integrate(dynamics, found[:, :, 0], TIMES - 1, 0.01))


def test_starts_are_bounded():
    found = 1e4 * make_states(2, 1, TIMES, 3)
    inversion = AmortisedFourDVar(_FirstGuess(), make_dynamics(), 0.01, segment=4, bound=3.0)
    state = inversion(found, [], None)
    assert torch.isfinite(state).all()
    assert state[:, :, ::4].abs().max() <= 3


def test_gradients_are_those_of_finite_differences():
    """By the network's and the model's parameters and by the first guess."""
    torch.manual_seed(0)
    network = DirectInversion(nn.Conv2d(3, 1, 1).double())
    inversion = AmortisedFourDVar(network, make_dynamics(), 0.01, segment=4)
    data = [Data(*make_states(2, 2, 1, 7, 3))]
    names, values = zip(*inversion.named_parameters(), strict=True)
    assert "dynamics.dynamics.coefficients" in names

    def misfit(first_guess: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        learned = dict(zip(names, parameters, strict=True))
        inputs = (first_guess, data, None)
        return (torch.func.functional_call(inversion, learned, inputs) - 1).square().mean()

    first_guess = make_states(2, 1, 7, 3).requires_grad_()
    assert torch.autograd.gradcheck(misfit, (first_guess, *values))


def test_a_parameter_of_the_model_is_found_from_observations_of_x():
    truth = integrate(make_dynamics(), make_states(8, 1, 3), 60, 0.01).detach()
    inversion = AmortisedFourDVar(_FirstGuess(), make_dynamics(rho=25.0), 0.01, bound=1e6)
    coefficients = inversion.dynamics.dynamics.coefficients
    optimiser = torch.optim.LBFGS([coefficients], max_iter=60, line_search_fn="strong_wolfe")

    def misfit() -> torch.Tensor:
        optimiser.zero_grad()
        cost = (inversion(truth, [], None) - truth)[..., 0].square().sum()
        cost.backward()
        return cost

    optimiser.step(misfit)
    expected = torch.tensor([10.0, 28.0, 8 / 3], dtype=torch.float64)
    torch.testing.assert_close(coefficients.detach(), expected, rtol=1e-3, atol=0)


def test_divergence_is_an_error_in_evaluation_only():
    inversion = AmortisedFourDVar(_FirstGuess(), _Explosion(), 0.5, segment=20)
    found = torch.ones(1, 1, 20, 3)
    assert not torch.isfinite(inversion.train()(found, [], None)).all()
    with pytest.raises(InvalidInputError, match=r"diverges.*segment=20"):
        inversion.eval()(found, [], None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dt": 0.0}, "dt=0"),
        ({"bound": -1.0}, "bound=-1"),
        ({"bound": float("nan")}, "bound=nan"),
        ({"segment": 0}, "segment=0"),
    ],
)
def test_numbers_out_of_range_are_refused(given, message):
    with pytest.raises(InvalidInputError, match=message):
        AmortisedFourDVar(**{"network": _FirstGuess(), "dynamics": _Explosion(), "dt": 1.0} | given)


def test_an_unknown_method_is_refused():
    with pytest.raises(UnknownNameError, match="rk5"):
        AmortisedFourDVar(_FirstGuess(), _Explosion(), 1.0, method="rk5")
