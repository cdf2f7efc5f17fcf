"""Measure what the graph of a solver and the pool of draws cost a training.

Usage: OMP_NUM_THREADS=1 python docs/recipes/training_memory.py [graph] [pool]

``graph``: one step of ``ssh-twin`` and ``med-ssh`` with 8 random windows, by the graph of the
solver and the precision: processor seconds of the fastest of five steps, taken in turn, and the
peak of the tensors that are alive. ``pool``: the memory of a process (what is its own, and all that
is resident) at the last draw of a training of 13 epochs, on half a year of 200 x 200 cells, with a
first guess that has no spread, for pools of 1, 4 and 12 draws; each is a process of its own.
"""

import itertools
import sys
from multiprocessing import get_context
from pathlib import Path
from time import process_time

import numpy as np
import psutil
import torch
import xarray as xr
from network_compile import inputs, network
from scipy.ndimage import gaussian_filter

import xdvarnet
from xdvarnet.solver.variational import VariationalSolver
from xdvarnet.training.loop import autocast

sys.path.append(str(Path(__file__).parents[2] / "tests" / "benchmarks"))
from tensors import PeakMemory  # noqa: E402

BATCH, REPEATS = 8, 5
DAYS, CELLS, POOLS = 182, 200, (1, 4, 12)


def step(solver: VariationalSolver, given: tuple, graph: str, precision: str) -> None:
    """Take the derivatives of a function of the analyses."""
    solver.graph = graph
    solver.zero_grad()
    with autocast("cpu", precision):
        loss = solver(*given).square().mean()
    loss.backward()


def measure_graph(name: str, iterations: int) -> None:
    """Print time and memory of both graphs in both precisions."""
    model = network(name)
    solver = model.solver
    assert isinstance(solver, VariationalSolver)
    solver.iterations = iterations
    given = inputs(model, BATCH)
    ways = list(itertools.product(("unrolled", "checkpointed"), ("float32", "bfloat16")))
    peaks, seconds = {}, {way: [] for way in ways}
    for way in ways:
        with PeakMemory() as memory:
            step(solver, given, *way)
        peaks[way] = memory.peak
    for _ in range(REPEATS):
        for way in ways:
            start = process_time()
            step(solver, given, *way)
            seconds[way].append(process_time() - start)
    least = {way: min(times) for way, times in seconds.items()}
    for way in ways:
        print(
            f"{name}, {iterations} iterations, {', '.join(way)}: {least[way]:.2f} s "
            f"({least[way] / least[ways[0]]:.2f}), {peaks[way] / 1e6:.0f} MB "
            f"({peaks[way] / peaks[ways[0]]:.2f})",
            flush=True,
        )


def sea(days: int, seed: int) -> xr.Dataset:
    """Return smooth random heights."""
    rng = np.random.default_rng(seed)
    field = rng.standard_normal((days, CELLS, CELLS), dtype=np.float32)
    field = gaussian_filter(field, (2, 3, 3), mode="wrap")
    time = np.datetime64("2020-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
    axes = {"time": time, "lat": 30 + 0.1 * np.arange(CELLS), "lon": -60 + 0.1 * np.arange(CELLS)}
    return xr.Dataset({"ssh": (tuple(axes), field / field.std() / 10, {"units": "m"})}, axes)


def measure_pool(pool: int) -> None:
    """Print the memory of a training."""
    torch.set_num_threads(1)
    truth, days = sea(DAYS, 0), 5
    guess = xdvarnet.methods.MeanMapOffset(truth)
    context = xdvarnet.DVarNet.context_channels(days, guess)
    solver = xdvarnet.solver.VariationalSolver(
        xdvarnet.solver.BilinearAutoencoder(days, hidden=4),
        xdvarnet.solver.MaskedObservation(),
        xdvarnet.solver.ConvLSTMStep(days, hidden=4, context=context, downscale=2),
        iterations=1,
    )
    window = xdvarnet.mapping.Window(days, 64, 64)
    model = xdvarnet.DVarNet(solver, variables={"ssh": "m"}, window=window, first_guess=guess)
    found = {}

    def watch(number: int) -> None:
        memory = psutil.Process().memory_full_info()
        found[number] = memory.uss, memory.rss

    class Watched(xdvarnet.ObservingSystem):
        def observe(self, *arguments, **options):  # type: ignore[no-untyped-def]
            watch(len(found))
            return super().observe(*arguments, **options)

    system = Watched(["jason3", "sentinel3a"], noise=0.02)
    schedule = xdvarnet.Schedule(epochs=13, steps_per_epoch=2, batch_size=2, pool=pool)
    model.fit(truth, observe=system, validation=sea(days, 1), schedule=schedule, rng=0)
    own, resident = found[max(found)]
    print(f"pool of {pool}: {own / 1e6:.0f} MB of its own, {resident / 1e6:.0f} MB resident")


def main() -> None:
    torch.set_num_threads(1)
    parts = sys.argv[1:] or ["graph", "pool"]
    if "graph" in parts:
        for name, iterations in (("ssh-twin", 3), ("ssh-twin", 12), ("med-ssh", 4)):
            measure_graph(name, iterations)
    if "pool" in parts:
        for pool in POOLS:
            process = get_context("spawn").Process(target=measure_pool, args=(pool,))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
