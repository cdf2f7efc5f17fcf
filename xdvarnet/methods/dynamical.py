"""Methods with a dynamical model: they see states over time, of whatever these are.

A state is a vector: the components of a Lorenz model, or the heights of all cells at sea. So a
4DVar or an ensemble filter is written once, and takes windows of series and maps alike.
"""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_times
from xdvarnet.mapping.background import NoBackground
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.methods.climatology import Climatology


@dataclass(frozen=True)
class StateWindow:
    """Observations of states over time.

    Attributes
    ----------
    values : numpy.ndarray
        Shape (sample, time, component), float64; NaN where nothing was observed.
    dt : float
        Time between two states, in the model's unit; days for maps.
    first_guess : numpy.ndarray or None
        Trajectories to start from, in the same shape, where there are any.
    """

    values: np.ndarray
    dt: float
    first_guess: np.ndarray | None = None

    @classmethod
    def of(cls, observations: Observations, variables: Mapping[str, str]) -> Self:
        """Put the variables at sea, one after the other, into states.

        Raises
        ------
        InvalidInputError
            If times have no equal steps.
        """
        times = observations.days
        if observations.is_map:
            check_times(times, "time", daily=True)
        flat = _to_states(observations.values, observations, variables)
        return cls(flat, float(times[-1] - times[0]) / max(times.size - 1, 1))

    def take(self, samples: slice | np.ndarray) -> Self:
        """Return the windows of some samples."""
        guess = None if self.first_guess is None else self.first_guess[samples]
        return replace(self, values=self.values[samples], first_guess=guess)

    def require_components(self, number: int, what: str) -> None:
        """Refuse states of another number of components than `what` has.

        Raises
        ------
        InvalidInputError
            If the number of components is another one.
        """
        given = self.values.shape[-1]
        if given != number:
            raise InvalidInputError(
                f"{what} has {number} components, and the state has {given}; give the series, or "
                "the cells at sea, that the model was made for."
            )


@dataclass(frozen=True)
class StateAnalysis:
    """The trajectories that a method gives.

    Attributes
    ----------
    mean : numpy.ndarray
        Shape (sample, time, component).
    std : numpy.ndarray, optional
        Standard deviation, in the same shape, where the method has one.
    members : numpy.ndarray, optional
        Shape (member, sample, time, component), where they were asked for.
    """

    mean: np.ndarray
    std: np.ndarray | None = None
    members: np.ndarray | None = None


class DynamicalMethod(Reconstructor):
    """Base class of the methods that see states over time.

    A subclass sets `climatology` or overrides what comes from it, and defines `solve_states`. The
    analysis of a sample does not depend on the other samples. Nothing is removed before: a method
    knows the mean of its states.

    Attributes
    ----------
    climatology : Climatology
        What is known of a state before any observation.
    first_guess : Reconstructor or None
        Another method whose analysis the search starts from.
    """

    climatology: Climatology
    first_guess: Reconstructor | None = None
    background = NoBackground()

    @property
    def variables(self) -> Mapping[str, str]:
        """Those of the climatology."""
        return self.climatology.variables

    @property
    def labels(self) -> Sequence[Hashable] | None:
        """Names of the components of a series."""
        return self.climatology.labels

    @abstractmethod
    def solve_states(
        self,
        window: StateWindow,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> StateAnalysis:
        """Reconstruct all samples; with `members`, an ensemble of so many."""

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Reconstruct the states of series or maps: see `solve_states`."""
        window = StateWindow.of(observations, self.variables)
        if self.first_guess is not None:
            fields = self.first_guess.solve(observations, rng=rng).mean
            guess = _to_states(fields, observations, self.variables)
            window = replace(window, first_guess=guess)
        found = self.solve_states(window, members=members, rng=rng)
        kinds = {"mean": found.mean, "std": found.std, "members": found.members}
        return Analysis(
            **{
                kind: _to_fields(states, observations, self.variables)
                for kind, states in kinds.items()
                if states is not None
            },
            first_guess=None,
        )


def _to_states(
    fields: Mapping[str, np.ndarray], observations: Observations, variables: Mapping[str, str]
) -> np.ndarray:
    """From fields (..., time, *place) to states (sample, time, component), float64."""
    parts = [fields[name][..., observations.sea] for name in variables]
    states = np.concatenate(parts, axis=-1).astype(float)
    return states if states.ndim == 3 else states[None]


def _to_fields(
    states: np.ndarray, observations: Observations, variables: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Invert `_to_states`, of states with a dimension of members or without; zero on land."""
    if observations.is_map:
        states = states[..., 0, :, :]  # maps are one sample
    fields = {}
    for name, part in zip(variables, np.split(states, len(variables), axis=-1), strict=True):
        fields[name] = np.zeros((*part.shape[:-1], *observations.sea.shape), part.dtype)
        fields[name][..., observations.sea] = part
    return fields
