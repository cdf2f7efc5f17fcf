"""U-Net prior."""

from xdvarnet.solver.multiscale import UNet


class UNetPrior(UNet):
    """Small U-Net as the projection Phi of the prior cost ``|x - Phi(x)|^2``.

    Parameters
    ----------
    channels : int
        Channels of the state (days times variables).
    hidden : int
        Channels at the finest scale; they double with each coarser one.
    depth : int
        Number of times that the resolution is halved.

    References
    ----------
    Ronneberger et al. 2015, doi 10.1007/978-3-319-24574-4_28.
    """

    def __init__(self, channels: int, *, hidden: int = 32, depth: int = 2) -> None:
        super().__init__(channels, channels, hidden=hidden, depth=depth)
