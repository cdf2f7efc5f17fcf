"""What one optimisation step sees, and its way to another device."""

import dataclasses

import pytest
import torch

from xdvarnet.solver.batch import Batch
from xdvarnet.solver.data import Data


def make_batch(context: torch.Tensor | None) -> Batch:
    """Two observation terms of different channels."""
    generator = torch.Generator().manual_seed(0)
    terms = [torch.randn(2, channels, 4, 5, generator=generator) for channels in (3, 1)]
    data = [Data.from_gappy(torch.where(term > 0, term, torch.nan)) for term in terms]
    return Batch(torch.zeros(2, 3, 4, 5), torch.ones(2, 3, 4, 5), data, context, torch.ones(4, 5))


def tensors(batch: Batch) -> list[torch.Tensor | None]:
    parts = [part for data in batch.data for part in (data.values, data.mask)]
    return [batch.state, batch.truth, *parts, batch.context, batch.weights]


@pytest.mark.parametrize("context", [None, torch.full((2, 6, 4, 5), 3.0, dtype=torch.float64)])
def test_everything_goes_to_the_device(context):
    """The device without memory is one that every machine has."""
    batch = make_batch(context)
    moved = batch.to("meta")
    assert len(moved.data) == 2
    for before, after in zip(tensors(batch), tensors(moved), strict=True):
        if before is None:
            assert after is None
        else:
            assert (before.device.type, after.device.type) == ("cpu", "meta")
            assert (before.shape, before.dtype) == (after.shape, after.dtype)


def test_on_its_own_device_nothing_changes():
    batch = make_batch(torch.full((2, 6, 4, 5), 3.0))
    for before, after in zip(tensors(batch), tensors(batch.to("cpu")), strict=True):
        assert torch.equal(before, after)
    with pytest.raises(dataclasses.FrozenInstanceError):
        batch.state = batch.truth
