"""A solver that sees windows of labelled anomalies: from observations to tensors and back."""

from collections.abc import Sequence

import torch

from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.windows import Windowed
from xdvarnet.networks.channels import to_channels, to_inputs
from xdvarnet.networks.network import Network
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.data import Data
from xdvarnet.training.draws import Draw, stack


class SolvedWindows(Network, Windowed):
    """Windows that a torch solver solves: what `DVarNet` is below its options and its training."""

    def solve_window(self, window: Observations) -> Analysis:
        """Run the solver on one window.

        Raises
        ------
        InvalidInputError
            If the model has not been trained.
        """
        days = self.window.time
        channels = self.states([window])[0].float().cpu().numpy()
        return Analysis(
            {
                name: self.scaling.restore(name, channels[i * days : (i + 1) * days])
                for i, name in enumerate(self.variables)
            }
        )

    def states(self, windows: list[Observations]) -> torch.Tensor:
        """Return the states of a batch of windows, without derivatives."""
        return self.run(self._inputs(windows))

    def batch(self, windows: Sequence[Draw]) -> Batch:
        """Return what one step of a training sees of these windows, normalised."""
        state, data, context = self._inputs([window.observations for window in windows])
        truth = stack(
            [to_channels(window.truth, self.scaling, self.variables) for window in windows]
        )
        sea = stack([window.observations.sea[None] for window in windows])
        known = torch.isfinite(truth) & (sea > 0)
        weights = known.to(truth.dtype)
        known = torch.where(known, truth, state[:, : truth.shape[1]])
        return Batch(state, known, data, context, weights)

    def _inputs(self, windows: list[Observations]) -> tuple[torch.Tensor, list[Data], torch.Tensor]:
        """State, data and context of a batch of windows."""
        return to_inputs(windows, self.solver, self.scaling, self.variables, self.first_guess)
