"""Ensembles of any model: members of whole domains about the mean that the model states."""

import dataclasses
import re
import warnings

import numpy as np
import pytest
import xarray as xr
from gaussian_world import LENGTH, NOISE, STD, TIME, kriging, system, world
from reconstructors import WINDOW, Identity, NoBackground, Smoother, gappy
from toys import toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.calibration import calibrated as ensembles
from xdvarnet.calibration.calibrated import Calibrated
from xdvarnet.calibration.errors import ErrorProcess
from xdvarnet.errors import (
    InvalidInputError,
    InvalidTypeError,
    UnknownNameError,
    XdvarnetWarning,
)
from xdvarnet.mapping.cover import cover
from xdvarnet.mapping.description import build, describe
from xdvarnet.zoo.registry import public_classes

PROCESS = ErrorProcess(
    offset=4e-4,
    slope=1.5,
    length=60.0,
    time=3.0,
    signal_std=STD,
    signal_length=LENGTH,
    signal_time=TIME,
    noise=NOISE,
    factor=1.0,
)


def with_ensemble(model, method="hybrid", spread=None, **changes):
    process = dataclasses.replace(PROCESS, **changes)
    return Calibrated(model, {"ssh": process}, spread=spread, method=method)


@pytest.fixture(scope="module")
def observed():
    return system().observe(world(days=9, seed=3), rng=0)


@pytest.fixture(scope="module")
def hybrid(observed):
    model = with_ensemble(kriging())
    return observed.dvarnet.reconstruct(model, members=60, return_members=True, rng=0)


def test_std_is_that_of_the_error_and_the_mean_stays(observed, hybrid):
    before = observed.dvarnet.reconstruct(kriging())
    expected = np.sqrt(PROCESS.offset + PROCESS.slope * before["ssh_std"] ** 2)
    without = observed.dvarnet.reconstruct(with_ensemble(kriging()))
    for maps in (hybrid, without):
        np.testing.assert_allclose(maps["ssh_std"], expected, rtol=1e-5)
        np.testing.assert_array_equal(maps["ssh"], before["ssh"])
    assert "ssh_members" not in without
    assert hybrid["ssh_members"].attrs["long_name"] == "members of ssh"


def test_members_are_about_the_mean_with_the_spread_that_is_stated(observed, hybrid):
    """Of four draws together: the mean of one has few independent cells and days."""
    sea, model = observed["sea"].values, with_ensemble(kriging())
    others = [
        observed.dvarnet.reconstruct(model, members=60, return_members=True, rng=rng)
        for rng in (1, 2, 3)
    ]
    scaled = np.stack(
        [
            ((maps["ssh_members"] - maps["ssh"]) / maps["ssh_std"]).values[..., sea]
            for maps in (hybrid, *others)
        ]
    )
    count = scaled.shape[1]
    means = np.sqrt(count) * scaled.mean(1)
    assert means.std((1, 2)).mean() == pytest.approx(1, abs=0.12)
    assert means.mean() == pytest.approx(0, abs=0.35)
    assert scaled.var(1, ddof=1).mean() == pytest.approx(1, abs=0.05)
    assert np.isnan(hybrid["ssh_members"].values[..., ~sea]).all()
    assert np.isfinite(hybrid["ssh_members"].values[..., sea]).all()


@pytest.mark.parametrize("method", ["hybrid", "neural"])
def test_a_member_does_not_depend_on_how_many_there_are(observed, monkeypatch, method):
    model = with_ensemble(kriging(neighbours=15), method)

    def members(count, rng=0):
        maps = observed.dvarnet.reconstruct(model, members=count, return_members=True, rng=rng)
        return maps["ssh_members"].values

    few = members(2)
    monkeypatch.setattr(ensembles, "CHUNK_BYTES", 1)
    many = members(4)
    np.testing.assert_allclose(few, many[:2], atol=1e-6)
    np.testing.assert_array_equal(many, members(4))
    assert np.nanmax(np.abs(many[0] - many[1])) > 0.01
    assert np.nanmax(np.abs(many - members(4, rng=1))) > 0.01


def test_members_are_coherent_across_windows():
    """Differences of members have no other gradients at the borders of windows than elsewhere."""
    observed = gappy()
    model = with_ensemble(Smoother(background=NoBackground()), spread=kriging(neighbours=12))
    covering = cover((11, 14, 19), WINDOW)
    borders = {window.start + edge for _, _, window in covering.positions() for edge in (1, 8)}
    maps = observed.dvarnet.reconstruct(model, members=60, return_members=True, rng=0)
    scaled = (maps["ssh_members"].diff("member") / maps["ssh_std"]).values
    steps = np.nanmean(np.diff(scaled) ** 2, axis=(0, 1, 2))
    border = np.isin(np.arange(1, 19), list(borders))
    assert 3 < border.sum() < 15
    assert steps[border].mean() / steps[~border].mean() == pytest.approx(1, abs=0.05)


def formal_sources():
    guess = kriging(neighbours=10)
    return {
        "its own": with_ensemble(kriging(neighbours=10)),
        "its own, by windows": with_ensemble(Smoother(gives_std=True)),
        "of the first guess": with_ensemble(Smoother(first_guess=guess)),
        "of another": with_ensemble(Identity(), spread=guess),
        "of kriging": with_ensemble(Identity(), "exact", signal_length=60.0),
        "neural, without members": with_ensemble(Smoother(first_guess=guess), "neural"),
    }


@pytest.mark.parametrize("name", formal_sources())
def test_std_without_members_lazy_or_not(name):
    """It is a function of the formal one, wherever that comes from, and lazily it is the same."""
    model = formal_sources()[name]
    observed = gappy(6, 9, 10)
    maps = observed.dvarnet.reconstruct(model)
    sources = {"its own": kriging(neighbours=10), "its own, by windows": Smoother(gives_std=True)}
    source = sources.get(name, kriging(neighbours=10, background=NoBackground()))
    formal = observed.dvarnet.reconstruct(source)["ssh_std"]
    expected = np.sqrt(PROCESS.offset + PROCESS.slope * formal**2)
    if name != "of kriging":
        np.testing.assert_allclose(maps["ssh_std"], expected, rtol=1e-4)
    lazy = observed.chunk(time=4).dvarnet.reconstruct(model)
    assert lazy.chunks
    xr.testing.assert_allclose(lazy.compute(), maps, rtol=1e-5)


def field():
    return xdvarnet.SPDEField(
        correlation_length=75,
        correlation_time=4,
        std=0.2,
        noise=0.05,
        background=NoBackground(),
    )


@pytest.fixture(scope="module")
def few():
    return gappy(3, 6, 8, unobserved=0.8)


def test_exact_members_are_the_posterior_of_kriging_about_another_mean(few):
    model = with_ensemble(
        Identity(window=None),
        "exact",
        signal_std=0.2,
        signal_length=75.0,
        signal_time=4.0,
        noise=0.05,
    )
    maps = few.dvarnet.reconstruct(model, members=5, return_members=True, rng=0)
    posterior = few.dvarnet.reconstruct(field(), members=5, return_members=True, rng=0)
    xr.testing.assert_allclose(maps["ssh_std"], posterior["ssh_std"])
    anomalies = [each["ssh_members"] - each["ssh"] for each in (maps, posterior)]
    np.testing.assert_allclose(*anomalies, atol=1e-5)
    identity = few.dvarnet.reconstruct(Identity(window=None))
    xr.testing.assert_identical(maps["ssh"].drop_attrs(), identity["ssh"].drop_attrs())
    assert "ssh_members" not in few.dvarnet.reconstruct(model, members=5, rng=0)


def test_the_memory_of_exact_kriging_is_limited(few, monkeypatch):
    """What the warning advises ends it."""
    model = with_ensemble(Identity(window=None), "exact", signal_std=0.2, signal_length=75.0)
    monkeypatch.setattr("xdvarnet.methods.gaussian_field.engine.WARNED", 1e-3)
    with pytest.warns(XdvarnetWarning, match="of with_options of a calibrated model") as told:
        few.dvarnet.reconstruct(model)
    texts = [str(each.message) for each in told]
    (memory,) = {found for text in texts for found in re.findall("memory='(.*?)'", text)}
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*without this warning")
        few.dvarnet.reconstruct(model.with_options(memory=memory))
    with pytest.raises(InvalidInputError, match="the limit is"):
        few.dvarnet.reconstruct(model.with_options(memory="1 kB"))


def test_neural_members_of_exact_kriging_have_its_std(few):
    """Matheron's rule with the right model: the errors on simulations are those of the posterior.

    The variance of kriging depends on the places of the observations and not on their values.
    """
    model = with_ensemble(
        field(), "neural", signal_std=0.2, signal_length=75.0, signal_time=4.0, noise=0.05
    )
    maps = few.dvarnet.reconstruct(model, members=50, return_members=True, rng=0)
    ratio = maps["ssh_std"] ** 2 / few.dvarnet.reconstruct(field())["ssh_std"] ** 2
    assert float(ratio.mean()) == pytest.approx(1, abs=0.08)
    np.testing.assert_allclose(maps["ssh_members"].std("member", ddof=1), maps["ssh_std"], 1e-3)
    observed = few["ssh"].notnull()
    assert float(ratio.where(observed).mean()) == pytest.approx(1, abs=0.12)


def test_the_factor_scales_the_members_and_their_std(observed):
    model = with_ensemble(kriging(neighbours=10), "neural")
    half = with_ensemble(kriging(neighbours=10), "neural", factor=0.5)
    one, other = (
        observed.dvarnet.reconstruct(each, members=3, return_members=True, rng=0)
        for each in (model, half)
    )
    np.testing.assert_allclose(other["ssh_std"], 0.5 * one["ssh_std"], rtol=1e-4, atol=1e-7)
    anomaly = one["ssh_members"] - one["ssh"]
    np.testing.assert_allclose(other["ssh_members"] - other["ssh"], 0.5 * anomaly, atol=1e-6)
    alone = observed.dvarnet.reconstruct(half, members=3, rng=0)
    xr.testing.assert_allclose(alone["ssh_std"], other["ssh_std"])
    assert "ssh_members" not in alone


def test_several_variables_have_their_own_errors():
    observed = gappy()
    observed["sst"] = 10 * observed["ssh"].assign_attrs(units="degC", standard_name="t")
    smoother = Smoother(gives_std=True, variables={"ssh": "m", "sst": "degC"})
    other = dataclasses.replace(PROCESS, offset=0.25, slope=0.0)
    model = Calibrated(smoother, {"ssh": PROCESS, "sst": other})
    maps = observed.dvarnet.reconstruct(model, members=40, return_members=True, rng=0)
    sea = observed["sea"].values
    np.testing.assert_allclose(maps["sst_std"].values[:, sea], 0.5)
    spread = (maps["sst_members"] - maps["sst"]).values[..., sea]
    assert spread.std() == pytest.approx(0.5, rel=0.1)
    scaled = ((maps["ssh_members"] - maps["ssh"]) / maps["ssh_std"]).values[..., sea]
    assert abs((spread * scaled).mean()) < 0.05
    with pytest.raises(InvalidInputError, match="kriging of one variable, and there are"):
        model.with_options(method="exact")


def test_bad_methods_are_refused():
    with pytest.raises(UnknownNameError, match="hybrid"):
        Calibrated(kriging(), {"ssh": PROCESS}, method="bootstrap")


def test_wrappers_of_other_things_are_refused():
    with pytest.raises(InvalidTypeError, match="is a string; use load_model"):
        Calibrated("med-ssh", {"ssh": PROCESS})
    with pytest.raises(InvalidInputError, match="is calibrated already; give model.model"):
        Calibrated(with_ensemble(kriging()), {"ssh": PROCESS})
    with pytest.raises(InvalidInputError, match=r"errors are of \['sst'\], and the model has"):
        Calibrated(kriging(), {"sst": PROCESS})
    with pytest.raises(InvalidInputError, match="has no standard deviation of ssh"):
        Calibrated(Identity(), {"ssh": PROCESS})
    with pytest.raises(InvalidInputError, match=r"take method='hybrid'"):
        Calibrated(xdvarnet.Lead(kriging(), 1), {"ssh": PROCESS}, method="neural")
    with pytest.raises(InvalidInputError, match="was calibrated without this lead"):
        xdvarnet.Lead(with_ensemble(kriging()), 1)
    with pytest.raises(InvalidInputError, match="has no option precision='bfloat16'"):
        with_ensemble(kriging()).with_options(precision="bfloat16")


def test_irregular_days_have_a_std_and_no_members(observed):
    gap = observed.isel(time=[0, 1, 4])
    model = with_ensemble(kriging(neighbours=10))
    assert float(gap.dvarnet.reconstruct(model)["ssh_std"].min()) > 0
    with pytest.raises(InvalidInputError, match="steps by 3 days"):
        gap.dvarnet.reconstruct(model, members=2, return_members=True, rng=0)


def test_an_ensemble_is_described_and_built():
    arrays = {}
    spread = kriging(background=None, std=None)
    model = with_ensemble(kriging(background=None), "neural", spread)
    again = build(describe(model, arrays), arrays, public_classes())
    assert again.errors == model.errors
    assert (repr(again), repr(again.spread)) == (repr(model), repr(model.spread))


# the 4DVarNet


def test_a_model_file_keeps_the_ensemble(tmp_path):
    model = with_ensemble(toy_model())
    xdvarnet.save_model(model, tmp_path / "model.safetensors")
    other = xdvarnet.load_model(tmp_path / "model.safetensors")
    assert (other.errors, other.method) == (model.errors, model.method)
    observations = toy_system().observe(toy_truth(), rng=1)
    both = [
        observations.dvarnet.reconstruct(each, members=2, return_members=True, rng=0)
        for each in (model, other)
    ]
    xr.testing.assert_identical(*both)


def test_options_choose_the_method_and_those_of_the_model():
    model = with_ensemble(toy_model())
    neural = model.with_options(method="neural")
    assert (model.method, neural.method) == ("hybrid", "neural")
    assert neural.errors == model.errors
    half = model.with_options(precision="bfloat16")
    assert (half.model.precision, model.model.precision) == ("bfloat16", "float32")
    assert half.errors == model.errors
    longer = model.with_options(stride=3)
    assert longer.model.window.stride[0] == 3 != model.model.window.stride[0]
    with pytest.raises(InvalidInputError, match="has no option stride=3"):
        with_ensemble(kriging()).with_options(stride=3)
    with pytest.raises(UnknownNameError, match="hybrid"):
        model.with_options(method="bootstrap")


def test_a_forecast_has_errors_of_its_own(observed):
    """Calibrated for a lead: the errors grow with it, and members are drawn."""
    known = world(days=16, seed=4)
    options = {"observe": system(), "draws": 1, "rng": 0}
    slow, fast = (
        xdvarnet.calibrate(xdvarnet.Lead(kriging(neighbours=10), lead), known, **options)
        for lead in (0, 2)
    )
    maps = [observed.dvarnet.reconstruct(each, members=2, rng=0) for each in (slow, fast)]
    assert float(maps[1]["ssh_std"].mean()) > 1.1 * float(maps[0]["ssh_std"].mean())
    assert maps[1].attrs["xdvarnet_lead"] == 2
    assert maps[1].attrs["xdvarnet_ensemble"] == "hybrid, 2 members"
    assert "Lead" in repr(fast)


def test_models_without_an_ensemble_say_which_method_gives_one(observed):
    for model in (kriging(), toy_model()):
        with pytest.raises(InvalidInputError, match=r"xdvarnet.calibrate\(model.*SPDEField"):
            model.solve(None, members=3)


def test_the_shipped_model_has_an_ensemble():
    model = xdvarnet.load_model("med-ssh")
    assert model.method == "hybrid"
    assert "calibration" in model.provenance
    assert "calibration" not in model.model.provenance
    error = model.errors["ssh"]
    assert 30 < error.length < 50
    assert 4 < error.time < 8
    assert 1.5 < error.slope < 2.5
