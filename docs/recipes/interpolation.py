"""Measure optimal interpolation: against the dense analysis, and tuned on real tracks.

Usage: python docs/recipes/interpolation.py dense
       python docs/recipes/interpolation.py tracks TRACKS.nc FOLDER

`dense` solves 30 days of the Mediterranean with all observations at once (10 minutes and 6 GB), and
with 100 to 500 neighbours. `tracks` withholds each mission of a file in turn, as real_tracks.py
does, and tunes interpolations of three covariances on the others (30 minutes). Tables go to
docs/results/interpolation_dense_tables.md and interpolation_tracks_tables.md.
"""

import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from comparison import markdown
from scipy.spatial import cKDTree

import xdvarnet
from xdvarnet.evaluation import leaderboard, predict_withheld
from xdvarnet.mapping.background import MeanMapBackground
from xdvarnet.mapping.observations import Analysis
from xdvarnet.methods.optimal_interpolation.covariance import CORRELATIONS, squared_distances

RESULTS = Path(__file__).parents[1] / "results"
MISSIONS = ["jason1", "envisat", "gfo", "topex_interleaved"]
SETTINGS = {
    "correlation_length": "68 km",
    "correlation_time": "13 days",
    "noise": 0.0135,
    "std": 0.04,
    "time_window": 61,
}
NEIGHBOURS = (100, 200, 300, 500)
BLOCK, BLOCK_NEIGHBOURS = (3, 4), 200
"""Days and cells of a block, and its observations: as local interpolations often are."""

PERIODS = (3, 4, 5, 6)
INNER = slice(4, 26)  # days that are scored
NOISE = 0.018  # m, of one measurement, as on the page of real tracks

GRID_SEARCH, ALL = "12 trials by hand, Gaussian", "`fit`, best covariance"


def dense_mean(model: xdvarnet.OptimalInterpolation, observations: object) -> np.ndarray:
    """Return the analysis with all observations, in one factorisation."""
    scaled = model.scale(observations)
    place, moment = scaled.sample.place, scaled.sample.time

    def correlate(cells: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        space = model.correlation(squared_distances(cells[None], place[None])[0])
        return space.mul_(model.correlation((times[:, None] - moment).square_()))

    covariance = correlate(place, moment)
    covariance.diagonal().add_(scaled.sample.noise)
    factor = torch.linalg.cholesky(covariance, out=covariance)
    weights = torch.cholesky_solve(scaled.sample.values[:, None], factor)
    sea = torch.from_numpy(observations.sea.ravel())
    mean = np.zeros((len(scaled.times), len(sea)))
    for day, now in enumerate(scaled.times):
        cells = scaled.cells[sea]
        gain = correlate(cells, now.expand(len(cells)))
        mean[day, sea.numpy()] = (gain @ weights)[:, 0].numpy()
    return scaled.prior * mean.reshape(observations.shape)


def block_mean(model: xdvarnet.OptimalInterpolation, observations: object) -> np.ndarray:
    """Return the analysis of blocks, each from the observations that are nearest to its center."""
    scaled = model.scale(observations)
    rows, columns = observations.sea.shape
    sample, cells = scaled.sample, scaled.cells.reshape(rows, columns, 3)
    tree = cKDTree(torch.cat([sample.place, sample.time[:, None]], 1).numpy())
    mean = np.zeros(observations.shape)
    days, side = BLOCK
    for day, row, column in itertools.product(
        range(0, len(mean), days), range(0, rows, side), range(0, columns, side)
    ):
        block = slice(day, day + days), slice(row, row + side), slice(column, column + side)
        if not observations.sea[block[1:]].any():
            continue
        place, moment = cells[block[1:]].reshape(-1, 3), scaled.times[block[0]]
        center = torch.cat([place.mean(0), moment.mean()[None]])
        near = torch.from_numpy(tree.query(center.numpy(), BLOCK_NEIGHBOURS)[1])
        seen, when = sample.place[near], sample.time[near]

        def correlate(one: torch.Tensor, then: torch.Tensor) -> torch.Tensor:
            space = model.correlation(squared_distances(one[None], seen[None])[0])  # noqa: B023
            return space * model.correlation((then[:, None] - when).square())  # noqa: B023

        covariance = correlate(seen, when)
        covariance.diagonal().add_(sample.noise[near])
        weights = torch.linalg.solve(covariance, sample.values[near])
        for number, now in enumerate(moment):
            found = correlate(place, now.expand(len(place))) @ weights
            mean[day + number, block[1], block[2]] = found.reshape(mean[(0, *block[1:])].shape)
    return scaled.prior * mean


def unevenness(fields: np.ndarray) -> float:
    """Largest over smallest mean third difference by phase, of all axes and periods (%)."""
    ratios = []
    for axis, period in itertools.product((0, 1, 2), PERIODS):
        steps = np.moveaxis(np.abs(np.diff(fields, n=3, axis=axis)), axis, 0)
        phases = [np.nanmean(steps[phase::period]) for phase in range(period)]
        ratios.append(max(phases) / min(phases) - 1)
    return 100 * max(ratios)


def against_dense() -> None:
    """Compare local analyses with the dense one."""
    truth = xdvarnet.datasets.mediterranean().isel(time=slice(-30, None))
    background = MeanMapBackground(truth.mean("time"), days=1e6)
    observed = truth.dvarnet.observe(MISSIONS, noise=0.02, rng=0)
    sea = truth["sea"].values
    rows, maps = {}, {}

    class Other(xdvarnet.OptimalInterpolation):
        def solve(self, observations, *, members=None, rng=None):  # noqa: ANN001, ANN202
            fields = {"ssh": self.mean_of(self, observations).astype(np.float32)}
            return Analysis(fields, fields)

    class Dense(Other):
        mean_of = staticmethod(dense_mean)

    class Blocks(Other):
        mean_of = staticmethod(block_mean)

    models = {
        name: kind("ssh", **SETTINGS, background=background)
        for name, kind in {"all": Dense, "200, blocks": Blocks}.items()
    }
    for number in NEIGHBOURS:
        models[str(number)] = xdvarnet.OptimalInterpolation(
            "ssh", **SETTINGS, neighbours=number, background=background
        )
    for name, model in models.items():
        start = time.process_time()
        maps[name] = observed.dvarnet.reconstruct(model)["ssh"].values
        seconds = time.process_time() - start
        error, distance = (
            1000 * np.sqrt(np.mean((maps[name] - other)[INNER][:, sea] ** 2))
            for other in (truth["ssh"].values, maps["all"])
        )
        rows[name] = {
            "RMSE (cm)": error / 10,
            "from dense (mm)": distance,
            "unevenness (%)": unevenness(maps[name]),
            "processor time (s)": seconds,
        }
        print(name, rows[name], flush=True)
    table = pd.DataFrame(rows).T.rename_axis("neighbours")
    table.insert(1, "above dense (%)", 100 * (table["RMSE (cm)"] / table["RMSE (cm)"]["all"] - 1))
    table["RMSE (cm)"] = table["RMSE (cm)"].map("{:.4f}".format)
    text = markdown(table.rename(index={"all": "all (dense)"}), digits=2)
    (RESULTS / "interpolation_dense_tables.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def tuned_on(covariance: str | None, grid: xr.Dataset) -> object:
    """Return what tunes an interpolation on tracks."""
    return lambda seen: xdvarnet.OptimalInterpolation.fit(seen, grid, covariance=covariance)


def on_tracks(path: str, folder: Path) -> None:
    """Withhold each mission in turn."""
    folder.mkdir(exist_ok=True)
    grid = xdvarnet.datasets.mediterranean().isel(time=0)
    with xr.open_dataset(path) as file:
        tracks = file.load().dvarnet.harmonise()
    trials = pd.read_csv(RESULTS / "real_tracks_oi.csv")
    parts = []
    for mission in np.unique(tracks["mission"]).tolist():
        made = folder / f"interpolation_{mission}.nc"
        if not made.exists():
            best = trials[trials["withheld"] == mission].sort_values("rmse_cm").iloc[0]
            chosen = best[["correlation_length", "correlation_time", "noise"]].to_dict()
            models = {GRID_SEARCH: xdvarnet.OptimalInterpolation("ssh", **chosen)}
            for name in CORRELATIONS:
                models[f"`fit`, {name}"] = tuned_on(name, grid)
            models[ALL] = tuned_on(None, grid)
            predict_withheld(models, tracks, grid, withhold=[mission]).to_netcdf(made)
            print(mission, "written", flush=True)
        parts.append(xr.load_dataset(made))
    scores = leaderboard(xr.concat(parts, "point"), noise=NOISE, rng=0)
    rmse = 100 * scores["rmse_mission"].to_pandas()
    rmse.columns = [f"mission {each}" for each in rmse]
    change = [
        f"{each.change:+.1f} % [{each.change_low:+.1f}, {each.change_high:+.1f}]"
        for each in scores[["change", "change_low", "change_high"]].to_dataframe().itertuples()
    ]
    table = rmse.assign(
        **{
            "all": 100 * scores["rmse"].values,
            "all, noise taken off": 100 * scores["rmse_noise_removed"].values,
            "change": ["", *change[1:]],
        }
    )
    text = markdown(table, digits=2)
    (RESULTS / "interpolation_tracks_tables.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    if sys.argv[1] == "dense":
        against_dense()
    else:
        on_tracks(sys.argv[2], Path(sys.argv[3]))
