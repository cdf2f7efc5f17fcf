"""What a field takes before any of it is allocated: bytes, and floating-point operations."""

import math
import time
from dataclasses import dataclass

import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.chain import REACH, REACH_OF_START
from xdvarnet.spde.dissection import Fill, count_fill
from xdvarnet.spde.engines import usable_memory
from xdvarnet.spde.iterative import CHUNK, LEAST_DRAWS

PATTERN = 3 * (2 * REACH + 1) ** 2
"""Most entries in a row of the precision: three times, and the cells that it reaches."""

CPU = torch.device("cpu")

NUMBER = 8
"""Bytes of a number."""

ENTRY = 100
"""Bytes that an entry takes while the precision is assembled, with all copies."""

COPIES_OF_DRAWS = 4
"""Of the draws of an exact factor: noise, blocks, fields and those about the mean."""

COPIES_MARCHED = 6
"""Of the fields that are marched at once."""

COPIES_OF_FRONT = 4
"""Of the largest front: itself, its columns, and what is divided."""

SLOWNESS = 3
"""Time of an operation on small blocks over that of one in a product of large matrices."""

COPIES_OF_WEIGHTS = 12
"""Numbers for each observation and field in the iterations."""

FACTOR_AND_VARIANCES = 4
"""Operations of a factor and all variances over those of the factor."""

ITERATIONS = 15
"""Usual ones for the mean and 100 draws or more, with what is solved on a coarse grid; 5 to 10 were
counted where that preconditions, and up to 60 for fields that only a fine grid resolves."""

COARSE_MEMORY = 1.5e9
"""Most bytes of the factor of a coarse grid that preconditions, while it is made."""

COARSE_KEPT = 0.5
"""Share of these that the factor takes once it is made."""

PROBE = 800
"""Rows of the matrices that are multiplied to see how fast a machine is."""


@dataclass(frozen=True)
class Cost:
    """What a computation takes.

    Attributes
    ----------
    memory : float
        Bytes at its peak.
    operations : float
        Floating-point operations.
    """

    memory: float
    operations: float

    def seconds(self) -> float:
        """Return the time that so many operations take here, as a product of matrices tells it."""
        matrix = torch.ones(PROBE, PROBE, dtype=torch.float64)
        start = time.perf_counter()
        _ = matrix @ matrix
        return self.operations * (time.perf_counter() - start) / (2 * PROBE**3)


@dataclass(frozen=True)
class FieldSize:
    """Sizes of a field with its margin, and what is computed with it.

    Attributes
    ----------
    times, rows, columns : int
        Of the grid.
    operators : int
        Number of times whose operators differ: 1 if they do not change.
    stationary : bool
        Whether the covariance is the same at all times, and nothing propagates.
    ring : bool
        Whether the columns go around the globe.
    """

    times: int
    rows: int
    columns: int
    operators: int = 1
    stationary: bool = True
    ring: bool = False

    @property
    def unknowns(self) -> int:
        """Number of times and cells."""
        return self.times * self.rows * self.columns

    @property
    def one_time(self) -> Cost:
        """Of the exact factor of one time and its variances, with which fields are normalized."""
        return self._factor(1)

    def exact(self, members: int) -> Cost:
        """Of a posterior by the exact engine, with so many members."""
        factor = self._factor(self.times)
        factors = 1 if self.stationary else 2  # one after the other
        draws = COPIES_OF_DRAWS * NUMBER * members * self.unknowns
        return Cost(factor.memory + draws, factors * factor.operations)

    def iterative(self, members: int, observations: int) -> Cost:
        """Of a posterior by the iterative engine, with so many members and observations."""
        fields = 1 + max(members, LEAST_DRAWS)
        kept = NUMBER * fields * (self.unknowns + COPIES_OF_WEIGHTS * observations)
        normalized = self.one_time
        half = (self.rows // 2 + 2, self.columns // 2 + 2)
        coarse = min(exact_memory(self.times, *half, ring=self.ring), COARSE_MEMORY)
        made = coarse + self.marching_memory(0)
        used = COARSE_KEPT * coarse + self.marching_memory(fields)
        return Cost(
            max(kept + max(made, used), normalized.memory),
            2 * ITERATIONS * fields * self._marching_operations
            + self.operators * normalized.operations,
        )

    def samples(self, members: int, *, exact: bool) -> Cost:
        """Of members of the prior, normalized exactly or as the stationary field of each time."""
        whole = exact and not self.stationary
        normalized = self._factor(self.times if whole else 1)
        returned = NUMBER * members * self.unknowns  # in float32, as parts and as a whole
        return Cost(
            max(returned + self.marching_memory(members), normalized.memory),
            members * self._marching_operations
            + (1 if whole else self.operators) * normalized.operations,
        )

    def marching_memory(self, fields: int) -> float:
        """Bytes of the factors of `Chain.colour`, and of the fields that are marched at once."""
        start, step = (
            count_fill(1, self.rows, self.columns, reach, self.ring)
            for reach in (REACH_OF_START, 1)
        )
        factors = 2 * self.operators * (step.pivots + 2 * step.borders)
        at_once = min(fields * self.unknowns, max(CHUNK, self.unknowns))
        return factor_memory(start) + NUMBER * (factors + COPIES_MARCHED * at_once)

    @property
    def _marching_operations(self) -> float:
        """Of a field: at each time two solutions, of a product with each block."""
        step = count_fill(1, self.rows, self.columns, 1, self.ring)
        return SLOWNESS * 4 * self.times * (step.pivots + 2 * step.borders)

    def _factor(self, times: int) -> Cost:
        shape = times, self.rows, self.columns
        operations = FACTOR_AND_VARIANCES * count_fill(*shape, REACH, self.ring).operations
        return Cost(exact_memory(*shape, ring=self.ring), operations)


def exact_memory(times: int, ny: int, nx: int, *, ring: bool = False) -> int:
    """Bytes that the precision and its factor take on a grid of this size."""
    fill = count_fill(times, ny, nx, REACH, ring)
    return factor_memory(fill) + times * ny * nx * PATTERN * ENTRY


def factor_memory(fill: Fill) -> int:
    """Bytes of a Cholesky factor, with the fronts that are worked on and those that wait."""
    return NUMBER * (fill.pivots + fill.borders + fill.height + COPIES_OF_FRONT * fill.largest)


def check_exact_memory(
    times: int, ny: int, nx: int, device: torch.device = CPU, *, ring: bool = False
) -> None:
    """Raise if the exact factor of a field does not fit into half the memory of the machine.

    Raises
    ------
    InvalidInputError
        With what it takes and what there is.
    """
    needed, limit = exact_memory(times, ny, nx, ring=ring), usable_memory(device)
    if needed > limit:
        raise InvalidInputError(
            f"the exact factor of {times} x {ny} x {nx} unknowns takes {needed / 1e9:.3g} GB, and "
            f"the limit is {limit / 1e9:.3g} GB; use the iterative engine "
            '(engine="iterative"), or a smaller or coarser domain.'
        )


def memory_limit(allowed: float | None) -> float:
    """Return the bytes that may be taken: `allowed`, and at most half the memory of the machine."""
    usable = usable_memory(CPU)
    return usable if allowed is None else min(allowed, usable)


def choose_coarsening(
    times: int, shape: tuple[int, int], cells: float, ring: bool = False
) -> int | None:
    """Return the rows and columns between the nodes of a coarse grid, or None if none is worth it.

    Three nodes in a correlation length make a good preconditioner, and two a fair one.

    Parameters
    ----------
    times : int
        Number of times.
    shape : tuple of int
        Rows and columns of the fine grid.
    cells : float
        Its cells in a correlation length.
    ring : bool
        Whether the columns close.
    """
    for spacing in range(max(int(cells / 3), 2), int(cells / 2) + 1):
        rows, columns = (math.ceil(size / spacing) + 1 for size in shape)
        if exact_memory(times, rows, columns, ring=ring) <= COARSE_MEMORY:
            return spacing
    return None
