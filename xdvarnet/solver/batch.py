"""What one optimisation step of a training sees."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from xdvarnet.solver.data import Data


@dataclass(frozen=True)
class Batch:
    """Samples of one optimisation step.

    Attributes
    ----------
    state, truth : torch.Tensor
        First guess and truth, shape (batch, channels, latitude, longitude).
    data : sequence of Data
        One for each observation term.
    context : torch.Tensor, optional
        Shape (batch, context, latitude, longitude).
    weights : torch.Tensor
        Weights of the cells in the loss, zero on land and where there is no truth.
    """

    state: torch.Tensor
    truth: torch.Tensor
    data: Sequence[Data]
    context: torch.Tensor | None
    weights: torch.Tensor

    def take(self, samples: slice) -> "Batch":
        """Return some of the samples."""
        alike = len(self.weights) == 1  # the same for all
        return Batch(
            self.state[samples],
            self.truth[samples],
            [Data(part.values[samples], part.mask[samples]) for part in self.data],
            None if self.context is None else self.context[samples],
            self.weights if alike else self.weights[samples],
        )

    def to(self, device: str) -> "Batch":
        """Copy to a device."""
        return Batch(
            self.state.to(device),
            self.truth.to(device),
            [Data(part.values.to(device), part.mask.to(device)) for part in self.data],
            None if self.context is None else self.context.to(device),
            self.weights.to(device),
        )
