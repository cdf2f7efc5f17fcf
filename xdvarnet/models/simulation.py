"""Simulated Gaussian fields on the days and cells of a domain, and what a model makes of them."""

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from xdvarnet.errors import XdvarnetWarning
from xdvarnet.grids.checks import check_times
from xdvarnet.models.base import Fields, Observations, Reconstructor, without_ensemble
from xdvarnet.models.domain import analyse
from xdvarnet.models.residual import ErrorProcess
from xdvarnet.models.spde_domain import extended_mesh
from xdvarnet.spde.chain import Chain, matern_chain

MARGIN = 1.0
"""Width of the margin around a domain, in correlation lengths; the variance needs none."""


@dataclass(frozen=True)
class UnitField:
    """A Gaussian field of unit variance on the cells and days of a domain.

    Attributes
    ----------
    chain : Chain
        With a margin on all sides.
    margin : tuple of int
        Its rows and columns.
    shape : tuple of int
        Days, latitudes and longitudes of the domain.
    """

    chain: Chain
    margin: tuple[int, int]
    shape: tuple[int, int, int]

    @classmethod
    def on(cls, observations: Observations, length: float, time: float) -> "UnitField":
        """Make the field of a correlation length (km) and time (days).

        Raises
        ------
        InvalidInputError
            If days are not one apart, or the factors do not fit into memory.
        """
        check_times(observations.days, "time", daily=True)
        latitude, longitude = observations.latitude, observations.longitude
        mesh, margin = extended_mesh(latitude, longitude, observations.sea, 1e3 * MARGIN * length)
        chain = matern_chain(mesh, observations.days.size, length=1e3 * length, time=time, std=1.0)
        return cls(chain.normalise(1.0), margin, observations.shape)

    @property
    def memory(self) -> int:
        """Bytes of the noise of one member."""
        rows, columns = self.chain.mesh.shape
        return 8 * self.shape[0] * rows * columns

    def draw(self, generators: list[torch.Generator]) -> np.ndarray:
        """Draw a member from each generator, shape (member, time, latitude, longitude)."""
        white = torch.cat([self.chain.white(1, generator) for generator in generators])
        (_, rows, columns), (south, west) = self.shape, self.margin
        whole = self.chain.colour(white)
        return whole[..., south : south + rows, west : west + columns].numpy().astype(np.float32)


class Simulation:
    """Errors of a model on simulated signals, seen through the masks of real observations.

    Parameters
    ----------
    model : Reconstructor
        Its ensemble is not used.
    errors : mapping of str to ErrorProcess
        Signal and noise of each variable.
    observations : Observations
        Whose days and cells are those of the signals.
    """

    def __init__(
        self,
        model: Reconstructor,
        errors: Mapping[str, ErrorProcess],
        observations: Observations,
    ) -> None:
        self._model, self._errors = without_ensemble(model), errors
        self._signals = {
            name: UnitField.on(observations, error.signal_length, error.signal_time)
            for name, error in errors.items()
        }

    def error(self, observations: Observations, generator: torch.Generator) -> Fields:
        """Simulate signals and noise, and return what the model does not find of the signals.

        Parameters
        ----------
        observations : Observations
            Of which the mask counts.
        generator : torch.Generator
            Source of both.
        """
        signals, seen = {}, {}
        for name, error in self._errors.items():
            signals[name] = error.signal_std * self._signals[name].draw([generator])[0]
            noise = torch.randn(observations.shape, generator=generator).numpy()
            observed = np.isfinite(observations.values[name])
            seen[name] = np.where(observed, signals[name] + error.noise * noise, np.float32(np.nan))
        simulated = dataclasses.replace(observations, values=seen, first_guess=None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", XdvarnetWarning)  # the analysis itself gave them
            found = analyse(self._model, simulated)
        return {name: signals[name] - found.mean[name] for name in signals}
