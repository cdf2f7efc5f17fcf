"""The convolutional priors: shapes, symmetry, reach, two derivatives."""

import copy

import pytest
import torch
from torch import nn

from xdvarnet.solver.priors.bilinear import BilinearAutoencoder
from xdvarnet.solver.priors.unet import UNetPrior

KINDS = {"bilinear": BilinearAutoencoder, "U-Net": UNetPrior}
SCALES = [
    *[("bilinear", {"downscale": factor}) for factor in (1, 2, 4)],
    *[("U-Net", {"depth": depth}) for depth in (0, 1, 3)],
]


def make_prior(kind: str, channels: int = 3, **options: int) -> nn.Module:
    """Return a prior in double precision."""
    torch.manual_seed(0)
    return KINDS[kind](channels, **options).double()


def make_state(*shape: int) -> torch.Tensor:
    """Return a state in double precision."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def transposed(module: nn.Module) -> nn.Module:
    """Return the module whose kernels have latitude and longitude exchanged."""
    other = copy.deepcopy(module)
    for parameter in other.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.transpose(2, 3).contiguous()
    return other


@pytest.mark.parametrize(("kind", "options"), SCALES, ids=str)
@pytest.mark.parametrize("size", [(8, 16), (7, 11), (13, 6), (1, 5)])
def test_projection_keeps_the_shape(size, kind, options):
    state = make_state(2, 3, *size)
    projected = make_prior(kind, hidden=4, **options)(state)
    assert projected.shape == state.shape
    assert torch.isfinite(projected).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(8, 12), (7, 10)])
def test_latitude_and_longitude_are_treated_alike(size, kind):
    prior, state = make_prior(kind, hidden=4), make_state(2, 3, *size)
    torch.testing.assert_close(transposed(prior)(state.mT).mT, prior(state))


@pytest.mark.parametrize("kind", KINDS)
def test_samples_do_not_mix(kind):
    prior, state = make_prior(kind, hidden=4), make_state(3, 3, 7, 10)
    torch.testing.assert_close(prior(state)[1:2], prior(state[1:2]))


@pytest.mark.parametrize(
    ("kind", "options"), [("bilinear", {"hidden": 3}), ("U-Net", {"hidden": 2, "depth": 1})]
)
def test_derivatives_exist_twice(kind, options):
    """The solver differentiates the prior, and training differentiates the solver."""
    prior, state = make_prior(kind, 2, **options), make_state(1, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(prior, state)
    assert torch.autograd.gradgradcheck(prior, state)


def test_products_are_of_second_degree():
    """The part of the code that is multiplied grows as the square, the other part linearly."""
    prior, state = make_prior("bilinear", hidden=4, downscale=1), make_state(1, 3, 6, 9)
    for layer in (prior.encode, prior.transform, prior.linear, prior.left, prior.right):
        nn.init.zeros_(layer.bias)
    nn.init.zeros_(prior.decode.bias)
    linear, products = copy.deepcopy(prior), copy.deepcopy(prior)
    linear.decode.weight.data[:, 4:] = 0
    products.decode.weight.data[:, :4] = 0
    torch.testing.assert_close(linear(3 * state), 3 * linear(state))
    torch.testing.assert_close(products(3 * state), 9 * products(state))
    torch.testing.assert_close(linear(state) + products(state), prior(state))
    assert products(state).abs().max() > 1e-6


def test_projection_is_local():
    """A cell is felt as far as four kernels reach, and no farther."""
    prior, state = make_prior("bilinear", hidden=4, downscale=1), make_state(1, 3, 15, 19)
    other = state.clone()
    other[..., 7, 9] += 1
    changed = (prior(other) != prior(state)).any(1)[0]
    assert changed[3:12, 5:14].all()
    assert changed.sum() == 81


def test_channels_double_with_each_scale():
    prior = make_prior("U-Net", hidden=3, depth=2)
    assert [block[-2].out_channels for block in prior.down] == [3, 6, 12]
    assert [block[-2].out_channels for block in prior.up] == [6, 3]


def test_reach_grows_with_depth():
    """Without a coarser scale a cell is felt two cells away; with each one, farther."""
    state = make_state(1, 3, 32, 40)
    other = state.clone()
    other[..., 16, 20] += 1
    reach = []
    for depth in (0, 1, 2):
        prior = make_prior("U-Net", hidden=2, depth=depth)
        rows = (prior(other) != prior(state)).any(1)[0].any(1).nonzero()
        reach.append(int((rows - 16).abs().max()))
    assert reach[0] == 2
    assert reach[0] < reach[1] < reach[2]


def test_fine_features_skip_the_coarse_scale():
    """With the coarse features taken away, the fine ones are left: four kernels far."""
    prior, state = make_prior("U-Net", hidden=2, depth=1), make_state(1, 3, 16, 20)
    prior.up[0][0].weight.data[:, 2:] = 0
    other = state.clone()
    other[..., 8, 10] += 1
    changed = (prior(other) != prior(state)).any(1)[0]
    assert changed[4:13, 6:15].all()
    assert changed.sum() == 81
