import numpy as np
import pytest
import xarray as xr

import xdvarnet  # noqa: F401  registers the accessor
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.grids.provenance import CONVENTIONS
from xdvarnet.observing.clouds import CloudySST
from xdvarnet.observing.combined import CombinedSystem
from xdvarnet.observing.observer import Observer
from xdvarnet.observing.system import ObservingSystem

DAYS, ROWS, COLUMNS = 9, 22, 31
ALTIMETERS = ObservingSystem(["jason1", "envisat"], noise=0.02)
RADIOMETER = CloudySST(0.3, 0.5)
BOTH = CombinedSystem({"ssh": ALTIMETERS, "sst": RADIOMETER})


def grid(rows=ROWS, columns=COLUMNS, *, north=0.25, east=0.4, south=33.0, west=-5.0):
    return {
        "time": np.datetime64("2005-04-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D"),
        "lat": ("lat", south + north * np.arange(rows), {"units": "degrees_north"}),
        "lon": ("lon", west + east * np.arange(columns), {"units": "degrees_east"}),
    }


def constant(value, units, dtype="float64", coords=None):
    coords = grid() if coords is None else coords
    shape = (DAYS, coords["lat"][1].size, coords["lon"][1].size)
    return xr.DataArray(
        np.full(shape, value, dtype), coords, ("time", "lat", "lon"), attrs={"units": units}
    )


@pytest.fixture
def truth():
    return xr.Dataset(
        {
            "salinity": constant(38.0, "1"),
            "sst": constant(15.0, "degC", "float32"),
            "ssh": constant(0.3, "m"),
        },
        attrs={"title": "test", "history": "2020: made"},
    )


def test_each_variable_is_observed_by_its_own_system(truth):
    observed = BOTH.observe(truth, rng=1)
    assert list(observed) == ["ssh", "sst"]
    tracks, clear = observed["ssh"].notnull(), observed["sst"].notnull()
    assert 0.01 < tracks.mean() < 0.15 and 0.2 < clear.mean() < 0.8
    assert 0.008 < float((observed["ssh"] - 0.3).std()) < 0.02  # a mean of one to three
    assert float((observed["sst"] - 15).std()) == pytest.approx(0.3, rel=0.1)
    assert observed["sst"].dtype == "float32" and observed["ssh"].dtype == "float64"
    assert observed["sst"].attrs == {"units": "degC"}
    assert observed.indexes["lat"].equals(truth.indexes["lat"])


def test_attributes_of_all_systems(truth):
    before = truth.copy(deep=True)
    observed = BOTH.observe(truth.assign_attrs(observing_noise=9.0), rng=1)
    xr.testing.assert_identical(truth, before)
    history = observed.attrs.pop("history").split("\n")
    assert history[0] == "2020: made" and len(history) == 2
    assert history[1].endswith(f"observe with {BOTH!r}")
    assert observed.attrs == {
        "source": "test",
        "Conventions": CONVENTIONS,
        "observing_noise": 9.0,
        "observing_missions_ssh": "jason1 envisat",
        "observing_noise_ssh": 0.02,
        "observing_cover_sst": 0.5,
        "observing_noise_sst": 0.3,
    }


def test_sea_is_where_any_of_them_has_values(truth):
    truth["ssh"][:, :3] = np.nan
    truth["sst"][:, :5, :4] = np.nan
    truth["ssh"][:, 10, 10] = truth["sst"][:, 10, 10] = np.nan
    sea = BOTH.observe(truth, rng=1)["sea"]
    expected = np.ones((ROWS, COLUMNS), bool)
    expected[:3, :4] = expected[10, 10] = False
    np.testing.assert_array_equal(sea, expected)
    given = truth.assign_coords(sea=(("lat", "lon"), ~expected))
    xr.testing.assert_identical(BOTH.observe(given, rng=1)["sea"], given["sea"])


# random streams


def test_no_variable_changes_what_is_drawn_for_another(truth):
    both = BOTH.observe(truth, rng=2)
    turned = CombinedSystem({"sst": RADIOMETER, "ssh": ALTIMETERS}).observe(truth, rng=2)
    for name, system in {"ssh": ALTIMETERS, "sst": RADIOMETER}.items():
        alone = CombinedSystem({name: system}).observe(truth, rng=2)
        xr.testing.assert_identical(both[name], alone[name])
        xr.testing.assert_identical(both[name], turned[name])
    other = CombinedSystem({"ssh": ALTIMETERS, "sst": CloudySST(0.1, 0.1)}).observe(truth, rng=2)
    xr.testing.assert_identical(both["ssh"], other["ssh"])


def test_equal_systems_of_two_variables_draw_different_clouds(truth):
    observed = CombinedSystem({"sst": RADIOMETER, "salinity": RADIOMETER}).observe(truth, rng=3)
    differ = observed["sst"].notnull() != observed["salinity"].notnull()
    assert float(differ.mean()) > 0.1
    errors = xr.Dataset({"a": observed["sst"] - 15, "b": observed["salinity"] - 38})
    assert abs(float(xr.corr(errors["a"], errors["b"]))) < 0.1


def test_one_seed_one_result(truth):
    first = BOTH.observe(truth, rng=4)
    xr.testing.assert_identical(first, BOTH.observe(truth, rng=4))
    xr.testing.assert_identical(first, BOTH.observe(truth, rng=np.random.default_rng(4)))
    for name in BOTH.systems:
        assert not first[name].equals(BOTH.observe(truth, rng=5)[name])
    generator = np.random.default_rng(4)
    draws = [BOTH.observe(truth, rng=generator) for _ in range(2)]
    assert not draws[0]["ssh"].equals(draws[1]["ssh"])


def test_dask_stays_lazy_and_equals_eager(truth):
    pytest.importorskip("dask")
    lazy = BOTH.observe(truth.chunk(time=4, lat=9), rng=6)
    assert lazy["ssh"].chunks is not None and lazy["sst"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), BOTH.observe(truth, rng=6))


# the object


def test_lasting_name_and_equality():
    assert repr(BOTH) == (
        "CombinedSystem(systems={'ssh': ObservingSystem(missions=('jason1', 'envisat'), "
        "noise=0.02), 'sst': CloudySST(noise=0.3, cover=0.5)})"
    )
    assert BOTH == eval(repr(BOTH))
    assert all(isinstance(system, Observer) for system in (ALTIMETERS, RADIOMETER, BOTH))


def test_a_later_change_of_the_mapping_changes_nothing():
    systems = {"ssh": ALTIMETERS}
    combined = CombinedSystem(systems)
    systems["sst"] = RADIOMETER
    assert list(combined.systems) == ["ssh"]


# bad input


@pytest.mark.parametrize(
    ("systems", "error", "message"),
    [
        ({}, InvalidInputError, "systems is empty"),
        ([ALTIMETERS], InvalidTypeError, r"is no mapping; give the system of each variable"),
        ({"ssh": 0.02}, InvalidTypeError, r"systems\['ssh'\] is 0.02; give an observing system"),
        ({"sst": CloudySST}, InvalidTypeError, r"systems\['sst'\] is the class CloudySST"),
    ],
)
def test_bad_systems(systems, error, message):
    with pytest.raises(error, match=message):
        CombinedSystem(systems)


def test_bad_dataset(truth):
    with pytest.raises(InvalidTypeError, match="expected an xarray Dataset"):
        BOTH.observe(truth["sst"])
    with pytest.raises(UnknownNameError, match="variable 'sst' is missing; the dataset has"):
        BOTH.observe(truth.drop_vars("sst"))
    with pytest.raises(InvalidInputError, match=r"variable 'sst' has dimensions \('lat', 'lon'\)"):
        BOTH.observe(truth.assign(sst=truth["sst"].isel(time=0, drop=True)))


@pytest.mark.parametrize(
    ("other", "axis"),
    [
        ({"south": 33.125}, "lat"),  # half a step away: the union has equal steps
        ({"west": -4.8}, "lon"),
        ({"rows": 110, "north": 0.05}, "lat"),  # the coarse rows are among the fine ones
        ({"columns": 40, "east": 0.3, "west": -4.97}, "lon"),  # the union has odd steps
    ],
)
def test_variables_merged_from_two_grids(truth, other, axis):
    ssh = truth[["ssh"]]
    sst = constant(15.0, "degC", "float32", grid(**other)).to_dataset(name="sst")
    with pytest.raises(InvalidInputError, match=rf"of '{axis}' .* variables of several grids were"):
        BOTH.observe(xr.merge([ssh, sst], join="outer"), rng=0)
    merged = xr.merge([ssh, sst.dvarnet.regrid(ssh)], join="exact")  # as the message says
    assert BOTH.observe(merged, rng=0)["sst"].notnull().any()


def test_seas_of_one_variable_alone_are_accepted(truth):
    # a lake in the temperatures, between two seas that are in both
    truth["ssh"][:, 8:14] = np.nan
    observed = BOTH.observe(truth, rng=7)
    assert observed["ssh"][:, 8:14].isnull().all() and observed["sst"][:, 8:14].notnull().any()
