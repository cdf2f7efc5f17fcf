"""Parameters as components: the model of each parameter, and their estimation by 4DVar."""

import numpy as np
import pytest
import torch
from torch import nn

from xdvarnet.datasets import lorenz63, observe_series
from xdvarnet.dynamics.augmented import Augmented
from xdvarnet.dynamics.integration import Model
from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.variational import StrongFourDVar


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
    method = StrongFourDVar(
        Augmented(Lorenz63(), "coefficients"), noise=0.3, climatology=background
    )
    found = observed.dvarnet.reconstruct(method).isel(time=0).sel(component="rho")
    error = found["state"] - 28
    assert (np.abs(error) < 4 * found["state_std"]).all()
    assert (found["state_std"] < 0.5).all()


def test_what_is_refused():
    with pytest.raises(InvalidInputError, match="it has coefficients"):
        Augmented(Lorenz63(), "rho")
    with pytest.raises(InvalidInputError, match=r"6 components together.*observed\.reindex"):
        Augmented(Lorenz63(), "coefficients")(torch.zeros(3))
    with pytest.raises(InvalidTypeError, match=r"no model that says its number"):
        Augmented(torch.sin, "rates")


class Decay(Model):
    """Components that decay at rates of their own."""

    components = 3

    def __init__(self):
        super().__init__()
        self.rates = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, state):
        return -torch.cat([a * x for a, x in zip(self.rates, state.split(1, -1), strict=True)], -1)


class Whole(Decay):
    """The same for one vector of rates, but not for one of each state."""

    def forward(self, state):
        return -self.rates * state


class Dropped(Decay):
    """Components without their dimension."""

    def forward(self, state):
        return -torch.stack([self.rates[i] * state[..., i] for i in range(3)], -1)


class Joined(Decay):
    """Torch itself refuses to join these."""

    def forward(self, state):
        return -torch.cat([self.rates * state[..., :2], self.rates[0] * state[..., 2:]], -1)


def test_models_of_ones_own_take_a_parameter_of_each_state():
    found = Augmented(Decay(), "rates")(torch.tensor([[1.0, 1, 1, 4, 5, 6], [2, 2, 2, 7, 8, 9]]))
    assert found.tolist() == [[-4, -5, -6, 0, 0, 0], [-14, -16, -18, 0, 0, 0]]


@pytest.mark.parametrize("kind", [Whole, Dropped, Joined])
def test_models_for_one_parameter_only_are_refused(kind):
    with pytest.raises(InvalidInputError, match=r"rates is \(3, \.\.\., 1\)"):
        Augmented(kind(), "rates")


def test_a_model_that_does_not_tell_its_components_is_refused():
    with pytest.raises(InvalidTypeError, match="no model that says its number of components"):
        Augmented(nn.Linear(2, 2), "bias")
