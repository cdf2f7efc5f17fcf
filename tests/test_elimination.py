"""Elimination along a dissection, against dense algebra."""

import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.elimination import Elimination
from xdvarnet.spde.stencil import Stencil

SHAPES = [(4, 17), (15, 9), (2, 3)]


def stencil(shape: tuple[int, int], batch: tuple[int, ...] = (), seed: int = 0) -> Stencil:
    """Return one that is not symmetric, with a dominant diagonal."""
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randn(*batch, 9, *shape, generator=random, dtype=torch.float64)
    inside = Stencil(drawn).transpose().transpose()  # without what is outside of the grid
    return inside.add_diagonal(torch.full(shape, 12.0, dtype=torch.float64))


def fields(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_solution_is_that_of_the_dense_matrix(shape):
    one, right = stencil(shape), fields(5, 3, *shape)
    dense = one.to_sparse().to_dense()
    factor = Elimination.factor(one)
    found = factor.solve(right)
    assert found.shape == right.shape
    torch.testing.assert_close(one.apply(found), right, rtol=0, atol=1e-12)
    columns = right.flatten(0, 1).flatten(1).T
    ordered = factor.solve_ordered(columns[factor.order])
    assert torch.equal(ordered, found.flatten(0, 1).flatten(1).T[factor.order])
    expected = torch.linalg.solve(dense.T, right.flatten(-2).unsqueeze(-1)).view_as(right)
    torch.testing.assert_close(factor.transpose().solve(right), expected, rtol=0, atol=1e-13)
    assert float(factor.log_determinant()) == pytest.approx(
        float(torch.linalg.slogdet(dense).logabsdet), rel=1e-12
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_is_its_matrices_one_by_one(shape):
    several = stencil(shape, (2, 3))
    found = Elimination.factor(several)
    one = Elimination.factor(Stencil(several.coefficients[1, 2]))
    torch.testing.assert_close(found.blocks[0][0][1, 2], one.blocks[0][0])
    assert found.log_determinant().shape == (2, 3)
    torch.testing.assert_close(found.log_determinant()[1, 2], one.log_determinant())


def test_derivatives_are_those_of_finite_differences():
    one = stencil((3, 8))
    inside = one.coefficients != 0
    values, right = one.coefficients[inside].requires_grad_(), fields(2, 3, 8).requires_grad_()

    def both(values, right):
        factor = Elimination.factor(
            Stencil(torch.zeros(9, 3, 8, dtype=torch.float64).masked_scatter(inside, values))
        )
        return factor.solve(right), factor.log_determinant()

    assert torch.autograd.gradcheck(both, (values, right))


def test_a_singular_matrix_is_refused():
    one = stencil((3, 5))
    gone = one.coefficients.clone()
    gone[:, :, 2] = 0
    with pytest.raises(InvalidInputError, match="near row 0, column 0: look for a missing damping"):
        Elimination.factor(Stencil(gone))
