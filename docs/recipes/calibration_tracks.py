"""Is the spread of an ensemble as large as its error along real tracks? Each mission withheld.

Usage: python docs/recipes/calibration_tracks.py TRACKS.nc FOLDER [MODEL]

The tracks, the background and the optimal interpolations are those of docs/recipes/real_tracks.py,
with the settings that it chose on the other three missions (docs/results/real_tracks_oi.csv). When
a mission is withheld, all methods learn from the other three alone how large their errors are, by
withholding each of these in turn. Members are sampled at the withheld points, and the error of a
measurement is added to them. What was predicted is kept in FOLDER, so that a run that was stopped
goes on. Writes calibration_tracks_tables.md and calibration_tracks.png into docs/results.
"""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from comparison import markdown
from matplotlib.figure import Figure
from real_tracks import NOISE, background, grid, interpolation, places

import xdvarnet
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.metrics.calibration import (
    add_observation_noise,
    binned_spread_skill,
    coverage,
    expected_coverage,
    rank_flatness,
    rank_histogram,
    spread_skill_ratio,
)
from xdvarnet.metrics.proper_scores import energy_score, fair_crps, gaussian_crps
from xdvarnet.plot.ensembles import plot_ranks, plot_spread_skill
from xdvarnet.tracks.bin import bin_tracks, daily_stamps
from xdvarnet.tracks.sample import sample_tracks
from xdvarnet.tracks.segments import segments
from xdvarnet.training.passes import PASS_GAP

RESULTS = Path(__file__).parents[1] / "results"
MEMBERS, RANKED = 100, 19
APART = 16  # points along a pass, about 100 km
SAMPLES = 4000  # of the bootstrap over passes

CONSTANT, FORMAL = "mean map of 2005 + offset, constant std", "OI tuned, formal error"
SCALED, OI_HYBRID = "OI tuned, formal error x factor", "OI tuned, `hybrid`"
HYBRID = "4DVarNet, this OI as first guess, `hybrid`"

logger = logging.getLogger(__name__)


def at_points(model: Reconstructor, seen: xr.Dataset, hidden: xr.Dataset, **members) -> xr.Dataset:
    """Map the tracks that are seen, and sample the maps at the points that are hidden.

    A method without a standard deviation has one of 1 m.
    """
    times = xr.concat([seen["time"], hidden["time"]], "time")
    days = (times.values - np.datetime64("1950-01-01")) / np.timedelta64(1, "D")
    maps = bin_tracks(seen[["ssh"]], grid, time=daily_stamps(days)).dvarnet.reconstruct(
        model, **members
    )
    if "ssh_std" not in maps:
        maps["ssh_std"] = xr.ones_like(maps["ssh"])
    return sample_tracks(maps, hidden)


def split(tracks: xr.Dataset, mission: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the tracks of the other missions, and those of this one."""
    here = tracks["mission"].values == mission
    return tracks.isel(time=~here), tracks.isel(time=here)


def factor(model: Reconstructor, tracks: xr.Dataset) -> float:
    """Return what the standard deviation is multiplied by, from each mission withheld in turn."""
    parts = []
    for mission in np.unique(tracks["mission"]):
        seen, hidden = split(tracks, mission)
        made = at_points(model, seen, hidden)
        parts.append(np.stack([made["ssh"] - hidden["ssh"], made["ssh_std"]]))
    error, std = np.nanmean(np.concatenate(parts, axis=1) ** 2, axis=1)
    return float(np.sqrt((error - NOISE**2) / std))


def independent(
    model: Reconstructor, size: Callable[[xr.Dataset], float]
) -> Callable[[xr.Dataset, xr.Dataset], xr.Dataset]:
    """Return what draws members that are independent from point to point."""

    def draw(seen: xr.Dataset, hidden: xr.Dataset) -> xr.Dataset:
        made = at_points(model, seen, hidden)
        made["ssh_std"] = size(seen) * made["ssh_std"]
        white = np.random.default_rng(0).standard_normal((MEMBERS, made.sizes["time"]))
        white = xr.DataArray(white, dims=("member", "time"))
        return made.assign(ssh_members=made["ssh"] + white * made["ssh_std"])

    return draw


def calibrated(model: Reconstructor) -> Callable[[xr.Dataset, xr.Dataset], xr.Dataset]:
    """Return what draws members of the model after its calibration on the tracks that are seen."""

    def draw(seen: xr.Dataset, hidden: xr.Dataset) -> xr.Dataset:
        known = xdvarnet.calibrate(model, seen, grid=places, noise=NOISE, rng=0)
        logger.info("%s", known.errors)
        return at_points(known, seen, hidden, members=MEMBERS, return_members=True, rng=0)

    return draw


def methods(
    model: xdvarnet.Calibrated, mission: int
) -> dict[str, Callable[[xr.Dataset, xr.Dataset], xr.Dataset]]:
    """Return what maps the other missions, with members, at the points of this one."""
    trials = pd.read_csv(RESULTS / "real_tracks_oi.csv")
    best = trials[trials["withheld"] == mission].sort_values("rmse_cm").iloc[0]
    oi = interpolation(*best[["correlation_length", "correlation_time", "noise"]])
    trivial = xdvarnet.methods.MeanMapOffset(grid[["ssh"]])
    guided = model.model.with_options(background=background, first_guess=oi)
    # an earlier calibration, whose correlation time is kept
    timed, guided = (xdvarnet.Calibrated(each, model.errors) for each in (oi, guided))
    return {
        FORMAL: independent(oi, lambda seen: 1.0),
        SCALED: independent(oi, lambda seen: factor(oi, seen)),
        CONSTANT: independent(trivial, lambda seen: factor(trivial, seen)),
        OI_HYBRID: calibrated(timed),
        HYBRID: calibrated(guided),
    }


def predict(model: xdvarnet.Calibrated, tracks: xr.Dataset, folder: Path) -> xr.Dataset:
    """Return the members of all methods at the points of each mission, when it is withheld."""
    passes = segments(tracks, gap=PASS_GAP)
    tracks = tracks.assign_coords(pass_number=("time", passes.values))
    parts = []
    for mission in np.unique(tracks["mission"]).tolist():
        path = folder / f"members_{mission}.nc"
        if not path.exists():
            seen, hidden = split(tracks, mission)
            made = {}
            for name, draw in methods(model, mission).items():
                fields = draw(seen, hidden)[["ssh", "ssh_std", "ssh_members"]]
                made[name] = fields.drop_vars(list(fields.coords)).rename(time="point")
                logger.info("mission %s withheld: %s", mission, name)
            points = xr.concat(made.values(), pd.Index(made, name="model"))
            for name in ("ssh", "mission", "pass_number"):
                points[f"measured_{name}"] = ("point", hidden[name].values)
            points.to_netcdf(path)
        parts.append(xr.load_dataset(path))
    made = xr.concat(parts, "point", data_vars="minimal").transpose("model", "member", "point")
    return made.isel(point=made["ssh_members"].notnull().all(["model", "member"]).values)


def score(made: xr.Dataset) -> tuple[pd.Series, xr.Dataset]:
    """Return the scores of one method, and what is drawn of them."""
    measured = made["measured_ssh"].assign_attrs(units="m")
    noisy = add_observation_noise(made["ssh_members"], NOISE, rng=1)
    std = np.sqrt(made["ssh_std"] ** 2 + NOISE**2)
    error = float(((made["ssh"] - measured) ** 2).mean())
    few = noisy.isel(member=slice(RANKED), point=slice(None, None, APART))
    ranks = rank_histogram(few, measured.isel(point=slice(None, None, APART)), rng=0)
    missions = made["measured_mission"].values
    energy = [
        float(energy_score(noisy.isel(point=here), measured.isel(point=here), dim="point"))
        for here in made.groupby("measured_pass_number").groups.values()
    ]
    scores = {
        "RMSE (cm)": 100 * np.sqrt(error),
        "spread-skill": float(spread_skill_ratio(noisy, measured)),
        **{
            f"mission {each}": float(
                spread_skill_ratio(
                    noisy.isel(point=missions == each), measured.isel(point=missions == each)
                )
            )
            for each in np.unique(missions)
        },
        "noise taken off": np.sqrt(float((made["ssh_std"] ** 2).mean()) / (error - NOISE**2)),
        "coverage of 90 %": float(coverage(noisy, measured)),
        "CRPS (cm)": 100 * float(fair_crps(noisy, measured)),
        "CRPS, normal (cm)": 100 * float(gaussian_crps(made["ssh"], std, measured)),
        "energy score of passes (cm)": 100 * np.mean(energy),
        "p of flat ranks": float(rank_flatness(ranks)),
    }
    curve = binned_spread_skill(*(100 * each for each in (made["ssh"], std, measured)))
    for name in ("spread", "error"):
        curve[name].attrs["units"] = "cm"
    return pd.Series(scores), curve.assign(ranks=ranks)


def bootstrap(made: xr.Dataset) -> pd.DataFrame:
    """Return CRPS and RMSE relative to those of OI with its formal error, with 95 % intervals.

    The CRPS is that of the normal distribution of mean and standard deviation, which the members
    are drawn from: that of so many members has an error of its own.
    """
    measured = made["measured_ssh"]
    std = np.sqrt(made["ssh_std"] ** 2 + NOISE**2)
    losses = xr.Dataset(
        {
            "CRPS": gaussian_crps(made["ssh"], std, measured, dim=[]),
            "RMSE": (made["ssh"] - measured) ** 2,
        }
    )
    totals = losses.assign_coords(number=made["measured_pass_number"]).groupby("number").sum()
    passes = totals.sizes["number"]
    draws = np.random.default_rng(0).multinomial(passes, np.full(passes, 1 / passes), SAMPLES)
    table = {}
    for name, power in {"CRPS": 1.0, "RMSE": 0.5}.items():
        values = totals[name].transpose("number", "model").to_pandas()
        sums = pd.DataFrame(draws @ values.to_numpy(), columns=values.columns)
        sums.loc[SAMPLES] = values.sum()
        changes = 100 * (sums.div(sums[FORMAL], axis=0) ** power - 1)
        low, high = changes[:SAMPLES].quantile(0.025), changes[:SAMPLES].quantile(0.975)
        table[f"{name} against {FORMAL}"] = {
            each: f"{changes[each][SAMPLES]:+.1f} % [{low[each]:+.1f}, {high[each]:+.1f}]"
            for each in values.columns.drop(FORMAL)
        }
    return pd.DataFrame(table)


def draw_figure(curves: dict[str, xr.Dataset]) -> Figure:
    """Draw ranks of two methods, and the error in bins of the spread."""
    figure = Figure(figsize=(14, 4.4), layout="constrained")
    axes = figure.subplots(1, 3)
    short = {FORMAL: "OI, formal error", SCALED: "OI, x factor", OI_HYBRID: "OI, hybrid"}
    short[HYBRID] = "4DVarNet, hybrid"
    for name, ax in zip((FORMAL, HYBRID), axes[:2], strict=True):
        plot_ranks(curves[name]["ranks"], ax=ax).set_title(short[name])
    for name, text in short.items():
        plot_spread_skill(curves[name], label=text, ax=axes[2])
    axes[2].set_title("with the error of a measurement")
    return figure


def main() -> None:
    """Withhold each mission in turn, and write the tables and the figure."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    path, folder, *name = sys.argv[1:]
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    model = xdvarnet.load_model(*name or ["med-ssh"])
    with xr.open_dataset(path) as file:
        tracks = file.load().dvarnet.harmonise()
    predictions = predict(model, tracks, folder)
    scores, curves = {}, {}
    for each in predictions["model"].values:
        scores[each], curves[each] = score(predictions.sel(model=each, drop=True))
    draw_figure(curves).savefig(RESULTS / "calibration_tracks.png", dpi=110)
    passes = np.unique(predictions["measured_pass_number"]).size
    text = f"""At {predictions.sizes["point"]} points of {passes} passes, {MEMBERS} members, with a
noise of {100 * NOISE:g} cm. A perfect ensemble covers {expected_coverage(0.9, MEMBERS):.3f}.

{markdown(pd.DataFrame(scores).T)}

With 95 % intervals of a bootstrap over passes:

{markdown(bootstrap(predictions))}
"""
    (RESULTS / "calibration_tracks_tables.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
