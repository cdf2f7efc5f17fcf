"""The prior of a projection."""

import pytest
import torch

from xdvarnet.solver.priors.projection import Projection
from xdvarnet.solver.priors.unet import UNetPrior

SHAPE = (3, 2, 5, 7)


@pytest.fixture
def prior() -> Projection:
    return UNetPrior(2, hidden=3, depth=1, rng=0).double()


def test_cost_of_a_linear_projection_by_hand():
    """Phi halves: |x / 2|^2 / n."""

    class Half(Projection):
        def forward(self, state):
            return state / 2

    state = torch.tensor([[[[2.0, 4.0]]], [[[0.0, 6.0]]]])
    prior = Half()
    torch.testing.assert_close(prior.cost(state), torch.tensor([2.5, 4.5]))
    torch.testing.assert_close(prior.gradient(state), state / 4)


def test_gradient_is_that_of_the_cost_times_the_weight(prior):
    state = torch.randn(SHAPE, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(prior.cost(state).sum(), state)
    torch.testing.assert_close(prior.gradient(state), expected, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(prior.gradient(state, 3.0), 3 * expected, rtol=1e-10, atol=1e-14)


def test_a_training_sees_the_analysis_and_the_truth(prior):
    state, truth = torch.randn(2, *SHAPE, dtype=torch.float64)
    torch.testing.assert_close(
        prior.training_cost(state, truth), prior.cost(state) + prior.cost(truth)
    )


def test_a_gradient_is_not_preconditioned(prior):
    gradient = torch.randn(SHAPE)
    assert prior.precondition(gradient) is gradient
    assert prior.parameter_channels == 0
