"""Find out why a network gains less on real tracks: simulated seas on their points, mask and days.

Usage: python docs/recipes/any_sea_control.py SEAS FOLDER TRACKS.nc [CHANGE ...]

SEAS is the folder of any_sea_seas.py, whose three held-out seas are put over the Mediterranean with
a correlation length of 70 km, a correlation time of 14 days and a standard deviation of 5 cm. They
are measured at the points of TRACKS, with an independent error of 1.8 cm, and mapped as a user
would: `OptimalInterpolation.fit`, then `Scaled.fit` of ``ssh-any``. Then one property at a time is
changed, and in the end all that the real sea may have; by default all of these. The truth is there,
so the score is the error of the maps over that of the interpolation, on all days and cells at sea;
*best weight* is the one that the truth would choose. What was found is kept in FOLDER, the table is
docs/results/any_sea_control_tables.md; any_sea_control_before_tables.md is of the version before.
Two minutes of one core for each sea and change, more for longer records.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from any_sea_seas import VALIDATION, load
from any_sea_truths import CELLS, STEPS, gaussian_source, smooth_field, standard_maps
from comparison import markdown
from scipy import ndimage

import xdvarnet
from xdvarnet.grids.coords import days_since_epoch
from xdvarnet.mapping import NoBackground, ObservedBackground
from xdvarnet.networks import Scaled
from xdvarnet.networks.training_grid import DEGREE
from xdvarnet.tracks.segments import segments
from xdvarnet.training.passes import PASS_GAP

TABLE = Path(__file__).parents[1] / "results" / "any_sea_control_tables.md"
CUTOFF, FAST, MARGIN = 65.0, (300.0, 3.0), 2
"""Wavelength of the filter (km), scales of the fast mode (km, days), steps around the record."""


@dataclass(frozen=True)
class Kind:
    """What a simulated sea and its measurements are like; lengths in km, times in days, rest in m.

    Attributes
    ----------
    length, time, std : float
        Of the sea.
    white, constant : float
        Errors of a measurement: independent, and the same along a pass.
    filtered : bool
        Whether passes are smoothed, as those of the producer are.
    fast : float
        Standard deviation of a mode of large scales that lives for some days.
    mean : bool
        Whether the mean map of 2005 is added, which the user does not know.
    gaussian : bool
        Whether the sea is a Gaussian field with a random spectrum.
    wrong : float
        Factor of the length and the time of the interpolation.
    records : int
        How often the record follows upon itself, so that it is longer.
    denser : bool
        Whether there is a point between each two of a pass.
    background : bool
        Whether the mean of the sea, zero, is known.
    """

    length: float = 70.0
    time: float = 14.0
    std: float = 0.05
    white: float = 0.018
    constant: float = 0.0
    filtered: bool = False
    fast: float = 0.0
    mean: bool = False
    gaussian: bool = False
    wrong: float = 1.0
    records: int = 1
    denser: bool = False
    background: bool = False


BASE = Kind()
KINDS = {
    "none": BASE,
    "the mean known": replace(BASE, background=True),
    "twice the points": replace(BASE, denser=True),
    "an error of 0.6 cm": replace(BASE, white=0.006),
    "time 8 days": replace(BASE, time=8.0),
    "time 28 days": replace(BASE, time=28.0),
    "half of the signal": replace(BASE, std=0.025),
    "fast large scales of 2 cm": replace(BASE, fast=0.02),
    "error along a pass of 1.5 cm": replace(BASE, constant=0.015),
    "filtered along the pass": replace(BASE, filtered=True),
    "mean map": replace(BASE, mean=True),
    "Gaussian field": replace(BASE, gaussian=True),
    "scales of the interpolation 1.4 times too large": replace(BASE, wrong=1.4),
    "four times the days": replace(BASE, records=4),
    "like the real sea": Kind(
        time=28.0, std=0.025, fast=0.01, constant=0.01, filtered=True, mean=True
    ),
}
"""All but the first differ from it in one thing, the last in all of the real sea."""


def sea_of(kind: Kind, name: str, folder: Path, days: np.ndarray, grid: xr.Dataset) -> xr.Dataset:
    """Return daily maps of a sea on the grid, in m."""
    rng = np.random.default_rng(sum(map(ord, name)))
    source = gaussian_source(rng) if kind.gaussian else load(name, folder)
    cell, step = kind.length / CELLS, kind.time / STEPS
    latitude, longitude = grid["lat"].values, grid["lon"].values
    north = (latitude - latitude.min()) * DEGREE / cell
    east = (longitude - longitude.min()) * DEGREE * np.cos(np.deg2rad(latitude.mean())) / cell
    count = int(np.ceil(np.ptp(days) / step)) + 2
    side = int(np.ceil(max(north.max(), east.max()))) + 2
    maps = standard_maps(source, count, side, rng, exact=True)
    places = np.meshgrid((days - days.min()) / step, north, east, indexing="ij")
    heights = kind.std * ndimage.map_coordinates(maps, places, order=1)
    if kind.fast:
        shape = (days.size, side, side)
        mode = smooth_field(shape, FAST[0] / cell, FAST[1], rng)
        daily = np.meshgrid(np.arange(days.size), north, east, indexing="ij")
        heights = heights + kind.fast * ndimage.map_coordinates(mode, daily, order=1)
    if kind.mean:
        mean = grid["ssh"].mean("time").values
        heights = heights + np.nan_to_num(mean - np.nanmean(mean))
    stamps = np.datetime64("1950-01-01", "ns") + (days * 86400e9).astype("timedelta64[ns]")
    axes = {"time": stamps, "lat": grid["lat"], "lon": grid["lon"], "sea": grid["sea"]}
    return xr.Dataset({"ssh": (("time", "lat", "lon"), heights, {"units": "m"})}, axes)


def measure(kind: Kind, truth: xr.Dataset, tracks: xr.Dataset) -> xr.Dataset:
    """Return the tracks with measurements of the sea in place of their own."""
    rng = np.random.default_rng(0)
    heights = truth.dvarnet.sample_tracks(tracks)["ssh"].values
    heights = heights + kind.white * rng.standard_normal(heights.size)
    passes = segments(tracks, gap=PASS_GAP).values
    for each in np.unique(passes):
        part = passes == each
        if kind.filtered:
            heights[part] = smooth(heights[part], tracks.isel(time=part))
        heights[part] += kind.constant * rng.standard_normal()
    return tracks.assign(ssh=("time", heights, {"units": "m"})).dropna("time", subset=["ssh"])


def smooth(heights: np.ndarray, points: xr.Dataset) -> np.ndarray:
    """Apply a filter along a pass that halves waves of the cutoff; holes stay holes."""
    east = np.cos(np.deg2rad(points["lat"].values)) * points["lon"].values
    north = points["lat"].values
    apart = DEGREE * np.hypot(np.subtract.outer(east, east), np.subtract.outer(north, north))
    known = np.isfinite(heights)
    weights = np.exp(-0.5 * (apart * np.pi / CUTOFF) ** 2 / (np.log(2) / 2)) * known
    total = weights.sum(1)
    with np.errstate(invalid="ignore"):
        return np.where(known, weights @ np.nan_to_num(heights) / total, np.nan)


def longer(tracks: xr.Dataset, records: int) -> xr.Dataset:
    """Return the tracks so many times, one after the other."""
    span = np.timedelta64(int(np.ceil(np.ptp(days_since_epoch(tracks["time"])))), "D")
    parts = [tracks.assign_coords(time=tracks["time"] + number * span) for number in range(records)]
    return xr.concat(parts, "time")


def between(tracks: xr.Dataset) -> xr.Dataset:
    """Return the tracks with a point between each two of a pass."""
    same = np.diff(segments(tracks, gap=PASS_GAP).values) == 0
    one, two = tracks.isel(time=slice(-1)), tracks.isel(time=slice(1, None))
    middle = {
        name: ("time", ((one[name].values + two[name].values) / 2)[same], tracks[name].attrs)
        for name in ("lon", "lat")
    }
    moments = (one["time"].values + (two["time"].values - one["time"].values) / 2)[same]
    names = {name: ("time", one[name].values[same]) for name in ("ssh", "mission")}
    added = xr.Dataset(names, {"time": moments, **middle})
    return xr.concat([tracks, added], "time", join="override").sortby("time")


def judge(kind: Kind, name: str, folder: Path, tracks: xr.Dataset) -> dict[str, object]:
    """Map a sea and return its scores."""
    grid = xdvarnet.datasets.mediterranean()
    tracks = longer(between(tracks) if kind.denser else tracks, kind.records)
    moments = days_since_epoch(tracks["time"])
    days = np.arange(np.floor(moments.min()) - 1, np.ceil(moments.max()) + 2)
    truth = sea_of(kind, name, folder, days, grid)
    seen, place = measure(kind, truth, tracks), grid.isel(time=0).drop_vars("ssh")
    background = NoBackground() if kind.background else ObservedBackground()
    oi = xdvarnet.OptimalInterpolation.fit(seen, place, background=background)
    if kind.wrong != 1:
        oi = oi.replace(
            correlation_length=kind.wrong * oi.correlation_length,
            correlation_time=kind.wrong * oi.correlation_time,
        )
    scaled = Scaled.fit(xdvarnet.load_model("ssh-any"), seen, place, interpolation=oi)
    observed = seen[["ssh"]].dvarnet.bin_tracks(place)
    first = observed.dvarnet.reconstruct(oi)["ssh"]
    change = observed.dvarnet.reconstruct(Scaled(scaled.network, oi))["ssh"] - first
    change = change.where(grid["sea"])
    rest = (truth["ssh"].sel(time=first["time"]) - first).where(grid["sea"])
    error = [float(np.sqrt(((rest - w * change) ** 2).mean())) for w in (0, scaled.weight, 1)]
    return {
        "sea": name,
        "length (km)": oi.correlation_length,
        "time (days)": oi.correlation_time,
        "noise (cm)": 100 * oi.noise,
        "OI (cm)": 100 * error[0],
        "over OI": error[1] / error[0],
        "over OI, weight 1": error[2] / error[0],
        "weight": scaled.weight,
        "best weight": float((rest * change).sum() / (change**2).sum()),
    }


def main() -> None:
    """Judge the kinds, and write the table of their means and ranges."""
    seas, folder, path = map(Path, sys.argv[1:4])
    labels = sys.argv[4:] or list(KINDS)
    folder.mkdir(exist_ok=True)
    with xr.open_dataset(path) as file:
        tracks = file.load().dvarnet.harmonise()
    rows = []
    for label in labels:
        for name in VALIDATION:
            made = folder / f"{label[:40]} {name}.csv".replace(" ", "-")
            if not made.exists():
                found = {"changed": label, **judge(KINDS[label], name, seas, tracks)}
                print(found, flush=True)
                pd.DataFrame([found]).to_csv(made, index=False)
            rows.append(pd.read_csv(made))
    table = pd.concat(rows).drop(columns="sea")
    means = table.groupby("changed", sort=False).mean()
    ends = table.groupby("changed", sort=False)["over OI"].agg(["min", "max"])
    means.insert(5, "range", [f"{low:.2f} to {high:.2f}" for low, high in ends.to_numpy()])
    text = markdown(means, digits=2)
    TABLE.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
