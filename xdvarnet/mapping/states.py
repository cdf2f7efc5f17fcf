"""What a model of series is: from gappy observations of states to whole trajectories."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from xdvarnet.errors import InvalidInputError


@dataclass(frozen=True)
class SeriesObservations:
    """Observations of series.

    Attributes
    ----------
    values : numpy.ndarray
        Shape (sample, time, component), float64; NaN where nothing was observed.
    dt : float
        Time between two states, in the model's unit.
    """

    values: np.ndarray
    dt: float

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
                f"{what} has {number} components, and the state has {given}; give the series that "
                "the model was made for."
            )


@dataclass(frozen=True)
class SeriesAnalysis:
    """The trajectories that a model gives.

    Attributes
    ----------
    mean : numpy.ndarray
        Shape (sample, time, component).
    std : numpy.ndarray, optional
        Standard deviation, in the same shape, where the model has one.
    members : numpy.ndarray, optional
        Shape (member, sample, time, component), where they were asked for.
    """

    mean: np.ndarray
    std: np.ndarray | None = None
    members: np.ndarray | None = None


@runtime_checkable
class SeriesReconstructor(Protocol):
    """Anything that turns gappy observations of series into whole trajectories.

    `xdvarnet.reconstruct` takes it with Datasets of ``state`` (sample, time, component). The
    analysis of a sample does not depend on the other samples. A model may have an attribute
    ``labels``, the names of the components that it was made for: series with others are refused.
    """

    def solve_series(
        self,
        observations: SeriesObservations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> SeriesAnalysis:
        """Reconstruct all samples; with `members`, an ensemble of so many."""
        ...
