"""Analyse each day from the observations until some days before it."""

import dataclasses
import warnings

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from xdvarnet.errors import InvalidInputError, XdvarnetWarning, warn
from xdvarnet.grids.checks import check_times
from xdvarnet.models.base import Analysis, Reconstructor, ensemble_of, without_ensemble
from xdvarnet.models.domain import analyse
from xdvarnet.models.draws import take_anomalies
from xdvarnet.models.leads import PAST, lead_of, without_lead


def analyse_by_day(
    model: Reconstructor,
    observed: xr.Dataset,
    *,
    members: int | None,
    rng: np.random.Generator,
    progress: bool,
) -> tuple[Analysis, dict[str, xr.DataArray]]:
    """Analyse every day of a domain from what was observed until ``model.lead`` days before it.

    Parameters
    ----------
    model : Reconstructor
        With a lead. A calibrated ensemble is that of mapping, and is not used.
    observed : xarray.Dataset
        Of `to_internal`, in memory, one map a day.
    members, rng, progress
        As in `xdvarnet.reconstruct`. The members of two days are independent.

    Returns
    -------
    analysis : Analysis
        Anomalies from the background.
    backgrounds : dict of str to xarray.DataArray
        Of each variable, from the same observations.

    Raises
    ------
    InvalidInputError
        If days are missing, the data are lazy, or members are asked for and the model has none.
    """
    if any(observed[name].chunks for name in model.variables):
        raise InvalidInputError(
            "a model with a lead takes observations in memory; load them with dataset.load()."
        )
    if members is not None and ensemble_of(model) is not None:
        raise InvalidInputError(
            "the ensemble of this model was calibrated for mapping, and not for a lead; leave "
            "members=None, or use SPDEField(...), which has members of its own."
        )
    check_times(observed["time"].values, "time", daily=True)
    lead = lead_of(model)
    core = without_lead(without_ensemble(model))
    ahead = lead if model.window is None else model.leads
    behind = PAST - 1 if model.window is None else model.window.time - 1 - ahead
    place = behind + lead
    found: list[Analysis] = []
    grounds: list[dict[str, xr.DataArray]] = []
    silent = 0
    for day in tqdm(range(observed.sizes["time"]), disable=not progress, unit="day"):
        last = day - lead
        part = _cut(observed, last - behind, last + ahead, last, model)
        observations, backgrounds = take_anomalies(part, core.background, None, model.variables)
        observations = dataclasses.replace(observations, wanted=place)
        seen = any(np.isfinite(values).any() for values in observations.values.values())
        silent += day >= lead and not seen  # the first days of a record have none before them
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", XdvarnetWarning)  # of windows, for each day anew
            analysis = analyse(core, observations, members=members, rng=rng)
        found.append(
            Analysis(
                **{
                    field.name: {
                        name: array[..., place, :, :]
                        for name, array in getattr(analysis, field.name).items()
                    }
                    for field in dataclasses.fields(Analysis)
                }
            )
        )
        grounds.append({name: array[place] for name, array in backgrounds.items()})
    if silent:
        warn(
            f"{silent} of {len(found)} days, the first {lead} not counted, have no observation "
            f"until {lead} day(s) before; there the maps are the background and what the model "
            "makes of it."
        )
    return _join(found), {
        name: xr.concat([each[name] for each in grounds], "time") for name in model.variables
    }


def _cut(
    observed: xr.Dataset, first: int, stop: int, last: int, model: Reconstructor
) -> xr.Dataset:
    """Days `first` to `stop`, NaN after `last` and outside of the record."""
    positions = np.arange(first, stop + 1)
    count = observed.sizes["time"]
    known = (positions >= 0) & (positions < count) & (positions <= last)
    part = observed.isel(time=positions.clip(0, count - 1))
    part = part.assign_coords(time=observed["time"].values[0] + positions)
    seen = xr.DataArray(known, dims="time")
    return part.assign({name: part[name].where(seen) for name in model.variables})


def _join(days: list[Analysis]) -> Analysis:
    """Put the analyses of single days one after the other."""
    return Analysis(
        **{
            field.name: {
                name: np.stack([getattr(day, field.name)[name] for day in days], axis=-3)
                for name in getattr(days[0], field.name)
            }
            for field in dataclasses.fields(Analysis)
        }
    )
