"""U-Net prior."""

from xdvarnet._random import RandomState
from xdvarnet.solver.networks import UNet
from xdvarnet.solver.priors.projection import Projection


class UNetPrior(UNet, Projection):
    """Small U-Net as the projection Phi of the prior cost ``|x - Phi(x)|^2``.

    Parameters
    ----------
    channels : int
        Channels of the state (days times variables).
    hidden : int
        Channels at the finest scale; they double with each coarser one.
    depth : int
        Number of times that the resolution is halved.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the initial weights; by default the global generator of torch.

    References
    ----------
    Ronneberger et al. 2015, doi 10.1007/978-3-319-24574-4_28.
    """

    channels: int

    def __init__(
        self, channels: int, *, hidden: int = 32, depth: int = 2, rng: RandomState = None
    ) -> None:
        super().__init__(channels, channels, hidden=hidden, depth=depth, rng=rng)
