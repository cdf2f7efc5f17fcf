"""Fields of unit variance on a domain, and the error of a model on simulated signals."""

import numpy as np
import pytest
import torch
from reconstructors import WholeIdentity
from scipy import integrate

from xdvarnet.calibration.errors import ErrorProcess
from xdvarnet.calibration.simulation import Simulation, UnitField
from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.spde.scales import TIME

PROCESS = ErrorProcess(
    offset=1e-4,
    slope=1.0,
    length=70.0,
    time=3.0,
    signal_std=0.2,
    signal_length=90.0,
    signal_time=6.0,
    noise=0.05,
)


def observations(days=4, rows=6, columns=9, *, observed=True, step=1.0):
    sea = np.ones((rows, columns), bool)
    sea[2:4, 3:] = False  # a peninsula
    values = np.full((days, rows, columns), 0.0 if observed else np.nan, np.float32)
    return Observations(
        {"ssh": values},
        step * np.arange(days),
        40 + 0.25 * np.arange(rows),
        5 + 0.4 * np.arange(columns),
        sea,
    )


def streams(count):
    return np.random.default_rng(0).spawn(count)


def generators(count, seed=0):
    return [torch.Generator().manual_seed(seed + i) for i in range(count)]


def test_the_variance_is_one_everywhere_also_beside_coasts():
    """Exactly: the covariance is W W^T, W being what colours noise."""
    given = observations()
    field = UnitField.on(given, 70.0, 3.0)
    rows, columns = field.domain.prior.chain.mesh.shape
    size = 4 * rows * columns
    colours = field.domain.prior.chain.colour(
        torch.eye(size, dtype=torch.float64).view(size, 4, rows, columns)
    )
    south, west = field.domain.margin.south, field.domain.margin.west
    variances = colours.square().sum(0)[:, south : south + 6, west : west + 9]
    np.testing.assert_allclose(variances[:, given.sea], 1, rtol=1e-8)
    assert south > 0
    assert west > 0


def test_correlations_are_those_of_the_scales():
    """Inside the domain, at one correlation length to the north; and in time, for daily steps.

    A mode of damping s has the variance 1 / (s^3 (1 + s / 2)) and forgets by 1 / (1 + s) a day.
    """
    given = observations(5, 11, 12)
    given.sea[:] = True
    given = Observations({}, given.days, given.latitude, given.longitude, given.sea)
    length = 3 * 0.25 * 111.195
    field = UnitField.on(given, length, 2.0)
    drawn = field.draw(generators(600)).astype(float)
    assert (drawn[:, :, 1:-4] * drawn[:, :, 4:-1]).mean() == pytest.approx(np.exp(-1), abs=0.05)
    least = TIME / 2.0

    def moment(lag):
        return integrate.quad(lambda s: s**-3 / (1 + s / 2) / (1 + s) ** lag, least, np.inf)[0]

    in_time = (drawn[:, 2:] * drawn[:, :-2]).mean()
    assert in_time == pytest.approx(moment(2) / moment(0), abs=0.03)
    assert in_time == pytest.approx(np.exp(-1), abs=0.08)


def test_each_generator_has_its_own_draw():
    field = UnitField.on(observations(), 70.0, 3.0)
    together = field.draw(generators(5))
    assert together.shape == (5, 4, 6, 9)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together[3:4], field.draw(generators(1, seed=3)), atol=1e-5)
    assert not np.allclose(together[0], together[1])


def test_days_that_are_not_one_apart_are_refused():
    with pytest.raises(InvalidInputError, match="steps by 2 days"):
        UnitField.on(observations(step=2.0), 70.0, 3.0)


def test_a_model_that_returns_the_observations_errs_by_their_noise():
    simulation = Simulation(WholeIdentity(window=None), {"ssh": PROCESS}, observations())
    errors = np.stack(
        [
            simulation.error(observations(), each)["ssh"]
            for each in np.random.default_rng(0).spawn(60)
        ]
    )
    assert errors.std() == pytest.approx(0.05, rel=0.05)


def test_a_model_that_returns_zero_errs_by_the_signal():
    given = []

    class Zero(WholeIdentity):
        def solve(self, observations, **options):
            given.append(observations)
            return Analysis({"ssh": np.zeros(observations.shape, np.float32)})

    model = Zero(window=None)
    simulation = Simulation(model, {"ssh": PROCESS}, observations())
    masked = observations()
    masked.values["ssh"][:, :, 4:] = np.nan
    errors = np.stack([simulation.error(masked, each)["ssh"] for each in streams(80)])
    assert errors[..., masked.sea].std() == pytest.approx(0.2, rel=0.08)
    seen = given[-1].values["ssh"]
    np.testing.assert_array_equal(np.isfinite(seen), np.isfinite(masked.values["ssh"]))
    noise = np.nanstd(seen - errors[-1])
    assert noise == pytest.approx(0.05, rel=0.15)
