"""Errors of the measurements."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import cast

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.blocks import blocks
from xdvarnet.grids.checks import are_readable, check_positive, quantity
from xdvarnet.observing.base import Mission
from xdvarnet.observing.measurements import Measurements
from xdvarnet.observing.track_noise import TrackNoise, exponential_process

_LARGEST_WAVES = 8.0
"""Significant wave height in m up to which the noise is known."""

_NEAREST, _FARTHEST = 10.0, 60.0
"""Distances from the ground track in km between which the noise is known."""

_KARIN = np.array(
    [
        [-4.306, 1.084, 0.033],
        [-0.748, 0.512, 0.100],
        [1.833, -1.606, 0.213],
        [0.113, 0.009, 0.049],
    ]
)
"""Logarithm of the standard deviation in m, of the mean over 1 km2, with the distance from the
track r in 60 km and the wave height h in 8 m: rows are the coefficients of 1, r^2, r^4 and 1/r,
columns of 1, h^1.5 and h^3. The smallest largest error of all such fits that grow with h."""


@dataclass(frozen=True)
class KarinNoise:
    r"""Errors of the radar interferometer KaRIn of SWOT.

    Each pixel has an independent error, largest at both borders of the swath and in high waves.
    Its standard deviation is a fit, to 4 %, of the table of the SWOT simulator (between 10 and 60
    km, and 0 and 8 m), which is for 1 km2: it goes with the inverse square root of the pixel's
    area. To it are added tilts of the measured surface, slowly varying along the track with the
    covariance :math:`\sigma^2 \exp(-d/L)`: `roll` turns the whole swath around the ground track,
    `phase` each half by itself. Their error is the angle times the distance from the track.

    Parameters
    ----------
    significant_wave_height : float
        In m, 0 to 8, the same everywhere.
    roll, phase : float
        Standard deviations of the tilts in microradians: 1 is an error of 6 cm at 60 km. A roll of
        the satellite by an angle tilts the surface by 1.14 times that angle. By default none, as
        after a perfect cross-calibration.
    correlation_length : float
        e-folding distance :math:`L` of the tilts along the track in km.

    Raises
    ------
    InvalidInputError
        If a number is negative, the correlation length zero, or the waves are higher than 8 m.

    References
    ----------
    Gaultier, L., Ubelmann, C. and Fu, L.-L. (2016), The challenge of using future SWOT data for
    oceanic field reconstruction, J. Atmos. Oceanic Technol. 33, 119-126,
    https://doi.org/10.1175/JTECH-D-15-0160.1.
    Table: karin_noise_v2.nc of https://github.com/CNES/swot_simulator.

    Examples
    --------
    >>> KarinNoise(2.0).std(np.array([10.0, 35.0, 60.0]), area=4.0).round(4)
    array([0.0151, 0.009 , 0.0225])
    """

    significant_wave_height: float = 2.0
    _: KW_ONLY
    roll: float = 0.0
    phase: float = 0.0
    correlation_length: float = 1000.0

    def __post_init__(self) -> None:
        for name, units, zero in (
            ("significant_wave_height", "m", True),
            ("roll", "microradians", True),
            ("phase", "microradians", True),
            ("correlation_length", "km", False),
        ):
            number = check_positive(getattr(self, name), name, units, zero=zero)
            object.__setattr__(self, name, number)
        if self.significant_wave_height > _LARGEST_WAVES:
            raise InvalidInputError(
                f"significant_wave_height={self.significant_wave_height:g} is not accepted; the "
                f"noise is known for 0 to {_LARGEST_WAVES:g} m."
            )

    def std(self, distance: np.ndarray, *, area: float) -> np.ndarray:
        """Standard deviation of the independent errors.

        Parameters
        ----------
        distance : numpy.ndarray
            Distance from the ground track in km, of either sign, 10 to 60.
        area : float
            Area of a pixel in km2.

        Returns
        -------
        numpy.ndarray
            In m, in the shape of `distance`.
        """
        r, h = np.abs(distance) / 60, self.significant_wave_height / _LARGEST_WAVES
        one, square, fourth, inverse = _KARIN @ (1, h**1.5, h**3)
        return np.exp(one + square * r**2 + fourth * r**4 + inverse / r) / np.sqrt(area)

    def tilts(self, along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the errors of roll and phase.

        Parameters
        ----------
        along, across : numpy.ndarray
            Distance along the track, and from it (negative on the left), in km, shape (points,).
        rng : numpy.random.Generator
            Source of the angles.

        Returns
        -------
        numpy.ndarray
            In m, shape (points,).
        """
        lines = np.unique(along)
        return self.tilt(lines, self.draw_angles(lines, rng), along, across)

    def draw_angles(self, lines: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the angles of roll, and of the phase on the left and on the right.

        Parameters
        ----------
        lines : numpy.ndarray
            Distances along the track of the lines of pixels, in km, increasing, shape (lines,).
        rng : numpy.random.Generator
            Source of the angles.

        Returns
        -------
        numpy.ndarray
            In microradians, shape (3, lines).
        """
        stds = (self.roll, self.phase, self.phase)
        return np.stack(
            [std * exponential_process(lines, self.correlation_length, rng) for std in stds]
        )

    def tilt(
        self, lines: np.ndarray, angles: np.ndarray, along: np.ndarray, across: np.ndarray
    ) -> np.ndarray:
        """Return the errors of `tilts` from the angles of all lines; arguments as there."""
        line, distance = np.searchsorted(lines, along), across.astype(float)
        roll, left, right = angles[:, line]
        return (roll + np.where(distance < 0, left, right)) * distance * 1e-3  # km to m


AlongTrack = KarinNoise | TrackNoise
"""Errors of heights in m, which are correlated along the track."""

Error = float | AlongTrack
"""Standard deviation of one measurement in the units of a variable, or errors along a track."""

Correlated = Mapping[int, tuple[np.ndarray, np.ndarray]]
"""Of missions, by their position: distances along the track of all lines or points, and the angles
in microradians or the heights in m that were drawn for them."""

Noise = str | Error
"""Standard deviation of one measurement, such as "2 cm" or in the units of the data, or errors
along a track."""


def check_noise(
    noise: Noise | Mapping[str, Noise], missions: Sequence[Mission]
) -> str | float | dict[str, Noise]:
    """Return the noise as it is, or as a dictionary with the names of `missions` in their order.

    Raises
    ------
    InvalidInputError
        If a number is negative or none, a mission has no noise, a `KarinNoise` is that of a mission
        without a swath, or of a swath of other distances, or a `TrackNoise` that of a swath.
    """
    if isinstance(noise, AlongTrack):
        swath = isinstance(noise, KarinNoise)
        kind, name = ("swaths", "swot") if swath else ("nadir altimeters", "jason3")
        raise InvalidInputError(
            f"noise={type(noise).__name__}(...) is for {kind} alone; give a mapping from each "
            f"mission to its noise, such as {{{name!r}: {noise!r}}}."
        )
    if not isinstance(noise, Mapping):
        return check_size(noise, "noise")
    names = [mission.name for mission in missions]
    missing = [name for name in names if name not in noise]
    if missing:
        raise InvalidInputError(
            f"noise has no {', '.join(missing)}; it has {', '.join(map(str, noise)) or 'nothing'}. "
            "Give the noise of each mission, or one number for all."
        )
    for mission in missions:
        if isinstance(noise[mission.name], KarinNoise):
            _check_swath(mission)
        if isinstance(noise[mission.name], TrackNoise) and mission.swath is not None:
            raise InvalidInputError(
                f"noise[{mission.name!r}] is a TrackNoise, which is for nadir altimeters, and "
                f"{mission.name} has a swath; give a KarinNoise, or a number, in the units of the "
                "data."
            )
    return {
        name: error
        if isinstance(error := noise[name], AlongTrack)
        else check_size(error, f"noise[{name!r}]")
        for name in names
    }


def check_size(noise: str | float, name: str) -> str | float:
    """Return a noise that may be one: a quantity is read where the units of the data are known."""
    if isinstance(noise, str) and re.search(r"\d", noise) and are_readable(noise):
        return noise
    units = "the units of the data, or a quantity such as '2 cm'"
    return check_positive(cast(float, noise), name, units, zero=True)


def noise_for(
    noise: str | float | Mapping[str, Noise], array: xr.DataArray
) -> float | dict[str, Error]:
    """Return a noise with its quantities as numbers in the units of a variable."""
    if not isinstance(noise, Mapping):
        return size_for(noise, array)
    return {
        name: error if isinstance(error, AlongTrack) else size_for(error, array)
        for name, error in noise.items()
    }


def size_for(noise: str | float, array: xr.DataArray) -> float:
    """Return a standard deviation in the units of a variable.

    Raises
    ------
    InvalidInputError
        If it is a quantity, and the variable has no units or others.
    """
    if not isinstance(noise, str):
        return noise
    if "units" not in array.attrs:
        raise InvalidInputError(
            f"noise={noise!r} has units, and variable {array.name!r} has no attribute 'units'; "
            "give it one, or a number in the units of the data."
        )
    return quantity(noise, array.attrs["units"], "noise", zero=True)


def _check_swath(mission: Mission) -> None:
    """Refuse a mission without pixels where the noise of KaRIn is known."""
    if mission.swath is None:
        raise InvalidInputError(
            f"noise[{mission.name!r}] is a KarinNoise, which depends on the place in a swath, and "
            f"{mission.name} has no swath; give a number, in the units of the data."
        )
    if mission.swath.near < _NEAREST or mission.swath.far > _FARTHEST:
        raise InvalidInputError(
            f"noise[{mission.name!r}] is a KarinNoise, which is known from {_NEAREST:g} to "
            f"{_FARTHEST:g} km from the ground track, and the swath goes from "
            f"{mission.swath.near:g} to {mission.swath.far:g} km; give a number, in the units of "
            "the data."
        )


def _check_along(along: np.ndarray, mission: Mission) -> None:
    """Refuse a mission that does not tell how far it has flown."""
    if np.isnan(along).any():
        raise InvalidInputError(
            f"noise[{mission.name!r}] is a TrackNoise, and the positions of {mission.name} have no "
            "distance along the track; give Positions(days, longitude, latitude, along=...), in "
            "km, or a number, in the units of the data."
        )


def draw_correlated(
    noise: float | Mapping[str, Error],
    missions: Sequence[Mission],
    days: Iterable[Measurements],
    rng: np.random.Generator,
) -> Correlated:
    """Draw the angles of each `KarinNoise` and the heights of each `TrackNoise`, of all days.

    Parameters
    ----------
    noise : float or mapping of str to (float, KarinNoise or TrackNoise)
        As `noise_for` returns it.
    missions : sequence of Mission
        Those that `Measurements.missions` counts.
    days : iterable of Measurements
        What is measured on each day.
    rng : numpy.random.Generator
        Source of the angles and heights.

    Raises
    ------
    InvalidInputError
        If a mission with a `TrackNoise` does not tell the distance along its track.
    """
    if not isinstance(noise, Mapping):
        return {}
    errors = enumerate(noise[mission.name] for mission in missions)
    own = {number: error for number, error in errors if isinstance(error, AlongTrack)}
    if not own:
        return {}
    lines: dict[int, list[np.ndarray]] = {number: [] for number in own}
    for points in days:
        for number in own:
            lines[number].append(np.unique(points.along[points.missions == number]))
    correlated = {}
    for number, error in own.items():
        of_all_days = np.unique(np.concatenate(lines[number]))
        if isinstance(error, KarinNoise):
            correlated[number] = of_all_days, error.draw_angles(of_all_days, rng)
        else:
            _check_along(of_all_days, missions[number])
            correlated[number] = of_all_days, error.draw(of_all_days, rng)
    return correlated


def draw_errors(
    noise: float | Mapping[str, Error],
    missions: Sequence[Mission],
    points: Measurements,
    correlated: Correlated,
    metre: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the error of each measurement of a day: one normal number for each.

    Parameters
    ----------
    noise, missions
        As for `draw_correlated`.
    points : Measurements
        What is measured.
    correlated : mapping of int to (numpy.ndarray, numpy.ndarray)
        Of `draw_correlated`.
    metre : float
        A metre in the units of the data.
    rng : numpy.random.Generator
        Source of the errors.

    Returns
    -------
    numpy.ndarray
        In the units of the data, shape (points,).
    """
    if not isinstance(noise, Mapping):
        return rng.normal(0.0, noise, points.rows.size)
    errors = np.empty(points.rows.size)
    for part in blocks(errors.size):
        std, slow = np.zeros(errors[part].size), np.zeros(errors[part].size)
        for number, mission in enumerate(missions):
            own, error = points.missions[part] == number, noise[mission.name]
            if not isinstance(error, AlongTrack):
                std[own] = error
                continue
            lines, drawn = correlated[number]
            along, across = points.along[part][own], points.across[part][own].astype(float)
            if isinstance(error, TrackNoise):
                std[own] = metre * error.white
                slow[own] = metre * drawn[np.searchsorted(lines, along)]
                continue
            assert mission.swath is not None
            std[own] = metre * error.std(across, area=mission.swath.spacing**2)
            slow[own] = metre * error.tilt(lines, drawn, along, across)
        errors[part] = rng.normal(0.0, std) + slow
    return errors
