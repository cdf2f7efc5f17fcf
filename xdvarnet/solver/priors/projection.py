"""The prior of a projection: its cost is the distance of a state from its projection."""

from dataclasses import dataclass

import torch
from torch import nn

from xdvarnet.solver.priors.base import Prior


@dataclass(frozen=True, eq=False)
class ProjectionPrior(Prior):
    """Cost ``|x - Phi(x)|^2 / n`` of a projection Phi, with n the number of cells of a sample.

    It is no module: a `xdvarnet.solver.VariationalSolver` holds Phi itself.

    Attributes
    ----------
    projection : torch.nn.Module
        Phi, from (batch, channels, latitude, longitude) to the same shape.
    """

    projection: nn.Module

    def cost(self, state: torch.Tensor) -> torch.Tensor:
        """Cost of each sample, shape (batch,)."""
        return (state - self.projection(state)).square().flatten(1).mean(1)

    def gradient(self, state: torch.Tensor, weight: torch.Tensor | float = 1.0) -> torch.Tensor:
        """Gradient ``2 (r - (dPhi/dx)^T r) / n`` with ``r = x - Phi(x)``, times a weight.

        One vector-Jacobian product.
        """
        training = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            point = state if state.requires_grad else state.detach().clone().requires_grad_()
            projected = self.projection(point)
            residual = point - projected
            seed = residual if training else residual.detach()
            (back,) = torch.autograd.grad(
                projected, point, seed.to(projected.dtype), create_graph=training
            )
        return weight * 2 / state[0].numel() * (seed - back)


def as_prior(module: nn.Module) -> Prior:
    """Return the prior that a module is, or that of the projection that it is."""
    return module if isinstance(module, Prior) else ProjectionPrior(module)
