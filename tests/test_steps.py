"""Steps: shapes, bounds, memory as an argument and a result."""

import copy
import math

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.description import build, describe
from xdvarnet.solver.contracts import Step
from xdvarnet.solver.multiscale import UNetStep
from xdvarnet.solver.steps import CNNStep, ConvLSTMStep, GradientStep, ObservationAge

CHANNELS, CONTEXT = 3, 2


def make_step(name: str) -> nn.Module:
    """Return a step whose output is not zero, in double precision."""
    torch.manual_seed(0)
    step = {
        "gradient": lambda: GradientStep(0.3),
        "cnn": lambda: CNNStep(CHANNELS, hidden=5, context=CONTEXT),
        "lstm": lambda: ConvLSTMStep(CHANNELS, hidden=5, context=CONTEXT),
        "lstm, coarse": lambda: ConvLSTMStep(CHANNELS, hidden=5, context=CONTEXT, downscale=2),
    }[name]()
    if isinstance(step, ConvLSTMStep):
        nn.init.normal_(step.decode.weight)
    return step.double()


def make_inputs(*size: int, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a gradient and a context in double precision."""
    random = torch.Generator().manual_seed(1)
    gradient = torch.randn(batch, CHANNELS, *size, generator=random, dtype=torch.float64)
    context = torch.randn(batch, CONTEXT, *size, generator=random, dtype=torch.float64)
    return gradient, context


STEPS = pytest.mark.parametrize("name", ["gradient", "cnn", "lstm", "lstm, coarse"])
LEARNED = pytest.mark.parametrize("name", ["cnn", "lstm", "lstm, coarse"])


@STEPS
@pytest.mark.parametrize("size", [(8, 12), (7, 11), (13, 6)])
def test_update_has_the_shape_of_the_gradient(name, size):
    gradient, context = make_inputs(*size)
    step, memory = make_step(name), None
    for _ in range(2):
        update, memory = step(gradient, context, memory)
        assert update.shape == gradient.shape
        assert torch.isfinite(update).all()


@STEPS
def test_steps_hold_no_state(name):
    """Two calls with the same memory agree exactly, whatever was called in between."""
    step, (gradient, context) = make_step(name), make_inputs(7, 10)
    attributes = {key: value for key, value in vars(step).items() if key != "training"}
    weights = copy.deepcopy(step.state_dict())
    _, memory = step(gradient, context, None)
    first, _ = step(gradient, context, memory)
    step(-7 * gradient, context, None)
    second, _ = step(gradient, context, memory)
    assert torch.equal(first, second)
    assert {key: value for key, value in vars(step).items() if key != "training"} == attributes
    assert all(torch.equal(value, weights[key]) for key, value in step.state_dict().items())


@LEARNED
def test_memory_and_context_matter(name):
    step, (gradient, context) = make_step(name), make_inputs(7, 10)
    first, memory = step(gradient, context, None)
    second, _ = step(gradient, context, memory)
    elsewhere, _ = step(gradient, context + 1, None)
    assert (first - second).abs().max() > 1e-3
    assert (first - elsewhere).abs().max() > 1e-3


@STEPS
def test_samples_do_not_mix(name):
    step, (gradient, context) = make_step(name), make_inputs(7, 10, batch=3)
    update, _ = step(gradient, context, None)
    alone, _ = step(gradient[1:2], context[1:2], None)
    torch.testing.assert_close(update[1:2], alone)


@LEARNED
def test_latitude_and_longitude_are_treated_alike(name):
    step, (gradient, context) = make_step(name), make_inputs(7, 10)
    other = copy.deepcopy(step)
    for parameter in other.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.transpose(2, 3).contiguous()
    memory = swapped = None
    for _ in range(2):
        update, memory = step(gradient, context, memory)
        mirrored, swapped = other(gradient.mT, context.mT, swapped)
    torch.testing.assert_close(mirrored.mT, update)


def test_gradient_step_is_a_multiple_of_the_gradient():
    gradient, _ = make_inputs(7, 10)
    update, memory = GradientStep(0.3)(gradient, None, None)
    assert torch.equal(update, 0.3 * gradient)
    assert memory is None


@pytest.mark.parametrize("bound", [0.1, 2.0])
def test_cnn_step_is_bounded(bound):
    torch.manual_seed(0)
    step, (gradient, _) = CNNStep(CHANNELS, hidden=5, bound=bound).double(), make_inputs(7, 10)
    update, _ = step(1e8 * gradient, None, None)
    assert update.abs().max() <= bound * math.pi / 2
    assert update.abs().max() > 0.9 * bound * math.pi / 2


def test_cnn_step_remembers_its_update():
    step, (gradient, context) = make_step("cnn"), make_inputs(7, 10)
    update, memory = step(gradient, context, None)
    assert torch.equal(update, memory)
    zero, _ = step(gradient, context, torch.zeros_like(gradient))
    assert torch.equal(update, zero)


@pytest.mark.parametrize("downscale", [1, 2, 4])
def test_untrained_lstm_step_changes_nothing(downscale):
    step = ConvLSTMStep(CHANNELS, hidden=5, downscale=downscale).double()
    gradient, _ = make_inputs(9, 14)
    memory = None
    for _ in range(2):
        update, memory = step(gradient, None, memory)
        assert (update == 0).all()
        assert memory[0].shape[-2:] == (9 // downscale, 14 // downscale)


def test_untrained_lstm_step_can_learn():
    step, (gradient, _) = ConvLSTMStep(CHANNELS, hidden=5).double(), make_inputs(7, 10)
    update, _ = step(gradient, None, None)
    (update - gradient).square().sum().backward()
    assert step.decode.weight.grad.abs().max() > 0


def test_lstm_step_equals_the_cell_of_torch():
    """On a grid of one cell only the centres of the kernels count: an ordinary LSTM."""
    step, hidden = make_step("lstm"), 5
    cell = nn.LSTMCell(hidden, hidden).double()
    forget, store, show, candidate = torch.arange(4 * hidden).chunk(4)
    order = torch.cat([store, forget, candidate, show])
    weights = step.gates.weight.data[order, :, 1, 1]
    cell.weight_ih.data, cell.weight_hh.data = weights.split(hidden, dim=1)
    cell.bias_ih.data = step.gates.bias.data[order]
    nn.init.zeros_(cell.bias_hh)
    memory = expected = None
    for scale in (1, -2, 0.5):
        gradient, context = (scale * part for part in make_inputs(1, 1))
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
    classes = {"ObservationAge": ObservationAge, "ConvLSTMStep": ConvLSTMStep}
    again = build(describe(step, arrays := {}), arrays, classes)
    assert describe(again, {}) == describe(step, {})
    again.load_state_dict(step.state_dict())
