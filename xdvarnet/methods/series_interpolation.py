"""Optimal interpolation of series with the lagged covariances of training data."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_positive
from xdvarnet.grids.series import EVEN, STATE, Series, find_series
from xdvarnet.methods.dynamical import DynamicalMethod, StateAnalysis, StateWindow


@dataclass(frozen=True, eq=False)
class LaggedCovariance:
    """Statistics of windows of series.

    Attributes
    ----------
    mean : numpy.ndarray
        Shape (component,).
    covariance : numpy.ndarray
        Covariance of component i with component j `lag` times before, shape (lag, i, j) for lags
        from zero on.
    dt : float
        Time between two lags.
    labels : sequence or None
        Names of the components.
    """

    mean: np.ndarray
    covariance: np.ndarray
    dt: float
    labels: Sequence[Hashable] | None = None


class SeriesOptimalInterpolation(DynamicalMethod):
    """Gaussian conditioning of a whole window on its observations.

    The states of a window are taken as Gaussian, with a mean m and a covariance between two of
    them that depends on the time between (of their climatology, no model):

        ``x = m + P H' (H P H' + R)^-1 (y - H m)``

    and with the variance ``diag(P - P H' (H P H' + R)^-1 H P)``. The algebra is exact over all
    observations of a window; windows that are observed alike are solved together.

    Parameters
    ----------
    noise : float
        Standard deviation of the observation error.
    periodic : bool
        Whether the statistics are the same for all components, which lie on a ring: means and
        covariances are averaged over its turns.

    statistics : LaggedCovariance, optional
        m and P; `fit` makes them.

    Raises
    ------
    InvalidInputError
        If the noise is not positive.

    References
    ----------
    Bretherton et al. 1976, doi 10.1016/0011-7471(76)90001-2.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz63, observe_series
    >>> from xdvarnet.methods.series_interpolation import SeriesOptimalInterpolation
    >>> method = SeriesOptimalInterpolation(noise=2**0.5).fit(lorenz63("training", samples=100))
    >>> truth = lorenz63("test", samples=2)
    >>> obs = observe_series(truth, every=8, components=["x"], noise=2**0.5, rng=0)
    >>> list(obs.dvarnet.reconstruct(method).data_vars)
    ['state', 'state_std']
    """

    variables = {STATE: "1"}
    gives_std = True

    def __init__(
        self,
        *,
        noise: float,
        periodic: bool = False,
        statistics: LaggedCovariance | None = None,
    ) -> None:
        self.noise = check_positive(noise, "noise", "units of the state")
        self.periodic, self.statistics = periodic, statistics

    @property
    def labels(self) -> Sequence[Hashable] | None:
        """Names of the components, once fitted."""
        return None if self.statistics is None else self.statistics.labels

    @property
    def known(self) -> LaggedCovariance:
        """The statistics of a fitted method; an error for another."""
        if self.statistics is None:
            raise InvalidInputError(f"{self!r} has no covariance yet; call fit(training) first.")
        return self.statistics

    def __repr__(self) -> str:
        return f"SeriesOptimalInterpolation(noise={self.noise:g}, periodic={self.periodic})"

    def fit(self, truth: xr.Dataset) -> "SeriesOptimalInterpolation":
        """Return this method with the mean and the covariances of complete windows.

        Parameters
        ----------
        truth : xarray.Dataset
            Series at least as long as those that are to be reconstructed, of the same time step.

        Raises
        ------
        InvalidInputError
            If values are missing.
        """
        series = find_series(truth)
        _check_complete(series)
        mean = series.values.mean((0, 1))
        if self.periodic:
            mean = np.full_like(mean, mean.mean())
        covariance = _lagged_covariance(series.values - mean)
        if self.periodic:
            covariance = _turn(covariance)
        return SeriesOptimalInterpolation(
            noise=self.noise,
            periodic=self.periodic,
            statistics=LaggedCovariance(mean, covariance, series.dt, series.labels),
        )

    def solve_states(
        self,
        observations: StateWindow,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> StateAnalysis:
        """Reconstruct all samples; nothing is random.

        Raises
        ------
        InvalidInputError
            If the method is not fitted, or not to such windows; if members are asked for; or if
            the covariance is not positive definite.
        """
        self._check(observations, members)
        values = observations.values
        mean, std = np.empty_like(values), np.empty_like(values)
        seen = np.isfinite(values)
        patterns, group = np.unique(seen.reshape(len(seen), -1), axis=0, return_inverse=True)
        known = self.known
        table = _two_sided(known.covariance[: values.shape[1]])
        for number, pattern in enumerate(patterns):
            alike = group.ravel() == number
            cells = pattern.reshape(values.shape[1:])
            mean[alike], std[alike] = self._condition(table, cells, (values - known.mean)[alike])
        return StateAnalysis(mean + known.mean, std)

    def _check(self, observations: StateWindow, members: int | None) -> None:
        if members is not None:
            raise InvalidInputError(
                f"members={members}, and {self!r} has no ensemble; leave members=None."
            )
        known = self.known
        observations.require_components(known.mean.size, "the training data")
        times = observations.values.shape[1]
        if times > len(known.covariance) or abs(observations.dt / known.dt - 1) > EVEN:
            raise InvalidInputError(
                f"windows of {times} times at steps of {observations.dt:g} need covariances at all "
                f"these lags; they are known for {len(known.covariance)} times at steps of "
                f"{known.dt:g}. Fit longer training windows, of the same time step."
            )

    def _condition(
        self, table: torch.Tensor, cells: np.ndarray, anomalies: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the anomalies of windows observed at the same cells.

        Parameters
        ----------
        table : torch.Tensor
            Covariances at all lags, the negative ones first.
        cells : numpy.ndarray
            Whether a cell is observed, shape (time, component).
        anomalies : numpy.ndarray
            Observations, shape (sample, time, component).
        """
        times, components = cells.shape
        observed = torch.from_numpy(np.argwhere(cells)).T
        every = torch.from_numpy(np.indices(cells.shape)).flatten(1)

        def covariance(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            lag = first[0][:, None] - second[0]
            return table[times - 1 + lag, first[1][:, None], second[1]]

        of_observed = covariance(observed, observed)
        of_observed.diagonal().add_(self.noise**2)
        factor, failed = torch.linalg.cholesky_ex(of_observed)
        if failed:
            raise InvalidInputError(
                "the covariance of the observations is not positive definite; fit more training "
                "windows."
            )
        data = torch.from_numpy(anomalies[:, cells]).T
        gain = torch.linalg.solve_triangular(factor, covariance(observed, every), upper=False)
        innovation = torch.linalg.solve_triangular(factor, data, upper=False)
        variance = table[times - 1].diagonal().repeat(times) - gain.square().sum(0)
        mean = (innovation.T @ gain).view(-1, times, components)
        return mean.numpy(), variance.clamp(min=0).sqrt().view(times, components).numpy()


def _check_complete(series: Series) -> None:
    missing = np.isnan(series.values).sum()
    if missing:
        raise InvalidInputError(
            f"{missing} values of the training data are missing; give the truth, not observations."
        )


def _lagged_covariance(anomalies: np.ndarray) -> np.ndarray:
    """Mean products at lags from zero on, from (sample, time, component) to (lag, i, j)."""
    samples, times, components = anomalies.shape
    products = np.zeros((times + 1, components, components), complex)
    for batch in np.array_split(anomalies, -(-samples // 256)):
        spectrum = np.fft.rfft(batch, 2 * times, axis=1).transpose(1, 2, 0)
        products += spectrum @ spectrum.conj().mT
    sums = np.fft.irfft(products, 2 * times, axis=0)[:times]
    return sums / (samples * np.arange(times, 0, -1))[:, None, None]


def _turn(covariance: np.ndarray) -> np.ndarray:
    """Average covariances (lag, i, j) over the turns of the ring."""
    place = np.arange(covariance.shape[1])
    apart = (place - place[:, None]) % place.size
    averaged = covariance[:, place[:, None], (place[:, None] + place) % place.size].mean(1)
    return averaged[:, apart]


def _two_sided(covariance: np.ndarray) -> torch.Tensor:
    """Covariances at all lags, the negative ones first."""
    return torch.from_numpy(np.concatenate([covariance[:0:-1].mT, covariance]))
