"""Exact computations with the precision of a Gaussian field: a block Cholesky factor."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from xdvarnet.errors import InvalidInputError

_Blocks = tuple[torch.Tensor, torch.Tensor]
"""The diagonal block (k, k) of a matrix and the one left of it, (k, k - 1)."""


class IndefiniteError(InvalidInputError):
    """A precision that is not positive definite, and the number of the unknown of the pivot."""

    def __init__(self, message: str, unknown: int) -> None:
        super().__init__(message)
        self.unknown = unknown


@dataclass(frozen=True, eq=False)
class BlockCholesky:
    """Cholesky factor L of a precision Q = L L^T that is block tridiagonal, in dense blocks.

    Solutions, log-determinant, samples and variances of x ~ N(0, Q^-1) are exact. Made by `factor`.
    In the order (row, time, column) of the grid, with as many rows in a block as the precision
    reaches, the factor of 100 x 100 cells and 5 times takes 0.8 GB where the order (time, row,
    column) takes 3.2 GB: see `rows_first`.

    Fields go in and come out flat, in the numbering of the matrix, with leading dimensions for a
    batch. `log_determinant`, `solve` and `colour` (hence `sample`) have derivatives with respect
    to the values of the matrix, of first order, which hold for symmetric changes of it.

    Attributes
    ----------
    matrix : torch.Tensor
        The precision, sparse and coalesced, shape (n, n).
    blocks : torch.Tensor
        Block (k, k) of the factor at [k, 0] and block (k, k - 1) at [k, 1], shape (count, 2, m, m).
        The last block is filled up with rows of the identity.
    order : torch.Tensor
        Number, in the matrix, of the unknown at each place of the factor, shape (n,).

    References
    ----------
    Rue & Held 2005, Gaussian Markov Random Fields, sections 2.3 and 2.4;
    Murray 2016, Differentiation of the Cholesky decomposition, arXiv 1602.07527 (derivatives, of
    which that of the log-determinant is the selected inverse).

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.spde.engines import BlockCholesky
    >>> precision = torch.tensor([[2.0, -1.0], [-1.0, 2.0]], dtype=torch.float64).to_sparse()
    >>> factor = BlockCholesky.factor(precision, block_size=1)
    >>> print(f"{factor.log_determinant():.4f}")
    1.0986
    >>> factor.variances()
    tensor([0.6667, 0.6667], dtype=torch.float64)
    >>> factor.sample(10, torch.Generator().manual_seed(0)).shape
    torch.Size([10, 2])
    """

    matrix: torch.Tensor
    blocks: torch.Tensor
    order: torch.Tensor

    @classmethod
    def factor(
        cls,
        matrix: torch.Tensor,
        block_size: int,
        *,
        order: torch.Tensor | None = None,
        limit: float | None = None,
    ) -> "BlockCholesky":
        """Factor a symmetric positive definite matrix.

        Parameters
        ----------
        matrix : torch.Tensor
            Sparse, float64, shape (n, n). Only one of each two symmetric values is read.
        block_size : int
            Number of unknowns m of a block, so large that the matrix is block tridiagonal.
        order : torch.Tensor, optional
            Numbers of the unknowns in the order of the factor, shape (n,); as they are by default.
        limit : float, optional
            Bytes that the factor may take; by default half the memory of the machine, or what is
            free on the matrix's graphics card.

        Raises
        ------
        InvalidInputError
            If the matrix is of another kind, not symmetric, not block tridiagonal or not positive
            definite (`IndefiniteError`), if the order is no permutation, or if the factor takes
            more than the limit.
        """
        _check(matrix, block_size)
        matrix = matrix.coalesce()
        n, m = matrix.shape[0], block_size
        limit = usable_memory(matrix.device) if limit is None else limit
        check_memory(n, m, cls.memory(n, m), limit)
        numbers = torch.arange(n, device=matrix.device)
        order = numbers if order is None else order.to(matrix.device)
        if not torch.equal(order.sort().values, numbers):
            raise InvalidInputError(
                f"order= has {len(order)} numbers; give each of 0 to {n - 1} once (`rows_first`)."
            )
        with torch.no_grad():
            blocks = _dense_blocks(matrix, order, m)
            _factor_in_place(blocks, order)
        return cls(matrix, blocks, order)

    @staticmethod
    def memory(unknowns: int, block_size: int) -> int:
        """Bytes that `factor` takes besides the matrix, with the working copies of its methods."""
        count = -(-unknowns // block_size)
        return 8 * block_size**2 * (2 * count + 10)

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
        return self._to_fields(self._forward(self._to_blocks(fields))).view(fields.shape)

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
        found = self.blocks.new_empty(self.blocks.shape[0], self.blocks.shape[2])
        for k, diagonal, _ in self._pull_back(self._log_determinant_seed):
            found[k] = diagonal.diagonal()
        return self._to_fields(found.unsqueeze(0)).squeeze(0)

    def _to_blocks(self, fields: torch.Tensor) -> torch.Tensor:
        """Order, fill up and cut (..., n) into (batch, count, m), a copy."""
        count, _, m, _ = self.blocks.shape
        n = len(self.order)
        cut = fields.new_zeros(fields.numel() // n, count * m)
        cut[:, :n] = fields.reshape(-1, n)[:, self.order]
        return cut.view(-1, count, m)

    def _to_fields(self, cut: torch.Tensor) -> torch.Tensor:
        """Undo `_to_blocks`, to the shape (batch, n)."""
        fields = cut.new_empty(len(cut), len(self.order))
        fields[:, self.order] = cut.flatten(1)[:, : len(self.order)]
        return fields

    def _forward(self, cut: torch.Tensor) -> torch.Tensor:
        """Replace (batch, count, m) by its product with L^-1."""
        for k, (diagonal, left) in enumerate(self.blocks):
            if k:
                cut[:, k] -= cut[:, k - 1] @ left.mT
            cut[:, k] = _divide(cut[:, k], diagonal.mT, upper=True)
        return cut

    def _backward(self, cut: torch.Tensor) -> torch.Tensor:
        """Replace (batch, count, m) by its product with L^-T."""
        last = len(self.blocks) - 1
        for k in range(last, -1, -1):
            if k < last:
                cut[:, k] -= cut[:, k + 1] @ self.blocks[k + 1, 1]
            cut[:, k] = _divide(cut[:, k], self.blocks[k, 0], upper=False)
        return cut

    def _log_determinant_seed(self, k: int) -> _Blocks:
        """Derivative of the log-determinant with respect to the blocks of L."""
        diagonal, left = self.blocks[k]
        return torch.diag(2 / diagonal.diagonal()), torch.zeros_like(left)

    def _pull_back(
        self, seed: Callable[[int], _Blocks]
    ) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        """Yield k and the derivatives with respect to the blocks (k, k) and (k, k - 1) of Q.

        `seed` gives those with respect to the blocks of L, of which only the lower triangle counts.
        The blocks come from the last to the first; the second one of k = 0 is of no meaning. It is
        the derivative of `_factor_in_place`, read backwards.
        """
        later = 0
        for k in range(len(self.blocks) - 1, -1, -1):
            factor, left = self.blocks[k]
            diagonal, beside = seed(k)
            diagonal = (factor.mT @ (diagonal + later)).tril_()
            diagonal.diagonal().mul_(0.5)
            diagonal = _divide(diagonal + diagonal.mT, factor, upper=False).mT.mul_(0.5)
            diagonal = _divide(diagonal, factor, upper=False)
            if k:
                beside = torch.addmm(beside, diagonal, left, alpha=-2)
                beside = _divide(beside, self.blocks[k - 1, 0], upper=False)
                later = -(beside.mT @ left)
            yield k, diagonal, beside

    def _gather(self, seed: Callable[[int], _Blocks]) -> torch.Tensor:
        """Return the derivative with respect to the values of the matrix, from that to L."""
        m = self.blocks.shape[2]
        block, place = _places(self.matrix.indices(), self.order, m)
        entries = block.argsort().split(block.bincount(minlength=len(self.blocks)).tolist())
        found = self.blocks.new_empty(len(place))
        for k, diagonal, beside in self._pull_back(seed):
            both = torch.stack([diagonal, beside / 2])  # the other half is the symmetric value's
            found[entries[k]] = both.view(-1)[place[entries[k]]]
        return found


class _LogDeterminant(torch.autograd.Function):
    """The log-determinant; its derivative is the inverse on the pattern of the matrix."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, factor: BlockCholesky) -> torch.Tensor:
        ctx.factor = factor
        return 2 * factor.blocks[:, 0].diagonal(dim1=1, dim2=2).log().sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient * ctx.factor._gather(ctx.factor._log_determinant_seed), None


class _Solve(torch.autograd.Function):
    """The solution; its derivative is one more solution."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, right: torch.Tensor, factor: BlockCholesky
    ) -> torch.Tensor:
        cut = factor._backward(factor._forward(factor._to_blocks(right)))
        solution = factor._to_fields(cut).view(right.shape)
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
        ctx: Any, values: torch.Tensor, white: torch.Tensor, factor: BlockCholesky
    ) -> torch.Tensor:
        cut = factor._backward(factor._to_blocks(white))
        ctx.factor = factor
        ctx.save_for_backward(cut)
        return factor._to_fields(cut).view(white.shape)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor, None]:
        factor, (cut,) = ctx.factor, ctx.saved_tensors
        adjoint = factor._forward(factor._to_blocks(gradient))
        white = factor._to_fields(adjoint).view(gradient.shape)
        if not ctx.needs_input_grad[0]:
            return None, white, None

        def seed(k: int) -> _Blocks:
            return -cut[:, k].T @ adjoint[:, k], -cut[:, k].T @ adjoint[:, k - 1]

        return factor._gather(seed), white, None


def check_memory(unknowns: int, block_size: int, needed: float, limit: float) -> None:
    """Raise if more bytes are needed than the limit."""
    if needed > limit:
        raise InvalidInputError(
            f"the exact factor of {unknowns} unknowns in blocks of {block_size} takes "
            f"{needed / 1e9:.3g} GB, and the limit is {limit / 1e9:.3g} GB; use the iterative "
            'engine (engine="iterative"), or a smaller or coarser domain.'
        )


def _check(matrix: torch.Tensor, block_size: int) -> None:
    """Raise unless the matrix is sparse, of float64, square and symmetric."""
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    if matrix.layout != torch.sparse_coo or matrix.dtype != torch.float64 or not square:
        raise InvalidInputError(
            f"the precision is {matrix.layout}, {matrix.dtype}, of shape {tuple(matrix.shape)}; "
            "give a square matrix in torch.sparse_coo, of torch.float64."
        )
    if block_size < 1:
        raise InvalidInputError(f"block_size={block_size}; a block has at least 1 unknown.")
    with torch.no_grad():
        probe = torch.arange(1.0, len(matrix) + 1, dtype=matrix.dtype, device=matrix.device).cos()
        product, transposed = (a @ probe for a in (matrix, matrix.T))
    if not (product - transposed).abs().max() <= 1e-9 * product.abs().max():
        raise InvalidInputError(
            "the precision is not symmetric, or not finite; give G^T D G and the like."
        )


def usable_memory(device: torch.device) -> float:
    """Return half the bytes of memory of the machine, or those that are free on a GPU."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if not hasattr(os, "sysconf"):
        return float("inf")  # the system does not tell
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2


def _places(indices: torch.Tensor, order: torch.Tensor, m: int) -> _Blocks:
    """Return, for each entry, k and its place in the lower triangle of blocks (k, k), (k, k - 1).

    An entry above the diagonal has the place of its symmetric one.
    """
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    row, column = rank[indices]
    high, low = torch.maximum(row, column), torch.minimum(row, column)
    block = high // m
    gap = block - low // m
    return block, (gap * m + high % m) * m + low % m


def _dense_blocks(matrix: torch.Tensor, order: torch.Tensor, m: int) -> torch.Tensor:
    """Return the blocks of the lower triangle, shape (count, 2, m, m)."""
    n = len(order)
    block, place = _places(matrix.indices(), order, m)
    far = (place >= 2 * m * m).nonzero()
    if len(far):
        row, column = matrix.indices()[:, far[0, 0]].tolist()
        raise InvalidInputError(
            f"unknowns {row} and {column} are coupled and stand more than one block of {m} apart; "
            "give a larger block_size, or an order that puts neighbours closer."
        )
    blocks = matrix.values().new_zeros(-(-n // m), 2, m, m)
    blocks.view(len(blocks), -1)[block, place] = matrix.values()
    blocks[-1, 0].diagonal()[n - (len(blocks) - 1) * m :] = 1
    return blocks


def _factor_in_place(blocks: torch.Tensor, order: torch.Tensor) -> None:
    """Replace the blocks of a matrix by those of its Cholesky factor."""
    m = blocks.shape[2]
    for k, (diagonal, left) in enumerate(blocks):
        if k:
            left.copy_(_divide(left, blocks[k - 1, 0].mT, upper=True))
            diagonal.addmm_(left, left.mT, alpha=-1)
        factor, info = torch.linalg.cholesky_ex(diagonal)
        if info:
            place = k * m + int(info) - 1
            raise IndefiniteError(
                f"the precision is not positive definite: its pivot of unknown {int(order[place])} "
                f"(place {place} of {len(order)} in the order of the factor) is not positive; look "
                "for a negative or missing damping, a negative variance, or a value that is NaN.",
                int(order[place]),
            )
        diagonal.copy_(factor)


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
