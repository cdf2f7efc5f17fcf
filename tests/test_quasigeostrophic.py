"""Quasi-geostrophic layers against the theory of waves, of instability and of conservation."""

import math

import numpy as np
import pytest
import torch

from xdvarnet.dynamics.integration import integrate, rk4_step
from xdvarnet.dynamics.quasigeostrophic import ReducedGravityQG, TwoLayerQG
from xdvarnet.dynamics.spectral import SpectralGrid, advance
from xdvarnet.errors import InvalidInputError

F0, BETA, RADIUS, RATIO = 9e-5, 1.8e-11, 30e3, 0.25
DAY = 86400.0


def two_layers(rows=32, columns=48, spacing=20e3, dtype=torch.float64, **changes) -> TwoLayerQG:
    settings = {
        "f0": F0,
        "beta": BETA,
        "deformation_radius": RADIUS,
        "layer_ratio": RATIO,
        "currents": (0.0, 0.0),
        "drag": 0.0,
    }
    return TwoLayerQG(SpectralGrid(rows, columns, spacing, dtype=dtype), **settings | changes)


def one_layer(rows=24, columns=36, spacing=20e3) -> ReducedGravityQG:
    grid = SpectralGrid(rows, columns, spacing, dtype=torch.float64)
    return ReducedGravityQG(grid, f0=F0, beta=BETA, deformation_radius=RADIUS)


def wave(grid: SpectralGrid, across: int, up: int) -> torch.Tensor:
    """Plane wave (y, x) with whole numbers of wavelengths in x and in y."""
    x = torch.arange(grid.columns, dtype=torch.float64) / grid.columns
    y = torch.arange(grid.rows, dtype=torch.float64) / grid.rows
    return torch.cos(2 * math.pi * (across * x + up * y[:, None]))


def wavenumbers(grid: SpectralGrid, across: int, up: int) -> tuple[float, float]:
    turn = 2 * math.pi / grid.spacing
    return turn * across / grid.columns, turn * up / grid.rows


def smooth_eddies(model, strength: float, seed: int = 0) -> torch.Tensor:
    """State with stream functions of a few long waves, (layer, y, x)."""
    generator = np.random.default_rng(seed)
    waves = [
        strength * generator.standard_normal() * wave(model.grid, *generator.integers(1, 4, 2))
        for _ in range(4 * model.layers)
    ]
    return model.potential_vorticity(torch.stack(waves).unflatten(0, (model.layers, -1)).sum(1))


def test_energy_and_enstrophy_are_conserved():
    """Without shear, drag and filter, of the layers together and of each one."""
    model = two_layers(48, 64, beta=0.0)
    state = smooth_eddies(model, 5e3)
    energy, enstrophy = model.energy(state), model.enstrophy(state)
    for _ in range(60):
        state = rk4_step(model, state, 900.0)
    assert not torch.allclose(state, smooth_eddies(model, 5e3), rtol=0.1)
    torch.testing.assert_close(model.energy(state), energy, rtol=1e-8, atol=0)
    torch.testing.assert_close(model.enstrophy(state), enstrophy, rtol=1e-8, atol=0)


def test_drag_takes_energy_from_the_lower_layer():
    """At the rate ``2 drag`` times its kinetic energy."""
    drag = 1e-6
    model = two_layers(drag=drag)
    state = smooth_eddies(model, 5e3)
    u, v = (part[1] for part in model.velocity(state))
    lower = (u.square() + v.square()).mean() / 2 / (1 + RATIO)
    dt = 10.0
    loss = (model.energy(rk4_step(model, state, dt)) - model.energy(state)) / dt
    assert float(loss) == pytest.approx(float(-2 * drag * lower), rel=1e-4)


@pytest.mark.parametrize("mode", ["barotropic", "baroclinic"])
def test_rossby_waves_of_two_layers(mode):
    """They go westward with ``beta / (k^2 + l^2)`` and ``beta / (k^2 + l^2 + rd^-2)``."""
    model = two_layers()
    kx, ky = wavenumbers(model.grid, 3, 2)
    baroclinic = mode == "baroclinic"
    speed = -BETA / (kx**2 + ky**2 + baroclinic / RADIUS**2)
    layers = [1.0, -RATIO] if baroclinic else [1.0, 1.0]
    shape = torch.tensor(layers, dtype=torch.float64)[:, None, None]
    start = model.potential_vorticity(shape * wave(model.grid, 3, 2))
    assert measured_speed(model, start, kx) == pytest.approx(speed, rel=0.01)


def test_rossby_waves_of_one_layer():
    """As the baroclinic ones of two layers."""
    model = one_layer()
    kx, ky = wavenumbers(model.grid, 2, 1)
    start = model.potential_vorticity(wave(model.grid, 2, 1)[None])
    speed = -BETA / (kx**2 + ky**2 + RADIUS**-2)
    assert measured_speed(model, start, kx) == pytest.approx(speed, rel=0.01)


def measured_speed(model, start: torch.Tensor, kx: float) -> float:
    """Of a single wave, from the turn of its phase in five days."""
    end = advance(model, start, 5 * DAY, 3600.0)
    before, after = torch.fft.rfft2(start[0]).flatten(), torch.fft.rfft2(end[0]).flatten()
    main = before.abs().argmax()
    return float(-torch.angle(after[main] / before[main]) / kx / (5 * DAY))


def test_growth_of_the_phillips_instability():
    """A small wave grows as the eigenvalue of its 2 x 2 problem says, which is solved here."""
    currents, drag = (0.2, 0.03), 2e-7
    model = two_layers(4, 48, currents=currents, drag=drag)
    kx, _ = wavenumbers(model.grid, 4, 0)
    upper = 1 / (RADIUS**2 * (1 + RATIO))
    stretching = np.array([[-upper, upper], [RATIO * upper, -RATIO * upper]])
    operator = stretching - kx**2 * np.eye(2)
    gradient = BETA - stretching @ currents
    rate = -1j * kx * (np.diag(currents) + np.diag(gradient) @ np.linalg.inv(operator))
    rate = rate + np.diag([0, drag]) * kx**2 @ np.linalg.inv(operator)
    expected = np.linalg.eigvals(rate).real.max()
    state = model.potential_vorticity(1e-3 * wave(model.grid, 4, 0).expand(2, -1, -1))
    state = advance(model, state, 150 * DAY, 10 * 3600.0)
    later = advance(model, state, 20 * DAY, 10 * 3600.0)
    growth = float((later.norm() / state.norm()).log()) / (20 * DAY)
    assert expected > 1e-7
    assert growth == pytest.approx(expected, rel=0.01)


def test_divergence_balances_the_vorticity():
    """``D(zeta + beta y)/Dt = -f0 divergence`` and the divergent current has that divergence."""
    model = two_layers(currents=(0.15, 0.02), drag=1e-7)
    state, grid = smooth_eddies(model, 5e3), model.grid
    divergence = model.divergence(state)
    dt = 60.0
    zeta, after, before = (
        laplacian(grid, model.streamfunction(rk4_step(model, state, t))[0]) for t in (0, dt, -dt)
    )
    u, v = (part[0] for part in model.velocity(state))
    zeta_x, zeta_y = gradient(grid, zeta)
    change = (after - before) / (2 * dt) + u * zeta_x + v * (zeta_y + BETA)
    scale = float(change.abs().max())
    torch.testing.assert_close(-F0 * divergence, change, rtol=0, atol=1e-5 * scale)
    u_part, v_part = model.divergent_velocity(state)
    (u_x, u_y), (v_x, v_y) = gradient(grid, u_part), gradient(grid, v_part)
    torch.testing.assert_close(u_x + v_y, divergence, rtol=0, atol=1e-9 * divergence.abs().max())
    assert (v_x - u_y).abs().max() < 1e-9 * divergence.abs().max()
    assert 0.005 < u_part.std() / u.std() < 0.2


def gradient(grid: SpectralGrid, field: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    spectrum = grid.to_spectrum(field)
    return grid.to_field(grid.d_dx(spectrum)), grid.to_field(grid.d_dy(spectrum))


def laplacian(grid: SpectralGrid, field: torch.Tensor) -> torch.Tensor:
    return grid.to_field(grid.laplacian(grid.to_spectrum(field)))


@pytest.mark.parametrize("make", [two_layers, one_layer])
def test_stream_function_and_vorticity_are_inverse(make):
    model = make()
    psi = torch.randn(3, model.layers, model.grid.rows, model.grid.columns, dtype=torch.float64)
    psi = psi - psi.mean((-2, -1), keepdim=True)
    found = model.streamfunction(model.potential_vorticity(psi))
    torch.testing.assert_close(found, psi)


def test_a_height_is_kept_with_its_mean():
    """The layer of reduced gravity has no free constant."""
    model = one_layer()
    ssh = 0.3 + 0.1 * wave(model.grid, 1, 2)[None]
    torch.testing.assert_close(model.pressure_height(model.from_ssh(ssh)), ssh)


def test_currents_are_geostrophic():
    """To the right of the slope of the height, in central differences."""
    model = two_layers(48, 72, 10e3, currents=(0.1, 0.0))
    state = smooth_eddies(model, 5e3)
    height, (u, v) = model.pressure_height(state)[0], model.velocity(state)
    slope_y = (height.roll(-1, 0) - height.roll(1, 0)) / (2 * model.grid.spacing)
    slope_x = (height.roll(-1, 1) - height.roll(1, 1)) / (2 * model.grid.spacing)
    tolerance = 0.06 * float(u.std())
    torch.testing.assert_close(u[0] - 0.1, -9.81 / F0 * slope_y, rtol=0, atol=tolerance)
    torch.testing.assert_close(v[0], 9.81 / F0 * slope_x, rtol=0, atol=tolerance)


@pytest.mark.parametrize("make", [two_layers, one_layer])
def test_a_result_does_not_depend_on_its_batch(make):
    model = make()
    states = torch.stack([smooth_eddies(model, 5e3, seed) for seed in range(5)])
    together = advance(model, states, DAY, 3600.0)
    alone = advance(model, states[3], DAY, 3600.0)
    torch.testing.assert_close(together[3], alone, rtol=1e-10, atol=1e-20)


@pytest.mark.parametrize("make", [two_layers, one_layer])
def test_the_gradient_of_a_forecast(make):
    """It is that of central differences."""
    model = make(8, 12, 60e3)
    start = smooth_eddies(model, 1e4).requires_grad_()
    target = smooth_eddies(model, 1e4, seed=1)

    def cost(state: torch.Tensor) -> torch.Tensor:
        return 1e10 * (advance(model, state, DAY, 3 * 3600.0) - target).square().sum()

    (slope,) = torch.autograd.grad(cost(start), start)
    direction = smooth_eddies(model, 1.0, seed=2)
    with torch.no_grad():
        difference = (cost(start + direction) - cost(start - direction)) / 2
    assert float((slope * direction).sum()) == pytest.approx(float(difference), rel=1e-5)


def test_the_mirrored_sea_is_a_sea():
    """Northward to southward and all anomalies with the other sign: the tendency does the same."""
    model = two_layers(currents=(0.2, 0.0), drag=1e-6)
    state = smooth_eddies(model, 5e3)
    tendency, mirrored = model(state), -model(-state.flip(-2)).flip(-2)
    torch.testing.assert_close(mirrored, tendency, rtol=1e-9, atol=1e-24)


def test_single_precision_and_the_general_integration():
    """The model is one of `integrate`, and keeps the dtype of a state."""
    model = two_layers(dtype=torch.float32)
    state = smooth_eddies(two_layers(), 5e3).float()
    assert model(state).dtype == torch.float32

    def tendency(flat: torch.Tensor) -> torch.Tensor:
        return model(flat.unflatten(-1, state.shape)).flatten(-3)

    flat = integrate(tendency, state.flatten(), 2, 900.0)
    expected = rk4_step(model, rk4_step(model, state, 900.0), 900.0)
    torch.testing.assert_close(flat[-1].view_as(state), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"f0": 0.0}, "f0=0"),
        ({"deformation_radius": -1.0}, "deformation_radius=-1"),
        ({"layer_ratio": 0.0}, "layer_ratio=0"),
        ({"drag": -1e-7}, "drag=-1e-07"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(InvalidInputError, match=message):
        two_layers(**change)


def test_other_shapes_are_refused():
    with pytest.raises(InvalidInputError, match=r"\(2, 32, 48\)"):
        two_layers()(torch.zeros(2, 48, 32))
