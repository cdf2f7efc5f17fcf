"""From a Dataset of gappy observations and a model to complete, labelled maps."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError, InvalidTypeError, warn
from xdvarnet.grids.checks import (
    check_dataset,
    check_members,
    check_regular,
    check_times,
    units_factor,
)
from xdvarnet.grids.coords import Grid, find_grid
from xdvarnet.grids.internal import DIMS, hide_unobserved, to_internal
from xdvarnet.grids.labels import field_attributes, model_attributes
from xdvarnet.mapping.lazy import analyse_lazily, check_observed
from xdvarnet.mapping.leads import analyse_by_day
from xdvarnet.mapping.series import reconstruct_series
from xdvarnet.models.base import (
    Analysis,
    Observations,
    Reconstructor,
    TrainingGrid,
    ensemble_of,
    observed_of,
)
from xdvarnet.models.domain import analyse
from xdvarnet.models.leads import lead_of
from xdvarnet.models.series import SeriesReconstructor
from xdvarnet.patches.cover import cover

SPACING_TOLERANCE = 0.1
"""Relative departure from the spacing of a model's training grid that is accepted."""

LATITUDE_MARGIN = 10.0
"""Degrees beyond the trained latitudes at which a warning begins."""

LARGEST_SIZE = 10.0
"""Anomalies over those of the training at which a warning begins."""


def reconstruct(
    dataset: xr.Dataset,
    model: Reconstructor | SeriesReconstructor,
    *,
    members: int | None = None,
    return_members: bool = False,
    rng: RandomState = None,
    progress: bool = False,
) -> xr.Dataset:
    """Reconstruct complete maps from gappy observations.

    The background of the model is removed from the observations and added to its analysis. A model
    with a window is applied to overlapping windows, which are blended.

    Parameters
    ----------
    dataset : xarray.Dataset
        The model's observed variables on one (time, latitude, longitude) grid, in any order and any
        units that convert, NaN where unobserved. A boolean coordinate ``sea`` (latitude, longitude)
        tells land from unobserved sea: values on land are not used. Without it all cells are
        mapped. dask arrays stay lazy: one task for each chunk of days, values being checked when
        they are computed. A model of series takes ``state`` (sample, time, component) instead, with
        any number of dimensions for the samples and the times in the model's unit.
    model : Reconstructor or SeriesReconstructor
        Such as ``load_model("med-ssh")`` or ``OptimalInterpolation(...)``; or, for series,
        ``load_model("lorenz63")`` or ``StrongFourDVar(...)``.
    members : int, optional
        Number of members of the ensemble, for a model that has one: `SPDEField`, or any that
        `xdvarnet.calibrate` has given one. They are drawn over the whole domain at once.
    return_members : bool
        Whether to return the members.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the members.
    progress : bool
        Whether to show a bar over the windows (not for lazy data).

    Returns
    -------
    xarray.Dataset
        On the grid, in the units, order, dtype and chunks of `dataset`: each variable (posterior
        mean), ``<variable>_std`` where the model has one, and ``<variable>_members`` if asked for,
        with the dimension ``member`` first. Land is NaN. The attributes name the model and the
        version, and ``history`` has one more line. ``xdvarnet_lead`` is the lead of the model,
        where it has one: see `xdvarnet.with_lead`. ``xdvarnet_ensemble`` says how a calibrated
        model made the standard deviation and the members, such as ``"hybrid, 100 members"``.

    Raises
    ------
    InvalidTypeError
        If `dataset` is no Dataset, or `model` is no reconstructor.
    InvalidInputError
        If the grid, the times, the units or the values are not accepted; if there is no
        observation; if the region is smaller than the model's window.
    UnknownNameError
        If a variable is missing.

    Warns
    -----
    XdvarnetWarning
        If the region lies far from the trained latitudes, windows have no observation, a variable
        has no attribute ``units``, or observations are ten times as large as in the training
        (looked at in memory, and without a lead).

    Examples
    --------
    >>> import xdvarnet
    >>> truth = xdvarnet.datasets.mediterranean()
    >>> obs = xdvarnet.observe(truth, ["jason1", "envisat"], noise=0.02, rng=0)
    >>> maps = xdvarnet.reconstruct(obs, xdvarnet.load_model("med-ssh"))
    """
    check_dataset(dataset)
    check_members(members, return_members)
    generator = default_rng(rng)
    if isinstance(model, SeriesReconstructor) and not isinstance(model, type):
        return reconstruct_series(
            dataset, model, members=members, return_members=return_members, rng=generator
        )
    _check_model(model)
    dataset = hide_unobserved(dataset, model.variables, observed_of(model))
    grid = find_grid(dataset)
    _check_grid(grid, model)
    observed = to_internal(dataset, model.variables)
    for name, units in model.variables.items():
        if "units" not in dataset[name].attrs:
            warn(f"variable {name!r} has no attribute 'units'; {units!r} is assumed.")
    for name in model.variables:
        observed[name] = observed[name].where(observed["sea"])
    if lead_of(model) is None:
        analysis, backgrounds = _analyse_all(
            model, observed, members, return_members, generator, progress
        )
    else:
        analysis, backgrounds = analyse_by_day(
            model, observed, members=members, rng=generator, progress=progress
        )
    maps = _label(dataset, grid, model, observed["sea"], backgrounds, analysis, return_members)
    return maps.assign_attrs(_attributes_of_task(model, members))


def _attributes_of_task(model: Reconstructor, members: int | None) -> dict[str, str | int]:
    """How the standard deviation and the members were made, and with which lead."""
    attributes: dict[str, str | int] = {}
    lead, ensemble = lead_of(model), ensemble_of(model)
    if lead is not None:
        attributes["xdvarnet_lead"] = lead
    elif ensemble is not None:
        drawn = "" if members is None else f", {members} members"
        attributes["xdvarnet_ensemble"] = ensemble.method + drawn
    return attributes


def _analyse_all(
    model: Reconstructor,
    observed: xr.Dataset,
    members: int | None,
    keep_members: bool,
    rng: np.random.Generator,
    progress: bool,
) -> tuple[Analysis, dict[str, xr.DataArray]]:
    """Analyse a domain from all observations, lazily if these are lazy."""
    anomalies, backgrounds = observed[["sea"]], {}
    for name in model.variables:
        backgrounds[name] = model.background.estimate(observed[name])
        anomalies[name] = observed[name] - backgrounds[name]
    if not any(anomalies[name].chunks for name in model.variables):
        analysis = _analyse_now(model, anomalies, members, keep_members, rng, progress)
        return analysis, backgrounds
    if members is not None:
        raise InvalidInputError(
            "members of dask-backed observations are not available; load them first with "
            "dataset.load()."
        )
    return analyse_lazily(model, anomalies), backgrounds


def _analyse_now(
    model: Reconstructor,
    anomalies: xr.Dataset,
    members: int | None,
    keep_members: bool,
    rng: np.random.Generator,
    progress: bool,
) -> Analysis:
    values = {name: anomalies[name].values for name in model.variables}
    _warn_of_size(model, values)
    sea = anomalies["sea"].values
    observed = any(np.isfinite(array).any() for array in values.values())
    check_observed(observed, sea, observed_of(model))
    observations = Observations(values, *(anomalies[dim].values for dim in DIMS), sea=sea)
    return analyse(
        model,
        observations,
        members=members,
        keep_members=keep_members,
        rng=rng,
        progress=progress,
    )


def _warn_of_size(model: Reconstructor, values: Mapping[str, np.ndarray]) -> None:
    """Warn of anomalies that are far larger than those of the training, as in other units."""
    normalizer = getattr(model, "normalizer", None)
    for name, array in values.items() if normalizer is not None else ():
        seen = array[np.isfinite(array)]
        size = float(np.sqrt(np.mean(np.square(seen)))) if seen.size else 0.0
        usual = normalizer.std[name]
        if size > LARGEST_SIZE * usual:
            warn(
                f"observations of {name!r} differ from the background by {size:.3g} "
                f"{model.variables[name]} (RMS), and those of the training by {usual:.3g}; are "
                "their units those that they say?"
            )


def _label(
    dataset: xr.Dataset,
    grid: Grid,
    model: Reconstructor,
    sea: xr.DataArray,
    backgrounds: dict[str, xr.DataArray],
    analysis: Analysis,
    return_members: bool,
) -> xr.Dataset:
    """Add the background, and give the fields the names, order, units and dtype of the input."""
    fields = {}
    kinds = ("mean", "std", "members") if return_members else ("mean", "std")
    for name, units in model.variables.items():
        like = dataset[name]
        dims = dict(zip(DIMS, grid.axes.dims, strict=True))
        for kind in kinds:
            if name not in getattr(analysis, kind):
                continue
            values = getattr(analysis, kind)[name]
            field = xr.DataArray(values, dims=("member", *DIMS)[-values.ndim :])
            if kind != "std":
                field = field + backgrounds[name].reset_coords(drop=True).drop_vars(DIMS)
            field = field.where(sea.drop_vars(DIMS[1:], errors="ignore"))
            field = (field / units_factor(like, units)).astype(like.dtype)
            field = grid.restore(field.rename(dims), like)
            if field.chunks:
                field = field.chunk(like.variable.chunksizes)
            field.attrs = field_attributes(like, name, kind, units)
            fields[name if kind == "mean" else f"{name}_{kind}"] = field
        if name in analysis.std:
            fields[name].attrs["ancillary_variables"] = f"{name}_std"
    masked = "coordinate sea" if "sea" in dataset.coords else "none given; land was mapped as sea"
    attributes = model_attributes(dataset.attrs, "reconstruct with", model)
    for name in ("xdvarnet_ensemble", "xdvarnet_lead"):  # of an input that was made by a model
        attributes.pop(name, None)
    return xr.Dataset(fields, attrs={**attributes, "xdvarnet_land_mask": masked})


def _check_model(model: object) -> None:
    if isinstance(model, type) or not isinstance(model, Reconstructor):
        given = f"{type(model).__name__!r} is no reconstructor"
        if isinstance(model, type):
            given = f"you gave the class {model.__name__}; call it: {model.__name__}(...)"
        if isinstance(model, str):
            given = f"{model!r} is a string; use load_model({model!r})"
        raise InvalidTypeError(
            f"{given}; give a model such as load_model('med-ssh') or "
            "OptimalInterpolation(...), or an object with variables, window, background, "
            "first_guess, training_grid, gives_std and solve; for series, one such as "
            "load_model('lorenz63') or WeakFourDVar(...), or an object with solve_series."
        )
    if model.first_guess is not None:
        _check_model(model.first_guess)
        if not model.first_guess.variables.items() <= model.variables.items():
            raise InvalidInputError(
                f"the first guess has the variables {dict(model.first_guess.variables)}, which are "
                f"not among those of the model, {dict(model.variables)}."
            )


def _check_grid(grid: Grid, model: Reconstructor) -> None:
    assert grid.days is not None and grid.axes.time is not None
    if grid.days.size == 0:
        raise InvalidInputError(
            f"coordinate {grid.axes.time!r} is empty; there is no day to map. Check the period "
            "that was selected."
        )
    check_times(grid.days, grid.axes.time, daily=model.window is not None)
    if model.window is not None:
        reason = "this method has a window, which counts cells, and"
        check_regular(grid.latitude, grid.axes.latitude, reason)
        check_regular(grid.longitude, grid.axes.longitude, reason)
        cover((grid.days.size, *grid.shape), model.window)
    if model.training_grid is not None:
        _check_training_grid(grid, model.training_grid)
    if model.first_guess is not None:
        _check_grid(grid, model.first_guess)


def _check_training_grid(grid: Grid, trained: TrainingGrid) -> None:
    for axis, given, known in zip(
        ("latitude", "longitude"), grid.spacing, trained.spacing, strict=True
    ):
        if abs(given / known - 1) > SPACING_TOLERANCE:
            raise InvalidInputError(
                f"the grid's spacing in {axis} is {given:g} degrees and the model was trained at "
                f"{known:g}; at most {SPACING_TOLERANCE:.0%} difference is accepted. Bin or "
                f"interpolate the observations to {known:g} degrees, or train a model for this "
                "grid."
            )
    south, north = trained.latitudes
    if grid.latitude[0] < south - LATITUDE_MARGIN or grid.latitude[-1] > north + LATITUDE_MARGIN:
        warn(
            f"latitudes {grid.latitude[0]:g} to {grid.latitude[-1]:g} reach more than "
            f"{LATITUDE_MARGIN:g} degrees beyond those of the training ({south:g} to {north:g}); "
            "scales of motion differ there, and so will the error."
        )
