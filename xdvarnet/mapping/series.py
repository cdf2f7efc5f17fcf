"""From a Dataset of gappy series and a model to whole, labelled trajectories."""

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.labels import field_attributes, model_attributes
from xdvarnet.grids.series import STATE, check_labels, find_series
from xdvarnet.mapping.observations import Observations
from xdvarnet.mapping.protocol import Reconstructor, analyse


def reconstruct_series(
    dataset: xr.Dataset,
    model: Reconstructor,
    *,
    members: int | None,
    return_members: bool,
    rng: np.random.Generator,
) -> xr.Dataset:
    """Reconstruct trajectories: what `xdvarnet.reconstruct` does with a model of series.

    Parameters
    ----------
    dataset : xarray.Dataset
        ``state`` as `xdvarnet.grids.series.find_series` takes it, NaN where unobserved.
    model : Reconstructor
        A method or a trained network.
    members, return_members, rng
        As in `xdvarnet.reconstruct`.

    Returns
    -------
    xarray.Dataset
        ``state``, ``state_std`` where the model has one and ``state_members`` if asked for, in
        the order, coordinates and dtype of the input.
    """
    series = find_series(dataset)
    check_labels(series.labels, model.labels)
    observed = np.isfinite(series.values).any((1, 2))
    if not observed.any():
        raise InvalidInputError(
            f"all observations are missing: state, of shape {series.like.shape}, is NaN "
            "everywhere. Check how the observations were made."
        )
    if not observed.all():
        warn(
            f"{(~observed).sum()} of {observed.size} samples have no observation; what the model "
            "gives there comes from what it knew before, and has no worth as an analysis."
        )
    observations = Observations.of_series({STATE: series.values}, series.times)
    analysis = analyse(model, observations, members=members, rng=rng)
    fields, made = {}, model.attributes(members)
    for kind, arrays in analysis.kinds.items():
        if STATE in arrays and (kind != "members" or return_members):
            name = STATE if kind == "mean" else f"{STATE}_{kind}"
            fields[name] = series.restore(arrays[STATE]).assign_attrs(
                field_attributes(series.like, STATE, kind, "1", made.get("xdvarnet_errors"))
            )
    if f"{STATE}_std" in fields:
        fields[STATE].attrs["ancillary_variables"] = f"{STATE}_std"
    attributes = model_attributes(dataset.attrs, "reconstruct with", model, made)
    return xr.Dataset(fields, attrs=attributes)
