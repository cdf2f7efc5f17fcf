"""Leave one mission out: maps from the other missions, scored along the one that was withheld."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import xarray as xr

from xdvarnet._progress import show_progress, track
from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.grids.checks import check_counts, check_variable, quantity
from xdvarnet.grids.names import DEGREES
from xdvarnet.grids.points import find_points
from xdvarnet.grids.values import trusted_values
from xdvarnet.mapping.binning import bin_observations
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.mapping.reconstruct import reconstruct
from xdvarnet.tracks.crossovers import crossover_noise
from xdvarnet.tracks.dates import days_of_tracks
from xdvarnet.tracks.sample import sample_tracks
from xdvarnet.tracks.segments import find_missions, segments

Learner = Callable[[xr.Dataset], Reconstructor]
"""Makes a model from the tracks that are not withheld, such as one that is tuned on them."""

PASS_GAP = "60 s"
"""Longest gap inside a pass; the bootstrap draws passes, whose errors are independent."""

INTERVAL = (2.5, 97.5)
"""Percentiles of the bootstrap samples that bound an interval."""


def evaluate(
    models: Mapping[str, Reconstructor | Learner],
    tracks: xr.Dataset,
    grid: xr.Dataset,
    *,
    withhold: Hashable | Sequence[Hashable] | None = None,
    variable: str = "ssh",
    noise: str | float | None = None,
    samples: int = 4000,
    rng: RandomState = None,
    progress: bool = False,
) -> xr.Dataset:
    """Score models along missions that they have not seen.

    Each mission is withheld in turn: the others are binned on the grid, every model makes its maps
    of them, and the maps are sampled along the withheld tracks. Only points where all models have
    a value count. It is `predict_withheld` followed by `leaderboard`.

    Parameters
    ----------
    models : mapping of str to Reconstructor or callable
        Models by name, the first being the one to compare with. A function gets the tracks that are
        not withheld and returns a model: for methods that are tuned or trained on real tracks.
    tracks : xarray.Dataset
        Points of several missions, harmonised, with a variable ``mission`` along them.
    grid : xarray.Dataset
        Its longitude and latitude, and its coordinate ``sea`` where it has one, are those of the
        maps.
    withhold : label or sequence of labels, optional
        Missions to withhold, one at a time; by default each in turn.
    variable : str
        What is mapped and scored.
    noise : str or float, optional
        Standard deviation of the error of one measurement, such as ``"2 cm"``, or a number in the
        units of the variable; by default
        `xdvarnet.tracks.crossovers.crossover_noise` of all tracks.
    samples : int
        Number of bootstrap samples, of passes.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the bootstrap.
    progress : bool
        Whether to show a bar over the missions.

    Returns
    -------
    xarray.Dataset
        As `leaderboard` returns it.

    Raises
    ------
    InvalidTypeError
        If the models are no mapping, or one is neither a model nor a function.
    InvalidInputError, UnknownNameError
        If the tracks have no missions, only one, or not the one to withhold; as `bin_tracks`,
        `reconstruct` and `sample_tracks` do.

    Examples
    --------
    >>> import xdvarnet
    >>> def scores_of(tracks):
    ...     oi = xdvarnet.OptimalInterpolation(
    ...         "ssh", correlation_length="100 km", correlation_time="20 days", noise=0.025
    ...     )
    ...     models = {"OI": oi, "4DVarNet": xdvarnet.load_model("med-ssh")}
    ...     return evaluate(models, tracks, xdvarnet.datasets.mediterranean(), rng=0)
    """
    with show_progress(progress):
        predictions = predict_withheld(models, tracks, grid, withhold=withhold, variable=variable)
    if noise is None:
        noise = _noise_of_crossovers(tracks, variable)
    return leaderboard(predictions, variable=variable, noise=noise, samples=samples, rng=rng)


def predict_withheld(
    models: Mapping[str, Reconstructor | Learner],
    tracks: xr.Dataset,
    grid: xr.Dataset,
    *,
    withhold: Hashable | Sequence[Hashable] | None = None,
    variable: str = "ssh",
) -> xr.Dataset:
    """Sample maps of the other missions along each withheld mission.

    Parameters
    ----------
    models, tracks, grid, withhold, variable
        As in `evaluate`.

    Returns
    -------
    xarray.Dataset
        The withheld points, one mission after the other, along ``point``: the variable as it was
        measured, ``<variable>_map`` (model, point), and the coordinates ``time``, ``latitude``,
        ``longitude``, ``mission`` and ``pass_number``. NaN where a map has no value.
    """
    _check_models(models)
    tracks = tracks.assign(
        {variable: trusted_values(check_variable(tracks, variable, argument="variable"))}
    )
    points = find_points(tracks)
    missions = find_missions(tracks)
    withheld = _withheld(missions, withhold)
    stamps = days_of_tracks(points, grid)
    passes = points.flatten(segments(tracks, gap=PASS_GAP))
    parts = []
    for mission in track(withheld, "mission", len(withheld)):
        here = missions == mission
        seen, hidden = (tracks.isel({next(iter(points.sizes)): part}) for part in (~here, here))
        values = [
            _predict(_model(model, seen), seen, hidden, grid, stamps, variable)
            for model in models.values()
        ]
        parts.append(
            xr.Dataset(
                {
                    variable: ("point", hidden[variable].values, tracks[variable].attrs),
                    f"{variable}_map": (
                        ("model", "point"),
                        np.stack(values),
                        tracks[variable].attrs,
                    ),
                },
                {
                    "model": list(models),
                    "time": ("point", hidden[points.axes.time].values),
                    "latitude": ("point", points.latitude[here], DEGREES["latitude"]),
                    "longitude": ("point", points.longitude[here], DEGREES["longitude"]),
                    "mission": ("point", missions[here]),
                    "pass_number": ("point", passes[here]),
                },
            )
        )
    return xr.concat(parts, "point")


def _predict(
    model: Reconstructor,
    seen: xr.Dataset,
    hidden: xr.Dataset,
    grid: xr.Dataset,
    stamps: xr.DataArray,
    variable: str,
) -> np.ndarray:
    """Map the seen tracks, and sample the maps along the hidden ones."""
    observed = bin_observations(seen, grid, [variable], model.error_variables, stamps)
    return sample_tracks(reconstruct(observed, model), hidden)[variable].values


def leaderboard(
    predictions: xr.Dataset,
    *,
    noise: str | float,
    variable: str = "ssh",
    samples: int = 4000,
    rng: RandomState = None,
) -> xr.Dataset:
    """Compare models at the withheld points where all of them have a value.

    Parameters
    ----------
    predictions : xarray.Dataset
        As `predict_withheld` returns them.
    noise : str or float
        Standard deviation of the error of one measurement, such as ``"2 cm"``, or a number in the
        units of the variable. Its
        variance is part of every squared difference, and is taken off in ``rmse_noise_removed``.
    variable : str
        What is scored.
    samples : int
        Number of bootstrap samples.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the bootstrap.

    Returns
    -------
    xarray.Dataset
        For each ``model``: ``rmse`` and ``rmse_noise_removed`` of all points, ``rmse_mission`` for
        each ``mission`` (units of the variable), and ``change``, the difference of
        ``rmse_noise_removed`` from that of the first model in percent, with the bounds
        ``change_low`` and ``change_high`` of its 95 % interval by a bootstrap of passes. The
        scalars ``noise``, ``n_points`` and ``n_passes``, and ``n_points_mission`` for each mission.

    Raises
    ------
    InvalidInputError
        If there is no point where all models have a value, or the noise is larger than the errors.
    """
    check_counts({"samples": samples})
    units = predictions[variable].attrs.get("units", "1")
    noise = quantity(noise, units, "noise", zero=True)
    errors = predictions[f"{variable}_map"] - predictions[variable]
    errors = errors.transpose("point", "model")
    errors = errors.isel(point=np.isfinite(errors.values).all(1))
    if not errors.size:
        raise InvalidInputError(
            f"at none of the {predictions.sizes['point']} withheld points do all models "
            f"({', '.join(map(str, predictions['model'].values))}) have a value; is the grid that "
            "of the region, and does its sea mask hold the tracks?"
        )
    squares = errors**2
    pooled = squares.mean("point").values
    removed = _remove_noise(pooled, noise)
    if np.isnan(removed).any():
        raise InvalidInputError(
            f"noise={noise:g} is not smaller than an RMSE of {np.sqrt(pooled.min()):g}; give the "
            "standard deviation of the error of one measurement."
        )
    low, high = _bootstrap(squares, noise, samples, default_rng(rng))
    by_mission = squares.groupby("mission")
    means = by_mission.mean().transpose("model", "mission")
    units = predictions[variable].attrs.get("units", "1")
    described = {
        "rmse": ("model", np.sqrt(pooled), "root mean square difference", units),
        "rmse_noise_removed": (
            "model",
            removed,
            "root mean square difference, the variance of the noise taken off",
            units,
        ),
        "rmse_mission": (means.dims, np.sqrt(means.values), "of one withheld mission", units),
        "change": (
            "model",
            _percent(removed),
            f"change of rmse_noise_removed from {errors['model'].values[0]}",
            "%",
        ),
        "change_low": ("model", low, "lower bound of the 95 % interval of the change", "%"),
        "change_high": ("model", high, "upper bound of the 95 % interval of the change", "%"),
        "noise": ((), noise, "standard deviation of the error of one measurement", units),
        "n_points": ((), errors.sizes["point"], "number of points", "1"),
        "n_points_mission": (
            "mission",
            by_mission.count().isel(model=0).values,
            "number of points of one withheld mission",
            "1",
        ),
        "n_passes": ((), np.unique(errors["pass_number"]).size, "number of passes", "1"),
    }
    return xr.Dataset(
        {
            name: (dims, values, {"long_name": text, "units": unit})
            for name, (dims, values, text, unit) in described.items()
        },
        {"model": errors["model"].values, "mission": means["mission"].values},
    )


def _noise_of_crossovers(tracks: xr.Dataset, variable: str) -> float:
    try:
        return crossover_noise(tracks, variable)
    except InvalidInputError as problem:
        raise InvalidInputError(
            f"the noise cannot be estimated: {problem} Or give it, as a standard deviation in the "
            "units of the variable: noise=0.02."
        ) from problem


def _remove_noise(squares: np.ndarray, noise: float) -> np.ndarray:
    """Root of mean squares less the variance of the noise, NaN where that is larger."""
    rest = squares - noise**2
    return np.sqrt(np.where(rest > 0, rest, np.nan))


def _percent(values: np.ndarray) -> np.ndarray:
    """Difference from the first value of the last axis, in percent."""
    return 100 * (values / values[..., :1] - 1)


def _bootstrap(
    squares: xr.DataArray, noise: float, samples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the change of each model, over samples of whole passes."""
    passes = squares.groupby("pass_number")
    totals = passes.sum().transpose("pass_number", "model").values
    counts = passes.count().isel(model=0).values
    number = counts.size
    draws = rng.multinomial(number, np.full(number, 1 / number), size=samples)
    means = draws @ totals / (draws @ counts)[:, None]
    changes = _percent(_remove_noise(means, noise))
    low, high = np.nanpercentile(changes, INTERVAL, axis=0)
    return low, high


def _check_models(models: Mapping[str, Reconstructor | Learner]) -> None:
    if not isinstance(models, Mapping) or not models:
        raise InvalidTypeError(
            f"models={models!r} is no mapping of names to models; give one such as "
            "{'OI': OptimalInterpolation(...)}."
        )
    for name, model in models.items():
        if isinstance(model, type) or not (isinstance(model, Reconstructor) or callable(model)):
            raise InvalidTypeError(
                f"model {name!r} is {model!r}; give a model such as OptimalInterpolation(...), or "
                "a function from the tracks that are not withheld to a model."
            )


def _model(model: Reconstructor | Learner, seen: xr.Dataset) -> Reconstructor:
    return model if isinstance(model, Reconstructor) else model(seen)


def _withheld(missions: np.ndarray, withhold: Hashable | Sequence[Hashable] | None) -> list:
    known = np.unique(missions).tolist()
    if withhold is None:
        return known
    one = isinstance(withhold, str) or np.ndim(cast(npt.ArrayLike, withhold)) == 0
    wanted: list = [withhold] if one else list(cast(Sequence[Hashable], withhold))
    unknown = [mission for mission in wanted if mission not in known]
    if unknown:
        raise UnknownNameError(f"no mission {unknown[0]!r} in the tracks; they have {known}.")
    return wanted
