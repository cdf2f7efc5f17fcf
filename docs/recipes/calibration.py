"""Is the spread of an ensemble as large as its error? 10 to 30 June 2005, five draws of tracks.

Usage: python docs/recipes/calibration.py FOLDER [MODEL]

The maps are those of docs/recipes/first_map_results.py with all observations since 10 May. What a
method needs to say how large its errors are, it learns from four other draws of the observations of
10 May to 9 June, and the truth of 1 to 9 June: the ensemble of the model by
docs/recipes/calibrate_med_ssh.py, the others here. Scores are kept in FOLDER, so that a run that
was stopped goes on. Writes calibration.csv, calibration_tables.md and calibration.png into
docs/results.
"""

import logging
import sys
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from comparison import markdown
from error_network import ErrorNetwork, train
from matplotlib.figure import Figure

import xdvarnet
from xdvarnet.methods import MeanMapOffset, Persistence
from xdvarnet.metrics.calibration import (
    binned_spread_skill,
    coverage,
    expected_coverage,
    rank_flatness,
    rank_histogram,
    spread_error_spectra,
    spread_skill_ratio,
)
from xdvarnet.metrics.proper_scores import energy_score, fair_crps
from xdvarnet.plot.ensembles import plot_ranks, plot_spread_skill

RESULTS = Path(__file__).parents[1] / "results"
MISSIONS = ["jason1", "envisat", "gfo", "topex_interleaved"]
MEMBERS, NEURAL_MEMBERS = 100, 20
DRAWS, NEURAL_DRAWS, LEARNED_FROM = range(5), range(1), range(100, 104)

BOX = 50  # cells, of the energy score
LEAST_SEA = 0.4  # share of a box
SCORED = slice(1, None, 3)  # days of all scores but the spectra: errors of neighbours are alike
BLOCK = 8  # cells: one degree
APART = {"time": 3, "lat": 8, "lon": 10}  # scored days and cells between points that are ranked
RANKED = 19  # members: few enough for five points to a rank
OPEN = {"lat": slice(32.9, 35), "lon": slice(12, 32.4)}  # sea without land, for spectra
BANDS = {"over 400": 0, "200 to 400": 1 / 400, "100 to 200": 1 / 200, "below 100": 1 / 100}  # km
DEGREE = 111.2 * np.cos(np.deg2rad(33.9))  # km, of longitude in OPEN

CONSTANT, PERSISTENCE = "mean map + offset, constant std", "persistence, constant std"
FORMAL, SCALED = "OI, formal error", "OI, formal error x factor"
PIXELS = "4DVarNet, error network"
NEURAL, HYBRID = "4DVarNet, `neural`", "4DVarNet, `hybrid`"

COLUMNS = {
    "rmse": "RMSE (cm)",
    "ratio": "spread-skill",
    "ratio_observed": "observed cells",
    "ratio_unobserved": "other cells",
    "ratio_blocks": "means of 1 degree",
    "coverage": "coverage of 90 %",
    "crps": "CRPS (cm)",
    "energy": "energy score (cm)",
    "flatness": "p of flat ranks",
}

known = xdvarnet.datasets.mediterranean()
sea = known["sea"].values
logger = logging.getLogger(__name__)


class Maps:
    """Means and formal errors of all methods for one draw of the observations, kept in a file."""

    def __init__(self, model: xdvarnet.Calibrated, draw: int, folder: Path) -> None:
        learning = draw in LEARNED_FROM
        end, scored = ("06-09", "06-01") if learning else ("06-30", "06-10")
        self.draw = draw
        self.truth = known["ssh"].sel(time=slice(f"2005-{scored}", f"2005-{end}"))
        days = known.sel(time=slice("2005-05-10", f"2005-{end}"))
        self.obs = days.dvarnet.observe(MISSIONS, noise=0.02, rng=draw)
        path = folder / f"maps_{draw}.nc"
        if not path.exists():
            self._make(model).to_netcdf(path)
        self.made = xr.load_dataset(path)

    def _make(self, model: xdvarnet.Calibrated) -> xr.Dataset:
        interpolated = self.obs.dvarnet.reconstruct(
            model.model.first_guess.with_options(background=model.background)
        )
        earlier = known.sel(time=slice("2005-04-01", "2005-05-31"))
        before = known.sel(time=slice(None, self.truth["time"][0] - np.timedelta64(1, "D")))
        return xr.Dataset(
            {
                "network": self.obs.dvarnet.reconstruct(model)["ssh"],
                "interpolated": interpolated["ssh"],
                "formal": interpolated["ssh_std"],
                "constant": self.obs.dvarnet.reconstruct(MeanMapOffset(earlier))["ssh"],
                "persistence": self.obs.dvarnet.reconstruct(Persistence(before))["ssh"],
            }
        ).sel(time=self.truth["time"])

    @property
    def observed(self) -> xr.DataArray:
        """Where there is an observation, on all days."""
        return self.obs["ssh"].notnull()

    def error(self, name: str) -> xr.DataArray:
        """Mean minus truth."""
        return self.made[name] - self.truth


class Learned:
    """What the methods without an ensemble learn of their errors."""

    def __init__(self, draws: list[Maps]) -> None:
        self.draws = draws

    def rmse(self, name: str) -> float:
        """Return the error of a method, of all draws."""
        return root_mean_square([each.error(name) for each in self.draws])

    @property
    def factor(self) -> float:
        """What the formal error is multiplied by."""
        return self.rmse("interpolated") / root_mean_square(
            [each.made["formal"] for each in self.draws]
        )

    @cached_property
    def network(self) -> ErrorNetwork:
        """The error network, trained."""
        return train(
            [(each.observed, each.made["formal"], each.error("network")) for each in self.draws]
        )


def root_mean_square(fields: list[xr.DataArray]) -> float:
    """Return the root mean square of several fields."""
    return float(np.sqrt(np.mean([(field**2).mean() for field in fields])))


def pixels(mean: xr.DataArray, std: xr.DataArray | float, draw: int) -> xr.DataArray:
    """Draw members from normal distributions that are independent from cell to cell."""
    values = np.random.default_rng(draw).standard_normal((MEMBERS, *mean.shape), np.float32)
    return mean + std * xr.DataArray(values, dims=("member", *mean.dims))


def members_of(model: xdvarnet.Calibrated, maps: Maps, members: int) -> xr.DataArray:
    """Draw members of the model's own ensemble."""
    made = maps.obs.dvarnet.reconstruct(model, members=members, return_members=True, rng=maps.draw)
    return made["ssh_members"].sel(time=maps.truth["time"])


def methods(model: xdvarnet.Calibrated, folder: Path) -> dict[str, Callable[[Maps], xr.DataArray]]:
    """Return what draws the members of each method."""

    @cache
    def learned() -> Learned:
        return Learned([Maps(model, draw, folder) for draw in LEARNED_FROM])

    def pixelwise(name: str, std: Callable[[Maps], xr.DataArray | float]) -> Callable:
        return lambda maps: pixels(maps.made[name], std(maps), maps.draw)

    return {
        CONSTANT: pixelwise("constant", lambda maps: learned().rmse("constant")),
        PERSISTENCE: pixelwise("persistence", lambda maps: learned().rmse("persistence")),
        FORMAL: pixelwise("interpolated", lambda maps: maps.made["formal"]),
        SCALED: pixelwise("interpolated", lambda maps: learned().factor * maps.made["formal"]),
        PIXELS: pixelwise(
            "network", lambda maps: learned().network.std(maps.observed, maps.made["formal"])
        ),
        NEURAL: lambda maps: members_of(model.with_options(method="neural"), maps, NEURAL_MEMBERS),
        HYBRID: lambda maps: members_of(model, maps, MEMBERS),
    }


def score(members: xr.DataArray, maps: Maps) -> xr.Dataset:
    """Return the scores of one draw (cm and 1), its ranks, its spread-skill curve and spectra."""
    members = members.transpose("member", "time", "lat", "lon")
    power = spectra(members, maps.truth)
    members, truth = members.isel(time=SCORED), maps.truth.isel(time=SCORED)
    observed = maps.observed.sel(time=truth["time"])

    def cells(array: xr.DataArray) -> xr.DataArray:  # of the sea, to save memory
        values = array.values[..., sea].astype(np.float64)
        return xr.DataArray(values, dims=(*array.dims[:-2], "cell"), attrs={"units": "m"})

    values, reference, seen = cells(members), cells(truth), cells(observed) > 0
    size = members.sizes["member"]
    mean = values.mean("member")
    spread = np.sqrt((size + 1) / size) * values.std("member", ddof=1)
    apart = {dim: slice(0, None, step) for dim, step in APART.items()}
    few = members.isel({**apart, "member": slice(RANKED)})
    histogram = rank_histogram(few, truth.isel(apart), rng=0)
    within = ("lat_cell", "lon_cell")
    boxes, boxed = (blocks(each, BOX).stack(box=("lat", "lon")) for each in (members, truth))
    wet = boxed.notnull().mean(["time", *within]).values > LEAST_SEA
    energy = energy_score(boxes.isel(box=wet), boxed.isel(box=wet), dim=within)
    means, averaged = (blocks(each, BLOCK) for each in (members, truth))
    whole = averaged.notnull().all(within)
    scores = {
        "rmse": 100 * np.sqrt(((mean - reference) ** 2).mean()),
        "ratio": spread_skill_ratio(values, reference),
        "ratio_observed": spread_skill_ratio(values, reference.where(seen)),
        "ratio_unobserved": spread_skill_ratio(values, reference.where(~seen)),
        "ratio_blocks": spread_skill_ratio(means.mean(within), averaged.mean(within).where(whole)),
        "coverage": coverage(values, reference),
        "crps": 100 * fair_crps(values, reference),
        "energy": 100 * energy.mean(),
        "flatness": rank_flatness(histogram),
        "ranks": histogram,
    }
    curve = binned_spread_skill(100 * mean, 100 * spread, 100 * reference)
    return xr.merge([xr.Dataset(scores), curve, power], combine_attrs="drop")


def blocks(array: xr.DataArray, size: int) -> xr.DataArray:
    """Cut the maps into squares of cells, with the dimensions ``lat_cell`` and ``lon_cell``."""
    cut = array.drop_vars(list(array.coords)).coarsen(lat=size, lon=size, boundary="trim")
    return cut.construct(lat=("lat", "lat_cell"), lon=("lon", "lon_cell"))


def spectra(members: xr.DataArray, truth: xr.DataArray) -> xr.Dataset:
    """Return the power of spread and error in bands of zonal wavelength."""
    power = spread_error_spectra(members.sel(OPEN), truth.sel(OPEN)).sum("frequency")
    wavenumber = np.abs(power["wavenumber"]) / DEGREE
    band = xr.DataArray(np.digitize(wavenumber, list(BANDS.values())) - 1, dims="wavenumber")
    summed = power.drop_vars("wavenumber").groupby(band.rename("band")).sum()
    return summed.rename(spread="spread_power", error="error_power").assign_coords(band=[*BANDS])


def scored(model: xdvarnet.Calibrated, folder: Path) -> xr.Dataset:
    """Score all methods on all draws, or read what was scored before."""
    drawn_by = methods(model, folder)
    results = []
    for number, (name, draw_members) in enumerate(drawn_by.items()):
        draws = []
        for draw in NEURAL_DRAWS if name == NEURAL else DRAWS:  # it is slow
            path = folder / f"scores_{number}_{draw}.nc"
            if not path.exists():
                maps = Maps(model, draw, folder)
                score(draw_members(maps), maps).to_netcdf(path)
                logger.info("%s, draw %d", name, draw)
            draws.append(xr.load_dataset(path).expand_dims(draw=[draw]))
        results.append(xr.concat(draws, "draw"))
    return xr.concat(results, pd.Index(drawn_by, name="model"))


def table(scores: xr.Dataset) -> pd.DataFrame:
    """Return the means over draws, and the lowest and highest p-value."""
    means = scores[list(COLUMNS)].mean("draw").to_pandas()[list(COLUMNS)]
    low, high = scores["flatness"].min("draw").values, scores["flatness"].max("draw").values
    means["flatness"] = [f"{a:.2g} to {b:.2g}" for a, b in zip(low, high, strict=True)]
    return means.rename(columns=COLUMNS)


def ratios(scores: xr.Dataset) -> pd.DataFrame:
    """Return the spread-skill ratio of each band of wavelengths."""
    power = scores[["spread_power", "error_power"]].mean("draw")
    ratio = np.sqrt(power["spread_power"] / power["error_power"])
    return ratio.transpose("model", "band").to_pandas()


def draw_figure(scores: xr.Dataset) -> Figure:
    """Draw ranks, the error in bins of the spread, and the spread-skill ratio at each scale."""
    figure = Figure(figsize=(14, 8), layout="constrained")
    axes = figure.subplots(2, 3)
    for name, ax in zip((FORMAL, PIXELS, HYBRID), axes[0], strict=True):
        plot_ranks(scores["ranks"].sel(model=name, draw=0).astype(int), ax=ax)
        ax.set_title(f"{plain(name)}, one draw")
    for name, ax in zip((FORMAL, SCALED, PIXELS, HYBRID), [axes[1, 0]] * 4, strict=True):
        curve = scores[["spread", "error", "count"]].sel(model=name).mean("draw")
        for each in ("spread", "error"):
            curve[each].attrs["units"] = "cm"
        plot_spread_skill(curve, label=plain(name), ax=ax)
    wide = ratios(scores).loc[[FORMAL, SCALED, PIXELS, NEURAL, HYBRID]]
    for name, row in wide.iterrows():
        axes[1, 1].plot(list(BANDS), row, "o-", label=plain(str(name)))
    axes[1, 1].axhline(1, color="0.5", linewidth=0.8, linestyle="--")
    axes[1, 1].set(xlabel="zonal wavelength (km)", ylabel="spread over error", ylim=(0, 4.2))
    axes[1, 1].legend(loc="upper left")
    bars = scores[["ratio", "ratio_blocks"]].mean("draw").to_pandas().loc[wide.index[::-1]]
    bars = bars.set_axis(["cells", "means of 1 degree"], axis=1).rename(index=plain)
    bars.plot.barh(ax=axes[1, 2], xlabel="spread over error", ylabel="")
    axes[1, 2].axvline(1, color="0.5", linewidth=0.8, linestyle="--")
    axes[1, 2].legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    return figure


def plain(name: str) -> str:
    """Return a name of the tables without its Markdown."""
    return name.replace("`", "")


def main() -> None:
    """Score, and write the tables and the figure."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    folder, *name = sys.argv[1:]
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    model = xdvarnet.load_model(*name or ["med-ssh"])
    scores = scored(model, folder)
    scores[[*COLUMNS]].to_dataframe().round(5).to_csv(RESULTS / "calibration.csv")
    draw_figure(scores).savefig(RESULTS / "calibration.png", dpi=110)
    perfect = {size: f"{expected_coverage(0.9, size):.3f}" for size in (MEMBERS, NEURAL_MEMBERS)}
    first = scores.sel(draw=[0], model=[NEURAL, HYBRID])
    text = f"""Means over {len(DRAWS)} draws; RMSE of the mean of the members. A perfect ensemble of
{MEMBERS} members covers {perfect[MEMBERS]}. The p-values are the lowest and the highest of the
draws.

{markdown(table(scores.drop_sel(model=NEURAL)))}

`neural` is slow: draw 0 alone, with {NEURAL_MEMBERS} members, which cover {perfect[NEURAL_MEMBERS]}
if they are perfect.

{markdown(table(first))}

Spread over error in bands of the zonal wavelength (km), 33 to 35 degrees north, 12 to 32 degrees
east (`neural`: draw 0):

{markdown(ratios(scores), digits=2)}
"""
    (RESULTS / "calibration_tables.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
