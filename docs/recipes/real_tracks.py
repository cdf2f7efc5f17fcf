"""Map the real tracks of three altimeters, and compare the maps with those of the fourth.

Usage: python docs/recipes/real_tracks.py TRACKS.nc FOLDER [MODEL]

The file has a point in each row: time, longitude, latitude, adt (m) and mission (an integer). Each
mission is withheld in turn. From the other three alone, an optimal interpolation is tuned, by
withholding a quarter of their passes in turn, and the model is fine-tuned. All methods get the
same background, made from the observations, with its default length. What was predicted is kept in
FOLDER, so that a run that was stopped goes on; tables go to
docs/results/real_tracks_tables.md, the trials of the optimal interpolation to
docs/results/real_tracks_oi.csv.
"""

import logging
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from comparison import NETWORK, ONE_STD, markdown, network_of

import xdvarnet
from xdvarnet.evaluation import leaderboard, predict_withheld
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.solver import ReconstructionLoss
from xdvarnet.tracks.crossovers import crossovers
from xdvarnet.tracks.segments import segments
from xdvarnet.training.passes import PASS_GAP

RESULTS = Path(__file__).parents[1] / "results"

LENGTHS = ["68 km", "80 km", "100 km", "120 km", "150 km"]
TIMES = ["10 days", "15 days", "20 days", "30 days"]
NOISES = [0.0135, 0.018, 0.025, 0.035]  # m, of the mean of one cell and day
START, TRIALS = (1, 2, 1), 12

FINE_TUNING = xdvarnet.Schedule(
    steps_per_epoch=32, loss=ReconstructionLoss(gradient=0.0, prior=0.0)
)
SCHEDULES = [
    replace(FINE_TUNING, learning_rate=3e-5, epochs=6),
    replace(FINE_TUNING, learning_rate=1e-4, epochs=6),
    replace(FINE_TUNING, learning_rate=3e-4, epochs=3),
]

TUNED, FIRST_GUESS, FINE_TUNED = (
    "OI tuned on the other tracks",
    NETWORK + ", this OI as its first guess",
    NETWORK + ", fine-tuned on the other tracks",
)
NOISE = 0.018  # m, stated beforehand for these tracks
CROSSOVER_DAYS = (0.5, 1, 2, 5)
CROSSOVER_GAP = 10  # s: the product has a point every two to three seconds

grid = xdvarnet.datasets.mediterranean()
places = grid.isel(time=0)  # its dates are not those of the tracks
background = xdvarnet.mapping.ObservedBackground()


class BackgroundOnly(Reconstructor):
    """The background of the observations, and no anomalies."""

    variables = {"ssh": "m"}
    background = background

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        return Analysis({"ssh": np.zeros(observations.shape, np.float32)})


def interpolation(length: str, time: str, noise: float) -> xdvarnet.OptimalInterpolation:
    """Return an optimal interpolation with the window of the model, whose first guess it may be."""
    return xdvarnet.OptimalInterpolation(
        "ssh",
        correlation_length=length,
        correlation_time=time,
        noise=noise,
        time_window=31,
        background=background,
    )


def tune(tracks: xr.Dataset) -> pd.DataFrame:
    """Try optimal interpolations, each quarter of the passes being withheld in turn; best first.

    The next trial is the untested one with the fewest steps on the grid from the best so far.
    """
    passes = segments(tracks, gap=PASS_GAP)
    quarters = np.random.default_rng(0).permutation(int(passes.max()) + 1) % 4
    tracks = tracks.assign(mission=(passes.dims, quarters[passes.values]))
    axes = (LENGTHS, TIMES, NOISES)
    untested = list(product(*(range(len(axis)) for axis in axes)))
    best, trials = START, {}
    while len(trials) < TRIALS:
        tested = min(untested, key=lambda other: np.abs(np.subtract(other, best)).sum())
        untested.remove(tested)
        setting = [axis[i] for axis, i in zip(axes, tested, strict=True)]
        made = predict_withheld({"OI": interpolation(*setting)}, tracks, places)
        error = (made["ssh_map"] - made["ssh"]).values
        trials[tested] = [*setting, 100 * np.sqrt(np.nanmean(error**2))]
        best = min(trials, key=lambda position: trials[position][-1])
    columns = ["correlation_length", "correlation_time", "noise", "rmse_cm"]
    return pd.DataFrame(list(trials.values()), columns=columns).sort_values("rmse_cm")


def fine_tune(model: xdvarnet.DVarNet, tracks: xr.Dataset) -> xdvarnet.DVarNet:
    """Return the model, trained further on the tracks.

    The best schedule is the one with the lowest error along the passes set aside, which all trials
    share.
    """
    trials = []
    for schedule in SCHEDULES:
        tuned = model.fine_tune(tracks, places, schedule=schedule, rng=0)
        trials.append((float(tuned.history["validation_rmse"].min()), tuned))
        logging.info("%s: %s", schedule, tuned.provenance["RMSE along the passes set aside"])
    _, best = min(trials, key=lambda trial: trial[0])
    return best.with_options(precision="float32")


def trials_for(tracks: xr.Dataset, mission: int, folder: Path) -> pd.DataFrame:
    """Return the trials on the tracks other than those of `mission`, and keep them."""
    path = folder / f"oi_{mission}.csv"
    if not path.exists():
        trials = tune(tracks.isel(time=tracks["mission"].values != mission))
        trials.insert(0, "withheld", mission)
        trials.round(4).to_csv(path, index=False)
    return pd.read_csv(path)


def predict(model: xdvarnet.DVarNet, tracks: xr.Dataset, mission: int, folder: Path) -> xr.Dataset:
    """Return the maps of all methods along one mission, made from the others."""
    trials = trials_for(tracks, mission, folder)
    logging.info("mission %s withheld\n%s", mission, trials.to_string(index=False))
    best = interpolation(*trials.iloc[0][["correlation_length", "correlation_time", "noise"]])
    own = model.with_options(background=background)
    guided = own.with_options(first_guess=best)
    models = {
        TUNED: best,
        "background only": BackgroundOnly(),
        "mean map of 2005 + offset": xdvarnet.methods.MeanMapOffset(grid[["ssh"]]),
        "OI tuned in 2005": interpolation(*ONE_STD.values()),
        NETWORK: own,
        FIRST_GUESS: guided,
        FINE_TUNED: lambda seen: fine_tune(guided.with_options(precision="bfloat16"), seen),
    }
    return predict_withheld(models, tracks, places, withhold=[mission])


def table(scores: xr.Dataset) -> pd.DataFrame:
    """Return the RMSE (cm) of each method, and the change with its 95 % interval."""
    rmse = 100 * scores["rmse_mission"].to_pandas()
    counts = scores["n_points_mission"].to_series()
    rmse.columns = [f"mission {each}, {counts[each]} points" for each in rmse]
    change = [
        f"{each.change:+.1f} % [{each.change_low:+.1f}, {each.change_high:+.1f}]"
        for each in scores[["change", "change_low", "change_high"]].to_dataframe().itertuples()
    ]
    return rmse.assign(
        **{
            f"all, {int(scores['n_points'])} points": 100 * scores["rmse"].values,
            "all, noise taken off": 100 * scores["rmse_noise_removed"].values,
            "change": ["", *change[1:]],
        }
    )


def crossover_table(tracks: xr.Dataset) -> pd.DataFrame:
    """Return the number of crossovers and the noise (cm) that they show."""
    rows = {}
    for days in CROSSOVER_DAYS:
        crossed = crossovers(tracks, "ssh", max_time_difference=days, gap=CROSSOVER_GAP)
        scaled = crossed["difference"] / crossed["noise_factor"]
        rows[f"{days:g} days"] = [
            str(crossed.sizes["crossover"]),
            100 * float(crossed["difference"].std()) / np.sqrt(2),
            100 * float(scaled.std()),
        ]
    columns = ["crossovers", "std / sqrt(2) (cm)", "noise of one measurement (cm)"]
    return pd.DataFrame(rows, index=columns).T


def main() -> None:
    """Withhold each mission in turn, and write the tables."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    path, folder, *name = sys.argv[1:]
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    model = network_of(xdvarnet.load_model(*name or ["med-ssh"]))
    with xr.open_dataset(path) as file:
        tracks = file.load().dvarnet.harmonise()
    missions = np.unique(tracks["mission"]).tolist()
    for mission in missions:
        made = folder / f"withheld_{mission}.nc"
        if not made.exists():
            predict(model, tracks, mission, folder).to_netcdf(made)
    predictions = xr.concat(
        [xr.load_dataset(folder / f"withheld_{mission}.nc") for mission in missions], "point"
    )
    scores = leaderboard(predictions, noise=NOISE, rng=0)
    trials = pd.concat([pd.read_csv(folder / f"oi_{mission}.csv") for mission in missions])
    trials.to_csv(RESULTS / "real_tracks_oi.csv", index=False)
    text = f"""RMSE (cm) along the tracks of the mission that was withheld. The change is that of
the RMSE with the variance of a noise of {100 * NOISE:g} cm taken off, from the first row, with the
95 % interval of a bootstrap over the {int(scores["n_passes"])} passes.

{markdown(table(scores), digits=2)}

Differences where tracks cross, within so many days:

{markdown(crossover_table(tracks), digits=2)}
"""
    (RESULTS / "real_tracks_tables.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
