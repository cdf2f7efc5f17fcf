"""Leads: maps of a day from the observations until some days before it alone.

Lead 0 is near-real-time mapping: nothing is known of the days after. A greater lead is a forecast.
"""

import copy

import numpy as np

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_kind
from xdvarnet.models.base import Reconstructor

PAST = 31
"""Days until the last observed one that a model without a window is given."""


def with_lead[Model: Reconstructor](model: Model, lead: int) -> Model:
    """Return the model as it is when the last `lead` days before each map are not yet observed.

    Every day of a Dataset is then mapped on its own, from the observations until `lead` days before
    it: with 0 those of the day itself are the last (near-real-time), with 3 it is a forecast three
    days ahead. Days that are to be forecast after the last observation are days of the Dataset
    without observations: ``dataset.reindex(time=...)`` adds them.

    A `DVarNet` sees the last observed day where it was in its training, at the place
    ``window.time - 1 - leads`` of its window; a model without a window is given the observations of
    31 days. The background is estimated from the same observations.

    Parameters
    ----------
    model : Reconstructor
        A `DVarNet` that was trained for leads, or any model without a window, such as
        `OptimalInterpolation`.
    lead : int
        Days, 0 or more.

    Raises
    ------
    InvalidInputError
        If the lead is no whole number of days, or the model was not trained for it.
    InvalidTypeError
        If this is no model of maps.

    Examples
    --------
    >>> import xdvarnet
    >>> oi = xdvarnet.OptimalInterpolation(
    ...     "ssh", correlation_length="100 km", correlation_time="12 days", noise=0.02
    ... )
    >>> forecast = xdvarnet.with_lead(oi, 3)
    >>> truth = xdvarnet.datasets.mediterranean().isel(time=slice(9), lon=slice(200, 240))
    >>> obs = xdvarnet.observe(truth, ["jason1", "envisat"], noise=0.02, rng=0)
    >>> maps = obs.dvarnet.reconstruct(forecast)
    """
    check_kind(isinstance(model, Reconstructor), "model", model, "a model of maps")
    other = copy.copy(model)
    other.lead = check_lead(model, lead)
    return other


def lead_of(model: Reconstructor) -> int | None:
    """Return the lead of a model; None for one that maps from all observations."""
    return getattr(model, "lead", None)


def without_lead[Model: Reconstructor](model: Model) -> Model:
    """Return the model that maps from all the observations that it is given."""
    other = copy.copy(model)
    other.lead = None
    return other


def check_lead(model: Reconstructor, lead: int) -> int:
    """Return a lead that the model is made for.

    Raises
    ------
    InvalidInputError
        If it is no whole number of days, or the model was not trained for it.
    """
    if isinstance(lead, bool) or not isinstance(lead, int | np.integer) or lead < 0:
        raise InvalidInputError(
            f"lead={lead!r} is not accepted; give whole days, 0 for near-real-time."
        )
    if model.window is None:
        return int(lead)
    trained = getattr(model, "leads", None)
    if trained is None:
        raise InvalidInputError(
            f"lead={lead}: {model!r} was trained for one task, {tasks_of(model)}. Train a model "
            "with DVarNet(..., leads=...), or take one without a window, such as "
            "OptimalInterpolation."
        )
    if lead > trained:
        raise InvalidInputError(
            f"lead={lead} is beyond the trained window: {model!r} knows {tasks_of(model)}. Train a "
            f"model with DVarNet(..., leads={lead}) for it."
        )
    return int(lead)


def check_leads(leads: int | None, days: int, first_guess: Reconstructor | None) -> int | None:
    """Return the number of days at the end of a window that a training hides.

    Raises
    ------
    InvalidInputError
        If it leaves no observed day of the window, or there is a first guess.
    """
    if leads is None:
        return None
    if isinstance(leads, bool) or not isinstance(leads, int | np.integer) or not 0 <= leads < days:
        raise InvalidInputError(
            f"leads={leads!r} is not accepted; give whole days, from 0 to {days - 1} for a window "
            f"of {days} days."
        )
    if first_guess is not None:
        raise InvalidInputError(
            f"leads={leads} with the first guess {first_guess!r}, which is made of all "
            "observations and has seen the hidden days; leave first_guess=None, and give the "
            "solver a learned one: VariationalSolver(..., first_guess=...)."
        )
    return int(leads)


def tasks_of(model: Reconstructor) -> str:
    """Name the tasks that a model was trained for."""
    trained = getattr(model, "leads", None)
    if trained is None:
        return "mapping within a record"
    ahead = f" and forecasts up to {trained} day(s) ahead" if trained else ""
    return f"mapping within a record, near-real-time (lead 0){ahead}"
