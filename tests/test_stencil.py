"""Stencils are matrices: product, transpose, sum, scaling of rows, sparse form."""

import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.stencil import OFFSETS, Stencil

ROWS, COLUMNS = 4, 6


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return standard normal numbers in double precision."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=random, dtype=torch.float64)


def make_stencil(*batch: int, seed: int = 0) -> Stencil:
    """Return random coefficients, zero where a neighbour is outside the grid."""
    coefficients = draw(*batch, 9, ROWS, COLUMNS, seed=seed)
    for k, (north, east) in enumerate(OFFSETS):
        for row in range(ROWS):
            for column in range(COLUMNS):
                if not (0 <= row + north < ROWS and 0 <= column + east < COLUMNS):
                    coefficients[..., k, row, column] = 0
    return Stencil(coefficients)


def to_matrix(stencil: Stencil) -> torch.Tensor:
    """Write out the matrix, by loops."""
    matrix = torch.zeros(ROWS * COLUMNS, ROWS * COLUMNS, dtype=torch.float64)
    for row in range(ROWS):
        for column in range(COLUMNS):
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    if 0 <= row + i < ROWS and 0 <= column + j < COLUMNS:
                        value = stencil.coefficients[3 * (i + 1) + j + 1, row, column]
                        matrix[row * COLUMNS + column, (row + i) * COLUMNS + column + j] = value
    return matrix


def test_sparse_matrix_is_written_as_documented():
    """Coalesced, double, with an entry for each neighbour inside, and equal to the loops."""
    stencil = make_stencil()
    sparse = stencil.to_sparse()
    assert sparse.is_coalesced() and sparse.dtype == torch.float64
    assert sparse.values().numel() == (3 * ROWS - 2) * (3 * COLUMNS - 2)
    assert torch.equal(sparse.to_dense(), to_matrix(stencil))
    zero = Stencil(torch.zeros(9, ROWS, COLUMNS)).to_sparse()
    assert torch.equal(zero.indices(), sparse.indices())  # the pattern is that of the grid


def test_a_diagonal_is_added():
    """To one matrix, and to each of a batch; the first stays as it is."""
    stencil, values = make_stencil(), draw(ROWS, COLUMNS, seed=3)
    expected = to_matrix(stencil) + torch.diag(values.flatten())
    torch.testing.assert_close(to_matrix(stencil.add_diagonal(values)), expected)
    several = make_stencil(2).add_diagonal(draw(3, 1, ROWS, COLUMNS))
    assert several.coefficients.shape == (3, 2, 9, ROWS, COLUMNS)


def test_apply_is_the_matrix_product():
    stencil, field = make_stencil(), draw(ROWS, COLUMNS)
    product = (stencil.to_sparse() @ field.reshape(-1, 1)).reshape(ROWS, COLUMNS)
    torch.testing.assert_close(stencil.apply(field), product, rtol=1e-13, atol=1e-13)


def test_batches_are_broadcast():
    """Members and parameters are leading dimensions, of the field, of the stencil or of both."""
    stencils, fields = make_stencil(2, 1), draw(3, ROWS, COLUMNS)
    result = stencils.apply(fields)
    assert result.shape == (2, 3, ROWS, COLUMNS)
    for i in range(2):
        for j in range(3):
            one = Stencil(stencils.coefficients[i, 0]).apply(fields[j])
            torch.testing.assert_close(result[i, j], one)


def test_transpose_is_the_adjoint():
    """<K x, y> = <x, K^T y>; also entry by entry, for batches, and twice is once."""
    stencil, x, y = make_stencil(2), draw(2, ROWS, COLUMNS, seed=1), draw(2, ROWS, COLUMNS, seed=2)
    left, right = (stencil.apply(x) * y).sum(), (x * stencil.transpose().apply(y)).sum()
    torch.testing.assert_close(left, right, rtol=1e-13, atol=0)
    assert torch.equal(stencil.transpose().transpose().coefficients, stencil.coefficients)
    one = Stencil(stencil.coefficients[1])
    assert torch.equal(to_matrix(one.transpose()), to_matrix(one).mT)


def test_sum_and_scaling_are_those_of_matrices():
    """`scale` multiplies rows; a batch plus one matrix is a batch."""
    one, other, factor = make_stencil(), make_stencil(seed=1), draw(ROWS, COLUMNS)
    assert torch.equal(to_matrix(one + other), to_matrix(one) + to_matrix(other))
    expected = torch.diag(factor.flatten()) @ to_matrix(one)
    torch.testing.assert_close(to_matrix(one.scale(factor)), expected)
    torch.testing.assert_close(to_matrix(one.scale(2.5)), 2.5 * to_matrix(one))
    torch.testing.assert_close(one.scale(torch.tensor(2.5)).coefficients, 2.5 * one.coefficients)
    factors = draw(3, ROWS, COLUMNS)
    scaled = one.scale(factors) + other
    assert scaled.coefficients.shape == (3, 9, ROWS, COLUMNS)
    single = (one.scale(factors[2]) + other).coefficients
    assert torch.equal(scaled.coefficients[2], single)


def test_gradients_pass():
    """The product and the sparse form are differentiable in the coefficients."""
    field = draw(ROWS, COLUMNS)
    coefficients = make_stencil().coefficients.requires_grad_()

    def product(values: torch.Tensor) -> torch.Tensor:
        return Stencil(values).transpose().apply(field)

    def dense(values: torch.Tensor) -> torch.Tensor:
        return Stencil(values).to_sparse().to_dense()

    assert torch.autograd.gradcheck(product, coefficients)
    assert torch.autograd.gradcheck(dense, coefficients)


def test_what_does_not_fit_is_refused():
    """The messages give the shapes."""
    with pytest.raises(InvalidInputError, match=r"\(8, 4, 6\) are no stencil; .* \(..., 9, rows"):
        Stencil(torch.zeros(8, 4, 6))
    with pytest.raises(InvalidInputError, match=r"shape \(6, 4\), .* \(..., 4, 6\)"):
        make_stencil().apply(draw(COLUMNS, ROWS))
    with pytest.raises(InvalidInputError, match=r"\(2, 9, 4, 6\) are a batch .* one of them"):
        make_stencil(2).to_sparse()
