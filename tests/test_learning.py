"""The schedule of a training: what it checks, and what has to be the same to go on."""

import dataclasses

import pytest
from toys import toy_model, toy_system, toy_truth

from xdvarnet.errors import InvalidInputError
from xdvarnet.models.draws import Augmentation
from xdvarnet.models.fitting import ObservedTruth, observed_validation
from xdvarnet.models.learning import Schedule, learn
from xdvarnet.solver.losses import ReconstructionLoss

SCHEDULE = Schedule(
    epochs=2,
    steps_per_epoch=3,
    batch_size=2,
    learning_rate=1e-3,
    loss=ReconstructionLoss(),
    augmentation=Augmentation(),
    pool=2,
    patience=None,
    checkpoint=None,
    rng=5,
    progress=False,
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"pool": 1.5}, "pool=1.5"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"checkpoint": "file.pt", "rng": None}, "without a seed"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(InvalidInputError, match=message):
        dataclasses.replace(SCHEDULE, **change)


def test_one_seed_gives_the_same_two():
    assert SCHEDULE.seeds() == SCHEDULE.seeds() != dataclasses.replace(SCHEDULE, rng=6).seeds()


def test_what_a_run_shows_or_when_it_stops_may_differ():
    """A checkpoint goes on with a bar, more patience or in another place; not with other draws."""
    same = dataclasses.replace(SCHEDULE, progress=True, patience=3, checkpoint="elsewhere.pt")
    assert same.describe() == SCHEDULE.describe()
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
    history = learn(model, draws, scored, SCHEDULE, seeds=(1, 2), settings={})
    assert sizes == [2] * 6
    assert len(history) == 2
