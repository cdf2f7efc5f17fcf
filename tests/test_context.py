"""What inversions see of the observations: values and mask, and contexts that do not fit."""

import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.data import Data
from xdvarnet.solver.inversions.context import split_context


def test_values_and_mask_are_those_that_were_joined():
    series = torch.randn(2, 1, 7, 3, generator=torch.Generator().manual_seed(0))
    data = Data.from_gappy(torch.where(series > 0, series, torch.nan))
    guess = torch.zeros_like(series)
    values, mask = split_context(guess, torch.cat([data.values, data.mask], 1))
    assert values.shape == mask.shape == guess.shape
    assert torch.equal(values, series.clamp(min=0))
    assert torch.equal(mask, (series > 0).float())


@pytest.mark.parametrize(
    ("guess", "context"),
    [
        ((2, 1, 7, 3), None),
        ((2, 1, 7, 3), (2, 1, 7, 3)),
        ((2, 1, 7, 3), (2, 3, 7, 3)),
        ((2, 1, 7, 3), (4, 2, 7, 3)),
        ((2, 1, 7, 3), (2, 2, 3, 7)),
        ((2, 2, 7, 3), (2, 2, 7, 3)),
        ((2, 1, 7, 3), (2, 2, 7)),
    ],
)
def test_what_does_not_fit_is_refused(guess, context):
    given = None if context is None else torch.zeros(context)
    with pytest.raises(InvalidInputError) as caught:
        split_context(torch.zeros(guess), given)
    assert str(caught.value).endswith(f"they are {guess} and {context}.")
