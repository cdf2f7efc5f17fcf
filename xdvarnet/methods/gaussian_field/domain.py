"""A domain of maps with a margin around it, and a Gaussian field on both."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from xdvarnet.grids.checks import check_members
from xdvarnet.spde.field import Posterior, Prior
from xdvarnet.spde.iterative import CHUNK, IterativePosterior
from xdvarnet.spde.mesh import Mesh

DEGREE = 111.195e3
"""Length of a degree of latitude, in m."""


@dataclass(frozen=True)
class Margin:
    """Rows and columns of a field beyond the edges of a domain.

    Attributes
    ----------
    south, north, west, east : int
        How many.
    ring : bool
        Whether the columns, with those of the margin, go around the globe.
    """

    south: int
    north: int
    west: int
    east: int
    ring: bool = False

    @property
    def widths(self) -> list[tuple[int, int]]:
        """Rows before and after, and columns."""
        return [(self.south, self.north), (self.west, self.east)]


@dataclass(frozen=True)
class Domain:
    """Cells of a domain in those of a field that has a margin on all sides.

    Attributes
    ----------
    prior : Prior
        The field, with its margin.
    shape : tuple of int
        Days, rows and columns without the margin.
    margin : Margin
        Rows and columns around it.
    exact : bool
        Whether posteriors are exact, or by iterations.
    """

    prior: Prior
    shape: tuple[int, int, int]
    margin: Margin
    exact: bool = True

    def places(self, day: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Return the number of each cell among the unknowns of the field."""
        rows, columns = self.prior.mesh.shape
        return (day * rows + row + self.margin.south) * columns + column + self.margin.west

    def operator(self, places: np.ndarray, weights: np.ndarray) -> torch.Tensor:
        """Return the sparse matrix from the field to observations.

        Parameters
        ----------
        places, weights : numpy.ndarray
            Cells that an observation is made of and their weights, shape (cells, observations).
        """
        count = places.shape[1]
        rows = np.broadcast_to(np.arange(count), places.shape)
        indices = torch.as_tensor(np.stack([rows.ravel(), places.ravel()]))
        values = torch.as_tensor(weights, dtype=torch.float64).reshape(-1)
        size = (count, self.prior.unknowns)
        whole = torch.sparse_coo_tensor(indices, values, size, check_invariants=False)
        return whole.coalesce()

    def crop(self, fields: torch.Tensor) -> np.ndarray:
        """Return fields (..., unknowns) as (..., time, latitude, longitude), without the margin."""
        (days, rows, columns), margin = self.shape, self.margin
        whole = fields.unflatten(-1, (days, *self.prior.mesh.shape))
        inside = whole[..., margin.south :, margin.west :][..., :rows, :columns]
        return inside.numpy().astype(np.float32)

    def condition(
        self, places: np.ndarray, weights: np.ndarray, values: np.ndarray, noise: np.ndarray
    ) -> Posterior | IterativePosterior:
        """Condition the field on observations.

        Parameters
        ----------
        places, weights : numpy.ndarray
            As in `operator`.
        values, noise : numpy.ndarray
            The observations and the standard deviations of their errors, shape (observations,).
        """
        condition = self.prior.condition if self.exact else self.prior.condition_iteratively
        known = (torch.as_tensor(each, dtype=torch.float64) for each in (values, noise))
        return condition(self.operator(places, weights), *known)

    def describe(
        self,
        posterior: Posterior | IterativePosterior,
        members: int | None,
        rng: np.random.Generator | None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return the mean, the standard deviation and, if asked for, members.

        Raises
        ------
        InvalidInputError
            If fewer than two members are asked for.
        """
        check_members(members, return_members=False)
        mean, std, drawn = posterior.describe(members, torch_generator(rng))
        return self.crop(mean), self.crop(std), None if members is None else self.crop(drawn)

    def sample(self, members: int, rng: np.random.Generator | None) -> np.ndarray:
        """Draw members of the prior, a few at a time: memory holds what is returned and these."""
        generator = torch_generator(rng)
        few = max(1, CHUNK // self.prior.unknowns)
        counts = [min(few, members - start) for start in range(0, members, few)]
        parts = [
            self.crop(self.prior.chain.sample(count, generator).flatten(1)) for count in counts
        ]
        return np.concatenate(parts)


def extend(values: np.ndarray, margin: Margin) -> torch.Tensor:
    """Continue fields (..., ny, nx) into the margin as they are at the edge; a number stays one."""
    widths = [(0, 0)] * (values.ndim - 2) + margin.widths
    return torch.as_tensor(np.pad(values, widths, mode="edge") if values.ndim else values)


def torch_generator(rng: np.random.Generator | None) -> torch.Generator:
    """Return a generator of torch that starts where `rng` is."""
    rng = np.random.default_rng() if rng is None else rng
    return torch.Generator().manual_seed(int(rng.integers(2**63)))


def find_margin(latitude: np.ndarray, longitude: np.ndarray, width: float) -> Margin:
    """Return the margin of `width` metres of a domain.

    It ends at the poles. Where it would go around the globe it fills the gap between the last and
    the first longitude, and the columns close.

    Parameters
    ----------
    latitude, longitude : numpy.ndarray
        Increasing, in degrees; longitudes in equal steps.
    width : float
        In m.
    """
    south, north = (
        max(min(math.ceil(width / (DEGREE * step)), int(room / step - 0.5)), 0)
        for step, room in (
            (latitude[1] - latitude[0], 90 + latitude[0]),
            (latitude[-1] - latitude[-2], 90 - latitude[-1]),
        )
    )
    step = float(np.median(np.diff(longitude)))
    shrink = math.cos(math.radians(float(np.abs(latitude).mean())))
    columns = math.ceil(width / (DEGREE * shrink * step))
    missing = max(round((360 - float(np.ptp(longitude))) / step) - 1, 0)
    if missing > 2 * columns:
        return Margin(south, north, columns, columns)
    return Margin(south, north, missing // 2, missing - missing // 2, ring=True)


def extended_mesh(
    latitude: np.ndarray, longitude: np.ndarray, sea: np.ndarray, width: float
) -> tuple[Mesh, Margin]:
    """Return the mesh of a grid with a margin, and the margin.

    Beyond the edges, land and sea go on as they are at the edge. See `find_margin`.

    Parameters
    ----------
    latitude, longitude : numpy.ndarray
        Increasing, in degrees; longitudes in equal steps. A row at a pole stands for the cap around
        it, with its centre half-way to the border of the row.
    sea : numpy.ndarray
        Boolean, shape (latitude, longitude).
    width : float
        Of the margin, in m.
    """
    margin = find_margin(latitude, longitude, width)
    south, north = latitude[1] - latitude[0], latitude[-1] - latitude[-2]
    rows = _continue(latitude, (south, north), (margin.south, margin.north))
    rows = rows.clip(-90 + south / 4, 90 - north / 4)
    step = float(np.median(np.diff(longitude)))
    if margin.ring:
        step = (360 - float(np.ptp(longitude))) / (margin.west + margin.east + 1)
    columns = _continue(longitude, (step, step), (margin.west, margin.east))
    around = np.pad(sea, margin.widths, mode="edge")
    mesh = Mesh.from_degrees(*map(torch.as_tensor, (rows, columns, around)), ring=margin.ring)
    return mesh, margin


def _continue(axis: np.ndarray, steps: tuple[float, float], counts: tuple[int, int]) -> np.ndarray:
    """Continue an axis by so many steps before and after."""
    before = axis[0] - steps[0] * np.arange(counts[0], 0, -1)
    return np.concatenate([before, axis, axis[-1] + steps[1] * np.arange(1, counts[1] + 1)])
