"""Models do not change: whatever trains, calibrates or sets an option returns another one."""

import hashlib

import numpy as np
import pytest
import torch
import xarray as xr
from toys import toy_model, toy_system, toy_tracks, toy_truth

import xdvarnet
from xdvarnet.errors import InvalidInputError
from xdvarnet.training import FineTuning
from xdvarnet.training.data import Validation

TRUTH = toy_truth(20)
SCHEDULE = xdvarnet.Schedule(epochs=2, steps_per_epoch=3, batch_size=2, pool=1, learning_rate=0.05)


def state(model: xdvarnet.DVarNet) -> tuple:
    """All that a training could change of a model."""
    digest = hashlib.sha256()
    for name, weights in sorted(model.solver.state_dict().items()):
        digest.update(name.encode() + weights.detach().contiguous().numpy().tobytes())
    return (
        digest.hexdigest(),
        repr(model.normalizer),
        repr(model.background),
        repr(model.training_grid),
        dict(model.provenance),
        None if model.history is None else model.history.to_dict(),
        model.solver.training,
    )


def fit(model: xdvarnet.DVarNet, **options) -> xdvarnet.DVarNet:
    given = {
        "observe": toy_system(),
        "validation": toy_truth(8, seed=1),
        "schedule": SCHEDULE,
        "rng": 0,
    }
    return model.fit(TRUTH, **(given | options))


def family(model: xdvarnet.DVarNet) -> list[xdvarnet.DVarNet]:
    """A model and what was made from it."""
    return [
        model,
        model.with_options(precision="bfloat16"),
        model.with_options(background=xdvarnet.mapping.ObservedBackground(days=7)),
    ]


@pytest.mark.parametrize("trained", [0, 1, 2])
def test_training_one_of_a_family_changes_no_other(trained):
    models = family(toy_model())
    observed = toy_system().observe(TRUTH, rng=1)
    before = [state(model) for model in models]
    maps = [observed.dvarnet.reconstruct(model) for model in models]
    better = fit(models[trained])
    assert [state(model) for model in models] == before
    for model, expected in zip(models, maps, strict=True):
        xr.testing.assert_identical(observed.dvarnet.reconstruct(model), expected)
    assert state(better)[0] != before[trained][0]
    assert better.history.sizes["epoch"] == 2
    assert "training data" in better.provenance


def test_a_calibration_keeps_the_weights_that_it_was_made_for():
    model = toy_model()
    calibrated = xdvarnet.calibrate(model, toy_truth(8), observe=toy_system(), draws=1, rng=0)
    observed = toy_system().observe(TRUTH, rng=1)
    before = observed.dvarnet.reconstruct(calibrated)
    trained = fit(calibrated.model)
    xr.testing.assert_identical(observed.dvarnet.reconstruct(calibrated), before)
    assert calibrated.model is model
    assert not trained.gives_std


def failing(kind: str, monkeypatch: pytest.MonkeyPatch) -> dict:
    """Arguments of a training that is refused, fails, or is interrupted."""
    if kind == "refused":
        return {"observe": toy_system(), "validation": TRUTH.isel(time=slice(0, 0))}
    if kind == "diverged":
        schedule = xdvarnet.Schedule(epochs=1, steps_per_epoch=3, batch_size=2, learning_rate=1e30)
        return {"schedule": schedule}

    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Validation, "rmse", interrupt)
    return {}


@pytest.mark.parametrize("kind", ["refused", "diverged", "interrupted"])
def test_a_training_that_fails_leaves_no_trace(kind, monkeypatch):
    model = fit(toy_model())
    before = state(model)
    error = KeyboardInterrupt if kind == "interrupted" else xdvarnet.XdvarnetError
    with monkeypatch.context() as patch, pytest.raises(error):
        fit(model, **failing(kind, patch))
    assert state(model) == before
    fit(model)  # and it can still be trained


@pytest.mark.parametrize("interrupted", [False, True])
def test_fine_tuning_leaves_its_model(interrupted, monkeypatch):
    model = toy_model()
    before = state(model)
    schedule = FineTuning(epochs=1, steps_per_epoch=2, batch_size=2, learning_rate=0.05)
    tracks = toy_tracks(TRUTH, noise=0.01)
    if interrupted:

        def interrupt(self):
            raise KeyboardInterrupt

        monkeypatch.setattr(Validation, "rmse", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.fine_tune(tracks, TRUTH, schedule=schedule, rng=0)
    else:
        tuned = model.fine_tune(tracks, TRUTH, schedule=schedule, rng=0)
        assert tuned is not model
        assert "fine-tuning" in tuned.provenance
    assert state(model) == before


def test_a_trained_model_goes_on_in_its_own_scaling():
    """Scaling and weights belong together: new data do not change the first alone."""
    once = fit(toy_model(first_guess=False, trained=False))
    louder = TRUTH.assign(ssh=3 * TRUTH["ssh"]).assign_coords(sea=TRUTH["sea"])
    louder["ssh"].attrs["units"] = "m"
    twice = once.fit(
        louder, observe=toy_system(), validation=toy_truth(8, seed=1), schedule=SCHEDULE, rng=0
    )
    assert twice.normalizer.std == once.normalizer.std
    np.testing.assert_array_equal(
        twice.background.mean_maps["ssh"], once.background.mean_maps["ssh"]
    )


def test_a_network_is_trained_in_single_precision():
    """Whatever the default type of torch was when its weights were drawn."""
    torch.set_default_dtype(torch.float64)
    try:
        trained = fit(toy_model(first_guess=False))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(weights.dtype == torch.float32 for weights in trained.solver.parameters())


def test_loading_touches_no_global_state():
    before = torch.random.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        model = xdvarnet.load_model("ssh-twin")
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(weights.dtype == torch.float32 for weights in model.solver.parameters())


def test_options_that_do_not_exist_are_refused():
    oi = xdvarnet.OptimalInterpolation("ssh", correlation_length=60, correlation_time=9, noise=0.02)
    with pytest.raises(
        InvalidInputError, match="OptimalInterpolation has no option precision='bfloat16'"
    ):
        oi.with_options(precision="bfloat16")
