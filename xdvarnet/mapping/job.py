"""A reconstruction that is written to a store, and can be interrupted and gone on with."""

import importlib.metadata
import math
import os
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from xdvarnet.grids.internal import DIMS
from xdvarnet.mapping.description import Arrays, describe
from xdvarnet.mapping.lazy import (
    analyse_lazily,
    learn_lazily,
    observed_lazily,
    warn_of_joined_chunks,
)
from xdvarnet.mapping.prepared import Prepared
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.mapping.store import begin, begun_with, check_scale, day_digests, digest, fill, locked

LEARNED, DIGEST, OBSERVED = "learned", "digest", "observed"

LEAST_DAYS = 10
"""Days of a block, where the model and the chunks allow fewer."""

LONGEST = 4
"""Lengths of the least block up to which a chunk of the input is a block as it is."""


def reconstruct_to_store(
    dataset: xr.Dataset,
    model: Reconstructor,
    store: str | os.PathLike,
    *,
    rng: np.random.Generator,
    progress: bool,
) -> xr.Dataset:
    """Write the maps of a Dataset to a zarr store, block by block: see `xdvarnet.reconstruct`."""
    check_scale("store=")
    prepared = Prepared.of(dataset, model)
    with locked(store) as path:
        dim = str(prepared.grid.axes.time)
        days = begun_with(path) or _days_of_a_block(prepared)
        if prepared.is_lazy:
            warn_of_joined_chunks(model, prepared.observed, _blocks(prepared, days))
        together = 1 + -(-_longest_chunk(prepared) // days)
        prepared = _in_blocks(prepared, days)
        record = _record(prepared)
        settings = _settings(prepared)
        stored = begin(path, _maps(prepared, record, days, rng), record, settings, days)
        maps = _maps(prepared, stored, days, rng)
        fill(path, maps, dim, together=together, progress=progress)
        return xr.open_zarr(path)


def _days_of_a_block(prepared: Prepared) -> int:
    """Return the length of the blocks of a new store.

    They are as long as the halo, or a chunk of the input that is longer; one that is much longer,
    such as a whole file, is cut.
    """
    halo, times = prepared.model.halo, prepared.observed["time"].values
    if halo is None:
        return times.size
    step = np.diff(times).min(initial=1.0)
    least = max(LEAST_DAYS, math.ceil(halo / step))
    chunk = _longest_chunk(prepared)
    if chunk > LONGEST * least:
        chunk = -(-chunk // (chunk // least))
    return min(times.size, chunk * -(-least // chunk))


def _longest_chunk(prepared: Prepared) -> int:
    """Return the days of the longest chunk of the input; 1 in memory."""
    return max(prepared.observed.unify_chunks().chunksizes.get("time", (1,)))


def _blocks(prepared: Prepared, days: int) -> list[slice]:
    """Return blocks of so many days; the last one has what is left."""
    size = prepared.observed.sizes["time"]
    return [slice(first, min(first + days, size)) for first in range(0, size, days)]


def _in_blocks(prepared: Prepared, days: int) -> Prepared:
    """Return the same, lazy: maps get a chunk for each block, and observations keep their days."""
    sizes = dict(zip(prepared.grid.axes.dims, (days, -1, -1), strict=True))
    observed = prepared.observed
    if not prepared.is_lazy:
        observed = observed.chunk(time=days)
    return replace(
        prepared,
        dataset=prepared.dataset.chunk(sizes),
        observed=observed.chunk(latitude=-1, longitude=-1),
    )


def _record(prepared: Prepared) -> xr.Dataset:
    """Return what is found on the whole record, lazy: background, what is learned, digests."""
    background = prepared.background()
    anomalies = prepared.anomalies(background)
    learned = learn_lazily(prepared.model, anomalies)
    digests = {
        f"{DIGEST}_{name}": day_digests(prepared.observed[name])
        for name in (*prepared.model.variables, *prepared.model.error_variables)
    }
    numbered = {f"{LEARNED}_{number}": array for number, array in enumerate(learned.values())}
    whole = background.reset_coords(drop=True).drop_vars(DIMS, errors="ignore")
    whole = whole.assign(numbered).assign(digests).drop_vars(DIMS, errors="ignore")
    return whole.assign({OBSERVED: observed_lazily(prepared.model, anomalies)})


def _maps(
    prepared: Prepared, record: xr.Dataset, days: int, rng: np.random.Generator
) -> xr.Dataset:
    """Return the maps of a record, lazy, in blocks of so many days."""
    model = prepared.model
    axes = {dim: prepared.observed[dim] for dim in DIMS}
    background = record[list(model.variables)].assign_coords(axes)
    learned = {name: record[f"{LEARNED}_{number}"] for number, name in enumerate(model.learns)}
    blocks = _blocks(prepared, days)
    analysis = analyse_lazily(model, prepared.anomalies(background), learned, blocks, rng)
    fields = {kind: analysis.kinds[kind] for kind in ("mean", "std")}
    return prepared.label(background, fields, model.attributes(None))


def _settings(prepared: Prepared) -> dict[str, object]:
    """Return what must be the same when a job goes on."""
    arrays: Arrays = {}
    settings = _flatten(describe(prepared.model, arrays), "model")
    settings |= {name: f"(digest {digest(array):x})" for name, array in arrays.items()}
    for name, label in zip(DIMS, prepared.grid.axes.dims, strict=True):
        axis = prepared.dataset[label].values
        text = f"{axis.size} from {axis[0]} to {axis[-1]}"
        settings[f"the input's {name}"] = f"{text} ({digest(prepared.observed[name].values):x})"
    sea = np.asarray(prepared.observed["sea"])
    settings["the input's sea"] = f"{int(sea.sum())} cells ({digest(sea):x})"
    return {"xdvarnet": importlib.metadata.version("xdvarnet"), **settings}


def _flatten(description: object, name: str) -> dict[str, object]:
    """Return the numbers and names of a description, each under its own name."""
    if isinstance(description, list):
        description = dict(enumerate(description))
    if not isinstance(description, Mapping):
        return {name: description}
    if set(description) == {"class", "arguments"}:
        arguments = _flatten(description["arguments"], name)
        return {f"{name}'s class": description["class"], **arguments}
    return {
        key: value
        for part, below in description.items()
        for key, value in _flatten(below, f"{name}.{part}").items()
    }
