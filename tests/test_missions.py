import dataclasses

import numpy as np
import pytest

from xdvarnet.observing.missions import MISSIONS


def test_names_are_the_keys():
    assert set(MISSIONS) == {"jason1", "topex_interleaved", "envisat", "gfo"}
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


def test_interleaved_mission_has_the_same_orbit():
    topex = MISSIONS["topex_interleaved"]
    jason = MISSIONS[topex.interleaved_with]
    for attribute in ("inclination", "repeat_days", "repeat_revolutions"):
        assert getattr(topex, attribute) == getattr(jason, attribute)
