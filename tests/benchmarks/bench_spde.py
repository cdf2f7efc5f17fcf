"""Time the exact engine of the SPDE prior on a window, with and without the spatial filter.

The memory printed is the peak of a process of its own, with the libraries. Run
``OMP_NUM_THREADS=2 python tests/benchmarks/bench_spde.py``; with ``gradient`` after it, derivatives
of the log-determinant are timed too.
"""

import resource
import sys
from multiprocessing import get_context
from time import perf_counter, process_time

import torch

from xdvarnet.spde.engines import BlockCholesky
from xdvarnet.spde.precision import filtered, rows_first, space_time_precision

TIMES, NY, NX = 5, 100, 100
SPACING, DAY = 11e3, 1.0
LENGTH, RATE = 100e3, 1e9
SAMPLES = 200


def identity(size: int) -> torch.Tensor:
    """Return the sparse identity."""
    places = torch.arange(size).expand(2, -1)
    return torch.sparse_coo_tensor(places, torch.ones(size, dtype=torch.float64), (size, size))


def kron(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the Kronecker product of two sparse matrices."""
    one, other = one.coalesce(), other.coalesce()
    places = one.indices()[:, :, None] * len(other) + other.indices()[:, None]
    values = one.values()[:, None] * other.values()
    size = (len(one) * len(other),) * 2
    return torch.sparse_coo_tensor(places.flatten(1), values.flatten(), size)


def second_difference(size: int) -> torch.Tensor:
    """Return minus the second difference with closed ends, sparse."""
    step = torch.eye(size, dtype=torch.float64).diff(dim=0)
    return (step.T @ step).to_sparse()


def nine_points(ny: int, nx: int) -> torch.Tensor:
    """Return minus the Laplacian in units of the spacing, with weights on the corners too."""
    rows, columns = second_difference(ny), second_difference(nx)
    corners = kron(rows, columns) / 6
    return kron(rows, identity(nx)) + kron(identity(ny), columns) - corners


def precision(reach: int) -> torch.Tensor:
    """Return the precision of the window; it reaches 2 rows, or 4 with the filter."""
    area = torch.full((NY * NX,), SPACING**2, dtype=torch.float64)
    smoothing = nine_points(NY, NX) + identity(NY * NX) * (SPACING / LENGTH) ** 2
    found = space_time_precision([smoothing * RATE] * TIMES, area, DAY)
    return found if reach == 2 else filtered(found, [smoothing] * TIMES, area)


def peak() -> float:
    """Return the largest memory of this process up to now, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure(reach: int, gradient: bool) -> None:
    """Print seconds and memory of each operation."""
    print(f"{TIMES} x {NY} x {NX}, precision of {reach} rows; {peak():.2f} GB at the start")
    block_size = reach * TIMES * NX
    start = perf_counter(), process_time()

    def lap(what: str) -> None:
        nonlocal start
        seconds, processors = perf_counter() - start[0], process_time() - start[1]
        print(f"  {what:28} {seconds:6.2f} s ({processors:6.2f} s of processors), {peak():.2f} GB")
        start = perf_counter(), process_time()

    matrix = precision(reach).requires_grad_(gradient)
    lap(f"precision, {matrix._nnz() / 1e6:.1f} million entries")
    order = rows_first(TIMES, NY, NX)
    factor = BlockCholesky.factor(matrix, block_size, order=order)
    lap(f"factor, stated {factor.memory(len(matrix), block_size) / 1e9:.2f} GB")
    factor.sample(SAMPLES, torch.Generator().manual_seed(0))
    lap(f"{SAMPLES} samples")
    factor.variances()
    lap("variances")
    if gradient:
        factor.log_determinant().backward()
        lap("gradient")


def main() -> None:
    for reach in (2, 4):
        arguments = (reach, "gradient" in sys.argv)
        process = get_context("spawn").Process(target=measure, args=arguments)
        process.start()
        process.join()


if __name__ == "__main__":
    main()
