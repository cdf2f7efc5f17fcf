"""Try errors that are correlated along a pass, and a propagating field, on real tracks.

Usage: python docs/recipes/interpolation_errors.py TRACKS.nc

Each mission is withheld in turn. `OptimalInterpolation.fit` finds length, time, noise and standard
deviation on the others. Then a share of the error variance is given to an error that a pass
shares, or one whose correlation along the pass is 1/e at 60 km, and the field a zonal velocity: the
best of each is that with the highest predictive density of 400 withheld observations of the three
missions, and it is scored on 1500 cells of the mission that nobody saw. Every prediction is from
the 200 nearest observations. The table goes to docs/results/interpolation_errors_tables.md. A
quarter of an hour of one core.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from comparison import markdown
from scipy.spatial import KDTree

import xdvarnet
from xdvarnet.grids.internal import to_internal
from xdvarnet.grids.points import find_points
from xdvarnet.methods.optimal_interpolation.covariance import MATERN32
from xdvarnet.methods.optimal_interpolation.tuning import Record
from xdvarnet.tracks.bin import daily_stamps
from xdvarnet.tracks.segments import find_missions

RESULTS = Path(__file__).parents[1] / "results"
NEIGHBOURS, LEARNED, SCORED = 200, 400, 1500
ALONG = 60.0  # km
KM_PER_DAY = 86.4  # of 1 m/s


@dataclass(frozen=True)
class Setting:
    """Shares of the error variance, and a velocity in cm/s."""

    shared: float = 0.0
    along: float = 0.0
    velocity: float = 0.0


TRIALS = {
    "independent errors": [Setting()],
    "error shared by a pass": [Setting(shared=share) for share in (0, 0.1, 0.25, 0.5, 0.75)],
    "error correlated along a pass": [Setting(along=share) for share in (0, 0.1, 0.25, 0.5, 0.75)],
    "propagating field": [Setting(velocity=speed) for speed in (-6, -4, -2, 0, 2, 4, 6)],
}


def matern(distance: np.ndarray) -> np.ndarray:
    """Correlation at a scaled distance."""
    return (1 + MATERN32 * distance) * np.exp(-MATERN32 * distance)


@dataclass(frozen=True)
class Points:
    """Observed cells: places (km), days, anomalies, passes and standard deviations."""

    place: np.ndarray
    day: np.ndarray
    value: np.ndarray
    group: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, model: xdvarnet.OptimalInterpolation, record: Record) -> "Points":
        """Take those of a record, in its order: by day, latitude and longitude."""
        scaled = model.scale(record.observations)
        values = record.observations.values["ssh"]
        day, row, column = np.nonzero(np.isfinite(values))
        cells = scaled.cells.numpy().reshape(*values.shape[1:], 3)[row, column]
        return cls(
            cells * model.correlation_length,
            record.observations.days[day],
            values[day, row, column].astype(float),
            record.groups,
            scaled.prior[row, column],
        )

    def take(self, index: np.ndarray) -> "Points":
        """Return some of them."""
        return Points(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def predict(
    model: xdvarnet.OptimalInterpolation,
    setting: Setting,
    known: Points,
    wanted: Points,
    *,
    own_pass: bool,
) -> pd.DataFrame:
    """Predict observations, each from the nearest ones, also of its own pass or not."""
    length, time = model.correlation_length, model.correlation_time

    def axes(points: Points) -> np.ndarray:
        east = np.stack([-points.place[:, 1], points.place[:, 0]], 1)
        east /= np.linalg.norm(east, axis=1, keepdims=True)
        moved = points.place.copy()
        elapsed = points.day - known.day.mean()
        moved[:, :2] -= east * (setting.velocity / 100 * KM_PER_DAY * elapsed)[:, None]
        return np.column_stack([moved / length, points.day / time])

    seen, targets = axes(known), axes(wanted)
    _, near = KDTree(seen).query(targets, k=NEIGHBOURS)
    rows = []
    for target, value, std, group, index in zip(
        targets, wanted.value, wanted.std, wanted.group, near, strict=True
    ):
        used = known.take(index if own_pass else index[known.group[index] != group])
        axis = axes(used)
        gap = np.linalg.norm(used.place[:, None] - used.place[None], axis=-1)
        lag = np.abs(axis[:, None, 3] - axis[None, :, 3])
        space = np.linalg.norm(axis[:, None, :3] - axis[None, :, :3], axis=-1)
        covariance = matern(space) * matern(lag) * used.std[:, None] * used.std[None]
        same = used.group[:, None] == used.group[None]
        correlated = setting.shared + setting.along * np.exp(-gap / ALONG)
        independent = 1 - setting.shared - setting.along
        error = same * correlated + independent * np.eye(len(axis))
        system = covariance + model.noise**2 * error
        gain = matern(np.linalg.norm(axis[:, :3] - target[:3], axis=1))
        gain *= matern(np.abs(axis[:, 3] - target[3])) * used.std * std
        weights = np.linalg.solve(system, gain)
        rows.append((value - weights @ used.value, std**2 - weights @ gain + model.noise**2))
    return pd.DataFrame(rows, columns=["error", "variance"])


def log_score(predicted: pd.DataFrame) -> float:
    """Mean negative logarithm of the predictive density, less a constant."""
    ratio = predicted["error"] ** 2 / predicted["variance"]
    return float((np.log(predicted["variance"]) + ratio).mean() / 2)


def hidden_points(
    model: xdvarnet.OptimalInterpolation, seen: xr.Dataset, hidden: xr.Dataset, grid: xr.Dataset
) -> Points:
    """Return cells of a mission that nobody saw, less the background of the others."""
    found = find_points(seen)
    stamps = daily_stamps(found.days, found.calendar)
    anomalies = []
    for tracks in (seen, hidden):
        maps = to_internal(tracks[["ssh"]].dvarnet.bin_tracks(grid, time=stamps), model.variables)
        anomalies.append(maps["ssh"].where(maps["sea"]))
    values = (anomalies[1] - model.background.estimate(anomalies[0])).values
    record = Record.of(model, seen, grid)
    count = int(np.isfinite(values).sum())
    observations = replace(record.observations, values={"ssh": values})
    std = model.scale(record.observations).prior
    points = Points.of(model, replace(record, observations=observations, groups=np.zeros(count)))
    row, column = np.nonzero(np.isfinite(values))[1:]
    return replace(points, std=std[row, column])


def draw(points: Points, count: int, seed: int) -> Points:
    """Return some, at random."""
    size = points.value.size
    return points.take(np.random.default_rng(seed).choice(size, min(count, size), replace=False))


def main() -> None:
    """Withhold each mission, choose on the others, score."""
    grid = xdvarnet.datasets.mediterranean()
    with xr.open_dataset(sys.argv[1]) as file:
        tracks = file.load().dvarnet.harmonise()
    missions = find_missions(tracks)
    axis = next(iter(find_points(tracks).sizes))
    scores: dict[str, list[pd.DataFrame]] = {name: [] for name in TRIALS}
    chosen: dict[str, list[str]] = {name: [] for name in TRIALS}
    for mission in np.unique(missions).tolist():
        seen, hidden = (
            tracks.isel({axis: part}) for part in (missions != mission, missions == mission)
        )
        model = xdvarnet.OptimalInterpolation.fit(seen, grid, covariance="matern32")
        known = Points.of(model, Record.of(model, seen, grid))
        learned = draw(known, LEARNED, seed=0)
        scored = draw(hidden_points(model, seen, hidden, grid), SCORED, seed=1)
        for name, settings in TRIALS.items():
            tried = [
                log_score(predict(model, each, known, learned, own_pass=False)) for each in settings
            ]
            best = settings[int(np.argmin(tried))]
            chosen[name].append(f"{best.shared or best.along or best.velocity:g}")
            scores[name].append(predict(model, best, known, scored, own_pass=True))
            print(mission, name, np.round(tried, 4), best, flush=True)
    rows = {}
    for name, parts in scores.items():
        together = pd.concat(parts)
        rows[name] = {
            "chosen": ", ".join(chosen[name]),
            "RMSE (cm)": 100 * float(np.sqrt((together["error"] ** 2).mean())),
            "log score": log_score(together),
        }
    text = markdown(pd.DataFrame(rows).T, digits=3)
    (RESULTS / "interpolation_errors_tables.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
