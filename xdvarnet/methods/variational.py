"""Variational assimilation with a known model: 3DVar, and 4DVar with a strong or weak constraint.

All samples are analysed at once, in float64, and each for itself.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from xdvarnet._progress import track
from xdvarnet.dynamics.forecast import Forecast, as_advance, check_advance
from xdvarnet.dynamics.integration import Dynamics
from xdvarnet.errors import InvalidInputError, InvalidTypeError, warn
from xdvarnet.grids.checks import check_counts, check_kind, check_positive
from xdvarnet.mapping.protocol import Reconstructor, check_model
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.dynamical import DynamicalMethod, StateAnalysis, StateWindow
from xdvarnet.methods.linear_smoother import smooth
from xdvarnet.methods.window_cost import WindowCost

BATCH_BYTES = 2**25
"""Memory of the Jacobians of the samples that are analysed together."""

LARGE = 3.0
"""Standard deviations of the background beyond which that of an analysis is not believed."""


class _FourDVar(DynamicalMethod):
    """4DVar with either constraint: the cost, its minimum and the error there."""

    model_noise = 0.0
    gives_std = True

    def __init__(
        self, dynamics: Dynamics | Forecast, noise: float, climatology: Climatology, iterations: int
    ) -> None:
        self.dynamics, self.climatology = dynamics, _check_climatology(climatology)
        self.advance = as_advance(dynamics)
        self.noise = check_positive(noise, "noise", "the units of the state")
        check_counts({"iterations": iterations})
        self.iterations = int(iterations)

    def solve_states(
        self,
        observations: StateWindow,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> StateAnalysis:
        """Mean and standard deviation of all samples.

        It warns of samples that did not converge, and of those with a standard deviation above 3
        times the background's.

        Raises
        ------
        InvalidInputError
            If members are asked for, the components are not those of the background, the model's
            tendency does not fit the state, or the model diverges with these time steps or at
            observations that are far from the background.
        """
        values = _check(self, observations, members)
        mean, std = torch.empty_like(values), torch.empty_like(values)
        converged = torch.empty(len(values), dtype=torch.bool)
        size = max(1, BATCH_BYTES // (8 * values[0].numel() * values.shape[-1]))
        with torch.no_grad():
            for rows in torch.arange(len(values)).split(size):
                cost = self._cost(values[rows], observations.dt)
                part = observations.take(rows.numpy())
                try:
                    mean[rows], converged[rows] = self._minimise(cost, part)
                    _, variance = smooth(cost.linearise(mean[rows]), variance=True)
                except torch.linalg.LinAlgError as error:
                    raise _diverged(self.climatology, values) from error
                std[rows] = variance.clamp(min=0).sqrt()
        if not converged.all():
            warn(
                f"{(~converged).sum()} of {len(values)} samples did not converge to a minimum; "
                "their analyses are the best that were found. Give more iterations, or smaller "
                "stages."
            )
        known = torch.from_numpy(self.climatology.covariance).diagonal().sqrt()
        large = (std > LARGE * known).any(2).any(1)
        if large.any():
            warn(
                f"the standard deviation of {large.sum()} of {len(values)} samples exceeds "
                f"{LARGE:g} times that of the background. It takes errors to grow linearly, which "
                "they do not where observations are so few or so long ago: do not believe it there."
            )
        return StateAnalysis(mean.numpy(), std.numpy())

    def _cost(self, values: torch.Tensor, dt: float) -> WindowCost:
        return WindowCost(
            step=lambda state: self.advance(state, dt),
            mean=torch.from_numpy(self.climatology.mean),
            covariance=torch.from_numpy(self.climatology.covariance),
            values=values.nan_to_num(),
            precision=values.isfinite() / self.noise**2,
            model_noise=self.model_noise,
        )

    @abstractmethod
    def _minimise(
        self, cost: WindowCost, observations: StateWindow
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Trajectories at a minimum, and whether each is at one."""


class StrongFourDVar(_FourDVar):
    """4DVar with a perfect model: the trajectory of the model that fits the observations best.

    The control is the initial state x0, and the cost is
    ``1/2 (x0 - xb)' B^-1 (x0 - xb) + 1/2 sum |H x - y|^2 / noise^2`` (Le Dimet and Talagrand 1986,
    doi 10.3402/tellusa.v38i2.11706), with H the choice of what was observed and RK4 steps of the
    time between two states. In a chaotic window it has many minima; the window therefore grows by
    few steps at a time, each time from the minimum before (Pires et al. 1996,
    doi 10.1034/j.1600-0870.1996.00006.x). The steps are those of Levenberg and Marquardt.

    The standard deviation is that of the Laplace approximation, from the inverse of the
    Gauss-Newton Hessian at the minimum: it knows of no other minimum and of no error of the model,
    and takes errors to grow linearly, without end, where nothing is observed any more.

    On 200 windows of Lorenz-63 of 200 steps, of which one component is observed every 8 steps with
    a variance of 2, the mean squared error is 0.40. Where errors grow by a factor of millions in a
    window, as in 200 steps of Lorenz-96, the minimum may not be found: see `WeakFourDVar`.

    Parameters
    ----------
    dynamics : callable
        The model, from states (..., component) to their tendencies. A model file cannot hold a
        plain function: for `xdvarnet.save_model` give a ``torch.nn.Module``.
    noise : float
        Standard deviation of the observation error, in the units of the state.
    climatology : Climatology
        Mean xb and covariance B of the initial state.
    growth : int
        Number of times by which the window grows: errors should grow little over them.
    iterations : int
        Largest number of steps for each length of the window.

    Raises
    ------
    InvalidTypeError
        If the dynamics are no model, or `climatology` is none.
    InvalidInputError
        If a number is not positive.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz63, observe_series
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> from xdvarnet.methods.variational import StrongFourDVar
    >>> from xdvarnet.methods.climatology import Climatology
    >>> climatology = Climatology.from_series(lorenz63("training", samples=50))
    >>> truth = lorenz63("validation", samples=2, steps=50)
    >>> observed = observe_series(truth, every=8, components=["x"], noise=0.5, rng=0)
    >>> method = StrongFourDVar(Lorenz63(), noise=0.5, climatology=climatology)
    >>> found = observed.dvarnet.reconstruct(method)
    >>> bool(((found - truth)["state"] ** 2).mean() < 1)
    True
    """

    def __init__(
        self,
        dynamics: Dynamics | Forecast,
        *,
        noise: float,
        climatology: Climatology,
        growth: int = 8,
        iterations: int = 20,
    ) -> None:
        super().__init__(dynamics, noise, climatology, iterations)
        check_counts({"growth": growth})
        self.growth = int(growth)

    def __repr__(self) -> str:
        return (
            f"StrongFourDVar({self.dynamics!r}, noise={self.noise:g}, growth={self.growth}, "
            f"iterations={self.iterations})"
        )

    def _minimise(
        self, cost: WindowCost, observations: StateWindow
    ) -> tuple[torch.Tensor, torch.Tensor]:
        times = cost.values.shape[1]
        found = cost.mean.expand(len(cost.values), 1, -1)
        ends = [*range(1 + self.growth, times, self.growth), times]
        for end in track(ends, "part", len(ends)):
            part = cost.until(end)
            found, converged = part.minimise(part.run(found[:, 0]), self.iterations)
        return found, converged


class WeakFourDVar(_FourDVar):
    """4DVar with an imperfect model: all states of a window are the control.

    The cost is that of `StrongFourDVar` and ``1/2 sum |x[t + 1] - M(x[t])|^2 / model_noise^2``
    (Trémolet 2006, doi 10.1256/qj.05.224). Each step of Gauss and Newton is a Kalman smoother, and
    is damped (Särkkä and Svensson 2020, doi 10.1109/ICASSP40776.2020.9054686). By default, the
    first guess interpolates the observations. The model error falls in `stages`, each of which
    starts from the minimum before. With a small `model_noise` this is a smoother for a perfect
    model.

    The standard deviation is that of the Laplace approximation, as in `StrongFourDVar`.

    With Lorenz-63 as in `StrongFourDVar` and ``model_noise=0.01``, the mean squared error is the
    same 0.40. With Lorenz-96 and half of the components observed, some windows end in other minima
    than the best, unless the first guess is that of a trained network.

    Parameters
    ----------
    dynamics, noise, climatology
        As in `StrongFourDVar`.
    model_noise : float
        Standard deviation of the model error that each step adds to each component.
    stages : sequence of float
        Factors of `model_noise`, one after the other; the last is 1.
    iterations : int
        Largest number of steps in each stage.
    first_guess : Reconstructor, optional
        Whose analysis the minimisation starts from, such as ``load_model("lorenz96")``; fewer and
        smaller stages are enough then.

    Raises
    ------
    InvalidTypeError
        If the dynamics are no model, `climatology` is none, the first guess is no
        model, or the stages are no sequence.
    InvalidInputError
        If a number is not positive, or the stages are none or do not end with 1.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz63, observe_series
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> from xdvarnet.methods.variational import WeakFourDVar
    >>> from xdvarnet.methods.climatology import Climatology
    >>> climatology = Climatology.from_series(lorenz63("training", samples=50))
    >>> truth = lorenz63("validation", samples=2, steps=50)
    >>> observed = observe_series(truth, every=8, components=["x"], noise=0.5, rng=0)
    >>> method = WeakFourDVar(Lorenz63(), noise=0.5, climatology=climatology, model_noise=0.01)
    >>> sorted(observed.dvarnet.reconstruct(method))
    ['state', 'state_std']
    """

    def __init__(
        self,
        dynamics: Dynamics | Forecast,
        *,
        noise: float,
        climatology: Climatology,
        model_noise: float,
        stages: Sequence[float] = (100, 10, 1),
        iterations: int = 20,
        first_guess: Reconstructor | None = None,
    ) -> None:
        super().__init__(dynamics, noise, climatology, iterations)
        if first_guess is not None:
            check_model(first_guess, "first_guess")
        self.first_guess = first_guess
        self.model_noise = check_positive(model_noise, "model_noise", "the units of the state")
        check_kind(isinstance(stages, Sequence), "stages", stages, "factors such as (100, 10, 1)")
        self.stages = tuple(check_positive(factor, "stages", "model_noise") for factor in stages)
        if not self.stages or self.stages[-1] != 1:
            raise InvalidInputError(
                f"stages={stages!r}; give the factors of model_noise, the last of which is 1, such "
                "as (100, 10, 1)."
            )

    def __repr__(self) -> str:
        return (
            f"WeakFourDVar({self.dynamics!r}, noise={self.noise:g}, "
            f"model_noise={self.model_noise:g}, stages={self.stages}, "
            f"iterations={self.iterations}, first_guess={self.first_guess!r})"
        )

    def _minimise(
        self, cost: WindowCost, observations: StateWindow
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if observations.first_guess is None:
            found = _interpolate(cost)
        else:
            found = torch.from_numpy(observations.first_guess)
        for factor in track(self.stages, "stage", len(self.stages)):
            stage = replace(cost, model_noise=factor * self.model_noise)
            found, converged = stage.minimise(found, self.iterations)
        return found, converged


class ThreeDVar(DynamicalMethod):
    """Sequential 3DVar: analyses with a constant covariance, and forecasts between them.

    From the background's mean on, the model forecasts from one time to the next; where there are
    observations, the forecast f becomes ``f + B H' (H B H' + noise^2 I)^-1 (y - H f)`` (Lorenc
    1986, doi 10.1002/qj.49711247414), with H the choice of what was observed. It is a filter:
    nothing is known of later observations.

    Parameters
    ----------
    dynamics : callable
        The model, from states (..., component) to their tendencies; ``torch.zeros_like`` for
        persistence. A model file cannot hold a plain function: for `xdvarnet.save_model` give a
        ``torch.nn.Module``.
    noise : float
        Standard deviation of the observation error, in the units of the state.
    climatology : Climatology
        Mean to start from, and covariance.
    scale : float
        B is the background's covariance times this: forecasts err less than a climatology.

    Raises
    ------
    InvalidTypeError
        If the dynamics are no model, or `climatology` is none.
    InvalidInputError
        If a number is not positive.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz63, observe_series
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> from xdvarnet.methods.variational import ThreeDVar
    >>> from xdvarnet.methods.climatology import Climatology
    >>> climatology = Climatology.from_series(lorenz63("training", samples=50))
    >>> truth = lorenz63("validation", samples=2)
    >>> observed = observe_series(truth, every=8, components=["x"], noise=0.5, rng=0)
    >>> method = ThreeDVar(Lorenz63(), noise=0.5, climatology=climatology)
    >>> observed.dvarnet.reconstruct(method)["state"].shape
    (2, 200, 3)
    """

    def __init__(
        self,
        dynamics: Dynamics | Forecast,
        *,
        noise: float,
        climatology: Climatology,
        scale: float = 0.3,
    ) -> None:
        self.dynamics, self.climatology = dynamics, _check_climatology(climatology)
        self.advance = as_advance(dynamics)
        self.noise = check_positive(noise, "noise", "the units of the state")
        self.scale = check_positive(scale, "scale", "the background's covariance")

    def __repr__(self) -> str:
        return f"ThreeDVar({self.dynamics!r}, noise={self.noise:g}, scale={self.scale:g})"

    def solve_states(
        self,
        observations: StateWindow,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> StateAnalysis:
        """Mean of all samples, without a standard deviation.

        Raises
        ------
        InvalidInputError
            If members are asked for, the components are not those of the background, or the model
            diverges with these time steps.
        """
        values = _check(self, observations, members)
        with torch.no_grad():
            mean = torch.stack(self._cycle(values, observations.dt), 1)
        if not mean.isfinite().all():
            raise InvalidInputError(
                f"the forecasts diverge with dt={observations.dt:g} and scale={self.scale:g}; "
                "check that observations and model have the same units, or give a smaller scale, "
                "or series with a smaller time step."
            )
        return StateAnalysis(mean.numpy())

    def _cycle(self, values: torch.Tensor, dt: float) -> list[torch.Tensor]:
        """Analyses where there are observations, and forecasts elsewhere."""
        covariance = self.scale * torch.from_numpy(self.climatology.covariance)
        identity = self.noise**2 * torch.eye(len(covariance), dtype=torch.float64)
        state = torch.from_numpy(self.climatology.mean).expand(len(values), -1)
        states = []
        for t in track(range(values.shape[1]), "step", values.shape[1]):
            if t > 0:
                state = self.advance(state, dt)
            observed = values[:, t].isfinite().double()
            if observed.any():
                innovation = observed * (values[:, t].nan_to_num() - state)
                seen = observed.unsqueeze(-1) * covariance * observed.unsqueeze(-2)
                weight = observed * torch.linalg.solve(seen + identity, innovation)
                state = state + weight @ covariance
            states.append(state)
        return states


def _check(
    method: _FourDVar | ThreeDVar, observations: StateWindow, members: int | None
) -> torch.Tensor:
    """Return the observed values, if the method can be applied to them."""
    if members is not None:
        raise InvalidInputError(
            f"{type(method).__name__} has no ensemble. Leave members=None; 4DVar gives a standard "
            "deviation."
        )
    climatology, (_, times, _) = method.climatology, observations.values.shape
    observations.require_components(climatology.components, "the climatology")
    start = torch.from_numpy(climatology.mean).repeat(2, 1)
    check_advance(method.dynamics, start, observations.dt, times)
    return torch.from_numpy(observations.values)


def _check_climatology(climatology: Climatology) -> Climatology:
    if not isinstance(climatology, Climatology):
        raise InvalidTypeError(
            f"climatology is a {type(climatology).__name__}; give "
            "Climatology.from_series(training)."
        )
    return climatology


def _diverged(climatology: Climatology, values: torch.Tensor) -> InvalidInputError:
    std = torch.from_numpy(climatology.covariance).diagonal().sqrt()
    departure = (values - torch.from_numpy(climatology.mean)).abs() / std
    return InvalidInputError(
        "the model diverges in the minimisation. The observation that is farthest from the "
        f"climatology's mean is {departure.nan_to_num().max():.3g} of its standard deviations "
        "away; where that is more than 10 or so, check that both have the same units. Else give a "
        "smaller time step."
    )


def _interpolate(cost: WindowCost) -> torch.Tensor:
    """Observations interpolated in time; the background's mean for a component without one."""
    observed = cost.precision.numpy() > 0
    found = cost.mean.expand_as(cost.values).clone().numpy()
    times = np.arange(found.shape[1])
    for sample, component in np.argwhere(observed.any(1)):
        at = observed[sample, :, component]
        known = cost.values[sample, at, component]
        found[sample, :, component] = np.interp(times, times[at], known)
    return torch.from_numpy(found)
