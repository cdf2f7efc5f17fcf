"""`reconstruct`: labels in, labels out, and what is refused."""

import re
import warnings

import numpy as np
import pytest
import xarray as xr
from reconstructors import Identity, NoBackground, Smoother, gappy

import xdvarnet
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError, XdvarnetWarning
from xdvarnet.grids.labels import FORMAL
from xdvarnet.mapping.background import MeanMapBackground
from xdvarnet.mapping.reconstruct import reconstruct
from xdvarnet.methods.optimal_interpolation.interpolation import OptimalInterpolation
from xdvarnet.methods.trivial import MeanMapOffset, Persistence
from xdvarnet.networks.training_grid import TrainingGrid

pytestmark = pytest.mark.filterwarnings("error")


def interpolation(**options) -> OptimalInterpolation:
    # all observations in three days, so that no choice among neighbours hangs on rounding
    options = {"neighbours": 1000, "time_window": 3} | options
    return OptimalInterpolation(
        "ssh", correlation_length="90 km", correlation_time="3 days", noise=0.02, **options
    )


def models():
    maps = gappy(unobserved=0.0, seed=3)
    known = MeanMapBackground(maps.mean("time"))
    return {
        "interpolation": interpolation(),
        "interpolation on a mean map": interpolation(background=known),
        "windows": Smoother(gives_std=True),
        "windows on a first guess": Smoother(gives_std=True, first_guess=interpolation()),
        "mean map": MeanMapOffset(maps),
        "persistence": Persistence(maps),
    }


EVERY_MODEL = pytest.mark.parametrize("model", models().values(), ids=models())
THREE_MODELS = pytest.mark.parametrize(
    "model",
    [interpolation(), Smoother(gives_std=True), Smoother(first_guess=interpolation())],
    ids=["interpolation", "windows", "first guess"],
)


@pytest.fixture
def dataset():
    return gappy(unobserved=0.85)


def close(maps: xr.Dataset, other: xr.Dataset, atol: float = 1e-6) -> None:
    """Require the same fields, whatever order the coordinates are in."""
    assert set(maps.data_vars) == set(other.data_vars)
    for name in maps.data_vars:
        np.testing.assert_allclose(maps[name].values, other[name].values, atol=atol)


def same_coordinates(maps: xr.Dataset, other: xr.Dataset) -> None:
    assert set(maps.coords) == set(other.coords)
    for name in maps.coords:
        xr.testing.assert_identical(maps[name].variable, other[name].variable)


# what comes back


@EVERY_MODEL
def test_the_grid_order_units_dtype_and_attributes_are_those_of_the_input(dataset, model):
    dataset = dataset.assign_attrs(experiment="third")
    maps = reconstruct(dataset, model)
    assert maps["ssh"].dims == dataset["ssh"].dims
    assert maps["ssh"].dtype == np.float32
    same_coordinates(maps, dataset)
    assert maps.attrs["experiment"] == "third" and "toy sea" in maps.attrs["source"]
    assert maps["ssh"].attrs.items() >= dataset["ssh"].attrs.items()
    assert maps.attrs["xdvarnet_model"] == repr(model)
    assert maps.attrs["xdvarnet_version"] == xdvarnet.__version__
    for attributes in (maps.attrs, *(field.attrs for field in maps.values())):
        assert all(isinstance(value, str | int | float) for value in attributes.values())


def test_the_standard_deviation_is_described_by_cf(dataset):
    maps = reconstruct(dataset, interpolation())
    assert maps["ssh"].attrs["ancillary_variables"] == "ssh_std"
    assert maps["ssh_std"].attrs == {
        "units": "m",
        "long_name": "standard deviation of height",
        "comment": FORMAL,
        "standard_name": "sea_surface_height standard_error",
    }
    assert "ancillary_variables" not in reconstruct(dataset, Smoother())["ssh"].attrs


def test_without_attributes_there_are_units_at_least(dataset):
    dataset["ssh"].attrs = {}
    message = "variable 'ssh' has no attribute 'units'; 'm' is assumed"
    with pytest.warns(XdvarnetWarning, match=message) as caught:
        maps = reconstruct(dataset, interpolation())
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert maps["ssh"].attrs == {"units": "m", "ancillary_variables": "ssh_std"}
    named = {"units": "m", "long_name": "standard deviation of ssh", "comment": FORMAL}
    assert maps["ssh_std"].attrs == named


def test_the_result_shares_no_memory_with_the_input(dataset):
    before = dataset.copy(deep=True)
    maps = reconstruct(dataset, Smoother())
    maps["ssh"][:] = 0
    maps["ssh"].attrs["units"] = "none"
    maps.attrs["title"] = "none"
    xr.testing.assert_identical(dataset, before)


@THREE_MODELS
@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_maps_go_through_netcdf(dataset, model, engine, tmp_path):
    if engine == "netcdf4":
        pytest.importorskip("netCDF4")
    maps = reconstruct(dataset, model)
    maps.to_netcdf(tmp_path / "maps.nc", engine=engine)
    with xr.open_dataset(tmp_path / "maps.nc", engine=engine) as written:
        xr.testing.assert_equal(written, maps)
        assert written.attrs == maps.attrs
        assert (
            written["ssh_std" if "ssh_std" in maps else "ssh"].attrs.items()
            >= {"units": "m"}.items()
        )
        # and observations that were written and read are mapped as before
        dataset.to_netcdf(tmp_path / "observations.nc", engine=engine)
        with xr.open_dataset(tmp_path / "observations.nc", engine=engine) as observations:
            close(reconstruct(observations.load(), model), maps)


def test_variables_that_the_model_does_not_know_are_left_out(dataset):
    maps = reconstruct(dataset.assign(mask=3, sst=dataset["ssh"]), interpolation())
    assert set(maps.data_vars) == {"ssh", "ssh_std"}


def test_several_variables(dataset):
    dataset["sst"] = (dataset["ssh"] + 280).assign_attrs(units="K")
    maps = reconstruct(dataset, Identity(variables={"ssh": "m", "sst": "K"}))
    for name in ("ssh", "sst"):
        wanted = dataset[name].fillna(0).where(dataset["sea"])
        np.testing.assert_allclose(maps[name], wanted, rtol=1e-6)


def test_the_accessor_and_the_package_have_the_same_function(dataset):
    maps = reconstruct(dataset, interpolation())
    xr.testing.assert_identical(dataset.dvarnet.reconstruct(interpolation()), maps)
    xr.testing.assert_identical(xdvarnet.reconstruct(dataset, interpolation()), maps)


# order, units and conventions make no difference


@pytest.mark.parametrize("dtype", ["float64", ">f4", "float16"])
def test_the_dtype_is_kept(dataset, dtype):
    maps = reconstruct(dataset.assign(ssh=dataset["ssh"].astype(dtype)), interpolation())
    for field in maps.values():
        assert field.dtype == dtype
    close(maps, reconstruct(dataset, interpolation()), atol=1e-6 if dtype != "float16" else 1e-3)


def test_times_of_any_resolution(dataset):
    maps = reconstruct(dataset, interpolation())
    for unit in ("s", "us"):
        other = dataset.assign_coords(time=dataset["time"].values.astype(f"datetime64[{unit}]"))
        close(reconstruct(other, interpolation()), maps, atol=0)


@THREE_MODELS
@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_cftime(dataset, model, calendar):
    pytest.importorskip("cftime")
    times = xr.date_range("2020-02-01", periods=11, calendar=calendar, use_cftime=True)
    maps = reconstruct(dataset.assign_coords(time=times), model)
    np.testing.assert_array_equal(maps["time"], times)
    assert maps["time"].dtype == object
    close(maps, reconstruct(dataset, model))


def test_names_of_other_products(dataset):
    renamed = dataset.rename(lon="nav_lon", lat="nav_lat", time="time_counter")
    maps = reconstruct(renamed, interpolation())
    assert maps["ssh"].dims == ("time_counter", "nav_lat", "nav_lon")
    close(maps, reconstruct(dataset, interpolation()), atol=0)


def test_further_coordinates_are_kept(dataset):
    dataset = dataset.assign_coords(month=dataset["time"].dt.month, depth=0.5)
    maps = reconstruct(dataset, Smoother(gives_std=True))
    same_coordinates(maps, dataset)


# days


def test_optimal_interpolation_takes_irregular_days(dataset):
    days = [0, 1, 4, 5, 10]
    maps = reconstruct(dataset.isel(time=days), interpolation(std=0.05))
    filled = dataset.where(dataset["time"].isin(dataset["time"][days]))
    other = reconstruct(filled, interpolation(std=0.05)).isel(time=days)
    sea = dataset["sea"].values
    assert np.abs((maps - other)["ssh"].values[:, sea]).mean() < 0.005


@pytest.mark.parametrize("days", [1, 2, 4])
def test_a_period_shorter_than_the_window(dataset, days):
    short = gappy(days=days, unobserved=0.2)
    maps = reconstruct(short, Identity())
    wanted = short["ssh"].fillna(0).where(short["sea"])
    np.testing.assert_allclose(maps["ssh"], wanted, atol=1e-6)
    xr.testing.assert_identical(maps["time"], short["time"])


@pytest.mark.parametrize("days", [1, 2])
@pytest.mark.parametrize("model", models().values(), ids=models())
def test_a_single_day(model, days):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the background is a smooth map of observations of")
        maps = reconstruct(gappy(days=days, unobserved=0.2), model)
    assert maps["ssh"].notnull().sum() == days * gappy()["sea"].sum()


# land and sea


def test_without_a_mask_all_is_mapped_and_the_attributes_say_so(dataset):
    masked = reconstruct(dataset, interpolation())
    assert masked.attrs["xdvarnet_land_mask"] == "coordinate sea"
    maps = reconstruct(dataset.drop_vars("sea"), interpolation())
    assert maps["ssh"].notnull().all()
    assert maps.attrs["xdvarnet_land_mask"] == "none given; land was mapped as sea"
    assert "sea" not in maps.coords


def test_a_mask_of_ones_and_zeros(dataset):
    other = dataset.assign_coords(sea=dataset["sea"].astype("int8").T)
    close(reconstruct(other, interpolation()), reconstruct(dataset, interpolation()), atol=0)


def test_windows_on_land_are_not_solved(dataset):
    dataset["sea"][:, 9:] = False
    model = Identity()
    maps = reconstruct(dataset, model)
    assert {window.longitude[0] for window in model.seen} == {2.0, 4.0}
    assert maps["ssh"][:, :, 9:].isnull().all()


def test_windows_without_observation_are_the_background_with_one_warning():
    dataset = gappy(days=16)
    dataset["ssh"][:8] = np.nan
    known = gappy(unobserved=0.0, seed=3).mean("time")
    model = Identity(background=MeanMapBackground(known, days=1))
    with pytest.warns(XdvarnetWarning, match="windows have no observation.*background") as caught:
        maps = reconstruct(dataset, model)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    offset = (maps["ssh"] - known["ssh"])[:8].where(dataset["sea"])
    assert offset.std() < 1e-6


# members


def test_members(dataset):
    turned = dataset.transpose("lat", "lon", "time").isel(lat=slice(None, None, -1))
    model = Smoother(None, gives_std=True)
    maps = reconstruct(turned, model, members=4, return_members=True, rng=1)
    assert maps["ssh_members"].dims == ("member", "lat", "lon", "time")
    assert maps["ssh_members"].sizes["member"] == 4
    assert maps["ssh_members"].dtype == np.float32
    assert maps["ssh_members"].attrs == {
        "units": "m",
        "long_name": "members of height",
        "standard_name": "sea_surface_height",
    }
    spread = maps["ssh_members"] - maps["ssh"]
    assert 0 < spread.std() < 0.0105
    assert (spread.std("member") > 0).sum("time").equals((turned["sea"] * 11).astype(int))
    same = reconstruct(turned, model, members=4, return_members=True, rng=1)
    xr.testing.assert_identical(maps, same)
    other = reconstruct(turned, model, members=4, return_members=True, rng=2)
    assert not np.allclose(maps["ssh_members"], other["ssh_members"], equal_nan=True)
    assert "ssh_members" not in reconstruct(turned, model, members=np.int64(4), rng=1)


@pytest.mark.parametrize("members", [0, 1, -2, 2.5, "many", True])
def test_members_that_are_not_accepted(dataset, members):
    with pytest.raises(InvalidInputError, match="members=.* is not .* whole number from 2"):
        reconstruct(dataset, Smoother(), members=members)


def test_members_of_nothing(dataset):
    with pytest.raises(InvalidInputError, match="return_members=True needs a number of members"):
        reconstruct(dataset, Smoother(), return_members=True)
    with pytest.raises(InvalidInputError, match="has no ensemble.*Leave members=None"):
        reconstruct(dataset, interpolation(), members=3)
    with pytest.raises(InvalidInputError, match="rng='seed' is no source of random numbers"):
        reconstruct(dataset, Smoother(None), members=3, rng="seed")


# what is refused


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (None, "'NoneType' is no reconstructor; give one such"),
        ("med-ssh", r"'med-ssh' is a string; use load_model\('med-ssh'\)"),
        (OptimalInterpolation, "you gave the class OptimalInterpolation; call it"),
        (xdvarnet.DVarNet, r"you gave the class DVarNet; call it: DVarNet\("),
        (gappy(), "'Dataset' is no reconstructor"),
        (reconstruct, "'function' is no reconstructor"),
    ],
)
def test_something_that_is_no_reconstructor(dataset, model, given):
    with pytest.raises(InvalidTypeError, match=given):
        reconstruct(dataset, model)


@pytest.mark.parametrize("given", [None, np.zeros((3, 4, 5)), gappy()["ssh"], {"ssh": 1}])
def test_something_that_is_no_dataset(given):
    with pytest.raises(
        InvalidTypeError, match=f"expected an xarray Dataset, got {type(given).__name__}"
    ):
        reconstruct(given, interpolation())


def test_a_data_array_is_told_how_to_become_a_dataset():
    with pytest.raises(InvalidTypeError, match=r"array.to_dataset\(name='ssh'\)"):
        reconstruct(gappy()["ssh"], interpolation())


@THREE_MODELS
@pytest.mark.parametrize(
    ("name", "kind"), [("lon", "longitude"), ("lat", "latitude"), ("time", "time")]
)
def test_no_longitude_latitude_or_time(dataset, model, name, kind):
    with pytest.raises(
        InvalidInputError, match=f"no {kind} coordinate found among the coordinates"
    ):
        reconstruct(dataset.drop_vars(name), model)


@THREE_MODELS
def test_curvilinear_grids(dataset, model):
    shape = (("y", "x"), np.ones((14, 19)))
    curvilinear = dataset.drop_vars(["lat", "lon"]).rename(lat="y", lon="x")
    curvilinear = curvilinear.assign_coords(lat=shape, lon=shape)
    with pytest.raises(InvalidInputError, match="is no grid axis.*Regrid the data first"):
        reconstruct(curvilinear, model)


@THREE_MODELS
def test_times_in_disorder(dataset, model):
    with pytest.raises(InvalidInputError, match=r"'time' is not in increasing order; sort"):
        reconstruct(dataset.isel(time=[0, 2, 1, 3, 4]), model)
    with pytest.raises(InvalidInputError, match="'time' has duplicate times .*position 1"):
        reconstruct(dataset.isel(time=[0, 1, 1, 2, 3]), model)
    with pytest.raises(InvalidInputError, match="'time' is not in increasing order"):
        reconstruct(dataset.isel(time=slice(None, None, -1)), model)


@pytest.mark.parametrize(
    "model",
    [Smoother(), Smoother(first_guess=Smoother()), Smoother(first_guess=interpolation())],
)
def test_a_gap_in_the_days_of_a_method_with_windows(dataset, model):
    with pytest.raises(InvalidInputError, match="steps by 3 days after position 3.*resample"):
        reconstruct(dataset.isel(time=[0, 1, 2, 3, 6, 7]), model)
    hourly = dataset.assign_coords(
        time=dataset["time"][0] + (dataset["time"] - dataset["time"][0]) / 24
    )
    with pytest.raises(InvalidInputError, match="needs one field a day"):
        reconstruct(hourly, model)


@THREE_MODELS
def test_no_days(dataset, model):
    with pytest.raises(InvalidInputError, match="'time' is empty; there is no day to map"):
        reconstruct(dataset.isel(time=slice(0)), model)


@pytest.mark.parametrize("axis", ["lat", "lon"])
def test_no_rows_or_columns(dataset, axis):
    with pytest.raises(InvalidInputError, match=f"'{axis}' has [01] value"):
        reconstruct(dataset.isel({axis: slice(0)}), interpolation())
    with pytest.raises(InvalidInputError, match=f"'{axis}' has 1 value"):
        reconstruct(dataset.isel({axis: slice(1)}), interpolation())


def test_an_empty_dataset():
    with pytest.raises(UnknownNameError, match=r"variable 'ssh' is missing; the dataset has \[\]"):
        reconstruct(xr.Dataset(), interpolation())


@THREE_MODELS
def test_a_missing_variable(dataset, model):
    with pytest.raises(UnknownNameError, match=r"'ssh' is missing; the dataset has \['adt'\]"):
        reconstruct(dataset.rename(ssh="adt"), model)


@THREE_MODELS
@pytest.mark.parametrize("units", ["K", "m/s", "nonsense", "1"])
def test_units_that_do_not_convert(dataset, model, units):
    dataset["ssh"].attrs["units"] = units
    with pytest.raises(InvalidInputError, match=f"'ssh' has units '{units}', which do not convert"):
        reconstruct(dataset, model)


@THREE_MODELS
def test_no_observation_at_all(dataset, model):
    dataset["ssh"][:] = np.nan
    with pytest.raises(InvalidInputError, match="no observation at all of ssh: all values on sea"):
        reconstruct(dataset, model)
    dataset["ssh"][:] = xr.where(dataset["sea"], np.nan, 0.3)
    with pytest.raises(InvalidInputError, match="no observation at all"):
        reconstruct(dataset, model)


@THREE_MODELS
def test_no_sea_at_all(dataset, model):
    dataset["sea"][:] = False
    with pytest.raises(InvalidInputError, match="'sea' is False everywhere"):
        reconstruct(dataset, model)


@THREE_MODELS
def test_infinities(dataset, model):
    dataset["ssh"][2, 3, 4] = np.inf
    with pytest.raises(InvalidInputError, match="'ssh' has 1 infinite value.*NaN"):
        reconstruct(dataset, model)


@THREE_MODELS
def test_masks_that_are_not_accepted(dataset, model):
    with pytest.raises(InvalidInputError, match="a mask of the sea has"):
        reconstruct(dataset.assign_coords(sea=dataset["ssh"].notnull()), model)
    with pytest.raises(InvalidInputError, match="other values than True and False"):
        reconstruct(dataset.assign_coords(sea=dataset["sea"].where(dataset["sea"])), model)


@pytest.mark.parametrize("sizes", [{"lat": slice(7)}, {"lon": slice(8)}])
def test_a_region_smaller_than_the_window(dataset, sizes):
    small = dataset.isel(sizes)
    rows, columns = small.sizes["lat"], small.sizes["lon"]
    message = f"{rows} latitudes x {columns} longitudes, fewer than the model's window of 8 x 9"
    for model in (Smoother(), Smoother(first_guess=Smoother())):
        with pytest.raises(InvalidInputError, match=message):
            reconstruct(small, model)


# the grid of the training


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("spacing", "axis"), [((0.2, 0.4), "latitude"), ((0.25, 0.6), "longitude")]
)
def test_spacing_that_is_not_the_models(dataset, spacing, axis, nested):
    model = Smoother(training_grid=TrainingGrid(spacing, (30, 50)))
    model = Smoother(first_guess=model) if nested else model
    with pytest.raises(InvalidInputError, match=f"spacing in {axis} is .*10% difference"):
        reconstruct(dataset, model)


def test_spacing_within_10_percent(dataset):
    model = Smoother(training_grid=TrainingGrid((0.25 * 1.09, 0.4 / 1.09), (30, 50)))
    reconstruct(dataset, model)


def test_spacing_is_a_distance(dataset):
    """The same steps in km are accepted at another latitude, the same degrees are not."""
    middle = float(dataset["lat"].mean())
    narrow = 0.4 * np.cos(np.radians(middle)) / np.cos(np.radians(42.0))
    reconstruct(dataset, Smoother(training_grid=TrainingGrid((0.25, narrow), (40, 44))))
    model = Smoother(training_grid=TrainingGrid((0.25, 0.4), (45.0, 48.0)))
    with pytest.raises(
        InvalidInputError, match="degrees, 35.2 km.*trained at 29.8 to 31.5 km"
    ) as told:
        reconstruct(dataset, model)
    step = float(re.search(r"observations to (\S*) degrees of longitude", str(told.value)).group(1))
    finer = dataset.assign_coords(lon=2 + step * np.arange(dataset.sizes["lon"]))
    reconstruct(finer, model)


@pytest.mark.parametrize("latitudes", [(50.0, 60.0), (10.0, 25.0)])
def test_latitudes_far_from_the_training(dataset, latitudes):
    south, north = np.cos(np.radians(latitudes))
    columns = 0.4 * np.cos(np.radians(37.6)) * 2 / (south + north)
    model = Smoother(training_grid=TrainingGrid((0.25, columns), latitudes))
    message = "latitudes 36 to 39.25 reach more than 10 degrees beyond those of the training"
    with pytest.warns(XdvarnetWarning, match=message) as caught:
        reconstruct(dataset, model)
    assert len(caught) == 1


def test_latitudes_near_the_training(dataset):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = Smoother(training_grid=TrainingGrid((0.25, 0.5), (45.0, 60.0)))
        reconstruct(dataset, model)


@pytest.mark.parametrize(
    "model",
    [
        Smoother(),
        Smoother(first_guess=interpolation()),
    ],
    ids=["window", "first guess"],
)
@pytest.mark.parametrize("axis", ["lat", "lon"])
@pytest.mark.parametrize("descending", [False, True])
def test_a_hole_in_the_grid_is_refused_where_cells_are_counted(dataset, model, axis, descending):
    holed = dataset.drop_isel({axis: [9]})
    if descending:
        holed = holed.isel({axis: slice(None, None, -1)})
    with pytest.raises(InvalidInputError, match=r"'l.* steps by .* elsewhere; .*reindex\(l"):
        reconstruct(holed, model)
    filled = holed.reindex({axis: dataset[axis]}).assign_coords(sea=dataset["sea"])
    assert reconstruct(filled, model)["ssh"].shape == dataset["ssh"].shape


def test_a_hole_in_the_grid_is_no_fault_where_distances_count(dataset):
    holed = dataset.drop_isel(lat=[9], lon=[3, 4])
    reconstruct(holed, interpolation(background=NoBackground()))
    reconstruct(dataset.drop_isel(lat=[9]), interpolation())
    local = interpolation(background=NoBackground(), std_length="60 km")
    reconstruct(dataset.drop_isel(lat=[9]), local)
    with pytest.raises(InvalidInputError, match="'longitude' steps by .* std_length needs"):
        reconstruct(holed, local)
    with pytest.raises(InvalidInputError, match="'longitude' steps by .* ObservedBackground needs"):
        reconstruct(holed, interpolation())
    known = MeanMapBackground(gappy(unobserved=0.0).mean("time"))
    reconstruct(holed, interpolation(background=known))


@THREE_MODELS
def test_a_mask_that_is_a_data_variable_is_refused(dataset, model):
    with pytest.raises(InvalidInputError, match=r"make it one with dataset\.set_coords\('sea'\)"):
        reconstruct(dataset.reset_coords("sea"), model)


@THREE_MODELS
def test_fill_values_are_refused(dataset, model):
    filled = dataset.fillna(9.96921e36)
    with pytest.raises(
        InvalidInputError, match=r"outside -200 to 200, such as 9\.96921e\+36, the first"
    ):
        reconstruct(filled, model)
    reconstruct(filled.where(abs(filled) < 1e30), model)


@THREE_MODELS
def test_swapped_axes_are_refused(dataset, model):
    swapped = dataset.assign_coords(lat=("lat", 100 + dataset["lat"].values))
    with pytest.raises(InvalidInputError, match="are -90 to 90. Are latitude and longitude swap"):
        reconstruct(swapped, model)


def test_the_history_has_one_more_line(dataset):
    line = f"xdvarnet {xdvarnet.__version__}: reconstruct with WindowedIdentity()"
    assert reconstruct(dataset, Identity()).attrs["history"] == line
    dataset.attrs["history"] = "2020: made"
    maps = reconstruct(dataset, Identity())
    assert maps.attrs["history"] == "2020: made\n" + line
    assert maps.attrs["source"].endswith(f"of xdvarnet {xdvarnet.__version__}, from toy sea")


# on real maps


def test_optimal_interpolation_is_better_than_the_trivial_references():
    truth = xdvarnet.datasets.mediterranean().isel(lat=slice(20, 60), lon=slice(150, 210))
    earlier, period = (
        truth.sel(time=slice("2005-04-10", "2005-05-10")),
        slice("2005-05-11", "2005-05-24"),
    )
    observations = truth.sel(time=period).dvarnet.observe(
        ["jason1", "envisat", "gfo", "topex_interleaved"], noise=0.02, rng=0
    )
    background = MeanMapBackground(earlier.mean("time"))
    oi = OptimalInterpolation(
        "ssh",
        correlation_length="65 km",
        correlation_time="13 days",
        noise=0.0135,
        background=background,
        neighbours=60,
    )
    errors = {}
    for name, model in (
        ("oi", oi),
        ("mean", MeanMapOffset(earlier)),
        ("last", Persistence(earlier)),
    ):
        error = reconstruct(observations, model)["ssh"] - truth["ssh"].sel(time=period)
        errors[name] = float(np.sqrt((error**2).mean()))
    assert errors["oi"] < 0.8 * min(errors["mean"], errors["last"])
    assert errors["oi"] < 0.03
