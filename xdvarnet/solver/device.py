"""Where a computation runs, and in which precision."""

import copy

import torch
from torch import nn

from xdvarnet.errors import InvalidInputError


def check_device(device: str) -> str:
    """Return the name of a device that can be used here, such as ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    InvalidInputError
        If it is not there.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InvalidInputError(
            f"device {device!r} cannot be used here ({error}); 'cpu' always can."
        ) from error
    return device


def in_single_precision[Network: nn.Module](network: Network) -> Network:
    """Return a network with weights of float32, as its data are.

    It is a copy where the weights are others, such as those that were drawn while the default type
    of torch was float64.
    """
    if all(weights.dtype == torch.float32 for weights in network.parameters()):
        return network
    return copy.deepcopy(network).to(torch.float32)
