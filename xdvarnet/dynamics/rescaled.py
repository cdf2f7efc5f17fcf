"""A model for states in other units."""

from collections.abc import Sequence

import torch
from torch import nn

from xdvarnet.dynamics.lorenz import check_components
from xdvarnet.errors import InvalidInputError


class Rescaled(nn.Module):
    """The same model for the normalised state ``z = (x - mean) / std``.

    The tendency of z is ``f(std z + mean) / std`` for a model f of x. Steps of Runge-Kutta schemes
    commute with this change of units: an orbit of one is an orbit of the other, but for rounding.

    Parameters
    ----------
    dynamics : torch.nn.Module
        The model of x; its parameters are learned if they require a gradient.
    mean, std : float or sequence of float
        In the units of x, one for all components or one for each; `std` is positive.

    Attributes
    ----------
    components : int
        Number of components of the model.

    Raises
    ------
    InvalidInputError
        If there are several numbers, and not one for each component, they are not finite, or a
        standard deviation is not positive.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> from xdvarnet.dynamics.rescaled import Rescaled
    >>> model = Rescaled(Lorenz63(), mean=(0.0, 0.0, 23.5), std=(8.0, 9.0, 8.6))
    >>> model(torch.zeros(5, 3)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        dynamics: nn.Module,
        mean: float | Sequence[float],
        std: float | Sequence[float],
    ) -> None:
        super().__init__()
        self.dynamics, self.components = dynamics, dynamics.components
        self.mean, location = _read("mean", mean, self.components)
        self.std, scale = _read("std", std, self.components)
        if not (scale > 0).all():
            raise InvalidInputError(f"std={std}; standard deviations are positive.")
        self.register_buffer("_location", location, persistent=False)
        self.register_buffer("_scale", scale, persistent=False)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Tendency of a normalised state (..., component)."""
        check_components(self, state)
        location, scale = self._location.to(state.dtype), self._scale.to(state.dtype)
        return self.dynamics(location + scale * state) / scale


def _read(
    name: str, given: float | Sequence[float], components: int
) -> tuple[float | tuple[float, ...], torch.Tensor]:
    """Numbers as they are kept, and as a tensor that fits a state."""
    numbers = tuple(map(float, given)) if isinstance(given, Sequence) else float(given)
    values = torch.tensor(numbers, dtype=torch.float64)
    if values.ndim and len(values) != components:
        raise InvalidInputError(
            f"{name} has {len(values)} numbers; the model has {components} components: give one "
            "number for each of them, or one for all."
        )
    if not torch.isfinite(values).all():
        raise InvalidInputError(f"{name}={given}; give finite numbers.")
    return numbers, values
