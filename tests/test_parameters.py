"""Estimated parameters as fields on the user's grid."""

import numpy as np
import pytest
import torch
import xarray as xr
from reconstructors import WholeIdentity
from toys import DAYS, toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.mapping import Analysis
from xdvarnet.solver.priors.spde import RANGE

NAMES = ["correlation_length", "correlation_time", "std", "anisotropy", "angle"]


@pytest.fixture(scope="module")
def observations() -> xr.Dataset:
    return toy_system().observe(toy_truth(6), rng=3)


class Shift(xdvarnet.solver.Step):
    """A step that moves every channel of parameters once by its own amount."""

    def forward(self, gradient, context, memory):
        update = torch.zeros_like(gradient)
        if memory is None:
            update[:, DAYS:] = -torch.tensor([0.1, -0.2, 0.3, 0.0, 0.4]).view(1, 5, 1, 1)
        return update, True


def make(step: torch.nn.Module, *, augmented: bool = True) -> xdvarnet.DVarNet:
    prior = xdvarnet.solver.SPDEPrior(
        DAYS, spacing=(27.8, 35.0), length=120.0, time=4.0, std=1.5, augmented=augmented
    )
    solver = xdvarnet.solver.VariationalSolver(
        prior, xdvarnet.solver.MaskedObservation(channels=slice(DAYS)), step, iterations=2
    )
    return xdvarnet.DVarNet(
        solver,
        variables={"ssh": "m"},
        window=xdvarnet.mapping.Window(DAYS, 16, 30, stride=(1, 6, 30)),
        normalizer=xdvarnet.networks.Normalizer({"ssh": 0.05}),
    )


def test_values_are_those_of_the_state_in_physical_units(observations):
    found = make(Shift()).estimate_parameters(observations)
    bounded = RANGE * np.tanh(np.array([0.1, 0.0, 0.4, 0.4]) / RANGE)
    expected = np.array([120, 4, 1.5 * 0.05, 1]) * np.exp(bounded)
    for name, value in zip(NAMES, expected, strict=False):
        np.testing.assert_allclose(found[name].mean(), value, rtol=1e-4, err_msg=name)
        np.testing.assert_allclose(found[name].std(), 0, atol=1e-4 * value)
    np.testing.assert_allclose(found["angle"].mean(), 45, atol=0.1)
    assert {name: found[name].attrs["units"] for name in found} == dict(
        zip(NAMES, ["km", "days", "m", "1", "degrees"], strict=True)
    )


class Noise(WholeIdentity):
    """A first guess that is drawn."""

    def solve(self, observations, *, members=None, rng=None) -> Analysis:
        return Analysis({"ssh": rng.normal(0, 0.05, observations.shape).astype(np.float32)})


def test_a_first_guess_that_is_drawn_follows_the_seed(observations):
    model = make(xdvarnet.solver.GradientStep(0.1)).replace(first_guess=Noise(None))
    found, again, other = (model.estimate_parameters(observations, rng=seed) for seed in (0, 0, 1))
    xr.testing.assert_identical(found, again)
    assert not np.allclose(found["std"], other["std"])


def test_fields_are_on_the_grid_of_the_observations(observations):
    turned = observations.isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat")
    model = make(Shift())
    found, other = (model.estimate_parameters(one) for one in (observations, turned))
    assert list(found) == NAMES
    assert found["std"].dims == ("lat", "lon")
    assert other["std"].dims == ("lon", "lat")
    assert found["std"].notnull().all()
    xr.testing.assert_allclose(other.transpose("lat", "lon").sortby("lat"), found)


def test_without_parameters_in_the_state_they_are_the_base(observations):
    model = make(xdvarnet.solver.GradientStep(), augmented=False)
    with torch.no_grad():
        model.solver.prior.base[:, 0] = 0.01
    found = model.estimate_parameters(observations)
    np.testing.assert_allclose(
        found["correlation_length"].max(), 120 * np.exp(RANGE * np.tanh(0.2 / RANGE)), rtol=1e-5
    )


def test_an_spde_field_takes_the_estimate(observations):
    found = make(Shift()).estimate_parameters(observations)
    field = xdvarnet.SPDEField(**{name: found[name] for name in NAMES}, noise=0.01)
    maps = observations.isel(time=slice(0, 2)).dvarnet.reconstruct(field)
    assert np.isfinite(maps["ssh"]).any()


def test_models_without_an_equation_are_refused(observations):
    with pytest.raises(InvalidInputError, match="BilinearAutoencoder.* has no SPDEPrior"):
        toy_model(first_guess=False).estimate_parameters(observations)
    with pytest.raises(UnknownNameError, match="ssh"):
        make(Shift()).estimate_parameters(observations.rename(ssh="height"))


def test_solvers_without_a_prior_are_refused(observations):
    context = xdvarnet.DVarNet.context_channels(DAYS)
    network = xdvarnet.solver.UNet(2 * DAYS + context, DAYS, hidden=4)
    model = xdvarnet.DVarNet(
        xdvarnet.solver.DirectInversion(network, context=context),
        variables={"ssh": "m"},
        window=xdvarnet.mapping.Window(DAYS, 16, 30),
        normalizer=xdvarnet.networks.Normalizer({"ssh": 0.05}),
    )
    with pytest.raises(InvalidInputError, match="SPDEPrior"):
        model.estimate_parameters(observations)
