"""Optimal interpolation that is tuned on the passes of a record."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import xdvarnet
import xdvarnet.methods.optimal_interpolation.tuning as module
from xdvarnet.errors import InvalidInputError, UnknownNameError, XdvarnetWarning
from xdvarnet.mapping.background import NoBackground
from xdvarnet.mapping.observations import Observations
from xdvarnet.methods.optimal_interpolation import prediction
from xdvarnet.methods.optimal_interpolation.covariance import gaussian
from xdvarnet.methods.optimal_interpolation.gaps import gap_distances
from xdvarnet.methods.optimal_interpolation.local import Sample
from xdvarnet.methods.optimal_interpolation.prediction import predict_withheld
from xdvarnet.methods.optimal_interpolation.tuning import typical_length


@pytest.fixture(scope="module", autouse=True)
def few_predictions():
    """Predict fewer observations, which is enough for so small a sea."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CENTRES", 300)
        patch.setattr(prediction, "NEIGHBOURS", 80)
        yield


LENGTH, TIME, STD, NOISE = 90.0, 8.0, 0.12, 0.03
DEGREE = 111.19493
EQUAL = {"gaussian": lambda d: np.exp(-(d**2)), "matern32": None}


def matern32(distance: np.ndarray) -> np.ndarray:
    """Matern correlation of smoothness 3/2 that is 1/e at 1."""
    return (1 + 2.1461932 * distance) * np.exp(-2.1461932 * distance)


def sea_tracks(function=EQUAL["gaussian"], *, passes=60, pass_error=0.0, seed=0) -> xr.Dataset:
    """Draw a Gaussian sea along straight passes, a point every 25 km or so."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.uniform(0, 30, passes))
    start, slope = rng.uniform(0, 8, passes), rng.choice([-0.6, 0.6], passes)
    north = np.arange(0, 6, 0.25)
    latitude = np.tile(36 + north, passes)
    longitude = (start[:, None] + slope[:, None] * north).ravel()
    seconds = np.arange(north.size) * 4.0
    time = (days[:, None] + seconds / 86400).ravel()
    x, y = longitude * DEGREE * np.cos(np.deg2rad(39)), latitude * DEGREE
    space = np.hypot(np.subtract.outer(x, x), np.subtract.outer(y, y)) / LENGTH
    lag = np.abs(np.subtract.outer(time, time)) / TIME
    covariance = STD**2 * function(space) * function(lag) + 1e-9 * np.eye(x.size)
    ssh = np.linalg.cholesky(covariance) @ rng.standard_normal(x.size)
    ssh += NOISE * rng.standard_normal(x.size)
    ssh += pass_error * np.repeat(rng.standard_normal(passes), north.size)
    stamps = pd.Timestamp("2017-01-01") + pd.to_timedelta(time, unit="D")
    return xr.Dataset(
        {"ssh": ("time", ssh, {"units": "m"}), "mission": ("time", np.ones(x.size, int))},
        {
            "time": stamps,
            "latitude": ("time", latitude, {"units": "degrees_north"}),
            "longitude": ("time", longitude, {"units": "degrees_east"}),
        },
    )


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return xr.Dataset(
        coords={
            "lat": ("lat", np.arange(36, 42.1, 0.2), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(-4, 12.1, 0.25), {"units": "degrees_east"}),
        }
    )


@pytest.fixture(scope="module")
def tuned(grid) -> xdvarnet.OptimalInterpolation:
    return xdvarnet.OptimalInterpolation.fit(
        sea_tracks(seed=1), grid, covariance="gaussian", background=NoBackground(), trials=40
    )


def test_it_finds_the_covariance_of_a_gaussian_sea(tuned):
    assert tuned.correlation_length == pytest.approx(LENGTH, rel=0.2)
    assert tuned.correlation_time == pytest.approx(TIME, rel=0.25)
    assert tuned.noise == pytest.approx(NOISE, rel=0.3)


def test_its_errors_are_true(tuned):
    best = tuned.history.isel(trial=int(tuned.history["log_score"].values.argmin()))
    assert float(best["spread"]) == pytest.approx(1, abs=0.1)


def test_the_history_has_the_trials(tuned):
    best = tuned.history.isel(trial=int(tuned.history["log_score"].values.argmin()))
    assert float(best["correlation_length"]) == tuned.correlation_length
    assert tuned.history["correlation_length"].attrs["units"] == "km"
    assert tuned.history["noise"].attrs["units"] == tuned.history["rmse"].attrs["units"] == "m"
    assert 20 < tuned.history.sizes["trial"] <= 43
    assert set(tuned.history["covariance"].values) == {"gaussian"}


def test_it_finds_the_kind_of_the_covariance(grid):
    options = {"background": NoBackground(), "trials": 25}
    rough = xdvarnet.OptimalInterpolation.fit(sea_tracks(matern32, seed=1), grid, **options)
    smooth = xdvarnet.OptimalInterpolation.fit(sea_tracks(seed=1), grid, **options)
    assert rough.covariance in {"matern32", "matern52"}
    assert smooth.covariance == "gaussian"


def test_an_error_that_a_pass_shares_is_no_signal(grid):
    """Points of the pass itself would tell it, so that long lengths and no noise look best."""
    options = {"covariance": "gaussian", "background": NoBackground(), "trials": 40}
    shared = xdvarnet.OptimalInterpolation.fit(sea_tracks(pass_error=0.05), grid, **options)
    assert shared.correlation_time == pytest.approx(TIME, rel=0.35)
    assert shared.noise > 1.2 * NOISE


@pytest.mark.parametrize("value", [np.nan, 0.3])
def test_without_values_there_is_nothing_to_learn(value, grid):
    empty = sea_tracks()
    empty["ssh"][:] = value
    with pytest.raises(InvalidInputError, match="no two different values: there is nothing"):
        xdvarnet.OptimalInterpolation.fit(empty, grid, background=NoBackground())


def test_one_day_tells_no_time(grid, monkeypatch):
    monkeypatch.setitem(globals(), "TIME", 1e4)
    day = sea_tracks(seed=2)
    seconds = np.arange(day.sizes["time"]) * 4.0 + 60 * (np.arange(day.sizes["time"]) // 24)
    day["time"] = pd.Timestamp("2017-01-01T02:00") + pd.to_timedelta(seconds, unit="s")
    options = {"covariance": "gaussian", "background": NoBackground(), "trials": 25}
    with pytest.warns(XdvarnetWarning, match="of one day, which tells no correlation_time"):
        fitted = xdvarnet.OptimalInterpolation.fit(day, grid, **options)
    assert fitted.correlation_time == pytest.approx(20, rel=1e-6)


def test_passes_that_tell_nothing_of_each_other_leave_the_usual_lengths(grid):
    """Whatever observations are drawn."""
    rng = np.random.default_rng(5)
    apart = sea_tracks(lambda d: (d < 1e-6) * 1.0)  # no two points are correlated
    apart["ssh"] = ("time", 0.1 * np.repeat(rng.standard_normal(60), 24), {"units": "m"})
    found = []
    for seed in range(2):
        with pytest.warns(XdvarnetWarning, match="too few or too far apart to tell the lengths"):
            found.append(
                xdvarnet.OptimalInterpolation.fit(
                    apart, grid, background=NoBackground(), trials=15, rng=seed
                )
            )
    assert repr(found[0]) == repr(found[1]) and found[0].history.sizes["trial"] > 10


def test_a_bar_counts_the_trials(grid, capsys):
    options = {"covariance": "gaussian", "background": NoBackground(), "trials": 5}
    xdvarnet.OptimalInterpolation.fit(sea_tracks(), grid, progress=True, **options)
    assert "trial" in capsys.readouterr().err
    xdvarnet.OptimalInterpolation.fit(sea_tracks(), grid, **options)
    assert capsys.readouterr().err == ""


def test_gaps_reach_as_far_as_they_do():
    """One row of cells 0.1 degree apart at the equator, of which the first is observed."""
    values = np.full((2, 1, 6), np.nan)
    values[0, 0, 0] = 1.0
    longitude = 0.1 * np.arange(6)
    observed = Observations(
        {"ssh": values}, np.arange(2.0), np.zeros(1), longitude, np.ones((1, 6), bool)
    )
    drawn = gap_distances(observed, "ssh", 300, np.random.default_rng(0))
    steps = drawn[np.isfinite(drawn)] / (0.1 * DEGREE)
    assert np.unique(steps.round(2)).tolist() == [1, 2, 3, 4, 5]
    assert np.isinf(drawn).mean() == pytest.approx(6 / 11, abs=0.1)  # of the day without any
    complete = dataclasses.replace(observed, values={"ssh": np.ones((2, 1, 6))})
    assert np.isinf(gap_distances(complete, "ssh", 3, np.random.default_rng(0))).all()


def test_what_is_near_is_withheld_from_the_same_day_alone():
    """Neighbours within the radius of the same day count no more than if they were not there."""
    rng = np.random.default_rng(1)
    place = torch.from_numpy(rng.uniform(0, 2, (40, 3)))
    time = torch.from_numpy(np.repeat([0.0, 0.5], 20))
    values = torch.from_numpy(rng.standard_normal(40))
    sample = Sample(place, time, values, torch.full((40,), 0.1, dtype=torch.float64))
    groups, centre = time.numpy(), np.array([3])
    args = np.ones(40), groups, centre, gaussian, 9.0
    withheld = predict_withheld(sample, *args, radii=np.array([0.8]))
    near = np.linalg.norm(place.numpy() - place.numpy()[3], axis=1) <= 0.8
    kept = ~(near & (groups == 0))
    kept[3] = True
    assert 2 < (~kept).sum() < 19
    part = Sample(place[kept], time[kept], values[kept], sample.noise[kept])
    number, same = int(kept.sum()), np.flatnonzero(np.flatnonzero(kept) == 3)
    alone = predict_withheld(part, np.ones(number), np.arange(number), same, gaussian, 9.0)
    assert withheld.rmse == pytest.approx(alone.rmse, rel=1e-4)


def test_gridded_observations_withhold_what_is_near(grid):
    maps = sea_tracks().drop_vars("mission").dvarnet.bin_tracks(grid)
    options = {"covariance": "gaussian", "background": NoBackground(), "trials": 40}
    tuned = xdvarnet.OptimalInterpolation.fit(maps, **options)
    assert tuned.correlation_length == pytest.approx(LENGTH, rel=0.25)
    assert tuned.correlation_time == pytest.approx(TIME, rel=0.35)
    assert "crossover_noise" not in tuned.history.attrs


def test_units_are_those_of_the_observations(grid):
    metres, options = sea_tracks(passes=25), {"covariance": "gaussian", "trials": 6}
    centimetres = metres.assign(ssh=(100 * metres["ssh"]).assign_attrs(units="cm"))
    first, second = (
        xdvarnet.OptimalInterpolation.fit(tracks, grid, **options)
        for tracks in (metres, centimetres)
    )
    assert second.units == "cm"
    assert second.noise == pytest.approx(100 * first.noise, rel=1e-6)
    assert second.correlation_length == pytest.approx(first.correlation_length, rel=1e-6)


def test_predictions_are_those_of_kriging_without_the_pass():
    rng = np.random.default_rng(2)
    place, time, values = rng.normal(size=(40, 3)), rng.normal(size=40), rng.normal(size=40)
    groups, noise = rng.integers(0, 6, 40), rng.uniform(0.05, 0.3, 40)
    scale, centres = np.full(40, 0.2), np.array([3, 17, 31])
    arrays = (torch.from_numpy(a) for a in (place, time, values, noise))
    score = predict_withheld(Sample(*arrays), scale, groups, centres, gaussian, 100.0)
    squares = ((place[:, None] - place) ** 2).sum(-1) + np.subtract.outer(time, time) ** 2
    covariance = np.exp(-squares)
    errors, variances = [], []
    for centre in centres:
        others = groups != groups[centre]
        gain = np.linalg.solve(
            covariance[np.ix_(others, others)] + np.diag(noise[others]), covariance[others, centre]
        )
        errors.append(0.2 * (values[centre] - gain @ values[others]))
        reduction = gain @ covariance[others, centre]
        variances.append(0.2**2 * (1 - reduction + noise[centre]))
    errors, variances = np.array(errors), np.array(variances)
    assert score.rmse == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-5)
    density = np.log(variances) + errors**2 / variances
    assert score.log_score == pytest.approx(density.mean() / 2, rel=1e-5)
    assert score.spread == pytest.approx(np.sqrt(variances.mean() / np.mean(errors**2)), rel=1e-5)


def test_the_dates_of_the_grid_are_not_those_of_the_tracks(grid, tuned):
    options = {"covariance": "gaussian", "background": NoBackground(), "trials": 4}
    dated = grid.expand_dims(time=pd.date_range("2005-01-01", periods=2))
    plain = xdvarnet.OptimalInterpolation.fit(sea_tracks(seed=1), grid, **options)
    with pytest.warns(XdvarnetWarning, match="only the places and the mask of the grid are used"):
        other = xdvarnet.OptimalInterpolation.fit(sea_tracks(seed=1), dated, **options)
    assert repr(other) == repr(plain)


def test_too_few_observations_leave_the_usual_lengths(grid):
    few = sea_tracks(passes=2)
    with pytest.warns(XdvarnetWarning, match="it takes 100 cells of 3 passes to learn from"):
        usual = xdvarnet.OptimalInterpolation.fit(few, grid)
    assert usual.correlation_length == pytest.approx(typical_length(39.0))
    assert usual.history.sizes["trial"] == 0 and set(usual.history) > {"rmse", "covariance"}
    assert np.isfinite(few.dvarnet.bin_tracks(grid).dvarnet.reconstruct(usual)["ssh"]).all()


def test_the_usual_length_follows_the_deformation_radius():
    assert typical_length(40) == pytest.approx(
        3 * 2.5 / (2 * 7.292115e-5 * np.sin(np.pi / 4.5)) / 1e3
    )
    assert typical_length(-40) == typical_length(40) > typical_length(60)
    assert typical_length(0) == 300


def test_a_best_at_the_edge_of_what_was_tried_is_said(grid, monkeypatch):
    monkeypatch.setattr(module, "REACH", ((0.9, 1.1), (0.05, 0.2), (0.3, 3.0)))
    with pytest.warns(XdvarnetWarning, match="best correlation_time, .*, is at the edge of what"):
        xdvarnet.OptimalInterpolation.fit(sea_tracks(), grid, covariance="gaussian", trials=25)


def test_a_time_longer_than_the_record_is_said(grid):
    days = sea_tracks(seed=1)
    short = days.sel(time=slice("2017-01-05", "2017-01-11"))
    with pytest.warns(XdvarnetWarning, match="is longer than the record of 7 days"):
        tuned = xdvarnet.OptimalInterpolation.fit(
            short, grid, covariance="gaussian", background=NoBackground(), trials=25
        )
    assert tuned.correlation_time > 7


def test_a_local_standard_deviation_is_kept_where_it_is_better(grid, tuned):
    assert tuned.std_length is None
    uneven = sea_tracks(seed=1)
    east = uneven["longitude"] > 4
    uneven["ssh"] = uneven["ssh"].where(east, uneven["ssh"] / 6).assign_attrs(units="m")
    options = {"covariance": "gaussian", "background": NoBackground(), "trials": 25}
    assert xdvarnet.OptimalInterpolation.fit(uneven, grid, **options).std_length is not None


def test_units_that_are_assumed_are_said(grid):
    bare = sea_tracks(passes=2)
    bare["ssh"].attrs.clear()
    with pytest.warns(XdvarnetWarning, match="has no attribute 'units'; 'm' is assumed"):
        xdvarnet.OptimalInterpolation.fit(bare, grid)


def test_bad_input(grid):
    with pytest.raises(UnknownNameError, match="known are gaussian, matern32, matern52"):
        xdvarnet.OptimalInterpolation.fit(sea_tracks(passes=3), grid, covariance="cubic")
    with pytest.raises(UnknownNameError, match="variable 'sst' is missing"):
        xdvarnet.OptimalInterpolation.fit(sea_tracks(passes=3), grid, variable="sst")
    with pytest.raises(InvalidInputError, match="trials=0 is not accepted"):
        xdvarnet.OptimalInterpolation.fit(sea_tracks(passes=3), grid, trials=0)


def test_a_tuned_interpolation_is_saved_with_its_trials(tuned, tmp_path):
    path = tmp_path / "tuned.safetensors"
    xdvarnet.save_model(tuned, path)
    again = xdvarnet.load_model(path)
    assert repr(again) == repr(tuned)
    xr.testing.assert_equal(again.history, tuned.history)


def test_errors_that_are_given_are_not_sought(grid, tuned):
    """By mission or by name; the lengths are those of the sea, and the trials have no noise."""
    points = sea_tracks(seed=1)
    options = {"covariance": "gaussian", "background": NoBackground(), "trials": 30}
    fitted = xdvarnet.OptimalInterpolation.fit(points, grid, noise={1: "3 cm"}, **options)
    assert fitted.noise == "ssh_noise"
    assert fitted.correlation_length == pytest.approx(LENGTH, rel=0.2)
    assert fitted.correlation_time == pytest.approx(TIME, rel=0.25)
    assert "noise" not in fitted.history
    best = fitted.history["log_score"].min()
    assert float(best) == pytest.approx(float(tuned.history["log_score"].min()), abs=0.02)
    observed = points.dvarnet.bin_tracks(grid, noise={1: "3 cm"})
    assert np.isfinite(observed.dvarnet.reconstruct(fitted)["ssh"]).all()
    gridded = xdvarnet.OptimalInterpolation.fit(observed, noise="ssh_noise", **options)
    assert gridded.correlation_length == pytest.approx(LENGTH, rel=0.3)
    with pytest.raises(InvalidInputError, match="noise=0.03 is one for all"):
        xdvarnet.OptimalInterpolation.fit(points, grid, noise=0.03)
    with pytest.raises(InvalidInputError, match="no entry for 1; the tracks have the missions"):
        xdvarnet.OptimalInterpolation.fit(points, grid, noise={2: 0.03})
