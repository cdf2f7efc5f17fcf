"""Observations as tensors: their values, and where they are."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Data:
    """What one observation term compares the state with.

    Attributes
    ----------
    values : torch.Tensor
        Observations, shape (batch, channel, latitude, longitude); any finite number where the mask
        is zero.
    mask : torch.Tensor
        1 where observed and 0 elsewhere, the same shape.
    """

    values: torch.Tensor
    mask: torch.Tensor

    @classmethod
    def from_gappy(cls, values: torch.Tensor) -> "Data":
        """Make the mask of an array that is NaN where nothing was observed."""
        observed = torch.isfinite(values)
        return cls(torch.where(observed, values, 0.0), observed.to(values.dtype))
