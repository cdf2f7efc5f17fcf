"""What maps: the reconstructor, and what is asked of it."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from xdvarnet._html import html_table
from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.coords import Grid
from xdvarnet.grids.labels import FORMAL
from xdvarnet.mapping.background import Background
from xdvarnet.mapping.observations import Analysis, Fields, Observations, Record

PAST = 31
"""Days until the last observed one that a model is given for a map with a lead."""


class Reconstructor(ABC):
    """What turns observations into maps: the base class of all methods and models.

    A method of one's own sets `variables` and `background`, and defines `solve`. It does not change
    once it is made: whatever changes an option or trains returns another one.

    Attributes
    ----------
    variables : mapping of str to str
        Names of the variables and their units.
    background : Background
        What is removed from the observations before and added to the fields after.
    halo : float or None
        Days of observations on either side of a day that its map needs; None for the whole record.
    learns : sequence of str
        Names of the maps that it learns of the whole record before it solves a part of it.
    gives_std : bool
        Whether an analysis has a standard deviation.
    draws : bool
        Whether members can be drawn around an analysis that is there already: see `draw`.
    labels : sequence or None
        Names of the components of the series that it was made for: others are refused.

    Examples
    --------
    >>> import numpy as np
    >>> import xdvarnet
    >>> from xdvarnet.mapping.protocol import Analysis, Reconstructor
    >>> class Nothing(Reconstructor):
    ...     variables = {"ssh": "m"}
    ...     background = xdvarnet.mapping.ObservedBackground()
    ...
    ...     def solve(self, observations, *, members=None, rng=None):
    ...         return Analysis({"ssh": np.zeros(observations.shape, np.float32)})
    >>> truth = xdvarnet.datasets.mediterranean().isel(time=slice(3))
    >>> obs = xdvarnet.observe(truth, ["jason1", "envisat"], noise=0.02, rng=0)
    >>> maps = obs.dvarnet.reconstruct(Nothing())
    """

    variables: Mapping[str, str]
    background: Background
    halo: float | None = None
    learns: Sequence[str] = ()
    gives_std: bool = False
    draws: bool = False
    labels: Sequence[Hashable] | None = None

    @abstractmethod
    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Reconstruct the fields of a domain.

        Parameters
        ----------
        observations : Observations
            Anomalies from the background.
        members : int, optional
            How many to draw; a method without members raises `no_members`.
        rng : numpy.random.Generator, optional
            Source of the members, and of all else that is random, here and in what is held: a model
            that holds another hands it on as it is, before it draws from it. Each block of days of
            a lazy record begins with it anew; `Lead` and `Windowed` hand on one for each day or
            window, so that no block repeats another.
        """

    def learn(self, record: Record) -> Fields:
        """Return the maps (latitude, longitude) of `learns`, by default none.

        Their names hold the repr of the method, as others may learn beside it. `solve` finds them
        in `Observations.learned` where it is given a part of the record.
        """
        del record
        return {}

    @property
    def observed(self) -> Sequence[str]:
        """Names of the variables that observations are given of; by default all."""
        return tuple(self.variables)

    @property
    def error_variables(self) -> Mapping[str, str]:
        """Names of the variables that hold errors of observations, and what each is the error of.

        Those are read with the observations, in the same units, and are in
        ``observations.errors``; by default none.
        """
        return {}

    @property
    def gives_formal_std(self) -> bool:
        """Whether it, or what it starts from, has a standard deviation."""
        return self.gives_std

    def check(self, grid: Grid) -> None:  # noqa: B027  most methods take any grid
        """Refuse a grid that this is not made for; by default none."""

    def check_values(self, observations: Observations) -> None:  # noqa: B027  and any values
        """Warn of anomalies that this is not made for; by default of none."""

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
        stride: int | None = None,
    ) -> "Reconstructor":
        """Return the same with other options; None keeps an option.

        Parameters
        ----------
        background : Background, optional
            Such as ``ObservedBackground()``.
        device, precision : str, optional
            Where and how a network runs.
        stride : int, optional
            Days from one window of a network to the next.

        Raises
        ------
        InvalidInputError
            If there is no such option here.
        """
        options = {
            "background": background,
            "device": device,
            "precision": precision,
            "stride": stride,
        }
        for name, option in options.items():
            if option is not None:
                raise InvalidInputError(
                    f"{type(self).__name__} has no option {name}={option!r}; leave it out."
                )
        return self

    def replace(self, **changes: object) -> Self:
        """Return another one, with some constructor arguments of this one changed.

        A class keeps its constructor arguments as attributes of the same names, as a model file
        also needs.
        """
        names = inspect.signature(type(self)).parameters
        return type(self)(**{**{name: getattr(self, name) for name in names}, **changes})

    def solve_spread(
        self,
        observations: Observations,
        *,
        members: int,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Reconstruct mean and standard deviation with an ensemble that is not kept."""
        analysis = self.solve(observations, members=members, rng=rng)
        return replace(analysis, members={})

    def draw(
        self,
        observations: Observations,
        analysis: Analysis,
        generators: Sequence[np.random.Generator],
    ) -> Fields:
        """Draw members around an analysis, given days and places alone; by default an error.

        Parameters
        ----------
        observations : Observations
            Of the whole record; its values are not used.
        analysis : Analysis
            Mean and standard deviation of all days.
        generators : sequence of numpy.random.Generator
            One for each member, which does not depend on the others.
        """
        raise no_members(self)

    def days_around(self, lead: int) -> tuple[int, int]:
        """Return how many days a map with a lead is made of.

        Parameters
        ----------
        lead : int
            Days from the last observed one to that of the map.

        Returns
        -------
        before, after : int
            Days before the last observed one, and after it, which are not observed.
        """
        return PAST - 1, lead

    def attributes(self, members: int | None) -> dict[str, str | int]:
        """Return what maps say of how they were made, with so many members.

        Of a method with a standard deviation, ``xdvarnet_errors`` says what that is.
        """
        return {"xdvarnet_errors": FORMAL} if self.gives_std else {}

    def summary(self) -> dict[str, object]:
        """Return what a notebook shows of it, by the names of the rows."""
        names = ", ".join(f"{name} [{units}]" for name, units in self.variables.items())
        return {"model": self, "variables": names, "background": self.background}

    def _repr_html_(self) -> str:
        return html_table(f"xdvarnet.{type(self).__name__}", self.summary())


def analyse(
    model: Reconstructor,
    observations: Observations,
    *,
    members: int | None = None,
    rng: np.random.Generator | None = None,
) -> Analysis:
    """Solve a domain, and hold the model to what it says of its fields.

    Parameters
    ----------
    model : Reconstructor
        Its background is not used: `observations` are anomalies already.
    observations : Observations
        Of the days that the model needs.
    members : int, optional
        Number of members.
    rng : numpy.random.Generator, optional
        Source of the members, and of all else that is random.

    Raises
    ------
    InvalidInputError
        If the domain is smaller than a window, the fields have other shapes than they should, or
        values on sea are not finite.
    """
    analysis = model.solve(observations, members=members, rng=rng)
    return check_analysis(model, observations, analysis, members)


def check_analysis(
    model: Reconstructor, observations: Observations, analysis: Analysis, members: int | None
) -> Analysis:
    """Return an analysis as float32, or refuse it; see `analyse`."""
    checked = check_shapes(model, observations, analysis, members)
    for kind, fields in checked.kinds.items():
        for name, array in fields.items():
            used = array
            if observations.is_map:
                used = array[..., observations.used, :, :][..., observations.sea]
            bad = used.size - int(np.isfinite(used).sum())
            if bad:
                largest = np.nanmax(np.abs(observations.values[name]), initial=0)
                raise InvalidInputError(
                    f"{type(model).__name__} gives values that are not finite: {bad} of "
                    f"{used.size} ({kind} of {name!r}). The observations reach {largest:g}: check "
                    "their units, that they are of the system that the model was made for, and its "
                    "weights."
                )
    return checked


def check_shapes(
    model: Reconstructor, observations: Observations, analysis: Analysis, members: int | None
) -> Analysis:
    """Return the fields that a model promises as float32, or refuse other ones."""
    shapes: dict[str, tuple[int, ...]] = {"mean": observations.shape}
    if model.gives_std:
        shapes["std"] = observations.shape
    if members is not None:
        shapes["members"] = (members, *observations.shape)
    fields: dict[str, dict[str, np.ndarray]] = {}
    for kind, shape in shapes.items():
        given = {name: np.shape(array) for name, array in analysis.kinds[kind].items()}
        wanted = dict.fromkeys(model.variables, shape)
        if given != wanted:
            raise InvalidInputError(
                f"{type(model).__name__}.solve returned {kind} of {given}; it must be {wanted}."
            )
        dtype = np.float32 if observations.is_map else None  # series keep their precision
        fields[kind] = {name: np.asarray(analysis.kinds[kind][name], dtype) for name in wanted}
    return Analysis(**fields, first_guess=analysis.first_guess)


def check_model(model: object, name: str = "model") -> None:
    """Refuse what is no reconstructor.

    Raises
    ------
    InvalidTypeError
        With what to give.
    """
    if isinstance(model, Reconstructor):
        return
    given = f"{type(model).__name__!r} is no reconstructor"
    if isinstance(model, type):
        given = f"you gave the class {model.__name__}; call it: {model.__name__}(...)"
    if isinstance(model, str):
        given = f"{model!r} is a string; use load_model({model!r})"
    raise InvalidTypeError(
        f"{name}: {given}; give one such as load_model('med-ssh') or OptimalInterpolation(...), "
        "or an instance of a subclass of xdvarnet.mapping.Reconstructor."
    )


def no_members(model: Reconstructor) -> InvalidInputError:
    """Return the error of a model that is asked for members and has none."""
    return InvalidInputError(
        f"{type(model).__name__} has no ensemble. Leave members=None; or give it one with "
        "xdvarnet.calibrate(model, validation, ...), or use SPDEField(...), which has members of "
        "its own."
    )
