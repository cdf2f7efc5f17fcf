r"""Ensembles of any model: members of a whole domain, whose spread is the error of the maps.

A calibration (`xdvarnet.calibrate`) learns, for each variable, the process of the error and that of
the signal. From these, three methods draw members about the mean :math:`x^*` of the model:

- ``"hybrid"``: :math:`x^* + s z`, with `z` a Gaussian field of unit variance that is conditioned on
  nothing, and :math:`s^2 = a + b f^2` where `f` is a formal standard deviation, which depends on
  the places and times of the observations;
- ``"neural"``: :math:`x^* + c (x_s - \Phi(H x_s + e))`, the error of the model itself on a
  simulated signal :math:`x_s`, seen through the same mask with noise (Matheron's rule);
- ``"exact"``: the same with exact kriging in place of the model, and no factor.

The simulated fields solve the stochastic equation of `xdvarnet.SPDEField`, with no flux through
coasts. Members are drawn over the whole domain at once: they know of no windows.

References
----------
Beauchamp et al. (2024), arXiv 2402.01855; Chilès & Delfiner (2012), Geostatistics, section 7.3.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from xdvarnet._progress import track
from xdvarnet._random import spawn
from xdvarnet.calibration.errors import ErrorProcess
from xdvarnet.calibration.simulation import Simulation, UnitField
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_kind, check_known, quantity
from xdvarnet.grids.coords import Grid
from xdvarnet.mapping.background import Background
from xdvarnet.mapping.description import check_storable
from xdvarnet.mapping.holding import Holding
from xdvarnet.mapping.lead import Lead
from xdvarnet.mapping.observations import Analysis, Fields, Observations
from xdvarnet.mapping.protocol import Reconstructor, analyse, check_model, no_members
from xdvarnet.methods.gaussian_field.domain import torch_generator
from xdvarnet.methods.gaussian_field.field import SPDEField

METHODS = ("hybrid", "neural", "exact")

LEARNED_FROM = ("calibration data", "calibration")
"""What a provenance says of the data of a calibration."""

KRIGING = (
    "formal error of kriging with the signal and noise of a calibration, itself not calibrated"
)
"""What the standard deviation of the method ``"exact"`` is."""

CHUNK_BYTES = 2**27
"""Memory of the noise of the members that are drawn together."""

LEAST_NOISE = 1e-3
"""Smallest noise of kriging, in standard deviations of the signal."""


class Calibrated(Holding):
    """A model whose maps have a standard deviation and members; `xdvarnet.calibrate` makes it.

    Parameters
    ----------
    model : Reconstructor
        Whose mean it has. A model that is calibrated already is refused.
    errors : mapping of str to ErrorProcess
        Of each variable. Those of several variables are independent.
    spread : Reconstructor, optional
        Whose standard deviation is the formal one; by default the model, or its first guess.
    method : {"hybrid", "neural", "exact"}
        How members are drawn. Without members, ``"neural"`` has the standard deviation of
        ``"hybrid"``; with them, that of the members. ``"exact"`` has that of kriging.
    memory : str or float, optional
        Most memory that the kriging of ``"exact"`` may take: see `xdvarnet.SPDEField`.
    provenance : mapping of str to str, optional
        What the errors were learned from.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    InvalidTypeError
        If an argument is of another kind, or no model file could hold it.
    InvalidInputError
        If a variable has no error process, nothing has a standard deviation, or the method is
        ``"exact"`` and there are several variables.

    Examples
    --------
    >>> import xdvarnet
    >>> model = xdvarnet.load_model("med-ssh")
    >>> neural = model.with_options(method="neural")
    >>> network = model.model  # without an ensemble
    """

    gives_std = True

    def __init__(
        self,
        model: Reconstructor,
        errors: Mapping[str, ErrorProcess],
        *,
        spread: Reconstructor | None = None,
        method: str = "hybrid",
        memory: str | float | None = None,
        provenance: Mapping[str, str] | None = None,
    ) -> None:
        check_parts(model, spread)
        check_known(method, METHODS, "method of an ensemble")
        if isinstance(model, Calibrated):
            raise InvalidInputError(f"{model!r} is calibrated already; give model.model.")
        check_kind(isinstance(errors, Mapping), "errors", errors, "an ErrorProcess by variable")
        if set(errors) != set(model.variables):
            raise InvalidInputError(
                f"errors are of {list(errors)}, and the model has {list(model.variables)}."
            )
        if method == "exact" and len(errors) > 1:
            raise InvalidInputError(
                f"method='exact' is kriging of one variable, and there are {list(errors)}; "
                "'hybrid' and 'neural' take several."
            )
        if method != "hybrid" and isinstance(model, Lead):
            raise InvalidInputError(
                f"method={method!r} simulates anomalies from a background, and that of {model!r} "
                "is another on each day; take method='hybrid'."
            )
        if method != "exact":
            check_spread(model, spread)
        self.model, self.errors = model, dict(errors)
        self.spread, self.method = spread, method
        self.memory = None if memory is None else quantity(memory, "GB", "memory")
        self.provenance = dict(provenance or {})
        self.variables, self.background = model.variables, model.background
        self._formal = self._kriging() if method == "exact" else spread

    def __repr__(self) -> str:
        return f"Calibrated({self.model!r}, method={self.method!r})"

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
        stride: int | None = None,
        method: str | None = None,
        memory: str | float | None = None,
    ) -> "Calibrated":
        """Return the same errors with another method, or about a model with other options.

        Parameters
        ----------
        background, device, precision, stride
            Of the model: see its `with_options`.
        method : {"hybrid", "neural", "exact"}, optional
            How members are drawn.
        memory : str or float, optional
            Most memory that the kriging of ``"exact"`` may take.

        Raises
        ------
        UnknownNameError
            If there is no such method.
        InvalidInputError
            If the model has no such option.
        """
        model = self.model.with_options(
            background=background, device=device, precision=precision, stride=stride
        )
        memory = self.memory if memory is None else memory
        return self.replace(model=model, method=method or self.method, memory=memory)

    @property
    def observed(self) -> tuple[str, ...]:
        """Those of the model."""
        return tuple(self.model.observed)

    @property
    def held(self) -> list[Reconstructor]:
        """The model and what gives the spread."""
        return [part for part in (self.model, self._formal) if part is not None]

    def check(self, grid: Grid) -> None:
        """Refuse what the model, or what gives the spread, refuses."""
        for part in self.held:
            part.check(grid)

    def check_values(self, observations: Observations) -> None:
        """Warn as the model does."""
        self.model.check_values(observations)

    def days_around(self, lead: int) -> tuple[int, int]:
        """Refuse a lead, for the reason of the model, or as errors are learned for one."""
        self.model.days_around(lead)
        raise InvalidInputError(
            f"{self!r} was calibrated without this lead, and a forecast has other errors; take its "
            f"model, as in Lead(model.model, {lead}), and calibrate that."
        )

    def attributes(self, members: int | None) -> dict[str, str | int]:
        """Return those of the model, how members were drawn, and what the errors rest on."""
        drawn = "" if members is None else f", {members} members"
        learned = [self.provenance[key] for key in LEARNED_FROM if key in self.provenance]
        errors = ", ".join([f"calibrated ({self.method})", *learned])
        return {
            **self.model.attributes(members),
            "xdvarnet_ensemble": self.method + drawn,
            "xdvarnet_errors": KRIGING if self.method == "exact" else errors,
        }

    def summary(self) -> dict[str, object]:
        """Return the rows of the model, and those of the calibration."""
        return {**self.model.summary(), "ensemble": self.method, **self.provenance}

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Add the standard deviation and, if asked for, members to the mean of the model.

        Each member has a generator of its own, so that it does not depend on how many there are.

        Raises
        ------
        InvalidInputError
            If days are not one apart and members are asked for, or the exact factor does not fit
            into memory.
        """
        analysis = analyse(self.model, observations, rng=rng)
        if self.method == "exact":
            return self._exact(observations, analysis, members, rng)
        if self.method == "neural" and members is not None:
            return self._neural(observations, analysis, members, rng, keep=True)
        std = self._std(observations, analysis, rng)
        drawn: Fields = {}
        if members is not None:
            found = Analysis(analysis.mean, std)
            drawn = self.draw(observations, found, spawn(rng, members))
        return Analysis(analysis.mean, std, drawn, analysis.first_guess)

    def solve_spread(
        self,
        observations: Observations,
        *,
        members: int,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Add the standard deviation; the members that it may be made of are not kept."""
        if self.method != "neural":
            return self.solve(observations, rng=rng)
        analysis = analyse(self.model, observations, rng=rng)
        return self._neural(observations, analysis, members, rng, keep=False)

    def _kriging(self) -> SPDEField:
        """The Gaussian field of the signal."""
        ((name, units),) = self.variables.items()
        error = self.errors[name]
        return SPDEField(
            correlation_length=error.signal_length,
            correlation_time=error.signal_time,
            std=error.signal_std,
            noise=max(error.noise, LEAST_NOISE * error.signal_std),
            variable=name,
            units=units,
            memory=self.memory,
        )

    def _std(
        self, observations: Observations, analysis: Analysis, rng: np.random.Generator | None
    ) -> Fields:
        formal = formal_std(observations, analysis, self.spread, rng)
        return {name: error.std(formal[name]) for name, error in self.errors.items()}

    @property
    def draws(self) -> bool:
        """Whether members are drawn around the mean of the model."""
        return self.method == "hybrid"

    def draw(
        self,
        observations: Observations,
        analysis: Analysis,
        generators: Sequence[np.random.Generator],
    ) -> Fields:
        """Draw members around the mean of the model, chunk by chunk, in place."""
        if not self.draws:
            raise no_members(self)
        seeded = [torch_generator(each) for each in generators]
        fields = {
            name: UnitField.on(observations, error.length, error.time)
            for name, error in self.errors.items()
        }
        shape = (len(generators), *observations.shape)
        members = {name: np.empty(shape, np.float32) for name in fields}
        size = max(CHUNK_BYTES // max(field.memory for field in fields.values()), 1)
        for start in range(0, len(generators), size):
            chunk = slice(start, start + size)
            for name, field in fields.items():
                part = members[name][chunk]
                np.multiply(field.draw(seeded[chunk]), analysis.std[name], out=part)
                part += analysis.mean[name]
        return members

    def _neural(
        self,
        observations: Observations,
        analysis: Analysis,
        members: int,
        rng: np.random.Generator | None,
        *,
        keep: bool,
    ) -> Analysis:
        """Scale errors that come one by one; the standard deviation is that of the members."""
        simulation = Simulation(self.model, self.errors, observations)
        drawn = (simulation.error(observations, each) for each in spawn(rng, members))
        shapes = {name: analysis.mean[name].shape for name in self.errors}
        total, squares = (
            {name: np.zeros(shape) for name, shape in shapes.items()} for _ in range(2)
        )
        kept = {
            name: np.empty((members, *shape), np.float32) for name, shape in shapes.items() if keep
        }
        for position, errors in enumerate(track(drawn, "member", members)):
            for name, error in self.errors.items():
                anomaly = error.factor * errors[name].astype(float)
                total[name] += anomaly
                squares[name] += np.square(anomaly)
                if keep:
                    kept[name][position] = analysis.mean[name] + anomaly
        std = {
            name: np.sqrt(
                np.maximum(squares[name] - np.square(total[name]) / members, 0) / (members - 1)
            ).astype(np.float32)
            for name in self.errors
        }
        return Analysis(analysis.mean, std, kept, analysis.first_guess)

    def _exact(
        self,
        observations: Observations,
        analysis: Analysis,
        members: int | None,
        rng: np.random.Generator | None,
    ) -> Analysis:
        alone = dataclasses.replace(observations, first_guess=None)
        posterior = analyse(self._kriging(), alone, members=members, rng=rng)
        drawn = {
            name: drawn - posterior.mean[name] + analysis.mean[name]
            for name, drawn in posterior.members.items()
        }
        return Analysis(analysis.mean, posterior.std, drawn, analysis.first_guess)


def errors_read(model: Reconstructor, spread: Reconstructor | None) -> dict[str, str]:
    """Return the error variables of a model and of what gives its spread."""
    formal = {} if spread is None else spread.error_variables
    return {**model.error_variables, **formal}


def formal_std(
    observations: Observations,
    analysis: Analysis,
    spread: Reconstructor | None,
    rng: np.random.Generator | None,
) -> Fields:
    """Return the formal standard deviations of an analysis: those of `spread`, or its own."""
    if spread is None:
        return analysis.formal_std
    return analyse(spread, dataclasses.replace(observations, first_guess=None), rng=rng).std


def check_parts(model: Reconstructor, spread: Reconstructor | None) -> None:
    """Refuse what is no model, or one that a model file could not hold, before it is calibrated.

    Raises
    ------
    InvalidTypeError
        With what to give.
    """
    check_model(model)
    check_storable(model, "model")
    check_storable(spread, "spread")


def check_spread(model: Reconstructor, spread: Reconstructor | None) -> None:
    """Refuse a calibration in which nothing tells where maps are uncertain.

    Raises
    ------
    InvalidTypeError
        If `spread` is no model.
    InvalidInputError
        If neither it nor the model has a standard deviation of all variables.
    """
    check_kind(
        spread is None or isinstance(spread, Reconstructor),
        "spread",
        spread,
        "a model with a standard deviation such as OptimalInterpolation(...), or None",
    )
    gives = model.gives_formal_std if spread is None else spread.gives_std
    source = model if spread is None else spread
    if not gives or not model.variables.keys() <= source.variables.keys():
        raise InvalidInputError(
            f"{source!r} has no standard deviation of {', '.join(model.variables)}, which would "
            "tell where maps are uncertain; give a model that has one: "
            "spread=OptimalInterpolation(...)."
        )
