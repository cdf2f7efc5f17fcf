"""Fields of the parameters that a 4DVarNet with an SPDE prior finds."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
import xarray as xr

from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_dataset
from xdvarnet.grids.internal import DIMS, internal_grid, to_internal
from xdvarnet.grids.provenance import derived
from xdvarnet.mapping.anomalies import take_anomalies, units_of_input
from xdvarnet.mapping.background import Background, NoBackground
from xdvarnet.mapping.cover import Window
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor, analyse
from xdvarnet.mapping.windows import InWindows
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.solver.contracts import Solver
from xdvarnet.solver.priors.spde import PARAMETERS, SPDEPrior


class Estimator(Protocol):
    """A model whose solver may find parameters, such as `xdvarnet.DVarNet`."""

    solver: Solver
    variables: Mapping[str, str]
    window: Window
    background: Background
    first_guess: Reconstructor | None

    @property
    def scaling(self) -> Normalizer:
        """How anomalies are normalised."""
        ...

    @property
    def at_once(self) -> int:
        """Windows of a batch, at most."""
        ...

    def states(self, windows: Sequence[Observations]) -> torch.Tensor:
        """Return the states of a batch of windows, without derivatives."""
        ...


class ParameterChannels(InWindows):
    """The channels of the parameters as fields of their own, so that windows can be blended.

    A vector that stands for an axis can be averaged; an angle can not.
    """

    background = NoBackground()

    def __init__(self, model: Estimator) -> None:
        self.model = model
        self.variables = dict.fromkeys(PARAMETERS, "1")
        self.window, self.first_guess = model.window, model.first_guess
        self.at_once = model.at_once

    def solve_windows(
        self, windows: Sequence[Observations], *, rng: np.random.Generator | None = None
    ) -> list[Analysis]:
        """Return the parameters of windows, the same for all days of one."""
        with torch.no_grad():
            states = self.model.states(windows)
            prior = self.model.solver.learned_prior
            assert isinstance(prior, SPDEPrior)
            channels = prior.parameters_in(states).cpu().numpy()
        return [
            Analysis(
                {
                    name: np.broadcast_to(field, window.shape)
                    for name, field in zip(PARAMETERS, fields, strict=True)
                }
            )
            for window, fields in zip(windows, channels, strict=True)
        ]


def estimate_parameters(
    model: Estimator, observations: xr.Dataset, *, rng: RandomState = None
) -> xr.Dataset:
    """Do what `xdvarnet.DVarNet.estimate_parameters` describes."""
    prior = model.solver.learned_prior
    if not isinstance(prior, SPDEPrior):
        raise InvalidInputError(
            f"the solver, {model.solver.summary}, has no SPDEPrior, whose parameters could be "
            "estimated; build one with VariationalSolver(SPDEPrior(...), ...)."
        )
    check_dataset(observations)
    grid = internal_grid(observations)
    channels_of = ParameterChannels(model)
    errors = channels_of.error_variables
    known = to_internal(observations, units_of_input(model.variables, errors))
    anomalies, _ = take_anomalies(known, model.background, model.variables, errors)
    blended = analyse(channels_of, anomalies, rng=default_rng(rng)).mean
    channels = torch.from_numpy(np.stack([blended[name].mean(0) for name in PARAMETERS]))
    found = prior.parameters_from(channels[None])
    (name, units), *_ = model.variables.items()
    fields = {
        "correlation_length": (found.length, "km"),
        "correlation_time": (found.time, "days"),
        "std": (model.scaling.restore(name, found.std.numpy()), units),
        "anisotropy": (found.anisotropy, "1"),
        "angle": (found.angle.rad2deg(), "degrees"),
    }
    dims = dict(zip(DIMS[1:], grid.axes.dims[1:], strict=True))
    like = observations[name].isel({grid.axes.time: 0}, drop=True)
    arrays = {}
    for key, (values, unit) in fields.items():
        array = xr.DataArray(np.asarray(values)[0, 0], dims=DIMS[1:])
        arrays[key] = grid.restore(array.rename(dims), like).assign_attrs(units=unit)
    return xr.Dataset(arrays, attrs=derived(observations.attrs, f"parameters of {model!r}"))
