"""What a training sees, epoch by epoch."""

import numpy as np
import pytest
from toys import toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.training.data import (
    DrawPool,
    ObservedTruth,
    check_maps,
    check_truths,
    observed_validation,
)
from xdvarnet.training.draws import Augmentation


def training_draws(pool=2, simulate=None, truths=None):
    window, augmentation = xdvarnet.mapping.Window(5, 12, 16), Augmentation()
    model = toy_model(first_guess=False)
    truths = [toy_truth()] if truths is None else truths
    observed = ObservedTruth(truths, simulate, toy_system(), model, augmentation)
    return DrawPool(observed, window, augmentation, pool=pool, seed=7)


def values(draws, epoch):
    return np.stack([window.observations.values["ssh"] for window in draws.windows(epoch, 3)])


def test_an_epoch_does_not_depend_on_what_came_before():
    in_order = training_draws()
    sequence = [values(in_order, epoch) for epoch in range(4)]
    np.testing.assert_array_equal(values(training_draws(), 3), sequence[3])
    assert not np.array_equal(sequence[2], sequence[3], equal_nan=True)


def test_a_draw_is_observed_once_for_all_epochs_that_keep_it(monkeypatch):
    counted = []
    observe = xdvarnet.ObservingSystem.observe

    def counting(self, *arguments, **keywords):
        counted.append(1)
        return observe(self, *arguments, **keywords)

    monkeypatch.setattr(xdvarnet.ObservingSystem, "observe", counting)
    draws = training_draws(pool=3)
    for epoch in range(5):
        values(draws, epoch)
    assert len(counted) == 5


def test_the_validation_error_is_that_of_the_maps_on_the_chosen_days():
    """Against the public way: observe, reconstruct, score."""
    truth = toy_truth(18)
    model = toy_model()
    model.background = xdvarnet.mapping.MeanMapBackground(truth.drop_vars("sea").mean("time"))
    period = slice("2020-02-08", "2020-02-12")
    validation = observed_validation(model, truth, period, toy_system(), seed=11)
    maps = toy_system().observe(truth, rng=np.random.default_rng(11)).dvarnet.reconstruct(model)
    expected = maps.sel(time=period).dvarnet.score(truth)["rmse"]
    np.testing.assert_allclose(validation.rmse(), expected, rtol=1e-4)


def test_every_second_draw_is_simulated():
    asked = []

    def simulate(rng):
        asked.append(1)
        return toy_truth(seed=int(rng.integers(100)))

    draws = training_draws(pool=1, simulate=simulate)
    for epoch in range(5):
        values(draws, epoch)
    assert len(asked) == 2


@pytest.mark.parametrize("simulate", [None, lambda rng: toy_truth(seed=9)])
def test_several_truths_are_taken_in_turn(simulate):
    truths = [toy_truth(seed=seed) * 10.0**seed for seed in range(3)]
    draws = training_draws(pool=1, simulate=simulate, truths=truths)
    sizes = [np.nanstd(values(draws, epoch)) for epoch in range(12)]
    chosen = [round(np.log10(size / sizes[0])) for size in sizes[:: 2 if simulate else 1]]
    assert chosen == ([0, 1, 2] * 4)[: len(chosen)]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda truths: [], InvalidTypeError, "truth.*a Dataset, or several"),
        (lambda truths: 3, InvalidTypeError, "truth.*a Dataset, or several"),
        (lambda truths: [*truths, 3], InvalidTypeError, "Dataset"),
        (
            lambda truths: [truths[0], truths[1].isel(time=slice(4))],
            InvalidInputError,
            "have 4 day.*fewer than the 5",
        ),
        (
            lambda truths: [truths[0], truths[1].isel(lat=slice(1, None))],
            InvalidInputError,
            "number 1 are on another grid than the first",
        ),
    ],
)
def test_truths_that_do_not_fit_are_refused(change, error, message):
    truths = [toy_truth(seed=seed) for seed in range(2)]
    assert len(check_truths(truths, {"ssh": "m"}, least=5)) == 2
    with pytest.raises(error, match=message):
        check_truths(change(truths), {"ssh": "m"}, least=5)


def test_complete_maps_are_accepted_with_and_without_a_mask():
    truth = toy_truth().assign(other=lambda dataset: dataset["ssh"])
    for maps in (truth, truth.drop_vars("sea"), truth.chunk({"time": 4})):
        assert list(check_maps(maps, {"ssh": "m"}, "training data")) == ["ssh"]


@pytest.mark.parametrize("mask", [True, False])
def test_missing_values_on_sea_are_refused(mask):
    truth = toy_truth() if mask else toy_truth().drop_vars("sea")
    truth["ssh"][3, 10, 5:8] = np.nan
    with pytest.raises(InvalidInputError, match="'ssh' has 3 missing value.* on sea in the train"):
        check_maps(truth, {"ssh": "m"}, "training data")
    known = truth["ssh"].notnull().all("time")
    check_maps(truth.where(known).drop_vars("sea", errors="ignore"), {"ssh": "m"}, "training data")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda truth: truth["ssh"],
            InvalidTypeError,
            "as validation data, got DataArray",
        ),
        (lambda truth: truth.rename(ssh="sla"), UnknownNameError, "'ssh' is missing.*sla"),
        (lambda truth: truth.drop_isel(time=4), InvalidInputError, "steps by 2 days"),
        (lambda truth: truth.where(False), InvalidInputError, "'ssh' has no finite value in the"),
    ],
)
def test_what_is_no_complete_maps_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        check_maps(change(toy_truth()), {"ssh": "m"}, "validation data")


def test_the_validation_knows_its_days():
    period = slice("2020-02-08", "2020-02-12")
    validation = observed_validation(
        toy_model(first_guess=False), toy_truth(), period, toy_system(), 1
    )
    epoch = np.datetime64("1950-01-01")
    np.testing.assert_array_equal(
        epoch + validation.days.astype("timedelta64[D]"),
        np.arange("2020-02-08", "2020-02-13", dtype="datetime64[D]"),
    )
