"""Near-real-time maps and forecasts: what they may see, and what is refused."""

import warnings

import numpy as np
import pytest
import xarray as xr
from toys import DAYS, toy_interpolation, toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.errors import InvalidInputError, InvalidTypeError, XdvarnetWarning

LEADS = 2


@pytest.fixture(scope="module")
def observations() -> xr.Dataset:
    return toy_system().observe(toy_truth(), rng=3).isel(lat=slice(0, 15), lon=slice(8, 27))


def model_for_leads() -> xdvarnet.DVarNet:
    plain = toy_model(first_guess=False)
    mean_map = toy_truth().drop_vars("sea").mean("time")
    return xdvarnet.DVarNet(
        plain.solver,
        variables=plain.variables,
        window=plain.window,
        leads=LEADS,
        background=xdvarnet.mapping.MeanMapBackground(mean_map, days=DAYS),
        normalizer=plain.normalizer,
    )


MODELS = {"interpolation": toy_interpolation, "4DVarNet": model_for_leads}


@pytest.mark.parametrize("lead", [0, 2])
@pytest.mark.parametrize("kind", MODELS)
def test_what_is_observed_later_changes_nothing(observations, kind, lead):
    model = xdvarnet.Lead(MODELS[kind](), lead)
    maps = observations.dvarnet.reconstruct(model)
    changed = observations.copy(deep=True)
    changed["ssh"][9:] = 3 * changed["ssh"][9:] + 0.2
    other = changed.dvarnet.reconstruct(model)
    same = slice(0, 9 + lead)
    xr.testing.assert_equal(maps.isel(time=same), other.isel(time=same))
    assert not np.allclose(maps["ssh"][9 + lead], other["ssh"][9 + lead], equal_nan=True)
    assert maps.attrs["xdvarnet_lead"] == lead


def test_a_forecast_is_the_map_of_a_record_that_ends_before(observations):
    """Of the days that the model sees, with nothing after the last observed one."""
    model, last, lead = model_for_leads(), 7, 2
    begin = last - (DAYS - 1 - LEADS)
    record = observations.isel(time=slice(begin, last + LEADS + 1)).copy(deep=True)
    record["ssh"][last + 1 - begin :] = np.nan
    expected = record.dvarnet.reconstruct(model)["ssh"].sel(time=observations["time"][last + lead])
    forecast = observations.dvarnet.reconstruct(xdvarnet.Lead(model, lead))
    np.testing.assert_allclose(forecast["ssh"][last + lead], expected, atol=1e-6)


def test_a_dense_forecast_is_that_of_a_record_that_ends_before(observations):
    """With all observations at once: those of a local analysis depend on where its blocks lie."""
    dense = xdvarnet.OptimalInterpolation(
        "ssh",
        correlation_length="120 km",
        correlation_time="4 days",
        noise=0.01,
        time_window=60,
        neighbours=200,
    )
    small = observations.isel(time=slice(6), lat=slice(0, 9), lon=slice(4, 11))
    record = small.copy(deep=True)
    record["ssh"][4:] = np.nan
    assert record["ssh"].count() < 200
    forecast = small.dvarnet.reconstruct(xdvarnet.Lead(dense, 2))
    np.testing.assert_allclose(
        forecast["ssh"][5], record.dvarnet.reconstruct(dense)["ssh"][5], atol=1e-5
    )


def test_days_after_the_record_are_forecast(observations):
    longer = observations.reindex(
        time=observations["time"].values[0] + np.arange(16) * np.timedelta64(1, "D")
    )
    maps = longer.dvarnet.reconstruct(xdvarnet.Lead(model_for_leads(), LEADS))
    assert np.isfinite(maps["ssh"]).all("time").equals(observations["sea"])


def test_members_of_a_lead_belong_to_their_days(observations, monkeypatch):
    monkeypatch.setattr("xdvarnet.mapping.protocol.PAST", 4)  # a long past takes long
    field = xdvarnet.SPDEField(
        correlation_length="120 km", correlation_time="4 days", noise=0.01, std=0.05
    )
    small = observations.isel(time=slice(1, 4), lat=slice(0, 9), lon=slice(4, 15))
    maps = small.dvarnet.reconstruct(xdvarnet.Lead(field, 1), members=3, return_members=True, rng=0)
    assert maps["ssh_members"].shape == (3, 3, 9, 11)
    assert maps["ssh_members"].std("member").mean() > 0


def test_models_are_left_as_they_are(observations):
    model = model_for_leads()
    forecast = xdvarnet.Lead(model, 1)
    assert forecast.model is model
    assert repr(forecast) == f"Lead({model!r}, 1)"
    xr.testing.assert_identical(
        observations.dvarnet.reconstruct(forecast.model)["ssh"],
        observations.dvarnet.reconstruct(model)["ssh"],
    )


def test_a_lead_is_saved(tmp_path):
    model = xdvarnet.Lead(model_for_leads(), 1)
    xdvarnet.save_model(model, tmp_path / "model.safetensors")
    loaded = xdvarnet.load_model(tmp_path / "model.safetensors")
    assert (loaded.model.leads, loaded.days) == (LEADS, 1)


def test_tasks_that_a_model_does_not_know_are_refused(observations):
    with pytest.raises(InvalidInputError, match="trained for one task, mapping within a record"):
        xdvarnet.Lead(toy_model(), 0)
    with pytest.raises(InvalidInputError, match="lead 3 is beyond the trained window.*up to 2 day"):
        xdvarnet.Lead(model_for_leads(), 3)
    for wrong in (-1, 1.5, True):
        with pytest.raises(InvalidInputError, match="give a whole number from 0"):
            xdvarnet.Lead(toy_interpolation(), wrong)
    with pytest.raises(InvalidInputError, match="has seen the hidden days"):
        xdvarnet.DVarNet(
            toy_model().solver,
            variables={"ssh": "m"},
            window=toy_model().window,
            first_guess=toy_interpolation(),
            leads=1,
        )
    with pytest.raises(InvalidInputError, match="from 0 to 4 for a window"):
        xdvarnet.DVarNet(
            toy_model(first_guess=False).solver,
            variables={"ssh": "m"},
            window=toy_model().window,
            leads=DAYS,
        )
    with pytest.raises(InvalidTypeError, match="'oi' is a string; use load_model"):
        xdvarnet.Lead("oi", 0)
    with pytest.raises(InvalidInputError, match="has a lead already; give Lead its model"):
        xdvarnet.Lead(xdvarnet.Lead(toy_interpolation(), 1), 2)


@pytest.mark.parametrize("kind", MODELS)
def test_lazy_forecasts_are_the_same(observations, kind):
    """Each chunk reads its own days and those before it."""
    model = xdvarnet.Lead(MODELS[kind](), 1)
    lazy = observations.chunk(time=4).dvarnet.reconstruct(model)
    assert lazy.chunks
    xr.testing.assert_identical(lazy.compute(), observations.dvarnet.reconstruct(model))


def test_training_hides_the_last_days():
    trained = model_for_leads().fit(
        toy_truth(),
        observe=toy_system(),
        validation=toy_truth(seed=1),
        schedule=xdvarnet.Schedule(epochs=1, steps_per_epoch=2, batch_size=2, pool=1),
        rng=0,
    )
    assert xdvarnet.Lead(trained, LEADS).days == LEADS


@pytest.mark.parametrize("lead", [0, 2])
def test_only_gaps_after_the_first_days_are_warned_of(observations, recwarn, lead):
    """The first days of any record have none before them, which is said of estimated errors."""
    model = xdvarnet.Lead(toy_interpolation(), lead)
    observations.dvarnet.reconstruct(model)
    said = [str(each.message) for each in recwarn.list]
    assert len(said) == (lead > 0)
    assert all(f"the first {lead} day(s)" in text for text in said)
    late = observations.copy(deep=True)
    late["ssh"][:3] = np.nan
    with pytest.warns(XdvarnetWarning, match=f"3 of 14 days, the first {lead} not"):
        late.dvarnet.reconstruct(model)


def test_a_standard_deviation_from_no_observation_is_said_once(observations):
    """What the warning advises ends it; lazily too. Of one that is prescribed nothing is said."""
    lead = xdvarnet.Lead(toy_interpolation(), 2)
    with pytest.warns(XdvarnetWarning, match=r"time=slice\(2, None\)") as told:
        maps = observations.dvarnet.reconstruct(lead)
    assert len(told) == 1
    first, later = maps["ssh_std"][:2], maps["ssh_std"][2:]
    assert float(first.max()) <= lead.model.noise * 1.001 < float(later.mean())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        observations.dvarnet.reconstruct(xdvarnet.Lead(toy_interpolation().replace(std=0.1), 2))


def test_a_model_of_series_has_no_lead():
    with pytest.raises(InvalidTypeError, match="is of series; give Lead a model of maps"):
        xdvarnet.Lead(xdvarnet.load_model("lorenz63"), 3)


def test_a_calibrated_model_that_cannot_forecast_says_so_first():
    """Its advice to take the model inside would lead to the next refusal."""
    with pytest.raises(InvalidInputError, match="trained for one task"):
        xdvarnet.Lead(xdvarnet.load_model("med-ssh"), 3)
