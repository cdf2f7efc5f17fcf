"""What inversions see of the observations."""

import torch

from xdvarnet.errors import InvalidInputError


def split_context(
    first_guess: torch.Tensor, context: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the observed values, 0 elsewhere, and their mask, in the shape of the first guess.

    Parameters
    ----------
    first_guess : torch.Tensor
        Shape (batch, 1, time, component).
    context : torch.Tensor, optional
        Values and mask, shape (batch, 2, time, component).

    Raises
    ------
    InvalidInputError
        If there is no context or it does not fit.
    """
    given = None if context is None else tuple(context.shape)
    batch, channels, *cells = first_guess.shape
    if context is None or channels != 1 or given != (batch, 2, *cells):
        raise InvalidInputError(
            "a first guess is (batch, 1, time, component) and its context, the observed values and "
            f"their mask, (batch, 2, time, component); they are {tuple(first_guess.shape)} and "
            f"{given}."
        )
    values, mask = context.chunk(2, 1)
    return values, mask
