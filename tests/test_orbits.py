"""Ground tracks: where and when a satellite is above the turning Earth."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from xdvarnet.observing.missions import MISSIONS
from xdvarnet.observing.orbits import ground_speed, ground_track, heading

each_mission = pytest.mark.parametrize(
    "mission", MISSIONS.values(), ids=[name for name in MISSIONS]
)
each_repeating = pytest.mark.parametrize(
    "mission",
    [mission for mission in MISSIONS.values() if not mission.drifts],
    ids=lambda mission: mission.name,
)


def angle(longitude):
    """Write a difference of longitudes between -180 and 180 degrees."""
    return (np.asarray(longitude) + 180) % 360 - 180


def ascending_nodes(mission, phase):
    _, longitude, latitude = ground_track(
        mission, 0, mission.repeat_days, phase=phase, step=mission.nodal_period
    )
    np.testing.assert_allclose(latitude, 0, atol=1e-6)
    return longitude


@each_repeating
def test_track_closes_after_the_repeat_cycle_and_not_before(mission):
    points = 97  # in a revolution
    cycle = points * mission.repeat_revolutions
    _, longitude, latitude = ground_track(
        mission, 0, 1.1 * mission.repeat_days, phase=0.37, step=mission.nodal_period / points
    )
    again = latitude.size - cycle
    assert again > 0
    np.testing.assert_allclose(latitude[cycle:], latitude[:again], atol=1e-7)
    np.testing.assert_allclose(angle(longitude[cycle:] - longitude[:again]), 0, atol=1e-7)
    nodes = longitude[:cycle:points]
    assert np.abs(angle(nodes[1:] - nodes[0])).min() > 0.9 * mission.track_spacing


@each_repeating
def test_nodes_divide_the_equator_evenly(mission):
    nodes = np.sort(ascending_nodes(mission, 0.1) % 360)
    assert nodes.size == mission.repeat_revolutions
    np.testing.assert_allclose(np.diff(nodes), mission.track_spacing, atol=1e-6)


def test_drifting_track_comes_near_itself_and_never_closes():
    """After 35 days SARAL is two degrees west of where it was, as published."""
    mission = MISSIONS["saral"]
    points, revolutions = 97, mission.repeat_revolutions
    cycle = points * revolutions
    days, longitude, latitude = ground_track(
        mission, 0, 1.1 * mission.repeat_days, phase=0.37, step=mission.nodal_period / points
    )
    again = latitude.size - cycle
    assert days[cycle] == pytest.approx(35.0054)
    np.testing.assert_allclose(latitude[cycle:], latitude[:again], atol=1e-7)
    np.testing.assert_allclose(angle(longitude[cycle:] - longitude[:again]), -1.99, atol=1e-6)
    nodes = ground_track(mission, 0, 1000, phase=0.37, step=mission.nodal_period)[1]
    assert np.abs(angle(nodes[1:] - nodes[0])).min() > 1e-4


def test_sentinel3_tracks_are_those_of_one_plane():
    """The satellite ahead passes 140 degrees of a revolution earlier where the Earth turns to."""
    first, second = MISSIONS["sentinel3a"], MISSIONS["sentinel3b"]
    earlier = 140 / 360 * first.nodal_period / 86400
    node = ground_track(second, 100, 101, phase=second.phase(0.3), step=first.nodal_period)
    ahead = angle(node[1] - ground_track(first, 100, 101, phase=0.3, step=first.nodal_period)[1])
    turn = 360 * first.nodal_days * earlier / first.repeat_days
    np.testing.assert_allclose(ahead, turn, atol=1e-6)


@each_mission
def test_track_reaches_the_inclination_and_no_further(mission):
    _, _, latitude = ground_track(mission, 3, 4, phase=0.2)
    limit = min(mission.inclination, 180 - mission.inclination)
    assert latitude.max() == pytest.approx(limit, abs=1e-3)
    assert latitude.min() == pytest.approx(-limit, abs=1e-3)


@each_mission
def test_number_of_revolutions_in_a_day(mission):
    _, _, latitude = ground_track(mission, 20, 27, phase=0.6, step=10)
    upward = np.count_nonzero((latitude[1:] >= 0) & (latitude[:-1] < 0))
    expected = 7 * 86400 / mission.nodal_period
    assert abs(upward - expected) <= 1


@each_mission
def test_time_in_a_band_of_latitude(mission):
    south, north = np.radians([30, 46])
    sine = np.sin(np.radians(mission.inclination))
    fraction = (np.arcsin(np.sin(north) / sine) - np.arcsin(np.sin(south) / sine)) / np.pi
    _, _, latitude = ground_track(mission, 0, 20, phase=0.0, step=7)
    inside = np.mean((latitude >= 30) & (latitude <= 46))
    assert inside == pytest.approx(fraction, rel=0.01)


@pytest.mark.parametrize(
    ("name", "slowest", "fastest"), [("jason1", 5.6, 6.1), ("envisat", 6.5, 7.0), ("gfo", 6.5, 7.2)]
)
def test_ground_speed(name, slowest, fastest):
    _, longitude, latitude = ground_track(MISSIONS[name], 0, 1, phase=0.0)
    north = np.radians(np.diff(latitude))
    east = np.radians(angle(np.diff(longitude))) * np.cos(np.radians(latitude[1:]))
    speed = 6371 * np.hypot(north, east)
    assert slowest < speed.min() and speed.max() < fastest


@pytest.mark.parametrize(("name", "sign"), [("jason1", 1), ("envisat", -1), ("gfo", -1)])
def test_ascending_tracks_lean_as_the_inclination_says(name, sign):
    _, longitude, latitude = ground_track(MISSIONS[name], 0, 1, phase=0.0)
    ascending = (np.diff(latitude) > 0) & (np.abs(latitude[1:]) < 30)
    assert (np.sign(angle(np.diff(longitude))[ascending]) == sign).all()


def test_tracks_of_jason_cross_at_the_published_angle():
    # acute angle at the equator: 39.5 degrees (PO.DAAC)
    _, longitude, latitude = ground_track(MISSIONS["jason1"], 0, 1e-4, phase=0.0)
    from_north = np.arctan2(angle(longitude[5] - longitude[0]), latitude[5] - latitude[0])
    assert 2 * np.degrees(from_north) == pytest.approx(39.5, abs=0.2)


@pytest.mark.parametrize("name", ["topex_interleaved", "jason3", "sentinel3b"])
def test_interleaved_tracks_lie_half_way(name):
    mission = MISSIONS[name]
    phase = 0.9
    fixed = ascending_nodes(MISSIONS[mission.partner], phase)
    moved = ascending_nodes(mission, mission.phase(phase))
    distance = np.abs(angle(moved[:, None] - fixed[None, :])).min(axis=1)
    np.testing.assert_allclose(distance, mission.track_spacing / 2, atol=1e-6)


@each_mission
def test_phase_moves_the_tracks_on_the_earth(mission):
    first, second = ascending_nodes(mission, 0.25), ascending_nodes(mission, 0.25 + 1e-3)
    np.testing.assert_allclose(angle(second - first), 0.36, atol=1e-9)
    assert ground_track(mission, 0, 1e-4, phase=0.25)[1][0] == pytest.approx(90)


@each_mission
@pytest.mark.parametrize(
    "region",
    [(-6.3, 37.1, 29.7, 46.2), (354.2, 397, 30, 46), (170, 190, -75, -60.5), (10, 11, 85, 90)],
)
def test_region_keeps_the_points_inside(mission, region):
    west, east, south, north = region
    everywhere = ground_track(mission, 100, 104, phase=0.3, step=3)
    days, longitude, latitude = ground_track(mission, 100, 104, phase=0.3, step=3, region=region)
    wrapped = west + (everywhere[1] - west) % 360
    inside = (wrapped <= east) & (everywhere[2] >= south) & (everywhere[2] <= north)
    np.testing.assert_array_equal(days, everywhere[0][inside])
    np.testing.assert_allclose(longitude, wrapped[inside], atol=1e-9)
    np.testing.assert_array_equal(latitude, everywhere[2][inside])


def test_successive_periods_join():
    mission, borders = MISSIONS["gfo"], [20179, 20180, 20180.37, 20182]
    parts = [
        ground_track(mission, start, end, phase=0.4, step=0.9)
        for start, end in zip(borders[:-1], borders[1:], strict=True)
    ]
    whole = ground_track(mission, borders[0], borders[-1], phase=0.4, step=0.9)
    for joined, expected in zip(zip(*parts, strict=True), whole, strict=True):
        np.testing.assert_array_equal(np.concatenate(joined), expected)
    np.testing.assert_allclose(np.diff(whole[0]) * 86400, 0.9, atol=1e-5)


@each_mission
def test_heading_is_the_direction_to_the_next_point(mission):
    """By the azimuth of the great circle to it, from pyproj."""
    pyproj = pytest.importorskip("pyproj")
    sphere = pyproj.Geod(a=6371e3, b=6371e3)
    days, longitude, latitude = ground_track(mission, 7, 7.2, phase=0.8, step=0.5)
    here, there = slice(0, -1, 40), slice(1, None, 40)
    leaving, back, _ = sphere.inv(
        longitude[here], latitude[here], longitude[there], latitude[there]
    )
    assert np.ptp(leaving) > 90  # ascending, descending and the turning points
    azimuth = leaving + angle(back + 180 - leaving) / 2
    middle = days[here] + 0.25 / 86400
    np.testing.assert_allclose(angle(heading(mission, middle) - azimuth), 0, atol=2e-3)


@each_mission
def test_ground_speed_is_that_between_points_on_the_equator(mission):
    """And nearly that elsewhere, along the great circle, by pyproj."""
    pyproj = pytest.importorskip("pyproj")
    sphere = pyproj.Geod(a=6371e3, b=6371e3)
    _, longitude, latitude = ground_track(mission, 0, 0.1, phase=0.8, step=0.5)
    _, _, metres = sphere.inv(longitude[:-1], latitude[:-1], longitude[1:], latitude[1:])
    speed = metres / 500
    assert speed[0] == pytest.approx(ground_speed(mission), rel=1e-5)
    np.testing.assert_allclose(speed, ground_speed(mission), rtol=0.02)


def departures(path, mission, radius, every):
    """Fit the place and the time of the orbit to real points, and return what remains.

    Standard deviation of the latitude, and departures eastward from the track, both in degrees.
    `radius` is that of the orbit in km: it gives the geocentric latitude of the satellite.
    """
    with xr.open_dataset(path) as real:
        days = (real["time"].values - np.datetime64("1950-01-01", "ns")) / np.timedelta64(1, "D")
        latitude, longitude = real["latitude"].values, real["longitude"].values
    flattening = 1 / 298.257
    geocentric = latitude - np.degrees(
        flattening * 6378.137 / radius * np.sin(2 * np.radians(latitude))
    )
    track_days, track_longitude, track_latitude = ground_track(
        mission, days[0] - 0.1, days[-1] + 0.2, phase=0.0, step=5
    )
    # the real time of the node and its longitude are unknown: fit the two
    shifts = np.arange(0, mission.nodal_period, 1) / 86400
    misfit = [
        np.std(np.interp(days[::every] + shift, track_days, track_latitude) - geocentric[::every])
        for shift in shifts
    ]
    shifted = days + shifts[np.argmin(misfit)]
    expected = np.interp(shifted, track_days, np.unwrap(track_longitude, period=360))
    turn = np.exp(1j * np.radians(longitude - expected))
    east = np.degrees(np.angle(turn / turn.mean())) * np.cos(np.radians(latitude))
    return min(misfit), np.abs(east)


def test_track_is_that_of_the_real_jason(shared_data):
    path = shared_data("dt_global_j1_phy_l3_20070101.nc")
    misfit, east = departures(path, MISSIONS["jason1"], 7714.43, every=200)
    assert misfit < 0.06  # degrees; the real orbit is not quite a circle
    assert east.max() < 0.11


def test_track_is_that_of_the_real_cryosat2(shared_data):
    """For 37 days, to 5 km; with 368 turns of the Earth in a cycle it would drift away."""
    path = shared_data("dt_gulfstream_c2_phy_l3_20161220_20170126.nc")
    misfit, east = departures(path, MISSIONS["cryosat2"], 7095.3, every=9)
    assert misfit < 0.35
    assert east.max() < 0.06
    other = dataclasses.replace(MISSIONS["cryosat2"], nodal_days=368)
    assert departures(path, other, 7095.3, every=9)[1].max() > 10


def test_track_is_that_of_the_drifting_saral(shared_data):
    """Five months into the drift, where it was a little faster, and no more that of Envisat."""
    path = shared_data("dt_gulfstream_alg_phy_l3_20161221_20170104.nc")
    _, drifting = departures(path, MISSIONS["saral"], 7166.0, every=1)
    _, repeating = departures(path, MISSIONS["envisat"], 7166.0, every=1)
    assert drifting.max() < 0.35 and repeating.max() > 1.5
