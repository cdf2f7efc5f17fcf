"""Fourier series on the plane, and the steps of models on it."""

import math

import pytest
import torch

from xdvarnet.dynamics.quasigeostrophic import ReducedGravityQG
from xdvarnet.dynamics.spectral import LARGEST_CFL, SpectralGrid, advance, safe_step
from xdvarnet.errors import InvalidInputError, InvalidTypeError

ROWS, COLUMNS, SPACING = 12, 20, 3.0


@pytest.fixture
def grid() -> SpectralGrid:
    return SpectralGrid(ROWS, COLUMNS, SPACING, dtype=torch.float64)


@pytest.fixture
def positions() -> tuple[torch.Tensor, torch.Tensor]:
    """Phases 0 to 2 pi in y (column) and x (row)."""
    y = torch.arange(ROWS, dtype=torch.float64)[:, None] * 2 * math.pi / ROWS
    x = torch.arange(COLUMNS, dtype=torch.float64)[None, :] * 2 * math.pi / COLUMNS
    return y, x


def test_derivatives_of_waves(grid, positions):
    """They are those of the calculus, in the right direction and per metre."""
    y, x = positions
    ky, kx = 2 * math.pi / (ROWS * SPACING), 2 * math.pi / (COLUMNS * SPACING)
    spectrum = grid.to_spectrum(torch.sin(2 * x + 3 * y))
    cosine = torch.cos(2 * x + 3 * y)
    torch.testing.assert_close(grid.to_field(grid.d_dx(spectrum)), 2 * kx * cosine)
    torch.testing.assert_close(grid.to_field(grid.d_dy(spectrum)), 3 * ky * cosine)
    laplacian = -((2 * kx) ** 2 + (3 * ky) ** 2) * torch.sin(2 * x + 3 * y)
    torch.testing.assert_close(grid.to_field(grid.laplacian(spectrum)), laplacian)


def test_the_inverse_laplacian_takes_the_mean_away(grid):
    """It is the inverse on fields without mean, for any leading dimensions."""
    field = torch.randn(4, 3, ROWS, COLUMNS, dtype=torch.float64)
    spectrum = grid.to_spectrum(field)
    back = grid.to_field(grid.inverse_laplacian(grid.laplacian(spectrum)))
    torch.testing.assert_close(back, field - field.mean((-2, -1), keepdim=True))


def test_the_filter_keeps_long_waves_and_removes_the_shortest(grid, positions):
    """Waves below 0.65 of the largest wavenumber are untouched."""
    y, x = positions
    long = torch.sin(4 * x) + torch.cos(3 * y)
    short = torch.cos(COLUMNS / 2 * x) * torch.cos(ROWS / 2 * y)
    torch.testing.assert_close(grid.to_field(grid.smooth(grid.to_spectrum(long))), long)
    assert grid.to_field(grid.smooth(grid.to_spectrum(short))).abs().max() < 1e-6


def test_single_precision_agrees(grid):
    """Modules change precision as any module of torch does."""
    field = torch.randn(ROWS, COLUMNS, dtype=torch.float64)
    double = grid.to_field(grid.d_dx(grid.to_spectrum(field)))
    grid.float()
    single = grid.to_field(grid.d_dx(grid.to_spectrum(field.float())))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, atol=1e-5, rtol=1e-5)


@pytest.fixture
def model() -> ReducedGravityQG:
    wide = SpectralGrid(ROWS, COLUMNS, 20e3, dtype=torch.float64)
    return ReducedGravityQG(wide, f0=9e-5, beta=2e-11, deformation_radius=40e3)


@pytest.fixture
def eddies(model, positions) -> torch.Tensor:
    y, x = positions
    return model.from_ssh((0.04 * torch.sin(x) * torch.cos(y) + 0.02 * torch.sin(2 * y + x))[None])


def test_an_unstable_step_is_refused_with_its_number(model, eddies):
    """The message holds the CFL number."""
    step = 3 * LARGEST_CFL * 20e3 / model.largest_speed(eddies)
    with pytest.raises(InvalidInputError, match="CFL number 2.7 "):
        advance(model, eddies, 10 * step, step)


def test_a_safe_step_is_stable(model, eddies):
    """Many of them bring no enstrophy, which the filter takes away."""
    step = safe_step(model, eddies)
    later = advance(model, eddies, 100 * step, step)
    assert 0.1 < float(later.square().mean() / eddies.square().mean()) < 1


def test_the_step_follows_the_speed(model, eddies):
    """The default is chosen anew each day: three days are three times one."""
    by_day = eddies
    for _ in range(3):
        by_day = advance(model, by_day, 86400.0)
    torch.testing.assert_close(advance(model, eddies, 3 * 86400.0), by_day)


def test_steps_divide_the_duration(model, eddies):
    """Two halves are the whole, also where the step does not divide it."""
    day = 86400.0
    whole = advance(model, eddies, day, 7000.0)
    halves = advance(model, advance(model, eddies, day / 2, 7000.0), day / 2, 7000.0)
    torch.testing.assert_close(halves, whole, rtol=1e-4, atol=1e-10)


def test_the_scheme_is_of_fourth_order(model, eddies):
    """Halving the step divides the error by sixteen, in waves that the filter leaves alone."""
    waves, duration = 1e-4 * eddies, 1e7
    exact = advance(model, waves, duration, 5e4)
    errors = [(advance(model, waves, duration, duration / n) - exact).norm() for n in (10, 20)]
    assert 13 < errors[0] / errors[1] < 20


@pytest.mark.parametrize(("rows", "columns", "spacing"), [(7, 8, 1.0), (8, 2, 1.0), (8, 8, 0.0)])
def test_impossible_grids_are_refused(rows, columns, spacing):
    with pytest.raises(InvalidInputError, match="give a"):
        SpectralGrid(rows, columns, spacing)


@pytest.mark.parametrize("step", [None, 1e2])
def test_states_that_are_not_finite_are_refused(model, eddies, step):
    with pytest.raises(InvalidInputError, match="not finite"):
        advance(model, eddies * float("nan"), 1e3, step)


def test_arguments_of_another_kind_are_refused(model, eddies):
    with pytest.raises(InvalidTypeError, match="model is of the type Tensor; give a spectral one"):
        advance(eddies, model, 1e3)
    with pytest.raises(InvalidTypeError, match=r"state is of the type ndarray.*as_tensor"):
        advance(model, eddies.numpy(), 1e3)
