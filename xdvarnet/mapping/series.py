"""From a Dataset of gappy series and a model to whole, labelled trajectories."""

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.labels import field_attributes, model_attributes
from xdvarnet.grids.series import STATE, check_labels, find_series
from xdvarnet.mapping.states import SeriesObservations, SeriesReconstructor


def reconstruct_series(
    dataset: xr.Dataset,
    model: SeriesReconstructor,
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
    model : SeriesReconstructor
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
    check_labels(series.labels, getattr(model, "labels", None))
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
    analysis = model.solve_series(
        SeriesObservations(series.values, series.dt), members=members, rng=rng
    )
    bad = ~np.isfinite(analysis.mean).all((1, 2))
    if bad.any():
        raise InvalidInputError(
            f"the model gives values that are not finite for {bad.sum()} of {bad.size} samples; "
            f"observations reach {np.nanmax(np.abs(series.values)):g}: check their units, and that "
            "they are of the system that the model was made for."
        )
    kinds = {STATE: ("mean", analysis.mean), f"{STATE}_std": ("std", analysis.std)}
    if return_members:
        kinds[f"{STATE}_members"] = ("members", analysis.members)
    fields = {}
    for name, (kind, values) in kinds.items():
        if values is not None:
            fields[name] = series.restore(values).assign_attrs(
                field_attributes(series.like, STATE, kind, "1")
            )
    if analysis.std is not None:
        fields[STATE].attrs["ancillary_variables"] = f"{STATE}_std"
    return xr.Dataset(fields, attrs=model_attributes(dataset.attrs, "reconstruct with", model))
