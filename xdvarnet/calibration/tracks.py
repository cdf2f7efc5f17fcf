"""The errors of maps along missions that are withheld from them, one after the other."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdvarnet._progress import track
from xdvarnet.calibration.calibrated import Calibrated, errors_read, formal_std
from xdvarnet.calibration.errors import (
    ErrorProcess,
    crossover_time,
    fit_variance,
    grid_scales,
    root_mean_square,
    track_length,
)
from xdvarnet.calibration.simulation import Simulation
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import quantity, units_factor
from xdvarnet.grids.internal import DIMS, to_internal
from xdvarnet.grids.points import find_points
from xdvarnet.mapping.anomalies import take_anomalies, units_of_input
from xdvarnet.mapping.binning import bin_observations
from xdvarnet.mapping.observations import Fields, Observations
from xdvarnet.mapping.protocol import Reconstructor, analyse
from xdvarnet.tracks.crossovers import crossover_noise, crossovers
from xdvarnet.tracks.dates import days_of_tracks
from xdvarnet.tracks.sample import sample_tracks
from xdvarnet.tracks.segments import find_missions, segments
from xdvarnet.training.passes import PASS_GAP, check_tracks

LEAST_CROSSOVERS = 20
"""Fewest crossovers that tell a noise, or a correlation time if missions cross themselves."""

LEAST_SIGNAL = 0.1
"""Smallest variance of the signal, over that of the measurements."""


@dataclass(frozen=True)
class Withheld:
    """A mission, and what the maps of the others say at its points.

    Attributes
    ----------
    tracks : xarray.Dataset
        Its points.
    passes : numpy.ndarray
        Number of the pass of each point.
    observations : Observations
        Of the others.
    stamps : xarray.DataArray
        Times of the days.
    mean : mapping of str to numpy.ndarray
        The maps of the others, as anomalies from the background.
    error, formal, signal : mapping of str to numpy.ndarray
        For each variable, at the points: measurement less map, formal standard deviation of the
        map, and measurement less background. NaN where the maps have no value.
    """

    tracks: xr.Dataset
    passes: np.ndarray
    observations: Observations
    stamps: xr.DataArray
    mean: Fields
    error: Fields
    formal: Fields
    signal: Fields


def errors_along_tracks(
    model: Reconstructor,
    tracks: xr.Dataset,
    grid: xr.Dataset,
    noise: str | float | None,
    spread: Reconstructor | None,
    known: Calibrated | None,
    rng: np.random.Generator,
) -> dict[str, ErrorProcess]:
    """Learn the process of the error from tracks, as `xdvarnet.calibrate` describes it.

    Correlation lengths are those along passes. Correlation times are those of an earlier
    calibration; without one, they are told from the crossovers of each mission with itself; with
    too few of these, that of the signal is that of the maps, and that of the error that of
    simulated errors.

    Parameters
    ----------
    model : Reconstructor
        Not calibrated.
    tracks, grid, noise, spread
        As in `xdvarnet.calibrate`.
    known : Calibrated or None
        An earlier calibration.
    rng : numpy.random.Generator
        Source of the simulations.

    Raises
    ------
    InvalidInputError
        If the tracks cross too few times to tell their noise, and none is given.

    Warns
    -----
    XdvarnetWarning
        If the missions cross their own tracks too few times to tell a correlation time.
    """
    check_tracks(tracks, model.variables)
    noises = {
        name: _noise(tracks, name, units) if noise is None else quantity(noise, units, "noise")
        for name, units in model.variables.items()
    }
    missions = find_missions(tracks)
    passes = segments(tracks, gap=PASS_GAP).values
    stamps = days_of_tracks(find_points(tracks), grid)
    labels = np.unique(missions)
    cases = [
        _withhold(model, tracks, grid, spread, missions == mission, passes, stamps, rng)
        for mission in track(labels, "mission", len(labels))
    ]
    errors, sizes, told = {}, {}, {}
    for name, size in noises.items():
        before = None if known is None else known.errors[name]
        errors[name], sizes[name], told[name] = _process(name, cases, size, before)
    simulation = Simulation(model, errors, cases[0].observations)
    simulated = [
        simulation.error(case.observations, child)
        for case, child in track(
            zip(cases, rng.spawn(len(cases)), strict=True), "simulation", len(cases)
        )
    ]
    sampled = [
        _sample(fields, case.observations, case.stamps, case.tracks)
        for fields, case in zip(simulated, cases, strict=True)
    ]
    for name, error in errors.items():
        values = np.concatenate([case[name] for case in sampled])
        factor = sizes[name] / root_mean_square(values[np.isfinite(values)])
        errors[name] = dataclasses.replace(error, factor=factor)
        if not told[name]:
            time = _time_of_maps([fields[name] for fields in simulated], cases)
            errors[name] = dataclasses.replace(errors[name], time=time)
            _warn_of_times(name, errors[name])
    return errors


def _noise(tracks: xr.Dataset, name: str, units: str) -> float:
    """Return the noise of one measurement that crossovers show, in `units`."""
    count = crossovers(tracks, name).sizes["crossover"]
    if count < LEAST_CROSSOVERS:
        raise InvalidInputError(
            f"the tracks cross {count} time(s) within a day, and {LEAST_CROSSOVERS} are needed to "
            f"tell the noise of {name!r}; give it, as the standard deviation of the error of one "
            f"measurement, such as noise='0.02 {units}'; or give more tracks."
        )
    return units_factor(tracks[name], units) * crossover_noise(tracks, name)


def _withhold(
    model: Reconstructor,
    tracks: xr.Dataset,
    grid: xr.Dataset,
    spread: Reconstructor | None,
    here: np.ndarray,
    passes: np.ndarray,
    stamps: xr.DataArray,
    rng: np.random.Generator,
) -> Withheld:
    """Map the missions that are not `here`, and compare with the one that is."""
    (dim,) = find_points(tracks).sizes
    seen, hidden = (tracks.isel({dim: part}) for part in (~here, here))
    errors = errors_read(model, spread)
    binned = bin_observations(seen, grid, model.variables, errors, stamps)
    observed = to_internal(binned, units_of_input(model.variables, errors))
    observations, backgrounds = take_anomalies(observed, model.background, model.variables, errors)
    analysis = analyse(model, observations, rng=rng)
    formal = formal_std(observations, analysis, spread, rng)

    def sample(fields: Mapping[str, np.ndarray]) -> Fields:
        return _sample(fields, observations, stamps, hidden)

    mean, formal = sample(analysis.mean), sample(formal)
    removed = sample({name: array.values for name, array in backgrounds.items()})
    signal = {
        name: units_factor(hidden[name], units) * hidden[name].values - removed[name]
        for name, units in model.variables.items()
    }
    error = {name: signal[name] - mean[name] for name in signal}
    return Withheld(
        hidden, passes[here], observations, stamps, analysis.mean, error, formal, signal
    )


def _sample(
    fields: Fields, observations: Observations, stamps: xr.DataArray, tracks: xr.Dataset
) -> Fields:
    """Return fields of the whole domain at points, NaN where there is no sea."""
    axes = (stamps.values, observations.latitude, observations.longitude)
    maps = xr.Dataset(
        {name: (DIMS, np.where(observations.sea, field, np.nan)) for name, field in fields.items()},
        dict(zip(DIMS, axes, strict=True)),
    )
    sampled = sample_tracks(maps, tracks)
    return {name: sampled[name].values for name in fields}


def _process(
    name: str, cases: list[Withheld], noise: float, before: ErrorProcess | None
) -> tuple[ErrorProcess, float, bool]:
    """Return the process of the error of a variable, its size, and whether its time could be told.

    Where it could not, the time is that of the signal.
    """
    known = [
        np.isfinite(case.error[name] + case.formal[name] + case.signal[name]) for case in cases
    ]

    def pool(arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([array[part] for array, part in zip(arrays, known, strict=True)])

    error, formal, signal = (
        pool([getattr(case, kind)[name] for case in cases])
        for kind in ("error", "formal", "signal")
    )
    points = [find_points(case.tracks) for case in cases]
    places = pool([each.latitude for each in points]), pool([each.longitude for each in points])
    passes = pool([case.passes for case in cases])
    offset, slope = fit_variance(error, formal, noise)
    stds = [np.sqrt(offset + slope * np.square(case.formal[name])) for case in cases]
    squares = np.square(signal).mean()
    signal_std = float(np.sqrt(max(squares - noise**2, LEAST_SIGNAL * squares)))
    if before is None:
        time = _time([case.error[name] / std for case, std in zip(cases, stds, strict=True)], cases)
        signal_time = _time([case.signal[name] / signal_std for case in cases], cases)
    else:
        time, signal_time = before.time, before.signal_time
    told = bool(np.isfinite(time + signal_time))
    if not told:
        time = signal_time = _time_of_maps([case.mean[name] for case in cases], cases)
    process = ErrorProcess(
        offset=offset,
        slope=slope,
        length=track_length(error / pool(stds), *places, passes),
        time=time,
        signal_std=signal_std,
        signal_length=track_length(signal / signal_std, *places, passes),
        signal_time=signal_time,
        noise=float(noise),
    )
    return process, float(np.sqrt((offset + slope * np.square(formal)).mean())), told


def _time(values: list[np.ndarray], cases: list[Withheld]) -> float:
    """Return the correlation time of values at the points of each case, NaN if none is told."""
    products, lags = [], []
    for value, case in zip(values, cases, strict=True):
        (dim,) = find_points(case.tracks).sizes
        longest = max(float(np.ptp(find_points(case.tracks).days)), 1.0)
        labelled = case.tracks.assign(value=(dim, value))
        crossed = crossovers(labelled, "value", max_time_difference=longest)
        products.append(crossed["value"].prod("pass").values)
        lags.append(crossed["time"].diff("pass").values[:, 0] / np.timedelta64(1, "D"))
    if sum(map(len, products)) < LEAST_CROSSOVERS:
        return np.nan
    return crossover_time(np.concatenate(products), np.concatenate(lags))


def _time_of_maps(fields: list[np.ndarray], cases: list[Withheld]) -> float:
    """Return the correlation time of fields on the days and cells of the cases.

    It is no longer than the record, as that of crossovers.
    """
    observations = cases[0].observations
    told = grid_scales(np.stack(fields), observations.sea, *observations.place)[1]
    return min(told, float(np.ptp(observations.days)))


def _warn_of_times(name: str, error: ErrorProcess) -> None:
    """Warn that correlation times are not those of measurements."""
    warn(
        f"the missions cross their own tracks less than {LEAST_CROSSOVERS} times, too few to tell "
        f"the correlation times of {name!r}: that of the error is the {error.time:.3g} days of "
        f"simulated errors, and that of the signal the {error.signal_time:.3g} days of the maps. "
        "Members depend on them, and the standard deviation of method='hybrid' does not; give more "
        "days, or calibrate the model on maps first (observe=...), whose times are then kept."
    )
