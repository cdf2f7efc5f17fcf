"""Time the exact engine of the SPDE prior on a window, with and without the spatial filter.

The memory printed is the peak of a process of its own, with the libraries. Run
``OMP_NUM_THREADS=2 python tests/benchmarks/bench_spde.py``; with ``gradient`` after it, derivatives
of the log-determinant are timed too. The cost of both engines against the size of the domain is
that of ``docs/recipes/spde_cost.py``.
"""

import resource
import sys
from multiprocessing import get_context
from time import perf_counter, process_time

import torch

from xdvarnet.spde.chain import REACH, REACH_OF_START, matern_chain
from xdvarnet.spde.cost import factor_memory
from xdvarnet.spde.dissection import count_fill, dissect
from xdvarnet.spde.engines import SparseCholesky
from xdvarnet.spde.mesh import Mesh
from xdvarnet.spde.precision import space_time_precision

TIMES, NY, NX = 5, 100, 100
SPACING = 11e3
SAMPLES = 200


def precision(filtered: bool) -> torch.Tensor:
    """Return the precision of the window, of the field or of what is filtered."""
    mesh = Mesh.from_metres(SPACING * torch.arange(NY), SPACING * torch.arange(NX))
    chain = matern_chain(mesh, TIMES, length=100e3, time=10.0, std=0.05)
    if filtered:
        return chain.precision()
    step = chain.steps.coefficients[0]
    return space_time_precision([type(chain.steps)(step).to_sparse()] * TIMES, mesh.area, chain.dt)


def peak() -> float:
    """Return the largest memory of this process up to now, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure(filtered: bool, gradient: bool) -> None:
    """Print seconds and memory of each operation."""
    reach = REACH if filtered else REACH_OF_START
    print(f"{TIMES} x {NY} x {NX}, precision of {reach} rows; {peak():.2f} GB at the start")
    shape = TIMES, NY, NX, reach
    start = perf_counter(), process_time()

    def lap(what: str) -> None:
        nonlocal start
        seconds, processors = perf_counter() - start[0], process_time() - start[1]
        print(f"  {what:28} {seconds:6.2f} s ({processors:6.2f} s of processors), {peak():.2f} GB")
        start = perf_counter(), process_time()

    matrix = precision(filtered).requires_grad_(gradient)
    lap(f"precision, {matrix._nnz() / 1e6:.1f} million entries")
    factor = SparseCholesky.factor(matrix, dissect(*shape))
    lap(f"factor, stated {factor_memory(count_fill(*shape)) / 1e9:.2f} GB")
    factor.sample(SAMPLES, torch.Generator().manual_seed(0))
    lap(f"{SAMPLES} samples")
    factor.variances()
    lap("variances")
    if gradient:
        factor.log_determinant().backward()
        lap("gradient")


def main() -> None:
    for filtered in (False, True):
        arguments = (filtered, "gradient" in sys.argv)
        process = get_context("spawn").Process(target=measure, args=arguments)
        process.start()
        process.join()


if __name__ == "__main__":
    main()
