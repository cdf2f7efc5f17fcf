"""From a Dataset of gappy observations and a model to complete, labelled maps."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import check_dataset, check_members, check_times, units_factor
from xdvarnet.grids.coords import Grid
from xdvarnet.grids.internal import DIMS, hide_unobserved, internal_grid, to_internal
from xdvarnet.grids.labels import field_attributes, model_attributes
from xdvarnet.grids.provenance import encode_axes
from xdvarnet.grids.series import STATE
from xdvarnet.mapping.lazy import analyse_lazily, check_observed
from xdvarnet.mapping.progress import show_progress
from xdvarnet.mapping.protocol import (
    Analysis,
    Fields,
    Observations,
    Reconstructor,
    analyse,
    check_analysis,
    check_model,
)
from xdvarnet.mapping.series import reconstruct_series


def reconstruct(
    dataset: xr.Dataset,
    model: Reconstructor,
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
    model : Reconstructor
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
        version; ``source`` says what the maps were made of, by the title and institution of the
        input, which are not theirs; ``history`` has one more line. ``xdvarnet_lead`` is the lead of
        the model, where it has one: see `xdvarnet.Lead`. ``xdvarnet_ensemble`` says how a
        calibrated model made the standard deviation and the members, such as
        ``"hybrid, 100 members"``. ``xdvarnet_errors``, and the ``comment`` of ``<variable>_std``,
        say what the standard deviation is: the formal error of the method, often too small, or
        calibrated, and on what.

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
        has no attribute ``units``, or the background is one of the observations of less than a
        week. In memory, and without a lead, also if observations are ten times as large as in the
        training, or smaller than their noise, or values are not those of the sea in their units.

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
    check_model(model)
    if STATE in model.variables:
        return reconstruct_series(
            dataset, model, members=members, return_members=return_members, rng=generator
        )
    dataset = hide_unobserved(dataset, model.variables, model.observed)
    grid = internal_grid(dataset)
    _check_days(grid)
    model.check(grid)
    observed = to_internal(dataset, model.variables)
    model.background.check_days(observed["time"].values)
    for name, units in model.variables.items():
        if "units" not in dataset[name].attrs:
            warn(f"variable {name!r} has no attribute 'units'; {units!r} is assumed.")
    anomalies, backgrounds = observed[["sea"]], {}
    for name in model.variables:
        values = observed[name].where(observed["sea"])
        backgrounds[name] = model.background.estimate(values)
        anomalies[name] = values - backgrounds[name]
    if any(anomalies[name].chunks for name in model.variables):
        if members is not None:
            raise InvalidInputError(
                "members of dask-backed observations are not available; load them first with "
                "dataset.load()."
            )
        analysis = analyse_lazily(model, anomalies)
    else:
        with show_progress(progress):
            analysis = _analyse(model, anomalies, members, return_members, generator)
    kinds = ("mean", "std", "members") if return_members else ("mean", "std")
    fields = {kind: analysis.kinds[kind] for kind in kinds}
    made = model.attributes(members)
    return _label(dataset, grid, model, observed["sea"], backgrounds, fields, made)


def _analyse(
    model: Reconstructor,
    anomalies: xr.Dataset,
    members: int | None,
    keep_members: bool,
    rng: np.random.Generator,
) -> Analysis:
    """Analyse anomalies in memory."""
    values = {name: anomalies[name].values for name in model.variables}
    sea = anomalies["sea"].values
    observed = any(np.isfinite(array).any() for array in values.values())
    check_observed(observed, sea, model.observed)
    days, latitude, longitude = (anomalies[dim].values for dim in DIMS)
    observations = Observations(values, days, latitude, longitude, sea)
    model.check_values(observations)
    if members is None or keep_members:
        return analyse(model, observations, members=members, rng=rng)
    analysis = model.solve_spread(observations, members=members, rng=rng)
    return check_analysis(model, observations, analysis, None)


def _label(
    dataset: xr.Dataset,
    grid: Grid,
    model: Reconstructor,
    sea: xr.DataArray,
    backgrounds: dict[str, xr.DataArray],
    analysis: Mapping[str, Fields],
    made: Mapping[str, str | int],
) -> xr.Dataset:
    """Add the background, and give the fields the names, order, units and dtype of the input."""
    fields = {}
    for name, units in model.variables.items():
        like = dataset[name]
        dims = dict(zip(DIMS, grid.axes.dims, strict=True))
        for kind, of_kind in analysis.items():
            if name not in of_kind:
                continue
            values = of_kind[name]
            field = xr.DataArray(values, dims=("member", *DIMS)[-values.ndim :])
            if kind != "std":
                field = field + backgrounds[name].reset_coords(drop=True).drop_vars(DIMS)
            field = field.where(sea.drop_vars(DIMS[1:], errors="ignore"))
            field = (field / units_factor(like, units)).astype(like.dtype)
            field = grid.restore(field.rename(dims), like)
            if field.chunks:
                field = field.chunk(like.variable.chunksizes)
            field.attrs = field_attributes(like, name, kind, units, made.get("xdvarnet_errors"))
            fields[name if kind == "mean" else f"{name}_{kind}"] = field
        if name in analysis["std"]:
            fields[name].attrs["ancillary_variables"] = f"{name}_std"
    masked = "coordinate sea" if "sea" in dataset.coords else "none given; land was mapped as sea"
    attributes = model_attributes(dataset.attrs, "reconstruct with", model, made)
    return encode_axes(xr.Dataset(fields, attrs={**attributes, "xdvarnet_land_mask": masked}))


def _check_days(grid: Grid) -> None:
    assert grid.days is not None and grid.axes.time is not None
    if grid.days.size == 0:
        raise InvalidInputError(
            f"coordinate {grid.axes.time!r} is empty; there is no day to map. Check the period "
            "that was selected."
        )
    check_times(grid.days, grid.axes.time, daily=False)
