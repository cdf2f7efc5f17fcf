"""The smoother of a linear model with Gaussian errors, for many samples at once."""

from dataclasses import dataclass
from typing import Literal, overload

import torch


@dataclass(frozen=True)
class LinearWindow:
    """A linear Gaussian problem over a window: ``x[t + 1] = F[t] x[t] + b[t] + w[t]``.

    Attributes
    ----------
    mean, covariance : torch.Tensor
        Of the first state before any observation, shapes (sample, component) and
        (component, component).
    transition : torch.Tensor
        F, shape (sample, time - 1, component, component).
    offset : torch.Tensor
        b, shape (sample, time - 1, component).
    model_variance : float
        Variance of each component of w; zero for a perfect model.
    values : torch.Tensor
        Observations of the components themselves, shape (sample, time, component), finite.
    precision : torch.Tensor
        Inverse variances of their errors, zero where nothing was observed, in the same shape.
    """

    mean: torch.Tensor
    covariance: torch.Tensor
    transition: torch.Tensor
    offset: torch.Tensor
    model_variance: float
    values: torch.Tensor
    precision: torch.Tensor


@dataclass(frozen=True)
class _Update:
    """What the backward pass needs of the analysis at one time.

    With P the forecast's covariance and W the precision, of square root w: ``gain`` is
    ``P w (I + w P w)^-1 w``, ``information`` is ``w (I + w P w)^-1 w`` and ``pull`` that times the
    innovation.
    """

    gain: torch.Tensor
    information: torch.Tensor
    pull: torch.Tensor


@overload
def smooth(
    window: LinearWindow, *, variance: Literal[True]
) -> tuple[torch.Tensor, torch.Tensor]: ...


@overload
def smooth(
    window: LinearWindow, *, variance: bool = False
) -> tuple[torch.Tensor, torch.Tensor | None]: ...


def smooth(
    window: LinearWindow, *, variance: bool = False
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Mean and variance of each state given all observations.

    A Kalman filter forwards and the adjoint recursion of Bryson and Frazier backwards, as modified
    by Bierman (1973, doi 10.1016/0005-1098(73)90059-6). Only matrices of innovations are factored,
    never the covariance of a state, so that a perfect model is no special case.

    Parameters
    ----------
    window : LinearWindow
        The problem.
    variance : bool
        Whether the variance is wanted, which takes as long again as the mean.

    Returns
    -------
    mean : torch.Tensor
        Shape (sample, time, component).
    variance : torch.Tensor or None
        In the same shape.
    """
    forecasts, updates = _filter(window)
    first, covariance = forecasts[0]
    adjoint, information = torch.zeros_like(first), torch.zeros_like(covariance)
    means, variances = [], []
    for t in reversed(range(len(forecasts))):
        forecast, covariance = forecasts[t]
        update = updates[t]
        if update is not None:
            if variance:
                kept = -update.gain
                kept.diagonal(dim1=-2, dim2=-1).add_(1)
                information = kept.mT @ information @ kept + update.information
            adjoint = adjoint - apply(update.gain.mT, adjoint) + update.pull
        means.append(forecast + apply(covariance, adjoint))
        if variance:
            removed = ((covariance @ information) * covariance).sum(-1)
            variances.append(covariance.diagonal(dim1=-2, dim2=-1) - removed)
        if t > 0:
            transposed = window.transition[:, t - 1].mT
            adjoint = apply(transposed, adjoint)
            if variance:
                information = transposed @ information @ transposed.mT
    mean = torch.stack(means[::-1], 1)
    return mean, torch.stack(variances[::-1], 1) if variance else None


def _filter(
    window: LinearWindow,
) -> tuple[list[tuple[torch.Tensor, torch.Tensor]], list[_Update | None]]:
    """Mean and covariance of the forecast at each time, and the analysis where there is one."""
    mean, covariance = window.mean, window.covariance.expand(len(window.mean), -1, -1)
    forecasts, updates = [], []
    for t in range(window.values.shape[1]):
        if t > 0:
            transition = window.transition[:, t - 1]
            mean = apply(transition, mean) + window.offset[:, t - 1]
            covariance = transition @ covariance @ transition.mT
            covariance = (covariance + covariance.mT) / 2
            covariance.diagonal(dim1=-2, dim2=-1).add_(window.model_variance)
        forecasts.append((mean, covariance))
        update, root = None, window.precision[:, t].sqrt()
        if root.any():
            part = root.unsqueeze(-1) * covariance
            matrix = part * root.unsqueeze(-2)
            matrix.diagonal(dim1=-2, dim2=-1).add_(1)
            factor = torch.linalg.cholesky(matrix)
            half = torch.linalg.solve_triangular(factor, torch.diag_embed(root), upper=False)
            information = half.mT @ half
            pull = apply(information, window.values[:, t] - mean)
            update = _Update(covariance @ information, information, pull)
            mean = mean + apply(covariance, pull)
            half = half @ covariance
            covariance = covariance - half.mT @ half
        updates.append(update)
    return forecasts, updates


def apply(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Product of matrices (..., m, n) and vectors (..., n)."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)
