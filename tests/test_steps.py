"""Steps: what holds for all, on planes, rings and components; bounds; memory as a result."""

import copy
import math

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.description import build, describe
from xdvarnet.solver.contracts import Step
from xdvarnet.solver.data import Data
from xdvarnet.solver.layout import Convolution, Layout
from xdvarnet.solver.networks import StridedUNet
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.projection import Projection
from xdvarnet.solver.steps import (
    CNNStep,
    ConvLSTMStep,
    GradientStep,
    NetworkStep,
    ObservationAge,
    UNetStep,
)
from xdvarnet.solver.variational import VariationalSolver

CHANNELS, CONTEXT = 3, 2
COMPONENTS, RING = Layout(components=10), Layout(periodic=True)
FEW, SERIES = {"hidden": 4, "context": CONTEXT}, {"hidden": 4, "kernel": (5, 1)}

PLANES = {
    "cnn": lambda: CNNStep(CHANNELS, **FEW),
    "lstm": lambda: ConvLSTMStep(CHANNELS, **FEW),
    "lstm, coarse": lambda: ConvLSTMStep(CHANNELS, **FEW, downscale=2),
    "lstm, bounded": lambda: ConvLSTMStep(CHANNELS, **FEW, kernel=(5, 3), bound=0.3),
    "unet": lambda: UNetStep(CHANNELS, **FEW, sees_state=False, downscale=1),
    "unet, patches": lambda: UNetStep(CHANNELS, **FEW),
    "unet, attention": lambda: UNetStep(CHANNELS, **FEW, downscale=3, attention=True, depth=1),
    "network": lambda: NetworkStep(
        StridedUNet(4, 1, hidden=4, patch=(2, 2), downscale=[(2, 3)], kernel=(3, 3))
    ),
}
RINGS = {
    "cnn, ring": lambda: CNNStep(CHANNELS, **FEW, layout=RING),
    "lstm, ring": lambda: ConvLSTMStep(CHANNELS, **FEW, downscale=2, layout=RING),
    "network, ring": lambda: NetworkStep(StridedUNet(4, 1, hidden=4, kernel=(3, 5), layout=RING)),
}
OF_COMPONENTS = {
    "cnn, components": lambda: CNNStep(1, **SERIES, layout=COMPONENTS),
    "lstm, components": lambda: ConvLSTMStep(
        1, **SERIES, downscale=2, layout=COMPONENTS, bound=0.3
    ),
    "network, components": lambda: NetworkStep(StridedUNet(4, 1, hidden=4, layout=COMPONENTS)),
}
MADE = {"gradient": lambda: GradientStep(0.3), **PLANES, **RINGS, **OF_COMPONENTS}
LEARNED = [name for name in MADE if name != "gradient"]
BOUNDED = ["cnn", "lstm, bounded", "network", "cnn, components", "lstm, components"]
STILL = [name for name in LEARNED if name.startswith(("lstm", "unet"))]
"""Whose output layer starts at zero."""

ALL = pytest.mark.parametrize("name", MADE)
ALL_LEARNED = pytest.mark.parametrize("name", LEARNED)


def make_step(name: str) -> Step:
    """Return a step whose output is not zero, in double precision."""
    torch.manual_seed(0)
    step = MADE[name]()
    for part in step.modules():
        if isinstance(part, nn.Conv2d) and not part.weight.any():
            nn.init.normal_(part.weight)
    return step.double()


def make_inputs(
    step: Step, rows: int = 7, columns: int = 10, batch: int = 2
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a gradient, and a context with the state where the step sees it."""
    channels = step.channels or CHANNELS
    context = (step.context or 0) + step.sees_state * channels
    random = torch.Generator().manual_seed(1)
    shape = batch, channels + context, rows, columns
    drawn = torch.randn(shape, generator=random, dtype=torch.float64)
    return drawn[:, :channels], drawn[:, channels:]


@ALL
@pytest.mark.parametrize("size", [(8, 12), (7, 11), (13, 6), (3, 10)])
def test_update_has_the_shape_of_the_gradient(name, size):
    rows, columns = size if name not in OF_COMPONENTS else (size[0], 10)
    step, memory = make_step(name), None
    gradient, context = make_inputs(step, rows, columns)
    for _ in range(2):
        update, memory = step(gradient, context, memory)
        assert update.shape == gradient.shape
        assert torch.isfinite(update).all()


@ALL
def test_steps_hold_no_state(name):
    """Two calls with the same memory agree exactly, whatever was called in between."""
    step = make_step(name)
    gradient, context = make_inputs(step)
    attributes = {key: value for key, value in vars(step).items() if key != "training"}
    weights = copy.deepcopy(step.state_dict())
    _, memory = step(gradient, context, None)
    first, _ = step(gradient, context, memory)
    step.eval()(-7 * gradient, context, None)
    second, _ = step(gradient, context, memory)
    assert torch.equal(first, second)
    assert {key: value for key, value in vars(step).items() if key != "training"} == attributes
    assert all(torch.equal(value, weights[key]) for key, value in step.state_dict().items())


@ALL_LEARNED
def test_all_that_is_given_matters(name):
    step = make_step(name)
    gradient, context = make_inputs(step)
    first, memory = step(gradient, context, None)
    for channel in range(context.shape[1]):
        other = context.clone()
        other[:, channel] += 1
        assert (step(gradient, other, None)[0] - first).abs().max() > 1e-6
    assert (step(gradient + 1, context, None)[0] - first).abs().max() > 1e-6
    if memory is not None:
        assert (step(gradient, context, memory)[0] - first).abs().max() > 1e-3


@ALL
def test_samples_do_not_mix(name):
    step = make_step(name)
    gradient, context = make_inputs(step, batch=3)
    update, _ = step(gradient, context, None)
    alone, _ = step(gradient[1:2], context[1:2], None)
    torch.testing.assert_close(update[1:2], alone)
    assert not torch.allclose(update[0], update[1])


@pytest.mark.parametrize("name", PLANES)
def test_latitude_and_longitude_are_treated_alike(name):
    step, memory, swapped = make_step(name), None, None
    if isinstance(step, UNetStep):  # a patch of the result is a block of channels
        side = step.downscale
        weight = step.network.decode.weight.data.unflatten(0, (CHANNELS, side, side))
        weight.copy_((weight + weight.transpose(1, 2)) / 2)
        nn.init.zeros_(step.network.decode.bias)
    gradient, context = make_inputs(step)
    other = copy.deepcopy(step)
    for parameter in other.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.transpose(2, 3).contiguous()
    for part in other.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            part.stride = part.stride[::-1]
        if isinstance(part, Convolution):
            part.reach = part.reach[::-1]
        if isinstance(part, StridedUNet):
            part.downscale = tuple(cell[::-1] for cell in part.downscale)
    for _ in range(2):
        update, memory = step(gradient, context, memory)
        mirrored, swapped = other(gradient.mT, context.mT, swapped)
    torch.testing.assert_close(mirrored.mT, update)


@pytest.mark.parametrize("name", RINGS)
def test_a_ring_has_no_first_column(name):
    step = make_step(name)
    gradient, context = make_inputs(step)
    update, memory = step(gradient, context, None)
    update, _ = step(gradient, context, memory)
    turned, memory = step(gradient.roll(4, -1), context.roll(4, -1), None)
    turned, _ = step(gradient.roll(4, -1), context.roll(4, -1), memory)
    torch.testing.assert_close(turned, update.roll(4, -1))


@pytest.mark.parametrize("name", OF_COMPONENTS)
def test_components_see_each_other_at_once(name):
    step = make_step(name)
    gradient, context = make_inputs(step, rows=200)
    other = gradient.clone()
    other[..., 100, 0] += 1
    changed = step(gradient, context, None)[0] != step(other, context, None)[0]
    assert changed[..., 100, :].all()
    assert not changed[..., 0, :].any()


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("bound", [0.1, 2.0])
def test_a_bound_is_kept(name, bound):
    """Far from the minimum, and by weights that would go beyond."""
    step = make_step(name)
    step.bound = bound
    for weights in step.parameters():
        weights.data *= 1000
    gradient, context = make_inputs(step)
    update, _ = step(1e30 * gradient, context, None)
    assert 0.9 * bound * math.pi / 2 < update.abs().max() <= bound * math.pi / 2


@pytest.mark.parametrize("name", STILL)
def test_an_untrained_step_leaves_the_state_and_can_learn(name):
    torch.manual_seed(0)
    step, memory = MADE[name]().double(), None
    gradient, context = make_inputs(step, 9, 14 if name not in OF_COMPONENTS else 10)
    for _ in range(2):
        update, memory = step(gradient, context, memory)
        assert (update == 0).all()
    (update - gradient).square().sum().backward()
    last = step.network.decode if isinstance(step, UNetStep) else step.decode
    assert last.weight.grad.abs().max() > 0
    for weights in last.parameters():
        nn.init.normal_(weights, std=0.1)
    _, memory = step(gradient, context, None)
    step(gradient, context, memory)[0].square().sum().backward()
    for key, parameter in step.named_parameters():
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", ["cnn", "unet"])
def test_an_update_is_the_memory(name):
    step = make_step(name)
    gradient, context = make_inputs(step)
    update, memory = step(gradient, context, None)
    assert torch.equal(update, memory)
    zero, _ = step(gradient, context, torch.zeros_like(gradient))
    assert torch.equal(update, zero)


@pytest.mark.parametrize("downscale", [1, 2, 4])
@pytest.mark.parametrize("layout", [Layout(), RING, COMPONENTS], ids=str)
def test_the_memory_is_at_the_reduced_resolution(downscale, layout):
    """Of rows, and of the columns of a plane."""
    step = ConvLSTMStep(1, hidden=5, downscale=downscale, layout=layout)
    _, (hidden, _) = step(torch.zeros(1, 1, 9, 10), None, None)
    columns = {Layout(): 10 // downscale, RING: 10, COMPONENTS: 1}[layout]
    assert hidden.shape == (1, 5, 9 // downscale, columns)


def test_gradient_step_is_a_multiple_of_the_gradient():
    gradient, _ = make_inputs(GradientStep())
    update, memory = GradientStep(0.3)(gradient, None, None)
    assert torch.equal(update, 0.3 * gradient)
    assert memory is None


def test_network_step_sees_the_state():
    """With no observation, no prior cost and no rate, only the state tells two samples apart."""

    class Echo(nn.Module):
        def forward(self, seen):
            assert seen.shape[1] == 4
            return seen[:, 3:]

    class Flat(Projection):
        def forward(self, state):
            return state

    step = NetworkStep(Echo(), bound=1e6)
    solver = VariationalSolver(Flat(), MaskedObservation(), step, iterations=1)
    state = torch.randn(2, 1, 9, 3, generator=torch.Generator().manual_seed(0))
    data = [Data.from_gappy(torch.full_like(state, torch.nan))]
    assert solver(state, data, torch.zeros(2, 2, 9, 3)).abs().max() < 1e-6  # x - x


@pytest.mark.parametrize(("channels", "features"), [(3, 1), (4, 2)])
def test_a_network_of_other_channels_is_refused(channels, features):
    message = rf"takes {channels} .* gives {features}; .*4 channels \(gradient, obs.*state\) to 1"
    with pytest.raises(InvalidInputError, match=message):
        NetworkStep(StridedUNet(channels, features))


def test_lstm_step_equals_the_cell_of_torch():
    """On a grid of one cell only the centres of the kernels count: an ordinary LSTM."""
    step, hidden = make_step("lstm"), 4
    cell = nn.LSTMCell(hidden, hidden).double()
    forget, store, show, candidate = torch.arange(4 * hidden).chunk(4)
    order = torch.cat([store, forget, candidate, show])
    weights = step.gates.weight.data[order, :, 1, 1]
    cell.weight_ih.data, cell.weight_hh.data = weights.split(hidden, dim=1)
    cell.bias_ih.data = step.gates.bias.data[order]
    nn.init.zeros_(cell.bias_hh)
    memory = expected = None
    for scale in (1, -2, 0.5):
        gradient, context = (scale * part for part in make_inputs(step, 1, 1))
        update, memory = step(gradient, context, memory)
        features = nn.functional.silu(step.encode(torch.cat([gradient, context], dim=1)))
        expected = cell(features[..., 0, 0], expected)
        for ours, reference in zip(memory, expected, strict=True):
            torch.testing.assert_close(ours[..., 0, 0], reference)
        decoded = expected[0] @ step.decode.weight[..., 1, 1].T + step.decode.bias
        torch.testing.assert_close(update[..., 0, 0], decoded)


# Ages of observations

DAYS, VARIABLES, MORE = 4, 2, 3


class Listener(Step):
    """A step that gives back what it was told as its memory, and counts its calls."""

    channels, context, sees_state = CHANNELS, 3 * DAYS * VARIABLES + MORE, True

    def forward(self, gradient, context, memory):
        calls = 1 if memory is None else memory[0] + 1
        return torch.zeros_like(gradient), (calls, context)


def make_context(batch: int = 2) -> torch.Tensor:
    random = torch.Generator().manual_seed(3)
    context = torch.randn(batch, DAYS * VARIABLES + MORE, 5, 6, generator=random)
    masks = context[:, : DAYS * VARIABLES]
    masks.copy_(masks > 0.7)
    return context


def test_ages_by_hand():
    """Of each day and cell, a search for the nearest observed day on either side."""
    step, context = ObservationAge(Listener(), DAYS, variables=VARIABLES, scale=2.5), make_context()
    masks = context[:, : DAYS * VARIABLES].unflatten(1, (VARIABLES, DAYS))
    assert not masks.any(2).all()  # some cells are never observed
    expected = torch.zeros(2, *masks.shape)
    for sample, variable, day, row, column in torch.cartesian_prod(
        *(torch.arange(size) for size in masks.shape)
    ):
        seen = masks[sample, variable, :, row, column].nonzero().flatten()
        for side, days in enumerate((day - seen[seen <= day], seen[seen >= day] - day)):
            if len(days):
                place = side, sample, variable, day, row, column
                expected[place] = math.exp(-float(days.min()) / 2.5)
    expected = torch.cat([expected[0].flatten(1, 2), expected[1].flatten(1, 2)], 1)
    torch.testing.assert_close(step.ages(context), expected)


def test_ages_come_before_the_context_and_stay():
    step, context = ObservationAge(Listener(), DAYS, variables=VARIABLES), make_context()
    gradient = torch.zeros(2, CHANNELS, 5, 6)
    _, memory = step(gradient, context, None)
    ages, (calls, seen) = memory
    assert calls == 1
    assert torch.equal(seen, torch.cat([ages, context], 1))
    assert ages.shape[1] == 2 * DAYS * VARIABLES
    context[:, -1] += 1  # the state
    _, (same, (calls, seen)) = step(gradient, context, memory)
    assert calls == 2
    assert same is ages
    assert torch.equal(seen, torch.cat([ages, context], 1))


def test_age_says_what_its_step_takes():
    step = ObservationAge(Listener(), DAYS, variables=VARIABLES)
    assert (step.channels, step.context) == (CHANNELS, DAYS * VARIABLES + MORE)
    assert step.sees_state
    assert not ObservationAge(ConvLSTMStep(3, context=10), 3).sees_state


def test_untrained_step_with_ages_changes_nothing():
    inner = UNetStep(CHANNELS, hidden=3, context=3 * DAYS * VARIABLES + MORE, sees_state=False)
    step, gradient = ObservationAge(inner, DAYS, variables=VARIABLES), torch.ones(2, CHANNELS, 5, 6)
    update, memory = step(gradient, make_context(), None)
    assert (update == 0).all()
    nn.init.normal_(inner.network.decode.weight)
    update, _ = step(gradient, make_context(), memory)
    alone, _ = step(gradient[1:], make_context()[1:], None)
    torch.testing.assert_close(update[1:], alone)
    assert update.abs().max() > 0


@pytest.mark.parametrize(
    ("context", "options"), [(11, {}), (20, {"variables": 2}), (12, {"scale": 0.0})]
)
def test_step_without_room_for_ages_is_refused(context, options):
    with pytest.raises(InvalidInputError, match=f"a step with context={context}, days=4"):
        ObservationAge(ConvLSTMStep(CHANNELS, context=context), 4, **options)


def test_age_is_described_and_built():
    step = ObservationAge(ConvLSTMStep(CHANNELS, context=20), 3, variables=2, scale=7.0)
    classes = {kind.__name__: kind for kind in (ObservationAge, ConvLSTMStep, Layout)}
    again = build(describe(step, arrays := {}), arrays, classes)
    assert describe(again, {}) == describe(step, {})
    again.load_state_dict(step.state_dict())
