"""Backgrounds: what they take away is what they say, and where they are known."""

import copy
import warnings

import numpy as np
import pytest
import xarray as xr
from reconstructors import gappy
from scipy.ndimage import gaussian_filter

from xdvarnet import OptimalInterpolation
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.grids.internal import DIMS, to_internal
from xdvarnet.mapping.background import MeanMapBackground, ObservedBackground, running_basin_mean

pytestmark = pytest.mark.filterwarnings("error")


def internal(dataset: xr.Dataset) -> xr.DataArray:
    return to_internal(dataset, {"ssh": "m"})["ssh"]


def series(values, days=None) -> xr.DataArray:
    """One row of two cells for each time; None is unobserved."""
    values = np.array([[[np.nan if v is None else v, np.nan]] for v in values], np.float32)
    days = np.arange(len(values), dtype=float) if days is None else np.array(days, float)
    return xr.DataArray(values, {"time": days, "latitude": [40.0], "longitude": [5.0, 6]}, DIMS)


# running mean of the basin


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (1, [1, 2, 6, 3, 8]),
        (3, [1.5, 3, 11 / 3, 17 / 3, 5.5]),
        (9, [4] * 5),
        (2, [1, 1.5, 4, 4.5, 5.5]),
    ],
)
def test_running_mean_of_days(days, expected):
    mean = running_basin_mean(series([1, 2, 6, 3, 8]), days)
    assert mean.dims == ("time",)
    np.testing.assert_allclose(mean, expected)


def test_running_mean_counts_observations_and_not_days():
    observed = series([1.0, 2, 3])
    observed[0, 0, 1] = 4.0
    np.testing.assert_allclose(running_basin_mean(observed, 3), [7 / 3, 10 / 4, 5 / 2])


def test_running_mean_of_irregular_days():
    observed = series([1, 2, 6, 3, 8], days=[0, 1, 30, 31.5, 100])
    np.testing.assert_allclose(running_basin_mean(observed, 5), [1.5, 1.5, 4.5, 4.5, 8])


def test_window_without_observation_takes_the_mean_of_the_period():
    np.testing.assert_allclose(running_basin_mean(series([1, None, 5]), 1), [1, 3, 5])
    np.testing.assert_allclose(running_basin_mean(series([None, None]), 3), [0, 0])


def test_running_mean_follows_a_rise_of_the_basin():
    dataset = gappy(days=40)
    rise = xr.DataArray(0.01 * np.arange(40.0), dims="time")
    still, rising = (running_basin_mean(internal(d), 7) for d in (dataset, dataset + rise))
    np.testing.assert_allclose((rising - still)[4:-4], rise[4:-4], atol=0.005)


@pytest.mark.parametrize("chunks", [{"time": 3}, {"latitude": 5, "longitude": 4}])
@pytest.mark.parametrize(
    "background",
    [ObservedBackground(days=5), MeanMapBackground(gappy().mean("time"), days=5)],
    ids=["observed", "mean-map"],
)
def test_lazy_equals_eager(background, chunks):
    observed = internal(gappy())
    lazy = background.estimate(observed.chunk(chunks))
    assert lazy.chunks is not None
    np.testing.assert_allclose(lazy.values, background.estimate(observed).values, atol=1e-7)


# mean map


def test_mean_map_is_found_again():
    dataset = gappy(unobserved=0.0)
    mean = dataset.mean("time")
    observed = internal(mean.expand_dims(time=dataset["time"].values))
    estimate = MeanMapBackground(mean + 0.3).estimate(observed)
    assert estimate.dims == DIMS
    assert estimate.dtype == np.float32
    sea = dataset["sea"].values
    np.testing.assert_allclose(estimate.values[:, sea], observed.values[:, sea], atol=1e-6)
    assert np.isfinite(estimate).all()  # land too, with the nearest value of the row


def test_land_takes_the_nearest_value_of_the_row_or_the_mean():
    row = np.array([[np.nan, 1, np.nan, np.nan, 4, np.nan]] * 2 + [[np.nan] * 6])
    maps = xr.Dataset(
        {"ssh": (("lat", "lon"), row)}, {"lat": np.arange(3.0), "lon": 2 * np.arange(6.0)}
    )
    time = np.array(["2020-01-01"], "datetime64[ns]")
    observed = internal(maps.expand_dims(time=time) * np.nan)
    estimate = MeanMapBackground(maps).estimate(observed)[0]
    np.testing.assert_allclose(estimate[0], [1, 1, 1, 4, 4, 4])
    np.testing.assert_allclose(estimate[2], 2.5)


def plane(latitude: np.ndarray, longitude: np.ndarray) -> xr.Dataset:
    values = latitude[:, None] - 2 * longitude
    return xr.Dataset({"ssh": (("lat", "lon"), values)}, {"lat": latitude, "lon": longitude})


def test_mean_map_is_interpolated_to_another_grid():
    coarse = plane(36 + 0.5 * np.arange(9), 2 + 0.4 * np.arange(11))
    # the first row and the last column lie beyond the map, by less than a cell
    latitude, longitude = 35.9 + 0.15 * np.arange(20), 2.1 + 0.21 * np.arange(20)
    fine = 0.5 + plane(latitude.clip(36, 40), longitude.clip(2, 6))
    fine = fine.assign_coords(lat=latitude, lon=longitude)
    observed = internal(fine.expand_dims(time=np.array(["2020-01-01"], "datetime64[ns]")))
    estimate = MeanMapBackground(coarse).estimate(observed)
    np.testing.assert_allclose(estimate, observed, atol=1e-5)


@pytest.mark.parametrize("turn", [-360, 0, 360])
@pytest.mark.parametrize("descending", [False, True])
def test_convention_of_the_mean_map_makes_no_difference(turn, descending):
    dataset = gappy()
    mean = dataset.mean("time")
    other = mean.assign_coords(lon=mean["lon"] + turn).transpose("lon", "lat")
    other = other.isel(lat=slice(None, None, -1)) if descending else other
    observed = internal(dataset)
    np.testing.assert_allclose(
        MeanMapBackground(other).estimate(observed),
        MeanMapBackground(mean).estimate(observed),
        atol=1e-6,
    )


@pytest.mark.parametrize("start", [0.0, -180.0, 20.0])
@pytest.mark.parametrize("west", [-6.0, 354.0, 100.0, 175.0, -179.0])
def test_global_mean_map_reaches_over_any_basin(start, west):
    longitude = start + 2.0 * np.arange(180)
    latitude = np.arange(30.0, 45, 1.5)
    wave = np.cos(np.deg2rad(3 * longitude)) + 0 * latitude[:, None]
    maps = xr.Dataset({"ssh": (("lat", "lon"), wave)}, {"lat": latitude, "lon": longitude})
    dataset = gappy()
    dataset = dataset.assign_coords(lon=west + 0.5 * np.arange(dataset.sizes["lon"]))
    estimate = MeanMapBackground(maps).estimate(internal(dataset))
    shape = estimate[0, 0] - estimate[0, 0].mean()
    wanted = np.cos(np.deg2rad(3 * dataset["lon"].values))
    np.testing.assert_allclose(shape, wanted - wanted.mean(), atol=2e-3)


def test_units_of_the_mean_map_convert():
    observed = internal(gappy())
    metres = gappy().mean("time")
    metres["ssh"].attrs["units"] = "m"
    centimetres = 100 * metres
    centimetres["ssh"].attrs["units"] = "cm"
    np.testing.assert_allclose(
        MeanMapBackground(centimetres).estimate(observed),
        MeanMapBackground(metres).estimate(observed),
        atol=1e-6,
    )
    centimetres["ssh"].attrs["units"] = "K"
    with pytest.raises(InvalidInputError, match="'ssh' has units 'K'.*do not convert to 'm'"):
        MeanMapBackground(centimetres).estimate(observed)


@pytest.mark.parametrize(("axis", "name"), [("lat", "latitude"), ("lon", "longitude")])
def test_mean_map_of_another_place(axis, name):
    mean = gappy().mean("time")
    elsewhere = mean.assign_coords({axis: mean[axis] + 30})
    with pytest.raises(InvalidInputError, match=f"spans .* of {name} and the data .*Observed"):
        MeanMapBackground(elsewhere).estimate(internal(gappy()))


def test_mean_map_of_another_variable():
    maps = gappy().mean("time").rename(ssh="adt")
    with pytest.raises(
        UnknownNameError, match=r"variable 'ssh' is missing; the dataset has \['adt'"
    ):
        MeanMapBackground(maps).estimate(internal(gappy()))


def test_maps_that_are_no_mean_maps():
    with pytest.raises(
        InvalidInputError, match=r"no variable of \['ssh'\] is a map.*mean\('time'\)"
    ):
        MeanMapBackground(gappy())
    with pytest.raises(InvalidTypeError, match="expected an xarray Dataset, got DataArray"):
        MeanMapBackground(gappy()["ssh"].mean("time"))
    with pytest.raises(InvalidInputError, match="mean map of 'ssh' has no finite value"):
        MeanMapBackground((gappy() * np.nan).isel(time=0))
    infinite = gappy().fillna(0).mean("time")
    infinite["ssh"][2, 3] = np.inf
    with pytest.raises(InvalidInputError, match="variable 'ssh' has 1 infinite value"):
        MeanMapBackground(infinite)
    with pytest.raises(InvalidInputError, match="days=0 is not accepted"):
        MeanMapBackground(gappy().mean("time"), days=0)


# smooth map of the observations


def test_observed_background_of_a_constant():
    dataset = gappy()
    dataset["ssh"] = dataset["ssh"] * 0 + 0.7
    estimate = ObservedBackground().estimate(internal(dataset))
    assert estimate.dims == DIMS
    assert estimate.dtype == np.float32
    np.testing.assert_allclose(estimate, 0.7, atol=1e-6)


def test_observed_background_follows_a_smooth_map():
    dataset = gappy(days=25, rows=30, columns=40, unobserved=0.8)
    slope = 0.05 * (dataset["lat"] - dataset["lat"].mean())
    dataset["ssh"] = (dataset["ssh"] * 0.1 + slope).astype(np.float32)
    estimate = ObservedBackground(length="60 km").estimate(internal(dataset))
    middle = estimate[:, 6:-6, 6:-6].mean(("time", "longitude"))
    np.testing.assert_allclose(middle - middle.mean(), slope[6:-6], atol=0.01)


def test_observed_background_is_smooth_over_its_length():
    dataset = gappy(unobserved=0.0).where(False)
    dataset["ssh"][:, 5, 11] = 1.0
    dataset["ssh"][:, 9, 2] = -1.0
    rough, smooth = (
        ObservedBackground(length=length).estimate(internal(dataset))[0] for length in (20.0, 300.0)
    )
    assert rough.max() - rough.min() > 1.5
    assert smooth.max() - smooth.min() < 1.2
    assert np.abs(gaussian_filter(smooth.values, 1) - smooth.values).max() < 0.05


@pytest.mark.parametrize(("days", "warned"), [(1, True), (6, True), (7, False), (30, False)])
def test_a_record_of_less_than_a_week_is_said(days, warned):
    """Once by `reconstruct`, and what it advises ends it."""
    dataset = gappy(days=days)
    oi = OptimalInterpolation("ssh", correlation_length=80, correlation_time=9, noise=0.02, std=0.1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset.dvarnet.reconstruct(oi)
    said = [str(each.message) for each in caught]
    assert [f"observations of {days} day" in text for text in said] == [True] * warned
    dataset.dvarnet.reconstruct(oi.with_options(background=MeanMapBackground(gappy().mean("time"))))


def test_without_observations_the_background_is_zero():
    estimate = ObservedBackground().estimate(internal(gappy()) * np.nan)
    np.testing.assert_array_equal(estimate, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": "150 days"}, "length='150 days' is not understood"),
        ({"length": -1}, "length=-1 is not accepted"),
        ({"days": -5}, "days=-5 is not accepted"),
    ],
)
def test_parameters_that_are_not_accepted(options, message):
    with pytest.raises(InvalidInputError, match=message):
        ObservedBackground(**options)


def test_the_observations_are_left_as_they_are():
    observed = internal(gappy())
    before = copy.deepcopy(observed)
    maps = gappy().mean("time")
    kept = maps.copy(deep=True)
    ObservedBackground().estimate(observed)
    MeanMapBackground(maps).estimate(observed)
    xr.testing.assert_identical(observed, before)
    xr.testing.assert_identical(maps, kept)


def test_they_say_what_they_are():
    assert repr(ObservedBackground()) == "ObservedBackground(length='150 km', days=31)"
    background = MeanMapBackground(gappy().mean("time"), days=7)
    assert repr(background) == "MeanMapBackground(mean maps of ssh, days=7)"
