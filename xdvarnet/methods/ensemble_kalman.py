"""Ensemble Kalman filters and smoothers of states over time."""

from collections.abc import Sequence

import numpy as np
import torch

from xdvarnet.errors import InvalidTypeError
from xdvarnet.grids.checks import check_counts
from xdvarnet.methods.dynamical import DynamicalMethod, StateAnalysis, StateWindow
from xdvarnet.methods.ensemble_filter import EnsembleFilter, Update, draw_normal


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
        if lag is not None:
            check_counts({"lag": lag})
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
