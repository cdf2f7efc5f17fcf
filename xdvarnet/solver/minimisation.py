"""Plain minimisation of a variational cost, without anything learned in the descent."""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import nn

from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.solver.contracts import ObservationTerm, Solver, check_iterations, check_part
from xdvarnet.solver.data import Data
from xdvarnet.solver.priors.base import Prior

OPTIMISERS = ("sgd", "adam", "lbfgs")


class Minimisation(Solver):
    """Descent of a variational cost by a standard optimiser.

    The cost of a sample is that of `xdvarnet.solver.variational.VariationalSolver`,
    ``U(x) = sum_i w_i J_i(x) + w_p J_p(x)`` with weights that are given. Its terms are sums over
    the n cells of a sample, divided by n; the optimiser descends the sums, ``n U``, so that a rate
    means the same whatever the size of the window. With r the rate and g the gradient of n U:

    - ``"sgd"``: ``x - r g``, which converges for r below two over the largest curvature of n U;
    - ``"adam"``: steps of about r in each cell, in the units of the state (Kingma and Ba 2015,
      arXiv 1412.6980);
    - ``"lbfgs"``: quasi-Newton directions from the last 100 iterations, and along each a search
      for the strong Wolfe conditions that begins at r (Liu and Nocedal 1989,
      doi 10.1007/BF01589116; 1 is the natural rate). An iteration evaluates the cost a few times.

    The result of a sample does not depend on its neighbours in the batch: the first two work cell
    by cell, and L-BFGS, whose curvature and search are of all cells together, runs for each sample
    by itself, which takes the longer the larger the batch. No graph is kept: nothing can be learned
    through this descent, and the parameters of the prior stay as they are.

    Parameters
    ----------
    prior : Prior
        Such as `OdePrior`.
    observations : ObservationTerm or sequence of ObservationTerm
        Such as `MaskedObservation`.
    optimiser : str
        ``"sgd"``, ``"adam"`` or ``"lbfgs"``.
    rate : float
        Size of steps, as above.
    iterations : int
        Number of iterations, at least 1.
    weights : sequence of float
        Of the observation terms and, last, of the prior; not negative.

    Raises
    ------
    InvalidInputError
        If a number is out of range, the weights are not one for each term, the data are not one for
        each observation term, or the descent diverges.
    UnknownNameError
        If the optimiser is unknown.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> from xdvarnet.solver.minimisation import Minimisation
    >>> from xdvarnet.solver.data import Data
    >>> from xdvarnet.solver.observation import MaskedObservation
    >>> from xdvarnet.solver.priors.ode import OdePrior
    >>> descent = Minimisation(
    ...     OdePrior(Lorenz63(), 0.01), MaskedObservation(), optimiser="lbfgs", iterations=5
    ... )
    >>> first_guess, observations = torch.zeros(2, 1, 20, 3), torch.ones(2, 1, 20, 3)
    >>> descent(first_guess, [Data.from_gappy(observations)]).shape
    torch.Size([2, 1, 20, 3])
    """

    iterations: int

    def __init__(
        self,
        prior: Prior,
        observations: ObservationTerm | Sequence[ObservationTerm],
        *,
        optimiser: str = "adam",
        rate: float = 0.1,
        iterations: int = 200,
        weights: Sequence[float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        if optimiser not in OPTIMISERS:
            raise UnknownNameError(
                f"optimiser={optimiser!r} is unknown; known are {', '.join(OPTIMISERS)}."
            )
        if not 0 < rate < float("inf"):
            raise InvalidInputError(f"rate={rate} is not accepted; give a positive rate.")
        terms = [observations] if isinstance(observations, nn.Module) else list(observations)
        check_part(prior, Prior, "prior", "one such as OdePrior(...)")
        for term in terms:
            check_part(term, ObservationTerm, "an observation term", "MaskedObservation()")
        if len(weights) != len(terms) + 1 or not all(
            0 <= weight < float("inf") for weight in weights
        ):
            raise InvalidInputError(
                f"weights={tuple(weights)}; give {len(terms) + 1} finite numbers, none negative: "
                "one for each observation term and, last, that of the prior."
            )
        self.prior, self.observations = prior, nn.ModuleList(terms)
        self.optimiser, self.rate = optimiser, rate
        self.iterations = check_iterations(iterations)
        self.weights = tuple(map(float, weights))

    @property
    def terms(self) -> Sequence[ObservationTerm]:
        """The observation terms."""
        return cast(list[ObservationTerm], list(self.observations))

    @property
    def learned_prior(self) -> Prior:
        """The prior."""
        return self.prior

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The prior."""
        return {"prior": self.prior}

    def cost(self, state: torch.Tensor, data: Sequence[Data]) -> torch.Tensor:
        """Variational cost U of each sample, shape (batch,)."""
        *weights, prior_weight = self.weights
        terms = zip(weights, self.terms, data, strict=True)
        misfit = sum(weight * term.cost(state, part) for weight, term, part in terms)
        return prior_weight * self.prior.cost(state) + misfit

    def gradient(self, state: torch.Tensor, data: Sequence[Data]) -> torch.Tensor:
        """Gradient of the cost, in the state's shape."""
        *weights, prior_weight = self.weights
        gradient = self.prior.gradient(state, prior_weight)
        for weight, term, part in zip(weights, self.terms, data, strict=True):
            gradient = gradient + weight * term.gradient(state, part)
        return gradient

    def forward(
        self, first_guess: torch.Tensor, data: Sequence[Data], context: None = None
    ) -> torch.Tensor:
        """Run all iterations.

        Parameters
        ----------
        first_guess : torch.Tensor
            Where the descent starts, shape (batch, channels, rows, columns).
        data : sequence of Data
            One for each observation term.
        context : None
            Not used.

        Returns
        -------
        torch.Tensor
            The state of the last iteration, in the shape of the first guess.
        """
        for state in self.path(first_guess, data):
            last = state
        return last

    def path(self, first_guess: torch.Tensor, data: Sequence[Data]) -> Iterator[torch.Tensor]:
        """Yield the state after each iteration, from the same arguments."""
        if len(data) != len(self.observations):
            raise InvalidInputError(
                f"there are {len(self.observations)} observation terms and {len(data)} data; give "
                "one for each."
            )
        with torch.inference_mode(False):
            descents = [
                _Descent(self, points, parts) for points, parts in self._split(first_guess, data)
            ]
        for iteration in range(1, self.iterations + 1):
            for descent in descents:
                descent.advance()
            state = torch.cat([descent.points.detach() for descent in descents])
            if not torch.isfinite(state).all():
                raise InvalidInputError(
                    f"the descent by optimiser={self.optimiser!r} and rate={self.rate:g} diverges: "
                    f"after iteration {iteration} the state is no longer finite; give a smaller "
                    "rate."
                )
            yield state

    def _split(
        self, first_guess: torch.Tensor, data: Sequence[Data]
    ) -> Iterator[tuple[torch.Tensor, list[Data]]]:
        """What is descended together: all samples, or each by itself for L-BFGS."""
        size = 1 if self.optimiser == "lbfgs" else len(first_guess)
        for start in range(0, len(first_guess), size):
            part = slice(start, start + size)
            yield first_guess[part], [Data(item.values[part], item.mask[part]) for item in data]


class _Descent:
    """Descent of some samples by one optimiser, one iteration at a time."""

    def __init__(self, problem: Minimisation, points: torch.Tensor, data: list[Data]) -> None:
        self.problem, self.data = problem, data
        self.points = points.detach().clone()
        start, rate = [self.points], problem.rate
        self.optimiser: torch.optim.Optimizer
        if problem.optimiser == "lbfgs":
            self.optimiser = torch.optim.LBFGS(
                start, lr=rate, max_iter=1, max_eval=25, line_search_fn="strong_wolfe"
            )
        elif problem.optimiser == "adam":
            self.optimiser = torch.optim.Adam(start, lr=rate)
        else:
            self.optimiser = torch.optim.SGD(start, lr=rate)

    def advance(self) -> None:
        """Take one iteration."""
        with torch.inference_mode(False):
            self.optimiser.step(self._evaluate)  # type: ignore[arg-type]  # torch's own closures return tensors

    @torch.no_grad()
    def _evaluate(self) -> torch.Tensor:
        """Return the sum of the costs n U, and leave its gradient where the optimiser looks."""
        cells = self.points[0].numel()
        self.points.grad = cells * self.problem.gradient(self.points, self.data)
        return cells * self.problem.cost(self.points, self.data).sum()
