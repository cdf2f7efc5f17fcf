"""The settings of the seas, and the models that they make."""

import math
from dataclasses import FrozenInstanceError

import pytest
import torch

from xdvarnet.dynamics.seas import LENGTH, SEAS
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
