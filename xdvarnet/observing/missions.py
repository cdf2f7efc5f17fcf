"""Nadir altimeters and their repeat orbits."""

from dataclasses import dataclass

_RADS = (
    "repeat cycle and revolutions: Radar Altimeter Database System, conf/rads.xml, "
    "https://github.com/remkos/rads"
)


@dataclass(frozen=True)
class Mission:
    """A nadir altimeter on a circular orbit whose ground track repeats.

    Attributes
    ----------
    name : str
        Name, as in `MISSIONS`.
    inclination : float
        Inclination of the orbit in degrees.
    repeat_days : float
        Length of the repeat cycle in days of 86400 s.
    repeat_revolutions : int
        Revolutions in a repeat cycle.
    source : str
        Where these numbers come from.
    interleaved_with : str or None
        Mission on the same orbit, half a track spacing apart.
    """

    name: str
    inclination: float
    repeat_days: float
    repeat_revolutions: int
    source: str
    interleaved_with: str | None = None

    @property
    def nodal_days(self) -> int:
        """Turns of the Earth below the precessing orbit in a repeat cycle.

        A nodal day differs from a day by less than 1 % for these orbits, so this is the integer
        nearest to `repeat_days`.
        """
        return round(self.repeat_days)

    @property
    def nodal_period(self) -> float:
        """Time from one ascending node to the next, in seconds."""
        return self.repeat_days * 86400 / self.repeat_revolutions

    @property
    def track_spacing(self) -> float:
        """Distance in longitude between neighbouring ascending tracks, in degrees."""
        return 360 / self.repeat_revolutions


MISSIONS = {
    mission.name: mission
    for mission in (
        Mission(
            "jason1",
            inclination=66.04,
            repeat_days=9.9156428,
            repeat_revolutions=127,
            source="inclination: https://podaac.jpl.nasa.gov/TOPEX-POSEIDON (the same orbit); "
            + _RADS,
        ),
        Mission(
            "topex_interleaved",
            inclination=66.04,
            repeat_days=9.9156428,
            repeat_revolutions=127,
            source="inclination: https://podaac.jpl.nasa.gov/TOPEX-POSEIDON; half way between the "
            "tracks of Jason-1 from September 2002: "
            "https://www.aviso.altimetry.fr/en/missions/past-missions/topex-poseidon/orbits.html; "
            + _RADS,
            interleaved_with="jason1",
        ),
        Mission(
            "envisat",
            inclination=98.55,
            repeat_days=35.0,
            repeat_revolutions=501,
            source="inclination: https://earth.esa.int/web/guest/missions/"
            "esa-operational-eo-missions/envisat/operations; " + _RADS,
        ),
        Mission(
            "gfo",
            inclination=108.05,
            repeat_days=17.05057808,
            repeat_revolutions=244,
            source="inclination: Born, Mitchell and Heyler (1987), Johns Hopkins APL Technical "
            "Digest 8 (the Geosat orbit, which GFO repeats); " + _RADS,
        ),
    )
}
"""The known missions by name.

Examples
--------
>>> round(MISSIONS["jason1"].nodal_period)
6746
"""
