"""Which points of a grid are measured, and by which mission."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_times
from xdvarnet.grids.coords import Grid
from xdvarnet.observing.base import Mission, checked_positions
from xdvarnet.observing.orbits import Region
from xdvarnet.observing.swath import in_region


@dataclass(frozen=True)
class Measurements:
    """Measurements in the order of days, each array of shape (points,): 34 bytes for each.

    Attributes
    ----------
    days : numpy.ndarray
        Position of the map in time.
    rows, columns : numpy.ndarray
        Place among the centres of the cells in latitude and in longitude: 2.25 is between the
        cells 2 and 3, and around a globe of 8 columns 7.25 between the last and the first.
    missions : numpy.ndarray
        Position of the mission in the list of missions.
    along : numpy.ndarray
        Distance flown since 1950-01-01 in km; the pixels of a swath's line have the same. Zero for
        a mission that does not tell it.
    across : numpy.ndarray
        Distance from the ground track in km, negative on the left; zero for a nadir altimeter.
    """

    days: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    missions: np.ndarray
    along: np.ndarray
    across: np.ndarray


def find_measurements(
    missions: Sequence[Mission], grid: Grid, rng: np.random.Generator
) -> Measurements:
    """Fly the missions over a grid, each orbit with a phase drawn from `rng`.

    Raises
    ------
    InvalidInputError
        If there is no day, days are not in order, two maps are of one day, or the positions of a
        mission are not as they must be.
    """
    calendar_days = _calendar_days(grid)
    latitude_edges, longitude_edges = _edges(grid.latitude), _edges(grid.longitude)
    region = (*longitude_edges[[0, -1]], *latitude_edges[[0, -1]])
    phases = draw_phases(missions, rng)
    meridians = grid.longitude
    if grid.is_ring:  # the first column follows the last
        meridians = np.append(meridians, meridians[0] + 360)
    columns: list[list[np.ndarray]] = [[] for _ in fields(Measurements)]
    for position, day in enumerate(calendar_days):
        for number, mission in enumerate(missions):
            phase = phases[mission.name]
            days, longitude, latitude, along, across = _points(mission, day, phase, region)
            if grid.is_ring:
                longitude = meridians[0] + (longitude - meridians[0]) % 360
            arrays = (
                np.full(days.size, position, np.int32),
                np.interp(latitude, grid.latitude, np.arange(grid.latitude.size)),
                np.interp(longitude, meridians, np.arange(meridians.size)),
                np.full(days.size, number, np.int16),
                along,
                across.astype(np.float32),
            )
            for column, array in zip(columns, arrays, strict=True):
                column.append(array)
    return Measurements(*(_joined(column) for column in columns))


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """Join arrays, and let go of them."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


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
    """Days, longitude, latitude, and distance along and across of the points in the region."""
    found = checked_positions(mission, day, day + 1, phase=phase, region=region)
    along = np.zeros(found.days.size) if found.along is None else found.along
    if mission.swath is None:
        return found.days, found.longitude, found.latitude, along, np.zeros(found.days.size)
    inside = in_region(found.longitude, found.latitude, region)
    lines = (found.days[:, None], found.longitude, found.latitude, along[:, None])
    return tuple(
        np.broadcast_to(array, inside.shape)[inside] for array in (*lines, mission.swath.distances)
    )
