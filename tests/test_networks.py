"""Networks on several scales: shapes, what they see, and their arguments."""

from functools import partial

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.description import build, describe
from xdvarnet.solver.layout import PLANE, Layout
from xdvarnet.solver.networks import StridedUNet, TimeAttention, UNet
from xdvarnet.solver.priors.unet import UNetPrior
from xdvarnet.solver.steps import UNetStep

SIZES = pytest.mark.parametrize("size", [(8, 12), (7, 11), (13, 6), (1, 5)])


def draw(*shape: int, seed: int = 1) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=random, dtype=torch.float64)


def make_strided(layout: Layout = PLANE, **options) -> StridedUNet:
    """Return a network over rows and, in a plane, over columns."""
    columns = 2 if layout == PLANE else 1
    cells = {"patch": (2, columns), "downscale": [(3, columns), (2, 1)]}
    return StridedUNet(5, 3, **{"hidden": 2, **cells, "layout": layout, **options})


NETWORKS = {
    f"UNet, depth {depth}, patches of {side}": partial(
        UNet, 5, 3, hidden=2, depth=depth, downscale=side, attention=True
    )
    for depth in (0, 2)
    for side in (1, 2, 3)
} | {
    "strided": make_strided,
    "strided, one level": partial(make_strided, downscale=()),
    "strided, ring": partial(make_strided, Layout(periodic=True), kernel=(3, 5)),
}


@SIZES
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_network_keeps_the_size(size, make):
    torch.manual_seed(0)
    result = make().double()(draw(2, 5, *size))
    assert result.shape == (2, 3, *size)
    assert torch.isfinite(result).all()


@pytest.mark.parametrize("rows", [8, 11, 23])
def test_components_are_kept(rows):
    network = make_strided(Layout(components=4)).double()
    assert network(draw(2, 5, rows, 4)).shape == (2, 3, rows, 4)


def test_a_ring_has_no_first_column():
    torch.manual_seed(0)
    network = make_strided(Layout(periodic=True), kernel=(3, 5)).double()
    fields = draw(2, 5, 12, 10)
    torch.testing.assert_close(network(fields.roll(3, -1)), network(fields).roll(3, -1))


@pytest.mark.parametrize(
    ("layout", "cell", "columns"),
    [
        (PLANE, (3, 2), slice(4, 8)),
        (Layout(periodic=True), (3, 1), 5),
        (Layout(components=9), (3, 1), slice(None)),
    ],
    ids=str,
)
def test_a_cell_depends_on_its_patches_alone(layout, cell, columns):
    """With kernels of one point: on 2 times 3 rows, and on 2 times 2 columns of a plane."""
    torch.manual_seed(0)
    network = make_strided(layout, kernel=(1, 1), hidden=5, downscale=[cell]).double()
    fields = draw(2, 5, 21, 9)  # no multiple of a patch
    other = fields.clone()
    other[1, 0, 7, 5] += 1
    with torch.no_grad():
        changed = (network(other) - network(fields)).abs() > 1e-12
    expected = torch.zeros_like(changed)
    expected[1, :, 6:12, columns] = True
    assert torch.equal(changed, expected)


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


def test_strided_numbers_out_of_range_are_refused():
    for name in ("hidden", "depth"):
        with pytest.raises(InvalidInputError, match=f"{name}=0"):
            make_strided(**{name: 0})
    for cell in (4, (2,), (2, 0), (2.0, 1), "ab"):
        for cells in ({"patch": cell}, {"downscale": [(2, 1), cell]}):
            with pytest.raises(InvalidInputError, match=r"coarse cell is .*, such as \(2, 1\)"):
                make_strided(**cells)
    for layout in (Layout(periodic=True), Layout(components=3)):
        with pytest.raises(InvalidInputError, match=r"only in a plane; .*give \(4, 1\)"):
            make_strided(layout, patch=(4, 2))
    with pytest.raises(InvalidInputError, match="for 3 components"):
        make_strided(Layout(components=3))(draw(1, 5, 8, 4).float())


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


@pytest.mark.parametrize(
    "part",
    [
        UNet(5, 3, hidden=2, depth=1, downscale=2, attention=True),
        make_strided(Layout(periodic=True), kernel=(3, 5)),
        UNetStep(3, hidden=2, depth=1, context=2, downscale=3, sees_state=False, attention=True),
        TimeAttention(4, days=3, size=8, heads=2),
    ],
    ids=lambda part: type(part).__name__,
)
def test_parts_are_described_and_built(part):
    kind = type(part)
    classes = {kind.__name__: kind, "Layout": Layout}
    again = build(describe(part, arrays := {}), arrays, classes)
    assert describe(again, {}) == describe(part, {})
    again.load_state_dict(part.state_dict())
