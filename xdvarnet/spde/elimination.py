"""Solutions with the matrix of one stencil, by block elimination."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.stencil import Stencil


@dataclass(frozen=True, eq=False)
class BlockElimination:
    """LU factors of a stencil's matrix, in dense blocks of one row of the grid.

    The matrix is block tridiagonal, with the tridiagonal blocks L_k, A_k, U_k in row k. The pivots
    ``D_k = A_k - L_k D_(k-1)^-1 U_(k-1)`` are kept as inverses, so that a solution of many right
    sides is two sweeps of products; L_k and U_k stay three diagonals each. The blocks run along
    the shorter side of the grid, and around a ring, where the first and the last place are
    neighbours too: 150 x 370 cells take 67 MB. There is no exchange of pivots, and
    none is needed where the symmetric part of the matrix is positive definite.

    Made by `factor`; differentiable with respect to coefficients and right sides.

    Attributes
    ----------
    inverses : torch.Tensor
        Inverses of the pivots, shape (count, m, m), or (..., count, m, m) for a batch.
    below, above : torch.Tensor
        Diagonals of L_k and of U_k, shape (..., count, 3, m).
    turned : bool
        Whether the blocks are columns of the grid.

    References
    ----------
    Golub & Van Loan 2013, Matrix Computations, section 4.5.1.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.spde.elimination import BlockElimination
    >>> from xdvarnet.spde.mesh import Mesh
    >>> from xdvarnet.spde.operator import damping
    >>> mesh = Mesh.from_metres([0.0, 10.0, 20.0], [0.0, 5.0])
    >>> factor = BlockElimination.factor(damping(mesh, 2.0))
    >>> factor.solve(mesh.area)[0]
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """

    inverses: torch.Tensor
    below: torch.Tensor
    above: torch.Tensor
    turned: bool

    @classmethod
    def factor(cls, stencil: Stencil) -> "BlockElimination":
        """Factor the matrix of a stencil, or each one of a batch.

        Raises
        ------
        InvalidInputError
            If a pivot is singular or not finite.
        """
        rows, columns = stencil.shape
        turned = columns > rows and not stencil.ring
        across = _diagonals(stencil, turned)
        transposed = _diagonals(stencil.transpose(), turned)
        below, inside, above = (across[..., part, :, :, :].movedim(-3, -2) for part in range(3))
        above_transposed = transposed[..., 0, :, :, :].movedim(-3, -2)
        inverses: list[torch.Tensor] = []
        for k in range(inside.shape[-3]):
            pivot = _dense(inside[..., k, :, :])
            if k:
                left = _multiply(below[..., k, :, :], inverses[-1])
                pivot = pivot - _multiply(above_transposed[..., k, :, :], left.mT).mT
            inverse, info = torch.linalg.inv_ex(pivot)
            if info.any() or not inverse.isfinite().all():
                side = "column" if turned else "row"
                raise InvalidInputError(
                    f"the matrix of the stencil is singular at {side} {k}: look for a missing "
                    "damping or for a value that is not finite."
                )
            inverses.append(inverse)
        return cls(torch.stack(inverses, -3), below, above, turned)

    def transpose(self) -> "BlockElimination":
        """Return the factors of the transposed matrix."""
        return BlockElimination(
            self.inverses.mT, _transposed(self.above, 1), _transposed(self.below, -1), self.turned
        )

    def log_determinant(self) -> torch.Tensor:
        """Logarithm of the size of the determinant, of the shape of the batch."""
        return -torch.linalg.slogdet(self.inverses).logabsdet.sum(-1)

    def solve(self, right: torch.Tensor) -> torch.Tensor:
        """Return the solutions of `right`, both of shape (..., ny, nx), for one matrix."""
        columns = right.reshape(-1, *right.shape[-2:]).permute(1, 2, 0).contiguous()
        return self.solve_columns(columns).permute(2, 0, 1).reshape(right.shape)

    def solve_columns(self, right: torch.Tensor) -> torch.Tensor:
        """Return the solutions of right sides (ny, nx, count): faster, with many of them."""
        waiting = right.transpose(0, 1) if self.turned else right
        forward = [self.inverses[0] @ waiting[0]]
        for k in range(1, len(waiting)):
            rest = waiting[k] - _multiply(self.below[k], forward[-1])
            forward.append(self.inverses[k] @ rest)
        solution = forward[-1:]
        for k in range(len(waiting) - 2, -1, -1):
            after = _multiply(self.above[k], solution[-1])
            solution.append(torch.addmm(forward[k], self.inverses[k], after, alpha=-1))
        return torch.stack(solution[::-1], 1 if self.turned else 0)


def _diagonals(stencil: Stencil, turned: bool) -> torch.Tensor:
    """Return (..., block row step, place step, count, m) of the coefficients."""
    steps = stencil.coefficients.unflatten(-3, (3, 3))
    return steps.transpose(-4, -3).mT if turned else steps


def _dense(diagonals: torch.Tensor) -> torch.Tensor:
    """Return the tridiagonal matrix (..., m, m) of its diagonals (..., 3, m).

    The first of the lower and the last of the upper diagonal are its corners: zero but on a ring.
    """
    low, middle, high = diagonals.unbind(-2)
    last = low.shape[-1] - 1
    return (
        torch.diag_embed(middle)
        + torch.diag_embed(low[..., 1:], -1)
        + torch.diag_embed(high[..., :-1], 1)
        + torch.diag_embed(low[..., :1], last)
        + torch.diag_embed(high[..., -1:], -last)
    )


def _multiply(diagonals: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return the product of tridiagonal matrices with matrices (..., m, any)."""
    low, middle, high = diagonals.unsqueeze(-1).unbind(-3)
    total = middle * matrix
    total[..., 1:, :].addcmul_(low[..., 1:, :], matrix[..., :-1, :])
    total[..., :-1, :].addcmul_(high[..., :-1, :], matrix[..., 1:, :])
    total[..., :1, :].addcmul_(low[..., :1, :], matrix[..., -1:, :])
    total[..., -1:, :].addcmul_(high[..., -1:, :], matrix[..., :1, :])
    return total


def _transposed(diagonals: torch.Tensor, step: int) -> torch.Tensor:
    """Return the diagonals of the transposed blocks, moved by `step` rows of blocks."""
    low, middle, high = diagonals.unbind(-2)
    low, high = high.roll(1, -1), low.roll(-1, -1)
    moved = torch.stack([low, middle, high], -2)
    return functional.pad(moved, (0, 0, 0, 0, step, -step))
