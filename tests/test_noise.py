"""Errors of measurements: their spread in the swath, and how they hang together along the track."""

import numpy as np
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.observing.measurements import Measurements
from xdvarnet.observing.missions import MISSIONS
from xdvarnet.observing.noise import KarinNoise, check_noise, draw_correlated, draw_errors

SWOT, SARAL = MISSIONS["swot"], MISSIONS["saral"]
DISTANCES = SWOT.swath.distances


def swath(lines, step=2.0):
    """Return the distances along and across the track of all pixels of `lines` lines."""
    along = np.repeat(step * np.arange(lines), DISTANCES.size)
    return along, np.tile(DISTANCES, lines)


def points(lines, nadirs=0):
    """Measurements of a swath, the first mission, and of a nadir altimeter, mixed."""
    along, across = (np.append(distance, np.zeros(nadirs)) for distance in swath(lines))
    mission = np.repeat([0, 1], [along.size - nadirs, nadirs])
    order = np.random.default_rng(8).permutation(along.size)
    nowhere = np.zeros(along.size, int)
    return Measurements(nowhere, nowhere, mission[order], along[order], across[order])


def errors_of(noise, missions, measured, metre, seed):
    """Draw the errors of one day."""
    rng = np.random.default_rng(seed)
    tilts = draw_correlated(noise, missions, [measured], rng)
    return draw_errors(noise, missions, measured, tilts, metre, rng)


# the independent error


def test_std_is_that_of_the_published_table(shared_data):
    """To 4 % at all distances from 10 to 60 km and all wave heights, for 1 km2."""
    with xr.open_dataset(shared_data("karin_noise_v2.nc")) as table:
        table = table.load()
    inside = ((table["cross_track"] > 9.99) & (table["cross_track"] < 60.01)).values
    distance = table["cross_track"].values[inside].astype(float)
    for waves, expected in zip(table["SWH"].values, table["height_sdt"].values, strict=True):
        fitted = KarinNoise(waves).std(distance, area=1.0)
        np.testing.assert_allclose(fitted, expected[inside], rtol=0.04)
    assert distance.size > 190 and table.sizes["z"] == 17


def test_std_falls_with_the_area_and_grows_with_the_waves():
    """The mean over four times the area has half the error; left and right are alike."""
    noise = KarinNoise(2.0)
    np.testing.assert_allclose(
        noise.std(DISTANCES, area=4.0), noise.std(-DISTANCES, area=1.0) / 2, rtol=1e-12
    )
    heights = [KarinNoise(waves).std(DISTANCES, area=4.0) for waves in range(9)]
    assert (np.diff(heights, axis=0) > -1e-6).all()
    # largest at both borders of each half
    right = noise.std(DISTANCES[26:], area=4.0)
    assert 5 < right.argmin() < 18


def test_drawn_errors_have_the_stated_std_at_each_distance():
    """Within four standard errors of the sample, pixels of 4 km2, centred."""
    lines = 4000
    drawn = points(lines)
    noise = {"swot": KarinNoise(4.0)}
    errors = errors_of(noise, [SWOT], drawn, 1.0, 3)
    expected = noise["swot"].std(DISTANCES, area=4.0)
    for distance, std in zip(DISTANCES, expected, strict=True):
        sample = errors[drawn.across == distance]
        assert sample.size == lines
        assert abs(sample.mean()) < 4 * std / np.sqrt(lines)
        assert sample.std() == pytest.approx(std, rel=4 / np.sqrt(2 * lines))


def test_independent_errors_are_independent():
    """Along the track and across it, without tilts."""
    lines = 3000
    drawn = points(lines)
    errors = errors_of({"swot": KarinNoise()}, [SWOT], drawn, 1.0, 3)
    table = np.empty((lines, DISTANCES.size))
    table[(drawn.along / 2).astype(int), np.searchsorted(DISTANCES, drawn.across)] = errors
    table /= table.std(axis=0)
    assert abs((table[1:] * table[:-1]).mean()) < 4 / np.sqrt(table.size)
    assert abs((table[:, 1:] * table[:, :-1]).mean()) < 4 / np.sqrt(table.size)


# the tilts


def test_roll_is_linear_through_the_nadir_and_antisymmetric():
    """On each line one angle, of the stated spread: 1 microradian is 1 mm at 1 km."""
    along, across = swath(500, step=20_000.0)  # far apart: independent lines
    noise = KarinNoise(roll=3.0)
    error = noise.tilts(along, across, np.random.default_rng(1)).reshape(500, -1)
    np.testing.assert_allclose(error, -error[:, ::-1], rtol=1e-12)
    angle = error / DISTANCES
    np.testing.assert_allclose(angle, np.broadcast_to(angle[:, :1], angle.shape), rtol=1e-9)
    assert angle[:, 0].std() == pytest.approx(3e-3, rel=4 / np.sqrt(1000))


def test_phase_tilts_each_half_by_itself():
    """Linear in each half, and the two angles are not correlated."""
    along, across = swath(2000, step=20_000.0)
    error = KarinNoise(phase=2.0).tilts(along, across, np.random.default_rng(1)).reshape(2000, -1)
    angle = error / DISTANCES
    left, right = angle[:, 0], angle[:, -1]
    np.testing.assert_allclose(angle[:, :26], np.repeat(left[:, None], 26, axis=1), rtol=1e-9)
    np.testing.assert_allclose(angle[:, 26:], np.repeat(right[:, None], 26, axis=1), rtol=1e-9)
    assert abs(np.corrcoef(left, right)[0, 1]) < 4 / np.sqrt(2000)
    for side in (left, right):
        assert side.std() == pytest.approx(2e-3, rel=4 / np.sqrt(4000))


@pytest.mark.parametrize("correlation_length", [100.0, 1000.0])
def test_tilts_are_correlated_along_the_track_as_stated(correlation_length):
    """The covariance at any lag is the exponential, also across a gap; e-folding at L."""
    noise = KarinNoise(roll=1.0, correlation_length=correlation_length)
    along = correlation_length * np.array([0.0, 0.1, 0.4, 1.0, 3.0])
    draws = np.stack(
        [
            noise.tilts(along, np.full(along.size, 10.0), np.random.default_rng(seed))
            for seed in range(4000)
        ]
    )
    expected = np.exp(-np.abs(along[:, None] - along[None, :]) / correlation_length)
    np.testing.assert_allclose(np.cov(draws.T) * 1e4, expected, atol=4 * np.sqrt(2 / 4000))


def test_tilts_scale_and_add():
    """With one generator, twice the angle is twice the error; roll and phase add."""
    along, across = swath(50)

    def tilts(**angles):
        return KarinNoise(**angles).tilts(along, across, np.random.default_rng(6))

    np.testing.assert_allclose(tilts(roll=2.0), 2 * tilts(roll=1.0))
    np.testing.assert_allclose(tilts(roll=1.0, phase=0.5), tilts(roll=1.0) + tilts(phase=0.5))
    assert (tilts() == 0).all()


def test_the_order_of_pixels_does_not_matter():
    """Pixels belong to a line by their distance flown, wherever they are in the list."""
    along, across = swath(30)
    order = np.random.default_rng(0).permutation(along.size)
    noise = KarinNoise(roll=1.0, phase=1.0)
    sorted_error = noise.tilts(along, across, np.random.default_rng(2))
    mixed = noise.tilts(along[order], across[order], np.random.default_rng(2))
    np.testing.assert_array_equal(mixed, sorted_error[order])


# errors of several missions


def test_a_number_is_for_all_and_a_mapping_for_each():
    """A mapping of equal numbers draws the same errors as the number."""
    drawn = points(20, nadirs=300)
    missions = [SWOT, SARAL]
    one = errors_of(0.2, missions, drawn, 1.0, 1)
    np.testing.assert_array_equal(one, np.random.default_rng(1).normal(0.0, 0.2, one.size))
    each = errors_of({"swot": 0.2, "saral": 0.2}, missions, drawn, 1.0, 1)
    np.testing.assert_array_equal(one, each)
    mixed = errors_of({"swot": KarinNoise(roll=5.0), "saral": 0.2}, missions, drawn, 1.0, 1)
    own = drawn.missions == 1
    assert mixed[own].std() == pytest.approx(0.2, rel=4 / np.sqrt(2 * own.sum()))


def test_only_karin_noise_is_converted_from_metres():
    """Numbers are in the units of the data already."""
    drawn = points(20, nadirs=300)
    noise = {"swot": KarinNoise(roll=5.0), "saral": 0.2}
    metres, centimetres = (
        errors_of(noise, [SWOT, SARAL], drawn, metre, 1) for metre in (1.0, 100.0)
    )
    own = drawn.missions == 1
    np.testing.assert_array_equal(metres[own], centimetres[own])
    np.testing.assert_allclose(100 * metres[~own], centimetres[~own])


def test_no_measurements_have_no_errors():
    """A domain that no swath crosses."""
    empty = Measurements(*[np.zeros(0, int)] * 3, np.zeros(0), np.zeros(0))
    noise = {"swot": KarinNoise(roll=1.0)}
    assert errors_of(noise, [SWOT], empty, 1.0, 1).size == 0


def test_noise_is_kept_in_the_order_of_the_missions():
    """Only of those that fly."""
    given = {"gfo": 1, "saral": 2, "swot": KarinNoise(), "envisat": 3}
    checked = check_noise(given, [SWOT, SARAL])
    assert list(checked.items()) == [("swot", KarinNoise()), ("saral", 2.0)]
    assert check_noise(1, [MISSIONS["gfo"]]) == 1.0


# bad input


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"significant_wave_height": 9}, "significant_wave_height=9 is not accepted; .* 0 to 8 m"),
        ({"significant_wave_height": -1}, "significant_wave_height=-1 is not accepted"),
        ({"roll": -1}, "roll=-1 is not accepted; give zero or more, in microradians"),
        ({"phase": np.nan}, "phase=nan is not accepted"),
        ({"correlation_length": 0}, "correlation_length=0 is not accepted; .* in km"),
        ({"roll": "much"}, "roll='much' is no number"),
    ],
)
def test_bad_karin_noise(parameters, message):
    """Messages name the parameter, what was given, and the units."""
    with pytest.raises(InvalidInputError, match=message):
        KarinNoise(**parameters)
