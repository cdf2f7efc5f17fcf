"""The network for any sea that comes with the package, on a sea that it has not seen."""

import numpy as np

import xdvarnet
from xdvarnet.datasets import twin_ocean
from xdvarnet.networks import Scaled


def test_it_is_better_than_the_interpolation_of_the_sea():
    ocean = twin_ocean("northeast-atlantic", days=21, seed=314, size=128, cache=False)[["ssh"]]
    truth = ocean.isel(lat=slice(0, 40), lon=slice(20, 60))
    nadirs = ["jason3", "sentinel3a", "sentinel3b", "saral"]
    observed = truth.dvarnet.observe(nadirs, noise=0.01, rng=0)
    oi = xdvarnet.OptimalInterpolation(
        "ssh",
        correlation_length="70 km",
        correlation_time="12 days",
        noise="1.2 cm",
        neighbours=100,
        background=xdvarnet.mapping.NoBackground(),
    )
    errors = {}
    for name, method in {
        "network": Scaled(xdvarnet.load_model("ssh-any"), oi),
        "interpolation": oi,
    }.items():
        maps = observed.dvarnet.reconstruct(method)
        error = (maps["ssh"] - truth["ssh"]).isel(time=slice(4, 17))
        errors[name] = float(np.sqrt((error**2).mean()))
    assert errors["network"] < 0.9 * errors["interpolation"]


def test_it_is_small_and_says_where_it_comes_from():
    model = xdvarnet.load_model("ssh-any")
    assert sum(parameter.numel() for parameter in model.solver.parameters()) < 1_200_000
    assert {"training data", "validation", "recipe", "citation"} <= set(model.provenance)
