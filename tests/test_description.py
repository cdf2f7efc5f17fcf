"""Every part of a model is described in JSON and built again."""

import importlib
import pkgutil

import numpy as np
import pytest
import torch
from torch import nn
from toys import toy_model

import xdvarnet
import xdvarnet.dynamics
import xdvarnet.solver
from xdvarnet.dynamics.augmented import Augmented
from xdvarnet.dynamics.lorenz import Lorenz63
from xdvarnet.errors import InvalidTypeError, ModelFileError
from xdvarnet.mapping.description import build, check_storable, describe
from xdvarnet.solver.minimisation import Minimisation
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.ode import OdePrior
from xdvarnet.zoo.registry import public_classes

CLASSES = public_classes()


@pytest.mark.parametrize(
    "part",
    [
        xdvarnet.solver.UNetPrior(4, hidden=3, depth=1),
        xdvarnet.solver.CNNStep(4, hidden=3, context=2, bound=0.5),
        xdvarnet.solver.GradientStep(0.3),
        xdvarnet.solver.MaskedObservation(noise=0.2, channels=slice(0, 2)),
        xdvarnet.mapping.ObservedBackground(length=90, days=7),
        xdvarnet.mapping.Window(5, 6, 7, stride=(2, 3, 4), halo=(1, 1, 0)),
        Augmented(Lorenz63(), "coefficients"),
        Minimisation(OdePrior(Lorenz63(), 0.01), MaskedObservation(), iterations=5),
        toy_model().solver,
    ],
    ids=lambda part: type(part).__name__,
)
def test_every_part_is_described_and_built(part):
    arrays = {}
    description = describe(part, arrays)
    again = build(description, arrays, CLASSES)
    assert type(again) is type(part)
    assert describe(again, {}) == description


class Foreign(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.width = size


@pytest.mark.parametrize("dynamics", [Foreign(3), torch.tanh, nn.Sequential(nn.Tanh())])
def test_what_no_file_could_hold_is_refused(dynamics):
    prior = Minimisation(OdePrior(dynamics, 0.01), MaskedObservation())
    for check in (lambda: describe(prior, {}), lambda: check_storable(prior, "model")):
        with pytest.raises(InvalidTypeError, match=r"(?s)model.prior.dynamics .* cannot hold"):
            check()


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (None, None),
        ({"class": "Window", "arguments": None}, "cannot be understood"),
        ({"class": "Window", "arguments": {"time": {}}}, "Window cannot be built"),
        ({"class": "Normalizer", "arguments": {"std": {"ssh": -1.0}}}, "cannot be built"),
        ({"class": "CNNStep", "arguments": {"channels": 10**9}}, "impossible channels=1000000000"),
        ({"class": "CNNStep", "arguments": {"channels": 9000, "hidden": 9000}}, "array of"),
        ({"class": "ndarray", "arguments": {}}, "cannot be understood"),
    ],
)
def test_impossible_descriptions_are_refused_before_anything_is_allocated(description, message):
    if message is None:
        assert build(description, {}, CLASSES) is None
        return
    with pytest.raises(ModelFileError, match=message):
        build(description, {}, CLASSES)


def test_weights_that_are_not_finite_are_refused():
    step, arrays = xdvarnet.solver.CNNStep(3, hidden=2), {}
    description = describe(step, arrays)
    arrays["model/layers.0.weight"][0, 0, 0, 0] = np.nan
    with pytest.raises(ModelFileError, match="no finite floating numbers"):
        build(description, arrays, CLASSES)
    arrays["model/layers.0.weight"] = np.zeros((2, 6, 3, 3), int)
    with pytest.raises(ModelFileError, match="no finite floating numbers"):
        build(description, arrays, CLASSES)
    arrays["model/layers.0.weight"] = np.zeros((2, 6, 3), np.float32)
    with pytest.raises(ModelFileError, match="weights do not fit"):
        build(description, arrays, CLASSES)


def test_a_file_may_name_every_network_of_the_package():
    """All but layers and bases, of which networks are made."""
    found = set()
    for part in (xdvarnet.solver, xdvarnet.dynamics):
        for module in pkgutil.walk_packages(part.__path__, part.__name__ + "."):
            for name, kind in vars(importlib.import_module(module.name)).items():
                own = isinstance(kind, type) and kind.__module__ == module.name
                if own and issubclass(kind, nn.Module) and not name.startswith("_"):
                    found.add(name)
    assert found - set(CLASSES) <= {"LayeredQG", "Convolution"}
