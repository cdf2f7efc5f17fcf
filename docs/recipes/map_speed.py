"""Measure what maps cost, beside their error: methods and options in turns, on the same data.

Usage: OMP_NUM_THREADS=1 python docs/recipes/map_speed.py

The test oceans of the Gulf Stream of docs/recipes/twin_data.py, by four altimeters. All methods
have the background and the numbers of ``ssh-twin``: the tuned interpolation, by this package and by
pyinterp from 24 neighbours, and the network with its first guess, by days between windows and by
precision. A method is timed as it is called, from a Dataset to maps, in two
turns. Writes docs/results/map_speed_tables.md: processor time of 60 days on one thread and error in
the scored days, means and ranges over three oceans. A quarter of an hour of one core.
"""

from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
import torch
import xarray as xr
from comparison import markdown
from interpolation_peers import Pyinterp
from twin_data import NADIRS, NOISE, SCORED, SEEDS, ocean

import xdvarnet
from xdvarnet.mapping.protocol import Reconstructor

TABLE = Path(__file__).parents[1] / "results" / "map_speed_tables.md"
STRIDES = (1, 2, 3, 4, 5, 7)
"""Days; the core of a window has seven."""

TURNS = 2


def methods() -> dict[str, Reconstructor]:
    """Return the methods by their names."""
    model = xdvarnet.load_model("ssh-twin")
    assert isinstance(model, xdvarnet.DVarNet)
    interpolation = model.first_guess.with_options(background=model.background)
    assert isinstance(interpolation, xdvarnet.OptimalInterpolation)
    fast = model.with_options(precision="bfloat16")
    return {
        "pyinterp, 24 neighbours": Pyinterp(interpolation, 24),
        "interpolation, 300 neighbours": interpolation.replace(neighbours=300),
        "interpolation, 100 (first guess)": interpolation,
        "`ssh-twin`": model,
        **{
            f"a window every {stride} days": model.with_options(stride=stride)
            for stride in STRIDES[1:]
        },
        "bfloat16": fast,
        "bfloat16, every 2 days": fast.with_options(stride=2),
    }


def measure(seed: int) -> pd.DataFrame:
    """Return seconds and error of one ocean, by method."""
    truth = ocean("gulf-stream", "test", seed)[["ssh"]]
    observed = truth.dvarnet.observe(NADIRS, noise=NOISE, rng=seed)
    rows = []
    for turn in range(TURNS):
        for name, model in methods().items():
            start = process_time()
            maps = observed.dvarnet.reconstruct(model)
            seconds = process_time() - start
            rows.append(
                {"method": name, "turn": turn, "time": seconds, "error": error(maps, truth)}
            )
    return pd.DataFrame(rows).groupby("method", sort=False)[["time", "error"]].mean()


def error(maps: xr.Dataset, truth: xr.Dataset) -> float:
    """Return the error in the scored days, cm."""
    rest = (maps["ssh"] - truth["ssh"]).isel(time=SCORED["test"])
    return 100 * float(np.sqrt((rest**2).mean()))


def main() -> None:
    torch.set_num_threads(1)
    tables = pd.concat({seed: measure(seed) for seed in SEEDS["test"]}, names=["ocean"])
    print(tables.round(3).to_string())
    network = tables.xs("`ssh-twin`", level="method")
    both = tables.groupby("method", sort=False)
    over = (tables / network).groupby("method", sort=False)
    text = markdown(
        pd.DataFrame(
            {
                "time (s)": spread(both["time"], 1),
                "over `ssh-twin`": spread(over["time"], 2),
                "error (cm)": spread(both["error"], 2),
                "over that of `ssh-twin`": spread(over["error"], 3),
            }
        ),
        digits=2,
    )
    TABLE.write_text(text + "\n", encoding="utf-8")
    print(text)


def spread(groups: pd.core.groupby.SeriesGroupBy, digits: int) -> pd.Series:
    """Describe mean and range."""
    return groups.agg(
        lambda v: f"{v.mean():.{digits}f} ({v.min():.{digits}f} to {v.max():.{digits}f})"
    )


if __name__ == "__main__":
    main()
