"""Where a computation runs."""

import torch

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
