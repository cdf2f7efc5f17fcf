"""The model of the twin ocean that comes with the package, on an ocean that it has not seen."""

import numpy as np
import pytest
import xarray as xr

import xdvarnet
from xdvarnet.datasets import twin_ocean

NADIRS = ["jason3", "sentinel3a", "sentinel3b", "saral"]


@pytest.fixture(scope="module")
def truth() -> xr.Dataset:
    ocean = twin_ocean(days=21, seed=314, size=128, cache=False)[["ssh"]]
    return ocean.isel(lat=slice(0, 72), lon=slice(20, 90))


def test_it_is_better_than_the_interpolation_that_it_starts_from(truth):
    model = xdvarnet.load_model("ssh-twin")
    observed = truth.dvarnet.observe(NADIRS, noise=0.02, rng=0)
    errors = {}
    for name, method in {"network": model, "interpolation": model.first_guess}.items():
        maps = observed.dvarnet.reconstruct(method)
        error = (maps["ssh"] - truth["ssh"]).isel(time=slice(4, 17))
        errors[name] = float(np.sqrt((error**2).mean()))
    assert errors["network"] < 0.85 * errors["interpolation"]
    assert errors["interpolation"] < 0.35 * float(truth["ssh"].std())


def test_it_is_small_and_says_where_it_comes_from():
    model = xdvarnet.load_model("ssh-twin")
    assert sum(parameter.numel() for parameter in model.solver.parameters()) < 1_200_000
    assert {"training data", "recipe", "citation"} <= set(model.provenance)
