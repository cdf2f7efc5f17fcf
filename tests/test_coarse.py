"""The posterior on a coarse grid: a symmetric positive definite matrix that saves iterations."""

from dataclasses import replace

import pytest
import torch

from xdvarnet.spde.chain import Chain, matern_chain
from xdvarnet.spde.coarse import CoarsePosterior, cells_in_length
from xdvarnet.spde.cost import choose_coarsening
from xdvarnet.spde.field import Prior
from xdvarnet.spde.mesh import Mesh

TIMES, ROWS, COLUMNS = 3, 13, 18


def chain(kind: str, rows: int = ROWS, columns: int = COLUMNS) -> Chain:
    """Return a field around land, or on a ring with land, or with parameters that vary, or thin."""
    north, east = 15e3 * torch.arange(rows).double(), 17e3 * torch.arange(columns).double()
    sea = torch.ones(rows, columns, dtype=torch.bool)
    sea[: rows // 2, 4:9] = sea[-1] = False
    sea[2, 6] = True  # a lake of one cell
    options = {"length": 90e3, "time": 6.0, "std": 0.05, "propagation": (4e3, 2e3)}
    if kind == "ring":
        latitude, longitude = -30 + 5.0 * torch.arange(rows), 360 / columns * torch.arange(columns)
        mesh = Mesh.from_degrees(latitude, longitude, sea, ring=True)
        return matern_chain(mesh, TIMES, **options | {"length": 4e6})
    if kind == "rows":
        return matern_chain(Mesh.from_metres(north[:2], east), TIMES, **options)
    mesh = Mesh.from_metres(north, east, sea)
    if kind == "varying":
        days = torch.linspace(4, 9, TIMES).double()[:, None, None]
        options |= {"time": days.expand(TIMES, rows, columns), "anisotropy": 2.0, "angle": 0.6}
        options |= {"length": 80e3 + 3e3 * torch.arange(columns).double().expand(rows, -1)}
    return matern_chain(mesh, TIMES, **options).normalise(0.05)


def observed(field: Prior, every: int = 7) -> tuple[torch.Tensor, ...]:
    """Return an operator that sees single cells of sea, values and noise."""
    sea = field.mesh.sea.flatten().repeat(field.times).nonzero().squeeze(1)[::every]
    indices = torch.stack([torch.arange(len(sea)), sea])
    ones = torch.ones(len(sea), dtype=torch.float64)
    size = (len(sea), field.unknowns)
    operator = torch.sparse_coo_tensor(indices, ones, size, check_invariants=True).coalesce()
    values = operator @ field.chain.sample(1, torch.Generator().manual_seed(1)).flatten()
    return operator, values, 0.01 * ones


KINDS = ["land", "ring", "rows", "varying"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spacing", [2, 3, 5])
def test_it_is_symmetric_and_positive_definite(kind, spacing):
    """And not above the identity: observations add to what is known."""
    prior = Prior(chain(kind))
    operator, _, noise = observed(prior)
    identity = torch.eye(len(noise), dtype=torch.float64)
    weighted = operator * noise.reciprocal()[:, None]
    product = CoarsePosterior.of(prior.chain, weighted, spacing)(identity)
    torch.testing.assert_close(product, product.T, rtol=0, atol=1e-10)
    values = torch.linalg.eigvalsh(product)
    assert 0 < values.min() and values.max() < 1 + 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_the_solution_is_the_exact_mean(kind):
    prior = Prior(chain(kind))
    known = observed(prior)
    exact = prior.condition(*known).mean
    posterior = replace(prior.condition_iteratively(*known), tolerance=1e-9, coarsening=2)
    torch.testing.assert_close(posterior.solve(0)[0], exact, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("kind", ["land", "ring", "varying"])
def test_the_preconditioned_spectrum_is_narrow(kind):
    """Its condition is below that of the system by more than ten times, though cells are large."""
    prior = Prior(chain(kind, 18, 24))
    operator, values, noise = observed(prior)
    weighted = operator * noise.reciprocal()[:, None]
    covariance = torch.linalg.inv(prior.precision.to_dense())
    identity = torch.eye(len(noise), dtype=torch.float64)
    system = identity + weighted @ (weighted @ covariance).T
    root = torch.linalg.cholesky(CoarsePosterior.of(prior.chain, weighted, 2)(identity))
    alone, both = torch.linalg.cond(system), torch.linalg.cond(root.T @ system @ root)
    assert both < alone / 10


def test_it_saves_iterations_that_grow_with_the_domain(caplog):
    """Of the mean alone: a quarter of them, and as many on four times the domain."""
    caplog.set_level("INFO", "xdvarnet")

    def iterations(size: int, coarsening: int | None) -> int:
        axis = 11e3 * torch.arange(size)
        prior = Prior(
            matern_chain(Mesh.from_metres(axis, axis), TIMES, length=100e3, time=10.0, std=0.05)
        )
        posterior = prior.condition_iteratively(*observed(prior, 13))
        assert posterior.coarsening == 3
        replace(posterior, coarsening=coarsening).solve(0)
        return caplog.records[-1].args[0]

    small, large = iterations(24, 3), iterations(48, 3)
    assert large <= small + 3
    assert large < iterations(48, None) / 4


@pytest.mark.parametrize("angle", [0.0, 0.7, 1.5])
def test_cells_in_a_length_are_those_of_the_shortest(angle):
    mesh = Mesh.from_metres(10e3 * torch.arange(20), 10e3 * torch.arange(21))
    made = matern_chain(mesh, 2, length=100e3, time=5.0, std=1.0, anisotropy=4.0, angle=angle)
    assert cells_in_length(made) == pytest.approx(5.0, rel=1e-6)


def test_the_coarse_grid_resolves_a_length_and_fits():
    """Three nodes in a length where they fit into memory, then two, and else none."""
    assert [choose_coarsening(5, (100, 90), cells) for cells in (3.9, 4.0, 9.1, 12.5)] == [
        None,
        2,
        3,
        4,
    ]
    assert choose_coarsening(9, (200, 200), 9.1) == 4
    assert choose_coarsening(30, (300, 300), 9.1) is None
