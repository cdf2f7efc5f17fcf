"""The posterior by conjugate gradients, against the exact one."""

import numpy as np
import pytest
import torch

from xdvarnet.errors import XdvarnetWarning
from xdvarnet.spde.chain import matern_chain
from xdvarnet.spde.field import Posterior, Prior
from xdvarnet.spde.iterative import IterativePosterior, block_conjugate_gradients
from xdvarnet.spde.mesh import Mesh

TIMES, NY, NX = 3, 10, 12
N = TIMES * NY * NX


@pytest.fixture(scope="module")
def prior() -> Prior:
    sea = torch.ones(NY, NX, dtype=torch.bool)
    sea[:4, 5:8] = False
    axes = [15e3 * torch.arange(size).double() for size in (NY, NX)]
    mesh = Mesh.from_metres(*axes, sea)
    chain = matern_chain(mesh, TIMES, length=80e3, time=6.0, std=0.05, propagation=(5e3, 0.0))
    return Prior(chain)


def observations(prior: Prior, count: int = 40) -> tuple[torch.Tensor, ...]:
    """Return an operator that joins two cells in each observation, values and noise."""
    rng = np.random.default_rng(0)
    cells = np.arange(N).reshape(TIMES, NY, NX)[..., :-1].ravel()
    at = rng.choice(cells, count, replace=False)
    dense = torch.zeros(count, N, dtype=torch.float64)
    dense[range(count), at], dense[range(count), at + 1] = 0.7, 0.3
    values = dense @ prior.chain.sample(1, torch.Generator().manual_seed(2)).flatten()
    return dense.to_sparse(), values, torch.as_tensor(rng.uniform(0.005, 0.02, count))


@pytest.fixture(scope="module")
def exact(prior) -> Posterior:
    return prior.condition(*observations(prior))


def precise(prior: Prior, tolerance: float = 1e-8) -> IterativePosterior:
    return IterativePosterior(prior.chain, *observations(prior), tolerance, coarsening=2)


def test_the_mean_is_the_exact_one(prior, exact):
    mean = precise(prior).solve(0)
    assert mean.shape == (1, N)
    torch.testing.assert_close(mean[0], exact.mean, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("tolerance", [0.3, 0.03, 0.003])
def test_the_error_is_below_the_tolerance(prior, exact, tolerance):
    """In the norm of the posterior precision, for the mean and for draws."""
    found, wanted = (precise(prior, each).solve(3, generator()) for each in (tolerance, 1e-7))
    operator, _, noise = observations(prior)
    weighted = operator.to_dense() / noise[:, None]
    precision = prior.precision.to_dense() + weighted.T @ weighted
    error = found - wanted
    norms = (error @ precision * error).sum(1).sqrt()
    assert 0 < norms.max() <= tolerance * np.sqrt(len(noise))


def generator(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_draws_have_the_covariance_of_the_posterior(prior, exact):
    """Along random directions, to four standard errors of 500 draws."""
    fields = precise(prior, 1e-3).solve(500, generator())
    directions = torch.randn(20, N, generator=generator(1), dtype=torch.float64)
    variances = (directions * exact.factor.solve(directions)).sum(1)
    along = (fields[1:] - exact.mean) @ directions.T
    assert (along.mean(0).abs() < 4 * (variances / 500).sqrt()).all()
    assert ((along.square().mean(0) / variances - 1).abs() < 4 * np.sqrt(2 / 500)).all()


def test_the_standard_deviation_is_that_of_a_hundred_draws(prior, exact):
    """To four standard errors; and draws may be asked for, or not."""
    mean, std, none = precise(prior).describe(None, generator())
    torch.testing.assert_close(mean, exact.mean, rtol=1e-7, atol=1e-10)
    sea = prior.mesh.sea.flatten().repeat(TIMES)
    ratio = (std / exact.factor.variances().sqrt())[sea]
    assert float((ratio - 1).abs().max()) < 4.5 / np.sqrt(2 * 100)
    assert none.shape == (0, N)
    assert precise(prior).describe(3, generator())[2].shape == (3, N)


def test_draws_do_not_depend_on_how_many_follow(prior):
    few, many = (precise(prior, 1e-5).solve(count, generator()) for count in (2, 6))
    torch.testing.assert_close(few, many[:3], rtol=0, atol=1e-6)


def test_draws_do_not_depend_on_how_many_are_marched_at_once(prior, monkeypatch):
    whole = precise(prior, 1e-5).solve(4, generator())
    monkeypatch.setattr("xdvarnet.spde.iterative.CHUNK", 2 * N)
    parts = precise(prior, 1e-5).solve(4, generator())
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)


def test_no_observation_gives_the_prior(prior):
    nothing = torch.zeros(0, dtype=torch.float64)
    empty = torch.zeros(0, N, dtype=torch.float64).to_sparse()
    fields = IterativePosterior(prior.chain, empty, nothing, nothing).solve(2, generator())
    assert not fields[0].any()
    assert fields[1:].std() > 0.02


def test_too_few_iterations_are_told(prior):
    posterior = IterativePosterior(prior.chain, *observations(prior), 1e-6, iterations=3)
    with pytest.warns(XdvarnetWarning, match="after 3 iterations the error of a field is up to"):
        posterior.solve(1, generator())


def matrix(size: int = 60) -> torch.Tensor:
    """Return one of widely spread eigenvalues."""
    basis = torch.linalg.qr(torch.randn(size, size, generator=generator(), dtype=torch.float64))[0]
    return basis * torch.logspace(0, 4, size, dtype=torch.float64) @ basis.T


def test_many_right_sides_take_fewer_iterations_than_one():
    A, right = matrix(), torch.randn(60, 12, generator=generator(3), dtype=torch.float64)
    alone = block_conjugate_gradients(lambda x: A @ x, right[:, :1], 1e-6, 500)
    both = block_conjugate_gradients(lambda x: A @ x, right, 1e-6, 500)
    assert both[2] < alone[2] / 3
    torch.testing.assert_close(both[0], torch.linalg.solve(A, right), rtol=0, atol=1e-6)
    torch.testing.assert_close(both[0][:, :1], alone[0], rtol=0, atol=2e-6)


def near_inverse(of: torch.Tensor) -> torch.Tensor:
    """Return the inverse of a matrix that is near another one."""
    return torch.linalg.inv(of + 2 * torch.diag(torch.arange(len(of)) % 3))


def test_a_preconditioner_saves_iterations_and_changes_no_solution():
    A, right = matrix(), torch.randn(60, 3, generator=generator(3), dtype=torch.float64)
    N = near_inverse(A)
    alone = block_conjugate_gradients(lambda x: A @ x, right, 1e-6, 500)
    both = block_conjugate_gradients(lambda x: A @ x, right, 1e-6, 500, lambda x: N @ x)
    assert both[2] < alone[2] / 1.5
    assert (A @ both[0] - right).norm(dim=0).max() <= 1.01e-6
    torch.testing.assert_close(both[0], alone[0], rtol=0, atol=2e-6)


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("columns", [[0, 1, 0, 2], [0, 1, 2, 3]])
def test_dependent_and_zero_right_sides_are_solved(columns, preconditioned):
    """Twice the same one, and one of zeros; and more of them than rows."""
    A, right = matrix(), torch.randn(60, 4, generator=generator(3), dtype=torch.float64)[:, columns]
    right[:, 1] = 0
    N = near_inverse(A) if preconditioned else torch.eye(60, dtype=torch.float64)
    found, residual, _ = block_conjugate_gradients(
        lambda x: A @ x, right, 1e-6, 500, lambda x: N @ x
    )
    assert residual <= 1e-6
    torch.testing.assert_close(A @ found, right, rtol=0, atol=1e-5)
    wide = torch.randn(3, 7, generator=generator(4), dtype=torch.float64)
    small = matrix(3)
    found, _, done = block_conjugate_gradients(lambda x: small @ x, wide, 1e-9, 9)
    assert done == 1
    torch.testing.assert_close(small @ found, wide)
