"""The direct inversion is its network, added to the first guess."""

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.inversions.direct import DirectNetwork
from xdvarnet.solver.series_unet import SeriesUNet


def test_increment_by_hand():
    """A convolution of one point: weights of the first guess, the values and the mask."""
    network = nn.Conv2d(3, 1, 1, bias=False)
    network.weight.data = torch.tensor([0.5, 2.0, 10.0]).view(1, 3, 1, 1)
    first_guess = torch.tensor([1.0, 3.0]).view(1, 1, 2, 1)
    context = torch.tensor([[4.0, 0.0], [1.0, 0.0]]).view(1, 2, 2, 1)
    result = DirectNetwork(network)(first_guess, [], context)
    assert result.flatten().tolist() == [1 + 0.5 + 8 + 10, 3 + 1.5]


def test_a_network_for_other_channels_is_refused():
    with pytest.raises(InvalidInputError, match=r"takes 4 .* 3 channels \(first guess, "):
        DirectNetwork(SeriesUNet(4, 1))
