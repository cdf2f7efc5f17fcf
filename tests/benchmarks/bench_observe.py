"""Time `observe`, and print the memory that a year of SWOT over the Mediterranean takes.

Run ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_observe.py``.
"""

import resource
from multiprocessing import get_context
from time import process_time

import numpy as np
import xarray as xr

import xdvarnet.accessor  # noqa: F401

NADIR = ["jason3", "sentinel3a", "saral", "cryosat2"]


def make_maps(days: int, variables: tuple[str, ...] = ("ssh",)) -> xr.Dataset:
    """Return random daily maps of the Mediterranean at an eighth of a degree."""
    axes = {
        "time": np.datetime64("2017-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D"),
        "lat": np.linspace(30.0625, 45.9375, 128),
        "lon": np.linspace(-5.9375, 36.9375, 344),
    }
    rng = np.random.default_rng(0)
    shape = tuple(map(len, axes.values()))
    maps = {name: rng.standard_normal(shape, dtype=np.float32) for name in variables}
    return xr.Dataset({name: (tuple(axes), values) for name, values in maps.items()}, axes)


def report(name: str, maps: xr.Dataset, missions: list[str], repeats: int) -> None:
    """Print the shortest time of some."""
    seconds = []
    for _ in range(repeats):
        begin = process_time()
        maps.dvarnet.observe(missions, noise=0.02, rng=0)
        seconds.append(process_time() - begin)
    print(f"{name:40} {min(seconds):7.3f} s", flush=True)


def report_peak(chunks: dict[str, int] | None) -> None:
    """Print time and memory of a year of SWOT."""
    maps = make_maps(365)
    maps = maps if chunks is None else maps.chunk(chunks)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = process_time()
    maps.dvarnet.observe(["swot"], noise=0.02, rng=0).compute()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"a year of SWOT, {'in memory' if chunks is None else chunks}: "
        f"{process_time() - begin:.0f} s, peak {after / 1e3:.0f} MB, {before / 1e3:.0f} MB before"
    )


def main() -> None:
    for chunks in (None, {"time": 30}):  # first: a process begins with the peak of its parent
        process = get_context("spawn").Process(target=report_peak, args=(chunks,))
        process.start()
        process.join()
    report("30 days, four altimeters", make_maps(30), NADIR, 10)
    report("30 days, four altimeters, 3 variables", make_maps(30, ("ssh", "u", "v")), NADIR, 5)
    report("30 days, SWOT", make_maps(30), ["swot"], 2)


if __name__ == "__main__":
    main()
