"""What a field takes before any of it is allocated: bytes, and floating-point operations."""

import math
import time
from dataclasses import dataclass

import torch

from xdvarnet.spde.chain import REACH, REACH_OF_START
from xdvarnet.spde.engines import BlockCholesky, check_memory, usable_memory
from xdvarnet.spde.iterative import CHUNK, LEAST_DRAWS
from xdvarnet.spde.precision import narrow_block_size

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

COPIES_OF_WEIGHTS = 8
"""Numbers for each observation and field in the iterations."""

FACTOR_AND_VARIANCES = 13
"""Operations of a factor and all variances, for each cell of a block and block of the factor."""

ITERATIONS = 50
"""Usual iterations for the mean and 100 draws or more; 30 to 60 were counted."""


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
        return Cost(
            max(kept + self.marching_memory(fields), normalized.memory),
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
        cells, side = self.rows * self.columns, self._side
        size = narrow_block_size(REACH_OF_START, 1, self.rows, self.columns, ring=self.ring)
        pivots = 2 * self.operators * cells * side
        at_once = min(fields * self.unknowns, max(CHUNK, self.unknowns))
        return BlockCholesky.memory(cells, size) + NUMBER * (pivots + COPIES_MARCHED * at_once)

    @property
    def _marching_operations(self) -> float:
        """Of a field: at each time two solutions, of two products with each pivot."""
        return 8 * self._side * self.unknowns

    @property
    def _side(self) -> int:
        """Length of the rows, or of the columns, that are solved one after the other."""
        return self.columns if self.ring else min(self.rows, self.columns)

    def _factor(self, times: int) -> Cost:
        shape = times, self.rows, self.columns
        size = narrow_block_size(REACH, *shape, ring=self.ring)
        blocks = -(-math.prod(shape) // size)
        return Cost(exact_memory(*shape, ring=self.ring), FACTOR_AND_VARIANCES * blocks * size**3)


def exact_memory(times: int, ny: int, nx: int, *, ring: bool = False) -> int:
    """Bytes that the precision and its factor take on a grid of this size."""
    unknowns, size = times * ny * nx, narrow_block_size(REACH, times, ny, nx, ring=ring)
    return BlockCholesky.memory(unknowns, size) + unknowns * PATTERN * ENTRY


def check_exact_memory(
    times: int, ny: int, nx: int, device: torch.device = CPU, *, ring: bool = False
) -> None:
    """Raise if the exact factor of a field does not fit into half the memory of the machine.

    Raises
    ------
    InvalidInputError
        With what it takes and what there is.
    """
    size = narrow_block_size(REACH, times, ny, nx, ring=ring)
    needed = exact_memory(times, ny, nx, ring=ring)
    check_memory(times * ny * nx, size, needed, usable_memory(device))


def memory_limit(allowed: float | None) -> float:
    """Return the bytes that may be taken: `allowed`, and at most half the memory of the machine."""
    usable = usable_memory(CPU)
    return usable if allowed is None else min(allowed, usable)
