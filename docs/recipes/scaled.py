"""Map seas on which a network was not trained: simulated ones, and ten days of real tracks.

Usage: python docs/recipes/scaled.py simulated FOLDER [MODEL ...]
       python docs/recipes/scaled.py members FOLDER [MODEL]
       python docs/recipes/scaled.py real FOLDER TRACKS.nc [MODEL ...]

MODEL is a name or a file of a network, by default ``ssh-twin``, which was trained on the sea
"gulf-stream". "subpolar" and "tropical" are seas with small and with large eddies, the second with
a westward current. All is found on the tracks that are mapped: `OptimalInterpolation.fit`, and the
weight of `Scaled.fit` on withheld passes. Simulated: 30 days of `twin_ocean`, averaged to 10 km,
along the tracks of four altimeters, as anomalies of a known mean, which is zero. The score is the
error over that of the interpolation, of the maps of the days 3 to 28. Members: one ocean of each
sea; `calibrate` learns the errors on the same tracks, and 50 members are drawn. Real: each mission
is withheld in turn, as in real_tracks.py. What was found is kept in FOLDER; the tables go to
scaled_tables.md, scaled_members_tables.md and scaled_tracks_tables.md of docs/results. Two to six
minutes of one core for each ocean.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from comparison import markdown

import xdvarnet
from xdvarnet.datasets import twin_ocean
from xdvarnet.dynamics.seas import Sea
from xdvarnet.evaluation import leaderboard, predict_withheld
from xdvarnet.grids.coords import days_since_epoch
from xdvarnet.mapping.background import NoBackground
from xdvarnet.metrics.calibration import coverage, spread_skill_ratio
from xdvarnet.networks import Scaled
from xdvarnet.observing.missions import MISSIONS
from xdvarnet.observing.orbits import ground_track

RESULTS = Path(__file__).parents[1] / "results"
SEAS: dict[str, str | Sea] = {
    "gulf-stream": "gulf-stream",
    "northeast-atlantic": "northeast-atlantic",
    "tropical": Sea(latitude=15.0, deformation_radius=60e3, shear=-0.15, drag=7.5e-7),
    "subpolar": Sea(latitude=60.0, deformation_radius=12e3, shear=0.05, drag=1.25e-6),
}
SEEDS = (20, 21, 22)
NOISES = {"gulf-stream": 0.03, "northeast-atlantic": 0.01, "subpolar": 0.005, "tropical": 0.02}
"""Of one measurement, m."""

DAYS, INNER, MEMBERS = 30, slice(2, 28), 50
ALTIMETERS = ["jason3", "sentinel3a", "sentinel3b", "saral"]
NOISE = 0.018  # m, of one measurement of the real tracks, as on their page


def truth_of(sea: str, seed: int) -> xr.Dataset:
    """Return a simulated sea at 10 km."""
    maps = twin_ocean(SEAS[sea], days=DAYS, seed=seed)[["ssh"]]
    coarse = maps.coarsen(lat=2, lon=2).mean()
    coarse["ssh"].attrs = maps["ssh"].attrs
    return coarse


def tracks_of(truth: xr.Dataset, noise: float, seed: int) -> xr.Dataset:
    """Return points of four altimeters with independent errors."""
    generator = np.random.default_rng(seed)
    days = days_since_epoch(truth["time"])
    region = tuple(
        float(getattr(truth[dim], end)()) for dim in ("lon", "lat") for end in ("min", "max")
    )
    parts = []
    for mission in ALTIMETERS:
        time, longitude, latitude = ground_track(
            MISSIONS[mission], days[0], days[-1], phase=generator.random(), region=region
        )
        stamps = np.datetime64("1950-01-01", "ns") + (time * 86400e9).astype("timedelta64[ns]")
        points = xr.Dataset(
            coords={
                "time": stamps,
                "longitude": ("time", longitude, {"units": "degrees_east"}),
                "latitude": ("time", latitude, {"units": "degrees_north"}),
                "mission": ("time", np.full(time.size, mission)),
            }
        )
        sampled = truth.dvarnet.sample_tracks(points)
        errors = noise * generator.standard_normal(time.size)
        parts.append(points.assign(ssh=("time", sampled["ssh"].values + errors)))
    tracks = xr.concat(parts, "time").sortby("time").dropna("time", subset=["ssh"])
    tracks["ssh"].attrs = truth["ssh"].attrs
    return tracks


def name_of(model: str) -> str:
    """Return the name of a network in the table."""
    return f"`{Path(model).stem}`"


def simulated(models: list[str], folder: Path) -> pd.DataFrame:
    """Return error ratios and weights, a row for each sea, seed and network."""
    rows = []
    for sea in SEAS:
        for seed in SEEDS:
            made = folder / f"scaled_{sea}_{seed}.csv"
            if not made.exists():
                truth = truth_of(sea, seed)
                tracks, grid = (
                    tracks_of(truth, NOISES[sea], seed),
                    truth.drop_vars("ssh").isel(time=0),
                )
                oi = xdvarnet.OptimalInterpolation.fit(
                    tracks, grid, covariance="gaussian", background=NoBackground()
                )
                observed = tracks[["ssh"]].dvarnet.bin_tracks(grid, time=truth["time"])
                first = observed.dvarnet.reconstruct(oi)["ssh"]
                found = []
                for model in models:
                    scaled = Scaled.fit(xdvarnet.load_model(model), tracks, grid, interpolation=oi)
                    whole = Scaled(scaled.network, oi)
                    change = observed.dvarnet.reconstruct(whole)["ssh"] - first
                    error = [
                        float(np.sqrt(((each - truth["ssh"])[INNER] ** 2).mean()))
                        for each in (first, first + scaled.weight * change, first + change)
                    ]
                    found.append(
                        {
                            "sea": sea,
                            "seed": seed,
                            "network": name_of(model),
                            "OI (cm)": 100 * error[0],
                            "over OI": error[1] / error[0],
                            "over OI, weight 1": error[2] / error[0],
                            "weight": scaled.weight,
                        }
                    )
                    print(found[-1], flush=True)
                pd.DataFrame(found).to_csv(made, index=False)
            rows.append(pd.read_csv(made))
    return pd.concat(rows)


def members(model: str, folder: Path) -> pd.DataFrame:
    """Return whether members are as far from their mean as the truth, a row for each sea."""
    rows, seed = [], SEEDS[0]
    for sea in SEAS:
        made = folder / f"members_{sea}.csv"
        if not made.exists():
            truth = truth_of(sea, seed)
            tracks, grid = tracks_of(truth, NOISES[sea], seed), truth.isel(time=0).drop_vars("ssh")
            oi = xdvarnet.OptimalInterpolation.fit(
                tracks, grid, covariance="gaussian", background=NoBackground()
            )
            scaled = Scaled.fit(xdvarnet.load_model(model), tracks, grid, interpolation=oi)
            observed = tracks[["ssh"]].dvarnet.bin_tracks(grid, time=truth["time"])
            row: dict[str, object] = {"sea": sea}
            for name, method in {"OI": oi, name_of(model): scaled}.items():
                calibrated = xdvarnet.calibrate(method, tracks, grid=grid, noise=NOISES[sea], rng=0)
                maps = observed.dvarnet.reconstruct(
                    calibrated, members=MEMBERS, return_members=True, rng=0
                ).isel(time=INNER)
                known = truth["ssh"].isel(time=INNER)
                formal = observed.dvarnet.reconstruct(method)["ssh_std"].isel(time=INNER)
                error = float(np.sqrt(((maps["ssh"] - known) ** 2).mean()))
                row[f"{name}, formal"] = float(np.sqrt((formal**2).mean())) / error
                drawn = maps["ssh_members"]
                row[f"{name}, members"] = float(spread_skill_ratio(drawn, known))
                row[f"{name}, coverage"] = float(coverage(drawn, known, level=0.9))
            print(row, flush=True)
            pd.DataFrame([row]).to_csv(made, index=False)
        rows.append(pd.read_csv(made))
    return pd.concat(rows)


def real(path: str, models: list[str], folder: Path) -> pd.DataFrame:
    """Return the scores along withheld missions, and the weights."""
    grid = xdvarnet.datasets.mediterranean().isel(time=0)
    with xr.open_dataset(path) as file:
        tracks = file.load().dvarnet.harmonise()
    made, weights = folder / "scaled_real.nc", folder / "scaled_real.csv"
    if not made.exists():
        fitted: dict[int, xdvarnet.OptimalInterpolation] = {}
        found: dict[str, list[float]] = {name_of(model): [] for model in models}

        def interpolation(seen: xr.Dataset) -> xdvarnet.OptimalInterpolation:
            size = seen["ssh"].size
            if size not in fitted:
                fitted[size] = xdvarnet.OptimalInterpolation.fit(seen, grid)
            return fitted[size]

        def learner(model: str) -> object:
            def learn(seen: xr.Dataset) -> Scaled:
                oi = interpolation(seen)
                scaled = Scaled.fit(xdvarnet.load_model(model), seen, grid, interpolation=oi)
                found[name_of(model)].append(scaled.weight)
                return scaled

            return learn

        methods = {"OI": interpolation, **{name_of(model): learner(model) for model in models}}
        predict_withheld(methods, tracks, grid).to_netcdf(made)
        pd.DataFrame(found).to_csv(weights, index=False)
    scores = leaderboard(xr.load_dataset(made), noise=NOISE, rng=0)
    table = 100 * scores[["rmse", "rmse_noise_removed"]].to_dataframe()
    changes = scores[["change", "change_low", "change_high"]].to_dataframe()
    table["over OI"] = 1 + changes["change"] / 100
    table["interval"] = [
        f"[{1 + low / 100:.3f}, {1 + high / 100:.3f}]"
        for low, high in changes[["change_low", "change_high"]].to_numpy()
    ]
    table["weights"] = [
        "",
        *(" ".join(f"{w:.2f}" for w in part) for part in pd.read_csv(weights).T.to_numpy()),
    ]
    return table.rename(columns={"rmse": "RMSE (cm)", "rmse_noise_removed": "noise taken off (cm)"})


def main() -> None:
    """Run a test, and write its table."""
    test, folder, rest = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    folder.mkdir(exist_ok=True)
    if test == "simulated":
        name, table = "scaled_tables.md", simulated(rest or ["ssh-twin"], folder)
        text = markdown(table.set_index("sea"), digits=2)
    elif test == "members":
        name, table = "scaled_members_tables.md", members((rest or ["ssh-any"])[0], folder)
        text = markdown(table.set_index("sea"), digits=2)
    else:
        name, models = "scaled_tracks_tables.md", rest[1:] or ["ssh-twin"]
        text = markdown(real(rest[0], models, folder), digits=3)
    (RESULTS / name).write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
