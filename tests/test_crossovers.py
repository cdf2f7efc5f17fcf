"""Where tracks cross, what they measured there, and the noise that shows."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.tracks.crossovers import crossover_noise, crossovers

START = pd.Timestamp("2017-01-01")


def line(begin, end, *, hours=0.0, count=11, **labels) -> xr.Dataset:
    """Return a straight track from one (longitude, latitude) to another, a point each second."""
    longitude, latitude = (np.linspace(a, b, count) for a, b in zip(begin, end, strict=True))
    seconds = 3600 * hours + np.arange(count)
    return xr.Dataset(
        {name: ("time", [label] * count) for name, label in labels.items()}
        | {"sla": ("time", 100 * latitude, {"units": "cm"})},
        {
            "time": START + pd.to_timedelta(seconds, "s"),
            "longitude": ("time", longitude),
            "latitude": ("time", latitude),
        },
    )


def join(*parts: xr.Dataset) -> xr.Dataset:
    return xr.concat(parts, "time")


def lattice(noise: float, rng: np.random.Generator, count=30) -> xr.Dataset:
    """Return ascending and descending tracks that cross at many places, with white noise."""
    east = np.linspace(0, 15, count)
    up = [line((e, 30), (e + 4, 45), hours=2 * k, count=257) for k, e in enumerate(east)]
    down = [line((e, 45), (e + 4, 30), hours=2 * k + 1, count=251) for k, e in enumerate(east)]
    tracks = join(*(part for pair in zip(up, down, strict=True) for part in pair))
    return tracks.assign(sla=("time", rng.normal(0, noise, tracks.sizes["time"])))


def test_two_lines_cross_at_a_known_place():
    """Position, times and values are those of the lines, the earlier pass first."""
    up = line((0, 40), (0.5, 41), hours=3)
    down = line((0, 41.5), (1, 39.5), hours=1)
    down["sla"].values += 7
    crossed = crossovers(join(down, up), "sla")
    assert crossed.sizes == {"crossover": 1, "pass": 2}
    # latitude 40 + 2 s = 41.5 - 2 s, at the longitude s
    np.testing.assert_allclose(crossed["longitude"], [0.375])
    np.testing.assert_allclose(crossed["latitude"], [40.75])
    np.testing.assert_allclose(crossed["sla"], [[4082, 4075]])
    np.testing.assert_allclose(crossed["difference"], [-7])
    expected = START + pd.to_timedelta([3603.75, 3 * 3600 + 7.5], "s")
    error = (crossed["time"].values[0] - expected.to_numpy()) / np.timedelta64(1, "s")
    np.testing.assert_allclose(error, 0, atol=1e-6)
    assert crossed["difference"].attrs["units"] == "cm"
    np.testing.assert_allclose(
        crossed["noise_factor"], np.sqrt(0.75**2 + 0.25**2 + 0.5**2 + 0.5**2)
    )


@pytest.mark.parametrize("shift", [-180.0, -0.25, 0.0, 179.75, 180.0])
@pytest.mark.parametrize("west", [-180, 0])
def test_longitudes_may_jump(shift, west):
    """Across 0 and 180 degrees, in both conventions, the crossover is the same."""
    tracks = join(line((0, 40), (0.5, 41)), line((0, 41.5), (1, 39.5), hours=1))
    tracks["longitude"] = (tracks["longitude"] + shift - west) % 360 + west
    crossed = crossovers(tracks, "sla")
    wrapped = (0.375 + shift - west) % 360 + west
    np.testing.assert_allclose(crossed["longitude"], [wrapped])
    np.testing.assert_allclose(crossed["latitude"], [40.75])


def test_it_agrees_with_shapely():
    """All crossings of random polylines are found, at the places of another library."""
    shapely = pytest.importorskip("shapely")
    rng = np.random.default_rng(0)
    parts = []
    for number in range(12):
        part = line((0, 0), (1, 1), hours=number, count=40)
        steps = rng.normal(0.03, 0.05, (2, 40)).cumsum(1)
        flip = 1 if number % 2 else -1
        parts.append(
            part.assign_coords(
                longitude=("time", 2 + flip * steps[0]), latitude=("time", 50 + steps[1])
            )
        )
    lines = [shapely.LineString(np.c_[p["longitude"], p["latitude"]]) for p in parts]
    expected = [
        shapely.get_coordinates(lines[i].intersection(lines[j]))
        for i in range(12)
        for j in range(i)
    ]
    expected = np.concatenate(expected)
    crossed = crossovers(join(*parts), "sla")
    found = np.c_[crossed["longitude"], crossed["latitude"]]
    assert len(expected) > 50
    np.testing.assert_allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


def test_linear_fields_have_no_difference():
    """Two measurements of one linear field agree, and are its value at the crossover."""
    tracks = lattice(0.0, np.random.default_rng(0))
    tracks["sla"] = 3 * tracks["longitude"] - tracks["latitude"]
    crossed = crossovers(tracks, "sla", max_time_difference="10 days")
    assert crossed.sizes["crossover"] > 200
    np.testing.assert_allclose(crossed["difference"], 0, atol=1e-10)
    expected = 3 * crossed["longitude"] - crossed["latitude"]
    np.testing.assert_allclose(crossed["sla"].isel({"pass": 0}), expected)
    assert (np.diff(crossed["time"].isel({"pass": 0}).values) >= np.timedelta64(0, "s")).all()


def test_only_near_times_are_compared():
    """The longest time difference is kept, and a longer one finds more."""
    tracks = lattice(1.0, np.random.default_rng(0))
    counts = []
    for days in (0.1, 0.5, 2):
        times = crossovers(tracks, "sla", max_time_difference=days)["time"].values
        lags = np.diff(times)[:, 0] / np.timedelta64(1, "D")
        assert (lags >= 0).all() and lags.max() <= days
        counts.append(len(lags))
    assert 0 < counts[0] < counts[1] < counts[2]


def test_gaps_are_not_bridged():
    """A crossover within a gap is none, unless the gap is allowed; missing values are gaps."""
    whole = join(line((0, 40), (0.5, 41)), line((0, 41.5), (1, 39.5), hours=1))
    holed = whole.isel(time=[0, 1, 2, 3, 4, 5, 10, *range(11, 22)])
    assert crossovers(holed, "sla").sizes["crossover"] == 0
    assert crossovers(holed, "sla", gap="5 s").sizes["crossover"] == 1
    missing = whole.where(~whole["time"].isin(whole["time"][5:10]))
    assert crossovers(missing, "sla").sizes["crossover"] == 0
    single = whole.where(whole["time"] != whole["time"][7])
    np.testing.assert_allclose(crossovers(single, "sla")["difference"], 0, atol=1e-9)


def test_cftime_calendars():
    """Times of other calendars are interpolated too."""
    pytest.importorskip("cftime")
    tracks = join(line((0, 40), (0.5, 41)), line((0, 41.5), (1, 39.5), hours=1))
    usual, other = (crossovers(each, "sla") for each in (tracks, tracks.convert_calendar("noleap")))
    np.testing.assert_allclose(other["longitude"], usual["longitude"])
    lags = [each["time"].values[0, 1] - each["time"].values[0, 0] for each in (usual, other)]
    assert abs(lags[1].total_seconds() - lags[0] / np.timedelta64(1, "s")) < 1e-4


def test_missions_are_compared_with_each_other_and_themselves():
    """Labels come with the crossovers; mixed missions are no obstacle."""
    tracks = join(
        line((0, 40), (0.5, 41), mission="j3"),
        line((0, 41.5), (1, 39.5), hours=0.001, mission="c2"),
        line((0.6, 40), (0, 40.9), hours=2, mission="j3"),
    )
    crossed = crossovers(tracks.sortby("time"), "sla")
    assert crossed["mission"].values.tolist() == [["j3", "j3"], ["c2", "j3"]]


@pytest.mark.parametrize("noise", [0.02, 3.0])
def test_noise_is_recovered(noise):
    """The standard deviation of white noise comes back, to the error of its estimate."""
    tracks = lattice(noise, np.random.default_rng(0))
    options = {"max_time_difference": "10 days"}
    count = crossovers(tracks, "sla", **options).sizes["crossover"]
    assert count > 300
    estimate = crossover_noise(tracks, "sla", **options)
    assert isinstance(estimate, float)
    np.testing.assert_allclose(estimate, noise, rtol=3 / np.sqrt(2 * count))


def test_what_is_wrong_is_said():
    """Too few crossovers, unknown variables, swaths and times that are none are refused."""
    tracks = join(line((0, 40), (0.5, 41)), line((0, 41.5), (1, 39.5), hours=1))
    with pytest.raises(InvalidInputError, match=r"1 crossover\(s\) within '1 day'.*more tracks"):
        crossover_noise(tracks, "sla")
    with pytest.raises(UnknownNameError, match="'ssh'"):
        crossovers(tracks, "ssh")
    with pytest.raises(InvalidTypeError, match="Dataset"):
        crossovers(tracks["sla"], "sla")
    with pytest.raises(InvalidInputError, match="max_time_difference='1 km'"):
        crossovers(tracks, "sla", max_time_difference="1 km")
    swath = tracks.assign(ssha=(("time", "pixel"), np.zeros((22, 3))))
    with pytest.raises(InvalidInputError, match=r"'ssha' has dimensions \('time', 'pixel'\)"):
        crossovers(swath, "ssha")
    with pytest.raises(InvalidInputError, match="backwards"):
        crossovers(tracks.isel(time=slice(None, None, -1)), "sla")
    assert crossovers(line((0, 40), (0.5, 41)), "sla").sizes["crossover"] == 0


def test_real_missions(shared_data):
    """Four altimeters agree to a few centimetres where they cross within a day."""
    with xr.open_dataset(shared_data("med_l3_adt_20140515_20140524.nc")) as tracks:
        crossed = crossovers(tracks, "adt")
        noise = crossover_noise(tracks, "adt")
    assert 40 < crossed.sizes["crossover"] < 80
    assert 0.01 < noise < 0.025
    same = crossed["mission"].isel({"pass": 0}) == crossed["mission"].isel({"pass": 1})
    assert 0 < same.sum() < same.size
