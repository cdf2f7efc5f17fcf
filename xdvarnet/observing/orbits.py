"""Ground tracks of circular orbits."""

import numpy as np

from xdvarnet.grids.coords import EARTH_RADIUS
from xdvarnet.observing.missions import Mission

Region = tuple[float, float, float, float]
"""(west, east, south, north) in degrees."""

_BLOCK = 64
"""Points that are taken or left together before the region is looked at closely."""


def ground_track(
    mission: Mission,
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
    mission : Mission
        The orbit.
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
    cycle = mission.repeat_days * 86400 / step

    # latitude changes no faster than the argument of latitude, so most blocks can be left out
    blocks = np.arange(first, last, _BLOCK)
    reach = 360 * _BLOCK / cycle * mission.repeat_revolutions
    latitude = _latitude(mission, blocks / cycle)
    near = blocks[(latitude >= south - reach) & (latitude <= north + reach)]
    index = (near[:, None] + np.arange(_BLOCK)).ravel()
    index = index[index < last]

    latitude = _latitude(mission, index / cycle)
    inside = (latitude >= south) & (latitude <= north)
    index, latitude = index[inside], latitude[inside]
    argument = _argument(mission, index / cycle)
    inclination = np.radians(mission.inclination)
    from_node = np.degrees(np.arctan2(np.cos(inclination) * np.sin(argument), np.cos(argument)))
    node = 360 * (phase - index / cycle * mission.nodal_days % 1)
    longitude = west + (node + from_node - west) % 360
    inside = longitude < east if east - west >= 360 else longitude <= east
    return index[inside] * (step / 86400), longitude[inside], latitude[inside]


def heading(mission: Mission, days: np.ndarray) -> np.ndarray:
    """Direction in which a ground track runs on the turning Earth.

    Parameters
    ----------
    mission : Mission
        The orbit.
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
    cycles = days / mission.repeat_days
    inclination = np.radians(mission.inclination)
    cosine = np.cos(np.radians(_latitude(mission, cycles)))
    # both times the cosine, in radians of the orbit per revolution
    northward = np.sin(inclination) * np.cos(_argument(mission, cycles))
    turns = mission.nodal_days / mission.repeat_revolutions
    eastward = np.cos(inclination) - turns * cosine**2
    return np.degrees(np.arctan2(eastward, northward))


def ground_speed(mission: Mission) -> float:
    """Speed of the point below the satellite, in km a second, where it crosses the equator.

    Elsewhere it is the same to 1 or 2 %.
    """
    turns = mission.nodal_days / mission.repeat_revolutions
    relative = np.sqrt(1 + turns**2 - 2 * turns * np.cos(np.radians(mission.inclination)))
    return float(2 * np.pi * EARTH_RADIUS / mission.nodal_period * relative)


def _argument(mission: Mission, cycles: np.ndarray) -> np.ndarray:
    """Argument of latitude in radians, from the time in repeat cycles."""
    return 2 * np.pi * (cycles * mission.repeat_revolutions % 1)


def _latitude(mission: Mission, cycles: np.ndarray) -> np.ndarray:
    """Geocentric latitude in degrees, from the time in repeat cycles."""
    sine = np.sin(np.radians(mission.inclination)) * np.sin(_argument(mission, cycles))
    return np.degrees(np.arcsin(sine))
