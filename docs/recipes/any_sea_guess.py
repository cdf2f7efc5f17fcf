"""The first guess of many truths that are observed at the same places: a regression on waves.

A field with the covariance ``exp(-(d / L)^2 - (t / T)^2)`` is a sum of waves with independent
amplitudes, in a box that is wider than the domain. So its analysis is a regression on some two
thousand amplitudes, however many observations there are, and the matrix of it, which takes the
time, is the same for all values at the same places. This is the analysis with all observations;
`xdvarnet.OptimalInterpolation` takes the nearest ones of each place.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

SCALES = np.array([8.0, 10.0, 10.0])
"""Correlation time and length of the standard grid, in steps and cells."""

MARGIN = 2.4
"""Lengths by which the box is wider than the domain."""

SHORTEST = 5.4
"""Wave number times length of the shortest waves: those beyond have .2 % of the variance."""

COARSE = (4, 5, 5)
"""Steps and cells between the places at which the formal error is computed."""


class Waves:
    """The waves of a box, and how large they are in a field of unit variance.

    Of each wave and its opposite, one is here, as a cosine and a sine.

    Parameters
    ----------
    shape : tuple of int
        Steps, rows and columns of the domain.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self.base = 2 * np.pi / (np.array(shape) + MARGIN * SCALES)
        self.most = (SHORTEST / SCALES / self.base).astype(int)
        axes = (np.arange(-most, most + 1) for most in self.most)
        numbers = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
        numbers = numbers[len(numbers) // 2 :]  # 0 and one of each pair of opposite ones
        squares = ((numbers * self.base * SCALES) ** 2).sum(1)
        self.numbers = numbers[squares <= SHORTEST**2]
        power = np.exp(-squares[squares <= SHORTEST**2] / 4)
        power[1:] *= 2
        self.amplitude = np.sqrt(power / power.sum())
        self._sums, self._differences = (
            self._position(self.numbers[:, None] + sign * self.numbers) for sign in (1, -1)
        )

    def _position(self, numbers: np.ndarray) -> np.ndarray:
        """Flat position of a wave among all up to twice the largest numbers."""
        return np.ravel_multi_index(tuple(np.moveaxis(numbers + 2 * self.most, -1, 0)), self._wide)

    @property
    def _wide(self) -> tuple[int, ...]:
        return tuple(4 * self.most + 1)

    def exponentials(self, axis: int, points: np.ndarray, reach: int = 1) -> np.ndarray:
        """Return exp(-ikx) of the waves of an axis at points, shape (wave, point)."""
        numbers = np.arange(-reach * self.most[axis], reach * self.most[axis] + 1)
        return np.exp(-1j * self.base[axis] * np.multiply.outer(numbers, points)).astype("c8")

    def transform(self, places: np.ndarray, values: np.ndarray, reach: int = 1) -> np.ndarray:
        """Return the sums of values times exp(-ikx), shape (value, time, row, column waves).

        Parameters
        ----------
        places : numpy.ndarray
            Shape (3, place).
        values : numpy.ndarray
            Shape (value, place).
        reach : int
            2 for waves up to twice the largest numbers.
        """
        time, row, column = (self.exponentials(i, places[i], reach) for i in range(3))
        both = (time[:, None] * row).reshape(-1, places.shape[1])
        sums = np.stack([(both * each) @ column.T for each in values.astype(np.float32)])
        return sums.reshape(len(values), len(time), len(row), len(column))

    def gram(self, places: np.ndarray) -> np.ndarray:
        """Return the products of all cosines and sines over the places, with their amplitudes."""
        sums = self.transform(places, np.ones((1, places.shape[1])), 2).astype(complex).ravel()
        plus, minus = sums[self._sums], sums[self._differences]
        even, odd = minus.real + plus.real, minus.real - plus.real
        mixed = minus.imag - plus.imag  # of cosine and sine: sums are C - iS
        matrix = np.block([[even, mixed], [mixed.T, odd]]) / 2
        scale = np.tile(self.amplitude, 2)
        return matrix * scale[:, None] * scale

    def design(self, places: np.ndarray) -> np.ndarray:
        """Return cosines and sines at places, with their amplitudes, shape (place, 2 waves)."""
        phase = (self.numbers * self.base).astype(np.float32) @ places.astype(np.float32)
        waves = np.concatenate([np.cos(phase), np.sin(phase)])
        return (waves * np.tile(self.amplitude, 2)[:, None].astype(np.float32)).T

    def fields(self, weights: np.ndarray) -> np.ndarray:
        """Return the sums of waves on the domain, shape (field, *shape), from (field, 2 waves)."""
        cosine, sine = np.split(weights * np.tile(self.amplitude, 2), 2, axis=1)
        filled = np.zeros((len(weights), *(2 * self.most + 1)), "c8")
        filled[(slice(None), *(self.numbers + self.most).T)] = cosine + 1j * sine
        time, row, column = (
            self.exponentials(axis, np.arange(size)) for axis, size in enumerate(self.shape)
        )
        filled = np.einsum("ftyx,xc->ftyc", filled, column, optimize=True)
        filled = np.einsum("ftyc,yr->ftrc", filled, row, optimize=True)
        return np.einsum("ftrc,td->fdrc", filled, time, optimize=True).real


@dataclass(frozen=True)
class Regression:
    """The analysis of values at some places.

    Attributes
    ----------
    waves : Waves
        Of the domain.
    places : numpy.ndarray
        Steps, rows and columns of the observations, shape (3, n).
    gram : numpy.ndarray
        ``waves.gram(places)``.
    noise : float
        Standard deviation of the errors.
    """

    waves: Waves
    places: np.ndarray
    gram: np.ndarray
    noise: float

    def solve(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the means of several fields, and the formal error that they have in common.

        Parameters
        ----------
        values : numpy.ndarray
            Shape (field, n).
        """
        matrix = torch.from_numpy(self.gram / self.noise**2)
        factor = torch.linalg.cholesky(matrix + torch.eye(len(matrix)))
        sums = self.waves.transform(self.places, values)
        sums = sums[(slice(None), *(self.waves.numbers + self.waves.most).T)]
        known = np.concatenate([sums.real, -sums.imag], 1) * np.tile(self.waves.amplitude, 2)
        weights = torch.cholesky_solve(torch.from_numpy(known.T / self.noise**2), factor)
        return self.waves.fields(weights.T.numpy()).astype(np.float32), self._std(factor.float())

    def _std(self, factor: torch.Tensor) -> np.ndarray:
        """Return the formal error, from coarse places."""
        sizes = list(zip(self.waves.shape, COARSE, strict=True))
        axes = [np.arange(0, size + step - 1, step) for size, step in sizes]
        places = np.stack(np.meshgrid(*axes, indexing="ij"))
        design = torch.from_numpy(self.waves.design(places.reshape(3, -1)).T.copy())
        solved = torch.linalg.solve_triangular(factor, design, upper=False)
        coarse = solved.square().sum(0).numpy().reshape(places.shape[1:])
        fine = np.meshgrid(*(np.arange(size) / step for size, step in sizes), indexing="ij")
        variance = ndimage.map_coordinates(coarse, fine, order=1)
        return np.sqrt(np.clip(variance, 1e-4, 1)).astype(np.float32)
