"""The grid on which a network sees another sea: as many cells in a length as where it was trained.

Lengths, times and heights of a sea are brought to those of the training: one correlation length is
as many cells of the work grid as it was there, one correlation time as many steps, and heights are
in units of the local standard deviation.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from xdvarnet.grids.coords import nearest_positions
from xdvarnet.mapping.cover import Window
from xdvarnet.mapping.observations import Observations
from xdvarnet.networks.training_grid import DEGREE


@dataclass(frozen=True)
class WorkGrid:
    """Cells and steps that cover a domain.

    Attributes
    ----------
    days, latitude, longitude : numpy.ndarray
        Increasing, with equal steps; days since 1950-01-01, and degrees.
    wanted : slice or None
        Positions of the steps that the used days of the domain lie between; None for all.
    offset : int
        Position of the first step in those of the whole record.
    record : int or None
        Steps of the whole record; None where these are all of it.
    """

    days: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    wanted: slice | None = None
    offset: int = 0
    record: int | None = None

    @classmethod
    def over(
        cls,
        domain: Observations,
        spacing: float,
        step: float,
        window: Window,
        *,
        margin: float = 0.0,
    ) -> Self:
        """Cover a domain with whole windows.

        It reaches beyond the domain on both sides, so that no window has an edge inside.

        Parameters
        ----------
        domain : Observations
            Its days and places are covered.
        spacing : float
            Of cells, in km, at the mean latitude.
        step : float
            In days.
        window : Window
            Of the network.
        margin : float
            Days around the windows of the used days that have steps as well, where the domain is a
            part of a record. The steps are those that the whole record has.
        """
        assert window.stride is not None  # a window sets it
        latitude, longitude = domain.place
        widest = np.cos(np.deg2rad((latitude[0] + latitude[-1]) / 2))
        steps = step, spacing / DEGREE, spacing / DEGREE / widest
        ends = domain.period, (latitude[0], latitude[-1]), (longitude[0], longitude[-1])
        every, north, east = (
            _cover(first, last, *sizes)
            for (first, last), *sizes in zip(ends, steps, window.sizes, window.stride, strict=True)
        )
        used = domain.days[domain.used]
        first = max(int(np.searchsorted(every, used[0], side="right")) - 1, 0)
        last = min(int(np.searchsorted(every, used[-1])), every.size - 1)
        around = window.time - 1 + int(np.ceil(margin / step))
        start, stop = max(first - around, 0), min(last + around + 1, every.size)
        wanted = slice(first - start, last + 1 - start)
        return cls(every[start:stop], north, east, wanted, start, every.size)

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
            nearest_positions(axis, points)[where]
            for axis, points, where in zip(axes, known, observed, strict=True)
        ]
        cells = np.ravel_multi_index(tuple(index), self.shape)
        size = int(np.prod(self.shape))
        count = np.bincount(cells, minlength=size)
        total = np.bincount(cells, values[observed], minlength=size)
        mean = np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
        return mean.reshape(self.shape).astype(np.float32)

    def sample(self, fields: np.ndarray, domain: Observations) -> np.ndarray:
        """Interpolate fields (time, latitude, longitude) linearly to the cells of a domain."""
        axes = (self.days, *self._places)
        known = [
            np.clip(points, axis[0], axis[-1])
            for points, axis in zip((domain.days, *domain.place), axes, strict=True)
        ]
        points = np.stack(np.meshgrid(*known, indexing="ij"), -1)
        return RegularGridInterpolator(axes, fields.astype(float))(points)

    @property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        return self.latitude, self.longitude


def _cover(first: float, last: float, step: float, size: int, stride: int) -> np.ndarray:
    """Equal steps from the first to the last point or beyond, as many as whole windows have."""
    needed = int(np.ceil(float(last - first) / step - 1e-6)) + 1
    count = size + max(-(-(needed - size) // stride), 0) * stride
    start = (first + last) / 2 - step * (count - 1) / 2
    return start + step * np.arange(count)
