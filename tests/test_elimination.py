"""Block elimination, against dense algebra."""

import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.elimination import BlockElimination
from xdvarnet.spde.stencil import Stencil

SHAPES = [(4, 7), (7, 4), (2, 3)]


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
    factor = BlockElimination.factor(one)
    found = factor.solve(right)
    assert found.shape == right.shape
    torch.testing.assert_close(one.apply(found), right, rtol=0, atol=1e-12)
    columns = right.flatten(0, 1).permute(1, 2, 0)
    apart = factor.solve_columns(columns).permute(2, 0, 1).view_as(right)
    torch.testing.assert_close(apart, found)
    expected = torch.linalg.solve(dense.T, right.flatten(-2).unsqueeze(-1)).view_as(right)
    torch.testing.assert_close(factor.transpose().solve(right), expected, rtol=0, atol=1e-13)
    assert float(factor.log_determinant()) == pytest.approx(
        float(torch.linalg.slogdet(dense).logabsdet), rel=1e-12
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_is_its_matrices_one_by_one(shape):
    several = stencil(shape, (2, 3))
    found = BlockElimination.factor(several)
    one = BlockElimination.factor(Stencil(several.coefficients[1, 2]))
    torch.testing.assert_close(found.inverses[1, 2], one.inverses)
    assert found.log_determinant().shape == (2, 3)
    torch.testing.assert_close(found.log_determinant()[1, 2], one.log_determinant())


def test_the_inverses_are_of_the_shorter_side():
    assert BlockElimination.factor(stencil((4, 7))).inverses.shape == (7, 4, 4)
    assert BlockElimination.factor(stencil((7, 4))).inverses.shape == (7, 4, 4)


def test_derivatives_are_those_of_finite_differences():
    one = stencil((3, 4))
    inside = one.coefficients != 0
    values, right = one.coefficients[inside].requires_grad_(), fields(2, 3, 4).requires_grad_()

    def both(values, right):
        factor = BlockElimination.factor(
            Stencil(torch.zeros(9, 3, 4, dtype=torch.float64).masked_scatter(inside, values))
        )
        return factor.solve(right), factor.log_determinant()

    assert torch.autograd.gradcheck(both, (values, right))


def test_a_singular_matrix_is_refused():
    one = stencil((3, 5))
    gone = one.coefficients.clone()
    gone[:, :, 2] = 0
    with pytest.raises(InvalidInputError, match="singular at column 2: look for a missing damping"):
        BlockElimination.factor(Stencil(gone))
