"""A training goes on from the checkpoint of the same training alone, in whatever run."""

import inspect
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from test_dvarnet import fit
from toys import DAYS, toy_interpolation, toy_model, toy_system, toy_tracks, toy_truth

import xdvarnet
from xdvarnet.errors import ModelFileError
from xdvarnet.mapping import MeanMapBackground, Window
from xdvarnet.networks import Normalizer, TrainingGrid
from xdvarnet.solver import UNetPrior, VariationalLoss
from xdvarnet.training import FineTuning
from xdvarnet.training.fingerprint import fingerprint


class Noisy:
    """An observer of a user's own, with a repr that says nothing of it."""

    def __init__(self, noise, missions=("jason1", "envisat")):
        self._system = xdvarnet.ObservingSystem(missions, noise=noise)
        self.owner, self.names = self, {*missions}

    def observe(self, dataset, *, rng=None):
        return self._system.observe(dataset, rng=rng)


def mean_map(seed: int) -> MeanMapBackground:
    return MeanMapBackground(toy_truth(seed=seed).drop_vars("sea").mean("time"))


def loss(seed: int) -> VariationalLoss:
    return VariationalLoss(UNetPrior(DAYS, hidden=2, depth=1, rng=seed))


def scaled(factor):
    return lambda rng: factor * rng.normal()


def power(rng, *, exponent):
    return {"a": 1, "b": 2}["a"] * rng.normal() ** exponent


SETTINGS = {
    "background": mean_map,
    "mean map": lambda n: xdvarnet.methods.MeanMapOffset(toy_truth(seed=n)),
    "persistence": lambda n: xdvarnet.methods.Persistence(toy_truth(seed=n)),
    "loss": loss,
    "closure": scaled,
    "partial": lambda n: partial(power, exponent=n),
    "method": lambda n: Noisy(0.1 * n).observe,
    "object": lambda n: Noisy(0.1 * n),
    "set": lambda n: {"a", "b", "c", str(n)},
    "array": lambda n: np.arange(2000.0) == n,
    "function": lambda n: (lambda rng: rng.normal() in {"x", "y", "z"}) if n == 1 else power,
    "generator": lambda n: np.random.SeedSequence(n),
    "number": lambda n: n,
}
"""From 1 or 2 to settings that differ, and whose reprs may be equal."""


@pytest.mark.parametrize("make", SETTINGS.values(), ids=SETTINGS)
def test_settings_are_told_apart_by_all_that_they_hold(make):
    assert fingerprint(make(1)) == fingerprint(make(1))
    assert fingerprint(make(1)) != fingerprint(make(2))


def test_weights_of_a_module_of_ones_own_count():
    class Own(torch.nn.Module):
        def __init__(self, size):
            super().__init__()
            self.layer = torch.nn.Linear(size, 1)

    def make(seed):
        torch.manual_seed(seed)
        return [Own(3), "text"]

    assert fingerprint(make(0)) == fingerprint(make(0)) != fingerprint(make(1))


def told() -> str:
    return "\n".join(fingerprint(make(1)) for make in SETTINGS.values())


def test_another_process_says_the_same():
    """Where objects lie in memory, and in which order a set is, is another in each."""
    for seed in ("1", "2"):
        script = "import test_fingerprint; print(test_fingerprint.told())"
        found = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.strip() == told()


def changed_solver() -> torch.nn.Module:
    solver = toy_model(first_guess=False).solver
    solver.iterations = 2
    return solver


CHANGES = {
    "solver": changed_solver(),
    "variables": {"ssh": "cm"},
    "window": Window(DAYS, 12, 16, stride=(2, 6, 6), halo=(0, 2, 2)),
    "leads": 1,
    "background": mean_map(3),
    "normalizer": Normalizer({"ssh": 0.06}),
    "training_grid": TrainingGrid((0.25, 0.4), (30.0, 41.0)),
    "precision": "bfloat16",
}
"""Another value of each argument of a network."""

APART = {"observed", "first_guess", "device", "provenance", "history"}
"""Arguments with a test of their own, and those that a training does not depend on."""


def test_no_argument_of_a_network_is_forgotten():
    assert set(CHANGES) | APART == set(inspect.signature(xdvarnet.DVarNet).parameters)


@pytest.mark.filterwarnings("ignore::xdvarnet.XdvarnetWarning")
def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    """Also where only values differ, which no repr shows."""

    def model(seed=0, **changes):
        start = toy_model(first_guess=False, seed=seed)
        return start.replace(**{"background": mean_map(2)} | changes)

    def run(model):
        return fit(model, epochs=1, checkpoint=tmp_path / "part.pt").history

    history = run(model())
    others = {name: model(**{name: value}) for name, value in CHANGES.items()}
    for name, other in (others | {"first weights": model(seed=1)}).items():
        with pytest.raises(ModelFileError, match=rf"other settings \(.*{name}"):
            run(other)
    xr.testing.assert_identical(run(model(provenance={"told": "later"})), history)


def test_a_checkpoint_of_another_first_guess_is_refused(tmp_path):
    def run(seed):
        guess = toy_interpolation().replace(background=mean_map(seed))
        return fit(
            toy_model().replace(first_guess=guess), epochs=1, checkpoint=tmp_path / "part.pt"
        )

    run(0)
    with pytest.raises(ModelFileError, match=r"other settings \(first_guess: "):
        run(1)


def test_an_observer_of_ones_own_is_the_same_in_another_run(tmp_path):
    def run(noise):
        model = toy_model(first_guess=False)
        return fit(model, epochs=1, checkpoint=tmp_path / "part.pt", observe=Noisy(noise)).history

    xr.testing.assert_identical(run(0.01), run(0.01))
    with pytest.raises(ModelFileError, match=r"other settings \(observe: .*Noisy"):
        run(0.02)


def test_a_checkpoint_of_another_simulation_is_refused(tmp_path):
    def run(size):
        return toy_model(first_guess=False).fit(
            toy_truth(10),
            observe=toy_system(),
            validation=toy_truth(6, seed=1),
            validation_period=slice("2020-02-05", None),
            simulate=lambda rng: size * toy_truth(10, seed=int(rng.integers(9))),
            schedule=xdvarnet.Schedule(epochs=1, steps_per_epoch=1, batch_size=1, pool=1),
            checkpoint=tmp_path / "part.pt",
            rng=0,
        )

    with pytest.warns(xdvarnet.XdvarnetWarning, match="validation days"):
        run(1.0)
        with pytest.raises(ModelFileError, match=r"other settings \(simulate: "):
            run(0.5)


def test_a_fine_tuning_of_another_network_is_refused(tmp_path):
    sea = toy_truth(8)
    grid = sea.coords.to_dataset()

    def run(seed):
        return toy_model(first_guess=False, seed=seed).fine_tune(
            toy_tracks(sea),
            grid,
            schedule=FineTuning(epochs=1, steps_per_epoch=1, batch_size=1, pool=1),
            checkpoint=tmp_path / "part.pt",
            rng=0,
        )

    run(0)
    with pytest.raises(ModelFileError, match=r"other settings \(solver, with its first weights: "):
        run(1)
