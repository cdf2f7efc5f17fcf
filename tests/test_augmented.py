"""Parameters as components: the model of each parameter, and their estimation by 4DVar."""

import numpy as np
import pytest
import torch

from xdvarnet.datasets import lorenz63, observe_series
from xdvarnet.dynamics.augmented import Augmented
from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.errors import InvalidInputError
from xdvarnet.methods.variational import StrongFourDVar
from xdvarnet.models.climatology import Climatology


def test_each_state_has_the_tendency_of_its_own_parameters():
    states = torch.randn(4, 3, dtype=torch.float64)
    numbers = torch.rand(4, 3, dtype=torch.float64)
    found = Augmented(Lorenz63(), "coefficients")(torch.cat([states, numbers], -1))
    for one, state, own in zip(found, states, numbers, strict=True):
        torch.testing.assert_close(one[:3], Lorenz63(*own.tolist())(state))
        assert (one[3:] == 0).all()
    ring = torch.randn(2, 6, 5)
    found = Augmented(Lorenz96(4), "coefficient")(ring)
    torch.testing.assert_close(found[1, 2, :4], Lorenz96(4, ring[1, 2, 4].item())(ring[1, 2, :4]))


def test_fourdvar_finds_a_wrong_parameter():
    truth = lorenz63("validation", samples=3, steps=60)
    observed = observe_series(truth, every=4, components=["x", "z"], noise=0.3, rng=0)
    observed = observed.reindex(component=["x", "y", "z", "sigma", "rho", "beta"])
    climate = Climatology.from_series(lorenz63("training", samples=50))
    covariance = np.diag([0.0, 0, 0, 1e-4, 9.0, 1e-4])
    covariance[:3, :3] = climate.covariance
    background = Climatology(np.array([*climate.mean, 10.0, 25.0, 8 / 3]), covariance)
    method = StrongFourDVar(Augmented(Lorenz63(), "coefficients"), noise=0.3, background=background)
    found = observed.dvarnet.reconstruct(method).isel(time=0).sel(component="rho")
    error = found["state"] - 28
    assert (np.abs(error) < 4 * found["state_std"]).all()
    assert (found["state_std"] < 0.5).all()


def test_what_is_refused():
    with pytest.raises(InvalidInputError, match="it has coefficients"):
        Augmented(Lorenz63(), "rho")
    with pytest.raises(InvalidInputError, match="6 components together"):
        Augmented(Lorenz63(), "coefficients")(torch.zeros(3))
