"""Layers and steps for series: shapes, laws of the layout, rings, and dependence on neighbours."""

import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.data import Data
from xdvarnet.solver.layout import PLANE, Convolution, Layout, Wrap
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.gibbs import GibbsPrior
from xdvarnet.solver.priors.projection import Projection
from xdvarnet.solver.series_steps import NetworkStep, SeriesLSTMStep
from xdvarnet.solver.series_unet import SeriesUNet
from xdvarnet.solver.steps import CNNStep
from xdvarnet.solver.variational import VariationalSolver

STEPS = {
    "cnn": lambda layout: CNNStep(1, hidden=6, kernel=(5, 1), layout=layout),
    "lstm": lambda layout: SeriesLSTMStep(hidden=5, layout=layout),
    "network": lambda layout: NetworkStep(SeriesUNet(4, 1, hidden=4, layout=layout)),
}


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_solver(step: torch.nn.Module, layout: Layout) -> VariationalSolver:
    torch.manual_seed(0)
    prior = GibbsPrior(kernel=(3, 1), downscale=(2, 1), hidden=4, layout=layout)
    solver = VariationalSolver(prior, MaskedObservation(), step, iterations=3)
    for weights in solver.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    return solver


def solve(solver: VariationalSolver, series: torch.Tensor) -> torch.Tensor:
    data = Data.from_gappy(torch.where(series > 0, series, torch.nan))
    context = torch.cat([data.values, data.mask], 1) if solver.context else None
    with torch.no_grad():
        return solver(torch.zeros_like(series), [data], context)


def test_layout_is_inverted_and_keeps_channels_together():
    series = draw(2, 4, 7, 3)
    layout = Layout(components=3)
    fields = layout.to_fields(series)
    assert fields.shape == (2, 12, 7, 1)
    assert torch.equal(layout.to_state(fields), series)
    assert torch.equal(fields[:, 4:8, :, 0], series[..., 1])
    assert torch.equal(PLANE.to_fields(series), series)


def test_ring_of_components_has_no_place_of_its_own():
    torch.manual_seed(0)
    network = SeriesUNet(
        2, 1, hidden=4, downscale=(2, 3), kernel=(3, 5), layout=Layout(periodic=True)
    )
    series = draw(2, 2, 12, 10)
    with torch.no_grad():
        torch.testing.assert_close(network(series.roll(3, -1)), network(series).roll(3, -1))


def test_line_of_components_has_ends():
    torch.manual_seed(0)
    layer = Convolution(1, 1, (1, 3), PLANE)
    one = torch.zeros(1, 1, 1, 6)
    one[..., 0] = 1
    with torch.no_grad():
        answer = layer(one) - layer(torch.zeros_like(one))
    assert (answer[..., :2] != 0).all()
    assert (answer[..., 2:] == 0).all()


@pytest.mark.parametrize("times", [8, 11, 23])
def test_network_takes_any_number_of_times(times):
    network = SeriesUNet(3, 2, hidden=4, layout=Layout(components=3))
    assert network(draw(2, 3, times, 3)).shape == (2, 2, times, 3)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("layout", [Layout(components=3), PLANE], ids=str)
def test_samples_do_not_see_each_other(name, layout):
    solver = make_solver(STEPS[name](layout), layout)
    series = draw(4, 1, 16, 3)
    together = solve(solver, series)
    alone = torch.cat([solve(solver, one[None]) for one in series])
    torch.testing.assert_close(together, alone)
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize("name", STEPS)
def test_last_iterate_is_the_analysis(name):
    solver = make_solver(STEPS[name](Layout(components=3)), Layout(components=3))
    series = draw(2, 1, 16, 3)
    data = [Data.from_gappy(series)]
    context = torch.cat([data[0].values, data[0].mask], 1) if solver.context else None
    with torch.no_grad():
        states = list(solver.iterates(torch.zeros_like(series), data, context))
        assert len(states) == 3
        assert torch.equal(states[-1], solver(torch.zeros_like(series), data, context))
    assert not torch.equal(states[0], states[1])


def test_update_of_a_cnn_step_is_bounded():
    step = CNNStep(1, layout=Layout(components=3), bound=0.1)
    update, memory = step(1e6 * draw(2, 1, 30, 3), None, None)
    assert update.abs().max() <= 0.1 * torch.pi / 2
    assert torch.equal(update, memory)


def test_untrained_lstm_step_leaves_the_state():
    update, _ = SeriesLSTMStep(layout=Layout(components=3))(draw(2, 1, 30, 3), None, None)
    assert (update == 0).all()


def test_update_of_an_lstm_step_is_bounded():
    step = SeriesLSTMStep(layout=Layout(components=3), bound=0.1)
    torch.nn.init.constant_(step.decode.bias, 1e3)
    update, _ = step(1e30 * draw(2, 1, 30, 3), None, None)
    assert update.min() > 0
    assert update.max() <= 0.1 * torch.pi / 2


def test_network_step_sees_the_state():
    """With no observation, no prior cost and no rate, only the state tells two samples apart."""

    class Echo(torch.nn.Module):
        def forward(self, seen):
            assert seen.shape[1] == 4
            return seen[:, 3:]

    class Flat(Projection):
        def forward(self, state):
            return state

    step = NetworkStep(Echo(), bound=1e6)
    solver = VariationalSolver(Flat(), MaskedObservation(), step, iterations=1)
    state = draw(2, 1, 9, 3)
    data = [Data.from_gappy(torch.full_like(state, torch.nan))]
    context = torch.zeros(2, 2, 9, 3)
    assert solver(state, data, context).abs().max() < 1e-6  # x - x


def test_wrong_layouts_are_refused():
    with pytest.raises(InvalidInputError, match="for 3 components"):
        SeriesUNet(1, 1, layout=Layout(components=3))(draw(1, 1, 8, 4))
    for given in ({"components": 3, "periodic": True}, {"components": 0}):
        with pytest.raises(InvalidInputError, match=r"or they are channels.*give Layout\(periodic"):
            Layout(**given)
    with pytest.raises(InvalidInputError, match="odd"):
        Convolution(1, 1, (4, 1), PLANE)
    with pytest.raises(InvalidInputError, match="hidden=0"):
        SeriesUNet(1, 1, hidden=0)
    for channels, features in ((3, 1), (4, 2)):
        with pytest.raises(
            InvalidInputError, match=r"4 channels \(gradient, observations, .*state"
        ):
            NetworkStep(SeriesUNet(channels, features))


def test_a_solver_has_iterations():
    solver = make_solver(STEPS["cnn"](PLANE), PLANE)
    with pytest.raises(InvalidInputError, match="iterations=0"):
        solver.iterations = 0
    assert solver.iterations == 3


@pytest.mark.parametrize("points", [1, 3])
def test_ring_is_continued_as_torch_does(points):
    """The same values and derivatives, of first and second order, as circular padding."""
    fields = draw(2, 1, 3, 7).double().requires_grad_()
    expected = torch.nn.functional.pad(fields, (points, points, 0, 0), "circular")
    torch.testing.assert_close(Wrap.apply(fields, points), expected)
    assert torch.autograd.gradcheck(lambda x: Wrap.apply(x, points), fields)
    assert torch.autograd.gradgradcheck(lambda x: Wrap.apply(x, points) ** 2, fields)
