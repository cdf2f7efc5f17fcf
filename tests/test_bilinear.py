"""The bilinear autoencoder: shapes, symmetry, its bilinear part, two derivatives."""

import copy

import pytest
import torch
from torch import nn

from xdvarnet.solver.priors.bilinear import BilinearAutoencoder


def make_prior(channels: int = 3, **options: int) -> BilinearAutoencoder:
    """Return a prior in double precision."""
    torch.manual_seed(0)
    return BilinearAutoencoder(channels, **options).double()


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


@pytest.mark.parametrize("downscale", [1, 2, 4])
@pytest.mark.parametrize("size", [(8, 12), (7, 11), (13, 6), (1, 5)])
def test_projection_keeps_the_shape(size, downscale):
    state = make_state(2, 3, *size)
    projected = make_prior(hidden=4, downscale=downscale)(state)
    assert projected.shape == state.shape
    assert torch.isfinite(projected).all()


@pytest.mark.parametrize("size", [(8, 12), (7, 10)])
def test_latitude_and_longitude_are_treated_alike(size):
    prior, state = make_prior(hidden=4), make_state(2, 3, *size)
    torch.testing.assert_close(transposed(prior)(state.mT).mT, prior(state))


def test_products_are_of_second_degree():
    """The part of the code that is multiplied grows as the square, the other part linearly."""
    prior, state = make_prior(hidden=4, downscale=1), make_state(1, 3, 6, 9)
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
    prior, state = make_prior(hidden=4, downscale=1), make_state(1, 3, 15, 19)
    other = state.clone()
    other[..., 7, 9] += 1
    changed = (prior(other) != prior(state)).any(1)[0]
    assert changed[3:12, 5:14].all()
    assert changed.sum() == 81


def test_samples_do_not_mix():
    prior, state = make_prior(hidden=4), make_state(3, 3, 7, 10)
    torch.testing.assert_close(prior(state)[1:2], prior(state[1:2]))


def test_derivatives_exist_twice():
    """The solver differentiates the prior, and training differentiates the solver."""
    prior, state = make_prior(2, hidden=3), make_state(1, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(prior, state)
    assert torch.autograd.gradgradcheck(prior, state)
