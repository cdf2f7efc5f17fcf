"""Fixed-point interpolation with a learned projection (DinAE)."""

from collections.abc import Sequence

import torch
from torch import nn

from xdvarnet.solver.contracts import Solver, check_iterations
from xdvarnet.solver.data import Data
from xdvarnet.solver.inversions.context import split_context
from xdvarnet.solver.priors.projection import Projection


class FixedPoint(Solver):
    """Interpolation that a projection leaves as it is, with the observations put in (DinAE).

    Iteration k of K is ``x_(k+1) = Phi(mask y + (1 - mask) x_k)``: the observations y replace the
    state where they are, and the projection makes a state of them (Fablet et al. 2019,
    arXiv 1910.00556). There is no cost: the noise of the observations is nowhere. To end with the
    observations put in would hand on their errors, so that the last word is Phi's, everywhere.

    With a Phi that leaves out the point it predicts (`xdvarnet.solver.priors.gibbs.GibbsPrior`),
    an observation acts on its own point through its neighbours in the iteration before.

    Parameters
    ----------
    prior : Projection
        The projection Phi, from (batch, 1, time, component) to the same shape.
    iterations : int
        Number of iterations K, at least 1.

    Raises
    ------
    InvalidInputError
        If there is no iteration.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.inversions.fixed_point import FixedPoint
    >>> from xdvarnet.solver import GibbsPrior, Layout
    >>> prior = GibbsPrior(kernel=(11, 1), downscale=(4, 1), layout=Layout(components=3))
    >>> inversion = FixedPoint(prior, iterations=5)
    >>> first_guess, context = torch.zeros(2, 1, 50, 3), torch.ones(2, 2, 50, 3)
    >>> inversion(first_guess, [], context).shape
    torch.Size([2, 1, 50, 3])
    """

    context = 2

    iterations: int

    def __init__(self, prior: Projection, *, iterations: int = 10) -> None:
        super().__init__()
        self.prior, self.iterations = prior, check_iterations(iterations)

    @property
    def learned_prior(self) -> Projection:
        """The prior."""
        return self.prior

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The projection."""
        return {"prior": self.prior}

    def forward(
        self, first_guess: torch.Tensor, data: Sequence[Data], context: torch.Tensor | None
    ) -> torch.Tensor:
        """Run all iterations.

        Parameters
        ----------
        first_guess : torch.Tensor
            Shape (batch, 1, time, component).
        data : sequence of Data
            Not used: the observations are in the context.
        context : torch.Tensor
            Observed values, 0 elsewhere, and their mask, shape (batch, 2, time, component).

        Raises
        ------
        InvalidInputError
            If the context does not fit, or the prior is for another number of components.
        """
        values, mask = split_context(first_guess, context)
        state = first_guess
        for _ in range(self.iterations):
            state = self.prior(torch.where(mask > 0, values, state))
        return state
