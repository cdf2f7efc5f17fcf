"""Altimeters, nadir and swath, and the missions that are known by name."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from numbers import Real

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.checks import check_kind, check_known
from xdvarnet.observing.base import Mission, Positions
from xdvarnet.observing.orbits import Orbit, Region, ground_speed, ground_track
from xdvarnet.observing.swath import Swath, swath_points

_RADS = (
    "repeat cycle and revolutions: Radar Altimeter Database System, conf/rads.xml, "
    "https://github.com/remkos/rads"
)


@dataclass(frozen=True, kw_only=True)
class Altimeter(Orbit, Mission):
    """An altimeter on a circular orbit, nadir or swath.

    Parameters
    ----------
    name : str
        Name, without blanks.
    inclination : float
        Inclination of the orbit in degrees, 0 to 180.
    repeat_days : float
        Length of the repeat cycle in days of 86400 s; of a drifting orbit, the time of
        `repeat_revolutions`, after which its tracks come near to where they were.
    repeat_revolutions : int
        Revolutions in that time.
    nodal_days : float
        Turns of the Earth below the precessing orbit in that time: a whole number where the track
        repeats. It differs from `repeat_days` by less than 1 %.
    partner : str or None
        Name of the mission on the same orbit to which it keeps its place.
    tracks_apart : float
        Distance eastward from the partner's track to its own that is flown at the same time, in
        track spacings: 0 on the same track; interleaved if it is a half more than a whole number.
    swath : Swath or None
        Where its pixels are; None for a nadir altimeter.
    source : str
        Where these numbers come from.

    Raises
    ------
    InvalidTypeError
        If a name is no text, or the swath no `Swath`.
    InvalidInputError
        If a name or a number is not accepted.

    Examples
    --------
    A second SWOT, half way between the tracks of the first:

    >>> second = Altimeter(
    ...     "second_swot",
    ...     inclination=77.6,
    ...     repeat_days=20.86455,
    ...     repeat_revolutions=292,
    ...     nodal_days=21,
    ...     partner="swot_nadir",
    ...     tracks_apart=0.5,
    ...     swath=Swath(near=10, far=60, spacing=2),
    ... )
    >>> second.drifts, round(second.track_spacing, 3)
    (False, 1.233)
    """

    tracks_apart: float = 0.0
    source: str = ""

    def __post_init__(self) -> None:
        Mission.__post_init__(self)
        Orbit.__post_init__(self)
        apart: object = self.tracks_apart
        if not isinstance(apart, Real) or not isfinite(apart):
            raise InvalidInputError(
                f"tracks_apart={self.tracks_apart!r} is not accepted; give a number of track "
                "spacings eastward from the partner, such as 0.5."
            )

    def phase(self, of_partner: float) -> float:
        """Return the phase of the orbit, as a fraction of a turn, from that of the partner."""
        return (of_partner + self.tracks_apart * self.track_spacing / 360) % 1

    def positions(
        self, start_day: float, end_day: float, *, phase: float, region: Region | None = None
    ) -> Positions:
        """Return its ground track, a point a second, or the pixels of its swath."""
        if self.swath is None:
            points = ground_track(self, start_day, end_day, phase=phase, region=region)
        else:
            points = swath_points(self, self.swath, start_day, end_day, phase=phase, region=region)
        return Positions(*points, along=points[0] * 86400 * ground_speed(self))


_AVISO = "https://www.aviso.altimetry.fr/en/missions"
_SENTINEL3 = "https://sentinel.esa.int/web/sentinel/missions/sentinel-3/satellite-description/orbit"
_SWOT = f"science orbit from July 2023: {_AVISO}/future-missions/swot/orbit.html"

MISSIONS = {
    mission.name: mission
    for mission in (
        Altimeter(
            "jason1",
            inclination=66.04,
            repeat_days=9.9156428,
            repeat_revolutions=127,
            nodal_days=10,
            source="inclination: https://podaac.jpl.nasa.gov/TOPEX-POSEIDON (the same orbit); "
            + _RADS,
        ),
        Altimeter(
            "topex_interleaved",
            inclination=66.04,
            repeat_days=9.9156428,
            repeat_revolutions=127,
            nodal_days=10,
            source="inclination: https://podaac.jpl.nasa.gov/TOPEX-POSEIDON; half way between the "
            "tracks of Jason-1 from September 2002: "
            "https://www.aviso.altimetry.fr/en/missions/past-missions/topex-poseidon/orbits.html; "
            + _RADS,
            partner="jason1",
            tracks_apart=0.5,
        ),
        Altimeter(
            "envisat",
            inclination=98.55,
            repeat_days=35.0,
            repeat_revolutions=501,
            nodal_days=35,
            source="inclination: https://earth.esa.int/web/guest/missions/"
            "esa-operational-eo-missions/envisat/operations; " + _RADS,
        ),
        Altimeter(
            "gfo",
            inclination=108.05,
            repeat_days=17.05057808,
            repeat_revolutions=244,
            nodal_days=17,
            source="inclination: Born, Mitchell and Heyler (1987), Johns Hopkins APL Technical "
            "Digest 8 (the Geosat orbit, which GFO repeats); " + _RADS,
        ),
        Altimeter(
            "sentinel6",
            inclination=66.04,
            repeat_days=9.9156428,
            repeat_revolutions=127,
            nodal_days=10,
            source="the orbit and the tracks of Jason-1; " + _RADS,
        ),
        Altimeter(
            "jason3",
            inclination=66.04,
            repeat_days=9.9156428,
            repeat_revolutions=127,
            nodal_days=10,
            source="between the tracks of Sentinel-6 from April 2022 to January 2025: "
            "https://www.eumetsat.int/jason-3-hands-over-reference-altimetry-mission-sentinel-6; "
            "place beside Sentinel-6 from the reference passes, " + _RADS,
            partner="sentinel6",
            tracks_apart=-4.5,  # its neighbouring tracks are flown five days apart
        ),
        Altimeter(
            "sentinel3a",
            inclination=98.65,
            repeat_days=27.0,
            repeat_revolutions=385,
            nodal_days=27,
            source=f"{_SENTINEL3}; " + _RADS,
        ),
        Altimeter(
            "sentinel3b",
            inclination=98.65,
            repeat_days=27.0,
            repeat_revolutions=385,
            nodal_days=27,
            source=f"140 degrees from Sentinel-3A since November 2018: {_SENTINEL3}; " + _RADS,
            partner="sentinel3a",
            tracks_apart=10.5,  # 140 degrees of a revolution ahead, and 27 / 385 of it eastward
        ),
        Altimeter(
            "cryosat2",
            inclination=92.03,
            repeat_days=368.239641,
            repeat_revolutions=5344,
            nodal_days=369,
            source="orbit before it was raised in July 2020 "
            "(https://earth.esa.int/eogateway/news/a-closer-look-at-cryo2ice-manoeuvres): "
            "https://openadb.dgfi.tum.de/en/missions/cryosat2, where its 369 days are those of the "
            "nodes; " + _RADS,
        ),
        Altimeter(
            "saral",
            inclination=98.54,
            repeat_days=35.0054,
            repeat_revolutions=501,
            nodal_days=35 + 1.99 / 360,  # 1.99 degrees westward in this time
            source="drifting phase, not kept on its orbit since July 2016: Dibarboure et al. "
            "(2018), https://doi.org/10.3390/rs10071051; its mean motion and drift from August "
            "2018: Radar Altimeter Database System, conf/rads.xml, "
            "https://github.com/remkos/rads. Before, it repeated the track of Envisat.",
        ),
        Altimeter(
            "hy2b",
            inclination=99.34,
            repeat_days=14.0,
            repeat_revolutions=193,
            nodal_days=14,
            source="the orbit of HY-2A until 2016: https://ilrs.gsfc.nasa.gov/missions/"
            "satellite_missions/current_missions/hy2b_general.html; " + _RADS,
        ),
        Altimeter(
            "swot_nadir",
            inclination=77.6,
            repeat_days=20.86455,
            repeat_revolutions=292,
            nodal_days=21,
            source=f"{_SWOT}; " + _RADS,
        ),
        Altimeter(
            "swot",
            inclination=77.6,
            repeat_days=20.86455,
            repeat_revolutions=292,
            nodal_days=21,
            source=f"{_SWOT}; swath from 10 to 60 km: "
            "https://swot-simulator.readthedocs.io/en/latest/sampling/swath.html; " + _RADS,
            partner="swot_nadir",
            swath=Swath(near=10.0, far=60.0, spacing=2.0),
        ),
    )
}
"""The known missions by name, each on one orbit; `source` says in which years it was flown.

Examples
--------
>>> round(MISSIONS["jason1"].nodal_period)
6746
>>> MISSIONS["saral"].drifts
True
"""


def list_missions() -> list[str]:
    """Return the names of the known missions, in alphabetical order.

    A mission of your own is an `Altimeter`, or an object of another subclass of `Mission`.

    Examples
    --------
    >>> list_missions()[:4]
    ['cryosat2', 'envisat', 'gfo', 'hy2b']
    """
    return sorted(MISSIONS)


def read_mission(mission: str | Mission) -> Mission:
    """Return the mission that a name stands for; an object stands for itself.

    Raises
    ------
    UnknownNameError
        If there is no mission of that name.
    InvalidTypeError
        If it is neither a name nor a mission.
    InvalidInputError
        If it has the name of a known mission and is another one.
    """
    if isinstance(mission, str):
        check_known(mission, MISSIONS, "mission")
        return MISSIONS[mission]
    wanted = "the name of a mission, see list_missions(), or a Mission such as Altimeter(...)"
    check_kind(isinstance(mission, Mission), "mission", mission, wanted)
    if mission.name in MISSIONS and mission != MISSIONS[mission.name]:
        raise InvalidInputError(
            f"{mission.name!r} is the name of a known mission, and the one given differs from it; "
            "give it another name."
        )
    return mission


def read_missions(missions: str | Mission | Iterable[str | Mission]) -> tuple[Mission, ...]:
    """Return missions that are given by name or as objects, in their order.

    Raises
    ------
    UnknownNameError
        If a name is unknown.
    InvalidTypeError
        If they are no sequence, such as a set, whose order differs from run to run, or one of them
        is neither a name nor a mission.
    InvalidInputError
        If there is none, two have one name, one has the name of a known mission and is another one,
        or a partner has a partner.
    """
    if isinstance(missions, str | Mission):
        missions = (missions,)
    if not isinstance(missions, Iterable) or isinstance(missions, set | frozenset):
        raise InvalidTypeError(
            f"missions={missions!r} is no sequence; give a list of names or missions in a fixed "
            "order, on which the draws depend, such as ['jason1', 'envisat']."
        )
    flown = tuple(map(read_mission, missions))
    names = [mission.name for mission in flown]
    if not names:
        raise InvalidInputError(f"no missions given; choose from {', '.join(list_missions())}.")
    if len(set(names)) < len(names):
        raise InvalidInputError(f"missions {names} repeat a name; give each once.")
    with_partner = {mission.name for mission in flown if mission.partner in names}
    for mission in flown:
        if mission.partner in with_partner:
            raise InvalidInputError(
                f"the partner of {mission.name!r} is {mission.partner!r}, which keeps its place to "
                "a partner itself; give both the same partner."
            )
    return flown
