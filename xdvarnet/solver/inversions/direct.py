"""Direct inversion: one pass of a network."""

from collections.abc import Sequence

import torch
from torch import nn

from xdvarnet.solver.contracts import Solver
from xdvarnet.solver.data import Data
from xdvarnet.solver.inversions.context import split_context
from xdvarnet.solver.series_unet import check_channels


class DirectNetwork(Solver):
    """One pass from the observations to the state: ``x = x_0 + network([x_0, y, mask])``.

    The plain reference of a learned inversion: it has neither a cost nor iterations. x_0 is the
    first guess, y the observations, zero where there are none.

    Parameters
    ----------
    network : torch.nn.Module
        From (batch, 3, time, component) to (batch, 1, time, component), such as a
        `xdvarnet.solver.SeriesUNet`.

    Raises
    ------
    InvalidInputError
        If the network says that it is for another number of channels.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.solver.inversions.direct import DirectNetwork
    >>> from xdvarnet.solver import Layout, SeriesUNet
    >>> inversion = DirectNetwork(SeriesUNet(3, 1, layout=Layout(components=3)))
    >>> first_guess, context = torch.zeros(2, 1, 50, 3), torch.ones(2, 2, 50, 3)
    >>> inversion(first_guess, [], context).shape
    torch.Size([2, 1, 50, 3])
    """

    context = 2

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        check_channels(network, ("first guess", "observations", "where they are"))
        self.network = network

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The network."""
        return {"network": self.network}

    def forward(
        self, first_guess: torch.Tensor, data: Sequence[Data], context: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the state.

        Parameters
        ----------
        first_guess : torch.Tensor
            Shape (batch, 1, time, component).
        data : sequence of Data
            Not used: the observations are in the context.
        context : torch.Tensor
            Observed values, 0 elsewhere, and their mask, shape (batch, 2, time, component).

        Raises
        ------
        InvalidInputError
            If the context does not fit, or the network is for another number of components.
        """
        values, mask = split_context(first_guess, context)
        return first_guess + self.network(torch.cat([first_guess, values, mask], 1))
