"""The quadratic prior of a stochastic equation, its parameters learned or part of the state."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.priors.base import Prior
from xdvarnet.spde.chain import Chain, matern_chain
from xdvarnet.spde.cosine import CosineCovariance, smooth
from xdvarnet.spde.mesh import Mesh

PARAMETERS = ("length", "inverse rate", "noise", "axis east", "axis north")
"""Channels of the parameters, each zero at the start: three logarithms, and a vector.

Fine scales tell the rate L^2 / T of the equation and its noise well, for the correlation length L
and time T, and large ones tell L itself, less well. In these channels each can be learned at its
own pace: the first changes L with rate and noise kept, T with its square and the standard deviation
with its square as well. The vector stands for the axis: its angle is twice the axis's, which has no
sign, and its length the logarithm of the anisotropy.
"""

SCALES = ((1.0, 0.0, 0.0), (2.0, 1.0, 0.0), (2.0, 0.5, 1.0))
"""Logarithms of length, time and standard deviation, in rows, made of the first three channels."""

RANGE = 2.0
"""Bound of each logarithm: no parameter leaves its start by more than a factor of exp(2)."""

GAIN = 20.0
"""Logarithm per unit of a learned weight: parameters have further to go than weights have."""

TINY = 1e-6
"""Part of the axis to the east, without which the angle has no derivative where there is none."""


@dataclass(frozen=True)
class Parameters:
    """Fields of the parameters of the equation, each of shape (batch or 1, 1, latitude, longitude).

    Attributes
    ----------
    length : torch.Tensor
        Correlation length in km, the geometric mean of those along and across the axis.
    time : torch.Tensor
        Correlation time in days.
    std : torch.Tensor
        Standard deviation, in the units of the state, far from walls.
    anisotropy : torch.Tensor
        Correlation length along the axis over that across it, at least 1.
    angle : torch.Tensor
        Direction of the axis in radians, counterclockwise from east.
    """

    length: torch.Tensor
    time: torch.Tensor
    std: torch.Tensor
    anisotropy: torch.Tensor
    angle: torch.Tensor

    @classmethod
    def from_channels(
        cls, channels: torch.Tensor, *, length: float, time: float, std: float
    ) -> "Parameters":
        """Make the fields of `PARAMETERS`, shape (batch, 5, latitude, longitude), from a start."""
        scales = torch.einsum("jk,bkyx->bjyx", channels.new_tensor(SCALES), channels[:, :3])
        logarithms = RANGE * torch.tanh(scales / RANGE)
        east, north = channels[:, 3:4] + TINY, channels[:, 4:]
        size = torch.hypot(east, north)
        start = channels.new_tensor([length, time, std]).view(1, 3, 1, 1)
        lengths, times, stds = (start * logarithms.exp()).split(1, 1)
        return cls(
            lengths,
            times,
            stds,
            anisotropy=(RANGE * torch.tanh(size / RANGE)).exp(),
            angle=torch.atan2(north, east) / 2,
        )


class SPDEPrior(Prior):
    """Quadratic cost ``x^T Q x / n``, Q being the precision of a stochastic equation.

    The equation is that of `xdvarnet.SPDEField`, with parameters that may vary in space and are
    constant over the days of a window. With `augmented`, the state holds their fields in its last
    channels, as what they differ by from learned base fields, averaged over a correlation length:
    the solver estimates state and parameters together. The training cost is the negative
    log-likelihood per node of the truth under the parameters of the analysis,
    ``(t^T Q t - log|Q|) / (2 days cells)``, exact up to a constant (Beauchamp et al. 2024,
    arXiv 2402.01855). All is computed in float64, whatever the precision of the networks.

    With one observation term of the true noise and the weights that a solver starts with, the cost
    is the exact Gaussian one, and its minimum kriging. `precondition` multiplies the gradient by
    the covariance of constant parameters: Q alone has eigenvalues that differ by a factor of a
    million and more, and its gradient shows noise of the grid and little else.

    Every cell is sea, and the edges of the window are walls, beside which the variance is higher.

    Parameters
    ----------
    days : int
        Channels of the state that are days of one variable, a day apart.
    spacing : tuple of float
        Between rows and between columns, in km.
    length : float
        Correlation length in km at the start.
    time : float
        Correlation time in days at the start.
    std : float
        Standard deviation at the start, in the units of the state.
    knots : tuple of int
        Rows and columns of the learned base fields, which are interpolated to the window; one
        number for all of it by default. More are for windows that are always of one place.
    augmented : bool
        Whether the state has `PARAMETERS` as its last channels.

    Attributes
    ----------
    channels, parameter_channels : int
        Of a state, and those of them that are parameters.
    base : torch.nn.Parameter
        Base fields, shape (1, 5, rows, columns) of the knots.

    Raises
    ------
    InvalidInputError
        If a number is not positive, or there are fewer than two days.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.priors.spde import SPDEPrior
    >>> prior = SPDEPrior(5, spacing=(11.0, 14.0), length=90.0, time=6.0)
    >>> prior.cost(torch.zeros(2, 5, 20, 30)).tolist()
    [0.0, 0.0]
    >>> prior.parameters_of(torch.zeros(2, 5, 20, 30)).length.mean().item()
    90.0
    """

    days: int

    def __init__(
        self,
        days: int,
        *,
        spacing: tuple[float, float],
        length: float,
        time: float,
        std: float = 1.0,
        knots: tuple[int, int] = (1, 1),
        augmented: bool = False,
    ) -> None:
        super().__init__()
        given = {"length": length, "time": time, "std": std}
        given |= {"spacing": min(spacing), "knots": min(knots), "days": days - 1}
        wrong = [name for name, value in given.items() if not value > 0]
        if wrong:
            raise InvalidInputError(
                f"{wrong[0]} of an SPDEPrior is out of range (days={days}, spacing={spacing}, "
                f"length={length}, time={time}, std={std}, knots={knots}); give two days or more, "
                "and positive km, days and standard deviations."
            )
        self.days, self.length, self.time, self.std = days, length, time, std
        self.spacing, self.knots, self.augmented = tuple(spacing), tuple(knots), augmented
        self.parameter_channels = len(PARAMETERS) if augmented else 0
        self.channels = days + self.parameter_channels
        self.base = nn.Parameter(torch.zeros(1, len(PARAMETERS), *knots))

    @property
    def _metres(self) -> tuple[float, float]:
        return 1e3 * self.spacing[0], 1e3 * self.spacing[1]

    def parameters_in(self, state: torch.Tensor) -> torch.Tensor:
        """Return the channels `PARAMETERS` of a state, with the base: (batch or 1, 5, ny, nx)."""
        base = functional.interpolate(
            GAIN * self.base.to(state.dtype),
            size=state.shape[-2:],
            mode="bicubic",
            align_corners=True,
        )
        if not self.augmented:
            return base
        with torch.autocast(state.device.type, enabled=False):
            return base + smooth(state[:, self.days :], self._metres, 1e3 * self.length)

    def parameters_from(self, channels: torch.Tensor) -> Parameters:
        """Return the parameters that channels stand for."""
        return Parameters.from_channels(channels, length=self.length, time=self.time, std=self.std)

    def parameters_of(self, state: torch.Tensor) -> Parameters:
        """Return the parameters of a state (batch, channels, latitude, longitude), in its dtype."""
        return self.parameters_from(self.parameters_in(state))

    def chain(self, state: torch.Tensor) -> Chain:
        """Return the equation of a state, in float64; one for each sample if it is augmented."""
        found = self.parameters_of(state.double())
        fields = vars(found) | {"length": 1e3 * found.length}
        if not self.augmented:
            fields = {name: field.squeeze(0) for name, field in fields.items()}
        north, east = (
            distance * torch.arange(count, dtype=torch.float64, device=state.device)
            for distance, count in zip(self._metres, state.shape[-2:], strict=True)
        )
        return matern_chain(Mesh.from_metres(north, east), self.days, **fields)

    def cost(self, state: torch.Tensor) -> torch.Tensor:
        """Cost of each sample, shape (batch,)."""
        with torch.autocast(state.device.type, enabled=False):
            quadratic = self.chain(state).quadratic(state[:, : self.days].double())
        return (quadratic / state[0].numel()).to(state.dtype)

    def precondition(self, gradient: torch.Tensor) -> torch.Tensor:
        """Multiply by half of n, and days by the covariance of the mean base parameters."""
        with torch.autocast(gradient.device.type, enabled=False), torch.no_grad():
            mean = GAIN * self.base.mean((2, 3), keepdim=True)
            typical = self.parameters_from(mean)
            covariance = CosineCovariance(
                (self.days, *gradient.shape[-2:]),
                self._metres,
                length=1e3 * typical.length.item(),
                time=typical.time.item(),
                std=typical.std.item(),
                step=1.0,
                like=gradient,
            )
        with torch.autocast(gradient.device.type, enabled=False):
            days = covariance.apply(gradient[:, : self.days])
            return gradient[0].numel() / 2 * torch.cat([days, gradient[:, self.days :]], 1)

    def training_cost(self, state: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Negative log-likelihood per node of the truth, shape (batch,)."""
        with torch.autocast(state.device.type, enabled=False):
            chain, days = self.chain(state), truth[:, : self.days].double()
            exponent = chain.quadratic(days) - chain.log_determinant()
        return (exponent / (2 * days[0].numel())).to(state.dtype)
