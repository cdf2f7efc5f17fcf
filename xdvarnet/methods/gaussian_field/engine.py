"""The engine of a Gaussian field: chosen, refused or warned of by what it takes."""

import logging
import math
from collections.abc import Mapping

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.spde.cost import Cost, FieldSize, memory_limit

logger = logging.getLogger("xdvarnet")

ENGINES = ("exact", "iterative")
"""Ways to condition a field, the preferred one first."""

GIGABYTE = 1e9

WARNED = 2.0
"""Memory in GB of which a warning is given if no limit was set."""


def choose_engine(
    size: FieldSize, costs: Mapping[str, Cost], engine: str | None, memory: float | None
) -> str:
    """Choose the engine, and refuse what takes too much, before any work.

    Parameters
    ----------
    size : FieldSize
        For the messages.
    costs : mapping of str to Cost
        Of each engine.
    engine : str or None
        The one that was asked for; by default the first that fits.
    memory : float or None
        Most memory in GB, and at most half that of the machine.

    Raises
    ------
    InvalidInputError
        If it takes more than the limit.

    Warns
    -----
    XdvarnetWarning
        If it takes more than 2 GB and no limit was set.
    """
    limit = limit_in_bytes(memory)
    fitting = [name for name in ENGINES if costs[name].memory <= limit]
    chosen = engine or (fitting[0] if fitting else ENGINES[-1])
    cost = costs[chosen]
    cells = f"{size.times} x {size.rows} x {size.columns} cells"
    logger.info("engine=%r for %s, which take %.3g GB", chosen, cells, cost.memory / GIGABYTE)
    if chosen not in fitting:
        raise InvalidInputError(
            f"{cells}, with the margin, take {cost.memory / GIGABYTE:.3g} GB by the {chosen} "
            f"engine, and the limit is {limit / GIGABYTE:.3g} GB; {_remedy(cost, fitting)}."
        )
    if memory is None and cost.memory > WARNED * GIGABYTE:
        warn(
            f"{cells}, with the margin, take up to {cost.memory / GIGABYTE:.3g} GB and about "
            f"{_duration(cost.seconds())} by the {chosen} engine; "
            f"memory='{_ceiling(cost):g} GB' of the field, or of with_options of a calibrated "
            "model, allows it without this warning, and a smaller or coarser domain takes less."
        )
    return chosen


def limit_in_bytes(memory: float | None) -> float:
    """Return the limit of a memory in GB; by default, and at most, half that of the machine."""
    return memory_limit(None if memory is None else GIGABYTE * memory)


def _remedy(cost: Cost, fitting: list[str]) -> str:
    """Say how to stay below the limit, or to raise it where the machine has more."""
    ways = [f'use the {name} engine (engine="{name}")' for name in fitting]
    ways.append("use fewer days or members, or a smaller or coarser domain")
    if GIGABYTE * _ceiling(cost) <= limit_in_bytes(None):
        ways.append(f"allow more, memory='{_ceiling(cost):g} GB'")
    return "; or ".join(ways)


def _ceiling(cost: Cost) -> float:
    """Return a round number of GB that a cost does not exceed."""
    step = 10 ** (math.floor(math.log10(cost.memory)) - 1)
    return math.ceil(cost.memory / step) * step / GIGABYTE


def _duration(seconds: float) -> str:
    """Return a time in words."""
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}s"
    return f"{max(seconds, 1):.0f} seconds"
