"""Observe gridded fields as a constellation of altimeters would."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.blocks import blocks
from xdvarnet.grids.checks import check_dataset, units_factor
from xdvarnet.grids.coords import Grid, find_grid
from xdvarnet.grids.provenance import derived
from xdvarnet.observing.base import Mission
from xdvarnet.observing.measurements import Flight, Measurements
from xdvarnet.observing.missions import MISSIONS, read_missions
from xdvarnet.observing.noise import (
    AlongTrack,
    Error,
    Noise,
    check_noise,
    draw_correlated,
    draw_errors,
    noise_for,
)
from xdvarnet.observing.observer import Observer, add_sea, observe_maps, observed_variables
from xdvarnet.observing.track_noise import TrackNoise


@dataclass(frozen=True)
class ObservingSystem:
    """What observes: altimeters, nadir and swath, and missions of your own, with a noise.

    Parameters
    ----------
    missions : sequence of (str or Mission)
        Names, of `xdvarnet.observing.list_missions`, and missions of your own: an `Altimeter` or
        another subclass of `Mission`. What is known by name is kept by name.
    noise : str, float or mapping of str to (str, float, KarinNoise or TrackNoise)
        Standard deviation of the error of one measurement (one a second, or one pixel of a swath),
        independent from one to the next: such as ``"2 cm"``, or a number in the units of the data.
        Of a mapping, each mission has its own, by its name; that of a swath may be a `KarinNoise`,
        and that of a nadir altimeter a `TrackNoise`, whose errors are correlated along the track.

    Raises
    ------
    UnknownNameError
        If a mission is unknown.
    InvalidInputError
        If there is no mission, a name comes twice, a mission of your own has the name of a known
        one, one has no noise, or a noise is negative or no number.
    InvalidTypeError
        If the missions are no sequence, such as a set, whose order differs from run to run, or one
        is neither a name nor a mission.

    Examples
    --------
    >>> from xdvarnet.datasets import mediterranean
    >>> system = ObservingSystem(["jason1", "envisat"], noise=0.02)
    >>> system
    ObservingSystem(missions=('jason1', 'envisat'), noise=0.02)
    >>> observations = system.observe(mediterranean(), rng=0)

    Beside one that measures better on another orbit:

    >>> from xdvarnet.observing.missions import Altimeter
    >>> polar = Altimeter(
    ...     "polar", inclination=92, repeat_days=30, repeat_revolutions=431, nodal_days=30
    ... )
    >>> system = ObservingSystem(["jason1", polar], noise={"jason1": 0.02, "polar": 0.01})
    """

    missions: Sequence[str | Mission]
    noise: str | float | Mapping[str, Noise]

    def __post_init__(self) -> None:
        flown = read_missions(self.missions)
        kept = tuple(mission.name if mission.name in MISSIONS else mission for mission in flown)
        object.__setattr__(self, "missions", kept)
        object.__setattr__(self, "noise", check_noise(self.noise, flown))

    def observe(self, dataset: xr.Dataset, *, rng: RandomState = None) -> xr.Dataset:
        """Sample `dataset` along the tracks of the missions; see `observe`."""
        return observe(dataset, self.missions, noise=self.noise, rng=rng)


def observe(
    dataset: xr.Dataset,
    missions: Sequence[str | Mission] | Observer,
    *,
    noise: str | float | Mapping[str, Noise] | None = None,
    rng: RandomState = None,
) -> xr.Dataset:
    """Observe daily maps along the ground tracks of altimeters, on the same grid.

    On each day, from 00:00 to 24:00, every nadir altimeter measures once a second, and every swath
    one pixel every 2 km. A measurement is the map of the day at that point, bilinear in space, with
    a normal error; it exists where the cell that holds the point is finite, and leaves out
    neighbours that are not. Each observed cell holds the mean of its measurements of the day.

    `rng` draws the phase of each orbit, then the errors, so draws differ in where the tracks are.
    Missions that share an orbit, interleaved or on one satellite, keep their places.

    Parameters
    ----------
    dataset : xarray.Dataset
        Variables with time, latitude and longitude, in any order, NaN on land, are observed; those
        that lack one of these dimensions are kept as they are. Each map has a day of its own.
        dask arrays stay lazy.
    missions : sequence of (str or Mission), or Observer
        Names, of `xdvarnet.observing.list_missions`, and missions of your own; or what observes
        with a noise of its own, as `CloudySST` and `CombinedSystem` do.
    noise : str, float or mapping of str to (str, float, KarinNoise or TrackNoise)
        Standard deviation of the error of one measurement, such as ``"2 cm"`` or a number in the
        units of the data, of all missions or of each; needed with names. A `KarinNoise` and a
        `TrackNoise` are in m and converted to the units of each variable.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the phases and errors; two calls with one seed are equal.

    Returns
    -------
    xarray.Dataset
        With the names, grid, order of dimensions, dtypes and attributes of `dataset`, NaN where
        nothing was measured; a boolean coordinate ``sea`` (latitude, longitude), where there is
        not one already, True where a variable is finite on any day; the attributes
        ``observing_missions`` and ``observing_noise``, and one more line of ``history``.

    Raises
    ------
    InvalidTypeError
        If `dataset` is no Dataset, or `missions` no sequence of names and missions.
    UnknownNameError
        If a mission is unknown.
    InvalidInputError
        If there is no mission, or the noise is negative, missing, or given beside an observer; if
        an axis is missing or unsorted, or two maps are of one day; if no variable can be observed,
        or one has further dimensions, no floating-point values, or infinities, or no units of
        length for a `KarinNoise` or `TrackNoise`; if a mission with a `TrackNoise` does not tell
        the distance along its track.

    Warns
    -----
    XdvarnetWarning
        If no track crosses the domain, or units are missing for a `KarinNoise` or `TrackNoise`.

    Examples
    --------
    >>> from xdvarnet.datasets import mediterranean
    >>> observations = observe(mediterranean(), ["jason1", "gfo"], noise=0.02, rng=0)
    >>> observations["ssh"].dims
    ('time', 'lat', 'lon')
    """
    if isinstance(missions, Observer):
        if noise is not None:
            raise InvalidInputError(
                f"noise={noise!r} belongs to names of missions, and {missions!r} has its own; "
                "leave it out."
            )
        return missions.observe(dataset, rng=rng)
    if noise is None:
        raise InvalidInputError(
            f"the missions {missions!r} need the standard deviation of the error of one "
            "measurement, in the units of the data, such as noise=0.02."
        )
    system = ObservingSystem(missions, noise)
    check_dataset(dataset)
    grid = find_grid(dataset)
    assert grid.days is not None
    names = observed_variables(dataset, grid)
    generator = default_rng(rng)
    metres = {name: _metre(dataset[name], system.noise) for name in names}
    flown = read_missions(system.missions)
    called = [mission.name for mission in flown]
    flight = Flight(flown, grid, generator)
    if not any(flight.counts):
        warn(
            f"no track of {', '.join(called)} crosses the domain in these {grid.days.size} day(s); "
            "all is unobserved."
        )
    observed = add_sea(dataset, names, grid).copy()
    for name in names:
        own = noise_for(system.noise, dataset[name])
        observed[name] = _observe_variable(
            dataset[name], grid, flight, own, metres[name], generator
        )
    observed.attrs = derived(dataset.attrs, f"observe with {system!r}")
    described = str(system.noise) if isinstance(system.noise, Mapping) else system.noise
    return observed.assign_attrs(observing_missions=" ".join(called), observing_noise=described)


def _metre(array: xr.DataArray, noise: str | float | Mapping[str, Noise]) -> float:
    """Return a metre in the units of `array`, where a noise is in metres."""
    if not isinstance(noise, Mapping):
        return 1.0
    heights = [name for name, error in noise.items() if isinstance(error, AlongTrack)]
    if not heights:
        return 1.0
    if "units" not in array.attrs:
        warn(
            f"variable {array.name!r} has no attribute 'units'; 'm' is assumed for the noise of "
            f"{', '.join(heights)}."
        )
    return 1 / units_factor(array, "m")


def _observe_variable(
    array: xr.DataArray,
    grid: Grid,
    flight: Flight,
    noise: float | Mapping[str, Error],
    metre: float,
    rng: np.random.Generator,
) -> xr.DataArray:
    """Observe one day after the other, with errors that do not depend on which is first.

    `rng` goes through the errors of all days at once, and its state before each day is kept: the
    chunks of a lazy array are observed in any order.
    """
    correlated = draw_correlated(noise, flight.missions, flight, rng)
    states = []
    for count in flight.counts:
        states.append(rng.bit_generator.state)
        rng.standard_normal(count)

    def kernel(maps: np.ndarray, positions: np.ndarray) -> np.ndarray:
        observed, generator = np.empty_like(maps), copy.deepcopy(rng)
        for number, day in enumerate(positions):
            points, generator.bit_generator.state = flight.on(day), states[day]
            errors = draw_errors(noise, flight.missions, points, correlated, metre, generator)
            _filter(noise, flight.missions, maps[number], points, errors)
            observed[number] = _cell_means(maps[number], points, errors)
        return observed

    return observe_maps(kernel, array, grid, np.arange(len(states)))


def _filter(
    noise: float | Mapping[str, Error],
    missions: Sequence[Mission],
    values: np.ndarray,
    points: Measurements,
    errors: np.ndarray,
) -> None:
    """Make `errors` those of measurements that were smoothed along the track, where they are."""
    if not isinstance(noise, Mapping):
        return
    for number, mission in enumerate(missions):
        error = noise[mission.name]
        if isinstance(error, TrackNoise) and error.cutoff is not None:
            own = points.missions == number
            _, truth = _measure(values, points.rows[own], points.columns[own])
            errors[own] = error.smooth(points.along[own], truth + errors[own]) - truth


def _cell_means(values: np.ndarray, points: Measurements, errors: np.ndarray) -> np.ndarray:
    """Mean of the measurements in each cell of a map, shape (latitude, longitude)."""
    sums, counts = np.zeros(values.size), np.zeros(values.size, np.int32)
    for part in blocks(errors.size):
        cell, measured = _measure(values, points.rows[part], points.columns[part])
        known = np.isfinite(measured)
        np.add.at(sums, cell[known], (measured + errors[part])[known])
        np.add.at(counts, cell[known], 1)
    np.divide(sums, counts, out=sums, where=counts > 0)
    sums[counts == 0] = np.nan
    return sums.reshape(values.shape)


def _measure(
    values: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cell of each measurement and its value without error, NaN where there is none."""
    ny, nx = values.shape
    row, west = np.minimum(rows.astype(int), ny - 2), columns.astype(int)
    up, right = rows - row, columns - west
    east = (west + 1) % nx  # of no weight where a row ends
    corner = row * nx
    flat = values.reshape(-1)
    total, weight = np.zeros(rows.size), np.zeros(rows.size)
    for offset, share in (
        (west, (1 - up) * (1 - right)),
        (east, (1 - up) * right),
        (nx + west, up * (1 - right)),
        (nx + east, up * right),
    ):
        value = flat[corner + offset].astype(float)
        finite = np.isfinite(value)
        total += np.where(finite, value * share, 0)
        weight += np.where(finite, share, 0)
    cell = corner + (up >= 0.5) * nx + np.where(right >= 0.5, east, west)
    value = np.divide(total, weight, out=np.full(rows.size, np.nan), where=np.isfinite(flat[cell]))
    return cell, value
