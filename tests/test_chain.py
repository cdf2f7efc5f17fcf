"""The chain of time steps, against dense algebra with its precision."""

import numpy as np
import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.chain import Chain, matern_chain
from xdvarnet.spde.mesh import Mesh

TIMES, NY, NX = 3, 5, 7
N = TIMES * NY * NX


def mesh(rows: int = NY, columns: int = NX, *, land: bool = False) -> Mesh:
    sea = torch.ones(rows, columns, dtype=torch.bool)
    if land:
        sea[:2, 3:5] = False
    north = 15e3 * torch.arange(rows, dtype=torch.float64)
    return Mesh.from_metres(north, 18e3 * torch.arange(columns, dtype=torch.float64), sea)


def varying(low: float, high: float, *shape: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed + int(1e3 * high))
    return low + (high - low) * torch.rand(shape, generator=random, dtype=torch.float64)


def parameters(*shape: int) -> dict[str, torch.Tensor]:
    return {
        "length": varying(60e3, 90e3, *shape),
        "time": varying(4.0, 8.0, *shape),
        "std": varying(0.04, 0.06, *shape),
        "anisotropy": varying(1.0, 2.0, *shape),
        "angle": varying(0.0, 3.0, *shape),
    }


def drift(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    return varying(-9e3, 9e3, *shape), varying(-5e3, 6e3, *shape)


CASES = {
    "constant": {},
    "varying in space": {"shape": (NY, NX)},
    "varying in space and time": {"shape": (TIMES, NY, NX)},
    "with propagation": {"velocity": drift()},
    "all": {"shape": (TIMES, NY, NX), "velocity": drift(TIMES, NY, NX)},
}


@pytest.fixture(params=CASES, ids=lambda name: name.replace(" ", "-"))
def chain(request) -> Chain:
    case = CASES[request.param]
    given = parameters(*case.get("shape", ()))
    velocity = case.get("velocity", (0.0, 0.0))
    return matern_chain(mesh(land=True), TIMES, **given, propagation=velocity)


def dense(chain: Chain) -> torch.Tensor:
    return chain.precision().to_dense()


def units() -> torch.Tensor:
    return torch.eye(N, dtype=torch.float64).view(N, TIMES, NY, NX)


def noise(*shape: int, seed: int = 4) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_quadratic_is_that_of_the_precision(chain):
    fields = noise(4, 2, TIMES, NY, NX)
    flat = fields.flatten(-3)
    expected = (flat @ dense(chain) * flat).sum(-1)
    torch.testing.assert_close(chain.quadratic(fields), expected, rtol=1e-10, atol=0)


def test_log_determinant_is_that_of_the_precision(chain):
    expected = float(torch.linalg.slogdet(dense(chain)).logabsdet)
    assert float(chain.log_determinant()) == pytest.approx(expected, rel=1e-10)


def test_the_covariance_of_draws_is_the_inverse_of_the_precision(chain):
    """W W^T = Q^-1, entry by entry."""
    root = chain.colour(units()).flatten(1).T
    product = dense(chain) @ (root @ root.T)
    torch.testing.assert_close(product, torch.eye(N).double(), rtol=0, atol=1e-9)


def test_the_adjoint_is_the_adjoint(chain):
    one, other = noise(TIMES, NY, NX, seed=1), noise(TIMES, NY, NX, seed=2)
    left, right = (chain.colour(one) * other).sum(), (one * chain.colour_adjoint(other)).sum()
    torch.testing.assert_close(left, right, rtol=1e-10, atol=0)


def test_draws_do_not_look_ahead():
    """A change of the noise of the last day changes the last day alone."""
    chain = matern_chain(mesh(), TIMES, **parameters())
    white = noise(TIMES, NY, NX)
    other = white.clone()
    other[-1] += 1
    change = chain.colour(other) - chain.colour(white)
    assert not change[:-1].any() and (change[-1] != 0).all()


def test_a_batch_is_its_chains_one_by_one():
    """Parameters of the sizes (batch, times or 1, rows, columns) in one call."""
    given = parameters(2, TIMES, NY, NX) | {"std": varying(0.04, 0.06, 2, 1, 1, 1)}
    both = matern_chain(mesh(land=True), TIMES, **given)
    fields = noise(2, TIMES, NY, NX)
    assert both.log_determinant().shape == both.quadratic(fields).shape == (2,)
    for i in range(2):
        one = matern_chain(
            mesh(land=True), TIMES, **{name: value[i] for name, value in given.items()}
        )
        torch.testing.assert_close(both.quadratic(fields)[i], one.quadratic(fields[i]))
        torch.testing.assert_close(both.log_determinant()[i], one.log_determinant())
    with pytest.raises(InvalidInputError, match="are of several equations"):
        both.precision()


@pytest.mark.parametrize("velocity", [0.0, 6e3])
def test_derivatives_are_those_of_finite_differences(velocity):
    """Of the quadratic form and of the log-determinant, with respect to parameter fields."""
    small, names = mesh(3, 4), ("length", "time", "std", "anisotropy", "angle")
    start = parameters(3, 4)
    fields = noise(2, 3, 4).requires_grad_()

    def density(fields, *logarithms):
        given = {
            name: start[name] * each.exp() for name, each in zip(names, logarithms, strict=True)
        }
        chain = matern_chain(small, 2, **given, propagation=(velocity, 0.0))
        return chain.quadratic(1e-2 * fields), chain.log_determinant()

    logarithms = [torch.zeros(3, 4, dtype=torch.float64, requires_grad=True) for _ in names]
    assert torch.autograd.gradcheck(density, (fields, *logarithms), rtol=1e-4)


def test_draws_are_differentiable_in_the_parameters():
    given = parameters()

    def draw(length, anisotropy):
        other = given | {"length": 70e3 * length, "anisotropy": anisotropy}
        return matern_chain(mesh(3, 4), 2, **other).colour(noise(1, 2, 3, 4))

    ones = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (1.1, 1.4)]
    assert torch.autograd.gradcheck(draw, ones, rtol=1e-4)


def variances(chain: Chain) -> torch.Tensor:
    return torch.linalg.inv(dense(chain)).diagonal().view(TIMES, NY, NX)


def test_a_stationary_chain_is_normalised_exactly():
    """Also where the parameters vary in space, and the standard deviation asked for too."""
    std = varying(0.02, 0.1, NY, NX)
    chain = matern_chain(mesh(land=True), TIMES, **parameters(NY, NX)).normalise(std)
    assert chain.is_stationary
    torch.testing.assert_close(variances(chain).sqrt(), std.expand(TIMES, -1, -1))
    moved = matern_chain(mesh(), TIMES, **parameters(), propagation=(5e3, 0.0))
    assert not moved.is_stationary
    changing = matern_chain(mesh(), TIMES, **parameters(TIMES, NY, NX)).normalise(0.05)
    assert not changing.is_stationary
    torch.testing.assert_close(variances(changing)[0].sqrt(), torch.full((NY, NX), 0.05).double())
    assert float((variances(changing).sqrt() / 0.05 - 1).abs().max()) < 0.1


def test_draws_do_not_depend_on_how_many_follow():
    chain = matern_chain(mesh(), TIMES, **parameters())
    few, many = (chain.sample(count, torch.Generator().manual_seed(3)) for count in (2, 5))
    torch.testing.assert_close(few, many[:2], rtol=1e-12, atol=0)
    assert many.shape == (5, TIMES, NY, NX)


def test_parameters_on_land_are_not_read():
    land = ~mesh(land=True).sea
    given = parameters(NY, NX)
    bad = {name: value.masked_fill(land, np.nan) for name, value in given.items()}
    one, other = (matern_chain(mesh(land=True), TIMES, **each) for each in (given, bad))
    fields = noise(TIMES, NY, NX)
    torch.testing.assert_close(one.quadratic(fields), other.quadratic(fields))


@pytest.mark.parametrize("name", ["length", "time", "std", "anisotropy"])
def test_bad_parameters_are_refused_with_their_place(name):
    given = parameters(TIMES, NY, NX)
    given[name][1, 2, 3] = -1.0
    with pytest.raises(InvalidInputError, match=rf"{name} is -1 at index \(1, 2, 3\); give posit"):
        matern_chain(mesh(), TIMES, **given)
