"""Currents, energy, vorticity and gradients against analytic fields and the DUACS products."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.diagnostics import (
    GRAVITY,
    ROTATION_RATE,
    eddy_kinetic_energy,
    geostrophic,
    gradient,
    relative_vorticity,
)
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError, XdvarnetWarning

DIMS = ("time", "lat", "lon")
RADIUS = 6371e3
DEGREE = np.radians(1) * RADIUS


def coriolis(latitude):
    return 2 * ROTATION_RATE * np.sin(np.radians(latitude))


def dataset(field, lat, lon, times=1) -> xr.Dataset:
    """Return `field(lat, lon)` in m, growing by a tenth with each day."""
    values = np.broadcast_to(field(lat[:, None], lon[None, :]), (lat.size, lon.size))
    values = values * (1 + 0.1 * np.arange(times))[:, None, None]
    coords = {"time": pd.date_range("2005-06-10", periods=times), "lat": lat, "lon": lon}
    return xr.Dataset({"ssh": (DIMS, values, {"units": "m"})}, coords)


@pytest.fixture
def maps() -> xr.Dataset:
    """Return four days of a rough sea across the Greenwich meridian, with an island."""
    rng = np.random.default_rng(3)
    values = 0.1 * rng.normal(size=(4, 9, 13))
    values[:, 3:5, 6] = np.nan
    coords = {
        "time": pd.date_range("2005-06-10", periods=4),
        "lat": 33 + 0.25 * np.arange(9),
        "lon": -2 + 0.5 * np.arange(13),
    }
    found = xr.Dataset({"ssh": (DIMS, values, {"units": "m"})}, coords, {"title": "a sea"})
    found["sst"] = found["ssh"].mean("time").assign_attrs(units="degC")
    return found


@pytest.fixture
def globe() -> xr.Dataset:
    """Return a smooth periodic field on a grid around the globe."""

    def field(lat, lon):
        turn = np.radians(lon)
        return np.cos(np.radians(lat)) * (np.sin(2 * turn) + 0.3 * np.cos(turn))

    return dataset(field, np.arange(-86.0, 87, 4), np.arange(0.0, 360, 5))


def test_currents_equal_loops_over_cells(maps):
    """Central differences, one-sided at the borders, NaN at and beside the island."""
    ssh, lat, lon = maps["ssh"].values, maps["lat"].values, maps["lon"].values
    expected = np.full((2, *ssh.shape), np.nan)
    for t, j, i in np.ndindex(ssh.shape):
        south, north = max(j - 1, 0), min(j + 1, lat.size - 1)
        west, east = max(i - 1, 0), min(i + 1, lon.size - 1)
        if np.isnan(ssh[t, j, i]):
            continue
        scale = GRAVITY / coriolis(lat[j]) / DEGREE
        dy = lat[north] - lat[south]
        dx = (lon[east] - lon[west]) * np.cos(np.radians(lat[j]))
        expected[0, t, j, i] = -scale * (ssh[t, north, i] - ssh[t, south, i]) / dy
        expected[1, t, j, i] = scale * (ssh[t, j, east] - ssh[t, j, west]) / dx
    found = geostrophic(maps)
    np.testing.assert_allclose(found["ugos"], expected[0], rtol=1e-9)
    np.testing.assert_allclose(found["vgos"], expected[1], rtol=1e-9)
    assert int(found["ugos"][0].isnull().sum()) == 2 + 2
    assert int(found["vgos"][0].isnull().sum()) == 2 + 4


@pytest.mark.parametrize("lat", [np.linspace(30, 50, 9), 60 * np.tanh(np.linspace(0.4, 0.9, 9))])
def test_a_plane_in_latitude(lat):
    """1 cm a degree of latitude: a zonal current, exactly and on unequal steps too."""
    found = geostrophic(dataset(lambda lat, _: 0.01 * lat, lat, np.arange(4.0, 10, 0.5)))
    expected = -GRAVITY / coriolis(lat) * 0.01 / DEGREE
    np.testing.assert_allclose(found["ugos"][0], np.tile(expected, (12, 1)).T, rtol=1e-9)
    np.testing.assert_allclose(found["vgos"], 0, atol=1e-12)


def test_a_plane_in_longitude():
    lat = np.linspace(-50, -30, 6)
    found = geostrophic(dataset(lambda _, lon: 0.01 * lon, lat, np.arange(4.0, 10, 0.5)))
    expected = GRAVITY / coriolis(lat) * 0.01 / DEGREE / np.cos(np.radians(lat))
    np.testing.assert_allclose(found["vgos"][0], np.tile(expected, (12, 1)).T, rtol=1e-9)


@pytest.mark.parametrize("south", [-40, 40])
def test_a_gaussian_eddy(south):
    """A warm eddy of 10 cm turns anticyclonically at the speed that its slope gives."""
    width, lat, lon = 0.8, np.arange(south - 3, south + 3.01, 0.05), np.arange(-3, 3.01, 0.04)

    def eddy(lat, lon):
        return 0.1 * np.exp(-((lat - south) ** 2 + lon**2) / (2 * width**2))

    maps = dataset(eddy, lat, lon)
    found = geostrophic(maps)
    y, x = lat[:, None], lon[None, :]
    slope = eddy(y, x) / width**2 / DEGREE * GRAVITY / coriolis(y)
    inner = {"lat": slice(1, -1), "lon": slice(1, -1)}
    across = np.cos(np.radians(y))
    for name, expected in (("ugos", slope * (y - south)), ("vgos", -slope * x / across)):
        error = found[name][0] - expected
        assert float(np.abs(error[inner]).max()) < 0.01 * np.abs(expected).max()
    centre = relative_vorticity(found).sel(lat=south, lon=0, method="nearest")
    assert centre < 0


def test_currents_are_the_derivatives_of_xarray(maps):
    found = geostrophic(maps)
    scale = GRAVITY / DEGREE / coriolis(maps["lat"])
    across = np.cos(np.radians(maps["lat"]))
    expected = {
        "ugos": -maps["ssh"].differentiate("lat") * scale,
        "vgos": maps["ssh"].differentiate("lon") * scale / across,
    }
    for name, current in expected.items():
        current = current.where(maps["ssh"].notnull())
        np.testing.assert_allclose(found[name], current, rtol=1e-9)


def test_f_times_the_current_has_no_divergence(globe):
    """The law of geostrophy on the sphere, exact for differences on equal steps."""
    found = geostrophic(globe, min_latitude=0)
    lat, lon = np.radians(globe["lat"]), np.radians(globe["lon"].values)
    f = coriolis(globe["lat"])
    u, v = (found["ugos"] * f)[0].values, (found["vgos"] * f * np.cos(lat))[0].values
    eastward = (np.roll(u, -1, 1) - np.roll(u, 1, 1)) / (lon[2] - lon[0])
    northward = np.gradient(v, lat.values, axis=0)
    largest = np.abs(eastward).max()
    assert largest > 1e-6
    np.testing.assert_allclose((eastward + northward)[1:-1], 0, atol=1e-10 * largest)


def test_currents_next_to_the_equator_are_missing():
    lat = np.arange(-10.0, 10.5, 1)
    maps = dataset(lambda lat, lon: 0.01 * lat + 0.02 * lon, lat, np.arange(4.0, 9))
    for limit, kept in ((5.0, np.abs(lat) >= 5), (2.5, np.abs(lat) >= 2.5), (0, lat != 0)):
        found = geostrophic(maps, min_latitude=limit)
        for array in found.values():
            np.testing.assert_array_equal(array[0, :, 0].notnull(), kept)
            assert f"within {limit:g} degrees of the equator" in array.attrs["comment"]
    assert geostrophic(maps).equals(geostrophic(maps, min_latitude=5))


def test_a_grid_around_the_globe_has_no_border(globe):
    """The column of the meridian is as any other, wherever the grid begins."""
    found = geostrophic(globe)
    assert found["vgos"].notnull().all("lon").where(np.abs(globe["lat"]) > 5, True).all()
    rolled = globe.roll(lon=20, roll_coords=True)
    xr.testing.assert_allclose(geostrophic(rolled).sortby("lon"), found, rtol=1e-9)
    signed = globe.assign_coords(lon=(globe["lon"] + 180) % 360 - 180).sortby("lon")
    other = geostrophic(signed).assign_coords(lon=signed["lon"] % 360).sortby("lon")
    xr.testing.assert_allclose(other, found, rtol=1e-9)
    half = geostrophic(globe.isel(lon=slice(0, 40)))
    inner = {"lon": slice(1, 39)}
    xr.testing.assert_allclose(half.isel(inner), found.isel(lon=slice(1, 39)), rtol=1e-9)
    assert not np.allclose(half["vgos"][..., 0], found["vgos"][..., 0], equal_nan=True)


def test_there_is_no_current_at_a_pole():
    lat = np.arange(60.0, 90.5, 5)
    found = geostrophic(dataset(lambda lat, lon: 0.01 * lat + 0 * lon, lat, np.arange(0.0, 360, 9)))
    assert found["ugos"].sel(lat=90).isnull().all() and found["vgos"].sel(lat=90).isnull().all()
    assert found.sel(lat=slice(60, 85)).to_array().notnull().all()


FUNCTIONS = {
    "currents": geostrophic,
    "energy": lambda ds: eddy_kinetic_energy(geostrophic(ds)).to_dataset(),
    "vorticity": lambda ds: relative_vorticity(geostrophic(ds)).to_dataset(),
    "gradient": lambda ds: gradient(ds, "ssh").to_dataset(),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize(
    ("change", "back"),
    [
        (lambda ds: ds.isel(lat=slice(None, None, -1)), lambda ds: ds.sortby("lat")),
        (lambda ds: ds.transpose("lon", "time", "lat"), lambda ds: ds.transpose(*DIMS)),
        (
            lambda ds: ds.assign_coords(lon=ds.lon % 360),
            lambda ds: ds.assign_coords(lon=(ds.lon + 180) % 360 - 180),
        ),
        (
            lambda ds: ds.assign_coords(lon=ds.lon % 360).sortby("lon"),
            lambda ds: ds.assign_coords(lon=(ds.lon + 180) % 360 - 180).sortby("lon"),
        ),
        (
            lambda ds: ds.rename(lat="latitude", lon="nav_lon"),
            lambda ds: ds.rename(latitude="lat", nav_lon="lon"),
        ),
        (lambda ds: ds.expand_dims(member=[1, 2], axis=3), lambda ds: ds.sel(member=2, drop=True)),
    ],
    ids=["descending", "transposed", "0..360", "0..360 cut", "names", "members"],
)
def test_the_same_grid_written_otherwise(function, change, back, maps):
    expected, turned = function(maps), change(maps[["ssh"]])
    found = function(turned)
    for array in found.values():
        assert array.dims == turned["ssh"].dims
    xr.testing.assert_allclose(back(found), expected, rtol=1e-9)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_lazy_equals_eager(function, maps):
    pytest.importorskip("dask")
    expected = function(maps)
    found = function(maps.chunk(time=3, lat=4, lon=2))
    for array in found.values():
        assert array.chunks == ((3, 1), (4, 4, 1), (2,) * 6 + (1,))
    xr.testing.assert_allclose(found.compute(), expected, rtol=1e-9)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_argument_is_untouched_and_its_dtype_kept(function, maps):
    single = maps.astype("float32").assign_attrs(maps.attrs)
    single["ssh"].attrs["units"] = "m"
    before = single.copy(deep=True)
    for name, array in function(single).items():
        assert array.dtype == np.float32, name
        xr.testing.assert_allclose(array, function(maps)[name], rtol=1e-4, atol=1e-5)
        assert all(isinstance(value, str | float) for value in array.attrs.values())
    xr.testing.assert_identical(single, before)


def test_coordinates_and_attributes_are_kept(maps):
    maps = maps.assign_coords(sea=maps["sst"].notnull())
    found = geostrophic(maps)
    assert set(found.coords) == set(maps.coords)
    for name in maps.coords:
        xr.testing.assert_identical(found[name], maps[name])
    assert found.attrs["source"] == "a sea" and "title" not in found.attrs
    assert found.attrs["history"].endswith("geostrophic currents of 'ssh'")


def test_units_are_converted(maps):
    centimetres = maps.assign(ssh=(100 * maps["ssh"]).assign_attrs(units="cm"))
    xr.testing.assert_allclose(geostrophic(centimetres), geostrophic(maps), rtol=1e-9)
    currents = geostrophic(maps)
    slow = xr.Dataset({n: (100 * a).assign_attrs(units="cm s-1") for n, a in currents.items()})
    for function in (eddy_kinetic_energy, relative_vorticity):
        xr.testing.assert_allclose(function(slow), function(currents), rtol=1e-9)


def test_units_that_are_missing_are_assumed(maps):
    del maps["ssh"].attrs["units"]
    with pytest.warns(XdvarnetWarning, match="'ssh' has no attribute 'units'; 'm' is assumed"):
        geostrophic(maps)


@pytest.mark.parametrize(
    ("name", "standard_name", "suffix"),
    [
        ("ssh", None, ""),
        ("sla", None, "a"),
        ("sla", "sea_surface_height_above_geoid", ""),
        ("ssh", "sea_surface_height_above_sea_level", "a"),
        ("ssh", "sea_surface_height_above_mean_sea_level", "a"),
    ],
)
def test_currents_of_an_anomaly_are_anomalies(name, standard_name, suffix, maps):
    maps = maps.rename(ssh=name)
    if standard_name:
        maps[name].attrs["standard_name"] = standard_name
    found = geostrophic(maps, name)
    assert list(found) == [f"ugos{suffix}", f"vgos{suffix}"]
    ending = "_assuming_sea_level_for_geoid" if suffix else "_velocity"
    assert all(array.attrs["standard_name"].endswith(ending) for array in found.values())


def test_energy_by_hand(maps):
    """Of departures from the mean over the days, so a steady current adds nothing."""
    currents = geostrophic(maps)
    u, v = currents["ugos"].values, currents["vgos"].values
    expected = ((u - u.mean(0)) ** 2 + (v - v.mean(0)) ** 2) / 2
    found = eddy_kinetic_energy(currents)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert found.attrs["units"] == "m2 s-2" and "means over 4 times" in found.attrs["comment"]
    steady = currents + 0.3
    for name in currents:
        steady[name].attrs = currents[name].attrs
    xr.testing.assert_allclose(eddy_kinetic_energy(steady), found, rtol=1e-6)


def test_energy_of_anomalies(maps):
    """Anomalies are used as they are, one map of them too, and before absolute currents."""
    anomalies = geostrophic(maps.rename(ssh="sla"), "sla")
    expected = (anomalies["ugosa"] ** 2 + anomalies["vgosa"] ** 2) / 2
    for currents in (anomalies, anomalies.merge(geostrophic(maps), compat="override")):
        found = eddy_kinetic_energy(currents)
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        assert found.attrs["comment"] == "of the anomalies ugosa and vgosa"
    one = eddy_kinetic_energy(anomalies.isel(time=2))
    np.testing.assert_allclose(one, expected[2], rtol=1e-9)


def test_vorticity_of_solid_body_rotation():
    """At a tenth of the Earth's rate about its axis, zeta/f is a tenth everywhere."""
    lat, lon = np.arange(20.0, 61, 1), np.arange(-10.0, 5, 1.5)
    speed = 0.1 * ROTATION_RATE * RADIUS
    u = dataset(lambda lat, lon: speed * np.cos(np.radians(lat)) + 0 * lon, lat, lon)["ssh"]
    currents = xr.Dataset({"ugos": u, "vgos": 0 * u})
    for array in currents.values():
        array.attrs["units"] = "m/s"
    found = relative_vorticity(currents)
    np.testing.assert_allclose(found[:, 1:-1], 0.1, rtol=2e-4)
    assert found.attrs["units"] == "1"


def test_vorticity_of_rotation_about_a_tilted_axis():
    """Williamson et al. (1992), test case 1: all terms, both hemispheres, around the globe."""
    tilt, speed = np.radians(37), 0.1 * ROTATION_RATE * RADIUS
    lat, lon = np.arange(-80.0, 81, 2), np.arange(-180.0, 180, 3)
    y, x = np.radians(lat)[:, None], np.radians(lon)[None, :]
    u = speed * (np.cos(y) * np.cos(tilt) + np.sin(y) * np.cos(x) * np.sin(tilt))
    v = -speed * np.sin(x) * np.sin(tilt) + 0 * y
    zeta = 2 * speed / RADIUS * (np.sin(y) * np.cos(tilt) - np.cos(x) * np.cos(y) * np.sin(tilt))
    units = {"units": "m/s"}
    currents = xr.Dataset(
        {"ugos": (DIMS[1:], u, units), "vgos": (DIMS[1:], v, units)}, {"lat": lat, "lon": lon}
    )
    found = (relative_vorticity(currents) * coriolis(currents["lat"])).values
    equator = lat == 0
    assert np.isnan(found[equator]).all()
    inner = ~equator
    inner[[0, -1]] = False
    np.testing.assert_allclose(found[inner], zeta[inner], atol=3e-3 * np.abs(zeta).max())


def test_gradient_of_planes():
    """3 degC a degree of latitude and 4 a degree of longitude, on the equator."""
    maps = dataset(lambda lat, lon: 3 * lat + 4 * lon, np.linspace(-2, 2, 5), np.arange(6.0))
    maps["ssh"].attrs["units"] = "degC"
    found = gradient(maps, "ssh")
    assert found.name == "ssh_gradient" and found.attrs["units"] == "degC/km"
    assert float(found[0, 2, 3]) == pytest.approx(5 / (DEGREE / 1000))
    del maps["ssh"].attrs["units"]
    assert gradient(maps, "ssh").attrs["units"] == "km-1"


def test_gradient_is_the_speed_of_the_current_over_its_balance(maps):
    """``|grad ssh| = f |u| / g``, whatever the direction."""
    currents = geostrophic(maps)
    speed = np.hypot(currents["ugos"], currents["vgos"])
    expected = 1000 * coriolis(maps["lat"]) / GRAVITY * speed
    np.testing.assert_allclose(gradient(maps, "ssh"), expected.transpose(*DIMS), rtol=1e-9)


def test_a_map_without_time(maps):
    found = gradient(maps, "sst")
    assert found.dims == ("lat", "lon")
    one = geostrophic(maps.isel(time=1))
    xr.testing.assert_allclose(one, geostrophic(maps).isel(time=1), rtol=1e-9)


@pytest.mark.parametrize("name", ["adt", "sla"])
def test_currents_agree_with_those_of_duacs(name, shared_data):
    """DUACS takes a stencil of nine points, which attenuates small scales a little less."""
    with xr.open_dataset(shared_data("dt_blacksea_allsat_phy_l4_20160707.nc")) as product:
        product = product.load()
    found = geostrophic(product, name)
    for component in found:
        ours, theirs = found[component], product[component]
        assert ours.attrs["standard_name"] == theirs.attrs["standard_name"]
        assert ours.attrs["units"] == theirs.attrs["units"]
        assert float(xr.corr(ours, theirs)) > 0.99
        assert float(np.sqrt(((ours - theirs) ** 2).mean())) < 0.01
        assert int(ours.notnull().sum()) > 0.97 * int(theirs.notnull().sum())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda ds: ds.assign(ssh=ds.ssh.assign_attrs(units="kg")), "'ssh' has units 'kg'"),
        (lambda ds: ds.assign(ssh=ds.ssh.mean("lon")), r"lacks \['lon'\]; maps have latitude"),
        (lambda ds: ds.assign(ssh=ds.ssh.where(ds.ssh < 0.1, np.inf)), "infinite value"),
        (lambda ds: ds.drop_vars("lat"), "no latitude coordinate"),
    ],
)
def test_maps_that_have_no_currents(change, complaint, maps):
    with pytest.raises(InvalidInputError, match=complaint):
        geostrophic(change(maps))


def test_lazy_values_are_checked_when_computed(maps):
    pytest.importorskip("dask")
    found = geostrophic(maps.where(maps["ssh"] < 0.1, np.inf).chunk(time=1))
    with pytest.raises(InvalidInputError, match="infinite value"):
        found.compute()


def test_other_wrong_arguments(maps):
    with pytest.raises(UnknownNameError, match="'adt' is missing; the dataset has"):
        geostrophic(maps, "adt")
    with pytest.raises(InvalidTypeError, match="expected an xarray Dataset, got DataArray"):
        geostrophic(maps["ssh"])
    with pytest.raises(InvalidInputError, match="min_latitude=-1"):
        geostrophic(maps, min_latitude=-1)
    for function in (eddy_kinetic_energy, relative_vorticity):
        with pytest.raises(UnknownNameError, match=r"no pair of currents.*'ugosa'.*geostrophic"):
            function(maps)
        with pytest.raises(InvalidTypeError, match="expected an xarray Dataset"):
            function(maps["ssh"])
    for few in (geostrophic(maps.isel(time=[0])), geostrophic(maps.isel(time=0))):
        with pytest.raises(InvalidInputError, match="'ugos'.*needs two times at least"):
            eddy_kinetic_energy(few)
