"""Try a noise of its own for each mission, on real tracks.

Usage: python docs/recipes/interpolation_missions.py TRACKS.nc

Each mission is withheld in turn, and `OptimalInterpolation.fit` finds one noise on the others. That
of each mission is then what its observations differ from their predictions by other passes, less
what is expected of the predictions; or what passes differ by at crossovers, solved for all pairs
of missions by least squares. With these, lengths and time are sought again. The table goes to
docs/results/interpolation_missions_tables.md. A quarter of an hour of one core.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from comparison import markdown
from scipy.optimize import nnls

import xdvarnet
from xdvarnet.grids.internal import to_internal
from xdvarnet.methods.optimal_interpolation.prediction import predict_withheld
from xdvarnet.methods.optimal_interpolation.tuning import Record
from xdvarnet.tracks.crossovers import crossovers

RESULTS = Path(__file__).parents[1] / "results"
NOISE = 0.018  # m, of one measurement, taken off as on the page of real tracks
LEAST, LEAST_SHARE = 0.006, 0.3  # m, and share of the common noise

Noises = dict[int, float]


def by_crossovers(seen: xr.Dataset) -> Noises:
    """Return the noise of single measurements of each mission."""
    crossed = crossovers(seen, "ssh", gap="60 s")
    pairs = crossed["mission"].values
    squares = 2 * (crossed["difference"] / crossed["noise_factor"]).values ** 2
    labels = np.unique(seen["mission"]).tolist()
    parts = np.array([(pairs == label).sum(1) for label in labels], float).T
    variances, _ = nnls(parts, squares)
    return {
        label: float(np.sqrt(max(variance, LEAST**2)))
        for label, variance in zip(labels, variances, strict=True)
    }


def by_predictions(
    model: xdvarnet.OptimalInterpolation, seen: xr.Dataset, grid: xr.Dataset
) -> Noises:
    """Return the noise of cell means of each mission."""
    record = Record.of(model, seen, grid)
    named = seen.drop_vars(["ssh", "mission"]).assign(label=seen["mission"].astype(float))
    stamps = seen[["ssh"]].dvarnet.bin_tracks(grid)["time"]
    labels = to_internal(
        named.dvarnet.bin_tracks(grid, statistic="median", time=stamps), {"label": "1"}
    )["label"].values
    observed = np.isfinite(record.observations.values["ssh"]) & record.observations.sea
    mission = labels[observed]
    scaled = model.scale(record.observations)
    score = predict_withheld(
        scaled.sample,
        scaled.scale,
        record.groups,
        np.arange(record.groups.size),
        model.correlation,
        model.time_window / 2 / model.correlation_time,
    )
    expected = score.variances - model.noise**2
    found = {}
    for label in np.unique(seen["mission"]).tolist():
        excess = np.mean((score.errors**2 - expected)[mission == label])
        found[label] = float(np.sqrt(max(excess, (LEAST_SHARE * model.noise) ** 2)))
    return found


def main() -> None:
    """Withhold each mission, and score three noises."""
    grid = xdvarnet.datasets.mediterranean().isel(time=0)
    with xr.open_dataset(sys.argv[1]) as file:
        tracks = file.load().dvarnet.harmonise()
    missions = tracks["mission"].values
    errors: dict[str, list[np.ndarray]] = {}
    noises: dict[str, list[str]] = {}
    for mission in np.unique(missions):
        seen, hidden = (
            tracks.isel(time=part) for part in (missions != mission, missions == mission)
        )
        one = xdvarnet.OptimalInterpolation.fit(seen, grid, covariance="matern32")
        for name, noise in {
            "one, fitted": None,
            "by mission, from predictions": by_predictions(one, seen, grid),
            "by mission, from crossovers": by_crossovers(seen),
        }.items():
            model, observed = one, seen[["ssh"]].dvarnet.bin_tracks(grid)
            if noise is not None:
                model = xdvarnet.OptimalInterpolation.fit(
                    seen, grid, covariance="matern32", noise=noise
                )
                observed = seen[["ssh", "mission"]].dvarnet.bin_tracks(grid, noise=noise)
            maps = observed.dvarnet.reconstruct(model)
            difference = maps.dvarnet.sample_tracks(hidden)["ssh"].values - hidden["ssh"].values
            errors.setdefault(name, []).append(difference[np.isfinite(difference)])
            used = [one.noise] if noise is None else noise.values()
            noises.setdefault(name, []).append(" ".join(f"{100 * each:.1f}" for each in used))
            print(mission, name, noises[name][-1], np.nanstd(difference), flush=True)
    rows = {}
    for name, parts in errors.items():
        square = float(np.mean(np.concatenate(parts) ** 2))
        rows[name] = {
            "noises (cm)": "; ".join(noises[name]),
            "RMSE (cm)": 100 * square**0.5,
            "noise taken off (cm)": 100 * (square - NOISE**2) ** 0.5,
        }
    text = markdown(pd.DataFrame(rows).T, digits=3)
    (RESULTS / "interpolation_missions_tables.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
