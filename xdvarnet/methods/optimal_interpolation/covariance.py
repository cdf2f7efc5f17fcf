"""Correlation functions of optimal interpolation, from squared scaled distances.

All are 1 at zero and 1/e at a scaled distance of 1 (the correlation length or time), so that their
lengths are comparable. The correlation of two points is the product of that of their distance and
that of their lag.
"""

from collections.abc import Callable, Mapping

import torch

Correlation = Callable[[torch.Tensor], torch.Tensor]
"""From squared scaled distances, which may be overwritten, to correlations."""

MATERN32 = 2.1461932206205825
"""Where (1 + r) exp(-r) is 1/e."""

MATERN52 = 2.9046299750299145
"""Where (1 + r + r^2 / 3) exp(-r) is 1/e."""


def gaussian(squares: torch.Tensor) -> torch.Tensor:
    """Return ``exp(-d^2)``: very smooth fields."""
    return squares.neg_().exp_()


def matern32(squares: torch.Tensor) -> torch.Tensor:
    """Return ``(1 + r) exp(-r)``: fields with one derivative (Matern with smoothness 3/2)."""
    distance = squares.sqrt_().mul_(MATERN32)
    return (1 + distance).mul_(distance.neg_().exp_())


def matern52(squares: torch.Tensor) -> torch.Tensor:
    """Return ``(1 + r + r^2 / 3) exp(-r)``: fields with two derivatives (smoothness 5/2)."""
    distance = squares.sqrt_().mul_(MATERN52)
    return (1 + distance + distance.square() / 3).mul_(distance.neg_().exp_())


CORRELATIONS: Mapping[str, Correlation] = {
    "gaussian": gaussian,
    "matern32": matern32,
    "matern52": matern52,
}
"""Correlation functions by the names that `xdvarnet.OptimalInterpolation` takes."""


def squared_distances(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Squared distances of batches of points, shapes (batch, m, k) and (batch, n, k)."""
    squares = first.square().sum(-1).unsqueeze(2) + second.square().sum(-1).unsqueeze(1)
    return squares.baddbmm_(first, second.mT, alpha=-2).clamp_(min=0)
