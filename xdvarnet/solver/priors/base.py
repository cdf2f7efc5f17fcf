"""What a prior is: a cost of states, its gradient, and what a training adds of it."""

import torch
from torch import nn


class Prior(nn.Module):
    """Base class of the priors of `xdvarnet.solver.VariationalSolver`.

    A prior defines `cost`, and its gradient follows; a `Projection` defines ``forward``.

    Attributes
    ----------
    channels : int or None
        Channels of the state; None for any number.
    days : int or None
        Days of a window that it is made for, where it counts them.
    parameter_channels : int
        Last channels of a state that hold parameters of the prior, and no days.
    """

    channels: int | None = None
    days: int | None = None
    parameter_channels: int = 0

    def cost(self, state: torch.Tensor) -> torch.Tensor:
        """Cost of each sample (batch, channels, latitude, longitude), shape (batch,)."""
        raise NotImplementedError

    def gradient(self, state: torch.Tensor, weight: torch.Tensor | float = 1.0) -> torch.Tensor:
        """Gradient of the cost by the state, times a weight; the state's shape."""
        training = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            point = state if state.requires_grad else state.detach().clone().requires_grad_()
            (gradient,) = torch.autograd.grad(self.cost(point).sum(), point, create_graph=training)
        return weight * gradient

    def precondition(self, gradient: torch.Tensor) -> torch.Tensor:
        """Turn the gradient of the whole cost into a direction; as it is by default."""
        return gradient

    def training_cost(self, state: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Cost by which the prior learns from an analysis and its truth, shape (batch,)."""
        return self.cost(state) + self.cost(truth)
