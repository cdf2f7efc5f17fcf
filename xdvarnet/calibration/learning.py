"""Learn how wrong the maps of a model are, from maps that are known or missions withheld."""

import dataclasses
import logging
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdvarnet._progress import show_progress, track
from xdvarnet._random import RandomState, default_rng
from xdvarnet.calibration.calibrated import (
    LEARNED_FROM,
    METHODS,
    Calibrated,
    check_parts,
    check_spread,
    errors_read,
    formal_std,
)
from xdvarnet.calibration.errors import ErrorProcess, fit_variance, grid_scales, root_mean_square
from xdvarnet.calibration.simulation import Simulation
from xdvarnet.calibration.tracks import errors_along_tracks
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_counts, check_kind, check_known
from xdvarnet.mapping.observations import Fields
from xdvarnet.mapping.protocol import Reconstructor, analyse
from xdvarnet.observing.observer import Observer
from xdvarnet.training.data import check_maps, scored_days, span
from xdvarnet.training.draws import Draw, draw

logger = logging.getLogger("xdvarnet")


def calibrate(
    model: Reconstructor,
    validation: xr.Dataset,
    *,
    observe: Observer | None = None,
    period: slice | None = None,
    grid: xr.Dataset | None = None,
    noise: str | float | None = None,
    spread: Reconstructor | None = None,
    method: str = "hybrid",
    draws: int = 4,
    rng: RandomState = None,
    progress: bool = False,
) -> Calibrated:
    """Give a model an ensemble whose spread is the error that its maps have.

    The error is learned on data that the model has not been trained on, in one of two ways: on
    complete maps, which are observed several times; or on real tracks, each mission being withheld
    in turn. On real tracks the error has scales and a size that simulations of smooth maps lack:
    calibrate on them for real data.

    Learned are the variance of the error as a function of a formal standard deviation (by maximum
    likelihood), the correlation length and time of the error, those of the signal, and the size of
    the model's error on simulated signals: see `xdvarnet.calibration.simulation`.

    Parameters
    ----------
    model : Reconstructor
        Such as a trained `DVarNet` or an `OptimalInterpolation`.
    validation : xarray.Dataset
        With `observe`, complete daily maps of the model's variables; with `grid`, points of two
        missions at least, harmonised, with a variable ``mission`` along them.
    observe : Observer, optional
        What observes the maps, such as an `ObservingSystem`.
    period : slice, optional
        Times of the maps whose errors count; by default all. All days are observed. Not with
        tracks.
    grid : xarray.Dataset, optional
        Longitude, latitude and ``sea`` of the maps that are made of tracks.
    noise : str or float, optional
        Standard deviation of the error of one measurement along tracks, such as ``"2 cm"``; a
        number is in the units of the (only) variable of the model. By default that of the
        crossovers within a day, of which there must be 20. Not with maps, whose noise is that of
        `observe`.
    spread : Reconstructor, optional
        Another model with the same variables whose standard deviation is the formal one. By
        default it is that of an earlier calibration, of the model, or of its first guess, in this
        order.
    method : {"hybrid", "neural", "exact"}
        How members will be drawn: about the mean of the model, by a Gaussian process that is
        conditioned on nothing; by the model's own errors on simulated signals; or by those of exact
        kriging.
    draws : int
        How often the maps are observed.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the observations and simulations.
    progress : bool
        Whether to show a bar over the records that are mapped.

    Returns
    -------
    Calibrated
        Around the model, which stays as it is: `reconstruct` then returns a standard deviation, and
        members if asked for. Its ``model`` is the model without an ensemble.

    Raises
    ------
    InvalidTypeError, UnknownNameError
        If an argument is of another kind, no model file could hold the model, a variable is
        missing, or there is no such method.
    InvalidInputError
        If neither or both of `observe` and `grid` are given, or `period` or `noise` with the data
        that have none; if no day is in the period; if nothing has a standard deviation; if the maps
        are not complete; if there is one mission only; if tracks cross less than 20 times within a
        day and no `noise` is given; or if the model has a lead and `method` is not "hybrid".

    Warns
    -----
    XdvarnetWarning
        If a model that has not been calibrated before meets missions that cross their own tracks
        less than 20 times, too few to tell correlation times: that of the signal is then that of
        the maps, and that of the error that of simulated errors. Members depend on them.

    Examples
    --------
    >>> import xdvarnet
    >>> truth = xdvarnet.datasets.mediterranean().isel(lat=slice(40, 60), lon=slice(60, 90))
    >>> oi = xdvarnet.OptimalInterpolation(
    ...     "ssh", correlation_length="68 km", correlation_time="13 days", noise=0.0135
    ... )
    >>> system = xdvarnet.ObservingSystem(["jason1", "envisat", "gfo"], noise=0.02)
    >>> known = truth.sel(time=slice("2005-05-10", "2005-05-29"))
    >>> oi = calibrate(oi, known, observe=system, draws=1, rng=0)
    >>> maps = system.observe(truth.isel(time=slice(60, 70)), rng=1).dvarnet.reconstruct(
    ...     oi, members=3, return_members=True, rng=0
    ... )
    >>> sorted(maps)
    ['ssh', 'ssh_members', 'ssh_std']
    """
    check_parts(model, spread)
    _check_data(observe, period, grid, noise)
    check_known(method, METHODS, "method of an ensemble")
    generator = default_rng(rng)
    known = model if isinstance(model, Calibrated) else None
    if known is not None:
        model, spread = known.model, spread or known.spread
    check_spread(model, spread)
    if observe is not None:
        check_kind(isinstance(observe, Observer), "observe", observe, "an ObservingSystem(...)")
        check_counts({"draws": draws})
    with show_progress(progress):
        if observe is not None:
            errors = _errors_of_maps(model, validation, observe, period, spread, draws, generator)
        else:
            assert grid is not None
            errors = errors_along_tracks(model, validation, grid, noise, spread, known, generator)
    logger.info("calibration: %s", errors)
    made = "missions withheld in turn" if observe is None else f"{draws} draws of {observe}"
    made = made if period is None else f"{made}, {period.start} to {period.stop}"
    provenance = dict(zip(LEARNED_FROM, (span(validation), made), strict=True))
    return Calibrated(model, errors, spread=spread, method=method, provenance=provenance)


def _check_data(
    observe: Observer | None,
    period: slice | None,
    grid: xr.Dataset | None,
    noise: str | float | None,
) -> None:
    """Refuse arguments that do not tell maps from tracks, or belong to the other kind of data."""
    if (observe is None) == (grid is None):
        raise InvalidInputError(
            "give either observe=ObservingSystem(...), for validation data that are complete maps, "
            "or grid=, a Dataset with the coordinates of the maps, for tracks of several missions."
        )
    check_kind(
        period is None or isinstance(period, slice),
        "period",
        period,
        "a slice of times such as slice('2005-06-01', '2005-06-09'), or None",
    )
    if grid is not None and period is not None:
        raise InvalidInputError(
            f"period={period} chooses days of complete maps, and grid= is for tracks; select the "
            "tracks before, as in tracks.sel(time=period)."
        )
    if observe is not None and noise is not None:
        raise InvalidInputError(
            f"noise={noise} is of measurements along tracks, and observe= is for complete maps; "
            "give the noise to the observing system: ObservingSystem(..., noise=...)."
        )


@dataclass(frozen=True)
class _Case:
    """One draw of observations of known maps, and what the model makes of it."""

    draw: Draw
    mean: Fields
    formal: Fields


def _errors_of_maps(
    model: Reconstructor,
    maps: xr.Dataset,
    system: Observer,
    period: slice | None,
    spread: Reconstructor | None,
    draws: int,
    rng: np.random.Generator,
) -> dict[str, ErrorProcess]:
    """Learn the process of the error from complete maps."""
    maps = check_maps(maps, model.variables, "validation data")
    days = scored_days(maps, period)
    cases = []
    for child in track(rng.spawn(draws), "draw", draws):
        drawn = draw(maps, system, model, child, error_variables=errors_read(model, spread))
        analysis = analyse(model, drawn.observations, rng=child)
        formal = formal_std(drawn.observations, analysis, spread, child)
        cases.append(_Case(drawn, analysis.mean, formal))
    errors = {name: _process(name, cases, days) for name in model.variables}
    observed = [case.draw.observations for case in cases]
    simulation = Simulation(model, errors, observed[0])
    simulated = [
        simulation.error(each, child)
        for each, child in track(zip(observed, rng.spawn(draws), strict=True), "simulation", draws)
    ]
    for name, error in errors.items():
        wrong, _, sea = _errors(name, cases, days)
        of_simulations = np.stack([case[name] for case in simulated])[:, days][..., sea]
        factor = root_mean_square(wrong[..., sea]) / root_mean_square(of_simulations)
        errors[name] = dataclasses.replace(error, factor=factor)
    return errors


def _errors(
    name: str, cases: list[_Case], days: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return errors and formal standard deviations (draw, day, row, column), and the sea."""
    truth = np.stack([case.draw.truth[name] for case in cases])
    wrong = truth - np.stack([case.mean[name] for case in cases])
    formal = np.stack([case.formal[name] for case in cases])
    sea = cases[0].draw.observations.sea & np.isfinite(truth).all((0, 1))
    return wrong[:, days], formal[:, days], sea


def _process(name: str, cases: list[_Case], days: np.ndarray) -> ErrorProcess:
    """Return the process of the error of a variable, with a factor of one."""
    wrong, formal, sea = _errors(name, cases, days)
    offset, slope = fit_variance(wrong[..., sea], formal[..., sea])
    place = cases[0].draw.observations.place
    length, time = grid_scales(wrong / np.sqrt(offset + slope * np.square(formal)), sea, *place)
    truth = np.stack([case.draw.truth[name] for case in cases])
    signal_length, signal_time = grid_scales(truth, sea, *place)
    values = np.stack([case.draw.observations.values[name] for case in cases])
    noise = (values - truth)[..., sea]
    return ErrorProcess(
        offset=offset,
        slope=slope,
        length=length,
        time=time,
        signal_std=root_mean_square(truth[..., sea]),
        signal_length=signal_length,
        signal_time=signal_time,
        noise=root_mean_square(noise[np.isfinite(noise)]),
    )
