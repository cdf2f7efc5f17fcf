"""The fixed point of a projection with the observations put in."""

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.inversions.fixed_point import FixedPoint
from xdvarnet.solver.priors.linear import LinearPrior


class _Constant(nn.Module):
    def forward(self, state: torch.Tensor) -> torch.Tensor:
        return torch.full_like(state, 7.0)


class _Mean(nn.Module):
    """Projection on windows that are constant."""

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        return state.mean((2, 3), keepdim=True).expand_as(state)


def make_truth() -> tuple[LinearPrior, torch.Tensor]:
    """Windows of four patterns, and the projection on these."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    states = (states @ torch.randn(4, 30, generator=generator).double()).view(30, 1, 10, 3)
    return LinearPrior((1, 10, 3), patterns=4).double().fit(states), states[:5]


def observe(truth: torch.Tensor) -> torch.Tensor:
    mask = torch.zeros_like(truth)
    mask[:, :, ::2] = 1
    return torch.cat([mask * truth, mask], 1)


def test_the_truth_of_a_projection_is_its_fixed_point():
    prior, truth = make_truth()
    result = FixedPoint(prior, iterations=4)(truth, [], observe(truth))
    torch.testing.assert_close(result, truth)


def test_iterations_lead_to_the_truth_from_anywhere():
    """Alternating projections on two sets with one common point."""
    prior, truth = make_truth()
    inversions = [FixedPoint(prior, iterations=number) for number in (1, 10, 400)]
    start = 5 * torch.ones_like(truth)
    errors = [(i(start, [], observe(truth)) - truth).square().mean().item() for i in inversions]
    assert errors[0] > errors[1] > 1e-8 > errors[2]


def test_the_projection_has_the_last_word():
    _, truth = make_truth()
    result = FixedPoint(_Constant(), iterations=2)(truth, [], observe(truth))
    assert (result == 7).all()


def test_iterations_by_hand():
    """One of four points is observed, as 8: a mean m becomes (8 + 3 m) / 4."""
    context = torch.tensor([[8.0, 0, 0, 0], [1, 0, 0, 0]]).view(1, 2, 4, 1)
    results = [
        FixedPoint(_Mean(), iterations=number)(torch.zeros(1, 1, 4, 1), [], context)[0, 0, 0, 0]
        for number in (1, 2, 3)
    ]
    assert results == [2, 3.5, 4.625]


def test_iterations_are_at_least_one():
    with pytest.raises(InvalidInputError, match="iterations=0"):
        FixedPoint(_Mean(), iterations=0)
