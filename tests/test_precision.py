"""Space-time precisions: against covariances marched in time and dense algebra."""

import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.precision import (
    filtered,
    space_time_precision,
    stationary_precision,
)

NY, NX, TIMES, DT = 5, 4, 3, 0.7
N = NY * NX


def second_difference(size: int) -> torch.Tensor:
    """Return minus the second difference with closed ends, dense."""
    step = torch.eye(size, dtype=torch.float64).diff(dim=0)
    return step.T @ step


def upwind(size: int) -> torch.Tensor:
    """Return the upwind difference along a closed circle, dense."""
    unit = torch.eye(size, dtype=torch.float64)
    return unit - unit.roll(-1, 1)


def across(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return the sum of an operator along columns and one along rows of the grid."""
    along = torch.kron(torch.eye(len(rows), dtype=torch.float64), columns)
    return torch.kron(rows, torch.eye(len(columns), dtype=torch.float64)) + along


@pytest.fixture
def area() -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return 0.5 + torch.rand(NY, NX, generator=random, dtype=torch.float64)


@pytest.fixture
def symmetric(area) -> list[torch.Tensor]:
    """Operators without advection that change in time, dense."""
    diffusion = across(second_difference(NY), 0.6 * second_difference(NX))
    return [(1 + k) * diffusion + torch.diag((0.3 + 0.2 * k) * area.flatten()) for k in range(3)]


@pytest.fixture
def advected(area, symmetric) -> list[torch.Tensor]:
    """Operators with advection, dense."""
    drift = across(0.9 * upwind(NY), 1.4 * upwind(NX))
    return [one + (2 - k) * drift for k, one in enumerate(symmetric)]


def sparse(matrices: list[torch.Tensor]) -> list[torch.Tensor]:
    return [matrix.to_sparse() for matrix in matrices]


def implicit(operator: torch.Tensor, area: torch.Tensor) -> torch.Tensor:
    """Return B^-1, one implicit step, dense."""
    unit = torch.eye(len(operator), dtype=torch.float64)
    return torch.linalg.inv(unit + DT * operator / area.flatten()[:, None])


def stationary_covariance(operator: torch.Tensor, area: torch.Tensor) -> torch.Tensor:
    """Return the solution of P = B^-1 (P + D^-1) B^-T, a linear system of all entries."""
    step = implicit(operator, area)
    noise = step @ torch.diag(DT / area.flatten()) @ step.T
    system = torch.eye(len(step) ** 2, dtype=torch.float64) - torch.kron(step, step)
    return torch.linalg.solve(system, noise.flatten()).view_as(noise)


def marched(operators: list[torch.Tensor], area: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """Return the covariance of all times, stepped from that of the first one."""
    noise = torch.diag(DT / area.flatten())
    whole = torch.zeros(len(operators), N, len(operators), N, dtype=torch.float64)
    whole[0, :, 0] = first
    for k, operator in enumerate(operators[1:], start=1):
        step = implicit(operator, area)
        whole[k, :, k] = step @ (whole[k - 1, :, k - 1] + noise) @ step.T
        for past in range(k):
            whole[k, :, past] = step @ whole[k - 1, :, past]
            whole[past, :, k] = whole[k, :, past].T
    return whole.view(N * len(operators), -1)


def assert_inverse(precision: torch.Tensor, covariance: torch.Tensor) -> None:
    product = precision.to_dense() @ covariance
    torch.testing.assert_close(product, torch.eye(len(product)).double(), rtol=0, atol=1e-10)


def test_start_is_stationary_without_advection(area, symmetric):
    """Areas differ, so that A is self-adjoint in them but not symmetric."""
    for operator in symmetric:
        found = stationary_precision(operator.to_sparse(), area, DT)
        assert_inverse(found, stationary_covariance(operator, area))


def test_start_is_stationary_under_constant_advection():
    """On a torus of equal cells, advection and diffusion commute."""
    area = torch.full((N,), 0.8, dtype=torch.float64)
    rows, columns = (upwind(size) + upwind(size).T for size in (NY, NX))
    operator = across(rows + 0.9 * upwind(NY), columns + 1.4 * upwind(NX))
    operator += 0.3 * torch.eye(N, dtype=torch.float64)
    found = stationary_precision(operator.to_sparse(), area, DT)
    assert_inverse(found, stationary_covariance(operator, area))


@pytest.mark.parametrize("case", ["symmetric", "advected"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_covariance_is_that_of_the_steps(case, times, area, request):
    """The first operator makes the start, the following ones the steps."""
    operators = request.getfixturevalue(case)[:times]
    start = stationary_precision(operators[0].to_sparse(), area, DT).to_dense()
    found = space_time_precision(sparse(operators), area, DT)
    assert_inverse(found, marched(operators, area, torch.linalg.inv(start)))


def test_given_start(area, advected):
    """A precision given for the first field is its precision before anything else is known."""
    first = torch.diag(torch.linspace(0.5, 2.0, N, dtype=torch.float64))
    first[0, 7] = first[7, 0] = 0.2
    found = space_time_precision(sparse(advected), area, DT, first=first.to_sparse())
    assert_inverse(found, marched(advected, area, torch.linalg.inv(first)))


def test_variance_is_the_same_at_all_times(area, symmetric):
    found = space_time_precision(sparse(symmetric[:1]) * 4, area, DT)
    variances = torch.linalg.inv(found.to_dense()).diagonal().view(4, N)
    torch.testing.assert_close(variances, variances[:1].expand(4, N), rtol=1e-12, atol=0)


def test_spin_up_leads_to_the_stationary_field(area, advected):
    """With advection the start is not exact, and its error falls with each step of spin-up."""
    exact = stationary_covariance(advected[0], area).diagonal()
    errors = []
    for spin_up in (0, 2, 4, 8):
        found = space_time_precision(sparse(advected), area, DT, spin_up=spin_up)
        assert found.shape == (N * (spin_up + TIMES),) * 2
        variances = torch.linalg.inv(found.to_dense()).diagonal().view(-1, N)[spin_up]
        errors.append(float((variances / exact - 1).abs().max()))
    assert errors[0] > 1e-3
    assert all(after < before / 2 for before, after in zip(errors, errors[1:], strict=False))
    assert errors[-1] < 1e-6


def test_variance_of_one_cell_in_closed_form():
    """A cell of area V has the variance 1 / (V (2 a + dt a^2))."""
    a, dt, area = 0.2, 1.5, torch.tensor([3.0], dtype=torch.float64)
    operator = torch.tensor([[a * 3.0]], dtype=torch.float64).to_sparse()
    found = torch.linalg.inv(space_time_precision([operator] * 2, area, dt).to_dense())
    variance = 1 / (3 * (2 * a + dt * a**2))
    expected = torch.tensor([[1, 1 / (1 + dt * a)], [1 / (1 + dt * a), 1]]) * variance
    torch.testing.assert_close(found, expected.double(), rtol=1e-6, atol=0)


def test_filter_divides_the_field(area, advected, symmetric):
    """The covariance of the filtered field is that of the solutions of W x = v."""
    scale = torch.linspace(0.5, 2.0, TIMES * N, dtype=torch.float64).view(TIMES, N)
    precision = space_time_precision(sparse(advected), area, DT)
    found = filtered(precision, sparse(symmetric), area, scale)
    parts = [one / area.flatten()[:, None] for one in symmetric]
    W = torch.linalg.inv(torch.block_diag(*parts) @ torch.diag(scale.flatten()))
    assert_inverse(found, W @ torch.linalg.inv(precision.to_dense()) @ W.T)


def test_scale_is_a_number_too(area, symmetric):
    precision = space_time_precision(sparse(symmetric), area, DT)
    single, double = (filtered(precision, sparse(symmetric), area, s) for s in (1.0, 2.0))
    torch.testing.assert_close(double.to_dense(), 4 * single.to_dense())


def test_derivatives(area, advected):
    """Of precisions with respect to the operators' values and the areas, by finite differences."""
    operator = advected[0].to_sparse().coalesce()
    weight = torch.linspace(-1, 1, (2 * N) ** 2, dtype=torch.float64).view(2 * N, 2 * N)

    def total(values: torch.Tensor, area: torch.Tensor) -> torch.Tensor:
        step = torch.sparse_coo_tensor(
            operator.indices(), values, operator.shape, check_invariants=True
        )
        precision = space_time_precision([step] * 2, area, DT)
        found = filtered(precision, [step] * 2, area)
        row, column = found.indices()
        return (found.values() * weight[row, column]).sum()

    values = operator.values().clone().requires_grad_()
    assert torch.autograd.gradcheck(total, (values, area.clone().requires_grad_()))


def test_reach_of_the_precisions():
    """Two rows for an operator that reaches one, and four with a filter that reaches one."""
    rows, area = 9, torch.ones(9 * NX, dtype=torch.float64)
    unit = torch.eye(9 * NX, dtype=torch.float64)
    operator = across(second_difference(rows), second_difference(NX)) + unit
    precision = space_time_precision(sparse([operator]) * 2, area, DT)
    for matrix, reach in ((precision, 2), (filtered(precision, sparse([operator]) * 2, area), 4)):
        row, column = matrix.indices() % len(unit) // NX
        assert int((row - column).abs().max()) == reach


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": []}, "0 matrices of shapes"),
        ({"steps": [torch.eye(3, dtype=torch.float64).to_sparse()]}, r"\(3, 3\).* 20 cell areas"),
        ({"first": torch.eye(5).to_sparse()}, r"\(5, 5\).* 20 cell areas"),
        ({"dt": 0.0}, "dt=0.0"),
        ({"area": torch.zeros(N, dtype=torch.float64)}, "cell areas from 0"),
    ],
)
def test_what_cannot_be_used_is_said(change, message, area, symmetric):
    with pytest.raises(InvalidInputError, match=message):
        space_time_precision(**{"steps": sparse(symmetric), "area": area, "dt": DT, **change})


def test_filter_of_other_times_is_said(area, symmetric):
    precision = space_time_precision(sparse(symmetric), area, DT)
    with pytest.raises(InvalidInputError, match="60 unknowns, and 2 smoothing operators of 20"):
        filtered(precision, sparse(symmetric[:2]), area)
