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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_known
from xdvarnet.models.base import Analysis, Fields, Observations, Reconstructor
from xdvarnet.models.domain import analyse
from xdvarnet.models.residual import ErrorProcess
from xdvarnet.models.simulation import Simulation, UnitField
from xdvarnet.models.spde_domain import torch_generator
from xdvarnet.models.spde_field import SPDEField

METHODS = ("hybrid", "neural", "exact")

CHUNK_BYTES = 2**27
"""Memory of the noise of the members that are drawn together."""

LEAST_NOISE = 1e-3
"""Smallest noise of kriging, in standard deviations of the signal."""


@dataclass(frozen=True)
class Ensemble:
    """Standard deviation and members for the analyses of a model.

    Attributes
    ----------
    errors : mapping of str to ErrorProcess
        Of each variable. Those of several variables are independent.
    spread : Reconstructor or None
        Whose standard deviation is the formal one; by default the model, or its first guess.
    method : {"hybrid", "neural", "exact"}
        How members are drawn. Without members, ``"neural"`` has the standard deviation of
        ``"hybrid"``; with them, that of the members. ``"exact"`` has that of kriging.

    Raises
    ------
    UnknownNameError
        If there is no such method.
    InvalidInputError
        If the method is ``"exact"`` and there are several variables.
    """

    errors: Mapping[str, ErrorProcess]
    spread: Reconstructor | None = None
    method: str = "hybrid"

    def __post_init__(self) -> None:
        check_known(self.method, METHODS, "method of an ensemble")
        if self.method == "exact" and len(self.errors) > 1:
            raise InvalidInputError(
                f"method='exact' is kriging of one variable, and there are {list(self.errors)}; "
                "'hybrid' and 'neural' take several."
            )

    def formal_model(self, model: Reconstructor) -> Reconstructor | None:
        """Return whose standard deviation is asked for; None for the model or its first guess."""
        if self.method != "exact":
            return self.spread
        name, units = next(iter(model.variables.items()))
        error = self.errors[name]
        return SPDEField(
            correlation_length=error.signal_length,
            correlation_time=error.signal_time,
            std=error.signal_std,
            noise=max(error.noise, LEAST_NOISE * error.signal_std),
            variable=name,
            units=units,
        )

    def std(self, formal: Fields) -> Fields:
        """Return the standard deviations of the errors from the formal ones, cell by cell."""
        if self.method == "exact":
            return formal
        return {name: error.std(formal[name]) for name, error in self.errors.items()}

    def extend(
        self,
        model: Reconstructor,
        observations: Observations,
        analysis: Analysis,
        *,
        members: int | None,
        keep_members: bool,
        rng: np.random.Generator | None,
        progress: bool,
    ) -> Analysis:
        """Add the standard deviation and, if asked for, members to the analysis of a domain.

        Parameters
        ----------
        model : Reconstructor
            That made the analysis.
        observations : Observations
            Of the whole domain, with the first guess where the model has one.
        analysis : Analysis
            Its mean stays, and its standard deviation may be the formal one.
        members : int or None
            How many.
        keep_members : bool
            Whether to return them, or only their standard deviation.
        rng : numpy.random.Generator or None
            Each member has a generator of its own, so that it does not depend on how many there
            are.
        progress : bool
            Whether to show a bar over the members of ``"neural"``.

        Raises
        ------
        InvalidInputError
            If days are not one apart and members are asked for, or the exact factor does not fit
            into memory.
        """
        if self.method == "exact":
            members = members if keep_members else None
            return self._exact(model, observations, analysis, members, rng)
        if self.method == "neural" and members is not None:
            simulation = Simulation(model, self.errors, observations)
            drawn = (simulation.error(observations, each) for each in _spawn(rng, members))
            bar = tqdm(drawn, total=members, disable=not progress, unit="member")
            return self._neural(analysis, bar, members, keep_members)
        std = self.std(formal_std(self, model, observations, analysis))
        if members is None or not keep_members:
            return Analysis(analysis.mean, std)
        return self._hybrid(observations, analysis, std, _spawn(rng, members))

    def _hybrid(
        self,
        observations: Observations,
        analysis: Analysis,
        std: Fields,
        generators: list[torch.Generator],
    ) -> Analysis:
        """Draw members chunk by chunk, in place."""
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
                np.multiply(field.draw(generators[chunk]), std[name], out=part)
                part += analysis.mean[name]
        return Analysis(analysis.mean, std, members)

    def _neural(
        self,
        analysis: Analysis,
        drawn: Iterator[Fields],
        members: int,
        keep_members: bool,
    ) -> Analysis:
        """Scale errors that come one by one; the standard deviation is that of the members."""
        shapes = {name: analysis.mean[name].shape for name in self.errors}
        total, squares = (
            {name: np.zeros(shape) for name, shape in shapes.items()} for _ in range(2)
        )
        kept = {
            name: np.empty((members, *shape), np.float32)
            for name, shape in shapes.items()
            if keep_members
        }
        for position, errors in enumerate(drawn):
            for name, error in self.errors.items():
                anomaly = error.factor * errors[name].astype(float)
                total[name] += anomaly
                squares[name] += np.square(anomaly)
                if keep_members:
                    kept[name][position] = analysis.mean[name] + anomaly
        std = {
            name: np.sqrt(
                np.maximum(squares[name] - np.square(total[name]) / members, 0) / (members - 1)
            ).astype(np.float32)
            for name in self.errors
        }
        return Analysis(analysis.mean, std, kept)

    def _exact(
        self,
        model: Reconstructor,
        observations: Observations,
        analysis: Analysis,
        members: int | None,
        rng: np.random.Generator | None,
    ) -> Analysis:
        field = self.formal_model(model)
        alone = dataclasses.replace(observations, first_guess=None)
        posterior = analyse(field, alone, members=members, rng=rng)
        return Analysis(
            analysis.mean,
            posterior.std,
            {
                name: drawn - posterior.mean[name] + analysis.mean[name]
                for name, drawn in posterior.members.items()
            },
        )


def formal_std(
    ensemble: Ensemble, model: Reconstructor, observations: Observations, analysis: Analysis
) -> Fields:
    """Return the formal standard deviations of the analysis of a domain.

    Those of the ensemble's `spread`, of the model, or of its first guess, in this order.
    """
    other = ensemble.formal_model(model)
    if other is not None:
        return analyse(other, dataclasses.replace(observations, first_guess=None)).std
    if model.gives_std or observations.first_guess is None:
        return analysis.std
    return observations.first_guess.std


def mean_and_formal_std(
    model: Reconstructor, observations: Observations, spread: Reconstructor | None
) -> tuple[Fields, Fields]:
    """Analyse a domain, and return what a calibration compares errors with."""
    analysis = analyse(model, observations)
    return analysis.mean, formal_std(Ensemble({}, spread), model, observations, analysis)


def _spawn(rng: np.random.Generator | None, members: int) -> list[torch.Generator]:
    """Return a generator for each member, which is the same however many follow."""
    rng = np.random.default_rng() if rng is None else rng
    return [torch_generator(child) for child in rng.spawn(members)]
