"""From a Dataset of gappy observations and a model to complete, labelled maps."""

import os
from dataclasses import replace

import xarray as xr

from xdvarnet._progress import show_progress
from xdvarnet._random import RandomState, default_rng, spawn
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_dataset, check_members
from xdvarnet.grids.series import STATE
from xdvarnet.mapping.job import reconstruct_to_store
from xdvarnet.mapping.lazy import analyse_lazily, draw_lazily, join_chunks, learn_lazily
from xdvarnet.mapping.prepared import Prepared
from xdvarnet.mapping.protocol import Reconstructor, check_model
from xdvarnet.mapping.series import reconstruct_series
from xdvarnet.mapping.whole import analyse_in_a_task, analyse_in_memory


def reconstruct(
    dataset: xr.Dataset,
    model: Reconstructor,
    *,
    members: int | None = None,
    return_members: bool = False,
    rng: RandomState = None,
    progress: bool = False,
    store: str | os.PathLike | None = None,
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
        mapped. A method with ``noise="ssh_noise"`` reads this variable too, the standard deviation
        of the error of each observation. dask arrays stay lazy: one task for each chunk of days,
        values being checked when they are computed. A model of series takes ``state`` (sample,
        time, component) instead, with any number of dimensions for the samples and the times in the
        model's unit.
    model : Reconstructor
        Such as ``load_model("med-ssh")`` or ``OptimalInterpolation(...)``; or, for series,
        ``load_model("lorenz63")`` or ``StrongFourDVar(...)``.
    members : int, optional
        Number of members of the ensemble, for a model that has one: `SPDEField`, or any that
        `xdvarnet.calibrate` has given one. They are drawn over the whole domain at once. Of
        dask-backed observations members are lazy too: some in each task, where the method of the
        calibration is ``"hybrid"``, and else all days and members in one, with a warning.
    return_members : bool
        Whether to return the members.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the members, and of the ensembles of what the model holds.
    progress : bool
        Whether to show a bar over what takes the time: windows, nodes, members, iterations, or the
        blocks of a store. Lazy maps are computed later, under ``dask.diagnostics.ProgressBar``.
    store : str or path, optional
        A zarr store on disk, such as ``"maps.zarr"``, to which the maps are written in blocks of
        days. Where it was interrupted, the same call goes on with the blocks that are left, with
        the background that the job began with. The maps are returned lazily.

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
        observation, or one has an error that is not positive; if the region is smaller than the
        model's window.
    UnknownNameError
        If a variable is missing.
    StoreError
        If the store is in use, cannot be written, was begun with another input or other settings,
        or a block fails; what is written stays.
    MissingDependencyError
        If a store is given without the extra ``scale``.

    Warns
    -----
    XdvarnetWarning
        If the region lies far from the trained latitudes, windows have no observation, a variable
        has no attribute ``units``, chunks are joined, or the background is one of the observations
        of less than a week. In memory, and without a lead, also if observations are less than half
        or more than twice as large as in the training, or smaller than their noise, or values are
        not those of the sea in their units.

    Examples
    --------
    >>> import xdvarnet
    >>> truth = xdvarnet.datasets.mediterranean().isel(time=slice(12), lon=slice(60, 160))
    >>> obs = xdvarnet.observe(truth, ["jason1", "envisat"], noise=0.02, rng=0)
    >>> maps = xdvarnet.reconstruct(obs, xdvarnet.load_model("med-ssh"))
    """
    check_dataset(dataset)
    check_members(members, return_members)
    generator = default_rng(rng)
    check_model(model)
    if store is not None and STATE in model.variables:
        raise InvalidInputError(
            f"a store is of maps, and {model!r} is a model of series; give a model of maps, or "
            "reconstruct without a store."
        )
    if store is not None and members is not None:
        raise InvalidInputError(
            "a store is of maps and their standard deviation, without members; leave members=None, "
            "or leave store=None and write the members with to_zarr."
        )
    if STATE in model.variables:
        with show_progress(progress):
            return reconstruct_series(
                dataset, model, members=members, return_members=return_members, rng=generator
            )
    if store is not None:
        return reconstruct_to_store(dataset, model, store, rng=generator, progress=progress)
    prepared = Prepared.of(dataset, model)
    background = prepared.background()
    anomalies = prepared.anomalies(background)
    if prepared.is_lazy:
        if members is not None and not model.draws:
            analysis = analyse_in_a_task(model, anomalies, members, return_members, generator)
        else:
            blocks, learned = join_chunks(model, anomalies), learn_lazily(model, anomalies)
            analysis = analyse_lazily(model, anomalies, learned, blocks, generator)
            if members is not None and return_members:
                drawn = draw_lazily(model, anomalies, analysis, spawn(generator, members))
                analysis = replace(analysis, members=drawn)
    else:
        with show_progress(progress):
            analysis = analyse_in_memory(model, anomalies, members, return_members, generator)
    kinds = ("mean", "std", "members") if return_members else ("mean", "std")
    fields = {kind: analysis.kinds[kind] for kind in kinds}
    return prepared.label(background, fields, model.attributes(members))
