"""Solutions with the matrix of one stencil, by elimination along a dissection of its grid."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.dissection import dissect
from xdvarnet.spde.stencil import Stencil, neighbours


@dataclass(frozen=True, eq=False)
class Group:
    """Fronts of equal sizes that are eliminated together, and where their matrices come from.

    Attributes
    ----------
    count, own : int
        Number of fronts, and of unknowns that each of them eliminates.
    start : int
        Place of the first of these; the others follow.
    border : torch.Tensor
        Places of the unknowns that each is coupled to, shape (count, size of the border).
    entries, places : torch.Tensor
        Numbers of the coefficients that are in the matrices, and their places there.
    parents : tuple of (int, torch.Tensor, torch.Tensor)
        Number of a group, which of the fronts have their parents in it, and the places, in its
        matrices, of the rows and columns that these pass on.
    """

    count: int
    own: int
    start: int
    border: torch.Tensor
    entries: torch.Tensor
    places: torch.Tensor
    parents: tuple[tuple[int, torch.Tensor, torch.Tensor], ...]

    @property
    def size(self) -> int:
        """Rows of each matrix."""
        return self.own + self.border.shape[1]


@dataclass(frozen=True, eq=False)
class Elimination:
    """LU factors of a stencil's matrix, in the dense blocks of a nested dissection.

    Fronts of equal sizes are eliminated together, as they are not coupled. Their pivots are kept as
    inverses, so that a solution of many right sides is two sweeps of products.
    There is no exchange of pivots, and none is needed where the symmetric part of the matrix is
    positive definite.

    Made by `factor`; differentiable with respect to coefficients and right sides.

    Attributes
    ----------
    stencil : Stencil
        The matrix.
    blocks : tuple of tuple of torch.Tensor
        Of each group of fronts: the inverses of the pivots A, shape (..., count, own, own), and the
        blocks below and right of them as C A^-1 and A^-1 B.

    References
    ----------
    George 1973, SIAM Journal on Numerical Analysis 10, 345-363; Liu 1992, SIAM Review 34, 82-109.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.spde.elimination import Elimination
    >>> from xdvarnet.spde.mesh import Mesh
    >>> from xdvarnet.spde.operator import damping
    >>> mesh = Mesh.from_metres([0.0, 10.0, 20.0], [0.0, 5.0])
    >>> factor = Elimination.factor(damping(mesh, 2.0))
    >>> factor.solve(mesh.area)[0]
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """

    stencil: Stencil
    blocks: tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], ...]

    @classmethod
    def factor(cls, stencil: Stencil) -> "Elimination":
        """Factor the matrix of a stencil, or each one of a batch.

        Raises
        ------
        InvalidInputError
            If a pivot is singular or not finite.
        """
        order, groups = _plan(*stencil.shape, stencil.ring, stencil.coefficients.device)
        coefficients = stencil.coefficients.flatten(-3)
        batch = coefficients.shape[:-1]
        left: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in groups]
        blocks = []
        for number, group in enumerate(groups):
            whole = coefficients.new_zeros(*batch, group.count * group.size**2)
            whole.index_add_(-1, group.places, coefficients[..., group.entries])
            for places, values in left[number]:
                whole.index_add_(-1, places, values)
            whole = whole.view(*batch, group.count, group.size, group.size)
            rows, rest = whole.tensor_split([group.own], -2)
            pivot, right = rows.tensor_split([group.own], -1)
            below, rest = rest.tensor_split([group.own], -1)
            inverse, info = torch.linalg.inv_ex(pivot)
            if info.any() or not inverse.isfinite().all():
                _refuse(info.bool() | ~inverse.isfinite().all(-1).all(-1), group, order, stencil)
            below, right = below @ inverse, inverse @ right
            rest = rest - below @ pivot @ right
            for parent, chosen, places in group.parents:
                left[parent].append((places, rest[..., chosen, :, :].flatten(-3)))
            blocks.append((inverse, below, right))
        return cls(stencil, tuple(blocks))

    def transpose(self) -> "Elimination":
        """Return the factors of the transposed matrix."""
        turned = tuple((inverse.mT, right.mT, below.mT) for inverse, below, right in self.blocks)
        return Elimination(self.stencil.transpose(), turned)

    def log_determinant(self) -> torch.Tensor:
        """Logarithm of the size of the determinant, of the shape of the batch."""
        parts = [torch.linalg.slogdet(inverse).logabsdet.sum(-1) for inverse, _, _ in self.blocks]
        return -torch.stack(parts).sum(0)

    @property
    def order(self) -> torch.Tensor:
        """Number of the cell at each place of `solve_ordered`, the same of all on one grid."""
        return self._plan[0]

    @property
    def _plan(self) -> tuple[torch.Tensor, tuple[Group, ...]]:
        stencil = self.stencil
        return _plan(*stencil.shape, stencil.ring, stencil.coefficients.device)

    def solve(self, right: torch.Tensor) -> torch.Tensor:
        """Return the solutions of `right`, both of shape (..., ny, nx), for one matrix."""
        columns = right.reshape(-1, self.order.numel()).T[self.order]
        return self.solve_ordered(columns)[self.order.argsort()].T.reshape(right.shape)

    def solve_ordered(self, columns: torch.Tensor) -> torch.Tensor:
        """Replace right sides, the columns of (cells, count) in this `order`, by solutions."""
        return _Solve.apply(self.stencil.coefficients, columns, self)

    def sweep(self, columns: torch.Tensor) -> None:
        """As `solve_ordered`, without derivatives."""
        _, groups = self._plan
        count = columns.shape[1]
        for group, (inverse, below, _) in zip(groups, self.blocks, strict=True):
            own = _own(columns, group)
            if group.border.numel():
                passed = (below @ own).view(-1, count)
                columns.index_add_(0, group.border.flatten(), passed, alpha=-1)
            own.copy_(inverse @ own)
        for group, (_, _, beside) in zip(groups[::-1], self.blocks[::-1], strict=True):
            if group.border.numel():
                later = columns[group.border.flatten()].view(group.count, -1, count)
                _own(columns, group).baddbmm_(beside, later, alpha=-1)


def _own(columns: torch.Tensor, group: Group) -> torch.Tensor:
    """Return the rows of (cells, count) that a group eliminates, (fronts, own, count), a view."""
    rows = columns[group.start : group.start + group.count * group.own]
    return rows.view(group.count, group.own, -1)


class _Solve(torch.autograd.Function):
    """The solution; its derivative is one with the transposed matrix."""

    @staticmethod
    def forward(
        ctx: Any, coefficients: torch.Tensor, columns: torch.Tensor, factor: Elimination
    ) -> torch.Tensor:
        factor.sweep(columns)
        ctx.mark_dirty(columns)
        ctx.factor = factor
        ctx.save_for_backward(columns)
        return columns

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor, None]:
        factor, (solution,) = ctx.factor, ctx.saved_tensors
        adjoint = gradient.clone()
        factor.transpose().sweep(adjoint)
        if not ctx.needs_input_grad[0]:
            return None, adjoint, None
        rank = factor.order.argsort()
        solved, sources = (
            each[rank].T.view(-1, *factor.stencil.shape) for each in (solution, adjoint)
        )
        each = [-(sources * part).sum(0) for part in neighbours(solved, factor.stencil.ring)]
        return torch.stack(each), adjoint, None


@lru_cache(maxsize=16)
def _plan(
    ny: int, nx: int, ring: bool, device: torch.device
) -> tuple[torch.Tensor, tuple[Group, ...]]:
    """Return the order of the cells of a grid, and its groups of fronts."""
    dissection = dissect(1, ny, nx, 1, ring)
    numbers, indices = _coefficients(ny, nx, ring)
    located = dissection.locate(indices)
    groups = list(dissection.groups())
    where = [(g, i) for g, fronts in enumerate(groups) for i in range(len(fronts))]
    made: list[Group] = []
    first = 0
    for fronts in groups:
        size, entries, places = fronts[0].size, [], []
        passed: dict[int, tuple[list[int], list[torch.Tensor]]] = {}
        for i, (front, found) in enumerate(zip(fronts, located[first:], strict=False)):
            chosen, row, column = found
            entries.append(numbers[chosen])
            places.append((i * size + row) * size + column)
            if front.parent >= 0:
                g, j = where[front.parent]
                wide = groups[g][0].size
                rows = (j * wide + front.places[:, None]) * wide
                which, there = passed.setdefault(g, ([], []))
                which.append(i)
                there.append((rows + front.places).flatten())
        made.append(
            Group(
                len(fronts),
                fronts[0].own,
                fronts[0].start,
                torch.stack([front.border for front in fronts]).to(device),
                torch.cat(entries).to(device),
                torch.cat(places).to(device),
                tuple(
                    (g, torch.tensor(which, device=device), torch.cat(there).to(device))
                    for g, (which, there) in passed.items()
                ),
            )
        )
        first += len(fronts)
    return dissection.order.to(device), tuple(made)


def _coefficients(ny: int, nx: int, ring: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the numbers of a stencil's coefficients inside the grid, and their two cells."""
    cells = torch.arange(1, ny * nx + 1).view(ny, nx)
    columns = torch.stack(neighbours(cells, ring)).flatten() - 1  # -1 outside
    numbers = (columns >= 0).nonzero().squeeze(1)
    return numbers, torch.stack([numbers % (ny * nx), columns[numbers]])


def _refuse(wrong: torch.Tensor, group: Group, order: torch.Tensor, stencil: Stencil) -> None:
    """Raise an error that names the first cell of a block that is singular."""
    front = int(wrong.nonzero()[0, -1])
    row, column = divmod(int(order[group.start + front * group.own]), stencil.shape[1])
    raise InvalidInputError(
        f"the matrix of the stencil is singular near row {row}, column {column}: look for a "
        "missing damping or for a value that is not finite."
    )
