"""The prior of a projection, and what a module is taken for."""

import pytest
import torch
from torch import nn

from xdvarnet.solver.priors.base import Prior
from xdvarnet.solver.priors.projection import ProjectionPrior, as_prior
from xdvarnet.solver.priors.unet import UNetPrior

SHAPE = (3, 2, 5, 7)


@pytest.fixture
def prior() -> ProjectionPrior:
    torch.manual_seed(0)
    return ProjectionPrior(UNetPrior(2, hidden=3, depth=1).double())


def test_cost_of_a_linear_projection_by_hand():
    """Phi halves: |x / 2|^2 / n."""
    half = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(half.weight, 0.5)
    state = torch.tensor([[[[2.0, 4.0]]], [[[0.0, 6.0]]]])
    prior = ProjectionPrior(half)
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


def test_a_prior_is_taken_as_it_is_and_a_module_as_a_projection():
    class Ridge(nn.Module, Prior):
        def cost(self, state):
            return state.square().flatten(1).mean(1)

    ridge, network = Ridge(), nn.Conv2d(2, 2, 1)
    assert as_prior(ridge) is ridge
    assert as_prior(network).projection is network
