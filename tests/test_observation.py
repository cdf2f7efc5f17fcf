"""The misfit to observations: its cost, and the gradient that is written out."""

import numpy as np
import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.data import Data
from xdvarnet.solver.observation import InitialBackground, MaskedObservation
from xdvarnet.solver.priors.linear import LinearPrior
from xdvarnet.solver.steps import GradientStep
from xdvarnet.solver.variational import VariationalSolver

SHAPE = (3, 4, 5, 7)  # batch, channels, latitude, longitude
CHANNELS = [slice(None), slice(1, 3), slice(0, None, 2), slice(3, 4)]


def make_state(*, seed: int = 0) -> torch.Tensor:
    """Return a state in double precision."""
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make_data(channels: slice = slice(None)) -> Data:
    """Observe about half of the cells of some channels."""
    values = make_state(seed=1)[:, channels]
    seen = torch.rand(values.shape, generator=torch.Generator().manual_seed(2)) > 0.5
    return Data.from_gappy(torch.where(seen, values, torch.nan))


@pytest.mark.parametrize("noise", [0.02, 1.0, 3.5])
@pytest.mark.parametrize("channels", CHANNELS)
def test_gradient_is_that_of_the_cost(channels, noise):
    term, data = MaskedObservation(noise=noise, channels=channels), make_data(channels)
    state = make_state().requires_grad_()
    (expected,) = torch.autograd.grad(term.cost(state, data).sum(), state)
    gradient = term.gradient(state.detach(), data)
    assert gradient.shape == SHAPE
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=0)
    assert torch.autograd.gradcheck(lambda x: term.cost(x, data), state)


def test_cost_by_hand():
    """Two of four cells seen, misfits 3 and 4 noises: 25 / 4."""
    state = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    data = Data.from_gappy(torch.tensor([[[[2.5, torch.nan], [torch.inf, 2.0]]]]))
    cost = MaskedObservation(noise=0.5).cost(state, data)
    assert cost.tolist() == [pytest.approx((9 + 16) / 4)]


def test_cost_belongs_to_a_sample():
    term, state, data = MaskedObservation(noise=0.3), make_state(), make_data()
    costs = term.cost(state, data)
    assert costs.shape == SHAPE[:1]
    for i in range(SHAPE[0]):
        alone = Data(data.values[i : i + 1], data.mask[i : i + 1])
        torch.testing.assert_close(term.cost(state[i : i + 1], alone), costs[i : i + 1])


def test_cost_is_in_units_of_the_noise():
    state, data = make_state(), make_data()
    fine, coarse = (MaskedObservation(noise=noise).cost(state, data) for noise in (0.1, 0.4))
    torch.testing.assert_close(fine, 16 * coarse)


def test_only_observed_cells_count():
    channels = slice(1, 3)
    term, data, state = MaskedObservation(channels=channels), make_data(channels), make_state()
    gradient = term.gradient(state, data)
    assert (gradient[:, [0, 3]] == 0).all()
    assert ((gradient[:, channels] != 0) == (data.mask > 0)).all()
    filled = Data(torch.where(data.mask > 0, data.values, 1e6), data.mask)
    torch.testing.assert_close(term.gradient(state, filled), gradient, rtol=0, atol=0)
    torch.testing.assert_close(term.cost(state, filled), term.cost(state, data), rtol=0, atol=0)


def test_mask_is_made_of_the_gaps():
    gappy = torch.tensor([[[[1.0, torch.nan, -torch.inf, 0.0]]]])
    data = Data.from_gappy(gappy)
    assert data.values.tolist() == [[[[1.0, 0.0, 0.0, 0.0]]]]
    assert data.mask.tolist() == [[[[1.0, 0.0, 0.0, 1.0]]]]
    assert data.mask.dtype == gappy.dtype
    assert gappy[0, 0, 0, 1].isnan()


def test_arguments_are_left_as_they_are():
    state, data = make_state(), make_data()
    before = [x.clone() for x in (state, data.values, data.mask)]
    MaskedObservation().cost(state, data)
    MaskedObservation().gradient(state, data)
    for now, then in zip((state, data.values, data.mask), before, strict=True):
        assert torch.equal(now, then)


@pytest.mark.parametrize("noise", [0, -0.02, float("nan")])
def test_noise_must_be_positive(noise):
    with pytest.raises(InvalidInputError, match=f"noise={noise} .* positive"):
        MaskedObservation(noise=noise)


def test_background_is_a_term_on_the_first_time():
    """Its gradient is that of autograd, and zero at all other times."""
    random = torch.Generator().manual_seed(0)
    state = torch.randn(2, 1, 5, 3, generator=random).requires_grad_()
    term = InitialBackground(mean=(0.0, 1.0, -2.0), std=(1.0, 0.5, 3.0))
    cost = term.cost(state, None)
    first = (state[0, 0, 0] - torch.tensor([0.0, 1.0, -2.0])) / torch.tensor([1.0, 0.5, 3.0])
    torch.testing.assert_close(cost[0], first.square().sum() / 15)
    (expected,) = torch.autograd.grad(cost.sum(), state)
    torch.testing.assert_close(term.gradient(state, None), expected)
    assert (expected[:, :, 1:] == 0).all()
    with pytest.raises(InvalidInputError, match="std=0"):
        InitialBackground(std=0)
    with pytest.raises(InvalidInputError, match="mean=nan"):
        InitialBackground(mean=float("nan"))
    for numbers in ({"mean": (0.0, 1.0)}, {"std": (1.0, 2.0)}, {"mean": [[0.0, 1.0, 2.0]]}):
        with pytest.raises(InvalidInputError, match="3 components"):
            InitialBackground(**numbers).cost(state, None)


@pytest.mark.parametrize("kind", [tuple, list, np.array, torch.tensor])
@pytest.mark.filterwarnings("error")
def test_background_takes_any_sequence(kind):
    term = InitialBackground(mean=kind([0.0, 1.0, -2.0]), std=kind([1.0, 0.5, 3.0]))
    assert (term.mean, term.std) == ((0.0, 1.0, -2.0), (1.0, 0.5, 3.0))
    assert InitialBackground(mean=np.float64(0.1)).mean == 0.1


def test_background_pulls_the_start_of_a_descent():
    """Without any observation, the solver's cost is least at the background."""
    prior = LinearPrior((1, 4, 2), patterns=1)
    solver = VariationalSolver(
        prior, [MaskedObservation(), InitialBackground(mean=3.0)], GradientStep()
    )
    nothing = Data(torch.zeros(1, 1, 4, 2), torch.zeros(1, 1, 4, 2))
    state = torch.zeros(1, 1, 4, 2)
    gradient = solver.gradient(state, [nothing, nothing])
    assert (gradient[:, :, 0] < 0).all()
    assert (gradient[:, :, 1:] == 0).all()
