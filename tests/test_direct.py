"""The direct inversion is its network, added to the first guess."""

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.description import build, describe
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.data import Data
from xdvarnet.solver.inversions.direct import DirectInversion
from xdvarnet.solver.losses import ReconstructionLoss
from xdvarnet.solver.networks import UNet

CHANNELS, CONTEXT = 3, 4
WHERE = pytest.mark.parametrize("context", [CONTEXT, None])
"""What says where the observations are: a context, or their masks."""


def make_inversion(context: int | None = CONTEXT) -> DirectInversion:
    torch.manual_seed(0)
    channels = 2 * CHANNELS + (CHANNELS if context is None else context)
    network = UNet(channels, CHANNELS, hidden=4, depth=1, downscale=2)
    return DirectInversion(network, context=context)


def make_inputs(batch: int = 3) -> tuple[torch.Tensor, list[Data], torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    first_guess, values = (torch.randn(batch, CHANNELS, 7, 10, generator=random) for _ in range(2))
    data = [Data.from_gappy(torch.where(values > 0, values, torch.nan))]
    return first_guess, data, torch.randn(batch, CONTEXT, 7, 10, generator=random)


@pytest.mark.parametrize("context", [1, None])
def test_increment_by_hand(context):
    """A convolution of one point: weights of the first guess, the values and the mask."""
    network = nn.Conv2d(3, 1, 1, bias=False)  # it says nothing of its channels
    network.weight.data = torch.tensor([0.5, 2.0, 10.0]).view(1, 3, 1, 1)
    first_guess = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)
    data = [Data(torch.tensor([[[[4.0, 99.0]]]]), torch.tensor([[[[1.0, 0.0]]]]))]
    result = DirectInversion(network, context=context)(first_guess, data, data[0].mask)
    assert result.flatten().tolist() == [1 + 0.5 + 8 + 10, 3 + 1.5]


@WHERE
def test_samples_do_not_mix(context):
    inversion, (first_guess, data, seen) = make_inversion(context), make_inputs()
    together = inversion(first_guess, data, seen)
    one = slice(1, 2)
    part = [Data(data[0].values[one], data[0].mask[one])]
    torch.testing.assert_close(inversion(first_guess[one], part, seen[one]), together[one])
    assert torch.equal(inversion.eval()(first_guess, data, seen), together)


@WHERE
def test_data_of_several_terms_are_seen(context):
    inversion, (first_guess, data, seen) = make_inversion(context), make_inputs()
    parts = [
        Data(data[0].values[:, channels], data[0].mask[:, channels])
        for channels in (slice(1), slice(1, 3))
    ]
    expected = inversion(first_guess, data, seen)
    assert torch.equal(inversion(first_guess, parts, seen), expected)


@WHERE
def test_it_learns_by_the_loss_of_the_solver(context):
    inversion, (first_guess, data, seen) = make_inversion(context), make_inputs()
    batch = Batch(first_guess, first_guess + 1, data, seen, torch.ones_like(first_guess))
    ReconstructionLoss(prior=0.0).evaluate(inversion, batch).backward()
    assert all(p.grad.abs().max() > 0 for p in inversion.parameters())


def test_other_channels_are_refused():
    inversion, (first_guess, data, context) = make_inversion(), make_inputs()
    for inputs, numbers in (
        ((first_guess, data, context[:, :3]), "3, 3, 3"),
        ((first_guess, data, None), "3, 3, 0"),
        ((first_guess, [], context), "3, 4"),
        ((first_guess[:, :2], data, torch.cat([context, context[:, :1]], 1)), "2, 3, 5"),
    ):
        message = rf"from 10 channels to 3, and was given \[{numbers}\]"
        with pytest.raises(InvalidInputError, match=message):
            inversion(*inputs)
    with pytest.raises(InvalidInputError, match=r"from 9 channels .* given \[3\]"):
        make_inversion(None)(first_guess, [])


@WHERE
def test_it_is_described_and_built(context):
    inversion, inputs = make_inversion(context), make_inputs()
    classes = {"DirectInversion": DirectInversion, "UNet": UNet}
    again = build(describe(inversion, arrays := {}), arrays, classes)
    again.load_state_dict(inversion.state_dict())
    assert torch.equal(again(*inputs), inversion(*inputs))
    assert (again.context, again.iterations) == (context, None)
