"""Optimal interpolation: the linear analysis with a prescribed Gaussian covariance."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from scipy.spatial import KDTree

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.checks import (
    DAY_TOLERANCE,
    check_positive,
    check_regular,
    check_units,
    quantity,
)
from xdvarnet.grids.coords import EARTH_RADIUS
from xdvarnet.grids.smoothing import local_mean
from xdvarnet.mapping.background import Background, ObservedBackground, check_background
from xdvarnet.mapping.protocol import Analysis, Observations, Reconstructor, no_members

BATCH_BYTES = 2**23
"""Memory of the covariance matrices factored together; larger allocations are slower to get."""

LARGEST_BLOCK = 3, 4, 4
"""Days, rows and columns that are analysed with the same observations, at most."""

LEAST_NOISE = 1e-10
"""Smallest variance of the error, relative to the prior's, with which matrices stay regular."""

LEAST_VARIANCE = 0.1
"""Smallest local estimate of the variance, relative to that of the whole domain."""


class OptimalInterpolation(Reconstructor):
    """Local optimal interpolation in space and time.

    The anomaly from the background is a Gaussian field with covariance
    ``s s' exp(-(d / L)^2 - (dt / T)^2)``, observed with independent errors; s is its standard
    deviation, one for all or one for each place. The analysis is ``x = C_gy (C_yy + R)^-1 y``, with
    the formal error variance ``s^2 - C_gy (C_yy + R)^-1 C_yg`` (Bretherton et al. 1976,
    doi 10.1016/0011-7471(76)90001-2, eqs. 9 and 13).

    It is local: a block of cells (at most 3 days and 4 x 4 cells, and no wider than T and L) uses
    the `neighbours` observations that are nearest to its centre in the scaled distance
    ``(d / L)^2 + (dt / T)^2``, and within half a `time_window`. Days need not be regular.

    Parameters
    ----------
    variable : str
        Name of the variable in the Dataset.
    correlation_length, correlation_time : str or float
        Distance L and time T at which the correlation is 1/e, such as ``"60 km"`` and
        ``"20 days"``; numbers are in km and days. Distances are chords through the Earth, which are
        shorter than the arc by less than 0.02 % at 400 km.
    noise : float
        Standard deviation of the observation error, in `units`.
    std : float, optional
        Standard deviation of the anomaly, in `units`. By default it is estimated from the
        observations: their mean square less that of the noise, and at least the noise.
    std_length : str or float, optional
        Standard deviation of the Gaussian (km) over which that estimate is averaged, so that it
        differs between energetic and quiet places; by default one estimate for all.
    units : str
        Units in which the analysis is made; the data are converted and converted back.
    background : Background, optional
        By default `ObservedBackground()`.
    time_window : float
        Length in days, centred on a block, in which observations are used.
    neighbours : int
        Number of observations in a local analysis. With all of them it is the dense analysis.

    Raises
    ------
    InvalidInputError
        If a length, a time, a noise, a number or the units are not accepted.
    InvalidTypeError
        If `variable` is no string, or `background` is no background.

    Examples
    --------
    >>> import xdvarnet
    >>> oi = xdvarnet.OptimalInterpolation(
    ...     "ssh", correlation_length="60 km", correlation_time="20 days", noise=0.02
    ... )
    """

    gives_std = True

    def __init__(
        self,
        variable: str,
        *,
        correlation_length: str | float,
        correlation_time: str | float,
        noise: float,
        std: float | None = None,
        std_length: str | float | None = None,
        units: str = "m",
        background: Background | None = None,
        time_window: float = 31,
        neighbours: int = 200,
    ) -> None:
        if not isinstance(variable, str):
            raise InvalidTypeError(
                f"variable={variable!r} is no string; give the name of one variable, such as 'ssh'."
            )
        self.variable, self.units = variable, check_units(units)
        self.variables: Mapping[str, str] = {variable: units}
        self.correlation_length = quantity(correlation_length, "km", "correlation_length")
        self.correlation_time = quantity(correlation_time, "day", "correlation_time")
        self.noise = check_positive(noise, "noise", units)
        self.std = None if std is None else check_positive(std, "std", units)
        self.std_length = None if std_length is None else quantity(std_length, "km", "std_length")
        if std is not None and std_length is not None:
            raise InvalidInputError(
                f"std={std} and std_length={std_length!r} exclude each other: a given standard "
                "deviation is not estimated. Give one of them."
            )
        self.background = check_background(
            ObservedBackground() if background is None else background
        )
        self.time_window = check_positive(time_window, "time_window", "days")
        number = check_positive(neighbours, "neighbours", "observations")
        if not number.is_integer():
            raise InvalidInputError(f"neighbours={neighbours!r} is no whole number; give one.")
        self.neighbours = int(number)

    def __repr__(self) -> str:
        return (
            f"OptimalInterpolation({self.variable!r}, "
            f"correlation_length='{self.correlation_length:g} km', "
            f"correlation_time='{self.correlation_time:g} days', noise={self.noise:g}, "
            f"std={self.std}, std_length={self.std_length}, units={self.units!r}, "
            f"time_window={self.time_window:g}, neighbours={self.neighbours}, "
            f"background={self.background!r})"
        )

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> "OptimalInterpolation":
        """Return the same method with another background, such as that of a trained model.

        Raises
        ------
        InvalidTypeError
            If it is no background.
        InvalidInputError
            If a device or a precision is given: it runs on the CPU, in float64.
        """
        super().with_options(device=device, precision=precision)
        return OptimalInterpolation(
            self.variable,
            correlation_length=self.correlation_length,
            correlation_time=self.correlation_time,
            noise=self.noise,
            std=self.std,
            std_length=self.std_length,
            units=self.units,
            background=self.background if background is None else background,
            time_window=self.time_window,
            neighbours=self.neighbours,
        )

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Analyse one window; the mean and the formal error of every sea cell.

        Where some days alone are wanted, others are left at the background.

        Raises
        ------
        InvalidInputError
            If members are asked for: this method gives a variance, and members once calibrated.
        """
        if members is not None:
            raise no_members(self)
        values = observations.values[self.variable]
        observed = np.isfinite(values) & observations.sea
        prior = self._prior_std(observations, values, observed)
        mean = np.zeros(observations.shape, np.float32)
        std = np.tile(prior.astype(np.float32), (observations.days.size, 1, 1))
        index = np.flatnonzero(observed)
        scale = prior.flat[index % prior.size]
        data = torch.from_numpy(values[observed] / scale)
        noise = torch.from_numpy(np.maximum((self.noise / scale) ** 2, LEAST_NOISE))
        where = self._scaled_positions(observations, index)
        for targets, neighbours in self._local_problems(observations, index, where):
            analysis, variance = _analyse(
                self._scaled_positions(observations, targets),
                where[neighbours],
                data[neighbours],
                noise[neighbours],
            )
            amplitude = prior.flat[targets % prior.size]
            mean.flat[targets] = amplitude * analysis.numpy()
            std.flat[targets] = amplitude * variance.clamp(min=0).sqrt().numpy()
        return Analysis({self.variable: mean}, {self.variable: std})

    def _prior_std(
        self, observations: Observations, values: np.ndarray, observed: np.ndarray
    ) -> np.ndarray:
        """Standard deviation of the anomaly, shape (latitude, longitude)."""
        shape = observations.sea.shape
        if self.std is not None:
            return np.full(shape, self.std)
        squares = np.where(observed, values, 0).astype(float) ** 2
        overall = squares.sum() / max(observed.sum(), 1) - self.noise**2
        overall = max(overall, self.noise**2)
        if self.std_length is None:
            return np.full(shape, overall**0.5)
        latitude, longitude = observations.place
        check_regular(latitude, "latitude", "std_length")
        check_regular(longitude, "longitude", "std_length")
        local = local_mean(squares.sum(0), observed.sum(0), latitude, longitude, self.std_length)
        return np.sqrt(np.maximum(local - self.noise**2, LEAST_VARIANCE * overall))

    def _scaled_positions(self, observations: Observations, index: np.ndarray) -> torch.Tensor:
        """Positions of the cells of a flat `index`, shape (..., 4).

        They are such that the correlation is exp(-distance^2).
        """
        day, row, column = np.unravel_index(index, observations.shape)
        latitude, longitude = (np.deg2rad(degrees) for degrees in observations.place)
        scale = EARTH_RADIUS / self.correlation_length
        across = scale * np.cos(latitude)[row]
        time = (observations.days - observations.days[0]) / self.correlation_time
        components = (
            across * np.cos(longitude)[column],
            across * np.sin(longitude)[column],
            (scale * np.sin(latitude))[row],
            time[day],
        )
        return torch.from_numpy(np.stack(components, axis=-1))

    def _local_problems(
        self, observations: Observations, index: np.ndarray, where: torch.Tensor
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield batches of local problems.

        Parameters
        ----------
        observations : Observations
            Of the whole domain.
        index : numpy.ndarray
            Flat indices of the observed cells, shape (p,).
        where : torch.Tensor
            Their scaled positions, shape (p, 4).

        Yields
        ------
        targets, neighbours : numpy.ndarray
            Flat indices of the cells of each block, shape (block, m), and numbers of the
            observations that it uses, shape (block, n).
        """
        days_of_observations = observations.days[index // observations.sea.size]
        tiles = _tiles(observations.sea, self._tile_size(observations))
        for days in self._groups_of_days(observations.days):
            if days[-1] < observations.used.start or days[0] >= observations.used.stop:
                continue
            distance = np.abs(days_of_observations - observations.days[days].mean())
            near = np.flatnonzero(distance <= self.time_window / 2)
            if near.size == 0:
                continue
            offsets = days * observations.sea.size
            targets = (offsets[None, :, None] + tiles[:, None, :]).reshape(len(tiles), -1)
            number = min(self.neighbours, near.size)
            centres = self._scaled_positions(observations, targets).mean(1)
            _, found = KDTree(where[near]).query(centres, k=np.arange(1, number + 1), workers=-1)
            step = max(1, BATCH_BYTES // (8 * number * (number + targets.shape[1])))
            for first in range(0, len(targets), step):
                batch = slice(first, first + step)
                yield targets[batch], near[found[batch]]

    def _groups_of_days(self, days: np.ndarray) -> Iterator[np.ndarray]:
        """Positions of the days that are analysed together."""
        size = LARGEST_BLOCK[0]
        longest = min(size - 1, self.correlation_time) + DAY_TOLERANCE
        start = 0
        for position in range(1, days.size + 1):
            full = position == days.size or position - start == size
            if full or days[position] - days[start] > longest:
                yield np.arange(start, position)
                start = position

    def _tile_size(self, observations: Observations) -> tuple[int, int]:
        """Rows and columns that are analysed together."""
        degree = np.deg2rad(EARTH_RADIUS)
        latitude, longitude = observations.place
        row = degree * np.median(np.diff(latitude))
        widest = np.cos(np.deg2rad(latitude)).max()
        column = degree * np.median(np.diff(longitude)) * widest
        rows, columns = (1 + int(self.correlation_length / step) for step in (row, column))
        return min(rows, LARGEST_BLOCK[1]), min(columns, LARGEST_BLOCK[2])


def _tiles(sea: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Group the sea cells of a (latitude, longitude) mask into tiles of neighbouring cells.

    Returns the flat indices of the cells, shape (tile, cells); a tile with fewer sea cells repeats
    its own, so that all have the same length.
    """
    row, column = np.nonzero(sea)
    columns_of_tiles = -(-sea.shape[1] // size[1])
    tile = row // size[0] * columns_of_tiles + column // size[1]
    order = np.argsort(tile, kind="stable")
    cells = np.ravel_multi_index((row[order], column[order]), sea.shape)
    _, start, count = np.unique(tile[order], return_index=True, return_counts=True)
    return cells[start[:, None] + np.arange(count.max()) % count[:, None]]


def _analyse(
    targets: torch.Tensor,
    where: torch.Tensor,
    data: torch.Tensor,
    noise_variance: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Solve a batch of local problems with unit prior variance.

    Parameters
    ----------
    targets : torch.Tensor
        Scaled positions, shape (block, m, 4).
    where : torch.Tensor
        Scaled positions of the observations of each block, shape (block, n, 4).
    data, noise_variance : torch.Tensor
        Their values and error variances, shape (block, n).

    Returns
    -------
    tuple of torch.Tensor
        Analysis and its variance, shape (block, m).
    """
    centre = targets.mean(1, keepdim=True)
    where, targets = where - centre, targets - centre
    covariance = _correlation(where, where)
    covariance.diagonal(dim1=1, dim2=2).add_(noise_variance)
    factor = torch.linalg.cholesky(covariance)
    right = torch.cat([_correlation(where, targets), data.unsqueeze(2)], dim=2)
    solved = torch.linalg.solve_triangular(factor, right, upper=False)
    weights, innovation = solved[..., :-1], solved[..., -1:]
    return (weights * innovation).sum(1), 1 - weights.square().sum(1)


def _correlation(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    squares = first.square().sum(-1).unsqueeze(2) + second.square().sum(-1).unsqueeze(1)
    return squares.baddbmm_(first, second.mT, alpha=-2).neg_().clamp_(max=0).exp_()
