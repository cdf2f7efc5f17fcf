"""Direct inversion: one pass of a network."""

from collections.abc import Sequence

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
        From the channels of x_0, y and the context together to those of the state, such as a
        `xdvarnet.solver.UNet` or `xdvarnet.solver.StridedUNet`.
    context : int, optional
        Channels of the context. By default, the network sees the masks of the observations in the
        place of a context: for a series, three channels in all.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver import Data, DirectInversion, Layout, StridedUNet, UNet
    >>> days, context = 5, 6
    >>> inversion = DirectInversion(UNet(2 * days + context, days, hidden=8), context=context)
    >>> first_guess, observations = torch.zeros(2, days, 24, 31), torch.ones(2, days, 24, 31)
    >>> data = [Data.from_gappy(observations)]
    >>> inversion(first_guess, data, torch.ones(2, context, 24, 31)).shape
    torch.Size([2, 5, 24, 31])

    Of series, without a context:

    >>> inversion = DirectInversion(StridedUNet(3, 1, layout=Layout(components=3)))
    >>> first_guess, data = torch.zeros(2, 1, 50, 3), [Data.from_gappy(torch.ones(2, 1, 50, 3))]
    >>> inversion(first_guess, data).shape
    torch.Size([2, 1, 50, 3])
    """

    context: int | None

    def __init__(self, network: nn.Module, *, context: int | None = None) -> None:
        super().__init__()
        self.network, self.context = network, context

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The network."""
        return {"network": self.network}

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
            Shape (batch, channels, latitude, longitude), or (batch, 1, time, component).
        data : sequence of Data
            Observations; the values of all are seen.
        context : torch.Tensor, optional
            Shape (batch, context, latitude, longitude).

        Raises
        ------
        InvalidInputError
            If the channels are not those of the network, or the components of a series.
        """
        where = [part.mask for part in data] if self.context is None else [context]
        parts = [first_guess, *(part.mask * part.values for part in data), *where]
        seen, network = join(*parts), self.network
        given = seen.shape[1], first_guess.shape[1]
        if isinstance(network, Network) and given != (network.channels, network.features):
            numbers = [0 if part is None else part.shape[1] for part in parts]
            raise InvalidInputError(
                f"the network is from {network.channels} channels to {network.features}, and was "
                f"given {numbers} (first guess, observations, and context or masks); all together "
                "are its channels, and those of the first guess its result."
            )
        return first_guess + network(seen)
