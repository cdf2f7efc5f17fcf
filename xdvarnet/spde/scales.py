r"""Correlation length and time, and what they mean in the equation.

The field is :math:`x = S^{-1} v` with :math:`S = \kappa^2 - \nabla \cdot H \nabla` and

.. math:: \partial_t v + r S v = \text{white noise},

`r` being a rate in m2/day and `H` having the determinant 1. On the plane its spectrum at one time
is proportional to :math:`(\kappa^2 + k^2)^{-3}`: a Matérn field of smoothness 2, whose correlation
at the distance `d` is :math:`(\kappa d)^2 K_2(\kappa d) / 2`. At one place the correlation at the
lag `t` is :math:`2 E_3(r \kappa^2 t)`, with the exponential integral :math:`E_3`.

References
----------
Lindgren, F., Rue, H., Lindström, J. (2011), doi 10.1111/j.1467-9868.2011.00777.x;
Clarotto, L., Allard, D., Romary, T., Desassis, N. (2024), arXiv 2208.14015.
"""

import torch

LENGTH = 2.5511801808760266
"""Root of d^2 K_2(d) / 2 = 1/e: the correlation length times kappa."""

TIME = 0.6281994116791255
"""Root of 2 E_3(t) = 1/e: the correlation time times rate and kappa squared."""


def spde_parameters(length: torch.Tensor, time: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the parameters of the equation from e-folding scales.

    Parameters
    ----------
    length : torch.Tensor
        Correlation length in m: where the correlation at lag zero is 1/e. Where the field is
        anisotropic, the geometric mean of those along both axes.
    time : torch.Tensor
        Correlation time in days: where the correlation at distance zero is 1/e.

    Returns
    -------
    kappa : torch.Tensor
        In 1/m.
    rate : torch.Tensor
        In m2/day.
    """
    kappa = LENGTH / length
    return kappa, TIME / (kappa.square() * time)


def stationary_variance(kappa: torch.Tensor, rate: torch.Tensor, step: float) -> torch.Tensor:
    r"""Return the variance of x on the plane, for unit white noise and implicit Euler steps.

    A mode of damping `a` has the variance :math:`1 / (2 a + a^2 \Delta t)` in the discrete chain,
    and :math:`1 / (2 a)` for short steps. With :math:`\beta = r \Delta t / 2`,

    .. math::

        \frac{1}{8 \pi r} \int_{\kappa^2}^\infty \frac{ds}{s^3 (1 + \beta s)}
        = \frac{1}{8 \pi r} \left[\frac{1}{2 \kappa^4} - \frac{\beta}{\kappa^2}
        + \beta^2 \ln\left(1 + \frac{1}{\beta \kappa^2}\right)\right]

    which is :math:`1 / (16 \pi r \kappa^4)` where the step is zero.

    Parameters
    ----------
    kappa : torch.Tensor
        In 1/m.
    rate : torch.Tensor
        In m2/day.
    step : float
        Time step in days.

    Returns
    -------
    torch.Tensor
        Variance, of the shape of `kappa` and `rate` broadcast.
    """
    beta = rate * step * kappa.square() / 2  # without dimension
    bracket = 0.5 - beta + beta.square() * torch.log1p(1 / beta)
    return bracket / (8 * torch.pi * rate * kappa**4)
