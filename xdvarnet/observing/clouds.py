"""Observe gridded fields as an infrared radiometer would: everywhere but under clouds."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import fft
from scipy.special import gamma, kv
from scipy.stats import norm

from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import (
    check_dataset,
    check_positive,
    check_regular,
    check_times,
)
from xdvarnet.grids.coords import Grid, find_grid
from xdvarnet.grids.provenance import derived
from xdvarnet.grids.units import EARTH_RADIUS
from xdvarnet.observing.noise import check_size, size_for
from xdvarnet.observing.observer import add_sea, observe_maps, observed_variables

LENGTHS = (300.0, 450.0)
"""Outer scales of the clouds in latitude and in longitude, km."""

PERSISTENCE = 4.0
"""Decay time of the largest clouds, days."""

WIND = 3.0
"""Standard deviation of each component of the mean wind of a day, m/s: the mean speed is 4 m/s."""


@dataclass(frozen=True)
class CloudySST:
    r"""What observes: an infrared radiometer, which measures a map a day except under clouds.

    A cell is cloudy where a Gaussian field :math:`z` of unit variance exceeds the threshold that it
    exceeds in the fraction `cover` of all cells and days. Its spectrum over the wave numbers
    :math:`k` of the two horizontal directions, with the outer scales :math:`L` of `LENGTHS`, is
    that of a Matern correlation of order 1/3,

    .. math:: S(k) \propto (1 + |L k|^2)^{-4/3},

    that is -5/3 along a line, below the outer scale. The lengths of clouds along a line, far below
    the outer scale, then have a power law of exponent -5/3; observed from 0.1 to 1500 km is -1.66
    (Wood and Field, 2011). From day to day the field moves with a wind, the same everywhere and
    another one each day (`WIND`), and each wave decays and is renewed with the time
    :math:`T (1 + |L k|^2)^{-1/3}`, where :math:`T` is `PERSISTENCE`: small clouds are new each day,
    systems as large as `LENGTHS` last for some days. A basin of that size or smaller has nearly
    clear and overcast days. The lengths are those of ten days of AVHRR over the Alboran Sea.

    Parameters
    ----------
    noise : str or float
        Standard deviation of the error of a cell, independent from one to the next: such as
        ``"0.4 K"``, or a number in the units of the data. Infrared temperatures are in error by
        0.2 K (AATSR: O'Carroll et al., 2008) to 0.5 K.
    cover : float
        Mean fraction of cloudy cells, at least 0 and below 1. It is 0.72 over all oceans (King et
        al., 2013), and differs from sea to sea; of one day or a small basin it varies much.

    Raises
    ------
    InvalidInputError
        If the noise is negative, the cover is not in that range, or one is no number.

    References
    ----------
    King, M. D., Platnick, S., Menzel, W. P., Ackerman, S. A. and Hubanks, P. A. (2013), Spatial and
    temporal distribution of clouds observed by MODIS onboard the Terra and Aqua satellites, IEEE
    Trans. Geosci. Remote Sens. 51, 3826-3852, https://doi.org/10.1109/TGRS.2012.2227333.
    O'Carroll, A. G., Eyre, J. R. and Saunders, R. W. (2008), Three-way error analysis between
    AATSR, AMSR-E, and in situ sea surface temperature observations, J. Atmos. Oceanic Technol. 25,
    1197-1207, https://doi.org/10.1175/2007JTECHO542.1.
    Wood, R. and Field, P. R. (2011), The distribution of cloud horizontal sizes, J. Climate 24,
    4800-4816, https://doi.org/10.1175/2011JCLI4056.1.

    Examples
    --------
    >>> import numpy as np
    >>> from xdvarnet.datasets import mediterranean
    >>> sst = (15 + 10 * mediterranean()).rename(ssh="sst")
    >>> observations = CloudySST(noise=0.3, cover=0.6).observe(sst, rng=0)
    >>> observations["sst"].dims
    ('time', 'lat', 'lon')
    """

    noise: str | float
    cover: float = 0.7

    def __post_init__(self) -> None:
        noise = check_size(self.noise, "noise")
        cover = check_positive(self.cover, "cover", "parts of one and not percent", zero=True)
        if cover >= 1:
            raise InvalidInputError(
                f"cover={self.cover!r} leaves no cell to be seen; give a mean fraction of cloudy "
                "cells below 1, such as 0.7."
            )
        object.__setattr__(self, "noise", noise)
        object.__setattr__(self, "cover", cover)

    def observe(self, dataset: xr.Dataset, *, rng: RandomState = None) -> xr.Dataset:
        """Observe daily maps where there is no cloud.

        Parameters
        ----------
        dataset : xarray.Dataset
            Variables with time, latitude and longitude, in any order, NaN on land, are observed
            under the same clouds, each with errors of its own; those that lack one of these
            dimensions are kept as they are. The steps in degrees are equal; as distances they are
            those of the middle latitude. dask arrays stay lazy; the clouds, one byte for each
            cell and day, do not.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of the clouds and errors; two calls with one seed are equal.

        Returns
        -------
        xarray.Dataset
            With the names, grid, order of dimensions, dtypes and attributes of `dataset`, NaN under
            clouds and on land; a boolean coordinate ``sea`` (latitude, longitude), where there is
            not one already, True where a variable is finite on any day; the attributes
            ``observing_cover`` and ``observing_noise``, and one more line of ``history``.

        Raises
        ------
        InvalidTypeError
            If `dataset` is no Dataset.
        InvalidInputError
            If an axis is missing, has no equal steps, or times are not in order; if no variable can
            be observed, or one has further dimensions, no floating-point values, or infinities.

        Warns
        -----
        XdvarnetWarning
            If clouds hide the whole sea on all days.
        """
        check_dataset(dataset)
        grid = find_grid(dataset)
        assert grid.days is not None
        names = observed_variables(dataset, grid)
        generator = default_rng(rng)
        cloudy = _draw_clouds(grid, self.cover, generator)
        observed = add_sea(dataset, names, grid).copy()
        _warn_if_overcast(cloudy, observed["sea"], grid)
        for name in names:
            seeds = generator.integers(2**63, size=grid.days.size)
            observed[name] = self._observe_variable(dataset[name], grid, cloudy, seeds)
        observed.attrs = derived(dataset.attrs, f"observe with {self!r}")
        return observed.assign_attrs(observing_cover=self.cover, observing_noise=self.noise)

    def _observe_variable(
        self, array: xr.DataArray, grid: Grid, cloudy: np.ndarray, seeds: np.ndarray
    ) -> xr.DataArray:
        noise = size_for(self.noise, array)

        def kernel(maps: np.ndarray, cloudy: np.ndarray, seeds: np.ndarray) -> np.ndarray:
            errors = [default_rng(seed).normal(0.0, noise, grid.shape) for seed in seeds]
            return np.where(cloudy, np.nan, maps + errors).astype(maps.dtype)

        return observe_maps(kernel, array, grid, cloudy, seeds)


def _draw_clouds(grid: Grid, cover: float, rng: np.random.Generator) -> np.ndarray:
    """Draw which cells are cloudy, shape (time, latitude, longitude).

    Each wave of a torus, longer than the domain by three outer scales, is an Ornstein-Uhlenbeck
    process in a moving frame, so that any steps in time are exact.
    """
    assert grid.days is not None
    if not grid.days.size:
        raise InvalidInputError(f"coordinate {grid.axes.time!r} is empty; there is no day.")
    check_times(grid.days, str(grid.axes.time), daily=False)
    for degrees, name in (
        (grid.latitude, grid.axes.latitude),
        (grid.longitude, grid.axes.longitude),
    ):
        check_regular(degrees, name, "the field of clouds")
    spacing = _spacing(grid)
    sizes = [
        fft.next_fast_len(n + round(3 * length / step), real=True)
        for n, length, step in zip(grid.shape, LENGTHS, spacing, strict=True)
    ]
    ky = 2 * np.pi * LENGTHS[0] * fft.fftfreq(sizes[0], spacing[0])[:, None]
    kx = 2 * np.pi * LENGTHS[1] * fft.rfftfreq(sizes[1], spacing[1])
    decay = (1 + ky**2 + kx**2) ** (1 / 3) / PERSISTENCE
    spectrum = fft.rfft2(_correlation(sizes, spacing)).real
    amplitude = np.sqrt(np.maximum(spectrum, 0)).astype(np.float32)
    threshold = norm.isf(cover)

    def renew() -> np.ndarray:
        return amplitude * fft.rfft2(rng.standard_normal(sizes, np.float32))

    waves = renew()
    cloudy = np.empty((grid.days.size, *grid.shape), bool)
    for position, step in enumerate(np.diff(grid.days, prepend=grid.days[0])):
        south, west = rng.normal(0.0, 86.4 * WIND * np.sqrt(step), 2) / LENGTHS
        kept = np.exp(-step * decay)
        waves *= kept * np.exp(1j * ky * south) * np.exp(1j * kx * west)
        waves += np.sqrt(1 - kept**2) * renew()
        field = fft.irfft2(waves, s=sizes)
        cloudy[position] = field[: grid.shape[0], : grid.shape[1]] > threshold
    return cloudy


def _correlation(sizes: list[int], spacing: tuple[float, float]) -> np.ndarray:
    """Correlation of the field on the torus with its first cell, shape `sizes`."""
    south, east = (
        np.arange(n // 2 + 1) * step / length
        for n, step, length in zip(sizes, spacing, LENGTHS, strict=True)
    )
    distance = np.hypot(south[:, None], east)
    distance[0, 0] = 1e-9
    quarter = 2 ** (2 / 3) / gamma(1 / 3) * distance ** (1 / 3) * kv(1 / 3, distance)
    return quarter[np.ix_(*(np.minimum(np.arange(n), n - np.arange(n)) for n in sizes))]


def _spacing(grid: Grid) -> tuple[float, float]:
    """Distance in km between cells in latitude and, at the middle latitude, in longitude."""
    rows, columns = np.deg2rad(grid.spacing) * EARTH_RADIUS
    return rows, columns * np.cos(np.deg2rad(grid.latitude.mean()))


def _warn_if_overcast(cloudy: np.ndarray, sea: xr.DataArray, grid: Grid) -> None:
    hidden = cloudy.all(axis=0)
    if sea.chunks is None:
        hidden = hidden | ~grid.arrange(sea).values.astype(bool)
    if hidden.all():
        warn(
            f"clouds hide the whole sea in these {len(cloudy)} day(s); all is unobserved. Give "
            "more days, or a lower cover."
        )
