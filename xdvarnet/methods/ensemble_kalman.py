"""Ensemble Kalman filters and smoothers of series.

A filter goes through a window once: it forecasts an ensemble to the next time and, where something
was observed, analyses it. States are (sample, member, component), a window of them (sample, member,
time, component). Each sample has random numbers of its own, so that no sample depends on others.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from numbers import Real

import numpy as np
import torch

from xdvarnet._random import default_rng
from xdvarnet.dynamics.forecast import Forecast, as_advance
from xdvarnet.dynamics.integration import Dynamics, check_tendency
from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.checks import check_kind, check_positive
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
        forecast.
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
        if not isinstance(members, int | np.integer) or members < 2:
            raise InvalidInputError(f"members={members!r} is no ensemble; give at least 2.")
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
        for first in range(0, len(values), size):
            batch = slice(first, first + size)
            window = _Window(self, values[batch], observations.dt, generators[batch])
            ensemble = window.assimilate(lag)
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

    def assimilate(self, lag: int | None) -> torch.Tensor:
        """Return the ensemble (sample, member, time, component)."""
        for time in range(self.values.shape[1]):
            if time > 0:
                self._forecast(time)
            if torch.isfinite(self.values[:, time]).any():
                first = 0 if lag is None else max(0, time - lag)
                self._analyse(first, time)
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


class EnKF(EnsembleFilter):
    """Stochastic ensemble Kalman filter, with perturbed observations.

    Each member x is analysed with observations y that have an error e of their own drawn:

        ``x + P H' (H P H' + R)^-1 (y + e - H x)``

    P is the covariance of the ensemble, which is multiplied by the taper of the localisation
    (Houtekamer and Mitchell 2001, doi 10.1175/1520-0493(2001)129<0123:ASEKFF>2.0.CO;2), H selects
    the observed components and R is the variance of the noise. The errors of an ensemble sum to
    zero, so that its mean is analysed with y itself.

    Parameters
    ----------
    dynamics, noise, climatology, members, inflation, localisation, model_noise
        As for `EnsembleFilter`.

    References
    ----------
    Evensen 1994, doi 10.1029/94JC00572; Burgers et al. 1998,
    doi 10.1175/1520-0493(1998)126<1719:ASITEK>2.0.CO;2.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz63, observe_series
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> from xdvarnet.methods.ensemble_kalman import EnKF
    >>> from xdvarnet.methods.climatology import Climatology
    from xdvarnet.methods.dynamical import DynamicalMethod, StateAnalysis, StateWindow
    >>> climatology = Climatology.from_series(lorenz63("training", samples=50))
    >>> truth = lorenz63("test", samples=2)
    >>> obs = observe_series(truth, every=8, components=["x"], noise=2**0.5, rng=0)
    >>> method = EnKF(Lorenz63(), noise=2**0.5, climatology=climatology, members=50)
    >>> obs.dvarnet.reconstruct(method, rng=0)["state_std"].dims
    ('sample', 'time', 'component')
    """

    def analyse(
        self,
        ensemble: torch.Tensor,
        values: torch.Tensor,
        generators: Sequence[np.random.Generator],
    ) -> Update:
        """Return the analysis of all members; see `EnsembleFilter.analyse`."""
        seen = torch.isfinite(values)
        errors = self.noise * draw_normal(ensemble[0], generators, seen.any(1))
        errors -= errors.mean(1, keepdim=True)
        innovations = torch.where(seen[:, None], values[:, None] + errors - ensemble, 0.0)
        anomalies = ensemble - ensemble.mean(1, keepdim=True)
        covariance = self.covariance(_covariance(ensemble[:, :, None], anomalies))[:, 0]
        covariance = covariance * seen[:, :, None] * seen[:, None]
        covariance.diagonal(dim1=1, dim2=2).add_(self.noise**2)
        weights = torch.linalg.solve(covariance, innovations.mT)

        def update(states: torch.Tensor) -> torch.Tensor:
            gain = self.covariance(_covariance(states, anomalies))
            return states + (gain.flatten(1, 2) @ weights).mT.reshape(states.shape)

        return update

    def covariance(self, of_ensemble: torch.Tensor) -> torch.Tensor:
        """Return the covariance to analyse with.

        Parameters
        ----------
        of_ensemble : torch.Tensor
            Covariance of the states at times up to that of the observations with the state at the
            latter, shape (sample, time, component, component).
        """
        return of_ensemble * self.taper()


class ETKF(EnsembleFilter):
    """Ensemble transform Kalman filter, with the symmetric square root.

    With the anomalies A of the forecast (member, component), ``S = A H' R^-1/2`` and N members,

        ``C = (N - 1) I + S S'``,

    the mean of the analysis is the forecast's plus ``(y - H x)' R^-1/2 S' C^-1 A``, and its
    anomalies are ``((N - 1) C^-1)^1/2 A``: no random number but the first ensemble.

    With a localisation it is the local filter LETKF: each component has a transform of its own, in
    which the inverse error variances of the observations are multiplied by the taper.

    Parameters
    ----------
    dynamics, noise, climatology, members, inflation, localisation, model_noise
        As for `EnsembleFilter`.

    References
    ----------
    Bishop et al. 2001, doi 10.1175/1520-0493(2001)129<0420:ASWTET>2.0.CO;2; Hunt et al. 2007,
    doi 10.1016/j.physd.2006.11.008.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz96, observe_series
    >>> from xdvarnet.dynamics.lorenz import Lorenz96
    >>> from xdvarnet.methods.ensemble_kalman import ETKF
    >>> from xdvarnet.methods.localisation import Localisation
    >>> from xdvarnet.methods.climatology import Climatology
    from xdvarnet.methods.dynamical import DynamicalMethod, StateAnalysis, StateWindow
    >>> climatology = Climatology.from_series(lorenz96("training", samples=5))
    >>> truth = lorenz96("test", samples=1, steps=21)
    >>> obs = observe_series(truth, every=4, components=20, noise=2**0.5, rng=0)
    >>> method = ETKF(
    ...     Lorenz96(), noise=2**0.5, climatology=climatology, members=10, inflation=1.05,
    ...     localisation=Localisation(4)
    ... )
    >>> dict(obs.dvarnet.reconstruct(method, rng=0)["state"].sizes)
    {'sample': 1, 'time': 21, 'component': 40}
    """

    def analyse(
        self,
        ensemble: torch.Tensor,
        values: torch.Tensor,
        generators: Sequence[np.random.Generator],
    ) -> Update:
        """Return the transform of the ensemble; see `EnsembleFilter.analyse`."""
        seen = torch.isfinite(values)
        mean = ensemble.mean(1)
        innovation = torch.where(seen, values - mean, 0.0) / self.noise
        scaled = (ensemble - mean[:, None]) * seen[:, None] / self.noise
        if self.localisation is None:
            whole = _transform(scaled, innovation)
            return lambda states: (whole @ states.flatten(2)).reshape(states.shape)
        roots = self.taper().sqrt()  # a row for each component that is analysed
        local = _transform(scaled[:, None] * roots[:, None], innovation[:, None] * roots)
        return lambda states: torch.einsum("scmn,sntc->smtc", local, states)


class EnsembleKalmanSmoother(DynamicalMethod):
    """Ensemble Kalman smoother: a filter whose analyses also change the states before.

    The analysis that a filter makes of the state at the time of observations is made of earlier
    states of the window as well, through their covariance with the former in the ensemble. The
    forecast goes on from the filter's analysis, which stays the last one of the window.

    With a localisation, the covariance of a component with another one is tapered as if both were
    of one time; it is to be wider where the lag is long.

    Parameters
    ----------
    method : EnsembleFilter
        `EnKF`, `ETKF` or `xdvarnet.methods.hybrid.HybridEnVar`.
    lag : int, optional
        Number of later times whose observations change a state. By default all of the window.

    Raises
    ------
    InvalidTypeError
        If `method` is no such filter.
    InvalidInputError
        If the lag is no whole number of at least 1.

    References
    ----------
    Evensen and van Leeuwen 2000, doi 10.1175/1520-0493(2000)128<1852:AEKSFN>2.0.CO;2.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz63, observe_series
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> from xdvarnet.methods.ensemble_kalman import ETKF, EnsembleKalmanSmoother
    >>> from xdvarnet.methods.climatology import Climatology
    from xdvarnet.methods.dynamical import DynamicalMethod, StateAnalysis, StateWindow
    >>> climatology = Climatology.from_series(lorenz63("training", samples=50))
    >>> truth = lorenz63("test", samples=2)
    >>> obs = observe_series(truth, every=8, components=["x"], noise=2**0.5, rng=0)
    >>> method = ETKF(Lorenz63(), noise=2**0.5, climatology=climatology, members=50)
    >>> found = obs.dvarnet.reconstruct(EnsembleKalmanSmoother(method), rng=0)
    >>> bool((found["state_std"][:, 0] < 5).all())
    True
    """

    gives_std = True

    def __init__(self, method: EnsembleFilter, *, lag: int | None = None) -> None:
        if not isinstance(method, EnsembleFilter):
            raise InvalidTypeError(
                f"method={method!r} is no ensemble filter; give EnKF(...), ETKF(...) or "
                "HybridEnVar(...)."
            )
        if lag is not None and (not isinstance(lag, int | np.integer) or lag < 1):
            raise InvalidInputError(
                f"lag={lag!r} is not accepted; give a number of times of at least 1, or None for "
                "the whole window."
            )
        self.method, self.lag = method, lag
        self.climatology = method.climatology

    def __repr__(self) -> str:
        return f"EnsembleKalmanSmoother({self.method!r}, lag={self.lag})"

    def solve_states(
        self,
        observations: StateWindow,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> StateAnalysis:
        """Smooth all samples; parameters and errors as for `EnsembleFilter.solve_states`."""
        return self.method.assimilate(observations, lag=self.lag, members=members, rng=rng)


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


def _covariance(states: torch.Tensor, anomalies: torch.Tensor) -> torch.Tensor:
    """Covariance of states (s, member, t, c) with anomalies (s, member, d), as (s, t, c, d)."""
    flat = states.flatten(2).mT @ anomalies / (anomalies.shape[1] - 1)
    return flat.unflatten(1, states.shape[2:])


def _transform(scaled: torch.Tensor, innovation: torch.Tensor) -> torch.Tensor:
    """Matrix (..., member, member) from an ensemble to its analysis.

    It keeps sums over members, so that it applies to states as to anomalies.

    Parameters
    ----------
    scaled : torch.Tensor
        Anomalies of the ensemble in units of the noise, shape (..., member, component).
    innovation : torch.Tensor
        Observations less the mean, in the same units, shape (..., component).
    """
    freedom = scaled.shape[-2] - 1
    precision = scaled @ scaled.mT
    precision.diagonal(dim1=-2, dim2=-1).add_(freedom)
    values, vectors = torch.linalg.eigh(precision)
    root = (vectors * (freedom / values).sqrt().unsqueeze(-2)) @ vectors.mT
    weights = vectors.mT @ (scaled @ innovation.unsqueeze(-1)) / values.unsqueeze(-1)
    return root + (vectors @ weights).mT
