"""The contracts of the parts of a solver: what each says, and whence its weights come."""

import numpy as np
import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidTypeError
from xdvarnet.solver import (
    BilinearAutoencoder,
    CNNStep,
    ConvLSTMStep,
    Data,
    FeatureObservation,
    GibbsPrior,
    GradientStep,
    MaskedObservation,
    ObservationAge,
    ObservationTerm,
    Projection,
    RecurrentFilter,
    Step,
    StridedUNet,
    TimeAttention,
    UNet,
    UNetPrior,
    UNetStep,
    VariationalSolver,
)

RANDOM = {
    "BilinearAutoencoder": lambda rng: BilinearAutoencoder(3, hidden=2, rng=rng),
    "CNNStep": lambda rng: CNNStep(3, hidden=2, rng=rng),
    "ConvLSTMStep": lambda rng: ConvLSTMStep(3, hidden=2, rng=rng),
    "FeatureObservation": lambda rng: FeatureObservation(slice(2), slice(2), hidden=2, rng=rng),
    "GibbsPrior": lambda rng: GibbsPrior(kernel=(3, 1), downscale=(2, 1), hidden=2, rng=rng),
    "RecurrentFilter": lambda rng: RecurrentFilter(3, hidden=2, rng=rng),
    "StridedUNet": lambda rng: StridedUNet(2, 1, hidden=2, rng=rng),
    "TimeAttention": lambda rng: TimeAttention(4, days=3, rng=rng),
    "UNet": lambda rng: UNet(3, 2, hidden=2, rng=rng),
    "UNetPrior": lambda rng: UNetPrior(3, hidden=2, rng=rng),
    "UNetStep": lambda rng: UNetStep(3, hidden=2, rng=rng),
}


def weights(network: nn.Module) -> np.ndarray:
    return np.concatenate([part.detach().flatten().numpy() for part in network.parameters()])


@pytest.mark.parametrize("name", RANDOM)
def test_weights_come_from_the_seed_and_leave_torch_alone(name):
    make = RANDOM[name]
    before = torch.random.get_rng_state()
    first, again, other = make(5), make(5), make(6)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(weights(first), weights(again))
    assert not np.array_equal(weights(first), weights(other))


class Doubled(Step):
    context = 2

    def forward(self, gradient, context, memory):
        return 2 * gradient, None


class Mean(ObservationTerm):
    """The square of the mean of what is seen: a term of one's own, without a gradient."""

    def cost(self, state, data):
        return (data.mask * (state - data.values)).mean((1, 2, 3)).square()


class Halved(Projection):
    def forward(self, state):
        return state / 2


def test_parts_of_ones_own_say_what_they_take():
    solver = VariationalSolver(Halved(), Mean(), Doubled(), iterations=2)
    assert (solver.context, solver.step.channels, solver.step.sees_state) == (2, None, False)
    assert solver.terms[0].channels == slice(None)
    state = torch.ones(1, 3, 4, 5)
    found = solver(state, [Data.from_gappy(0 * state)], torch.zeros(1, 2, 4, 5))
    assert found.shape == state.shape
    assert "step Doubled" in solver.summary


def test_the_gradient_of_a_term_is_that_of_its_cost():
    state = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    data = Data.from_gappy(torch.zeros_like(state))
    n = state[0].numel()
    expected = (2 * state.mean((1, 2, 3), keepdim=True) / n).expand_as(state)
    torch.testing.assert_close(Mean().gradient(state, data), expected)
    written, derived = MaskedObservation(noise=0.3), ObservationTerm.gradient
    torch.testing.assert_close(derived(written, state, data), written.gradient(state, data))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((nn.Identity(), MaskedObservation(), GradientStep()), "prior is Identity, .*UNetPrior"),
        ((MaskedObservation(), Halved(), GradientStep()), "prior is MaskedObservation, .*order is"),
        ((Halved(), nn.Identity(), GradientStep()), "observation term is Identity.*ObservationTe"),
        ((Halved(), MaskedObservation(), nn.Identity()), "step is Identity, .*ConvLSTMStep"),
        ((Halved(), MaskedObservation(), GradientStep), "step is the class GradientStep"),
    ],
)
def test_parts_of_another_kind_are_refused(arguments, message):
    with pytest.raises(InvalidTypeError, match=message):
        VariationalSolver(*arguments)
    with pytest.raises(InvalidTypeError, match="step is Identity"):
        ObservationAge(nn.Identity(), 3)
