"""The exact engine against dense algebra."""

from types import SimpleNamespace

import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde import engines
from xdvarnet.spde.engines import BlockCholesky
from xdvarnet.spde.precision import filtered, rows_first, space_time_precision

TIMES, NY, NX = 3, 7, 4
N = TIMES * NY * NX
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def second_difference(size: int) -> torch.Tensor:
    """Return minus the second difference with closed ends, dense."""
    step = torch.eye(size, dtype=torch.float64).diff(dim=0)
    return step.T @ step


def operator(drift: float) -> torch.Tensor:
    """Return a nine-point operator with damping, and with a drift across rows, sparse."""
    rows, columns = second_difference(NY), 0.6 * second_difference(NX)
    found = torch.kron(rows, torch.eye(NX)) + torch.kron(torch.eye(NY), columns)
    found = found - torch.kron(rows, columns) / 6 + 0.2 * torch.eye(NY * NX)
    step = torch.eye(NY, dtype=torch.float64) - torch.eye(NY, dtype=torch.float64).roll(1, 0)
    step[0] = 0
    return (found + drift * torch.kron(step, torch.eye(NX))).to_sparse()


def make(reach: int) -> SimpleNamespace:
    """Return a precision, sparse and dense, its factor and the arguments of it."""
    area = torch.linspace(0.5, 1.5, NY * NX, dtype=torch.float64)
    matrix = space_time_precision([operator(0.3 * k) for k in range(TIMES)], area, 0.7)
    if reach == 4:
        matrix = filtered(matrix, [operator(0)] * TIMES, area)
    size, order = reach * TIMES * NX, rows_first(TIMES, NY, NX)
    factor = BlockCholesky.factor(matrix, size, order=order)
    return SimpleNamespace(
        matrix=matrix, dense=matrix.to_dense(), factor=factor, size=size, order=order
    )


@pytest.fixture(scope="module", params=[2, 4])
def case(request) -> SimpleNamespace:
    """A precision that reaches two rows, or four; neither divides the number of rows."""
    return make(request.param)


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_log_determinant(case):
    torch.testing.assert_close(case.factor.log_determinant(), torch.logdet(case.dense), **CLOSE)


@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 3)])
def test_solve(case, batch):
    right = randn(*batch, N)
    kept = right.clone()
    expected = torch.linalg.solve(case.dense, right.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(case.factor.solve(right), expected, **CLOSE)
    assert torch.equal(right, kept)


def test_variances(case):
    expected = torch.linalg.inv(case.dense).diagonal()
    torch.testing.assert_close(case.factor.variances(), expected, **CLOSE)


def test_covariance_of_samples(case):
    """Exactly, as the products of the columns of L^-T."""
    columns = case.factor.colour(torch.eye(N, dtype=torch.float64))
    torch.testing.assert_close(columns.T @ columns, torch.linalg.inv(case.dense), **CLOSE)


def test_the_adjoint_of_colouring(case):
    """<L^-T a, b> = <a, L^-1 b>, in the order of the matrix."""
    white, fields = randn(2, 3, N), randn(2, 3, N).flip(-1)
    left, right = case.factor.colour(white) * fields, white * case.factor.colour_adjoint(fields)
    torch.testing.assert_close(left.sum(-1), right.sum(-1), **CLOSE)


def test_samples_are_coloured_noise(case):
    """Of the generator: one seed gives the same fields."""
    draws = [case.factor.sample(6, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    torch.testing.assert_close(draws[0], case.factor.colour(randn(6, N)), rtol=0, atol=0)
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("size", [N + 5, N, N - 1, 3 * TIMES * NX + 5])
def test_the_size_of_blocks_does_not_matter(size):
    case = make(2)
    factor = BlockCholesky.factor(case.matrix, size, order=case.order)
    torch.testing.assert_close(factor.log_determinant(), torch.logdet(case.dense), **CLOSE)
    torch.testing.assert_close(factor.variances(), case.factor.variances(), **CLOSE)
    right = randn(2, N)
    torch.testing.assert_close(factor.solve(right), case.factor.solve(right), **CLOSE)


def test_without_an_order(case):
    """In the order of the matrix, which needs blocks of a whole time here."""
    factor = BlockCholesky.factor(case.matrix, NY * NX)
    right = randn(2, N)
    torch.testing.assert_close(factor.solve(right), case.factor.solve(right), **CLOSE)
    torch.testing.assert_close(factor.variances(), case.factor.variances(), **CLOSE)


def test_factor_leaves_the_matrix(case):
    assert torch.equal(case.matrix.to_dense(), case.dense)


def small(values: torch.Tensor) -> BlockCholesky:
    """Factor a matrix of 7 unknowns in blocks of 3, from its lower triangle of bandwidth 3.

    The order is reversed, so that entries above and below the diagonal change their places.
    """
    row, column = torch.tril_indices(7, 7)
    near = row - column < 4
    row, column = row[near], column[near]
    below = row > column
    indices = torch.stack([torch.cat([row, column[below]]), torch.cat([column, row[below]])])
    values = torch.cat([values, values[below]])
    matrix = torch.sparse_coo_tensor(indices, values, (7, 7), check_invariants=True)
    return BlockCholesky.factor(matrix.coalesce(), 3, order=torch.arange(6, -1, -1))


@pytest.fixture
def values() -> torch.Tensor:
    """A diagonally dominant lower triangle for `small`."""
    row, column = torch.tril_indices(7, 7)
    near = row - column < 4
    found = 0.4 * randn(int(near.sum()))
    found[(row == column)[near]] = torch.linspace(3.0, 5.0, 7, dtype=torch.float64)
    return found.requires_grad_()


def test_derivatives_of_the_log_determinant(values):
    assert torch.autograd.gradcheck(lambda v: small(v).log_determinant(), values)


@pytest.mark.parametrize("method", ["solve", "colour"])
@pytest.mark.parametrize("batch", [(), (2, 2)])
def test_derivatives_of_fields(method, batch, values):
    """With respect to the matrix and the right-hand side together."""
    right = randn(*batch, 7).requires_grad_()
    assert torch.autograd.gradcheck(lambda v, r: getattr(small(v), method)(r), (values, right))


def test_derivative_of_a_sampled_variance_is_that_of_the_inverse(case):
    """The mean square of the columns of L^-T is the trace of the inverse, of derivative -Q^-2."""
    matrix = case.matrix.detach().requires_grad_()
    factor = BlockCholesky.factor(matrix, case.size, order=case.order)
    trace = factor.colour(torch.eye(N, dtype=torch.float64)).square().sum()
    (found,) = torch.autograd.grad(trace, matrix)
    inverse = torch.linalg.inv(case.dense)
    row, column = case.matrix.indices()
    expected = -(inverse @ inverse)[row, column]
    torch.testing.assert_close(found.coalesce().values(), expected, **CLOSE)


def test_derivative_of_the_log_determinant_is_the_inverse(case):
    """On the pattern of the matrix."""
    matrix = case.matrix.detach().requires_grad_()
    factor = BlockCholesky.factor(matrix, case.size, order=case.order)
    (found,) = torch.autograd.grad(3 * factor.log_determinant(), matrix)
    row, column = case.matrix.indices()
    expected = 3 * torch.linalg.inv(case.dense)[row, column]
    torch.testing.assert_close(found.coalesce().values(), expected, **CLOSE)


def test_derivatives_of_the_right_side_alone(case):
    """A matrix without derivatives is no obstacle."""
    right = randn(N).requires_grad_()
    (found,) = torch.autograd.grad(case.factor.solve(right).sum(), right)
    torch.testing.assert_close(found, case.factor.solve(torch.ones_like(right)), **CLOSE)


def test_derivatives_reach_the_parameter_of_an_operator():
    """Of the log-likelihood of a field, with respect to the damping, by finite differences."""
    base, area = operator(0.2), torch.ones(NY * NX, dtype=torch.float64)
    field, order = randn(TIMES * NY * NX), rows_first(TIMES, NY, NX)
    unit = torch.eye(NY * NX, dtype=torch.float64).to_sparse()

    def likelihood(damping: torch.Tensor) -> torch.Tensor:
        matrix = space_time_precision([base + unit * damping] * TIMES, area, 0.7)
        factor = BlockCholesky.factor(matrix, 2 * TIMES * NX, order=order)
        return (factor.log_determinant() - field @ (matrix @ field)) / 2

    assert torch.autograd.gradcheck(likelihood, torch.tensor(0.3).double().requires_grad_())


def test_memory_bounds_what_is_kept(case):
    """It is that of the blocks, and some more."""
    stated = BlockCholesky.memory(N, case.size)
    kept = case.factor.blocks.numel() * 8
    assert kept < stated <= kept + 10 * 8 * case.size**2
    assert BlockCholesky.memory(50_000, 1000) == pytest.approx(0.8e9, rel=0.12)


def test_too_little_memory_is_said_before_it_is_taken(case, monkeypatch):
    monkeypatch.setattr(engines, "_dense_blocks", lambda *_: pytest.fail("blocks were allocated"))
    with pytest.raises(InvalidInputError, match=r"takes .* GB, and the limit is 1e-06 GB.*itera"):
        BlockCholesky.factor(case.matrix, case.size, limit=1000)
    monkeypatch.setattr(engines.os, "sysconf", lambda _: 40)
    with pytest.raises(InvalidInputError, match="the limit is 8e-07 GB"):
        BlockCholesky.factor(case.matrix, case.size)


def test_a_system_that_does_not_tell_its_memory_sets_no_limit(case, monkeypatch):
    monkeypatch.delattr(engines.os, "sysconf")
    assert BlockCholesky.factor(case.matrix, case.size, order=case.order).log_determinant() > 0


@pytest.mark.parametrize("unknown", [0, 30, N - 1])
def test_place_of_a_pivot_that_is_not_positive(unknown, case):
    """In the numbering of the matrix; pivots before it are those of a definite matrix."""
    place = int((case.order == unknown).nonzero())
    dense = case.dense.clone()
    dense[unknown, unknown] = -1.0
    with pytest.raises(InvalidInputError, match=f"unknown {unknown} .place {place} of {N} "):
        BlockCholesky.factor(dense.to_sparse(), case.size, order=case.order)


def test_blocks_that_are_too_small_are_said(case):
    with pytest.raises(InvalidInputError, match="more than one block of 11 apart"):
        BlockCholesky.factor(case.matrix, 11, order=case.order)


@pytest.mark.parametrize("order", [torch.arange(N - 1), torch.zeros(N, dtype=torch.int64)])
def test_orders_that_are_no_permutation_are_said(order, case):
    with pytest.raises(InvalidInputError, match=f"each of 0 to {N - 1} once"):
        BlockCholesky.factor(case.matrix, case.size, order=order)


def spoilt(value: float) -> torch.Tensor:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[1, 2] = value
    return matrix.to_sparse()


@pytest.mark.parametrize(
    ("matrix", "size", "message"),
    [
        (torch.eye(4, dtype=torch.float64), 2, "torch.strided"),
        (torch.eye(4).to_sparse(), 2, "torch.float32"),
        (torch.ones(4, 3, dtype=torch.float64).to_sparse(), 2, r"\(4, 3\)"),
        (spoilt(0.0), 0, "block_size=0"),
        (spoilt(0.5), 2, "not symmetric"),
        (spoilt(float("nan")), 2, "not finite"),
    ],
)
def test_matrices_of_another_kind_are_said(matrix, size, message):
    with pytest.raises(InvalidInputError, match=message):
        BlockCholesky.factor(matrix, size)
