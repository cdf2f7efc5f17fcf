"""Two-scale convolutional prior in which no point is predicted from itself."""

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.contracts import initial_weights
from xdvarnet.solver.layout import PLANE, Layout, Wrap, check_kernel
from xdvarnet.solver.priors.projection import Projection


class GibbsPrior(Projection):
    """Gibbs-energy network (GENN): each point from its neighbours, at two scales.

    ``Phi(x) = F(x) + up(C(down(x)))``, where F and C are bilinear blocks, ``down`` averages over
    cells of the coarse grid and ``up`` is a transposed convolution (Fablet et al. 2021,
    doi 10.1029/2021MS002572). The first convolution of a block has no central weight and all that
    follow are of one point, so that ``Phi(x)(s)`` does not depend on ``x(s)``, nor through the
    coarse scale, which leaves out the whole coarse cell of s: the identity is no solution.

    A state (batch, channels, rows, columns) is a window of maps, or one of a series,
    (batch, 1, time, component), for kernels over time and components. Where the
    layout takes the components of a series as channels, all of a time are left out of Phi at that
    time. Outside of the window are zeros.

    Parameters
    ----------
    channels : int
        Channels of the state.
    kernel : tuple of int
        Points of the first convolution, in rows and columns, odd; more than one altogether.
    downscale : tuple of int
        Rows and columns of a coarse cell.
    hidden : int
        Channels of each hidden layer.
    layout : Layout
        How the columns lie. Where they are channels, kernel and coarse cells have one column.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.

    Raises
    ------
    InvalidInputError
        If a number is out of range, or a state does not suit the prior.

    Examples
    --------
    Sizes that suit Lorenz-63 (13,596 parameters) and Lorenz-96 (47,222):

    >>> import torch
    >>> from xdvarnet.solver import GibbsPrior, Layout
    >>> prior = GibbsPrior(kernel=(11, 1), downscale=(4, 1), layout=Layout(components=3))
    >>> prior(torch.ones(2, 1, 200, 3)).shape
    torch.Size([2, 1, 200, 3])
    >>> prior = GibbsPrior(kernel=(5, 5), downscale=(4, 1), hidden=60, layout=Layout(periodic=True))
    >>> prior(torch.ones(2, 1, 200, 40)).shape
    torch.Size([2, 1, 200, 40])
    """

    def __init__(
        self,
        channels: int = 1,
        *,
        kernel: tuple[int, int],
        downscale: tuple[int, int],
        hidden: int = 30,
        layout: Layout = PLANE,
        rng: RandomState = None,
    ) -> None:
        super().__init__()
        kernel, downscale = check_kernel(kernel), cast(tuple[int, int], tuple(downscale))
        _check_sizes(channels, kernel, downscale, layout)
        self.channels, self.hidden, self.layout = channels, hidden, layout
        self.kernel, self.downscale = kernel, downscale
        fields = layout.width(channels)
        with initial_weights(rng):
            self.fine = _Block(fields, hidden, kernel, layout)
            self.decode = nn.Conv2d(hidden, fields, 1)
            self.coarse = _Block(fields, hidden, kernel, layout)
            self.up = nn.ConvTranspose2d(hidden, fields, downscale, stride=downscale)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Project the state (batch, channels, rows, columns)."""
        self._check(state)
        fields = self.layout.to_fields(state)
        pooled = functional.avg_pool2d(fields, self.downscale, ceil_mode=True)
        rows, columns = fields.shape[2:]
        smooth = self.up(self.coarse(pooled))[:, :, :rows, :columns]
        projected = self.decode(self.fine(fields)) + smooth
        return self.layout.to_state(projected)

    def _check(self, state: torch.Tensor) -> None:
        columns = state.shape[3]
        factor, reach = self.downscale[1], self.kernel[1] // 2
        if self.layout.periodic and (columns % factor or columns // factor <= reach):
            raise InvalidInputError(
                f"a periodic prior with kernel={self.kernel} and downscale={self.downscale} needs "
                f"a multiple of {factor} columns, more than {reach * factor}, so that no point "
                f"meets itself; the state has {columns}."
            )


class _Block(nn.Module):
    """What surrounds a point, as ``relu(M [A z, (B z) (C z)])`` with ``z = W relu(look(x))``."""

    around: torch.Tensor

    def __init__(self, channels: int, hidden: int, kernel: tuple[int, int], layout: Layout) -> None:
        super().__init__()
        self.look = nn.Conv2d(channels, hidden, kernel)
        self.transform = nn.Conv2d(hidden, hidden, 1)
        self.linear = nn.Conv2d(hidden, hidden, 1)
        self.left = nn.Conv2d(hidden, hidden, 1)
        self.right = nn.Conv2d(hidden, hidden, 1)
        self.merge = nn.Conv2d(2 * hidden, hidden, 1)
        around = torch.ones(kernel)
        self.reach = tuple(size // 2 for size in kernel)
        around[self.reach] = 0
        self.register_buffer("around", around, persistent=False)
        self.layout = layout

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        rows, columns = self.reach
        if self.layout.periodic and columns:
            fields, columns = Wrap.apply(fields, columns), 0
        weight = self.look.weight * self.around
        seen = functional.conv2d(fields, weight, self.look.bias, padding=(rows, columns))
        code = self.transform(functional.relu(seen))
        code = torch.cat([self.linear(code), self.left(code) * self.right(code)], 1)
        return functional.relu(self.merge(code))


def _check_sizes(
    channels: int,
    kernel: tuple[int, ...],
    downscale: tuple[int, ...],
    layout: Layout,
) -> None:
    if max(kernel) == 1:
        raise InvalidInputError(
            f"kernel={kernel}; give two odd numbers, one at least 3: the centre is left out."
        )
    if min(downscale) < 1:
        raise InvalidInputError(f"downscale={downscale}; give two numbers of at least 1.")
    if layout.components is not None and (channels, kernel[1], downscale[1]) != (1, 1, 1):
        raise InvalidInputError(
            f"components as channels leave one column and one channel: with {layout}, give "
            f"channels=1, kernel=({kernel[0]}, 1) and downscale=({downscale[0]}, 1)."
        )
