"""Exact computations with the precision of a Gaussian field: a sparse Cholesky factor."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from xdvarnet._progress import track
from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.dissection import Dissection, Front, Runs

PANEL = 128
"""Columns of a product with its own transpose that are computed at once, below the diagonal."""


class IndefiniteError(InvalidInputError):
    """A precision that is not positive definite, and the number of the unknown of the pivot."""

    def __init__(self, message: str, unknown: int) -> None:
        super().__init__(message)
        self.unknown = unknown


@dataclass(frozen=True, eq=False)
class SparseCholesky:
    """Cholesky factor L of a precision Q = L L^T on a grid, by the fronts of a dissection.

    Solutions, log-determinant, samples and variances of x ~ N(0, Q^-1) are exact. Made by `factor`.
    A front is a dense matrix of the unknowns that are eliminated together and of those that they
    are coupled to; what is left of it is added to the front of its parent.

    Fields go in and come out flat, in the numbering of the matrix, with leading dimensions for a
    batch. `log_determinant`, `solve` and `colour` (hence `sample`) have derivatives with respect
    to the values of the matrix, of first order, which hold for symmetric changes of it.

    Attributes
    ----------
    matrix : torch.Tensor
        The precision, sparse and coalesced, shape (n, n).
    dissection : Dissection
        Of the grid, for as many rows as the precision reaches.
    panels : tuple of torch.Tensor
        Columns of L of each front: first the rows of its own unknowns, a lower triangle, and then
        those of its border.

    References
    ----------
    Rue & Held 2005, Gaussian Markov Random Fields, sections 2.3 and 2.4; Liu 1992, SIAM Review 34,
    82-109 (fronts); Murray 2016, Differentiation of the Cholesky decomposition, arXiv 1602.07527
    (derivatives, of which that of the log-determinant is the selected inverse).

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.spde.dissection import dissect
    >>> from xdvarnet.spde.engines import SparseCholesky
    >>> precision = torch.tensor([[2.0, -1.0], [-1.0, 2.0]], dtype=torch.float64).to_sparse()
    >>> factor = SparseCholesky.factor(precision, dissect(1, 1, 2, reach=1))
    >>> print(f"{factor.log_determinant():.4f}")
    1.0986
    >>> factor.variances()
    tensor([0.6667, 0.6667], dtype=torch.float64)
    >>> factor.sample(10, torch.Generator().manual_seed(0)).shape
    torch.Size([10, 2])
    """

    matrix: torch.Tensor
    dissection: Dissection
    panels: tuple[torch.Tensor, ...]

    @classmethod
    def factor(cls, matrix: torch.Tensor, dissection: Dissection) -> "SparseCholesky":
        """Factor a symmetric positive definite matrix.

        Parameters
        ----------
        matrix : torch.Tensor
            Sparse, float64, shape (n, n). Only one of each two symmetric values is read.
        dissection : Dissection
            Of its unknowns.

        Raises
        ------
        InvalidInputError
            If the matrix is of another kind, not symmetric, not positive definite
            (`IndefiniteError`), or couples unknowns that the dissection separates.
        """
        _check(matrix, len(dissection.order))
        matrix, dissection = matrix.coalesce(), dissection.to(matrix.device)
        with torch.no_grad():
            return cls(matrix, dissection, tuple(_factor(matrix, dissection)))

    def log_determinant(self) -> torch.Tensor:
        """Log-determinant of the precision, a scalar."""
        return _LogDeterminant.apply(self.matrix.values(), self)

    def solve(self, right: torch.Tensor) -> torch.Tensor:
        """Return Q^-1 `right`, both of shape (..., n)."""
        return _Solve.apply(self.matrix.values(), right, self)

    def colour(self, white: torch.Tensor) -> torch.Tensor:
        """Return L^-T `white`, both of shape (..., n), of covariance Q^-1 if `white` is noise."""
        return _Colour.apply(self.matrix.values(), white, self)

    def colour_adjoint(self, fields: torch.Tensor) -> torch.Tensor:
        """Return L^-1 `fields`, both of shape (..., n), the transpose of `colour`."""
        return self._to_fields(self._forward(self._to_columns(fields)), fields.shape)

    def sample(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw `count` fields from N(0, Q^-1), shape (count, n)."""
        like = self.matrix
        white = torch.randn(
            count, like.shape[0], generator=generator, dtype=like.dtype, device=like.device
        )
        return self.colour(white)

    @torch.no_grad()
    def variances(self) -> torch.Tensor:
        """Diagonal of Q^-1, shape (n,), without derivatives."""
        found = self.matrix.values().new_empty(len(self.dissection.order))
        for k, inverse in self._pull_back(self._log_determinant_seed):
            front = self.dissection.fronts[k]
            found[self.dissection.order[front.start : front.stop]] = inverse.diagonal()
        return found

    def _to_columns(self, fields: torch.Tensor) -> torch.Tensor:
        """Return (..., n) as columns (n, batch) in the order of the factor, a copy."""
        return fields.reshape(-1, fields.shape[-1]).T[self.dissection.order]

    def _to_fields(self, columns: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Undo `_to_columns`."""
        fields = torch.empty_like(columns)
        fields[self.dissection.order] = columns
        return fields.T.reshape(shape)

    def _forward(self, columns: torch.Tensor) -> torch.Tensor:
        """Replace (n, batch) by its product with L^-1."""
        for front, panel in zip(self.dissection.fronts, self.panels, strict=True):
            own = columns[front.start : front.stop]
            own.copy_(torch.linalg.solve_triangular(panel[: front.own], own, upper=False))
            columns.index_add_(0, front.border, panel[front.own :] @ own, alpha=-1)
        return columns

    def _backward(self, columns: torch.Tensor) -> torch.Tensor:
        """Replace (n, batch) by its product with L^-T."""
        for front, panel in zip(self.dissection.fronts[::-1], self.panels[::-1], strict=True):
            own, below = columns[front.start : front.stop], panel[front.own :]
            own.addmm_(below.T, columns[front.border], alpha=-1)
            own.copy_(torch.linalg.solve_triangular(panel[: front.own].T, own, upper=True))
        return columns

    def _log_determinant_seed(self, k: int) -> torch.Tensor:
        """Derivative of the log-determinant with respect to the columns of L of a front."""
        panel = self.panels[k]
        seed = torch.zeros_like(panel)
        seed.diagonal().copy_(2 / panel.diagonal())
        return seed

    def _pull_back(self, seed: Callable[[int], torch.Tensor]) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield the number of each front, and the derivatives with respect to its columns of Q.

        `seed` gives those with respect to the columns of L, of which only the lower triangle
        counts; a value above the diagonal of Q has the derivative of its symmetric one. It is the
        derivative of `_factor`, read backwards.
        """
        fronts = self.dissection.fronts
        stack = _Stack(self.dissection, self.matrix.values())
        for k in track(self.dissection.depth_first[::-1], "front", len(fronts)):
            front, panel = fronts[k], self.panels[k]
            whole, own = stack.front(front), front.own
            factor, below, later = panel[:own], panel[own:], whole[own:, own:]
            later.copy_(stack.pop(front))
            diagonal, beside = seed(k).tensor_split([own])
            beside = _divide(torch.addmm(beside / 2, later, below, alpha=-1), factor, upper=False)
            diagonal = torch.addmm(diagonal, beside.T, below, alpha=-2)
            diagonal = (factor.T @ diagonal.tril_()).tril_()
            diagonal.diagonal().mul_(0.5)
            diagonal = _divide(diagonal + diagonal.T, factor, upper=False).T.mul_(0.5)
            whole[:own, :own] = _divide(diagonal, factor, upper=False)
            whole[own:, :own] = beside
            whole[:own, own:] = beside.T
            yield k, whole[:, :own]
            for child in front.children:
                _take(stack.push(fronts[child]), whole, fronts[child].runs)

    def _gather(self, seed: Callable[[int], torch.Tensor]) -> torch.Tensor:
        """Return the derivative with respect to the values of the matrix, from that to L."""
        entries = self.dissection.locate(self.matrix.indices())
        found = torch.empty_like(self.matrix.values())
        for k, panel in self._pull_back(seed):
            numbers, rows, columns = entries[k]
            found[numbers] = panel[torch.maximum(rows, columns), torch.minimum(rows, columns)]
        return found


class _LogDeterminant(torch.autograd.Function):
    """The log-determinant; its derivative is the inverse on the pattern of the matrix."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, factor: SparseCholesky) -> torch.Tensor:
        ctx.factor = factor
        return 2 * torch.cat([panel.diagonal() for panel in factor.panels]).log().sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient * ctx.factor._gather(ctx.factor._log_determinant_seed), None


class _Solve(torch.autograd.Function):
    """The solution; its derivative is one more solution."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, right: torch.Tensor, factor: SparseCholesky
    ) -> torch.Tensor:
        columns = factor._backward(factor._forward(factor._to_columns(right)))
        solution = factor._to_fields(columns, right.shape)
        ctx.factor = factor
        ctx.save_for_backward(solution)
        return solution

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor, None]:
        factor, (solution,) = ctx.factor, ctx.saved_tensors
        adjoint = factor.solve(gradient)
        if not ctx.needs_input_grad[0]:
            return None, adjoint, None
        values = -_products(factor.matrix.indices(), adjoint, solution)
        return values, adjoint, None


class _Colour(torch.autograd.Function):
    """The product with L^-T, differentiated through the factor."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, white: torch.Tensor, factor: SparseCholesky
    ) -> torch.Tensor:
        columns = factor._backward(factor._to_columns(white))
        ctx.factor = factor
        ctx.save_for_backward(columns)
        return factor._to_fields(columns, white.shape)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor, None]:
        factor, (columns,) = ctx.factor, ctx.saved_tensors
        adjoint = factor._forward(factor._to_columns(gradient))
        white = factor._to_fields(adjoint, gradient.shape)
        if not ctx.needs_input_grad[0]:
            return None, white, None

        def seed(k: int) -> torch.Tensor:
            front = factor.dissection.fronts[k]
            own = slice(front.start, front.stop)
            rows = torch.cat([columns[own], columns[front.border]])
            return rows @ -adjoint[own].T

        return factor._gather(seed), white, None


def usable_memory(device: torch.device) -> float:
    """Return half the bytes of memory of the machine, or those that are free on a GPU."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if not hasattr(os, "sysconf"):
        return float("inf")  # the system does not tell
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2


def _check(matrix: torch.Tensor, unknowns: int) -> None:
    """Raise unless the matrix is sparse, of float64, of this size and symmetric."""
    kind = matrix.layout, matrix.dtype, tuple(matrix.shape)
    if kind != (torch.sparse_coo, torch.float64, (unknowns, unknowns)):
        raise InvalidInputError(
            f"the precision is {matrix.layout}, {matrix.dtype}, of shape {tuple(matrix.shape)}; "
            f"give a matrix in torch.sparse_coo, of torch.float64, of the shape "
            f"{(unknowns, unknowns)} of the dissection."
        )
    with torch.no_grad():
        probe = torch.arange(1.0, len(matrix) + 1, dtype=matrix.dtype, device=matrix.device).cos()
        product, transposed = (a @ probe for a in (matrix, matrix.T))
    if not (product - transposed).abs().max() <= 1e-9 * product.abs().max():
        raise InvalidInputError(
            "the precision is not symmetric, or not finite; give G^T D G and the like."
        )


def _factor(matrix: torch.Tensor, dissection: Dissection) -> list[torch.Tensor]:
    """Return the columns of the Cholesky factor of each front."""
    half = (matrix.indices()[0] >= matrix.indices()[1]).nonzero().squeeze(1)
    values, fronts = matrix.values()[half], dissection.fronts
    entries = dissection.locate(matrix.indices()[:, half])
    panels = [values] * len(fronts)
    stack = _Stack(dissection, values)
    for k in track(dissection.depth_first, "front", len(fronts)):
        front = fronts[k]
        own, (numbers, rows, columns) = front.own, entries[k]
        panels[k] = panel = values.new_zeros(front.size, own)
        panel[torch.maximum(rows, columns), torch.minimum(rows, columns)] = values[numbers]
        whole = stack.front(front)
        whole[:, :own] = panel
        if front.children:
            whole[own:, own:] = 0
        for child in front.children[::-1]:
            _add(whole, stack.pop(fronts[child]), fronts[child].runs)
        factor, info = torch.linalg.cholesky_ex(whole[:own, :own])
        if info:
            place = front.start + int(info) - 1
            unknown = int(dissection.order[place])
            raise IndefiniteError(
                f"the precision is not positive definite: its pivot of unknown {unknown} (place "
                f"{place} of {len(dissection.order)} in the order of the factor) is not positive; "
                "look for a negative or missing damping, a negative variance, or a value that is "
                "NaN.",
                unknown,
            )
        panel[:own] = factor
        panel[own:] = below = _divide(whole[own:, :own], factor.T, upper=True)
        update = stack.push(front)
        update.copy_(whole[own:, own:] if front.children else values.new_zeros(()))
        for start in range(0, len(below), PANEL):
            some = slice(start, start + PANEL)
            update[start:, some].addmm_(below[start:], below[some].T, alpha=-1)
    return panels


class _Stack:
    """Square matrices over the borders of fronts, on top of each other in one piece of memory.

    Memory that is taken anew for each front costs as much time as all products.
    """

    def __init__(self, dissection: Dissection, like: torch.Tensor) -> None:
        self._memory = like.new_empty(dissection.height)
        self._front = like.new_empty(dissection.largest)
        self._top = 0

    def front(self, front: Front) -> torch.Tensor:
        """Return the matrix of a front, of which there is one at a time."""
        return self._front[: front.size**2].view(front.size, front.size)

    def push(self, front: Front) -> torch.Tensor:
        """Return room for a matrix over the border of a front."""
        size = len(front.border)
        self._top += size**2
        return self._memory[self._top - size**2 : self._top].view(size, size)

    def pop(self, front: Front) -> torch.Tensor:
        """Return the matrix on top, of this front; its room is free as soon as one is pushed."""
        size = len(front.border)
        self._top -= size**2
        return self._memory[self._top : self._top + size**2].view(size, size)


def _add(front: torch.Tensor, update: torch.Tensor, runs: Runs) -> None:
    """Add the lower triangle of what is left of a child to a front."""
    for number, (rows, there) in enumerate(runs):
        for columns, here in runs[: number + 1]:
            front[there, here] += update[rows, columns]


def _take(found: torch.Tensor, front: torch.Tensor, runs: Runs) -> None:
    """Fill in the rows and columns of a front that are the border of a child."""
    for rows, there in runs:
        for columns, here in runs:
            found[rows, columns] = front[there, here]


def _divide(rows: torch.Tensor, triangle: torch.Tensor, *, upper: bool) -> torch.Tensor:
    """Return `rows` times the inverse of a triangular matrix."""
    return torch.linalg.solve_triangular(triangle, rows, upper=upper, left=False)


def _products(indices: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the sum over the batch of left_i right_j for each entry (i, j)."""
    n, found = left.shape[-1], left.new_zeros(())
    pairs = zip(left.reshape(-1, n), right.reshape(-1, n), strict=True)
    for one, other in pairs:
        found = found + one[indices[0]] * other[indices[1]]
    return found
