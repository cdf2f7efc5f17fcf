"""Linear prior: the leading patterns of data (principal components, EOFs)."""

import copy
from typing import Self

import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.priors.projection import Projection


class LinearPrior(Projection):
    """Orthogonal projection on the leading patterns of windows, about their mean.

    ``Phi(x) = m + E^T E (x - m)`` with the orthonormal patterns E of whole windows: all channels,
    rows and columns together. It is a projection, ``Phi(Phi(x)) = Phi(x)``, and the identity is
    excluded by having fewer patterns than cells; unlike in the other priors, ``Phi(x)(s)`` does
    depend on ``x(s)``. Patterns are zero until `fit`.

    Parameters
    ----------
    shape : tuple of int
        Channels, rows and columns of a state.
    patterns : int
        Number of patterns, fewer than the cells of a state.

    Attributes
    ----------
    mean : torch.Tensor
        Mean state, of shape `shape`.
    basis : torch.Tensor
        Patterns, shape (patterns, cells), of decreasing variance.

    Raises
    ------
    InvalidInputError
        If there is no pattern or there are as many as cells.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.priors.linear import LinearPrior
    >>> states = torch.randn(60, 1, 20, 3, generator=torch.Generator().manual_seed(0))
    >>> prior = LinearPrior((1, 20, 3), patterns=12).fit(states)
    >>> prior(states).shape
    torch.Size([60, 1, 20, 3])
    """

    def __init__(self, shape: tuple[int, int, int], *, patterns: int) -> None:
        super().__init__()
        self.shape, self.patterns = tuple(shape), patterns
        self.channels = self.shape[0]
        mean = torch.zeros(self.shape)
        if not 1 <= patterns < mean.numel():
            raise InvalidInputError(
                f"patterns={patterns}; a state of shape {self.shape} has {mean.numel()} cells, and "
                f"a projection from 1 to {mean.numel() - 1}."
            )
        self.mean: torch.Tensor
        self.basis: torch.Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("basis", torch.zeros(patterns, mean.numel()))

    def fit(self, states: torch.Tensor) -> Self:
        """Return this prior with mean and patterns of states (sample, channels, rows, columns).

        Raises
        ------
        InvalidInputError
            If the states have another shape, are too few for the patterns or are not finite.
        """
        self._check(states)
        if len(states) <= self.patterns:
            raise InvalidInputError(
                f"{len(states)} states have at most {max(len(states) - 1, 0)} patterns, and "
                f"{self.patterns} are wanted; give more states."
            )
        if not torch.isfinite(states).all():
            raise InvalidInputError("patterns are of complete states; some values are not finite.")
        mean = states.mean(0)
        _, _, basis = torch.linalg.svd((states - mean).flatten(1), full_matrices=False)
        fitted = copy.deepcopy(self)
        fitted.mean.copy_(mean)
        fitted.basis.copy_(basis[: self.patterns])
        return fitted

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Project the state (batch, channels, rows, columns) on the patterns."""
        self._check(state)
        anomalies = (state - self.mean).flatten(1)
        return self.mean + (anomalies @ self.basis.mT @ self.basis).view_as(state)

    def _check(self, states: torch.Tensor) -> None:
        if tuple(states.shape[1:]) != self.shape:
            raise InvalidInputError(
                f"the prior is for states of shape {self.shape}, and one of shape "
                f"{tuple(states.shape[1:])} was given."
            )
