"""Iterations that are done again for the derivatives: the same derivatives, for less memory."""

import copy

import pytest
import torch
from test_variational import PRIORS, SAME, STEPS, derivatives, make_direct, make_inputs, make_solver
from toys import toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.training.loop import autocast

ITERATIONS = 4


def pair(prior: str, step: str, **options):
    """Return a solver with all its graph, and one that does without."""
    plain = make_solver(prior, step, iterations=ITERATIONS, **options)
    spare = copy.deepcopy(plain)
    spare.graph = "checkpointed"
    return plain, spare


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_derivatives_are_the_plain_ones(prior, step, precision):
    plain, spare = pair(prior, step)
    inputs = make_inputs()
    with autocast("cpu", precision):
        expected, found = derivatives(plain, inputs), derivatives(spare, inputs)
    for name, derivative in expected.items():
        error = (found[name] - derivative).norm()
        assert error <= 1e-6 * derivative.norm(), name


def test_a_learned_first_guess_has_derivatives_too():
    plain, spare = pair("bilinear", "cnn", first_guess=make_direct())
    inputs = make_inputs()
    expected, found = derivatives(plain, inputs), derivatives(spare, inputs)
    for name, derivative in expected.items():
        assert derivative.abs().max() > 0, name
        torch.testing.assert_close(found[name], derivative)


def test_analyses_are_the_plain_ones():
    plain, spare = pair("bilinear", "lstm")
    inputs = make_inputs()
    torch.testing.assert_close(spare(*inputs), plain(*inputs), **SAME)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert torch.equal(spare(*inputs), plain(*inputs))


def saved(solver: torch.nn.Module) -> int:
    """Numbers that the graph of an analysis keeps beside its inputs and parameters."""
    sizes = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    inputs = make_inputs()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        analysis = solver(*inputs)
    assert analysis.requires_grad
    return sum(sizes.values())


def test_the_graph_of_the_iterations_is_not_kept():
    plain, spare = pair("unet", "unet")
    assert saved(spare) < 0.05 * saved(plain)


def test_a_training_is_the_same():
    schedule = xdvarnet.Schedule(epochs=1, steps_per_epoch=3, batch_size=2, pool=1)
    plain = toy_model(first_guess=False)
    solver = copy.deepcopy(plain.solver)
    solver.graph = "checkpointed"
    first, second = (
        model.fit(
            toy_truth(9),
            observe=toy_system(),
            validation=toy_truth(6, seed=1),
            schedule=schedule,
            rng=0,
        )
        for model in (plain, plain.replace(solver=solver))
    )
    for before, after in zip(first.solver.parameters(), second.solver.parameters(), strict=True):
        torch.testing.assert_close(after, before)
    assert second.solver.graph == "checkpointed"
