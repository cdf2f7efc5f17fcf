"""The settings of the seas, and the models that they make."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from xdvarnet.dynamics.seas import LENGTH, SEAS, Sea
from xdvarnet.errors import InvalidInputError


@pytest.mark.parametrize("name", SEAS)
def test_the_shear_is_unstable(name):
    """The potential vorticity of the deep layer has a gradient against that of the upper one."""
    flow = SEAS[name].model(32).flow
    upper, lower = flow.gradients.flatten().tolist()
    assert lower < 0 < upper


@pytest.mark.parametrize("name", SEAS)
def test_the_bottom_drag_is_in_the_range_of_observed_eddies(name):
    sea = SEAS[name]
    assert 0.2 <= sea.drag * sea.deformation_radius / sea.shear <= 0.4


def test_the_coriolis_parameter_and_its_gradient():
    """Of the latitude: f = f0 + beta y is that of the sphere nearby."""
    sea = SEAS["gulf-stream"]
    north = 2 * 7.292115e-5 * math.sin(math.radians(sea.latitude + 0.1))
    distance = math.radians(0.1) * 6.371e6
    assert sea.f0 + sea.beta * distance == pytest.approx(north, rel=1e-5)


def test_the_plane_has_one_length():
    """Whatever the number of cells."""
    for size in (32, 64):
        grid = SEAS["gulf-stream"].model(size).grid
        assert grid.rows * grid.spacing == grid.columns * grid.spacing == LENGTH


def test_a_sea_is_a_setting():
    """It cannot be changed, and a state of rest stays at rest."""
    sea = SEAS["northeast-atlantic"]
    with pytest.raises(FrozenInstanceError):
        sea.drag = 0.0
    assert not sea.model(32)(torch.zeros(3, 32, 32)).any()


@pytest.mark.parametrize("size", [100, 0, 1024])
def test_other_sizes_are_refused(size):
    with pytest.raises(InvalidInputError, match="32, 64, 128, 256, 512"):
        SEAS["gulf-stream"].model(size)


def own(**changes: float) -> Sea:
    """Return a sea of one's own."""
    return Sea(
        **{"latitude": 40.0, "deformation_radius": 40e3, "shear": 0.1, "drag": 0.0, **changes}
    )


def fastest_growth(sea: Sea) -> float:
    """Return the fastest growth of waves, s-1: eigenvalues of two coupled layers without drag."""
    upper = 1 / (sea.deformation_radius**2 * (1 + sea.layer_ratio))
    lower = sea.layer_ratio * upper
    growth = []
    for k in np.linspace(0.02, 2, 200) / sea.deformation_radius:
        vorticity = np.array([[-(k**2) - upper, upper], [lower, -(k**2) - lower]])
        gradients = np.diag([sea.beta + upper * sea.shear, sea.beta - lower * sea.shear])
        speeds = np.linalg.eigvals(np.diag([sea.shear, 0.0]) + gradients @ np.linalg.inv(vorticity))
        growth.append(k * speeds.imag.max())
    return max(growth)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("layer_ratio", [0.25, 1.0])
def test_waves_grow_above_a_criticality_of_one(sign, layer_ratio):
    """And not below it, for either sign of the shear: the textbook's waves in two layers."""
    critical = own(layer_ratio=layer_ratio, shear=sign * 0.1)
    scale = 0.1 / critical.criticality
    for factor, grows in {0.9: False, 1.2: True}.items():
        sea = own(layer_ratio=layer_ratio, shear=sign * factor * scale)
        assert sea.criticality == pytest.approx(factor)
        assert (fastest_growth(sea) > 1e-10) == grows


def test_beta_is_that_of_the_latitude_unless_it_is_given():
    assert own().beta == pytest.approx(2 * 7.292115e-5 * math.cos(math.radians(40)) / 6.371e6)
    assert own(beta=1e-12).beta == 1e-12
    assert own(beta=0.0).criticality == math.inf


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deformation_radius": 0.0}, "deformation_radius=0.0; give a number above zero"),
        ({"drag": -1e-7}, "drag=-1e-07"),
        ({"shear": math.inf}, "shear=inf; give a finite number"),
        ({"latitude": 0.0}, "latitude=0.0"),
        ({"latitude": 91.0}, "latitude=91.0"),
    ],
)
def test_settings_that_are_none(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        own(**changes)
