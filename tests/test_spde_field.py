"""SPDEField: labels around exact kriging."""

import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import xarray as xr
from reconstructors import NoBackground
from toys import toy_tracks, toy_truth

import xdvarnet
from xdvarnet.errors import (
    InvalidInputError,
    InvalidTypeError,
    UnknownNameError,
    XdvarnetWarning,
)
from xdvarnet.methods.gaussian_field.field import SPDEField
from xdvarnet.spde.cost import FieldSize

TRUTH = toy_truth(days=3).isel(lat=slice(2, 12), lon=slice(6, 19))


def field(**options) -> SPDEField:
    given = {"correlation_length": "90 km", "correlation_time": "5 days", "std": 0.05}
    return SPDEField(**given | {"noise": 0.01, "background": NoBackground()} | options)


def seen(share=0.15, seed=0) -> xr.Dataset:
    """Return the truth where something was observed."""
    observed = np.random.default_rng(seed).random(TRUTH["ssh"].shape) < share
    return TRUTH.assign(ssh=TRUTH["ssh"].where(observed))


def test_reconstruction_is_conditioning_on_the_anomalies():
    obs = seen()
    maps, conditioned = obs.dvarnet.reconstruct(field()), field().condition(obs)
    xr.testing.assert_allclose(maps["ssh"], conditioned["ssh"])
    xr.testing.assert_allclose(maps["ssh_std"], conditioned["ssh_std"])
    assert maps["ssh"].isnull().equals(~TRUTH["sea"].broadcast_like(maps["ssh"]))


def test_maps_follow_precise_observations_and_the_prior_elsewhere():
    obs = seen()
    maps = field(noise=1e-4).condition(obs)
    observed = obs["ssh"].notnull()
    error = (maps["ssh"] - TRUTH["ssh"]).where(observed)
    assert float(np.abs(error).max()) < 1e-3
    assert float(maps["ssh_std"].where(observed).max()) < 2e-4
    with pytest.warns(XdvarnetWarning, match="no observation"):
        prior = field().condition(obs.where(False))
    assert np.allclose(prior["ssh_std"].where(TRUTH["sea"]).min(), 0.05, rtol=1e-4)
    assert not prior["ssh"].where(TRUTH["sea"], 0).any()


def test_members_have_the_mean_and_the_spread_of_the_posterior():
    """Over 600 members, to four standard errors."""
    result = field().condition(seen(), members=600, return_members=True, rng=3)
    members = result["ssh_members"].astype(float)
    error = (members.mean("member") - result["ssh"]) / result["ssh_std"]
    assert float(np.abs(error).max()) < 4.2 / np.sqrt(600)
    ratio = members.std("member", ddof=1) / result["ssh_std"]
    assert float(np.abs(ratio - 1).max()) < 4.2 / np.sqrt(2 * 600)


def test_samples_have_the_standard_deviation_also_beside_land():
    draws = field().sample(TRUTH.drop_vars("ssh"), members=400, rng=1)["ssh"]
    assert draws.dims == ("member", "time", "lat", "lon")
    assert draws.isel(member=0).isnull().equals(~TRUTH["sea"].broadcast_like(TRUTH["ssh"]))
    ratio = draws.astype(float).std("member") / 0.05
    assert float(np.abs(ratio - 1).max()) < 4.5 / np.sqrt(2 * 400)


def test_two_calls_with_one_seed_are_equal():
    def members(rng):
        return field().condition(seen(), members=2, return_members=True, rng=rng)["ssh_members"]

    xr.testing.assert_identical(members(5), members(5))
    assert not members(5).equals(members(6))
    maps = seen().dvarnet.reconstruct(field(), members=2, return_members=True, rng=5)
    assert maps["ssh_members"].sizes["member"] == 2


def test_order_units_and_longitudes_do_not_matter():
    expected = field().condition(seen())
    turned = seen().isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat")
    turned = turned.assign_coords(lon=turned["lon"] + 360)
    turned["ssh"] = (100 * turned["ssh"]).assign_attrs(units="cm")
    result = field().condition(turned)
    assert result["ssh"].dims == ("lon", "time", "lat")
    back = result.assign_coords(lon=result["lon"] - 360).transpose("time", "lat", "lon")
    xr.testing.assert_allclose(0.01 * back["ssh"].sortby("lat"), expected["ssh"], atol=1e-6)
    xr.testing.assert_allclose(0.01 * back["ssh_std"].sortby("lat"), expected["ssh_std"])


def test_points_at_centres_of_cells_are_gridded_observations():
    obs = seen()
    points = obs["ssh"].stack(point=("time", "lat", "lon"), create_index=False)
    points = points.isel(point=np.isfinite(points.values)).reset_coords("sea", drop=True)
    tracks = points.to_dataset(name="ssh").assign(
        ssh=("point", points.values.astype(float), {"units": "m"})
    )
    on_grid, at_points = field().condition(obs), field().condition(tracks, TRUTH)
    days = slice(str(at_points["time"].values[0])[:10], str(at_points["time"].values[-1])[:10])
    assert at_points.sizes["time"] == 3
    xr.testing.assert_allclose(
        at_points["ssh"], on_grid["ssh"].sel(time=days).drop_attrs(), atol=1e-6
    )
    log = field().log_likelihood(obs), field().log_likelihood(tracks, TRUTH)
    assert log[0] == pytest.approx(log[1], rel=1e-6)


def test_points_between_cells_are_bilinear():
    """A map made of precise points has their values where they are."""
    tracks = toy_tracks(toy_truth(days=3)).drop_vars("mission").isel(time=slice(0, None, 4))
    maps = field(noise=1e-4, correlation_length="60 km").condition(tracks, TRUTH)
    days = tracks.assign_coords(time=tracks["time"].dt.round("D"))
    found = xdvarnet.sample_tracks(maps[["ssh"]], days)["ssh"]
    both = np.isfinite(found.values)
    assert both.sum() >= 8
    np.testing.assert_allclose(found.values[both], tracks["ssh"].values[both], atol=2e-3)


def test_a_noise_for_each_observation():
    """Doubtful observations count less; equal ones are one number."""
    obs = seen()
    same = xr.full_like(obs["ssh"], 0.01)
    xr.testing.assert_allclose(field().condition(obs, noise=same), field().condition(obs))
    doubtful = same.where(obs["lat"] < obs["lat"].mean(), 10.0).transpose(*obs["ssh"].dims)
    maps = field().condition(obs, noise=doubtful)
    north = maps["ssh_std"].isel(lat=-1).min()
    assert float(north) > 2 * float(maps["ssh_std"].isel(lat=0).min())


def test_the_likelihood_prefers_the_scales_that_drew_the_field():
    drawn = field(noise=0.002).sample(TRUTH.drop_vars("ssh"), members=1, rng=8).isel(member=0)
    obs = drawn.where(np.random.default_rng(0).random(drawn["ssh"].shape) < 0.5)

    def likelihood(**options):
        return field(noise=0.002, **options).log_likelihood(obs)

    best = likelihood()
    for worse in (
        {"correlation_length": "250 km"},
        {"correlation_time": "60 days"},
        {"std": 0.2},
        {"std": 0.015},
    ):
        assert likelihood(**worse) < best


@pytest.mark.slow
def test_the_fit_finds_the_parameters_that_drew_the_field():
    """From a wrong start, within a quarter; the likelihood is above that of the true ones."""
    true = field(correlation_length="100 km", correlation_time="3 days", noise=0.005)
    drawn = true.sample(TRUTH.drop_vars("ssh"), members=1, rng=2).isel(member=0)
    noise = 0.005 * np.random.default_rng(1).normal(size=drawn["ssh"].shape)
    obs = drawn.assign(ssh=(drawn["ssh"] + noise).astype("float32").assign_attrs(units="m"))
    start = field(correlation_length="60 km", correlation_time="6 days", std=0.1, noise=0.02)
    fitted = xdvarnet.SPDEField.fit(obs, start=start, trials=180)
    assert fitted.log_likelihood(obs) > true.log_likelihood(obs) - 0.5
    assert fitted.correlation_length == pytest.approx(100, rel=0.25)
    assert fitted.correlation_time == pytest.approx(3, rel=0.35)
    assert fitted.noise == pytest.approx(0.005, rel=0.25)
    assert start.std == 0.1
    trials = fitted.history
    best = trials.isel(trial=int(trials["log_likelihood"].values.argmax()))
    assert float(best["noise"]) == pytest.approx(fitted.noise)
    with pytest.raises(InvalidInputError, match="trials=0"):
        xdvarnet.SPDEField.fit(obs, start=start, trials=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"correlation_length": "-3 km"}, "correlation_length=-3"),
        ({"correlation_time": 0}, "correlation_time=0"),
        ({"std": np.nan}, "std=nan"),
        ({"noise": 0.0}, "noise=0.0"),
        ({"anisotropy": 0}, "anisotropy=0"),
        ({"angle": np.inf}, "angle=inf is not finite"),
        ({"advection": (0.1,)}, "an eastward and a northward velocity"),
        ({"advection": 0.1}, "advection=0.1; give an eastward and a northward velocity"),
        ({"noise": TRUTH["ssh"]}, "is no number; give more than zero, in m"),
        ({"units": "parsnips"}, "parsnips"),
    ],
)
def test_bad_parameters_are_refused(options, message):
    with pytest.raises(InvalidInputError, match=message):
        field(**options)


def test_bad_input_is_refused():
    obs = seen()
    with pytest.raises(UnknownNameError, match="'ssh' is missing"):
        field().condition(obs.rename(ssh="sla"))
    with pytest.raises(InvalidInputError, match="members=1 is not .* whole number from 2"):
        field().condition(obs, members=1)
    with pytest.raises(InvalidInputError, match="not positive and finite"):
        field().condition(obs, noise=0.0)
    with pytest.raises(InvalidInputError, match="noise has the shape"):
        field().condition(obs, noise=np.ones((2, 3, 10, 13)))
    with pytest.raises(InvalidInputError, match="steps by 2 days"):
        field().condition(obs.isel(time=[0, 2]))
    with pytest.warns(XdvarnetWarning, match="shorter than two steps of the grid"):
        field(correlation_length="30 km").condition(obs)


def maps(**ranges: tuple[float, float]) -> dict[str, xr.DataArray]:
    """Return parameters that grow to the north-east, on a coarser grid than the truth's."""
    latitude = np.linspace(float(TRUTH["lat"].min()), float(TRUTH["lat"].max()), 4)
    longitude = np.linspace(float(TRUTH["lon"].min()), float(TRUTH["lon"].max()), 5)
    share = (np.arange(4)[:, None] + np.arange(5)) / 7
    axes = {"lat": latitude, "lon": longitude}
    return {
        name: xr.DataArray(low + (high - low) * share, axes, ["lat", "lon"])
        for name, (low, high) in ranges.items()
    }


def test_a_map_of_one_value_is_that_number():
    """In other units, in another order and longitude convention too."""
    numbers = {"anisotropy": 1.5, "angle": 30.0, "advection": (0.02, 0.01)}
    uniform = maps(
        correlation_length=(90e3, 90e3), correlation_time=(5, 5), std=(0.05, 0.05),
        anisotropy=(1.5, 1.5), angle=(30.0, 30.0), east=(0.02, 0.02), north=(0.01, 0.01)
    )  # fmt: skip
    uniform["correlation_length"].attrs["units"] = "m"
    turned = uniform["std"].isel(lat=slice(None, None, -1)).T
    uniform["std"] = turned.assign_coords(lon=turned["lon"] + 360)
    advection = (uniform.pop("east"), uniform.pop("north"))
    expected = field(**numbers).condition(seen())
    found = field(**uniform, advection=advection).condition(seen())
    xr.testing.assert_allclose(found.drop_attrs(), expected.drop_attrs(), atol=1e-6)


def test_the_standard_deviation_may_be_a_map():
    """Linear between its points, also where the field is not stationary in time."""
    std = maps(std=(0.02, 0.08))["std"]
    wanted = std.interp(lat=TRUTH["lat"], lon=TRUTH["lon"]).where(TRUTH["sea"])
    for other in ({}, {"advection": (0.05, 0.0)}):
        with pytest.warns(XdvarnetWarning, match="no observation"):
            found = field(std=std, **other).condition(seen().where(False))["ssh_std"]
        for day in range(3):
            np.testing.assert_allclose(found[day], wanted, rtol=1e-4)


def test_parameters_may_change_in_time():
    """The days before and after those of the map have the value of its ends."""
    std = maps(std=(0.05, 0.05))["std"].expand_dims(time=TRUTH["time"].values[:2]).copy()
    std[1] *= 2
    with pytest.warns(XdvarnetWarning, match="no observation"):
        found = field(std=std).condition(seen().where(False))["ssh_std"].mean(("lat", "lon"))
    np.testing.assert_allclose(found, [0.05, 0.1, 0.1], rtol=1e-4)


def test_correlations_are_longer_where_the_map_says():
    """Along a row in the south-west and in the north-east, over 400 members."""
    length = maps(correlation_length=(80, 240))["correlation_length"]
    draws = field(correlation_length=length).sample(
        TRUTH.drop_vars("sea").drop_vars("ssh"), members=400, rng=2
    )["ssh"]
    day = draws.isel(time=0)
    near, far = (
        float(xr.corr(day.isel(lat=row, lon=column), day.isel(lat=row, lon=column + 3), "member"))
        for row, column in ((1, 1), (8, 8))
    )
    assert far > near + 0.2


def test_both_engines_agree():
    """The mean to a hundredth of the standard deviation; that one to the error of 400 draws."""
    obs = seen()
    options = {"members": 400, "return_members": True, "rng": 1}
    exact, iterative = (
        field(engine=engine).condition(obs, **options) for engine in ("exact", "iterative")
    )
    error = (iterative["ssh"] - exact["ssh"]) / exact["ssh_std"]
    assert float(np.sqrt((error**2).mean())) < 0.01
    ratio = iterative["ssh_std"] / exact["ssh_std"]
    assert float(np.abs(ratio - 1).max()) < 4.2 / np.sqrt(2 * 400)
    assert iterative["ssh_members"].sizes["member"] == 400
    with pytest.raises(InvalidInputError, match="the likelihood needs the exact engine"):
        field(engine="iterative").log_likelihood(obs)


def test_the_engine_is_chosen_by_memory(caplog):
    """The log says which; what does not fit is refused, with advice that works."""
    with caplog.at_level("INFO", "xdvarnet"):
        field().condition(seen())
        assert "engine='exact' for 3 x" in caplog.text
        size = FieldSize(*map(int, re.search(r"for (\d+) x (\d+) x (\d+)", caplog.text).groups()))
        between = (size.iterative(0, 100).memory + size.exact(0).memory) / 2e9
        assert size.iterative(0, 100).memory < 1e9 * between < size.exact(0).memory
        field(memory=between).condition(seen())
        assert "engine='iterative' for 3 x" in caplog.text
    with pytest.raises(InvalidInputError, match=r"by the exact engine, and the limit is") as told:
        field(engine="exact", memory=between).condition(seen())
    (engine,) = re.findall('engine="(.*?)"', str(told.value))
    (memory,) = re.findall("memory='(.*?)'", str(told.value))
    expected = field(engine="exact").condition(seen())
    field(engine=engine, memory=between).condition(seen())
    allowed = field(engine="exact", memory=memory).condition(seen())
    xr.testing.assert_equal(allowed.drop_attrs(), expected.drop_attrs())


def test_size_and_time_are_told_before_they_are_taken(monkeypatch):
    """Where a limit is set there is no warning: the advice of the message works."""
    monkeypatch.setattr("xdvarnet.methods.gaussian_field.engine.WARNED", 1e-3)
    obs = seen()
    for compute in (
        lambda field: obs.dvarnet.reconstruct(field),
        lambda field: field.condition(obs),
        lambda field: field.sample(TRUTH, members=2, rng=0),
        lambda field: field.log_likelihood(obs),
        lambda field: xdvarnet.SPDEField.fit(obs, start=field, trials=1),
    ):
        with pytest.warns(XdvarnetWarning, match=r"take up to .* GB and about \d+ second") as told:
            compute(field())
        (memory,) = re.findall("memory='(.*?)'", str(told[0].message))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "the search was stopped")
            compute(field(memory=memory))


def test_a_limit_is_kept_whatever_is_asked_for():
    """More members take more; samples of a stationary field take less than its posterior."""
    obs = seen()
    little = field(engine="exact", memory="20 MB")
    for compute in (
        lambda: obs.dvarnet.reconstruct(little),
        lambda: little.condition(obs, members=3),
        lambda: little.log_likelihood(obs),
        lambda: little.sample(TRUTH, members=10**6),
    ):
        with pytest.raises(InvalidInputError, match=r"GB.* and the limit is 0\.02 GB"):
            compute()
    with pytest.raises(InvalidInputError, match="memory='4 km' is not understood"):
        field(memory="4 km")
    assert field(memory="500 MB").memory == 0.5 and "memory=0.5)" in repr(field(memory=0.5))
    assert field(memory=0.5).with_options(background=NoBackground()).memory == 0.5


def test_what_does_not_fit_is_refused_before_any_work(monkeypatch):
    """Neither the mesh nor the normalization is begun. Propagation is normalized by a factor."""
    monkeypatch.setattr("xdvarnet.methods.gaussian_field.process.extended_mesh", None)
    axes = {"lat": 0.125 * np.arange(250), "lon": 0.125 * np.arange(400)}
    days = {"time": np.datetime64("2020-01-01", "ns") + np.arange(10) * np.timedelta64(1, "D")}
    with pytest.raises(InvalidInputError, match="GB by the exact engine.*the iterative engine"):
        moving = field(engine="exact", advection=(0.02, 0.0))
        moving.sample(xr.Dataset(coords=days | axes), members=2)
    monkeypatch.setattr("xdvarnet.spde.cost.usable_memory", lambda device: 2e9)
    message = r"length of 5e\+03 km asks for a margin of .* cells on each side of .* 10 x 13 cells"
    for engine in (None, "iterative", "exact"):
        with pytest.raises(InvalidInputError, match=message):
            seen().dvarnet.reconstruct(field(correlation_length=5000, engine=engine))


def test_a_mask_that_splits_the_sea_makes_basins():
    """Nothing crosses a strip of land: what one basin observes does not reach the other."""
    sea = TRUTH["sea"].copy(data=np.ones(TRUTH["sea"].shape, bool))
    sea[:, 6] = False
    split = TRUTH.assign_coords(sea=sea)
    obs = split.assign(ssh=split["ssh"].where(np.arange(13) < 3))
    maps = field().condition(obs)
    east = maps.isel(lon=slice(7, None))
    assert float(np.abs(east["ssh"]).max()) < 1e-9
    np.testing.assert_allclose(east["ssh_std"], 0.05, rtol=1e-4)
    assert float(maps["ssh_std"].isel(lon=slice(0, 3)).max()) < 0.02


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("correlation_length", -5.0, r"correlation_length is -5 at latitude .*, longitude .*, and"),
        ("correlation_time", np.nan, "correlation_time is nan at latitude"),
        ("std", 0.0, "std is 0 at latitude .* 1 value.s. in all are not positive and finite"),
        ("angle", np.inf, "'angle' has 1 infinite value.s., the first at lat=.*, lon="),
    ],
)
def test_bad_values_of_maps_are_refused_with_their_place(name, value, message):
    bad = maps(**{name: (50, 60)})[name].copy()
    bad[2, 3] = value
    with pytest.raises(InvalidInputError, match=message):
        field(**{name: bad})


def test_maps_are_not_fitted_and_other_engines_refused():
    with pytest.raises(InvalidInputError, match="correlation_length, std: a map is not fitted"):
        start = field(**maps(correlation_length=(60, 90), std=(0.1, 0.2)))
        xdvarnet.SPDEField.fit(seen(), start=start)
    with pytest.raises(UnknownNameError, match="unknown engine 'fast'; known are exact, iterative"):
        field(engine="fast")
    assert "<map of 4 x 5, 60 to 90> km" in repr(field(**maps(correlation_length=(60, 90))))


def test_a_length_over_the_domain_is_told():
    with pytest.warns(XdvarnetWarning, match="longer than the domain, of .* nearly constant in it"):
        field(correlation_length="700 km").sample(TRUTH, members=2, rng=0)


def test_nothing_is_learned_from_nothing():
    """Neither on a grid, nor from values on land, nor from tracks of other days."""
    land = TRUTH.assign(ssh=xr.full_like(TRUTH["ssh"], 0.1).where(~TRUTH["sea"]))
    tracks = toy_tracks(toy_truth(days=3))
    later = TRUTH.assign_coords(time=TRUTH["time"] + np.timedelta64(100, "D"))
    for given in ((seen().where(False),), (land,), (tracks, later)):
        with pytest.raises(InvalidInputError, match="nothing to learn from"):
            field().log_likelihood(*given)
    for given in ((seen().where(False),), (land,)):
        with pytest.raises(InvalidInputError, match="nothing to learn from"):
            xdvarnet.SPDEField.fit(*given, start=field(), trials=5)


def test_all_days_of_tracks_are_fitted():
    """Whatever the dates of the grid are; a search that ends early says so."""
    tracks = toy_tracks(toy_truth(days=3))
    fields = []
    for grid in (TRUTH.isel(time=0), TRUTH.isel(time=slice(1)), TRUTH):
        with pytest.warns(XdvarnetWarning, match="was stopped after 4 trials.*give more trials"):
            fields.append(xdvarnet.SPDEField.fit(tracks, grid, start=field(), trials=4))
    for each in fields[1:]:
        xr.testing.assert_allclose(each.history, fields[0].history)


def test_tracks_are_mapped_on_the_days_of_the_grid():
    tracks = toy_tracks(toy_truth(days=3)).drop_vars("mission")
    whole = field().condition(tracks, TRUTH)
    assert whole["time"].equals(TRUTH["time"])
    last = TRUTH.isel(time=slice(1, None))
    middle = field().condition(tracks, last)
    assert middle["time"].equals(last["time"])
    kept = tracks.isel(time=tracks["time"].dt.round("D").isin(last["time"]).values)
    assert 0 < kept.sizes["time"] < tracks.sizes["time"]
    xr.testing.assert_allclose(middle["ssh"], field().condition(kept, last)["ssh"])
    without = field().condition(kept, TRUTH.isel(time=0, drop=True))
    assert set(without["time"].values) == set(kept["time"].dt.round("D").values)
    later = TRUTH.assign_coords(time=TRUTH["time"] + np.timedelta64(100, "D"))
    with pytest.warns(XdvarnetWarning, match="no observation"):
        prior = field().condition(tracks, later)
    assert prior["time"].equals(later["time"])


def test_a_noise_has_units_and_names_of_dimensions():
    obs = seen()
    noise = xr.full_like(obs["ssh"], 0.01).where(obs["lat"] < obs["lat"].mean(), 0.1)
    noise = noise.transpose(*obs["ssh"].dims).drop_attrs()
    expected = field().condition(obs, noise=noise)
    turned = (100 * noise).transpose("lon", "time", "lat").assign_attrs(units="cm")
    xr.testing.assert_allclose(field().condition(obs, noise=turned), expected)
    one = xr.DataArray(2.0, attrs={"units": "cm"})
    xr.testing.assert_allclose(
        field().condition(obs, noise=one), field().condition(obs, noise=0.02)
    )


@pytest.mark.parametrize(
    ("noise", "error", "message"),
    [
        ("2 days", InvalidInputError, "noise='2 days' is not understood; give a number and units"),
        (["a"], InvalidTypeError, "give a number in m"),
        (TRUTH, InvalidTypeError, "give a number in m"),
        (TRUTH["ssh"].isel(time=0), InvalidInputError, "noise has the dimensions"),
        (TRUTH["ssh"] + 9 * TRUTH["lat"].shift(lat=1), InvalidInputError, "not positive"),
        (TRUTH["ssh"].isel(lat=slice(1, None)), InvalidInputError, "other coordinates"),
        (xr.DataArray(2.0, attrs={"units": "K"}), InvalidInputError, "'K'.*do not convert to 'm'"),
    ],
)
def test_another_noise_is_refused(noise, error, message):
    with pytest.raises(error, match=message):
        field().condition(TRUTH, noise=noise)


def test_labels_are_those_of_a_reconstruction():
    obs = seen()
    obs["ssh"].attrs |= {"standard_name": "sea_surface_height", "long_name": "height"}
    options = {"members": 3, "return_members": True, "rng": 0}
    model = field()
    maps, conditioned = obs.dvarnet.reconstruct(model, **options), model.condition(obs, **options)
    assert list(maps) == list(conditioned)
    for name in maps:
        assert maps[name].attrs == conditioned[name].attrs
    assert maps["ssh_std"].attrs["long_name"] == "standard deviation of height"
    for name in ("xdvarnet_version", "xdvarnet_model"):
        assert maps.attrs[name] == conditioned.attrs[name]
    assert "condition SPDEField(" in conditioned.attrs["history"]
    tracks = toy_tracks(toy_truth(days=3)).drop_vars("mission")
    for grid in (TRUTH, TRUTH.isel(time=0, drop=True)):
        assert "cell_methods" not in field().condition(tracks, grid)["ssh"].attrs


@pytest.mark.parametrize(
    ("members", "message"), [(None, "needs a number"), (1, "members=1"), (2.5, "members=2.5")]
)
def test_members_are_checked_before_any_work(monkeypatch, members, message):
    monkeypatch.setattr(SPDEField, "_posterior", None)
    for run in (field().condition, lambda obs, **more: obs.dvarnet.reconstruct(field(), **more)):
        with pytest.raises(InvalidInputError, match=message):
            run(seen(), members=members, return_members=True)


def test_the_mask_of_a_sample_is_a_coordinate_with_some_sea():
    with pytest.raises(InvalidInputError, match="'sea' is a data variable"):
        field().sample(TRUTH.reset_coords("sea"), members=2)
    with pytest.raises(InvalidInputError, match="'sea' is a data variable"):
        field().condition(TRUTH.reset_coords("sea"))
    dry = TRUTH.assign_coords(sea=xr.zeros_like(TRUTH["sea"]))
    with pytest.raises(InvalidInputError, match="False everywhere"):
        field().sample(dry, members=2)


def test_a_map_of_another_place_or_time_is_told():
    std = maps(std=(0.02, 0.08))["std"]
    north = std.assign_coords(lat=std["lat"] + 20)
    with pytest.warns(XdvarnetWarning, match="the map of std is of latitude .* do not overlap"):
        field(std=north).sample(TRUTH, members=2, rng=0)
    early = std.expand_dims(time=TRUTH["time"].values[:1] - np.timedelta64(30, "D"))
    with pytest.warns(XdvarnetWarning, match="the map of std is of time .* do not overlap"):
        field(std=early).sample(TRUTH, members=2, rng=0)


def test_only_missing_values_of_a_map_are_to_be_filled():
    std = maps(std=(0.02, 0.08))["std"]
    for value, advised in ((0.0, False), (-1.0, False), (np.nan, True)):
        with pytest.raises(InvalidInputError) as told:
            field(std=std.where(std > 0.03, value))
        assert ("fillna" in str(told.value)) == advised


def test_a_parameter_without_dimensions_is_a_number():
    given = {
        "std": xr.DataArray(5.0, attrs={"units": "cm"}),
        "correlation_length": xr.DataArray(90e3, attrs={"units": "m"}),
        "noise": xr.DataArray(10.0, attrs={"units": "mm"}),
        "anisotropy": xr.DataArray(1.0),
        "angle": xr.DataArray(0.0),
    }
    background = NoBackground()
    numbers = repr(field(background=background))
    assert repr(field(**given, background=background)) == numbers


def test_products_of_sparse_matrices_are_silent():
    """In a process of its own, as torch warns once in each, with the filters set by its user."""
    code = (
        "import warnings; from xdvarnet.spde.precision import filtered; import torch;"
        "warnings.resetwarnings(); warnings.simplefilter('error');"
        "one = torch.eye(4).double().to_sparse(); one @ one"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_field_without_noise_samples_and_takes_the_noise_of_observations():
    """What needs a noise and has none says so."""
    without = field(noise=None)
    assert "noise=None" in repr(without)
    xr.testing.assert_equal(
        without.sample(TRUTH, members=2, rng=0)["ssh"],
        field().sample(TRUTH, members=2, rng=0)["ssh"],
    )
    given = without.condition(seen(), noise=0.01)
    np.testing.assert_array_equal(given["ssh"], field(noise=0.01).condition(seen())["ssh"])
    for ask in (without.condition, without.log_likelihood):
        with pytest.raises(InvalidInputError, match="this field has no noise"):
            ask(seen())
    with pytest.raises(InvalidInputError, match="this field has no noise"):
        xdvarnet.SPDEField.fit(seen(), start=without)
    with pytest.raises(InvalidInputError, match="this field has no noise"):
        seen().dvarnet.reconstruct(without)
