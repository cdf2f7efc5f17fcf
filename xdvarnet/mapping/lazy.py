"""Analyse dask-backed observations: one task for each chunk of days."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.internal import DIMS
from xdvarnet.models.base import (
    Analysis,
    Fields,
    Observations,
    Reconstructor,
    ensemble_of,
    observed_of,
)
from xdvarnet.models.domain import analyse_days, days_needed


def check_observed(observed: bool, sea: np.ndarray, names: Iterable[str]) -> None:
    """Refuse a dataset without any observation.

    Parameters
    ----------
    observed : bool
        Whether there is an observation of any variable.
    sea : numpy.ndarray
        The mask of the sea.
    names : iterable of str
        The variables that are observed.

    Raises
    ------
    InvalidInputError
        If `observed` is False, or nothing is sea.
    """
    if not sea.any():
        raise InvalidInputError(
            "there is nothing to map: the coordinate 'sea' is False everywhere; it is True on sea."
        )
    if not observed:
        raise InvalidInputError(
            f"there is no observation at all of {', '.join(names)}: all values on sea are NaN. "
            "Check the period, the region and the mask of the observations."
        )


def analyse_lazily(model: Reconstructor, anomalies: xr.Dataset) -> Analysis:
    """Analyse anomalies chunk by chunk of days, with the numbers of an analysis in memory.

    Parameters
    ----------
    model : Reconstructor
        A model without a window takes all days in one task.
    anomalies : xarray.Dataset
        dask-backed variables (time, latitude, longitude) and the mask ``sea``.

    Returns
    -------
    Analysis
        Of dask arrays, with the time chunks of the anomalies (one chunk without a window).
    """
    import dask
    import dask.array as da

    anomalies = anomalies.unify_chunks()
    shape = tuple(anomalies.sizes[dim] for dim in DIMS)
    guess = None if model.first_guess is None else analyse_lazily(model.first_guess, anomalies)
    chunks = anomalies.chunksizes["time"] if model.window is not None else (shape[0],)
    ensemble = ensemble_of(model)
    formal = None if ensemble is None else _formal_std(model, anomalies, guess)
    kinds = ("mean", "std") if model.gives_std or ensemble is not None else ("mean",)
    observed = da.any(da.stack([anomalies[name].notnull().data.any() for name in model.variables]))
    handle = dask.delayed(model, pure=False, traverse=False)
    place = dask.delayed(
        [anomalies[name].data for name in ("latitude", "longitude", "sea")], pure=False
    )
    pieces: dict[tuple[str, str], list[da.Array]] = {
        (kind, name): [] for kind in kinds for name in model.variables
    }
    stops = np.cumsum(chunks)
    for start, stop in zip(stops - chunks, stops, strict=True):
        wanted = slice(int(start), int(stop))
        days = days_needed(model, shape, wanted)
        task = dask.delayed(_analyse_chunk, pure=False)(
            handle,
            {name: anomalies[name].data[days] for name in model.variables},
            None if guess is None else [_cut(guess.mean, days), _cut(guess.std, days)],
            None if formal is None else _cut(formal, wanted),
            anomalies["time"].values[days],
            place,
            observed,
            wanted,
            shape[0],
        )
        size = (wanted.stop - wanted.start, *shape[1:])
        for (kind, name), arrays in pieces.items():
            arrays.append(da.from_delayed(task[kind, name], size, np.float32))
    fields = {key: da.concatenate(arrays) for key, arrays in pieces.items()}
    return Analysis(
        **{kind: {name: fields[kind, name] for name in model.variables} for kind in kinds}
    )


def _formal_std(
    model: Reconstructor, anomalies: xr.Dataset, guess: Analysis | None
) -> Mapping[str, Any] | None:
    """Return the formal standard deviations of all days; None for those of the analysis itself."""
    other = ensemble_of(model).formal_model(model)
    if other is not None:
        return analyse_lazily(other, anomalies).std
    return None if model.gives_std or guess is None else guess.std


def _cut(arrays: Mapping[str, Any], days: slice) -> dict[str, Any]:
    return {name: array[days] for name, array in arrays.items()}


def _analyse_chunk(
    model: Reconstructor,
    values: Fields,
    guess: list[Fields] | None,
    formal: Fields | None,
    days: np.ndarray,
    place: list[np.ndarray],
    observed: bool,
    wanted: slice,
    length: int,
) -> dict[tuple[str, str], np.ndarray]:
    check_observed(bool(observed), place[-1], observed_of(model))
    first_guess = None if guess is None else Analysis(*guess)
    observations = Observations(values, days, *place, first_guess=first_guess)
    analysis = analyse_days(model, observations, wanted, length)
    ensemble = ensemble_of(model)
    std = analysis.std
    if ensemble is not None:
        std = ensemble.std(analysis.std if formal is None else formal)
    return {
        (kind, name): array
        for kind, arrays in (("mean", analysis.mean), ("std", std))
        for name, array in arrays.items()
    }
