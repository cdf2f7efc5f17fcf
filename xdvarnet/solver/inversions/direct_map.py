"""Direct inversion of maps: one pass of a network."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.contracts import Network, Solver
from xdvarnet.solver.data import Data
from xdvarnet.solver.steps import join


class DirectInversion(Solver):
    """One pass from the observations to the state: ``x = x_0 + network([x_0, y, context])``.

    The plain reference of a learned inversion: it has neither a cost nor iterations (as the direct
    inversions of Fablet et al. 2021, doi 10.1029/2021MS002572). x_0 is the first guess, y the
    observations, zero where there are none; where they are is in the context. It stands in the
    place of a `xdvarnet.solver.VariationalSolver`, or within one as its learned first guess.

    Parameters
    ----------
    network : torch.nn.Module
        From ``channels`` to ``features`` channels, attributes of it, which are those of x_0, y and
        context together and those of the state; such as a `xdvarnet.solver.multiscale.UNet`.
    context : int
        Channels of the context.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.inversions.direct_map import DirectInversion
    >>> from xdvarnet.solver.multiscale import UNet
    >>> from xdvarnet.solver.data import Data
    >>> days, context = 5, 6
    >>> inversion = DirectInversion(UNet(2 * days + context, days, hidden=8), context=context)
    >>> first_guess, observations = torch.zeros(2, days, 24, 31), torch.ones(2, days, 24, 31)
    >>> data = [Data.from_gappy(observations)]
    >>> inversion(first_guess, data, torch.ones(2, context, 24, 31)).shape
    torch.Size([2, 5, 24, 31])
    """

    def __init__(self, network: nn.Module, *, context: int) -> None:
        super().__init__()
        self.network, self.context = network, context

    @property
    def channels(self) -> int:
        """Number of channels of the state."""
        return cast(Network, self.network).features

    def forward(
        self,
        first_guess: torch.Tensor,
        data: Sequence[Data],
        context: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the state.

        Parameters
        ----------
        first_guess : torch.Tensor
            Shape (batch, channels, latitude, longitude).
        data : sequence of Data
            Observations; the values of all are seen.
        context : torch.Tensor, optional
            Shape (batch, context, latitude, longitude).

        Raises
        ------
        InvalidInputError
            If the channels are not those of the network.
        """
        values = [part.mask * part.values for part in data]
        seen = join(first_guess, *values, context)
        if seen.shape[1] != self.network.channels or first_guess.shape[1] != self.channels:
            raise InvalidInputError(
                f"the network is from {self.network.channels} channels to {self.channels}, and a "
                f"first guess of {first_guess.shape[1]} was given, with observations of "
                f"{[part.shape[1] for part in values]} and a context of "
                f"{0 if context is None else context.shape[1]}; all together are its channels."
            )
        return first_guess + self.network(seen)
