"""Which points of a grid are measured, and by which mission."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_times
from xdvarnet.grids.coords import Grid
from xdvarnet.observing.base import Mission, checked_positions
from xdvarnet.observing.orbits import Region
from xdvarnet.observing.swath import in_region

KEPT = 2_000_000
"""Measurements that a flight keeps at most: 60 MB."""


@dataclass(frozen=True)
class Measurements:
    """Measurements of a day, each array of shape (points,): 30 bytes for each.

    Attributes
    ----------
    rows, columns : numpy.ndarray
        Place among the centres of the cells in latitude and in longitude: 2.25 is between the
        cells 2 and 3, and around a globe of 8 columns 7.25 between the last and the first.
    missions : numpy.ndarray
        Position of the mission in the list of missions.
    along : numpy.ndarray
        Distance flown since 1950-01-01 in km; the pixels of a swath's line have the same. NaN for
        a mission that does not tell it.
    across : numpy.ndarray
        Distance from the ground track in km, negative on the left; zero for a nadir altimeter.
    """

    rows: np.ndarray
    columns: np.ndarray
    missions: np.ndarray
    along: np.ndarray
    across: np.ndarray


class Flight:
    """Missions that fly over a grid, each orbit with a phase of its own.

    It gives the measurements of one day at a time, so that a long record takes no more memory than
    a short one. Those of the first days are kept, up to `KEPT`; for other days the missions fly
    again each time.

    Parameters
    ----------
    missions : sequence of Mission
        What flies.
    grid : Grid
        Its days and cells.
    rng : numpy.random.Generator
        Source of the phases.

    Attributes
    ----------
    counts : list of int
        Number of measurements of each day.

    Raises
    ------
    InvalidInputError
        If there is no day, days are not in order, two maps are of one day, or the positions of a
        mission are not as they must be.
    """

    def __init__(self, missions: Sequence[Mission], grid: Grid, rng: np.random.Generator) -> None:
        self.missions = missions
        self._calendar_days = _calendar_days(grid)
        self._latitude, self._meridians = grid.latitude, grid.longitude
        self._is_ring = grid.is_ring
        latitude_edges, longitude_edges = _edges(grid.latitude), _edges(grid.longitude)
        self._region = (*longitude_edges[[0, -1]], *latitude_edges[[0, -1]])
        if self._is_ring:  # the first column follows the last
            self._meridians = np.append(self._meridians, self._meridians[0] + 360)
        self._phases = draw_phases(missions, rng)
        self._kept: list[Measurements] = []
        self.counts: list[int] = []
        total = 0
        for day in range(self._calendar_days.size):
            measured = self._fly(day)
            self.counts.append(measured.rows.size)
            total += measured.rows.size
            if total <= KEPT:
                self._kept.append(measured)

    def __iter__(self) -> Iterator[Measurements]:
        """Yield the measurements of all days in order."""
        return map(self.on, range(len(self.counts)))

    def on(self, day: int) -> Measurements:
        """Return the measurements of a day, by its position in time."""
        return self._kept[day] if day < len(self._kept) else self._fly(day)

    def _fly(self, day: int) -> Measurements:
        parts = []
        for number, mission in enumerate(self.missions):
            phase = self._phases[mission.name]
            longitude, latitude, along, across = _points(
                mission, self._calendar_days[day], phase, self._region
            )
            if self._is_ring:
                longitude = self._meridians[0] + (longitude - self._meridians[0]) % 360
            parts.append(
                (
                    np.interp(latitude, self._latitude, np.arange(self._latitude.size)),
                    np.interp(longitude, self._meridians, np.arange(self._meridians.size)),
                    np.full(longitude.size, number, np.int16),
                    along,
                    across.astype(np.float32),
                )
            )
        return Measurements(*map(np.concatenate, zip(*parts, strict=True)))


def draw_phases(missions: Sequence[Mission], rng: np.random.Generator) -> dict[str, float]:
    """Draw a phase for each orbit; a mission keeps its place beside a partner that flies too."""
    names = [mission.name for mission in missions]
    phases = dict(zip(names, rng.random(len(missions)).tolist(), strict=True))
    for mission in missions:
        if mission.partner in phases:
            phases[mission.name] = mission.phase(phases[mission.partner])
    return phases


def _calendar_days(grid: Grid) -> np.ndarray:
    """Return the days of the maps as whole numbers, shape (time,)."""
    time = str(grid.axes.time)
    assert grid.days is not None
    if not grid.days.size:
        raise InvalidInputError(f"coordinate {time!r} is empty; there is no day to observe.")
    check_times(grid.days, time, daily=False)
    calendar_days = np.floor(grid.days)
    if (np.diff(calendar_days) == 0).any():
        raise InvalidInputError(
            f"coordinate {time!r} has several times in one day; observations are one map "
            f"a day: dataset.resample({time}='1D').mean()."
        )
    return calendar_days


def _edges(centres: np.ndarray) -> np.ndarray:
    """Borders of the cells around `centres`, shape (n + 1,)."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _points(mission: Mission, day: float, phase: float, region: Region) -> tuple[np.ndarray, ...]:
    """Longitude, latitude, and distance along and across of the points in the region."""
    found = checked_positions(mission, day, day + 1, phase=phase, region=region)
    along = np.full(found.days.size, np.nan) if found.along is None else found.along
    if mission.swath is None:
        return found.longitude, found.latitude, along, np.zeros(found.days.size)
    inside = in_region(found.longitude, found.latitude, region)
    lines = (found.longitude, found.latitude, along[:, None], mission.swath.distances)
    return tuple(np.broadcast_to(array, inside.shape)[inside] for array in lines)
