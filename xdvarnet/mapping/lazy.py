"""Analyse dask-backed observations: one task for each block of days."""

import copy
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.internal import DIMS
from xdvarnet.mapping.observations import Analysis, Fields, Observations, Record
from xdvarnet.mapping.protocol import Reconstructor, analyse

MEMBER_BYTES = 2**28
"""Size of the members of one task."""


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


def analyse_lazily(
    model: Reconstructor,
    anomalies: xr.Dataset,
    learned: Mapping[str, xr.DataArray],
    blocks: Sequence[slice],
) -> Analysis:
    """Analyse anomalies block by block of days, with the numbers of an analysis in memory.

    A task has the days of its block, and the halo of the model on either side. Each chunk of the
    input is computed once, and the model and the places are one task, which a worker is sent once.

    Parameters
    ----------
    model : Reconstructor
        A model without a halo takes all days in one task.
    anomalies : xarray.Dataset
        Variables (time, latitude, longitude), errors, and the mask ``sea``; something is lazy.
    learned : mapping of str to xarray.DataArray
        Result of `learn_lazily`.
    blocks : sequence of slice
        Days of each block, one after the other: those of `blocks_of_days` or of a store.

    Returns
    -------
    Analysis
        Of dask arrays, with these blocks along time.
    """
    import dask
    import dask.array as da

    chunks, parts = _observations_of_chunks(model, anomalies)
    times, stops = anomalies["time"].values, np.cumsum(chunks)
    handle = dask.delayed(model, pure=False, traverse=False)
    observed = dask.delayed(any, pure=False)([dask.delayed(_is_observed)(part) for part in parts])
    maps = dask.delayed({name: array.data for name, array in learned.items()}, pure=False)
    analyse_block = dask.delayed(_analyse_block, pure=False)
    kinds = ("mean", "std") if model.gives_std else ("mean",)
    pieces: dict[tuple[str, str], list[da.Array]] = {
        (kind, name): [] for kind in kinds for name in model.variables
    }
    for block in blocks:
        days = _with_halo(block, times, model.halo)
        first, last = np.searchsorted(stops, (days.start, days.stop - 1), side="right")
        near = slice(int(first), int(last) + 1)
        begin = int(stops[first] - chunks[first])
        cut = slice(days.start - begin, days.stop - begin)
        wanted = slice(block.start - days.start, block.stop - days.start)
        place = cut, wanted, days.start, times.size
        task = analyse_block(handle, parts[near], place, observed, maps)
        size = block.stop - block.start, anomalies.sizes["latitude"], anomalies.sizes["longitude"]
        for (kind, name), arrays in pieces.items():
            arrays.append(da.from_delayed(task[kind, name], size, np.float32))
    whole = {key: da.concatenate(arrays) for key, arrays in pieces.items()}
    return Analysis(
        **{kind: {name: whole[kind, name] for name in model.variables} for kind in kinds},
        first_guess=None,
    )


def draw_lazily(
    model: Reconstructor,
    anomalies: xr.Dataset,
    analysis: Analysis,
    generators: Sequence[np.random.Generator],
) -> Fields:
    """Draw members around a lazy analysis: a task for each chunk of members, over all days.

    Parameters
    ----------
    model : Reconstructor
        One that draws.
    anomalies : xarray.Dataset
        As for `analyse_lazily`.
    analysis : Analysis
        Its result.
    generators : sequence of numpy.random.Generator
        One for each member.

    Returns
    -------
    mapping of str to dask array
        Shape (member, time, latitude, longitude).
    """
    import dask
    import dask.array as da

    shape = tuple(anomalies.sizes[dim] for dim in DIMS)
    size = max(1, MEMBER_BYTES // (4 * math.prod(shape)))
    place = [anomalies[name].data for name in (*DIMS, "sea")]
    domain = dask.delayed(Observations, pure=False)({}, *place)
    whole = dask.delayed(Analysis, pure=False)(dict(analysis.mean), dict(analysis.std))
    handle = dask.delayed(model, pure=False, traverse=False)
    draw = dask.delayed(_draw, pure=False)
    pieces: dict[str, list[da.Array]] = {name: [] for name in model.variables}
    for some in itertools.batched(generators, size):
        task = draw(handle, domain, whole, list(some))
        for name, arrays in pieces.items():
            arrays.append(da.from_delayed(task[name], (len(some), *shape), np.float32))
    return {name: da.concatenate(arrays) for name, arrays in pieces.items()}


def learn_lazily(model: Reconstructor, anomalies: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return what a model learns of the whole record: one pass, which keeps the observed cells."""
    import dask
    import dask.array as da

    if not model.learns:
        return {}
    _, parts = _observations_of_chunks(model, anomalies)
    handle = dask.delayed(model, pure=False, traverse=False)
    record = dask.delayed(Record.of, pure=False)
    records = [record(part, model.error_variables) for part in parts]
    found = dask.delayed(_learn, pure=False)(handle, records)
    shape = anomalies.sizes["latitude"], anomalies.sizes["longitude"]
    return {
        name: xr.DataArray(da.from_delayed(found[name], shape, float), dims=DIMS[1:])
        for name in model.learns
    }


def _observations_of_chunks(
    model: Reconstructor, anomalies: xr.Dataset
) -> tuple[tuple[int, ...], list[Any]]:
    """Return the chunks along time, and a lazy `Observations` for each; chunks in space are joined.

    The graphs are those of the input, so that what several tasks need is computed once.
    """
    import dask

    names = [*model.variables, *model.error_variables]
    days = anomalies[names].unify_chunks().chunksizes["time"]
    whole = anomalies[names].chunk({"time": days, "latitude": -1, "longitude": -1})
    chunks = {name: whole[name].data.to_delayed(optimize_graph=False).ravel() for name in names}
    places = [anomalies[name].data for name in ("latitude", "longitude", "sea")]
    place = dask.delayed(places, pure=False)
    times = np.split(anomalies["time"].values, np.cumsum(days)[:-1])
    observe = dask.delayed(_observations, pure=False)
    return days, [
        observe(
            {name: chunks[name][number] for name in model.variables},
            {name: chunks[name][number] for name in model.error_variables},
            stamps,
            place,
        )
        for number, stamps in enumerate(times)
    ]


def _observations(
    values: Fields, errors: Fields, days: np.ndarray, place: list[np.ndarray]
) -> Observations:
    latitude, longitude, sea = place
    return Observations(values, days, latitude, longitude, sea, errors=errors)


def _draw(
    model: Reconstructor,
    domain: Observations,
    analysis: Analysis,
    generators: list[np.random.Generator],
) -> Fields:
    own = copy.deepcopy(generators)  # a task that is computed again draws the same
    return model.draw(domain, analysis, own)


def _is_observed(part: Observations) -> bool:
    return any(np.isfinite(values).any() for values in part.values.values())


def _learn(model: Reconstructor, records: list[Record]) -> Fields:
    return model.learn(Record.join(records))


def _analyse_block(
    model: Reconstructor,
    parts: list[Observations],
    place: tuple[slice, slice, int, int],
    observed: bool,
    learned: Fields,
) -> dict[tuple[str, str], np.ndarray]:
    """Analyse some days of consecutive parts; `place` says which days, and where they belong."""
    check_observed(observed, parts[0].sea, model.observed)
    cut, wanted, offset, record = place
    values, errors = (
        {name: np.concatenate([field[name] for field in fields])[cut] for name in fields[0]}
        for fields in ([part.values for part in parts], [part.errors for part in parts])
    )
    observations = replace(
        parts[0],
        values=values,
        errors=errors,
        days=np.concatenate([part.days for part in parts])[cut],
        wanted=wanted,
        offset=offset,
        record=record,
        learned=learned,
    )
    analysis = analyse(model, observations).take(wanted)
    return {
        (kind, name): array
        for kind, fields in analysis.kinds.items()
        for name, array in fields.items()
    }


def blocks_of_days(halo: float | None, times: np.ndarray, chunks: tuple[int, ...]) -> list[slice]:
    """Join the chunks of days of a record to blocks that are at least as long as the halo.

    A day is then read for three blocks at most, and a window solved for two.

    Parameters
    ----------
    halo : float or None
        Of the model, in days.
    times : numpy.ndarray
        Days of the record.
    chunks : tuple of int
        Numbers of days in each of its chunks.
    """
    if halo is None:
        return [slice(0, times.size)]
    edges = [0]
    for stop in np.cumsum(chunks)[:-1].tolist():
        if times[stop - 1] - times[edges[-1]] + 1 >= halo:
            edges.append(stop)
    if len(edges) > 1 and times[-1] - times[edges[-1]] + 1 < halo:
        edges.pop()
    return [slice(*pair) for pair in zip(edges, [*edges[1:], times.size], strict=True)]


def join_chunks(model: Reconstructor, anomalies: xr.Dataset) -> list[slice]:
    """Return the blocks of days of lazy maps, and warn where chunks are joined for them."""
    names = [*model.variables, *model.error_variables]
    chunks = anomalies[names].unify_chunks().chunksizes["time"]
    blocks = blocks_of_days(model.halo, anomalies["time"].values, chunks)
    if model.halo is not None and len(blocks) < len(chunks):
        _warn_of_short_chunks(model, blocks, chunks)
    return blocks


def _warn_of_short_chunks(
    model: Reconstructor, blocks: list[slice], chunks: tuple[int, ...]
) -> None:
    assert model.halo is not None
    days, halo = max(block.stop - block.start for block in blocks), int(np.ceil(model.halo))
    became = "all days are one task"
    if len(blocks) > 1:
        became = f"they are joined to {len(blocks)} blocks of up to {days} days"
    advice = ""
    if sum(chunks) > 2 * halo:
        advice = f" Chunks of {2 * halo} days or more cost less: dataset.chunk(time={2 * halo})."
    warn(
        f"chunks of up to {max(chunks)} days are shorter than the {model.halo:.3g} days on either "
        f"side that a map of {type(model).__name__} needs: {became}.{advice}"
    )


def _with_halo(block: slice, times: np.ndarray, halo: float | None) -> slice:
    if halo is None:
        return block
    first, last = times[block.start] - halo, times[block.stop - 1] + halo
    start, stop = np.searchsorted(times, first), np.searchsorted(times, last, side="right")
    return slice(int(start), int(stop))
