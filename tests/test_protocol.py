"""What counts as a reconstructor, and the arrays that pass through it."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.methods.optimal_interpolation.interpolation import OptimalInterpolation


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


def test_days_are_taken_with_their_place_in_the_record():
    values = np.arange(5 * 3 * 4, dtype=float).reshape(5, 3, 4)
    whole = Observations(
        {"ssh": values}, np.arange(5.0), np.arange(3.0), np.arange(4.0), np.ones((3, 4), bool)
    )
    part = whole.take(slice(1, 5)).take(slice(1, 3), wanted=slice(0, 1))
    np.testing.assert_array_equal(part.values["ssh"], values[2:4])
    assert (part.offset, part.record, part.used) == (2, 5, slice(0, 1))
    assert (whole.offset, whole.record, whole.used) == (0, None, slice(0, 5))


def test_a_notebook_shows_it():
    html = OptimalInterpolation(
        "ssh", correlation_length=60, correlation_time=9, noise=0.02
    )._repr_html_()
    assert "ssh [m]" in html and "ObservedBackground" in html
