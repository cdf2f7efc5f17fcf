"""What a mission must have, so that any observing system takes it."""

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass

import numpy as np

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_kind
from xdvarnet.observing.orbits import Region
from xdvarnet.observing.swath import Swath, in_region

_ROUNDING = 1e-8
"""Time before a period that is only rounding, in days."""


@dataclass(frozen=True, eq=False)
class Positions:
    """Where and when a mission measures: points, or lines of pixels across the track.

    Attributes
    ----------
    days : array-like
        Days since 1950-01-01, shape (points,), or (lines,) of a swath.
    longitude, latitude : array-like
        Degrees, shape (points,), or (lines, pixels) of a swath; NaN where unknown.
    along : array-like or None
        Distance flown in km from any fixed day on, in the shape of `days`. Errors that are
        correlated along the track need it: those of a swath, and a `TrackNoise`.

    Raises
    ------
    InvalidInputError
        If something is no number, or the shapes do not fit each other.
    """

    days: np.ndarray
    longitude: np.ndarray
    latitude: np.ndarray
    along: np.ndarray | None = None

    def __post_init__(self) -> None:
        given = dict(vars(self))
        for name, values in given.items():
            if values is not None:
                object.__setattr__(self, name, _numbers(values, name))
        shape, days = self.longitude.shape, self.days.shape
        if (
            len(shape) not in (1, 2)
            or self.latitude.shape != shape
            or days != shape[:1]
            or (self.along is not None and self.along.shape != days)
        ):
            shapes = {name: np.shape(values) for name, values in given.items()}
            raise InvalidInputError(
                f"positions have the shapes {shapes}; days and the distance along the track have "
                "one number for each point, or for each line of a swath, and longitude and "
                "latitude one for each point or pixel."
            )


@dataclass(frozen=True)
class Mission(ABC):
    """What measures at points that move or not, such as an altimeter: the base of all missions.

    A mission of your own is a frozen dataclass with the method `positions`. An altimeter on another
    orbit needs none: it is an `xdvarnet.observing.Altimeter`.

    Parameters
    ----------
    name : str
        Name, without blanks. Noises are given by it, and results list it.
    partner : str or None
        Name of a mission to which it keeps its place: its phase is not drawn, but follows from that
        of the partner where that flies too.
    swath : Swath or None
        Where its pixels are, across its track; None if it measures points.

    Raises
    ------
    InvalidTypeError
        If a name is no text, or the swath no `Swath`.
    InvalidInputError
        If the name is empty or has blanks, or is that of the partner.

    Examples
    --------
    Buoys that measure every hour:

    >>> from collections.abc import Sequence
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from xdvarnet.datasets import mediterranean
    >>> from xdvarnet.observing.system import observe
    >>> @dataclass(frozen=True)
    ... class Buoys(Mission):
    ...     longitude: Sequence[float]
    ...     latitude: Sequence[float]
    ...
    ...     def positions(self, start_day, end_day, *, phase, region=None):
    ...         hours = np.arange(np.ceil(24 * start_day), np.ceil(24 * end_day)) / 24
    ...         days = np.repeat(hours, len(self.longitude))
    ...         return Positions(
    ...             days, np.tile(self.longitude, hours.size), np.tile(self.latitude, hours.size)
    ...         )
    >>> buoys = Buoys("buoys", longitude=[5.0, 18.5], latitude=[40.0, 36.0])
    >>> truth = mediterranean().isel(time=slice(0, 3))
    >>> observations = observe(truth, ["jason1", buoys], noise={"jason1": 0.02, "buoys": 0.01})
    """

    name: str
    _: KW_ONLY
    partner: str | None = None
    swath: Swath | None = None

    def __post_init__(self) -> None:
        check_kind(isinstance(self.name, str), "name", self.name, "the name of the mission")
        if self.name.split() != [self.name]:
            raise InvalidInputError(
                f"name={self.name!r} is not accepted; give a name without blanks, such as "
                "'my_altimeter'."
            )
        named = self.partner is None or isinstance(self.partner, str)
        check_kind(named, "partner", self.partner, "the name of a mission, or None")
        if self.partner == self.name:
            raise InvalidInputError(
                f"{self.name!r} is its own partner; give the name of another mission, or None."
            )
        placed = self.swath is None or isinstance(self.swath, Swath)
        check_kind(placed, "swath", self.swath, "a Swath(near, far, spacing), or None")

    def phase(self, of_partner: float) -> float:
        """Return its phase from that of the partner: the same, unless a subclass says another."""
        return of_partner

    @abstractmethod
    def positions(
        self, start_day: float, end_day: float, *, phase: float, region: Region | None = None
    ) -> Positions:
        """Return where and when it measures.

        Parameters
        ----------
        start_day, end_day : float
            Period in days since 1950-01-01, the end excluded. Successive periods join.
        phase : float
            In [0, 1), which an observing system draws; that of a satellite is the longitude of its
            ascending node at 1950-01-01 00:00 as a fraction of a turn. What is always at the same
            place ignores it.
        region : tuple of float, optional
            West, east, south and north border in degrees. Points elsewhere are not used and may be
            left out; longitudes may be in any convention.

        Returns
        -------
        Positions
            Of a mission with a swath lines of pixels, at `swath.distances` from the track.
        """


def checked_positions(
    mission: Mission,
    start_day: float,
    end_day: float,
    *,
    phase: float,
    region: Region | None = None,
) -> Positions:
    """Return the positions of a mission in a region, checked.

    Parameters
    ----------
    mission, start_day, end_day, phase, region
        See `Mission.positions`.

    Returns
    -------
    Positions
        Points in the region, or whole lines of which a pixel is in it, with longitudes without a
        jump in it.

    Raises
    ------
    InvalidTypeError
        If the mission returns something else.
    InvalidInputError
        If the pixels are not those of its swath, the distance along the track of a swath is
        missing, or a time is outside the period.
    """
    found = mission.positions(start_day, end_day, phase=phase, region=region)
    what = f"what {mission.name!r} returns as positions"
    check_kind(isinstance(found, Positions), what, found, "Positions(days, longitude, latitude)")
    pixels = () if mission.swath is None else (mission.swath.distances.size,)
    if found.longitude.shape[1:] != pixels:
        raise InvalidInputError(
            f"{mission.name!r} measures at positions of the shape {found.longitude.shape}; "
            + (f"its swath has lines of {pixels[0]} pixels." if pixels else "it has no swath.")
        )
    if pixels and found.along is None:
        raise InvalidInputError(
            f"{mission.name!r} has a swath, and its positions no distance along the track; give "
            "Positions(days, longitude, latitude, along=...), in km."
        )
    within = (found.days >= start_day - _ROUNDING) & (found.days < end_day)
    if not within.all():
        raise InvalidInputError(
            f"{mission.name!r} measures on day {found.days[~within][0]:g}, which is not from "
            f"{start_day:g} to {end_day:g}, the end excluded; give the positions of that period."
        )
    return found if region is None else _cut(found, region)


def _cut(positions: Positions, region: Region) -> Positions:
    """Keep the lines that reach the region, with longitudes half a turn around its middle."""
    first = (region[0] + region[1]) / 2 - 180
    longitude = positions.longitude - 360 * np.floor((positions.longitude - first) / 360)
    kept = in_region(longitude, positions.latitude, region)
    kept = kept if kept.ndim == 1 else kept.any(axis=1)
    along = None if positions.along is None else positions.along[kept]
    return Positions(positions.days[kept], longitude[kept], positions.latitude[kept], along)


def _numbers(values: object, name: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"{name} of the positions is no array of numbers ({error}); give one."
        ) from error
