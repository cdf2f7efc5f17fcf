"""The training loss: values by hand, land, and the mean over sea."""

import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.contracts import Solver
from xdvarnet.solver.losses import ReconstructionLoss, RelativeLoss, VariationalLoss

SHAPE = (2, 3, 4, 5)  # batch, channels, latitude, longitude


def make_fields() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return an analysis, a truth and the prior costs."""
    random = torch.Generator().manual_seed(0)
    state, truth = torch.randn(2, *SHAPE, generator=random)
    return state, truth, torch.rand(SHAPE[0], generator=random)


def make_weights() -> torch.Tensor:
    """Return weights of days, zero on land, broadcastable to the state."""
    sea = torch.ones(1, 1, *SHAPE[2:])
    sea[..., 1:3, 2] = 0
    sea[..., 0, 4] = 0
    return sea * torch.tensor([0.5, 1.0, 2.0]).view(1, 3, 1, 1)


def single(**weights: float) -> ReconstructionLoss:
    """Return a loss of the terms that are named alone."""
    return ReconstructionLoss(**{"field": 0.0, "gradient": 0.0, "prior": 0.0, **weights})


def test_field_term_by_hand():
    """Errors 1 and 3 with weights 2 and 1, another of weight 0: (2 + 9) / 3."""
    error = torch.tensor([[[[1.0, 3.0, 7.0]]]])
    weights = torch.tensor([[[[2.0, 1.0, 0.0]]]])
    loss = single(field=10.0)(error, torch.zeros_like(error), weights, torch.zeros(1))
    assert loss.item() == pytest.approx(10 * 11 / 3)


def test_gradient_term_by_hand():
    """The mean of squared differences along each dimension, and the sum of both."""
    error = torch.tensor([[[[0.0, 1.0, 3.0], [2.0, 2.0, 9.0]]]])
    along_latitude = (4 + 1 + 36) / 3
    along_longitude = (1 + 4 + 0 + 49) / 4
    loss = single(gradient=5.0)(error, torch.zeros_like(error), torch.ones(1), torch.zeros(1))
    assert loss.item() == pytest.approx(5 * (along_latitude + along_longitude))


def test_gradient_term_counts_pairs_of_sea_cells():
    """With land in a corner, two of the seven pairs are left out; a pair has its smaller weight."""
    error = torch.tensor([[[[0.0, 1.0, 3.0], [2.0, 2.0, 9.0]]]])
    weights = torch.tensor([[[[1.0, 1.0, 0.5], [1.0, 1.0, 0.0]]]])
    along_latitude = (4 + 1) / 2
    along_longitude = (1 + 0.5 * 4 + 0) / 2.5
    loss = single(gradient=1.0)(error, torch.zeros_like(error), weights, torch.zeros(1))
    assert loss.item() == pytest.approx(along_latitude + along_longitude)


def test_prior_term_is_the_mean_of_the_batch():
    state, _, _ = make_fields()
    loss = single(prior=0.5)(state, state, torch.ones(1), torch.tensor([1.0, 5.0]))
    assert loss.item() == pytest.approx(1.5)


def test_loss_is_the_sum_of_its_terms():
    state, truth, prior_cost = make_fields()
    weights = make_weights()
    terms = {"field": 2.0, "gradient": 3.0, "prior": 0.4}
    parts = [single(**{name: w})(state, truth, weights, prior_cost) for name, w in terms.items()]
    whole = ReconstructionLoss(**terms)(state, truth, weights, prior_cost)
    torch.testing.assert_close(whole, sum(parts))


def test_land_has_no_effect():
    """Neither on the loss nor on its derivative."""
    state, truth, prior_cost = make_fields()
    weights = make_weights()
    land = weights.expand(SHAPE) == 0
    loss = ReconstructionLoss()
    expected = loss(state, truth, weights, prior_cost)
    other = torch.where(land, 1e3, state).requires_grad_()
    value = loss(other, truth, weights, prior_cost)
    value.backward()
    assert torch.equal(value, expected)
    assert (other.grad[land] == 0).all()
    assert (other.grad[~land] != 0).all()


def test_loss_is_a_mean():
    """The scale of the weights and the number of samples do not matter."""
    state, truth, prior_cost = make_fields()
    weights, loss = make_weights(), ReconstructionLoss()
    expected = loss(state, truth, weights, prior_cost)
    torch.testing.assert_close(loss(state, truth, 7 * weights, prior_cost), expected)
    twice = [torch.cat([part, part]) for part in (state, truth)]
    torch.testing.assert_close(loss(*twice, weights, torch.cat([prior_cost] * 2)), expected)


def test_a_perfect_analysis_costs_the_prior_alone():
    state, _, prior_cost = make_fields()
    value = ReconstructionLoss(prior=0.02)(state, state, make_weights(), prior_cost)
    torch.testing.assert_close(value, 0.02 * prior_cost.mean())


@pytest.mark.parametrize("shape", [(1, 1, 1, 5), (1, 1, 4, 1), (1, 1, 1, 1)])
def test_one_row_has_no_gradient_across_it(shape):
    state = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    value = ReconstructionLoss()(state, torch.zeros(shape), torch.ones(shape), torch.zeros(1))
    assert torch.isfinite(value)


def test_land_alone_costs_nothing():
    state, truth, _ = make_fields()
    state.requires_grad_()
    value = ReconstructionLoss()(state, truth, torch.zeros(SHAPE), torch.zeros(SHAPE[0]))
    value.backward()
    assert value == 0
    assert (state.grad == 0).all()


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_are_finite_and_not_negative(weight):
    for name in ("field", "gradient", "prior"):
        with pytest.raises(InvalidInputError, match=f"{name}={weight}"):
            ReconstructionLoss(**{name: weight})
    for name in ("observation", "weight"):
        with pytest.raises(InvalidInputError, match=f"{name}={weight}"):
            VariationalLoss(None, **{name: weight})


class Fixed(Solver):
    """A network that gives a state, whatever it sees."""

    def __init__(self, state: torch.Tensor) -> None:
        super().__init__()
        self.state = state

    def forward(self, *_: object) -> torch.Tensor:
        return self.state


def relative_loss(state: torch.Tensor, guess: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the relative loss of an analysis that began with a guess."""
    batch = Batch(guess, truth, [], None, make_weights())
    return RelativeLoss(gradient=2.0, prior=0.0).evaluate(Fixed(state), batch)


def test_the_relative_loss_of_the_first_guess():
    """Its field term is one, whatever the units of each sample."""
    guess, truth, _ = make_fields()
    units = torch.tensor([1.0, 100.0]).view(2, 1, 1, 1)
    batch = Batch(units * guess, units * truth, [], None, make_weights())
    value = RelativeLoss(gradient=0.0, prior=0.0).evaluate(Fixed(units * guess), batch)
    assert value.item() == pytest.approx(1.0)


def test_the_relative_loss_has_no_units():
    """Samples of other units, and the mean of what both cost alone."""
    state, truth, _ = make_fields()
    guess = truth + torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    whole = relative_loss(state, guess, truth)
    units = torch.tensor([0.01, 30.0]).view(2, 1, 1, 1)
    torch.testing.assert_close(relative_loss(units * state, units * guess, units * truth), whole)
    alone = [relative_loss(*(part[k : k + 1] for part in (state, guess, truth))) for k in (0, 1)]
    torch.testing.assert_close(sum(alone) / 2, whole)


def test_without_a_first_guess_the_relative_loss_is_over_the_truth():
    state, truth, _ = make_fields()
    value = relative_loss(torch.zeros_like(state), torch.zeros_like(state), truth)
    field_alone = RelativeLoss(gradient=0.0, prior=0.0)
    batch = Batch(torch.zeros_like(state), truth, [], None, make_weights())
    assert field_alone.evaluate(Fixed(torch.zeros_like(state)), batch).item() == pytest.approx(1)
    assert value > 1
