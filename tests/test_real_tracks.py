"""Real tracks of 2014: three missions are mapped, and the maps fit the fourth."""

import importlib

import numpy as np
import pytest

import xdvarnet

FILE = "med_l3_adt_20140515_20140524.nc"
WITHHELD = 0


@pytest.fixture(scope="module")
def recipe(repository):
    """Return the module of the recipe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(repository / "docs" / "recipes")
        yield importlib.import_module("real_tracks")


@pytest.fixture(scope="module")
def grid():
    return xdvarnet.datasets.mediterranean()


@pytest.fixture(scope="module")
def points(recipe, shared_data):
    return recipe.read(shared_data(FILE))


def test_points_are_averaged_in_cells_and_days(recipe, grid, points):
    obs = recipe.grid_points(points, grid)
    assert obs.sizes == {"time": 11, "lat": 128, "lon": 344}
    assert obs["time"].dtype == points["time"].dtype == "datetime64[ns]"
    seen = obs["ssh"].notnull()
    assert not (seen & ~grid["sea"]).any()
    assert 0.7 * len(points) < seen.sum() < len(points)
    point = points.iloc[1000]
    near = points[
        (points["time"].dt.round("D") == point["time"].round("D"))
        & (np.abs(points["longitude"] - point["longitude"]) < 0.3)
        & (np.abs(points["latitude"] - point["latitude"]) < 0.3)
    ]["adt"]
    here = {"time": point["time"], "lat": point["latitude"], "lon": point["longitude"]}
    assert near.min() <= obs["ssh"].sel(here, method="nearest") <= near.max()


def test_along_track_is_linear_in_space_and_time(recipe, grid, points):
    maps = recipe.grid_points(points, grid)
    days = (maps["time"] - maps["time"][0]) / np.timedelta64(1, "D")
    maps["ssh"] = (days + 10 * maps["lat"] + 100 * maps["lon"]).transpose("time", "lat", "lon")
    maps["time"] = maps["time"].astype("datetime64[us]")
    few = points.iloc[::50]
    days = (few["time"] - few["time"].min().normalize()) / np.timedelta64(1, "D")
    expected = days + 10 * few["latitude"] + 100 * few["longitude"]
    np.testing.assert_allclose(recipe.along_track(maps, few), expected)


@pytest.mark.slow
def test_maps_fit_the_withheld_mission(recipe, grid, points):
    withheld = points[points["mission"] == WITHHELD]
    obs = recipe.grid_points(points[points["mission"] != WITHHELD], grid)
    methods = recipe.all_methods(xdvarnet.load_model("med-ssh"), grid)
    rmse = {}
    for name, method in methods.items():
        maps = obs.dvarnet.reconstruct(method)
        assert (maps["ssh"].notnull() == grid["sea"]).all()
        error = recipe.along_track(maps, withheld) - withheld["adt"]
        assert error.notna().mean() > 0.98
        rmse[name] = np.sqrt((error**2).mean())
    trivial = rmse.pop(recipe.BACKGROUND)
    assert 0.03 < trivial < 0.06
    assert all(0.02 < each < 0.85 * trivial for each in rmse.values()), rmse
