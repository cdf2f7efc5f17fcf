"""The learned features of an observation: its cost, its gradient, and what it sees."""

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.description import build, describe
from xdvarnet.solver.data import Data
from xdvarnet.solver.features import FeatureObservation
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.bilinear import BilinearAutoencoder
from xdvarnet.solver.steps import ConvLSTMStep
from xdvarnet.solver.variational import VariationalSolver

SHAPE = 3, 5, 7, 10  # batch, channels, latitude, longitude


def make_term(**options: int) -> FeatureObservation:
    torch.manual_seed(0)
    term = FeatureObservation(slice(1, 3), slice(2, 5), features=4, hidden=6, **options)
    return term.double()


def draw(seed: int = 0) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make_data() -> Data:
    values = draw(1)
    return Data.from_gappy(torch.where(draw(2) > 0, values, torch.nan))


@pytest.mark.parametrize("downscale", [1, 2, 3])
def test_gradient_is_that_of_the_cost(downscale):
    term, state, data = make_term(downscale=downscale), draw(), make_data()
    point = state.clone().requires_grad_()
    (expected,) = torch.autograd.grad(term.cost(point, data).sum(), point)
    torch.testing.assert_close(term.gradient(state, data), expected)
    with torch.no_grad():
        without = term.gradient(state, data)
    with torch.inference_mode():
        copied = Data(data.values.clone(), data.mask.clone())
        inference = term.gradient(state.clone(), copied)
    assert torch.equal(without, inference)
    assert not without.requires_grad
    torch.testing.assert_close(without, expected)
    assert (expected[:, [0, 3, 4]] == 0).all()
    assert (expected[:, 1:3] != 0).any()


def test_both_networks_learn_from_the_gradient():
    term, state, data = make_term(), draw(), make_data()
    term.gradient(state, data).square().sum().backward()
    for parameter in term.parameters():
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().max() > 0


def test_cost_by_hand():
    """Features are means of squares: 2 of the state, 3 of the data, which are in half of it."""
    term = FeatureObservation(slice(0, 1), slice(0, 1), features=1, hidden=1, downscale=2)
    term.of_state = nn.AvgPool2d(2)
    term.of_data = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 1, 1, bias=False))
    term.of_data[1].weight.data = torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)
    data = Data.from_gappy(torch.tensor([[[[3.0, torch.nan], [torch.nan, 3.0]]]]))
    cost = term.cost(torch.full((1, 1, 2, 2), 2.0), data)
    assert cost.tolist() == [0.25]


def test_nothing_observed_costs_nothing():
    term, state = make_term(), draw()
    nothing = Data(draw(1), torch.zeros(SHAPE, dtype=torch.float64))
    assert (term.cost(state, nothing) == 0).all()
    assert (term.gradient(state, nothing) == 0).all()


def test_what_is_not_observed_is_not_seen():
    term, state, data = make_term(), draw(), make_data()
    filled = Data(torch.where(data.mask > 0, data.values, 1e6), data.mask)
    assert torch.equal(term.cost(state, filled), term.cost(state, data))
    others = Data(data.values.clone(), data.mask.clone())
    others.values[:, :2], others.mask[:, :2] = 7, 1
    assert torch.equal(term.cost(state, others), term.cost(state, data))


def test_cost_belongs_to_a_sample():
    term, state, data = make_term(), draw(), make_data()
    one = slice(1, 2)
    alone = term.cost(state[one], Data(data.values[one], data.mask[one]))
    torch.testing.assert_close(term.cost(state, data)[one], alone)


def test_it_stands_beside_other_terms():
    term = make_term().float()
    terms = [MaskedObservation(channels=slice(0, 2)), term]
    step = ConvLSTMStep(5, hidden=3)
    nn.init.normal_(step.decode.weight)
    solver = VariationalSolver(BilinearAutoencoder(5, hidden=3), terms, step, iterations=2)
    state, data = draw().float(), make_data()
    full = Data(data.values.float(), data.mask.float())
    part = Data(full.values[:, :2], full.mask[:, :2])
    solver(state, [part, full]).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in term.of_data.parameters())


@pytest.mark.parametrize("channels", [slice(None), slice(3, None), slice(2, 2), slice(-1)])
def test_slices_have_a_known_length(channels):
    with pytest.raises(InvalidInputError, match="positive stop"):
        FeatureObservation(channels, slice(0, 2))
    with pytest.raises(InvalidInputError, match="positive stop"):
        FeatureObservation(slice(0, 2), channels)


def test_it_is_described_and_built():
    term = make_term(downscale=3)
    classes = {"FeatureObservation": FeatureObservation}
    again = build(describe(term, arrays := {}), arrays, classes).double()
    again.load_state_dict(term.state_dict())
    assert torch.equal(again.cost(draw(), make_data()), term.cost(draw(), make_data()))
