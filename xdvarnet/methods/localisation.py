"""Localisation of an ensemble's covariance: components far from each other are uncorrelated."""

import math
from dataclasses import dataclass
from numbers import Real

import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_kind, check_positive

TURNS = 1000
"""Largest number of turns around a ring: the taper of so wide a radius is 1 everywhere."""


@dataclass(frozen=True)
class Localisation:
    """Taper of covariances with the distance of components.

    The components of a state lie at unit distances on a ring, as in Lorenz-96: the first is a
    neighbour of the last. Where that is not so, say ``periodic=False``. On a ring the taper is the
    sum over all turns, divided by that at no distance, without which it would be no covariance
    where twice the radius is more than half of the ring. Components without an order
    in space, such as those of Lorenz-63, have no distances to taper with.

    Parameters
    ----------
    radius : float
        Half of the distance from which on the taper is zero, as a number of components, not in
        units of space: c of `gaspari_cohn`. The taper is close to a Gaussian with a standard
        deviation of 0.55 radius.
    periodic : bool
        Whether the components lie on a ring, where the first follows the last, or on a line.

    Raises
    ------
    InvalidTypeError
        If the radius is no number.
    InvalidInputError
        If the radius is not finite, or half a component or less, which would leave no neighbour.

    Examples
    --------
    >>> from xdvarnet.methods.localisation import Localisation
    >>> Localisation(1.0).weights(5)[0]
    tensor([1.0000, 0.2083, 0.0000, 0.0000, 0.2083], dtype=torch.float64)
    """

    radius: float
    periodic: bool = True

    def __post_init__(self) -> None:
        check_kind(isinstance(self.radius, Real), "radius", self.radius, "a number of components")
        if check_positive(self.radius, "radius", "components") <= 0.5:
            raise InvalidInputError(
                f"radius={self.radius!r} leaves no neighbour, since the taper is zero from twice "
                "the radius on; give more than 0.5 components."
            )

    def weights(self, number: int) -> torch.Tensor:
        """Return the taper between all components, shape (number, number), float64."""
        place = torch.arange(number)
        reach = min(math.ceil(2 * self.radius / number), TURNS) if self.periodic else 0
        turns = number * torch.arange(-reach, reach + 1, dtype=torch.float64)
        taper = gaspari_cohn((place[:, None] + turns).abs() / self.radius).sum(1)
        return (taper / taper[0])[(place[:, None] - place).abs()]


def gaspari_cohn(distance: torch.Tensor) -> torch.Tensor:
    """Compactly supported correlation function of fifth order.

    ``1 - 5/3 r^2 + 5/8 r^3 + 1/2 r^4 - 1/4 r^5`` for r up to 1 and
    ``4 - 5 r + 5/3 r^2 + 5/8 r^3 - 1/2 r^4 + 1/12 r^5 - 2/(3 r)`` from there to 2, then zero.

    Parameters
    ----------
    distance : torch.Tensor
        r, the distance over the half-width c; not negative.

    Returns
    -------
    torch.Tensor
        In the same shape.

    References
    ----------
    Gaspari and Cohn 1999, doi 10.1002/qj.49712555417, equation 4.10.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.methods.localisation import gaspari_cohn
    >>> gaspari_cohn(torch.tensor([0.0, 1.0, 2.0]))
    tensor([1.0000, 0.2083, 0.0000])
    """
    near = distance.clamp(max=1)
    far = distance.clamp(1, 2)
    inside = 1 + near**2 * (-5 / 3 + near * (5 / 8 + near * (1 / 2 - near / 4)))
    outside = (
        4 - 5 * far + far**2 * (5 / 3 + far * (5 / 8 + far * (-1 / 2 + far / 12))) - 2 / (3 * far)
    )
    return torch.where(distance < 1, inside, torch.where(distance < 2, outside.clamp(min=0), 0.0))
