"""Optimal interpolation: the linear analysis with a prescribed Gaussian covariance."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from scipy.spatial import KDTree

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_positive, quantity
from xdvarnet.grids.coords import EARTH_RADIUS
from xdvarnet.grids.smoothing import local_mean
from xdvarnet.models.background import Background, ObservedBackground
from xdvarnet.models.base import Analysis, Observations

BATCH_BYTES = 2**27
"""Memory of the covariance matrices that are factored together."""

LEAST_VARIANCE = 0.1
"""Smallest local estimate of the variance, relative to that of the whole domain."""


class OptimalInterpolation:
    """Local optimal interpolation in space and time.

    The anomaly from the background is a Gaussian field with covariance
    ``s s' exp(-(d / L)^2 - (dt / T)^2)``, observed with independent errors; s is its standard
    deviation, one for all or one for each place. For each block of
    grid points, the analysis uses the `neighbours` observations that are nearest to its centre in the
    scaled distance ``(d / L)^2 + (dt / T)^2`` and within half a `time_window`:
    ``x = C_gy (C_yy + R)^-1 y`` with the formal error variance ``std^2 - C_gy (C_yy + R)^-1 C_yg``
    (Bretherton et al. 1976, doi 10.1016/0011-7471(76)90001-2, eqs. 9 and 13).

    Parameters
    ----------
    variable : str
        Name of the variable in the Dataset.
    correlation_length, correlation_time : str or float
        Distance L and time T at which the correlation is 1/e, such as ``"60 km"`` and ``"20 days"``;
        numbers are in km and days. Distances are chords through the Earth, which are shorter than
        the arc by less than 0.02 % at 400 km.
    noise : float
        Standard deviation of the observation error, in `units`.
    std : float, optional
        Standard deviation of the anomaly, in `units`. By default it is estimated from the
        observations: their mean square less that of the noise.
    std_length : str or float, optional
        Standard deviation of the Gaussian (km) over which that estimate is averaged, so that it
        differs between energetic and quiet places; by default one estimate for all.
    units : str
        Units in which the analysis is made; the data are converted and converted back.
    background : Background, optional
        By default `ObservedBackground()`.
    time_window : int
        Length in days, centred on the analysis day, in which observations are used.
    neighbours : int
        Number of observations in a local analysis. With all of them it is the dense analysis.

    Raises
    ------
    InvalidInputError
        If a length, a time, a noise or a number is not accepted.

    Examples
    --------
    >>> import xdvarnet
    >>> oi = xdvarnet.OptimalInterpolation(
    ...     "ssh", correlation_length="60 km", correlation_time="20 days", noise=0.02
    ... )
    """

    window = None
    first_guess = None
    training_grid = None
    gives_std = True
    _block = (3, 4, 4)  # days, rows, columns analysed with the same observations

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
        time_window: int = 31,
        neighbours: int = 200,
    ) -> None:
        self.variable, self.units = variable, units
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
        self.background = ObservedBackground() if background is None else background
        self.time_window = int(check_positive(time_window, "time_window", "days"))
        self.neighbours = int(check_positive(neighbours, "neighbours", "observations"))

    def __repr__(self) -> str:
        (variable,) = self.variables
        return (
            f"OptimalInterpolation({variable!r}, correlation_length='{self.correlation_length:g} km', "
            f"correlation_time='{self.correlation_time:g} days', noise={self.noise:g}, "
            f"std={self.std}, std_length={self.std_length}, time_window={self.time_window}, neighbours={self.neighbours}, "
            f"background={self.background!r})"
        )

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Analyse one window; the mean and the formal error of every sea cell.

        Raises
        ------
        InvalidInputError
            If members are asked for: this method gives a variance and no members.
        """
        if members is not None:
            raise InvalidInputError(
                "OptimalInterpolation has no ensemble; its formal error is returned as the standard "
                "deviation. Leave members=None."
            )
        (variable,) = self.variables
        values = observations.values[variable]
        observed = np.isfinite(values) & observations.sea
        mean = np.zeros(observations.shape, np.float32)
        data = torch.from_numpy(values[observed].astype(float))
        prior = self._prior_std(observations, values, observed)
        std = np.tile(prior.astype(np.float32), (observations.days.size, 1, 1))
        if data.numel() == 0:
            return Analysis({variable: mean}, {variable: std})
        scale = torch.from_numpy(np.broadcast_to(prior, observed.shape)[observed])
        position = torch.from_numpy(self._scaled_positions(observations))
        where = position[torch.from_numpy(observed)]
        flat_position = position.reshape(-1, 4)
        flat_mean, flat_std = mean.reshape(-1), std.reshape(-1)
        flat_prior = torch.from_numpy(prior.reshape(-1))
        for targets, neighbours in self._local_problems(
            observations, observed, flat_position, where
        ):
            analysis, variance = _analyse(
                flat_position[targets],
                where[neighbours],
                (data / scale)[neighbours],
                (self.noise / scale[neighbours]).square(),
            )
            amplitude = flat_prior[targets % flat_prior.numel()]
            flat_mean[targets] = (amplitude * analysis).numpy()
            flat_std[targets] = (amplitude * variance.clamp(min=0).sqrt()).numpy()
        return Analysis({variable: mean}, {variable: std})

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
        local = local_mean(
            squares.sum(0),
            observed.sum(0),
            observations.latitude,
            observations.longitude,
            self.std_length,
        )
        return np.sqrt(np.maximum(local - self.noise**2, LEAST_VARIANCE * overall))

    def _scaled_positions(self, observations: Observations) -> np.ndarray:
        """Positions such that the correlation is exp(-distance^2), shape (time, lat, lon, 4)."""
        latitude = np.deg2rad(observations.latitude)[:, None]
        longitude = np.deg2rad(observations.longitude)[None, :]
        scale = EARTH_RADIUS / self.correlation_length
        position = np.empty((*observations.shape, 4))
        position[..., 0] = scale * np.cos(latitude) * np.cos(longitude)
        position[..., 1] = scale * np.cos(latitude) * np.sin(longitude)
        position[..., 2] = scale * np.sin(latitude)
        position[..., 3] = ((observations.days - observations.days[0]) / self.correlation_time)[
            :, None, None
        ]
        return position

    def _local_problems(
        self,
        observations: Observations,
        observed: np.ndarray,
        position: torch.Tensor,
        where: torch.Tensor,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield batches of (targets, neighbours): flat indices of shapes (block, m) and (block, n)."""
        day_of_observation = observations.days[np.nonzero(observed)[0]]
        tiles = torch.from_numpy(_tiles(observations.sea, self._block[1:]))
        for first in range(0, observations.days.size, self._block[0]):
            days = np.arange(first, min(first + self._block[0], observations.days.size))
            distance = np.abs(day_of_observation - observations.days[days].mean())
            near = np.flatnonzero(distance <= self.time_window / 2)
            if near.size == 0:
                continue
            offsets = torch.from_numpy(days * observations.sea.size)
            targets = (offsets[None, :, None] + tiles[:, None, :]).flatten(1)
            number = min(self.neighbours, near.size)
            _, found = KDTree(where[near].numpy()).query(
                position[targets].mean(1).numpy(), k=np.arange(1, number + 1), workers=-1
            )
            neighbours = torch.from_numpy(near[found])
            step = max(1, BATCH_BYTES // (8 * number * (number + targets.shape[1])))
            yield from zip(targets.split(step), neighbours.split(step), strict=True)


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
