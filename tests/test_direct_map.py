"""The direct inversion of maps is its network, added to the first guess."""

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.description import build, describe
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.data import Data
from xdvarnet.solver.inversions.direct_map import DirectInversion
from xdvarnet.solver.losses import ReconstructionLoss
from xdvarnet.solver.multiscale import UNet

CHANNELS, CONTEXT = 3, 4


def make_inversion() -> DirectInversion:
    torch.manual_seed(0)
    network = UNet(2 * CHANNELS + CONTEXT, CHANNELS, hidden=4, depth=1, downscale=2)
    return DirectInversion(network, context=CONTEXT)


def make_inputs(batch: int = 3) -> tuple[torch.Tensor, list[Data], torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    first_guess, values = (torch.randn(batch, CHANNELS, 7, 10, generator=random) for _ in range(2))
    data = [Data.from_gappy(torch.where(values > 0, values, torch.nan))]
    return first_guess, data, torch.randn(batch, CONTEXT, 7, 10, generator=random)


def test_increment_by_hand():
    """A convolution of one point: weights of the first guess, the values and the mask."""
    network = nn.Conv2d(3, 1, 1, bias=False)
    network.channels, network.features = 3, 1
    network.weight.data = torch.tensor([0.5, 2.0, 10.0]).view(1, 3, 1, 1)
    first_guess = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)
    data = [Data(torch.tensor([[[[4.0, 99.0]]]]), torch.tensor([[[[1.0, 0.0]]]]))]
    result = DirectInversion(network, context=1)(first_guess, data, data[0].mask)
    assert result.flatten().tolist() == [1 + 0.5 + 8 + 10, 3 + 1.5]


def test_samples_do_not_mix():
    inversion, (first_guess, data, context) = make_inversion(), make_inputs()
    together = inversion(first_guess, data, context)
    one = slice(1, 2)
    part = [Data(data[0].values[one], data[0].mask[one])]
    torch.testing.assert_close(inversion(first_guess[one], part, context[one]), together[one])
    assert torch.equal(inversion.eval()(first_guess, data, context), together)


def test_data_of_several_terms_are_seen():
    inversion, (first_guess, data, context) = make_inversion(), make_inputs()
    parts = [
        Data(data[0].values[:, channels], data[0].mask[:, channels])
        for channels in (slice(1), slice(1, 3))
    ]
    expected = inversion(first_guess, data, context)
    assert torch.equal(inversion(first_guess, parts, context), expected)


def test_it_learns_by_the_loss_of_the_solver():
    inversion, (first_guess, data, context) = make_inversion(), make_inputs()
    batch = Batch(first_guess, first_guess + 1, data, context, torch.ones_like(first_guess))
    ReconstructionLoss(prior=0.0).evaluate(inversion, batch).backward()
    assert all(p.grad.abs().max() > 0 for p in inversion.parameters())


def test_other_channels_are_refused():
    inversion, (first_guess, data, context) = make_inversion(), make_inputs()
    for inputs in (
        (first_guess, data, context[:, :3]),
        (first_guess, data, None),
        (first_guess, [], context),
        (first_guess[:, :2], data, torch.cat([context, context[:, :1]], 1)),
    ):
        with pytest.raises(InvalidInputError, match="from 10 channels to 3, and a first guess of"):
            inversion(*inputs)


def test_it_is_described_and_built():
    inversion = make_inversion()
    classes = {"DirectInversion": DirectInversion, "UNet": UNet}
    again = build(describe(inversion, arrays := {}), arrays, classes)
    again.load_state_dict(inversion.state_dict())
    inputs = make_inputs()
    assert torch.equal(again(*inputs), inversion(*inputs))
    assert (again.channels, again.context, again.iterations) == (CHANNELS, CONTEXT, None)
