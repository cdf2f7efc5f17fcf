"""Calibration of ensembles: laws of a perfect ensemble, brute force, and the package scores."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from ensembles_of_tests import DIMS, cells, draw, gappy_members, gappy_truth
from scipy import stats

from xdvarnet.errors import InvalidInputError
from xdvarnet.metrics.calibration import (
    add_observation_noise,
    binned_spread_skill,
    coverage,
    expected_coverage,
    gaussian_pit,
    probability_integral_transform,
    rank_flatness,
    rank_histogram,
    spread_error_spectra,
    spread_skill_ratio,
)


@pytest.fixture
def truth():
    return gappy_truth()


@pytest.fixture
def members():
    return gappy_members()


def test_a_perfect_ensemble_has_the_ratio_1_flat_ranks_and_the_expected_coverage():
    """The sampling errors of 20000 points are below half the tolerances."""
    members, truth = draw(20000, 20)
    assert float(spread_skill_ratio(members, truth)) == pytest.approx(1, abs=0.015)
    histogram = rank_histogram(members, truth, rng=0)
    assert histogram.sizes == {"rank": 21}
    assert int(histogram.sum()) == 20000
    assert float(rank_flatness(histogram)) > 0.01
    pit = probability_integral_transform(members, truth, rng=0)
    assert stats.kstest(pit, "uniform").pvalue > 0.01


def test_p_values_of_perfect_ensembles_are_uniform():
    """Of 400 histograms of 200 independent points each, all in one call."""
    members, truth = draw(400 * 200, 6, seed=6)
    shaped = [
        array.coarsen(time=200).construct(time=("case", "point")) for array in (members, truth)
    ]
    p = rank_flatness(rank_histogram(*shaped, dim="point", rng=1))
    assert p.dims == ("case",)
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("size", [3, 20])
def test_half_the_spread(size):
    """The mean error has the variance 1 + 1/(4 M), instead of (1 + 1/M)/4 that the ratio wants."""
    members, truth = draw(20000, size, spread=0.5)
    expected = np.sqrt((size + 1) / size * 0.25 / (1 + 0.25 / size))
    assert float(spread_skill_ratio(members, truth)) == pytest.approx(expected, rel=0.02)
    histogram = rank_histogram(members, truth)
    assert int(histogram[0] + histogram[-1]) > 1.3 * 2 / (size + 1) * 20000
    assert float(rank_flatness(histogram)) < 1e-6
    assert float(coverage(members, truth)) < expected_coverage(0.9, size) - 0.1


@pytest.mark.parametrize(("size", "level"), [(100, 0.9), (20, 0.9), (8, 0.5), (2, 0.7)])
def test_coverage_of_a_perfect_ensemble(size, level):
    """Exact for uniform draws; of normal ones it is larger by at most 0.3 / (M + 1)."""
    rng = np.random.default_rng(7)
    points = 40000
    for values, slack in (
        (rng.uniform(size=(size + 1, points)), 0),
        (rng.normal(size=(size + 1, points)), 0.3 / (size + 1)),
    ):
        members = xr.DataArray(values[1:], dims=("member", "time"))
        found = float(coverage(members, xr.DataArray(values[0], dims="time"), level=level))
        expected = expected_coverage(level, size)
        assert expected - 0.008 < found < expected + slack + 0.008


def test_coverage_where_the_quantiles_are_members_is_exact_for_any_distribution():
    """Of 21 members the level 0.9 lies between the second and the last but one."""
    rng = np.random.default_rng(8)
    values = rng.lognormal(sigma=2, size=(22, 40000))
    found = coverage(
        xr.DataArray(values[1:], dims=("member", "time")), xr.DataArray(values[0], dims="time")
    )
    assert float(found) == pytest.approx(0.9 * 20 / 22, abs=0.006)


def test_the_stated_coverage_of_100_members():
    assert expected_coverage(0.9, 100) == pytest.approx(0.882, abs=5e-4)


def test_scores_equal_brute_force(members, truth):
    pairs = cells(members, truth)
    assert len(pairs) == 5 * (48 - 4) - 2
    size = len(pairs[0][0])
    spread = np.mean([x.var(ddof=1) for x, _ in pairs])
    skill = np.mean([(x.mean() - y) ** 2 for x, y in pairs])
    ratio = np.sqrt((size + 1) / size * spread / skill)
    ranks = np.bincount([(x < y).sum() for x, y in pairs], minlength=size + 1)
    inside = [np.quantile(x, 0.2) <= y <= np.quantile(x, 0.8) for x, y in pairs]
    assert float(spread_skill_ratio(members, truth)) == pytest.approx(ratio, rel=1e-12)
    np.testing.assert_array_equal(rank_histogram(members, truth), ranks)
    assert float(coverage(members, truth, level=0.6)) == pytest.approx(np.mean(inside))


def test_ranks_equal_those_of_the_package_scores(members, truth):
    probability = pytest.importorskip("scores", minversion="2.7").probability
    known = (members - truth).notnull().all("member")
    theirs = probability.rank_histogram(members.where(known, 0), truth.where(known), "member")
    ours = rank_histogram(members, truth)
    np.testing.assert_allclose(ours / ours.sum(), theirs)


def test_ties_are_broken_evenly():
    """The truth equals two of four members, above one: the ranks 1, 2 and 3."""
    values = np.repeat([[0.0], [1.0], [1.0], [2.0]], 9000, axis=1)
    members = xr.DataArray(values, dims=("member", "time"))
    truth = xr.DataArray(np.ones(9000), dims="time")
    found = rank_histogram(members, truth, rng=4)
    np.testing.assert_allclose(found, [0, 3000, 3000, 3000, 0], atol=200)
    xr.testing.assert_identical(found, rank_histogram(members, truth, rng=4))
    equal = rank_histogram(xr.ones_like(members), truth, rng=4)
    assert float(rank_flatness(equal)) > 0.01


def test_the_transform_falls_into_the_bins_of_the_ranks(members, truth):
    pit = probability_integral_transform(members, truth, rng=2)
    assert set(pit.dims) == {"time", "lat", "lon"}
    counts, _ = np.histogram(pit.values, np.linspace(0, 1, 9))
    np.testing.assert_array_equal(counts, rank_histogram(members, truth, rng=2))
    assert int(pit.notnull().sum()) == 5 * 44 - 2


@pytest.mark.parametrize(("error", "std"), [(0.0, 1.0), (0.3, 0.1), (-2.0, 0.7), (0.4, 2.5)])
def test_the_gaussian_transform_is_the_distribution_function(error, std):
    zero = xr.DataArray([0.0], dims="time")
    found = gaussian_pit(zero, zero + std, zero + error)
    assert float(found[0]) == pytest.approx(stats.norm(0, std).cdf(error))


def test_without_spread_the_transform_is_a_step():
    mean = xr.DataArray([1.0, 1.0, np.nan, 1.0], dims="time")
    std = xr.DataArray([0.0, 0.0, 1.0, np.nan], dims="time")
    truth = xr.DataArray([1.0, 3.0, 1.0, 1.0], dims="time")
    np.testing.assert_array_equal(gaussian_pit(mean, std, truth), [0.5, 1, np.nan, np.nan])


def test_the_gaussian_transform_is_uniform():
    _, truth = draw(20000, 2)
    mean = xr.DataArray(10 * np.random.default_rng(5).normal(size=20000), dims="time")
    pit = gaussian_pit(mean, xr.ones_like(mean), truth)
    assert stats.kstest(pit, "uniform").pvalue > 0.01


def test_noise_makes_members_comparable_with_measurements():
    """Without it a perfect ensemble looks overconfident along a track."""
    members, truth = draw(20000, 20)
    noise = xr.DataArray(np.linspace(0.2, 1.5, 20000), dims="time")
    measured = truth + noise * np.random.default_rng(12).normal(size=20000)
    noisy = add_observation_noise(members, noise, rng=13)
    assert float(spread_skill_ratio(members, measured)) < 0.8
    assert float(spread_skill_ratio(noisy, measured)) == pytest.approx(1, abs=0.015)
    assert float(rank_flatness(rank_histogram(noisy, measured))) > 0.01
    errors = (noisy - members) / noise
    assert stats.kstest(errors.values.reshape(-1), "norm").pvalue > 0.01
    correlation = np.corrcoef(errors) - np.eye(20)
    assert np.abs(correlation).max() < 0.04


def test_noise_keeps_everything_else(members):
    single = (
        members.astype("float32")
        .transpose("time", "member", ...)
        .assign_coords(member=[11, 12, 13, 14, 15, 16, 17])
    )
    found = add_observation_noise(single, 0.1, rng=3)
    assert found.dtype == "float32"
    assert found.dims == single.dims
    assert found.attrs == single.attrs
    assert found.name == single.name
    assert found.coords.to_dataset().identical(single.coords.to_dataset())
    assert found.isnull().equals(single.isnull())
    xr.testing.assert_identical(found, add_observation_noise(single, 0.1, rng=3))
    xr.testing.assert_identical(add_observation_noise(single, 0, rng=3), single)
    fewer = add_observation_noise(single.isel(member=slice(3)), 0.1, rng=3)
    xr.testing.assert_identical(fewer, found.isel(member=slice(3)))
    generator = np.random.default_rng(3)
    first, second = (add_observation_noise(single, 0.1, rng=generator) for _ in range(2))
    assert not first.equals(second)


def test_noise_has_units(members):
    centimetres = xr.DataArray(10.0, attrs={"units": "cm"})
    found = add_observation_noise(members, centimetres, rng=3)
    xr.testing.assert_allclose(found, add_observation_noise(members, 0.1, rng=3))


def test_spectra_of_spread_and_error_agree_for_a_perfect_ensemble():
    """At each wavelength, though the power falls by a factor of 100 from long to short ones."""
    rng = np.random.default_rng(14)
    shape = (4, 16, 50, 20)
    values = rng.normal(size=shape)
    for k in range(1, 20):
        values[..., k] += 0.9 * values[..., k - 1]
    coords = {
        "time": pd.date_range("2005-06-10", periods=16),
        "lat": -25 + np.arange(50),
        "lon": 0.5 * np.arange(20),
    }
    truth = xr.DataArray(values[0], coords, DIMS[1:], attrs={"units": "m"})
    members = xr.DataArray(values[1:], coords, DIMS, attrs={"units": "m"})
    found = spread_error_spectra(members, truth)
    assert set(found["spread"].dims) == {"frequency", "wavenumber"}
    assert found["error"].attrs["units"] == found["spread"].attrs["units"] == "m2 day degree"
    total = found.sum("frequency")
    assert float(total["error"].max() / total["error"].min()) > 30
    np.testing.assert_allclose(total["spread"] / total["error"], 1, atol=0.25)
    np.testing.assert_allclose(found["spread"].sum() / found["error"].sum(), 1, atol=0.1)
    half = spread_error_spectra(
        members.mean("member") + 0.5 * (members - members.mean("member")), truth
    )
    xr.testing.assert_allclose(half["spread"], found["spread"] / 4)


def test_other_wrong_parameters(members, truth):
    for level in (0, 1, 90):
        with pytest.raises(InvalidInputError, match=f"level={level} .*between 0 and 1"):
            coverage(members, truth, level=level)
        with pytest.raises(InvalidInputError, match="between 0 and 1"):
            expected_coverage(level, 5)
    with pytest.raises(InvalidInputError, match="members=1 .*at least two"):
        expected_coverage(0.9, 1)
    with pytest.raises(InvalidInputError, match="no 'rank'; give the counts"):
        rank_flatness(truth)
    with pytest.raises(InvalidInputError, match="rng='seed'"):
        rank_histogram(members, truth, rng="seed")


def test_wrong_noise(members, truth):
    with pytest.raises(InvalidInputError, match="noise=-1 is not accepted"):
        add_observation_noise(members, -1)
    with pytest.raises(InvalidInputError, match="noise is negative, -2 at the lowest"):
        add_observation_noise(members, xr.full_like(truth, -2))
    with pytest.raises(InvalidInputError, match=r"noise has the dimensions \['point'\]"):
        add_observation_noise(members, xr.DataArray([1.0, 2.0], dims="point"))
    with pytest.raises(InvalidInputError, match="noise is at other points"):
        add_observation_noise(members, truth[1:])
    with pytest.raises(InvalidInputError, match="do not convert"):
        add_observation_noise(members, xr.DataArray(1.0, attrs={"units": "degC"}))
    with pytest.raises(InvalidInputError, match="no 'member'"):
        add_observation_noise(truth, 0.1)


def test_bins_of_spread_are_of_equal_size_and_sorted(members, truth):
    """Brute force: the cells sorted by their spread, in four parts; two cells lack a value."""
    mean, std = members.mean("member", skipna=False), members.std("member", ddof=1, skipna=False)
    found = binned_spread_skill(mean, std, truth.transpose("lon", "time", "lat"), bins=4)
    pairs = sorted((x.std(ddof=1), x.mean() - y) for x, y in cells(members, truth))
    assert found["count"].values.tolist() == [55, 55, 54, 54]
    for number, part in enumerate(np.array_split(np.array(pairs), 4)):
        spread, error = np.sqrt((part**2).mean(0))
        assert float(found["spread"][number]) == pytest.approx(spread, rel=1e-12)
        assert float(found["error"][number]) == pytest.approx(error, rel=1e-12)
    assert found["spread"].attrs["units"] == found["error"].attrs["units"] == "m"


def test_error_equals_spread_in_each_bin_where_the_spread_is_right():
    """And the error is the same in all bins of a spread that says nothing."""
    rng = np.random.default_rng(15)
    std = xr.DataArray(rng.uniform(0.2, 3, 40000), dims="cell")
    truth = std * rng.normal(size=40000)
    zero = xr.zeros_like(truth)
    found = binned_spread_skill(zero, std, truth, bins=5)
    assert float(found["spread"][-1] / found["spread"][0]) > 5
    np.testing.assert_allclose(found["error"] / found["spread"], 1, atol=0.04)
    shuffled = binned_spread_skill(zero, std.copy(data=rng.permutation(std)), truth, bins=5)
    np.testing.assert_allclose(shuffled["error"] / float((truth**2).mean() ** 0.5), 1, atol=0.05)


def test_bins_that_are_not_accepted():
    zero = xr.DataArray(np.zeros(7), dims="time")
    with pytest.raises(InvalidInputError, match="7 cells .* fewer than the 8 bins"):
        binned_spread_skill(zero, zero + 1, zero, bins=8)
    with pytest.raises(InvalidInputError, match="bins=0"):
        binned_spread_skill(zero, zero + 1, zero, bins=0)
    with pytest.raises(InvalidInputError, match="is negative, -0.5"):
        binned_spread_skill(zero, zero - 0.5, zero, bins=2)
