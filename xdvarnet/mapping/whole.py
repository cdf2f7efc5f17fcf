"""Analyse all days at once: in memory, or as one task."""

import copy
from typing import Any

import numpy as np
import xarray as xr

from xdvarnet.errors import warn
from xdvarnet.grids.internal import DIMS
from xdvarnet.mapping.lazy import check_observed
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor, analyse, check_analysis


def analyse_in_memory(
    model: Reconstructor,
    anomalies: xr.Dataset,
    members: int | None,
    keep_members: bool,
    rng: np.random.Generator,
) -> Analysis:
    """Analyse anomalies in memory.

    Parameters
    ----------
    model : Reconstructor
        What analyses.
    anomalies : xarray.Dataset
        Variables (time, latitude, longitude), errors, and the mask ``sea``.
    members : int or None
        How many to draw.
    keep_members : bool
        Whether they are a part of the result, and not only what its standard deviation is of.
    rng : numpy.random.Generator
        Source of the members, and of all else that is random.
    """
    values = {name: anomalies[name].values for name in model.variables}
    sea = anomalies["sea"].values
    observed = any(np.isfinite(array).any() for array in values.values())
    check_observed(observed, sea, model.observed)
    days, latitude, longitude = (anomalies[dim].values for dim in DIMS)
    errors = {name: anomalies[name].values for name in model.error_variables}
    observations = Observations(values, days, latitude, longitude, sea, errors=errors)
    model.check_values(observations)
    if members is None or keep_members:
        return analyse(model, observations, members=members, rng=rng)
    analysis = model.solve_spread(observations, members=members, rng=rng)
    return check_analysis(model, observations, analysis, None)


def analyse_in_a_task(
    model: Reconstructor,
    anomalies: xr.Dataset,
    members: int,
    keep_members: bool,
    rng: np.random.Generator,
) -> Analysis:
    """Analyse lazy anomalies as `analyse_in_memory` does, in one task that has all days.

    Warns
    -----
    XdvarnetWarning
        That all days, and the members that are kept, are in memory at once.
    """
    import dask
    import dask.array as da

    shape = tuple(anomalies.sizes[dim] for dim in DIMS)
    size = 4 * np.prod(shape) * (members if keep_members else 1) / 1e9
    warn(
        f"members of {type(model).__name__} are made of the whole record: all {shape[0]} days, and "
        f"{size:.2g} GB of results, are one task, and in memory at once. Those of a model that is "
        "calibrated with the method 'hybrid' are drawn some at a time."
    )
    handle = dask.delayed(model, pure=False, traverse=False)
    task = dask.delayed(_analyse, pure=False)(handle, anomalies, members, keep_members, rng)
    shapes = {"mean": shape}
    if model.gives_std:
        shapes["std"] = shape
    if keep_members:
        shapes["members"] = (members, *shape)
    fields: dict[str, Any] = {
        kind: {
            name: da.from_delayed(task[kind][name], of_kind, np.float32) for name in model.variables
        }
        for kind, of_kind in shapes.items()
    }
    return Analysis(**fields)


def _analyse(
    model: Reconstructor,
    anomalies: xr.Dataset,
    members: int,
    keep_members: bool,
    rng: np.random.Generator,
) -> dict[str, Any]:
    own = copy.deepcopy(rng)  # a task that is computed again draws the same
    return analyse_in_memory(model, anomalies, members, keep_members, own).kinds
