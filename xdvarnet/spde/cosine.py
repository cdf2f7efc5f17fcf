"""Covariance of the field of constant, isotropic parameters, by cosine transforms.

On a uniform grid whose edges are walls, cosines diagonalise the equation: products with the
covariance cost two small matrix products in space and one in time. A preconditioner for fields of
other parameters.
"""

import torch

from xdvarnet.spde.scales import LENGTH, spde_parameters, stationary_variance


class CosineCovariance:
    """Covariance of `xdvarnet.spde.chain.matern_chain` with constant, isotropic parameters.

    Parameters
    ----------
    shape : tuple of int
        Times, rows and columns.
    spacing : tuple of float
        Between rows and between columns, in m.
    length : float
        Correlation length in m.
    time : float
        Correlation time in days.
    std : float
        Standard deviation.
    step : float
        Between times, in days.
    like : torch.Tensor
        Gives the dtype and the device.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.spde.cosine import CosineCovariance
    >>> covariance = CosineCovariance(
    ...     (3, 20, 30), (1e4, 1e4), length=8e4, time=5.0, std=1.0, step=1.0, like=torch.ones(())
    ... )
    >>> point = torch.zeros(3, 20, 30)
    >>> point[1, 10, 15] = 1
    >>> covariance.apply(point)[0, 10, 15] < covariance.apply(point)[1, 10, 15]
    tensor(True)
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        spacing: tuple[float, float],
        *,
        length: float,
        time: float,
        std: float,
        step: float,
        like: torch.Tensor,
    ) -> None:
        times, rows, columns = shape
        kappa, rate = spde_parameters(torch.tensor(length).double(), torch.tensor(time).double())
        eigenvalues = kappa.square() + _laplacian((rows, columns), spacing)  # of S
        damping = step * rate * eigenvalues
        scale = stationary_variance(kappa, rate, step) * spacing[0] * spacing[1] / std**2
        variance = step / ((2 * damping + damping.square()) * eigenvalues.square() * scale)
        days = torch.arange(times)
        lag = (days[:, None] - days).abs()
        modes = variance * (1 + damping) ** -lag[..., None, None]
        self._modes = modes.to(like)
        self._north, self._east = (_cosines(count).to(like) for count in (rows, columns))

    def apply(self, fields: torch.Tensor) -> torch.Tensor:
        """Multiply fields, shape (..., times, rows, columns), by the covariance."""
        modes = self._north @ fields @ self._east.mT
        modes = torch.einsum("jkyx,...kyx->...jyx", self._modes, modes)
        return self._north.mT @ modes @ self._east


def smooth(fields: torch.Tensor, spacing: tuple[float, float], length: float) -> torch.Tensor:
    """Average fields over about a correlation length; constants and sums are kept.

    Parameters
    ----------
    fields : torch.Tensor
        Shape (..., rows, columns).
    spacing : tuple of float
        Between rows and between columns, in m.
    length : float
        In m.
    """
    rows, columns = fields.shape[-2:]
    kappa2 = (LENGTH / length) ** 2
    gain = (kappa2 / (kappa2 + _laplacian((rows, columns), spacing))).square().to(fields)
    north, east = (_cosines(count).to(fields) for count in (rows, columns))
    return north.mT @ (gain * (north @ fields @ east.mT)) @ east


def _laplacian(shape: tuple[int, int], spacing: tuple[float, float]) -> torch.Tensor:
    """Return the eigenvalues of minus the Laplacian between walls, shape (rows, columns)."""
    north, east = (
        (2 - 2 * torch.cos(torch.pi * torch.arange(count).double() / count)) / distance**2
        for count, distance in zip(shape, spacing, strict=True)
    )
    return north[:, None] + east


def _cosines(count: int) -> torch.Tensor:
    """Return the orthogonal matrix of the cosine transform (DCT-II)."""
    number = torch.arange(count).double()
    matrix = torch.cos(torch.pi / count * torch.outer(number, number + 0.5))
    matrix *= (2 / count) ** 0.5
    matrix[0] /= 2**0.5
    return matrix
