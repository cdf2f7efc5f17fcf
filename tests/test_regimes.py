"""Scores by oceanic regime against loops, on a small planet with one continent."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, UnknownNameError, XdvarnetWarning
from xdvarnet.metrics.regimes import band_pass, distance_to_coast, find_regimes, ose2023a
from xdvarnet.metrics.spectra import effective_resolution, power_spectrum_along_track

REGIMES = [
    "coastal",
    "offshore_high_variability",
    "offshore_low_variability",
    "equatorial",
    "arctic",
    "antarctic",
]
SPACING = 6.9


@pytest.fixture(scope="module")
def maps() -> xr.DataArray:
    """Return twelve days of anomalies on a globe of one degree, with land at 20-60E 30-50N.

    They vary more in the western hemisphere than in the eastern.
    """
    rng = np.random.default_rng(61)
    latitude, longitude = -79.5 + np.arange(160), 0.5 + np.arange(360)
    values = 0.1 * rng.normal(size=(12, 160, 360)) * np.where(longitude > 180, 2.5, 1)
    land = ((latitude > 30) & (latitude < 50))[:, None] & ((longitude > 20) & (longitude < 60))
    values[:, land] = np.nan
    coords = {
        "time": pd.date_range("2019-01-01", periods=12),
        "lat": latitude,
        "lon": longitude,
    }
    return xr.DataArray(values, coords, ("time", "lat", "lon"), "sla", {"units": "m"})


@pytest.fixture(scope="module")
def tracks(maps) -> xr.Dataset:
    """Return passes from pole to pole, with noise that is not in the maps."""
    rng = np.random.default_rng(62)
    size, passes = 2500, 9
    latitude = np.tile(np.degrees(SPACING / 6371) * (np.arange(size) - size / 2), passes)
    longitude = np.repeat((40.0 + 77 * np.arange(passes)) % 360, size)
    seconds = np.concatenate([100_000 * number + np.arange(size) for number in range(passes)])
    time = pd.Timestamp("2019-01-02") + pd.to_timedelta(seconds, "s")
    places = {
        "time": xr.DataArray(time, dims="point"),
        "lat": xr.DataArray(latitude, dims="point"),
        "lon": xr.DataArray(longitude, dims="point"),
    }
    sla = maps.interp(places).values + 0.05 * rng.normal(size=latitude.size)
    lwe = 0.02 * np.sin(latitude / 9)
    return xr.Dataset(
        {
            "sla_unfiltered": ("time", sla + lwe, {"units": "m"}),
            "lwe": ("time", lwe, {"units": "m"}),
        },
        {"time": time, "longitude": ("time", longitude), "latitude": ("time", latitude)},
    )


@pytest.fixture(scope="module")
def found(maps, tracks) -> xr.Dataset:
    """Return the scores."""
    with pytest.warns(XdvarnetWarning, match="lambda_x is not known of"):
        return ose2023a(maps, tracks)


def great_circle(latitude, longitude, other_latitude, other_longitude) -> np.ndarray:
    """Return distances in km, by the haversine formula."""
    a, b, c, d = np.radians([latitude, longitude, other_latitude, other_longitude])
    half = np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2
    return 2 * 6371 * np.arcsin(np.sqrt(half))


def test_the_distance_to_the_coast_is_that_to_the_nearest_cell(maps):
    rng = np.random.default_rng(63)
    latitude, longitude = rng.uniform(-80, 80, 40), rng.uniform(-180, 180, 40)
    cells = maps.isnull().all("time").stack(cell=("lat", "lon"))
    cells = cells[cells]
    expected = [
        great_circle(*np.broadcast_arrays(a, b, cells["lat"], cells["lon"])).min()
        for a, b in zip(latitude, longitude, strict=True)
    ]
    for each in (maps, maps.T, maps.isel(lat=slice(None, None, -1))):
        np.testing.assert_allclose(distance_to_coast(each, latitude, longitude), expected)
    near = distance_to_coast(maps, latitude, longitude, farthest=4000)
    np.testing.assert_allclose(near, np.where(np.array(expected) < 4000, expected, np.inf))
    masked = maps.fillna(0).assign_coords(sea=maps.notnull().all("time"))
    np.testing.assert_allclose(distance_to_coast(masked, latitude, longitude), expected)
    no_land = distance_to_coast(maps.fillna(0), latitude, longitude)
    assert np.isinf(no_land).all()


def test_the_regimes_of_points(maps, tracks):
    found = find_regimes(maps, tracks)
    assert list(found["regime"].values) == REGIMES
    coast = distance_to_coast(maps, tracks["latitude"].values, tracks["longitude"].values)
    near = (coast < 200) & (coast > 0)
    np.testing.assert_array_equal(found.sel(regime="coastal"), coast < 200)
    assert near.any()
    high, low = (found.sel(regime=f"offshore_{kind}_variability") for kind in ("high", "low"))
    far = coast >= 200
    west = tracks["longitude"].values > 181
    assert not (high & low).any()
    assert float(high[west & far].mean()) > 0.5 > 0.3 > float(high[~west & far].mean())
    latitude = tracks["latitude"].values
    np.testing.assert_array_equal(found.sel(regime="equatorial"), np.abs(latitude) <= 10)
    np.testing.assert_array_equal(found.sel(regime="arctic"), latitude >= 70)
    np.testing.assert_array_equal(found.sel(regime="antarctic"), latitude <= -70)


def test_a_given_variance_decides(maps, tracks):
    """Also where the maps are in centimetres: it is in their units, squared."""
    variance = xr.full_like(maps[0].drop_vars("time"), 0.03)
    found = find_regimes(maps, tracks, variance=variance)
    assert not found.sel(regime="offshore_low_variability").any()
    centimetres = (100 * maps).assign_attrs(units="cm")
    same = find_regimes(centimetres, tracks, variance=1e4 * variance)
    xr.testing.assert_identical(same, found)
    xr.testing.assert_identical(find_regimes(centimetres, tracks), find_regimes(maps, tracks))


def slow_lanczos(values: np.ndarray, seconds: np.ndarray, reach: float) -> np.ndarray:
    """Average with the Lanczos weights of order one, point by point."""
    filtered = np.empty(values.size)
    for i in range(values.size):
        t = (seconds - seconds[i]) / reach
        weights = np.where(np.abs(t) < 1, np.sinc(t) * np.sinc(t), 0)
        filtered[i] = np.sum(weights * values) / np.sum(weights)
    return filtered


def test_the_band_pass_filter_point_by_point():
    """Over gaps too, with reaches in whole seconds."""
    rng = np.random.default_rng(64)
    seconds = np.delete(np.arange(400.0), [30, 31, 32, *range(200, 260)]) * 1.003
    values = rng.normal(size=seconds.size)
    expected = slow_lanczos(values, seconds, 9) - slow_lanczos(values, seconds, 72)
    np.testing.assert_allclose(band_pass(values, seconds, SPACING), expected, atol=1e-12)


def test_the_band_pass_filter_keeps_the_band():
    """Half of a wave at its ends; nearly all between, and little outside."""
    seconds = np.arange(4000.0)
    middle = slice(1000, 3000)

    def kept(wavelength: float) -> float:
        wave = np.sin(2 * np.pi * SPACING * seconds / wavelength)
        return band_pass(wave, seconds, SPACING)[middle].std() / wave[middle].std()

    assert kept(5000) < 0.1 and kept(30) < 0.1
    assert kept(200) > 0.7


def test_the_scores_by_hand(maps, tracks, found):
    """Explained variance by regime, without the long-wavelength correction in the error."""
    mapped = maps.interp(
        time=tracks["time"].drop_vars("time").rename(time="point"),
        lat=xr.DataArray(tracks["latitude"].values, dims="point"),
        lon=xr.DataArray(tracks["longitude"].values, dims="point"),
    ).values
    known = np.isfinite(mapped + tracks["sla_unfiltered"].values)
    signal = tracks["sla_unfiltered"].values[known]
    truth = signal - tracks["lwe"].values[known]
    mapped = mapped[known]
    seconds = (tracks["time"].values[known] - np.datetime64("2019-01-01")) / np.timedelta64(1, "s")
    filtered_map, filtered_truth = (band_pass(a, seconds, SPACING) for a in (mapped, truth))
    regimes = find_regimes(maps, tracks.isel(time=known))
    for regime in REGIMES:
        inside = regimes.sel(regime=regime).values
        one = found.sel(regime=regime)
        assert int(one["n_points"]) == inside.sum() > 0
        expected = 1 - np.var((mapped - truth)[inside]) / np.var(signal[inside])
        assert float(one["explained_variance"]) == pytest.approx(expected, rel=1e-6)
        error = (filtered_map - filtered_truth)[inside]
        expected = 1 - np.var(error) / np.var(filtered_truth[inside])
        assert float(one["explained_variance_band"]) == pytest.approx(expected, rel=1e-6)
    assert int(found["n_outside"]) == np.isfinite(tracks["sla_unfiltered"]).sum() - known.sum()
    assert found.attrs["truth"] == "sla_unfiltered - lwe"


def test_the_resolution_of_a_regime_is_that_of_its_windows(maps, tracks):
    """With low variability everywhere, that regime has all windows."""
    no_land, quiet = maps.fillna(0), xr.zeros_like(maps[0])
    tracks = tracks.assign(sla_unfiltered=tracks["sla_unfiltered"].fillna(0))
    with pytest.warns(XdvarnetWarning, match="not known of"):
        found = ose2023a(no_land, tracks, variance=quiet.drop_vars("time"))
    mapped = no_land.interp(
        time=tracks["time"].drop_vars("time").rename(time="point"),
        lat=xr.DataArray(tracks["latitude"].values, dims="point"),
        lon=xr.DataArray(tracks["longitude"].values, dims="point"),
        kwargs={"fill_value": np.nan},
    )
    tracks["error"] = ("time", mapped.values - tracks["sla_unfiltered"].values)
    inside = tracks.isel(time=tracks["error"].notnull().values)
    spectra = [
        power_spectrum_along_track(inside, name, length="1500 km", gap="2 s")
        for name in ("error", "sla_unfiltered")
    ]
    expected = float(effective_resolution(*spectra)["lambda_x"])
    low = found["lambda_x"].sel(regime="offshore_low_variability")
    assert float(low) == pytest.approx(expected, rel=1e-6)
    assert np.isnan(found["lambda_x"].sel(regime=["coastal", "arctic"])).all()


def test_results_are_labelled(found, tmp_path):
    assert found["regime"].values.tolist() == REGIMES
    assert found["lambda_x"].attrs["units"] == "km"
    assert all(set(array.attrs) == {"long_name", "units"} for array in found.values())
    found.to_netcdf(tmp_path / "scores.nc", engine="h5netcdf")


def test_short_tracks_have_no_resolution(maps, tracks):
    """One warning; the other scores are there, and NaN where a regime has no point."""
    short = tracks.isel(time=slice(1000, 1150))
    with pytest.warns(XdvarnetWarning, match="windows of 1500 km need 217 points") as seen:
        found = ose2023a(maps, short.rename(sla_unfiltered="sla").drop_vars("lwe"))
    assert len(seen) == 1
    assert np.isnan(found["lambda_x"]).all()
    assert found.attrs["truth"] == "sla"
    arctic = found.sel(regime="arctic")
    assert int(arctic["n_points"]) == 0 and np.isnan(arctic["explained_variance"])


@pytest.mark.parametrize(
    ("change", "error", "complaint"),
    [
        (lambda ds: ds.rename(sla_unfiltered="adt"), UnknownNameError, "'sla_unfiltered' or 'sla'"),
        (lambda ds: ds.isel(time=slice(None, None, -1)), InvalidInputError, "sort"),
        (lambda ds: ds.isel(time=[5, 5, 6]), InvalidInputError, "duplicate"),
        (
            lambda ds: ds.assign_coords(latitude=0 * ds["latitude"] - 89),
            InvalidInputError,
            "no point",
        ),
    ],
)
def test_tracks_that_cannot_be_scored(change, error, complaint, maps, tracks):
    with pytest.raises(error, match=complaint):
        ose2023a(maps, change(tracks))
