"""Random numbers (Scientific Python SPEC 7): one generator in, independent ones out."""

import numpy as np

from xdvarnet.errors import InvalidInputError

RandomState = int | np.random.SeedSequence | np.random.Generator | None
"""What every ``rng=`` accepts: a seed, a seed sequence, a generator, or None for fresh entropy."""


def default_rng(rng: RandomState = None) -> np.random.Generator:
    """Return the generator that `rng` stands for.

    Parameters
    ----------
    rng : int, numpy.random.SeedSequence, numpy.random.Generator or None
        A seed gives the same numbers at each call; a generator is used as it is.

    Raises
    ------
    InvalidInputError
        If `rng` is none of these.
    """
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"rng={rng!r} is no source of random numbers; give a non-negative integer seed, "
            "a numpy Generator or SeedSequence, or None."
        ) from error


def spawn(rng: np.random.Generator | None, count: int) -> list[np.random.Generator]:
    """Return so many independent generators; the first are the same however many follow."""
    return (np.random.default_rng() if rng is None else rng).spawn(count)
