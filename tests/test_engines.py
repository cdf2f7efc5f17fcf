"""The exact engine against dense algebra."""

from types import SimpleNamespace

import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.dissection import dissect
from xdvarnet.spde.engines import SparseCholesky, usable_memory
from xdvarnet.spde.precision import filtered, space_time_precision

TIMES, NY, NX = 3, 7, 11
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
    fronts = dissect(TIMES, NY, NX, reach)
    assert len(fronts.fronts) > 2
    factor = SparseCholesky.factor(matrix, fronts)
    return SimpleNamespace(matrix=matrix, dense=matrix.to_dense(), factor=factor, fronts=fronts)


@pytest.fixture(scope="module", params=[2, 4])
def case(request) -> SimpleNamespace:
    """A precision that reaches two rows, or four."""
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


@pytest.mark.parametrize("fronts", [(TIMES, NY, NX, 5), (1, 1, N, NY * NX + 24)])
def test_the_dissection_does_not_matter(fronts):
    """One for more rows than are reached, or none."""
    case = make(2)
    factor = SparseCholesky.factor(case.matrix, dissect(*fronts))
    torch.testing.assert_close(factor.log_determinant(), torch.logdet(case.dense), **CLOSE)
    torch.testing.assert_close(factor.variances(), case.factor.variances(), **CLOSE)
    right = randn(2, N)
    torch.testing.assert_close(factor.solve(right), case.factor.solve(right), **CLOSE)


def test_factor_leaves_the_matrix(case):
    assert torch.equal(case.matrix.to_dense(), case.dense)


def band() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the places of the lower triangle of a matrix of 20 unknowns, of bandwidth 3."""
    row, column = torch.tril_indices(20, 20)
    near = row - column < 4
    return row[near], column[near]


def small(values: torch.Tensor) -> SparseCholesky:
    """Factor a matrix on a line of 20 cells, in three fronts, from its lower triangle."""
    row, column = band()
    below = row > column
    indices = torch.stack([torch.cat([row, column[below]]), torch.cat([column, row[below]])])
    values = torch.cat([values, values[below]])
    matrix = torch.sparse_coo_tensor(indices, values, (20, 20), check_invariants=True)
    fronts = dissect(1, 1, 20, 3)
    assert len(fronts.fronts) > 2
    return SparseCholesky.factor(matrix.coalesce(), fronts)


@pytest.fixture
def values() -> torch.Tensor:
    """A diagonally dominant lower triangle for `small`."""
    row, column = band()
    found = 0.4 * randn(len(row))
    found[row == column] = torch.linspace(3.0, 5.0, 20, dtype=torch.float64)
    return found.requires_grad_()


def test_derivatives_of_the_log_determinant(values):
    assert torch.autograd.gradcheck(lambda v: small(v).log_determinant(), values)


@pytest.mark.parametrize("method", ["solve", "colour"])
@pytest.mark.parametrize("batch", [(), (2, 2)])
def test_derivatives_of_fields(method, batch, values):
    """With respect to the matrix and the right-hand side together."""
    right = randn(*batch, 20).requires_grad_()
    assert torch.autograd.gradcheck(lambda v, r: getattr(small(v), method)(r), (values, right))


def test_derivative_of_a_sampled_variance_is_that_of_the_inverse(case):
    """The mean square of the columns of L^-T is the trace of the inverse, of derivative -Q^-2."""
    matrix = case.matrix.detach().requires_grad_()
    factor = SparseCholesky.factor(matrix, case.fronts)
    trace = factor.colour(torch.eye(N, dtype=torch.float64)).square().sum()
    (found,) = torch.autograd.grad(trace, matrix)
    inverse = torch.linalg.inv(case.dense)
    row, column = case.matrix.indices()
    expected = -(inverse @ inverse)[row, column]
    torch.testing.assert_close(found.coalesce().values(), expected, **CLOSE)


def test_derivative_of_the_log_determinant_is_the_inverse(case):
    """On the pattern of the matrix."""
    matrix = case.matrix.detach().requires_grad_()
    factor = SparseCholesky.factor(matrix, case.fronts)
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
    field = randn(TIMES * NY * NX)
    unit = torch.eye(NY * NX, dtype=torch.float64).to_sparse()

    def likelihood(damping: torch.Tensor) -> torch.Tensor:
        matrix = space_time_precision([base + unit * damping] * TIMES, area, 0.7)
        factor = SparseCholesky.factor(matrix, dissect(TIMES, NY, NX, 2))
        return (factor.log_determinant() - field @ (matrix @ field)) / 2

    assert torch.autograd.gradcheck(likelihood, torch.tensor(0.3).double().requires_grad_())


def test_a_system_that_does_not_tell_its_memory_sets_no_limit(monkeypatch):
    monkeypatch.delattr("xdvarnet.spde.engines.os.sysconf")
    assert usable_memory(torch.device("cpu")) == float("inf")


@pytest.mark.parametrize("unknown", [0, 30, N - 1])
def test_place_of_a_pivot_that_is_not_positive(unknown, case):
    """In the numbering of the matrix; pivots before it are those of a definite matrix."""
    place = int((case.fronts.order == unknown).nonzero())
    dense = case.dense.clone()
    dense[unknown, unknown] = -1.0
    with pytest.raises(InvalidInputError, match=f"unknown {unknown} .place {place} of {N} "):
        SparseCholesky.factor(dense.to_sparse(), case.fronts)


def test_a_dissection_for_too_few_rows_is_said(case):
    with pytest.raises(InvalidInputError, match="are coupled, and the dissection separates them"):
        SparseCholesky.factor(case.matrix, dissect(TIMES, NY, NX, 1))


def spoilt(value: float) -> torch.Tensor:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[1, 2] = value
    return matrix.to_sparse()


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (torch.eye(4, dtype=torch.float64), "torch.strided"),
        (torch.eye(4).to_sparse(), "torch.float32"),
        (torch.ones(4, 3, dtype=torch.float64).to_sparse(), r"\(4, 3\).* \(4, 4\) of the dissec"),
        (spoilt(0.5), "not symmetric"),
        (spoilt(float("nan")), "not finite"),
    ],
)
def test_matrices_of_another_kind_are_said(matrix, message):
    with pytest.raises(InvalidInputError, match=message):
        SparseCholesky.factor(matrix, dissect(1, 2, 2, 1))
