"""Trained solvers of series: 4DVarNet and other learned inversions, from observations to states."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import xarray as xr

from xdvarnet._progress import track
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import check_counts, check_history, check_kind, check_positive
from xdvarnet.grids.series import STATE
from xdvarnet.mapping.background import Background
from xdvarnet.mapping.description import check_storable
from xdvarnet.methods.dynamical import StateAnalysis, StateWindow
from xdvarnet.networks.network import Inputs
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.networks.series_checks import (
    check_time_steps,
    warn_of_units,
)
from xdvarnet.networks.series_training import CHUNK, TrainableSeries
from xdvarnet.solver.contracts import Solver
from xdvarnet.solver.device import in_single_precision, warn_of_emulation
from xdvarnet.training.loop import autocast

FAR = 10.0
"""Standard deviations from the mean beyond which an observation may have the wrong units."""


class SeriesInversion(TrainableSeries):
    """A learned solver of series, trained end to end.

    It normalises the observations, fills them in time by linear interpolation as a first guess,
    runs its solver and scales the result back. The solver may be a
    `xdvarnet.solver.VariationalSolver` (4DVarNet) with a prior and a step for series, or any
    network of `xdvarnet.solver.inversions`.

    Parameters
    ----------
    solver : Solver
        Of normalised tensors (batch, 1, time, component). Its ``context`` is 2 where it takes the
        observations and where they are as a context, and 0 or None otherwise.
    normalizer : Normalizer
        Mean and standard deviation of the state.
    dt : float
        Time between two states.
    steps : int
        Times of a window in the training; a shorter series is refused.
    precision : str
        ``"float32"``, or ``"bfloat16"`` for convolutions.
    provenance : mapping of str to str, optional
        How the model was trained, and its scores.
    history : xarray.Dataset, optional
        The epochs of the last training; `fit` makes it.

    Raises
    ------
    InvalidInputError
        If a number is out of range, or a dynamical model in the solver has another time step.
    InvalidTypeError
        If the solver or the normalizer is of another kind.

    Warns
    -----
    XdvarnetWarning
        If the solver has the equations of Lorenz for states that are not normalised, or bfloat16 is
        asked for on a processor that has no instructions for it.

    Examples
    --------
    >>> from xdvarnet.solver import CNNStep, GibbsPrior, Layout
    >>> from xdvarnet.solver import MaskedObservation, VariationalSolver
    >>> from xdvarnet.datasets import lorenz63, observe_series
    >>> from xdvarnet.networks.series_inversion import SeriesInversion
    >>> from xdvarnet.networks.normalizer import Normalizer
    >>> truth = lorenz63("training", samples=20)
    >>> obs = observe_series(truth, every=8, components=["x"], noise=2**0.5, rng=0)
    >>> layout = Layout(components=3)
    >>> prior = GibbsPrior(kernel=(11, 1), downscale=(4, 1), layout=layout)
    >>> step = CNNStep(1, kernel=(11, 1), layout=layout)
    >>> solver = VariationalSolver(prior, MaskedObservation(), step)
    >>> model = SeriesInversion(solver, Normalizer.from_series(truth), dt=0.01, steps=200)
    >>> obs.dvarnet.reconstruct(model)["state"].dims
    ('sample', 'time', 'component')
    """

    variables = {STATE: "1"}

    def __init__(
        self,
        solver: Solver,
        normalizer: Normalizer,
        *,
        dt: float,
        steps: int,
        precision: str = "float32",
        provenance: Mapping[str, str] | None = None,
        history: xr.Dataset | None = None,
    ) -> None:
        check_kind(
            isinstance(solver, Solver),
            "solver",
            solver,
            "one such as VariationalSolver(prior, MaskedObservation(), step), or "
            "DirectInversion(network) for a network",
        )
        check_kind(
            isinstance(normalizer, Normalizer) and STATE in normalizer.std,
            "normalizer",
            normalizer,
            "Normalizer.from_series(truth)",
        )
        check_positive(dt, "dt", "the model's unit of time")
        check_counts({"steps": steps}, least=2)
        autocast("cpu", precision)
        warn_of_emulation("cpu", precision)
        check_time_steps(solver, dt)
        warn_of_units(solver, normalizer)
        check_storable(solver, "solver")
        self.solver, self.normalizer = in_single_precision(solver), normalizer
        self.dt, self.steps, self.precision = dt, steps, precision
        self.provenance, self.history = dict(provenance or {}), check_history(history)

    def __repr__(self) -> str:
        return f"SeriesInversion({self.solver.summary}, dt={self.dt:g}, steps={self.steps})"

    def summary(self) -> dict[str, object]:
        """Return what a notebook shows of the model."""
        return {
            **super().summary(),
            "window": f"{self.steps} times, {self.dt:g} apart",
            "normalisation": self.normalizer,
        }

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
        stride: int | None = None,
        provenance: Mapping[str, str] | None = None,
    ) -> "SeriesInversion":
        """Return the same model with other options; None keeps an option."""
        super().with_options(background=background, device=device, stride=stride)
        return self.replace(
            precision=precision or self.precision, provenance=provenance or self.provenance
        )

    @property
    def labels(self) -> Sequence[Hashable] | None:
        """Names of the components."""
        return self.normalizer.labels

    def solve_states(
        self,
        observations: StateWindow,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> StateAnalysis:
        """Reconstruct all samples.

        It warns of observations beyond 10 standard deviations from the mean of the training.

        Raises
        ------
        InvalidInputError
            If members are asked for, or the series has another time step, other components or
            fewer times than those of the training.
        """
        if members is not None:
            raise InvalidInputError(
                "SeriesInversion has no ensemble. Leave members=None, or use a method that has "
                "one, such as ETKF(...)."
            )
        self._check(observations.values.shape[1:], observations.dt)
        farthest = np.nan_to_num(
            np.abs(self.normalizer.normalize(STATE, observations.values))
        ).max()
        if farthest > FAR:
            warn(
                f"observations reach {farthest:.3g} standard deviations from the mean of the "
                "training; check their units."
            )
        starts = range(0, len(observations.values), CHUNK)
        parts = [
            self._solve(self._inputs(observations.values[first : first + CHUNK]))
            for first in track(starts, "part", len(starts))
        ]
        return StateAnalysis(np.concatenate(parts))

    def _solve(self, inputs: Inputs) -> np.ndarray:
        states = self.run(inputs)
        return self.normalizer.restore(STATE, states[:, 0].double().numpy())

    def inputs(self, observed: xr.Dataset) -> Inputs:
        """Return what the solver is given for a Dataset of observations: the arguments of a call.

        First guess, data and context are normalised; for costs and iterates of the solver itself.
        """
        return self._inputs(self._find(observed).values)
