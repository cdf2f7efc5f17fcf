"""The variational solver: a learned descent of a learned cost."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.contracts import ObservationTerm, Solver, Step, check_iterations, check_part
from xdvarnet.solver.data import Data
from xdvarnet.solver.priors.base import Prior
from xdvarnet.solver.steps import join

GRAPHS = "unrolled", "checkpointed", "last", "implicit"
"""What derivatives of a solver go through."""


class VariationalSolver(Solver):
    """Unrolled minimisation of a variational cost (4DVarNet).

    The cost of a sample is ``U(x) = sum_i w_i J_i(x) + w_p J_p(x)``, the prior's cost J_p being
    ``|x - Phi(x)|^2 / n`` for a projection Phi, with n the number of cells. Iteration k of K, from
    0 on, is ::

        g = P grad U(x_k) / rms(P grad U(x_0))
        x_(k+1) = x_k - (step(g) / (k + 1) + rate (k + 1) / K g)

    (Fablet et al. 2021, doi 10.1029/2021MS002572; Beauchamp et al. 2023,
    doi 10.5194/gmd-16-2119-2023), where P is what the prior preconditions with, one by default.
    Costs and the scale of the gradient belong to each sample, so the
    result of one does not depend on its neighbours in the batch. There is no difference between
    training and evaluation but the graph, which is kept only where gradients are enabled: not
    within `torch.no_grad` or `torch.inference_mode`.

    Parameters
    ----------
    prior : Prior
        With a cost of its own, or a `Projection` Phi, from (batch, channels, latitude, longitude)
        to the same shape.
    observations : ObservationTerm or sequence of ObservationTerm
        Such as `MaskedObservation`.
    step : Step
        Called as ``update, memory = step(gradient, context, memory)``. One that ``sees_state`` is
        given the state as the last channels of the context.
    iterations : int
        Number of iterations K, at least 1.
    first_guess : Solver, optional
        Learned correction of the first guess, called as ``first_guess(state, data, context)``
        before the iterations; such as a `xdvarnet.solver.inversions.direct.DirectInversion`.
    graph : {"unrolled", "checkpointed", "last", "implicit"}
        Derivatives of a training: of all iterations, whose graph grows with their number, or which
        are done again, one by one, for the derivatives; or of the last one alone. See the notes.

    Attributes
    ----------
    log_weights : torch.nn.Parameter
        Logarithms of the weights of the observation terms and, last, of the prior; learned.
    rate : torch.nn.Parameter
        Size of the plain gradient part of an update; learned, zero at the start.

    Raises
    ------
    InvalidInputError
        If there is no iteration, or the graph is none of these.
    InvalidTypeError
        If a part is of another kind.

    Notes
    -----
    ``"checkpointed"`` gives the derivatives of ``"unrolled"`` for the memory of one iteration: half
    of that of 3 iterations, a sixth of that of 12, and 1.3 to 1.45 times the time.

    With F the last iteration, with its memory held, v the derivative of the loss by the analysis
    and J = dF/dx, the derivative by the parameters is ``v dF/dp`` with ``graph="last"``: one-step
    differentiation (Bolte et al. 2023, arXiv 2305.13768), which is the Jacobian-free one of a fixed
    point (Fung et al. 2022, arXiv 2103.12803). With ``"implicit"`` it is
    ``v (1 + J + ... + J^(K-1)) dF/dp``, the truncated Neumann series of the implicit function
    theorem: as if all K iterations were the last one, which takes the time of all but not their
    memory. It is exact for many iterations that converge, and a training of a few learned ones,
    where J is no contraction, may diverge. The analysis is the same in all. A learned first guess
    has no derivatives with ``"last"`` and ``"implicit"``: train it before.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.data import Data
    >>> from xdvarnet.solver.observation import MaskedObservation
    >>> from xdvarnet.solver.priors.bilinear import BilinearAutoencoder
    >>> from xdvarnet.solver.steps import ConvLSTMStep
    >>> from xdvarnet.solver.variational import VariationalSolver
    >>> solver = VariationalSolver(BilinearAutoencoder(5), MaskedObservation(), ConvLSTMStep(5))
    >>> first_guess, observations = torch.zeros(2, 5, 24, 32), torch.ones(2, 5, 24, 32)
    >>> with torch.no_grad():
    ...     solver(first_guess, [Data.from_gappy(observations)]).shape
    torch.Size([2, 5, 24, 32])
    """

    def __init__(
        self,
        prior: Prior,
        observations: ObservationTerm | Sequence[ObservationTerm],
        step: Step,
        *,
        iterations: int = 10,
        first_guess: Solver | None = None,
        graph: str = "unrolled",
    ) -> None:
        super().__init__()
        if graph not in GRAPHS:
            raise InvalidInputError(f"graph={graph!r} is none of {', '.join(map(repr, GRAPHS))}.")
        terms = [observations] if isinstance(observations, nn.Module) else list(observations)
        order = "; the order is VariationalSolver(prior, observations, step)"
        check_part(prior, Prior, "prior", f"one such as UNetPrior(...){order}")
        for term in terms:
            check_part(term, ObservationTerm, "an observation term", f"MaskedObservation(){order}")
        check_part(step, Step, "step", f"one such as ConvLSTMStep(...){order}")
        self.prior = prior
        self.observations = nn.ModuleList(terms)
        self.step = step
        self.iterations = iterations
        self.first_guess, self.graph = first_guess, graph
        self.log_weights = nn.Parameter(torch.zeros(len(terms) + 1))
        self.rate = nn.Parameter(torch.zeros(()))

    @property
    def iterations(self) -> int:
        """Number of iterations, from 1 to 100000."""
        return self._iterations

    @iterations.setter
    def iterations(self, number: int) -> None:
        self._iterations = check_iterations(number)

    def cost(self, state: torch.Tensor, data: Sequence[Data]) -> torch.Tensor:
        """Variational cost of each sample, shape (batch,)."""
        *weights, prior_weight = self.log_weights.exp()
        terms = zip(weights, self.terms, data, strict=True)
        misfit = sum(weight * term.cost(state, part) for weight, term, part in terms)
        return prior_weight * self.prior_cost(state) + misfit

    def prior_cost(self, state: torch.Tensor) -> torch.Tensor:
        """Cost of the prior, without its weight, shape (batch,)."""
        return self.prior.cost(state)

    def training_cost(self, state: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Cost by which the prior learns from an analysis and its truth, shape (batch,)."""
        return self.prior.training_cost(state, truth)

    def gradient(self, state: torch.Tensor, data: Sequence[Data]) -> torch.Tensor:
        """Gradient of the cost, in the state's shape."""
        *weights, prior_weight = self.log_weights.exp()
        gradient = self.prior.gradient(state, prior_weight)
        for weight, term, part in zip(weights, self.terms, data, strict=True):
            gradient = gradient + weight * term.gradient(state, part)
        return gradient

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
        """Prior and step."""
        return {"prior": self.prior, "step": self.step}

    @property
    def context(self) -> int:
        """Number of channels of the context that the step takes."""
        return self.step.context or 0

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

        Raises
        ------
        InvalidInputError
            If the channels of the state or of the context are not those of the prior and the step
            (where these say theirs), or the data are not one for each observation term.
        """
        return deque(self.iterates(state, data, context), maxlen=1).pop()

    def iterates(
        self, state: torch.Tensor, data: Sequence[Data], context: torch.Tensor | None = None
    ) -> Iterator[torch.Tensor]:
        """Yield the state after each iteration, from the arguments of `forward`."""
        self._check(state, data, context)
        unrolled = self.graph in ("unrolled", "checkpointed")
        iterate: Callable = self._iterate
        if self.graph == "checkpointed" and torch.is_grad_enabled():
            iterate = partial(checkpoint, self._iterate, use_reentrant=False)
        if self.first_guess is not None:
            with torch.set_grad_enabled(torch.is_grad_enabled() and unrolled):
                state = self.first_guess(state, data, context)
        scale = memory = None
        for k in range(self.iterations):
            with_graph = torch.is_grad_enabled() and (unrolled or k + 1 == self.iterations)
            point = state.detach().requires_grad_(with_graph) if self.graph == "implicit" else state
            with torch.set_grad_enabled(with_graph):
                state, scale, memory = iterate(k, point, data, context, scale, memory)
            if self.graph == "implicit" and with_graph:
                state = _fixed_point(state, point, self.iterations)
            yield state

    def _iterate(
        self,
        k: int,
        state: torch.Tensor,
        data: Sequence[Data],
        context: torch.Tensor | None,
        scale: torch.Tensor | None,
        memory: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, Any]:
        """Return the state after iteration k, the scale of the gradient and the memory."""
        gradient = self.prior.precondition(self.gradient(state, data))
        if scale is None:
            square = gradient.square().mean((1, 2, 3), keepdim=True)
            scale = square.clamp_min(1e-30).sqrt() + 1e-12  # sqrt has no derivative at zero
        gradient = gradient / scale
        seen = join(context, state if self.step.sees_state else None)
        update, memory = self.step(gradient, seen, memory)
        plain = self.rate * (k + 1) / self.iterations * gradient
        return state - (update / (k + 1) + plain), scale, memory

    def _check(
        self, state: torch.Tensor, data: Sequence[Data], context: torch.Tensor | None
    ) -> None:
        channels = state.shape[1]
        given = 0 if context is None else context.shape[1]
        guess = None if self.first_guess is None else self.first_guess.context
        for what, number, accepted in (
            ("channels of the state", channels, self.prior.channels),
            ("channels of the state", channels, self.step.channels),
            ("channels of the context", given, self.step.context),
            ("channels of the context", given, guess),
            ("data, one for each observation term", len(data), len(self.observations)),
        ):
            if accepted is not None and number != accepted:
                raise InvalidInputError(
                    f"the solver takes {accepted} {what}, and {number} were given (with a state of "
                    f"shape {tuple(state.shape)}: batch, channels, latitude, longitude)."
                )


def _fixed_point(state: torch.Tensor, point: torch.Tensor, terms: int) -> torch.Tensor:
    """Give a state the derivatives of a fixed point of the map that made it of `point`.

    Of the Neumann series of the inverse of ``1 - d state / d point``, the first `terms`.
    """

    def back(derivative: torch.Tensor) -> torch.Tensor:
        term = derivative
        for _ in range(terms - 1):
            (term,) = torch.autograd.grad(state, point, term, retain_graph=True)
            derivative = derivative + term
        return derivative

    result = state.clone()  # the hook of a result is not that of the state, which it calls
    result.register_hook(back)
    return result
