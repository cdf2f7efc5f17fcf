"""What networks of maps and of series have in common: a trained solver and its normalisation."""

from collections.abc import Mapping, Sequence

import torch
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.description import arguments_of
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.solver.contracts import Solver
from xdvarnet.solver.data import Data
from xdvarnet.training.fingerprint import fingerprint
from xdvarnet.training.loop import autocast

UNTOLD = ("provenance", "history", "device")
"""Arguments of a network that its training does not depend on."""

Inputs = tuple[torch.Tensor, Sequence[Data], torch.Tensor | None]
"""First guess, data of each observation term, and context: what a solver is called with."""


class NetworkModel(Reconstructor):
    """A solver that was trained, or can be: the base class of `DVarNet` and `SeriesInversion`.

    Both are trained with ``fit(truth, observe=..., validation=...)``, which returns another
    network with weights, provenance and history of its own; also when a training fails or is
    interrupted, the one that it began with stays as it was.

    Attributes
    ----------
    solver : Solver
        Called with normalised tensors.
    normalizer : Normalizer or None
        None before the first training of a network of maps.
    device, precision : str
        Where the solver runs, and how: "float32" or "bfloat16".
    provenance : mapping of str to str
        How it was trained, and its scores.
    history : xarray.Dataset or None
        The epochs of the last training.
    """

    solver: Solver
    normalizer: Normalizer | None
    device: str = "cpu"
    precision: str
    provenance: Mapping[str, str]
    history: xr.Dataset | None

    @property
    def scaling(self) -> Normalizer:
        """The normalizer of a trained model; an error for another."""
        if self.normalizer is None:
            raise InvalidInputError(
                "the model has not been trained and has no normalisation; call fit, or give "
                "normalizer=Normalizer({...})."
            )
        return self.normalizer

    @property
    def parameters(self) -> int:
        """Number of weights that a training changes."""
        return sum(p.numel() for p in self.solver.parameters() if p.requires_grad)

    @property
    def settings(self) -> dict[str, str]:
        """What its training depends on, as texts that are the same in another run."""
        parts = arguments_of(self, "model")
        parts["solver, with its first weights"] = parts.pop("solver")
        return {name: fingerprint(part) for name, part in parts.items() if name not in UNTOLD}

    def run(self, inputs: Inputs) -> torch.Tensor:
        """Call the solver, without derivatives, on inputs that are on its device."""
        with torch.no_grad(), autocast(self.device, self.precision):
            return self.solver(*inputs)

    def summary(self) -> dict[str, object]:
        """Return what a notebook shows of the model."""
        return {
            **super().summary(),
            "solver": self.solver.summary,
            "parameters": self.parameters,
            "runs on": f"{self.device}, {self.precision}",
            **self.provenance,
        }
