"""Spectra against direct sums, other libraries and fields whose spectrum is known."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import signal
from scipy.interpolate import interp1d

from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.metrics.spectra import (
    effective_resolution,
    power_spectrum_along_track,
    wavenumber_frequency_spectrum,
)

SPACING = 6.387
DIMS = ("time", "lat", "lon")


@pytest.fixture
def field() -> xr.DataArray:
    """Return twelve days of 3 x 15 random cells, in metres, with a step of two days."""
    rng = np.random.default_rng(5)
    coords = {
        "time": pd.date_range("2012-10-22", periods=12, freq="2D"),
        "lat": 33 + 0.5 * np.arange(3),
        "lon": -65 + 0.25 * np.arange(15),
    }
    return xr.DataArray(0.4 + rng.normal(size=(12, 3, 15)), coords, DIMS, "ssh", {"units": "m"})


def track(values: np.ndarray, *, start: str = "2017-01-01", seconds=None) -> xr.Dataset:
    """Return a pass to the east with one point a second, or at the given seconds."""
    seconds = np.arange(values.size) if seconds is None else np.asarray(seconds)
    times = np.datetime64(start, "ns") + (1e9 * seconds).astype("timedelta64[ns]")
    longitude = (300 + np.degrees(SPACING / 6371) * np.arange(values.size)) % 360
    return xr.Dataset(
        {"ssh": ("time", values, {"units": "m"})},
        {
            "time": times,
            "longitude": ("time", longitude),
            "latitude": ("time", np.zeros(values.size)),
        },
    )


def red_noise(size: int, scale: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a periodic random track, and the amplitudes (not squared) of its spectrum."""
    wavenumber = np.fft.rfftfreq(size, SPACING)
    amplitude = 1 / (1 + (scale * wavenumber) ** 2)
    return np.fft.irfft(np.fft.rfft(rng.normal(size=size)) * amplitude, size), amplitude


def direct_spectrum(field: np.ndarray, steps: tuple[float, float], f: float, k: float) -> float:
    """Sum the Fourier series of each latitude at one frequency and wavenumber."""
    n_time, _, n_lon = field.shape
    t, x = steps[0] * np.arange(n_time), steps[1] * np.arange(n_lon)
    hann_t = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_time) / n_time)
    hann_x = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_lon) / n_lon)
    window = hann_t[:, None] * hann_x
    wave = np.exp(-2j * np.pi * (f * t[:, None] + k * x))
    powers = []
    for row in np.moveaxis(field, 1, 0):
        powers.append(np.abs(np.sum(window * (row - row.mean()) * wave)) ** 2)
    return np.mean(powers) * steps[0] * steps[1] / np.sum(window**2)


def test_the_spectrum_of_maps_is_the_direct_sum(field):
    found = wavenumber_frequency_spectrum(field)
    assert found.dims == ("frequency", "wavenumber")
    assert found.sizes == {"frequency": 12, "wavenumber": 15}
    for f in found["frequency"].values[[0, 3, 6, 7, 11]]:
        for k in found["wavenumber"].values[[0, 4, 7, 9, 14]]:
            expected = direct_spectrum(field.values, (2.0, 0.25), f, k)
            value = float(found.sel(frequency=f, wavenumber=k))
            assert value == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_the_spectrum_of_maps_integrates_to_the_variance(field):
    """Parseval: the sum over all scales is the power of the windowed anomalies."""
    found = wavenumber_frequency_spectrum(field)
    cell = 1 / (12 * 2.0) / (15 * 0.25)
    window = np.multiply.outer(signal.windows.hann(12, False), signal.windows.hann(15, False))
    anomaly = (field - field.mean(("time", "lon"))).transpose("lat", "time", "lon").values
    power = np.mean(((window * anomaly) ** 2).sum((1, 2))) / (window**2).sum()
    assert float(found.sum()) * cell == pytest.approx(power, rel=1e-12)


def test_the_spectrum_of_maps_equals_that_of_scipy(field):
    """Over longitude alone, where the window in time is the same for all."""
    constant = field.isel(time=[0] * 12).assign_coords(time=field["time"])
    found = wavenumber_frequency_spectrum(constant)
    row = constant[0].values - constant[0].mean("lon").values[:, None]
    k, expected = signal.periodogram(
        row, fs=4, window="hann", detrend=False, return_onesided=False, axis=-1
    )
    total = found.sum("frequency") / (12 * 2.0)
    np.testing.assert_allclose(total.sel(wavenumber=k), expected.mean(0), atol=1e-14)


def test_a_westward_wave_has_positive_scales(field):
    """A wave of 5 days and 1.25 degrees that moves west, and its mirror image."""
    days = (field["time"] - field["time"][0]) / np.timedelta64(1, "D")
    for sign in (1, -1):
        phase = days / 6 + sign * field["lon"] / 1.25
        found = wavenumber_frequency_spectrum(np.cos(2 * np.pi * phase) + 0 * field)
        peak = found.where(found["frequency"] > 0).argmax(...)
        assert float(found["frequency"][peak["frequency"]]) == pytest.approx(1 / 6)
        assert float(found["wavenumber"][peak["wavenumber"]]) == pytest.approx(sign * 0.8)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.transpose("lon", "time", "lat"),
        lambda a: a.isel(lon=slice(None, None, -1)),
        lambda a: a.isel(lat=slice(None, None, -1)),
        lambda a: a.assign_coords(lon=a["lon"] % 360),
        lambda a: a.assign_coords(lon=(a["lon"] + 64) % 360).sortby("lon"),
        lambda a: a.rename(lon="longitude", lat="latitude"),
        lambda a: a.assign_coords(time=a["time"].astype("datetime64[us]")),
    ],
    ids=["transposed", "descending", "south", "0..360", "0..360 cut", "names", "us"],
)
def test_the_same_maps_written_otherwise_have_the_same_spectrum(change, field):
    found = wavenumber_frequency_spectrum(change(field))
    xr.testing.assert_allclose(found, wavenumber_frequency_spectrum(field), rtol=1e-10)


def test_a_lazy_spectrum_equals_the_eager_one(field):
    pytest.importorskip("dask")
    lazy = wavenumber_frequency_spectrum(field.chunk(time=5, lat=2, lon=4))
    assert lazy.chunks is not None
    xr.testing.assert_allclose(lazy.compute(), wavenumber_frequency_spectrum(field))


def test_a_latitude_with_a_gap_is_left_out(field):
    gappy = field.copy()
    gappy[3, 1, 4] = np.nan
    found = wavenumber_frequency_spectrum(gappy)
    xr.testing.assert_allclose(found, wavenumber_frequency_spectrum(field[:, [0, 2]]))


def test_spectra_are_labelled(field):
    maps = wavenumber_frequency_spectrum(field)
    assert maps.attrs["units"] == "m2 day degree"
    assert maps["frequency"].attrs["units"] == "cycles/day"
    assert maps["wavenumber"].attrs["units"] == "cycles/degree"
    along = power_spectrum_along_track(track(np.ones(200)), "ssh", spacing=SPACING)
    assert along.attrs["units"] == "m2 km"
    assert along["wavenumber"].attrs["units"] == "cycles/km"
    assert along.attrs["n_windows"] == 2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda a: a.isel(time=[0, 1, 3]), "steps from 2 to 4 days.*equal steps"),
        (lambda a: a.isel(time=[0]), "steps not at all"),
        (lambda a: a.isel(time=[0, 1, 1]), "duplicate times"),
        (lambda a: a.isel(lon=[0, 1, 3, 4, 5]), "the spectrum needs equal steps"),
        (lambda a: a[0].drop_vars("time"), "no time coordinate"),
    ],
)
def test_maps_without_a_spectrum(change, complaint, field):
    with pytest.raises(InvalidInputError, match=complaint):
        wavenumber_frequency_spectrum(change(field))


def brute_force(values: np.ndarray, seconds: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """Average scipy's periodograms over windows that are found point by point."""
    spectra = []
    since = 0
    for i in range(values.size):
        if i and seconds[i] - seconds[i - 1] > 4:
            since = i
        first = i - size + 1
        if first >= since and (first - since) % (size // 4) == 0:
            spectra.append(
                signal.periodogram(
                    values[first : i + 1], fs=1 / SPACING, window="hann", detrend="constant"
                )[1]
            )
    return np.mean(spectra, axis=0), len(spectra)


def test_the_spectrum_along_tracks_equals_periodograms_of_windows():
    """Three passes, one of which is too short, and one with a point missing."""
    rng = np.random.default_rng(6)
    seconds = np.concatenate([np.arange(205), 300 + np.arange(150), 900 + np.arange(196)])
    seconds = np.delete(seconds, 400)
    values = rng.normal(size=seconds.size)
    found = power_spectrum_along_track(track(values, seconds=seconds), "ssh", spacing=SPACING)
    expected, count = brute_force(values, seconds, 156)
    assert found.attrs["n_windows"] == count == 2 + 2
    np.testing.assert_allclose(found, expected[1:], rtol=1e-10)
    np.testing.assert_allclose(found["wavenumber"], np.arange(1, 79) / (156 * SPACING))


def test_missing_points_are_left_out_before_the_passes_are_cut():
    rng = np.random.default_rng(7)
    tracks = track(rng.normal(size=400))
    gappy = tracks.where(tracks["ssh"].notnull() & (np.arange(400) != 130))
    whole = power_spectrum_along_track(tracks.isel(time=np.arange(400) != 130), "ssh")
    xr.testing.assert_allclose(power_spectrum_along_track(gappy, "ssh"), whole)
    long_gap = tracks.where((np.arange(400) < 170) | (np.arange(400) > 180))
    assert power_spectrum_along_track(long_gap, "ssh", spacing=SPACING).attrs["n_windows"] == 1 + 2


def test_the_spectrum_along_a_track_integrates_to_the_variance():
    """Parseval: the variance of the windowed anomalies, with the window's power made good."""
    values = np.random.default_rng(8).normal(size=156).cumsum()
    found = power_spectrum_along_track(track(values), "ssh", spacing=SPACING)
    window = signal.windows.hann(156, False)
    windowed = window * (values - values.mean())
    power = (np.mean(windowed**2) - np.mean(windowed) ** 2) / np.mean(window**2)
    assert float(found.sum()) / (156 * SPACING) == pytest.approx(power, rel=1e-12)


def test_a_known_spectrum_is_recovered():
    """Red noise of 60,000 points: each wavenumber within the error of sampling."""
    values, amplitude = red_noise(60_000, 100.0, np.random.default_rng(9))
    found = power_spectrum_along_track(track(values), "ssh", spacing=SPACING)
    known = (
        2 * SPACING * np.interp(found["wavenumber"], np.fft.rfftfreq(60_000, SPACING), amplitude**2)
    )
    ratio = (found / known).values[2:-1]  # the window smears the two longest wavelengths
    independent = 60_000 / 156 * 2  # overlapping Hann windows are worth about two each
    assert np.abs(ratio - 1).max() < 4.5 / np.sqrt(independent)
    assert np.mean(ratio) == pytest.approx(1, abs=0.02)


def test_the_resolution_of_a_known_filter_and_noise():
    """Truth with noise N and signal S, map a low-pass H: (1 - H)^2 S + N = (S + N) / 2."""
    rng = np.random.default_rng(10)
    size, length, noise = 80_000, 60.0, 0.3
    truth = rng.normal(size=size)
    response = np.exp(-((length * np.fft.rfftfreq(size, SPACING)) ** 2))
    mapped = np.fft.irfft(np.fft.rfft(truth) * response, size)
    measured = truth + noise * rng.normal(size=size)
    tracks = track(measured)
    tracks["error"] = ("time", mapped - measured)
    spectra = [
        power_spectrum_along_track(tracks, name, spacing=SPACING) for name in ("error", "ssh")
    ]
    found = effective_resolution(*spectra)
    expected = length / np.sqrt(-np.log(1 - np.sqrt(0.5 - 0.5 * noise**2)))
    assert float(found["lambda_x"]) == pytest.approx(expected, rel=0.02)
    assert found["lambda_x"].attrs["units"] == "km"
    assert set(found) == {"lambda_x"}


def test_the_median_distance_is_the_default_spacing():
    tracks = track(np.random.default_rng(11).normal(size=300))
    known = power_spectrum_along_track(tracks, "ssh", spacing=SPACING)
    xr.testing.assert_allclose(power_spectrum_along_track(tracks, "ssh"), known, rtol=1e-6)
    xr.testing.assert_allclose(
        power_spectrum_along_track(tracks, "ssh", spacing="6387 m", length="1e6 m"), known
    )


def test_missions_that_are_mixed_in_time_are_cut_apart():
    rng = np.random.default_rng(12)
    one, two = (
        track(rng.normal(size=250)),
        track(rng.normal(size=300), start="2017-01-01T00:00:00.4"),
    )
    one["mission"], two["mission"] = ("time", ["c2"] * 250), ("time", ["j3"] * 300)
    mixed = power_spectrum_along_track(xr.concat([one, two], "time").sortby("time"), "ssh")
    apart = [power_spectrum_along_track(each, "ssh") for each in (one, two)]
    weights = [each.attrs["n_windows"] for each in apart]
    expected = sum(w * a.values for w, a in zip(weights, apart, strict=True)) / sum(weights)
    assert mixed.attrs["n_windows"] == sum(weights)
    np.testing.assert_allclose(mixed, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "options", "error", "complaint"),
    [
        (lambda ds: ds.isel(time=slice(100)), {}, InvalidInputError, "156 points.*segment has 100"),
        (lambda ds: ds, {"length": "3000 km"}, InvalidInputError, "469 points.*shorter length"),
        (lambda ds: ds.isel(time=slice(0)), {}, InvalidInputError, "segment has 0"),
        (lambda ds: ds.isel(time=[7]), {"spacing": None}, InvalidInputError, "no two points"),
        (lambda ds: ds.isel(time=slice(None, None, -1)), {}, InvalidInputError, "sortby"),
        (lambda ds: ds.isel(time=[0, *range(300)]), {}, InvalidInputError, "drop_duplicates"),
        (lambda ds: ds.rename(ssh="adt"), {}, UnknownNameError, "'ssh' is missing"),
        (lambda ds: ds.expand_dims(pixel=2).copy().assign_coords(
            latitude=(("pixel", "time"), [ds["latitude"].values] * 2),
            longitude=(("pixel", "time"), [ds["longitude"].values] * 2),
        ), {}, InvalidInputError, "one line of the swath"),
        (lambda ds: ds, {"gap": "4 m"}, InvalidInputError, "gap='4 m' is not understood"),
    ],
)  # fmt: skip
def test_tracks_without_a_spectrum(change, options, error, complaint):
    tracks = change(track(np.random.default_rng(13).normal(size=300)))
    with pytest.raises(error, match=complaint):
        power_spectrum_along_track(tracks, "ssh", **{"spacing": SPACING, **options})


def spectrum(score: np.ndarray, wavelengths: np.ndarray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return an error and a reference spectrum that have this score."""
    coords = {"wavenumber": ("wavenumber", 1 / wavelengths, {"units": "cycles/km"})}
    reference = xr.DataArray(np.linspace(5, 1, score.size), coords, ["wavenumber"])
    return (1 - score) * reference, reference


def test_the_resolution_is_interpolated_in_wavelength():
    """As the code of the 2021a challenge does, for a score that falls with the wavenumber."""
    wavelengths = 1000 / np.arange(1, 9)
    score = np.array([0.99, 0.97, 0.9, 0.8, 0.62, 0.45, 0.2, 0.0])
    found = effective_resolution(*spectrum(score, wavelengths))
    assert float(found["lambda_x"]) == pytest.approx(float(interp1d(score, wavelengths)(0.5)))


def test_the_last_of_several_crossings_counts():
    score = np.array([0.4, 0.9, 0.3, 0.7, 0.3, 0.1])
    wavelengths = np.array([600.0, 300, 200, 150, 120, 100])
    assert float(effective_resolution(*spectrum(score, wavelengths))["lambda_x"]) == 135


@pytest.mark.parametrize("seed", range(3))
def test_the_resolution_of_maps_is_on_the_contour(seed):
    """The smallest coordinates of the vertices that contourpy finds."""
    contourpy = pytest.importorskip("contourpy")
    rng = np.random.default_rng(seed)
    frequency, wavenumber = np.fft.fftfreq(31, 1.0), np.fft.fftfreq(24, 0.125)
    f, k = np.meshgrid(frequency, wavenumber, indexing="ij")
    score = np.exp(-((9 * f) ** 2) - (1.2 * k) ** 2) + 0.02 * rng.normal(size=f.shape)
    coords = {
        "frequency": ("frequency", frequency, {"units": "cycles/day"}),
        "wavenumber": ("wavenumber", wavenumber, {"units": "cycles/degree"}),
    }
    reference = xr.DataArray(1 + rng.random(f.shape), coords, ["frequency", "wavenumber"])
    found = effective_resolution((1 - score) * reference, reference)
    periods, wavelengths = 1 / frequency[1:16], 1 / wavenumber[1:12]
    contour = contourpy.contour_generator(wavelengths, periods, score[1:16, 1:12]).lines(0.5)
    expected = np.concatenate(contour).min(0)
    assert float(found["lambda_x"]) == pytest.approx(expected[0], rel=1e-12)
    assert float(found["lambda_t"]) == pytest.approx(expected[1], rel=1e-12)
    assert found["lambda_x"].attrs["units"] == "degree"
    assert found["lambda_t"].attrs["units"] == "day"
    turned = effective_resolution(((1 - score) * reference).T, reference.T)
    xr.testing.assert_allclose(turned, found)


@pytest.mark.parametrize(
    ("score", "complaint"),
    [
        ([0.9, 0.8, 0.7], "from 0.7 to 0.9, so that all of the scales"),
        ([0.1, -0.4, 0.2], "from -0.4 to 0.2, so that none of the scales"),
        ([np.nan, np.nan, np.nan], "no finite values"),
    ],
)
def test_no_resolution(score, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        effective_resolution(*spectrum(np.array(score), np.array([300.0, 200, 150])))


def test_the_resolution_is_that_of_one_spectrum():
    error, reference = spectrum(np.array([0.9, 0.2]), np.array([300.0, 200]))
    with pytest.raises(InvalidInputError, match=r"dimensions \('member', 'wavenumber'\)"):
        effective_resolution(error.expand_dims(member=3), reference)
    with pytest.raises(InvalidInputError, match="'wavenumber'"):
        effective_resolution(error.rename(wavenumber="k"), reference.rename(wavenumber="k"))
