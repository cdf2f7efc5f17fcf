"""The tasks that a network is trained for: maps within a record, near-real-time, forecasts."""

import numpy as np

from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.protocol import Reconstructor


def describe_tasks(leads: int | None) -> str:
    """Name the tasks of a model that was trained for so many leads."""
    if leads is None:
        return "mapping within a record"
    ahead = f" and forecasts up to {leads} day(s) ahead" if leads else ""
    return f"mapping within a record, near-real-time (lead 0){ahead}"


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


def check_lead(lead: int, leads: int | None, model: Reconstructor) -> None:
    """Refuse a lead that a model was not trained for.

    Raises
    ------
    InvalidInputError
        With the tasks that it was trained for.
    """
    if leads is None:
        raise InvalidInputError(
            f"lead {lead}: {model!r} was trained for one task, {describe_tasks(leads)}. Train a "
            "model with DVarNet(..., leads=...), or take one without a window, such as "
            "OptimalInterpolation."
        )
    if lead > leads:
        raise InvalidInputError(
            f"lead {lead} is beyond the trained window: {model!r} knows {describe_tasks(leads)}. "
            f"Train a model with DVarNet(..., leads={lead}) for it."
        )
