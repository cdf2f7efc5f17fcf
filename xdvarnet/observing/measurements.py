"""Which points of a grid are measured, and by which mission."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_times
from xdvarnet.grids.coords import Grid
from xdvarnet.observing.missions import MISSIONS, Mission
from xdvarnet.observing.orbits import Region, ground_speed, ground_track
from xdvarnet.observing.swath import in_region, swath_points


@dataclass(frozen=True)
class Measurements:
    """Measurements in the order of days, each array of shape (points,).

    Attributes
    ----------
    days : numpy.ndarray
        Position of the map in time.
    rows, columns : numpy.ndarray
        Place among the centres of the cells in latitude and in longitude: 2.25 is between the
        cells 2 and 3.
    missions : numpy.ndarray
        Position of the mission in the list of missions.
    along : numpy.ndarray
        Distance flown since 1950-01-01 in km; the pixels of a swath's line have the same.
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
    missions: Sequence[str], grid: Grid, rng: np.random.Generator
) -> Measurements:
    """Fly the missions over a grid, each orbit with a phase drawn from `rng`.

    Raises
    ------
    InvalidInputError
        If there is no day, days are not in order, or two maps are of one day.
    """
    calendar_days = _calendar_days(grid)
    latitude_edges, longitude_edges = _edges(grid.latitude), _edges(grid.longitude)
    region = (*longitude_edges[[0, -1]], *latitude_edges[[0, -1]])
    phases = draw_phases(missions, rng)
    parts = []
    for position, day in enumerate(calendar_days):
        for number, (name, phase) in enumerate(phases.items()):
            mission = MISSIONS[name]
            days, longitude, latitude, across = _points_of_a_day(mission, day, phase, region)
            parts.append(
                (
                    np.full(days.size, position),
                    np.interp(latitude, grid.latitude, np.arange(grid.latitude.size)),
                    np.interp(longitude, grid.longitude, np.arange(grid.longitude.size)),
                    np.full(days.size, number),
                    days * 86400 * ground_speed(mission),
                    across,
                )
            )
    return Measurements(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def draw_phases(missions: Sequence[str], rng: np.random.Generator) -> dict[str, float]:
    """Draw a phase for each orbit; a mission keeps its place beside a partner that flies too."""
    phases = dict(zip(missions, rng.random(len(missions)).tolist(), strict=True))
    for name in missions:
        partner = MISSIONS[name].partner
        if partner in phases:
            phases[name] = MISSIONS[name].phase(phases[partner])
    return phases


def _calendar_days(grid: Grid) -> np.ndarray:
    """Return the days of the maps as whole numbers, shape (time,)."""
    time = grid.axes.time
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


def _points_of_a_day(
    mission: Mission, day: float, phase: float, region: Region
) -> tuple[np.ndarray, ...]:
    """Days, longitude, latitude and distance from the track of the points in the region."""
    if mission.swath is None:
        points = ground_track(mission, day, day + 1, phase=phase, region=region)
        return *points, np.zeros(points[0].size)
    days, longitude, latitude = swath_points(mission, day, day + 1, phase=phase, region=region)
    inside = in_region(longitude, latitude, region)
    return tuple(
        np.broadcast_to(array, inside.shape)[inside]
        for array in (days[:, None], longitude, latitude, mission.swath.distances)
    )
