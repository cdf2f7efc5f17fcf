"""Fields of a chain drawn by marching in time, one solution with the matrix of one time a step."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from xdvarnet.spde.elimination import BlockElimination
from xdvarnet.spde.engines import BlockCholesky


@dataclass(frozen=True, eq=False)
class Marching:
    """The product W with a root of the covariance of a chain, and its transpose.

    ``v_1 = P^(-1/2) w_1``, ``(V / dt + K_k) v_k = (V / dt) v_(k-1) + (V / dt)^(1/2) w_k`` and
    ``x_k = S_k^-1 V v_k / scale_k``.

    Attributes
    ----------
    area : torch.Tensor
        Diagonal of V in m2, shape (ny, nx).
    dt : float
        Step in days.
    start : BlockCholesky
        Factor of the precision P of the first time.
    steps : sequence of BlockElimination
        Factors of V / dt + K of the second time and of those that follow.
    filters : sequence of BlockElimination
        Factors of S of all times.
    scale : torch.Tensor
        Shape (times, ny, nx).
    """

    area: torch.Tensor
    dt: float
    start: BlockCholesky
    steps: Sequence[BlockElimination]
    filters: Sequence[BlockElimination]
    scale: torch.Tensor

    def colour(self, white: torch.Tensor) -> torch.Tensor:
        """Return W white; both have the shape (..., times, ny, nx)."""
        weight, noise = self._weight, self._to_columns(white)
        v = self.start.colour(noise[0].flatten(0, 1).T).T.reshape(noise[0].shape)
        fields = [self._filtered(v, 0)]
        for k, step in enumerate(self.steps, start=1):
            v = step.solve_columns(weight * v + weight.sqrt() * noise[k])
            fields.append(self._filtered(v, k))
        return _from_columns(fields, white.shape)

    def colour_adjoint(self, fields: torch.Tensor) -> torch.Tensor:
        """Return W^T fields; both have the shape (..., times, ny, nx)."""
        weight, known = self._weight, self._to_columns(fields)
        white: list[torch.Tensor] = []
        later = torch.zeros_like(known[0])
        for k in range(len(self.steps), 0, -1):
            sources = later + self._filtered_adjoint(known, k)
            solved = self.steps[k - 1].transpose().solve_columns(sources)
            white.append(weight.sqrt() * solved)
            later = weight * solved
        first = (later + self._filtered_adjoint(known, 0)).flatten(0, 1)
        white.append(self.start.colour_adjoint(first.T).T.reshape(known[0].shape))
        return _from_columns(white[::-1], fields.shape)

    @property
    def _weight(self) -> torch.Tensor:
        return (self.area / self.dt).unsqueeze(-1)

    def _to_columns(self, fields: torch.Tensor) -> torch.Tensor:
        """Return fields (..., times, ny, nx) as (times, ny, nx, count), in this order in memory."""
        rows = fields.reshape(-1, self.scale.numel())
        return rows.T.contiguous().view(*self.scale.shape, len(rows))

    def _filtered(self, v: torch.Tensor, k: int) -> torch.Tensor:
        found = self.filters[k].solve_columns(self.area.unsqueeze(-1) * v)
        return found / self.scale[k].unsqueeze(-1)

    def _filtered_adjoint(self, fields: torch.Tensor, k: int) -> torch.Tensor:
        found = self.filters[k].solve_columns(fields[k] / self.scale[k].unsqueeze(-1))
        return self.area.unsqueeze(-1) * found


def _from_columns(fields: list[torch.Tensor], shape: torch.Size) -> torch.Tensor:
    """Return fields (ny, nx, count) of all times as (..., times, ny, nx)."""
    return torch.stack(fields).flatten(0, 2).T.reshape(shape)
