"""Measure what a posterior of an SPDE field costs against the size of its domain, by both engines.

Usage: OMP_NUM_THREADS=1 python docs/recipes/spde_cost.py

Five days of n x n cells 11 km apart, along whose tracks 7 % of the cells are observed with a noise
of a fifth of the standard deviation; the exact engine conditions, takes variances and draws 200
members; the iterative one draws 200 members, with their mean and spread. Each case is a process of
its own: seconds are those of its processor, memory is its peak with the libraries; those of up to
100 x 100 cells are run twice. Writes spde_cost.csv and spde_cost.png into docs/results. Runs
that are in the file are not made again. The log says how many iterations the mean takes alone, and
together with some draws.
"""

import logging
import resource
from multiprocessing import get_context
from pathlib import Path
from time import process_time

import pandas as pd
import torch
from matplotlib.figure import Figure

from xdvarnet.spde.chain import matern_chain
from xdvarnet.spde.field import Prior
from xdvarnet.spde.mesh import Mesh

RESULTS = Path(__file__).parents[1] / "results"
SPACING, STD, NOISE = 11e3, 0.05, 0.01
MEMBERS = 200
CASES = [("exact", 5, size) for size in (25, 35, 50, 70, 100, 140)]
CASES += [("iterative", 5, size) for size in (25, 50, 70, 100, 140, 200)]
CASES += [("iterative", 9, 200)]
RUNS = [(*case, run) for case in CASES for run in range(2 if case[2] <= 100 else 1)]


def observe(prior: Prior, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Return the operator of tracks that cross the domain obliquely, values and noise."""
    rows, columns = prior.mesh.shape
    along = torch.arange(rows)
    tracks = [
        (day * rows + along) * columns + (start + 7 * day + along // 2) % columns
        for day in range(prior.times)
        for start in range(0, columns, 16)
    ]
    places = torch.cat(tracks).unique()
    size = (len(places), prior.unknowns)
    indices = torch.stack([torch.arange(len(places)), places])
    ones = torch.ones(len(places), dtype=torch.float64)
    operator = torch.sparse_coo_tensor(indices, ones, size, check_invariants=True)
    truth = prior.chain.sample(1, generator).flatten()
    noise = torch.full_like(ones, NOISE)
    return operator, truth[places] + NOISE * torch.randn(len(places), generator=generator), noise


def field(times: int, size: int) -> Prior:
    """Return the field on a square."""
    axis = SPACING * torch.arange(size)
    mesh = Mesh.from_metres(axis, axis)
    return Prior(matern_chain(mesh, times, length=100e3, time=10.0, std=STD))


def log_iterations() -> None:
    """Solve for the mean alone and with draws, 5 days of 100 x 100 cells."""
    generator, prior = torch.Generator().manual_seed(0), field(5, 100)
    posterior = prior.condition_iteratively(*observe(prior, generator))
    for draws in (0, 14, 99):
        posterior.solve(draws, generator)


def measure(engine: str, times: int, size: int, run: int) -> dict[str, object]:
    """Condition a domain and draw members."""
    generator, prior = torch.Generator().manual_seed(0), field(times, size)
    observations = observe(prior, generator)
    seconds = {"engine": engine, "times": times, "size": size, "members": MEMBERS, "run": run}
    start = process_time()
    if engine == "exact":
        posterior = prior.condition(*observations)
        seconds["condition_s"] = process_time() - start
        posterior.factor.variances()
        seconds["variances_s"] = process_time() - start - seconds["condition_s"]
        start_of_draws = process_time()
        posterior.factor.sample(MEMBERS, generator)
        seconds["draws_s"] = process_time() - start_of_draws
    else:
        prior.condition_iteratively(*observations).describe(MEMBERS, generator)
    seconds["total_s"] = process_time() - start
    seconds["memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return seconds


def plot(table: pd.DataFrame) -> None:
    """Draw seconds and memory against the number of unknowns, on logarithmic axes; of medians."""
    table = table.groupby(["engine", "times", "size"], as_index=False).median()
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for ax, column, label in zip(
        figure.subplots(1, 2),
        ("total_s", "memory_gb"),
        ("seconds of one core", "peak memory (GB)"),
        strict=True,
    ):
        five = table[table["times"] == 5]
        for engine, lines in five.groupby("engine"):
            unknowns = lines["times"] * lines["size"] ** 2
            ax.loglog(unknowns, lines[column], "o-", label=f"{engine} engine, 5 days")
        rest = table[table["times"] != 5]
        ax.loglog(
            rest["times"] * rest["size"] ** 2, rest[column], "s", color="black",
            label="iterative engine, 200 x 200 x 9",
        )  # fmt: skip
        ax.set(xlabel="unknowns (days x rows x columns)", ylabel=label)
        ax.grid(which="both", alpha=0.3)
    ax.legend()
    figure.suptitle(f"Posterior mean, standard deviation and {MEMBERS} members")
    figure.savefig(RESULTS / "spde_cost.png", dpi=130)


def main() -> None:
    """Measure what has not been measured yet, and draw.

    The peak of a process is at least that of its parent, which therefore computes nothing before.
    """
    path = RESULTS / "spde_cost.csv"
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    known = {(row["engine"], row["times"], row["size"], row["run"]) for row in rows}
    for case in RUNS:
        if case in known:
            continue
        with get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(measure, case))
        pd.DataFrame(rows).round(3).to_csv(path, index=False)
    plot(pd.DataFrame(rows))
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    log_iterations()


if __name__ == "__main__":
    main()
