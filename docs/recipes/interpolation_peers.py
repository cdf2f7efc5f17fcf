"""Compare optimal interpolation with other packages, on the same observations and numbers.

Usage: python docs/recipes/interpolation_peers.py simulated FOLDER
       python docs/recipes/interpolation_peers.py tracks FOLDER TRACKS.nc

Needs ``pip install sverdrup``; pyinterp comes with the package. Two tests: the maps of twelve days
of the Mediterranean, whose truth is there, and each mission of a file withheld in turn, as
real_tracks.py does. Length, time, noise and one standard deviation are found by
`OptimalInterpolation.fit` on the observations, for each covariance; all methods have the same, the
same background and the same means of cells and days. Each run is a process of its own, so that its
memory can be read; what was found is kept in FOLDER. The tables are
interpolation_peers_tables.md and interpolation_peers_tracks_tables.md of docs/results. Half
an hour, and an hour, of one core, and 10 GB, on Linux.
"""

import multiprocessing
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from comparison import markdown

import xdvarnet
from xdvarnet.grids.points import find_points
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.methods.optimal_interpolation.covariance import MATERN32
from xdvarnet.tracks.bin import daily_stamps
from xdvarnet.tracks.segments import find_missions

RESULTS = Path(__file__).parents[1] / "results"
MISSIONS = ["jason1", "envisat", "gfo", "topex_interleaved"]
DAYS = 12
SECONDS = 86400.0


class Peer(Reconstructor):
    """Another package's analysis of the points of a map, with the numbers of an interpolation."""

    variables = {"ssh": "m"}
    gives_std = True

    def __init__(self, numbers: xdvarnet.OptimalInterpolation) -> None:
        self.numbers, self.background = numbers, numbers.background

    def analyse(
        self, seen: np.ndarray, values: np.ndarray, cells: np.ndarray, std: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation at cells (longitude, latitude, day)."""
        raise NotImplementedError

    def solve(self, observations: Observations, *, members=None, rng=None) -> Analysis:  # noqa: ANN001
        """Analyse day by day, on sea."""
        del members, rng
        ssh = observations.values["ssh"]
        std = float(self.numbers.scale(observations).prior.mean())
        latitude, longitude = observations.place
        day, row, column = np.nonzero(np.isfinite(ssh))
        seen = np.stack([longitude[column], latitude[row], observations.days[day]], 1)
        row, column = np.nonzero(observations.sea)
        values = ssh[np.isfinite(ssh)].astype(float)
        mean, error = np.zeros((2, *observations.shape), np.float32)
        for index, now in enumerate(observations.days):
            cells = np.stack([longitude[column], latitude[row], np.full(row.size, now)], 1)
            found = self.analyse(seen, values, cells, std)
            mean[index, row, column], error[index, row, column] = found
        return Analysis({"ssh": mean}, {"ssh": error})


class Sverdrup(Peer):
    """The dense analysis of sverdrup, factorised once."""

    operator = None

    def analyse(self, seen, values, cells, std):  # noqa: ANN001, ANN201
        from sverdrup.methods.kernel import Matern32SpaceTime
        from sverdrup.methods.oi import GPCovarianceOperator

        if self.operator is None or self.operator.obs_pts is not seen:
            scale = np.sqrt(3) / MATERN32
            kernel = Matern32SpaceTime(
                std**2,
                scale * self.numbers.correlation_length,
                scale * self.numbers.correlation_time,
            )
            noise = np.full(values.size, self.numbers.noise**2)
            self.operator = GPCovarianceOperator(kernel, seen, values, noise)
        variance = self.operator.marginal_var(cells)
        return self.operator.posterior_mean(cells), np.sqrt(np.maximum(variance, 0))


class Pyinterp(Peer):
    """The analysis of each cell from its nearest observations by pyinterp."""

    def __init__(self, numbers: xdvarnet.OptimalInterpolation, neighbours: int) -> None:
        super().__init__(numbers)
        self.neighbours = neighbours

    def analyse(self, seen, values, cells, std):  # noqa: ANN001, ANN201
        import pyinterp

        length = 1000 * self.numbers.correlation_length
        moments = SECONDS * self.numbers.correlation_time
        unit = np.array([1, 1, SECONDS])
        analysis = pyinterp.OptimalInterpolation(
            seen * unit,
            values,
            np.full(values.size, self.numbers.noise**2),
            coordinate_system="geographic",
            time_scale=length / moments,
        )
        result = analysis(
            cells * unit,
            l_spatial=length,
            lt=moments,
            sigma=std,
            k=self.neighbours,
            num_threads=1,
        )
        return result.value, result.error


METHODS = {
    "xdvarnet, Gaussian": ("gaussian", lambda numbers: numbers),
    "xdvarnet, Matern 3/2": ("matern32", lambda numbers: numbers),
    "sverdrup 0.2.0, Matern 3/2, dense": ("matern32", Sverdrup),
    "pyinterp, Gaussian, 24 neighbours": ("gaussian", lambda numbers: Pyinterp(numbers, 24)),
    "pyinterp, Gaussian, 100 neighbours": ("gaussian", lambda numbers: Pyinterp(numbers, 100)),
}


def fit(covariance: str, observations: xr.Dataset, grid: xr.Dataset | None) -> dict:
    """Find the numbers, with one standard deviation for all."""
    found = xdvarnet.OptimalInterpolation.fit(observations, grid, covariance=covariance)
    names = ("correlation_length", "correlation_time", "noise")
    return {"covariance": covariance, **{name: getattr(found, name) for name in names}}


def mapped(name: str, numbers: dict, observed: xr.Dataset, queue: multiprocessing.Queue) -> None:
    """Map, and put the maps, the processor time and the growth of the memory into a queue."""
    model = METHODS[name][1](xdvarnet.OptimalInterpolation("ssh", **numbers))
    corner = observed.isel(time=slice(3), lat=slice(40, 60), lon=slice(100, 140))
    corner.dvarnet.reconstruct(model)  # so that imports are not counted
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts at what is there now
    before, start = resident("VmRSS"), time.process_time()
    maps = observed.dvarnet.reconstruct(model)
    seconds = time.process_time() - start
    queue.put((maps.load(), seconds, resident("VmHWM") - before))


def resident(kind: str) -> float:
    """Return the resident memory of this process, now or at its peak (GB)."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(kind))
    return int(line.split()[1]) * 1024 / 1e9


def run(name: str, numbers: dict, observed: xr.Dataset) -> tuple[xr.Dataset, float, float]:
    """Return maps, processor time (s) and memory (GB) of a method in a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=mapped, args=(name, numbers, observed, queue))
    process.start()
    result = queue.get()
    process.join()
    return result


def simulated(folder: Path) -> pd.DataFrame:
    """Return the scores on twelve days with a truth."""
    truth = xdvarnet.datasets.mediterranean().isel(time=slice(-DAYS, None))
    observed = truth.dvarnet.observe(MISSIONS, noise=0.02, rng=0)
    numbers: dict[str, dict] = {}
    made = folder / "peers_simulated.csv"
    rows = pd.read_csv(made, index_col=0).to_dict("index") if made.exists() else {}
    for name, (kind, _) in METHODS.items():
        if name in rows:
            continue
        if kind not in numbers:
            numbers[kind] = fit(kind, observed, None)
        maps, seconds, memory = run(name, numbers[kind], observed)
        error = float(np.sqrt(((maps["ssh"] - truth["ssh"]) ** 2).mean()))
        std = float(np.sqrt((maps["ssh_std"] ** 2).mean()))
        rows[name] = {
            "RMSE (cm)": 100 * error,
            "std over error": std / error,
            "processor time (s)": seconds,
            "memory (GB)": memory,
        }
        print(name, rows[name], flush=True)
        pd.DataFrame(rows).T.to_csv(made)
    return pd.DataFrame(rows).T.loc[list(METHODS)]


def on_tracks(path: str, folder: Path) -> pd.DataFrame:
    """Return the scores along withheld missions."""
    grid = xdvarnet.datasets.mediterranean()
    with xr.open_dataset(path) as file:
        tracks = file.load().dvarnet.harmonise()
    points, missions = find_points(tracks), find_missions(tracks)
    stamps = daily_stamps(points.days, points.calendar)
    parts = []
    for mission in np.unique(missions).tolist():
        made = folder / f"peers_{mission}.csv"
        if not made.exists():
            seen, hidden = (
                tracks.isel({next(iter(points.sizes)): part})
                for part in (missions != mission, missions == mission)
            )
            observed = seen[["ssh"]].dvarnet.bin_tracks(grid, time=stamps)
            numbers = {kind: fit(kind, seen, grid) for kind in ("gaussian", "matern32")}
            table = {"measured": hidden["ssh"].values}
            for name, (kind, _) in METHODS.items():
                maps, seconds, _ = run(name, numbers[kind], observed)
                along = maps[["ssh", "ssh_std"]].dvarnet.sample_tracks(hidden)
                noise = numbers[kind]["noise"]
                table[name] = along["ssh"].values
                table[f"{name}, std"] = np.hypot(along["ssh_std"].values, noise)
                print(mission, name, f"{seconds:.1f} s", flush=True)
            pd.DataFrame(table).dropna().to_csv(made, index=False)
        parts.append(pd.read_csv(made))
    points = pd.concat(parts)
    rows = {}
    for name in METHODS:
        error = np.sqrt(np.mean((points[name] - points["measured"]) ** 2))
        std = np.sqrt(np.mean(points[f"{name}, std"] ** 2))
        rows[name] = {"RMSE (cm)": 100 * error, "predicted over actual": std / error}
    return pd.DataFrame(rows).T


def main() -> None:
    """Run a test and write its table."""
    test, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    table = simulated(folder) if test == "simulated" else on_tracks(sys.argv[3], folder)
    table["RMSE (cm)"] = table["RMSE (cm)"].map("{:.3f}".format)
    text = markdown(table, digits=2)
    name = "interpolation_peers_tables.md"
    if test == "tracks":
        name = "interpolation_peers_tracks_tables.md"
    (RESULTS / name).write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
