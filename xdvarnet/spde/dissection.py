"""Nested dissection of a grid: an order of its cells in which elimination fills in little.

A separator cuts the grid into two parts that are not coupled; each part is cut again, until it is
small. Parts come first in the order and separators last, so that a cell is coupled, by elimination,
only to its own part and to the separators around it.

References
----------
George, A. (1973), Nested dissection of a regular finite element mesh, SIAM Journal on Numerical
Analysis 10, 345-363; Liu, J. W. H. (1992), The multifrontal method for sparse matrix solution,
SIAM Review 34, 82-109.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache

import torch

from xdvarnet.errors import InvalidInputError

SMALL = 6
"""Rows and columns of a part that is not cut, at most; or twice the reach."""


@dataclass(frozen=True)
class Part:
    """A rectangle of cells of a grid.

    Attributes
    ----------
    south, north, west, east : int
        First row, first row beyond it, and the same of the columns.
    """

    south: int
    north: int
    west: int
    east: int

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self.north - self.south, self.east - self.west

    def cut(self, reach: int, around: bool) -> tuple["Part", list["Part"]]:
        """Return what is eliminated last and the parts that it separates, none of a small part.

        Parameters
        ----------
        reach : int
            Rows and columns over which cells are coupled.
        around : bool
            Whether the first column is beside the last one, so that a first cut opens a ring.
        """
        (rows, columns), small = self.shape, max(SMALL, 2 * reach)
        if around and columns > small:
            first = self.west + reach
            return self._columns(self.west, first), [self._columns(first, self.east)]
        if max(rows, columns) <= small:
            return self, []
        if rows >= columns:
            first = self.south + (rows - reach) // 2
            last = first + reach
            sides = [self._rows(self.south, first), self._rows(last, self.north)]
            return self._rows(first, last), sides
        first = self.west + (columns - reach) // 2
        last = first + reach
        sides = [self._columns(self.west, first), self._columns(last, self.east)]
        return self._columns(first, last), sides

    def cells(self, width: int) -> torch.Tensor:
        """Return the numbers of its cells on a grid so wide, one line across after the other."""
        rows, columns = torch.arange(self.south, self.north), torch.arange(self.west, self.east)
        numbers = rows[:, None] * width + columns
        return (numbers if len(rows) >= len(columns) else numbers.T).flatten()

    def frame(self, reach: int, shape: tuple[int, int], ring: bool) -> torch.Tensor:
        """Return the numbers of the cells around it, on a grid of this shape."""
        rows = torch.arange(max(self.south - reach, 0), min(self.north + reach, shape[0]))
        columns = torch.arange(self.west - reach, self.east + reach)
        inside = (columns >= 0) & (columns < shape[1])
        columns = (columns % shape[1]).unique() if ring else columns[inside]
        here = ((rows >= self.south) & (rows < self.north))[:, None]
        here = here & (columns >= self.west) & (columns < self.east)
        return (rows[:, None] * shape[1] + columns)[~here]

    def _rows(self, south: int, north: int) -> "Part":
        return Part(south, north, self.west, self.east)

    def _columns(self, west: int, east: int) -> "Part":
        return Part(self.south, self.north, west, east)


Runs = Sequence[tuple[slice, slice]]
"""Consecutive places of a border, and where they are in the front of the parent."""


@dataclass(frozen=True, eq=False)
class Front:
    """Unknowns that are eliminated together, and those which that couples.

    Attributes
    ----------
    start, stop : int
        Places of its own unknowns in the order.
    border : torch.Tensor
        Places of the later unknowns that they are coupled to, increasing.
    depth : int
        Number of cuts that lead here.
    children : tuple of int
        Numbers of the fronts whose parent it is.
    parent : int
        Number of the front that takes over its border; -1 of the last.
    places : torch.Tensor
        Of the border, in the front of the parent: its own unknowns and then its border.
    """

    start: int
    stop: int
    border: torch.Tensor
    depth: int
    children: tuple[int, ...]
    parent: int
    places: torch.Tensor

    @property
    def own(self) -> int:
        """Number of its own unknowns."""
        return self.stop - self.start

    @property
    def size(self) -> int:
        """Rows of its matrix: those of its own unknowns and of its border."""
        return self.own + len(self.border)

    @cached_property
    def runs(self) -> Runs:
        """The places, where one follows the other as slices."""
        breaks = (self.places.diff() != 1).nonzero().flatten() + 1
        ends = [0, *breaks.tolist(), len(self.places)] if len(self.places) else [0]
        firsts = self.places[ends[:-1]].tolist()
        return [
            (slice(start, stop), slice(first, first + stop - start))
            for start, stop, first in zip(ends[:-1], ends[1:], firsts, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class Dissection:
    """The fronts of a grid, in an order in which each comes before its parent.

    Attributes
    ----------
    order : torch.Tensor
        Number of the unknown at each place; unknowns are numbered as (time, row, column), and those
        of a cell follow each other here.
    fronts : tuple of Front
        From the deepest ones, of equal sizes one after the other, to the last.
    depth_first : tuple of int
        The fronts in another order, where what is below a front comes immediately before it.
    """

    order: torch.Tensor
    fronts: tuple[Front, ...]
    depth_first: tuple[int, ...]

    def to(self, device: torch.device) -> "Dissection":
        """Return it on a device."""
        if self.order.device == device:
            return self
        fronts = [
            replace(front, border=front.border.to(device), places=front.places.to(device))
            for front in self.fronts
        ]
        return Dissection(self.order.to(device), tuple(fronts), self.depth_first)

    def locate(
        self, indices: torch.Tensor
    ) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Find the entries of a matrix in those of the fronts.

        Parameters
        ----------
        indices : torch.Tensor
            Numbers of the two unknowns of each entry, shape (2, entries).

        Returns
        -------
        list of tuple of torch.Tensor
            For each front the numbers of the entries that it takes, which are those of its own
            unknowns and later ones, and their rows and columns in it.

        Raises
        ------
        InvalidInputError
            If an entry couples unknowns that are separated.
        """
        order = self.order
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order), device=order.device)
        ranks = rank[indices]
        sizes = torch.tensor([front.own for front in self.fronts], device=order.device)
        fronts = torch.arange(len(sizes), dtype=torch.int32, device=order.device)
        front_of = fronts.repeat_interleave(sizes)[torch.minimum(*ranks)]
        groups = front_of.argsort().split(front_of.bincount(minlength=len(sizes)).tolist())
        place = torch.full_like(order, -1)
        found = []
        for front, numbers in zip(self.fronts, groups, strict=True):
            place[front.start : front.stop] = torch.arange(front.own, device=order.device)
            place[front.border] = torch.arange(front.own, front.size, device=order.device)
            rows, columns = place[ranks[:, numbers]]
            place[front.start : front.stop] = place[front.border] = -1
            apart = torch.minimum(rows, columns) < 0
            if apart.any():
                first, second = indices[:, numbers[apart][0]].tolist()
                raise InvalidInputError(
                    f"unknowns {first} and {second} are coupled, and the dissection separates "
                    "them; dissect the grid for a larger reach."
                )
            found.append((numbers, rows, columns))
        return found

    @property
    def largest(self) -> int:
        """Size of the matrix of the largest front."""
        return max(front.size**2 for front in self.fronts)

    @cached_property
    def height(self) -> int:
        """Size of all matrices that wait for a parent at one time."""
        sizes = [len(front.border) ** 2 for front in self.fronts]
        height = top = 0
        for k in self.depth_first:
            top += sizes[k] - sum(sizes[child] for child in self.fronts[k].children)
            height = max(height, top)
        return height

    def groups(self) -> Iterator[tuple[Front, ...]]:
        """Yield the fronts of one depth and of equal sizes together."""
        kinds = [(front.depth, front.own, len(front.border)) for front in self.fronts]
        start = 0
        for stop in range(1, len(kinds) + 1):
            if stop == len(kinds) or kinds[stop] != kinds[start]:
                yield self.fronts[start:stop]
                start = stop


@lru_cache(maxsize=16)
def dissect(times: int, ny: int, nx: int, reach: int, ring: bool = False) -> Dissection:
    """Dissect a grid, with all times of a cell together.

    Parameters
    ----------
    times, ny, nx : int
        Sizes of the grid.
    reach : int
        Rows and columns over which cells are coupled.
    ring : bool
        Whether the last column is beside the first.
    """
    parts = [(Part(0, ny, 0, nx), 0, -1)]
    owns: list[Part] = []
    waiting = [0]
    visited: list[int] = []
    children: dict[int, range] = {}
    while waiting:
        number = waiting.pop()
        part, depth, _ = parts[number]
        visited.append(number)
        own, sides = part.cut(reach, ring and number == 0)
        owns.append(own)
        children[number] = range(len(parts), len(parts) + len(sides))
        waiting += children[number]
        parts += [(side, depth + 1, number) for side in sides]
    frames = [part.frame(reach, (ny, nx), ring) for part, _, _ in parts]
    owned = dict(zip(visited, owns, strict=True))
    kinds = {
        k: (-parts[k][1], owned[k].shape[0] * owned[k].shape[1], len(frames[k])) for k in owned
    }
    sequence = sorted(owned, key=kinds.__getitem__)
    number_of = {k: place for place, k in enumerate(sequence)} | {-1: -1}
    cells = torch.cat([owned[k].cells(nx) for k in sequence])
    rank = torch.empty_like(cells)
    rank[cells] = torch.arange(len(cells))
    steps = torch.arange(times)

    def unknowns(places: torch.Tensor) -> torch.Tensor:
        return (places[:, None] * times + steps).flatten()

    fronts: list[Front] = []
    starts = [0]
    borders = [rank[frames[k]].sort().values for k in sequence]
    for k in sequence:
        starts.append(starts[-1] + kinds[k][1])
    for place, k in enumerate(sequence):
        _, depth, parent = parts[k]
        above = number_of[parent]
        inside = borders[place][:0]
        if above >= 0:
            of_parent = torch.cat([torch.arange(starts[above], starts[above + 1]), borders[above]])
            inside = torch.searchsorted(of_parent, borders[place])
        fronts.append(
            Front(
                times * starts[place],
                times * starts[place + 1],
                unknowns(borders[place]),
                depth,
                tuple(number_of[child] for child in children[k]),
                above,
                unknowns(inside),
            )
        )
    order = (cells[:, None] + len(cells) * steps).flatten()
    return Dissection(order, tuple(fronts), tuple(number_of[k] for k in reversed(visited)))


@dataclass(frozen=True)
class Fill:
    """What a factor along a dissection takes, as numbers.

    Attributes
    ----------
    border : int
        Unknowns around all of it.
    pivots, borders : int
        Sizes of the blocks of own unknowns, and of those of own unknowns and borders.
    operations : int
        Floating-point operations of a Cholesky factor.
    height, largest : int
        As those of `Dissection`.
    """

    border: int
    pivots: int
    borders: int
    operations: int
    height: int
    largest: int


@lru_cache(maxsize=64)
def count_fill(times: int, ny: int, nx: int, reach: int, ring: bool = False) -> Fill:
    """Count what `dissect` makes, without making it."""

    @cache
    def count(rows: int, columns: int, sides: tuple[bool, bool, bool, bool]) -> Fill:
        separator, parts = Part(0, rows, 0, columns).cut(reach, ring and not any(sides))
        south, north, west, east = (reach * side for side in sides)
        own = times * separator.shape[0] * separator.shape[1]
        border = times * ((rows + south + north) * (columns + west + east) - rows * columns)
        opened = len(parts) == 1
        fills = [
            count(
                *part.shape,
                (
                    sides[0] or part.south > 0,
                    sides[1] or part.north < rows,
                    sides[2] or part.west > 0,
                    sides[3] or part.east < columns or opened,
                ),
            )
            for part in parts
        ]
        height = waiting = 0
        for fill in fills:
            height = max(height, waiting + fill.height)
            waiting += fill.border**2
        return Fill(
            border,
            own**2 + sum(fill.pivots for fill in fills),
            own * border + sum(fill.borders for fill in fills),
            own**3 // 3 + own * border * (own + border) + sum(fill.operations for fill in fills),
            max(height, border**2),
            max([(own + border) ** 2, *(fill.largest for fill in fills)]),
        )

    return count(ny, nx, (False, False, False, False))
