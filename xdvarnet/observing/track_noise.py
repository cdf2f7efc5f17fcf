"""Errors along the track of a nadir altimeter."""

from dataclasses import dataclass

import numpy as np

from xdvarnet.grids.checks import quantity

_REACH = 4.0
"""Distance beyond which the filter has no weight, in its standard deviations."""


@dataclass(frozen=True, init=False)
class TrackNoise:
    r"""Errors of a nadir altimeter that are correlated along its track, and its filter.

    Each measurement has an independent error. To it is added one that varies slowly along the
    track, as errors of the orbit, of corrections and of the sea state do, with the covariance
    :math:`\sigma^2 \exp(-d/L)`, where :math:`d` is the distance flown, 40,000 km a revolution. With
    :math:`L` of some thousands of km it is nearly the same along a pass over a basin, and
    independent on the next pass over it.

    With a `cutoff`, a Gaussian along the track then smooths what is measured, the sea and both
    errors, as in products of level 3. Points without a value have no weight.

    Parameters
    ----------
    white : str or float
        Standard deviation of the independent error of one measurement, before the filter: such as
        ``"2 cm"``; a number is in m, whatever the units of the data.
    correlated : str or float
        Standard deviation :math:`\sigma` of the correlated error, before the filter, in the same
        way.
    correlation_length : str or float
        e-folding distance :math:`L` of the correlated error along the track: ``"1000 km"``; a
        number is in km.
    cutoff : str, float or None
        Wavelength that the filter halves: ``"65 km"``, as in DUACS; a number is in km. None for no
        filter.

    Raises
    ------
    InvalidInputError
        If a number is negative, the correlation length or the cutoff zero, or the units others.

    Notes
    -----
    The filter sees the points of one day in the domain. At the border of the domain, at a coast and
    at midnight it averages the points on one side alone, and keeps more noise.

    References
    ----------
    Le Traon, P. Y., Nadal, F. and Ducet, N. (1998), An improved mapping method of multisatellite
    altimeter data, J. Atmos. Oceanic Technol. 15, 522-534: errors of 3 cm that are correlated over
    thousands of km.
    Pujol, M.-I. et al. (2016), DUACS DT2014: the new multi-mission altimeter data set reprocessed
    over 20 years, Ocean Sci. 12, 1067-1090, https://doi.org/10.5194/os-12-1067-2016: the filter.

    Examples
    --------
    >>> from xdvarnet.datasets import mediterranean
    >>> from xdvarnet.observing.system import observe
    >>> noise = {"jason1": TrackNoise("2 cm", correlated="3 cm", cutoff="65 km"), "gfo": "3 cm"}
    >>> observations = observe(mediterranean(), ["jason1", "gfo"], noise=noise, rng=0)
    """

    white: float
    correlated: float
    correlation_length: float
    cutoff: float | None

    def __init__(
        self,
        white: str | float,
        *,
        correlated: str | float = 0.0,
        correlation_length: str | float = 1000.0,
        cutoff: str | float | None = None,
    ) -> None:
        length = quantity(correlation_length, "km", "correlation_length")
        wavelength = None if cutoff is None else quantity(cutoff, "km", "cutoff")
        object.__setattr__(self, "white", quantity(white, "m", "white", zero=True))
        object.__setattr__(self, "correlated", quantity(correlated, "m", "correlated", zero=True))
        object.__setattr__(self, "correlation_length", length)
        object.__setattr__(self, "cutoff", wavelength)

    def draw(self, along: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the correlated error.

        Parameters
        ----------
        along : numpy.ndarray
            Distances along the track in km, increasing, shape (points,).
        rng : numpy.random.Generator
            Source of the error.

        Returns
        -------
        numpy.ndarray
            In m, shape (points,).
        """
        return self.correlated * exponential_process(along, self.correlation_length, rng)

    def smooth(self, along: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Smooth what is measured along the track.

        Parameters
        ----------
        along : numpy.ndarray
            Distances along the track in km, in any order, shape (points,).
        values : numpy.ndarray
            Measurements, NaN where there is none, shape (points,).

        Returns
        -------
        numpy.ndarray
            Shape (points,), NaN as before. Without a `cutoff` the values as they are.
        """
        if self.cutoff is None:
            return values
        deviation = np.sqrt(np.log(2) / 2) / np.pi * self.cutoff
        order = np.argsort(along)
        places, known = along[order] / deviation, np.isfinite(values[order])
        heights = np.where(known, values[order], 0.0)
        sums, weights = heights.copy(), known.astype(float)
        for lag in range(1, along.size):
            apart = places[lag:] - places[:-lag]
            if apart.min() > _REACH:
                break
            near = np.where(apart > _REACH, 0.0, np.exp(-(apart**2) / 2))
            sums[lag:] += near * heights[:-lag]
            sums[:-lag] += near * heights[lag:]
            weights[lag:] += near * known[:-lag]
            weights[:-lag] += near * known[lag:]
        smoothed = np.full(along.size, np.nan)
        smoothed[order[known]] = sums[known] / weights[known]
        return smoothed


def exponential_process(
    positions: np.ndarray, correlation_length: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw a Gaussian process of variance 1 and covariance exp(-d/L) at increasing positions."""
    kept = np.exp(-np.diff(positions, prepend=-np.inf) / correlation_length)
    new = np.sqrt(1 - kept**2) * rng.standard_normal(positions.size)
    values, value = [], 0.0
    for share, step in zip(kept.tolist(), new.tolist(), strict=True):
        value = share * value + step
        values.append(value)
    return np.array(values)
