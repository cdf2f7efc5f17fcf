"""Local analyses: the equations of optimal interpolation at the nodes, in batches."""

from dataclasses import dataclass

import torch

from xdvarnet.methods.optimal_interpolation.covariance import Correlation, squared_distances

LARGEST_CONDITION = 3e4
"""Condition of the matrices up to which they are factored in float32; beyond it in float64."""


@dataclass(frozen=True)
class Sample:
    """Observations, scaled such that lengths, times and prior standard deviations are 1.

    Attributes
    ----------
    place : torch.Tensor
        Positions on the sphere, shape (..., n, 3).
    time : torch.Tensor
        Shape (..., n).
    values, noise : torch.Tensor
        Anomalies and the variances of their errors, shape (..., n).
    """

    place: torch.Tensor
    time: torch.Tensor
    values: torch.Tensor
    noise: torch.Tensor

    def around(
        self,
        index: torch.Tensor,
        centres: torch.Tensor,
        time: float | torch.Tensor,
        inflation: torch.Tensor,
        dtype: torch.dtype,
    ) -> "Sample":
        """Choose observations for each of several nodes, relative to these.

        Parameters
        ----------
        index : torch.Tensor
            Positions of the observations of each node, shape (node, n).
        centres : torch.Tensor
            Scaled positions of the nodes, shape (node, 1, 3).
        time : float or torch.Tensor
            Scaled time of all nodes, or of each, shape (node, 1).
        inflation : torch.Tensor
            Factor on the variances of the errors, shape (node, n).
        dtype : torch.dtype
            In which to go on.
        """
        return Sample(
            (self.place[index] - centres).to(dtype),
            (self.time[index] - time).to(dtype),
            self.values[index].to(dtype),
            (self.noise[index] * inflation).to(dtype),
        )


def working_type(sample: Sample, number: int) -> torch.dtype:
    """Float32 where the condition of the matrices of so many observations allows it."""
    condition = number / float(sample.noise.min())
    return torch.float32 if condition < LARGEST_CONDITION else torch.float64


class LocalAnalysis:
    """The analyses of a batch of nodes: ``x = C_gy (C_yy + R)^-1 y``.

    Parameters
    ----------
    sample : Sample
        The observations of each node, shapes (node, n, ...).
    correlation : callable
        One of `CORRELATIONS`.
    """

    def __init__(self, sample: Sample, correlation: Correlation) -> None:
        self.sample, self.correlation = sample, correlation
        covariance = correlation(squared_distances(sample.place, sample.place))
        covariance *= correlation((sample.time.unsqueeze(2) - sample.time.unsqueeze(1)).square_())
        covariance.diagonal(dim1=1, dim2=2).add_(sample.noise)
        self.factor = torch.linalg.cholesky(covariance)

    def _covariances(
        self, place: torch.Tensor, time: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        dtype = self.factor.dtype
        lags = (time.to(dtype)[:, None] - self.sample.time.unsqueeze(1)).square_()
        in_space = self.correlation(squared_distances(place.to(dtype), self.sample.place))
        return self.correlation(lags), in_space

    def mean(self, place: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Return the analysis at places, shape (node, m, 3), and times (day,): (node, day, m)."""
        in_time, in_space = self._covariances(place, time)
        weights = torch.cholesky_solve(self.sample.values.unsqueeze(2), self.factor)
        return torch.bmm(in_time * weights.mT, in_space.mT)

    def reduction(self, place: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Return by how much the error variance is below the prior's, of which it is a share."""
        in_time, in_space = self._covariances(place, time)
        covariances = (in_time.unsqueeze(2) * in_space.unsqueeze(1)).flatten(1, 2)
        # rows and not columns, which is faster: X L' = C
        solved = torch.linalg.solve_triangular(self.factor.mT, covariances, upper=True, left=False)
        return solved.square_().sum(2).unflatten(1, (time.numel(), place.shape[1]))
