"""What a prior is: a cost of states, its gradient, and what a training adds of it."""

import torch


class Prior:
    """Base class of the priors of `xdvarnet.solver.VariationalSolver`; a `torch.nn.Module` as well.

    A prior defines `cost`, and its gradient follows. A plain module without one is the projection
    Phi of a `xdvarnet.solver.priors.projection.ProjectionPrior`.
    """

    parameter_channels = 0
    """Last channels of a state that hold parameters of the prior, and no days."""

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
