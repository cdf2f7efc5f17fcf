"""Real tracks of 2014: three missions are mapped, and the maps fit the fourth."""

import importlib

import numpy as np
import pytest
import xarray as xr
from toys import toy_tracks, toy_truth

import xdvarnet
from xdvarnet.evaluation import leaderboard, predict_withheld

FILE = "med_l3_adt_20140515_20140524.nc"


@pytest.fixture(scope="module")
def recipe(repository):
    """Return the module of the recipe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(repository / "docs" / "recipes")
        yield importlib.import_module("real_tracks")


@pytest.fixture(scope="module")
def tracks(shared_data):
    with xr.open_dataset(shared_data(FILE)) as file:
        return file.load().dvarnet.harmonise()


def test_points_are_averaged_in_cells_and_days(recipe, tracks):
    """Against the mean of the points around one of them, noon to noon."""
    obs = tracks[["ssh"]].dvarnet.bin_tracks(recipe.grid.isel(time=0))
    assert obs.sizes == {"time": 11, "lat": 128, "lon": 344}
    seen = obs["ssh"].notnull()
    assert not (seen & ~recipe.grid["sea"]).any()
    assert 0.7 * tracks.sizes["time"] < seen.sum() < tracks.sizes["time"]
    point = tracks.isel(time=1000)
    cell = obs["ssh"].sel(time=point["time"], lat=point["lat"], lon=point["lon"], method="nearest")
    inside = (
        (np.abs(tracks["lon"] - cell["lon"]) <= 0.0625)
        & (np.abs(tracks["lat"] - cell["lat"]) <= 0.0625)
        & (np.abs(tracks["time"] - cell["time"]) <= np.timedelta64(12, "h"))
    )
    np.testing.assert_allclose(cell, tracks["ssh"][inside.values].mean(), rtol=1e-6)


def test_crossovers_show_the_noise_of_the_tracks(recipe, tracks):
    """About 1.8 cm within a day; more with more time, in which the sea changes."""
    table = recipe.crossover_table(tracks)
    noise = table["noise of one measurement (cm)"]
    assert 1.6 < noise["1 days"] < 2.0
    assert noise["0.5 days"] < noise["1 days"] < noise["2 days"]
    assert table["crossovers"].astype(int).is_monotonic_increasing


@pytest.mark.slow
def test_maps_fit_the_withheld_mission(recipe, tracks):
    nothing = xdvarnet.methods.MeanMapOffset(recipe.grid[["ssh"]])
    nothing.background = recipe.background
    own = xdvarnet.load_model("med-ssh").with_options(background=recipe.background)
    tuned = recipe.interpolation("100 km", "20 days", 0.025)
    models = {"nothing": nothing, "tuned": tuned, "own": own}
    made = predict_withheld(models, tracks, recipe.places, withhold=[0])
    scores = leaderboard(made, noise=recipe.NOISE, rng=0)
    assert scores["n_points"] > 0.98 * (tracks["mission"] == 0).sum()
    rmse = scores["rmse"].to_series()
    assert 0.03 < rmse["nothing"] < 0.06
    assert rmse["tuned"] < rmse["own"] < 0.85 * rmse["nothing"]


def test_the_trials_end_at_the_best(recipe, monkeypatch):
    """On a bowl with its bottom away from the start, the search finds the bottom."""
    bottom = (2, 1, 2)

    def made(models, tracks, grid):
        (oi,) = models.values()
        place = [
            recipe.LENGTHS.index(f"{oi.correlation_length:g} km"),
            recipe.TIMES.index(f"{oi.correlation_time:g} days"),
            recipe.NOISES.index(oi.noise),
        ]
        error = 0.03 + 0.001 * np.abs(np.subtract(place, bottom)).sum()
        return xr.Dataset({"ssh": ("point", np.zeros(3)), "ssh_map": ("point", np.full(3, error))})

    monkeypatch.setattr(recipe, "predict_withheld", made)
    trials = recipe.tune(toy_tracks(toy_truth(days=2)))
    assert len(trials) == recipe.TRIALS
    assert not trials.iloc[:, :3].duplicated().any()
    assert trials.iloc[0].tolist() == ["100 km", "15 days", 0.025, pytest.approx(3.0)]
