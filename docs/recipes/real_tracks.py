"""Map the real tracks of three altimeters, and compare the maps with those of the fourth.

Usage: python docs/recipes/real_tracks.py TRACKS.nc [MODEL]

The file has a point in each row: time, longitude, latitude, adt (m) and mission (an integer). Each
mission is withheld in turn. All methods get the same background, made from the observations, with
its default length: nothing is tuned on these tracks. Writes docs/results/real_tracks_tables.md.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from comparison import change, markdown, tuned_methods

import xdvarnet

RESULTS = Path(__file__).parents[1] / "results"
BACKGROUND = "background only"
SAMPLES = 4000


def read(path: Path | str) -> pd.DataFrame:
    """Return the points in the order of time."""
    with xr.open_dataset(path) as tracks:
        points = tracks.to_dataframe().reset_index().sort_values("time")
    return points.astype({"time": "datetime64[ns]"})


def grid_points(points: pd.DataFrame, grid: xr.Dataset) -> xr.Dataset:
    """Average the points in each cell and day; a day reaches from noon to noon around its date."""
    days = points["time"].dt.round("D")
    rows, columns = (
        grid.indexes[dim].get_indexer(points[name], method="nearest", tolerance=0.0626)
        for dim, name in (("lat", "latitude"), ("lon", "longitude"))
    )
    inside = (rows >= 0) & (columns >= 0)
    cells = [days, grid["lat"].values[rows], grid["lon"].values[columns]]
    means = points["adt"][inside].groupby([np.asarray(each)[inside] for each in cells]).mean()
    means.index.names = ["time", "lat", "lon"]
    every_day = pd.date_range(days.min(), days.max(), freq="D", unit="ns")
    ssh = means.to_xarray().reindex(time=every_day, lat=grid["lat"], lon=grid["lon"])
    ssh = ssh.where(grid["sea"]).assign_attrs(units="m", long_name="absolute dynamic topography")
    return ssh.to_dataset(name="ssh").assign_coords(sea=grid["sea"])


def along_track(maps: xr.Dataset, points: pd.DataFrame) -> np.ndarray:
    """Return the maps at the points, linear in space and time."""
    where = {
        dim: xr.DataArray(points[name].to_numpy(), dims="point")
        for dim, name in (("time", "time"), ("lat", "latitude"), ("lon", "longitude"))
    }
    times = maps["time"].astype("datetime64[ns]")  # the unit of the points
    return maps["ssh"].assign_coords(time=times).interp(where).values


def withhold(points: pd.DataFrame, mission: int, methods: dict, grid: xr.Dataset) -> pd.DataFrame:
    """Return the errors (m) of each method at the points of one mission, which it did not see."""
    withheld = points[points["mission"] == mission]
    obs = grid_points(points[points["mission"] != mission], grid)
    errors = {
        name: along_track(obs.dvarnet.reconstruct(method), withheld) - withheld["adt"]
        for name, method in methods.items()
    }
    gap = withheld["time"].diff() > pd.Timedelta(60, "s")
    errors = pd.DataFrame(errors).assign(mission=mission, number=gap.cumsum()).dropna()
    return errors.set_index(["mission", "number"])  # the number of the pass


def all_methods(model: xdvarnet.DVarNet, grid: xr.Dataset) -> dict:
    """Return the methods by their names in the table."""
    background = xdvarnet.ObservedBackground()
    nothing_more = xdvarnet.MeanMapOffset(grid[["ssh"]])
    nothing_more.background = background
    return {BACKGROUND: nothing_more, **tuned_methods(model, background)}


def table(errors: pd.DataFrame) -> pd.DataFrame:
    """Return the RMSE (cm) of each method for each withheld mission and for all, and the change."""
    squares = errors**2
    missions = squares.groupby("mission")
    scores = 100 * np.sqrt(missions.mean().T)
    scores.columns = [f"mission {each}, {size} points" for each, size in missions.size().items()]
    scores[f"all, {len(squares)} points"] = 100 * np.sqrt(squares.mean())
    passes = squares.groupby(["mission", "number"]).sum()
    rng = np.random.default_rng(0)
    samples = rng.multinomial(len(passes), np.full(len(passes), 1 / len(passes)), size=SAMPLES)
    return scores.assign(change=change(passes, samples)).fillna("")


def main() -> None:
    """Withhold each mission in turn, and write the table."""
    path, *model = sys.argv[1:]
    grid, points = xdvarnet.datasets.mediterranean(), read(path)
    methods = all_methods(xdvarnet.load_model(*model or ["med-ssh"]), grid)
    errors = [withhold(points, each, methods, grid) for each in points["mission"].unique()]
    errors = pd.concat(errors).sort_index()
    text = f"""RMSE (cm) along the tracks of the mission that was withheld. The last column is the
change of the RMSE of all points from each method to the network, with the 95 % interval of a
bootstrap over the {len(errors.index.unique())} pieces of passes between gaps of a minute.

{markdown(table(errors), digits=2)}
"""
    (RESULTS / "real_tracks_tables.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
