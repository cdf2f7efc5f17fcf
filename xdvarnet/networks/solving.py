"""A solver that sees windows of labelled anomalies: from observations to tensors and back."""

from collections.abc import Sequence

import numpy as np
import torch

from xdvarnet.errors import warn
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.windows import InWindows
from xdvarnet.networks.channels import count_context, to_channels, to_inputs
from xdvarnet.networks.network import NetworkModel
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.data import Data
from xdvarnet.solver.device import count_at_once
from xdvarnet.training.draws import Draw, stack

USUAL_SIZES = 0.5, 2.0
"""Anomalies over those of the training, beyond which a warning begins."""


class SolvedWindows(NetworkModel, InWindows):
    """Windows that a torch solver solves: what `DVarNet` is below its options and its training."""

    @property
    def at_once(self) -> int:
        """Windows of a batch: as many as the memory of a GPU takes, and one on a CPU.

        A CPU gains little from a batch, and sums in another order: maps would depend, by a rounding
        error, on how many windows are solved, and lazy ones would not be those of an eager run.
        """
        days, variables = self.window.time, len(self.variables)
        channels = 3 * days * variables + count_context(days, variables, self.first_guess)
        numbers = channels * self.window.latitude * self.window.longitude
        return count_at_once(self.device, numbers * torch.float32.itemsize)

    def check_values(self, observations: Observations) -> None:
        """Warn of anomalies of another size than those of the training: another sea, or units."""
        if self.normalizer is None:
            return
        for name, array in observations.values.items():
            seen = array[np.isfinite(array)]
            size = float(np.sqrt(np.mean(np.square(seen)))) if seen.size else 0.0
            usual = self.normalizer.std[name]
            if size and not USUAL_SIZES[0] <= size / usual <= USUAL_SIZES[1]:
                warn(
                    f"observations of {name!r} differ from the background by {size:.3g} "
                    f"{self.variables[name]} (RMS), and the sea of the training by {usual:.3g}: "
                    "maps of another sea may be worse than those of an interpolation, and "
                    "xdvarnet.networks.Scaled takes one such as load_model('ssh-any') there. If it "
                    "is the same sea, its mean may be another one (try "
                    "with_options(background=ObservedBackground())), or the units are not those "
                    "that the observations say."
                )

    def solve_windows(
        self, windows: Sequence[Observations], *, rng: np.random.Generator | None = None
    ) -> list[Analysis]:
        """Run the solver on a batch of windows.

        Raises
        ------
        InvalidInputError
            If the model has not been trained.
        """
        days = self.window.time
        return [
            Analysis(
                {
                    name: self.scaling.restore(name, channels[i * days : (i + 1) * days])
                    for i, name in enumerate(self.variables)
                }
            )
            for channels in self.states(windows).float().cpu().numpy()
        ]

    def states(self, windows: Sequence[Observations]) -> torch.Tensor:
        """Return the states of a batch of windows, without derivatives.

        What does not fit into the memory of a GPU is solved in halves.
        """
        try:
            return self.run(self._inputs(windows))
        except torch.cuda.OutOfMemoryError:
            if len(windows) == 1:
                raise
        half = len(windows) // 2  # out of the clause, which holds what was allocated
        return torch.cat([self.states(windows[:half]), self.states(windows[half:])])

    def batch(self, windows: Sequence[Draw]) -> Batch:
        """Return what one step of a training sees of these windows, normalised."""
        state, data, context = self._inputs([window.observations for window in windows])
        truth = stack(
            [to_channels(window.truth, self.scaling, self.variables) for window in windows],
            self.device,
        )
        sea = stack([window.observations.sea[None] for window in windows], self.device)
        known = torch.isfinite(truth) & (sea > 0)
        weights = known.to(truth.dtype)
        known = torch.where(known, truth, state[:, : truth.shape[1]])
        return Batch(state, known, data, context, weights)

    def _inputs(
        self, windows: Sequence[Observations]
    ) -> tuple[torch.Tensor, list[Data], torch.Tensor]:
        """State, data and context of a batch of windows, on the device."""
        return to_inputs(
            windows, self.solver, self.scaling, self.variables, self.first_guess, self.device
        )
