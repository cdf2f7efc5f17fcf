"""Errors that differ from observation to observation, from the tracks to the maps."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from instances import interpolation, network
from reconstructors import WholeIdentity, WindowedIdentity, gappy, lazy
from toys import toy_tracks, toy_truth

import xdvarnet
from xdvarnet.calibration import Calibrated, ErrorProcess
from xdvarnet.errors import (
    InvalidInputError,
    InvalidTypeError,
    UnknownNameError,
    XdvarnetWarning,
)
from xdvarnet.evaluation import predict_withheld
from xdvarnet.grids.points import find_points
from xdvarnet.mapping.background import NoBackground
from xdvarnet.mapping.cover import Window
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.methods.optimal_interpolation.scaling import prior_std
from xdvarnet.tracks.bin import daily_stamps
from xdvarnet.training.draws import Augmentation, draw, random_windows
from xdvarnet.training.passes import RemovedPasses
from xdvarnet.zoo import load_model, save_model

RADIUS = 6371.0
MISSIONS = {"near": "1 cm", "far": 0.04, "odd": "30 mm"}


def field(**options) -> xdvarnet.SPDEField:
    given = {"correlation_length": 100, "correlation_time": 3, "std": 0.05, "noise": 0.02}
    return xdvarnet.SPDEField(**given | options)


def observations() -> xr.Dataset:
    return gappy(6, 9, 12)


def with_errors(errors: object = 0.02, *, units: str = "m") -> xr.Dataset:
    """Observations, and their errors where there are some, in other units if asked for."""
    obs = observations()
    ones = xr.ones_like(obs["ssh"]).where(obs["ssh"].notnull())
    factor = {"m": 1, "cm": 100}[units]
    return obs.assign(ssh_noise=(factor * errors * ones).assign_attrs(units=units))


def varied(seed=1) -> xr.DataArray:
    """Errors from 1 to 8 cm."""
    like = observations()["ssh"]
    return like.copy(data=np.random.default_rng(seed).uniform(0.01, 0.08, like.shape))


NETWORK, ALONE = network(interpolation()), network(None)
ERRORS = {"ssh": ErrorProcess(1e-4, 1.0, 80.0, 4.0, 0.05, 90.0, 5.0, 0.02)}


def with_noise(noise: str | float, **options) -> xdvarnet.OptimalInterpolation:
    return interpolation(**options).replace(noise=noise)


MODELS = {
    "interpolation": with_noise,
    "with a local std": lambda noise: with_noise(noise, std_length="120 km"),
    "field": lambda noise: field(noise=noise),
    "lead": lambda noise: xdvarnet.Lead(with_noise(noise), 1),
    "first guess": lambda noise: NETWORK.replace(first_guess=with_noise(noise)),
    "calibrated": lambda noise: Calibrated(ALONE, ERRORS, spread=with_noise(noise)),
}


def of(kind: str, noise: str | float = "ssh_noise") -> Reconstructor:
    return MODELS[kind](noise)


@pytest.mark.parametrize("units", ["m", "cm"])
@pytest.mark.parametrize("kind", MODELS)
def test_constant_errors_are_the_number(kind, units):
    """Also of wrappers, whose model reads them."""
    expected = observations().dvarnet.reconstruct(of(kind, noise=0.02))
    found = with_errors(units=units).dvarnet.reconstruct(of(kind))
    _equal(found, expected)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("chunked", [["ssh", "ssh_noise"], ["ssh"]])
def test_lazy_errors_are_read_as_those_in_memory(kind, chunked):
    obs = with_errors(varied())
    model = of(kind)
    chunks = obs.assign({name: lazy(obs[name], time=4) for name in chunked})
    found = chunks.dvarnet.reconstruct(model)
    assert found["ssh"].chunks is not None
    _equal(found.compute(), obs.dvarnet.reconstruct(model))


def _equal(found: xr.Dataset, expected: xr.Dataset) -> None:
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-6)


def test_the_order_of_axes_and_the_cut_of_the_globe_do_not_matter():
    """Errors are brought to the order of the observations."""
    obs = with_errors(varied())
    expected = obs.dvarnet.reconstruct(of("interpolation"))
    turned = obs.isel(lat=slice(None, None, -1)).assign_coords(lon=obs["lon"] + 360)
    turned["ssh_noise"] = turned["ssh_noise"].transpose("lon", "time", "lat")
    found = turned.dvarnet.reconstruct(of("interpolation"))
    np.testing.assert_allclose(
        found["ssh"].isel(lat=slice(None, None, -1)), expected["ssh"], rtol=0, atol=1e-6
    )


def dense(obs: xr.Dataset, std: float, length: float, time: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of all cells, from the equations."""
    day, row, column = np.indices(obs["ssh"].shape).reshape(3, -1)
    latitude, longitude = np.deg2rad(obs["lat"].values[row]), np.deg2rad(obs["lon"].values[column])
    place = RADIUS * np.stack(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        ]
    )
    squares = sum(np.subtract.outer(axis, axis) ** 2 for axis in place) / length**2
    covariance = std**2 * np.exp(-squares - np.subtract.outer(day, day) ** 2 / time**2)
    values, errors = obs["ssh"].values.ravel(), obs["ssh_noise"].values.ravel().astype(float)
    seen = np.isfinite(values)
    gain = np.linalg.solve(
        covariance[np.ix_(seen, seen)] + np.diag(errors[seen] ** 2), covariance[seen]
    ).T
    variance = np.diag(covariance) - np.einsum("ij,ij->i", gain, covariance[:, seen])
    shape = obs["ssh"].shape
    return (gain @ values[seen]).reshape(shape), np.sqrt(variance).reshape(shape)


def test_the_analysis_is_that_of_a_dense_one_with_varied_errors():
    """R is diagonal, and differs from observation to observation by a factor of more than 25."""
    obs = with_errors(varied()).isel(time=slice(4), lon=slice(8))
    model = xdvarnet.OptimalInterpolation(
        "ssh",
        correlation_length="90 km",
        correlation_time="3 days",
        noise="ssh_noise",
        std=0.06,
        time_window=1000,
        neighbours=10_000,
        background=NoBackground(),
    )
    found = obs.dvarnet.reconstruct(model)
    sea = np.broadcast_to(obs["sea"], obs["ssh"].shape)
    for name, expected in zip(("ssh", "ssh_std"), dense(obs, 0.06, 90.0, 3.0), strict=True):
        np.testing.assert_allclose(found[name].values[sea], expected[sea], atol=1e-6)
    assert float(obs["ssh_noise"].max() / obs["ssh_noise"].min()) > 5


@pytest.mark.parametrize("kind", ["interpolation", "with a local std", "field"])
def test_an_observation_with_a_large_error_is_as_one_that_is_absent(kind):
    """Also for the standard deviation that is estimated, however wrong it is."""
    obs = with_errors(varied())
    bad = obs["ssh"].notnull() & (np.random.default_rng(3).random(obs["ssh"].shape) < 0.1)
    wrong = obs.assign(
        ssh=obs["ssh"].where(~bad, 1.0), ssh_noise=obs["ssh_noise"].where(~bad, 100.0)
    )
    absent = obs.assign(ssh=obs["ssh"].where(~bad))
    model = of(kind).with_options(background=NoBackground())
    for name, array in absent.dvarnet.reconstruct(model).items():
        np.testing.assert_allclose(wrong.dvarnet.reconstruct(model)[name], array, atol=1e-4)


def test_the_prior_is_that_of_greatest_likelihood():
    """Against a search, of two kinds of observations: good and bad ones."""
    rng = np.random.default_rng(0)
    shape = (6, 20, 30)
    errors = np.where(rng.random(shape) < 0.5, 0.02, 0.3)
    values = 0.1 * rng.standard_normal(shape) + errors * rng.standard_normal(shape)
    cells = np.tile(np.arange(600), 6)
    place = 30 + 0.2 * np.arange(20), 0.2 * np.arange(30)
    found = prior_std(cells, values.ravel(), errors.ravel(), place, None)
    tried = np.linspace(0.08, 0.12, 4001)
    total = tried[:, None] ** 2 + errors.ravel() ** 2
    cost = (np.log(total) + values.ravel() ** 2 / total).sum(1)
    assert found[0, 0] == pytest.approx(tried[cost.argmin()], abs=2e-5)
    assert np.ptp(found) == 0


def test_models_say_what_they_read():
    """Wrappers read what their models read."""
    for kind in MODELS:
        assert dict(of(kind).error_variables) == {"ssh_noise": "ssh"}
        assert not of(kind, noise="2 cm").error_variables
    assert "noise='ssh_noise'" in repr(with_noise("ssh_noise"))
    assert "noise='ssh_noise'" in repr(field(noise="ssh_noise"))


@pytest.mark.parametrize("day", [2, 5])
def test_a_lead_has_the_errors_of_the_past(day):
    """As a record that ends the day before, with errors that differ."""
    obs = with_errors(varied())
    model = with_noise("ssh_noise", background=NoBackground())
    past = obs.where(obs["time"] < obs["time"][day]).assign_coords(sea=obs["sea"])
    expected = past.dvarnet.reconstruct(model).isel(time=day)
    _equal(obs.dvarnet.reconstruct(xdvarnet.Lead(model, 1)).isel(time=day), expected)


class Reads(WindowedIdentity):
    """Sees windows with errors."""

    error_variables = {"ssh_noise": "ssh"}  # noqa: RUF012


def test_windows_have_the_errors_of_their_observations():
    """Also around the globe, where columns come twice."""
    obs = gappy(6, 9, 36).drop_vars("sea").assign_coords(lon=np.arange(0.0, 360, 10))
    model = Reads(Window(5, 8, 9))
    obs.assign(ssh_noise=abs(obs["ssh"]) + 0.01).dvarnet.reconstruct(model)
    assert len(model.seen) > 8
    for window in model.seen:
        offset = window.errors["ssh_noise"] - abs(window.values["ssh"])
        np.testing.assert_allclose(offset[np.isfinite(window.values["ssh"])], 0.01, atol=1e-7)


def test_a_model_that_does_not_say_what_it_reads_is_told():
    class Holds(WholeIdentity):
        def solve(self, observations, *, members=None, rng=None):
            return with_noise("ssh_noise").solve(observations)

    with pytest.raises(UnknownNameError, match="names them in its error_variables"):
        with_errors().dvarnet.reconstruct(Holds(None))


@pytest.mark.parametrize("kind", MODELS)
def test_files_keep_the_name(kind, tmp_path):
    model = of(kind)
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.error_variables == model.error_variables
    if kind != "field":
        obs = with_errors(varied())
        _equal(obs.dvarnet.reconstruct(loaded), obs.dvarnet.reconstruct(model))


@pytest.mark.parametrize("kind", ["interpolation", "field", "lead", "first guess"])
@pytest.mark.parametrize("value", [0.0, -0.02, np.nan])
def test_an_error_that_is_none_is_refused_with_its_place(kind, value):
    obs = with_errors()
    day, row, column = (int(axis[40]) for axis in np.nonzero(obs["ssh"].notnull().values))
    obs["ssh_noise"][day, row, column] = value
    place = f"latitude={obs['lat'].values[row]}, longitude={obs['lon'].values[column]:g}"
    with pytest.raises(InvalidInputError, match=f"'ssh_noise' has 1 value.*{place}"):
        obs.dvarnet.reconstruct(of(kind))


def test_the_advice_about_bad_errors_works():
    obs = with_errors(varied() - 0.02)
    model = of("interpolation")
    with pytest.raises(InvalidInputError, match="leave these observations out"):
        obs.dvarnet.reconstruct(model)
    kept = obs.assign(ssh=obs["ssh"].where(obs["ssh_noise"] > 0))
    assert np.isfinite(kept.dvarnet.reconstruct(model)["ssh"].where(obs["sea"], 0)).all()


def test_what_is_missing_or_of_other_units_is_said():
    model = of("interpolation")
    with pytest.raises(
        UnknownNameError, match=r"of 'ssh' are read from 'ssh_noise', .* bin_tracks\(grid"
    ):
        observations().dvarnet.reconstruct(model)
    obs = with_errors()
    obs["ssh_noise"].attrs["units"] = "degC"
    with pytest.raises(InvalidInputError, match="'ssh_noise' has units 'degC'"):
        obs.dvarnet.reconstruct(model)
    with pytest.raises(InvalidInputError, match="'ssh_noise' has dimensions"):
        obs.assign(ssh_noise=with_errors()["ssh_noise"].max("time")).dvarnet.reconstruct(model)
    with pytest.raises(InvalidInputError, match="noise='ssh' is the variable that is observed"):
        field(noise="ssh")


def tracks(count=400) -> xr.Dataset:
    """Three missions with errors of their own, over three days."""
    rng = np.random.default_rng(0)
    seconds = np.sort(rng.choice(3 * 86400, count, replace=False))
    mission = rng.choice(list(MISSIONS), count)
    errors = np.select([mission == "near", mission == "far"], [1.0, 4.0], 3.0)
    return xr.Dataset(
        {
            "ssh": (
                "time",
                np.where(rng.random(count) < 0.1, np.nan, rng.normal(0, 0.1, count)),
                {"units": "m", "standard_name": "sea_surface_height", "long_name": "height"},
            ),
            "error": ("time", errors, {"units": "cm"}),
            "mission": ("time", mission),
        },
        {
            "time": pd.Timestamp("2017-01-01T09:00") + pd.to_timedelta(seconds, "s"),
            "longitude": ("time", rng.uniform(-1.1, 1.1, count)),
            "latitude": ("time", rng.uniform(39.8, 41.4, count)),
        },
    )


GRID = xr.Dataset(coords={"lat": 40 + 0.4 * np.arange(4), "lon": -1 + 0.5 * np.arange(5)})


def test_means_are_weighted_with_inverse_variances():
    """Against numpy, cell by cell."""
    points = tracks()
    binned = points.dvarnet.bin_tracks(GRID, noise="error")
    day = (points["time"] + np.timedelta64(12, "h")).dt.floor("1D").values
    nearest = {
        dim: abs(points[long] - GRID[dim]).argmin(dim).values
        for dim, long in (("lat", "latitude"), ("lon", "longitude"))
    }
    compared = 0
    for t, row, column in np.ndindex(binned["ssh"].shape):
        here = (day == binned["time"].values[t]) & points["ssh"].notnull().values
        here &= (nearest["lat"] == row) & (nearest["lon"] == column)
        if not here.any():
            assert binned[["ssh", "ssh_noise"]].isel(time=t, lat=row, lon=column).isnull().all()
            continue
        weights = (0.01 * points["error"].values[here]) ** -2
        mean = np.average(points["ssh"].values[here], weights=weights)
        assert float(binned["ssh"][t, row, column]) == pytest.approx(mean)
        assert float(binned["ssh_noise"][t, row, column]) == pytest.approx(weights.sum() ** -0.5)
        compared += here.sum() > 1
    assert compared > 20


def test_the_error_of_a_mean_is_that_of_many_draws():
    """Of noise alone: 200 draws in 57 cells tell the variance to 1.3 %."""
    points, rng = tracks(), np.random.default_rng(1)
    errors = 0.01 * points["error"].values
    draws = []
    for _ in range(200):
        noise = ("time", errors * rng.standard_normal(errors.size), {"units": "m"})
        draws.append(points.assign(ssh=noise).dvarnet.bin_tracks(GRID, noise="error"))
    found = xr.concat([each["ssh"] for each in draws], "draw").std("draw")
    ratio = (found / draws[0]["ssh_noise"]).values
    assert np.nanmean(ratio**2) == pytest.approx(1, abs=0.04)
    assert np.nanstd(ratio) < 0.08


def test_missions_are_points_with_the_errors_of_their_mission():
    points = tracks()
    by_mission = points.drop_vars("error").dvarnet.bin_tracks(GRID, noise=MISSIONS)
    by_point = points.dvarnet.bin_tracks(GRID, noise="error")
    xr.testing.assert_allclose(by_mission, by_point)
    coordinate = points.drop_vars("error").set_coords("mission")
    xr.testing.assert_identical(coordinate.dvarnet.bin_tracks(GRID, noise=MISSIONS), by_mission)


@pytest.mark.parametrize("noise", [0.02, "2 cm"])
def test_one_noise_for_all_leaves_the_mean_as_it_is(noise):
    points = tracks().drop_vars("error")
    plain, weighted = points.dvarnet.bin_tracks(GRID), points.dvarnet.bin_tracks(GRID, noise=noise)
    np.testing.assert_allclose(weighted["ssh"], plain["ssh"])
    count = points.dvarnet.bin_tracks(GRID, statistic="count")["ssh"]
    np.testing.assert_allclose(weighted["ssh_noise"], 0.02 / np.sqrt(count.where(count > 0)))


def test_errors_of_a_mean_say_what_they_are():
    binned = tracks().drop_vars("error").dvarnet.bin_tracks(GRID, noise=MISSIONS)
    assert list(binned) == ["ssh", "ssh_noise"]
    assert binned["ssh"].attrs["ancillary_variables"] == "ssh_noise"
    assert binned["ssh_noise"].attrs == {
        "units": "m",
        "long_name": "standard deviation of the error of height",
        "standard_name": "sea_surface_height standard_error",
    }
    assert binned["ssh_noise"].dims == binned["ssh"].dims


def test_a_swath_has_errors_by_line_and_by_pixel():
    """Errors along one of its dimensions hold for all of the other."""
    rng = np.random.default_rng(2)
    lines, pixels = 30, 6
    swath = xr.Dataset(
        {"ssh": (("line", "pixel"), rng.normal(size=(lines, pixels)), {"units": "m"})},
        {
            "time": ("line", pd.date_range("2017-01-01T10:00", periods=lines, freq="s")),
            "longitude": (("line", "pixel"), rng.uniform(-1, 1, (lines, pixels))),
            "latitude": (("line", "pixel"), rng.uniform(40, 41, (lines, pixels))),
        },
    )
    across = swath.assign(error=("pixel", np.linspace(0.01, 0.05, pixels), {"units": "m"}))
    whole = swath.assign(
        error=(across["error"] * xr.ones_like(swath["ssh"])).assign_attrs(units="m")
    )
    xr.testing.assert_allclose(
        across.dvarnet.bin_tracks(GRID, noise="error"),
        whole.transpose("pixel", "line").dvarnet.bin_tracks(GRID, noise="error"),
    )


@pytest.mark.parametrize(
    ("noise", "error", "message"),
    [
        ({"near": 0.01}, InvalidInputError, r"no entry for 'far', 'odd'; the tracks have the miss"),
        ({**MISSIONS, "odd": 0}, InvalidInputError, r"noise\['odd'\]=0 is not accepted"),
        ({**MISSIONS, "odd": "3 s"}, InvalidInputError, r"noise\['odd'\]='3 s' is not understood"),
        (-0.02, InvalidInputError, "noise=-0.02 is not accepted; give more than zero, in m"),
        ("2 kg", InvalidInputError, "noise='2 kg' is not understood"),
        ("sigma", UnknownNameError, "variable 'sigma' is missing; the dataset has"),
        ("ssh", InvalidInputError, "a noise is of one variable, and the tracks have"),
        (tracks()["error"], InvalidTypeError, "or the name of a variable"),
    ],
)
def test_a_noise_that_is_not_accepted(noise, error, message):
    with pytest.raises(error, match=message):
        tracks().drop_vars("error").dvarnet.bin_tracks(GRID, noise=noise)


def test_noise_belongs_to_the_mean_of_one_variable_of_known_missions():
    points = tracks().drop_vars("error")
    with pytest.raises(InvalidInputError, match="statistic='median' has no use for the noise"):
        points.dvarnet.bin_tracks(GRID, statistic="median", noise=0.02)
    with pytest.raises(InvalidInputError, match=r"tracks.drop_vars\(\['swh'\]\)"):
        points.assign(swh=2 * points["ssh"]).dvarnet.bin_tracks(GRID, noise=0.02)
    with pytest.raises(InvalidInputError, match="do not tell missions apart"):
        points.drop_vars("mission").dvarnet.bin_tracks(GRID, noise=MISSIONS)
    del points["ssh"].attrs["units"]
    with pytest.raises(InvalidInputError, match=r"\['ssh'\].attrs\['units'\] = 'm'"):
        points.dvarnet.bin_tracks(GRID, noise="2 cm")
    negative = tracks()
    negative["error"][17] = -1
    negative["ssh"][17] = 0.1
    with pytest.raises(InvalidInputError, match="'error' has 1 value.*2017-01-01"):
        negative.dvarnet.bin_tracks(GRID, noise="error")


def test_a_field_takes_the_errors_of_tracks_in_all_forms():
    """By name, by mission, and as an array."""
    points = tracks()
    grid = GRID.assign_coords(time=pd.date_range("2017-01-01", periods=4))
    expected = field().condition(points, grid, noise=points["error"])
    for found in (
        field().condition(points, grid, noise="error"),
        field(noise="error").condition(points, grid),
        field().condition(points, grid, noise=MISSIONS),
    ):
        xr.testing.assert_allclose(found[["ssh", "ssh_std"]], expected[["ssh", "ssh_std"]])
    one = field().condition(points, grid, noise="2 cm")
    xr.testing.assert_allclose(one["ssh"], field().condition(points, grid, noise=0.02)["ssh"])


class Altimeter:
    """Observes all, with an error that is its value and a centimeter."""

    def observe(self, dataset: xr.Dataset, *, rng=None) -> xr.Dataset:
        seen = dataset["ssh"].where(np.random.default_rng(0).random(dataset["ssh"].shape) < 0.4)
        return dataset.assign(ssh=seen, ssh_noise=abs(seen) + 0.01)


@pytest.mark.parametrize("flips", [False, True])
def test_windows_of_a_training_have_the_errors_of_their_observations(flips):
    """Cut, flipped and scaled with them: in a window they differ by one number."""
    truth = gappy(unobserved=0.0)
    drawn = draw(
        truth,
        Altimeter(),
        of("first guess"),
        np.random.default_rng(0),
        background=NoBackground(),
        first_guess=with_noise("ssh_noise"),
    )
    change = Augmentation(flips=flips, amplitude=0.5)
    for window in random_windows([drawn], Window(5, 8, 9), 6, change, np.random.default_rng(1)):
        values, errors = window.observations.values["ssh"], window.observations.errors["ssh_noise"]
        offset = (errors - abs(values))[np.isfinite(values)]
        assert offset.size > 20
        np.testing.assert_allclose(offset, offset[0], rtol=1e-4)


TRUTH = toy_truth(days=6)
TRACKS = toy_tracks(TRUTH, noise=0.01)
VARIED = TRACKS.assign(
    error=("time", np.random.default_rng(0).uniform(1, 5, TRACKS.sizes["time"]), {"units": "cm"})
)


def binned(points: xr.Dataset) -> xr.Dataset:
    stamps = daily_stamps(find_points(VARIED).days)
    found = points[["ssh", "error"]].dvarnet.bin_tracks(TRUTH, time=stamps, noise="error")
    return found.rename(ssh_noise="error")


def test_a_withheld_mission_is_predicted_from_weighted_means():
    """As by hand, beside a model that weighs nothing."""
    models = {"weighted": with_noise("error"), "plain": with_noise("2 cm")}
    here = (VARIED["mission"] == VARIED["mission"][0]).values
    made = predict_withheld(models, VARIED, TRUTH, withhold=VARIED["mission"].values[0])
    maps = binned(VARIED.isel(time=~here)).dvarnet.reconstruct(with_noise("error"))
    expected = maps.dvarnet.sample_tracks(VARIED.isel(time=here))["ssh"]
    np.testing.assert_allclose(made["ssh_map"].sel(model="weighted"), expected, atol=1e-7)
    assert not np.allclose(made["ssh_map"][0], made["ssh_map"][1], equal_nan=True)


def test_learning_from_passes_weighs_what_is_left():
    """The first guess of a draw of a fine tuning is that of the weighted means."""
    guess = with_noise("error").with_options(background=NoBackground())
    draws = RemovedPasses(VARIED, TRUTH, {"ssh": "m"}, NoBackground(), guess, 0.3)
    seen, hidden = (VARIED.isel(time=slice(half, None, 2)) for half in (0, 1))
    drawn, expected = draws.draw(seen, hidden, np.random.default_rng(0)).observations, binned(seen)
    maps = expected.dvarnet.reconstruct(guess)["ssh"].transpose("time", "lat", "lon")
    sea = np.broadcast_to(drawn.sea, drawn.shape)
    np.testing.assert_allclose(drawn.first_guess.mean["ssh"][sea], maps.values[sea], atol=1e-6)
    errors = expected["error"].transpose("time", "lat", "lon")
    np.testing.assert_allclose(drawn.errors["error"], errors, atol=1e-7)


def test_a_spread_may_weigh_what_its_model_does_not():
    """A calibration reads the errors for it, of tracks and of maps."""
    spread = with_noise("ssh_noise")
    errors = ("time", np.full(TRACKS.sizes["time"], 0.02), {"units": "m"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XdvarnetWarning)  # of few crossovers
        model = xdvarnet.calibrate(
            with_noise("2 cm"),
            TRACKS.assign(ssh_noise=errors),
            grid=TRUTH,
            spread=spread,
            noise="1 cm",
            rng=0,
        )
    assert model.error_variables == {"ssh_noise": "ssh"}
    truth = gappy(unobserved=0.0)
    model = xdvarnet.calibrate(
        with_noise("2 cm"), truth, observe=Altimeter(), spread=spread, draws=1, rng=0
    )
    assert model.error_variables == {"ssh_noise": "ssh"}


def test_a_fitted_field_keeps_the_errors_that_are_given():
    """Of tracks by mission, and of maps by name: three parameters are sought."""
    points, start = tracks(), field()
    days = GRID.assign_coords(time=pd.date_range("2017-01-01", periods=4))
    fitted = xdvarnet.SPDEField.fit(points, days, start=start, noise=MISSIONS, trials=6)
    assert fitted.noise == "ssh_noise"
    sought = {"correlation_length", "correlation_time", "std"}
    assert set(fitted.history) == {*sought, "log_likelihood"}
    by_name = xdvarnet.SPDEField.fit(points, days, start=start, noise="error", trials=6)
    np.testing.assert_allclose(by_name.history["std"], fitted.history["std"])
    best = fitted.log_likelihood(points.assign(ssh_noise=points["error"]), days)
    assert best > start.log_likelihood(points, days, noise=MISSIONS)
    with pytest.raises(InvalidInputError, match="noise='2 cm' is one for all"):
        xdvarnet.SPDEField.fit(points, days, start=start, noise="2 cm")
