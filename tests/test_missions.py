"""Missions: their numbers agree with published ones, with physics and with each other."""

import dataclasses
import math

import numpy as np
import pytest

from xdvarnet.observing.missions import MISSIONS, Swath

PARTNERS = [mission for mission in MISSIONS.values() if mission.partner]


def test_names_are_the_keys():
    assert set(MISSIONS) == {
        *("jason1", "topex_interleaved", "envisat", "gfo"),
        *("jason3", "sentinel6", "sentinel3a", "sentinel3b", "cryosat2", "saral", "hy2b"),
        *("swot_nadir", "swot"),
    }
    assert all(mission.name == name for name, mission in MISSIONS.items())


@pytest.mark.parametrize("mission", MISSIONS.values(), ids=lambda mission: mission.name)
def test_sources_are_cited_and_values_fixed(mission):
    assert "http" in mission.source
    with pytest.raises(dataclasses.FrozenInstanceError):
        mission.inclination = 0.0


@pytest.mark.parametrize(
    ("name", "nodal_days", "minutes", "spacing"),
    [
        # published: nodal period 6745.72 s, tracks 315 km apart (PO.DAAC)
        ("jason1", 10, 6745.72 / 60, 315),
        ("topex_interleaved", 10, 6745.72 / 60, 315),
        # published: 100.59 min (University of Bremen), 80 km
        ("envisat", 35, 100.59, 80),
        # published: 17 days and 244 revolutions (AAS 99-180), 165 km
        ("gfo", 17, 100.6, 165),
        ("jason3", 10, 6745.72 / 60, 315),
        ("sentinel6", 10, 6745.72 / 60, 315),
        # published: 100.99 min, 104 km (ESA)
        ("sentinel3a", 27, 100.99, 104),
        ("sentinel3b", 27, 100.99, 104),
        # published: 369 days and 5344 revolutions, 7.5 km (ESA); 99.2 min
        ("cryosat2", 369, 99.22, 7.5),
        # published: 14 days, 104.46 min, 207.6 km (HY-2A)
        ("hy2b", 14, 104.46, 207.6),
        # published: 6173.62 s, 1.233 degrees (AVISO)
        ("swot", 21, 6173.62 / 60, 1.233 * 111.32),
        ("swot_nadir", 21, 6173.62 / 60, 1.233 * 111.32),
    ],
)
def test_derived_numbers_agree_with_published_ones(name, nodal_days, minutes, spacing):
    mission = MISSIONS[name]
    assert mission.nodal_days == nodal_days
    assert mission.nodal_period / 60 == pytest.approx(minutes, rel=4e-4)
    assert mission.track_spacing * 111.32 == pytest.approx(spacing, rel=0.01)


@pytest.mark.parametrize("mission", MISSIONS.values(), ids=lambda mission: mission.name)
def test_repeat_cycle_agrees_with_the_precession_of_the_node(mission):
    # first-order secular rate of the node by the Earth's oblateness, and Kepler's third law
    gravity, radius, j2 = 398600.4418, 6378.137, 1.08263e-3
    axis = (gravity * (mission.nodal_period / (2 * np.pi)) ** 2) ** (1 / 3)
    motion = 2 * np.pi / mission.nodal_period
    node_rate = -1.5 * j2 * (radius / axis) ** 2 * motion * np.cos(np.radians(mission.inclination))
    nodal_day = 2 * np.pi / (7.292115e-5 - node_rate) / 86400
    assert mission.nodal_days * nodal_day == pytest.approx(mission.repeat_days, rel=2e-5)


@pytest.mark.parametrize("mission", PARTNERS, ids=lambda mission: mission.name)
def test_a_partner_is_on_the_same_orbit_and_has_none(mission):
    """So phases follow from those that are drawn, whatever the order of the missions."""
    partner = MISSIONS[mission.partner]
    assert partner.partner is None
    for attribute in ("inclination", "repeat_days", "repeat_revolutions", "nodal_days"):
        assert getattr(mission, attribute) == getattr(partner, attribute)


def test_which_missions_have_partners():
    """Half a track apart if interleaved, on one track if on one satellite."""
    apart = {mission.name: (mission.partner, mission.tracks_apart % 1) for mission in PARTNERS}
    assert apart == {
        "topex_interleaved": ("jason1", 0.5),
        "jason3": ("sentinel6", 0.5),
        "sentinel3b": ("sentinel3a", 0.5),
        "swot": ("swot_nadir", 0.0),
    }


def test_sentinel3b_is_140_degrees_from_sentinel3a():
    """In one orbital plane, the track of a satellite ahead is the more eastward."""
    mission = MISSIONS["sentinel3b"]
    turned = mission.tracks_apart * mission.track_spacing  # by the Earth, in degrees
    degrees_ahead = turned * mission.repeat_revolutions / mission.nodal_days
    assert degrees_ahead == pytest.approx(140)


def test_neighbouring_tracks_of_jason3_and_sentinel6_are_five_days_apart():
    """AVISO: a separation of approximately five days."""
    mission = MISSIONS["jason3"]
    revolutions = np.arange(-63, 64)
    # Sentinel-6 moves by 10 spacings westward in a revolution
    distance = (mission.tracks_apart + 10 * revolutions + 63.5) % 127 - 63.5
    lags = np.abs(revolutions[np.abs(distance) == 0.5]) * mission.nodal_period / 86400
    assert lags.max() == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("mission", MISSIONS.values(), ids=lambda mission: mission.name)
def test_only_saral_drifts_and_the_others_repeat_no_sooner(mission):
    """Without a common divisor of days and revolutions, the cycle is the shortest."""
    assert mission.drifts == (mission.name == "saral")
    if not mission.drifts:
        assert math.gcd(mission.repeat_revolutions, int(mission.nodal_days)) == 1


def test_only_swot_has_a_swath():
    """Two halves of 50 km with a gap of 20 km, pixels every 2 km, left and right alike."""
    assert [name for name in MISSIONS if MISSIONS[name].swath] == ["swot"]
    distances = MISSIONS["swot"].swath.distances
    np.testing.assert_array_equal(distances, -distances[::-1])
    assert distances.max() - distances.min() == 120
    assert distances[distances > 0].min() - distances[distances < 0].max() == 20
    assert set(np.diff(distances)) == {2.0, 20.0}


def test_pixels_of_any_swath():
    """The last pixel is not lost by rounding."""
    np.testing.assert_allclose(Swath(0.1, 0.3, 0.1).distances, [-0.3, -0.2, -0.1, 0.1, 0.2, 0.3])
