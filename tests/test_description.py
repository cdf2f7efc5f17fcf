"""Every part of a model is described in JSON and built again."""

import importlib
import pkgutil

import pytest
from torch import nn
from toys import toy_model

import xdvarnet
import xdvarnet.dynamics
import xdvarnet.solver
from xdvarnet.dynamics.augmented import Augmented
from xdvarnet.dynamics.lorenz import Lorenz63
from xdvarnet.errors import InvalidTypeError
from xdvarnet.mapping.description import build, describe
from xdvarnet.solver.minimisation import Minimisation
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.ode import OdePrior
from xdvarnet.zoo.registry import CLASSES


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
    components = 3


@pytest.mark.parametrize("dynamics", [Foreign(), nn.Tanh()], ids=["Foreign", "Tanh"])
def test_a_class_of_others_is_refused_before_a_file_is_written(dynamics):
    with pytest.raises(
        InvalidTypeError, match=rf"model.prior.dynamics .* {type(dynamics).__name__}"
    ):
        describe(Minimisation(OdePrior(dynamics, 0.01), MaskedObservation()), {})


def test_a_file_may_name_every_network_of_the_package():
    """All but layers and bases, of which networks are made."""
    found = set()
    for part in (xdvarnet.solver, xdvarnet.dynamics):
        for module in pkgutil.walk_packages(part.__path__, part.__name__ + "."):
            for name, kind in vars(importlib.import_module(module.name)).items():
                own = isinstance(kind, type) and kind.__module__ == module.name
                if own and issubclass(kind, nn.Module) and not name.startswith("_"):
                    found.add(name)
    assert found - set(CLASSES) == {"LayeredQG", "SeriesConvolution"}
