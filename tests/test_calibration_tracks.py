"""Calibration along missions that are withheld, in a Gaussian world."""

import re

import numpy as np
import pytest
import xarray as xr
from gaussian_world import kriging, world
from reconstructors import Identity, NoBackground

import xdvarnet
from xdvarnet.calibration.calibrated import Calibrated
from xdvarnet.calibration.errors import grid_scales
from xdvarnet.errors import InvalidInputError, InvalidTypeError, XdvarnetWarning
from xdvarnet.tracks.crossovers import crossover_noise

NOISE = 0.04
"""Of a measurement along the tracks of this module, m."""


def tracks(truth, *, missions=4, seed=0):
    """Straight passes of several missions, two a day of each, with noise."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(missions):
        for turn in range(2 * truth.sizes["time"]):
            way = np.linspace(0.02, 0.98, 40 + number)
            west, east = np.sort(rng.uniform(3.05, 7.75, 2))
            seconds = 43200 * turn - 20000 + 900 * number + np.arange(way.size)
            parts.append(
                xr.Dataset(
                    {"mission": ("time", np.full(way.size, f"mission {number}"))},
                    {
                        "time": truth["time"].values[0] + seconds.astype("timedelta64[s]"),
                        "longitude": ("time", west + (east - west) * way),
                        "latitude": ("time", 38 + 3 * way[:: (-1) ** turn]),
                    },
                )
            )
    points = xr.concat(parts, "time").sortby("time")
    points = points.isel(time=(points["time"] >= truth["time"].values[0]).values)
    points["ssh"] = xdvarnet.sample_tracks(truth[["ssh"]], points)["ssh"]
    points["ssh"] += NOISE * rng.standard_normal(points.sizes["time"])
    points["ssh"].attrs["units"] = "m"
    return points.isel(time=np.isfinite(points["ssh"].values))


@pytest.fixture(scope="module")
def truth():
    return world(days=30, seed=6)


@pytest.fixture(scope="module")
def measured(truth):
    return tracks(truth)


def model():
    return kriging(neighbours=25)


@pytest.fixture(scope="module")
def calibrated(truth, measured):
    return xdvarnet.calibrate(model(), measured, grid=truth, noise=NOISE, rng=0)


def test_the_std_is_the_error_of_maps_of_other_tracks(calibrated):
    """The truth of the twin is known where the calibration has seen noisy tracks alone."""
    other = world(days=30, seed=8)
    observed = xdvarnet.bin_tracks(
        tracks(other, missions=3, seed=1)[["ssh"]], other, time=other["time"]
    )
    maps = observed.dvarnet.reconstruct(calibrated)
    size = float(np.sqrt(((maps["ssh"] - other["ssh"]) ** 2).mean()))
    assert float(np.sqrt((maps["ssh_std"] ** 2).mean())) == pytest.approx(size, rel=0.1)


def test_scales_are_those_of_the_maps(calibrated, truth):
    """Noise shortens no length, though it is in all differences along the tracks."""
    error = calibrated.errors["ssh"]
    length, _ = grid_scales(
        truth["ssh"].values[None], truth["sea"].values, truth["lat"].values, truth["lon"].values
    )
    assert error.signal_length == pytest.approx(length, rel=0.2)
    assert error.signal_std == pytest.approx(float(truth["ssh"].std()), rel=0.05)
    assert 1 < error.signal_time < 4
    assert 30 < error.length < 80
    assert 0.5 <= error.time < 2.5
    assert error.noise == NOISE
    assert error.factor == pytest.approx(1, abs=0.3)


def test_correlation_times_of_an_earlier_calibration_are_kept(calibrated, truth, measured):
    week = measured.sel(time=slice("2010-01-01", "2010-01-07"))
    again = xdvarnet.calibrate(calibrated, week, grid=truth, noise=NOISE, rng=0)
    before, after = (each.errors["ssh"] for each in (calibrated, again))
    assert (after.time, after.signal_time) == (before.time, before.signal_time)
    assert after.offset != before.offset


def test_the_spread_of_an_earlier_calibration_is_kept(calibrated, truth, measured):
    week = measured.sel(time=slice("2010-01-01", "2010-01-07"))
    errors, spread = calibrated.errors, model()
    mean = Calibrated(Identity(window=None, background=NoBackground()), errors, spread=spread)
    options = {"grid": truth, "noise": NOISE, "rng": 0}
    again = xdvarnet.calibrate(mean, week, **options)
    assert again.spread is spread
    assert again.errors == xdvarnet.calibrate(mean, week, spread=spread, **options).errors


def test_the_noise_is_that_of_the_crossovers_if_none_is_given(truth, measured):
    week = measured.sel(time=slice("2010-01-01", "2010-01-10"))
    learned = xdvarnet.calibrate(model(), week, grid=truth, rng=0).errors["ssh"].noise
    expected = crossover_noise(week, "ssh")
    assert learned == pytest.approx(expected)


def test_few_crossovers_ask_for_a_noise_and_take_it(truth, measured):
    """The advice of the message is followed as it is written."""
    few = measured.isel(time=slice(300))
    with pytest.raises(InvalidInputError, match=r"cross \d+ time.*the noise of 'ssh'") as refused:
        xdvarnet.calibrate(model(), few, grid=truth, rng=0)
    (advised,) = re.findall(r"noise='([^']*)'", str(refused.value))
    with pytest.warns(XdvarnetWarning, match="too few to tell the correlation times of 'ssh'"):
        learned = xdvarnet.calibrate(model(), few, grid=truth, noise=advised, rng=0)
    assert learned.errors["ssh"].noise == pytest.approx(0.02)


def test_times_that_crossovers_do_not_tell_are_those_of_maps(
    calibrated, truth, measured, monkeypatch
):
    """The standard deviation is the same, and the times are near those that crossovers tell."""
    monkeypatch.setattr("xdvarnet.calibration.tracks.LEAST_CROSSOVERS", 10**6)
    with pytest.warns(XdvarnetWarning, match="correlation times"):
        other = xdvarnet.calibrate(model(), measured, grid=truth, noise=f"{NOISE} m", rng=0)
    told, guessed = (each.errors["ssh"] for each in (calibrated, other))
    assert (guessed.offset, guessed.slope) == (told.offset, told.slope)
    assert guessed.time == pytest.approx(told.time, rel=0.5)
    assert guessed.signal_time == pytest.approx(told.signal_time, rel=0.5)


def test_centimetres_are_metres(truth, measured):
    week = measured.sel(time=slice("2010-01-01", "2010-01-08"))
    other = week.assign(ssh=(100 * week["ssh"]).assign_attrs(units="cm"))
    first, second = (
        xdvarnet.calibrate(model(), each, grid=truth, noise=NOISE, rng=0).errors["ssh"]
        for each in (week, other)
    )
    for name, value in vars(first).items():
        assert getattr(second, name) == pytest.approx(value, rel=2e-3), name


def test_bad_tracks_are_refused(truth, measured):
    def calibrate(points, **options):
        return xdvarnet.calibrate(model(), points, grid=truth, rng=0, **options)

    with pytest.raises(InvalidInputError, match="needs tracks of two missions at least"):
        calibrate(measured.drop_vars("mission"))
    with pytest.raises(InvalidInputError, match="no points along a track"):
        calibrate(truth)
    with pytest.raises(InvalidInputError, match="noise"):
        calibrate(measured.isel(time=slice(400)), noise=0.0)
    with pytest.raises(InvalidInputError, match=r"tracks.sel\(time=period\)"):
        calibrate(measured, period=slice("2010-01-02", "2010-01-09"))
    with pytest.raises(InvalidInputError, match="larger than the noise"):
        calibrate(measured.isel(time=slice(400)), noise=9.0)
    with pytest.raises(InvalidInputError, match="no standard deviation"):
        xdvarnet.calibrate(
            Identity(window=None, background=NoBackground()), measured, grid=truth, rng=0
        )
    with pytest.raises(InvalidTypeError):
        xdvarnet.calibrate(model(), measured, grid="mediterranean", rng=0)
