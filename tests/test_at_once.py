"""Windows that are solved at once: the maps do not depend on how many, and memory sets how many."""

import numpy as np
import pytest
import torch
import xarray as xr
from reconstructors import Identity, Smoother, gappy
from test_windows import observations
from toys import toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.mapping.protocol import analyse
from xdvarnet.networks import solving
from xdvarnet.solver.device import MOST_AT_ONCE, WORKING_MEMORY, count_at_once


@pytest.fixture(scope="module")
def observed() -> xr.Dataset:
    return toy_system().observe(toy_truth(9), rng=1)


def test_maps_do_not_depend_on_how_many_windows_are_solved_at_once():
    dataset = gappy()
    dataset["sea"][:, 9:] = False  # windows of land are in no batch
    given = observations(dataset)
    alone, together = Smoother(gives_std=True), Smoother(gives_std=True)
    together.at_once = 4
    first, second = analyse(alone, given), analyse(together, given)
    for kind in ("mean", "std"):
        np.testing.assert_array_equal(first.kinds[kind]["ssh"], second.kinds[kind]["ssh"])
    assert len(alone.seen) == len(together.seen) > 8


def test_batches_are_full_but_the_last():
    model, sizes = Identity(), []
    model.at_once = 4
    solve = model.solve_windows
    model.solve_windows = lambda windows, rng: [sizes.append(len(windows)), *solve(windows)][1:]
    analyse(model, observations())
    assert set(sizes[:-1]) == {4}
    assert sum(sizes) == len(model.seen)


@pytest.mark.parametrize("first_guess", [False, True])
def test_a_batch_of_a_network_gives_each_window_its_own_map(observed, first_guess, monkeypatch):
    model = toy_model(first_guess=first_guess)
    alone = observed.dvarnet.reconstruct(model)["ssh"]
    monkeypatch.setattr(solving, "count_at_once", lambda device, size: 5)
    together = observed.dvarnet.reconstruct(model)["ssh"]
    np.testing.assert_allclose(together, alone, atol=1e-6 * float(alone.std()) + 1e-7)


def test_a_batch_that_does_not_fit_is_solved_in_halves(observed, monkeypatch):
    model, sizes = toy_model(), []
    expected = observed.dvarnet.reconstruct(model)
    forward = model.solver.forward

    def small(state, data, context):
        sizes.append(len(state))
        if len(state) > 2:
            raise torch.cuda.OutOfMemoryError
        return forward(state, data, context)

    monkeypatch.setattr(solving, "count_at_once", lambda device, size: 8)
    monkeypatch.setattr(model.solver, "forward", small)
    maps = observed.dvarnet.reconstruct(model)
    np.testing.assert_allclose(maps["ssh"], expected["ssh"], atol=1e-6)
    assert sizes[:4] == [8, 4, 2, 2]

    def none(state, data, context):
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(model.solver, "forward", none)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        observed.dvarnet.reconstruct(model)


def test_one_window_at_a_time_on_a_cpu():
    assert count_at_once("cpu", 1) == 1
    assert toy_model().at_once == 1


def test_memory_sets_the_windows_of_a_batch(monkeypatch):
    size = 10**6
    for name, found in (("memory_reserved", 3), ("memory_allocated", 1)):
        monkeypatch.setattr(torch.cuda, name, lambda device, n=found: n * WORKING_MEMORY * size)
    for free, expected in ((8, 5), (0.5, 1), (10**4, MOST_AT_ONCE)):
        total = int(free * WORKING_MEMORY * size)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, n=total: (n, 10 * n))
        assert count_at_once("cuda", size) == expected


def test_a_window_counts_the_bytes_that_a_solver_is_given(observed, monkeypatch):
    sizes = []
    monkeypatch.setattr(solving, "count_at_once", lambda device, size: sizes.append(size) or 1)
    model = toy_model()
    forward = model.solver.forward

    def measure(state, data, context):
        tensors = [state, context, *(part for each in data for part in (each.values, each.mask))]
        assert sum(tensor.nbytes for tensor in tensors) == sizes[0]
        return forward(state, data, context)

    monkeypatch.setattr(model.solver, "forward", measure)
    xdvarnet.reconstruct(observed, model)
    assert len(sizes) == 1
