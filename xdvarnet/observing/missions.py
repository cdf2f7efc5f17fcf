"""Altimeters, nadir and swath, and their orbits."""

from dataclasses import dataclass

import numpy as np

_RADS = (
    "repeat cycle and revolutions: Radar Altimeter Database System, conf/rads.xml, "
    "https://github.com/remkos/rads"
)


@dataclass(frozen=True)
class Swath:
    """Pixels on both sides of the ground track, with a gap below the satellite.

    Attributes
    ----------
    near, far : float
        Distance of the first and of the last pixel from the ground track in km.
    spacing : float
        Distance between neighbouring pixels in km, across and along the track.
    """

    near: float
    far: float
    spacing: float

    @property
    def distances(self) -> np.ndarray:
        """Distances from the ground track in km, shape (pixels,), from left (negative) to right."""
        right = np.arange(self.near, self.far + self.spacing / 2, self.spacing)
        return np.concatenate([-right[::-1], right])


@dataclass(frozen=True)
class Mission:
    """An altimeter on a circular orbit, whose ground track repeats or drifts.

    Attributes
    ----------
    name : str
        Name, as in `MISSIONS`.
    inclination : float
        Inclination of the orbit in degrees.
    repeat_days : float
        Length of the repeat cycle in days of 86400 s; of a drifting orbit, the time of
        `repeat_revolutions`, after which its tracks come near to where they were.
    repeat_revolutions : int
        Revolutions in that time.
    nodal_days : float
        Turns of the Earth below the precessing orbit in that time: a whole number where the track
        repeats. It differs from `repeat_days` by less than 1 %.
    source : str
        Where these numbers come from.
    partner : str or None
        Mission on the same orbit, to which it keeps its place.
    tracks_apart : float
        Distance eastward from the partner's track to its own that is flown at the same time, in
        track spacings: 0 on the same track; interleaved if it is a half more than a whole number.
    swath : Swath or None
        Where its pixels are; None for a nadir altimeter.
    """

    name: str
    inclination: float
    repeat_days: float
    repeat_revolutions: int
    nodal_days: float
    source: str
    partner: str | None = None
    tracks_apart: float = 0.0
    swath: Swath | None = None

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

    def phase(self, of_partner: float) -> float:
        """Return the phase of the orbit, as a fraction of a turn, from that of the partner."""
        return (of_partner + self.tracks_apart * self.track_spacing / 360) % 1


_AVISO = "https://www.aviso.altimetry.fr/en/missions"
_SENTINEL3 = "https://sentinel.esa.int/web/sentinel/missions/sentinel-3/satellite-description/orbit"
_SWOT = f"science orbit from July 2023: {_AVISO}/future-missions/swot/orbit.html"

MISSIONS = {
    mission.name: mission
    for mission in (
        Mission(
            "jason1",
            inclination=66.04,
            repeat_days=9.9156428,
            repeat_revolutions=127,
            nodal_days=10,
            source="inclination: https://podaac.jpl.nasa.gov/TOPEX-POSEIDON (the same orbit); "
            + _RADS,
        ),
        Mission(
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
        Mission(
            "envisat",
            inclination=98.55,
            repeat_days=35.0,
            repeat_revolutions=501,
            nodal_days=35,
            source="inclination: https://earth.esa.int/web/guest/missions/"
            "esa-operational-eo-missions/envisat/operations; " + _RADS,
        ),
        Mission(
            "gfo",
            inclination=108.05,
            repeat_days=17.05057808,
            repeat_revolutions=244,
            nodal_days=17,
            source="inclination: Born, Mitchell and Heyler (1987), Johns Hopkins APL Technical "
            "Digest 8 (the Geosat orbit, which GFO repeats); " + _RADS,
        ),
        Mission(
            "sentinel6",
            inclination=66.04,
            repeat_days=9.9156428,
            repeat_revolutions=127,
            nodal_days=10,
            source="the orbit and the tracks of Jason-1; " + _RADS,
        ),
        Mission(
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
        Mission(
            "sentinel3a",
            inclination=98.65,
            repeat_days=27.0,
            repeat_revolutions=385,
            nodal_days=27,
            source=f"{_SENTINEL3}; " + _RADS,
        ),
        Mission(
            "sentinel3b",
            inclination=98.65,
            repeat_days=27.0,
            repeat_revolutions=385,
            nodal_days=27,
            source=f"140 degrees from Sentinel-3A since November 2018: {_SENTINEL3}; " + _RADS,
            partner="sentinel3a",
            tracks_apart=10.5,  # 140 degrees of a revolution ahead, and 27 / 385 of it eastward
        ),
        Mission(
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
        Mission(
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
        Mission(
            "hy2b",
            inclination=99.34,
            repeat_days=14.0,
            repeat_revolutions=193,
            nodal_days=14,
            source="the orbit of HY-2A until 2016: https://ilrs.gsfc.nasa.gov/missions/"
            "satellite_missions/current_missions/hy2b_general.html; " + _RADS,
        ),
        Mission(
            "swot_nadir",
            inclination=77.6,
            repeat_days=20.86455,
            repeat_revolutions=292,
            nodal_days=21,
            source=f"{_SWOT}; " + _RADS,
        ),
        Mission(
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
