"""How a sea on the standard grid is observed: straight passes of altimeters, and swaths.

The orbits of real missions do not fit a sea that is scaled, so passes are parallel lines, rising
and falling, at a random angle, spacing and repeat.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

CUTOFF = (3.0, 9.0)
"""Shortest wavelengths, in cells, that a low-pass along the track keeps: 65 km where L is 70 to
220 km."""

NOISE = (0.05, 0.5)
"""Standard deviation of the error of a cell mean, over that of the sea."""


@dataclass(frozen=True)
class Errors:
    """Errors of a constellation, relative to the standard deviation of the sea.

    Attributes
    ----------
    white : float
        Of the mean of a cell, independent from one measurement to the next.
    constant, correlated : float
        The same along a pass, and correlated over `reach` cells along it.
    reach : float
        e-folding distance of the correlated error, in cells.
    cutoff : float or None
        Wavelength, in cells, that a low-pass along the track halves.
    """

    white: float
    constant: float
    correlated: float
    reach: float
    cutoff: float | None

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Errors":
        """Draw the errors of a constellation."""
        total = np.exp(rng.uniform(*np.log(NOISE)))
        kind, share = rng.integers(3), rng.uniform(0.2, 0.8) ** 0.5
        white = total if kind == 0 else total * (1 - share**2) ** 0.5
        return cls(
            white=white,
            constant=total * share if kind == 1 else 0.0,
            correlated=total * share if kind == 2 else 0.0,
            reach=rng.uniform(10, 40),
            cutoff=rng.uniform(*CUTOFF) if rng.random() < 0.5 else None,
        )


@dataclass(frozen=True)
class Mission:
    """Parallel passes.

    Attributes
    ----------
    angle : float
        From north to the passes, radians.
    rate : float
        Passes a day through the domain.
    distance : float
        From one ground track to the next, in cells.
    order : int
        Ground tracks from one pass to the next of the same direction.
    phase : float
        Place of the first one.
    step : float
        Distance of measurements along a pass, in cells.
    across : tuple of float
        Distances of the measurements from the ground track: 0 of a nadir altimeter.
    """

    angle: float
    rate: float
    distance: float
    order: int
    phase: float
    step: float
    across: tuple[float, ...] = (0.0,)

    def passes(self, days: int, side: int) -> list[tuple[int, np.ndarray]]:
        """Return day and positions (y, x; across, along), in cells, of each pass."""
        span = side * (abs(np.cos(self.angle)) + abs(np.sin(self.angle)))
        tracks = int(np.ceil(span / self.distance))
        along = np.arange(-span / 2, span / 2, self.step)
        found = []
        for number in range(int(days * self.rate)):
            index = (number // 2 * self.order + self.phase * tracks) % tracks
            angle = self.angle if number % 2 else -self.angle
            offset = index * self.distance - span / 2 + np.array(self.across)[:, None]
            y = side / 2 + along * np.cos(angle) - offset * np.sin(angle)
            x = side / 2 + along * np.sin(angle) + offset * np.cos(angle)
            day = int((number + self.phase) / self.rate)
            if day < days:
                found.append((day, np.stack([y, x])))
        return found


def random_missions(rng: np.random.Generator) -> list[Mission]:
    """Draw 2 to 7 altimeters at one latitude, or 1 to 3 and a swath."""
    if rng.random() >= 0.15:
        return altimeters(int(rng.integers(2, 8)), rng)
    missions = altimeters(int(rng.integers(1, 4)), rng)
    half = rng.uniform(3, 12)
    sides = np.arange(half / 6, half)
    across = tuple(np.concatenate([-sides[::-1], sides]))
    return [*missions, _mission(missions[0].angle, missions[0].rate, 1.0, across, rng)]


def altimeters(number: int, rng: np.random.Generator) -> list[Mission]:
    """Draw altimeters at one latitude."""
    angle, rate = rng.uniform(0.15, 1.0), np.exp(rng.uniform(*np.log((0.5, 2.5))))
    step = rng.uniform(0.3, 1.2)
    return [_mission(angle, rate, step, (0.0,), rng) for _ in range(number)]


def _mission(
    angle: float, rate: float, step: float, across: tuple[float, ...], rng: np.random.Generator
) -> Mission:
    return Mission(
        angle=angle * np.exp(rng.uniform(-0.2, 0.2)),
        rate=rate * np.exp(rng.uniform(-0.2, 0.2)),
        distance=np.exp(rng.uniform(*np.log((6, 40)))),
        order=int(rng.integers(1, 12)),
        phase=rng.random(),
        step=step,
        across=across,
    )


def observe(
    truth: np.ndarray,
    sea: np.ndarray,
    missions: list[Mission],
    errors: Errors,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the means of the measurements of each cell and day, NaN elsewhere.

    Parameters
    ----------
    truth : numpy.ndarray
        Shape (day, y, x), finite on land as well.
    sea : numpy.ndarray
        True on sea, (y, x): what is measured nearest to land is left out.
    missions, errors
        What observes, and how well.
    rng : numpy.random.Generator
        Source of the errors.
    """
    days, side = len(truth), truth.shape[-1]
    total, count = (np.zeros(truth.shape, np.float64) for _ in range(2))
    for mission in missions:
        for day, (y, x) in mission.passes(days, side):
            inside = (y >= 0) & (y <= side - 1) & (x >= 0) & (x <= side - 1)
            if not inside.any():
                continue
            kept = inside.any(0)
            y, x, inside = y[:, kept], x[:, kept], inside[:, kept]
            values = ndimage.map_coordinates(truth[day], [y, x], order=1, mode="nearest")
            values = measure(values, mission.step, errors, rng)
            rows, columns = np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)
            np.add.at(total[day], (rows, columns), values[inside])
            np.add.at(count[day], (rows, columns), 1)
    count[:, ~sea] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 0, total / count, np.nan).astype(np.float32)


def measure(
    heights: np.ndarray, step: float, errors: Errors, rng: np.random.Generator
) -> np.ndarray:
    """Return the measurements of heights (across, along): filtered where all are, with errors.

    A swath is not filtered, and its errors along a pass are the same across it.
    """
    noise = rng.standard_normal(heights.shape)
    size = errors.white * max(1.0, step**-0.5)
    if errors.cutoff is not None and len(heights) == 1:
        sigma = np.sqrt(np.log(2) / 2) / np.pi * errors.cutoff / step
        heights = ndimage.gaussian_filter1d(heights, sigma, axis=1, mode="nearest")
        noise = ndimage.gaussian_filter1d(noise, sigma, axis=1, mode="nearest")
        noise = noise * max(1.0, 2 * np.sqrt(np.pi) * sigma) ** 0.5  # of unit variance again
        size = errors.white
    result = heights + size * noise + errors.constant * rng.standard_normal()
    if errors.correlated:
        length = errors.reach / step
        long = rng.standard_normal(heights.shape[1] + int(6 * length))
        smooth = ndimage.gaussian_filter1d(long, length / 2)[int(3 * length) :][: heights.shape[1]]
        result = result + errors.correlated * smooth * np.sqrt(np.sqrt(np.pi) * length)
    return result
