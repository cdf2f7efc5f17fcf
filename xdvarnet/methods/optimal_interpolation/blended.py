"""The analysis of a whole domain: local ones at nodes, blended without seams."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import psutil
import torch
from scipy.spatial import KDTree

from xdvarnet._progress import count_up
from xdvarnet.errors import InvalidInputError
from xdvarnet.methods.optimal_interpolation.covariance import Correlation
from xdvarnet.methods.optimal_interpolation.local import LocalAnalysis, Sample, working_type
from xdvarnet.methods.optimal_interpolation.nodes import Partition, Row
from xdvarnet.methods.optimal_interpolation.scaling import Scaled

BATCH_BYTES = 2**23
"""Memory of the matrices of the nodes solved together; larger allocations are slower to get."""

EDGE = 0.9
"""Share of the distance to the farthest neighbour from which on errors are taken as larger."""

LEAST_WEIGHT = 1e-6
"""Weight of the farthest neighbour."""

TINY = 1e-12
"""A distance that is added where it could be zero."""


@dataclass(frozen=True)
class BlendedAnalysis:
    """What all local analyses of a domain have in common.

    Attributes
    ----------
    scaled : Scaled
        Observations, cells and days in units of the covariance.
    rows : list of Row
        The nodes in space.
    partition : Partition
        The nodes in time.
    correlation : callable
        One of `CORRELATIONS`.
    neighbours : int
        Largest number of observations of a local analysis: the nearest of the node.
    half_window : float
        Largest scaled time from a node to its observations.
    """

    scaled: Scaled
    rows: list[Row]
    partition: Partition
    correlation: Correlation
    neighbours: int
    half_window: float

    def solve(self, wanted: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and error variance of the wanted days, relative to the prior.

        Both have the shape (day, cell) of all days; other days and land are unfinished.

        Raises
        ------
        InvalidInputError
            If a local analysis does not fit into memory.
        """
        mean = torch.zeros(len(self.scaled.times), len(self.scaled.cells), dtype=torch.float64)
        mean = mean.to(self.scaled.cells.device)
        variance = torch.ones_like(mean)
        times = self._times(wanted)
        with count_up("node", len(times) * sum(len(row.centres) for row in self.rows)) as count:
            for number, near in times:
                reached = np.flatnonzero(self.partition.weights[:, number])
                days = slice(int(reached[0]), int(reached[-1]) + 1)
                time = float(self.scaled.times[self.partition.nodes[number]])
                weights = self._tensor(self.partition.weights[days, number])[:, None]
                lags = self.scaled.times[days] - time
                analyse = partial(self._analyse, weights=weights, lags=lags)
                problems = self._local_problems(near, time, len(lags))
                for row, part, reduction in one_core_each(analyse, problems):
                    place = self._tensor(row.cells).flatten()
                    mean[days].index_add_(1, place, part.transpose(0, 1).flatten(1))  # in place
                    has_own = self._tensor(row.own[:, 0] >= 0)
                    place = self._tensor(row.own)[has_own].flatten()
                    fall = reduction[has_own].transpose(0, 1).flatten(1)
                    variance[days][:, place] -= fall
                    count(len(part))
        return mean.cpu().numpy(), variance.clamp_(min=0).cpu().numpy()

    def _analyse(
        self,
        problem: tuple[Row, torch.Tensor, Sample],
        *,
        weights: torch.Tensor,
        lags: torch.Tensor,
    ) -> tuple[Row, torch.Tensor, torch.Tensor]:
        """Solve the local problem of some nodes; mean and fall of the variance are weighted."""
        row, centres, local = problem
        analysis = LocalAnalysis(local, self.correlation)
        blended = weights * self._tensor(row.weights)[:, None]
        found = analysis.mean(self.scaled.cells[row.cells] - centres, lags).double()
        reduction = analysis.reduction(self.scaled.cells[row.own] - centres, lags).double()
        return row, blended * found, weights * reduction

    def _times(self, wanted: slice) -> list[tuple[int, slice]]:
        """Return the nodes in time that the wanted days need, and what is observed around each."""
        observed = self.scaled.sample.time.cpu().numpy()
        times = self.scaled.times.cpu().numpy()[self.partition.nodes]
        first = np.searchsorted(observed, times - self.half_window)
        last = np.searchsorted(observed, times + self.half_window)
        needed = (self.partition.weights[wanted] > 0).any(0) & (last > first)
        return [(n, slice(int(first[n]), int(last[n]))) for n in np.flatnonzero(needed).tolist()]

    def _local_problems(
        self, near: slice, time: float, days: int
    ) -> Iterator[tuple[Row, torch.Tensor, Sample]]:
        """Batches of the nodes of one time, which have some observations `near` them.

        Yields the nodes, their positions, shape (node, 1, 3), and their observations.
        """
        place, lag = self.scaled.sample.place[near], self.scaled.sample.time[near] - time
        tree = KDTree(torch.cat([place, lag[:, None]], 1).cpu().numpy())
        number = min(self.neighbours, len(place))
        dtype = working_type(self.scaled.sample, number)
        for row in self.rows:
            centres = self.scaled.cells[row.centres].cpu().numpy()
            centres = np.pad(centres, ((0, 0), (0, 1)))
            distance, nearest = tree.query(centres, k=np.arange(1, number + 1), workers=-1)
            inflation = np.ones_like(distance) if number == len(place) else _inflation(distance)
            for nodes in self._batches(row, number, days, dtype):
                centre = self.scaled.cells[row.centres[nodes], None]
                index = self._tensor(nearest[nodes] + near.start)
                inflated = self._tensor(inflation[nodes])
                local = self.scaled.sample.around(index, centre, time, inflated, dtype)
                yield row.take(nodes), centre, local

    def _batches(self, row: Row, number: int, days: int, dtype: torch.dtype) -> Iterator[slice]:
        """Cut the nodes of a row into parts whose matrices have the size of `BATCH_BYTES`."""
        columns = 2 * number + row.cells.shape[1] + days * row.own.shape[1]
        node = number * columns * dtype.itemsize
        free = psutil.virtual_memory().available
        if 2 * node > free:
            raise InvalidInputError(
                f"a local analysis with {number} observations needs about {2 * node / 1e9:.3g} GB, "
                f"and {free / 1e9:.3g} GB of memory are free; give fewer neighbours, such as "
                "neighbours=300, which is close to the analysis with all."
            )
        step = max(1, BATCH_BYTES // node)
        for first in range(0, len(row.centres), step):
            yield slice(first, first + step)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.scaled.cells.device)


def one_core_each[T, R](function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Apply a function to items, each on one core, in threads; results in the order of the items.

    Small matrices are not worth the threads of torch, which wait for each other: on a busy machine
    two of them took ten times as long as one.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        torch.set_num_threads(1)
        try:
            yield from pool.map(function, items)
        finally:
            torch.set_num_threads(threads)


def _inflation(distance: np.ndarray) -> np.ndarray:
    """Factor on the error variances of neighbours: smoothly from 1 to beyond all bounds.

    So an observation that enters or leaves the neighbours changes nothing (Hunt et al. 2007, doi
    10.1016/j.physd.2006.11.008, section 3.3).
    """
    near = np.clip((distance[:, -1:] - distance) / ((1 - EDGE) * distance[:, -1:] + TINY), 0, 1)
    return 1 / np.maximum(near**2 * (3 - 2 * near), LEAST_WEIGHT)
