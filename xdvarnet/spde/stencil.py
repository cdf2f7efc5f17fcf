"""Linear operators that join a cell to itself and its eight neighbours."""

from dataclasses import dataclass
from typing import cast

import torch
from torch.nn import functional

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.mesh import wrap_columns

OFFSETS = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1))
"""Steps (north, east) to the neighbours, in the order of the coefficients; the fifth is none."""

CENTRE = 4
"""Number of the cell itself among the nine coefficients."""


@dataclass(frozen=True)
class Stencil:
    """A matrix over the cells of a grid, stored by neighbours; or a batch of such matrices.

    Attributes
    ----------
    coefficients : torch.Tensor
        Shape (..., 9, ny, nx). Entry ``k = 3 (i + 1) + (j + 1)`` of a cell multiplies the value
        i rows to the north and j columns to the east of it; zero where that is outside or land.
    ring : bool
        Whether the first column is east of the last.

    Raises
    ------
    InvalidInputError
        If the coefficients have another shape.
    """

    coefficients: torch.Tensor
    ring: bool = False

    def __post_init__(self) -> None:
        if self.coefficients.ndim < 3 or self.coefficients.shape[-3] != len(OFFSETS):
            raise InvalidInputError(
                f"coefficients of shape {tuple(self.coefficients.shape)} are no stencil; the shape "
                "is (..., 9, rows, columns)."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns of the grid."""
        return self.coefficients.shape[-2], self.coefficients.shape[-1]

    def apply(self, field: torch.Tensor) -> torch.Tensor:
        """Multiply a field, shape (..., ny, nx), finite; leading dimensions are broadcast.

        Raises
        ------
        InvalidInputError
            If the field is on another grid.
        """
        if field.shape[-2:] != self.shape:
            raise InvalidInputError(
                f"the field has shape {tuple(field.shape)}, and the stencil is for fields of shape "
                f"(..., {self.shape[0]}, {self.shape[1]})."
            )
        parts = zip(self.coefficients.unbind(-3), neighbours(field, self.ring), strict=True)
        total = sum(coefficient * neighbour for coefficient, neighbour in parts)
        return cast(torch.Tensor, total)  # of nine, so no plain 0

    def transpose(self) -> "Stencil":
        """Return the transposed matrix."""
        moved = neighbours(self.coefficients.flip(-3), self.ring)
        return self._with(torch.stack([part[..., k, :, :] for k, part in enumerate(moved)], -3))

    def closed(self) -> "Stencil":
        """Return the matrix of a ring from that of its `unrolled` mesh."""
        return Stencil(self.coefficients[..., 1:-1], ring=True)

    def take(self, index: int | slice) -> "Stencil":
        """Return one, or some, of a batch of matrices, along the last dimension of the batch."""
        return self._with(self.coefficients[..., index, :, :, :])

    def _with(self, coefficients: torch.Tensor) -> "Stencil":
        """Return another matrix of the same grid."""
        return Stencil(coefficients, self.ring)

    def __add__(self, other: "Stencil") -> "Stencil":
        return self._with(self.coefficients + other.coefficients)

    def add_diagonal(self, values: torch.Tensor) -> "Stencil":
        """Add the diagonal matrix of values, shape (..., ny, nx)."""
        parts = list(self.coefficients.unbind(-3))
        parts[CENTRE] = parts[CENTRE] + values
        return self._with(torch.stack(torch.broadcast_tensors(*parts), -3))

    def scale(self, factor: torch.Tensor | float) -> "Stencil":
        """Multiply the equation of each cell by a factor: a number, or shape (..., ny, nx)."""
        if isinstance(factor, torch.Tensor) and factor.ndim:
            factor = factor.unsqueeze(-3)
        return self._with(self.coefficients * factor)

    def to_sparse(self) -> torch.Tensor:
        """Return the sparse matrix, shape (n, n), coalesced; cell (row, column) is row nx + column.

        All neighbours inside the grid have an entry, also those that are zero: the pattern depends
        on the size of the grid alone.

        Raises
        ------
        InvalidInputError
            If this is a batch.
        """
        if self.coefficients.ndim != 3:
            raise InvalidInputError(
                f"coefficients of shape {tuple(self.coefficients.shape)} are a batch of matrices; "
                "take one of them: Stencil(coefficients[i]).to_sparse()."
            )
        size = self.shape[0] * self.shape[1]
        cells = torch.arange(1, size + 1, device=self.coefficients.device).reshape(self.shape)
        columns = torch.stack(neighbours(cells, self.ring)) - 1  # -1 outside
        rows = (cells - 1).expand_as(columns)
        inside = columns >= 0
        return torch.sparse_coo_tensor(
            torch.stack([rows[inside], columns[inside]]),
            self.coefficients[inside],
            (size, size),
            check_invariants=True,
        ).coalesce()


def neighbours(values: torch.Tensor, ring: bool) -> list[torch.Tensor]:
    """Return the values at each of `OFFSETS` from the cells, zero outside; shapes (..., ny, nx)."""
    rows, columns = values.shape[-2:]
    if ring:
        padded = functional.pad(wrap_columns(values), (0, 0, 1, 1))
    else:
        padded = functional.pad(values, (1, 1, 1, 1))
    return [
        padded[..., 1 + north : 1 + north + rows, 1 + east : 1 + east + columns]
        for north, east in OFFSETS
    ]
