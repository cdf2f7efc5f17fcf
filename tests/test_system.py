import tracemalloc

import numpy as np
import pytest
import xarray as xr

import xdvarnet
from xdvarnet._random import default_rng
from xdvarnet.datasets import mediterranean
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError, XdvarnetWarning
from xdvarnet.grids.coords import find_grid
from xdvarnet.grids.provenance import CONVENTIONS
from xdvarnet.observing import system
from xdvarnet.observing.measurements import Flight
from xdvarnet.observing.missions import MISSIONS, read_missions
from xdvarnet.observing.noise import KarinNoise
from xdvarnet.observing.orbits import ground_track
from xdvarnet.observing.swath import swath_points
from xdvarnet.observing.system import ObservingSystem, observe

FOUR = ["jason1", "envisat", "gfo", "topex_interleaved"]
DAYS, ROWS, COLUMNS = 13, 22, 31
SPACING = {"lat": 0.25, "lon": 0.4}
AROUND = (-7, 9, 31, 40)


def field(values, **attrs):
    """Put `values`, which broadcast to (time, lat, lon), on a grid with three different steps."""
    return xr.Dataset(
        {
            "ssh": (
                ("time", "lat", "lon"),
                np.broadcast_to(values, (DAYS, ROWS, COLUMNS)).astype("float64"),
                {"units": "m", "long_name": "height"},
            )
        },
        {
            "time": np.datetime64("2005-04-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D"),
            "lat": ("lat", 33 + SPACING["lat"] * np.arange(ROWS), {"units": "degrees_north"}),
            "lon": ("lon", -5 + SPACING["lon"] * np.arange(COLUMNS), {"units": "degrees_east"}),
        },
        {"title": "test", **attrs},
    )


@pytest.fixture
def smooth():
    dataset = field(0.0)
    wave = np.sin(dataset["lat"] / 2) * np.cos(dataset["lon"] / 3) + 0.01 * np.arange(DAYS)[
        :, None, None
    ] * xr.ones_like(dataset["ssh"])
    dataset["ssh"] = wave.transpose("time", "lat", "lon").assign_attrs(dataset["ssh"].attrs)
    return dataset


def points_of(dataset, mission, seed):
    """Points of one mission in the domain, with the phase that `seed` gives, found another way."""
    phase = default_rng(seed).random(1)[0]
    first = int(
        (dataset["time"].values[0] - np.datetime64("1950-01-01", "ns")) / np.timedelta64(1, "D")
    )
    period, where = (first, first + dataset.sizes["time"]), {"phase": phase, "region": AROUND}
    orbit, swath = MISSIONS[mission], MISSIONS[mission].swath
    days, longitude, latitude = (
        swath_points(orbit, swath, *period, **where)
        if swath
        else ground_track(orbit, *period, **where)
    )
    if swath:
        days = np.repeat(days, longitude.shape[1])
        longitude, latitude = longitude.ravel(), latitude.ravel()
    edges = [first + np.arange(dataset.sizes["time"] + 1)]
    for name in ("lat", "lon"):
        centres, half = dataset[name].values, SPACING[name] / 2
        edges.append(np.append(centres - half, centres[-1] + half))
    return np.stack([days, latitude, longitude], axis=1), edges


# what is measured, and where


@pytest.mark.parametrize("mission", MISSIONS)
def test_observed_cells_are_those_below_the_track(mission):
    dataset = field(1.0)
    points, edges = points_of(dataset, mission, seed=5)
    counts, _ = np.histogramdd(points, edges)
    observed = observe(dataset, [mission], noise=0.0, rng=5)
    assert (counts > 0).sum() > 100
    np.testing.assert_array_equal(observed["ssh"].notnull(), counts > 0)


def test_cells_hold_the_mean_of_their_points():
    # a linear field and its bilinear values agree; away from the border no point is clamped
    dataset = field(0.0)
    dataset["ssh"] = (0 * dataset["ssh"] + 2 * dataset["lat"] - 3 * dataset["lon"]).transpose(
        "time", "lat", "lon"
    )
    points, edges = points_of(dataset, "jason1", seed=1)
    counts, _ = np.histogramdd(points, edges)
    sums, _ = np.histogramdd(points, edges, weights=2 * points[:, 1] - 3 * points[:, 2])
    with np.errstate(invalid="ignore"):
        expected = (sums / counts)[:, 1:-1, 1:-1]
    observed = observe(dataset, ["jason1"], noise=0.0, rng=1)["ssh"].values[:, 1:-1, 1:-1]
    np.testing.assert_allclose(observed, expected, rtol=0, atol=1e-9)


def test_each_day_sees_its_own_map():
    days = np.arange(DAYS)[:, None, None] * 10.0
    observed = observe(field(days), FOUR, noise=0.0, rng=2)["ssh"]
    for position in range(DAYS):
        values = observed[position].values
        assert np.isfinite(values).any()
        np.testing.assert_allclose(values[np.isfinite(values)], 10.0 * position, rtol=1e-12)


def test_constant_field_without_noise_is_reproduced():
    dataset = field(-0.37)
    dataset["ssh"][:, :9, :4] = np.nan
    dataset["ssh"][:, 15, 15:] = np.nan
    observed = observe(dataset, FOUR, noise=0.0, rng=3)["ssh"].values
    np.testing.assert_allclose(observed[np.isfinite(observed)], -0.37, rtol=1e-14)


def test_land_is_never_observed_and_does_not_reach_the_coast(smooth):
    everywhere = observe(smooth, FOUR, noise=0.0, rng=4)["ssh"]
    land = np.zeros((ROWS, COLUMNS), bool)
    land[5:9, 7:20] = True
    with_land = observe(
        smooth.where(~xr.DataArray(land, dims=("lat", "lon"))), FOUR, noise=0, rng=4
    )
    assert with_land["ssh"].where(xr.DataArray(land, dims=("lat", "lon"))).isnull().all()
    # the sea is observed where it was before, also in the cells beside the land
    assert (with_land["ssh"].notnull() == (everywhere.notnull() & ~land)).all()
    np.testing.assert_allclose(with_land["ssh"], everywhere.where(~land), atol=0.15)


def test_missing_day_of_a_cell_is_unobserved_on_that_day_only(smooth):
    smooth["ssh"][4] = np.nan
    observed = observe(smooth, FOUR, noise=0.01, rng=4)
    count = observed["ssh"].notnull().sum(("lat", "lon"))
    assert count[4] == 0
    assert (count.drop_isel(time=4) > 0).all()
    assert observed["sea"].all()


# noise and randomness


def test_errors_have_the_variance_of_the_mean():
    dataset, noise = field(0.0), 0.3
    errors, counts = [], []
    for seed in range(20):
        points, edges = points_of(dataset, "envisat", seed)
        count, _ = np.histogramdd(points, edges)
        observed = observe(dataset, ["envisat"], noise=noise, rng=seed)["ssh"].values
        errors.append(observed[count > 0])
        counts.append(count[count > 0])
    errors, counts = np.concatenate(errors), np.concatenate(counts)
    assert counts.size > 5000 and set(counts) >= {1, 2, 3, 4}
    for several in (1, 2, 3, 4):
        chosen = errors[counts == several]
        expected = noise / np.sqrt(several)
        assert abs(chosen.mean()) < 4 * expected / np.sqrt(chosen.size)
        assert chosen.std() == pytest.approx(expected, rel=4 / np.sqrt(2 * chosen.size))


def test_one_seed_one_result(smooth):
    first = observe(smooth, FOUR, noise=0.1, rng=7)
    xr.testing.assert_identical(first, observe(smooth, FOUR, noise=0.1, rng=7))
    xr.testing.assert_identical(
        first, observe(smooth, FOUR, noise=0.1, rng=np.random.default_rng(7))
    )
    other = observe(smooth, FOUR, noise=0.1, rng=8)
    assert (first["ssh"].notnull() != other["ssh"].notnull()).any()


def test_successive_draws_of_a_generator_differ(smooth):
    generator = np.random.default_rng(7)
    first, second = (observe(smooth, FOUR, noise=0.1, rng=generator) for _ in range(2))
    assert not first["ssh"].equals(second["ssh"])


def test_noise_does_not_move_the_tracks(smooth):
    without = observe(smooth, FOUR, noise=0.0, rng=9)["ssh"]
    noisy = observe(smooth, FOUR, noise=0.5, rng=9)["ssh"]
    np.testing.assert_array_equal(without.notnull(), noisy.notnull())
    twice = observe(smooth, FOUR, noise=1.0, rng=9)["ssh"]
    np.testing.assert_allclose(twice - without, 2 * (noisy - without), atol=1e-12)


def test_variables_share_tracks_and_not_errors(smooth):
    smooth["sla"] = smooth["ssh"]
    observed = observe(smooth, FOUR, noise=0.1, rng=9)
    np.testing.assert_array_equal(observed["ssh"].notnull(), observed["sla"].notnull())
    assert float(abs(observed["ssh"] - observed["sla"]).mean()) > 0.01


def test_interleaved_missions_do_not_fly_the_same_tracks():
    # on each day topex is 1.42 degrees from jason1: the same cells, three and a half columns on
    dataset = field(0.0)
    both = observe(dataset, ["jason1", "topex_interleaved"], noise=0, rng=11)["ssh"].notnull()
    jason = observe(dataset, ["jason1"], noise=0, rng=11)["ssh"].notnull()
    assert (both | ~jason).all()  # jason1 keeps its tracks
    topex = both & ~jason
    days = jason.any(("lat", "lon")) & topex.any(("lat", "lon"))
    assert days.any()
    phases = np.random.default_rng(11).random(2)
    spacing = MISSIONS["jason1"].track_spacing
    first = int(
        (dataset["time"].values[0] - np.datetime64("1950-01-01", "ns")) / np.timedelta64(1, "D")
    )
    region = (-5.2, 7.2, 32.875, 38.375)
    expected = np.zeros((DAYS, ROWS, COLUMNS), bool)
    for mission, phase in (("jason1", phases[0]), ("topex_interleaved", phases[0] + spacing / 720)):
        days, longitude, latitude = ground_track(
            MISSIONS[mission], first, first + DAYS, phase=phase, region=region
        )
        expected[
            (days - first).astype(int),
            np.round((latitude - 33) / 0.25).astype(int),
            np.round((longitude + 5) / 0.4).astype(int),
        ] = True
    np.testing.assert_array_equal(both, expected)


@pytest.mark.parametrize(
    ("name", "partner"), [("jason3", "sentinel6"), ("sentinel3b", "sentinel3a")]
)
def test_a_mission_keeps_its_place_beside_its_partner(name, partner):
    """In any order, the two are seen where the partner's phase puts both of them."""
    dataset = field(0.0)
    for missions in ([name, partner], [partner, name]):
        both = observe(dataset, missions, noise=0, rng=11)["ssh"].notnull()
        phase = np.random.default_rng(11).random(2)[missions.index(partner)]
        first = int(
            (dataset["time"].values[0] - np.datetime64("1950-01-01", "ns")) / np.timedelta64(1, "D")
        )
        expected = np.zeros((DAYS, ROWS, COLUMNS), bool)
        for mission, of_mission in ((partner, phase), (name, MISSIONS[name].phase(phase))):
            days, longitude, latitude = ground_track(
                MISSIONS[mission],
                first,
                first + DAYS,
                phase=of_mission,
                region=(-5.2, 7.2, 32.875, 38.375),
            )
            expected[
                (days - first).astype(int),
                np.round((latitude - 33) / 0.25).astype(int),
                np.round((longitude + 5) / 0.4).astype(int),
            ] = True
        np.testing.assert_array_equal(both, expected)


# swath


def test_swath_lies_on_both_sides_of_its_nadir(smooth):
    """The altimeter of SWOT sees the gap of its own swath: on the same days, cells in a row."""
    swath = observe(smooth, ["swot"], noise=0, rng=3)["ssh"].notnull()
    nadir = observe(smooth, ["swot_nadir"], noise=0, rng=3)["ssh"].notnull()
    both = observe(smooth, ["swot_nadir", "swot"], noise=0, rng=3)["ssh"].notnull()
    np.testing.assert_array_equal(both, swath | nadir)
    seen = nadir.any(("lat", "lon")).values
    assert seen.any() and (swath.any(("lat", "lon")).values[seen]).all()
    assert swath.sum() > 3 * nadir.sum()
    # a cell below the satellite has its neighbours one or two columns on seen by the swath
    beside = swath.shift(lon=2, fill_value=False) | swath.shift(lon=-2, fill_value=False)
    assert float((nadir & beside).sum() / nadir.sum()) > 0.9


def test_pixels_of_the_swath_are_measurements_like_others():
    """Cells hold the mean of their pixels, on a linear field, by brute force."""
    dataset = field(0.0)
    dataset["ssh"] = (0 * dataset["ssh"] + 2 * dataset["lat"] - 3 * dataset["lon"]).transpose(
        "time", "lat", "lon"
    )
    points, edges = points_of(dataset, "swot", seed=1)
    counts, _ = np.histogramdd(points, edges)
    sums, _ = np.histogramdd(points, edges, weights=2 * points[:, 1] - 3 * points[:, 2])
    with np.errstate(invalid="ignore"):
        expected = (sums / counts)[:, 1:-1, 1:-1]
    observed = observe(dataset, ["swot"], noise=0.0, rng=1)["ssh"].values[:, 1:-1, 1:-1]
    np.testing.assert_allclose(observed, expected, rtol=0, atol=1e-9)


def test_swath_across_the_meridian(smooth):
    """Both conventions of longitude, and a basin in two pieces, give the same."""
    reference = observe(smooth, ["swot"], noise=0.1, rng=12)
    east = smooth.assign_coords(lon=smooth["lon"] % 360)
    observed = observe(east, ["swot"], noise=0.1, rng=12)
    np.testing.assert_allclose(observed["ssh"], reference["ssh"], atol=1e-9)
    ordered = observe(east.sortby("lon"), ["swot"], noise=0.1, rng=12)
    np.testing.assert_allclose(ordered["ssh"].sel(lon=east["lon"]), reference["ssh"], atol=1e-9)


# noise of each mission


def test_equal_noise_of_each_mission_is_that_of_all(smooth):
    """Bit by bit, and more names than are flown may be given."""
    each = {name: 0.1 for name in MISSIONS}
    first = observe(smooth, FOUR, noise=0.1, rng=9)["ssh"]
    second = observe(smooth, FOUR, noise=each, rng=9)["ssh"]
    np.testing.assert_array_equal(first, second)


def test_each_mission_has_its_own_noise(smooth):
    """Where only one mission measures, the error is its own."""
    alone = {
        name: observe(smooth, [name], noise=0, rng=0)["ssh"].notnull() for name in ("gfo", "saral")
    }
    system = ObservingSystem(["gfo", "saral"], noise={"saral": 0.0, "gfo": 0.5})
    truth = observe(smooth, ["gfo", "saral"], noise=0.0, rng=0)["ssh"]
    error = system.observe(smooth, rng=0)["ssh"] - truth
    gfo = alone["gfo"].values  # drawn first: its tracks are those of the pair
    assert float(error.where(gfo).std()) > 0.2
    np.testing.assert_array_equal(error.where(~gfo & truth.notnull(), 0.0), 0.0)


def test_karin_noise_is_in_the_units_of_each_variable():
    """A hundred times more in cm than in m, with tilts and without."""
    dataset = field(0.0)
    noise = {"gfo": 0.0, "swot": KarinNoise(3.0, roll=2.0, phase=1.0)}
    metres = observe(dataset, ["gfo", "swot"], noise=noise, rng=4)["ssh"]
    dataset["ssh"].attrs["units"] = "cm"
    centimetres = observe(dataset, ["gfo", "swot"], noise=noise, rng=4)["ssh"]
    assert 0.005 < float(metres.std()) < 0.2
    np.testing.assert_allclose(centimetres, 100 * metres, rtol=1e-12)
    assert centimetres.attrs["units"] == "cm"


def test_karin_noise_of_a_variable_without_units():
    """Metres are assumed, with a warning; the noise of the altimeters needs none."""
    dataset = field(0.0)
    del dataset["ssh"].attrs["units"]
    noise = {"swot": KarinNoise()}
    with pytest.warns(XdvarnetWarning, match="'ssh' has no attribute 'units'; 'm' is assumed"):
        observed = observe(dataset, ["swot"], noise=noise, rng=4)
    np.testing.assert_array_equal(
        observed["ssh"], observe(field(0.0), ["swot"], noise=noise, rng=4)["ssh"]
    )


def test_karin_noise_of_a_temperature():
    """It is a height."""
    dataset = field(0.0)
    dataset["ssh"].attrs["units"] = "degC"
    with pytest.raises(InvalidInputError, match="units 'degC', which do not convert to 'm'"):
        observe(dataset, ["swot"], noise={"swot": KarinNoise()}, rng=4)
    observe(dataset, ["swot"], noise=0.3, rng=4)


def test_a_mapping_is_kept_and_written_readably(smooth, tmp_path):
    """The system is equal to its own words, and the attributes go into a file."""
    noise = {"swot": KarinNoise(roll=0.5), "gfo": 0.02, "saral": 0.01}
    system = ObservingSystem(["gfo", "swot"], noise=noise)
    assert list(system.noise) == ["gfo", "swot"]
    assert system == eval(repr(system))
    observed = system.observe(smooth, rng=3)
    xr.testing.assert_identical(
        observed, observe(smooth, ["gfo", "swot"], noise=dict(reversed(noise.items())), rng=3)
    )
    assert observed.attrs["observing_noise"] == (
        "{'gfo': 0.02, 'swot': KarinNoise(significant_wave_height=2.0, roll=0.5, phase=0.0, "
        "correlation_length=1000.0)}"
    )
    observed.to_netcdf(tmp_path / "observations.nc", engine="h5netcdf")


def test_lazy_swath_equals_eager(smooth):
    """In chunks of time and space, with correlated errors."""
    pytest.importorskip("dask")
    noise = {"gfo": 0.1, "swot": KarinNoise(roll=1.0)}
    eager = observe(smooth, ["swot", "gfo"], noise=noise, rng=12)
    lazy = observe(smooth.chunk(time=4, lat=7, lon=10), ["swot", "gfo"], noise=noise, rng=12)
    xr.testing.assert_identical(lazy.compute(), eager)


# conventions of the data


def test_convention_of_longitude_does_not_matter(smooth):
    reference = observe(smooth, FOUR, noise=0.1, rng=12)
    east = smooth.assign_coords(lon=smooth["lon"] % 360)  # 355 ... 359.8, 0.2 ... 7
    observed = observe(east, FOUR, noise=0.1, rng=12)
    np.testing.assert_array_equal(observed["lon"], east["lon"])
    np.testing.assert_allclose(observed["ssh"], reference["ssh"], atol=1e-9)
    ordered = observe(east.sortby("lon"), FOUR, noise=0.1, rng=12)  # the basin in two pieces
    np.testing.assert_allclose(ordered["ssh"].sel(lon=east["lon"]), reference["ssh"], atol=1e-9)


def test_order_of_latitude_does_not_matter(smooth):
    reference = observe(smooth, FOUR, noise=0.1, rng=12)
    descending = smooth.isel(lat=slice(None, None, -1))
    observed = observe(descending, FOUR, noise=0.1, rng=12)
    assert observed["lat"].values[0] > observed["lat"].values[-1]
    xr.testing.assert_identical(observed.sortby("lat"), reference)


def test_order_and_names_of_dimensions_are_kept(smooth):
    reference = observe(smooth, FOUR, noise=0.1, rng=12)
    turned = smooth.transpose("lon", "time", "lat").rename(
        lon="Longitude", lat="Y_axis", time="day"
    )
    turned["day"].attrs["standard_name"] = "time"
    observed = observe(turned, FOUR, noise=0.1, rng=12)
    assert observed["ssh"].dims == ("Longitude", "day", "Y_axis")
    assert observed["sea"].dims == ("Longitude", "Y_axis")
    np.testing.assert_array_equal(
        observed["ssh"].transpose("day", "Y_axis", "Longitude"), reference["ssh"]
    )


def test_attributes_dtype_and_other_variables_are_kept(smooth):
    smooth = smooth.astype("float32").assign(
        depth=(("lat", "lon"), np.ones((ROWS, COLUMNS)), {"units": "m"})
    )
    smooth = smooth.assign_coords(cycle=("time", np.arange(DAYS)), version=3)
    observed = observe(smooth, FOUR, noise=0.1, rng=12)
    assert observed["ssh"].dtype == np.float32
    assert observed["ssh"].attrs == {"units": "m", "long_name": "height"}
    assert observed["lat"].attrs == {"units": "degrees_north"}
    xr.testing.assert_identical(observed["depth"].drop_vars("sea"), smooth["depth"])
    assert set(observed.coords) == {*smooth.coords, "sea"}
    assert observed.attrs == {
        "source": "test",
        "Conventions": CONVENTIONS,
        "history": f"xdvarnet {xdvarnet.__version__}: observe with "
        f"{ObservingSystem(FOUR, noise=0.1)!r}",
        "observing_missions": "jason1 envisat gfo topex_interleaved",
        "observing_noise": 0.1,
    }


def test_argument_is_untouched(smooth):
    before = smooth.copy(deep=True)
    observe(smooth, FOUR, noise=0.1, rng=12)
    xr.testing.assert_identical(smooth, before)


def test_result_can_be_written(smooth, tmp_path):
    observed = observe(smooth, FOUR, noise=0.1, rng=12)
    observed.to_netcdf(tmp_path / "observations.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "observations.nc", engine="h5netcdf") as stored:
        xr.testing.assert_equal(stored.load(), observed)


def test_sea_is_where_there_are_values_on_any_day(smooth):
    smooth["ssh"][:, :3, :5] = np.nan
    smooth["ssh"][2:, 3, 5] = np.nan
    sea = observe(smooth, ["gfo"], noise=0.1, rng=12)["sea"]
    expected = np.ones((ROWS, COLUMNS), bool)
    expected[:3, :5] = False
    assert sea.dtype == bool
    np.testing.assert_array_equal(sea, expected)


def test_sea_of_two_variables_is_that_of_either(smooth):
    smooth["sst"] = smooth["ssh"].copy()
    smooth["ssh"][:, :3, :5] = np.nan
    smooth["sst"][:, 2:6, :9] = np.nan
    sea = observe(smooth, ["gfo"], noise=0.1, rng=12)["sea"]
    assert int((~sea).sum()) == 5
    assert not sea[2, :5].any()


def test_given_sea_is_kept(smooth):
    given = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) % 3 == 0
    smooth = smooth.assign_coords(sea=(("lat", "lon"), given, {"long_name": "mine"}))
    observed = observe(smooth, ["gfo"], noise=0.1, rng=12)
    xr.testing.assert_identical(observed["sea"], smooth["sea"])


def test_maps_at_noon_and_gaps_in_the_days(smooth):
    reference = observe(smooth, FOUR, noise=0.0, rng=12)["ssh"]
    kept = [0, 1, 5, 12]
    noon = smooth.isel(time=kept)
    noon["time"] = noon["time"] + np.timedelta64(12, "h")
    np.testing.assert_array_equal(
        observe(noon, FOUR, noise=0.0, rng=12)["ssh"], reference.isel(time=kept)
    )


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_cftime_days(smooth, calendar):
    dates = xr.date_range("2004-02-20", periods=DAYS, calendar=calendar, use_cftime=True)
    observed = observe(smooth.assign_coords(time=dates), FOUR, noise=0.1, rng=12)
    assert observed.indexes["time"].equals(dates)
    assert (observed["ssh"].notnull().sum(("lat", "lon")) > 0).all()


def test_microsecond_days_are_the_same_days(smooth):
    reference = observe(smooth, FOUR, noise=0.1, rng=12)
    observed = observe(
        smooth.assign_coords(time=smooth["time"].astype("datetime64[us]")), FOUR, noise=0.1, rng=12
    )
    np.testing.assert_array_equal(observed["ssh"], reference["ssh"])


def test_cells_of_different_sizes(smooth):
    uneven = smooth.isel(lat=[0, 1, 2, 5, 9, 15, 21], lon=[0, 4, 5, 6, 12, 30])
    linear = (0 * uneven["ssh"] + uneven["lat"]).transpose("time", "lat", "lon")
    observed = observe(linear.to_dataset(name="ssh"), FOUR, noise=0.0, rng=1)["ssh"]
    latitude = uneven["lat"].values
    edges = (latitude[1:] + latitude[:-1]) / 2
    for row, low, high in zip(range(7), [latitude[0], *edges], [*edges, latitude[-1]], strict=True):
        values = observed.isel(lat=row).values
        values = values[np.isfinite(values)]
        assert values.size and values.min() >= low - 1e-9 and values.max() <= high + 1e-9


def test_whole_globe():
    dataset = xr.Dataset(
        {"ssh": (("time", "lat", "lon"), np.ones((2, 60, 90)))},
        {
            "time": np.array(["2005-04-01", "2005-04-02"], "datetime64[ns]"),
            "lat": np.arange(-88.5, 90, 3),
            "lon": np.arange(0.0, 360, 4),
        },
    )
    observed = observe(dataset, ["jason1"], noise=0.0, rng=0)["ssh"]
    assert observed.sel(lat=slice(-66, 66)).notnull().any(("time", "lat")).all()
    assert observed.where(abs(observed["lat"]) > 67.6).isnull().all()


# dask


def test_dask_stays_lazy_and_equals_eager(smooth):
    pytest.importorskip("dask")
    smooth["ssh"][:, :3, :5] = np.nan
    eager = observe(smooth, FOUR, noise=0.1, rng=12)
    lazy = observe(smooth.chunk(time=4, lat=7, lon=10), FOUR, noise=0.1, rng=12)
    assert lazy["ssh"].chunksizes == smooth.chunk(time=4, lat=7, lon=10)["ssh"].chunksizes
    assert lazy["sea"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), eager)


def test_dask_in_another_order(smooth):
    pytest.importorskip("dask")
    turned = smooth.isel(lat=slice(None, None, -1)).transpose("lat", "lon", "time")
    eager = observe(turned, FOUR, noise=0.1, rng=12)
    lazy = observe(turned.chunk(time=5), FOUR, noise=0.1, rng=12)
    xr.testing.assert_identical(lazy.compute(), eager)


def test_dask_checks_values_when_computed(smooth):
    pytest.importorskip("dask")
    smooth["ssh"][3, 2, 1] = np.inf
    lazy = observe(smooth.chunk(time=4), FOUR, noise=0.1, rng=12)
    with pytest.raises(InvalidInputError, match="infinite"):
        lazy.compute()


# real maps


def test_mediterranean_coverage_and_errors():
    truth = mediterranean().isel(time=slice(40, 60))
    observed = observe(truth, FOUR, noise=0.02, rng=0)
    share = observed["ssh"].notnull().sum(("lat", "lon")) / int(truth["sea"].sum())
    assert (share > 0.03).all() and (share < 0.08).all()
    error = observed["ssh"] - truth["ssh"]
    assert abs(float(error.mean())) < 1e-3
    assert 0.012 < float(error.std()) < 0.02  # the mean of one to three measurements
    assert observed["ssh"].where(~truth["sea"] & truth["ssh"].isnull()).isnull().all()
    xr.testing.assert_identical(observed["sea"], truth["sea"])


# the object


def test_system_is_what_the_function_does(smooth):
    system = ObservingSystem(FOUR, noise=0.1)
    xr.testing.assert_identical(
        system.observe(smooth, rng=3), observe(smooth, FOUR, noise=0.1, rng=3)
    )
    xr.testing.assert_identical(observe(smooth, system, rng=3), system.observe(smooth, rng=3))
    assert (
        repr(ObservingSystem(["gfo"], noise=0)) == "ObservingSystem(missions=('gfo',), noise=0.0)"
    )
    assert ObservingSystem("gfo", noise=0.1) == ObservingSystem(["gfo"], noise=0.1)
    assert system == eval(repr(system))


# bad input


@pytest.mark.parametrize(
    ("missions", "noise", "error", "message"),
    [
        (
            ["jason9"],
            0.1,
            UnknownNameError,
            "unknown mission 'jason9'; known are cryosat2, envisat, gfo, hy2b, jason1, jason3, "
            "saral, sentinel3a, sentinel3b, sentinel6, swot, swot_nadir, topex_interleaved",
        ),
        ([], 0.1, InvalidInputError, "no missions given; choose from cryosat2, envisat"),
        (["gfo", "gfo"], 0.1, InvalidInputError, "repeat a name"),
        (["gfo"], -0.1, InvalidInputError, "noise=-0.1 is not accepted; give zero or more"),
        (["gfo"], np.nan, InvalidInputError, "noise=nan is not accepted"),
        (["gfo"], "much", InvalidInputError, "noise='much' is no number"),
        (
            ["gfo", "saral", "jason1"],
            {"gfo": 0.1},
            InvalidInputError,
            "noise has no saral, jason1; it has gfo. Give the noise of each mission",
        ),
        (["gfo"], {}, InvalidInputError, "noise has no gfo; it has nothing"),
        (["gfo"], {"gfo": -1}, InvalidInputError, r"noise\['gfo'\]=-1 is not accepted"),
        (
            ["gfo", "swot"],
            {"gfo": KarinNoise(), "swot": 0.1},
            InvalidInputError,
            r"noise\['gfo'\] is a KarinNoise.* gfo has no swath; give a number",
        ),
        (["swot"], KarinNoise(), InvalidInputError, r"give a mapping .* such as {'swot': Karin"),
    ],
)
def test_bad_system(smooth, missions, noise, error, message):
    with pytest.raises(error, match=message):
        ObservingSystem(missions, noise=noise)
    with pytest.raises(error, match=message):
        observe(smooth, missions, noise=noise)


def test_names_need_a_noise_and_systems_have_one(smooth):
    with pytest.raises(InvalidInputError, match="'gfo'.* need the standard deviation.*noise=0.02"):
        observe(smooth, ["gfo"])
    with pytest.raises(InvalidInputError, match="noise=0.2 belongs to names of missions"):
        observe(smooth, ObservingSystem("gfo", 0.1), noise=0.2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda data: data["ssh"], InvalidTypeError, "expected an xarray Dataset, got DataArray"),
        (lambda data: data["ssh"].values, InvalidTypeError, "expected an xarray Dataset"),
        (lambda data: data.drop_vars("lon"), InvalidInputError, "no longitude coordinate"),
        (lambda data: data.isel(time=0), InvalidInputError, "no dimension of the dataset"),
        (lambda data: data.isel(time=slice(0)), InvalidInputError, "'time' is empty"),
        (lambda data: data.isel(time=[0, 2, 1]), InvalidInputError, "not in increasing order"),
        (lambda data: data.isel(time=[0, 1, 1]), InvalidInputError, "duplicate times"),
        (lambda data: data.expand_dims(depth=[1.0]), InvalidInputError, r"dimensions \['depth'\]"),
        (lambda data: data.astype(int), InvalidInputError, "int64 values, which have no NaN"),
        (lambda data: data.drop_vars("ssh"), InvalidInputError, "no variable has the dimensions"),
        (lambda data: data.where(data["lat"] > 34, np.inf), InvalidInputError, "infinite value"),
    ],
)
def test_bad_dataset(smooth, change, error, message):
    with pytest.raises(error, match=message):
        observe(change(smooth), FOUR, noise=0.1, rng=0)


def test_several_maps_of_one_day(smooth):
    hourly = smooth.assign_coords(
        time=smooth["time"].values[0] + np.arange(DAYS) * np.timedelta64(7, "h")
    )
    with pytest.raises(InvalidInputError, match="several times in one day.*resample"):
        observe(hourly, FOUR, noise=0.1)


def test_no_track_in_the_domain(smooth):
    polar = smooth.assign_coords(lat=smooth["lat"] + 50)
    with pytest.warns(XdvarnetWarning, match="no track of jason1 crosses the domain"):
        observed = observe(polar, ["jason1"], noise=0.1, rng=0)
    assert observed["ssh"].isnull().all()
    assert observed["sea"].all()


def test_the_history_has_one_more_line(smooth):
    observed = observe(smooth.assign_attrs(history="2020: made"), "gfo", noise=0.1, rng=1)
    assert observed.attrs["history"].startswith("2020: made\nxdvarnet ")
    assert "history" not in smooth.attrs


@pytest.mark.parametrize("missions", [{"jason1", "gfo"}, frozenset({"gfo"}), None, 3])
def test_missions_are_in_a_fixed_order(smooth, missions):
    with pytest.raises(InvalidTypeError, match=r"is no sequence; give a list of names"):
        observe(smooth, missions, noise=0.1)
    assert ObservingSystem(np.array(["gfo"]), 0.1).missions == ("gfo",)


def test_measurements_are_treated_some_at_a_time(monkeypatch):
    """In blocks of a hundred the observations are the same to the last bit, and arrays short."""
    truth = mediterranean().isel(time=slice(0, 3), lat=slice(40, 90))
    missions, noise = ["swot", "jason3"], {"swot": KarinNoise(roll=1.0, phase=0.5), "jason3": 0.03}
    whole = observe(truth, missions, noise=noise, rng=0)
    monkeypatch.setattr("xdvarnet.grids.blocks.BLOCK", 100)
    lengths = []
    measure = system._measure

    def noted(values, rows, columns):
        lengths.append(len(rows))
        return measure(values, rows, columns)

    monkeypatch.setattr(system, "_measure", noted)
    xr.testing.assert_identical(observe(truth, missions, noise=noise, rng=0), whole)
    assert max(lengths) == 100 and len(lengths) > 10


def test_errors_are_one_stream_in_the_order_of_days(smooth):
    """After the phases, a normal number for each point: a generator is left behind the last one."""
    used, counted = default_rng(7), default_rng(7)
    observe(smooth.assign(other=smooth["ssh"]), FOUR, noise=0.02, rng=used)
    flight = Flight(read_missions(FOUR), find_grid(smooth), counted)
    counted.standard_normal(2 * sum(flight.counts))
    assert used.random() == counted.random()


def test_memory_does_not_grow_with_the_points_of_a_record(monkeypatch):
    """Points that are not kept are found again, to the same observations, lazy ones too."""
    truth = mediterranean().isel(time=slice(0, 72), lat=slice(40, 72), lon=slice(100, 160))
    whole = observe(truth, ["swot"], noise=0.02, rng=0)
    points = sum(Flight(read_missions("swot"), find_grid(truth), default_rng(0)).counts)
    monkeypatch.setattr("xdvarnet.observing.measurements.KEPT", 0)
    peaks = {}
    for days in (24, 72):
        tracemalloc.start()
        observed = observe(truth.isel(time=slice(days)), ["swot"], noise=0.02, rng=0)
        peaks[days] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    xr.testing.assert_identical(observed, whole)
    lazy = observe(truth.chunk(time=7), ["swot"], noise=0.02, rng=0)
    xr.testing.assert_identical(lazy["ssh"].compute(), whole["ssh"])
    assert peaks[72] - peaks[24] < 5 * points  # bytes: 20 for each, where all are held


@pytest.mark.parametrize("noise", ["2 cm", {name: "20 mm" for name in FOUR}], ids=str)
def test_a_noise_with_units_is_that_of_the_data(smooth, noise):
    expected = observe(smooth, FOUR, noise=0.02, rng=1)["ssh"]
    np.testing.assert_allclose(observe(smooth, FOUR, noise=noise, rng=1)["ssh"], expected)
    in_cm = smooth.assign(ssh=100 * smooth["ssh"])
    in_cm["ssh"].attrs["units"] = "cm"
    seen = ObservingSystem(FOUR, noise=noise).observe(in_cm, rng=1)["ssh"]
    np.testing.assert_allclose(seen, 100 * expected, rtol=1e-6, atol=1e-9)


def test_a_noise_with_units_needs_those_of_the_data(smooth):
    with pytest.raises(InvalidInputError, match="'2 cm' has units, and variable 'ssh' has no"):
        observe(smooth.drop_attrs(), FOUR, noise="2 cm")
    with pytest.raises(InvalidInputError, match="a quantity such as '2 cm'"):
        observe(smooth, FOUR, noise="much")
