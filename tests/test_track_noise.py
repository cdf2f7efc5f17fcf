"""Errors along the tracks of nadir altimeters: their covariance, their units, and the filter."""

from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr

from xdvarnet._random import default_rng
from xdvarnet.errors import InvalidInputError, XdvarnetWarning
from xdvarnet.grids.coords import find_grid
from xdvarnet.observing import KarinNoise, Mission, ObservingSystem, Positions, TrackNoise, observe
from xdvarnet.observing.measurements import Flight, Measurements
from xdvarnet.observing.missions import MISSIONS, read_missions
from xdvarnet.observing.noise import draw_correlated, draw_errors
from xdvarnet.observing.orbits import ground_speed, ground_track

DAYS, ROWS, COLUMNS = 9, 22, 31
STEP = 6.7  # km between points, about that of all altimeters
ALL = TrackNoise("2 cm", correlated="3 cm", correlation_length="800 km", cutoff="65 km")


@pytest.fixture
def calm():
    """Return a sea at rest, on a grid with three different steps."""
    return xr.Dataset(
        {"ssh": (("time", "lat", "lon"), np.zeros((DAYS, ROWS, COLUMNS)), {"units": "m"})},
        {
            "time": np.datetime64("2017-04-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D"),
            "lat": 33 + 0.25 * np.arange(ROWS),
            "lon": -5 + 0.4 * np.arange(COLUMNS),
        },
    )


def sloping(dataset):
    """Return a sea that is linear in the coordinates, which bilinear values reproduce."""
    slope = 0.02 * dataset["lat"] - 0.03 * dataset["lon"] + dataset["ssh"]
    return dataset.assign(ssh=slope.transpose("time", "lat", "lon").assign_attrs(units="m"))


def errors_of(noise, along, seeds, *, days=1):
    """Draw the errors at some distances, flown in some days, shape (seeds, points)."""
    nowhere = [np.zeros(part.size, int) for part in np.array_split(along, days)]
    parts = [
        Measurements(zeros, zeros, zeros, part, zeros)
        for zeros, part in zip(nowhere, np.array_split(along, days), strict=True)
    ]
    missions, drawn = [MISSIONS["jason3"]], []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        correlated = draw_correlated({"jason3": noise}, missions, parts, rng)
        drawn.append(
            np.concatenate(
                [
                    draw_errors({"jason3": noise}, missions, part, correlated, 1.0, rng)
                    for part in parts
                ]
            )
        )
    return np.array(drawn)


# the errors


@pytest.mark.parametrize("days", [1, 2])
def test_the_covariance_is_that_of_both_errors(days):
    """That of the independent one on the diagonal, and the exponential, across midnight too."""
    along = 1e10 + 300.0 * np.array([0.0, 0.1, 0.4, 1.0, 3.0, 9.0])
    noise = TrackNoise(0.6, correlated=0.8, correlation_length=300.0)
    draws = errors_of(noise, along, 6000, days=days)
    lag = np.abs(along[:, None] - along[None, :])
    expected = 0.36 * np.eye(6) + 0.64 * np.exp(-lag / 300.0)
    np.testing.assert_allclose(draws.T @ draws / 6000, expected, atol=4 * np.sqrt(2 / 6000))


def test_a_long_error_is_that_of_a_pass():
    """Alike along a pass, and another one a revolution later and on the next day."""
    passes = STEP * np.arange(150) + np.array([0.0, 40_000.0, 560_000.0])[:, None]
    noise = TrackNoise(0.0, correlated=1.0, correlation_length=10_000.0)
    draws = errors_of(noise, passes.ravel(), 1500).reshape(1500, 3, 150)
    correlation = np.corrcoef(draws.mean(axis=-1).T)
    np.testing.assert_allclose(correlation, np.eye(3), atol=4 / np.sqrt(1500) + np.exp(-3.9))
    within = (draws - draws.mean(axis=-1, keepdims=True)).std()
    assert within < 0.2 and draws.std() == pytest.approx(1.0, rel=0.1)


def test_a_correlated_error_is_added_to_the_independent_one(calm):
    """With one seed the independent errors are the same, and the others in proportion."""
    white, once, twice = (
        observe(calm, ["jason3"], noise={"jason3": TrackNoise(0.02, correlated=std)}, rng=5)["ssh"]
        for std in (0.0, 0.01, 0.02)
    )
    assert float((once - white).std()) > 0.003
    np.testing.assert_allclose(twice - white, 2 * (once - white), atol=1e-12)


def test_neighbouring_cells_share_the_correlated_error(calm):
    """On each pass; a mean over a cell does not lower it, as it does the independent error."""
    noise = {"jason3": TrackNoise(0.0, correlated=1.0, correlation_length=5000.0)}
    observed = [observe(calm, ["jason3"], noise=noise, rng=seed)["ssh"] for seed in range(30)]
    pairs = np.concatenate([_neighbours(maps.values) for maps in observed], axis=1)
    assert pairs.shape[1] > 1000
    assert np.corrcoef(pairs)[0, 1] > 0.98
    assert pairs.std() == pytest.approx(1.0, rel=0.25)


def _neighbours(maps):
    """Return the values of pairs of observed cells, one north of the other, shape (2, pairs)."""
    south, north = maps[:, :-1], maps[:, 1:]
    both = np.isfinite(south) & np.isfinite(north)
    return np.stack([south[both], north[both]])


def test_a_noise_is_in_metres_and_lengths_in_km(calm):
    """Quantities are read, and heights converted to the units of the variable."""
    numbers = TrackNoise(0.02, correlated=0.03, correlation_length=800, cutoff=65)
    assert numbers == ALL
    assert eval(repr(numbers)) == numbers
    metres = observe(calm, ["jason3"], noise={"jason3": ALL}, rng=4)["ssh"]
    calm["ssh"].attrs["units"] = "cm"
    centimetres = observe(calm, ["jason3"], noise={"jason3": ALL}, rng=4)["ssh"]
    assert 0.005 < float(metres.std()) < 0.1
    np.testing.assert_allclose(centimetres, 100 * metres, rtol=1e-12)


@pytest.mark.parametrize("kept", [True, False])
def test_errors_do_not_depend_on_the_day_that_is_first(calm, monkeypatch, kept):
    """One seed gives the same, in memory, lazily, and day by day from the last one."""
    pytest.importorskip("dask")
    if not kept:
        monkeypatch.setattr("xdvarnet.observing.measurements.KEPT", 0)
    missions = ["jason3", "swot", "saral"]
    noise = {"jason3": ALL, "swot": KarinNoise(roll=1.0), "saral": TrackNoise(0.02, cutoff=200)}
    calm = sloping(calm)
    whole = observe(calm, missions, noise=noise, rng=12)["ssh"]
    lazy = observe(calm.chunk(time=2, lat=7, lon=10), missions, noise=noise, rng=12)["ssh"]
    xr.testing.assert_identical(lazy.compute(), whole)
    for day in reversed(range(DAYS)):
        np.testing.assert_array_equal(lazy[day].compute(), whole[day])


def test_other_noises_draw_what_they_drew(calm):
    """Frozen sums of before there was this noise: numbers, quantities, and that of a swath."""
    missions = ["jason3", "swot"]
    karin = {"jason3": "2 cm", "swot": KarinNoise(roll=1.0, phase=0.5)}
    for noise, expected in ((0.03, -1.813050199186807), (karin, 91.03973872960087)):
        observed = observe(calm, missions, noise=noise, rng=3)["ssh"]
        assert float((observed * np.arange(COLUMNS)).sum()) == pytest.approx(expected, rel=1e-9)


def test_a_sea_without_units(calm):
    """Metres are assumed, with a warning."""
    del calm["ssh"].attrs["units"]
    with pytest.warns(XdvarnetWarning, match="'m' is assumed for the noise of jason3"):
        observe(calm, ["jason3"], noise={"jason3": ALL}, rng=4)


# the filter


def test_the_filter_halves_the_wavelength_of_the_cutoff():
    """And follows the Gaussian at others; the mean is kept, and nothing moves."""
    along = STEP * np.arange(2000)
    noise, inside = TrackNoise(0.0, cutoff=65.0), slice(100, -100)
    for wavelength in (45.0, 65.0, 130.0, 1000.0):
        wave = np.sin(2 * np.pi * along / wavelength)
        response = 0.5 ** ((65.0 / wavelength) ** 2)
        smoothed = noise.smooth(along, 7 + wave)
        np.testing.assert_allclose(smoothed[inside], 7 + response * wave[inside], atol=1e-3)


def test_a_filter_is_linear_keeps_constants_and_needs_no_order():
    """Without a cutoff there is none."""
    rng = np.random.default_rng(0)
    along, noise = STEP * np.arange(300), TrackNoise(0.0, cutoff=100.0)
    first, second = rng.standard_normal((2, 300))
    both = noise.smooth(along, first + 2 * second)
    np.testing.assert_allclose(
        both, noise.smooth(along, first) + 2 * noise.smooth(along, second), atol=1e-12
    )
    np.testing.assert_allclose(noise.smooth(along, np.full(300, 3.0)), 3.0, rtol=1e-14)
    order = rng.permutation(300)
    np.testing.assert_allclose(
        noise.smooth(along[order], first[order]), noise.smooth(along, first)[order], atol=1e-12
    )
    np.testing.assert_array_equal(TrackNoise(0.0).smooth(along, first), first)
    assert noise.smooth(along[:0], first[:0]).size == 0


def test_points_without_a_value_and_other_passes_have_no_weight():
    """Each side of a jump is smoothed as if it were alone; a hole is as if nothing was measured."""
    noise, rng = TrackNoise(0.0, cutoff=65.0), np.random.default_rng(0)
    along = STEP * np.arange(40) + 300.0 * (np.arange(40) >= 25)
    values = rng.standard_normal(40)
    parts = [noise.smooth(along[part], values[part]) for part in (slice(25), slice(25, None))]
    np.testing.assert_allclose(noise.smooth(along, values), np.concatenate(parts), atol=1e-14)
    land = np.isin(np.arange(40), [7, 8, 9, 30])
    holes = noise.smooth(along, np.where(land, np.nan, values))
    assert np.isnan(holes[land]).all()
    np.testing.assert_allclose(holes[~land], noise.smooth(along[~land], values[~land]), atol=1e-14)


def test_observations_are_means_of_filtered_measurements(calm):
    """By brute force with all weights of a day, on a linear sea without errors."""
    first = int(find_grid(calm).days[0])
    mission, region = MISSIONS["jason3"], (-5.2, 7.2, 32.875, 38.375)
    days, longitude, latitude = ground_track(
        mission, first, first + DAYS, phase=default_rng(1).random(1)[0], region=region
    )
    row = np.clip((latitude - 33) / 0.25, 0, ROWS - 1)
    column = np.clip((longitude + 5) / 0.4, 0, COLUMNS - 1)
    day = (days - first).astype(int)
    cell = np.round(row).astype(int), np.round(column).astype(int)
    heights = 0.02 * (33 + 0.25 * row) - 0.03 * (0.4 * column - 5)
    along = days * 86400 * ground_speed(mission)
    weights = np.exp(-((along[:, None] - along) ** 2) * np.pi**2 / np.log(2) / 150.0**2)
    weights *= day[:, None] == day
    sums, counts = np.zeros((2, DAYS, ROWS, COLUMNS))
    np.add.at(sums, (day, *cell), weights @ heights / weights.sum(axis=1))
    np.add.at(counts, (day, *cell), 1)
    expected = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    noise = {"jason3": TrackNoise(0.0, cutoff=150.0)}
    observed = observe(sloping(calm), ["jason3"], noise=noise, rng=1)["ssh"]
    np.testing.assert_allclose(observed, expected, atol=1e-4)
    without = observe(sloping(calm), ["jason3"], noise=0.0, rng=1)["ssh"]
    assert float(abs(observed - without).max()) > 0.005


def test_land_does_not_reach_the_sea(calm):
    """A level sea stays level beside land, and is seen where it was without the filter."""
    level = (calm + 0.7).assign_attrs(calm.attrs)
    level["ssh"].attrs["units"] = "m"
    level["ssh"][:, 8:13, 11:18] = np.nan
    level["ssh"][:, :4, 20:] = np.nan
    expected = observe(level, ["jason3", "saral"], noise=0.0, rng=2)["ssh"]
    noise = dict.fromkeys(["jason3", "saral"], TrackNoise(0.0, cutoff="200 km"))
    filtered = observe(level, ["jason3", "saral"], noise=noise, rng=2)["ssh"]
    np.testing.assert_allclose(filtered, expected, rtol=1e-12)


def test_the_filter_smooths_the_errors_too(calm):
    """White errors keep the sum of the squared weights of their variance."""
    noise = TrackNoise(1.0, cutoff=65.0)
    along = STEP * np.arange(20_000)
    errors = noise.smooth(along, errors_of(noise, along, 1)[0])
    deviation = np.sqrt(np.log(2) / 2) / np.pi * 65.0
    expected = STEP / (2 * np.sqrt(np.pi) * deviation)
    assert errors.var() == pytest.approx(expected, rel=0.1)
    drawn = [
        observe(calm, ["jason3"], noise={"jason3": TrackNoise(1.0, cutoff=cutoff)}, rng=3)["ssh"]
        for cutoff in (None, 65.0)
    ]
    assert float(drawn[1].std()) < 0.8 * float(drawn[0].std())


# bad input


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"white": -1}, "white=-1 is not accepted; give zero or more, in m"),
        ({"white": "much"}, "white='much' is not understood; .* that convert to m"),
        ({"white": "2 km2"}, "white='2 km2' is not understood"),
        ({"correlated": np.nan}, "correlated=nan is not accepted"),
        ({"correlation_length": 0}, "correlation_length=0 is not accepted; .* in km"),
        ({"correlation_length": "3 days"}, "correlation_length='3 days' is not understood"),
        ({"cutoff": 0}, "cutoff=0 is not accepted; give more than zero, in km"),
    ],
)
def test_bad_track_noise(parameters, message):
    """Messages name the parameter, what was given, and the units."""
    with pytest.raises(InvalidInputError, match=message):
        TrackNoise(**{"white": 0.02, **parameters})


@pytest.mark.parametrize(
    ("missions", "noise", "message"),
    [
        (
            ["swot"],
            {"swot": ALL},
            r"noise\['swot'\] is a TrackNoise.* swot has a swath",
        ),
        (["jason3"], {"jason3": KarinNoise()}, "jason3 has no swath"),
        (["jason3"], ALL, r"TrackNoise\(...\) is for nadir .* such as {'jason3': TrackNoise\("),
    ],
)
def test_a_noise_is_that_of_its_kind_of_mission(missions, noise, message):
    """A swath has another one, and each mission its own."""
    with pytest.raises(InvalidInputError, match=message):
        ObservingSystem(missions, noise)


def test_a_mission_must_tell_how_far_it_has_flown(calm):
    """Buoys have no track; with a distance they are what any mission is."""

    @dataclass(frozen=True)
    class Ship(Mission):
        tells: bool = False

        def positions(self, start_day, end_day, *, phase, region=None):
            days = start_day + np.arange(24) / 24
            along = days * 480.0 if self.tells else None
            return Positions(days, np.linspace(-4, 6, 24), np.full(24, 35.0), along)

    with pytest.raises(InvalidInputError, match="positions of ship have no distance along the tra"):
        observe(calm, [Ship("ship")], noise={"ship": ALL}, rng=0)
    observed = observe(calm, [Ship("ship", tells=True)], noise={"ship": ALL}, rng=0)
    assert int(observed["ssh"].notnull().sum()) > 100


def test_no_track_has_no_errors(calm):
    """A domain that the altimeter never crosses."""
    polar = calm.assign_coords(lat=calm["lat"] + 45)
    with pytest.warns(XdvarnetWarning, match="no track of jason3"):
        observed = observe(polar, ["jason3"], noise={"jason3": ALL}, rng=0)
    assert observed["ssh"].isnull().all()
    assert sum(Flight(read_missions(["jason3"]), find_grid(polar), default_rng(0)).counts) == 0
