"""The trained model on labelled data: laws of `DVarNet`."""

import copy
import dataclasses
import warnings

import numpy as np
import pytest
import torch
import xarray as xr
from toys import DAYS, toy_interpolation, toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.errors import (
    InvalidInputError,
    InvalidTypeError,
    ModelFileError,
    UnknownNameError,
    XdvarnetWarning,
)
from xdvarnet.training.draws import draw


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


@pytest.mark.parametrize(("factor", "warns"), [(0.2, True), (1, False), (5, True), (100, True)])
def test_another_sea_or_other_units_are_warned_of(factor, warns):
    network = xdvarnet.load_model("med-ssh").model
    truth = xdvarnet.datasets.mediterranean().isel(time=slice(31), lon=slice(0, 64))
    system = xdvarnet.ObservingSystem(["jason1", "gfo"], noise=0.01)
    observed = draw(truth, system, network, np.random.default_rng(0)).observations
    values = {"ssh": factor * observed.values["ssh"]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network.check_values(dataclasses.replace(observed, values=values))
    assert ["another sea" in str(each.message) for each in caught] == [True] * warns


@pytest.mark.parametrize("chunks", [{"time": 14, "lat": 9}, {"time": (1, 6, 7)}])
def test_lazy_equals_eager(observations, chunks):
    model = toy_model()
    lazy = observations.chunk(chunks).dvarnet.reconstruct(model)
    assert lazy["ssh"].chunks is not None
    xr.testing.assert_allclose(lazy.compute(), observations.dvarnet.reconstruct(model), atol=1e-6)


def test_a_copy_maps_alike(observations):
    model = toy_model()
    expected = observations.dvarnet.reconstruct(model)
    xr.testing.assert_identical(observations.dvarnet.reconstruct(copy.deepcopy(model)), expected)


def test_options_return_another_model(observations):
    model = toy_model()
    other = model.with_options(
        precision="bfloat16", background=xdvarnet.mapping.ObservedBackground(length="300 km")
    )
    assert (model.precision, other.precision) == ("float32", "bfloat16")
    assert model.background is not other.background
    error = observations.dvarnet.reconstruct(model.with_options(precision="bfloat16"))
    error = error["ssh"] - observations.dvarnet.reconstruct(model)["ssh"]
    assert 0 < abs(error).max() < 0.01


def test_a_longer_stride_solves_fewer_windows(observations):
    """One of all days of a window leaves each day to the windows that lie side by side."""
    model = toy_model(first_guess=False)
    longer = model.with_options(stride=DAYS)
    assert longer.window == xdvarnet.mapping.Window(
        DAYS, 12, 16, stride=(DAYS, 6, 7), halo=(0, 2, 2)
    )
    assert model.window.stride == (2, 6, 7)
    assert longer.with_options(precision="bfloat16").window == longer.window
    counts = {}
    for each in (model, longer):
        solve, counts[each] = each.solver.forward, 0

        def count(*inputs, each=each, solve=solve):
            counts[each] += 1
            return solve(*inputs)

        each.solver.forward = count
        assert np.isfinite(observations.dvarnet.reconstruct(each)["ssh"]).any()
    assert counts[longer] * 2 <= counts[model]
    with pytest.raises(InvalidInputError, match=r"stride \(6, 6, 7\) leaves cells without weight"):
        model.with_options(stride=DAYS + 1)


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


@pytest.mark.parametrize("first_guess", [True, False])
def test_the_context_has_the_channels_that_the_model_says(observations, first_guess):
    model, seen = toy_model(first_guess=first_guess), []
    model.solver.step.register_forward_pre_hook(lambda _, given: seen.append(given[1].shape[1]))
    observations.dvarnet.reconstruct(model)
    assert set(seen) == {model.context_channels(DAYS, model.first_guess)}


def test_context_channels():
    count = xdvarnet.DVarNet.context_channels
    assert count(31) == 31 + 1
    assert count(31, toy_interpolation()) == 3 * 31 + 1
    assert count(31, xdvarnet.methods.Persistence(toy_truth())) == 2 * 31 + 1
    assert count(31, variables=2) == 2 * 31 + 1


def build(**changes):
    model = toy_model(first_guess=False)
    parts = {"solver": model.solver, "variables": model.variables, "window": model.window}
    return xdvarnet.DVarNet(**{**parts, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variables": "ssh"}, "variables is 'ssh'; give names and units such as {'ssh': 'm'}"),
        ({"variables": ["ssh"]}, r"variables is \['ssh'\]; give names and units"),
        ({"window": (5, 12, 16)}, r"window is \(5, 12, 16\); give a Window"),
        ({"solver": torch.nn.Identity()}, r"solver is Identity\(\); give a VariationalSolver"),
        (
            {"background": xdvarnet.mapping.ObservedBackground},
            "background is the class ObservedBackground; give a background such as",
        ),
        (
            {"first_guess": xdvarnet.OptimalInterpolation},
            "first_guess is the class OptimalInterpolation; give a model such as",
        ),
        ({"first_guess": "oi"}, "first_guess is 'oi'; give a model such as"),
    ],
)
def test_parts_of_another_kind_are_refused(changes, message):
    with pytest.raises(InvalidTypeError, match=message):
        build(**changes)


def test_a_first_guess_of_other_units_is_refused():
    guess = xdvarnet.OptimalInterpolation(
        "ssh", correlation_length=60, correlation_time=9, noise=2, units="cm"
    )
    with pytest.raises(InvalidInputError, match=r"first guess has the variables \{'ssh': 'cm'\}"):
        build(first_guess=guess)


def test_a_solver_that_does_not_fit_is_refused_with_the_right_numbers():
    with pytest.raises(InvalidInputError, match="ConvLSTMStep has context=6;.*with context=16"):
        build(first_guess=toy_interpolation())
    window = xdvarnet.mapping.Window(7, 12, 16)
    with pytest.raises(InvalidInputError, match="Bilinear.*channels=5;.*7 days.*channels=7"):
        build(window=window)
    solver = build().solver
    solver.prior = xdvarnet.solver.BilinearAutoencoder(7, hidden=6)
    with pytest.raises(InvalidInputError, match="ConvLSTMStep has channels=5;.*channels=7"):
        build(window=window, solver=solver)


def fit(
    model,
    *,
    epochs=3,
    batch_size=4,
    checkpoint=None,
    truth=None,
    days=14,
    observe=None,
    validation_period=None,
    learning_rate=1e-3,
    loss=None,
    rng=5,
):
    truth = toy_truth(20) if truth is None else truth
    return model.fit(
        truth.isel(time=slice(0, days)),
        observe=observe or toy_system(),
        validation=truth.isel(time=slice(10, 20)),
        validation_period=validation_period or slice("2020-02-15", None),
        schedule=xdvarnet.Schedule(
            epochs=epochs,
            steps_per_epoch=6,
            batch_size=batch_size,
            learning_rate=learning_rate,
            loss=loss or xdvarnet.solver.ReconstructionLoss(),
            pool=2,
        ),
        checkpoint=checkpoint,
        rng=rng,
    )


def test_there_is_something_to_train():
    """As in a training of series."""
    model = toy_model()
    model.solver.requires_grad_(False)
    with pytest.raises(InvalidInputError, match="nothing to train: no parameter of"):
        fit(model)


def test_training_improves_on_its_start():
    """Without a first guess it starts near the background, whose error is that of the anomaly."""
    model = toy_model(first_guess=False, trained=False)
    errors = fit(model, epochs=10, learning_rate=1e-2).history["validation_rmse"]
    assert errors["epoch"].values.tolist() == list(range(1, 11))
    assert float(errors.min()) < 0.9 * float(errors[0])


def test_a_trained_model_notes_where_it_comes_from():
    model = fit(toy_model(trained=False), epochs=2)
    best = float(model.history["validation_rmse"].min())
    assert float(model.provenance["validation RMSE of the first guess"]) > 0
    assert float(model.provenance["validation RMSE"]) == pytest.approx(best, rel=1e-4)
    assert "toy sea, 2020-02-01 to 2020-02-14" in model.provenance["training data"]
    assert model.training_grid.spacing == pytest.approx((0.25, 0.4))


def test_several_truths_share_normalisation_background_and_provenance():
    """The mean map and standard deviation of two truths of opposite sign: zero, and that of one."""
    truth = toy_truth(14).assign_attrs(title="first")
    truth["ssh"] = truth["ssh"] - 0.1
    other = (-truth).assign_coords(sea=truth["sea"]).assign_attrs(title="second")
    later = toy_truth(8, seed=4)
    later = later.assign_coords(time=later["time"] + np.timedelta64(1000, "D"))
    model = toy_model(first_guess=False, trained=False).fit(
        [truth, other],
        observe=toy_system(),
        validation=toy_truth(8, seed=4).assign_coords(
            time=truth["time"][:8] + np.timedelta64(1000, "D")
        ),
        schedule=xdvarnet.Schedule(epochs=1, steps_per_epoch=1),
        rng=0,
    )
    assert float(abs(model.background.mean_maps["ssh"]).max()) < 1e-6
    assert "first" in model.provenance["training data"]
    assert "second" in model.provenance["training data"]


def test_every_sea_cell_of_a_window_counts_in_the_loss():
    """Also at its border, which at the border of a domain is part of the map."""
    model, truth = toy_model(first_guess=False), toy_truth(DAYS, rows=12, columns=16)
    made = draw(truth, toy_system(), model, np.random.default_rng(0))
    weights = model.batch([made]).weights
    np.testing.assert_array_equal(weights[0], np.broadcast_to(truth["sea"], weights.shape[1:]))


def test_two_trainings_with_one_seed_are_equal_and_resume_where_they_stopped(tmp_path, monkeypatch):
    whole = fit(toy_model(trained=False))
    xr.testing.assert_identical(fit(toy_model(trained=False)).history, whole.history)
    calls = 0
    validate = xdvarnet.training.data.Validation.rmse

    def killed(self):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return validate(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(xdvarnet.training.data.Validation, "rmse", killed)
        fit(toy_model(trained=False), checkpoint=tmp_path / "part.ckpt")
    resumed = fit(toy_model(trained=False), checkpoint=tmp_path / "part.ckpt")
    xr.testing.assert_identical(resumed.history, whole.history)
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


def test_bad_arguments_of_a_training_are_refused(tmp_path):
    model = toy_model(first_guess=False, trained=False)
    with pytest.raises(InvalidInputError, match="have 4 day.*fewer than the 5 of the window"):
        fit(model, days=4)
    with pytest.raises(InvalidTypeError, match=r"observe is \['jason1'\]; give an Observing"):
        fit(model, observe=["jason1"])
    for name, value in {"epochs": 0, "batch_size": 2.5}.items():
        with pytest.raises(InvalidInputError, match=f"{name}={value} is not.*whole number"):
            fit(model, **{name: value})
    with pytest.raises(InvalidInputError, match="learning_rate=-1 is not accepted"):
        fit(model, learning_rate=-1)
    with pytest.raises(InvalidInputError, match="without a seed; give one"):
        fit(model, rng=None, checkpoint=tmp_path / "part.pt")


def test_a_gappy_truth_is_refused():
    truth = toy_truth(20)
    truth["ssh"][2, 12, 3] = np.nan
    with pytest.raises(InvalidInputError, match="1 missing value.* on sea in the training data"):
        fit(toy_model(first_guess=False, trained=False), truth=truth)


def test_scored_days_of_the_training_are_warned_of():
    with pytest.warns(XdvarnetWarning, match="3 of the 8 validation days that are scored") as seen:
        fit(
            toy_model(first_guess=False, trained=False),
            epochs=1,
            validation_period=slice("2020-02-12", "2020-02-19"),
        )
    assert seen[0].filename == __file__


def test_a_checkpoint_does_not_depend_on_where_objects_lie_in_memory(tmp_path):
    class Loss(xdvarnet.solver.ReconstructionLoss):
        __repr__ = object.__repr__

    def run():
        model = toy_model(first_guess=False, trained=False)
        return fit(model, epochs=1, checkpoint=tmp_path / "part.pt", loss=Loss()).history

    losses = [Loss(), Loss()]
    assert repr(losses[0]) != repr(losses[1])
    xr.testing.assert_identical(run(), run())


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    checkpoint = tmp_path / "part.pt"

    def run(**changes):
        model = toy_model(first_guess=False, trained=False)
        return fit(model, epochs=2, checkpoint=checkpoint, **changes).history

    history = run()
    other = toy_truth(20)
    other["ssh"][3, 12, 3] += 1e-6
    for changes, message in (
        ({"learning_rate": 0.01}, r"\(learning_rate: 0.001 in the checkpoint, 0.01 asked for\)"),
        ({"days": 12}, r"\(truth: .*02-14.* in the checkpoint, .*02-12.* asked for\)"),
        ({"truth": other}, r"\(truth: .*02-14.* in the checkpoint, .*02-14.* asked for\)"),
        ({"rng": 6}, r"\(seeds drawn from rng: "),
        ({"observe": xdvarnet.ObservingSystem("gfo", noise=0.01)}, r"\(observe: .*jason1.*gfo"),
        ({"validation_period": slice("2020-02-17", None)}, r"\(validation_period: "),
    ):
        with pytest.raises(ModelFileError, match=message):
            run(**changes)
    xr.testing.assert_identical(run(), history)


def spde_model(*, augmented=True, trained=True, precision="float32"):
    """Small 4DVarNet whose state holds the parameters of its prior."""
    torch.manual_seed(0)
    prior = xdvarnet.solver.SPDEPrior(
        DAYS, spacing=(27.8, 35.0), length=120.0, time=4.0, augmented=augmented
    )
    context = xdvarnet.DVarNet.context_channels(DAYS)
    solver = xdvarnet.solver.VariationalSolver(
        prior,
        xdvarnet.solver.MaskedObservation(noise=0.2, channels=slice(DAYS)),
        xdvarnet.solver.ConvLSTMStep(prior.channels, hidden=6, context=context, downscale=2),
        iterations=2,
    )
    if trained:
        torch.nn.init.normal_(solver.step.decode.weight, std=0.1)
    return xdvarnet.DVarNet(
        solver,
        variables={"ssh": "m"},
        window=xdvarnet.mapping.Window(DAYS, 16, 24),
        normalizer=xdvarnet.networks.Normalizer({"ssh": 0.05}),
        precision=precision,
    )


def test_parameters_in_the_state_are_learned_and_saved(tmp_path):
    start = spde_model(trained=False)
    model = fit(start, epochs=1, batch_size=2, loss=xdvarnet.solver.ReconstructionLoss(prior=0.3))
    assert (model.solver.prior.base - start.solver.prior.base).abs().max() > 0
    observed = toy_system().observe(toy_truth(5), rng=1)
    xdvarnet.save_model(model, tmp_path / "model.safetensors")
    again = xdvarnet.load_model(tmp_path / "model.safetensors")
    xr.testing.assert_equal(
        xdvarnet.reconstruct(observed, again), xdvarnet.reconstruct(observed, model)
    )
    xr.testing.assert_equal(
        again.estimate_parameters(observed), model.estimate_parameters(observed)
    )


def test_parameters_in_the_state_need_a_solver_of_their_channels():
    solver = spde_model().solver
    solver.observations[0] = xdvarnet.solver.MaskedObservation(noise=0.2)
    with pytest.raises(InvalidInputError, match=r"sees 10 channels.*channels=slice\(5\)"):
        build(solver=solver)
    solver = spde_model().solver
    solver.step = xdvarnet.solver.ConvLSTMStep(DAYS, hidden=6, context=6)
    with pytest.raises(InvalidInputError, match="ConvLSTMStep has channels=5;.*channels=10"):
        build(solver=solver)
    with pytest.raises(InvalidInputError, match="SPDEPrior has channels=10;.*channels=15"):
        build(solver=spde_model().solver, variables={"ssh": "m", "sst": "K"})
    with pytest.raises(InvalidInputError, match="SPDEPrior has days=5;.*days=6"):
        build(solver=spde_model().solver, window=xdvarnet.mapping.Window(6, 12, 16))


def test_low_precision_of_the_networks_leaves_the_parameters_finite():
    observed = toy_system().observe(toy_truth(5), rng=1)
    model = spde_model(precision="bfloat16")
    assert np.isfinite(xdvarnet.reconstruct(observed, model)["ssh"]).any()
    assert np.isfinite(model.estimate_parameters(observed)["std"]).any()
