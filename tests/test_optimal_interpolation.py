"""Optimal interpolation against the equations, written another way."""

import copy
import dataclasses
import itertools
import pickle

import numpy as np
import pytest
import torch

import xdvarnet.methods.optimal_interpolation.blended as module
import xdvarnet.methods.optimal_interpolation.local as local
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.grids.smoothing import local_mean
from xdvarnet.mapping.background import ObservedBackground
from xdvarnet.mapping.observations import Observations
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.methods.optimal_interpolation.interpolation import OptimalInterpolation

pytestmark = pytest.mark.filterwarnings("error")

RADIUS = 6371.0
IRREGULAR = np.array([20.0, 21, 22, 23.5, 29, 30, 47])


def make(
    days=IRREGULAR, rows=9, columns=11, *, density=0.12, seed=0, west=5.0, step=(0.25, 0.4)
) -> Observations:
    rng = np.random.default_rng(seed)
    shape = (days.size, rows, columns)
    values = rng.normal(0, 0.1, shape).astype(np.float32)
    values[rng.random(shape) > density] = np.nan
    sea = rng.random(shape[1:]) > 0.15
    values[:, ~sea] = np.nan
    values.flags.writeable = sea.flags.writeable = False
    latitude, longitude = (
        start + width * np.arange(size)
        for start, width, size in zip((40.0, west), step, (rows, columns), strict=True)
    )
    return Observations({"ssh": values}, days, latitude, longitude, sea)


def only(observations: Observations, cells: dict) -> Observations:
    """Return the same places with values at some (day, row, column) only."""
    values = np.full(observations.shape, np.nan, np.float32)
    for cell, value in cells.items():
        values[cell] = value
    sea = np.ones(observations.sea.shape, bool)
    return Observations(
        {"ssh": values}, observations.days, observations.latitude, observations.longitude, sea
    )


def interpolation(**options) -> OptimalInterpolation:
    options = {
        "correlation_length": "70 km",
        "correlation_time": "8 days",
        "noise": 0.03,
        "time_window": 1000,
        "neighbours": 10_000,
    } | options
    return OptimalInterpolation("ssh", **options)


def solve(method: OptimalInterpolation, observations: Observations):
    analysis = method.solve(observations)
    return analysis.mean["ssh"], analysis.std["ssh"]


def squared_distance(observations, first, second, length, time):
    """Scaled squares between cells (day, row, column) by the haversine formula of the chord."""
    (d1, r1, c1), (d2, r2, c2) = first, second
    lat, lon = np.deg2rad(observations.latitude), np.deg2rad(observations.longitude)
    half = np.sin((lat[r1][:, None] - lat[r2]) / 2) ** 2
    half += (
        np.cos(lat[r1])[:, None] * np.cos(lat[r2]) * np.sin((lon[c1][:, None] - lon[c2]) / 2) ** 2
    )
    chord = 2 * RADIUS * np.sqrt(half)
    lag = observations.days[d1][:, None] - observations.days[d2]
    return (chord / length) ** 2 + (lag / time) ** 2


def of_the_prior(observations: Observations) -> Observations:
    """Return the same places with values drawn from the prior, and noise."""
    here = np.nonzero(np.isfinite(observations.values["ssh"]))
    covariance = 0.1**2 * np.exp(-squared_distance(observations, here, here, 70, 8))
    covariance += 0.03**2 * np.eye(len(covariance))
    draw = np.linalg.cholesky(covariance) @ np.random.default_rng(5).standard_normal(
        len(covariance)
    )
    return only(observations, dict(zip(zip(*here, strict=True), draw, strict=True)))


def dense(observations: Observations, *, length, time, noise, std):
    """Analysis and formal error with all observations at all cells, by one matrix inversion."""
    values = observations.values["ssh"]
    std = np.broadcast_to(std, observations.sea.shape)
    here = np.nonzero(np.isfinite(values))
    everywhere = np.nonzero(np.ones(values.shape, bool))
    s_here, s_all = std[here[1:]], std[everywhere[1:]]
    c_yy = np.outer(s_here, s_here) * np.exp(
        -squared_distance(observations, here, here, length, time)
    )
    c_gy = np.outer(s_all, s_here) * np.exp(
        -squared_distance(observations, everywhere, here, length, time)
    )
    gain = c_gy @ np.linalg.inv(c_yy + noise**2 * np.eye(len(s_here)))
    mean = gain @ values[here].astype(float)
    variance = s_all**2 - (gain * c_gy).sum(1)
    return mean.reshape(values.shape), np.sqrt(variance).reshape(values.shape)


def test_it_is_a_reconstructor():
    assert isinstance(interpolation(), Reconstructor)


@pytest.mark.parametrize("days", [IRREGULAR, np.arange(10.0, 17.0)], ids=["irregular", "daily"])
def test_all_observations_give_the_dense_analysis(days):
    observations = make(days)
    mean, std = solve(interpolation(std=0.12), observations)
    wanted = dense(observations, length=70, time=8, noise=0.03, std=0.12)
    sea = np.broadcast_to(observations.sea, mean.shape)
    np.testing.assert_allclose(mean[sea], wanted[0][sea], atol=1e-6)
    np.testing.assert_allclose(std[sea], wanted[1][sea], atol=1e-6)
    assert mean.dtype == std.dtype == np.float32


def test_prior_variance_is_that_of_the_observations_less_the_noise():
    observations = make()
    mean, std = solve(interpolation(), observations)
    prior = np.sqrt(np.nanmean(observations.values["ssh"].astype(float) ** 2) - 0.03**2)
    wanted = dense(observations, length=70, time=8, noise=0.03, std=prior)
    sea = np.broadcast_to(observations.sea, mean.shape)
    np.testing.assert_allclose(mean[sea], wanted[0][sea], atol=1e-6)
    np.testing.assert_allclose(std[sea], wanted[1][sea], atol=1e-6)


def test_prior_variance_that_differs_from_place_to_place():
    observations = make(density=0.3)
    mean, std = solve(interpolation(std_length="40 km"), observations)
    squares = np.nan_to_num(observations.values["ssh"]).astype(float) ** 2
    counts = np.isfinite(observations.values["ssh"]).sum(0)
    latitude, longitude = observations.latitude, observations.longitude
    local = local_mean(squares.sum(0), counts, latitude, longitude, 40.0) - 0.03**2
    assert local.max() > 1.2 * local.min() > 0
    wanted = dense(observations, length=70, time=8, noise=0.03, std=np.sqrt(local))
    sea = np.broadcast_to(observations.sea, mean.shape)
    np.testing.assert_allclose(mean[sea], wanted[0][sea], atol=3e-6)  # metres, in single precision
    np.testing.assert_allclose(std[sea], wanted[1][sea], atol=3e-6)


def test_weak_observations_leave_a_prior_as_large_as_the_noise():
    observations = only(make(), {(2, 3, 4): 1e-4, (0, 7, 7): -1e-4})
    for options in ({}, {"std_length": "40 km"}):
        _, std = solve(interpolation(**options), observations)
        assert 0.3 * 0.03 < std.max() <= np.float32(0.03)


def test_single_observation_has_a_closed_form():
    observations = only(make(), {(3, 4, 6): 0.5})
    mean, std = solve(interpolation(std=0.2), observations)
    everywhere = np.nonzero(np.ones(mean.shape, bool))
    here = tuple(np.array([i]) for i in (3, 4, 6))
    correlation = np.exp(-squared_distance(observations, everywhere, here, 70, 8)).reshape(
        mean.shape
    )
    gain = 0.2**2 / (0.2**2 + 0.03**2)
    np.testing.assert_allclose(mean, gain * correlation * 0.5, atol=1e-7)
    np.testing.assert_allclose(std, 0.2 * np.sqrt(1 - gain * correlation**2), atol=1e-7)


def test_correlation_is_1_over_e_at_the_correlation_length_and_time():
    observations = make(np.array([0.0, 8, 9]), rows=12, step=(70 / 111.194926644558 / 2, 0.5))
    observations = only(observations, {(0, 4, 5): 1.0})
    mean, _ = solve(interpolation(std=0.2), observations)
    assert mean[0, 6, 5] / mean[0, 4, 5] == pytest.approx(np.exp(-1), rel=1e-4)
    assert mean[1, 4, 5] / mean[0, 4, 5] == pytest.approx(np.exp(-1), rel=1e-6)


def test_far_from_all_observations_the_prior_is_kept():
    observations = only(make(step=(2.0, 2.5)), {(1, 0, 0): 0.5})
    mean, std = solve(interpolation(std=0.2), observations)
    assert np.abs(mean[:, 4:, 4:]).max() < 1e-12
    np.testing.assert_allclose(std[:, 4:, 4:], 0.2)


def test_without_noise_the_observations_are_met():
    observations = make(step=(0.5, 0.7))
    mean, std = solve(interpolation(noise=1e-5, std=0.1), observations)
    observed = np.isfinite(observations.values["ssh"])
    np.testing.assert_allclose(mean[observed], observations.values["ssh"][observed], atol=1e-5)
    assert std[observed].max() < 2e-5
    assert std[:, observations.sea].max() > 0.05


@pytest.mark.parametrize("noise", [1e-4, 1e-8, 1e-14])
def test_dense_smooth_data_do_not_break_the_factorisation(noise):
    observations = make(np.arange(8.0), density=0.9, step=(0.01, 0.01))
    method = interpolation(
        correlation_length="900 km", correlation_time="90 days", noise=noise, std=0.1
    )
    mean, std = solve(method, observations)
    assert np.isfinite(mean).all()
    assert (std >= 0).all()


@pytest.mark.parametrize(
    ("days", "step", "tolerance"),
    [
        (np.arange(9.0), (0.125, 0.125), 0.1),
        (15 + 30.4 * np.arange(7.0), (0.125, 0.125), 0.01),  # each month has its own observations
        (np.arange(9.0), (1.0, 1.25), 0.002),  # cells larger than the correlation length
        (np.arange(9.0) / 8, (0.25, 0.4), 0.08),  # every three hours
    ],
    ids=["fine", "monthly", "coarse", "hourly"],
)
def test_few_neighbours_are_close_to_the_dense_analysis(days, step, tolerance):
    observations = of_the_prior(make(days, rows=14, columns=17, density=0.2, step=step))
    mean, std = solve(interpolation(std=0.1, neighbours=70, time_window=40), observations)
    exact, error = dense(observations, length=70, time=8, noise=0.03, std=0.1)
    sea = np.broadcast_to(observations.sea, mean.shape)
    assert (mean - exact)[sea].std() < tolerance * exact[sea].std()
    assert np.abs(std - error)[sea].max() < 0.02
    assert (std - error)[sea].min() > -1e-6  # fewer observations never know more


def test_time_window_excludes_observations():
    observations = only(make(np.arange(40.0)), {(5, 4, 4): 0.5})
    method = interpolation(std=0.2, correlation_time="1000 days", time_window=21)
    mean, std = solve(method, observations)
    seen = np.abs(mean[:, 4, 4]) > 0.1
    assert seen[:14].all()
    reach = 5 + 21 // 2 + 21 // 3 + 1  # a day uses the windows of nodes up to a third of one away
    assert not seen[reach:].any()
    np.testing.assert_allclose(std[reach:], 0.2)


def test_observations_on_land_are_not_used():
    observations = make()
    values = observations.values["ssh"].copy()
    values[:, ~observations.sea] = 7.0
    polluted = Observations(
        {"ssh": values},
        observations.days,
        observations.latitude,
        observations.longitude,
        observations.sea,
    )
    for one, other in zip(
        solve(interpolation(), observations), solve(interpolation(), polluted), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_without_observations_the_prior_is_returned():
    observations = only(make(), {})
    mean, std = solve(interpolation(std=0.2), observations)
    assert (mean == 0).all()
    np.testing.assert_allclose(std, 0.2)
    for options in ({}, {"std_length": "50 km"}):
        mean, std = solve(interpolation(**options), observations)
        assert (mean == 0).all()
        assert np.isfinite(std).all()


def test_a_turn_of_360_degrees_makes_no_difference():
    east, west = (solve(interpolation(), make(west=start)) for start in (5.0, -355.0))
    np.testing.assert_allclose(east, west, atol=1e-6)  # metres, of factors in single precision


def test_both_ends_of_a_global_grid_are_neighbours():
    step = (0.25, 360 / 720)
    observations = only(make(columns=720, west=0.0, step=step), {(1, 4, 719): 0.5})
    mean, _ = solve(interpolation(std=0.2), observations)
    np.testing.assert_allclose(mean[..., 0], mean[..., 718], atol=1e-7)
    assert mean[1, 4, 0] > 0.2


def globe(west: float, *, columns=72) -> Observations:
    """Return the same observed globe, from pole to pole, cut at another longitude."""
    rng = np.random.default_rng(3)
    latitude, longitude = np.linspace(-90, 90, 37), 5.0 * np.arange(columns)
    values = rng.normal(0, 0.1, (4, 37, columns)).astype(np.float32)
    values[rng.random(values.shape) > 0.1] = np.nan
    shift = int(west / 5)
    return Observations(
        {"ssh": np.roll(values, -shift, axis=2)},
        np.arange(4.0),
        latitude,
        longitude + west,
        np.ones((37, columns), bool),
    )


@pytest.mark.parametrize("west", [-180.0, 75.0, -360.0])
def test_a_globe_may_be_cut_anywhere(west):
    method = interpolation(correlation_length="900 km", neighbours=60)
    for field, other in zip(solve(method, globe(0.0)), solve(method, globe(west)), strict=True):
        turned = np.roll(other, int(west / 5), axis=2)
        np.testing.assert_allclose(turned, field, atol=5e-6)  # metres, in single precision


def test_a_pole_is_one_place():
    mean, std = solve(interpolation(correlation_length="900 km", neighbours=60), globe(0.0))
    for field in (mean, std):
        assert np.ptp(field[:, [0, -1]], axis=2).max() < 1e-6
    observations = globe(0.0)
    observations.values["ssh"][:] = np.nan
    observations.values["ssh"][1, -2, 0] = 0.5
    mean, _ = solve(interpolation(correlation_length="900 km", std=0.2), observations)
    exact = dense(observations, length=900, time=8, noise=0.03, std=0.2)[0]
    np.testing.assert_allclose(mean, exact, atol=1e-6)
    assert mean[1, -2, 36] > 0.05  # 1112 km across the pole


def third_differences(fields: np.ndarray, axis: int, period: int) -> np.ndarray:
    """Mean magnitude of third differences along an axis, by their phase in a period."""
    steps = np.abs(np.moveaxis(np.diff(fields, n=3, axis=axis), axis, 0))
    return np.array([steps[phase::period].mean() for phase in range(period)])


def test_maps_have_no_seams():
    days, step = np.arange(30.0), (0.125, 0.125)
    observations = of_the_prior(make(days, rows=32, columns=41, density=0.02, step=step))
    fields = solve(interpolation(std=0.1, neighbours=100), observations)
    exact = dense(observations, length=70, time=8, noise=0.03, std=0.1)
    for axis, period in itertools.product((0, 1, 2), (3, 4, 5)):
        for field, reference in zip(fields, exact, strict=True):
            phases = third_differences(field, axis, period)
            usual = third_differences(reference, axis, period)
            np.testing.assert_allclose(phases, usual, rtol=0.1)


def test_float32_factors_are_as_good_as_float64_where_they_are_used(monkeypatch):
    observations = of_the_prior(make(np.arange(9.0), density=0.3, step=(0.125, 0.125)))
    for noise in (0.03, 0.006, 0.0002):
        method = interpolation(std=0.1, noise=noise)
        chosen = solve(method, observations)
        with monkeypatch.context() as patch:
            patch.setattr(local, "LARGEST_CONDITION", 0.0)
            exact = solve(method, observations)
        np.testing.assert_allclose(chosen, exact, atol=3e-5)  # of observations of 0.1


@pytest.mark.parametrize(
    ("covariance", "function"),
    [
        ("matern32", lambda d: (1 + 2.1461932 * d) * np.exp(-2.1461932 * d)),
        ("matern52", lambda d: (1 + 2.90463 * d + (2.90463 * d) ** 2 / 3) * np.exp(-2.90463 * d)),
    ],
)
def test_a_single_observation_spreads_as_the_covariance_says(covariance, function):
    observations = only(make(), {(3, 4, 6): 0.5})
    mean, std = solve(interpolation(std=0.2, covariance=covariance), observations)
    everywhere = np.nonzero(np.ones(mean.shape, bool))
    here = tuple(np.array([i]) for i in (3, 4, 6))
    in_space = squared_distance(observations, everywhere, here, 70, 1e9)
    in_time = squared_distance(observations, everywhere, here, 1e9, 8)
    correlation = function(np.sqrt(in_space)) * function(np.sqrt(in_time))
    gain = 0.2**2 / (0.2**2 + 0.03**2)
    expected = gain * correlation.reshape(mean.shape)
    np.testing.assert_allclose(mean, expected * 0.5, atol=1e-5)
    np.testing.assert_allclose(
        std, 0.2 * np.sqrt(1 - gain * correlation.reshape(mean.shape) ** 2), atol=1e-5
    )


def test_a_dense_analysis_that_does_not_fit_into_memory_is_refused(monkeypatch):
    free = module.psutil.virtual_memory()._replace(available=10_000)
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: free)
    with pytest.raises(InvalidInputError, match="memory are free; give fewer neighbours"):
        solve(interpolation(), make())
    assert np.isfinite(solve(interpolation(neighbours=5), make(density=0.01))[0]).all()


def test_work_in_threads_keeps_its_order_and_leaves_those_of_torch():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        found = list(module.one_core_each(lambda n: (n, torch.get_num_threads()), range(20)))
        assert found == [(n, 1) for n in range(20)]
        with pytest.raises(ZeroDivisionError):
            list(module.one_core_each(lambda n: 1 / n, [1, 0]))
        assert torch.get_num_threads() == 3
        many = solve(interpolation(neighbours=20), make())
        torch.set_num_threads(1)
        np.testing.assert_array_equal(many, solve(interpolation(neighbours=20), make()))
    finally:
        torch.set_num_threads(before)


def test_results_do_not_depend_on_the_batches(monkeypatch):
    observations = make()
    one = solve(interpolation(neighbours=20), observations)
    monkeypatch.setattr(module, "BATCH_BYTES", 1)
    np.testing.assert_allclose(solve(interpolation(neighbours=20), observations), one, atol=1e-8)


def test_it_can_be_copied_and_says_what_it_is():
    method = interpolation(std=0.1)
    for other in (copy.deepcopy(method), pickle.loads(pickle.dumps(method))):
        assert repr(other) == repr(method)
        np.testing.assert_array_equal(solve(other, make()), solve(method, make()))
    for part in ("'ssh'", "70 km", "8 days", "noise=0.03", "std=0.1", "ObservedBackground"):
        assert part in repr(method)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": -0.01}, "noise=-0.01 is not accepted; give more than zero, in m"),
        ({"noise": 0}, "noise=0 is not accepted"),
        ({"noise": "3 bananas"}, "noise='3 bananas' is not understood; give a number and units"),
        ({"noise": "ssh"}, "noise='ssh' is the variable that is observed"),
        ({"noise": " "}, "noise=' ' is not understood; give a number and units"),
        ({"noise": True}, "noise=True is no number"),
        ({"noise": np.inf}, "noise=inf is not accepted"),
        ({"std": 0.0}, "std=0.0 is not accepted"),
        ({"std": 0.1, "std_length": "50 km"}, "exclude each other"),
        ({"correlation_length": "60 days"}, "correlation_length='60 days' is not understood"),
        ({"correlation_length": -60}, "correlation_length=-60"),
        ({"correlation_time": "20 km"}, "correlation_time='20 km' is not understood"),
        ({"time_window": 0}, "time_window=0 is not accepted"),
        ({"neighbours": -3}, "neighbours=-3 is not accepted"),
        ({"neighbours": 3.5}, "neighbours=3.5 is not accepted; give a whole number"),
        ({"device": "abacus"}, "device 'abacus' cannot be used here"),
        ({"units": "foo"}, "units='foo' are not known"),
    ],
)
def test_parameters_that_are_not_accepted(options, message):
    with pytest.raises(InvalidInputError, match=message):
        interpolation(**options)


def test_a_covariance_has_a_known_name():
    with pytest.raises(UnknownNameError, match="known are gaussian, matern32, matern52"):
        interpolation(covariance="cubic")


def test_noise_and_std_may_have_units():
    method = interpolation(noise="3 cm", std="100 mm")
    assert (method.noise, method.std) == pytest.approx((0.03, 0.1))
    assert interpolation(units="cm", noise="0.03 m").noise == pytest.approx(3)


def test_units_of_lengths_and_times_convert():
    one = interpolation(correlation_length="70000 m", correlation_time="192 hours")
    assert (one.correlation_length, one.correlation_time) == pytest.approx((70, 8))


def test_it_has_no_members():
    with pytest.raises(InvalidInputError, match="has no ensemble.*Leave members=None"):
        interpolation().solve(make(), members=3, rng=np.random.default_rng(0))


def test_the_variable_is_one_name():
    with pytest.raises(InvalidTypeError, match=r"variable=\['ssh'\] is no string"):
        OptimalInterpolation(["ssh"], correlation_length=60, correlation_time=9, noise=0.1)


@pytest.mark.parametrize("background", [ObservedBackground, "observed"])
def test_a_background_is_an_object(background):
    with pytest.raises(InvalidTypeError, match="is no background; give one such as"):
        interpolation(background=background)
    with pytest.raises(InvalidTypeError, match="is no background; give one such as"):
        interpolation().with_options(background=background)


def test_the_representation_has_the_units():
    assert "noise=0.03, " in repr(interpolation(units="cm"))
    assert "units='cm'" in repr(interpolation(units="cm"))


@pytest.mark.parametrize("day", [0, 3, 6])
def test_a_wanted_day_is_analysed_as_with_all_others(day):
    observations, model = make(), interpolation(neighbours=8, time_window=14)
    alone = model.solve(dataclasses.replace(observations, wanted=slice(day, day + 1)))
    whole = model.solve(observations)
    for found, expected in ((alone.mean, whole.mean), (alone.std, whole.std)):
        np.testing.assert_array_equal(found["ssh"][day], expected["ssh"][day])
    assert not alone.mean["ssh"].any((1, 2)).all()
