"""A domain of maps with a margin around it, and a Gaussian field on both."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from xdvarnet.grids.checks import check_members
from xdvarnet.spde.field import Posterior, Prior
from xdvarnet.spde.iterative import CHUNK, IterativePosterior
from xdvarnet.spde.mesh import Mesh


@dataclass(frozen=True)
class Domain:
    """Cells of a domain in those of a field that has a margin on all sides.

    Attributes
    ----------
    prior : Prior
        The field, with its margin.
    shape : tuple of int
        Days, rows and columns without the margin.
    margin : tuple of int
        Rows and columns on each side.
    exact : bool
        Whether posteriors are exact, or by iterations.
    """

    prior: Prior
    shape: tuple[int, int, int]
    margin: tuple[int, int]
    exact: bool = True

    def places(self, day: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Return the number of each cell among the unknowns of the field."""
        rows, columns = self.prior.mesh.shape
        return (day * rows + row + self.margin[0]) * columns + column + self.margin[1]

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
        (days, rows, columns), (south, west) = self.shape, self.margin
        whole = fields.unflatten(-1, (days, *self.prior.mesh.shape))
        return whole[..., south : south + rows, west : west + columns].numpy().astype(np.float32)

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


def extend(values: np.ndarray, margin: tuple[int, int]) -> torch.Tensor:
    """Continue fields (..., ny, nx) into the margin as they are at the edge; a number stays one."""
    widths = [(0, 0)] * (values.ndim - 2) + [(count, count) for count in margin]
    return torch.as_tensor(np.pad(values, widths, mode="edge") if values.ndim else values)


def torch_generator(rng: np.random.Generator | None) -> torch.Generator:
    """Return a generator of torch that starts where `rng` is."""
    rng = np.random.default_rng() if rng is None else rng
    return torch.Generator().manual_seed(int(rng.integers(2**63)))


def margin_cells(latitude: np.ndarray, longitude: np.ndarray, width: float) -> tuple[int, int]:
    """Return the rows and columns of a margin of `width` metres. It ends at the poles."""
    degree = 111.195e3
    steps = [float(np.median(np.diff(axis))) for axis in (latitude, longitude)]
    shrink = math.cos(math.radians(float(np.abs(latitude).mean())))
    rows = math.ceil(width / (degree * steps[0]))
    room = int(min(90 + latitude[0], 90 - latitude[-1]) / steps[0] - 0.5)
    return max(min(rows, room), 0), math.ceil(width / (degree * shrink * steps[1]))


def extended_mesh(
    latitude: np.ndarray, longitude: np.ndarray, sea: np.ndarray, width: float
) -> tuple[Mesh, tuple[int, int]]:
    """Return the mesh of a grid with a margin, and the margin's rows and columns.

    Beyond the edges, land and sea go on as they are at the edge. The margin ends at the poles.

    Parameters
    ----------
    latitude, longitude : numpy.ndarray
        Increasing, in degrees, in equal steps.
    sea : numpy.ndarray
        Boolean, shape (latitude, longitude).
    width : float
        Of the margin, in m.
    """
    margin = margin_cells(latitude, longitude, width)
    steps = [float(np.median(np.diff(axis))) for axis in (latitude, longitude)]
    rows, columns = (
        np.concatenate(
            [
                axis[0] - step * np.arange(count, 0, -1),
                axis,
                axis[-1] + step * np.arange(1, count + 1),
            ]
        )
        for axis, step, count in zip((latitude, longitude), steps, margin, strict=True)
    )
    around = np.pad(sea, [(count, count) for count in margin], mode="edge")
    mesh = Mesh.from_degrees(*map(torch.as_tensor, (rows, columns, around)))
    return mesh, margin
