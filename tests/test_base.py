"""What counts as a reconstructor, and the arrays that pass through it."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from reconstructors import Identity, gappy

from xdvarnet.methods.optimal_interpolation import OptimalInterpolation
from xdvarnet.methods.trivial import MeanMapOffset, Persistence
from xdvarnet.models.base import Analysis, Observations, Reconstructor

ATTRIBUTES = ["variables", "window", "background", "first_guess", "training_grid", "gives_std"]


def reconstructors():
    maps = gappy(unobserved=0.0)
    return [
        Identity(),
        OptimalInterpolation("ssh", correlation_length=60, correlation_time=9, noise=0.02),
        MeanMapOffset(maps),
        Persistence(maps),
    ]


@pytest.mark.parametrize("model", reconstructors(), ids=lambda model: type(model).__name__)
def test_models_are_reconstructors(model):
    assert isinstance(model, Reconstructor)
    assert model.variables == {"ssh": "m"}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_each_attribute_is_needed(name):
    model = Identity()
    delattr(model, name)
    assert not isinstance(model, Reconstructor)


@pytest.mark.parametrize("other", [None, "med-ssh", xr.Dataset(), 1.0, {"variables": {}}])
def test_other_things_are_not(other):
    assert not isinstance(other, Reconstructor)


def test_shape_of_observations():
    observations = Observations(
        {"ssh": np.zeros((2, 3, 4))},
        np.arange(2.0),
        np.arange(3.0),
        np.arange(4.0),
        np.ones((3, 4)),
    )
    assert observations.shape == (2, 3, 4)
    assert observations.first_guess is None


def test_they_are_frozen():
    analysis = Analysis({"ssh": np.zeros((2, 3, 4))})
    assert analysis.std == analysis.members == {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        analysis.std = {}
