"""Circular orbits and their ground tracks."""

from dataclasses import dataclass

import numpy as np

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_counts, check_positive
from xdvarnet.grids.units import EARTH_RADIUS

Region = tuple[float, float, float, float]
"""(west, east, south, north) in degrees."""

_BLOCK = 64
"""Points that are taken or left together before the region is looked at closely."""

_PRECESSION = 0.01
"""Largest relative difference of nodal and solar days: a sun-synchronous orbit has 0."""


@dataclass(frozen=True, kw_only=True)
class Orbit:
    """A circular orbit, whose ground track repeats or drifts.

    Attributes
    ----------
    inclination : float
        Inclination in degrees, 0 to 180; above 90 the orbit is retrograde.
    repeat_days : float
        Length of the repeat cycle in days of 86400 s; of a drifting orbit, the time of
        `repeat_revolutions`, after which its tracks come near to where they were.
    repeat_revolutions : int
        Revolutions in that time.
    nodal_days : float
        Turns of the Earth below the precessing orbit in that time: a whole number where the track
        repeats. It differs from `repeat_days` by less than 1 %.

    Raises
    ------
    InvalidInputError
        If a number is out of its range, or the days and the nodal days do not belong together.

    Examples
    --------
    >>> orbit = Orbit(inclination=66.04, repeat_days=9.9156, repeat_revolutions=127, nodal_days=10)
    >>> round(orbit.nodal_period), round(orbit.track_spacing, 3)
    (6746, 2.835)
    """

    inclination: float
    repeat_days: float
    repeat_revolutions: int
    nodal_days: float

    def __post_init__(self) -> None:
        if check_positive(self.inclination, "inclination", "degrees", zero=True) > 180:
            raise InvalidInputError(
                f"inclination={self.inclination!r} is not accepted; give degrees, 0 to 180."
            )
        days = check_positive(self.repeat_days, "repeat_days", "days")
        check_counts({"repeat_revolutions": self.repeat_revolutions})
        nodal_days = check_positive(self.nodal_days, "nodal_days", "turns of the Earth")
        if abs(nodal_days / days - 1) > _PRECESSION:
            raise InvalidInputError(
                f"nodal_days={self.nodal_days!r} differs from repeat_days={self.repeat_days!r} by "
                f"more than {_PRECESSION:.0%}, more than any orbit precesses; give the turns of "
                "the Earth below the orbit in these days, a whole number where the track repeats."
            )

    @property
    def drifts(self) -> bool:
        """Whether the orbit is not kept, so that the ground track never closes."""
        return self.nodal_days % 1 != 0

    @property
    def nodal_period(self) -> float:
        """Time from one ascending node to the next, in seconds."""
        return self.repeat_days * 86400 / self.repeat_revolutions

    @property
    def track_spacing(self) -> float:
        """Distance in longitude between neighbouring ascending tracks, in degrees."""
        return 360 / self.repeat_revolutions


def ground_track(
    orbit: Orbit,
    start_day: float,
    end_day: float,
    *,
    phase: float,
    step: float = 1.0,
    region: Region | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Positions below a satellite on a circular orbit.

    At the argument of latitude :math:`u = 2 \pi t / T`, with the nodal period :math:`T` and the
    inclination :math:`i`,

    .. math::

        \sin \varphi = \sin i \sin u, \qquad
        \lambda = \lambda_0 - 360° D t / R + \operatorname{atan2}(\cos i \sin u, \cos u)

    where the Earth turns `D` times below the orbital plane in a repeat cycle `R`, so that the track
    closes exactly if `D` is a whole number, and else drifts. The Earth is taken as a sphere: these
    latitudes are geocentric, and up to 0.2 degrees nearer the equator than geodetic ones.

    Parameters
    ----------
    orbit : Orbit
        Of the satellite.
    start_day, end_day : float
        Period in days since 1950-01-01, the end excluded.
    phase : float
        Longitude of the ascending node at 1950-01-01 00:00 as a fraction of a turn, in [0, 1). It
        moves the whole pattern of tracks, and the day on which each track is flown.
    step : float
        Time between points in seconds.
    region : tuple of float, optional
        West, east, south and north border in degrees; only points in it are returned, and their
        longitudes lie between west and east. The whole globe by default.

    Returns
    -------
    days, longitude, latitude : numpy.ndarray
        Days since 1950-01-01 and degrees, each of shape (points,), in the order of time. Points
        lie at whole multiples of `step`, so that successive periods join without overlap.

    References
    ----------
    Capderou, M. (2014), Handbook of Satellite Orbits, Springer, chapters 5, 8 and 11.

    Examples
    --------
    >>> from xdvarnet.observing.missions import MISSIONS
    >>> days, longitude, latitude = ground_track(MISSIONS["jason1"], 0, 1, phase=0.25)
    >>> days.size, longitude[0].item(), round(latitude.max().item(), 2)
    (86400, 90.0, 66.04)
    """
    west, east, south, north = (-180.0, 180.0, -90.0, 90.0) if region is None else region
    first, last = (int(np.ceil(round(day * 86400 / step, 3))) for day in (start_day, end_day))
    cycle = orbit.repeat_days * 86400 / step

    # latitude changes no faster than the argument of latitude, so most blocks can be left out
    blocks = np.arange(first, last, _BLOCK)
    reach = 360 * _BLOCK / cycle * orbit.repeat_revolutions
    latitude = _latitude(orbit, blocks / cycle)
    near = blocks[(latitude >= south - reach) & (latitude <= north + reach)]
    index = (near[:, None] + np.arange(_BLOCK)).ravel()
    index = index[index < last]

    latitude = _latitude(orbit, index / cycle)
    inside = (latitude >= south) & (latitude <= north)
    index, latitude = index[inside], latitude[inside]
    argument = _argument(orbit, index / cycle)
    inclination = np.radians(orbit.inclination)
    from_node = np.degrees(np.arctan2(np.cos(inclination) * np.sin(argument), np.cos(argument)))
    node = 360 * (phase - index / cycle * orbit.nodal_days % 1)
    longitude = west + (node + from_node - west) % 360
    inside = longitude < east if east - west >= 360 else longitude <= east
    return index[inside] * (step / 86400), longitude[inside], latitude[inside]


def heading(orbit: Orbit, days: np.ndarray) -> np.ndarray:
    """Direction in which a ground track runs on the turning Earth.

    Parameters
    ----------
    orbit : Orbit
        Of the satellite.
    days : numpy.ndarray
        Days since 1950-01-01, as `ground_track` returns them.

    Returns
    -------
    numpy.ndarray
        Degrees clockwise from north, in the shape of `days`.

    Examples
    --------
    >>> from xdvarnet.observing.missions import MISSIONS
    >>> heading(MISSIONS["jason1"], np.zeros(1)).round(1)  # half of the published crossing angle
    array([19.7])
    """
    cycles = days / orbit.repeat_days
    inclination = np.radians(orbit.inclination)
    cosine = np.cos(np.radians(_latitude(orbit, cycles)))
    # both times the cosine, in radians of the orbit per revolution
    northward = np.sin(inclination) * np.cos(_argument(orbit, cycles))
    turns = orbit.nodal_days / orbit.repeat_revolutions
    eastward = np.cos(inclination) - turns * cosine**2
    return np.degrees(np.arctan2(eastward, northward))


def ground_speed(orbit: Orbit) -> float:
    """Speed of the point below the satellite, in km a second, where it crosses the equator.

    Elsewhere it is the same to 1 or 2 %.
    """
    turns = orbit.nodal_days / orbit.repeat_revolutions
    relative = np.sqrt(1 + turns**2 - 2 * turns * np.cos(np.radians(orbit.inclination)))
    return float(2 * np.pi * EARTH_RADIUS / orbit.nodal_period * relative)


def _argument(orbit: Orbit, cycles: np.ndarray) -> np.ndarray:
    """Argument of latitude in radians, from the time in repeat cycles."""
    return 2 * np.pi * (cycles * orbit.repeat_revolutions % 1)


def _latitude(orbit: Orbit, cycles: np.ndarray) -> np.ndarray:
    """Geocentric latitude in degrees, from the time in repeat cycles."""
    sine = np.sin(np.radians(orbit.inclination)) * np.sin(_argument(orbit, cycles))
    return np.degrees(np.arcsin(sine))
