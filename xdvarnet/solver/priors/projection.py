"""The prior of a projection: its cost is the distance of a state from its projection."""

import torch

from xdvarnet.solver.priors.base import Prior


class Projection(Prior):
    """Cost ``|x - Phi(x)|^2 / n`` of a projection Phi, with n the number of cells of a sample.

    A subclass defines ``forward``: Phi, from (batch, channels, latitude, longitude) to the same
    shape.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver import Projection
    >>> class Halved(Projection):
    ...     def forward(self, state):
    ...         return state / 2
    >>> Halved().cost(torch.ones(2, 1, 4, 5))
    tensor([0.2500, 0.2500])
    """

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Project states."""
        raise NotImplementedError

    def cost(self, state: torch.Tensor) -> torch.Tensor:
        """Cost of each sample, shape (batch,)."""
        return (state - self(state)).square().flatten(1).mean(1)

    def gradient(self, state: torch.Tensor, weight: torch.Tensor | float = 1.0) -> torch.Tensor:
        """Gradient ``2 (r - (dPhi/dx)^T r) / n`` with ``r = x - Phi(x)``, times a weight.

        One vector-Jacobian product.
        """
        training = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            point = state if state.requires_grad else state.detach().clone().requires_grad_()
            projected = self(point)
            residual = point - projected
            seed = residual if training else residual.detach()
            (back,) = torch.autograd.grad(
                projected, point, seed.to(projected.dtype), create_graph=training
            )
        return weight * 2 / state[0].numel() * (seed - back)
