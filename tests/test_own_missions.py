"""Missions of a user's own: any system takes them, mixed with the known ones."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError, XdvarnetWarning
from xdvarnet.grids.points import find_points
from xdvarnet.observing import (
    MISSIONS,
    Altimeter,
    CombinedSystem,
    KarinNoise,
    Mission,
    ObservingSystem,
    Positions,
    Swath,
    fly,
    list_missions,
    observe,
)

DAYS, ROWS, COLUMNS = 6, 22, 31
POLAR = {"inclination": 92, "repeat_days": 30, "repeat_revolutions": 431, "nodal_days": 30}
FIRST = (pd.Timestamp("2023-08-01") - pd.Timestamp("1950-01-01")).days


@dataclasses.dataclass(frozen=True)
class Buoys(Mission):
    """Every hour, at fixed places."""

    longitude: Sequence[float]
    latitude: Sequence[float]

    def positions(self, start_day, end_day, *, phase, region=None):
        hours = np.arange(np.ceil(24 * start_day), np.ceil(24 * end_day)) / 24
        days = np.repeat(hours, len(self.longitude))
        places = (np.tile(values, hours.size) for values in (self.longitude, self.latitude))
        return Positions(days, *places)


@dataclasses.dataclass(frozen=True)
class Returning(Mission):
    """Measures wherever it is told, also at what is no position."""

    what: object

    def positions(self, start_day, end_day, *, phase, region=None):
        return self.what(start_day) if callable(self.what) else self.what


@pytest.fixture
def truth():
    """Return smooth maps on a grid with three different steps and sizes."""
    grid = xr.Dataset(
        coords={
            "time": pd.date_range("2023-08-01", periods=DAYS),
            "lat": 33 + 0.25 * np.arange(ROWS),
            "lon": -5 + 0.4 * np.arange(COLUMNS),
        }
    )
    days = xr.DataArray(np.arange(DAYS), dims="time")
    wave = np.sin(grid["lat"] / 2) * np.cos(grid["lon"] / 3) + 0.01 * days
    wave = wave.transpose("time", "lat", "lon").assign_attrs(units="m")
    return grid.assign(ssh=wave)


def own(name, known, **changes):
    """Return a known mission under another name."""
    return dataclasses.replace(MISSIONS[known], name=name, **changes)


# altimeters on orbits of one's own


@pytest.mark.parametrize("known", MISSIONS)
def test_a_copy_of_a_known_mission_observes_the_same(truth, known):
    """Only the name is another one; so is the noise of each, given by name."""
    copy = own("copy", known)
    for noise in (0.1, None):
        error = KarinNoise(roll=1.0) if MISSIONS[known].swath else 0.1
        of_known, of_copy = ({known: error}, {"copy": error}) if noise is None else (noise, noise)
        expected = observe(truth, [known], noise=of_known, rng=1)
        found = observe(truth, [copy], noise=of_copy, rng=1)
        xr.testing.assert_equal(found, expected)
        assert found.attrs["observing_missions"] == "copy"


def test_names_and_missions_are_mixed(truth):
    """In the order in which they are given, whichever way each is given."""
    noise = {"gfo": 0.1, "mine": 0.2, "swot": KarinNoise(roll=1.0)}
    by_name = {"gfo": 0.1, "saral": 0.2, "swot": KarinNoise(roll=1.0)}
    expected = observe(truth, ["gfo", "saral", "swot"], noise=by_name, rng=3)
    found = observe(truth, ["gfo", own("mine", "saral"), MISSIONS["swot"]], noise=noise, rng=3)
    xr.testing.assert_equal(found, expected)
    assert found.attrs["observing_missions"] == "gfo mine swot"


def test_a_known_mission_is_kept_by_name():
    """A system is the same whether it was given a name or the object."""
    system = ObservingSystem([MISSIONS["gfo"], "saral"], 0.1)
    assert system == ObservingSystem(["gfo", "saral"], 0.1)
    assert system.missions == ("gfo", "saral")
    assert ObservingSystem(MISSIONS["gfo"], 0.1) == ObservingSystem("gfo", 0.1)


def test_a_system_is_equal_to_its_own_words():
    """So the history of a dataset tells the orbit."""
    mine = Altimeter("mine", **POLAR, swath=Swath(10, 60, 5), partner="swot_nadir", tracks_apart=2)
    system = ObservingSystem(["gfo", mine], {"gfo": 0.1, "mine": KarinNoise()})
    assert eval(repr(system)) == system
    assert system.missions == ("gfo", mine)


def test_a_mission_of_ones_own_keeps_its_place_beside_its_partner(truth):
    """As the known pair does, in any order, whether the partner is known or not."""
    expected = observe(truth, ["jason1", "topex_interleaved"], noise=0.0, rng=2)
    between = own("between", "topex_interleaved")
    pairs = [
        ["jason1", between],
        [own("first", "jason1"), own("between", "topex_interleaved", partner="first")],
    ]
    for pair in pairs:
        xr.testing.assert_equal(observe(truth, pair, noise=0.0, rng=2), expected)
    turned = observe(truth, ["topex_interleaved", "jason1"], noise=0.0, rng=2)
    xr.testing.assert_equal(observe(truth, [between, "jason1"], noise=0.0, rng=2), turned)


def test_another_orbit_is_seen_elsewhere(truth):
    """An orbit over the poles crosses a domain that jason1 never sees."""
    polar = truth.assign_coords(lat=truth["lat"] + 45)
    with pytest.warns(XdvarnetWarning, match="no track of jason1 crosses"):
        observe(polar, ["jason1"], noise=0.0, rng=0)
    observed = observe(polar, [Altimeter("mine", **POLAR)], noise=0.0, rng=0)
    assert int(observed["ssh"].notnull().sum()) > 100


def test_pixels_of_another_swath_have_the_noise_of_their_area(truth):
    """A number is the error of a pixel: four times fewer pixels, twice the error of a cell."""
    flat, noise = truth * 0, 0.3
    errors = {}
    for spacing in (2, 4):
        swath = Swath(near=10, far=58, spacing=spacing)
        mission = own("wide", "swot", swath=swath, partner=None)
        errors[spacing] = observe(flat, [mission], noise=noise, rng=5)["ssh"]
    assert float(errors[4].std() / errors[2].std()) == pytest.approx(2, rel=0.1)


# what is no altimeter


def test_buoys_measure_their_cells_all_days(truth):
    """The values are those of the maps there; other cells are unobserved."""
    buoys = Buoys("buoys", longitude=[-3.0, 4.6], latitude=[34.0, 37.25])
    observed = observe(truth, [buoys], noise=0.0, rng=0)["ssh"]
    expected = xr.zeros_like(truth["ssh"], dtype=bool)
    for longitude, latitude in zip(buoys.longitude, buoys.latitude, strict=True):
        place = {"lon": longitude, "lat": latitude, "method": "nearest", "tolerance": 1e-6}
        expected = expected | (
            (truth["lon"] == truth["lon"].sel(lon=longitude, method="nearest"))
            & (truth["lat"] == truth["lat"].sel(lat=latitude, method="nearest"))
        )
        np.testing.assert_allclose(observed.sel(**place), truth["ssh"].sel(**place), atol=1e-12)
    np.testing.assert_array_equal(observed.notnull(), expected.transpose(*observed.dims))


def test_a_day_of_hours_has_the_error_of_their_mean(truth):
    """Twenty-four independent errors a day."""
    longitude, latitude = np.meshgrid(truth["lon"], truth["lat"])
    everywhere = Buoys("buoys", longitude.ravel(), latitude.ravel())
    error = observe(truth * 0, [everywhere], noise={"buoys": 0.5}, rng=0)["ssh"].values
    assert np.isfinite(error).all()
    assert error.std() == pytest.approx(0.5 / np.sqrt(24), rel=4 / np.sqrt(2 * error.size))


def test_points_elsewhere_and_other_longitudes_are_no_trouble(truth):
    """A mission need not cut the region out, nor know its convention of longitudes."""
    inside = Buoys("buoys", longitude=[-3.0, 4.6], latitude=[34.0, 37.25])
    expected = observe(truth, [inside], noise=0.1, rng=0)
    turned = Buoys("buoys", longitude=[357.0, 4.6 - 720], latitude=[34.0, 37.25])
    found = observe(truth, [turned], noise=0.1, rng=0)
    np.testing.assert_allclose(found["ssh"], expected["ssh"], atol=1e-9)
    scattered = Buoys(
        "buoys", longitude=[9.0, -3.0, 4.6, 0.0, np.nan], latitude=[34.0, 34.0, 37.25, -37.0, 35.0]
    )
    xr.testing.assert_equal(observe(truth, [scattered], noise=0.1, rng=0), expected)
    around = truth.assign_coords(lon=truth["lon"] + 180)  # across the date line
    there = observe(around, [Buoys("b", [177.0, -175.4], [34.0, 37.25])], noise=0.1, rng=0)
    np.testing.assert_allclose(there["ssh"], expected["ssh"], atol=1e-9)


def test_a_swath_of_any_class_has_the_noise_of_karin(truth):
    """What returns the pixels of SWOT is SWOT, tilts included."""
    swot = MISSIONS["swot"]

    @dataclasses.dataclass(frozen=True)
    class Airborne(Mission):
        def positions(self, start_day, end_day, *, phase, region=None):
            return swot.positions(start_day, end_day, phase=phase, region=region)

    noise = KarinNoise(roll=2.0, phase=1.0)
    airborne = Airborne("airborne", swath=swot.swath)
    found = observe(truth, [airborne], noise={"airborne": noise}, rng=4)
    expected = observe(truth, ["swot"], noise={"swot": noise}, rng=4)
    xr.testing.assert_equal(found, expected)


def test_a_mission_more_does_not_move_those_before_it(truth):
    """Phases are drawn in the order of the missions."""
    buoys = Buoys("buoys", longitude=[-3.0], latitude=[34.0])
    alone = observe(truth, ["gfo"], noise=0.0, rng=9)["ssh"]
    both = observe(truth, ["gfo", buoys], noise=0.0, rng=9)["ssh"]
    assert int(both.notnull().sum()) - int(alone.notnull().sum()) <= DAYS
    assert bool((both.notnull() | alone.isnull()).all())


def test_days_without_points_are_unobserved(truth):
    """As a ship in a port."""

    @dataclasses.dataclass(frozen=True)
    class Ship(Mission):
        def positions(self, start_day, end_day, *, phase, region=None):
            if start_day % 2 == FIRST % 2:
                return Positions([], [], [])
            return Positions([start_day], [0.0], [35.0])

    count = observe(truth, [Ship("ship")], noise=0.0, rng=0)["ssh"].notnull().sum(("lat", "lon"))
    assert count.values.tolist() == [0, 1, 0, 1, 0, 1]


# the other ways to use a mission


def test_combined_systems_and_lazy_maps(truth, tmp_path):
    """As with known missions; the result can be written."""
    pytest.importorskip("dask")
    mine = own("mine", "saral")
    system = CombinedSystem({"ssh": ObservingSystem(["gfo", mine], {"gfo": 0.1, "mine": 0.2})})
    eager = system.observe(truth, rng=2)
    assert eager.attrs["observing_missions_ssh"] == "gfo mine"
    xr.testing.assert_identical(system.observe(truth.chunk(time=4), rng=2).compute(), eager)
    eager.to_netcdf(tmp_path / "observations.nc", engine="h5netcdf")


@pytest.mark.parametrize("known", ["saral", "swot", "jason3"])
def test_flying_an_object_is_flying_its_name(known):
    """Known or under another name."""
    period, where = ("2023-08-01", "2023-08-03"), {"phase": 0.3, "region": (-6, 4, 35, 40)}
    expected = fly(known, *period, **where)
    xr.testing.assert_identical(fly(MISSIONS[known], *period, **where), expected)
    copy = fly(own("mine", known), *period, **where)
    xr.testing.assert_identical(copy, expected.assign_attrs(mission="mine"))


def test_flying_buoys_gives_points():
    """Those in the region, found again by their attributes; without a region all."""
    buoys = Buoys("buoys", longitude=[357.0, 20.0], latitude=[36.0, 36.0])
    flown = fly(buoys, "2023-08-01", "2023-08-03T12", region=(-6, 4, 35, 40))
    assert dict(flown.sizes) == {"time": 60}
    points = find_points(flown)
    np.testing.assert_array_equal(points.longitude, -3.0)
    np.testing.assert_allclose(points.days, FIRST + np.arange(60) / 24, rtol=0, atol=1e-9)
    assert flown.attrs == {"mission": "buoys", "source": "Buoys"}
    assert fly(buoys, "2023-08-01", "2023-08-02").sizes["time"] == 48


def test_list_of_missions():
    """All, in alphabetical order; each can be flown."""
    assert list_missions() == sorted(MISSIONS)
    for name in list_missions():
        assert fly(name, "2023-08-01", "2023-08-02", region=(0, 30, 0, 60)).attrs["mission"] == name


# bad input


@pytest.mark.parametrize(
    ("missions", "error", "message"),
    [
        (["gfo", 3], InvalidTypeError, r"mission is 3; give the name .* or a Mission such as Alt"),
        ([Altimeter], InvalidTypeError, "mission is the class Altimeter; give the name"),
        ([Swath(10, 60, 2)], InvalidTypeError, "mission is Swath.*; give the name of a mission"),
        (["gfo", "mine"], UnknownNameError, "unknown mission 'mine'; known are cryosat2, envisat"),
        ([own("m", "gfo"), own("m", "saral")], InvalidInputError, r"\['m', 'm'\] repeat a name"),
        (["gfo", MISSIONS["gfo"]], InvalidInputError, r"\['gfo', 'gfo'\] repeat a name"),
        ([Altimeter("gfo", **POLAR)], InvalidInputError, "'gfo' is the name of a known mission, "),
        ([Buoys("gfo", [1], [2])], InvalidInputError, "'gfo' is the name of .* another name"),
        (
            ["swot_nadir", "swot", own("mine", "swot", partner="swot")],
            InvalidInputError,
            "partner of 'mine' is 'swot', which keeps its place to a partner itself; give both",
        ),
        ({"gfo"}, InvalidTypeError, "is no sequence; give a list of names or missions"),
    ],
)
def test_bad_missions(truth, missions, error, message):
    """The systems, and the function, say the same."""
    with pytest.raises(error, match=message):
        ObservingSystem(missions, noise=0.1)
    with pytest.raises(error, match=message):
        observe(truth, missions, noise=0.1)


def test_following_the_advice_on_partners_works(truth):
    """The third mission has the partner of the second."""
    mine = own("mine", "swot", partner="swot_nadir", tracks_apart=0.5)
    observe(truth, ["swot_nadir", "swot", mine], noise=0.1, rng=0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"name": 3}, InvalidTypeError, "name is 3; give the name of the mission"),
        ({"name": ""}, InvalidInputError, "name='' is not accepted; give a name without blanks"),
        ({"name": "my own"}, InvalidInputError, "name='my own' is not accepted"),
        ({"partner": MISSIONS["gfo"]}, InvalidTypeError, "partner is .*; give the name of a miss"),
        ({"partner": "mine"}, InvalidInputError, "'mine' is its own partner; give .* or None"),
        ({"swath": 60}, InvalidTypeError, "swath is 60; give a Swath"),
        ({"inclination": 190}, InvalidInputError, "inclination=190 is not accepted; .* 0 to 180"),
        ({"inclination": "steep"}, InvalidInputError, "inclination='steep' is no number"),
        ({"tracks_apart": np.nan}, InvalidInputError, "tracks_apart=nan is not accepted"),
        ({"tracks_apart": "half"}, InvalidInputError, "tracks_apart='half' is .* such as 0.5"),
        ({"repeat_days": 0}, InvalidInputError, "repeat_days=0 is not accepted"),
        ({"repeat_revolutions": 1.5}, InvalidInputError, "repeat_revolutions=1.5 is not accepted"),
        (
            {"nodal_days": 31},
            InvalidInputError,
            "nodal_days=31 differs from repeat_days=30 by more",
        ),
    ],
)
def test_bad_altimeter(change, error, message):
    """Messages say what is wrong with which number."""
    with pytest.raises(error, match=message):
        Altimeter(**{"name": "mine", **POLAR, **change})


@pytest.mark.parametrize(
    ("what", "swath", "error", "message"),
    [
        (None, None, InvalidTypeError, "'mine' returns as positions is None; give Positions"),
        (
            lambda day: (np.array([day]),) * 3,
            None,
            InvalidTypeError,
            r"'mine' returns as positions is \(array.*; give Positions\(days, longitude, latitude",
        ),
        (
            lambda day: Positions([day - 1], [0.0], [35.0]),
            None,
            InvalidInputError,
            "'mine' measures on day 26874, which is not from 26875 to 26876",
        ),
        (
            lambda day: Positions([day + 1], [0.0], [35.0]),
            None,
            InvalidInputError,
            "'mine' measures on day 26876, which is not from 26875 to 26876, the end excluded",
        ),
        (
            lambda day: Positions([np.nan], [0.0], [35.0]),
            None,
            InvalidInputError,
            "'mine' measures on day nan, which is not from",
        ),
        (
            lambda day: Positions([day], [[0.0, 1.0]], [[35.0, 36.0]]),
            None,
            InvalidInputError,
            r"positions of the shape \(1, 2\); it has no swath",
        ),
        (
            lambda day: Positions([day], [[0.0, 1.0]], [[35.0, 36.0]]),
            Swath(10, 20, 10),
            InvalidInputError,
            r"positions of the shape \(1, 2\); its swath has lines of 4 pixels",
        ),
        (
            lambda day: Positions([day], np.zeros((1, 4)), np.full((1, 4), 35.0)),
            Swath(10, 20, 10),
            InvalidInputError,
            "'mine' has a swath, and its positions no distance along the track; give Positions",
        ),
    ],
)
def test_bad_positions_of_a_mission(truth, what, swath, error, message):
    """What a class returns is checked when it is flown."""
    with pytest.raises(error, match=message):
        observe(truth, [Returning("mine", what, swath=swath)], noise=0.1, rng=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([1.0, 2.0], [0.0], [0.0]), r"shapes {'days': \(2,\), 'longitude': \(1,\)"),
        (([1.0], [0.0, 1.0], [0.0]), "have the shapes"),
        (([1.0], [0.0], [0.0], [1.0, 2.0]), r"'along': \(2,\)"),
        ((1.0, 0.0, 0.0), r"shapes {'days': \(\)"),
        ((["today"], [0.0], [0.0]), "days of the positions is no array of numbers"),
    ],
)
def test_bad_positions(given, message):
    """Lists become arrays; shapes that do not fit are refused."""
    np.testing.assert_array_equal(Positions([1], [2], [3]).latitude, [3.0])
    with pytest.raises(InvalidInputError, match=message):
        Positions(*given)


@pytest.mark.parametrize(
    ("swath", "message"),
    [
        (None, "KarinNoise, which depends on the place in a swath, and mine has no swath"),
        (Swath(2, 60, 2), "known from 10 to 60 km from the ground track, .* from 2 to 60 km"),
        (Swath(10, 80, 2), "known from 10 to 60 km from the ground track, .* from 10 to 80 km"),
    ],
)
def test_the_noise_of_karin_needs_its_swath(swath, message):
    """It is a fit of a table, and not known elsewhere."""
    mine = Altimeter("mine", **POLAR, swath=swath)
    with pytest.raises(InvalidInputError, match=message):
        ObservingSystem([mine], {"mine": KarinNoise()})
    ObservingSystem([mine], {"mine": 0.1})


def test_a_mission_must_say_where_it_measures():
    """The base is no mission; values are fixed."""
    with pytest.raises(TypeError, match="abstract .*'positions'"):
        Mission("mine")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Buoys("buoys", [1.0], [2.0]).name = "other"
