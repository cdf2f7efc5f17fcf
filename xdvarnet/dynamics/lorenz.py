"""The chaotic models of Lorenz (1963, 1996).

A model is called with a state (..., component) and returns its tendency, in the same shape, per
unit of model time. Parameters are kept in float64 and do not change the dtype of a state.
"""

import math
from numbers import Real

import torch
from torch import nn

from xdvarnet.dynamics.integration import Model
from xdvarnet.errors import InvalidInputError


class Lorenz63(Model):
    """Convection in three components, ``x, y, z``.

    The tendencies are ``sigma (y - x)``, ``x (rho - z) - y`` and ``x y - beta z`` (Lorenz 1963,
    doi 10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2). With the usual parameters, which are the
    defaults, errors grow by a factor of e in 1.1 units of time.

    Parameters
    ----------
    sigma, rho, beta : float
        Prandtl number, Rayleigh number over its critical value, and geometric factor.
    learned : bool
        Whether a training changes these numbers, from the given ones on.

    Attributes
    ----------
    coefficients : torch.nn.Parameter
        The three numbers as they are now.

    Raises
    ------
    InvalidInputError
        If a number is none, or not finite.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics.lorenz import Lorenz63
    >>> Lorenz63()(torch.tensor([1.0, 2.0, 3.0]))
    tensor([10., 23., -6.])
    """

    components = 3

    def __init__(
        self,
        sigma: float = 10.0,
        rho: float = 28.0,
        beta: float = 8 / 3,
        *,
        learned: bool = False,
    ) -> None:
        super().__init__()
        _check_numbers(sigma=sigma, rho=rho, beta=beta)
        numbers = torch.tensor([sigma, rho, beta], dtype=torch.float64)
        self.coefficients = nn.Parameter(numbers, requires_grad=learned)
        self.learned = learned

    @property
    def sigma(self) -> float:
        """Prandtl number."""
        return self.coefficients[0].item()

    @property
    def rho(self) -> float:
        """Rayleigh number over its critical value."""
        return self.coefficients[1].item()

    @property
    def beta(self) -> float:
        """Geometric factor."""
        return self.coefficients[2].item()

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Tendency of a state (..., 3)."""
        check_components(self, state)
        sigma, rho, beta = self.coefficients.unbind()
        x, y, z = state.split(1, -1)
        return torch.cat([sigma * (y - x), x * (rho - z) - y, x * y - beta * z], -1)


class Lorenz96(Model):
    """Waves on a circle of latitude: advection, damping and forcing.

    The tendency of component i is ``(x[i+1] - x[i-2]) x[i-1] - x[i] + F``, with periodic indices
    (Lorenz 1996, "Predictability: a problem partly solved", ECMWF). With the defaults, errors
    grow by a factor of e in 0.6 units of time.

    Parameters
    ----------
    components : int
        Number of components, at least 4.
    forcing : float
        F.
    learned : bool
        Whether a training changes the forcing, from the given one on.

    Attributes
    ----------
    coefficient : torch.nn.Parameter
        The forcing as it is now.

    Raises
    ------
    InvalidInputError
        If there are fewer than 4 components, or the forcing is no finite number.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.dynamics.lorenz import Lorenz96
    >>> Lorenz96(components=4)(torch.tensor([1.0, 2.0, 3.0, 5.0]))
    tensor([ 2.,  4., 13.,  0.])
    """

    def __init__(
        self, components: int = 40, forcing: float = 8.0, *, learned: bool = False
    ) -> None:
        super().__init__()
        if components < 4:
            raise InvalidInputError(
                f"components={components}; the differences of Lorenz-96 need at least 4."
            )
        _check_numbers(forcing=forcing)
        number = torch.tensor(forcing, dtype=torch.float64)
        self.coefficient = nn.Parameter(number, requires_grad=learned)
        self.components, self.learned = components, learned

    @property
    def forcing(self) -> float:
        """F."""
        return self.coefficient.item()

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Tendency of a state (..., component)."""
        check_components(self, state)
        ring = torch.cat([state[..., -2:], state, state[..., :1]], -1)
        after, before, farther = ring[..., 3:], ring[..., 1:-2], ring[..., :-3]
        return (after - farther) * before - state + self.coefficient


def _check_numbers(**numbers: object) -> None:
    for name, number in numbers.items():
        if not isinstance(number, Real) or not math.isfinite(number):
            raise InvalidInputError(f"{name}={number!r} is not accepted; give a finite number.")


def check_components(model: nn.Module, state: torch.Tensor) -> None:
    """Raise an `InvalidInputError` unless a state has the components of a model, last."""
    if state.ndim == 0 or state.shape[-1] != model.components:
        raise InvalidInputError(
            f"{type(model).__name__} has {model.components} components, and the last dimension of "
            f"the state should be theirs; its shape is {tuple(state.shape)}."
        )
