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
        return self._fields(self.march(self._columns(white)), white.shape)

    def colour_adjoint(self, fields: torch.Tensor) -> torch.Tensor:
        """Return W^T fields; both have the shape (..., times, ny, nx)."""
        return self._fields(self.march_back(self._columns(fields)), fields.shape)

    def march(self, white: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return W white as columns: of each time (cells, count), the cells in `order`."""
        v = self.start.colour(white[0][self._rank].T)[:, self.order].T.contiguous()
        fields = [self._filtered(v, 0)]
        for k, step in enumerate(self.steps, start=1):
            v = step.solve_ordered(self._weight * v + self._weight.sqrt() * white[k])
            fields.append(self._filtered(v, k))
        return fields

    def march_back(self, fields: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return W^T fields as columns, as `march` takes and gives them."""
        white: list[torch.Tensor] = []
        later = torch.zeros((), dtype=self.area.dtype, device=self.area.device)
        for k in range(len(self.steps), 0, -1):
            sources = later + self._filtered_adjoint(fields[k], k)
            solved = self.steps[k - 1].transpose().solve_ordered(sources)
            white.append(self._weight.sqrt() * solved)
            later = self._weight * solved
        first = (later + self._filtered_adjoint(fields[0], 0))[self._rank].T
        white.append(self.start.colour_adjoint(first)[:, self.order].T)
        return white[::-1]

    @cached_property
    def order(self) -> torch.Tensor:
        """Number of the cell at each place of a column."""
        return self.filters[0].order

    @cached_property
    def _rank(self) -> torch.Tensor:
        return self.order.argsort()

    @cached_property
    def _weight(self) -> torch.Tensor:
        return self._area / self.dt

    @cached_property
    def _area(self) -> torch.Tensor:
        return self.area.reshape(-1, 1)[self.order]

    @cached_property
    def _scale(self) -> torch.Tensor:
        return self.scale.flatten(1)[:, self.order].unsqueeze(-1)

    def _columns(self, fields: torch.Tensor) -> list[torch.Tensor]:
        """Return fields (..., times, ny, nx) as columns (cells, count) of each time."""
        known = fields.reshape(-1, len(self.scale), self.area.numel())
        return [known[:, k].T[self.order] for k in range(len(self.scale))]

    def _fields(self, columns: list[torch.Tensor], shape: torch.Size) -> torch.Tensor:
        """Invert `_columns`."""
        return torch.stack([each[self._rank].T for each in columns], 1).view(shape)

    def _filtered(self, v: torch.Tensor, k: int) -> torch.Tensor:
        found = self.filters[k].solve_ordered(self._area * v)
        return found / self._scale[k]

    def _filtered_adjoint(self, fields: torch.Tensor, k: int) -> torch.Tensor:
        return self._area * self.filters[k].solve_ordered(fields / self._scale[k])
