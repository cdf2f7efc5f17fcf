"""What a network of series is given, and what is refused."""

import numpy as np
import torch
from torch import nn

from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.series import STATE
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.solver.inversions.amortised import AmortisedFourDVar
from xdvarnet.solver.priors.ode import OdePrior

SAME_DT = 1e-3
"""Relative departure from a model's time step that is accepted."""


def interpolate(values: np.ndarray) -> np.ndarray:
    """Fill gaps (sample, time, component) linearly in time, constantly at the ends.

    A component without observation is zero.
    """
    seen = np.isfinite(values)
    times = np.arange(values.shape[1])[:, None]
    before = np.maximum.accumulate(np.where(seen, times, -1), 1)
    after = np.minimum.accumulate(np.where(seen, times, times.size)[:, ::-1], 1)[:, ::-1]
    before, after = (
        np.where(before < 0, after, before),
        np.where(after == times.size, before, after),
    )
    none = ~seen.any(1, keepdims=True)
    start, end = (
        np.take_along_axis(values, np.clip(index, 0, times.size - 1), 1)
        for index in (before, after)
    )
    share = (times - before) / np.maximum(after - before, 1)
    return np.where(none, 0.0, start + np.clip(share, 0, 1) * (end - start))


def to_tensor(values: np.ndarray) -> torch.Tensor:
    """Return series (sample, time, component) as a solver takes them, with one channel."""
    return torch.from_numpy(values.astype(np.float32)[:, None])


def check_time_steps(solver: nn.Module, dt: float) -> None:
    """Refuse a dynamical model with another time step than that of the series."""
    for module in solver.modules():
        if isinstance(module, OdePrior | AmortisedFourDVar) and abs(module.dt / dt - 1) > SAME_DT:
            name = type(module).__name__
            raise InvalidInputError(
                f"{name} has the time step {module.dt:g}, and the model dt={dt:g}; give both the "
                "same."
            )


def warn_of_units(solver: nn.Module, normalizer: Normalizer) -> None:
    """Warn of equations in the units of the state, where the solver works on normalised ones."""
    mean, std = normalizer.mean[STATE], normalizer.std[STATE]
    scaled = np.any(np.array(mean) != 0) or np.any(np.array(std) != 1)
    for module in solver.modules():
        if not scaled or not isinstance(module, OdePrior | AmortisedFourDVar):
            continue
        own = module.dynamics
        if isinstance(own, Lorenz63 | Lorenz96):
            warn(
                f"{type(module).__name__} has {type(own).__name__} in the units of the state, and "
                "the solver works on normalised states; give it "
                f"Rescaled(equations, normalizer.mean[{STATE!r}], normalizer.std[{STATE!r}])."
            )
