"""One bar for the outermost of all loops that run, and a rough estimate in the log."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tqdm.auto import tqdm

logger = logging.getLogger("xdvarnet")

_SHOWN = ContextVar("shown", default=False)
_INSIDE = ContextVar("inside", default=False)

AFTER, LONG = 3.0, 60.0
"""Seconds of a loop after which it is estimated, and from which on the estimate is logged."""


@contextmanager
def show_progress(shown: bool) -> Iterator[None]:
    """Show the bars of the loops below, or hide them, for the time of the context.

    A loop that failed is not over while its traceback is kept, as a notebook does: it hides no bar
    of a later call.
    """
    begun = _INSIDE.set(_INSIDE.get() and _SHOWN.get())
    token = _SHOWN.set(shown)
    try:
        yield
    finally:
        _SHOWN.reset(token)
        _INSIDE.reset(begun)


def track[Item](items: Iterable[Item], unit: str, total: int | None = None) -> Iterator[Item]:
    """Go through `items`, under a bar that counts them in `unit` where bars are shown."""
    with count_up(unit, total) as count:
        for item in items:
            yield item
            count(1)


@contextmanager
def count_up(unit: str, total: int | None, *, done: int = 0) -> Iterator[Callable[..., object]]:
    """Show a bar of so many of a `unit`, where bars are shown; what it gives counts some of them.

    A text may be shown behind the bar. Within another loop it shows nothing. A loop of more than a
    minute says so in the log.
    """
    if _INSIDE.get():
        yield lambda number, text="": None
        return
    start, estimated = time.monotonic(), False
    with tqdm(unit=unit, total=total, initial=done, disable=not _SHOWN.get()) as bar:
        count, left = 0, None if total is None else total - done

        def update(number: int, text: str = "") -> None:
            nonlocal count, estimated
            count += number
            bar.set_postfix_str(text, refresh=False)
            bar.update(number)
            seconds = time.monotonic() - start
            if left and count and seconds > AFTER and not estimated:
                estimated = True
                if seconds * left / count > LONG:
                    text = "%d %ss take about %d s"
                    logger.info(text, left, unit, round(seconds * left / count))

        _INSIDE.set(True)
        try:
            yield update
        finally:
            _INSIDE.set(False)
