"""Analyse dask-backed observations: one task for each chunk of days."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.internal import DIMS
from xdvarnet.mapping.protocol import Analysis, Fields, Observations, Reconstructor, analyse


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
        A model without a halo takes all days in one task.
    anomalies : xarray.Dataset
        dask-backed variables (time, latitude, longitude), errors, and the mask ``sea``.

    Returns
    -------
    Analysis
        Of dask arrays, with the time chunks of the anomalies (one chunk without a halo).
    """
    import dask
    import dask.array as da

    anomalies = anomalies.unify_chunks()
    shape = tuple(anomalies.sizes[dim] for dim in DIMS)
    chunks = (shape[0],) if model.halo is None else anomalies.chunksizes["time"]
    kinds = ("mean", "std") if model.gives_std else ("mean",)
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
        halo = shape[0] if model.halo is None else model.halo
        days = slice(max(int(start) - halo, 0), min(int(stop) + halo, shape[0]))
        task = dask.delayed(_analyse_chunk, pure=False)(
            handle,
            {name: anomalies[name].data[days] for name in model.variables},
            {name: anomalies[name].data[days] for name in model.error_variables},
            anomalies["time"].values[days],
            place,
            observed,
            slice(int(start) - days.start, int(stop) - days.start),
            days.start,
            shape[0],
        )
        size = (int(stop - start), *shape[1:])
        for (kind, name), arrays in pieces.items():
            arrays.append(da.from_delayed(task[kind, name], size, np.float32))
    fields = {key: da.concatenate(arrays) for key, arrays in pieces.items()}
    return Analysis(
        **{kind: {name: fields[kind, name] for name in model.variables} for kind in kinds},
        first_guess=None,
    )


def _analyse_chunk(
    model: Reconstructor,
    values: Fields,
    errors: Fields,
    days: np.ndarray,
    place: list[np.ndarray],
    observed: bool,
    wanted: slice,
    offset: int,
    record: int,
) -> dict[tuple[str, str], np.ndarray]:
    latitude, longitude, sea = place
    check_observed(bool(observed), sea, model.observed)
    observations = Observations(
        values,
        days,
        latitude,
        longitude,
        sea,
        wanted=wanted,
        offset=offset,
        record=record,
        errors=errors,
    )
    analysis = analyse(model, observations).take(wanted)
    return {
        (kind, name): array
        for kind, fields in analysis.kinds.items()
        for name, array in fields.items()
    }
