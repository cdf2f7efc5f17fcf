"""Measure the results page of the first map: 10 to 30 June 2005, five draws of the observations.

Usage: python docs/recipes/first_map_results.py [MODEL]

Writes first_map.csv, first_map_tables.md and first_map.png into docs/results.
"""

import os
import platform
import resource
import sys
import time
from datetime import date
from pathlib import Path

import cmocean
import numpy as np
import pandas as pd
import torch
import xarray as xr
from cartopy.crs import PlateCarree
from comparison import LOCAL, NETWORK, change, markdown, tuned_methods
from matplotlib.figure import Figure

import xdvarnet
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.metrics.scores import gradient_rmse, mu, rmse, sigma

RESULTS = Path(__file__).parents[1] / "results"
MISSIONS = ["jason1", "envisat", "gfo", "topex_interleaved"]
DRAWS = 5
STREAMS = {
    "all observations since 10 May": "2005-05-10",
    "only the observations of the test period": "2005-06-10",
}
LABELS = {
    "rmse": "RMSE (cm)",
    "gradient_rmse": "gradient RMSE (cm/100 km)",
    "mu": "mu",
    "sigma": "sigma",
}
FITTED = "OI fitted to the observations"
BLOCK, SAMPLES = 3, 4000  # days of one block, bootstrap samples

known = xdvarnet.datasets.mediterranean()
truth = known.sel(time=slice("2005-06-10", "2005-06-30"))


def observe(draw: int, begin: str) -> xr.Dataset:
    """Return one draw of the observations, from `begin` on."""
    days = known.sel(time=slice("2005-05-10", "2005-06-30"))
    return days.dvarnet.observe(MISSIONS, noise=0.02, rng=draw).sel(time=slice(begin, None))


def measure(model: Reconstructor) -> str:
    """Return a sentence on the cost of a reconstruction and the machine."""
    obs = observe(0, "2005-06-10")
    start = time.perf_counter()
    obs.dvarnet.reconstruct(model)
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # of kB on Linux
    days, rows, columns = obs["ssh"].shape
    return (
        f"The network maps {days} days x {rows} x {columns} cells in {seconds:.0f} s, and the peak "
        f"memory of the process is {memory:.1f} GB. Measured on {len(os.sched_getaffinity(0))} "
        f"core(s), {platform.processor() or platform.machine()}, with xdvarnet "
        f"{xdvarnet.__version__} and torch {torch.__version__.split('+')[0]}, {date.today()}."
    )


def all_methods(model: Reconstructor) -> dict:
    """Return the methods by their names in the tables."""
    return {
        "mean map + offset": xdvarnet.methods.MeanMapOffset(
            known.sel(time=slice("2005-04-01", "2005-05-31"))
        ),
        "persistence of 9 June + offset": xdvarnet.methods.Persistence(
            known.sel(time=slice(None, "2005-06-09"))
        ),
        FITTED: xdvarnet.OptimalInterpolation.fit(
            observe(0, "2005-05-10"), background=model.background, rng=0
        ),
        **tuned_methods(model, model.background),
    }


def reconstruct(methods: dict, begin: str) -> xr.DataArray:
    """Return the maps (draw, model, time, lat, lon) of the test period, where all have a value."""
    draws = []
    for draw in range(DRAWS):
        obs = observe(draw, begin)
        maps = [obs.dvarnet.reconstruct(method)["ssh"] for method in methods.values()]
        maps = xr.concat(maps, pd.Index(methods, name="model")).sel(time=truth["time"])
        draws.append(maps)
        print(begin, draw, (100 * rmse(maps, truth["ssh"])).values.round(3), flush=True)
    maps = xr.concat(draws, pd.Index(range(DRAWS), name="draw"))
    return maps.where(maps.notnull().all(["draw", "model"]))


def score(maps: xr.DataArray) -> xr.Dataset:
    """Return the scores (cm, cm/100 km, 1, 1) of each draw and method, and those of each day."""
    reference, horizontal = truth["ssh"], ["lat", "lon"]
    return xr.Dataset(
        {
            "rmse": 100 * rmse(maps, reference),
            "gradient_rmse": 100 * gradient_rmse(maps, reference),
            "mu": mu(maps, reference),
            "sigma": sigma(maps, reference),
            "daily_rmse": 100 * rmse(maps, reference, dim=horizontal),
            "daily_gradient_rmse": 100 * gradient_rmse(maps, reference, dim=horizontal),
        }
    )


def resampled_days(number: int) -> np.ndarray:
    """Return how often each day is in each bootstrap sample, shape (SAMPLES, number)."""
    rng = np.random.default_rng(0)
    starts = rng.integers(number - BLOCK + 1, size=(SAMPLES, number // BLOCK, 1))
    days = (starts + np.arange(BLOCK)).reshape(SAMPLES, -1)
    return np.stack([np.bincount(sample, minlength=number) for sample in days])


def tables(name: str, scores: xr.Dataset) -> str:
    """Return the Markdown tables of one stream of observations."""
    means = scores[list(LABELS)].mean("draw").to_pandas()[list(LABELS)]
    both = scores[["rmse", "gradient_rmse"]].to_dataframe().map("{:.3f}".format)
    single = both.agg(" / ".join, axis=1).unstack("draw").loc[means.index].add_prefix("draw ")
    changes = {}
    for kind in both:
        squares = (scores[f"daily_{kind}"] ** 2).mean("draw").transpose("time", "model")
        changes[LABELS[kind]] = change(squares.to_pandas(), resampled_days(truth.sizes["time"]))
    return f"""
### With {name}

Means over {DRAWS} draws:

{markdown(means.rename(columns=LABELS))}

{" / ".join(LABELS[kind] for kind in both)} of each draw:

{markdown(single)}

Change from each method to the network, with 95 % intervals of a paired bootstrap over days, in
blocks of {BLOCK} days because the errors of neighbouring days are alike:

{markdown(pd.DataFrame(changes))}
"""


def draw(maps: xr.DataArray, scores: xr.Dataset) -> Figure:
    """Draw the RMSE of each day, and maps of the RMSE of two methods and of their difference."""
    figure = Figure(figsize=(14, 6), layout="constrained")
    days, below = figure.subfigures(2, 1, height_ratios=[1, 0.9])
    axes = days.add_subplot()
    for model in scores["model"].values:
        daily = scores["daily_rmse"].sel(model=model)
        (line,) = axes.plot(truth["time"], daily.mean("draw"), label=plain(model))
        limits = daily.min("draw"), daily.max("draw")
        axes.fill_between(truth["time"], *limits, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set_yscale("log")
    axes.set_yticks([1, 1.5, 2, 3, 4], ["1", "1.5", "2", "3", "4"])
    axes.minorticks_off()
    axes.set_xticks(truth["time"].values[::5], [f"{day} June" for day in range(10, 31, 5)])
    axes.set_ylabel("RMSE (cm)")
    axes.set_title(f"each day: mean and range of {DRAWS} draws")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axes.grid(alpha=0.3)

    error = np.sqrt((rmse(maps, truth["ssh"], dim="time") ** 2).mean("draw")) * 100
    oi, network = error.sel(model=LOCAL), error.sel(model=NETWORK)
    panels = [
        (oi, plain(LOCAL), "RMSE", cmocean.cm.amp, 0, 3),
        (network, plain(NETWORK), "RMSE", cmocean.cm.amp, 0, 3),
        (network - oi, "4DVarNet minus OI", "difference", cmocean.cm.balance, -0.5, 0.5),
    ]
    for place, (array, title, label, cmap, vmin, vmax) in enumerate(panels, start=1):
        xdvarnet.plot_map(
            array.assign_attrs(long_name=label, units="cm").to_dataset(name="rmse"),
            "rmse",
            ax=below.add_subplot(1, 3, place, projection=PlateCarree()),
            cmap=cmap,
            vmin=vmin,
            vmax=vmax,
            title=title,
        )
    return figure


def plain(name: str) -> str:
    """Return a name of the tables without its Markdown."""
    return name.replace("`", "")


def main() -> None:
    """Measure, and write the tables and the figure."""
    model = xdvarnet.load_model(*sys.argv[1:] or ["med-ssh"])
    texts, frames = [measure(model)], []
    for number, (name, begin) in enumerate(STREAMS.items()):
        maps = reconstruct(all_methods(model), begin)
        scores = score(maps)
        texts.append(tables(name, scores))
        frames.append(scores.drop_dims("time").to_dataframe().assign(observations=name))
        if number == 0:
            draw(maps, scores).savefig(RESULTS / "first_map.png", dpi=110)
    table = pd.concat(frames).reset_index().set_index(["observations", "draw", "model"])
    table.round(5).to_csv(RESULTS / "first_map.csv")
    (RESULTS / "first_map_tables.md").write_text("\n".join(texts), encoding="utf-8")
    print("\n".join(texts))


if __name__ == "__main__":
    main()
