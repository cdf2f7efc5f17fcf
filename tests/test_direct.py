"""The direct inversion is its network, added to the first guess."""

import torch
from torch import nn

from xdvarnet.solver.inversions.direct import DirectNetwork


def test_increment_by_hand():
    """A convolution of one point: weights of the first guess, the values and the mask."""
    network = nn.Conv2d(3, 1, 1, bias=False)
    network.weight.data = torch.tensor([0.5, 2.0, 10.0]).view(1, 3, 1, 1)
    first_guess = torch.tensor([1.0, 3.0]).view(1, 1, 2, 1)
    context = torch.tensor([[4.0, 0.0], [1.0, 0.0]]).view(1, 2, 2, 1)
    result = DirectNetwork(network)(first_guess, [], context)
    assert result.flatten().tolist() == [1 + 0.5 + 8 + 10, 3 + 1.5]
