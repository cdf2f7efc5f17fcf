r"""The posterior on a coarser grid, which preconditions the iterations on the fine one.

The system of the iterations is :math:`A = I + R^{-1/2} H C H^T R^{-1/2}` with the prior covariance
C. With the precision :math:`Q_c` of the same field on a coarse grid, bilinear interpolation P from
it and :math:`G_c = R^{-1/2} H P`, the matrix

.. math:: N = I - G_c (Q_c + G_c^T G_c)^{-1} G_c^T

is the inverse of :math:`I + G_c Q_c^{-1} G_c^T` (Woodbury), so it is positive definite. A N differs
from the identity in scales that the coarse grid does not resolve, whatever the size of the domain.
"""

from dataclasses import dataclass
from functools import cached_property

import torch

from xdvarnet.spde.chain import REACH, Chain
from xdvarnet.spde.dissection import dissect
from xdvarnet.spde.engines import SparseCholesky
from xdvarnet.spde.precision import filtered, space_time_precision
from xdvarnet.spde.scales import LENGTH
from xdvarnet.spde.stencil import OFFSETS, Stencil

LUMPING = 4
"""Of this damping, diffusion and damping have no error of second order at k = 2.4 kappa."""


@dataclass(frozen=True, eq=False)
class CoarsePosterior:
    """The preconditioner N, of a field that is observed through G_c.

    Attributes
    ----------
    observed : torch.Tensor
        G_c, sparse, shape (m, times * coarse cells).
    adjoint : torch.Tensor
        Its transpose.
    factor : SparseCholesky
        Of ``Q_c + G_c^T G_c``.
    """

    observed: torch.Tensor
    adjoint: torch.Tensor
    factor: SparseCholesky

    @classmethod
    def of(cls, chain: Chain, observed: torch.Tensor, cells: int) -> "CoarsePosterior":
        """Make it, with one node in so many rows and columns.

        Parameters
        ----------
        chain : Chain
            The prior on the fine grid.
        observed : torch.Tensor
            ``R^-1/2 H``, sparse, shape (m, times * cells).
        cells : int
            Rows and columns between two nodes.
        """
        grid = CoarseGrid.of(chain, cells)
        coarse = grid.observe(observed)
        precision = (grid.precision(chain) + coarse.T @ coarse).coalesce()
        fronts = dissect(chain.times, *grid.shape, REACH, chain.mesh.ring)
        factor = SparseCholesky.factor(precision, fronts)
        return cls(coarse.to_sparse_csr(), coarse.T.coalesce().to_sparse_csr(), factor)

    def __call__(self, residuals: torch.Tensor) -> torch.Tensor:
        """Return N residuals, shape (m, count)."""
        return residuals - self.observed @ self.factor.solve((self.adjoint @ residuals).T).T


@dataclass(frozen=True, eq=False)
class CoarseGrid:
    """Nodes in a fine grid, and bilinear weights: of sea from sea, of land from land.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of nodes.
    nodes, weights : torch.Tensor
        Number and weight of the four nodes around each cell, shape (4, cells).
    """

    shape: tuple[int, int]
    nodes: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(cls, chain: Chain, cells: int) -> "CoarseGrid":
        """Put a node in every so many rows and columns; a node is land if it has no sea around."""
        mesh = chain.mesh
        rows, row_weights = _around(mesh.shape[0], cells)
        columns, column_weights = _around(mesh.shape[1], cells, mesh.ring)
        shape = int(rows.max()) + 1, int(columns.max()) + 1
        nodes = rows[:, None, :, None] * shape[1] + columns[:, None, :]
        weights = row_weights[:, None, :, None] * column_weights[:, None, :]
        nodes, weights = nodes.reshape(4, -1), weights.reshape(4, -1)
        sea = mesh.sea.flatten()
        reached = torch.zeros(shape[0] * shape[1], dtype=weights.dtype)
        reached.index_add_(0, nodes.flatten(), (weights * sea).flatten())
        return cls(shape, nodes, torch.where(sea | (reached[nodes] == 0), weights, 0.0))

    def observe(self, observed: torch.Tensor) -> torch.Tensor:
        """Return ``observed P``, of P at each time, coalesced."""
        (rows, places), values = observed.coalesce().indices(), observed.coalesce().values()
        times, cells = places // self.nodes.shape[1], places % self.nodes.shape[1]
        count = self.shape[0] * self.shape[1]
        indices = torch.stack([rows.expand(4, -1), times * count + self.nodes[:, cells]])
        size = (observed.shape[0], observed.shape[1] // self.nodes.shape[1] * count)
        weights = (values * self.weights[:, cells]).flatten()
        return torch.sparse_coo_tensor(
            indices.flatten(1), weights, size, check_invariants=True
        ).coalesce()

    def precision(self, chain: Chain) -> torch.Tensor:
        """Return the precision of the field of a chain, sparse, in the order (time, node)."""
        area = chain.mesh.area.flatten()
        areas = self._onto_nodes @ area
        steps, smoothing = (
            chain.over_times([self._coarsen(one) for one in chain.operators(stencil)])
            for stencil in (chain.steps, chain.smoothing)
        )
        scale = chain.scale.broadcast_to(chain.times, *chain.mesh.shape).flatten(1)
        scales = (self._onto_nodes @ (scale * area).T).T / areas
        return filtered(space_time_precision(steps, areas, chain.dt), smoothing, areas, scales)

    def _coarsen(self, stencil: Stencil) -> torch.Tensor:
        """Return P^T K P with damping moved from between the nodes to them, `LUMPING` times.

        P^T K P has (k h)^2 / 12 too little of a diffusion k^2, and (k h)^2 / 6 too little of a
        damping; each time that this is moved adds as much.
        """
        ones = torch.ones(stencil.shape, dtype=self.weights.dtype)
        damping = (stencil.apply(ones) + stencil.transpose().apply(ones)).flatten() / 2
        rest = stencil.add_diagonal(-LUMPING * damping.view(stencil.shape)).to_sparse()
        lumped = LUMPING * (self._onto_nodes @ damping)
        nodes = torch.arange(len(lumped)).expand(2, -1)
        diagonal = torch.sparse_coo_tensor(nodes, lumped, (len(lumped),) * 2, check_invariants=True)
        return (self._onto_nodes @ (rest @ self._onto_nodes.T) + diagonal).coalesce()

    @cached_property
    def _onto_nodes(self) -> torch.Tensor:
        """P^T of one time, sparse."""
        cells = torch.arange(self.nodes.shape[1]).expand(4, -1)
        indices = torch.stack([self.nodes.flatten(), cells.flatten()])
        size = (self.shape[0] * self.shape[1], self.nodes.shape[1])
        return torch.sparse_coo_tensor(
            indices, self.weights.flatten(), size, check_invariants=True
        ).coalesce()


def cells_in_length(chain: Chain) -> float:
    """Return the correlation length in cells, in the direction of the fewest; a median over sea."""
    coefficients = chain.smoothing.coefficients[..., chain.mesh.sea]
    steps = torch.tensor(OFFSETS, dtype=coefficients.dtype)
    tensor = -torch.einsum("tks,ki,kj->tsij", coefficients, steps, steps) / 2
    least = torch.linalg.eigvalsh(tensor)[..., 0]
    return LENGTH * float((least / coefficients.sum(1)).median().clamp_min(0).sqrt())


def _around(count: int, cells: int, ring: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the nodes before and after each of `count` places, and their weights, (2, count)."""
    nodes = torch.arange(0, count if ring else count - 1 + cells, cells)
    places = torch.arange(count)
    before = places // cells
    width = torch.where(before + 1 < len(nodes), cells, count - nodes[before])
    share = (places - nodes[before]).double() / width
    after = torch.where(share > 0, (before + 1) % len(nodes), before)
    return torch.stack([before, after]), torch.stack([1 - share, share])
