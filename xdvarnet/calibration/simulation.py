"""Simulated Gaussian fields on the days and cells of a domain, and what a model makes of them."""

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from xdvarnet.calibration.errors import ErrorProcess
from xdvarnet.errors import XdvarnetWarning
from xdvarnet.grids.checks import check_times
from xdvarnet.mapping.observations import Fields, Observations
from xdvarnet.mapping.protocol import Reconstructor, analyse
from xdvarnet.methods.gaussian_field.domain import Domain, extended_mesh, torch_generator
from xdvarnet.spde.chain import matern_chain
from xdvarnet.spde.field import Prior

MARGIN = 1.0
"""Width of the margin around a domain, in correlation lengths; the variance needs none."""


@dataclass(frozen=True)
class UnitField:
    """A Gaussian field of unit variance on the cells and days of a domain.

    Attributes
    ----------
    domain : Domain
        The field, with a margin on all sides.
    """

    domain: Domain

    @classmethod
    def on(cls, observations: Observations, length: float, time: float) -> "UnitField":
        """Make the field of a correlation length (km) and time (days).

        Raises
        ------
        InvalidInputError
            If days are not one apart, or the factors do not fit into memory.
        """
        check_times(observations.days, "time", daily=True)
        latitude, longitude = observations.place
        mesh, margin = extended_mesh(latitude, longitude, observations.sea, 1e3 * MARGIN * length)
        chain = matern_chain(mesh, observations.days.size, length=1e3 * length, time=time, std=1.0)
        return cls(Domain(Prior(chain.normalise(1.0)), observations.shape, margin))

    @property
    def memory(self) -> int:
        """Bytes of the noise of one member."""
        return 8 * self.domain.prior.unknowns

    def draw(self, generators: list[torch.Generator]) -> np.ndarray:
        """Draw a member from each generator, shape (member, time, latitude, longitude)."""
        chain = self.domain.prior.chain
        white = torch.cat([chain.white(1, generator) for generator in generators])
        return self.domain.crop(chain.colour(white).flatten(1))


class Simulation:
    """Errors of a model on simulated signals, seen through the masks of real observations.

    Parameters
    ----------
    model : Reconstructor
        Not calibrated.
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
        self._model, self._errors = model, errors
        self._signals = {
            name: UnitField.on(observations, error.signal_length, error.signal_time)
            for name, error in errors.items()
        }

    def error(self, observations: Observations, rng: np.random.Generator) -> Fields:
        """Simulate signals and noise, and return what the model does not find of the signals.

        Parameters
        ----------
        observations : Observations
            Of which the mask counts.
        rng : numpy.random.Generator
            Source of both, and of what is random in the model.
        """
        generator = torch_generator(rng)
        signals, seen = {}, {}
        for name, error in self._errors.items():
            signals[name] = error.signal_std * self._signals[name].draw([generator])[0]
            noise = torch.randn(observations.shape, generator=generator).numpy()
            observed = np.isfinite(observations.values[name])
            seen[name] = np.where(observed, signals[name] + error.noise * noise, np.float32(np.nan))
        simulated = dataclasses.replace(observations, values=seen, first_guess=None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", XdvarnetWarning)  # the analysis itself gave them
            found = analyse(self._model, simulated, rng=rng)
        return {name: signals[name] - found.mean[name] for name in signals}
