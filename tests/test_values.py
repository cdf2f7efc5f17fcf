"""Numbers that are no values are refused by every function, and made NaN by `harmonise`."""

import re
import warnings
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from instances import network_from_nothing

import xdvarnet
from xdvarnet.errors import InvalidInputError, XdvarnetWarning
from xdvarnet.grids.series import find_series
from xdvarnet.grids.values import STORAGE, mask_fills, trusted_values
from xdvarnet.methods.optimal_interpolation.interpolation import OptimalInterpolation
from xdvarnet.metrics.proper_scores import gaussian_crps
from xdvarnet.metrics.spectra import power_spectrum_along_track, wavenumber_frequency_spectrum
from xdvarnet.tracks.crossovers import crossover_noise

LAT, LON = 34 + 0.25 * np.arange(8), 2 + 0.5 * np.arange(9)
DAYS = pd.date_range("2016-12-01", periods=4)
AXES = {
    "time": DAYS,
    "lat": ("lat", LAT, {"units": "degrees_north"}),
    "lon": ("lon", LON, {"units": "degrees_east"}),
}
FILLS = [-9999, -999, 32767, 1e20, 9.96921e36, -2147483647 * 1e-4, -2147483647 * 1e-3, np.inf]
FILLS += [32.767, -32.768, -3.2768, 65.535, -99.99, -999.9, 999]


def maps(dtype: str = "float64") -> xr.Dataset:
    """Return heights of some decimetres, without a gap."""
    wave = 0.2 * np.sin(LON - np.arange(4)[:, None, None]) * np.cos(LAT)[:, None]
    return xr.Dataset({"ssh": (("time", "lat", "lon"), wave.astype(dtype), {"units": "m"})}, AXES)


def tracks(dtype: str = "float64") -> xr.Dataset:
    """Return points of two missions across the maps."""
    n = 400
    return xr.Dataset(
        {
            "ssh": ("time", (0.1 * np.sin(np.arange(n) / 30)).astype(dtype), {"units": "m"}),
            "mission": ("time", np.repeat(["a", "b"], n // 2)),
        },
        {
            "time": pd.date_range("2016-12-01T06:00", periods=n, freq="10min"),
            "lat": ("time", np.linspace(34, 35.75, n), {"units": "degrees_north"}),
            "lon": ("time", np.linspace(2, 6, n // 2)[np.arange(n) % 200], AXES["lon"][2]),
        },
    )


def oi() -> OptimalInterpolation:
    return OptimalInterpolation(
        "ssh", correlation_length=100, correlation_time=10, noise=0.05, std=0.2
    )


def spde() -> xdvarnet.SPDEField:
    return xdvarnet.SPDEField(
        correlation_length="100 km", correlation_time="5 days", std=0.2, noise=0.05
    )


def train(truth: xr.Dataset) -> xdvarnet.DVarNet:
    system = xdvarnet.ObservingSystem(["jason1"], noise=0.02)
    return network_from_nothing().fit(truth, observe=system, validation=maps(), rng=0)


OF_MAPS = {
    "observe": lambda field: field.dvarnet.observe(["jason1"], noise=0.02, rng=0),
    "reconstruct": lambda field: field.dvarnet.reconstruct(oi()),
    "sample_tracks": lambda field: field.dvarnet.sample_tracks(tracks()),
    "regrid": lambda field: field.dvarnet.regrid(maps().isel(lat=slice(1, 7), lon=slice(1, 7))),
    "score": lambda field: field.dvarnet.score(maps()),
    "score, reference": lambda field: maps().dvarnet.score(field),
    "geostrophic": lambda field: field.dvarnet.geostrophic(),
    "to_duacs": lambda field: field.dvarnet.to_duacs(),
    "rmse": lambda field: xdvarnet.metrics.rmse(field["ssh"], maps()["ssh"]),
    "gaussian_crps": lambda field: gaussian_crps(
        field["ssh"], 0 * maps()["ssh"] + 1, maps()["ssh"]
    ),
    "wavenumber_frequency_spectrum": lambda field: wavenumber_frequency_spectrum(field["ssh"]),
    "likelihood": lambda field: spde().log_likelihood(field),
    "fit": lambda field: xdvarnet.SPDEField.fit(field, trials=1),
    "training": train,
}
OF_TRACKS = {
    "bin_tracks": lambda points: points.dvarnet.bin_tracks(maps()),
    "evaluate": lambda points: xdvarnet.evaluate(
        {"OI": oi()}, points, maps(), withhold="a", noise=0.01
    ),
    "crossover_noise": lambda points: crossover_noise(points, "ssh"),
    "power_spectrum_along_track": lambda points: power_spectrum_along_track(points, "ssh"),
    "ose2021a": lambda points: maps().dvarnet.score(points, kind="ose2021a"),
    "likelihood": lambda points: spde().log_likelihood(points, maps()),
}


def with_value(dataset: xr.Dataset, value: float) -> xr.Dataset:
    """Return the Dataset with another number in the midst of the heights."""
    dataset = dataset.copy(deep=True)
    heights = dataset["ssh"].values
    heights[tuple(n // 2 for n in heights.shape)] = value
    return dataset


@pytest.mark.parametrize("value", FILLS)
@pytest.mark.parametrize("function", OF_MAPS)
def test_fills_in_maps_are_refused(function, value):
    """With their number and place."""
    with pytest.raises(InvalidInputError, match="'ssh' has 1 .*(=2016-12-03|time.[0-9]).*NaN"):
        OF_MAPS[function](with_value(maps(), value))


@pytest.mark.parametrize("value", FILLS)
@pytest.mark.parametrize("function", OF_TRACKS)
def test_fills_in_tracks_are_refused(function, value):
    """With their number and place."""
    with pytest.raises(InvalidInputError, match="'ssh' has 1 .*=2016-12-02.*NaN"):
        OF_TRACKS[function](with_value(tracks(), value))


@pytest.mark.parametrize("value", FILLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [maps, tracks])
def test_both_remedies_work(make, dtype, value):
    """What the message says to do gives NaN at that place, and the other values."""
    field = with_value(make(dtype), value)
    expected = with_value(make(dtype), np.nan)["ssh"].values
    with pytest.raises(InvalidInputError) as problem:
        trusted_values(field["ssh"])
    (advice,) = re.findall(r"mask them: (.*)\.$", str(problem.value))
    masked = eval(advice, {"dataset": field})  # as a user would type it
    np.testing.assert_array_equal(trusted_values(masked["ssh"]), expected)
    with pytest.warns(XdvarnetWarning, match="'ssh' has 1 .*; taken as missing"):
        harmonised = field.dvarnet.harmonise()
    np.testing.assert_array_equal(harmonised["ssh"], expected)
    assert harmonised["ssh"].dtype == dtype


@pytest.mark.parametrize("function", [name for name in OF_MAPS if name != "training"])
def test_the_same_maps_without_a_fill_pass(function):
    """The rule alone made the difference."""
    OF_MAPS[function](maps())


@pytest.mark.parametrize("function", ["bin_tracks", "likelihood"])
def test_the_same_tracks_without_a_fill_pass(function):
    """The rule alone made the difference."""
    OF_TRACKS[function](tracks())


@pytest.mark.filterwarnings("ignore:the background is a smooth map")
@pytest.mark.parametrize(
    ("make", "call"),
    [(maps, call) for name, call in OF_MAPS.items() if name != "training"]
    + [(tracks, call) for call in OF_TRACKS.values()],
)
@pytest.mark.parametrize(("right", "said"), [("cm", "m"), ("m", "cm"), ("mm", "m")])
def test_heights_in_other_units_than_they_say_are_warned_of(make, call, right, said):
    """Such as centimetres that say they are metres; what the warning advises ends it."""
    field = make()
    field["ssh"] = ({"m": 1, "cm": 100, "mm": 1000}[right] * field["ssh"]).assign_attrs(units=said)
    wrong = rf"'ssh' has a root mean square of .* {said}, and that of the sea is 0.004 to 3 m"
    with pytest.warns(XdvarnetWarning, match=wrong) as caught, suppress(InvalidInputError):
        call(field)  # for some functions these tracks are too few
    advice = next(str(each.message) for each in caught if "root mean square" in str(each.message))
    field["ssh"].attrs["units"] = advice.split("attrs['units'] = ")[1].strip("'.")
    assert right == "mm" or field["ssh"].attrs["units"] == right  # these may be cm as well
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=wrong)
        with suppress(InvalidInputError):
            call(field)


@pytest.mark.parametrize(
    ("units", "value", "advice"),
    [("degC", 288.0, "K"), ("K", 15.0, "degC"), ("degC", 15.0, None), ("K", 288.0, None)],
)
def test_temperatures_are_those_of_the_sea(units, value, advice):
    sst = xr.DataArray(np.full(5, value), dims="x", name="sst", attrs={"units": units})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trusted_values(sst)
        trusted_values(sst.assign_attrs(standard_name="sea_surface_temperature_anomaly"))
        trusted_values(sst.chunk())
    found = [str(each.message).split("attrs['units'] = ")[1].strip("'.") for each in caught]
    assert found == ([] if advice is None else [advice])


@pytest.mark.filterwarnings("ignore:the background is a smooth map")
@pytest.mark.parametrize("model", [oi, spde])
def test_a_noise_larger_than_what_is_observed_is_warned_of(model):
    """As 3 for 3 cm, where heights are in m; what the warning advises ends it."""
    field, right = maps(), model()
    with pytest.warns(XdvarnetWarning, match=r"noise of 'ssh', 3 m, is larger than .* 0\.\d+ m"):
        field.dvarnet.reconstruct(right.replace(noise=3.0))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the noise of")
        field.dvarnet.reconstruct(right.replace(noise=0.03))


def test_lazy_values_are_checked_when_they_are_computed():
    """The place is that in the whole array, and chunks stay."""
    field = with_value(maps(), -9999).chunk(time=1)
    lazy = trusted_values(field["ssh"])
    assert lazy.chunks == field["ssh"].chunks
    with pytest.raises(
        InvalidInputError, match="fill value.s. -9999, the first at time=2016-12-03"
    ):
        lazy.compute()


def packed(dtype: str = "int16", **more: object) -> xr.Dataset:
    """Return maps as they are in a file, not decoded."""
    stored = np.round(maps()["ssh"] / 1e-4).astype(dtype)
    stored[0, 0, 0] = -32767
    attributes = {"units": "m", "scale_factor": 1e-4, "_FillValue": stored.dtype.type(-32767)}
    return maps().assign(ssh=stored.assign_attrs(attributes, **more))


def decoded() -> np.ndarray:
    expected = maps()["ssh"].values.copy()
    expected[0, 0, 0] = np.nan
    return expected


@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize("function", OF_MAPS)
def test_packed_integers_are_refused(function, as_float):
    """As they are, and made floating-point numbers; decoded as the message says, they pass."""
    field = packed().astype(float) if as_float else packed()
    with pytest.raises(InvalidInputError, match="packed values .* xarray.decode_cf"):
        OF_MAPS[function](field)
    np.testing.assert_allclose(trusted_values(xr.decode_cf(field)["ssh"]), decoded(), atol=5.1e-5)


def test_packed_tracks_are_refused():
    """Packed integers are no labels."""
    points = tracks()
    stored = np.round(points["ssh"] / 1e-4).astype("int16").assign_attrs(scale_factor=1e-4)
    with pytest.raises(InvalidInputError, match="packed values .* xarray.decode_cf"):
        points.assign(ssh=stored).dvarnet.bin_tracks(maps())


def test_packed_positions_are_refused():
    """Thousandths of a degree are no degrees; decoded as the message says, they are."""
    field = maps()
    for name in ("lat", "lon"):
        stored = xr.Variable(name, (field[name].values * 1000).astype("int32"))
        stored.attrs = {**field[name].attrs, "scale_factor": 1e-3}
        field = field.assign_coords({name: stored})
    with pytest.raises(InvalidInputError, match="'lat' holds packed values .* xarray.decode_cf"):
        field.dvarnet.geostrophic()
    np.testing.assert_allclose(xr.decode_cf(field)["lat"], LAT)
    np.testing.assert_allclose(field.dvarnet.harmonise()["lon"], LON)
    points = tracks()
    stored = (points["lat"] * 1000).astype("int32").assign_attrs(scale_factor=1e-3)
    with pytest.raises(InvalidInputError, match="'lat' holds packed values"):
        points.assign_coords(lat=stored).dvarnet.bin_tracks(maps())


def test_integers_are_decoded_and_other_numbers_are_not():
    """Heights that were decoded by hand and kept their attributes stay as they are."""
    expected = decoded()
    by_hand = packed()
    with xr.set_options(keep_attrs=True):
        by_hand["ssh"] = by_hand["ssh"].where(by_hand["ssh"] != -32767) * 1e-4
    assert "scale_factor" in by_hand["ssh"].attrs
    for field in (packed(), by_hand):
        harmonised = field.dvarnet.harmonise()
        np.testing.assert_allclose(harmonised["ssh"], expected, atol=5.1e-5)
        assert not STORAGE & {*harmonised["ssh"].attrs, *harmonised["ssh"].encoding}


def test_a_fill_that_was_decoded_with_the_values_is_found():
    """The fill times the scale is no height, though it is as small as one."""
    by_hand = packed()
    with xr.set_options(keep_attrs=True):
        by_hand["ssh"] = by_hand["ssh"] * 1e-4
    with pytest.raises(InvalidInputError, match="1 fill value.s. -3.2767, the first at time=2016"):
        by_hand.dvarnet.reconstruct(oi())
    with pytest.warns(XdvarnetWarning, match="-3.2767"):
        harmonised = by_hand.dvarnet.harmonise()
    np.testing.assert_allclose(harmonised["ssh"], decoded(), atol=5.1e-5)


RESULTS = {
    "observe": lambda field: OF_MAPS["observe"](field)["ssh"],
    "reconstruct": lambda field: OF_MAPS["reconstruct"](field)["ssh"],
    "sample_tracks": lambda field: OF_MAPS["sample_tracks"](field)["ssh"],
    "regrid": lambda field: OF_MAPS["regrid"](field)["ssh"],
    "geostrophic": lambda field: OF_MAPS["geostrophic"](field)["ugos"],
    "harmonise": lambda field: field.dvarnet.harmonise()["ssh"],
    "bin_tracks": lambda field: (
        field.dvarnet.sample_tracks(tracks())
        .assign_attrs(field.attrs)
        .pipe(lambda points: points.assign(ssh=points["ssh"].assign_attrs(field["ssh"].attrs)))
        .dvarnet.bin_tracks(maps())["ssh"]
    ),
}


@pytest.mark.parametrize("name", RESULTS)
def test_no_result_says_how_the_input_was_stored(name, tmp_path):
    """So what is written is what is read."""
    stale = {"scale_factor": 1e-3, "add_offset": 0.0, "valid_min": 0, "_FillValue": -32768}
    field = maps().assign(ssh=maps()["ssh"].assign_attrs(stale, valid_max=1000, missing_value=-1e3))
    field["ssh"].encoding = {"dtype": "int16", "scale_factor": 1e-3}
    with warnings.catch_warnings(action="ignore"):  # harmonise says what it leaves out
        result = RESULTS[name](field)
    assert not STORAGE & {*result.attrs, *result.encoding}
    result.to_netcdf(tmp_path / "result.nc")
    with xr.open_dataset(tmp_path / "result.nc") as read:
        np.testing.assert_array_equal(read[result.name], result)


@pytest.mark.parametrize(
    ("attributes", "encoding"),
    [
        ({"valid_min": 0.0, "valid_max": 0.15}, {}),
        ({"valid_range": [0.0, 0.15]}, {}),
        ({"valid_min": np.int16(0), "valid_max": np.int16(1500)}, {"scale_factor": 1e-4}),
        (
            {"valid_range": np.array([-1000, 500], "int16")},
            {"scale_factor": 1e-4, "add_offset": 0.1},
        ),
        ({"valid_min": np.int16(0), "valid_max": np.int16(1500), "scale_factor": 1e-4}, {}),
        ({"valid_min": 0.0, "valid_max": 0.15}, {"scale_factor": 1e-4}),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_valid_ranges_are_applied(attributes, encoding, lazy):
    """Whole numbers in the units of packed data, others in those of the variable."""
    field = maps()
    field["ssh"] = field["ssh"].assign_attrs(attributes)
    field["ssh"].encoding = encoding
    array = field["ssh"].chunk() if lazy else field["ssh"]
    with pytest.warns(XdvarnetWarning, match="outside the valid range"):
        masked, _ = mask_fills(array)
        masked = masked.compute()
    inside = (field["ssh"] >= 0) & (field["ssh"] <= 0.15)
    xr.testing.assert_equal(masked, field["ssh"].where(inside))
    assert 0 < int(masked.notnull().sum()) < masked.size
    assert not STORAGE & set(masked.attrs)


def test_whole_numbers_that_are_decoded():
    """Of a scale larger than one, decoded numbers are whole; so may two be of any."""
    for values, attributes in (
        ([100.0, 200.0, 350.0], {"scale_factor": 50}),
        ([15.0, 16.0, 15.0], {"scale_factor": 0.01}),
        ([12.5, 62.5, 112.5], {"scale_factor": 50, "add_offset": 12.5}),
        ([20.0, 21.0, 25.0], {"add_offset": 20}),
    ):
        array = xr.DataArray(values, dims="x", name="depth", attrs=attributes)
        np.testing.assert_array_equal(trusted_values(array), values)


@pytest.mark.parametrize(
    "attributes",
    [{"add_offset": 273.15}, {"scale_factor": 50}, {"scale_factor": 2.0, "add_offset": 0.5}],
)
def test_packed_floats_of_any_scale_and_offset(attributes):
    """Whole numbers that are no sums of an offset and multiples of the scale are packed."""
    array = xr.DataArray([3.0, 7.0, 12.0, np.nan], dims="x", name="depth", attrs=attributes)
    for lazy in (array, array.chunk()):
        with pytest.raises(InvalidInputError, match="packed values"):
            trusted_values(lazy).compute()
    decoded = trusted_values(xr.decode_cf(array.fillna(0).astype("int16").to_dataset())["depth"])
    scale, offset = attributes.get("scale_factor", 1), attributes.get("add_offset", 0)
    np.testing.assert_allclose(decoded[:3], np.array([3, 7, 12]) * scale + offset)


def test_a_single_number():
    """A scalar has no place, and is a fill all the same."""
    scalar = xr.DataArray(-9999.0, name="depth")
    with pytest.raises(InvalidInputError, match="'depth' has 1 fill value"):
        trusted_values(scalar)
    with pytest.warns(XdvarnetWarning):
        assert np.isnan(mask_fills(scalar)[0])


def test_values_that_are_right_are_left_alone():
    """Usual fills among values like them are values: depths, pressures, zeros and ones."""
    right = {
        "depth": np.array([-5000.0, -999.0, -9999.0, -10.0, -10900.0]),
        "pressure": np.array([990.0, 999.0, 1013.0]),
        "sst": np.array([0.0, -1.8, 15.0, 30.0]),
        "ssh": np.array([0.0, 1.0, -1.0, -0.999]),
        "distance": np.array([0.0, 32767.0, 40000.0]),
        "seconds": np.array([0.0, 1.6e9]),
        "heat": np.array([1e9, 2e9, 5e9]),
        "ssh above the ellipsoid": np.array([-110.0, -99.99, -50.0, 32.767, 90.0]),
        "adt": np.array([-1.5, 3.0, 2.1, 1.2]),
        "salinity": np.array([32.767, 35.1, 35.2, 35.3]),
    }
    for name, values in right.items():
        array = xr.DataArray(values, dims="x", name=name, attrs={"units": "m"})
        xr.testing.assert_identical(trusted_values(array), array)
        assert mask_fills(array)[1] == []


def test_empty_and_missing_values_pass():
    """There is nothing to refuse."""
    for values in (np.full(3, np.nan), np.zeros(0)):
        array = xr.DataArray(values, dims="x", name="ssh")
        xr.testing.assert_identical(trusted_values(array), array)


def test_fills_in_series_are_refused():
    """States have no units, and the usual fills all the same."""
    series = xr.Dataset(
        {"state": (("time", "component"), np.random.default_rng(0).normal(0, 8, (20, 3)))},
        {"time": 0.1 * np.arange(20)},
    )
    series["state"][7, 1] = -9999
    with pytest.raises(InvalidInputError, match="'state' has 1 fill value.s. -9999.*time=0.7"):
        find_series(series)


@pytest.mark.parametrize("fill", [-9999.0, 1e20, np.inf])
@pytest.mark.parametrize("axis", ["lat", "lon"])
def test_positions_that_are_fills_are_refused(axis, fill):
    """They were a place somewhere; masked as the message says, the point is left out."""
    points = tracks()
    points[axis] = points[axis].copy(deep=True)
    points[axis].values[7] = fill
    with pytest.raises(InvalidInputError, match=f"'{axis}' has 1 ") as problem:
        points.dvarnet.bin_tracks(maps())
    (advice,) = re.findall(r"mask them: (.*)\.$", str(problem.value))
    followed = eval(advice, {"dataset": points})  # as a user would type it
    assert followed.dvarnet.bin_tracks(maps()).attrs["xdvarnet_points_outside"] == 1
    with pytest.warns(XdvarnetWarning, match=f"'{axis}' has 1 "):
        assert points.dvarnet.harmonise().sizes["time"] == 399


def invalid_maps() -> xr.Dataset:
    """Return heights of which one is beyond the range that they declare."""
    field = with_value(maps(), 30.0)
    return field.assign(ssh=field["ssh"].assign_attrs(valid_min=-2.0, valid_max=2.0))


def invalid_tracks() -> xr.Dataset:
    points = with_value(tracks(), 30.0)
    return points.assign(ssh=points["ssh"].assign_attrs(valid_range=[-2.0, 2.0]))


NUMBERS = {"likelihood", "fit", "training"}
"""Functions whose results are no Datasets, or take their time."""


def without_notes(result: xr.Dataset | xr.DataArray) -> xr.Dataset | xr.DataArray:
    """Return the values, without the time of writing in the history and the like."""
    return result.drop_attrs() if isinstance(result, xr.Dataset | xr.DataArray) else result


@pytest.mark.parametrize("function", sorted(set(OF_MAPS) - NUMBERS))
def test_maps_outside_their_valid_range_are_missing(function):
    """The result is that of a gap, with a warning, and says nothing of the range."""
    gap = with_value(maps(), np.nan)
    with pytest.warns(XdvarnetWarning, match="'ssh' has 1 value.s. outside the valid range -2 to"):
        found = OF_MAPS[function](invalid_maps())
    xr.testing.assert_equal(without_notes(found), without_notes(OF_MAPS[function](gap)))
    if isinstance(found, xr.Dataset):
        assert not any({*STORAGE} & {*variable.attrs} for variable in found.variables.values())


@pytest.mark.parametrize("function", ["bin_tracks", "evaluate", "crossover_noise", "likelihood"])
def test_tracks_outside_their_valid_range_are_missing(function):
    """The result is that of a gap, with a warning."""

    def call(points: xr.Dataset) -> object:
        try:
            return OF_TRACKS[function](points)
        except InvalidInputError as problem:  # for some functions these tracks are too few
            return str(problem)

    with pytest.warns(XdvarnetWarning, match="'ssh' has 1 value.s. outside the valid range -2 to"):
        found = call(invalid_tracks())
    expected = call(with_value(tracks(), np.nan))
    assert type(found) is type(expected)
    if isinstance(found, xr.Dataset | xr.DataArray):
        xr.testing.assert_equal(without_notes(found), without_notes(expected))
    else:
        assert found == expected


def temperatures(value: float, units: str = "degC", **attributes: object) -> xr.Dataset:
    """Return temperatures of the sea, one of which is another number."""
    field = 20 * maps() + (15 if units == "degC" else 288.15)
    field["ssh"].attrs = {"units": units, **attributes}
    return with_value(field, value).rename(ssh="sst")


COLD = [-999.9, 999.0, -327.68, -273.15, -54.53, 99.0]


@pytest.mark.parametrize("value", COLD)
def test_temperatures_that_no_sea_has(value):
    """They are refused, also in kelvins, and NaN in a product."""
    target = maps().isel(lat=slice(1, 7), lon=slice(1, 7))
    for field in (temperatures(value), temperatures(value + 273.15, "K")):
        for call in (
            lambda f: f.dvarnet.regrid(target),
            lambda f: f.dvarnet.sample_tracks(tracks()),
        ):
            with pytest.raises(InvalidInputError, match="'sst' has 1 "):
                call(field)
        with pytest.warns(XdvarnetWarning, match="'sst' has 1 .*; taken as missing"):
            harmonised = field.dvarnet.harmonise()["sst"]
        assert (
            int(harmonised.isnull().sum()) == 1 and -10 < harmonised.min() < harmonised.max() < 30
        )


@pytest.mark.parametrize("value", [-1.9, 37.0, -45.0])
def test_temperatures_that_a_surface_has(value):
    """Hot gulfs, freezing water and ice are kept; anomalies have no offset."""
    field = temperatures(value)
    np.testing.assert_array_equal(trusted_values(field["sst"]), field["sst"])
    anomaly = xr.DataArray(
        [value - 10, 0.0, 1.0],
        dims="x",
        name="sst",
        attrs={"units": "K", "long_name": "SST anomaly"},
    )
    if abs(value - 10) < 50:
        np.testing.assert_array_equal(trusted_values(anomaly), anomaly)


@pytest.mark.parametrize("value", [999.0, -999.9, 1e9, 1e10, 1e18, -32768.0, 655.35])
def test_fills_of_any_other_variable_are_refused(value):
    """Those of a variable of which nothing is known."""
    field = with_value(maps(), value).rename(ssh="chlorophyll")
    field["chlorophyll"].attrs["units"] = "mg m-3"
    target = maps().isel(lat=slice(1, 7), lon=slice(1, 7))
    for call in (
        lambda: field.dvarnet.regrid(target),
        lambda: field.dvarnet.sample_tracks(tracks()),
    ):
        with pytest.raises(InvalidInputError, match="'chlorophyll' has 1 fill value"):
            call()


def test_a_fill_among_values_like_it_is_warned_of():
    """No rule can tell it from a value; the warning names it, and what it advises ends it."""
    field = with_value(5000 * maps(), -999.0)
    field["ssh"].attrs["units"] = "mm"
    with pytest.warns(XdvarnetWarning, match="1 value.s. -999, the first at .*may be") as caught:
        assert trusted_values(field["ssh"]).min() == -999
    message = next(str(each.message) for each in caught if "may be" in str(each.message))
    (advice,) = re.findall(r"mask them: (.*)\.$", message)
    followed = eval(advice, {"dataset": field})  # as a user would type it
    with warnings.catch_warnings(action="error"):
        trusted_values(followed["ssh"])
        trusted_values(field["ssh"].round().assign_attrs(long_name="whole numbers"))


def whole_millimeters(fill: int = -32768, **attributes: object) -> xr.Dataset:
    """Return heights in integers, of which one is a fill, not packed."""
    field = with_value((1000 * maps()).round(), fill).astype("int16")
    field["ssh"].attrs = {"units": "mm", **attributes}
    return field


INTEGERS = {
    name: OF_MAPS[name] for name in ("score", "score, reference", "geostrophic", "to_duacs")
}
INTEGERS["regrid"] = lambda field: field.dvarnet.regrid(
    maps().isel(lat=slice(1, 7), lon=slice(1, 7)), method="nearest"
)


@pytest.mark.parametrize("attributes", [{}, {"_FillValue": np.int16(-32768)}])
@pytest.mark.parametrize("function", INTEGERS)
def test_fills_of_integers_are_refused(function, attributes):
    """Declared or not; made floating-point numbers too. What the message advises works."""
    field = whole_millimeters(**attributes)
    for given in (field, field.astype(float)):
        with pytest.raises(InvalidInputError, match="'ssh' has 1 fill value.s. -32768") as problem:
            INTEGERS[function](given)
        (advice,) = re.findall(r"mask them: (.*)\.$", str(problem.value))
        INTEGERS[function](eval(advice, {"dataset": given}))  # as a user would type it


@pytest.mark.parametrize("attributes", [{}, {"_FillValue": np.int16(-32768)}])
def test_fills_of_integers_are_missing_in_a_product(attributes):
    with warnings.catch_warnings(action="ignore"):
        harmonised = whole_millimeters(**attributes).dvarnet.harmonise()["ssh"]
    expected = with_value(maps(), np.nan)["ssh"]
    np.testing.assert_allclose(harmonised, expected, atol=5.1e-4)


def test_integers_that_are_no_quantity_may_be_any_number():
    """Labels have no fills but those that they declare."""
    region = xr.DataArray(np.array([1, 2, -999, 32767], "int16"), dims="x", name="region")
    xr.testing.assert_identical(trusted_values(region), region)
    with pytest.raises(InvalidInputError, match="fill value.s. 32767"):
        trusted_values(region.assign_attrs(_FillValue=np.int16(32767)))
    with pytest.raises(InvalidInputError, match="outside the valid range"):
        trusted_values(region.assign_attrs(valid_min=np.int16(0), valid_max=np.int16(32767)))


@pytest.mark.parametrize("value", [1e20, 9999.0])
def test_fills_in_maps_of_parameters_are_refused(value):
    """The parameters of a field, and the errors of observations, are values too."""
    std = with_value(0 * maps() + 0.1, value)["ssh"].drop_attrs(deep=False)
    lengths = {"correlation_length": "100 km", "correlation_time": "5 days"}
    with pytest.raises(InvalidInputError, match="'std' has 1 .*lat=35.0"):
        xdvarnet.SPDEField(**lengths, std=std, noise=0.05)
    with pytest.raises(InvalidInputError, match="'noise' has 1 .*lat=35.0"):
        spde().log_likelihood(maps(), noise=std)


@pytest.mark.parametrize("value", [-99.99, 91.0, 180.0])
def test_latitudes_beyond_the_poles(value):
    """A point there is left out of a product, and refused elsewhere."""
    points = tracks()
    points["lat"] = points["lat"].copy(deep=True)
    points["lat"].values[7] = value
    with pytest.raises(InvalidInputError, match="'lat' has 1 "):
        points.dvarnet.bin_tracks(maps())
    with pytest.warns(XdvarnetWarning, match="'lat' has 1 "):
        assert points.dvarnet.harmonise().sizes["time"] == 399


NAMES = (
    *("orbit", "absolute_orbit", "half_orbit", "pass_id", "track_number", "cycle_id", "track"),
    *("pass_number", "quality_level", "quality_flag", "sst_qc", "rain_flag", "qual_sst"),
)
FLAGS = [{"flag_meanings": "bad good"}, {"flag_values": [0, 1]}, {"standard_name": "quality_flag"}]


@pytest.mark.parametrize(
    ("name", "attributes"), [(n, {}) for n in NAMES] + [("q", f) for f in FLAGS]
)
def test_labels_and_flags_have_no_mean(name, attributes):
    """Left out of bins and samples, and refused by regridding, but for the nearest of them."""
    points = tracks()
    points[name] = ("time", np.repeat([5.0, 7.0], 200), attributes)
    assert set(points.dvarnet.bin_tracks(maps()).data_vars) == {"ssh"}
    field = maps().assign({name: (0 * maps()["ssh"].drop_attrs() + 1).assign_attrs(attributes)})
    assert set(field.dvarnet.sample_tracks(points).data_vars) == {"ssh"}
    assert name in field.dvarnet.sample_tracks(points, method="nearest")
    target = maps().isel(lat=slice(1, 7), lon=slice(1, 7))
    for method in ("linear", "conservative", "conservative_normed"):
        with pytest.raises(InvalidInputError, match=f"'{name}' holds flags or labels"):
            field.dvarnet.regrid(target, method=method)
    assert name in field.dvarnet.regrid(target, method="nearest")


@pytest.mark.parametrize("name", ["orbit_altitude", "cross_track_distance", "track_angle", "swh"])
def test_quantities_of_similar_names_have_a_mean(name):
    points = tracks().assign({name: ("time", np.linspace(1, 2, 400))})
    assert name in points.dvarnet.bin_tracks(maps())
