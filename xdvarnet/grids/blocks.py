"""Many points, some at a time: what is computed for each takes bounded memory."""

from collections.abc import Iterator

BLOCK = 100_000
"""Points that are treated at once: 0.8 MB for each of the arrays in between."""


def blocks(count: int) -> Iterator[slice]:
    """Cut `count` points into slices of at most `BLOCK`; one that is empty if there is no point."""
    for start in range(0, max(count, 1), BLOCK):
        yield slice(start, min(start + BLOCK, count))
