"""Scores of the mapping challenges against loops, other libraries and published figures."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import signal
from scipy.interpolate import RegularGridInterpolator, interp1d

from xdvarnet.errors import InvalidInputError, UnknownNameError, XdvarnetWarning
from xdvarnet.metrics.challenges import ose2021a, osse2020a
from xdvarnet.metrics.scores import mu

DIMS = ("time", "lat", "lon")
SPACING = 0.9434 * 6.77


def smooth_noise(rng: np.random.Generator, size: tuple[int, ...], scales: tuple[float, ...]):
    """Return noise with a Gaussian spectrum; `scales` in cells."""
    values = np.fft.fftn(rng.normal(size=size))
    for axis, scale in enumerate(scales):
        k = np.fft.fftfreq(size[axis]).reshape([-1 if a == axis else 1 for a in range(len(size))])
        values *= np.exp(-2 * (np.pi * scale * k) ** 2)
    smooth = np.fft.ifftn(values).real
    return smooth / smooth.std()


@pytest.fixture(scope="module")
def truth() -> xr.DataArray:
    """Return 20 days of a sea of 44 x 48 cells of a quarter of a degree, in metres."""
    rng = np.random.default_rng(21)
    size = (20, 44, 48)
    values = 0.4 + 0.2 * smooth_noise(rng, size, (3, 4, 4)) + 0.03 * rng.normal(size=size)
    coords = {
        "time": pd.date_range("2017-01-01", periods=20),
        "lat": 32.5 + 0.25 * np.arange(44),
        "lon": -65.5 + 0.25 * np.arange(48),
    }
    return xr.DataArray(values, coords, DIMS, "ssh", {"units": "m"})


@pytest.fixture(scope="module")
def maps(truth) -> xr.DataArray:
    """Return smooth maps of the truth."""
    rng = np.random.default_rng(22)
    spectrum = np.fft.fftn(truth.values)
    for axis, scale in enumerate((1.0, 1.2, 1.2)):
        k = np.fft.fftfreq(truth.shape[axis]).reshape([-1 if a == axis else 1 for a in range(3)])
        spectrum *= np.exp(-2 * (np.pi * scale * k) ** 2)
    smooth = np.fft.ifftn(spectrum).real + 0.02 * smooth_noise(rng, truth.shape, (2, 3, 3))
    return truth.copy(data=smooth)


@pytest.fixture(scope="module")
def tracks(truth) -> xr.Dataset:
    """Return raw points of an altimeter: a pass through the sea every nineteen hours, with gaps."""
    rng = np.random.default_rng(23)
    seconds, latitude, longitude = [], [], []
    for number in range(25):
        size = 40 if number == 7 else 172
        seconds.append(68_000 * number - 4000 + 0.9434 * np.arange(size))
        latitude.append(32.6 + np.degrees(SPACING / 6371) * np.arange(size))
        longitude.append(295.2 + (3.7 * number) % 9 + 0.005 * np.arange(size))
    time = pd.Timestamp("2017-01-01") + pd.to_timedelta(np.concatenate(seconds), "s")
    latitude, longitude = np.concatenate(latitude), np.concatenate(longitude)
    interpolator = RegularGridInterpolator(
        (np.arange(20.0), truth["lat"].values, truth["lon"].values + 360),
        truth.values,
        bounds_error=False,
        fill_value=0.4,
    )
    days = (time - pd.Timestamp("2017-01-01")) / pd.Timedelta("1D")
    ssh = interpolator(np.stack([days, latitude, longitude], -1))
    ssh += 0.02 * rng.normal(size=ssh.size)
    mdt, lwe = 0.5 + 0.01 * (latitude - 38), 0.01 * np.sin(latitude)
    ssh[[5, 500]] = np.nan
    values = {"sla_unfiltered": ssh - mdt + lwe, "mdt": mdt, "lwe": lwe}
    return xr.Dataset(
        {name: ("time", array, {"units": "m"}) for name, array in values.items()},
        {"time": time, "longitude": ("time", longitude), "latitude": ("time", latitude)},
    )


def spectra_by_hand(field: np.ndarray, steps: tuple[float, float]) -> np.ndarray:
    """Average the windowed periodograms of (time, lon) over latitude, positive scales."""
    window = np.multiply.outer(*(signal.windows.hann(n, False) for n in field.shape[::2]))
    rows = np.moveaxis(field, 1, 0)
    rows = (rows - rows.mean((1, 2), keepdims=True)) * window
    power = (np.abs(np.fft.fft2(rows)) ** 2).mean(0)
    scales = [np.fft.fftfreq(n, d) for n, d in zip(field.shape[::2], steps, strict=True)]
    return power[np.ix_(*(np.flatnonzero(k > 0) for k in scales))]


def test_osse2020a_equals_the_score_by_hand(maps, truth):
    """With the contour of contourpy."""
    contourpy = pytest.importorskip("contourpy")
    found = osse2020a(maps, truth)
    error = (maps - truth).values
    power = np.sqrt((truth**2).mean(("lat", "lon")).values)
    daily = 1 - np.sqrt((error**2).mean((1, 2))) / power
    pooled = 1 - np.sqrt((error**2).mean()) / np.sqrt((truth.values**2).mean())
    score = 1 - spectra_by_hand(error, (1, 0.25)) / spectra_by_hand(truth.values, (1, 0.25))
    periods, wavelengths = 20 / np.arange(1, 10), 12 / np.arange(1, 24)
    vertices = np.concatenate(contourpy.contour_generator(wavelengths, periods, score).lines(0.5))
    assert float(found["mu"]) == pytest.approx(pooled, rel=1e-12)
    assert float(found["sigma"]) == pytest.approx(np.std(daily), rel=1e-12)
    assert float(found["lambda_x"]) == pytest.approx(vertices[:, 0].min(), rel=1e-9)
    assert float(found["lambda_t"]) == pytest.approx(vertices[:, 1].min(), rel=1e-9)
    assert float(found["rmse"]) == pytest.approx(np.sqrt((error**2).mean()))
    assert int(found["n_points"]) == error.size
    np.testing.assert_allclose(mu(maps, truth, dim=("lat", "lon")), daily)


def test_osse2020a_compares_the_common_part(maps, truth):
    part = {"time": slice(2, 18), "lon": slice(5, 40)}
    expected = osse2020a(maps.isel(part), truth.isel(part))
    xr.testing.assert_allclose(osse2020a(maps, truth.isel(part)), expected)
    turned = (100 * maps).assign_attrs(units="cm").assign_coords(lon=maps["lon"] % 360)
    xr.testing.assert_allclose(osse2020a(turned.isel(part).T, truth), expected)


def test_osse2020a_leaves_out_the_same_latitudes_of_both(maps, truth):
    gappy = maps.copy()
    gappy[4, 10, 7] = np.nan
    rest = np.arange(44) != 10
    found = osse2020a(gappy, truth)
    expected = osse2020a(maps[:, rest], truth[:, rest])
    for name in ("lambda_x", "lambda_t"):
        assert float(found[name]) == pytest.approx(float(expected[name]), rel=1e-10)
    assert int(found["n_points"]) == maps.size - 1


def test_osse2020a_lazy_equals_eager(maps, truth):
    pytest.importorskip("dask")
    found = osse2020a(maps.chunk(time=7), truth.chunk(lat=20))
    xr.testing.assert_allclose(found.compute(), osse2020a(maps, truth))


def test_osse2020a_without_a_crossing_warns(truth):
    with pytest.warns(XdvarnetWarning, match="lambda_x and lambda_t is not known: .* all of the"):
        found = osse2020a(truth + 0.01 * (truth - truth.mean()), truth)
    assert np.isnan(found["lambda_x"]) and np.isnan(found["lambda_t"])
    assert float(found["mu"]) > 0.99
    with pytest.warns(XdvarnetWarning, match="times in equal steps"):
        osse2020a(truth.isel(time=[0, 1, 4]) * 0.9, truth)


def test_osse2020a_of_nothing(maps, truth):
    with pytest.raises(InvalidInputError, match="no finite cell in common"):
        osse2020a(maps.where(maps > 9), truth)


def by_hand(maps: xr.DataArray, tracks: xr.Dataset) -> dict[str, float]:
    """Score as the challenge's notebooks do: pyinterp's trilinear map, days, Welch's method."""
    start = maps["time"].values[0]
    days = (tracks["time"].values - start) / np.timedelta64(1, "D")
    place = np.stack([days, tracks["latitude"], tracks["longitude"]], -1)
    axes = (np.arange(maps["time"].size), maps["lat"].values, maps["lon"].values + 360)
    mapped = RegularGridInterpolator(axes, maps.values, bounds_error=False)(place)
    ssh = (tracks["sla_unfiltered"] + tracks["mdt"] - tracks["lwe"]).values
    inside = np.isfinite(ssh + mapped)
    for position, axis in zip(place.T[1:], axes[1:], strict=True):
        inside &= (position >= axis.min() + 0.25) & (position <= axis.max() - 0.25)
    ssh, error, days = ssh[inside], (mapped - ssh)[inside], days[inside]
    frame = pd.DataFrame({"error": error**2, "ssh": ssh**2, "day": np.floor(days)})
    means = frame.groupby("day").mean()[frame.groupby("day").size() >= 10]
    daily = 1 - np.sqrt(means["error"] / means["ssh"])
    windows = []
    for part in np.split(np.arange(days.size), np.flatnonzero(np.diff(days) * 86400 > 4) + 1):
        windows += [part[i : i + 156] for i in range(0, part.size - 155, 39)]
    error_psd, ssh_psd = (
        signal.welch(a[np.concatenate(windows)], fs=1 / SPACING, nperseg=156, noverlap=0)[1]
        for a in (error, ssh)
    )
    score, wavelengths = 1 - error_psd[1:] / ssh_psd[1:], 156 * SPACING / np.arange(1, 79)
    last = np.flatnonzero((score[:-1] > 0.5) != (score[1:] > 0.5))[-1]
    return {
        "mu": daily.mean(),
        "sigma": daily.std(ddof=0),
        "rmse": np.sqrt(np.mean(error**2)),
        "n_points": days.size,
        "n_outside": int(tracks["sla_unfiltered"].count()) - days.size,
        "n_days": daily.size,
        "lambda_x": float(interp1d(score[last : last + 2], wavelengths[last : last + 2])(0.5)),
    }


def test_ose2021a_equals_the_score_by_hand(maps, tracks):
    found, expected = ose2021a(maps, tracks), by_hand(maps, tracks)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-9), name
    assert found.attrs["truth"] == "sla_unfiltered + mdt - lwe"
    assert 0 < int(found["n_outside"]) < 2000 < int(found["n_points"])


def test_ose2021a_of_real_maps_and_points(shared_data):
    """The figures of the challenge's own code: 503 points, mu 0.9088, sigma 0.0327, 0.074 m.

    No point is within 0.25 degree of the border, neither of the maps (295 to 305.1 E, 33 to
    43.1 N) nor of the challenge's box (295 to 305 E, 33 to 43 N): both give the same.
    """
    with xr.open_dataset(shared_data("oi_gulfstream_201701.nc")) as file:
        maps = file["c2"].load()
    with xr.open_dataset(shared_data("dt_gulfstream_c2_phy_l3_20161220_20170126.nc")) as file:
        tracks = file.load()
    for each in (maps, maps.sel(lon=slice(-65.01, -54.99), lat=slice(32.99, 43.01))):
        with pytest.warns(XdvarnetWarning, match="need 156 points.*segment has 53"):
            found = ose2021a(each, tracks)
        assert round(float(found["mu"]), 4) == 0.9088
        assert round(float(found["sigma"]), 4) == 0.0327
        assert round(float(found["rmse"]), 3) == 0.074
        assert int(found["n_points"]) == 503
        assert int(found["n_points"] + found["n_outside"]) == tracks["time"].size
        assert int(found["n_days"]) == 7
        assert np.isnan(found["lambda_x"])


@pytest.mark.parametrize(
    "change",
    [
        lambda m, t: (m.T, t),
        lambda m, t: (m.assign_coords(lon=m["lon"] % 360), t),
        lambda m, t: (m, t.assign_coords(longitude=t["longitude"] - 360)),
        lambda m, t: (m.isel(lat=slice(None, None, -1)), t),
        lambda m, t: ((100 * m).assign_attrs(units="cm"), t),
        lambda m, t: (m, t.assign(lwe=(100 * t["lwe"]).assign_attrs(units="cm"))),
        lambda m, t: (m.drop_attrs(), t),
        lambda m, t: (m, t.assign_coords(point=("time", t["lwe"].values)).swap_dims(time="point")),
    ],
    ids=["transposed", "0..360", "-180..180", "south", "cm", "lwe in cm", "no units", "dimension"],
)
def test_ose2021a_of_the_same_written_otherwise(change, maps, tracks):
    xr.testing.assert_allclose(ose2021a(*change(maps, tracks)), ose2021a(maps, tracks), rtol=1e-8)


def test_ose2021a_of_lazy_maps(maps, tracks):
    pytest.importorskip("dask")
    found = ose2021a(maps.chunk(time=6, lat=20), tracks.chunk(time=1000))
    xr.testing.assert_allclose(found, ose2021a(maps, tracks))


def test_the_truth_of_harmonised_tracks(maps, tracks):
    """`ssh` holds the long-wavelength correction, which is undone where it is known."""
    ssh = (tracks["sla_unfiltered"] + tracks["mdt"]).assign_attrs(units="m")
    expected = ose2021a(maps, tracks)
    both = ose2021a(maps, tracks[["lwe"]].assign(ssh=ssh))
    xr.testing.assert_allclose(both, expected)
    assert both.attrs["truth"] == "ssh - lwe"
    alone = ose2021a(maps, ssh.to_dataset(name="ssh"))
    assert alone.attrs["truth"] == "ssh"
    assert float(alone["rmse"]) != float(expected["rmse"])
    same = (ssh - tracks["lwe"]).assign_attrs(units="m").to_dataset(name="ssh")
    xr.testing.assert_allclose(ose2021a(maps, same), expected)


def test_results_are_labelled_and_arguments_untouched(maps, truth, tracks, tmp_path):
    before = maps.copy(deep=True), tracks.copy(deep=True)
    for found in (osse2020a(maps, truth), ose2021a(maps, tracks)):
        assert all(set(array.attrs) == {"long_name", "units"} for array in found.values())
        assert not found.dims and not found.coords
        found.to_netcdf(tmp_path / "scores.nc", engine="h5netcdf")
    assert found["lambda_x"].attrs["units"] == "km"
    xr.testing.assert_identical(maps, before[0])
    xr.testing.assert_identical(tracks, before[1])


def test_anomalies_scored_against_heights_are_warned_of(maps, tracks):
    with pytest.warns(XdvarnetWarning, match=r"differ from the tracks by -0.49.* m on average"):
        ose2021a((maps - 0.5).assign_attrs(units="m"), tracks)


@pytest.mark.filterwarnings("ignore:the effective resolution")
def test_days_with_few_points_do_not_count(maps, tracks):
    """Nine points of one day and many of another."""
    inside = tracks.isel(time=(tracks["latitude"] > 34) & (tracks["latitude"] < 42))
    days = inside["time"].dt.floor("D")
    few = inside.isel(time=days == days[800]).isel(time=slice(9))
    many = inside.isel(time=days == days[1500])
    with pytest.warns(XdvarnetWarning, match="1 of 2 day.*sigma, their spread, is not known"):
        found = ose2021a(maps, xr.concat([few, many], "time"))
    assert int(found["n_days"]) == 1 and np.isnan(found["sigma"])
    assert int(found["n_points"]) == 9 + many["time"].size
    with pytest.warns(XdvarnetWarning, match="0 of 1 day.*mu and sigma are not known"):
        assert np.isnan(ose2021a(maps, few)["mu"])


@pytest.mark.parametrize(
    ("change", "error", "complaint"),
    [
        (lambda ds: ds.drop_vars("mdt"), UnknownNameError, "'sla_unfiltered', 'mdt' and 'lwe'"),
        (lambda ds: ds.isel(time=slice(None, None, -1)), InvalidInputError, "sortby"),
        (lambda ds: ds.isel(time=np.repeat(np.arange(3000), 2)), InvalidInputError, "duplicate"),
        (lambda ds: ds.assign_coords(latitude=ds["latitude"] - 60), InvalidInputError, "no point"),
        (
            lambda ds: ds.assign_coords(latitude=0 * ds["latitude"] + 32.7),
            InvalidInputError,
            "0.25 degr",
        ),
        (lambda ds: ds.assign(mdt=ds["mdt"].assign_attrs(units="kg")), InvalidInputError, "'kg'"),
    ],
)
def test_tracks_that_cannot_be_scored(change, error, complaint, maps, tracks):
    with pytest.raises(error, match=complaint):
        ose2021a(maps, change(tracks))
