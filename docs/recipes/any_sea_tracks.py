"""How a sea on the standard grid is observed: by altimeters on their orbits, at any latitude.

What a network sees through `xdvarnet.Scaled` was averaged twice: in the cells and days of a user,
which are what the interpolation sees, and in the cells and steps of the standard grid.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from xdvarnet.networks.training_grid import DEGREE
from xdvarnet.observing.missions import MISSIONS
from xdvarnet.observing.orbits import ground_track

ALTIMETERS = sorted(name for name, mission in MISSIONS.items() if mission.swath is None)
"""Those that look straight down."""

LATITUDES = (5.0, 60.0)
"""Northern ones: a sea in the south is handed to a network upside down."""

LENGTHS, TIMES, FINEST = (45.0, 160.0), (6.0, 20.0), (0.05, 0.2)
"""Correlation length (km) and time (days) of seas, and cells of users over the length."""

NOISE = (0.05, 0.6)
"""Standard deviation of the error of a cell mean, over that of the sea."""

CUTOFF = 65.0
"""Wavelength (km) that the filter of products along tracks halves."""

SPEED = 6.7
"""Of the points below a satellite, km/s."""

FIRST = 20000.0
"""Day on which all records begin."""


@dataclass(frozen=True)
class Place:
    """Where the standard grid lies.

    Attributes
    ----------
    latitude : float
        Of the middle, degrees.
    cell, step : float
        Of the standard grid, km and days.
    finest : float
        Side of the cells of a user, km.
    """

    latitude: float
    cell: float
    step: float
    finest: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Place":
        """Draw a sea."""
        length, time = (np.exp(rng.uniform(*np.log(ends))) for ends in (LENGTHS, TIMES))
        finest = length * np.exp(rng.uniform(*np.log(FINEST)))
        return cls(rng.uniform(*LATITUDES), length / 10, time / 8, finest)


@dataclass(frozen=True)
class Passes:
    """Points of altimeters.

    Attributes
    ----------
    place : Place
        Where they are.
    points : numpy.ndarray
        Steps, rows and columns on the standard grid, shape (3, point).
    days, longitude, latitude : numpy.ndarray
        The same as `xdvarnet` takes them.
    missions : numpy.ndarray
        Names.
    starts : numpy.ndarray
        Number of the first point of each pass.
    apart : float
        Distance of points along a pass, in cells.
    """

    place: Place
    points: np.ndarray
    days: np.ndarray
    longitude: np.ndarray
    latitude: np.ndarray
    missions: np.ndarray
    starts: np.ndarray
    apart: float


def fly(
    place: Place, missions: list[str], steps: int, side: int, rng: np.random.Generator
) -> Passes:
    """Return the points over the standard grid."""
    seconds = max(1, round(place.finest / 10))
    north = place.cell / DEGREE
    east = north / np.cos(np.deg2rad(place.latitude))
    middle = (side - 1) / 2
    borders = np.array([-middle, middle])
    region = (*(borders * east), *(place.latitude + borders * north))
    found, names, starts = [], [], [0]
    for mission in missions:
        days, longitude, latitude = ground_track(
            MISSIONS[mission],
            FIRST,
            FIRST + (steps - 1) * place.step,
            phase=rng.random(),
            step=seconds,
            region=region,
        )
        gaps = np.flatnonzero(np.diff(days) > 3 * seconds / 86400) + 1
        starts += [*(starts[-1] + gaps), starts[-1] + days.size]
        found.append([days, longitude, latitude])
        names += [mission] * days.size
    days, longitude, latitude = np.concatenate(found, axis=1)
    points = np.stack(
        [
            (days - FIRST) / place.step,
            (latitude - place.latitude) / north + middle,
            longitude / east + middle,
        ]
    )
    bounds = np.unique(starts)[:-1]
    apart = SPEED * seconds / place.cell
    return Passes(place, points, days, longitude, latitude, np.array(names), bounds, apart)


@dataclass(frozen=True)
class Errors:
    """Errors of measurements, relative to the standard deviation of the sea.

    Attributes
    ----------
    white : float
        Independent from one measurement to the next.
    constant, correlated : float
        The same along a pass, and correlated over `reach` cells along it.
    reach : float
        e-folding distance of the correlated error, in cells.
    cutoff : float or None
        Wavelength, in cells, that a low-pass along the track halves.
    """

    white: float
    constant: float = 0.0
    correlated: float = 0.0
    reach: float = 1.0
    cutoff: float | None = None

    @classmethod
    def random(cls, place: Place, apart: float, rng: np.random.Generator) -> "Errors":
        """Draw the errors of a constellation: of white noise alone in half of them."""
        total = np.exp(rng.uniform(*np.log(NOISE)))
        many = max(1.0, place.finest / place.cell / apart) ** 0.5  # in the cell of a user
        kind, share = rng.integers(4), rng.uniform(0.2, 0.8) ** 0.5
        return cls(
            white=many * (total if kind < 2 else total * (1 - share**2) ** 0.5),
            constant=total * share if kind == 2 else 0.0,
            correlated=total * share if kind == 3 else 0.0,
            reach=rng.uniform(10, 40),
            cutoff=CUTOFF / place.cell if rng.random() < 0.3 else None,
        )

    @property
    def along(self) -> bool:
        """Whether they are alike along a pass."""
        return bool(self.constant or self.correlated or self.cutoff)

    def measure(self, heights: np.ndarray, passes: Passes, rng: np.random.Generator) -> np.ndarray:
        """Return the measurements of heights along the passes."""
        values = heights + self.white * rng.standard_normal(heights.size)
        if self.correlated:
            sigma = self.reach / passes.apart / 2
            smooth = ndimage.gaussian_filter1d(rng.standard_normal(heights.size), sigma)
            values = values + self.correlated * smooth * np.sqrt(2 * np.sqrt(np.pi) * sigma)
        if self.cutoff is not None:
            sigma = np.sqrt(np.log(2) / 2) / np.pi * self.cutoff / passes.apart
            values = np.concatenate(
                [
                    ndimage.gaussian_filter1d(each, sigma, mode="nearest")
                    for each in np.split(values, passes.starts[1:])
                ]
            )
        lengths = np.diff([*passes.starts, heights.size])
        return values + np.repeat(self.constant * rng.standard_normal(lengths.size), lengths)


class Cells:
    """Means of the measurements in the cells of a user, and of these in those of a grid.

    Parameters
    ----------
    passes : Passes
        What is averaged.
    seen : numpy.ndarray
        Where and when on the standard grid there are observations, shape (step, row, column).
    """

    def __init__(self, passes: Passes, seen: np.ndarray) -> None:
        place = passes.place
        sizes = np.array([1 / place.step, *[place.finest / place.cell] * 2])[:, None]
        bins = (passes.points / sizes).astype(int)
        used, inverse = np.unique(bins, axis=1, return_inverse=True)
        places = (used + 0.5) * sizes
        nearest = np.minimum(np.rint(places).astype(int).T, np.array(seen.shape) - 1).T
        kept = seen[tuple(nearest)]
        self.places, self._kept = places[:, kept], kept
        self._inverse, self.shape = inverse.ravel(), seen.shape
        flat = np.ravel_multi_index(tuple(nearest[:, kept]), seen.shape)
        self._used, self._cell = np.unique(flat, return_inverse=True)

    def of_user(self, measured: np.ndarray) -> np.ndarray:
        """Average measurements in the cells and days of a user, shape (observation,)."""
        return _means(self._inverse, measured)[self._kept]

    def on_grid(self, observed: np.ndarray) -> np.ndarray:
        """Average observations on the standard grid, NaN where there are none."""
        grid = np.full(int(np.prod(self.shape)), np.nan, np.float32)
        grid[self._used] = _means(self._cell, observed)
        return grid.reshape(self.shape)


def _means(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.bincount(groups, values) / np.bincount(groups)
