"""The variational solver: a learned descent of a learned cost."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from xdvarnet.solver.observation import Data


class VariationalSolver(nn.Module):
    """Unrolled minimisation of a variational cost (4DVarNet).

    The cost of a sample is ``U(x) = sum_i w_i J_i(x) + w_p |x - Phi(x)|^2 / n`` with n the number of
    cells, and iteration k of K is ::

        g   = grad U(x_k) / rms(grad U(x_0))
        x_k+1 = x_k - (step(g) / (k + 1) + rate (k + 1) / K g)

    (Fablet et al. 2021, doi 10.1029/2021MS002572; Beauchamp et al. 2023, doi 10.5194/gmd-16-2119-2023).
    Costs and the scale of the gradient belong to each sample, so the result of one does not depend on
    its neighbours in the batch. There is no difference between training and evaluation but the graph,
    which is kept only where gradients are enabled.

    Parameters
    ----------
    prior : torch.nn.Module
        The projection Phi, from (batch, channels, latitude, longitude) to the same shape.
    observations : torch.nn.Module or sequence of torch.nn.Module
        Observation terms with methods ``cost`` and ``gradient``.
    step : torch.nn.Module
        Called as ``update, memory = step(gradient, context, memory)``.
    iterations : int
        Number of iterations K.

    Attributes
    ----------
    log_weights : torch.nn.Parameter
        Logarithms of the weights of the observation terms and, last, of the prior; learned.
    rate : torch.nn.Parameter
        Size of the plain gradient part of an update; learned, zero at the start.
    """

    def __init__(
        self,
        prior: nn.Module,
        observations: nn.Module | Sequence[nn.Module],
        step: nn.Module,
        *,
        iterations: int = 10,
    ) -> None:
        super().__init__()
        terms = [observations] if isinstance(observations, nn.Module) else list(observations)
        self.prior = prior
        self.observations = nn.ModuleList(terms)
        self.step = step
        self.iterations = iterations
        self.log_weights = nn.Parameter(torch.zeros(len(terms) + 1))
        self.rate = nn.Parameter(torch.zeros(()))

    def cost(self, state: torch.Tensor, data: Sequence[Data]) -> torch.Tensor:
        """Variational cost of each sample, shape (batch,)."""
        weights = self.log_weights.exp()
        prior = weights[-1] * self.prior_cost(state)
        terms = zip(weights, self.observations, data, strict=False)
        return prior + sum(weight * term.cost(state, part) for weight, term, part in terms)

    def prior_cost(self, state: torch.Tensor) -> torch.Tensor:
        """``|x - Phi(x)|^2 / n`` of each sample, shape (batch,)."""
        return (state - self.prior(state)).square().flatten(1).mean(1)

    def gradient(self, state: torch.Tensor, data: Sequence[Data]) -> torch.Tensor:
        """Gradient of the cost, in the state's shape.

        The observation terms write theirs out; the prior's is ``2 (r - (dPhi/dx)^T r) / n`` with
        ``r = x - Phi(x)``, one vector-Jacobian product.
        """
        weights = self.log_weights.exp()
        training = torch.is_grad_enabled()
        with torch.enable_grad():
            point = state if state.requires_grad else state.detach().requires_grad_()
            projected = self.prior(point)
            residual = point - projected
            seed = residual if training else residual.detach()
            (back,) = torch.autograd.grad(
                projected, point, seed.to(projected.dtype), create_graph=training
            )
        gradient = weights[-1] * 2 / state[0].numel() * (seed - back)
        for weight, term, part in zip(weights, self.observations, data, strict=False):
            gradient = gradient + weight * term.gradient(state, part)
        return gradient

    def forward(
        self, state: torch.Tensor, data: Sequence[Data], context: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Run all iterations from a first guess.

        Parameters
        ----------
        state : torch.Tensor
            First guess, shape (batch, channels, latitude, longitude).
        data : sequence of Data
            One for each observation term.
        context : torch.Tensor, optional
            What the step sees besides the gradient, shape (batch, context, latitude, longitude).

        Returns
        -------
        torch.Tensor
            The analysis, in the shape of the first guess.
        """
        memory: Any = None
        scale = None
        for k in range(self.iterations):
            gradient = self.gradient(state, data)
            if scale is None:
                scale = gradient.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-12
            gradient = gradient / scale
            update, memory = self.step(gradient, context, memory)
            plain = self.rate * (k + 1) / self.iterations * gradient
            state = state - (update / (k + 1) + plain)
        return state
