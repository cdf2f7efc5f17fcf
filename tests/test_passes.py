"""Learning from real tracks: what is removed, what is seen, and what is kept."""

import copy

import numpy as np
import pytest
import torch
import xarray as xr
from toys import toy_model, toy_tracks, toy_truth

import xdvarnet
from xdvarnet.errors import InvalidInputError, InvalidTypeError, ModelFileError, UnknownNameError
from xdvarnet.tracks.segments import segments
from xdvarnet.training.data import Validation
from xdvarnet.training.passes import RemovedPasses, split_passes

TRUTH = toy_truth(days=8)
TRACKS = toy_tracks(TRUTH, noise=0.005)
BACKGROUND = xdvarnet.mapping.ObservedBackground()


def removed(tracks=TRACKS, model=None) -> RemovedPasses:
    guess = None if model is None else model.first_guess
    return RemovedPasses(tracks, TRUTH, {"ssh": "m"}, BACKGROUND, guess, 0.3)


def test_a_split_is_of_whole_passes():
    hidden, seen = split_passes(TRACKS, 0.25, np.random.default_rng(0))
    passes = {
        name: set(segments(TRACKS, gap="60 s").sel(time=part["time"]).values)
        for name, part in (("hidden", hidden), ("seen", seen))
    }
    assert not passes["hidden"] & passes["seen"]
    assert hidden.sizes["time"] + seen.sizes["time"] == TRACKS.sizes["time"]
    total = len(passes["hidden"] | passes["seen"])
    assert len(passes["hidden"]) == round(0.25 * total)


def test_what_is_removed_is_not_observed():
    """The observations, their background and their first guess do not depend on the removed."""
    model = toy_model()
    hidden, seen = split_passes(TRACKS, 0.3, np.random.default_rng(1))
    one = removed(model=model).draw(seen, hidden, np.random.default_rng(0))
    other = removed(model=model).draw(
        seen, hidden.assign(ssh=hidden["ssh"] + 0.5), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(one.observations.values["ssh"], other.observations.values["ssh"])
    np.testing.assert_array_equal(
        one.observations.first_guess.mean["ssh"], other.observations.first_guess.mean["ssh"]
    )
    np.testing.assert_allclose(
        other.truth["ssh"] - one.truth["ssh"], one.truth["ssh"] * 0 + 0.5, atol=1e-6
    )


def test_the_truth_is_the_removed_passes_less_the_background():
    """Adding the background of what is seen gives the cell means back."""
    hidden, seen = split_passes(TRACKS, 0.3, np.random.default_rng(2))
    draw = removed().draw(seen, hidden, np.random.default_rng(0))
    observed = xdvarnet.bin_tracks(seen[["ssh"]], TRUTH, time=TRUTH["time"])
    background = observed["ssh"].values - draw.observations.values["ssh"]
    both = np.isfinite(background) & np.isfinite(draw.truth["ssh"])
    cells = xdvarnet.bin_tracks(hidden[["ssh"]], TRUTH, time=TRUTH["time"])["ssh"].values
    assert both.sum() > 5
    np.testing.assert_allclose((draw.truth["ssh"] + background)[both], cells[both], atol=1e-6)
    np.testing.assert_array_equal(np.isfinite(draw.truth["ssh"]), np.isfinite(cells))


def test_a_draw_depends_on_its_generator_alone():
    def truth(seed: int) -> np.ndarray:
        return removed()(3, np.random.default_rng(seed)).truth["ssh"]

    np.testing.assert_array_equal(truth(5), truth(5))
    assert not np.array_equal(truth(5), truth(6), equal_nan=True)


def tune(model, **options):
    given = {
        "epochs": 2,
        "steps_per_epoch": 4,
        "batch_size": 2,
        "learning_rate": 1e-4,
        "loss": xdvarnet.solver.ReconstructionLoss(gradient=0.0, prior=0.0),
    }
    given |= {name: options.pop(name) for name in given.keys() & options.keys()}
    schedule = xdvarnet.Schedule(**given)
    return model.fine_tune(TRACKS, TRUTH, schedule=schedule, **({"rng": 0} | options))


def test_it_learns_from_tracks_alone():
    """A step that knows nothing finds out how to improve on its first guess, zero."""
    model = toy_model(first_guess=False)
    torch.nn.init.zeros_(model.solver.step.decode.weight)
    tuned = tune(model, epochs=5, steps_per_epoch=12, batch_size=4, learning_rate=3e-3)
    after, before = tuned.provenance["RMSE along the passes set aside"].split(", ")
    best = float(tuned.history["validation_rmse"].min())
    assert float(after) == pytest.approx(best, rel=1e-4)
    assert float(after) < 0.95 * float(before.removesuffix(" before"))


def test_weights_that_did_not_improve_are_not_kept():
    """A training that spoils the model, or fails, leaves it as it was."""
    model = toy_model()
    torch.nn.init.zeros_(model.solver.step.decode.weight)
    before = copy.deepcopy(model.solver.state_dict())
    tuned = tune(model, epochs=1, steps_per_epoch=1, learning_rate=0.3)
    assert float(tuned.history["validation_rmse"][0]) > float(
        tuned.provenance["RMSE along the passes set aside"].split(",")[0]
    )
    with pytest.raises(InvalidInputError, match="diverged"):
        tune(model, epochs=1, steps_per_epoch=2, learning_rate=1e30)
    for each in (model, tuned):
        for name, weights in each.solver.state_dict().items():
            torch.testing.assert_close(weights, before[name], rtol=0, atol=0)


def test_two_trainings_with_one_seed_are_equal_and_resumable(tmp_path, monkeypatch):
    one = tune(toy_model(), epochs=3)
    path = tmp_path / "training.pt"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Validation, "rmse", _interrupted(path))
        tune(toy_model(), epochs=3, checkpoint=path)
    other = tune(toy_model(), epochs=3, checkpoint=path)
    xr.testing.assert_identical(other.history, one.history)
    for ours, theirs in zip(one.solver.parameters(), other.solver.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    with pytest.raises(ModelFileError, match="removed: 0.25 in the checkpoint, 0.5 asked for"):
        tune(toy_model(), epochs=3, checkpoint=path, removed=0.5)


def _interrupted(path):
    """What stops a training when its second epoch is validated."""
    validate = Validation.rmse

    def stopping(self):
        if path.exists():
            raise KeyboardInterrupt
        return validate(self)

    return stopping


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"removed": 1.0}, "removed=1.0 .* between 0 and 1"),
        ({"validation": 0}, "validation=0 is not accepted"),
        ({"epochs": 0}, "epochs=0"),
        ({"learning_rate": -1}, "learning_rate=-1"),
        ({"checkpoint": "file.pt", "rng": None}, "without a seed"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InvalidInputError, match=message):
        tune(toy_model(), **options)


def test_bad_tracks_are_refused():
    model = toy_model()
    with pytest.raises(InvalidInputError, match="7 pass.*8 at least"):
        model.fine_tune(TRACKS.isel(time=segments(TRACKS, gap="60 s").values < 7), TRUTH)
    with pytest.raises(UnknownNameError, match="'ssh' is missing"):
        model.fine_tune(TRACKS.rename(ssh="adt"), TRUTH)
    with pytest.raises(InvalidInputError, match="no points along a track"):
        model.fine_tune(TRUTH, TRUTH)
    with pytest.raises(InvalidTypeError, match="expected an xarray Dataset"):
        model.fine_tune(TRACKS["ssh"], TRUTH)
    swath = xr.Dataset(
        {"ssh": (("line", "pixel"), np.zeros((4, 3)))},
        {
            "time": ("line", TRUTH["time"].values[:4]),
            "longitude": (("line", "pixel"), np.full((4, 3), 5.0)),
            "latitude": (("line", "pixel"), np.full((4, 3), 37.0)),
        },
    )
    with pytest.raises(InvalidInputError, match="one pixel of each line"):
        model.fine_tune(swath, TRUTH)


def test_an_untrained_model_is_refused():
    with pytest.raises(InvalidInputError, match="has not been trained"):
        tune(toy_model(trained=False))
