"""What the ensemble Kalman filters share.

A filter goes through a window once: it forecasts an ensemble to the next time and, where something
was observed, analyses it. States are (sample, member, component), a window of them (sample, member,
time, component). Each sample has random numbers of its own, so that no sample depends on others.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from numbers import Real

import numpy as np
import torch

from xdvarnet._progress import count_up
from xdvarnet._random import default_rng
from xdvarnet.dynamics.forecast import Forecast, as_advance
from xdvarnet.dynamics.integration import Dynamics, check_tendency
from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.checks import check_counts, check_kind, check_positive
from xdvarnet.grids.series import check_labels
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.dynamical import DynamicalMethod, StateAnalysis, StateWindow
from xdvarnet.methods.localisation import Localisation

BATCH_BYTES = 2**27
"""Size of the ensemble that is held at once; samples are taken in batches of it."""

Update = Callable[[torch.Tensor], torch.Tensor]
"""An analysis: from states (sample, member, time, component) to what they are then.

The last time is that of the observations.
"""


class EnsembleFilter(DynamicalMethod):
    """What the ensemble filters share; see `EnKF` and `ETKF`.

    A filter of one's own defines how the ensemble of one time is analysed.

    Parameters
    ----------
    dynamics : callable or Forecast
        The model, a module or function from states (..., component) to their tendencies, which is
        integrated by one step of the classical Runge-Kutta scheme from a time to the next; or a
        forecast. A model file cannot hold a plain function: for `xdvarnet.save_model` give a
        ``torch.nn.Module``.
    noise : float
        Standard deviation of the observation error.
    climatology : Climatology
        Distribution from which the first ensemble is drawn.
    members : int
        Size of the ensemble.
    inflation : float
        Factor of the anomalies of the ensemble before each analysis, at least 1.
    localisation : Localisation, optional
        By default, covariances between all components are used.
    model_noise : float
        Standard deviation of independent noise that is added to each component of each member
        after each time step.

    Raises
    ------
    InvalidInputError
        If a number is out of range, or analogs and climatology have other components.
    InvalidTypeError
        If `dynamics`, `climatology` or `localisation` is of another kind, or a number is none.
    """

    def __init__(
        self,
        dynamics: Dynamics | Forecast,
        *,
        noise: float,
        climatology: Climatology,
        members: int = 20,
        inflation: float = 1.0,
        localisation: Localisation | None = None,
        model_noise: float = 0.0,
    ) -> None:
        self.advance = as_advance(dynamics)
        if not isinstance(climatology, Climatology):
            raise InvalidTypeError(
                f"climatology is a {type(climatology).__name__}; give "
                "Climatology.from_series(training)."
            )
        if not isinstance(localisation, Localisation | None):
            raise InvalidTypeError(
                f"localisation={localisation!r} is not accepted; give Localisation(radius) or None."
            )
        if isinstance(dynamics, Forecast):
            check_labels(climatology.labels, dynamics.labels)
        numbers = {"noise": noise, "inflation": inflation, "model_noise": model_noise}
        for name, number in numbers.items():
            check_kind(isinstance(number, Real), name, number, "a number")
        check_counts({"members": members}, least=2)
        if not 1 <= inflation < float("inf"):
            raise InvalidInputError(
                f"inflation={inflation!r} is not accepted; give at least 1, such as 1.02."
            )
        self.dynamics, self.climatology, self.localisation = dynamics, climatology, localisation
        self.members, self.inflation = members, inflation
        self.noise = check_positive(noise, "noise", "units of the state")
        self.model_noise = check_positive(
            model_noise, "model_noise", "units of the state", zero=True
        )

    gives_std = True

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.dynamics!r}, noise={self.noise:g}, "
            f"members={self.members}, inflation={self.inflation:g}, "
            f"localisation={self.localisation}, model_noise={self.model_noise:g})"
        )

    def solve_states(
        self,
        observations: StateWindow,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> StateAnalysis:
        """Filter all samples: the analysis of a time knows the observations up to it.

        Parameters
        ----------
        observations : StateWindow
            Of the components of the climatology.
        members : int, optional
            How many of the ensemble are returned, at most the filter's own number. Mean and
            standard deviation are always those of all.
        rng : numpy.random.Generator, optional
            Source of the ensemble.

        Raises
        ------
        InvalidTypeError
            If the model's tendency is no tensor.
        InvalidInputError
            If there are fewer members, the number of components is another one, the model's
            tendency has another shape than the state, or the ensemble diverges; the message says
            when.
        """
        return self.assimilate(observations, lag=0, members=members, rng=rng)

    @torch.no_grad()
    def assimilate(
        self,
        observations: StateWindow,
        *,
        lag: int | None,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> StateAnalysis:
        """Filter and smooth all samples; see `EnsembleKalmanSmoother`.

        Parameters
        ----------
        observations, members, rng
            As for `solve_states`.
        lag : int or None
            Number of later times whose observations change a state; None for all of them.
        """
        observations.require_components(self.climatology.components, "the climatology")
        self._check_start(members)
        values = torch.from_numpy(observations.values)
        generators = default_rng(rng).spawn(len(values))
        means, stds, ensembles = [], [], []
        size = max(1, BATCH_BYTES // (8 * self.members * values[0].numel()))
        batches = [slice(first, first + size) for first in range(0, len(values), size)]
        with count_up("step", len(batches) * values.shape[1]) as count:
            for batch in batches:
                window = _Window(self, values[batch], observations.dt, generators[batch])
                ensemble = window.assimilate(lag, count)
                means.append(ensemble.mean(1))
                stds.append(ensemble.std(1))
                if members is not None:
                    ensembles.append(ensemble[:, :members].movedim(1, 0).clone())
        drawn = torch.cat(ensembles, 1).numpy() if ensembles else None
        return StateAnalysis(torch.cat(means).numpy(), torch.cat(stds).numpy(), drawn)

    def _check_start(self, members: int | None) -> None:
        if members is not None and members > self.members:
            raise InvalidInputError(
                f"{type(self).__name__}(...) has {self.members} members, and {members} are asked "
                f"for; make it with members={members}."
            )
        if not isinstance(self.dynamics, Forecast):
            check_tendency(self.dynamics, torch.from_numpy(self.climatology.mean).repeat(2, 1))

    def taper(self) -> torch.Tensor:
        """Weights of the covariance between components, shape (component, component)."""
        number = self.climatology.components
        if self.localisation is None:
            return torch.ones(number, number, dtype=torch.float64)
        return self.localisation.weights(number)

    @abstractmethod
    def analyse(
        self,
        ensemble: torch.Tensor,
        values: torch.Tensor,
        generators: Sequence[np.random.Generator],
    ) -> Update:
        """Return the analysis that the observations of one time call for.

        Parameters
        ----------
        ensemble : torch.Tensor
            Forecast, shape (sample, member, component).
        values : torch.Tensor
            Observations, NaN where there is none, shape (sample, component).
        generators : sequence of numpy.random.Generator
            One for each sample; those of samples without observation are to be left alone.
        """


class _Window:
    """A batch of windows on their way through a filter."""

    def __init__(
        self,
        method: EnsembleFilter,
        values: torch.Tensor,
        dt: float,
        generators: Sequence[np.random.Generator],
    ) -> None:
        self.method, self.values, self.dt, self.generators = method, values, dt, generators
        samples, times, components = values.shape
        self.states = values.new_empty(samples, method.members, times, components)
        first = [method.climatology.draw(method.members, generator) for generator in generators]
        self.states[:, :, 0] = torch.from_numpy(np.stack(first))

    def assimilate(self, lag: int | None, count: Callable[[int], object]) -> torch.Tensor:
        """Return the ensemble (sample, member, time, component), and count the times."""
        for time in range(self.values.shape[1]):
            if time > 0:
                self._forecast(time)
            if torch.isfinite(self.values[:, time]).any():
                first = 0 if lag is None else max(0, time - lag)
                self._analyse(first, time)
            count(1)
        return self.states

    def _forecast(self, time: int) -> None:
        after = self.method.advance(self.states[:, :, time - 1], self.dt)
        if self.method.model_noise > 0:
            every = torch.ones(len(after), dtype=torch.bool)
            after = after + self.method.model_noise * draw_normal(after[0], self.generators, every)
        if not torch.isfinite(after).all():
            raise InvalidInputError(
                f"the ensemble diverges: at step {time} (time {time * self.dt:g}) a member is no "
                "longer finite. Check that observations and model have the same units; else give a "
                "smaller time step, less inflation or model noise, or more members."
            )
        self.states[:, :, time] = after

    def _analyse(self, first: int, time: int) -> None:
        """Take in the observations of a time, and change the states from `first` up to it."""
        values, ensemble = self.values[:, time], self.states[:, :, time]
        observed = torch.isfinite(values).any(1)
        mean = ensemble.mean(1, keepdim=True)
        inflation = torch.where(observed, self.method.inflation, 1.0)[:, None, None]
        ensemble.copy_(mean + inflation * (ensemble - mean))
        update = self.method.analyse(ensemble, values, self.generators)
        self.states[:, :, first : time + 1] = update(self.states[:, :, first : time + 1])


def draw_normal(
    like: torch.Tensor, generators: Sequence[np.random.Generator], where: torch.Tensor
) -> torch.Tensor:
    """Draw standard normal numbers for each sample from its own generator.

    Parameters
    ----------
    like : torch.Tensor
        One sample, for the shape.
    generators : sequence of numpy.random.Generator
        One for each sample.
    where : torch.Tensor
        Whether numbers are drawn for a sample, shape (sample,); the others get zeros.
    """
    shape = tuple(like.shape)
    numbers = [
        generator.standard_normal(shape) if drawn else np.zeros(shape)
        for generator, drawn in zip(generators, where.tolist(), strict=True)
    ]
    return torch.from_numpy(np.stack(numbers))
