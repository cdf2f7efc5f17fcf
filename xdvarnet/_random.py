"""Random numbers (Scientific Python SPEC 7): one generator in, independent ones out."""

import numpy as np

from xdvarnet.errors import InvalidInputError

PLACES = 2**31
"""First number of the spawn keys of places; no generator has as many children."""

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


def stream(rng: np.random.Generator | None, *place: int) -> np.random.Generator:
    """Return the independent generator of a place, such as a day of a record.

    It is the same whatever other places are drawn, and `rng` does not change.
    """
    if rng is None:
        return np.random.default_rng()
    bits = rng.bit_generator
    seeds = bits.seed_seq
    assert isinstance(seeds, np.random.SeedSequence)
    key = (*seeds.spawn_key, PLACES, *place)
    own = np.random.SeedSequence(seeds.entropy, spawn_key=key, pool_size=seeds.pool_size)
    return np.random.Generator(type(bits)(own))
