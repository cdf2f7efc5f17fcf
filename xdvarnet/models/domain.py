"""Analyse a domain on plain arrays: cover it with windows, solve each, blend."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.models.base import Analysis, Observations, Reconstructor, ensemble_of
from xdvarnet.patches.blend import blend
from xdvarnet.patches.cover import DIMS, Cover, Position, cover

Field = tuple[str, str]
"""A field of an analysis: ``("mean" | "std" | "members", variable)``."""


def analyse(
    model: Reconstructor,
    observations: Observations,
    *,
    members: int | None = None,
    keep_members: bool = True,
    rng: np.random.Generator | None = None,
    progress: bool = False,
) -> Analysis:
    """Analyse a whole domain, and before it the model's first guess if it is not there yet.

    After the windows are blended, the ensemble of the model, where it has one, adds the standard
    deviation and the members.

    Parameters
    ----------
    model : Reconstructor
        Its background is not used: `observations` are anomalies already.
    observations : Observations
        Of all days and cells.
    members : int, optional
        Number of members.
    keep_members : bool
        Whether the members of an ensemble are returned, or only what they tell of the spread.
    rng : numpy.random.Generator, optional
        Source of the members.
    progress : bool
        Whether to show a bar over the windows.

    Raises
    ------
    InvalidInputError
        If the domain is smaller than a window, or the model returns other fields than it says.
    """
    if model.first_guess is not None and observations.first_guess is None:
        guess = analyse(model.first_guess, observations)
        observations = dataclasses.replace(observations, first_guess=guess)
    ensemble = ensemble_of(model)
    analysis = analyse_days(
        model,
        observations,
        slice(0, observations.days.size),
        observations.days.size,
        members=members if ensemble is None else None,
        rng=rng,
        progress=progress,
    )
    if ensemble is None:
        return analysis
    return ensemble.extend(
        model,
        observations,
        analysis,
        members=members,
        keep_members=keep_members,
        rng=rng,
        progress=progress,
    )


def days_needed(model: Reconstructor, shape: tuple[int, int, int], wanted: slice) -> slice:
    """Return the days of a domain of this shape that the analysis of the `wanted` days sees."""
    if model.window is None:
        return slice(0, shape[0])
    return cover(shape, model.window).days(wanted.start, wanted.stop)


def analyse_days(
    model: Reconstructor,
    observations: Observations,
    wanted: slice,
    length: int,
    *,
    members: int | None = None,
    rng: np.random.Generator | None = None,
    progress: bool = False,
) -> Analysis:
    """Analyse some days of a domain exactly as if all had been analysed.

    Parameters
    ----------
    model : Reconstructor
        Its first guess is read from the observations.
    observations : Observations
        Of the days ``days_needed(model, shape, wanted)``.
    wanted : slice
        Days of the domain to be analysed.
    length : int
        Number of days of the domain.
    members, rng, progress
        As in `analyse`.
    """
    if model.window is None:
        return _solve(model, observations, members, rng)
    covering = cover((length, *observations.shape[1:]), model.window)
    fields: list[Field] = []
    patches = _solved(model, observations, covering, wanted, fields, members, rng, progress)
    slabs = list(blend(patches, covering, wanted.start, wanted.stop))
    stacked = np.concatenate(slabs, axis=-3)
    return _unstack(stacked, fields)


def _solved(
    model: Reconstructor,
    observations: Observations,
    covering: Cover,
    wanted: slice,
    fields: list[Field],
    members: int | None,
    rng: np.random.Generator | None,
    progress: bool,
) -> Iterator[tuple[Position, np.ndarray | None]]:
    """Solve the windows one by one, and note in `fields` what the stacked arrays hold."""
    patches = covering.patches(_to_dataset(observations), wanted.start, wanted.stop)
    total = len(covering.positions(wanted.start, wanted.stop))
    empty = 0
    for position, patch in tqdm(patches, total=total, disable=not progress, unit="window"):
        window = _from_dataset(patch, observations)
        if not window.sea.any():
            yield position, None
            continue
        empty += not any(np.isfinite(values).any() for values in window.values.values())
        yield position, _stack(_solve(model, window, members, rng), fields)
    if empty:
        warn(
            f"{empty} of {total} windows have no observation; there the maps are the background "
            "and what the model makes of it."
        )


def _solve(
    model: Reconstructor,
    window: Observations,
    members: int | None,
    rng: np.random.Generator | None,
) -> Analysis:
    """Solve one window, and hold the model to what it says of its fields."""
    analysis = model.solve(window, members=members, rng=rng)
    shapes = {"mean": window.shape}
    if model.gives_std:
        shapes["std"] = window.shape
    if members is not None:
        shapes["members"] = (members, *window.shape)
    fields: dict[str, dict[str, np.ndarray]] = {}
    for kind, shape in shapes.items():
        given = {name: np.shape(array) for name, array in getattr(analysis, kind).items()}
        wanted = dict.fromkeys(model.variables, shape)
        if given != wanted:
            raise InvalidInputError(
                f"{type(model).__name__}.solve returned {kind} of {given}; it must be {wanted}."
            )
        fields[kind] = {
            name: np.asarray(getattr(analysis, kind)[name], np.float32) for name in wanted
        }
    return Analysis(**fields)


def _to_dataset(observations: Observations) -> xr.Dataset:
    variables = {f"values/{name}": (DIMS, array) for name, array in observations.values.items()}
    if observations.first_guess is not None:
        for kind in ("mean", "std"):
            for name, array in getattr(observations.first_guess, kind).items():
                variables[f"{kind}/{name}"] = (DIMS, np.where(observations.sea, array, 0))
    return xr.Dataset(
        {**variables, "sea": (DIMS[1:], observations.sea)},
        coords=dict(
            zip(
                DIMS,
                (observations.days, observations.latitude, observations.longitude),
                strict=True,
            )
        ),
    )


def _from_dataset(patch: xr.Dataset, whole: Observations) -> Observations:
    def fields(kind: str) -> dict[str, np.ndarray]:
        prefix = f"{kind}/"
        return {
            str(name).removeprefix(prefix): array.values
            for name, array in patch.data_vars.items()
            if str(name).startswith(prefix)
        }

    guess = None
    if whole.first_guess is not None:
        # days beyond the period have no first guess: the background, with its uncertainty
        means = {name: np.nan_to_num(values) for name, values in fields("mean").items()}
        stds = {
            name: np.nan_to_num(values, nan=float(np.nanmax(values, initial=0)))
            for name, values in fields("std").items()
        }
        guess = Analysis(means, stds)
    return Observations(
        values=fields("values"),
        days=patch["time"].values,
        latitude=patch["latitude"].values,
        longitude=patch["longitude"].values,
        sea=patch["sea"].values,
        first_guess=guess,
    )


def _stack(analysis: Analysis, fields: list[Field]) -> np.ndarray:
    """Stack all fields of an analysis along a first axis, members one after the other."""
    fields.clear()
    layers = []
    for kind in ("mean", "std", "members"):
        for name, array in getattr(analysis, kind).items():
            for layer in array.reshape(-1, *array.shape[-3:]):
                fields.append((kind, name))
                layers.append(layer)
    return np.stack(layers)


def _unstack(stacked: np.ndarray, fields: list[Field]) -> Analysis:
    found: dict[str, dict[str, np.ndarray]] = {"mean": {}, "std": {}, "members": {}}
    for kind, name in dict.fromkeys(fields):
        layers = [i for i, field in enumerate(fields) if field == (kind, name)]
        found[kind][name] = stacked[layers] if kind == "members" else stacked[layers[0]]
    return Analysis(**found)
