"""What the parts of a solver are: base classes that say what each must have."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.solver.data import Data
from xdvarnet.solver.priors.base import Prior

MOST_ITERATIONS = 100_000
"""Iterations of a solver, at most."""


class Network(nn.Module):
    """A network from fields to fields, which says its numbers of channels.

    Attributes
    ----------
    channels, features : int
        Channels in and out.
    """

    channels: int
    features: int


class Step(nn.Module):
    """From the gradient of the cost to the update of the state.

    A step is called as ``update, memory = step(gradient, context, memory)``. Its memory is None at
    the start; it is an argument and a result, so that a step holds nothing between two samples.

    Attributes
    ----------
    channels : int or None
        Channels of the state; None for any number.
    context : int or None
        Channels of the context that it takes; None for any number.
    variables : int or None
        Number of variables that it is made for, where it counts them.
    sees_state : bool
        Whether the solver gives it the state, as the last channels of the context.
    """

    channels: int | None = None
    context: int | None = None
    variables: int | None = None
    sees_state: bool = False

    def forward(
        self, gradient: torch.Tensor, context: torch.Tensor | None, memory: Any
    ) -> tuple[torch.Tensor, Any]:
        """Return the update, in the gradient's shape, and the memory."""
        raise NotImplementedError


class ObservationTerm(nn.Module):
    """A misfit to observations, as a part of the cost.

    Attributes
    ----------
    channels : slice
        Channels of the state, and of the data, that it is handed; all by default.
    """

    channels: slice = slice(None)

    def cost(self, state: torch.Tensor, data: Data) -> torch.Tensor:
        """Cost of each sample, shape (batch,)."""
        raise NotImplementedError

    def gradient(self, state: torch.Tensor, data: Data) -> torch.Tensor:
        """Gradient of the cost by the state; the state's shape."""
        training = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            point = state if state.requires_grad else state.detach().clone().requires_grad_()
            total = self.cost(point, data).sum()
            (gradient,) = torch.autograd.grad(total, point, create_graph=training)
        return gradient


class Solver(nn.Module, ABC):
    """From a first guess, the data of the observation terms and a context to an analysis.

    Attributes
    ----------
    context : int or None
        Channels of the context that it takes; None for any number, none of which it sees.
    iterations : int or None
        Number of iterations, where it has any.
    """

    context: int | None = 0
    iterations: int | None = None

    @abstractmethod
    def forward(
        self, state: torch.Tensor, data: Sequence[Data], context: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the analysis, in the shape of the first guess."""

    @property
    def terms(self) -> Sequence[ObservationTerm]:
        """The observation terms; without any, it is handed all observations at once."""
        return ()

    @property
    def learned_prior(self) -> Prior | None:
        """The prior, where there is one: it learns at half the rate of the rest."""
        return None

    @property
    def parts(self) -> dict[str, nn.Module]:
        """What it is made of, by name, for those who look at it."""
        return {}

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        parts = [type(self).__name__]
        parts += [f"{name} {type(part).__name__}" for name, part in self.parts.items()]
        if self.iterations is not None:
            parts.append(f"{self.iterations} iterations")
        return ", ".join(parts)


def check_part(part: object, kind: type, name: str, advice: str) -> None:
    """Refuse a part that is not of its contract.

    Raises
    ------
    InvalidTypeError
        With what to give.
    """
    if not isinstance(part, kind):
        given = f"the class {part.__name__}" if isinstance(part, type) else type(part).__name__
        raise InvalidTypeError(
            f"{name} is {given}, which is no {kind.__name__}; give {advice}, or an instance of a "
            f"subclass of xdvarnet.solver.{kind.__name__}."
        )


def check_iterations(number: int) -> int:
    """Return a number of iterations, from 1 to 100000.

    Raises
    ------
    InvalidInputError
        If it is none.
    """
    whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
    if not whole or not 1 <= number <= MOST_ITERATIONS:
        raise InvalidInputError(
            f"iterations={number!r} is not accepted; give a whole number from 1 to "
            f"{MOST_ITERATIONS}."
        )
    return number


@contextmanager
def initial_weights(rng: RandomState) -> Iterator[None]:
    """Draw the weights of networks from `rng`, and leave the generator of torch alone.

    Parameters
    ----------
    rng : int, numpy.random.SeedSequence, numpy.random.Generator or None
        Source of the weights of all networks that are made in the context; None for the global
        generator of torch.
    """
    if rng is None:
        yield
        return
    seed = int(default_rng(rng).integers(2**63))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
