"""What no model file could hold is refused before work is put into it, and else when it is saved.

A class of one's own can be stored where its constructor arguments are its attributes.
"""

import inspect

import numpy as np
import pytest
import torch
from instances import ERROR, MAKERS, Drift, heights, interpolation, lorenz, network

import xdvarnet
from xdvarnet.dynamics import Forecast, Lorenz63
from xdvarnet.errors import InvalidTypeError
from xdvarnet.mapping import Analysis, Background, Lead, ObservedBackground, Reconstructor
from xdvarnet.mapping.description import describe
from xdvarnet.methods import ETKF, Climatology, EnsembleFilter, StrongFourDVar, ThreeDVar
from xdvarnet.networks import Normalizer, SeriesInversion
from xdvarnet.solver import DirectInversion


def refused():
    return pytest.raises(InvalidTypeError, match="(?s)which a model file cannot hold: it needs a")


class Around(Background):
    """One that can be stored."""

    def __init__(self, days):
        self.days = days

    def estimate(self, observed):
        return ObservedBackground(days=self.days).estimate(observed)


class Hidden(Around):
    """One that cannot, whose argument has another name than its attribute."""

    def __init__(self, length):
        super().__init__(length)


class Zero(Reconstructor):
    variables = {"ssh": "m"}
    background = ObservedBackground()
    gives_std = True

    def __init__(self, size):
        self.size = size

    def solve(self, observations, *, members=None, rng=None):
        field = np.full(observations.shape, self.size, np.float32)
        return Analysis({"ssh": 0 * field}, {"ssh": field})


class HiddenZero(Zero):
    def __init__(self, length):
        super().__init__(length)


class HiddenDrift(Forecast):
    def __init__(self, factor):
        self._factor = factor

    def forecast(self, states, dt):
        return self._factor**dt * states


def tendency(states):
    return -states


WITH_BACKGROUND = {
    name: make
    for name, make in MAKERS.items()
    if "background" in inspect.signature(type(make())).parameters
}


def test_every_kind_with_a_background_is_among_these():
    kinds = {type(make()).__name__ for make in WITH_BACKGROUND.values()}
    assert kinds == {"OptimalInterpolation", "SPDEField", "DINEOF", "DVarNet"}


@pytest.mark.parametrize("make", WITH_BACKGROUND.values(), ids=WITH_BACKGROUND)
def test_a_background_that_cannot_be_stored_is_refused(make, tmp_path):
    model = make()
    with refused():
        model.replace(background=Hidden(5))
    with refused():
        model.with_options(background=Hidden(5))
    path = tmp_path / "model.safetensors"
    xdvarnet.save_model(model.replace(background=Around(5)), path)
    loaded = xdvarnet.load_model(path, classes=[Around, Drift])
    assert isinstance(loaded.background, Around) and loaded.background.days == 5


WORK = {
    "first guess": lambda part: network(part),
    "first guess of a first guess": lambda part: network(Lead(part, 0)),
    "calibrated": lambda part: xdvarnet.Calibrated(part, {"ssh": ERROR}),
    "calibrated forecast": lambda part: xdvarnet.Calibrated(Lead(part, 1), {"ssh": ERROR}),
    "spread": lambda part: xdvarnet.Calibrated(interpolation(), {"ssh": ERROR}, spread=part),
    "calibration": lambda part: xdvarnet.calibrate(part, None, observe=None),
}
"""What is trained or calibrated, from one of its parts."""


@pytest.mark.parametrize("make", WORK.values(), ids=WORK)
def test_work_is_not_put_into_what_cannot_be_stored(make):
    for part in (HiddenZero(1.0), ETKF(HiddenDrift(0.9), noise=0.1, climatology=heights())):
        with refused():
            make(part)


def test_a_network_of_series_is_not_made_of_what_cannot_be_stored():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 1))
    with refused():
        SeriesInversion(DirectInversion(module), Normalizer({"state": 1.0}), dt=0.01, steps=9)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ETKF(HiddenDrift(0.9), noise=0.1, climatology=heights()),
        lambda: StrongFourDVar(tendency, noise=1.0, climatology=lorenz()),
        lambda: HiddenZero(0.1),
        lambda: Lead(HiddenZero(0.1), 0),
    ],
)
def test_other_methods_are_refused_when_they_are_saved(make, tmp_path):
    """They are used without a file: nothing is lost with them."""
    with refused():
        xdvarnet.save_model(make(), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_methods_of_classes_that_can_be_stored_are_read_again(tmp_path):
    path = tmp_path / "model.safetensors"
    for model, classes in (
        (ETKF(Drift(0.8), noise=0.1, climatology=heights()), [Drift]),
        (StrongFourDVar(Lorenz63(), noise=1.0, climatology=lorenz()), []),
        (xdvarnet.Calibrated(Lead(Zero(0.1), 2), {"ssh": ERROR}), [Zero]),
    ):
        xdvarnet.save_model(model, path)
        loaded = xdvarnet.load_model(path, classes=classes)
        assert describe(loaded, {}) == describe(model, {})


class Decay(torch.nn.Module):
    """Equations as the message says to write them."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        return -self.rate * state


@pytest.mark.parametrize("make", [ETKF, StrongFourDVar, ThreeDVar])
def test_equations_that_are_a_function_become_a_class(make, tmp_path):
    """The docstring and the message say so, and what they say works."""
    path, climatology = tmp_path / "mine.safetensors", Climatology([0.0], [[1.0]])
    method = make(lambda state: -0.3 * state, noise=0.1, climatology=climatology)
    with pytest.raises(InvalidTypeError, match=r"(?s)torch.nn.Module with .*load_model\(path"):
        xdvarnet.save_model(method, path)
    assert "plain function" in inspect.getdoc(EnsembleFilter if make is ETKF else make)
    xdvarnet.save_model(make(Decay(0.3), noise=0.1, climatology=climatology), path)
    assert xdvarnet.load_model(path, classes=[Decay]).dynamics.rate == 0.3
