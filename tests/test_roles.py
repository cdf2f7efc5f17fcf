"""Heights and temperatures are recognised by attributes, then by name."""

import numpy as np
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.harmonise.roles import ROLES, drop_depth, find_roles


def dataset(coords: dict | None = None, **attributes: dict) -> xr.Dataset:
    """Return a dataset of short variables with given attributes."""
    arrays = {name: ("n", np.arange(3.0), attrs) for name, attrs in attributes.items()}
    return xr.Dataset(arrays, coords)


def named(standard_name: str) -> dict:
    return {"standard_name": standard_name}


@pytest.mark.parametrize("role", ["ssh", "sla", "sst"])
def test_standard_names_decide(role):
    """A variable of any name is what its standard name says, blanks or not."""
    for name in ROLES[role].standard_names:
        assert find_roles(dataset(field=named(name))) == {role: ["field"]}
        assert find_roles(dataset(field=named(name.replace("_", " ")))) == {role: ["field"]}


def test_standard_names_win_over_names():
    """A name is a fallback only."""
    anomaly = named("sea_surface_height_above_sea_level")
    assert find_roles(dataset(ssh=anomaly)) == {"sla": ["ssh"]}
    ellipsoid = named("sea surface height above reference ellipsoid")
    with pytest.raises(InvalidInputError, match="no sea surface height"):
        find_roles(dataset(ssh=ellipsoid))
    assert find_roles(dataset(ssha=ellipsoid)) == {"sla": ["ssha"]}  # an error of the product


def test_the_mean_topography_shares_a_standard_name():
    """Its name tells it from the absolute topography."""
    geoid = named("sea_surface_height_above_geoid")
    assert find_roles(dataset(mdt=geoid, adt=geoid)) == {"ssh": ["adt"], "mdt": ["mdt"]}


@pytest.mark.parametrize(
    "others",
    [
        {"e": named("sea_surface_height_above_sea_level standard_error")},
        {"sla": named("sea_surface_height_above_sea_level standard_error")},
        {"err_adt": named("sea_surface_height_above_geoid")},
        {"mss": named("sea_surface_height_above_geoid")},
        {"anom": named("sea_surface_temperature_anomaly")},
        {"sst": {"flag_meanings": "good bad"}},
        {"temp": named("air_temperature")},
    ],
)
def test_other_quantities_are_none_of_these(others):
    """Errors, mean surfaces, anomalies of temperature and flags have no role."""
    assert find_roles(dataset(adt={}, **others)) == {"ssh": ["adt"]}


def test_the_best_comes_first():
    """Unfiltered before filtered, whatever their order."""
    names = ("ssha_noiseless", "sla_filtered", "SLA", "ssha")
    found = find_roles(dataset(**{name: {} for name in names}))
    assert found == {"sla": ["ssha", "SLA", "sla_filtered", "ssha_noiseless"]}


@pytest.mark.parametrize("names", [("zeta_a", "zeta_b"), ("ADT", "adt")])
def test_candidates_that_cannot_be_decided(names):
    """Two variables of one kind, none of which is preferred, are an error that names both."""
    geoid = named("sea_surface_height_above_geoid")
    with pytest.raises(InvalidInputError, match=f"'{names[0]}', '{names[1]}' may each be 'ssh'"):
        find_roles(dataset(**{name: geoid for name in names}))


def test_temperature_is_that_of_the_surface():
    """A potential temperature is one at a depth of metres, or of a level of size one."""
    potential = named("sea_water_potential_temperature")
    for depth, right in ((0.5, True), (-5.0, True), (800.0, False), (-800.0, False)):
        product = dataset({"depth": depth}, thetao=potential, zos={})
        assert ("sst" in find_roles(product)) == right
    levels = dataset(thetao=potential, zos={}).expand_dims(deptht=[0.5])
    assert "sst" not in find_roles(levels)
    flat, done = drop_depth(levels)
    assert find_roles(flat)["sst"] == ["thetao"]
    assert flat["thetao"].dims == ("n",) and flat["deptht"].ndim == 0
    assert done == ["dimension deptht of size one dropped"]
    several = levels.reindex(deptht=[0.5, 1.5])
    assert drop_depth(several) == (several, [])
