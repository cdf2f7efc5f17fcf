"""Where a computation runs, and in which precision."""

import copy

import torch
from torch import nn

from xdvarnet.errors import InvalidInputError

WORKING_MEMORY = 20
"""Memory of a solver over that of its inputs: 2 to 6 for the shipped ones, and some for others."""

MOST_AT_ONCE = 128
"""Samples that fill a GPU."""


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


def count_at_once(device: str, size: int) -> int:
    """Return how many samples a solver takes at once: on a GPU, what half of its free memory takes.

    Parameters
    ----------
    device : str
        Where it runs; one sample on any other than a CUDA device.
    size : int
        Bytes of the inputs of a sample.
    """
    if torch.device(device).type != "cuda":
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(max(1, free // 2 // (WORKING_MEMORY * size)), MOST_AT_ONCE)


def in_single_precision[Network: nn.Module](network: Network) -> Network:
    """Return a network with weights of float32, as its data are.

    It is a copy where the weights are others, such as those that were drawn while the default type
    of torch was float64.
    """
    if all(weights.dtype == torch.float32 for weights in network.parameters()):
        return network
    return copy.deepcopy(network).to(torch.float32)
