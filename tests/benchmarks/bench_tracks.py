"""Time sampling, binning and crossovers of a million points, and print the seconds.

Run ``OMP_NUM_THREADS=2 python tests/benchmarks/bench_tracks.py``.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np
import pandas as pd
import xarray as xr

from xdvarnet.tracks.bin import STATISTICS, bin_tracks
from xdvarnet.tracks.crossovers import crossovers
from xdvarnet.tracks.sample import sample_tracks
from xdvarnet.tracks.segments import segments

POINTS = 1_000_000
SHAPE = (30, 128, 344)


def make_maps() -> xr.Dataset:
    """Return 30 random maps of the size of the Mediterranean."""
    axes = {
        "time": pd.date_range("2017-01-01", periods=SHAPE[0]),
        "lat": np.linspace(30, 46, SHAPE[1]),
        "lon": np.linspace(-6, 37, SHAPE[2]),
    }
    values = np.random.default_rng(0).normal(size=SHAPE)
    return xr.Dataset({"ssh": (tuple(axes), values)}, axes)


def make_tracks() -> xr.Dataset:
    """Return tracks that go up and down through the maps, with white noise."""
    rng = np.random.default_rng(0)
    point = np.arange(POINTS)
    number, along = point // 280, point % 280 / 280
    up = number % 2 == 0
    west = rng.uniform(-6, 32, number.max() + 1)[number]
    days = 29 * point / POINTS + along / 86400
    return xr.Dataset(
        {"sla": ("time", rng.normal(size=POINTS)), "pass": ("time", number)},
        {
            "time": pd.Timestamp("2017-01-01") + pd.to_timedelta(days, "D"),
            "longitude": ("time", (west + 5 * along) % 360),
            "latitude": ("time", np.where(up, 30 + 16 * along, 46 - 16 * along)),
        },
    )


def report(name: str, action: Callable[[], object]) -> None:
    """Print the shortest time of three."""
    seconds = []
    for _ in range(3):
        begin = perf_counter()
        action()
        seconds.append(perf_counter() - begin)
    print(f"{name:28} {min(seconds):6.2f} s")


def main() -> None:
    maps, tracks = make_maps(), make_tracks()
    print(f"{POINTS} points, maps of {SHAPE}")
    for engine in ("xarray", "pyinterp"):
        for method in ("nearest", "linear"):
            report(
                f"sample, {method}, {engine}",
                lambda m=method, e=engine: sample_tracks(maps, tracks, method=m, engine=e),
            )
    few = tracks.isel(time=slice(None, None, 10))
    report(
        "sample, bicubic, a tenth",
        lambda: sample_tracks(maps, few, method="bicubic", engine="pyinterp"),
    )
    for statistic in STATISTICS:
        report(f"bin, {statistic}", lambda s=statistic: bin_tracks(tracks, maps, statistic=s))
    report("segments", lambda: segments(tracks))
    report(
        "crossovers within an hour", lambda: crossovers(tracks, "sla", max_time_difference="1 h")
    )


if __name__ == "__main__":
    main()
