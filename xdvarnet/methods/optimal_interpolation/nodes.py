"""Nodes among the cells of a domain, and the weights with which their analyses are blended.

Each node has a local analysis of the cells around it. A cell takes the mean of the analyses of the
nodes around it (two in each direction), with weights that sum to one and change smoothly from cell
to cell: a partition of unity (Melenk and Babuska 1996, doi 10.1016/S0045-7825(96)01087-0). The
nodes are the first points of bins that are fixed in space and time, so that they do not depend on
where a domain begins, where a globe is cut, or which days are mapped together.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from xdvarnet.grids.units import EARTH_RADIUS

TIES = 9
"""Digits of the weights that decide which node is nearest."""

ROUNDING = 1e-6
"""Departure from the lower edge of a bin, relative to its width, that still counts as inside."""


@dataclass(frozen=True)
class Partition:
    """The nodes of one axis.

    Attributes
    ----------
    nodes : numpy.ndarray
        Positions of the nodes on the axis, in the order of the bins, shape (node,).
    weights : numpy.ndarray
        Weight of each node at each point, shape (point, node); the sum over the nodes is 1.
    """

    nodes: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, spacing: float, period: float | None = None) -> Self:
        """Choose nodes about `spacing` apart.

        Parameters
        ----------
        points : numpy.ndarray
            Coordinates along the axis, shape (point,).
        spacing : float
            Width of the bins, in the units of the points; a node reaches that far on either side.
        period : float, optional
            Of an axis that is a ring; the width is made to divide it.
        """
        if period is not None:
            spacing = period / max(1, np.ceil(period / spacing))
            points = points % period
        order = np.argsort(points, kind="stable")
        bins = np.floor(points[order] / spacing + ROUNDING)
        if period is not None:
            bins %= np.rint(period / spacing)
        nodes = order[np.unique(bins, return_index=True)[1]]
        distance = np.abs(points[:, None] - points[nodes])
        if period is not None:
            distance = np.minimum(distance, period - distance)
        near = np.clip(1 - distance / spacing, 0, None)
        near[nodes, np.arange(nodes.size)] = 1.0
        weights = near**2 * (3 - 2 * near)
        return cls(nodes, weights / weights.sum(1, keepdims=True))

    @property
    def nearest(self) -> np.ndarray:
        """Number of the node with the largest weight at each point, shape (point,)."""
        return self.weights.round(TIES).argmax(1)


@dataclass(frozen=True)
class Row:
    """The nodes of one latitude that have sea around them.

    Attributes
    ----------
    centres : numpy.ndarray
        Flat positions of the nodes among the cells of a map, shape (node,).
    cells : numpy.ndarray
        Flat positions of the sea cells around each node, shape (node, m); a node with fewer repeats
        its own.
    weights : numpy.ndarray
        Weights of the node at these cells, zero for repeated ones, shape (node, m).
    own : numpy.ndarray
        Flat positions of the sea cells that are nearest to each node, shape (node, k); a node with
        fewer repeats its own, and one without any has -1.
    """

    centres: np.ndarray
    cells: np.ndarray
    weights: np.ndarray
    own: np.ndarray

    def take(self, nodes: slice) -> "Row":
        """Return some of the nodes."""
        return Row(self.centres[nodes], self.cells[nodes], self.weights[nodes], self.own[nodes])


def rows_of_nodes(
    latitude: np.ndarray, longitude: np.ndarray, sea: np.ndarray, spacing: float
) -> list[Row]:
    """Place nodes about `spacing` km apart among the cells of a map.

    Each row has as many nodes as its latitude needs: one at a pole.

    Parameters
    ----------
    latitude, longitude : numpy.ndarray
        Degrees, shapes (latitude,) and (longitude,).
    sea : numpy.ndarray
        True on sea, shape (latitude, longitude).
    spacing : float
        In km.
    """
    degrees = 180 / np.ceil(np.pi * EARTH_RADIUS / spacing)  # so that both poles are nodes
    north = Partition.of(latitude + 90, degrees)
    poles = np.abs(latitude) > 90 - ROUNDING
    north.weights[poles] = np.eye(north.nodes.size)[north.nearest[poles]]
    rows = []
    for number, node in enumerate(north.nodes):
        widest = max(np.cos(np.deg2rad(latitude[node])), degrees / 360)
        east = Partition.of(longitude, degrees / widest, period=360.0)
        lines = np.flatnonzero(north.weights[:, number])
        column, other = np.nonzero(east.weights)
        line, pair = (index.ravel() for index in np.meshgrid(lines, np.arange(column.size)))
        wet = sea[line, column[pair]]
        if not wet.any():
            continue
        line, pair = line[wet], pair[wet]
        column, other = column[pair], other[pair]
        weight = north.weights[line, number] * east.weights[column, other]
        cell = np.ravel_multi_index((line, column), sea.shape)
        own = (north.nearest[line] == number) & (east.nearest[column] == other)
        first, index, repeated = _group(other)
        nodes = other[first]
        rows.append(
            Row(
                np.ravel_multi_index((np.full(nodes.size, node), east.nodes[nodes]), sea.shape),
                cell[index],
                np.where(repeated, 0.0, weight[index]),
                _own_cells(cell[index], own[index] & ~repeated),
            )
        )
    return rows


def _group(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group equal labels into rows of one length.

    Returns the position of one label of each group, shape (group,), the positions of all, shape
    (group, longest), where shorter groups repeat, and where they do.
    """
    order = np.argsort(labels, kind="stable")
    _, start, count = np.unique(labels[order], return_index=True, return_counts=True)
    place = np.arange(count.max())
    index = order[start[:, None] + place % count[:, None]]
    return order[start], index, place >= count[:, None]


def _own_cells(cells: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Take the own cells of each row, repeated to the largest number of them; -1 without any."""
    count = own.sum(1, keepdims=True)
    order = np.argsort(~own, axis=1, kind="stable")
    place = np.arange(max(count.max(), 1)) % np.maximum(count, 1)
    return np.where(
        count > 0, np.take_along_axis(cells, np.take_along_axis(order, place, 1), 1), -1
    )
