"""A model for states in other units."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from xdvarnet.dynamics.integration import Model
from xdvarnet.dynamics.lorenz import check_components
from xdvarnet.errors import InvalidInputError

Numbers = float | Sequence[float] | np.ndarray | torch.Tensor
"""One number for all components, or one for each."""


class Rescaled(Model):
    """The same model for the normalised state ``z = (x - mean) / std``.

    The tendency of z is ``f(std z + mean) / std`` for a model f of x. Steps of Runge-Kutta schemes
    commute with this change of units: an orbit of one is an orbit of the other, but for rounding.

    Parameters
    ----------
    dynamics : torch.nn.Module
        The model of x; its parameters are learned if they require a gradient. It has the
        attribute ``components``, unless `mean` tells their number.
    mean, std : float, sequence of float, numpy.ndarray or torch.Tensor
        In the units of x, one for all components or one for each; `std` is positive. They are kept
        as a float or a tuple.

    Attributes
    ----------
    components : int
        Number of components of the model.

    Raises
    ------
    InvalidInputError
        If nothing tells the number of components, there are several numbers and not one for each
        component, they are not finite, or a standard deviation is not positive.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> from xdvarnet.dynamics.rescaled import Rescaled
    >>> model = Rescaled(Lorenz63(), mean=(0.0, 0.0, 23.5), std=(8.0, 9.0, 8.6))
    >>> model(torch.zeros(5, 3)).shape
    torch.Size([5, 3])
    """

    _location: torch.Tensor
    _scale: torch.Tensor

    def __init__(
        self,
        dynamics: nn.Module,
        mean: Numbers,
        std: Numbers,
    ) -> None:
        super().__init__()
        location, scale = _read(mean), _read(std)
        self.dynamics, self.components = dynamics, _count(dynamics, location)
        self.mean = _keep("mean", location, self.components)
        self.std = _keep("std", scale, self.components)
        if not (scale > 0).all():
            raise InvalidInputError(f"std={std}; standard deviations are positive.")
        self.register_buffer("_location", location, persistent=False)
        self.register_buffer("_scale", scale, persistent=False)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Tendency of a normalised state (..., component)."""
        check_components(self, state)
        location, scale = self._location.to(state.dtype), self._scale.to(state.dtype)
        return self.dynamics(location + scale * state) / scale


def _read(given: Numbers) -> torch.Tensor:
    return torch.as_tensor(given, dtype=torch.float64).detach().clone()


def _count(dynamics: nn.Module, mean: torch.Tensor) -> int:
    """Number of components, that of the model or else of the mean."""
    if isinstance(dynamics, Model):
        return dynamics.components
    if not mean.ndim:
        raise InvalidInputError(
            f"{type(dynamics).__name__} does not say its number of components; give a mean of each "
            "component, or a model of a subclass of xdvarnet.dynamics.Model."
        )
    return len(mean)


def _keep(name: str, values: torch.Tensor, components: int) -> float | tuple[float, ...]:
    """Numbers as they are kept."""
    if values.ndim and values.shape != (components,):
        raise InvalidInputError(
            f"{name} has {len(values)} numbers, in the shape {tuple(values.shape)}; the model has "
            f"{components} components: give one number for each of them, or one for all."
        )
    if not torch.isfinite(values).all():
        raise InvalidInputError(f"{name}={values.tolist()}; give finite numbers.")
    return tuple(values.tolist()) if values.ndim else values.item()
