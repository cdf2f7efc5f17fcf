"""Maps in a zarr store, written block by block of days, and gone on with after an interruption.

A store has the maps and a group ``job``: the settings, what was found on the whole record (the
background), a digest of each day of the input, how long blocks are, and which are written. It is
made at once; a block is marked after its maps are there, so one that was interrupted is computed
again.
"""

import hashlib
import json
import os
import shutil
import uuid
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import numpy as np
import xarray as xr

from xdvarnet._progress import count_up, show_progress
from xdvarnet.errors import (
    InvalidInputError,
    InvalidTypeError,
    MissingDependencyError,
    StoreError,
    XdvarnetError,
)
from xdvarnet.grids.labels import UNFINISHED
from xdvarnet.mapping.graph import Tasks

if TYPE_CHECKING:
    import dask.array as da

JOB, DONE, SETTINGS, DAYS = "job", "done", "settings", "days of a block"


def check_scale(what: str) -> None:
    """Refuse `what` without dask and zarr.

    Raises
    ------
    MissingDependencyError
        With how to install them.
    """
    try:
        import dask.array  # noqa: F401
        import zarr  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"{what} needs dask and zarr, of which one cannot be imported; "
            'pip install "xdvarnet[scale]".'
        ) from error


@contextmanager
def locked(path: str | os.PathLike) -> Iterator[Path]:
    """Keep other processes from writing to a store while the context lasts.

    Raises
    ------
    InvalidTypeError
        If this is no path.
    InvalidInputError
        If it is no path of a zarr store.
    StoreError
        If another process writes to it, or its folder cannot be written to.
    """
    if not isinstance(path, str | os.PathLike):
        raise InvalidTypeError(f"store={path!r} is no path; give one such as 'maps.zarr'.")
    if "://" in os.fspath(path) or Path(path).suffix != ".zarr":
        raise InvalidInputError(
            f"store={os.fspath(path)!r} is no zarr store in a folder of this machine; give a path "
            "such as 'maps.zarr'."
        )
    whole = Path(path).absolute()
    lock = filelock.FileLock(whole.with_name(f".{whole.name}.lock"))
    try:
        Path(lock.lock_file).touch()
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {whole.parent} is no folder that can be written to "
            f"({error.strerror}). Make it, or give another path."
        ) from error
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise StoreError(
            f"another process writes to {path}; wait until it has ended, or give another path."
        ) from error
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}") from error
    try:
        yield whole
    finally:
        if not whole.exists():  # a job that was refused leaves nothing
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def begun_with(path: Path) -> int | None:
    """Return the days of a block of the store that is there; None where there is none yet.

    Raises
    ------
    StoreError
        If what is there is no store of a job.
    """
    return int(_job(path).attrs[DAYS]) if path.exists() else None


def begin(
    path: Path, maps: xr.Dataset, record: xr.Dataset, settings: Mapping[str, object], days: int
) -> xr.Dataset:
    """Make a store, or check that the one that is there is of the same settings and input.

    Parameters
    ----------
    path : pathlib.Path
        That of `locked`.
    maps : xarray.Dataset
        Lazy maps, with a chunk for each block of days; nothing is computed.
    record : xarray.Dataset
        What was found on the whole record, lazy, and ``digest`` variables (`day_digests`).
    settings : mapping of str to object
        What must be the same when the job goes on.
    days : int
        Days of a block: those of `begun_with`, where a store is there.

    Returns
    -------
    xarray.Dataset
        The record as it is in the store: that with which the job began.

    Raises
    ------
    StoreError
        If the store is of another job.
    """
    if path.exists():
        _check(path, record, settings)
    else:
        _make(path, maps, record, settings, days)
    return xr.open_zarr(path, group=JOB).drop_vars(DONE)


def fill(path: Path, maps: xr.Dataset, dim: str, *, together: int, progress: bool) -> None:
    """Compute the blocks of days that are not there yet; each is written and marked as it is ready.

    Parameters
    ----------
    path, maps
        As for `begin`: the chunks of the maps are the blocks of the store.
    dim : str
        Name of the dimension of time in the maps.
    together : int
        Least number of blocks that are computed at once. One more than there are in a chunk of the
        input: it is then read two times at most.
    progress : bool
        Whether to show a bar of the blocks.

    Raises
    ------
    StoreError
        If blocks fail, after all others are written; or at once, if the store cannot be written.
        It says why, how many blocks are written and how many are left.
    """
    stops = np.cumsum(maps.chunksizes[dim]).tolist()
    regions = [slice(*edges) for edges in zip([0, *stops[:-1]], stops, strict=True)]
    left = np.flatnonzero(finished_blocks(path) == 0).tolist()
    # without optimization keys are the same in each graph, as a cluster expects that loses a worker
    written = _written(path, maps, dim, regions).to_delayed(optimize_graph=False)
    step = max(together, _workers())
    failed: dict[int, Exception] = {}
    finished = len(regions) - len(left)
    with show_progress(progress), count_up("block", len(regions), done=finished) as count:
        for first in range(0, len(left), step):
            some = left[first : first + step]
            failed |= _compute(path, written, some)
            count(len(some))
            if any(isinstance(error, StoreError) for error in failed.values()):
                break
    if failed:
        number, error = next(iter(failed.items()))
        days, finished = regions[number], int(finished_blocks(path).sum())
        raise StoreError(
            f"a block of days failed, that of the positions {days.start} to {days.stop - 1}: "
            f"{type(error).__name__}: {error}. {finished} of {len(regions)} blocks are in {path}, "
            f"{len(regions) - finished} are left; the same call goes on with them."
        ) from error
    _mark_finished(path)


def _written(path: Path, maps: xr.Dataset, dim: str, regions: Sequence[slice]) -> "da.Array":
    """Return the marks of blocks, lazy: to compute one is to write it."""
    dims = {str(name): array.dims for name, array in maps.data_vars.items()}
    arrays = {name: maps[name].data for name in dims}
    tasks = [
        (
            partial(_write, dims=dims, path=path, dim=dim, region=region, number=number),
            [
                (array.name, *(number if axis == dim else 0 for axis in dims[name]))
                for name, array in arrays.items()
            ],
        )
        for number, region in enumerate(regions)
    ]
    blocks = Tasks("_write", tasks, arrays.values())
    return blocks.array(DONE, ((1,) * len(regions),), np.int8)


def _compute(path: Path, written: np.ndarray, blocks: list[int]) -> dict[int, Exception]:
    """Write blocks, each alone if one of them fails; return the errors of those that do."""
    import dask

    try:
        dask.compute(*written[blocks])
    except Exception as error:
        left = [number for number in blocks if not finished_blocks(path)[number]]
        if len(left) == len(blocks) == 1 or isinstance(error, StoreError):
            return dict.fromkeys(left, error)
        errors = [_compute(path, written, [number]) for number in left]
        return {number: error for each in errors for number, error in each.items()}
    return {}


def _write(
    arrays: Sequence[np.ndarray],
    *,
    dims: Mapping[str, tuple[Hashable, ...]],
    path: Path,
    dim: str,
    region: slice,
    number: int,
) -> dict[str, np.ndarray]:
    maps = {name: (dims[name], array) for name, array in zip(dims, arrays, strict=True)}
    write_block(xr.Dataset(maps), path, dim, region, number)
    return {DONE: np.ones(1, np.int8)}


def write_block(maps: xr.Dataset, path: Path, dim: str, region: slice, number: int) -> None:
    """Write the maps of some days into a store, then mark the block."""
    import zarr

    try:
        maps.to_zarr(path, region={dim: region})
        done = zarr.open_group(path, path=JOB, mode="r+")[DONE]
        assert isinstance(done, zarr.Array)
        done[number] = 1
    except OSError as error:
        raise StoreError(f"it cannot be written: {error}") from error


def _mark_finished(path: Path) -> None:
    """Take away what says that days are missing."""
    import zarr

    if UNFINISHED not in xr.open_zarr(path).attrs:
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata")
        del zarr.open_group(path, mode="r+", use_consolidated=False).attrs[UNFINISHED]
        zarr.consolidate_metadata(path)


def finished_blocks(path: Path) -> np.ndarray:
    """Return 1 for each block of a store that is written, else 0."""
    return xr.open_zarr(path, group=JOB)[DONE].values


def day_digests(values: xr.DataArray) -> xr.DataArray:
    """Return a digest of the values of each day, lazy where these are: shape (time,)."""
    return xr.apply_ufunc(
        _digests,
        values,
        input_core_dims=[[dim for dim in values.dims if dim != "time"]],
        dask="parallelized",
        output_dtypes=[np.int64],
    )


def digest(array: np.ndarray) -> int:
    """Return a digest of an array: the same for the same values and type."""
    hashed = hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=8)
    hashed.update(f"{array.dtype} {array.shape}".encode())
    return int.from_bytes(hashed.digest(), "little", signed=True)


def _digests(days: np.ndarray) -> np.ndarray:
    return np.array([digest(day) for day in days], np.int64)


def _make(
    path: Path, maps: xr.Dataset, record: xr.Dataset, settings: Mapping[str, object], days: int
) -> None:
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    maps = maps.assign_coords({name: axis.compute() for name, axis in maps.coords.items()})
    maps = maps.assign_attrs({UNFINISHED: "days without maps are not written yet"})
    done = xr.Variable("block", np.zeros(-(-record.sizes["time"] // days), np.int8))
    job = record.chunk(time=days).assign({DONE: done})
    job = job.assign_attrs({SETTINGS: json.dumps(settings), DAYS: days})
    try:
        with warnings.catch_warnings():  # zarr 3 says that other programs may not read it
            warnings.filterwarnings("ignore", "Consolidated metadata")
            maps.to_zarr(partial, compute=False, consolidated=True)
            marks = {DONE: {"chunks": (1,)}}
            job.to_zarr(partial, group=JOB, encoding=marks, consolidated=True)
        os.replace(partial, path)
    except XdvarnetError:
        raise
    except Exception as error:  # readers of damaged files raise what they like
        raise StoreError(
            f"{path} was not begun, since a job begins with a pass over all days: the input cannot "
            f"be read, or the store not written: {type(error).__name__}: {error}"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _job(path: Path) -> xr.Dataset:
    """Open the group of the job of a store, or say that there is none."""
    try:
        job = xr.open_zarr(path, group=JOB)
        if not {SETTINGS, DAYS} <= job.attrs.keys():
            raise KeyError(SETTINGS)
    except (OSError, KeyError, ValueError) as error:
        raise StoreError(
            f"{path} is there, and is no store that reconstruct(..., store=...) began; give "
            "another path, or remove it."
        ) from error
    return job


def _check(path: Path, record: xr.Dataset, settings: Mapping[str, object]) -> None:
    another = "Give what it was begun with, or another path."
    stored = _job(path)
    known = json.loads(stored.attrs[SETTINGS])
    now = json.loads(json.dumps(settings))
    for name in known | now:
        if known.get(name) != now.get(name):
            raise StoreError(
                f"{path} was begun with {name} {known.get(name)}, and this call has "
                f"{now.get(name)}. {another}"
            )
    for name in record.data_vars:
        if not str(name).startswith("digest"):
            continue
        differs = _differing_days(record[name], stored[name].values)
        if differs.size:
            raise StoreError(
                f"the input of {path} has changed since it was begun: {differs.size} days differ "
                f"({name}), the first at position {differs[0]}. {another}"
            )


def _differing_days(now: xr.DataArray, known: np.ndarray) -> np.ndarray:
    """Return the positions of days with another digest; days that cannot be read are left out.

    The blocks that need those fail, and say why; others can be made.
    """
    try:
        return np.flatnonzero(now.values != known)
    except XdvarnetError:
        raise
    except Exception:
        if now.chunks is None or len(now.chunks[0]) == 1:
            return np.array([], int)
        halves = slice(0, now.size // 2), slice(now.size // 2, now.size)
        first, second = (_differing_days(now[half], known[half]) for half in halves)
        return np.concatenate([first, second + now.size // 2])


def _workers() -> int:
    """Number of threads of the dask cluster that is in use, or of this machine."""
    try:
        from distributed import get_client

        return sum(get_client().nthreads().values())
    except (ImportError, ValueError):
        return os.cpu_count() or 1
