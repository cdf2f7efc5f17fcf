"""One switch for the bars of all loops, which `xdvarnet.reconstruct` sets for its call."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tqdm.auto import tqdm

_SHOWN = ContextVar("progress", default=False)


@contextmanager
def show_progress(shown: bool) -> Iterator[None]:
    """Show the bars of `track`, or hide them, for the time of the context."""
    token = _SHOWN.set(shown)
    try:
        yield
    finally:
        _SHOWN.reset(token)


def track[Item](items: Iterable[Item], unit: str, total: int | None = None) -> Iterable[Item]:
    """Go through `items`, under a bar that counts them in `unit` where bars are shown."""
    return tqdm(items, unit=unit, total=total, disable=not _SHOWN.get())


@contextmanager
def count_up(unit: str, total: int) -> Iterator[Callable[[], object]]:
    """Show a bar of so many of a `unit`, where bars are shown; what it gives counts one."""
    with tqdm(unit=unit, total=total, disable=not _SHOWN.get()) as bar:
        yield bar.update
