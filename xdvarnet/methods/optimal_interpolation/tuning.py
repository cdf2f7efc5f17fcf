"""Lengths and noise of optimal interpolation, by the passes of a record that it predicts unseen."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import xarray as xr
from scipy.optimize import minimize

from xdvarnet._progress import count_up
from xdvarnet._random import RandomState, default_rng
from xdvarnet.diagnostics import ROTATION_RATE
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import check_counts
from xdvarnet.grids.internal import to_internal
from xdvarnet.grids.points import find_points
from xdvarnet.mapping.anomalies import take_anomalies, units_of_input
from xdvarnet.mapping.background import Background
from xdvarnet.mapping.binning import bin_observations
from xdvarnet.mapping.observations import Observations
from xdvarnet.methods.optimal_interpolation.covariance import Correlation
from xdvarnet.methods.optimal_interpolation.gaps import gap_distances
from xdvarnet.methods.optimal_interpolation.prediction import Score, predict_withheld
from xdvarnet.methods.optimal_interpolation.scaling import Scaled
from xdvarnet.tracks.bin import bin_tracks
from xdvarnet.tracks.crossovers import crossovers
from xdvarnet.tracks.dates import days_of_tracks
from xdvarnet.tracks.segments import segments

logger = logging.getLogger("xdvarnet")

CENTRES = 400
"""Observations, drawn at random, that are predicted in each trial."""

FEWEST = 100
"""Observations from which on something is learned from them."""

FEWEST_CROSSOVERS = 30
"""Crossovers from which on they show the noise that the search starts from."""

PASS_GAP = "60 s"
"""Longest gap inside a pass."""

STD_LENGTHS = 1.0, 2.0
"""Lengths over which a local standard deviation is tried, in correlation lengths."""

PARAMETERS = ("correlation_length", "correlation_time", "noise")
"""What is sought, the noise only where it is one for all."""

REACH = (0.1, 10.0), (0.05, 5.0), (0.03, 6.0)
"""Limits of the search: of the lengths and the noise relative to the start, of the time relative to
the length of the record."""

SHORTEST_TIME = 1.0
"""Shortest correlation time in days that is tried: maps are daily."""

FIRST_STEP, NEXT_STEP = 1.5, 1.2
"""Factor on each parameter in the first simplex, and in those that start from the best so far."""

EDGE = 1.05
"""Factor by which the best parameters must differ from the limits of what was tried."""

DEFORMATION_RADII = 3.0
"""Correlation length in deformation radii, where there is nothing to learn it from."""

WAVE_SPEED = 2.5
"""Speed of the first baroclinic mode in m/s, of 1 to 3 (Chelton et al. 1998)."""

LONGEST = 300.0
"""Correlation length in km towards the equator."""

TYPICAL_TIME = 20.0
"""Correlation time in days, where there is nothing to learn it from."""

TYPICAL_NOISE = 1 / 3
"""Noise relative to the standard deviation of the observations."""


class Tunable(Protocol):
    """A method with lengths and a noise, such as `xdvarnet.OptimalInterpolation`."""

    variable: str
    variables: Mapping[str, str]
    units: str
    background: Background
    correlation_length: float
    correlation_time: float
    noise: float | str
    covariance: str
    std_length: float | None
    time_window: float

    def replace(self, **changes: object) -> Self:
        """Return another one, with some arguments of this one changed."""
        ...

    def scale(self, observations: Observations) -> Scaled:
        """Return observations and cells in units of the lengths and the standard deviation."""
        ...

    @property
    def correlation(self) -> Correlation:
        """The correlation function."""
        ...

    @property
    def error_variables(self) -> Mapping[str, str]:
        """The variable that the noise names, if it does."""
        ...


@dataclass(frozen=True)
class Record:
    """Gridded observations and the pass of each.

    Attributes
    ----------
    observations : Observations
        Anomalies from the background.
    groups : numpy.ndarray
        Label of the pass of each observed cell at sea, shape (n,).
    noise : float or None
        Of a single measurement, by the crossovers of tracks, where there are enough.
    """

    observations: Observations
    groups: np.ndarray
    noise: float | None = None

    @classmethod
    def of(cls, model: Tunable, observations: xr.Dataset, grid: xr.Dataset | None) -> Self:
        """Bin tracks on a grid, or take gridded observations, whose days stand for passes."""
        name, noise, errors = model.variable, None, model.error_variables
        gridded = observations
        if grid is not None:
            passes = segments(observations, gap=PASS_GAP).astype(float)
            points = find_points(observations)
            stamps = days_of_tracks(points, grid)
            gridded = bin_observations(observations, grid, [name], errors, stamps)
            only_passes = observations.drop_vars(observations.data_vars).assign(segment=passes)
            labels = bin_tracks(only_passes, grid, statistic="median", time=stamps)
            crossed = crossovers(observations, name, gap=PASS_GAP)
            if crossed.sizes["crossover"] >= FEWEST_CROSSOVERS:
                noise = float((crossed["difference"] / crossed["noise_factor"]).std())
        known = to_internal(gridded, units_of_input(model.variables, errors))
        values = known[name].where(known["sea"])
        seen = np.isfinite(values.values)
        if grid is None:
            groups = np.broadcast_to(known["time"].values[:, None, None], seen.shape)[seen]
        else:
            groups = to_internal(labels, {"segment": "1"})["segment"].values[seen]
        anomalies, _ = take_anomalies(
            known.assign({name: values}), model.background, model.variables, errors
        )
        return cls(anomalies, groups, noise)


def tune[Model: Tunable](
    start: Model,
    observations: xr.Dataset,
    grid: xr.Dataset | None,
    covariances: Sequence[str],
    trials: int,
    rng: RandomState,
) -> Model:
    """Search the interpolation that predicts withheld passes best, as `fit` describes."""
    check_counts({"trials": trials})
    record = Record.of(start, observations, grid)
    values = record.observations.values[start.variable]
    spread = float(np.nanstd(values)) if record.groups.size else 0.0
    if not spread:
        raise InvalidInputError(
            f"{start.variable!r} has {record.groups.size} observed cells at sea, and no two "
            "different values: there is nothing to learn from. Check that it has values, and the "
            "region, the period and the mask."
        )
    latitude = float(record.observations.place[0].mean())
    begin = start.replace(
        correlation_length=typical_length(latitude),
        correlation_time=TYPICAL_TIME,
    )
    if not start.error_variables:
        begin = begin.replace(noise=record.noise or TYPICAL_NOISE * spread)
    if record.groups.size < FEWEST or np.unique(record.groups).size < 3:
        warn(
            f"there are {record.groups.size} observed cells of {np.unique(record.groups).size} "
            f"passes or days, and it takes {FEWEST} cells of 3 passes to learn from; the lengths "
            f"are the usual ones at this latitude: {begin!r}."
        )
        return begin.replace(history=describe_trials([], begin.units))
    generator = default_rng(rng)
    count = min(CENTRES, record.groups.size)
    centres = np.sort(generator.choice(record.groups.size, count, replace=False))
    radii = None
    if grid is None:
        radii = gap_distances(record.observations, start.variable, count, generator)
    search: Search[Model] = Search(record, centres, radii)
    step, limits = FIRST_STEP, search.limits(begin)
    with count_up("trial", trials * len(covariances) + len(STD_LENGTHS)) as search.count:
        for covariance in covariances:
            model = search.best[0] if search.trials else begin
            search.simplex(model.replace(covariance=covariance), trials, step, limits)
            step = NEXT_STEP
        best, score = search.best
        learned = score.better_than(search.without_others())
        for lengths in STD_LENGTHS if learned else ():
            local = best.replace(std_length=lengths * best.correlation_length)
            local_score = search.score(local)
            if local_score.better_than(score):
                best, score = local, local_score
    history = describe_trials(search.trials, best.units)
    if record.noise is not None:
        history.attrs["crossover_noise"] = record.noise
    if not learned:
        warn(
            "observations are not predicted by those of other passes or days, which are too few "
            "or too far apart to tell the lengths: these are the usual ones at this latitude, "
            f"{begin!r}. Give more days."
        )
        return begin.replace(history=history)
    warn_at_edges(best, limits)
    days = float(np.ptp(record.observations.days)) + 1
    if search.one_day:
        warn(
            "all observations are of one day, which tells no correlation_time: it is the usual "
            f"one, {TYPICAL_TIME:g} days. Give more days, or another with replace(...)."
        )
    elif best.correlation_time > days:
        warn(
            f"the best correlation_time, {best.correlation_time:.3g} days, is longer than the "
            f"record of {days:g} days, which tells little of it: expect another from more days."
        )
    return best.replace(history=history)


type Trial[Model: Tunable] = tuple[Model, Score]
"""A model that was tried, and how well it predicts."""


class Search[Model: Tunable]:
    """The trials of a search, which all predict the same observations.

    Parameters
    ----------
    record : Record
        Observations and their passes.
    centres : numpy.ndarray
        Positions of the observations that are predicted.
    radii : numpy.ndarray or None
        Distances (km) up to which others of their day are withheld from them; None of tracks.
    """

    def __init__(self, record: Record, centres: np.ndarray, radii: np.ndarray | None) -> None:
        self.record, self.centres, self.radii = record, centres, radii
        self.trials: list[Trial[Model]] = []
        self.count: Callable[[int], object] = lambda number: None
        days, _, _ = np.nonzero(np.isfinite(next(iter(record.observations.values.values()))))
        self.one_day = np.unique(days).size == 1

    @property
    def best(self) -> Trial[Model]:
        """The trial with the lowest score."""
        return min(self.trials, key=lambda trial: trial[1].log_score)

    def without_others(self) -> Score:
        """Return how well the background alone predicts, with the best of variances."""
        arrays = self.record.observations
        (values,) = arrays.values.values()
        errors = values[np.isfinite(values) & arrays.sea][self.centres].astype(float)
        return Score(errors, np.full(errors.size, np.mean(errors**2)))

    def score(self, model: Model) -> Score:
        """Try a model."""
        scaled = model.scale(self.record.observations)
        half = model.time_window / 2 / model.correlation_time
        score = predict_withheld(
            scaled.sample,
            scaled.scale,
            self.record.groups,
            self.centres,
            model.correlation,
            half,
            None if self.radii is None else self.radii / model.correlation_length,
        )
        self.trials.append((model, score))
        self.count(1)
        logger.info("%s: %s", model, score)
        return score

    def simplex(self, start: Model, trials: int, step: float, limits: np.ndarray) -> None:
        """Search downhill from a model, within limits (Nelder and Mead 1965)."""
        before = len(self.trials)
        limits, names = np.log(limits), sought(start)
        first = np.clip(np.log([vars(start)[name] for name in names]), *limits.T)
        steps = np.where(first + np.log(step) < limits[:, 1], 1, -1) * np.log(step)

        def tried(logarithms: np.ndarray) -> float:
            changes = dict(zip(names, np.exp(logarithms).tolist(), strict=True))
            return self.score(start.replace(**changes)).log_score

        minimize(
            tried,
            first,
            method="Nelder-Mead",
            bounds=limits,
            options={
                "maxfev": trials,
                "initial_simplex": np.vstack([first, first + np.diag(steps)]),
                "xatol": 0.02,
                "fatol": 1e-4,
            },
        )
        self.count(trials - (len(self.trials) - before))  # of those that were not needed

    def limits(self, start: Model) -> np.ndarray:
        """Smallest and largest values of each parameter, shape (parameter, 2)."""
        days = self.record.observations.days
        usual = vars(start) | {"correlation_time": max(float(np.ptp(days)), 1.0)}
        reach = dict(zip(PARAMETERS, REACH, strict=True))
        limits = np.array([np.multiply(reach[name], usual[name]) for name in sought(start)])
        limits[1] = np.maximum(limits[1], [SHORTEST_TIME, 2 * SHORTEST_TIME])
        if self.one_day:
            limits[1] = start.correlation_time
        return limits


def describe_trials[Model: Tunable](trials: Sequence[Trial[Model]], units: str) -> xr.Dataset:
    """Return trials, in their order, of models with these units."""
    units_of = {"correlation_length": "km", "correlation_time": "days"}
    parameters = sought(trials[0][0]) if trials else PARAMETERS
    columns: dict[str, tuple[str, list, dict[str, str]]] = {
        name: (
            "trial",
            [vars(model)[name] for model, _ in trials],
            {"units": units_of.get(name, units)},
        )
        for name in parameters
    }
    lengths = [np.nan if model.std_length is None else model.std_length for model, _ in trials]
    columns["std_length"] = "trial", lengths, {"units": "km"}
    scores = [score for _, score in trials]
    columns["rmse"] = "trial", [each.rmse for each in scores], {"units": units}
    columns["log_score"] = "trial", [each.log_score for each in scores], {"units": "1"}
    columns["spread"] = "trial", [each.spread for each in scores], {"units": "1"}
    covariances = np.array([model.covariance for model, _ in trials], str)
    return xr.Dataset(columns).assign(covariance=("trial", covariances))


def warn_at_edges(best: Tunable, limits: np.ndarray) -> None:
    """Warn of a parameter that is as large or as small as any that was tried."""
    for name, (low, high) in zip(sought(best), limits, strict=True):
        value = vars(best)[name]
        if low < high and not low * EDGE < value < high / EDGE:
            warn(
                f"the best {name}, {value:.3g}, is at the edge of what was tried ({low:.3g} to "
                f"{high:.3g}): these observations do not tell it. Give more days or passes, or "
                "another value with replace(...)."
            )


def sought(model: Tunable) -> tuple[str, ...]:
    """Return the names of what is sought: not the noise, if each observation has its own."""
    return tuple(name for name in PARAMETERS if not (name == "noise" and model.error_variables))


def typical_length(latitude: float) -> float:
    """Return a correlation length in km: three deformation radii, and at most 300 km.

    The radius is ``c / |f|`` with c = 2.5 m/s (Chelton et al. 1998, doi
    10.1175/1520-0485(1998)028<0433:GVOTFB>2.0.CO;2).
    """
    coriolis = 2 * ROTATION_RATE * abs(np.sin(np.deg2rad(latitude)))
    return float(min(DEFORMATION_RADII * WAVE_SPEED / max(coriolis, 1e-9) / 1000, LONGEST))
