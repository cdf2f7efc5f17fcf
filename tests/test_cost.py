"""What fields take is what their engines allocate, counted."""

import pytest
import torch

from xdvarnet.spde.chain import Chain, matern_chain
from xdvarnet.spde.cost import COPIES_MARCHED, NUMBER, Cost, FieldSize
from xdvarnet.spde.field import Prior
from xdvarnet.spde.mesh import Mesh

TIMES, ROWS, COLUMNS, MEMBERS = 4, 14, 23, 400


def chain(**changes) -> Chain:
    mesh = Mesh.from_metres(15e3 * torch.arange(ROWS), 17e3 * torch.arange(COLUMNS))
    options = {"length": 80e3, "time": 5.0, "std": 0.1} | changes
    return matern_chain(mesh, TIMES, **options)


def observed(field: Prior) -> tuple[torch.Tensor, ...]:
    places = torch.arange(0, field.unknowns, 9)
    indices = torch.stack([torch.arange(len(places)), places])
    ones = torch.ones(len(places), dtype=torch.float64)
    size = (len(places), field.unknowns)
    return (
        torch.sparse_coo_tensor(indices, ones, size, check_invariants=True).coalesce(),
        ones,
        0.1 * ones,
    )


def largest(compute) -> int:
    """Return the bytes that are allocated at most at one time, as the profiler counts them."""
    with torch.profiler.profile(profile_memory=True) as profile:
        compute()
    held = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


@pytest.mark.parametrize("engine", ["exact", "iterative", "samples"])
@pytest.mark.parametrize("steady", [True, False])
def test_the_memory_is_what_is_allocated(engine, steady):
    """It is no less, and at most three times as much, by either engine and for samples."""
    days = 5.0 + 0.1 * torch.arange(TIMES).double()[:, None, None]
    size = FieldSize(TIMES, ROWS, COLUMNS, 1 if steady else TIMES, steady)
    made = chain() if steady else chain(time=days.expand(TIMES, ROWS, COLUMNS))
    observations = observed(Prior(made))
    count = len(observations[1])
    generator = torch.Generator().manual_seed(0)

    def compute():
        if engine == "exact":
            Prior(made).normalise(0.1).condition(*observations).describe(MEMBERS, generator)
        elif engine == "iterative":
            field = Prior(made.normalise(0.1))
            field.condition_iteratively(*observations).describe(MEMBERS, generator)
        else:
            made.normalise(0.1).sample(MEMBERS, generator)

    stated = {
        "exact": size.exact(MEMBERS),
        "iterative": size.iterative(MEMBERS, count),
        "samples": size.samples(MEMBERS, exact=False),
    }[engine]
    found = largest(compute)
    assert found <= stated.memory <= 3 * found


def test_the_pivots_of_the_marching_are_counted():
    march = chain().marching
    factors = march.steps[0], march.filters[0]
    kept = sum(each.numel() for factor in factors for blocks in factor.blocks for each in blocks)
    kept = NUMBER * (kept + sum(panel.numel() for panel in march.start.panels))
    size = FieldSize(TIMES, ROWS, COLUMNS)
    rest = size.marching_memory(1) - NUMBER * COPIES_MARCHED * size.unknowns
    assert kept <= rest <= 2 * kept


def test_operations_grow_as_the_engines_do():
    """Exact: the cube of the times; iterative: little more than the cells."""
    small, long, wide = (FieldSize(*shape) for shape in ((4, 40, 90), (8, 40, 90), (4, 40, 180)))
    assert long.exact(0).operations == pytest.approx(8 * small.exact(0).operations, rel=0.1)
    assert 2 < wide.exact(0).operations / small.exact(0).operations < 3
    assert 2 < wide.iterative(0, 10).operations / small.iterative(0, 10).operations < 3
    ratio = long.iterative(0, 10).operations / small.iterative(0, 10).operations
    assert ratio == pytest.approx(2, rel=0.1)
    moving = FieldSize(4, 40, 90, stationary=False)
    assert moving.exact(0).operations == 2 * small.exact(0).operations
    assert 0 < Cost(0, 1e9).seconds() < 10
