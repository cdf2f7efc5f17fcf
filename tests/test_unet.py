"""The U-Net prior: shapes at every depth, symmetry, reach, two derivatives."""

import copy

import pytest
import torch
from torch import nn

from xdvarnet.solver.priors.unet import UNetPrior


def make_prior(channels: int = 3, **options: int) -> UNetPrior:
    """Return a prior in double precision."""
    torch.manual_seed(0)
    return UNetPrior(channels, **options).double()


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


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("size", [(8, 16), (7, 11), (13, 6), (1, 5)])
def test_projection_keeps_the_shape(size, depth):
    state = make_state(2, 3, *size)
    projected = make_prior(hidden=2, depth=depth)(state)
    assert projected.shape == state.shape
    assert torch.isfinite(projected).all()


@pytest.mark.parametrize("size", [(8, 12), (7, 10)])
def test_latitude_and_longitude_are_treated_alike(size):
    prior, state = make_prior(hidden=3), make_state(2, 3, *size)
    torch.testing.assert_close(transposed(prior)(state.mT).mT, prior(state))


def test_channels_double_with_each_scale():
    prior = make_prior(hidden=3, depth=2)
    assert [block[-2].out_channels for block in prior.down] == [3, 6, 12]
    assert [block[-2].out_channels for block in prior.up] == [6, 3]


def test_reach_grows_with_depth():
    """Without a coarser scale a cell is felt two cells away; with each one, farther."""
    state = make_state(1, 3, 32, 40)
    other = state.clone()
    other[..., 16, 20] += 1
    reach = []
    for depth in (0, 1, 2):
        prior = make_prior(hidden=2, depth=depth)
        rows = (prior(other) != prior(state)).any(1)[0].any(1).nonzero()
        reach.append(int((rows - 16).abs().max()))
    assert reach[0] == 2
    assert reach[0] < reach[1] < reach[2]


def test_fine_features_skip_the_coarse_scale():
    """With the coarse features taken away, the fine ones are left: four kernels far."""
    prior, state = make_prior(hidden=2, depth=1), make_state(1, 3, 16, 20)
    prior.up[0][0].weight.data[:, 2:] = 0
    other = state.clone()
    other[..., 8, 10] += 1
    changed = (prior(other) != prior(state)).any(1)[0]
    assert changed[4:13, 6:15].all()
    assert changed.sum() == 81


def test_samples_do_not_mix():
    prior, state = make_prior(hidden=2), make_state(3, 3, 7, 10)
    torch.testing.assert_close(prior(state)[1:2], prior(state[1:2]))


def test_derivatives_exist_twice():
    """The solver differentiates the prior, and training differentiates the solver."""
    prior, state = make_prior(2, hidden=2, depth=1), make_state(1, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(prior, state)
    assert torch.autograd.gradgradcheck(prior, state)
