"""Pixels of a swath: at their distance from the nadir, at right angles to the track."""

import numpy as np
import pytest

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.observing.missions import MISSIONS
from xdvarnet.observing.orbits import ground_speed, ground_track
from xdvarnet.observing.swath import Swath, in_region, swath_points

SWOT = MISSIONS["swot"]
DISTANCES = SWOT.swath.distances
STEP = SWOT.swath.spacing / ground_speed(SWOT)


@pytest.fixture(scope="module")
def sphere():
    """Geodesics on a sphere, by pyproj."""
    return pytest.importorskip("pyproj").Geod(a=6371e3, b=6371e3)


@pytest.fixture(scope="module")
def revolution():
    """Return the nadir and the swath of a revolution and a half: both poles are passed."""
    nadir = ground_track(SWOT, 12, 12.107, phase=0.6, step=STEP)
    swath = swath_points(SWOT, SWOT.swath, 12, 12.107, phase=0.6)
    np.testing.assert_array_equal(nadir[0], swath[0])
    return nadir, swath


def repeat(values):
    """Repeat values of the lines for each pixel."""
    return np.repeat(values[:, None], DISTANCES.size, axis=1)


def test_pixels_are_at_their_distance_from_the_nadir(revolution, sphere):
    """By geodesics of pyproj, on the left as on the right."""
    (_, nadir_longitude, nadir_latitude), (_, longitude, latitude) = revolution
    _, _, metres = sphere.inv(repeat(nadir_longitude), repeat(nadir_latitude), longitude, latitude)
    np.testing.assert_allclose(metres / 1000, np.broadcast_to(abs(DISTANCES), metres.shape))


def test_neighbouring_pixels_are_2_km_apart(revolution, sphere):
    """Across the track; the gap is 20 km and the whole 120 km wide."""
    _, (_, longitude, latitude) = revolution
    _, _, metres = sphere.inv(
        longitude[:, :-1], latitude[:, :-1], longitude[:, 1:], latitude[:, 1:]
    )
    expected = np.broadcast_to(np.diff(DISTANCES), metres.shape)
    np.testing.assert_allclose(metres / 1000, expected, atol=1e-6)
    _, _, width = sphere.inv(longitude[:, 0], latitude[:, 0], longitude[:, -1], latitude[:, -1])
    np.testing.assert_allclose(width / 1000, 120, atol=1e-6)


def test_lines_are_2_km_apart(revolution, sphere):
    """Along the ground track: exactly at the equator, and to 1 % elsewhere."""
    (_, longitude, latitude), _ = revolution
    _, _, metres = sphere.inv(longitude[:-1], latitude[:-1], longitude[1:], latitude[1:])
    assert metres[np.abs(latitude[:-1]).argmin()] == pytest.approx(2000, rel=1e-5)
    np.testing.assert_allclose(metres, 2000, rtol=0.01)


def test_lines_are_at_right_angles_to_the_track(revolution, sphere):
    """Azimuths to the previous and next nadir, and to both borders; left is on the left."""
    (_, nadir_longitude, nadir_latitude), (_, longitude, latitude) = revolution
    here = (nadir_longitude[1:-1], nadir_latitude[1:-1])
    ahead, _, _ = sphere.inv(*here, nadir_longitude[2:], nadir_latitude[2:])
    behind, _, _ = sphere.inv(*here, nadir_longitude[:-2], nadir_latitude[:-2])
    along = ahead + ((behind + 180 - ahead + 180) % 360 - 180) / 2
    for side, turn in ((0, -90), (-1, 90)):
        azimuth, _, _ = sphere.inv(*here, longitude[1:-1, side], latitude[1:-1, side])
        np.testing.assert_allclose((azimuth - along - turn + 180) % 360 - 180, 0, atol=1e-3)


def test_swath_is_that_of_pyinterp(revolution):
    """An independent computation, on the same sphere, from the nadir points alone."""
    orbit = pytest.importorskip("pyinterp.orbit")
    geographic = pytest.importorskip("pyinterp.core.geometry.geographic")
    (days, nadir_longitude, nadir_latitude), (_, longitude, latitude) = revolution
    time = (days * 86400e9).astype("timedelta64[ns]")
    expected = orbit.calculate_swath(
        orbit.Pass(nadir_longitude, nadir_latitude, time, 2.0 * np.arange(days.size), None),
        across_track_resolution=2.0,
        along_track_resolution=2.0,
        half_swath=60.0,
        half_gap=10.0,
        spheroid=geographic.Spheroid(6371e3, 0.0),
    )
    east = (longitude - expected.lon + 180) % 360 - 180
    north = latitude - expected.lat
    kilometres = 111.2 * np.hypot(east * np.cos(np.radians(latitude)), north)
    assert kilometres[5:-5].max() < 0.02  # at both ends its direction of flight is extrapolated


@pytest.fixture(scope="module")
def everywhere():
    """Return three revolutions without a region."""
    return swath_points(SWOT, SWOT.swath, 100, 100.25, phase=0.3)


@pytest.mark.parametrize(
    "region",
    [
        (-6.3, 37.1, 29.7, 46.2),
        (354.2, 397, 30, 46),
        (135, 150, -20, 12.5),
        (170, 190, -55, 30),
        (10, 31, 60, 78.1),
        (-180, 180, 20, 31),
    ],
)
def test_region_keeps_all_lines_that_reach_it(everywhere, region):
    """Also those whose nadir is outside; no pixel of the region is missing."""
    west, east, _, _ = region
    days, longitude, latitude = swath_points(
        SWOT, SWOT.swath, 100, 100.25, phase=0.3, region=region
    )
    first = (west + east) / 2 - 180
    wrapped = first + (everywhere[1] - first) % 360
    seen = in_region(wrapped, everywhere[2], region).any(axis=1)
    assert 20 < seen.sum() < seen.size / 2
    np.testing.assert_array_equal(days, everywhere[0][seen])
    np.testing.assert_allclose(longitude, wrapped[seen], atol=1e-9)
    np.testing.assert_array_equal(latitude, everywhere[2][seen])
    nadir = ground_track(SWOT, 100, 100.25, phase=0.3, step=STEP, region=region)[0]
    assert nadir.size < days.size


def test_a_region_beyond_the_swath_sees_none():
    """SWOT reaches 77.6 degrees, and its swath half a degree more."""
    assert (
        swath_points(SWOT, SWOT.swath, 0, 1, phase=0.0, region=(-180, 180, 78.2, 90))[0].size == 0
    )
    assert swath_points(SWOT, SWOT.swath, 0, 1, phase=0.0, region=(-180, 180, 78.0, 90))[0].size > 0


def test_successive_days_join():
    """No line is lost or repeated at midnight."""
    region = (-6, 37, 30, 46)
    parts = [
        swath_points(SWOT, SWOT.swath, day, day + 1, phase=0.4, region=region)
        for day in (70, 71, 72)
    ]
    whole = swath_points(SWOT, SWOT.swath, 70, 73, phase=0.4, region=region)
    for joined, expected in zip(zip(*parts, strict=True), whole, strict=True):
        np.testing.assert_array_equal(np.concatenate(joined), expected)


def test_a_cycle_covers_nearly_all():
    """There are gaps below the satellite and between tracks, and none where the tracks converge."""

    def share(region):
        _, longitude, latitude = swath_points(
            SWOT, SWOT.swath, 0, SWOT.repeat_days, phase=0.1, region=region
        )
        west, east, south, north = region
        cells = [np.linspace(west, east, 91), np.linspace(south, north, 46)]
        return (np.histogram2d(longitude.ravel(), latitude.ravel(), cells)[0] > 0).mean()

    assert 0.9 < share((0, 6, -1.5, 1.5)) < 1
    assert share((0, 6, 60, 63)) == 1


def test_a_nadir_altimeter_has_no_pixels():
    """The message names the function that serves."""
    saral = MISSIONS["saral"]
    with pytest.raises(InvalidTypeError, match="swath is None; give a Swath.* ground_track"):
        swath_points(saral, saral.swath, 0, 1, phase=0.0)


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        ((0, 60, 2), "near=0 is not accepted; give more than zero, in km"),
        ((10, np.nan, 2), "far=nan is not accepted"),
        ((10, 60, -2), "spacing=-2 is not accepted"),
        ((60, 10, 2), "far=10 is less than near=60"),
        (("ten", 60, 2), "near='ten' is no number"),
    ],
)
def test_bad_swath(distances, message):
    """Messages say which distance is wrong."""
    with pytest.raises(InvalidInputError, match=message):
        Swath(*distances)
