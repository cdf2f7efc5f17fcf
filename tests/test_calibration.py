"""Scores of ensembles: laws of a perfect ensemble, brute force, and the package scores."""

import itertools
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import integrate, stats

from xdvarnet.errors import InvalidInputError, InvalidTypeError, MissingDependencyError
from xdvarnet.metrics.calibration import (
    add_observation_noise,
    coverage,
    energy_score,
    expected_coverage,
    fair_crps,
    gaussian_crps,
    gaussian_pit,
    probability_integral_transform,
    rank_flatness,
    rank_histogram,
    spread_error_spectra,
    spread_skill_ratio,
)
from xdvarnet.tracks.sample import sample_tracks

pytest.importorskip("scores")

DIMS = ("member", "time", "lat", "lon")
REDUCED = {
    "ratio": spread_skill_ratio,
    "ranks": lambda members, truth, **dim: rank_histogram(members, truth, rng=3, **dim),
    "coverage": lambda members, truth, **dim: coverage(members, truth, level=0.6, **dim),
    "crps": fair_crps,
    "energy": lambda members, truth, dim=("time", "lat", "lon"): energy_score(
        members, truth, dim=dim
    ),
}
each_score = pytest.mark.parametrize("function", REDUCED.values(), ids=REDUCED)


@pytest.fixture
def truth() -> xr.DataArray:
    """Return five days with land and a gap, 6 x 8 cells, in metres."""
    values = 0.2 + 0.1 * np.random.default_rng(21).normal(size=(5, 6, 8))
    values[:, 1:3, 4:6] = np.nan
    values[3, 5, 7] = np.nan
    coords = {
        "time": pd.date_range("2005-06-10", periods=5),
        "lat": 36 + 0.25 * np.arange(6),
        "lon": -1 + 0.5 * np.arange(8),
    }
    return xr.DataArray(values, coords, DIMS[1:], name="ssh", attrs={"units": "m"})


@pytest.fixture
def members(truth) -> xr.DataArray:
    """Return seven members, one of which has a gap that the truth has not."""
    values = 0.2 + 0.1 * np.random.default_rng(22).normal(size=(7, 5, 6, 8))
    values[2, 4, 0, 3] = np.nan
    return xr.DataArray(values, truth.coords, DIMS, name="ssh_members", attrs={"units": "m"})


def draw(points: int, size: int, *, spread: float = 1.0, seed: int = 5):
    """Draw members and a truth from one normal distribution in each point, a different one each.

    The distribution has the standard deviation 1, that of the members is `spread`.
    """
    rng = np.random.default_rng(seed)
    centre = 10 * rng.normal(size=points)
    truth = xr.DataArray(centre + rng.normal(size=points), dims="time")
    values = centre + spread * rng.normal(size=(size, points))
    return xr.DataArray(values, dims=("member", "time")), truth


def cells(members: xr.DataArray, truth: xr.DataArray) -> list[tuple[np.ndarray, float]]:
    """Return the members and the truth of each cell that counts, in a list."""
    flat = members.transpose(*DIMS).values.reshape(members.sizes["member"], -1).T
    pairs = zip(flat, truth.values.reshape(-1), strict=True)
    return [(x, y) for x, y in pairs if np.isfinite(x).all() and np.isfinite(y)]


def brute_crps(x: np.ndarray, y: float) -> float:
    """Sum over all pairs of members."""
    pairs = sum(abs(a - b) for a, b in itertools.permutations(x, 2))
    return np.mean([abs(a - y) for a in x]) - pairs / (2 * len(x) * (len(x) - 1))


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


@each_score
def test_the_order_of_members_changes_nothing(function, members, truth):
    mixed = members.isel(member=[4, 0, 6, 2, 1, 5, 3])
    xr.testing.assert_allclose(function(mixed, truth), function(members, truth))


@each_score
def test_missing_cells_are_left_out(function, members, truth):
    """A gap in the truth or in one member is as good as one in all."""
    known = (members - truth).notnull().all("member")
    everywhere = function(members.where(known), truth.where(known))
    xr.testing.assert_identical(function(members, truth), everywhere)
    changed = members.where(known, 99.0)
    xr.testing.assert_identical(function(changed, truth.where(known)), everywhere)


@each_score
def test_nothing_to_compare(function, members, truth):
    found = function(members.where(members.member < 0), truth)
    assert (found == 0).all() if "rank" in found.dims else np.isnan(found)


@each_score
@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.isel(lat=slice(None, None, -1)),
        lambda a: a.transpose("lon", ..., "time"),
        lambda a: a.assign_coords(lon=a.lon % 360).sortby("lon"),
        lambda a: a.assign_coords(time=a.time.astype("datetime64[us]")),
        lambda a: a.rename(lat="latitude", lon="longitude"),
        lambda a: (100 * a).assign_attrs(units="cm"),
    ],
    ids=["descending", "transposed", "0..360", "us", "names", "cm"],
)
def test_the_same_grid_written_otherwise(function, change, members, truth):
    """Members on another form of the grid are compared in that of the truth."""
    xr.testing.assert_allclose(function(change(members), truth), function(members, truth))


@pytest.mark.parametrize("dim", ["time", ("lat", "lon")])
@each_score
def test_lazy_equals_eager(function, dim, members, truth):
    dask = pytest.importorskip("dask")
    chunks = {"member": 3, "time": 2, "lat": 4}
    expected = function(members, truth, dim=dim)
    assert set(expected.dims) - {"rank"} == {*DIMS[1:]} - {*([dim] if dim == "time" else dim)}
    with dask.config.set(scheduler=_refuse):
        both = function(members.chunk(chunks), truth.chunk(time=3), dim=dim)
        one = function(members.chunk(chunks), truth, dim=dim)
    for found in (both, one):
        assert found.chunks is not None
        xr.testing.assert_allclose(found.compute(), expected)
        assert found.attrs == expected.attrs


def test_functions_that_do_not_reduce_are_lazy(members, truth):
    dask = pytest.importorskip("dask")
    mean, std = members.mean("member"), members.std("member")
    lazy = [array.chunk(time=2, lat=4) for array in (mean, std, members, truth)]
    with dask.config.set(scheduler=_refuse):
        found = [
            gaussian_crps(lazy[0], lazy[1], lazy[3], dim="time"),
            gaussian_pit(lazy[0], lazy[1], lazy[3]),
            probability_integral_transform(lazy[2], lazy[3], rng=1),
            rank_flatness(rank_histogram(lazy[2], lazy[3], rng=1)),
            add_observation_noise(lazy[2], 0.1, rng=1),
        ]
    expected = [
        gaussian_crps(mean, std, truth, dim="time"),
        gaussian_pit(mean, std, truth),
        probability_integral_transform(members, truth, rng=1),
        rank_flatness(rank_histogram(members, truth, rng=1)),
        add_observation_noise(members, 0.1, rng=1),
    ]
    assert found[-1].chunks == lazy[2].chunks
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.chunks is not None
        xr.testing.assert_allclose(ours.compute(), theirs)
        xr.testing.assert_equal(ours.compute(), ours.compute())


def _refuse(*args, **kwargs):
    raise AssertionError("something was computed")


def test_units_are_those_of_the_truth(members, truth):
    centimetres = (100 * truth).assign_attrs(units="cm")
    for function in (fair_crps, lambda *pair: energy_score(*pair, dim=DIMS[1:])):
        found = function(members, centimetres)
        assert found.attrs["units"] == "cm"
        assert float(found) == pytest.approx(100 * float(function(members, truth)))
    for function in (spread_skill_ratio, coverage, rank_histogram):
        found = function(members, centimetres)
        assert found.attrs["units"] == "1"
        xr.testing.assert_allclose(found, function(members, truth))
    mean, std = members.mean("member").assign_attrs(units="m"), 0.1 + 0 * truth
    expected = 100 * gaussian_crps(mean, std.assign_attrs(units="m"), truth)
    found = gaussian_crps(mean, std.assign_attrs(units="m"), centimetres)
    assert float(found) == pytest.approx(float(expected))
    assert found.attrs["units"] == "cm"


def test_arguments_are_untouched(members, truth):
    before = members.copy(deep=True), truth.copy(deep=True)
    for function in (*REDUCED.values(), probability_integral_transform, spread_error_spectra):
        function(members, truth)
    add_observation_noise(members, 0.1)
    xr.testing.assert_identical(members, before[0])
    xr.testing.assert_identical(truth, before[1])


@pytest.mark.parametrize(("error", "std"), [(0.0, 1.0), (0.3, 0.1), (-2.0, 0.7), (0.4, 2.5)])
def test_closed_form_equals_the_integral(error, std):
    """The CRPS is the integral of the squared difference of the distribution functions."""
    normal = stats.norm(0, std)
    below = integrate.quad(lambda x: normal.cdf(x) ** 2, -12 * std, error)[0]
    above = integrate.quad(lambda x: normal.sf(x) ** 2, error, error + 24 * std)[0]
    zero = xr.DataArray([0.0], dims="time")
    found = gaussian_crps(zero, zero + std, zero + error)
    assert float(found) == pytest.approx(below + above, rel=1e-6)
    assert float(gaussian_pit(zero, zero + std, zero + error)[0]) == pytest.approx(
        normal.cdf(error)
    )


def test_without_spread_the_crps_is_the_absolute_error():
    mean = xr.DataArray([1.0, 1.0, np.nan, 1.0], dims="time")
    std = xr.DataArray([0.0, 0.0, 1.0, np.nan], dims="time")
    truth = xr.DataArray([1.0, 3.0, 1.0, 1.0], dims="time")
    found = gaussian_crps(mean, std, truth, dim=())
    np.testing.assert_array_equal(found, [0, 2, np.nan, np.nan])
    np.testing.assert_array_equal(gaussian_pit(mean, std, truth), [0.5, 1, np.nan, np.nan])


def test_the_gaussian_transform_is_uniform():
    _, truth = draw(20000, 2)
    mean = xr.DataArray(10 * np.random.default_rng(5).normal(size=20000), dims="time")
    pit = gaussian_pit(mean, xr.ones_like(mean), truth)
    assert stats.kstest(pit, "uniform").pvalue > 0.01


@pytest.fixture
def track() -> xr.DataArray:
    """Return measurements along passes of two missions; two points have one time."""
    seconds = np.array([0, 1, 2, 2, 3, 4, 90, 91, 92])
    time = np.datetime64("2005-06-10T06:00:00", "ns") + seconds * np.timedelta64(1, "s")
    coords = {
        "time": time,
        "lat": ("time", 36 + 0.06 * np.arange(9)),
        "lon": ("time", -1 + 0.02 * np.arange(9)),
    }
    values = np.random.default_rng(10).normal(size=9)
    return xr.DataArray(values, coords, ["time"], attrs={"units": "m"})


def test_points_of_tracks(track):
    """They are compared one by one, not where times are near to each other."""
    rng = np.random.default_rng(11)
    values = rng.normal(size=(4, 9))
    members = xr.DataArray(values, track.coords, ("member", "time"), attrs={"units": "m"})
    expected = np.mean([brute_crps(x, y) for x, y in zip(values.T, track.values, strict=True)])
    assert float(fair_crps(members, track)) == pytest.approx(expected)
    coarser = members.assign_coords(time=members.time.astype("datetime64[us]"))
    assert float(fair_crps(coarser, track)) == pytest.approx(expected)
    swath = [array.expand_dims(across=2) for array in (members, track)]
    assert float(fair_crps(*swath)) == pytest.approx(expected)
    for other in (track[1:], track.assign_coords(time=track.time + np.timedelta64(1, "s"))):
        with pytest.raises(InvalidInputError, match="at other points.*Select the same points"):
            fair_crps(members, other)


def test_a_withheld_altimeter(shared_data):
    """Members made from real maps, at the points of Cryosat-2, in centimetres."""
    with (
        xr.open_dataset(shared_data("oi_gulfstream_201701.nc")) as maps,
        xr.open_dataset(shared_data("dt_gulfstream_c2_phy_l3_20161220_20170126.nc")) as tracks,
    ):
        draws = np.random.default_rng(15).normal(size=(6, *maps["c2"].shape))
        ensemble = (maps["c2"] + 0.05 * xr.DataArray(draws, dims=DIMS)).assign_attrs(units="m")
        members = sample_tracks(ensemble.to_dataset(name="ssh"), tracks)["ssh"]
        measured = 100 * (tracks["sla_unfiltered"] + tracks["mdt"] - tracks["lwe"]).load()
    measured.attrs = {"units": "cm"}
    noisy = add_observation_noise(members, 0.03, rng=16)
    pairs = zip(100 * noisy.values.T, measured.values, strict=True)
    known = [(x, y) for x, y in pairs if np.isfinite(x).all() and np.isfinite(y)]
    assert 400 < len(known) < 905
    crps = fair_crps(noisy, measured)
    assert float(crps) == pytest.approx(np.mean([brute_crps(x, y) for x, y in known]))
    assert int(rank_histogram(noisy, measured).sum()) == len(known)
    assert float(coverage(noisy, measured)) > float(coverage(members, measured))


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


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda m, t: (m.rename(member="realization"), t),
            InvalidInputError,
            "no 'member'; rename",
        ),
        (lambda m, t: (m[:1], t), InvalidInputError, "has size 1; give at least 2"),
        (lambda m, t: (m, m), InvalidInputError, "arguments swapped"),
        (lambda m, t: (m.to_dataset(), t), InvalidTypeError, "got Dataset; select one variable"),
        (lambda m, t: (m, t.values), InvalidTypeError, "got ndarray"),
        (lambda m, t: (m, t.assign_attrs(units="degC")), InvalidInputError, "do not convert"),
        (lambda m, t: (m, t.assign_coords(lat=t.lat + 40)), InvalidInputError, "no latitude in"),
        (lambda m, t: (m.isel(time=0, lat=0), t), InvalidInputError, "sample maps with"),
    ],
    ids=["member", "one", "swapped", "dataset", "numpy", "units", "region", "points"],
)
@each_score
def test_wrong_input(function, change, error, message, members, truth):
    if message == "sample maps with":
        members = members.rename(lat="row", lon="column").drop_vars(["row", "column"])
        with pytest.raises(error, match=message):
            function(members.isel(row=0), truth)
        return
    with pytest.raises(error, match=message):
        function(*change(members, truth))


@pytest.mark.parametrize("dim", ["depth", ("time", "member")])
@each_score
def test_wrong_dims(function, dim, members, truth):
    with pytest.raises(InvalidInputError, match=r"choose from \['time', 'lat', 'lon'\]"):
        function(members, truth, dim=dim)


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
    with pytest.raises(InvalidInputError, match="-0.1 at the lowest.*standard deviation second"):
        gaussian_crps(truth, xr.full_like(truth, -0.1), truth)
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


def test_without_the_package_scores(monkeypatch, members, truth):
    monkeypatch.setitem(sys.modules, "scores.probability", None)
    with pytest.raises(MissingDependencyError, match="pip install scores"):
        fair_crps(members, truth)
