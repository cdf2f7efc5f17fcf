"""The linear prior: principal components by another route, laws of a projection, bad input."""

import numpy as np
import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.priors.linear import LinearPrior

SHAPE, CELLS = (2, 5, 3), 30


def make_states(number: int = 50) -> torch.Tensor:
    """Return states with a mean and with cells that depend on each other."""
    random = torch.Generator().manual_seed(0)
    mix = torch.randn(CELLS, CELLS, generator=random, dtype=torch.float64)
    mix *= 0.8 ** torch.arange(CELLS)[:, None]
    noise = torch.randn(number, CELLS, generator=random, dtype=torch.float64)
    return (noise @ mix + 3).view(number, *SHAPE)


@pytest.fixture(scope="module")
def prior() -> LinearPrior:
    return LinearPrior(SHAPE, patterns=4).double().fit(make_states())


def test_patterns_are_the_leading_vectors_of_the_covariance(prior):
    states = make_states().flatten(1).numpy()
    variances, vectors = np.linalg.eigh(np.cov(states.T))
    leading = vectors[:, -4:]
    found = prior.basis.numpy()
    assert np.allclose(found.T @ found, leading @ leading.T, atol=1e-10)
    assert np.allclose(np.diag(found @ np.cov(states.T) @ found.T), variances[:-5:-1])


def test_it_is_an_orthogonal_projection(prior):
    """Twice is once; what is left out is orthogonal to what is kept."""
    state = make_states(7) + 1
    once = prior(state)
    torch.testing.assert_close(prior(once), once)
    kept, left = (once - prior.mean).flatten(1), (state - once).flatten(1)
    assert torch.allclose((kept * left).sum(1), torch.zeros(7).double(), atol=1e-9)
    jacobian = torch.autograd.functional.jacobian(prior, state[:1]).reshape(CELLS, CELLS)
    torch.testing.assert_close(jacobian, jacobian.mT)
    assert jacobian.trace().item() == pytest.approx(4)


def test_cost_is_the_variance_left_out(prior):
    """Of the states that the patterns are of: the sum of the other eigenvalues."""
    states = make_states()
    values = np.linalg.eigvalsh(np.cov(states.flatten(1).numpy().T, bias=True))
    cost = prior.cost(states).mean().item()
    assert cost == pytest.approx(values[:-4].sum() / CELLS)


def test_states_of_few_patterns_are_recovered():
    random = torch.Generator().manual_seed(4)
    factors = torch.randn(20, 3, generator=random, dtype=torch.float64)
    patterns = torch.randn(3, CELLS, generator=random, dtype=torch.float64)
    states = (5 + factors @ patterns).view(20, *SHAPE)
    prior = LinearPrior(SHAPE, patterns=3).double().fit(states[:10])
    torch.testing.assert_close(prior(states[10:]), states[10:])


def test_samples_do_not_mix(prior):
    states = make_states(5)
    torch.testing.assert_close(prior(states)[2:3], prior(states[2:3]))


def test_weights_carry_the_patterns(prior):
    other = LinearPrior(prior.shape, patterns=prior.patterns).double()
    assert torch.equal(other(make_states()), torch.zeros_like(make_states()))
    other.load_state_dict(prior.state_dict())
    assert torch.equal(other(make_states()), prior(make_states()))
    assert list(prior.parameters()) == []


@pytest.mark.parametrize("patterns", [0, 30, 31])
def test_bad_numbers_are_refused(patterns):
    with pytest.raises(InvalidInputError, match=f"patterns={patterns}; .*has 30 cells"):
        LinearPrior(SHAPE, patterns=patterns)


def test_bad_states_are_refused(prior):
    with pytest.raises(InvalidInputError, match=r"\(2, 5, 3\), and one of shape \(2, 3, 5\)"):
        prior(make_states().mT)
    with pytest.raises(InvalidInputError, match="4 states have at most 3 patterns, and 4"):
        LinearPrior(SHAPE, patterns=4).fit(make_states(4))
    gappy = make_states()
    gappy[3, 1, 2, 0] = torch.nan
    with pytest.raises(InvalidInputError, match="not finite"):
        LinearPrior(SHAPE, patterns=4).fit(gappy)
