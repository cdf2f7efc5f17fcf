"""The recurrent filter is causal, and its memory gathers observations."""

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.inversions.recurrent_filter import RecurrentFilter


def make_context(batch: int = 2, times: int = 9, components: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (batch, 1, times, components)
    mask = (torch.rand(shape, generator=generator) < 0.6).double()
    values = mask * torch.randn(shape, generator=generator, dtype=torch.float64)
    return torch.cat([values, mask], 1)


def make_filter() -> RecurrentFilter:
    torch.manual_seed(0)
    inversion = RecurrentFilter(4, hidden=7)
    nn.init.normal_(inversion.forecast[-1].weight, std=0.3)
    return inversion.double()


def run(inversion: RecurrentFilter, context: torch.Tensor) -> torch.Tensor:
    return inversion(torch.zeros_like(context[:, :1]), [], context)


@pytest.mark.parametrize("changed", [0, 4, 8])
@pytest.mark.parametrize("channel", [0, 1], ids=["values", "mask"])
def test_an_observation_acts_from_its_time_on(changed, channel):
    inversion, context = make_filter(), make_context()
    other = context.clone()
    other[:, channel, changed] += 1
    difference = (run(inversion, other) - run(inversion, context)).abs()[:, 0]
    assert (difference[:, :changed] == 0).all()
    assert (difference[:, changed:] > 0).all()


def test_a_longer_window_begins_as_a_shorter_one():
    inversion, context = make_filter(), make_context()
    torch.testing.assert_close(run(inversion, context)[:, :, :5], run(inversion, context[:, :, :5]))


def test_the_first_guess_is_not_used():
    inversion, context = make_filter(), make_context()
    wild = inversion(torch.full_like(context[:, :1], torch.nan), [], context)
    assert torch.equal(wild, run(inversion, context))


def test_memory_stays_bounded():
    """With a forecast that grows without end, states of a long window are still within |c|."""
    inversion = make_filter()
    nn.init.constant_(inversion.forecast[-1].bias, 10.0)
    nn.init.normal_(inversion.forecast[-1].weight, std=5.0)
    context = make_context(times=1000)
    bound = inversion.decode.weight.abs().sum(1) + inversion.decode.bias.abs()
    assert (run(inversion, context).abs() <= bound).all()


def test_an_untrained_forecast_keeps_the_memory():
    """Its result is that of the gated recurrent unit alone."""
    torch.manual_seed(0)
    inversion, context = RecurrentFilter(4, hidden=7), make_context().float()
    unit = nn.GRU(8, 7, batch_first=True)
    own = dict(inversion.analysis.named_parameters())
    unit.load_state_dict({f"{name}_l0": parameter for name, parameter in own.items()})
    memories, _ = unit(torch.cat([context[:, 0], context[:, 1]], -1))
    torch.testing.assert_close(run(inversion, context)[:, 0], inversion.decode(memories))


def test_memory_learns_to_average():
    """Of a constant with noise of its own size, t observations leave an error of 1 / (1 + t)."""
    torch.manual_seed(0)
    inversion = RecurrentFilter(1, hidden=8)
    optimiser = torch.optim.Adam(inversion.parameters(), lr=2e-2)
    for _ in range(150):
        truth = torch.randn(256, 1, 1, 1).expand(256, 1, 8, 1)
        values = truth + torch.randn(256, 1, 8, 1)
        result = run(inversion, torch.cat([values, torch.ones_like(values)], 1))
        loss = (result - truth).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    error = (result - truth).square().mean((0, 1, 3))
    expected = 1 / (1 + torch.arange(1.0, 9.0))
    torch.testing.assert_close(error, expected, rtol=0.3, atol=0)


@pytest.mark.parametrize(("components", "hidden"), [(0, 4), (3, 0)])
def test_numbers_below_one_are_refused(components, hidden):
    with pytest.raises(InvalidInputError, match=f"components={components} and hidden={hidden}"):
        RecurrentFilter(components, hidden=hidden)
