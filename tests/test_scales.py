"""Correlation scales of the SPDE, against quadrature over its spectrum."""

import numpy as np
import pytest
import torch
from scipy import integrate, special

from xdvarnet.spde.scales import spde_parameters, stationary_variance

LENGTH, TIME = 90e3, 12.0


def parameters(length=LENGTH, time=TIME) -> tuple[float, float]:
    kappa, rate = spde_parameters(torch.tensor(length).double(), torch.tensor(time).double())
    return float(kappa), float(rate)


def covariance(distance: float, lag: float, kappa: float, rate: float) -> float:
    """Integrate the spectrum over the wavenumbers of the plane, in units of kappa."""

    def density(wavenumber: float) -> float:
        damping = 1 + wavenumber**2
        bessel = special.j0(wavenumber * kappa * distance)
        return wavenumber * bessel * np.exp(-rate * kappa**2 * damping * lag) / damping**3

    return integrate.quad(density, 0, 200, limit=2000)[0]


def test_the_correlation_is_one_over_e_at_the_length_and_at_the_time():
    kappa, rate = parameters()
    variance = covariance(0, 0, kappa, rate)
    assert covariance(LENGTH, 0, kappa, rate) / variance == pytest.approx(np.exp(-1), rel=1e-6)
    assert covariance(0, TIME, kappa, rate) / variance == pytest.approx(np.exp(-1), rel=1e-6)


@pytest.mark.parametrize("step", [0.01, 1.0, 5.0])
def test_the_variance_is_the_integral_of_the_discrete_spectrum(step):
    """Of the modes of the implicit Euler chain, 1 / (2 a + a^2 dt)."""
    kappa, rate = parameters()

    def density(wavenumber: float) -> float:
        damping = 1 + wavenumber**2
        mode = rate * kappa**2 * damping
        return wavenumber / damping**2 / (2 * mode + mode**2 * step)

    whole = integrate.quad(density, 0, np.inf)[0] / (2 * np.pi * kappa**2)
    given = stationary_variance(torch.tensor(kappa), torch.tensor(rate), step)
    assert float(given) == pytest.approx(whole, rel=1e-5)


def test_short_steps_have_the_variance_of_the_continuous_equation():
    kappa, rate = (torch.tensor(value).double() for value in parameters())
    continuous = 1 / (16 * torch.pi * rate * kappa**4)
    torch.testing.assert_close(
        stationary_variance(kappa, rate, 1e-9), continuous, rtol=1e-6, atol=0
    )
    assert stationary_variance(kappa, rate, 1.0) < continuous


def test_scales_are_differentiable_and_broadcast():
    length = torch.tensor([[8e4], [1.2e5]], dtype=torch.float64, requires_grad=True)
    time = torch.tensor([[5.0, 9.0, 20.0]], dtype=torch.float64, requires_grad=True)

    def variance(length, time):
        kappa, rate = spde_parameters(length, time)
        return torch.log(stationary_variance(kappa, rate, 1.0))

    assert variance(length, time).shape == (2, 3)
    assert torch.autograd.gradcheck(variance, (length, time), eps=1e-3)
