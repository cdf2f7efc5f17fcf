"""Shallow water: what it conserves, its waves, its balance, its symmetries and its refusals."""

import math
import re

import pytest
import torch

from xdvarnet.dynamics.integration import rk4_step
from xdvarnet.dynamics.shallow_water import ShallowWater
from xdvarnet.errors import InvalidInputError, InvalidTypeError

NY, NX = 12, 15
DAY = 86400.0


def make_model(shape=(NY, NX), **changes) -> ShallowWater:
    given = {"dx": 9e3, "dy": 11e3, "depth": 400.0, "coriolis": 1e-4, "gravity": 0.03}
    return ShallowWater(shape, **(given | changes))


PERIODIC = make_model()
CHANNEL = make_model(walls=True, beta=1.5e-10)


def make_states(model: ShallowWater, *batch: int, size: float = 1.0) -> torch.Tensor:
    """Noise of 0.3 m/s and 30 m at each point, which no balance and no smoothness helps."""
    noise = torch.randn(
        (*batch, 3, *model.shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    states = size * noise * torch.tensor([0.3, 0.3, 30.0], dtype=torch.float64)[:, None, None]
    if model.walls:
        states[..., 1, 0, :] = 0
    return states


def linear(function, model: ShallowWater, direction: torch.Tensor) -> torch.Tensor:
    """Derivative of a function of states at rest, in a direction."""
    rest = torch.zeros(3, *model.shape, dtype=torch.float64)
    return torch.func.jvp(function, (rest,), (direction,))[1]


def positions(model: ShallowWater, *, east: float, north: float) -> tuple[torch.Tensor, ...]:
    """Coordinates x, y in m of points at such fractions of a cell."""
    ny, nx = model.shape
    y, x = torch.arange(ny, dtype=torch.float64), torch.arange(nx, dtype=torch.float64)
    return (x + east) * model.dx, ((y + north) * model.dy)[:, None]


@pytest.mark.parametrize("model", [PERIODIC, CHANNEL])
def test_advection_waves_and_rotation_do_no_work(model):
    """The energy's gradient is orthogonal to the tendency, of rough states too."""
    states = make_states(model, 4).requires_grad_()
    (slope,) = torch.autograd.grad(model.energy(states).sum(), states)
    work = slope * model(states)
    assert (work.sum((-1, -2, -3)).abs() < 1e-13 * work.abs().sum((-1, -2, -3))).all()


@pytest.mark.parametrize("model", [PERIODIC, CHANNEL])
def test_a_run_conserves_energy_and_mass(model):
    start = make_states(model, 2, size=0.5)
    states = model.run(start, 100, 80.0)
    assert (states[:, -1] - start).abs().amax((0, 2, 3)).min() > 0.1
    energy, mass = model.energy(states), model.mass(states)
    torch.testing.assert_close(energy, energy[:, :1].expand(-1, 101), rtol=1e-6, atol=0)
    torch.testing.assert_close(mass, mass[:, :1].expand(-1, 101), rtol=1e-14, atol=0)


def test_energy_and_mass_of_uniform_states():
    state = torch.tensor([0.3, -0.4, 7.0], dtype=torch.float64)[:, None, None].expand(3, NY, NX)
    area = NY * NX * 9e3 * 11e3
    assert PERIODIC.mass(state).item() == pytest.approx(407 * area)
    expected = (407 * 0.25 / 2 + 0.03 * 49 / 2) * area
    assert PERIODIC.energy(state).item() == pytest.approx(expected)


def test_the_linear_waves_are_those_of_the_grid():
    """All eigenvalues: of each wave number, a geostrophic mode and two Poincare waves."""
    model, size = make_model((4, 5)), 3 * 4 * 5
    rest = torch.zeros(3, 4, 5, dtype=torch.float64)
    matrix = torch.autograd.functional.jacobian(model, rest).reshape(size, size)
    found = torch.linalg.eigvals(matrix)
    half_l, half_k = (math.pi * torch.fft.fftfreq(n, dtype=torch.float64) for n in (4, 5))
    half_l = half_l[:, None]
    squared = (1e-4 * half_k.cos() * half_l.cos()) ** 2 + 4 * 0.03 * 400 * (
        (half_k.sin() / 9e3) ** 2 + (half_l.sin() / 11e3) ** 2
    )
    omega = squared.sqrt().flatten()
    expected = torch.cat([-omega, torch.zeros(20, dtype=torch.float64), omega]).sort().values
    # The square root of rounding where a frequency is zero three times.
    torch.testing.assert_close(found.imag.sort().values, expected, rtol=1e-9, atol=1e-9)
    assert found.real.abs().max() < 1e-9


@pytest.mark.parametrize("coriolis", [0.0, 1e-4, -2e-4])
def test_waves_travel_as_theory_says(coriolis):
    """Poincare waves, omega^2 = f^2 + g H k^2; without rotation the speed is sqrt(g H)."""
    model = make_model((3, 60), coriolis=coriolis)
    k = 2 * math.pi * 2 / (60 * model.dx)
    omega = math.sqrt(coriolis**2 + model.gravity * model.depth * k**2)
    side, centre = (k * positions(model, east=part, north=0)[0] for part in (0.0, 0.5))
    scale = 1e-3 / (k * model.depth)
    rows = [scale * omega * side.cos(), scale * coriolis * centre.sin(), 1e-3 * centre.cos()]
    start = torch.stack(rows)[:, None].expand(3, 3, 60)
    time = math.pi / 2 / omega
    eta = model.run(start, 100, time / 100)[-1, 2, 0]
    phases = torch.fft.rfft(torch.stack([start[2, 0], eta]))[:, 2].angle()
    assert (phases[0] - phases[1]).item() == pytest.approx(omega * time, rel=0.01)
    torch.testing.assert_close(eta, 1e-3 * (centre - omega * time).cos(), rtol=0, atol=1e-5)


def test_linear_waves_leave_potential_vorticity_where_it_is():
    """On an f-plane, in each corner, with and without walls."""

    def change(model: ShallowWater, direction: torch.Tensor) -> torch.Tensor:
        return linear(model.potential_vorticity, model, direction)

    for model in (PERIODIC, make_model(walls=True)):
        direction = make_states(model)
        tendency = linear(model, model, direction)
        scale = change(model, direction).abs().max() * 1e-4
        assert (change(model, tendency).abs() < 1e-10 * scale).all()


def test_a_balanced_start_stays():
    model, eta = PERIODIC, make_states(PERIODIC, 2)[:, 2]
    start = model.geostrophic_start(eta)
    for state in start:
        turning = model.coriolis * state[:2].abs().max()
        assert linear(model, model, state).abs().max() < 1e-12 * turning
        geostrophic, ageostrophic = model.centred_velocity(state)
        assert ageostrophic.abs().max() < 1e-13 * geostrophic.abs().max()
        assert model.divergence(state).abs().max() < 1e-13 * state[:2].abs().max() / model.dx
    torch.testing.assert_close(model.mass(start), model.mass(torch.stack([eta] * 3, -3)))


def test_a_balanced_start_is_the_geostrophic_wind():
    """Of a smooth surface, against the derivatives at the places of u, v and eta."""
    model = make_model((50, 60))
    k, m = 2 * math.pi / (60 * model.dx), 2 * math.pi / (50 * model.dy)

    def wave(east, north):
        x, y = positions(model, east=east, north=north)
        return k * x + m * y

    u, v, eta = model.geostrophic_start(10 * wave(0.5, 0.5).cos())
    size = 10 * model.gravity / model.coriolis
    torch.testing.assert_close(u, size * m * wave(0, 0.5).sin(), rtol=0, atol=0.01 * size * m)
    torch.testing.assert_close(v, -size * k * wave(0.5, 0).sin(), rtol=0, atol=0.01 * size * k)
    torch.testing.assert_close(eta, 10 * wave(0.5, 0.5).cos(), rtol=0, atol=0.1)
    geostrophic, _ = model.centred_velocity(torch.stack([u, v, eta]))
    expected = size * wave(0.5, 0.5).sin() * torch.tensor([m, -k])[:, None, None]
    torch.testing.assert_close(geostrophic, expected, rtol=0, atol=0.01 * size * m)


def test_a_zonal_jet_rests_between_walls():
    """Beta, nonlinear terms and a large slope: eta is found row by row from a given u."""
    model = CHANNEL
    u = (0.5 * torch.arange(NY).double().sin()).tolist()
    h = [model.depth]
    f = model.coriolis + model.beta * model.dy * (torch.arange(NY).double() - NY / 2)
    for j in range(1, NY):
        h.append(h[-1])
        for _ in range(60):  # a contraction: dv/dt = 0 as a fixed point
            u_mean = (h[j] * u[j] + h[j - 1] * u[j - 1]) / (h[j] + h[j - 1])
            turn = (f[j].item() - (u[j] - u[j - 1]) / model.dy) * u_mean
            rise = turn * model.dy + (u[j] ** 2 - u[j - 1] ** 2) / 2
            h[j] = h[j - 1] - rise / model.gravity
    assert max(h) - min(h) > 5
    rows = torch.tensor([u, NY * [0.0], h], dtype=torch.float64)
    rows[2] -= model.depth
    state = rows[..., None].expand(3, NY, NX)
    assert model(state).abs().max() < 1e-13 * model.coriolis


def test_a_balanced_channel_flow_has_no_ageostrophic_part_on_an_f_plane():
    """A zonal flow, at the walls too; the surface next to them is that which was given."""
    model = make_model(walls=True)
    eta = make_states(model)[2, :, :1].expand(NY, NX)
    start = model.geostrophic_start(eta)
    geostrophic, ageostrophic = model.centred_velocity(start)
    assert geostrophic[0].abs().min() > 1e-3
    assert ageostrophic.abs().max() < 1e-13 * geostrophic.abs().max()
    torch.testing.assert_close(start[2, [0, -1]], eta[[0, -1]])


def test_the_ageostrophic_part_is_what_accelerates():
    """Far from balance: of a uniform flow without slope, all of it; and the two are the whole."""
    flow = torch.tensor([0.2, -0.1, 5.0], dtype=torch.float64)[:, None, None].expand(3, NY, NX)
    for model in (PERIODIC, make_model(walls=True)):
        geostrophic, ageostrophic = model.centred_velocity(flow)
        assert (geostrophic == 0).all()
        torch.testing.assert_close(ageostrophic, flow[:2])
    state = make_states(PERIODIC)
    total = sum(PERIODIC.centred_velocity(state))
    u = (state[0] + state[0].roll(-1, -1)) / 2
    expected = (u.roll(1, -2) + 2 * u + u.roll(-1, -2)) / 4
    torch.testing.assert_close(total[0], expected)


def test_a_step_adjusts_to_the_radius_of_deformation():
    """The mean of eta over inertial periods is step (1 - exp(-|x| / Ld)) (Gill 1982, 7.2)."""
    model = make_model((3, 160), dx=4e3, depth=100.0)
    radius = math.sqrt(model.gravity * model.depth) / model.coriolis
    x, _ = positions(model, east=0.5 - 80, north=0.0)
    start = torch.zeros(3, 3, 160, dtype=torch.float64)
    start[2] = 0.01 * torch.where(x < 0, -1.0, 1.0)
    eta = model.run(start, 900, 1300.0)[:, 2, 0].mean(0)
    expected = 0.01 * x.sign() * (1 - torch.exp(-x.abs() / radius))
    near = x.abs() < 4 * radius
    torch.testing.assert_close(eta[near], expected[near], rtol=0, atol=3e-4)


def test_rossby_waves_travel_west():
    """A wave between walls, at the speed -beta / (k^2 + l^2 + 1 / Ld^2)."""
    model = make_model((16, 24), dx=80e3, dy=60e3, beta=2e-11, walls=True, depth=4000.0)
    k, m = 2 * math.pi / (24 * model.dx), math.pi / (16 * model.dy)
    x, y = positions(model, east=0.5, north=0.5)
    start = model.geostrophic_start(0.01 * (k * x).cos() * (m * y).sin())
    radius_squared = model.gravity * model.depth / model.coriolis**2
    speed = -model.beta / (k**2 + m**2 + 1 / radius_squared)
    dt = 1.3 / model.cfl_number(start, 1.0)
    steps = round(20 * DAY / dt)
    states = model.run(start, steps, dt)
    phases = torch.fft.rfft((states[:, 2] * (m * y).sin()).sum(-2))[:, 1].angle()
    turned = torch.diff(phases).sum().item()
    assert -turned / k / (steps * dt) == pytest.approx(speed, rel=0.03)


def test_vorticity_and_divergence_are_derivatives():
    model = make_model((60, 50))
    k, m = 2 * math.pi / (50 * model.dx), 2 * math.pi / (60 * model.dy)

    def field(function, east, north):
        x, y = positions(model, east=east, north=north)
        return function(k * x + 2 * m * y)

    u, v = field(torch.sin, 0, 0.5), field(torch.cos, 0.5, 0)
    state = torch.stack([u, v, torch.full_like(u, 50.0)])
    spread = k * field(torch.cos, 0.5, 0.5) - 2 * m * field(torch.sin, 0.5, 0.5)
    torch.testing.assert_close(model.divergence(state), spread, rtol=0, atol=0.01 * (k + 2 * m))
    zeta = -k * field(torch.sin, 0, 0) - 2 * m * field(torch.cos, 0, 0)
    found = model.potential_vorticity(state) * 450 - model.coriolis
    torch.testing.assert_close(found, zeta, rtol=0, atol=0.01 * (k + 2 * m))


@pytest.mark.parametrize("walls", [False, True])
def test_a_mirror_image_turns_the_other_way(walls):
    """South and north exchanged, f with the other sign."""
    given = {"walls": walls, "viscosity": 1e10, "beta": 3e-10 * walls}
    model, other = make_model(**given), make_model(**given | {"coriolis": -1e-4})

    def mirror(state):
        u, v, eta = state.flip(-2).unbind(-3)
        return torch.stack([u, -v.roll(1, -2), eta], -3)

    states = make_states(model, 2)
    torch.testing.assert_close(other(mirror(states)), mirror(model(states)))
    eta = states[:, 2]
    start = other.geostrophic_start(eta.flip(-2))
    torch.testing.assert_close(start, mirror(model.geostrophic_start(eta)))
    turned = torch.tensor([1.0, -1.0], dtype=torch.float64)[:, None, None]
    for found, expected in zip(
        other.centred_velocity(mirror(states)), model.centred_velocity(states), strict=True
    ):
        torch.testing.assert_close(found, turned * expected.flip(-2))


def test_x_and_y_are_alike_without_walls():
    model = make_model(viscosity=1e10)
    other = make_model((NX, NY), dx=11e3, dy=9e3, coriolis=-1e-4, viscosity=1e10)
    states = make_states(model, 2)
    swapped = states[..., [1, 0, 2], :, :].mT
    torch.testing.assert_close(other(swapped), model(states)[..., [1, 0, 2], :, :].mT)


@pytest.mark.parametrize("model", [PERIODIC, CHANNEL])
def test_viscosity_takes_energy_and_no_mass(model):
    viscous = make_model(walls=model.walls, beta=model.beta, viscosity=1e10)
    states = make_states(model, 3)
    friction = viscous(states) - model(states)
    flat = states * torch.tensor([1.0, 1.0, 0.0])[:, None, None]
    assert ((flat * friction).sum((-1, -2, -3)) < 0).all() and (friction[..., 2, :, :] == 0).all()
    uniform = torch.tensor([0.3, 0.0, 5.0], dtype=torch.float64)[:, None, None].expand(3, NY, NX)
    torch.testing.assert_close(viscous(uniform), model(uniform), rtol=0, atol=1e-18)


@pytest.mark.parametrize("walls", [False, True])
def test_viscosity_is_biharmonic(walls):
    """A flow of wave number m decays at the rate viscosity m^4; between walls it slips."""
    model, rest = (make_model((40, 3), walls=walls, viscosity=number) for number in (1e10, 0.0))
    m = (2 - walls) * math.pi / (40 * model.dy)
    state = torch.zeros(3, 40, 3, dtype=torch.float64)
    state[0] = 0.1 * (m * positions(model, east=0, north=0.5)[1]).cos()
    state[1] = 0.1 * (m * positions(model, east=0, north=0.0)[1]).sin()
    expected = -1e10 * m**4 * state
    torch.testing.assert_close(model(state) - rest(state), expected, rtol=0.01, atol=1e-15)


def test_nothing_flows_through_walls():
    states = CHANNEL.run(make_states(CHANNEL, size=0.5), 20, 400.0)
    assert (states[:, 1, 0] == 0).all() and (states[-1, 1, 1:] != 0).all()


@pytest.mark.parametrize("walls", [False, True])
def test_derivatives_are_right(walls):
    model = make_model((3, 4), walls=walls, viscosity=1e10)
    start = make_states(model, size=0.3).requires_grad_()
    free = torch.ones_like(start)
    free[1, 0] = 1 - walls

    def outcome(state):
        final = model.run(free * state, 1, 600.0)[-1]
        parts = torch.cat([part.flatten() for part in model.centred_velocity(final)])
        return final, parts, 1e8 * model.potential_vorticity(final), model.energy(final) / 1e9

    assert torch.autograd.gradcheck(outcome, (start,), atol=1e-6)


@pytest.mark.parametrize("model", [PERIODIC, CHANNEL])
def test_a_batch_has_any_shape_and_dtype(model):
    states = make_states(model, 2, 3, size=0.5)
    found = model.run(states, 4, 300.0)
    assert found.shape == (2, 3, 5, 3, NY, NX)
    torch.testing.assert_close(found[1, 2], model.run(states[1, 2], 4, 300.0), rtol=0, atol=0)
    torch.testing.assert_close(found[..., 1, :, :, :], rk4_step(model, states, 300.0))
    single = model.run(states.float(), 4, 300.0)
    assert single.dtype == model.energy(single).dtype == model.divergence(single).dtype
    assert single.dtype == model.centred_velocity(single)[1].dtype == torch.float32
    torch.testing.assert_close(single.double(), found, rtol=1e-4, atol=1e-4)


def test_all_tensors_move_with_the_model():
    model = make_model(walls=True, viscosity=1e10).to("meta")
    state = torch.zeros(3, NY, NX, device="meta")
    parts = model(state), model.geostrophic_start(state[2]), model.potential_vorticity(state)
    assert all(part.is_meta for part in (*parts, *model.centred_velocity(state)))


@pytest.mark.parametrize("changes", [{}, {"coriolis": 2e-3}, {"viscosity": 3e12}])
def test_an_unstable_step_is_refused_before_the_first(changes):
    model, calls = make_model(**changes), []
    model.register_forward_hook(lambda *_: calls.append(1))
    start = make_states(model, size=1e-3)
    with pytest.raises(InvalidInputError, match=r"CFL number is .* limit is 1\.39") as refusal:
        model.run(start, 10, 5e3)
    assert not calls
    safe = float(re.search(r"this start is (\S+) s", str(refusal.value))[1])
    assert model.cfl_number(start, safe) == pytest.approx(1.39, rel=0.01)
    model.run(start, 1, safe)
    with pytest.raises(InvalidInputError, match="CFL"):
        model.run(start, 1, 1.01 * safe)


@pytest.mark.parametrize(
    ("changes", "rough"),
    [
        ({}, True),
        ({"gravity": 1e-9, "viscosity": 1e12}, True),
        ({"gravity": 1e-9, "coriolis": 2e-3}, False),
    ],
)
def test_the_limit_is_where_steps_become_unstable(changes, rough):
    """Of the shortest wave of the grid, or a uniform flow that turns: above it, they grow."""
    model = make_model((4, 6), **({"coriolis": 0.0} | changes))
    row, column = torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")
    pattern = 1e-6 * (1 - 2 * rough * ((row + column) % 2)).double()
    start = torch.stack([pattern, pattern, pattern])
    unit = model.cfl_number(start, 1.0)
    for number, grows in ((1.38, False), (1.46, True)):
        state = start
        for _ in range(150):
            state = rk4_step(model, state, number / unit)
        assert bool(state[0].abs().max() > 2e-6) == grows


def test_a_run_that_falls_dry_says_when():
    start = torch.zeros(3, NY, NX, dtype=torch.float64)
    start[0, :, 6], start[0, :, 7], start[2, :, 6] = -2.0, 2.0, -370.0
    with pytest.raises(InvalidInputError, match=r"at step [2-9] .* dry .* no longer finite"):
        PERIODIC.run(start, 20, 50.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (2, 9)}, "at least 3"),
        ({"dx": 0.0}, "dx=0.0; give a positive"),
        ({"depth": math.nan}, "depth=nan"),
        ({"beta": 2e-11}, "walls=True"),
        ({"viscosity": -1.0}, "not negative"),
        ({"coriolis": math.inf}, "finite"),
    ],
)
def test_parameters_out_of_range(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        make_model(**changes)


def test_starts_that_are_refused():
    start, moving = make_states(CHANNEL), make_states(PERIODIC)
    for state, steps, dt, message in [
        (start[..., :-1], 1, 10.0, "expected a shape"),
        (start, 0, 10.0, "steps=0"),
        (start, 1, -1.0, "dt=-1"),
        (start / 0, 1, 10.0, "not finite"),
        (start - 1e3, 1, 10.0, "the depth is 400 m"),
        (moving, 1, 10.0, "which is the walls"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            CHANNEL.run(state, steps, dt)
    with pytest.raises(InvalidTypeError, match="ndarray"):
        CHANNEL.run(start.numpy(), 1, 10.0)


@pytest.mark.parametrize("changes", [{"coriolis": 0.0}, {"beta": 2e-9, "walls": True}])
def test_there_is_no_balance_at_the_equator(changes):
    model = make_model(**changes)
    with pytest.raises(InvalidInputError, match="one side of the equator"):
        model.geostrophic_start(torch.zeros(NY, NX))
    with pytest.raises(InvalidInputError, match="one side of the equator"):
        model.centred_velocity(torch.zeros(3, NY, NX))


def test_the_repr_says_what_it_is():
    assert repr(CHANNEL).startswith("ShallowWater((12, 15), dx=9000.0, dy=11000.0, depth=400.0")
