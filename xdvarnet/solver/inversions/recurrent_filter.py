"""Recurrent filter with a learned memory (DAN)."""

from collections.abc import Sequence

import torch
from torch import nn

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.contracts import Solver, initial_weights
from xdvarnet.solver.data import Data
from xdvarnet.solver.inversions.context import split_context


class RecurrentFilter(Solver):
    """Forecast and analysis of a memory, from one time to the next (DAN).

    Three networks act at each time t (Boudier et al. 2020, arXiv 2010.09694) ::

        h = clip(h + b(h))      the forecast of the memory
        h = a([y, mask], h)     its analysis with the observations
        x(t) = c(h)             the state

    with a memory h of fixed size that starts at zero and has to hold the state and how well it is
    known. It is kept within -1 and 1, which is the range of a, so that no window is too long. Here
    a is a gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), b has one hidden layer and is
    zero before any training, so that the memory is kept as it is, and c is linear; in the paper a
    and b are deeper residual networks and c gives a normal distribution, of which this is the mean.

    It is a filter: x(t) does not know the observations after t, and is the worst where few have
    been seen yet, at the start of a window; a smoother does better everywhere but at its end. A
    window may have any number of times. The first guess is not used.

    Parameters
    ----------
    components : int
        Components of a state, all of which are seen together.
    hidden : int
        Size of the memory and of the hidden layer.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.

    Raises
    ------
    InvalidInputError
        If a number is below 1, or a series has another number of components.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.inversions.recurrent_filter import RecurrentFilter
    >>> inversion = RecurrentFilter(3)
    >>> first_guess, context = torch.zeros(2, 1, 50, 3), torch.ones(2, 2, 50, 3)
    >>> inversion(first_guess, [], context).shape
    torch.Size([2, 1, 50, 3])
    """

    context = 2

    def __init__(self, components: int, *, hidden: int = 64, rng: RandomState = None) -> None:
        super().__init__()
        if min(components, hidden) < 1:
            raise InvalidInputError(
                f"components={components} and hidden={hidden}; give numbers of at least 1."
            )
        self.components, self.hidden = components, hidden
        with initial_weights(rng):
            first, last = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
            self.forecast = nn.Sequential(first, nn.SiLU(), last)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.analysis = nn.GRUCell(2 * components, hidden)
            self.decode = nn.Linear(hidden, components)

    def forward(
        self, first_guess: torch.Tensor, data: Sequence[Data], context: torch.Tensor | None
    ) -> torch.Tensor:
        """Filter a window.

        Parameters
        ----------
        first_guess : torch.Tensor
            Shape (batch, 1, time, component); its values are not used.
        data : sequence of Data
            Not used: the observations are in the context.
        context : torch.Tensor
            Observed values, 0 elsewhere, and their mask, shape (batch, 2, time, component).

        Raises
        ------
        InvalidInputError
            If the context does not fit, or the number of components is another.
        """
        values, mask = split_context(first_guess, context)
        if values.shape[-1] != self.components:
            raise InvalidInputError(
                f"the filter is for {self.components} components, and the series, of shape "
                f"{tuple(first_guess.shape)} (batch, 1, time, component), has {values.shape[-1]}."
            )
        seen = torch.cat([values, mask], -1)[:, 0]
        memory = seen.new_zeros(len(seen), self.hidden)
        memories = []
        for observed in seen.unbind(1):
            forecast = (memory + self.forecast(memory)).clamp(-1, 1)
            memory = self.analysis(observed, forecast)
            memories.append(memory)
        return self.decode(torch.stack(memories, 1))[:, None]
