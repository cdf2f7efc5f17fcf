"""Channels of a `DVarNet`: those of its state and of its context, from labelled windows.

The state has one channel for each day of each variable, in the order of the variables, and after
these the parameters of the prior, where they are part of it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_kind
from xdvarnet.mapping.observations import Observations
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.solver.contracts import Solver, Step
from xdvarnet.solver.data import Data
from xdvarnet.solver.priors.base import Prior
from xdvarnet.training.draws import stack


def count_context(days: int, variables: int, first_guess: Reconstructor | None) -> int:
    """Return the number of channels of the context: see `DVarNet.context_channels`."""
    fields = 1 if first_guess is None else 2 + first_guess.gives_std
    return fields * variables * days + 1


def check_channels(
    solver: Solver,
    days: int,
    variables: Sequence[str],
    observed: Collection[str],
    first_guess: Reconstructor | None,
) -> None:
    """Hold the parts of a solver to the channels that a window of so many days has.

    Raises
    ------
    InvalidInputError
        If the prior, the step or an observation term is for other channels, or a term sees none
        that is observed.
    InvalidTypeError
        If the channels of an observation term are no slice.
    """
    context = count_context(days, len(variables), first_guess)
    parameters = _parameter_channels(solver)
    total = len(variables) * days + parameters
    prior, step = solver.parts.get("prior"), solver.parts.get("step")
    asked: list[tuple[object, str, int | None, int]] = []
    if isinstance(prior, Prior):
        asked.append((prior, "days", prior.days, days))
        asked.append((prior, "channels", prior.channels, total))
    if isinstance(step, Step):
        asked.append((step, "channels", step.channels, total))
        asked.append((step, "variables", step.variables, len(variables)))
        asked.append((step, "context", step.context, context))
    else:
        asked.append((solver, "context", solver.context, context))
    for part, name, given, wanted in asked:
        if given not in (None, wanted):
            raise InvalidInputError(
                f"the solver's {type(part).__name__} has {name}={given}; for {len(variables)} "
                f"variable(s), a window of {days} days and the first guess "
                f"{first_guess!r} build it with {name}={wanted} (channels are days x "
                "variables, and those of parameters in the state; context is "
                "DVarNet.context_channels(days, first_guess, variables=...))."
            )
    given_days = {
        number * days + day
        for number, name in enumerate(variables)
        if name in observed
        for day in range(days)
    }
    for term in solver.terms:
        channels = term.channels
        check_kind(isinstance(channels, slice), "channels of a term", channels, "a slice")
        places = range(total)[channels]
        seen = len(places)
        if not seen or (channels.stop or 0) > total:
            raise InvalidInputError(
                f"the observation term {type(term).__name__} has channels={channels}, and the "
                f"state has {total}: {days} days of each of {', '.join(variables)}."
            )
        if given_days.isdisjoint(places):
            raise InvalidInputError(
                f"the observation term {type(term).__name__} has channels={channels}, none of "
                f"which is a day of an observed variable ({', '.join(observed)}); variables have "
                f"{days} channels each, in the order {', '.join(variables)}."
            )
        if parameters and seen > len(variables) * days:
            raise InvalidInputError(
                f"the observation term sees {seen} channels of the state, and the last "
                f"{parameters} are parameters that nothing observes; build it "
                f"with MaskedObservation(channels=slice({len(variables) * days}))."
            )


def to_channels(
    fields: Mapping[str, np.ndarray], normalizer: Normalizer, variables: Iterable[str]
) -> np.ndarray:
    """Normalise the fields of a window and put the variables one after the other."""
    return np.concatenate([normalizer.normalize(name, fields[name]) for name in variables])


def to_inputs(
    windows: Sequence[Observations],
    solver: Solver,
    normalizer: Normalizer,
    variables: Collection[str],
    first_guess: Reconstructor | None,
    device: str,
) -> tuple[torch.Tensor, list[Data], torch.Tensor]:
    """Return what a solver is called with.

    Parameters
    ----------
    windows : sequence of Observations
        A batch, all of one size, with the analysis of the first guess where there is one.
    solver : Solver
        Whose observation terms may see parts of the state.
    normalizer : Normalizer
        Of the variables.
    variables : collection of str
        In the order of the channels.
    first_guess : Reconstructor or None
        Whether there is one, and one with a standard deviation.
    device : str
        Where they are put.

    Returns
    -------
    state : torch.Tensor
        The first guess, or zero: (batch, channels, latitude, longitude), normalised.
    data : list of Data
        One for each observation term.
    context : torch.Tensor
        Mask of the observations, first guess and its standard deviation, and the sea.
    """

    def channels(windows: Iterable[Mapping[str, np.ndarray]]) -> torch.Tensor:
        return stack([to_channels(each, normalizer, variables) for each in windows], device)

    values = channels(window.values for window in windows)
    seen = Data.from_gappy(values)
    whole = slice(values.shape[1])
    parts = [term.channels for term in solver.terms] or [whole]
    data = [Data(seen.values[:, part], seen.mask[:, part]) for part in parts]
    guesses = [window.first_guess for window in windows if window.first_guess is not None]
    state, extra = torch.zeros_like(values), []
    if first_guess is not None:
        nothing = dict.fromkeys(variables, np.zeros(windows[0].shape, np.float32))
        state = channels({**nothing, **guess.mean} for guess in guesses)
        extra.append(state)
        if first_guess.gives_std:
            unknown = {name: zero + normalizer.std[name] for name, zero in nothing.items()}
            extra.append(channels({**unknown, **guess.std} for guess in guesses))
    sea = stack([window.sea[None] for window in windows], device)
    state = functional.pad(state * sea, (0, 0, 0, 0, 0, _parameter_channels(solver)))
    return state, data, torch.cat([seen.mask, *extra, sea], dim=1)


def _parameter_channels(solver: Solver) -> int:
    """Number of the last channels of the state that are parameters of the prior."""
    prior = solver.learned_prior
    return prior.parameter_channels if isinstance(prior, Prior) else 0
