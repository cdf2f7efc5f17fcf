"""Finite volumes: exactness, symmetry, conservation, land, upwind, errors, brute force."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.mesh import Mesh
from xdvarnet.spde.operator import advection, anisotropy_tensor, damping, diffusion
from xdvarnet.spde.stencil import OFFSETS, Stencil

LATITUDE = np.array([40.0, 40.5, 40.9, 41.4, 42.0])
LONGITUDE = np.array([358.0, 358.25, 358.75, 359.5, 360.0, 360.75])
SEA = np.array(
    [
        [1, 1, 1, 0, 1, 1],
        [1, 0, 1, 1, 1, 1],
        [1, 1, 0, 1, 0, 1],
        [0, 1, 1, 1, 0, 0],
        [1, 0, 1, 1, 1, 1],
    ],
    dtype=bool,
)
"""Islands, a bay, cells that meet at a corner alone, and a cell without neighbours."""


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return uniform numbers from 0 to 1 in double precision."""
    random = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=random, dtype=torch.float64)


def plane(rows: int, columns: int, *, dy: float = 7e3, dx: float = 11e3) -> Mesh:
    """Return a mesh with constant spacing."""
    return Mesh.from_metres(dy * torch.arange(rows), dx * torch.arange(columns))


def positions(rows: int, columns: int, *, dy: float, dx: float) -> tuple[torch.Tensor, ...]:
    """Return the positions north and east of the cells of such a mesh."""
    north, east = dy * torch.arange(rows).double(), dx * torch.arange(columns).double()
    return torch.meshgrid(north, east, indexing="ij")


def to_matrix(stencil: Stencil) -> np.ndarray:
    """Return the dense matrix."""
    return stencil.to_sparse().to_dense().numpy()


def random_tensor(shape: tuple[int, ...], *, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Return tensors of anisotropy 50, with any direction and sizes over three decades."""
    components = anisotropy_tensor(50.0, math.pi * draw(*shape, seed=seed))
    size = 10 ** (7 + 3 * draw(*shape, seed=seed + 1))
    return tuple(size * component for component in components)


# --- diffusion -----------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 4, 1.1, 2.5])
def test_diffusion_is_exact_on_quadratics(angle):
    """On constant spacing, away from the edges, -div(H grad u) is exact for all of degree two."""
    mesh = plane(6, 8)
    north, east = positions(6, 8, dy=7e3, dx=11e3)
    ee, en, nn = (3e8 * component for component in anisotropy_tensor(50.0, angle))
    operator = diffusion(mesh, (ee, en, nn)).scale(1 / mesh.area)
    cases = [
        (torch.ones_like(east), 0 * ee),
        (east, 0 * ee),
        (north, 0 * ee),
        (east * north, -2 * en),
        (east**2, -2 * ee),
        (north**2, -2 * nn),
    ]
    for field, expected in cases:
        inner = operator.apply(field)[1:-1, 1:-1]
        size = max(abs(expected.item()), 1.0)
        assert (inner - expected).abs().max() < 1e-11 * max(size, field.max() * 10)


def brute_force_diffusion(tensor: np.ndarray, sea: np.ndarray) -> np.ndarray:
    """Assemble by loops the energy of all centres and half-faces, and minimise over the latter.

    The geometry is worked out from the degrees again; `tensor` is (ny, nx, 2, 2).
    """
    rows, columns = sea.shape
    phi, lam = np.radians(LATITUDE), np.radians(LONGITUDE)

    def half_step(axis: np.ndarray, index: int, side: int) -> float:
        other = index + side if 0 <= index + side < len(axis) else index - side
        return abs(axis[other] - axis[index]) / 2

    names: dict[tuple, int] = {(r, c): r * columns + c for r in range(rows) for c in range(columns)}
    terms = []
    for row, column, side_n, side_e in itertools.product(
        range(rows), range(columns), (-1, 1), (-1, 1)
    ):
        if not sea[row, column]:
            continue
        dphi, dlam = half_step(phi, row, side_n), half_step(lam, column, side_e)
        face = phi[row] + side_n * dphi
        corner = (row + (side_n > 0), column + (side_e > 0))
        # the half of the face to the east (west) that ends at the corner, and that to the north
        key_east = ("between columns", corner, side_n)
        key_north = ("between rows", corner, side_e)
        for key in (key_east, key_north):
            names.setdefault(key, len(names))
        # gradient times sqrt(area), each direction with the lengths of its own half-face
        along_east = math.sqrt(dphi / (np.cos(phi[row]) * dlam)) * side_e
        along_north = math.sqrt(np.cos(face) * dlam / dphi) * side_n
        gradient = {
            (0, key_east): along_east,
            (0, (row, column)): -along_east,
            (1, key_north): along_north,
            (1, (row, column)): -along_north,
        }
        terms.append((gradient, tensor[row, column]))
    energy = np.zeros((len(names), len(names)))
    for gradient, h in terms:
        for ((i, a), x), ((j, b), y) in itertools.product(gradient.items(), repeat=2):
            energy[names[a], names[b]] += x * h[i, j] * y
    n = rows * columns
    inside = energy[n:, n:]
    return energy[:n, :n] - energy[:n, n:] @ np.linalg.solve(inside, energy[n:, :n])


def test_diffusion_equals_brute_force():
    """Against a global minimisation assembled by loops, on a stretched sphere with land."""
    ee, en, nn = random_tensor(SEA.shape)
    full = torch.stack([torch.stack([ee, en], -1), torch.stack([en, nn], -1)], -2)
    expected = brute_force_diffusion(full.numpy(), SEA)
    mesh = Mesh.from_degrees(LATITUDE, LONGITUDE, SEA)
    matrix = to_matrix(diffusion(mesh, (ee, en, nn)))
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("seed", range(5))
def test_diffusion_is_symmetric_and_positive_semidefinite(seed):
    """At anisotropy 50 with any directions and land; its null space: constants of each sea."""
    shape = (7, 9)
    sea = draw(*shape, seed=100 + seed).numpy() > 0.4
    mesh = Mesh.from_degrees(torch.linspace(50, 53, 7), torch.linspace(-5, -1, 9), sea)
    matrix = to_matrix(diffusion(mesh, random_tensor(shape, seed=seed)))
    assert (matrix == matrix.T).all()
    values = np.linalg.eigvalsh(matrix)
    seas = ndimage.label(sea)[1]  # joined through faces, not through corners
    zeros = seas + (~sea).sum()
    assert seas > 1
    assert values.min() > -1e-13 * values.max()
    assert (np.abs(values) < 1e-9 * values.max()).sum() == zeros


def uniform_symbol(stencil: Stencil, east: float, north: float) -> float:
    """Return the eigenvalue of an inner cell's stencil for a wave, in radians per cell."""
    inner = stencil.coefficients[:, 3, 4].tolist()
    waves = [math.cos(j * east + i * north) for i, j in OFFSETS]
    return sum(c * w for c, w in zip(inner, waves, strict=True))


@pytest.mark.parametrize("angle", [0.0, 0.2, math.pi / 4, 2.0])
def test_symbol_is_positive_at_anisotropy_50(angle):
    """No wave is below the five-point Laplacian times the least diffusion: no checkerboard."""
    stencil = diffusion(plane(7, 9, dx=1e3, dy=1e3), anisotropy_tensor(50.0, angle))
    waves = np.linspace(-np.pi, np.pi, 25)
    for east, north in itertools.product(waves, waves):
        least = 50**-0.5 * 4 * (math.sin(east / 2) ** 2 + math.sin(north / 2) ** 2)
        assert uniform_symbol(stencil, east, north) >= least - 1e-12


def faces_and_corners(mesh: Mesh, tensor: tuple[torch.Tensor, ...]) -> np.ndarray:
    """Return harmonic means on the faces, with cross terms on the corners, on a square grid."""
    ee, en, nn = (component.numpy() for component in tensor)
    rows, columns = mesh.shape
    matrix = np.zeros((rows * columns,) * 2)

    def add(factor: float, one: dict[int, float], other: dict[int, float]) -> None:
        for (a, x), (b, y) in itertools.product(one.items(), other.items()):
            matrix[a, b] += factor * x * y / 2
            matrix[b, a] += factor * x * y / 2

    for r, c in itertools.product(range(rows), range(columns)):
        here = r * columns + c
        for values, step, there in ((ee, 1, (r, c + 1)), (nn, columns, (r + 1, c))):
            if there[0] < rows and there[1] < columns:
                mean = 2 / (1 / values[r, c] + 1 / values[there])
                difference = {here: -1.0, here + step: 1.0}
                add(mean, difference, difference)
        if r + 1 < rows and c + 1 < columns:
            sw, se, nw, ne = here, here + 1, here + columns, here + columns + 1
            mean = en[r : r + 2, c : c + 2].mean()
            add(
                2 * mean,
                {sw: -0.5, se: 0.5, nw: -0.5, ne: 0.5},
                {sw: -0.5, se: -0.5, nw: 0.5, ne: 0.5},
            )
    return matrix


def test_faces_and_corners_apart_are_not_semidefinite():
    """Why the half-faces are eliminated together: harmonic means with separate cross terms fail.

    Both schemes are the same for a constant diagonal H, so that the comparison is fair.
    """
    mesh, tensor = plane(7, 9, dx=1e3, dy=1e3), random_tensor((7, 9))
    constant = tuple(torch.full((7, 9), value).double() for value in (3.0, 0.0, 1.0))
    same = to_matrix(diffusion(mesh, constant))
    np.testing.assert_allclose(faces_and_corners(mesh, constant), same, atol=1e-13)
    apart = np.linalg.eigvalsh(faces_and_corners(mesh, tensor))
    together = np.linalg.eigvalsh(to_matrix(diffusion(mesh, tensor)))
    assert apart.min() < -0.1 * together.max()
    assert together.min() > -1e-13 * together.max()


def test_little_diffusion_is_added_across_the_axis():
    """A wave of 8 cells across an oblique axis: within 7 % of -div(H grad), not 2.8 times it."""
    mesh, tensor = plane(7, 9, dx=1e3, dy=1e3), anisotropy_tensor(50.0, math.pi / 4)
    wave = 2 * math.pi / 8 / math.sqrt(2)
    exact = 50**-0.5 * 2 * wave**2
    assert uniform_symbol(diffusion(mesh, tensor), wave, -wave) == pytest.approx(exact, rel=0.07)
    ee, en, _ = (component.item() for component in tensor)
    apart = 8 * ee * math.sin(wave / 2) ** 2 - 2 * en * math.sin(wave) ** 2
    assert apart / exact > 2.7


def test_layers_are_resistances_in_series():
    """For a diagonal H, fluxes through a face have the harmonic mean of its two cells."""
    mesh = plane(3, 4)
    matrix = to_matrix(diffusion(mesh, (draw(3, 4) + 0.1, 0.0, draw(3, 4, seed=1) + 0.1)))
    ee, nn = (draw(3, 4) + 0.1).numpy(), (draw(3, 4, seed=1) + 0.1).numpy()
    assert matrix[5, 6] == pytest.approx(-2 / (1 / ee[1, 1] + 1 / ee[1, 2]) * 7 / 11)
    assert matrix[5, 9] == pytest.approx(-2 / (1 / nn[1, 1] + 1 / nn[2, 1]) * 11 / 7)
    assert abs(matrix[5, 10]) < 1e-15


def test_oblique_layers_are_exact():
    """Fields that are linear in each of two media, with one flux through the border, are kept."""
    mesh = plane(6, 8)
    north, east = positions(6, 8, dy=7e3, dx=11e3)
    left, right = anisotropy_tensor(50.0, 0.7), anisotropy_tensor(9.0, 2.2)
    is_left = (torch.arange(8) < 4).expand(6, 8)
    tensor = tuple(torch.where(is_left, a, b) for a, b in zip(left, right, strict=True))
    along, slope = 0.3, 1.0
    flux = left[0] * slope + left[1] * along
    other_slope = (flux - right[1] * along) / right[0]
    from_border = east - 3.5 * 11e3
    field = along * north + from_border * torch.where(is_left, slope, other_slope)
    residual = diffusion(mesh, tensor).apply(field)[1:-1, 1:-1]
    assert residual.abs().max() < 1e-10 * field.abs().max()


@pytest.mark.parametrize("wall", ["edge", "land"])
def test_no_flux_crosses_a_straight_coast(wall):
    """A linear field whose flux is parallel to the coast is kept, up to the coast."""
    sea = torch.ones(6, 8, dtype=torch.bool)
    sea[0] = wall == "edge"
    mesh = Mesh.from_metres(7e3 * torch.arange(6), 11e3 * torch.arange(8), sea)
    north, east = positions(6, 8, dy=7e3, dx=11e3)
    ee, en, nn = anisotropy_tensor(50.0, 0.7)
    field = east - en / nn * north
    residual = diffusion(mesh, (ee, en, nn)).apply(field)[:-1, 1:-1]
    assert residual.abs().max() < 1e-10 * field.abs().max()


def test_stretched_axes_keep_linear_fields():
    """Steps of any size: a uniform gradient has no divergence."""
    north, east = draw(6).cumsum(0), draw(8, seed=1).cumsum(0)
    mesh = Mesh.from_metres(north, east)
    field = 2 * north[:, None] - 3 * east
    residual = diffusion(mesh, anisotropy_tensor(50.0, 2.0)).apply(field)[1:-1, 1:-1]
    assert residual.abs().max() < 1e-11


def test_diffusion_converges_on_the_sphere():
    """Second order to the divergence on the sphere, with H varying, against autograd."""

    def fields(phi: torch.Tensor, lam: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ee, en, nn = anisotropy_tensor(4 + lam.sin(), 0.5 + phi)
        return torch.sin(3 * lam) * torch.cos(2 * phi), ee, en, nn

    def exact(phi: torch.Tensor, lam: torch.Tensor) -> torch.Tensor:
        def derivative(values: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
            return torch.autograd.grad(values.sum(), of, create_graph=True)[0]

        phi, lam = phi.clone().requires_grad_(), lam.clone().requires_grad_()
        field, ee, en, nn = fields(phi, lam)
        east, north = derivative(field, lam) / phi.cos(), derivative(field, phi)
        flux_east, flux_north = ee * east + en * north, en * east + nn * north
        divergence = derivative(flux_east, lam) + derivative(flux_north * phi.cos(), phi)
        return (-divergence / phi.cos() / 6.371e6**2).detach()

    errors = []
    for factor in (1, 2):
        latitude = torch.linspace(50, 70, 20 * factor + 1, dtype=torch.float64)
        longitude = torch.linspace(0, 30, 22 * factor + 1, dtype=torch.float64)
        mesh = Mesh.from_degrees(latitude, longitude)
        grid = torch.meshgrid(latitude.deg2rad(), longitude.deg2rad(), indexing="ij")
        field, *tensor = fields(*grid)
        result = diffusion(mesh, tuple(tensor)).apply(field) / mesh.area
        inner = (slice(2 * factor, -2 * factor),) * 2
        scale = exact(*grid)[inner].abs().max()
        errors.append(((result - exact(*grid))[inner].abs().max() / scale).item())
    assert errors[1] < 0.003
    assert 3.5 < errors[0] / errors[1] < 4.5


# --- advection -----------------------------------------------------------------------------------


def closed_stream_function(sea: np.ndarray, *, seed: int = 0) -> torch.Tensor:
    """Return a stream function at the corners, zero at coasts and edges."""
    inner = torch.as_tensor(
        ndimage.minimum_filter(np.pad(sea, 1), size=(2, 2))[1:, 1:]
    )  # all four cells around a corner are sea
    return torch.where(inner, 1e9 * (draw(*inner.shape, seed=seed) - 0.5), 0.0)


def wide_sea() -> np.ndarray:
    """Return a sea with an island and a coast."""
    sea = np.ones((7, 9), dtype=bool)
    sea[3, 4] = sea[0, :3] = sea[1, 0] = False
    return sea


def wide_mesh() -> Mesh:
    """Return a mesh of this sea."""
    return Mesh.from_degrees(torch.linspace(-30, -28, 7), torch.linspace(10, 14, 9), wide_sea())


def test_closed_flow_has_no_divergence():
    """Constants are in the null space where psi is constant along coasts and edges."""
    mesh, psi = wide_mesh(), closed_stream_function(wide_sea())
    assert (psi != 0).sum() > 20
    stencil = advection(mesh, psi)
    size = stencil.coefficients.abs().max()
    assert size > 1e8
    assert stencil.apply(torch.ones(mesh.shape).double()).abs().max() < 1e-14 * size
    shifted = advection(mesh, psi + 3e8)
    assert (shifted.coefficients - stencil.coefficients).abs().max() < 1e-14 * size
    assert advection(mesh, 5.0).coefficients.abs().max() == 0


def test_nothing_is_lost():
    """Columns of advection and of diffusion sum to zero, whatever the flow at coasts and edges."""
    mesh = wide_mesh()
    flow = advection(
        mesh, 1e9 * draw(8, 10), east=1e4 * (draw(7, 8) - 0.5), north=1e4 * (draw(6, 9) - 0.5)
    )
    stencil = flow + diffusion(mesh, random_tensor((7, 9)))
    matrix = to_matrix(stencil)
    assert np.abs(matrix.sum(0)).max() < 1e-14 * np.abs(matrix).max()
    tracer = draw(7, 9)
    assert abs(stencil.apply(tracer).sum()) < 1e-13 * np.abs(matrix).max()


def test_advection_equals_brute_force():
    """Upwind fluxes face by face, by loops."""
    mesh, psi = wide_mesh(), 1e9 * draw(8, 10)
    east, north = 2e4 * (draw(7, 8) - 0.5), 2e4 * (draw(6, 9) - 0.5)
    expected = np.zeros((63, 63))
    for r, c in itertools.product(range(7), range(9)):
        eastward = (c + 1 < 9) and mesh.east_length[r, c + 1] * east[r, min(c, 7)] - (
            psi[r + 1, c + 1] - psi[r, c + 1]
        )
        northward = (r + 1 < 7) and mesh.north_length[r + 1, c] * north[min(r, 5), c] + (
            psi[r + 1, c + 1] - psi[r + 1, c]
        )
        for flux, there in ((eastward, (r, c + 1)), (northward, (r + 1, c))):
            if there[0] < 7 and there[1] < 9 and mesh.sea[r, c] and mesh.sea[there]:
                here, other = r * 9 + c, there[0] * 9 + there[1]
                upstream = here if flux > 0 else other
                expected[here, upstream] += flux
                expected[other, upstream] -= flux
    matrix = to_matrix(advection(mesh, psi, east=east, north=north))
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_flow_goes_around_a_maximum_clockwise():
    """m = (-d psi/d north, d psi/d east): around a maximum, eastward in the north of it."""
    psi = torch.zeros(4, 5)
    psi[1:3, 1:4] = 1.0
    north_row = advection(plane(3, 4), psi).coefficients[:, 2, 1]
    assert north_row[3] == -1  # what it gets comes from the west
    assert advection(plane(3, 4), psi).coefficients[:, 0, 1][5] == -1


def test_upwind_is_an_m_matrix():
    """No positive entry off the diagonal, so an implicit step of a positive field is positive."""
    mesh = wide_mesh()
    velocities = {"east": 1e4 * (draw(7, 8) - 0.5), "north": 1e4 * (draw(6, 9) - 0.5)}
    matrix = to_matrix(advection(mesh, 1e9 * draw(8, 10), **velocities))
    off = matrix - np.diag(np.diag(matrix))
    assert off.max() <= 0 and np.diag(matrix).min() >= 0
    step = np.diag(mesh.area.flatten()) + 3 * matrix
    assert np.linalg.inv(step).min() >= -1e-25


@pytest.mark.parametrize(("speed", "expected"), [(0.1, 85e6), (0.5, 1171e6), (-0.1, 85e6)])
def test_numerical_diffusion_of_a_plane_wave(speed, expected):
    """Upwind and an implicit step of a day damp as |m| dx / 2 + m^2 dt / 2 (m2/day) does."""
    dx, dt, velocity = 11e3, 1.0, speed * 86400
    mesh = plane(3, 5, dx=dx)
    operator = advection(mesh, east=velocity).scale(1 / mesh.area)
    wave = 2 * math.pi / 40_000e3
    phase = wave * dx * torch.arange(5).double().expand(3, 5)
    real, imaginary = (operator.apply(part)[1, 2].item() for part in (phase.cos(), phase.sin()))
    rate = complex(real, imaginary) / np.exp(1j * phase[1, 2].item())
    damped = math.log(abs(1 + dt * rate)) / dt / wave**2
    assert damped == pytest.approx(abs(velocity) * dx / 2 + velocity**2 * dt / 2, rel=1e-3)
    assert damped == pytest.approx(expected, rel=5e-3)
    assert rate.imag == pytest.approx(velocity * wave, rel=1e-4)


def test_numerical_diffusion_of_a_pulse():
    """The variance of a pulse grows by twice that in a day, exactly, and its mean moves by m dt."""
    dx, dt, velocity, columns = 11e3, 0.5, 4e3, 150
    mesh = plane(2, columns, dx=dx)
    step = np.diag(mesh.area.flatten()) + dt * to_matrix(advection(mesh, east=velocity))
    pulse = np.zeros((2, columns))
    pulse[:, 5] = 1.0
    east = dx * np.arange(columns)
    moments = []
    for _ in range(3):
        pulse = np.linalg.solve(step, (mesh.area.numpy() * pulse).ravel()).reshape(2, columns)
        mean = (pulse[0] * east).sum() / pulse[0].sum()
        moments.append((mean, (pulse[0] * (east - mean) ** 2).sum() / pulse[0].sum()))
    (mean, variance), (next_mean, next_variance) = moments[1:]
    assert next_mean - mean == pytest.approx(velocity * dt, rel=1e-9)
    diffusivity = velocity * dx / 2 + velocity**2 * dt / 2
    assert next_variance - variance == pytest.approx(2 * diffusivity * dt, rel=1e-9)


# --- all terms -----------------------------------------------------------------------------------


def full_operator(mesh: Mesh, *, seed: int = 0) -> Stencil:
    """Return damping, advection and diffusion with random fields."""
    rows, columns = mesh.shape
    psi = 1e9 * draw(rows + 1, columns + 1, seed=seed)
    tensor = random_tensor(mesh.shape, seed=seed)
    return damping(mesh, 0.1 + draw(*mesh.shape)) + advection(mesh, psi) + diffusion(mesh, tensor)


def test_damping_is_area_times_rate():
    """On the diagonal only; land has its area."""
    mesh = Mesh.from_degrees(LATITUDE, LONGITUDE, SEA)
    rate = 0.1 + draw(*SEA.shape)
    expected = np.diag((mesh.area * torch.where(mesh.sea, rate, 1.0)).flatten())
    assert (to_matrix(damping(mesh, rate)) == expected).all()


def test_land_is_decoupled():
    """Land cells have no neighbours and are no neighbours; what is given there is not read."""
    mesh = Mesh.from_degrees(LATITUDE, LONGITUDE, SEA)
    matrix, land = to_matrix(full_operator(mesh)), ~SEA.ravel()
    assert (matrix[land][:, ~land] == 0).all() and (matrix[~land][:, land] == 0).all()
    assert (matrix[land][:, land] == np.diag(mesh.area.numpy().ravel()[land])).all()
    gap = torch.where(mesh.sea, 0.0, torch.nan)
    tensor = tuple(component + gap for component in random_tensor(SEA.shape))
    flow = advection(mesh, 1e9 * draw(6, 7), east=gap[:, 1:] + gap[:, :-1])
    again = damping(mesh, 0.1 + draw(*SEA.shape) + gap) + flow + diffusion(mesh, tensor)
    assert (to_matrix(again) == matrix).all()


def test_seas_that_meet_at_a_corner_are_apart():
    """Nothing flows through the point between two land cells."""
    sea = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1]], dtype=torch.bool)
    mesh = Mesh.from_metres(1e3 * torch.arange(4), 2e3 * torch.arange(3), sea)
    matrix = to_matrix(full_operator(mesh))
    assert matrix[4, 8] == matrix[8, 4] == 0
    assert matrix[1, 3] != 0  # a cross term in open sea


def test_transpose_is_the_adjoint():
    """<K x, y> = <x, K^T y>; diffusion is its own adjoint, advection is not."""
    mesh = Mesh.from_degrees(LATITUDE, LONGITUDE, SEA)
    operator = full_operator(mesh)
    x, y = draw(*SEA.shape, seed=3), draw(*SEA.shape, seed=4)
    left, right = (operator.apply(x) * y).sum(), (x * operator.transpose().apply(y)).sum()
    torch.testing.assert_close(left, right, rtol=1e-12, atol=0)
    assert not np.allclose(to_matrix(operator), to_matrix(operator).T)


def test_apply_equals_the_sparse_matrix():
    mesh, field = wide_mesh(), draw(7, 9)
    operator = full_operator(mesh)
    product = (operator.to_sparse() @ field.reshape(-1, 1)).reshape(7, 9)
    size = product.abs().max()
    assert (operator.apply(field) - product).abs().max() < 1e-13 * size


def test_parameters_are_numbers_fields_or_batches():
    """A batch gives one matrix for each of its parameters, equal to that of the parameter alone."""
    mesh = Mesh.from_degrees(LATITUDE, LONGITUDE, SEA)
    field = torch.ones(SEA.shape).double()
    number = diffusion(mesh, (2.0, 0.5, 1.0)).coefficients
    same = diffusion(mesh, (2 * field, torch.tensor(0.5), torch.ones(1, 1))).coefficients
    assert torch.equal(number, same)
    tensor = tuple(component[:, None] for component in random_tensor((3, *SEA.shape)))
    psi = 1e9 * draw(2, 6, 7)
    kappa2 = torch.tensor([0.1, 0.2, 0.3])[:, None, None, None]
    operator = damping(mesh, kappa2) + advection(mesh, psi) + diffusion(mesh, tensor)
    assert operator.coefficients.shape == (3, 2, 9, *SEA.shape)
    one = (
        damping(mesh, kappa2[2, 0, 0, 0])
        + advection(mesh, psi[1])
        + diffusion(mesh, tuple(component[2, 0] for component in tensor))
    )
    torch.testing.assert_close(operator.coefficients[2, 1], one.coefficients, rtol=1e-12, atol=1e-4)
    mixed = advection(mesh, psi, east=draw(3, 1, 5, 5)).coefficients
    assert mixed.shape == (3, 2, 9, *SEA.shape)


def test_gradients_of_all_parameters():
    """Against finite differences, on four by five cells with land."""
    sea = torch.ones(4, 5, dtype=torch.bool)
    sea[1, 2] = sea[3, 0] = False
    mesh = Mesh.from_metres([0.0, 0.7, 1.6, 2.0], [0.0, 1.1, 1.9, 3.0, 3.5], sea)
    field = draw(4, 5, seed=7)

    def product(
        kappa2: torch.Tensor,
        psi: torch.Tensor,
        east: torch.Tensor,
        north: torch.Tensor,
        size: torch.Tensor,
        ratio: torch.Tensor,
        angle: torch.Tensor,
    ) -> torch.Tensor:
        tensor = tuple(size * component for component in anisotropy_tensor(ratio, angle))
        flow = advection(mesh, psi, east=east, north=north)
        return (damping(mesh, kappa2) + flow + diffusion(mesh, tensor)).apply(field)

    parameters = (
        0.1 + draw(4, 5),
        draw(5, 6, seed=1),
        draw(4, 4, seed=2),
        draw(3, 5, seed=3),
        0.1 + draw(1, 1, seed=4),
        1 + 9 * draw(4, 5, seed=5),
        3 * draw(4, 5, seed=6),
    )
    assert torch.autograd.gradcheck(product, [p.requires_grad_() for p in parameters])


def test_gradients_are_finite_on_land():
    """What is not read has the gradient zero, also where it is NaN."""
    mesh = Mesh.from_degrees(LATITUDE, LONGITUDE, SEA)
    gap = torch.where(mesh.sea, 0.0, torch.nan)
    parameters = [(c + gap).requires_grad_() for c in random_tensor(SEA.shape)]
    rate = (0.1 + gap).requires_grad_()
    stencil = diffusion(mesh, tuple(parameters)) + damping(mesh, rate)
    stencil.coefficients.square().sum().backward()
    for parameter in (*parameters, rate):
        assert parameter.grad.isfinite().all() and (parameter.grad[~mesh.sea] == 0).all()


def test_the_row_next_to_a_pole_is_finite():
    """Faces at the pole have no length; nothing crosses them."""
    mesh = Mesh.from_degrees([86.0, 88.0, 89.5], [0.0, 10.0, 20.0, 40.0])
    stencil = diffusion(mesh, anisotropy_tensor(50.0, 0.6))
    assert stencil.coefficients.isfinite().all()
    values = np.linalg.eigvalsh(to_matrix(stencil))
    assert values.min() > -1e-13 * values.max()


# --- anisotropy ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("ratio", "angle"), [(50.0, 0.4), (0.3, 2.0), (1.0, 5.0)])
def test_anisotropy_has_unit_determinant_and_its_axis(ratio, angle):
    """Equal to ratio^(-1/2) (I + (ratio - 1) e e^T), whose eigenvalues have that ratio."""
    ee, en, nn = (component.item() for component in anisotropy_tensor(ratio, angle))
    axis = np.array([np.cos(angle), np.sin(angle)])
    expected = ratio**-0.5 * (np.eye(2) + (ratio - 1) * np.outer(axis, axis))
    np.testing.assert_allclose([[ee, en], [en, nn]], expected, rtol=1e-12, atol=1e-14)
    assert ee * nn - en**2 == pytest.approx(1, rel=1e-12)
    opposite = [component.item() for component in anisotropy_tensor(ratio, angle + math.pi)]
    np.testing.assert_allclose(opposite, [ee, en, nn], atol=1e-13)


def test_a_plume_spreads_along_the_axis():
    """One implicit step from a point: the covariance of the plume is 2 dt H."""
    mesh = plane(31, 35, dx=10e3, dy=8e3)
    ee, en, nn = (2e7 * component for component in anisotropy_tensor(9.0, 0.5))
    step = np.diag(mesh.area.flatten()) + 2.0 * to_matrix(diffusion(mesh, (ee, en, nn)))
    point = np.zeros((31, 35))
    point[15, 17] = 1.0
    plume = np.linalg.solve(step, point.ravel()).reshape(31, 35) * mesh.area.numpy()
    north, east = positions(31, 35, dy=8e3, dx=10e3)
    north, east = north.numpy() - 15 * 8e3, east.numpy() - 17 * 10e3
    assert plume.sum() == pytest.approx(1, rel=1e-12)
    for moment, component in ((east**2, ee), (east * north, en), (north**2, nn)):
        assert (plume * moment).sum() == pytest.approx(2 * 2.0 * component.item(), rel=1e-3)


# --- errors --------------------------------------------------------------------------------------


def spoilt(value: float, *, shape: tuple[int, ...] = (5, 6)) -> torch.Tensor:
    """Return ones, with two values replaced."""
    field = torch.ones(shape)
    field[..., 2, 3] = field[..., 3, 3] = value
    return field


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda mesh: damping(mesh, spoilt(-2.0)),
            r"kappa2 is -2 at index \(2, 3\), and 1 more are wrong; give positive and finite",
        ),
        (lambda mesh: damping(mesh, 0.0), "kappa2 is 0; give positive and finite values"),
        (lambda mesh: damping(mesh, spoilt(torch.inf)), r"kappa2 is inf at index \(2, 3\)"),
        (
            lambda mesh: damping(mesh, torch.ones(6, 5)),
            r"kappa2 has shape \(6, 5\); accepted are a number and \(..., 5, 6\)",
        ),
        (lambda mesh: damping(mesh, torch.ones(5)), r"kappa2 has shape \(5,\)"),
        (
            lambda mesh: diffusion(mesh, (1.0, 0.0, spoilt(0.0, shape=(2, 5, 6)))),
            r"tensor\[2\] \(north-north\) is 0 at index \(0, 2, 3\), and 3 more",
        ),
        (
            lambda mesh: diffusion(mesh, (spoilt(torch.nan), 0.0, 1.0)),
            r"tensor\[0\] \(east-east\) is nan at index \(2, 3\)",
        ),
        (
            lambda mesh: diffusion(mesh, (1.0, spoilt(torch.nan) - 1, 1.0)),
            r"tensor\[1\] \(east-north\) is nan at index \(2, 3\)",
        ),
        (
            lambda mesh: diffusion(mesh, (2.0, spoilt(1.5), 1.0)),
            r"determinant .* is -0.25 at index \(2, 3\), and 1 more .* positive definite",
        ),
        (lambda mesh: diffusion(mesh, (1.0, 1.0)), "has 2 components; give three"),
        (
            lambda mesh: advection(mesh, torch.ones(5, 6)),
            r"stream_function has shape \(5, 6\); accepted are a number and \(..., 6, 7\)",
        ),
        (
            lambda mesh: advection(mesh, spoilt(torch.nan, shape=(6, 7))),
            r"stream_function is nan at index \(2, 3\)",
        ),
        (
            lambda mesh: advection(mesh, east=torch.ones(5, 6)),
            r"east has shape \(5, 6\); .* \(..., 5, 5\)",
        ),
        (
            lambda mesh: advection(mesh, north=spoilt(torch.inf, shape=(4, 6))),
            r"north is inf at index \(2, 3\)",
        ),
        (lambda mesh: anisotropy_tensor(-1.0, 0.0), "ratio is -1; give positive"),
        (
            lambda mesh: anisotropy_tensor(torch.tensor([2.0, 0.0]), 0.0),
            r"ratio is 0 at index \(1,\); give positive and finite ratios",
        ),
        (lambda mesh: anisotropy_tensor(2.0, math.nan), "angle is nan; give finite radians"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(call, message):
    """The message names the parameter, the value and its place."""
    with pytest.raises(InvalidInputError, match=message):
        call(Mesh.from_degrees(LATITUDE, LONGITUDE))
