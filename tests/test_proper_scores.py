"""Proper scores: laws of a perfect ensemble, brute force and integrals."""

import itertools
import sys

import numpy as np
import pytest
import xarray as xr
from ensembles_of_tests import brute_crps, cells, draw, gappy_members, gappy_truth
from scipy import integrate, stats

from xdvarnet.errors import InvalidInputError, MissingDependencyError
from xdvarnet.metrics.proper_scores import energy_score, fair_crps, gaussian_crps

pytest.importorskip("scores")


@pytest.fixture
def truth():
    return gappy_truth()


@pytest.fixture
def members():
    return gappy_members()


@pytest.mark.parametrize("spread", [1.0, 0.6])
def test_crps_does_not_depend_on_the_number_of_members(spread):
    """Its expectation is that of the normal distribution that the members are drawn from."""
    _, truth = draw(30000, 2, spread=spread)
    centre = 10 * np.random.default_rng(5).normal(size=30000)
    mean = xr.DataArray(centre, dims="time")
    closed = float(gaussian_crps(mean, xr.full_like(mean, spread), truth))
    for size in (2, 5, 20):
        members, truth = draw(30000, size, spread=spread)
        assert float(fair_crps(members, truth)) == pytest.approx(closed, abs=0.015), size


def test_crps_of_a_perfect_normal_ensemble():
    """It is 1 / sqrt(pi) standard deviations."""
    assert float(fair_crps(*draw(30000, 20))) == pytest.approx(1 / np.sqrt(np.pi), abs=0.01)


def test_crps_equals_brute_force(members, truth):
    pairs = cells(members, truth)
    assert len(pairs) == 5 * (48 - 4) - 2
    crps = np.mean([brute_crps(x, y) for x, y in pairs])
    assert float(fair_crps(members, truth)) == pytest.approx(crps, rel=1e-12)


def test_energy_score_equals_loops_over_pairs(members, truth):
    found = energy_score(members, truth, dim=("lat", "lon"))
    assert found.dims == ("time",)
    for day in range(5):
        pairs = cells(members[:, day : day + 1], truth[day])
        vectors = np.array([x for x, _ in pairs]).T
        y = np.array([y for _, y in pairs])
        apart = sum(np.linalg.norm(a - b) for a, b in itertools.permutations(vectors, 2))
        expected = np.mean([np.linalg.norm(a - y) for a in vectors]) - apart / (2 * 7 * 6)
        assert float(found[day]) == pytest.approx(expected, rel=1e-12)


def test_energy_score_of_single_values_is_the_crps(members, truth):
    column = members.isel(lon=[2]), truth.isel(lon=[2])
    found = energy_score(*column, dim="lon")
    xr.testing.assert_allclose(found, fair_crps(*column, dim="lon"))


def test_energy_score_sees_dependence():
    """Members with the right values at each place, but unlike the truth not in step, score worse.

    The fair score of both kinds is unbiased for five members.
    """
    rng = np.random.default_rng(9)
    common = rng.normal(size=(6, 3000, 1)) + 0.1 * rng.normal(size=(6, 3000, 4))
    dims = ("member", "time", "place")
    truth = xr.DataArray(common[0], dims=dims[1:])
    together = xr.DataArray(common[1:], dims=dims)
    apart = together.copy(data=rng.permuted(common[1:], axis=1))
    scores = [energy_score(x, truth, dim="place").mean() for x in (together, apart)]
    assert scores[0] < scores[1] - 0.05
    assert float(fair_crps(apart, truth)) == pytest.approx(float(fair_crps(together, truth)), 0.05)


@pytest.mark.parametrize(("error", "std"), [(0.0, 1.0), (0.3, 0.1), (-2.0, 0.7), (0.4, 2.5)])
def test_closed_form_equals_the_integral(error, std):
    """The CRPS is the integral of the squared difference of the distribution functions."""
    normal = stats.norm(0, std)
    below = integrate.quad(lambda x: normal.cdf(x) ** 2, -12 * std, error)[0]
    above = integrate.quad(lambda x: normal.sf(x) ** 2, error, error + 24 * std)[0]
    zero = xr.DataArray([0.0], dims="time")
    found = gaussian_crps(zero, zero + std, zero + error)
    assert float(found) == pytest.approx(below + above, rel=1e-6)


def test_without_spread_the_crps_is_the_absolute_error():
    mean = xr.DataArray([1.0, 1.0, np.nan, 1.0], dims="time")
    std = xr.DataArray([0.0, 0.0, 1.0, np.nan], dims="time")
    truth = xr.DataArray([1.0, 3.0, 1.0, 1.0], dims="time")
    found = gaussian_crps(mean, std, truth, dim=())
    np.testing.assert_array_equal(found, [0, 2, np.nan, np.nan])


def test_a_negative_standard_deviation(truth):
    with pytest.raises(InvalidInputError, match="-0.1 at the lowest.*standard deviation second"):
        gaussian_crps(truth, xr.full_like(truth, -0.1), truth)


def test_without_the_package_scores(monkeypatch, members, truth):
    monkeypatch.setitem(sys.modules, "scores.probability", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "xdvarnet\[verification\]"'):
        fair_crps(members, truth)
