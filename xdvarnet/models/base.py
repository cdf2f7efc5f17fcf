"""What a model is: the reconstructor protocol and the plain arrays that pass through it."""

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from xdvarnet.errors import InvalidInputError
from xdvarnet.models.background import Background
from xdvarnet.patches.cover import Window

if TYPE_CHECKING:
    from xdvarnet.models.ensembles import Ensemble

Fields = Mapping[str, np.ndarray]
"""Arrays of several variables by their names."""


@dataclass(frozen=True)
class Analysis:
    """The fields of one window, as anomalies from the background.

    Attributes
    ----------
    mean : mapping of str to numpy.ndarray
        Posterior mean of each variable, shape (time, latitude, longitude).
    std : mapping of str to numpy.ndarray
        Posterior standard deviation, where the model has one.
    members : mapping of str to numpy.ndarray
        Members, shape (member, time, latitude, longitude), where they were asked for.
    """

    mean: Mapping[str, np.ndarray]
    std: Mapping[str, np.ndarray] = field(default_factory=dict)
    members: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Observations:
    """The observations of one window, as anomalies from the background.

    Attributes
    ----------
    values : mapping of str to numpy.ndarray
        For each variable, shape (time, latitude, longitude), in the model's units; NaN where
        nothing was observed.
    days : numpy.ndarray
        Days since 1950-01-01, shape (time,).
    latitude, longitude : numpy.ndarray
        Degrees, increasing, shapes (latitude,) and (longitude,).
    sea : numpy.ndarray
        True on sea, shape (latitude, longitude).
    first_guess : Analysis or None
        The analysis of the model's ``first_guess``, where it has one.
    wanted : int or None
        Position of the only day whose analysis is used, None for all: a method may leave out the
        others.
    """

    values: Mapping[str, np.ndarray]
    days: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    sea: np.ndarray
    first_guess: Analysis | None = None
    wanted: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of days, latitudes and longitudes."""
        return self.days.size, self.latitude.size, self.longitude.size


@dataclass(frozen=True)
class TrainingGrid:
    """Where a model was trained: it is valid for this spacing and near these latitudes.

    Attributes
    ----------
    spacing : tuple of float
        Degrees of latitude and of longitude between cells.
    latitudes : tuple of float
        Southernmost and northernmost latitude.
    """

    spacing: tuple[float, float]
    latitudes: tuple[float, float]


@runtime_checkable
class Reconstructor(Protocol):
    """Anything that turns the observations of one window into fields.

    Attributes
    ----------
    variables : mapping of str to str
        Names of the variables and their units.
    window : Window or None
        Sizes and halo of a window in cells; None for the whole domain at once.
    background : Background
        What is removed from the observations before and added to the fields after.
    first_guess : Reconstructor or None
        Another reconstructor whose analysis is handed to `solve`; its background is not used.
    training_grid : TrainingGrid or None
        Grid for which the model is valid; None for any.
    gives_std : bool
        Whether an analysis has a standard deviation.

    Notes
    -----
    A reconstructor may have an attribute ``ensemble``, which `xdvarnet.calibrate` makes: see
    `ensemble_of`; ``observed``, the names of the variables that it is given, where there are others
    that nothing observes: see `observed_of`; and ``lead``: see `xdvarnet.with_lead`.
    """

    variables: Mapping[str, str]
    window: Window | None
    background: Background
    first_guess: "Reconstructor | None"
    training_grid: TrainingGrid | None
    gives_std: bool

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Reconstruct the fields of one window."""
        ...


def ensemble_of(model: Reconstructor) -> "Ensemble | None":
    """Return what gives the analyses of a model a standard deviation and members, if it has one."""
    return getattr(model, "ensemble", None)


def observed_of(model: Reconstructor) -> Collection[str]:
    """Return the names of the variables of a model that are observed; all, if it does not say."""
    return getattr(model, "observed", model.variables.keys())


def without_ensemble(model: Reconstructor) -> Reconstructor:
    """Return the model as it is before its calibration."""
    other = copy.copy(model)
    other.ensemble = None
    return other


def no_members(model: Reconstructor) -> InvalidInputError:
    """Return the error of a model that is asked for members and has none."""
    return InvalidInputError(
        f"{type(model).__name__} has no ensemble. Leave members=None; or give it one with "
        "xdvarnet.calibrate(model, validation, ...), or use SPDEField(...), which has members of "
        "its own."
    )
