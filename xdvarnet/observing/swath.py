"""Where the pixels of a swath are."""

from dataclasses import dataclass

import numpy as np

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_kind, check_positive
from xdvarnet.grids.units import EARTH_RADIUS
from xdvarnet.observing.orbits import Orbit, Region, ground_speed, ground_track, heading


@dataclass(frozen=True)
class Swath:
    """Pixels on both sides of the ground track, with a gap below the satellite.

    Attributes
    ----------
    near, far : float
        Distance of the first and of the last pixel from the ground track in km; half a spacing is
        nearest, without a gap.
    spacing : float
        Distance between neighbouring pixels in km, across and along the track.

    Raises
    ------
    InvalidInputError
        If a distance is not positive, or the last pixel is nearer than the first.
    """

    near: float
    far: float
    spacing: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_positive(value, name, "km")
        if self.far < self.near:
            raise InvalidInputError(
                f"far={self.far!r} is less than near={self.near!r}; give the distances of the last "
                "and the first pixel from the ground track, in km."
            )

    @property
    def distances(self) -> np.ndarray:
        """Distances from the ground track in km, shape (pixels,), from left (negative) to right."""
        right = np.arange(self.near, self.far + self.spacing / 2, self.spacing)
        return np.concatenate([-right[::-1], right])


def swath_points(
    orbit: Orbit,
    swath: Swath,
    start_day: float,
    end_day: float,
    *,
    phase: float,
    region: Region | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions of the pixels of a swath: lines at right angles to the ground track.

    Each pixel lies on the great circle through the nadir point that crosses the track at a right
    angle, at its distance from the nadir, on a sphere of 6371 km. A line follows the other after
    the time in which the nadir moves by the spacing of the swath at the equator.

    Parameters
    ----------
    orbit : Orbit
        Of the satellite.
    swath : Swath
        Where its pixels are.
    start_day, end_day : float
        Period in days since 1950-01-01, the end excluded.
    phase : float
        Longitude of the ascending node at 1950-01-01 00:00 as a fraction of a turn, in [0, 1).
    region : tuple of float, optional
        West, east, south and north border in degrees. Lines of which a pixel is in it are returned,
        whole; longitudes are without a jump in it. The whole globe by default.

    Returns
    -------
    days : numpy.ndarray
        Days since 1950-01-01, shape (lines,).
    longitude, latitude : numpy.ndarray
        Degrees, shape (lines, pixels), the pixels at `swath.distances`: from left to right of the
        direction of flight.

    Raises
    ------
    InvalidTypeError
        If `swath` is none.

    Examples
    --------
    >>> from xdvarnet.observing.missions import MISSIONS
    >>> swot = MISSIONS["swot"]
    >>> days, longitude, _ = swath_points(swot, swot.swath, 0, 0.01, phase=0.25)
    >>> days.size, longitude.shape
    (2765, (2765, 52))
    """
    wanted = "a Swath(near, far, spacing); ground_track gives the points of a nadir altimeter"
    check_kind(isinstance(swath, Swath), "swath", swath, wanted)
    region = (-180.0, 180.0, -90.0, 90.0) if region is None else region
    days, longitude, latitude = ground_track(
        orbit,
        start_day,
        end_day,
        phase=phase,
        step=swath.spacing / ground_speed(orbit),
        region=_widen(region, swath.far),
    )
    across = heading(orbit, days) + 90
    longitude, latitude = _move(
        longitude[:, None], latitude[:, None], across[:, None], swath.distances[None, :]
    )
    longitude = _wrap(longitude, region)
    seen = in_region(longitude, latitude, region).any(axis=1)
    return days[seen], longitude[seen], latitude[seen]


def in_region(longitude: np.ndarray, latitude: np.ndarray, region: Region) -> np.ndarray:
    """Return where points are in the region; the east of a whole turn is its west."""
    west, east, south, north = region
    inside = longitude < east if east - west >= 360 else longitude <= east
    return inside & (longitude >= west) & (latitude >= south) & (latitude <= north)


def _move(
    longitude: np.ndarray, latitude: np.ndarray, azimuth: np.ndarray, distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Go `distance` km from a point along the great circle with the azimuth; all in degrees."""
    latitude, azimuth = np.radians(latitude), np.radians(azimuth)
    angle = distance / EARTH_RADIUS
    sine = np.sin(latitude) * np.cos(angle) + np.cos(latitude) * np.sin(angle) * np.cos(azimuth)
    eastward = np.arctan2(
        np.sin(azimuth) * np.sin(angle) * np.cos(latitude), np.cos(angle) - np.sin(latitude) * sine
    )
    return longitude + np.degrees(eastward), np.degrees(np.arcsin(sine))


def _widen(region: Region, distance: float) -> Region:
    """Return the region with a margin of `distance` km on all sides."""
    west, east, south, north = region
    margin = np.degrees(distance / EARTH_RADIUS)
    south, north = max(south - margin, -90.0), min(north + margin, 90.0)
    # the longitudes that a circle around a point of the northern or southern border reaches
    nearest_pole = np.cos(np.radians(max(abs(south), abs(north))))
    sine = np.sin(np.radians(margin))
    reach = np.degrees(np.arcsin(sine / nearest_pole)) if sine < nearest_pole else 180.0
    if east - west + 2 * reach >= 360:
        return (west, west + 360.0, south, north)
    return (west - reach, east + reach, south, north)


def _wrap(longitude: np.ndarray, region: Region) -> np.ndarray:
    """Write longitudes within half a turn of the middle of the region."""
    first = (region[0] + region[1]) / 2 - 180
    return first + (longitude - first) % 360
