"""Measure long jobs: a year of a basin, a month of the globe, workers, and what kills do.

Usage: python docs/recipes/large.py CASE FOLDER

CASE is `year` (365 days of 400 x 400 cells of 0.1 degree), `globe` (30 days of 720 x 1440 cells of
a quarter degree, all sea), `workers` (60 days of the year on one and on two processes of a dask
cluster), `cells` (20 days of 10 x 10 degrees at 0.2, 0.1 and 0.05 degree, in memory) or `kills`
(40 days of 64 x 64 cells, killed at random twenty times). The sea is a sum of plane waves in space
of 200 to 600 km, seen along the tracks of four altimeters with a noise of 2 cm, in daily chunks of
a zarr store; the method is an optimal interpolation (100 km, 9 days). A job is the command
`xdvarnet reconstruct`, whose memory is read every half second, with that of its children. FOLDER
needs some gigabytes. A row is added to docs/results/large.csv, with the error of the maps of the
days that are a multiple of 10. Ten minutes of one core for `year`, twenty for `globe`.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import xarray as xr
from comparison import markdown

import xdvarnet

TABLE = Path(__file__).parents[1] / "results" / "large.csv"
ALTIMETERS = ["jason3", "sentinel3a", "sentinel3b", "saral"]
WAVES, AMPLITUDE, NOISE = 40, 0.1, 0.02
LENGTHS = {"correlation_length": "100 km", "correlation_time": "9 days"}
GRIDS = {  # days, rows, columns, degrees, southern and western edge
    "year": (365, 400, 400, 0.1, 10.0, -60.0),
    "globe": (30, 720, 1440, 0.25, -90.0, -180.0),
    "workers": (60, 400, 400, 0.1, 10.0, -60.0),
    "cells 0.2": (20, 50, 50, 0.2, 30.0, -50.0),
    "cells 0.1": (20, 100, 100, 0.1, 30.0, -50.0),
    "cells 0.05": (20, 200, 200, 0.05, 30.0, -50.0),
    "kills": (40, 64, 64, 0.25, 20.0, -60.0),
}
KILLS = 20


def sea(case: str, days: range) -> xr.Dataset:
    """Return the waves on some days, shape (time, latitude, longitude)."""
    _, rows, columns, step, south, west = GRIDS[case]
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(WAVES, 3))
    number = 2 * np.pi / rng.uniform(200, 600, WAVES) / np.linalg.norm(direction, axis=1)  # rad/km
    phase, speed = rng.uniform(0, 2 * np.pi, WAVES), rng.uniform(-0.2, 0.2, WAVES)  # rad, rad/day
    latitude = south + step * (np.arange(rows) + 0.5)
    longitude = west + step * (np.arange(columns) + 0.5)
    phi, theta = np.deg2rad(latitude)[:, None], np.deg2rad(longitude)
    equator = np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta)
    place = np.stack(np.broadcast_arrays(*equator, np.sin(phi)))
    heights = np.zeros((len(days), rows, columns), np.float32)
    for wave in range(WAVES):
        along = 6371 * number[wave] * np.tensordot(direction[wave], place, 1) + phase[wave]
        for k, day in enumerate(days):
            heights[k] += np.cos(along + speed[wave] * day)
    heights *= AMPLITUDE * (2 / WAVES) ** 0.5
    stamps = np.datetime64("2020-01-01", "ns") + np.array(days) * np.timedelta64(1, "D")
    return xr.Dataset(
        {"ssh": (("time", "latitude", "longitude"), heights, {"units": "m"})},
        {
            "time": stamps,
            "latitude": ("latitude", latitude, {"units": "degrees_north"}),
            "longitude": ("longitude", longitude, {"units": "degrees_east"}),
        },
    )


def observed(case: str, folder: Path) -> Path:
    """Return the store of the observations, made where it is not there."""
    path = folder / f"{case}_observed.zarr"
    if not path.exists():
        total, partial = GRIDS[case][0], path.with_suffix(".partial")
        for first in range(0, total, 10):
            truth = sea(case, range(first, min(first + 10, total)))
            points = xdvarnet.observe(truth, ALTIMETERS, noise=NOISE, rng=first)
            append = {"append_dim": "time"} if first else {"mode": "w"}
            points[["ssh"]].chunk(time=1, latitude=-1, longitude=-1).to_zarr(partial, **append)
        partial.rename(path)
    return path


def error(case: str, maps: xr.Dataset) -> float:
    """Return the root mean square error of some maps (cm)."""
    squares = [
        float(((maps["ssh"][day].values - sea(case, range(day, day + 1))["ssh"][0]) ** 2).mean())
        for day in range(0, GRIDS[case][0], 10)
    ]
    return 100 * float(np.mean(squares)) ** 0.5


def command(source: Path, target: Path, model: Path) -> list[str]:
    """Return the command of a job."""
    options = ["--model", str(model), "--quiet"]
    return [sys.executable, "-m", "xdvarnet", "reconstruct", str(source), str(target), *options]


def watch(process: subprocess.Popen) -> tuple[pd.Series, float]:
    """Return the memory of a job (GB) by its seconds, and the seconds of processors it took."""
    job, start = psutil.Process(process.pid), time.monotonic()
    memory, used = {}, 0.0
    while process.poll() is None:
        try:
            parts = [job, *job.children(recursive=True)]
            memory[time.monotonic() - start] = sum(p.memory_info().rss for p in parts) / 1e9
            used = sum(sum(p.cpu_times()[:2]) for p in parts)
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.5)
    assert process.returncode == 0, process.returncode
    return pd.Series(memory), used


def run(case: str, folder: Path, model: Path) -> list[dict[str, object]]:
    """Map a record by one command; memory is that of both halves of the time."""
    source, target = observed(case, folder), folder / f"{case}_maps.zarr"
    memory, used = watch(subprocess.Popen(command(source, target, model)))
    half = memory.index[-1] / 2
    return [
        {
            "case": case,
            "seconds": memory.index[-1],
            "processor seconds": used,
            "GB, first half": memory[:half].max(),
            "GB, second half": memory[half:].max(),
            "error (cm)": error(case, xr.open_zarr(target)),
        }
    ]


def workers(case: str, folder: Path, model: Path) -> list[dict[str, object]]:
    """Map a record on one worker process, and on two, of one thread each."""
    from distributed import Client, LocalCluster

    rows = []
    for number in (1, 2):
        target = folder / f"{case}_{number}_maps.zarr"
        with LocalCluster(n_workers=number, threads_per_worker=1) as cluster, Client(cluster):
            start = time.monotonic()
            record = xr.open_zarr(observed(case, folder))
            maps = record.dvarnet.reconstruct(xdvarnet.load_model(model), store=target)
            seconds = time.monotonic() - start
        row = {"case": f"{case}: {number}", "seconds": seconds, "error (cm)": error(case, maps)}
        rows.append(row)
    return rows


def kills(case: str, folder: Path, model: Path) -> list[dict[str, object]]:
    """Kill a job at random moments, let it end, and compare with one that was left alone."""
    source = observed(case, folder)
    alone, killed = folder / f"{case}_alone.zarr", folder / f"{case}_maps.zarr"
    start = time.monotonic()
    subprocess.run(command(source, alone, model), check=True)
    whole, done = time.monotonic() - start, 0
    rng = np.random.default_rng(0)
    while done < KILLS:
        process = subprocess.Popen(command(source, killed, model))
        try:
            process.wait(rng.uniform(0.2, 1.0) * whole)
            subprocess.run(["rm", "-r", str(killed)], check=True)  # it had ended: once more
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            done += 1
    subprocess.run(command(source, killed, model), check=True)
    maps = xr.open_zarr(killed)
    xr.testing.assert_identical(maps.load(), xr.open_zarr(alone).load())
    return [{"case": f"{case}: {done}", "seconds": whole, "error (cm)": error(case, maps)}]


def cells(case: str, folder: Path, model: Path) -> list[dict[str, object]]:
    """Map few days in memory, on finer and finer grids: what does a cell cost, what a node?"""
    del folder
    rows = []
    for name in (name for name in GRIDS if name.startswith(case)):
        truth = sea(name, range(GRIDS[name][0]))
        points = xdvarnet.observe(truth, ALTIMETERS, noise=NOISE, rng=0)
        start = time.process_time()
        maps = points.dvarnet.reconstruct(xdvarnet.load_model(model))
        used = time.process_time() - start
        rows.append({"case": name, "processor seconds": used, "error (cm)": error(name, maps)})
    return rows


def main() -> None:
    """Run a case, and add its rows to the table."""
    case, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    model = folder / "interpolation.safetensors"
    oi = xdvarnet.OptimalInterpolation("ssh", **LENGTHS, noise=NOISE, std=AMPLITUDE)
    xdvarnet.save_model(oi, model)
    measure = {"workers": workers, "kills": kills, "cells": cells}.get(case, run)
    rows = pd.DataFrame(measure(case, folder, model))
    if TABLE.exists():
        before = pd.read_csv(TABLE)
        rows = pd.concat([before[~before["case"].isin(rows["case"])], rows])
    rows.round(3).to_csv(TABLE, index=False)
    text = markdown(rows.set_index("case"), digits=2).replace("nan", "")
    TABLE.with_name("large_tables.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
