"""The plain arrays that pass through a method: observations, and the analysis of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from xdvarnet.errors import UnknownNameError
from xdvarnet.grids.internal import DIMS
from xdvarnet.grids.values import check_errors

DAYS = "days since 1950-01-01"
"""Name of the times of observations in messages."""

Fields = Mapping[str, np.ndarray]
"""Arrays of several variables by their names."""


@dataclass(frozen=True)
class Analysis:
    """The fields of a domain, as anomalies from the background.

    Attributes
    ----------
    mean : mapping of str to numpy.ndarray
        Posterior mean of each variable, shape (time, latitude, longitude).
    std : mapping of str to numpy.ndarray
        Posterior standard deviation, where the model has one.
    members : mapping of str to numpy.ndarray
        Members, shape (member, time, latitude, longitude), where they were asked for.
    first_guess : Analysis or None
        What the model started from, where it starts from another analysis.
    """

    mean: Fields
    std: Fields = field(default_factory=dict)
    members: Fields = field(default_factory=dict)
    first_guess: "Analysis | None" = None

    @property
    def formal_std(self) -> Fields:
        """The standard deviation, or that of the first guess where there is none."""
        if self.std or self.first_guess is None:
            return self.std
        return self.first_guess.std

    def take(self, days: slice) -> "Analysis":
        """Return the analysis of some days."""
        guess = None if self.first_guess is None else self.first_guess.take(days)
        parts = {
            kind: {name: array[..., days, :, :] for name, array in fields.items()}
            for kind, fields in self.kinds.items()
        }
        return Analysis(**parts, first_guess=guess)

    @property
    def kinds(self) -> dict[str, Fields]:
        """Mean, standard deviation and members by their names."""
        return {"mean": self.mean, "std": self.std, "members": self.members}


@dataclass(frozen=True)
class Observations:
    """Observations of a state over time, as anomalies from the background.

    Attributes
    ----------
    values : mapping of str to numpy.ndarray
        For each variable, shape (time, latitude, longitude), or (sample, time, component) for
        series, in the model's units; NaN where nothing was observed.
    days : numpy.ndarray
        Days since 1950-01-01, or times of the series, shape (time,).
    latitude, longitude : numpy.ndarray or None
        Degrees, increasing, shapes (latitude,) and (longitude,); None for series.
    sea : numpy.ndarray
        True on sea, shape (latitude, longitude); True for all components of a series.
    first_guess : Analysis or None
        The analysis that a model starts from, where it is there already.
    wanted : slice or None
        Positions of the days whose analysis is used, None for all: a method may leave out the
        others, and put anything there.
    offset : int
        Position of the first of these days in the record that they are a part of.
    record : int or None
        Number of days of the record; None where these are all of it.
    ends : tuple of float or None
        First and last day of the record; None where these are all of it.
    errors : mapping of str to numpy.ndarray
        For each of the error variables of the model, the standard deviations of the errors of the
        observations, of the shape and in the units of these. `noise_of` reads them.
    learned : mapping of str to numpy.ndarray
        What the model has learned of the whole record, where these are a part of one: see
        `Reconstructor.learn`.
    """

    values: Fields
    days: np.ndarray
    latitude: np.ndarray | None
    longitude: np.ndarray | None
    sea: np.ndarray
    first_guess: Analysis | None = None
    wanted: slice | None = None
    offset: int = 0
    record: int | None = None
    ends: tuple[float, float] | None = None
    errors: Fields = field(default_factory=dict)
    learned: Fields = field(default_factory=dict)

    @classmethod
    def of_series(cls, values: Fields, times: np.ndarray) -> "Observations":
        """Make those of series (sample, time, component)."""
        components = next(iter(values.values())).shape[-1]
        return cls(values, times, None, None, np.ones(components, bool))

    @property
    def is_map(self) -> bool:
        """Whether states are maps, and not components of a series."""
        return self.latitude is not None

    @property
    def place(self) -> tuple[np.ndarray, np.ndarray]:
        """Latitudes and longitudes of maps."""
        assert self.latitude is not None and self.longitude is not None
        return self.latitude, self.longitude

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of days, latitudes and longitudes; of samples, times and components."""
        if self.latitude is None or self.longitude is None:
            return next(iter(self.values.values())).shape
        return self.days.size, self.latitude.size, self.longitude.size

    @property
    def period(self) -> tuple[float, float]:
        """First and last day of the record."""
        return (float(self.days[0]), float(self.days[-1])) if self.ends is None else self.ends

    @property
    def used(self) -> slice:
        """Positions of the days whose analysis is used."""
        return slice(0, self.days.size) if self.wanted is None else self.wanted

    def noise_of(self, variable: str, noise: str | float) -> np.ndarray:
        """Return the standard deviation of the error of each observation of a variable of maps.

        Parameters
        ----------
        variable : str
            What is observed.
        noise : str or float
            One for all, or the name of an error variable.

        Returns
        -------
        numpy.ndarray
            Shape (time, latitude, longitude), not to be written to; NaN, or of no meaning, where
            nothing is observed.

        Raises
        ------
        InvalidInputError
            If one is not positive and finite where there is an observation, with its place.
        UnknownNameError
            If the observations come without these errors.
        """
        if not isinstance(noise, str):
            return np.broadcast_to(np.float64(noise), self.shape)
        if noise not in self.errors:
            raise UnknownNameError(
                f"the observations come without the errors {noise!r}, and have "
                f"{sorted(self.errors)}; a model that holds one which reads them names them in its "
                "error_variables."
            )
        axes = dict(zip((DAYS, *DIMS[1:]), (self.days, *self.place), strict=True))
        errors = xr.DataArray(self.errors[noise], axes, list(axes), noise)
        check_errors(errors, errors.copy(data=np.isfinite(self.values[variable]) & self.sea))
        return errors.values

    def take(self, days: slice, *, wanted: slice | None = None) -> "Observations":
        """Return the observations of some days of a record, of which some are `wanted`."""
        return replace(
            self,
            values={name: array[days] for name, array in self.values.items()},
            errors={name: array[days] for name, array in self.errors.items()},
            days=self.days[days],
            first_guess=None if self.first_guess is None else self.first_guess.take(days),
            wanted=wanted,
            offset=self.offset + days.start,
            record=self.days.size if self.record is None else self.record,
            ends=self.period,
        )


@dataclass(frozen=True)
class Record:
    """The observed cells of all days, as anomalies: a small part of the record of maps.

    Attributes
    ----------
    latitude, longitude : numpy.ndarray
        Degrees, increasing.
    cells : mapping of str to numpy.ndarray
        Of each variable, flat positions in a map of the cells at sea that are observed, in the
        order of the days.
    values : mapping of str to numpy.ndarray
        The anomalies there.
    errors : mapping of str to numpy.ndarray
        Of each error variable, the standard deviations there.
    """

    latitude: np.ndarray
    longitude: np.ndarray
    cells: Fields
    values: Fields
    errors: Fields

    @classmethod
    def of(cls, observations: Observations, error_variables: Mapping[str, str]) -> "Record":
        """Take it from observations; `error_variables` are those of the model."""
        seen = {
            name: np.isfinite(values) & observations.sea
            for name, values in observations.values.items()
        }
        size = observations.sea.size
        return cls(
            *observations.place,
            {name: np.flatnonzero(where) % size for name, where in seen.items()},
            {name: observations.values[name][where] for name, where in seen.items()},
            {name: observations.errors[name][seen[of]] for name, of in error_variables.items()},
        )

    @classmethod
    def join(cls, parts: "Sequence[Record]") -> "Record":
        """Put the records of consecutive days one after the other."""

        def together(fields: Sequence[Fields]) -> Fields:
            return {name: np.concatenate([part[name] for part in fields]) for name in fields[0]}

        return cls(
            parts[0].latitude,
            parts[0].longitude,
            together([part.cells for part in parts]),
            together([part.values for part in parts]),
            together([part.errors for part in parts]),
        )
