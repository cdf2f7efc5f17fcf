"""Analyse dask-backed observations: one task for each block of days."""

import copy
import itertools
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.internal import DIMS
from xdvarnet.mapping.graph import Tasks
from xdvarnet.mapping.observations import Analysis, Fields, Observations, Record
from xdvarnet.mapping.protocol import Reconstructor, analyse

if TYPE_CHECKING:
    import dask.array as da

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
    rng: np.random.Generator,
) -> Analysis:
    """Analyse anomalies block by block of days, with the numbers of an analysis in memory.

    A task has the days of its block, and the halo of the model on either side, and nothing else of
    the input. Each chunk of that is computed once, and the model and the places are one task, which
    a worker is sent once. A block without any observation is no error, unless it has all days.

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
    rng : numpy.random.Generator
        Where each task begins to draw, if the model is random.

    Returns
    -------
    Analysis
        Of dask arrays, with these blocks along time.
    """
    import dask.array as da

    days, parts = _observations_of_chunks(model, anomalies)
    times, stops = anomalies["time"].values, np.cumsum(days)
    maps = {name: da.asarray(array.data).rechunk(-1) for name, array in learned.items()}
    found = [(array.name, 0, 0) for array in maps.values()]
    handle, tasks = Tasks("model", [model]), []
    for block in blocks:
        needed = _with_halo(block, times, model.halo)
        first, last = np.searchsorted(stops, (needed.start, needed.stop - 1), side="right")
        near = parts.keys[int(first) : int(last) + 1]
        begin = int(stops[first] - days[first])
        analyse_block = partial(
            _analyse_block,
            cut=slice(needed.start - begin, needed.stop - begin),
            wanted=slice(block.start - needed.start, block.stop - needed.start),
            offset=needed.start,
            record=times.size,
            ends=(float(times[0]), float(times[-1])),
            names=list(maps),
            rng=copy.deepcopy(rng),
        )
        tasks.append((analyse_block, *handle.keys, near, found))
    analysed = Tasks("_analyse_block", tasks, [handle, parts, *maps.values()])
    space = ((size,) for size in anomalies["sea"].shape)
    chunks = (tuple(block.stop - block.start for block in blocks), *space)
    fields: dict[str, Any] = {
        kind: {name: analysed.array((kind, name), chunks, np.float32) for name in model.variables}
        for kind in (("mean", "std") if model.gives_std else ("mean",))
    }
    return Analysis(**fields)


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


def observed_lazily(model: Reconstructor, anomalies: xr.Dataset) -> xr.DataArray:
    """Return True, lazy; a record without any observation is refused when it is computed."""
    _, parts = _observations_of_chunks(model, anomalies)
    sea = _whole(anomalies["sea"])
    seen = Tasks("_is_observed", [(_is_observed, key) for key in parts.keys], [parts])
    check = partial(_check_any, names=model.observed)
    checked = Tasks("_check_any", [(check, seen.keys, (sea.name, 0, 0))], [seen, sea])
    return xr.DataArray(checked.array("observed", ((1,),), bool), dims="record")


def learn_lazily(model: Reconstructor, anomalies: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return what a model learns of the whole record: one pass, which keeps the observed cells."""
    if not model.learns:
        return {}
    _, parts = _observations_of_chunks(model, anomalies)
    sea, learn = _whole(anomalies["sea"]), partial(_learn, model)
    record = partial(Record.of, error_variables=model.error_variables)
    records = Tasks("_record", [(record, key) for key in parts.keys], [parts])
    found = Tasks("_learn", [(learn, records.keys, (sea.name, 0, 0))], [records, sea])
    chunks = tuple((size,) for size in sea.shape)
    return {
        name: xr.DataArray(found.array(name, chunks, np.float64), dims=DIMS[1:])
        for name in model.learns
    }


def _whole(array: xr.DataArray) -> "da.Array":
    """Return an array in one chunk."""
    import dask.array as da

    return da.asarray(array.data).rechunk(-1)


def _observations_of_chunks(
    model: Reconstructor, anomalies: xr.Dataset
) -> tuple[tuple[int, ...], Tasks]:
    """Return the chunks along time, and an `Observations` for each; chunks in space are joined.

    The graphs are those of the input, so that what several tasks need is computed once.
    """
    values, errors = list(model.variables), list(model.error_variables)
    names = [*values, *errors]
    days = _chunks(model, anomalies)["time"]
    whole = anomalies[names].chunk({"time": days, "latitude": -1, "longitude": -1})
    arrays, sea = [whole[name].data for name in names], _whole(anomalies["sea"])
    latitude, longitude = anomalies["latitude"].values, anomalies["longitude"].values
    observe = partial(
        _observations, names=list(model.variables), errors=list(model.error_variables)
    )
    tasks = [
        (
            partial(observe, days=stamps, latitude=latitude, longitude=longitude),
            [(array.name, number, 0, 0) for array in arrays],
            (sea.name, 0, 0),
        )
        for number, stamps in enumerate(np.split(anomalies["time"].values, np.cumsum(days)[:-1]))
    ]
    return days, Tasks("_observations", tasks, [*arrays, sea])


def _observations(
    arrays: list[np.ndarray],
    sea: np.ndarray,
    *,
    names: list[str],
    errors: list[str],
    days: np.ndarray,
    latitude: np.ndarray,
    longitude: np.ndarray,
) -> Observations:
    fields = dict(zip([*names, *errors], arrays, strict=True))
    return Observations(
        {name: fields[name] for name in names},
        days,
        latitude,
        longitude,
        sea,
        errors={name: fields[name] for name in errors},
    )


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


def _check_any(are_observed: list[bool], sea: np.ndarray, names: Sequence[str]) -> Fields:
    check_observed(any(are_observed), sea, names)
    return {"observed": np.array([True])}


def _learn(model: Reconstructor, records: list[Record], sea: np.ndarray) -> Fields:
    record = Record.join(records)
    check_observed(any(values.size for values in record.values.values()), sea, model.observed)
    return model.learn(record)


def _analyse_block(
    model: Reconstructor,
    parts: list[Observations],
    learned: list[np.ndarray],
    *,
    cut: slice,
    wanted: slice,
    offset: int,
    record: int,
    ends: tuple[float, float],
    names: list[str],
    rng: np.random.Generator,
) -> dict[tuple[str, str], np.ndarray]:
    """Analyse the `wanted` ones of those days of consecutive parts that `cut` leaves.

    The first of them is at `offset` in a record of so many days, from the first to the last of
    `ends`; `names` are of what was learned.
    """
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
        ends=ends,
        learned=dict(zip(names, learned, strict=True)),
    )
    is_part = observations.days.size < record
    check_observed(is_part or _is_observed(observations), observations.sea, model.observed)
    own = copy.deepcopy(rng)  # a task that is computed again draws the same
    analysis = analyse(model, observations, rng=own).take(wanted)
    return {
        (kind, name): array
        for kind, fields in analysis.kinds.items()
        for name, array in fields.items()
    }


def blocks_of_days(halo: float | None, times: np.ndarray, chunks: tuple[int, ...]) -> list[slice]:
    """Join the chunks of days of a record to blocks that are at least as long as the halo.

    A day is then read for three blocks at most, and a window solved for two; those of a first guess
    that has windows too, for three.

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
    days = _chunks(model, anomalies)["time"]
    blocks = blocks_of_days(model.halo, anomalies["time"].values, days)
    warn_of_joined_chunks(model, anomalies, blocks)
    return blocks


def warn_of_joined_chunks(
    model: Reconstructor, observed: xr.Dataset, blocks: Sequence[slice]
) -> None:
    """Warn where chunks of the input are joined, with what that costs.

    Parameters
    ----------
    model : Reconstructor
        What maps the blocks.
    observed : xarray.Dataset
        What it reads, in the chunks of the input.
    blocks : sequence of slice
        Days of each task.
    """
    chunks, times, halo = _chunks(model, observed), observed["time"].values, model.halo
    days, rows, columns = (chunks.get(dim, (observed.sizes[dim],)) for dim in DIMS)
    pieces = len(rows) * len(columns)
    if pieces > 1:
        warn(
            f"chunks of up to {max(rows)} x {max(columns)} cells are joined to whole maps of "
            f"{sum(rows)} x {sum(columns)}, which a task needs: it reads {pieces} chunks for each "
            "of its days. Chunks along time alone cost less."
        )
    if halo is None and len(days) > 1:
        warn(
            f"chunks of up to {max(days)} days are joined, since {type(model).__name__} needs the "
            f"whole record for each map: all {times.size} days are one task, and in memory at once."
        )
    if halo is None or times[max(days) - 1] - times[0] + 1 >= halo or len(days) == 1:
        return
    needed = [_with_halo(block, times, halo) for block in blocks]
    read = sum(each.stop - each.start for each in needed) / times.size
    became = "all days are one task"
    if len(blocks) > 1:
        longest = max(block.stop - block.start for block in blocks)
        became = f"they are joined to {len(blocks)} blocks of up to {longest} days"
    advice, better = "", 2 * math.ceil(halo)
    if times.size > better:
        advice = f" Chunks of {better} days or more cost less: dataset.chunk(time={better})."
    warn(
        f"chunks of up to {max(days)} days are shorter than the {halo:.3g} days on either side "
        f"that a map of {type(model).__name__} needs: {became}, and a day is read by {read:.1f} "
        f"tasks on average.{advice}"
    )


def _chunks(model: Reconstructor, observed: xr.Dataset) -> Mapping[Hashable, tuple[int, ...]]:
    names = [*model.variables, *model.error_variables]
    return observed[names].unify_chunks().chunksizes


def _with_halo(block: slice, times: np.ndarray, halo: float | None) -> slice:
    if halo is None:
        return block
    first, last = times[block.start] - halo, times[block.stop - 1] + halo
    start, stop = np.searchsorted(times, first), np.searchsorted(times, last, side="right")
    return slice(int(start), int(stop))
