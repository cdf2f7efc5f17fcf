"""A tracer in the upper layer."""

import math

import pytest
import torch

from xdvarnet.dynamics.advection import WithTracer
from xdvarnet.dynamics.integration import rk4_step
from xdvarnet.dynamics.quasigeostrophic import TwoLayerQG
from xdvarnet.dynamics.spectral import SpectralGrid, advance
from xdvarnet.errors import InvalidInputError

ROWS, COLUMNS, SPACING = 32, 48, 20e3
DAY = 86400.0


def make(*, current=0.0, gradient=0.0, relaxation=math.inf, beta=0.0, drag=0.0) -> WithTracer:
    flow = TwoLayerQG(
        SpectralGrid(ROWS, COLUMNS, SPACING, dtype=torch.float64),
        f0=9e-5,
        beta=beta,
        deformation_radius=30e3,
        layer_ratio=0.25,
        currents=(current, current),
        drag=drag,
    )
    return WithTracer(flow, gradient=gradient, relaxation=relaxation)


@pytest.fixture
def waves() -> tuple[torch.Tensor, torch.Tensor]:
    """Waves along x and along y, (y, x)."""
    x = torch.arange(COLUMNS, dtype=torch.float64)[None, :].expand(ROWS, -1) / COLUMNS
    y = torch.arange(ROWS, dtype=torch.float64)[:, None].expand(-1, COLUMNS) / ROWS
    return torch.sin(2 * math.pi * x), torch.sin(4 * math.pi * y)


def eddies(model: WithTracer, waves, strength=5e3) -> torch.Tensor:
    """State with eddies in both layers and a tracer of standard deviation near 1."""
    along, up = waves
    psi = strength * torch.stack([along * up + up, along + 0.3 * up])
    return torch.cat([model.flow.potential_vorticity(psi), (along + up.roll(5, 1) * along)[None]])


def test_a_tracer_in_its_own_stream_lines_stays(waves):
    """``J(psi, psi) = 0``, and a current without shear keeps a single wave."""
    model = make()
    psi = 5e3 * torch.stack([waves[1] + 2 * waves[1], waves[1]])
    state = torch.cat([model.flow.potential_vorticity(psi), psi[:1]])
    torch.testing.assert_close(model(state)[2], torch.zeros(ROWS, COLUMNS, dtype=torch.float64))


def test_the_mean_and_the_variance_are_conserved(waves):
    """Stirring alone changes neither."""
    model = make()
    state = eddies(model, waves, strength=2e4)
    later = state
    for _ in range(40):
        later = rk4_step(model, later, 900.0)
    assert not torch.allclose(later[2], state[2], atol=0.1)
    assert float(later[2].mean()) == pytest.approx(float(state[2].mean()), abs=1e-12)
    assert float(later[2].var()) == pytest.approx(float(state[2].var()), rel=1e-8)


def test_the_mean_current_carries_it(waves):
    """Without eddies, by its speed times the time: here three cells."""
    model = make(current=0.5)
    state = torch.cat([torch.zeros(2, ROWS, COLUMNS, dtype=torch.float64), waves[0][None]])
    later = advance(model, state, 3 * SPACING / 0.5, 2000.0)
    torch.testing.assert_close(later[2], waves[0].roll(3, 1), rtol=0, atol=1e-6)


def test_relaxation(waves):
    """Without currents, an anomaly falls to 1/e in the time."""
    model = make(relaxation=10 * DAY)
    state = torch.cat([torch.zeros(2, ROWS, COLUMNS, dtype=torch.float64), waves[0][None]])
    torch.testing.assert_close(advance(model, state, 10 * DAY, 7200.0)[2], waves[0] / math.e)


def test_the_gradient_and_the_anomaly_are_one_tracer(waves):
    """Where eddies bring warm water north, the anomaly grows by minus v times the gradient."""
    model = make(gradient=-1e-5)
    state = eddies(model, waves)
    state[2] = 0
    _, v = model.flow.velocity(state[:2])
    torch.testing.assert_close(model(state)[2], 1e-5 * v[0])


def test_the_flow_is_that_without_a_tracer(waves):
    model = make(current=0.2, beta=2e-11, drag=1e-7)
    state = eddies(model, waves)
    torch.testing.assert_close(model(state)[:2], model.flow(state[:2]))


def test_a_result_does_not_depend_on_its_batch(waves):
    model = make(gradient=-1e-5)
    states = torch.stack([eddies(model, waves, strength) for strength in (1e3, 2e3, 5e3)])
    torch.testing.assert_close(
        advance(model, states, DAY, 3600.0)[1], advance(model, states[1], DAY, 3600.0)
    )


def test_a_state_without_the_tracer_is_refused(waves):
    model = make()
    state = eddies(model, waves, 1e3)
    with pytest.raises(InvalidInputError, match="with a tracer it should end with"):
        advance(model, state[:-1], DAY)
    with pytest.raises(InvalidInputError, match="with a tracer it should end with"):
        model(state[:-1])


@pytest.mark.parametrize("change", [{"relaxation": 0.0}, {"gradient": math.nan}])
def test_impossible_settings_are_refused(change):
    with pytest.raises(InvalidInputError, match=next(iter(change))):
        make(**change)
