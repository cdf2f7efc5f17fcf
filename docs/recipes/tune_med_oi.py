"""Tune the optimal interpolation of the Mediterranean on the validation days, 1 to 9 June 2005.

Usage: python docs/recipes/tune_med_oi.py [FILE.csv]

One standard deviation for the whole basin, or a local one: both get the same number of trials. The
next trial is the untested combination with the fewest steps on the grid from the best so far.
"""

import sys
from itertools import product

import numpy as np
import pandas as pd

import xdvarnet

MISSIONS = ["jason1", "envisat", "gfo", "topex_interleaved"]
TRIALS, DRAWS = 12, 2

LENGTHS = ["55 km", "60 km", "65 km", "68 km", "72 km", "80 km"]
TIMES = ["10 days", "13 days", "16 days", "20 days"]
NOISES = [0.010, 0.0135, 0.018]  # m, of the mean of one cell and day
STD_LENGTHS = {"one": [None], "local": ["50 km", "75 km", "110 km"]}
START = (3, 1, 1)  # positions in LENGTHS, TIMES, NOISES

truth = xdvarnet.datasets.mediterranean()
mean_map = truth.sel(time=slice("2005-04-01", "2005-05-31")).mean("time")
background = xdvarnet.mapping.MeanMapBackground(mean_map)
days = truth.sel(time=slice("2005-05-10", "2005-06-09"))
validation = truth.sel(time=slice("2005-06-01", "2005-06-09"))
draws = [days.dvarnet.observe(MISSIONS, noise=0.02, rng=draw) for draw in range(DRAWS)]


def trial(length: str, time: str, noise: float, std_length: str | None) -> dict:
    """Return the settings and their RMSE (cm) over the validation days of each draw."""
    settings = {
        "correlation_length": length,
        "correlation_time": time,
        "noise": noise,
        "std_length": std_length,
    }
    oi = xdvarnet.OptimalInterpolation("ssh", **settings, background=background)
    scores = [draw.dvarnet.reconstruct(oi).dvarnet.score(validation) for draw in draws]
    errors = [100 * float(score["rmse"]) for score in scores]
    return {
        **settings,
        **{f"rmse_cm_{draw}": error for draw, error in enumerate(errors)},
        "rmse_cm": np.sqrt(np.mean(np.square(errors))),
    }


def search(std_lengths: list) -> pd.DataFrame:
    """Return the trials, in their order."""
    axes = (LENGTHS, TIMES, NOISES, std_lengths)
    untested = list(product(*(range(len(axis)) for axis in axes)))
    best, trials = (*START, len(std_lengths) // 2), {}
    while len(trials) < TRIALS:
        tested = min(untested, key=lambda other: np.abs(np.subtract(other, best)).sum())
        untested.remove(tested)
        trials[tested] = trial(*(axis[i] for axis, i in zip(axes, tested, strict=True)))
        best = min(trials, key=lambda position: trials[position]["rmse_cm"])
        print(*trials[tested].values(), flush=True)
    return pd.DataFrame(list(trials.values()))


table = pd.concat({name: search(lengths) for name, lengths in STD_LENGTHS.items()})
table = table.droplevel(1).rename_axis("std").reset_index().round(4)
print(table.sort_values(["std", "rmse_cm"]).to_string(index=False))
if sys.argv[1:]:
    table.to_csv(sys.argv[1], index=False)
