"""A model that is learned from trajectories: a quadratic tendency."""

import copy
from itertools import combinations_with_replacement
from typing import Self

import torch
from torch import nn

from xdvarnet.dynamics.integration import Model, check_step_size, rk4_step
from xdvarnet.errors import InvalidInputError, InvalidTypeError

ROUNDS = 4
"""Gauss-Newton steps of a fit; the residual of a step is nearly linear in the coefficients."""


class QuadraticDynamics(Model):
    """Tendency of each component as a quadratic polynomial of the components, or of neighbours.

    ``dx_i/dt = sum_m c_im p_m``, with all monomials p of degree 0, 1 and 2 of the components. With
    a `reach`, components are on a ring, the monomials are of the neighbours ``x_(i-reach)`` to
    ``x_(i+reach)``, and all components have the same coefficients. It is the bilinear model of
    Fablet et al. 2018 (arXiv 1712.07003); Lorenz-63 and Lorenz-96 are of this form, and nothing
    else of them is assumed. Coefficients are zero until `fit`, and a training may change them.

    Parameters
    ----------
    components : int
        Number of components.
    reach : int, optional
        Neighbours on each side, on a ring.

    Attributes
    ----------
    coefficients : torch.nn.Parameter
        Shape (components, monomials), or (1, monomials) with a reach.

    Raises
    ------
    InvalidInputError
        If a number is out of range.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics.integration import integrate
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> from xdvarnet.dynamics.quadratic import QuadraticDynamics
    >>> states = integrate(Lorenz63(), torch.rand(50, 3, dtype=torch.float64), 100, 0.01)
    >>> model = QuadraticDynamics(3).fit(states, 0.01)
    >>> model.coefficients[0, 1:3].round(decimals=4).tolist()
    [-10.0, 10.0]
    """

    def __init__(self, components: int, *, reach: int | None = None) -> None:
        super().__init__()
        if components < 1 or (reach is not None and not 1 <= reach < components / 2):
            raise InvalidInputError(
                f"components={components} and reach={reach}; a point and its neighbours on both "
                "sides should not be more than the ring has."
            )
        self.components, self.reach = components, reach
        seen = components if reach is None else 2 * reach + 1
        pairs = torch.tensor(list(combinations_with_replacement(range(seen), 2)))
        self.pairs: torch.Tensor
        self.register_buffer("pairs", pairs, persistent=False)
        rows = components if reach is None else 1
        self.coefficients = nn.Parameter(torch.zeros(rows, 1 + seen + len(pairs)))

    def extra_repr(self) -> str:
        """Arguments, for the repr."""
        return f"{self.components}, reach={self.reach}"

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Tendency of a state (..., component)."""
        return self._tendency(state, self.coefficients)

    def fit(self, states: torch.Tensor, dt: float) -> Self:
        """Return this model with the coefficients of trajectories, by least squares of RK4 steps.

        Parameters
        ----------
        states : torch.Tensor
            Shape (..., time, component), finite; some ten thousand pairs of states are enough.
        dt : float
            Time between two states.

        Raises
        ------
        InvalidTypeError
            If the states are no tensor.
        InvalidInputError
            If dt is not positive, a state is not finite, there are fewer steps than coefficients,
            or the steps do not determine them.
        """
        if not isinstance(states, torch.Tensor):
            raise InvalidTypeError(
                f"expected a tensor of states, got {type(states).__name__}; give "
                "torch.from_numpy(dataset['state'].values)."
            )
        check_step_size(dt)
        if not torch.isfinite(states).all():
            raise InvalidInputError(
                "the states have values that are not finite; give the truth, not the observations."
            )
        states = states.double()
        before, after = states[..., :-1, :], states[..., 1:, :]
        if before[..., 0].numel() < self.coefficients.shape[1]:
            raise InvalidInputError(
                f"{before[..., 0].numel()} steps do not determine {self.coefficients.shape[1]} "
                "coefficients; give longer trajectories."
            )
        found = torch.zeros_like(self.coefficients, dtype=torch.float64)

        def residual(coefficients: torch.Tensor) -> torch.Tensor:
            step = rk4_step(lambda x: self._tendency(x, coefficients), before, dt)
            return (after - step).flatten()

        for _ in range(ROUNDS):
            slopes = torch.func.jacfwd(residual)(found).flatten(1)
            found = found - _solve(slopes, residual(found)).view_as(found)
        fitted = copy.deepcopy(self)
        with torch.no_grad():
            fitted.coefficients.copy_(found)
        return fitted

    def _tendency(self, state: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
        if state.shape[-1] != self.components:
            raise InvalidInputError(
                f"the model has {self.components} components; the state has the shape "
                f"{tuple(state.shape)}."
            )
        coefficients = coefficients.to(state.dtype)
        if self.reach is None:
            left, right = state[..., self.pairs[:, 0]], state[..., self.pairs[:, 1]]
            one = torch.ones_like(state[..., :1])
            return torch.cat([one, state, left * right], -1) @ coefficients.T
        ring = torch.cat([state[..., -self.reach :], state, state[..., : self.reach]], -1)
        around = ring.unfold(-1, 2 * self.reach + 1, 1)
        constant, linear, quadratic = coefficients[0].split([1, around.shape[-1], len(self.pairs)])
        form = around.new_zeros(2 * (around.shape[-1],)).index_put(
            (self.pairs[:, 0], self.pairs[:, 1]), quadratic
        )
        return constant + ((around @ form + linear) * around).sum(-1)


def _solve(slopes: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Least squares, where they have one solution."""
    if torch.isfinite(slopes).all():
        found = torch.linalg.lstsq(slopes, values[:, None], driver="gelsd")
        if found.rank == slopes.shape[1]:
            return found.solution
    raise InvalidInputError(
        "the states do not determine the coefficients: they are too much alike, of too different "
        "sizes, or dt is too large. Give other trajectories, normalised."
    )
