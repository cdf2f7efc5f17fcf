"""The schedule of a training: what it checks, and what has to be the same to go on."""

import dataclasses

import pytest
from toys import toy_model, toy_system, toy_truth

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.solver.losses import PriorLoss, ReconstructionLoss
from xdvarnet.training.data import ObservedTruth, observed_validation
from xdvarnet.training.draws import Augmentation
from xdvarnet.training.schedule import Schedule, SeriesSchedule, draw_seeds, learn

SCHEDULE = Schedule(epochs=2, steps_per_epoch=3, batch_size=2, augmentation=Augmentation(), pool=2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"epochs": 0}, InvalidInputError, "epochs=0"),
        ({"pool": 1.5}, InvalidInputError, "pool=1.5"),
        ({"patience": 0}, InvalidInputError, "patience=0"),
        ({"learning_rate": 0.0}, InvalidInputError, "learning_rate=0.0"),
        ({"loss": "mse"}, InvalidTypeError, "loss"),
        ({"augmentation": True}, InvalidTypeError, "augmentation"),
    ],
)
def test_what_cannot_be_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        dataclasses.replace(SCHEDULE, **change)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"epochs": 0}, InvalidInputError, "epochs=0 is not .* from 1 to 1000000"),
        ({"epochs": (1, 0), "iterations": (1, 1)}, InvalidInputError, "epochs=0"),
        ({"iterations": 0}, InvalidInputError, "iterations=0"),
        ({"epochs": 2.5}, InvalidInputError, "epochs=2.5"),
        ({"epochs": 2, "iterations": (1, 3)}, InvalidInputError, "as many of one as of the other"),
        ({"epochs": (2, 1)}, InvalidInputError, "as many of one as of the other"),
        ({"epochs": (), "iterations": ()}, InvalidInputError, "at least 1 stage"),
        ({"batch_size": 0}, InvalidInputError, "batch_size=0"),
        ({"learning_rate": 0.0}, InvalidInputError, "learning_rate=0.0 is not accepted"),
        ({"loss": "mse"}, InvalidTypeError, "loss is 'mse'; give a loss"),
        ({"loss": PriorLoss}, InvalidTypeError, "loss is the class PriorLoss"),
    ],
)
def test_what_cannot_be_is_refused_of_series(change, error, message):
    with pytest.raises(error, match=message):
        SeriesSchedule(**change)


def test_one_seed_gives_the_same_two():
    assert draw_seeds(5, None) == draw_seeds(5, "file.pt") != draw_seeds(6, None)
    with pytest.raises(InvalidInputError, match="without a seed"):
        draw_seeds(None, "file.pt")


def test_when_a_run_stops_may_differ():
    """A checkpoint goes on with more patience; not with other draws."""
    assert dataclasses.replace(SCHEDULE, patience=3).describe() == SCHEDULE.describe()
    for change in ({"epochs": 3}, {"pool": 5}, {"loss": ReconstructionLoss(gradient=0.0)}):
        assert dataclasses.replace(SCHEDULE, **change).describe() != SCHEDULE.describe()


def test_as_many_windows_are_drawn_as_asked_for(monkeypatch):
    model, sizes = toy_model(), []
    draws = ObservedTruth([toy_truth()], None, toy_system(), model, Augmentation())
    scored = observed_validation(model, toy_truth(seed=1), None, toy_system(), 0)
    batch = model.batch
    monkeypatch.setattr(
        model, "batch", lambda windows: sizes.append(len(windows)) or batch(windows)
    )
    history = learn(
        model,
        draws,
        scored,
        SCHEDULE,
        seeds=(1, 2),
        settings={},
        checkpoint=None,
        progress=False,
    )
    assert sizes == [2] * 6
    assert history["epoch"].values.tolist() == [1, 2]
    assert history["validation_rmse"].attrs["units"] == "m"
