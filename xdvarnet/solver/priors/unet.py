"""U-Net prior."""

import torch
from torch import nn
from torch.nn import functional


class UNetPrior(nn.Module):
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
        super().__init__()
        self.channels, self.hidden, self.depth = channels, hidden, depth
        widths = [hidden * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _block(before, after)
            for before, after in zip([channels, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(
            _block(fine + coarse, fine)
            for fine, coarse in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.decode = nn.Conv2d(hidden, channels, 1)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Project the state (batch, channels, latitude, longitude) on the learned manifold."""
        features = state
        skipped = []
        for level, block in enumerate(self.down):
            if level:
                skipped.append(features)
                features = functional.avg_pool2d(features, 2, ceil_mode=True)
            features = block(features)
        for block in self.up:
            fine = skipped.pop()
            features = functional.interpolate(
                features, size=fine.shape[-2:], mode="bilinear", align_corners=False
            )
            features = block(torch.cat([fine, features], dim=1))
        return self.decode(features)


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(after, after, 3, padding=1),
        nn.SiLU(),
    )
