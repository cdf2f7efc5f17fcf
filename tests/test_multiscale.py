"""Networks on several scales: shapes, what they see, and the laws of a step."""

import copy

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.description import build, describe
from xdvarnet.solver.data import Data
from xdvarnet.solver.multiscale import TimeAttention, UNet, UNetStep
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.bilinear import BilinearAutoencoder
from xdvarnet.solver.priors.unet import UNetPrior
from xdvarnet.solver.variational import VariationalSolver

CHANNELS, CONTEXT = 3, 2
KINDS = {
    "plain": {"sees_state": False, "downscale": 1},
    "patches": {"sees_state": True, "downscale": 2},
    "attention": {"sees_state": True, "downscale": 3, "attention": True, "depth": 1},
}
ALL_KINDS = pytest.mark.parametrize("kind", list(KINDS))
SIZES = pytest.mark.parametrize("size", [(8, 12), (7, 11), (13, 6), (1, 5)])


def draw(*shape: int, seed: int = 1) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=random, dtype=torch.float64)


def make_step(kind: str) -> UNetStep:
    """Return a step whose output is not zero, in double precision."""
    torch.manual_seed(0)
    step = UNetStep(CHANNELS, **{"hidden": 4, "context": CONTEXT, **KINDS[kind]}).double()
    nn.init.normal_(step.network.decode.weight)
    return step


def make_inputs(step: UNetStep, *size: int, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a gradient, and a context with the state where the step sees it."""
    seen = CONTEXT + CHANNELS * step.sees_state
    return draw(batch, CHANNELS, *size), draw(batch, seen, *size, seed=2)


@SIZES
@pytest.mark.parametrize("downscale", [1, 2, 3])
@pytest.mark.parametrize("depth", [0, 2])
def test_network_keeps_the_size(size, downscale, depth):
    torch.manual_seed(0)
    network = UNet(5, 3, hidden=2, depth=depth, downscale=downscale, attention=True).double()
    result = network(draw(2, 5, *size))
    assert result.shape == (2, 3, *size)
    assert torch.isfinite(result).all()


@pytest.mark.parametrize("depth", [0, 3])
def test_what_goes_through_keeps_its_size(depth):
    """Neither lost nor grown in the layers of an untrained network, so that it can learn."""
    torch.manual_seed(0)
    network = UNet(8, 3, hidden=16, depth=depth)
    seen = []
    network.decode.register_forward_hook(lambda module, given, result: seen.append(given[0]))
    with torch.no_grad():
        network(draw(2, 8, 24, 32).float())
    assert 0.2 < seen[0].square().mean().sqrt() < 2


def test_patches_are_where_they_were():
    """A change within one patch of four cells is nowhere but there, with kernels of one patch."""
    torch.manual_seed(0)
    network = UNet(1, 1, hidden=4, depth=0, downscale=2).double()
    for layer in network.down[0][::2]:
        layer.weight.data[..., [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
    fields = draw(1, 1, 9, 12)
    other = fields.clone()
    other[..., 5, 8] += 1
    changed = (network(other) != network(fields))[0, 0]
    assert changed[4:6, 8:10].all()
    assert changed.sum() == 4


def test_prior_is_the_network_at_full_resolution():
    """Its parameters have kept their names: files hold them."""
    prior, network = UNetPrior(3, hidden=2, depth=1), UNet(3, 3, hidden=2, depth=1)
    names = [f"{part}.{i}" for part in ("down.0", "down.1", "up.0") for i in (0, 2)] + ["decode"]
    expected = [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]
    assert sorted(prior.state_dict()) == sorted(expected)
    network.load_state_dict(prior.state_dict())
    fields = draw(2, 3, 7, 10).float()
    assert torch.equal(network(fields), prior(fields))


@pytest.mark.parametrize("numbers", [{"hidden": 0}, {"depth": -1}, {"downscale": 0}])
def test_numbers_out_of_range_are_refused(numbers):
    with pytest.raises(InvalidInputError, match="at least 1, 1 and 0"):
        UNet(3, 3, **numbers)


def test_attention_is_that_of_torch():
    torch.manual_seed(0)
    days, size, heads = 5, 6, 3
    block = TimeAttention(4, days=days, size=size, heads=heads).double()
    reference = nn.MultiheadAttention(size, heads, batch_first=True).double()
    reference.in_proj_weight.data = block.project.weight.data
    reference.in_proj_bias.data = block.project.bias.data
    reference.out_proj.weight.data = torch.eye(size, dtype=torch.float64)
    nn.init.zeros_(reference.out_proj.bias)
    fields = draw(2, 4, 3, 7)
    result = block(fields)
    for row, column in ((0, 0), (2, 5)):
        cell = fields[:, :, row, column]
        tokens = block.enter(cell[..., None, None]).view(2, days, size)
        mixed = reference(tokens, tokens, tokens)[0].reshape(2, -1, 1, 1)
        expected = cell + block.leave(mixed)[..., 0, 0]
        torch.testing.assert_close(result[:, :, row, column], expected)


def test_attention_stays_within_a_cell():
    block, fields = TimeAttention(4, days=3, size=4).double(), draw(1, 4, 5, 7)
    other = fields.clone()
    other[..., 2, 3] += 1
    changed = (block(other) - block(fields)).abs().amax(1)[0] > 1e-12
    assert changed[2, 3]
    assert changed.sum() == 1


@ALL_KINDS
@SIZES
def test_update_has_the_shape_of_the_gradient(kind, size):
    step, memory = make_step(kind), None
    gradient, context = make_inputs(step, *size)
    for _ in range(2):
        update, memory = step(gradient, context, memory)
        assert update.shape == gradient.shape
        assert torch.isfinite(update).all()


@ALL_KINDS
def test_samples_do_not_mix(kind):
    step = make_step(kind)
    gradient, context = make_inputs(step, 7, 10, batch=3)
    one = slice(1, 2)
    together, alone = step(gradient, context, None)[0], step(gradient[one], context[one], None)[0]
    torch.testing.assert_close(together[one], alone)
    assert not torch.allclose(together[0], together[1])


@ALL_KINDS
def test_all_that_is_given_matters(kind):
    step = make_step(kind)
    gradient, context = make_inputs(step, 7, 10)
    first, memory = step(gradient, context, None)
    assert torch.equal(step.train()(gradient, context, None)[0], first)
    assert torch.equal(step.eval()(gradient, context, None)[0], first)
    for i in range(context.shape[1]):
        other = context.clone()
        other[:, i] += 1
        assert (step(gradient, other, None)[0] - first).abs().max() > 1e-6
    assert (step(gradient, context, memory)[0] - first).abs().max() > 1e-6


@ALL_KINDS
def test_latitude_and_longitude_are_treated_alike(kind):
    step = make_step(kind)
    if step.downscale > 1:
        side = step.downscale
        weight = step.network.decode.weight.data.unflatten(0, (CHANNELS, side, side))
        weight.copy_((weight + weight.transpose(1, 2)) / 2)
        nn.init.zeros_(step.network.decode.bias)
    gradient, context = make_inputs(step, 7, 10)
    other = copy.deepcopy(step)
    for parameter in other.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.transpose(2, 3).contiguous()
    update = step(gradient, context, None)[0]
    torch.testing.assert_close(other(gradient.mT, context.mT, None)[0].mT, update)


@ALL_KINDS
def test_an_untrained_step_leaves_the_state_and_can_learn(kind):
    torch.manual_seed(0)
    step = UNetStep(CHANNELS, hidden=4, context=CONTEXT, **KINDS[kind])
    solver = VariationalSolver(
        BilinearAutoencoder(CHANNELS, hidden=3), MaskedObservation(), step, iterations=3
    )
    state, values = draw(2, CHANNELS, 9, 14).float(), draw(2, CHANNELS, 9, 14, seed=3).float()
    inputs = state, [Data(values, (values > 0).float())], draw(2, CONTEXT, 9, 14, seed=4).float()
    analysis = solver(*inputs)
    assert torch.equal(analysis, state)
    analysis.square().sum().backward()
    assert step.network.decode.weight.grad.abs().max() > 0
    nn.init.normal_(step.network.decode.weight, std=0.1)
    solver.zero_grad()
    solver(*inputs).square().sum().backward()
    for name, parameter in solver.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    "part",
    [
        UNet(5, 3, hidden=2, depth=1, downscale=2, attention=True),
        UNetStep(3, hidden=2, depth=1, context=2, downscale=3, sees_state=False, attention=True),
        TimeAttention(4, days=3, size=8, heads=2),
    ],
    ids=lambda part: type(part).__name__,
)
def test_parts_are_described_and_built(part):
    kind = type(part)
    again = build(describe(part, arrays := {}), arrays, {kind.__name__: kind})
    assert describe(again, {}) == describe(part, {})
    again.load_state_dict(part.state_dict())
