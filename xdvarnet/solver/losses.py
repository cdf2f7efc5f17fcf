"""Losses of a training: with the truth, without it, and with the priors of both."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.contracts import Solver
from xdvarnet.solver.data import Data
from xdvarnet.solver.priors.base import Prior


@runtime_checkable
class Loss(Protocol):
    """What a training minimises."""

    def evaluate(self, network: Solver, batch: Batch) -> torch.Tensor:
        """Mean loss of a batch, with a graph to the parameters of the network."""
        ...


@dataclass(frozen=True)
class ReconstructionLoss:
    """Weighted errors of the field and of its gradient, plus the prior cost of the truth.

    The loss is ::

        field <(x - t)^2> + gradient <|grad (x - t)|^2>
            + prior (|x - Phi(x)|^2 + |t - Phi(t)|^2) / n

    where <> is the mean over sea with the weights of the days, and grad is the difference between
    neighbouring sea cells. The prior term teaches the projection Phi on both the analysis x and the
    truth t (Fablet et al. 2021, doi 10.1029/2021MS002572, eq. 12); with ``gradient=0, prior=0`` the
    loss is the plain supervised one. A network without a prior has no prior term.

    Attributes
    ----------
    field, gradient, prior : float
        Weights of the three terms, for a state of unit variance.

    Raises
    ------
    InvalidInputError
        If a weight is negative or not finite.
    """

    field: float = 1.0
    gradient: float = 5.0
    prior: float = 0.02

    def __post_init__(self) -> None:
        _check_weights(field=self.field, gradient=self.gradient, prior=self.prior)

    def evaluate(self, network: Solver, batch: Batch) -> torch.Tensor:
        """Mean loss of the analyses of a batch."""
        state = network(batch.state, batch.data, batch.context)
        if self.prior and network.learned_prior is not None:
            prior_cost = network.learned_prior.training_cost(state, batch.truth)
        else:
            prior_cost = state.new_zeros(len(state))
        size = self.error_size(batch)
        state = state[:, : batch.truth.shape[1]]
        return self(state / size, batch.truth / size, batch.weights, prior_cost)

    def error_size(self, batch: Batch) -> torch.Tensor:
        """Size of the errors that count as one, for each sample: (batch, 1, 1, 1)."""
        return batch.truth.new_ones(len(batch.truth), 1, 1, 1)

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


@dataclass(frozen=True)
class RelativeLoss(ReconstructionLoss):
    """A `ReconstructionLoss` of errors over that of the first guess, for seas that differ.

    The errors of each sample are divided by the root mean square error of its first guess, so that
    no sample dominates because it has few observations or much variance. Without a first guess,
    that is the size of the truth.

    Attributes
    ----------
    field, gradient, prior : float
        Weights of the three terms.
    """

    def error_size(self, batch: Batch) -> torch.Tensor:
        """Root mean square error of the first guess of each sample, (batch, 1, 1, 1)."""
        weights = batch.weights.expand_as(batch.truth)
        squares = weights * (batch.state[:, : batch.truth.shape[1]] - batch.truth).square()
        total = weights.sum((1, 2, 3), keepdim=True).clamp_min(1e-12)
        return (squares.sum((1, 2, 3), keepdim=True) / total).sqrt().clamp_min(1e-6)


@dataclass(frozen=True, eq=False)
class VariationalLoss:
    """The variational cost of the analysis: a training without truth.

    The loss is the mean over the batch of ::

        observation |mask (x - y)|^2 / n + weight J_p(x)

    with the cost J_p of the prior, n the number of cells of a sample, and weights that a training
    does not change (Fablet et al. 2021, doi 10.1029/2021MS002572, eq. 11; the defaults have the
    ratio of theirs, 0.01 and 1). To learn the prior too by this loss has a trivial solution: freeze
    its parameters.

    A training limits the norm of the gradient to 1. With the defaults that acts at nearly every
    step, and all steps count alike, whereas norms without a limit fall by orders of magnitude along
    a training: with 0.01 and 1, the training on Lorenz-63 of the results ends at three times the
    error.

    Attributes
    ----------
    prior : Prior, optional
        Without one, the observations alone count, which is a
        strong-constraint 4DVar for a network that integrates a model.
    observation, weight : float
        Weights of the two terms.

    Raises
    ------
    InvalidInputError
        If a weight is negative or not finite.
    """

    prior: Prior | None
    observation: float = 1.0
    weight: float = 100.0

    def __post_init__(self) -> None:
        _check_weights(observation=self.observation, weight=self.weight)

    def evaluate(self, network: Solver, batch: Batch) -> torch.Tensor:
        """Mean loss of the analyses of a batch; its truth is not used."""
        state = network(batch.state, batch.data, batch.context)
        loss = self.observation * misfit(state, batch.data[0]).mean()
        if self.prior is not None:
            loss = loss + self.weight * self.prior.cost(state).mean()
        return loss


class PriorLoss:
    """The prior's cost of the truth: a training of the prior of a solver, before that of all."""

    def evaluate(self, network: Solver, batch: Batch) -> torch.Tensor:
        """Mean cost of the truth of a batch."""
        if network.learned_prior is None:
            raise InvalidInputError(f"{type(network).__name__} has no prior to train.")
        return network.learned_prior.cost(batch.truth).mean()


def misfit(state: torch.Tensor, data: Data) -> torch.Tensor:
    """Squared misfit to the observations over the number of cells, of each sample; (batch,)."""
    return (data.mask * (state - data.values)).square().flatten(1).mean(1)


def _check_weights(**weights: float) -> None:
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise InvalidInputError(f"{name}={weight}; a weight is a finite number from 0 on.")


def _mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return (weights * values).sum() / weights.sum().clamp_min(1e-12)
