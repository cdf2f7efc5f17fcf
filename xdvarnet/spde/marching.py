"""Fields of a chain drawn by marching in time, one solution with the matrix of one time a step."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from xdvarnet.spde.elimination import Elimination
from xdvarnet.spde.engines import SparseCholesky


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
    start : SparseCholesky
        Factor of the precision P of the first time.
    steps : sequence of Elimination
        Factors of V / dt + K of the second time and of those that follow.
    filters : sequence of Elimination
        Factors of S of all times.
    scale : torch.Tensor
        Shape (times, ny, nx).
    """

    area: torch.Tensor
    dt: float
    start: SparseCholesky
    steps: Sequence[Elimination]
    filters: Sequence[Elimination]
    scale: torch.Tensor

    def colour(self, white: torch.Tensor) -> torch.Tensor:
        """Return W white; both have the shape (..., times, ny, nx)."""
        noise = white.reshape(-1, len(self.scale), self.area.numel())
        v = self.start.colour(noise[:, 0])[:, self._order].T.contiguous()
        fields = [self._filtered(v, 0)]
        for k, step in enumerate(self.steps, start=1):
            v = step.solve_ordered(self._weight * v + self._weight.sqrt() * self._columns(noise, k))
            fields.append(self._filtered(v, k))
        return self._fields(fields, white.shape)

    def colour_adjoint(self, fields: torch.Tensor) -> torch.Tensor:
        """Return W^T fields; both have the shape (..., times, ny, nx)."""
        known = fields.reshape(-1, len(self.scale), self.area.numel())
        white: list[torch.Tensor] = []
        later = torch.zeros((), dtype=fields.dtype, device=fields.device)
        for k in range(len(self.steps), 0, -1):
            sources = later + self._filtered_adjoint(known, k)
            solved = self.steps[k - 1].transpose().solve_ordered(sources)
            white.append(self._weight.sqrt() * solved)
            later = self._weight * solved
        first = (later + self._filtered_adjoint(known, 0))[self._rank].T
        white.append(self.start.colour_adjoint(first)[:, self._order].T)
        return self._fields(white[::-1], fields.shape)

    @cached_property
    def _order(self) -> torch.Tensor:
        return self.filters[0].order

    @cached_property
    def _rank(self) -> torch.Tensor:
        return self._order.argsort()

    @cached_property
    def _weight(self) -> torch.Tensor:
        return self._area / self.dt

    @cached_property
    def _area(self) -> torch.Tensor:
        return self.area.reshape(-1, 1)[self._order]

    @cached_property
    def _scale(self) -> torch.Tensor:
        return self.scale.flatten(1)[:, self._order].unsqueeze(-1)

    def _columns(self, fields: torch.Tensor, k: int) -> torch.Tensor:
        """Return fields (count, times, cells) of one time as ordered columns."""
        return fields[:, k].T[self._order]

    def _fields(self, columns: list[torch.Tensor], shape: torch.Size) -> torch.Tensor:
        """Return the columns of all times as fields (..., times, ny, nx)."""
        return torch.stack([each[self._rank].T for each in columns], 1).view(shape)

    def _filtered(self, v: torch.Tensor, k: int) -> torch.Tensor:
        found = self.filters[k].solve_ordered(self._area * v)
        return found / self._scale[k]

    def _filtered_adjoint(self, fields: torch.Tensor, k: int) -> torch.Tensor:
        scaled = self._columns(fields, k) / self._scale[k]
        return self._area * self.filters[k].solve_ordered(scaled)
