"""Random numbers from one source."""

import numpy as np
import pytest

from xdvarnet._random import default_rng
from xdvarnet.errors import InvalidInputError


def test_a_seed_repeats_and_a_generator_goes_on():
    assert default_rng(3).random() == default_rng(3).random()
    generator = np.random.default_rng(3)
    assert default_rng(generator) is generator
    sequence = np.random.SeedSequence(3)
    assert default_rng(sequence).random() == default_rng(3).random()


@pytest.mark.parametrize("rng", [-1, "seed", 1.5])
def test_no_source_of_random_numbers_is_refused(rng):
    with pytest.raises(InvalidInputError, match="no source of random numbers"):
        default_rng(rng)
