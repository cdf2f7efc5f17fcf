"""The grid on which a network sees another sea: as many cells in a length as where it was trained.

Lengths, times and heights of a sea are brought to those of the training: one correlation length is
as many cells of the work grid as it was there, one correlation time as many steps, and heights are
in units of the local standard deviation.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from xdvarnet.mapping.observations import Observations
from xdvarnet.networks.training_grid import DEGREE


@dataclass(frozen=True)
class WorkGrid:
    """Cells and steps that cover a domain.

    Attributes
    ----------
    days, latitude, longitude : numpy.ndarray
        Increasing, with equal steps; days since 1950-01-01, and degrees.
    sea : numpy.ndarray
        Shape (latitude, longitude); False beyond the domain.
    """

    days: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    sea: np.ndarray

    @classmethod
    def over(
        cls, domain: Observations, spacing: float, step: float, least: tuple[int, int, int]
    ) -> Self:
        """Cover a domain.

        Parameters
        ----------
        domain : Observations
            Its days, places and sea are covered.
        spacing : float
            Of cells, in km, at the mean latitude.
        step : float
            In days.
        least : tuple of int
            Fewest steps, rows and columns; a smaller domain is padded on both sides.
        """
        latitude, longitude = domain.place
        widest = np.cos(np.deg2rad((latitude[0] + latitude[-1]) / 2))
        steps = step, spacing / DEGREE, spacing / DEGREE / widest
        axes = [
            _cover(axis, size, fewest)
            for axis, size, fewest in zip(
                (domain.days, latitude, longitude), steps, least, strict=True
            )
        ]
        inside = [
            _inside(axis, known, size)
            for axis, known, size in zip(axes[1:], (latitude, longitude), steps[1:], strict=True)
        ]
        rows, columns = (
            _nearest(known, axis) for known, axis in ((latitude, axes[1]), (longitude, axes[2]))
        )
        sea = domain.sea[np.ix_(rows, columns)] & inside[0][:, None] & inside[1]
        days, north, east = axes
        return cls(days, north, east, sea)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of steps, rows and columns."""
        return self.days.size, self.latitude.size, self.longitude.size

    def bin(self, domain: Observations, values: np.ndarray) -> np.ndarray:
        """Average observed values (time, latitude, longitude) of a domain in each cell and step."""
        observed = np.nonzero(np.isfinite(values) & domain.sea)
        axes = (self.days, *self._places)
        known = (domain.days, *domain.place)
        index = [
            _nearest(axis, points)[where]
            for axis, points, where in zip(axes, known, observed, strict=True)
        ]
        cells = np.ravel_multi_index(tuple(index), self.shape)
        size = int(np.prod(self.shape))
        count = np.bincount(cells, minlength=size)
        total = np.bincount(cells, values[observed], minlength=size)
        mean = np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
        return mean.reshape(self.shape).astype(np.float32)

    def sample(self, fields: np.ndarray, domain: Observations) -> np.ndarray:
        """Interpolate fields (time, latitude, longitude) linearly to the cells of a domain.

        Cells beyond the sea of the work grid have no weight.
        """
        axes = (self.days, *self._places)
        latitude, longitude = domain.place
        known = [
            np.clip(points, axis[0], axis[-1])
            for points, axis in zip((domain.days, latitude, longitude), axes, strict=True)
        ]
        points = np.stack(np.meshgrid(*known, indexing="ij"), -1)
        wet = np.broadcast_to(self.sea, self.shape).astype(np.float64)
        share = RegularGridInterpolator(axes, wet)(points)
        total = RegularGridInterpolator(axes, np.where(self.sea, fields, 0).astype(float))(points)
        return np.divide(total, share, out=np.zeros_like(total), where=share > 0)

    @property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        return self.latitude, self.longitude


def _cover(points: np.ndarray, step: float, least: int) -> np.ndarray:
    """Equal steps from the first to the last point or beyond, at least so many."""
    length = float(points[-1] - points[0])
    count = max(int(np.ceil(length / step - 1e-6)) + 1, least)
    start = (points[0] + points[-1]) / 2 - step * (count - 1) / 2
    return start + step * np.arange(count)


def _nearest(axis: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Positions on an increasing axis that are nearest to points."""
    right = np.clip(np.searchsorted(axis, points), 1, max(axis.size - 1, 1))
    left = right - 1
    right = np.minimum(right, axis.size - 1)
    return np.where(points - axis[left] <= axis[right] - points, left, right)


def _inside(axis: np.ndarray, known: np.ndarray, step: float) -> np.ndarray:
    return (axis > known[0] - step) & (axis < known[-1] + step)
