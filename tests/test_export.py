"""Maps as DUACS products: the names, the files, and those of a real product."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.diagnostics import geostrophic
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError, XdvarnetWarning
from xdvarnet.export import to_duacs

DIMS = ("time", "latitude", "longitude")
STEP = 1e-4


@pytest.fixture
def maps() -> xr.Dataset:
    """Return three daily maps with land and errors, written in an unusual way."""
    rng = np.random.default_rng(5)
    dims, shape = ("lon", "time", "lat"), (8, 3, 6)
    ssh = 0.2 + 0.1 * rng.normal(size=shape)
    ssh[2:4, :, 1] = np.nan
    std = np.where(np.isnan(ssh), np.nan, rng.uniform(0.01, 0.05, shape))
    coords = {
        "time": pd.date_range("2017-01-01", periods=3),
        "lat": 38.5 - 0.5 * np.arange(6),
        "lon": (359.25 + 0.25 * np.arange(8)) % 360,
    }
    return xr.Dataset(
        {
            "ssh": (dims, ssh, {"units": "m", "ancillary_variables": "ssh_std"}),
            "ssh_std": (dims, std, {"units": "m"}),
        },
        coords,
        {"xdvarnet_model": "Model()", "source": "altimeters", "history": "made"},
    )


@pytest.fixture
def both(maps) -> xr.Dataset:
    """Return the maps with a sea level anomaly and its own error."""
    sla = (maps["ssh"] - 0.3).assign_attrs(units="m")
    std = (2 * maps["ssh_std"]).assign_attrs(units="m")
    return maps.assign(sla=sla, sla_std=std)


def test_the_form(maps):
    found = to_duacs(maps)
    assert list(found) == ["adt", "err_sla", "ugos", "vgos", "lat_bnds", "lon_bnds", "crs"]
    for name in ("adt", "err_sla", "ugos", "vgos"):
        assert found[name].dims == DIMS
        assert found[name].attrs["grid_mapping"] == "crs"
    assert found["adt"].attrs["ancillary_variables"] == "err_sla"
    np.testing.assert_allclose(found["latitude"], 36 + 0.5 * np.arange(6))
    np.testing.assert_allclose(found["longitude"], -0.75 + 0.25 * np.arange(8))
    np.testing.assert_array_equal(found["time"], maps["time"])


def test_the_values_stay_at_their_places(maps):
    found = to_duacs(maps)
    for day, row, column in ((0, 0, 0), (2, 4, 3), (1, 2, 7), (2, 5, 5)):
        there = dict(
            time=found["time"][day],
            lat=found["latitude"][row].item(),
            lon=found["longitude"][column].item() % 360,
        )
        here = dict(time=day, latitude=row, longitude=column)
        for ours, theirs in (("adt", "ssh"), ("err_sla", "ssh_std")):
            np.testing.assert_equal(found[ours][here].item(), maps[theirs].sel(there).item())
    assert int(found["adt"].isnull().sum()) == 6


def test_currents_are_those_of_the_maps(maps):
    expected = geostrophic(maps)
    found = to_duacs(maps)
    for name, current in expected.items():
        current = current.isel(lat=slice(None, None, -1)).transpose("time", "lat", "lon")
        np.testing.assert_allclose(found[name], current, rtol=1e-9)


def test_what_height_it_is(maps, both):
    """The standard name decides, then the name `sla`; all else is above the geoid."""
    assert {"adt", "ugos"} < set(to_duacs(maps)) and "sla" not in to_duacs(maps)
    anomalies = to_duacs(both, variable="sla")
    assert {"sla", "ugosa", "vgosa", "err_sla"} < set(anomalies) and "adt" not in anomalies
    named = maps.assign(
        ssh=maps["ssh"].assign_attrs(standard_name="sea_surface_height_above_sea_level")
    )
    assert {"sla", "ugosa"} < set(to_duacs(named)) and "adt" not in to_duacs(named)


def test_both_heights(both):
    found = to_duacs(both)
    assert {"adt", "ugos", "vgos", "sla", "ugosa", "vgosa", "err_sla"} < set(found)
    np.testing.assert_allclose(found["adt"] - found["sla"], 0.3 + 0 * found["sla"])
    np.testing.assert_allclose(found["ugos"], found["ugosa"])
    twice = to_duacs(both.drop_vars("sla_std"))["err_sla"] * 2
    np.testing.assert_allclose(found["err_sla"], twice)


def test_units_are_metres(maps):
    centimetres = (100 * maps).assign_attrs(maps.attrs)
    for array in centimetres.values():
        array.attrs["units"] = "cm"
    found = to_duacs(centimetres)
    xr.testing.assert_allclose(found, to_duacs(maps))
    assert found["adt"].attrs["units"] == found["err_sla"].attrs["units"] == "m"


def test_units_that_are_missing_are_assumed_once(maps):
    del maps["ssh"].attrs["units"]
    with pytest.warns(XdvarnetWarning, match="'ssh' has no attribute 'units'") as caught:
        to_duacs(maps)
    assert len(caught) == 1


def test_bounds_join_and_hold_the_centres(maps):
    found = to_duacs(maps)
    for axis, bounds in (("latitude", found["lat_bnds"]), ("longitude", found["lon_bnds"])):
        assert found[axis].attrs["bounds"] == bounds.name and bounds.dims == (axis, "nv")
        np.testing.assert_allclose(bounds[1:, 0], bounds[:-1, 1])
        np.testing.assert_allclose(bounds.mean("nv"), found[axis])
    polar = maps.assign_coords(lat=90 - 0.5 * np.arange(6))
    assert to_duacs(polar)["lat_bnds"].max() == 90


def test_global_attributes(maps):
    found = to_duacs(maps).attrs
    assert found["source"] == "altimeters" and found["xdvarnet_model"] == "Model()"
    assert found["history"].startswith("made\n") and found["history"].endswith("to_duacs")
    assert found["cdm_data_type"] == "Grid" and found["Conventions"] == "CF-1.8, ACDD-1.3"
    assert found["time_coverage_start"] == "2016-12-31T12:00:00Z"
    assert found["time_coverage_end"] == "2017-01-03T12:00:00Z"
    assert (found["time_coverage_resolution"], found["time_coverage_duration"]) == ("P1D", "P3D")
    extent = [found[f"geospatial_{name}"] for name in ("lon_min", "lon_max", "lat_min", "lat_max")]
    np.testing.assert_allclose(extent, [-0.75, 1, 36, 38.5])
    assert found["geospatial_lat_resolution"] == pytest.approx(0.5)
    assert found["geospatial_lon_resolution"] == pytest.approx(0.25)
    assert all(isinstance(value, str | float) for value in found.values())


def test_periods_of_other_steps(maps):
    weekly = maps.assign_coords(time=pd.date_range("2017-01-01", periods=3, freq="7D"))
    found = to_duacs(weekly).attrs
    assert found["time_coverage_start"] == "2016-12-28T12:00:00Z"
    assert (found["time_coverage_resolution"], found["time_coverage_duration"]) == ("P7D", "P21D")
    one = to_duacs(maps.isel(time=[1])).attrs
    assert one["time_coverage_start"] == "2017-01-01T12:00:00Z"
    assert one["time_coverage_end"] == "2017-01-02T12:00:00Z"


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf", "scipy"])
def test_the_file_gives_the_maps_back(engine, both, tmp_path):
    """Packed values are within half a step, and NaN is NaN."""
    expected = to_duacs(both)
    expected.to_netcdf(tmp_path / "maps.nc", engine=engine)
    with xr.open_dataset(tmp_path / "maps.nc", engine=engine) as found:
        assert set(found) == set(expected) and found.sizes == expected.sizes
        for name in expected.variables:
            assert found[name].dims == expected[name].dims
            inherited = ("units",) if name.endswith("_bnds") else ()  # in CF, of the coordinate
            attributes = {k: v for k, v in expected[name].attrs.items() if k not in inherited}
            assert found[name].attrs == attributes, name
            difference = np.abs(found[name] - expected[name])
            if name == "time":
                assert not difference.astype(int).any()
            else:
                np.testing.assert_array_equal(found[name].isnull(), expected[name].isnull())
                tolerance = STEP / 2 if found[name].dims == DIMS else 0
                assert float(difference.max()) <= tolerance * (1 + 1e-6), name
        assert found.attrs == expected.attrs
    with xr.open_dataset(tmp_path / "maps.nc", engine=engine, mask_and_scale=False) as packed:
        assert packed["adt"].dtype == np.int32
        assert packed["adt"].attrs["_FillValue"] == -2147483647
        assert "_FillValue" not in packed["latitude"].attrs


def test_times_in_the_file_are_days_since_1950(maps, tmp_path):
    to_duacs(maps).to_netcdf(tmp_path / "maps.nc")
    with xr.open_dataset(tmp_path / "maps.nc", decode_times=False) as found:
        assert found["time"].attrs["units"] == "days since 1950-01-01"
        np.testing.assert_array_equal(found["time"], [24472.0, 24473.0, 24474.0])


def test_another_calendar(maps, tmp_path):
    days = xr.date_range("2016-02-27", periods=3, calendar="noleap", use_cftime=True)
    found = to_duacs(maps.assign_coords(time=days))
    assert found.attrs["time_coverage_end"] == "2016-03-01T12:00:00Z"
    found.to_netcdf(tmp_path / "maps.nc")
    with xr.open_dataset(tmp_path / "maps.nc") as opened:
        assert list(opened["time"].values) == list(days)


def test_names_and_units_are_those_of_a_real_product(both, shared_data):
    found = to_duacs(both)
    with xr.open_dataset(shared_data("dt_blacksea_allsat_phy_l4_20160707.nc")) as product:
        common = set(found.variables) & set(product.variables)
        assert set(product.variables) - common <= {"nv"}
        assert set(found.variables) - common == {"err_sla"}
        for name in common:
            ours, theirs = found[name], product[name]
            assert ours.dims == theirs.dims, name
            for key in ("standard_name", "units", "axis", "bounds", "grid_mapping", "long_name"):
                assert ours.attrs.get(key) == theirs.attrs.get(key), (name, key)
            for key in ("scale_factor", "_FillValue", "dtype"):
                if ours.dims == DIMS:
                    assert ours.encoding[key] == theirs.encoding[key], (name, key)
        for key in ("grid_mapping_name", "semi_major_axis", "inverse_flattening"):
            assert found["crs"].attrs[key] == product["crs"].attrs[key]
        assert found.attrs["cdm_data_type"] == product.attrs["cdm_data_type"]
        wanted = {n for n in product.attrs if n.startswith(("geospatial_l", "time_coverage"))}
        assert wanted <= set(found.attrs)


def test_a_real_product_is_exported_as_itself(shared_data, tmp_path):
    with xr.open_dataset(shared_data("dt_blacksea_allsat_phy_l4_20160707.nc")) as product:
        product = product.load()
    turned = product[["adt", "sla"]].rename(adt="ssh").transpose(*reversed(DIMS))
    found = to_duacs(turned.isel(latitude=slice(None, None, -1)))
    for name in ("adt", "sla", "latitude", "longitude", "time", "lat_bnds", "lon_bnds"):
        np.testing.assert_array_equal(found[name], product[name])
    for key in ("geospatial_lat_min", "geospatial_lon_max", "geospatial_lon_resolution"):
        assert found.attrs[key] == product.attrs[key]
    for key in ("start", "end", "resolution", "duration"):
        assert found.attrs[f"time_coverage_{key}"] == product.attrs[f"time_coverage_{key}"]


def test_lazy_equals_eager(both):
    pytest.importorskip("dask")
    found = to_duacs(both.chunk(time=2, lat=4, lon=3))
    for name in ("adt", "sla", "err_sla", "ugos", "vgosa"):
        assert found[name].chunks is not None, name
    expected = to_duacs(both)
    xr.testing.assert_identical(found.compute().drop_attrs(), expected.drop_attrs())
    assert found["ugos"].attrs == expected["ugos"].attrs


def test_the_argument_is_untouched(both):
    both["ssh"].encoding = {"dtype": "int16", "scale_factor": 0.01}
    both["time"].encoding = {"units": "hours since 2000-01-01"}
    before = both.copy(deep=True)
    found = to_duacs(both)
    found["adt"][:] = 7
    xr.testing.assert_identical(both, before)
    assert both["ssh"].encoding == {"dtype": "int16", "scale_factor": 0.01}
    assert both["time"].encoding == {"units": "hours since 2000-01-01"}
    assert both["time"].attrs == before["time"].attrs == {}


def test_single_precision_is_kept(maps):
    single = maps.astype("float32")
    found = to_duacs(single)
    assert found["adt"].dtype == found["ugos"].dtype == np.float32
    assert found["latitude"].dtype == np.float64


def test_currents_of_the_equator_are_missing(maps):
    found = to_duacs(maps.assign_coords(lat=6.1 - 0.5 * np.arange(6)))
    equatorial = np.abs(found["latitude"]) < 5
    assert 0 < equatorial.sum() < 6
    assert found["ugos"].where(equatorial).isnull().all()
    assert found["ugos"].where(~equatorial).notnull().any()
    assert "within 5 degrees of the equator" in found["ugos"].attrs["comment"]


def test_a_missing_variable(maps):
    with pytest.raises(UnknownNameError, match=r"'adt' is missing; the dataset has \['ssh'"):
        to_duacs(maps, variable="adt")


def test_a_sea_level_anomaly_alone_keeps_its_error(maps):
    """What the message advises gives the product with its error."""
    alone = maps.rename(ssh="sla", ssh_std="sla_std")
    with pytest.raises(UnknownNameError, match=r"Give variable='sla', the name of yours"):
        to_duacs(alone)
    assert {"sla", "err_sla", "ugosa", "vgosa"} < set(to_duacs(alone, variable="sla"))


def test_tracks_are_refused():
    tracks = xr.Dataset(
        {"sla": ("time", np.zeros(4), {"units": "m"})},
        {
            "time": pd.date_range("2017-01-01", periods=4, freq="s"),
            "latitude": ("time", np.arange(4.0)),
            "longitude": ("time", np.arange(4.0)),
        },
    )
    with pytest.raises(InvalidInputError, match="points along a track.*bin_tracks"):
        to_duacs(tracks, variable="sla")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda ds: ds.expand_dims(member=3),
            r"'ssh' has the further dimensions \['member'\].*isel\(member=0\).*mean\('member'\)",
        ),
        (lambda ds: ds.assign(ssh=ds.ssh[:, 0].drop_vars("time")), "it must have"),
        (lambda ds: ds.isel(time=0), r"add it with dataset.expand_dims\('time'\)"),
        (lambda ds: ds.isel(time=slice(0)), "'time' is empty; there is no map"),
        (lambda ds: ds.isel(time=[1, 0]), "not in increasing order"),
        (lambda ds: ds.assign(ssh=ds.ssh.assign_attrs(units="degC")), "do not convert to 'm'"),
        (lambda ds: ds.assign(ssh_std=ds.ssh_std.fillna(np.inf)), "'ssh_std' has 6 infinite value"),
    ],
    ids=["members", "no time", "one day", "no day", "order", "units", "infinite"],
)
def test_maps_that_cannot_be_exported(change, complaint, maps):
    with pytest.raises(InvalidInputError, match=complaint):
        to_duacs(change(maps))


def test_no_dataset(maps):
    with pytest.raises(InvalidTypeError, match="expected an xarray Dataset, got DataArray"):
        to_duacs(maps["ssh"])
