"""The Gaussian field and its posterior, against dense algebra and the theory of its scales."""

import numpy as np
import pytest
import torch
from scipy import stats

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.chain import matern_chain
from xdvarnet.spde.cost import exact_memory
from xdvarnet.spde.engines import IndefiniteError
from xdvarnet.spde.field import Prior
from xdvarnet.spde.mesh import Mesh
from xdvarnet.spde.scales import TIME as TIME_ROOT
from xdvarnet.spde.scales import spde_parameters, stationary_variance

STEP = 15e3
LENGTH, TIME, STD = 70e3, 6.0, 0.05


def mesh(rows=9, columns=11, land=False) -> Mesh:
    sea = torch.ones(rows, columns, dtype=torch.bool)
    if land:
        sea[:3, 4:7] = False
    north = STEP * torch.arange(rows, dtype=torch.float64)
    east = 1.2 * STEP * torch.arange(columns, dtype=torch.float64)
    return Mesh.from_metres(north, east, sea)


def prior(times=3, **options):
    given = {"length": LENGTH, "time": TIME, "std": STD} | options
    cells = given.pop("mesh", mesh())
    return Prior(matern_chain(cells, times, **given))


def covariance(field) -> torch.Tensor:
    return torch.linalg.inv(field.precision.to_dense())


def observations(field, count=7, seed=0):
    """Return an operator that joins two cells in each observation, values and noise."""
    rng = np.random.default_rng(seed)
    unknowns = len(field.precision)
    rows, columns = field.mesh.shape
    at = rng.choice(unknowns - columns - 1, count, replace=False)
    at = at - (at % columns == columns - 1)
    share = rng.uniform(0.2, 0.8, count)
    dense = torch.zeros(count, unknowns, dtype=torch.float64)
    dense[range(count), at], dense[range(count), at + 1] = (
        torch.as_tensor(each) for each in (share, 1 - share)
    )
    values = torch.as_tensor(rng.normal(0, STD, count))
    return dense, values, torch.as_tensor(rng.uniform(0.005, 0.03, count))


@pytest.mark.parametrize("land", [False, True])
def test_the_posterior_is_that_of_dense_kriging(land):
    field = prior(mesh=mesh(land=land))
    operator, values, noise = observations(field)
    posterior = field.condition(operator.to_sparse(), values, noise)
    prior_covariance = covariance(field)
    gain = prior_covariance @ operator.T
    of_values = operator @ gain + torch.diag(noise**2)
    mean = gain @ torch.linalg.solve(of_values, values)
    variance = prior_covariance.diagonal() - (gain @ torch.linalg.inv(of_values) * gain).sum(1)
    torch.testing.assert_close(posterior.mean, mean, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(posterior.factor.variances(), variance, rtol=1e-8, atol=1e-14)


def test_the_log_likelihood_is_that_of_the_observations():
    field = prior()
    operator, values, noise = observations(field, count=12)
    posterior = field.condition(operator.to_sparse(), values, noise)
    of_values = operator @ covariance(field) @ operator.T + torch.diag(noise**2)
    expected = stats.multivariate_normal(cov=of_values.numpy()).logpdf(values.numpy())
    assert float(posterior.log_likelihood()) == pytest.approx(expected, rel=1e-9)


def test_the_normalised_field_has_its_standard_deviation_everywhere():
    """Also beside land and walls; and correlations are as before."""
    field = prior(mesh=mesh(land=True))
    normal = field.normalise(STD)
    before, after = covariance(field), covariance(normal)
    torch.testing.assert_close(after.diagonal().sqrt(), torch.full((len(after),), STD).double())

    def correlation(matrix):
        std = matrix.diagonal().sqrt()
        return matrix / std[:, None] / std

    torch.testing.assert_close(correlation(after), correlation(before))


def interior(times=2, rows=41, columns=37, **options):
    """Return covariances (time, row, column) with the middle of the first time, of a wide field."""
    field = prior(times=times, mesh=mesh(rows, columns), **options)
    middle = (rows // 2) * columns + columns // 2
    unit = torch.zeros(len(field.precision), dtype=torch.float64)
    unit[middle] = 1
    return field.factor().solve(unit).reshape(times, rows, columns)


def test_scales_and_variance_are_those_asked_for():
    """To some percent of the theory on the plane, with five cells in a length."""
    fields = interior(times=7)
    middle = fields[:, 20, 18]
    assert float(middle[0].sqrt()) == pytest.approx(STD, rel=0.03)
    north = (fields[0, 20:, 18] / middle[0]).numpy()
    assert np.interp(LENGTH, STEP * np.arange(north.size), north) == pytest.approx(0.368, abs=0.015)
    assert float(middle[6] / middle[0]) == pytest.approx(0.368, abs=0.03)


def test_the_variance_is_the_same_at_all_times():
    diagonal = prior(times=4).factor().variances().reshape(4, -1)
    torch.testing.assert_close(diagonal, diagonal[:1].expand(4, -1), rtol=1e-9, atol=0)


def test_an_anisotropic_field_is_longer_along_its_axis():
    """The lengths have the ratio asked for, and the geometric mean."""
    fields = interior(anisotropy=2.0, angle=np.pi / 2, length=60e3)
    one = (fields[0] / fields[0, 20, 18]).numpy()
    north, east = one[20:, 18], one[20, 18:]
    lengths = [
        np.interp(-np.exp(-1), -line, step * np.arange(line.size))
        for line, step in ((north, STEP), (east, 1.2 * STEP))
    ]
    assert lengths[0] / lengths[1] == pytest.approx(2, rel=0.05)
    assert np.sqrt(np.prod(lengths)) == pytest.approx(60e3, rel=0.05)


def test_features_propagate():
    """The centre of the covariance with later days moves as the implicit steps of a mode do."""
    speed = 12e3  # m/day
    fields = interior(times=3, columns=61, propagation=(speed, 0.0))
    east = 1.2 * STEP * (np.arange(61) - 30)
    centres = [float((row * east).sum() / row.sum()) for row in fields[:, 20].numpy()]
    a_day = speed / (1 + TIME_ROOT / TIME)
    np.testing.assert_allclose(np.diff(centres), a_day, rtol=0.03)
    assert abs(centres[0]) < 0.02 * a_day


@pytest.mark.parametrize("towards", [(30e3, 0.0), (-30e3, 10e3), (0.0, -25e3)])
def test_features_may_run_into_land(towards):
    """Where the velocity ends, the field stays a field: one precision, and no more variance."""
    field = prior(mesh=mesh(land=True), propagation=towards)
    still = prior(mesh=mesh(land=True))
    sea = field.mesh.sea.flatten().repeat(field.times)
    variances = [each.factor().variances()[sea] for each in (field, still)]
    assert (variances[0] > 0).all()
    assert variances[0].max() < 1.5 * variances[1].max()


def test_no_observation_gives_the_prior():
    field = prior()
    empty = torch.zeros(0, len(field.precision), dtype=torch.float64).to_sparse()
    nothing = torch.zeros(0, dtype=torch.float64)
    posterior = field.condition(empty, nothing, nothing)
    assert not posterior.mean.any()
    torch.testing.assert_close(posterior.factor.variances(), field.factor().variances())
    assert float(posterior.log_likelihood()) == pytest.approx(0.0, abs=1e-9)


def test_derivatives_of_likelihood_and_draws():
    """Of the density of the observations and of posterior draws, in parameters that vary."""
    cells = mesh(4, 5)
    start = {
        "length": 60e3 + 2e3 * torch.arange(20).view(4, 5),
        "std": torch.tensor(0.05),
        "time": torch.linspace(4, 6, 2)[:, None, None],
        "anisotropy": torch.tensor(1.5),
        "angle": torch.tensor(0.4),
    }
    operator, values, noise = observations(prior(times=2, mesh=cells), count=6)
    white = torch.randn(3, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def result(*logarithms):
        given = {
            name: value.double() * each.exp()
            for (name, value), each in zip(start.items(), logarithms, strict=True)
        }
        posterior = prior(times=2, mesh=cells, **given).condition(
            operator.to_sparse(), values, noise
        )
        draws = posterior.mean + posterior.factor.colour(white)
        return posterior.log_likelihood(), 100 * draws

    logarithms = [
        torch.zeros_like(value, dtype=torch.float64).requires_grad_() for value in start.values()
    ]
    assert torch.autograd.gradcheck(result, logarithms, rtol=1e-4, fast_mode=True)


def test_loss_of_definiteness_is_told_with_its_place():
    field = prior(mesh=mesh(land=True))
    unknown = (1 * 9 + 6) * 11 + 2
    negative = torch.zeros(field.unknowns, dtype=torch.float64)
    negative[unknown] = -1e20
    with pytest.raises(IndefiniteError, match="pivot at time 1, row 6, column 2 ") as caught:
        field.factor(torch.diag(negative).to_sparse())
    assert caught.value.unknown == unknown


def test_memory_is_checked_before_it_is_taken(monkeypatch):
    field = prior()
    needed = exact_memory(3, *field.mesh.shape)
    monkeypatch.setattr("xdvarnet.spde.cost.usable_memory", lambda device: needed - 1)
    with pytest.raises(InvalidInputError, match='use the iterative engine .engine="iterative"'):
        field.factor()
    assert "precision" not in vars(field)
    assert exact_memory(5, 30, 80) == exact_memory(5, 80, 30)


def variance_in_the_middle(spacing: float, step: float) -> float:
    """Return the variance of S^-1 v, over that of the continuous equation, far from the edges."""
    axes = [spacing * torch.arange(n) for n in (round(900e3 / spacing), round(960e3 / spacing))]
    chain = matern_chain(Mesh.from_metres(*axes), 1, length=100e3, time=8.0, std=1.0, step=step)
    variances = Prior(chain).factor().variances().view(chain.mesh.shape)
    rows, columns = chain.mesh.shape
    kappa, rate = spde_parameters(torch.tensor(100e3).double(), torch.tensor(8.0).double())
    continuous = 1 / (16 * torch.pi * rate * kappa**4)
    scale = chain.scale.flatten()[0]
    return (variances[rows // 2, columns // 2] * scale**2 / continuous).item()


def test_the_variance_converges_with_the_spacing_of_the_grid():
    """At second order, to that of daily steps: six cells in a correlation length are 2 % away."""
    kappa, rate = spde_parameters(torch.tensor(100e3).double(), torch.tensor(8.0).double())
    wanted = (stationary_variance(kappa, rate, 1.0) * 16 * torch.pi * rate * kappa**4).item()
    errors = [variance_in_the_middle(spacing, 1.0) / wanted - 1 for spacing in (60e3, 30e3, 15e3)]
    assert errors[0] / errors[1] > 2.5 and errors[1] / errors[2] > 3.5
    assert 0 < errors[2] < 0.02


def test_the_variance_converges_with_the_time_step():
    """At first order: halving a step that is short halves the change."""
    found = np.array([variance_in_the_middle(30e3, step) for step in (0.4, 0.2, 0.1, 0.05)])
    changes = np.diff(found)
    assert (changes > 0).all()
    np.testing.assert_allclose(changes[:-1] / changes[1:], 2, atol=0.1)
