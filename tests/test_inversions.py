"""What holds for every inversion: one sample at a time, one result, saved and built again."""

import copy
import json

import pytest
import torch
from torch import nn

from xdvarnet.dynamics.lorenz import Lorenz63
from xdvarnet.dynamics.rescaled import Rescaled
from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.description import build, describe
from xdvarnet.solver.data import Data
from xdvarnet.solver.inversions.amortised import AmortisedFourDVar
from xdvarnet.solver.inversions.direct import DirectInversion
from xdvarnet.solver.inversions.fixed_point import FixedPoint
from xdvarnet.solver.inversions.recurrent_filter import RecurrentFilter
from xdvarnet.solver.layout import Layout
from xdvarnet.solver.minimisation import Minimisation
from xdvarnet.solver.networks import StridedUNet
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.gibbs import GibbsPrior
from xdvarnet.solver.priors.ode import OdePrior

Inputs = tuple[torch.Tensor, list[Data], torch.Tensor]

CLASSES = {
    kind.__name__: kind
    for kind in (
        AmortisedFourDVar,
        DirectInversion,
        FixedPoint,
        GibbsPrior,
        Layout,
        Lorenz63,
        MaskedObservation,
        Minimisation,
        OdePrior,
        RecurrentFilter,
        Rescaled,
        StridedUNet,
    )
}


def make_dynamics() -> Rescaled:
    return Rescaled(Lorenz63(learned=True), (0.0, 0.0, 23.5), (8.0, 9.0, 8.6))


def make_direct() -> DirectInversion:
    return DirectInversion(StridedUNet(3, 1, hidden=4, layout=Layout(components=3)))


def make_fixed_point() -> FixedPoint:
    return FixedPoint(
        GibbsPrior(kernel=(3, 1), downscale=(2, 1), hidden=5, layout=Layout(components=3)),
        iterations=3,
    )


def make_minimisation(optimiser: str) -> Minimisation:
    return Minimisation(
        OdePrior(make_dynamics(), 0.01),
        MaskedObservation(noise=0.5),
        optimiser=optimiser,
        rate=0.02,
        iterations=4,
        weights=(1.0, 3.0),
    )


LEARNED = {
    "direct": make_direct,
    "fixed point": make_fixed_point,
    "filter": lambda: RecurrentFilter(3, hidden=6),
    "orbit": lambda: AmortisedFourDVar(make_direct(), make_dynamics(), 0.01),
    "segments": lambda: AmortisedFourDVar(
        make_fixed_point(), make_dynamics(), 0.01, method="euler", segment=5, bound=4.0
    ),
}
ALL = LEARNED | {
    "sgd": lambda: make_minimisation("sgd"),
    "adam": lambda: make_minimisation("adam"),
    "lbfgs": lambda: make_minimisation("lbfgs"),
}


def make(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return ALL[name]().double()


def make_inputs(times: int = 13, components: int = 3, batch: int = 3, seed: int = 1) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, 1, times, components)
    first_guess, values = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    mask = (torch.rand(shape, generator=generator) < 0.4).double()
    data = Data(mask * values, mask)
    return first_guess, [data], torch.cat([data.values, mask], 1)


def select(inputs: Inputs, samples: list[int]) -> Inputs:
    first_guess, (data,), context = inputs
    return first_guess[samples], [Data(data.values[samples], data.mask[samples])], context[samples]


def run(network: nn.Module, inputs: Inputs) -> torch.Tensor:
    first_guess, data, context = inputs
    return network(first_guess, data, context if network.context else None)


every = pytest.mark.parametrize("name", ALL)
every_learned = pytest.mark.parametrize("name", LEARNED)


@every
@pytest.mark.parametrize("times", [2, 7, 16])
def test_windows_have_any_number_of_times(name, times):
    result = run(make(name), make_inputs(times))
    assert result.shape == (3, 1, times, 3)
    assert torch.isfinite(result).all()


@every
def test_samples_do_not_depend_on_their_neighbours(name):
    network, inputs = make(name), make_inputs()
    together = run(network, inputs)
    alone = run(network, select(inputs, [1]))
    torch.testing.assert_close(together[1:2], alone, rtol=1e-10, atol=1e-10)
    shuffled = run(network, select(inputs, [2, 1, 1, 0]))
    torch.testing.assert_close(shuffled, together[[2, 1, 1, 0]], rtol=1e-10, atol=1e-10)


@every
def test_observations_count(name):
    network, inputs = make(name), make_inputs()
    first_guess, _, _ = inputs
    _, data, context = make_inputs(seed=2)
    difference = run(network, inputs) - run(network, (first_guess, data, context))
    assert (difference.abs().amax((1, 2, 3)) > 1e-4).all()


@every
def test_modes_and_copies_give_the_same(name):
    network, inputs = make(name), make_inputs()
    expected = run(network.train(), inputs)
    assert torch.equal(run(network.eval(), inputs), expected)
    assert torch.equal(run(copy.deepcopy(network), inputs), expected)


@every
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_no_graph_is_kept_at_inference(name, mode):
    network, inputs = make(name), make_inputs()
    expected = run(network, inputs).detach()
    with mode():
        result = run(network, make_inputs())
    assert not result.requires_grad
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)


@every
def test_a_network_is_described_built_and_loaded(name):
    network, inputs = make(name), make_inputs()
    description = json.loads(json.dumps(describe(network, arrays := {})))
    again = build(description, arrays, CLASSES).double()
    assert describe(again, {}) == describe(network, {})
    again.load_state_dict(network.state_dict())
    assert torch.equal(run(again, inputs), run(network, inputs))


@every
def test_arguments_are_left_as_they_are(name):
    network, inputs, before = make(name), make_inputs(), make_inputs()
    run(network, inputs)
    for given, kept in zip([inputs[0], inputs[2]], [before[0], before[2]], strict=True):
        assert torch.equal(given, kept)
        assert not given.requires_grad
    assert torch.equal(inputs[1][0].values, before[1][0].values)


@every_learned
def test_every_parameter_learns(name):
    network = make(name)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    run(network, make_inputs()).square().sum().backward()
    silent = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


@pytest.mark.parametrize("name", ["fixed point", "filter", "segments"])
@pytest.mark.parametrize("cut", [None, (slice(None), slice(1)), (slice(2),)])
def test_a_context_that_does_not_fit_is_refused(name, cut):
    first_guess, data, context = make_inputs()
    with pytest.raises(InvalidInputError, match=r"context.*\(batch, 2, time, component\)"):
        make(name)(first_guess, data, None if cut is None else context[cut])


@every
def test_series_of_other_components_are_refused(name):
    with pytest.raises(InvalidInputError, match="3 components"):
        run(make(name), make_inputs(components=4))
