"""Where a computation runs, and in which precision."""

import copy

import torch
from torch import nn

from xdvarnet.errors import InvalidInputError, warn

NATIVE_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
"""What torch calls the instructions of processors for it; the last is that of ARM."""

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


def warn_of_emulation(device: str, precision: str) -> None:
    """Warn of bfloat16 on a processor that has no instructions for it, as far as torch tells."""
    if precision != "bfloat16" or torch.device(device).type != "cpu":
        return
    if not hasattr(torch.cpu, "get_capabilities"):  # older versions do not tell
        return
    found = torch.cpu.get_capabilities()
    if not any(found.get(name) for name in NATIVE_BFLOAT16):
        warn(
            "this processor has no instructions for bfloat16, which is then several times slower "
            "than float32; use precision='float32', or a processor with AVX512-BF16 or AMX."
        )


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
