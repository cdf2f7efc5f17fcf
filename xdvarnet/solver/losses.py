"""Losses of supervised training."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class ReconstructionLoss:
    """Weighted errors of the field and of its gradient, plus the prior cost of the truth.

    The loss is ::

        field <(x - t)^2> + gradient <|grad (x - t)|^2>
            + prior (|x - Phi(x)|^2 + |t - Phi(t)|^2) / n

    where <> is the mean over sea with the weights of the days, and grad is the difference between
    neighbouring sea cells. The prior term teaches the projection Phi on both the analysis x and the
    truth t (Fablet et al. 2021, doi 10.1029/2021MS002572, eq. 12).

    Attributes
    ----------
    field, gradient, prior : float
        Weights of the three terms, for a state of unit variance.
    """

    field: float = 1.0
    gradient: float = 5.0
    prior: float = 0.02

    def __call__(
        self,
        state: torch.Tensor,
        truth: torch.Tensor,
        weights: torch.Tensor,
        prior_cost: torch.Tensor,
    ) -> torch.Tensor:
        """Mean loss of a batch.

        Parameters
        ----------
        state, truth : torch.Tensor
            Shape (batch, channels, latitude, longitude); finite, on land as well.
        weights : torch.Tensor
            Weights of the cells (zero on land), broadcastable to that shape.
        prior_cost : torch.Tensor
            Prior costs of the analysis and of the truth, shape (batch,).
        """
        error = state - truth
        weights = weights.expand_as(error)
        loss = self.field * _mean(error.square(), weights) + self.prior * prior_cost.mean()
        for dim in (2, 3):
            length = error.shape[dim] - 1
            both = torch.minimum(weights.narrow(dim, 0, length), weights.narrow(dim, 1, length))
            loss = loss + self.gradient * _mean(error.diff(dim=dim).square(), both)
        return loss


def _mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return (weights * values).sum() / weights.sum().clamp_min(1e-12)
