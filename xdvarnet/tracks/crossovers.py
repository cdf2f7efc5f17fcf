"""Differences between measurements where tracks cross, and the noise that they show."""

import itertools
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_dataset, check_variable, quantity
from xdvarnet.grids.names import DEGREES
from xdvarnet.grids.points import Points, find_points
from xdvarnet.grids.provenance import derived
from xdvarnet.grids.values import trusted_values
from xdvarnet.tracks.sample import wrap_longitude
from xdvarnet.tracks.segments import LABELS, find_label, segments

TINY = 1e-12
"""Length of a leg, in radii of the Earth, that is only rounding."""

FEWEST = 2
"""Crossovers below which there is no standard deviation."""

MARGIN = 1.01
"""Factor on the distance at which two legs may cross, since straight lines differ a little."""


def crossovers(
    tracks: xr.Dataset,
    variable: str,
    *,
    max_time_difference: str | float = "1 day",
    gap: str | float = "4 s",
) -> xr.Dataset:
    """Find where tracks cross, and what both measured there.

    Between neighbouring points a track is straight in longitude and latitude, and its values are
    linear. The segments of one mission and of several are compared, none with itself.

    Parameters
    ----------
    tracks : xarray.Dataset
        Points of nadir tracks, along one dimension; the times of each mission increase. Points
        without a value are left out.
    variable : str
        What was measured.
    max_time_difference : str or float
        Longest time between the two measurements, in days if a number.
    gap : str or float
        Longest time between two points that a track joins, in seconds if a number.

    Returns
    -------
    xarray.Dataset
        Along ``crossover``: ``difference``, the later value less the earlier; ``noise_factor``,
        its standard deviation over that of one measurement, for errors that are independent from
        point to point: from 1, half-way between points, to the square root of 2, on them; and the
        coordinates ``longitude`` and ``latitude``. Along ``crossover`` and ``pass`` (earlier,
        later): the variable at the crossover, and the coordinates ``time`` and, if `tracks` have
        it, ``mission``. Sorted by the earlier time; empty if no tracks cross.

    Raises
    ------
    InvalidTypeError
        If `tracks` is no Dataset.
    UnknownNameError
        If there is no such variable.
    InvalidInputError
        If there are no points along one dimension, times of a mission do not increase, or a
        parameter is no positive time.

    Examples
    --------
    >>> seconds = np.array([0, 1, 3600, 3601]).astype("timedelta64[s]")
    >>> tracks = xr.Dataset(
    ...     {"sla": ("time", [0.0, 0.25, 0.5, 0.5])},
    ...     {"time": np.datetime64("2017-01-01", "ns") + seconds,
    ...      "longitude": ("time", [359.95, 0.05, 0.05, 359.95]),
    ...      "latitude": ("time", [40.0, 40.1, 40.0, 40.1])})
    >>> crossovers(tracks, "sla")["difference"].values
    array([0.375])
    """
    longest = quantity(max_time_difference, "days", "max_time_difference")
    measured = _measured(tracks, variable)
    points = find_points(measured)
    segment = segments(measured, gap=gap).values
    legs = _find_legs(points, segment)
    pairs = _close_pairs(points, legs, longest)
    pairs = pairs[np.diff(segment[legs.start[pairs]])[:, 0] != 0]
    crossing = _intersect(points, legs, pairs)
    crossing = crossing.select(np.ptp(crossing.interpolate(points.days), axis=-1) <= longest)
    crossing = crossing.in_order(crossing.interpolate(points.days))
    return _describe(measured, variable, points, crossing)


def crossover_noise(
    tracks: xr.Dataset,
    variable: str,
    *,
    max_time_difference: str | float = "1 day",
    gap: str | float = "4 s",
) -> float:
    """Estimate the noise of one measurement from the differences at crossovers.

    It is the standard deviation of the difference over its noise factor, which is the square root
    of 2 for two measurements at the crossover, and less where values are interpolated. Errors are
    taken as independent from point to point and of one size: where neighbours share them, as after
    a filter, the result is too large, by about 22 % where they share them wholly. The sea is taken
    as still between the two passes; what it changed is in the result, which grows with
    `max_time_difference`.

    Parameters
    ----------
    tracks, variable, max_time_difference, gap
        As in `crossovers`, which also tells how many there are.

    Returns
    -------
    float
        Standard deviation of the error of one measurement, in the units of the variable.

    Raises
    ------
    InvalidTypeError, UnknownNameError
        As `crossovers` does.
    InvalidInputError
        As `crossovers` does, and if there are fewer than two.
    """
    crossed = crossovers(tracks, variable, max_time_difference=max_time_difference, gap=gap)
    count = crossed.sizes["crossover"]
    if count < FEWEST:
        raise InvalidInputError(
            f"the tracks have {count} crossover(s) within {max_time_difference!r}; noise needs "
            f"{FEWEST} at least. Give more tracks, or a longer max_time_difference."
        )
    return float((crossed["difference"] / crossed["noise_factor"]).std())


@dataclass(frozen=True)
class _Legs:
    """Straight lines between neighbouring points of a segment."""

    start: np.ndarray  # index of a point
    end: np.ndarray


@dataclass(frozen=True)
class _Crossings:
    """Places on two legs, shapes (crossings, 2), and positions, shape (crossings,)."""

    before: np.ndarray  # index of the point before
    after: np.ndarray
    along: np.ndarray  # fraction of the way between the two
    longitude: np.ndarray
    latitude: np.ndarray

    def select(self, rows: np.ndarray) -> "_Crossings":
        """Return the crossings at `rows`."""
        return _Crossings(*(array[rows] for array in vars(self).values()))

    def in_order(self, days: np.ndarray) -> "_Crossings":
        """Return the crossings with the earlier pass first, in the order of its time."""
        rows = np.argsort(days.min(-1), kind="stable")
        sides = np.argsort(days[rows], axis=-1, kind="stable")
        picked = self.select(rows)
        before, after, along = (
            np.take_along_axis(array, sides, axis=-1)
            for array in (picked.before, picked.after, picked.along)
        )
        return _Crossings(before, after, along, picked.longitude, picked.latitude)

    def interpolate(self, values: np.ndarray) -> np.ndarray:
        """Return the values of points at the crossings, linear along both tracks."""
        return values[self.before] + self.along * (values[self.after] - values[self.before])


def _measured(tracks: xr.Dataset, variable: str) -> xr.Dataset:
    """Return the points that have a position and a value."""
    check_dataset(tracks)
    points, array = (
        find_points(tracks),
        trusted_values(check_variable(tracks, variable, argument="variable")),
    )
    if len(points.sizes) != 1 or array.dims != tuple(points.sizes):
        raise InvalidInputError(
            f"variable {variable!r} has dimensions {array.dims} and the points "
            f"{tuple(points.sizes)}; crossovers are those of nadir tracks, along one dimension."
        )
    wanted = {variable, *points.axes.dims, *itertools.chain.from_iterable(LABELS.values())}
    needed = tracks.drop_vars([name for name in tracks.data_vars if name not in wanted]).compute()
    values = needed[variable].values.astype(float)
    finite = np.isfinite([points.longitude, points.latitude, values]).all(0)
    return needed.isel({array.dims[0]: finite})


def _find_legs(points: Points, segment: np.ndarray) -> _Legs:
    order = np.lexsort((points.days, segment))
    joined = np.diff(segment[order]) == 0
    return _Legs(order[:-1][joined], order[1:][joined])


def _close_pairs(points: Points, legs: _Legs, longest: float) -> np.ndarray:
    """Return the pairs of legs that are near enough in space and time to cross, shape (pairs, 2).

    Legs that cross have their middles within the length of the longest leg, so neighbours in a box
    of three coordinates in space and one in time are looked up.
    """
    if not legs.start.size:
        return np.empty((0, 2), int)
    longitude, latitude = np.radians(points.longitude), np.radians(points.latitude)
    position = np.stack(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        ],
        axis=-1,
    )
    start, end = position[legs.start], position[legs.end]
    reach = MARGIN * np.linalg.norm(end - start, axis=-1).max() + TINY
    first, last = points.days[legs.start], points.days[legs.end]
    time_reach = longest + (last - first).max()
    boxes = np.column_stack([(start + end) / 2 / reach, (first + last) / 2 / time_reach])
    return cKDTree(boxes).query_pairs(1.0, p=np.inf, output_type="ndarray")


def _intersect(points: Points, legs: _Legs, pairs: np.ndarray) -> _Crossings:
    """Return where the two legs of each pair cross, in the plane of longitude and latitude."""
    before, after = legs.start[pairs], legs.end[pairs]
    origin = before[:, 0]

    def from_origin(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        eastward = wrap_longitude(points.longitude[index] - points.longitude[origin], -180.0)
        return eastward, points.latitude[index] - points.latitude[origin]

    def cross(a: tuple, b: tuple) -> np.ndarray:
        return a[0] * b[1] - a[1] * b[0]

    one = from_origin(after[:, 0])
    between = from_origin(before[:, 1])
    other = tuple(end - start for end, start in zip(from_origin(after[:, 1]), between, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):  # parallel legs
        along = np.stack([cross(between, other), cross(between, one)]) / cross(one, other)
    rows = np.flatnonzero(((along >= 0) & (along < 1)).all(0))
    eastward, northward = (along[0, rows] * way[rows] for way in one)
    return _Crossings(
        before[rows],
        after[rows],
        along.T[rows],
        wrap_longitude(points.longitude[origin[rows]] + eastward, _west(points)),
        points.latitude[origin[rows]] + northward,
    )


def _west(points: Points) -> float:
    """Return where the longitudes of the tracks start."""
    return -180.0 if (points.longitude < 0).any() else 0.0


def _describe(
    tracks: xr.Dataset, variable: str, points: Points, crossing: _Crossings
) -> xr.Dataset:
    dims = ("crossover", "pass")
    attributes = tracks[variable].attrs
    values = crossing.interpolate(tracks[variable].values.astype(float))
    missions = find_label(tracks, "mission")
    labels = {} if missions is None else {"mission": (dims, missions[crossing.before])}
    squares = crossing.along**2 + (1 - crossing.along) ** 2
    factor = {
        "long_name": "standard deviation of the difference over that of one measurement",
        "units": "1",
    }
    difference = {"long_name": f"difference of {variable}, later less earlier"}
    if "units" in attributes:
        difference["units"] = attributes["units"]
    return xr.Dataset(
        {
            variable: (dims, values, attributes),
            "difference": ("crossover", values[:, 1] - values[:, 0], difference),
            "noise_factor": ("crossover", np.sqrt(squares.sum(-1)), factor),
        },
        {
            "pass": ["earlier", "later"],
            "longitude": ("crossover", crossing.longitude, DEGREES["longitude"]),
            "latitude": ("crossover", crossing.latitude, DEGREES["latitude"]),
            "time": (dims, crossing.interpolate(tracks[points.axes.time].values)),
            **labels,
        },
        derived(tracks.attrs, f"crossovers of {variable}"),
    )
