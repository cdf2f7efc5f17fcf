"""The trained model on labelled data: laws of `DVarNet`."""

import copy
import pickle

import numpy as np
import pytest
import torch
import xarray as xr
from toys import DAYS, toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.errors import InvalidInputError, UnknownNameError


@pytest.fixture(scope="module")
def observations() -> xr.Dataset:
    return toy_system().observe(toy_truth(), rng=3)


@pytest.mark.parametrize("first_guess", [True, False])
def test_maps_are_complete_on_sea_and_missing_on_land(observations, first_guess):
    maps = observations.dvarnet.reconstruct(toy_model(first_guess=first_guess))
    assert np.array_equal(np.isfinite(maps["ssh"]).all("time"), observations["sea"])
    assert maps["ssh"].dims == observations["ssh"].dims


def test_an_untrained_step_returns_the_first_guess(observations):
    """The output layer of the step starts at zero, so the network starts where the OI ends."""
    model = toy_model()
    torch.nn.init.zeros_(model.solver.step.decode.weight)
    guess = xdvarnet.reconstruct(observations, model.first_guess)
    maps = xdvarnet.reconstruct(observations, model)
    np.testing.assert_allclose(maps["ssh"], guess["ssh"], atol=2e-7)


def test_a_change_of_sign_and_scale_of_units_commutes(observations):
    """Centimetres in, centimetres out, with the same maps."""
    model = toy_model()
    metres = observations.dvarnet.reconstruct(model)
    centimetres = observations.copy()
    centimetres["ssh"] = (100 * observations["ssh"]).assign_attrs(units="cm")
    maps = centimetres.dvarnet.reconstruct(model)
    assert maps["ssh"].attrs["units"] == "cm"
    np.testing.assert_allclose(maps["ssh"] / 100, metres["ssh"], atol=1e-6)


@pytest.mark.parametrize("chunks", [{"time": 4}, {"time": 14, "lat": 9}, {"time": (1, 6, 7)}])
def test_lazy_equals_eager(observations, chunks):
    model = toy_model()
    lazy = observations.chunk(chunks).dvarnet.reconstruct(model)
    assert lazy["ssh"].chunks is not None
    xr.testing.assert_allclose(lazy.compute(), observations.dvarnet.reconstruct(model), atol=1e-6)


def test_models_pickle_and_copy(observations):
    model = toy_model()
    expected = observations.dvarnet.reconstruct(model)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        xr.testing.assert_identical(observations.dvarnet.reconstruct(other), expected)


def test_options_return_another_model(observations):
    model = toy_model()
    other = model.with_options(
        precision="bfloat16", background=xdvarnet.ObservedBackground(length="300 km")
    )
    assert (model.precision, other.precision) == ("float32", "bfloat16")
    assert model.background is not other.background
    error = observations.dvarnet.reconstruct(model.with_options(precision="bfloat16"))
    error = error["ssh"] - observations.dvarnet.reconstruct(model)["ssh"]
    assert 0 < abs(error).max() < 0.01


def test_html_shows_variables_window_and_provenance():
    model = toy_model()
    model.provenance["training data"] = "maps <of> 2005"
    page = model._repr_html_()
    for text in ("ssh [m]", f"{DAYS} x 12 x 16", "ConvLSTMStep", "maps &lt;of&gt; 2005"):
        assert text in page


def test_bad_options_are_refused():
    with pytest.raises(UnknownNameError, match="precision 'half'.*bfloat16, float32"):
        toy_model().with_options(precision="half")
    with pytest.raises(InvalidInputError, match="device 'gpu' cannot be used.*'cpu' always can"):
        toy_model().with_options(device="gpu")


def test_an_untrained_model_says_so(observations):
    with pytest.raises(InvalidInputError, match="has not been trained"):
        observations.dvarnet.reconstruct(toy_model(trained=False))


def test_members_are_refused(observations):
    with pytest.raises(InvalidInputError, match="no ensemble"):
        observations.dvarnet.reconstruct(toy_model(first_guess=False), members=4)


def fit(
    model, *, epochs=3, checkpoint=None, truth=None, validation_period=None, learning_rate=1e-3
):
    truth = toy_truth(20) if truth is None else truth
    return model.fit(
        truth.isel(time=slice(0, 14)),
        observe=toy_system(),
        validation=truth.isel(time=slice(10, 20)),
        validation_period=validation_period or slice("2020-02-15", None),
        epochs=epochs,
        steps_per_epoch=6,
        batch_size=4,
        learning_rate=learning_rate,
        pool=2,
        checkpoint=checkpoint,
        rng=5,
    )


def test_training_improves_on_its_start():
    """Without a first guess it starts near the background, whose error is that of the anomaly."""
    model = toy_model(first_guess=False, trained=False)
    history = fit(model, epochs=10, learning_rate=1e-2)
    assert len(history) == 10
    best = min(epoch.validation_rmse for epoch in history)
    assert best < 0.9 * history[0].validation_rmse


def test_a_trained_model_notes_where_it_comes_from():
    model = toy_model(trained=False)
    history = fit(model, epochs=2)
    best = min(epoch.validation_rmse for epoch in history)
    assert float(model.provenance["validation RMSE of the first guess"]) > 0
    assert float(model.provenance["validation RMSE"]) == pytest.approx(best, rel=1e-4)
    assert "toy sea, 2020-02-01 to 2020-02-14" in model.provenance["training data"]
    assert model.training_grid.spacing == pytest.approx((0.25, 0.4))


def test_two_trainings_with_one_seed_are_equal_and_resume_where_they_stopped(tmp_path, monkeypatch):
    whole, again, stopped = (toy_model(trained=False) for _ in range(3))
    expected = fit(whole)
    assert fit(again) == expected
    calls = 0
    validate = xdvarnet.models.fitting.Validation.rmse

    def killed(self):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return validate(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(xdvarnet.models.fitting.Validation, "rmse", killed)
        fit(stopped, checkpoint=tmp_path / "part.ckpt")
    resumed = toy_model(trained=False)
    assert fit(resumed, checkpoint=tmp_path / "part.ckpt") == expected
    for name, value in whole.solver.state_dict().items():
        assert torch.equal(value, resumed.solver.state_dict()[name]), name


def test_bad_training_data_are_refused():
    small = toy_truth(20, rows=11)
    with pytest.raises(InvalidInputError, match="11 latitudes x 30 longitudes, fewer than"):
        fit(toy_model(trained=False), truth=small)
    with pytest.raises(InvalidInputError, match="no day of the validation data"):
        fit(toy_model(trained=False), validation_period=slice("2021-01-01", None))
    dry = toy_truth(20)
    dry["ssh"] = dry["ssh"].where(False)
    with pytest.raises(InvalidInputError, match="'ssh' has no finite value"):
        fit(toy_model(trained=False), truth=dry)
