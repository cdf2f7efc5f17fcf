"""A domain of maps with a margin around it, and a Gaussian field on both."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.field import Posterior, Prior
from xdvarnet.spde.mesh import Mesh

LEAST_MEMBERS = 2
"""An ensemble has a spread from two members on."""


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
    """

    prior: Prior
    shape: tuple[int, int, int]
    margin: tuple[int, int]

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
        size = (count, len(self.prior.precision))
        whole = torch.sparse_coo_tensor(indices, values, size, check_invariants=False)
        return whole.coalesce()

    def crop(self, fields: torch.Tensor) -> np.ndarray:
        """Return fields (..., unknowns) as (..., time, latitude, longitude), without the margin."""
        (days, rows, columns), (south, west) = self.shape, self.margin
        whole = fields.unflatten(-1, (days, *self.prior.mesh.shape))
        return whole[..., south : south + rows, west : west + columns].numpy().astype(np.float32)

    def describe(
        self, posterior: Posterior, members: int | None, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return the mean, the standard deviation and, if asked for, members.

        Raises
        ------
        InvalidInputError
            If fewer than two members are asked for.
        """
        mean = self.crop(posterior.mean)
        std = self.crop(posterior.factor.variances().sqrt())
        if members is None:
            return mean, std, None
        if members < LEAST_MEMBERS:
            raise InvalidInputError(f"members={members}; an ensemble has two members or more.")
        drawn = posterior.mean + posterior.factor.sample(members, torch_generator(rng))
        return mean, std, self.crop(drawn)


def torch_generator(rng: np.random.Generator | None) -> torch.Generator:
    """Return a generator of torch that starts where `rng` is."""
    rng = np.random.default_rng() if rng is None else rng
    return torch.Generator().manual_seed(int(rng.integers(2**63)))


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
    degree = 111.195e3
    steps = [float(np.median(np.diff(axis))) for axis in (latitude, longitude)]
    shrink = math.cos(math.radians(float(np.abs(latitude).mean())))
    margin = (
        math.ceil(width / (degree * steps[0])),
        math.ceil(width / (degree * shrink * steps[1])),
    )
    room = int(min(90 + latitude[0], 90 - latitude[-1]) / steps[0] - 0.5)
    margin = (max(min(margin[0], room), 0), margin[1])
    axes = [
        np.concatenate(
            [
                axis[0] - step * np.arange(count, 0, -1),
                axis,
                axis[-1] + step * np.arange(1, count + 1),
            ]
        )
        for axis, step, count in zip((latitude, longitude), steps, margin, strict=True)
    ]
    around = np.pad(sea, [(count, count) for count in margin], mode="edge")
    return Mesh.from_degrees(*map(torch.as_tensor, axes), torch.as_tensor(around)), margin
