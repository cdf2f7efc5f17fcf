"""Real products and imitations of them come out in one convention."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, XdvarnetWarning
from xdvarnet.grids.coords import find_grid
from xdvarnet.grids.harmonise.product import DONE, harmonise
from xdvarnet.grids.points import find_points

GEOID = {"standard_name": "sea_surface_height_above_geoid", "units": "m"}
ANOMALY = {"standard_name": "sea_surface_height_above_sea_level", "units": "m"}
LON = {"standard_name": "longitude", "units": "degrees_east"}
LAT = {"standard_name": "latitude", "units": "degrees_north"}


def values(*shape: int, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    """Return heights with a missing one."""
    heights = np.random.default_rng(seed).normal(0, 0.3, shape).astype(dtype)
    heights.flat[1] = np.nan
    return heights


def along_track() -> xr.Dataset:
    """Imitate the along-track product of today: anomalies and the mean topography."""
    n = 7
    arrays = {
        "sla_filtered": ("time", values(n, seed=1), ANOMALY),
        "sla_unfiltered": ("time", values(n, seed=2), ANOMALY),
        "mdt": ("time", values(n, seed=3), GEOID),
        "lwe": ("time", values(n, seed=4), {"units": "m", "long_name": "Long wavelength error"}),
        "dac": ("time", values(n, seed=5), {"units": "m"}),
        "cycle": ("time", np.full(n, 183, "int16"), {"units": "1"}),
        "track": ("time", np.arange(n, dtype="int16"), {"units": "1"}),
    }
    coords = {
        "time": (
            "time",
            pd.date_range("2017-01-01T12:00", periods=n, freq="s"),
            {"standard_name": "time", "axis": "T"},
        ),
        "longitude": ("time", np.linspace(297.5, 303.5, n), LON),
        "latitude": ("time", np.linspace(33, 38, n), LAT),
    }
    dataset = xr.Dataset(arrays, coords, {"platform": "Jason-1", "history": "made"})
    dataset["dac"].encoding["coordinates"] = "longitude latitude"
    dataset.encoding["unlimited_dims"] = {"time"}
    return dataset


def old_track() -> xr.Dataset:
    """Imitate an older product: capitals, no standard names, points along a dimension of theirs."""
    n = 5
    return xr.Dataset(
        {
            "ADT": ("obs", values(n, seed=1) * 100, {"units": "cm"}),
            "SLA": ("obs", values(n, seed=2) * 100, {"units": "cm"}),
            "time": ("obs", pd.date_range("2005-04-01", periods=n, freq="s")),
            "longitude": ("obs", np.linspace(355, 365, n) % 360, {"units": "degrees_east"}),
            "latitude": ("obs", np.linspace(30, 32, n), {"units": "degrees_north"}),
            "mission": ("obs", np.arange(n) % 2),
        }
    )


def filtered_track() -> xr.Dataset:
    """Imitate a product with both kinds of absolute topography and of anomalies."""
    dataset = along_track().drop_vars("mdt")
    heights = {"adt_filtered": values(7, seed=6), "adt_unfiltered": values(7, seed=7)}
    return dataset.assign({name: ("time", v, GEOID) for name, v in heights.items()})


def maps() -> xr.Dataset:
    """Imitate gridded maps of altimetry, with bounds, across the meridian of Greenwich."""
    west = np.array([358.0, 359.0, 0.0, 1.0, 2.0], "float32")
    dims = ("time", "latitude", "longitude")
    return xr.Dataset(
        {
            "crs": ((), np.int32(1), {"grid_mapping_name": "latitude_longitude"}),
            "lon_bnds": (("longitude", "nv"), np.stack([west - 0.5, west + 0.5], -1)),
            "adt": (dims, values(3, 4, 5, dtype="float64"), {**GEOID, "grid_mapping": "crs"}),
            "sla": (dims, values(3, 4, 5, seed=1), ANOMALY | {"ancillary_variables": "err_sla"}),
            "err_sla": (dims, values(3, 4, 5, seed=2), {"units": "m"}),
            "err_adt": (dims, values(3, 4, 5, seed=2), GEOID),
            "ugos": (dims, values(3, 4, 5, seed=3), {"units": "m/s"}),
        },
        {
            "time": pd.date_range("2016-07-07", periods=3, unit="us"),
            "latitude": ("latitude", np.linspace(40, 43, 4, dtype="float32"), LAT),
            "longitude": ("longitude", west, LON | {"axis": "X", "bounds": "lon_bnds"}),
        },
    )


def swath(version: int) -> xr.Dataset:
    """Imitate a swath of two versions: positions on lines and pixels, time on lines."""
    dims, shape = ("num_lines", "num_pixels"), (6, 4)
    names = {
        1: ("ssha", "ssha_noiseless"),
        2: ("ssha_unedited", "ssha_unfiltered", "ssha_filtered"),
    }[version]
    flag = np.zeros(shape, "float32")
    flag[0, 1], flag[3, 2], flag[4, 3] = 30, np.nan, 102
    lines, pixels = np.meshgrid(np.arange(6.0), np.arange(4.0), indexing="ij")
    return xr.Dataset(
        {name: (dims, values(*shape, seed=i), {"units": "m"}) for i, name in enumerate(names)}
        | {
            "mdt": (dims, values(*shape, seed=9), {"units": "m"}),
            "quality_flag": (dims, flag, {"standard_name": "quality_flag"}),
            "latitude_nadir": ("num_lines", np.arange(6.0), LAT),
            "longitude_nadir": ("num_lines", np.arange(6.0), LON),
        },
        {
            "time": ("num_lines", pd.date_range("2023-04-01", periods=6, freq="s")),
            "longitude": (dims, 178 + lines / 2 + pixels / 4, LON),
            "latitude": (dims, 30 + lines - pixels / 8, LAT),
        },
    )


def temperature(hour: int = 9) -> xr.Dataset:
    """Imitate an analysis of temperature in kelvin, with the flags of land and water."""
    dims = ("time", "lat", "lon")
    mask = np.broadcast_to(np.array([1, 2, 5, 9, 13, 17], "float32"), (2, 3, 6)).copy()
    flags = {
        "flag_masks": np.array([1, 2, 4, 8, 16], "int8"),
        "flag_meanings": "water land optional_lake_surface sea_ice optional_river_surface",
    }
    kelvin = 290 + values(2, 3, 6)
    attributes = {"standard_name": "sea_surface_foundation_temperature", "units": "kelvin"}
    return xr.Dataset(
        {
            "analysed_sst": (dims, kelvin, attributes),
            "analysis_error": (dims, values(2, 3, 6), {"units": "kelvin"}),
            "mask": (dims, mask, flags),
        },
        {
            "time": pd.date_range(f"2016-07-07T{hour:02d}", periods=2),
            "lat": ("lat", np.linspace(40, 42, 3), LAT),
            "lon": ("lon", np.linspace(200, 205, 6), LON),
        },
    )


def oisst() -> xr.Dataset:
    """Imitate OISST: a level of size one, noon, no standard names."""
    dims = ("time", "zlev", "lat", "lon")
    return xr.Dataset(
        {
            name: (dims, 10 + values(1, 1, 3, 4, seed=i), {"units": units})
            for i, (name, units) in enumerate(
                {"sst": "Celsius", "anom": "Celsius", "err": "Celsius", "ice": "%"}.items()
            )
        },
        {
            "time": [np.datetime64("2020-01-01T12:00", "ns")],
            "zlev": ("zlev", [0.0], {"units": "meters"}),
            "lat": ("lat", np.linspace(-2, 2, 3), {"units": "degrees_north"}),
            "lon": ("lon", np.linspace(0.125, 0.875, 4), {"units": "degrees_east"}),
        },
    )


def nemo() -> xr.Dataset:
    """Imitate a curvilinear model: a time axis without dates, cftime dates beside it, bounds."""
    dims = ("time_counter", "y", "x")
    rows, columns = np.meshgrid(np.arange(3.0), np.arange(4.0), indexing="ij")
    longitude = 178 + columns + rows / 4
    corners = longitude[..., None] + np.array([-0.5, 0.5, 0.5, -0.5])
    start = xr.date_range("2015-01-16", periods=2, calendar="360_day", use_cftime=True)
    return xr.Dataset(
        {
            "sossheig": (dims, values(2, 3, 4), GEOID),
            "tos": (
                dims,
                10 + values(2, 3, 4),
                {"standard_name": "sea_surface_temperature", "units": "degree_C"},
            ),
            "bounds_lon": (("y", "x", "nvertex"), corners),
        },
        {
            "time_counter": ("time_counter", [0.0, 1.0], {"axis": "T"}),
            "time_centered": ("time_counter", start, {"standard_name": "time"}),
            "nav_lon": (("y", "x"), longitude, LON | {"bounds": "bounds_lon"}),
            "nav_lat": (("y", "x"), 40 + rows, LAT),
        },
    )


def roms() -> xr.Dataset:
    """Imitate a staggered model: three pairs of positions, and temperature at several depths."""
    dims = {"rho": ("eta_rho", "xi_rho"), "u": ("eta_rho", "xi_u")}
    sizes = {"rho": (3, 5), "u": (3, 4)}
    coords = {"ocean_time": pd.date_range("2019-01-01T12:00", periods=2)}
    for point, shape in sizes.items():
        rows, columns = np.meshgrid(*map(np.arange, shape), indexing="ij")
        coords[f"lon_{point}"] = (dims[point], 300.0 + columns, LON)
        coords[f"lat_{point}"] = (dims[point], 10.0 + rows, LAT)
    return xr.Dataset(
        {
            "zeta": (("ocean_time", *dims["rho"]), values(2, 3, 5), {"units": "meter"}),
            "temp": (("ocean_time", "s_rho", *dims["rho"]), values(2, 6, 3, 5)),
            "u": (("ocean_time", *dims["u"]), values(2, 3, 4)),
            "mask_rho": (
                dims["rho"],
                np.array([[0, 1, 1, 1, 0]] * 3),
                {"flag_values": [0, 1], "flag_meanings": "land water"},
            ),
        },
        coords,
    )


def mom() -> xr.Dataset:
    """Imitate a model with nominal axes beside its positions, and a surface level."""
    rows, columns = np.meshgrid(np.arange(3.0), np.arange(4.0), indexing="ij")
    potential = {"standard_name": "sea_water_potential_temperature", "units": "degC"}
    return xr.Dataset(
        {"thetao": (("time", "lev", "yh", "xh"), values(2, 1, 3, 4), potential)},
        {
            "time": pd.date_range("2019-01-16T12:00", periods=2, freq="31D"),
            "lev": ("lev", [2.5], {"axis": "Z", "units": "m", "positive": "down"}),
            "yh": ("yh", np.arange(3.0), {"units": "degrees_north"}),
            "xh": ("xh", np.arange(4.0), {"units": "degrees_east"}),
            "geolon": (("yh", "xh"), -300 + columns, LON),
            "geolat": (("yh", "xh"), 60 + rows, LAT),
        },
    )


def sst_swath() -> xr.Dataset:
    """Imitate a swath of temperatures with their quality, and flags that speak of seas."""
    dims, shape = ("nj", "ni"), (4, 5)
    rows, columns = np.meshgrid(np.arange(4.0), np.arange(5.0), indexing="ij")
    levels = "no_data bad_data worst_quality low_quality acceptable_quality best_quality"
    surfaces = "good useable_land over_research_vessel"
    names = {"standard_name": "sea_surface_subskin_temperature", "units": "Kelvin"}
    return xr.Dataset(
        {
            "sea_surface_temperature": (dims, 290 + values(*shape), names | {"valid_min": 271.15}),
            "quality_level": (
                dims,
                (np.arange(20, dtype="int8") % 6).reshape(shape),
                {"flag_values": np.arange(6, dtype="int8"), "flag_meanings": levels},
            ),
            "sst_quality": (
                dims,
                np.ones(shape, "int8"),
                {"flag_values": np.arange(3, dtype="int8"), "flag_meanings": surfaces},
            ),
        },
        {
            "time": ("nj", pd.date_range("2016-07-07", periods=4, freq="s")),
            "lat": (dims, 35 + rows / 10, LAT),
            "lon": (dims, 4 + columns / 10, LON),
        },
    )


def globe() -> xr.Dataset:
    """Imitate maps of a globe whose first column comes again at its end."""
    field = values(2, 3, 13, dtype="float64")
    field[..., -1] = field[..., 0]
    return xr.Dataset(
        {"zos": (("time", "lat", "lon"), field * 100, GEOID | {"units": "0.01 m"})},
        {
            "time": pd.date_range("2016-07-07", periods=2),
            "lat": ("lat", np.linspace(-40, 40, 3), LAT),
            "lon": ("lon", np.linspace(0, 360, 13), LON),
        },
    )


PRODUCTS = {
    "along_track": along_track(),
    "old_track": old_track(),
    "filtered_track": filtered_track(),
    "maps": maps(),
    "swath_1": swath(1),
    "swath_2": swath(2),
    "temperature": temperature(),
    "oisst": oisst(),
    "nemo": nemo(),
    "roms": roms(),
    "mom": mom(),
    "sst_swath": sst_swath(),
    "globe": globe(),
}
HEIGHT = [n for n in PRODUCTS if n not in ("temperature", "oisst", "mom", "sst_swath")]
REAL = [
    "dt_global_j1_phy_l3_20070101.nc",
    "dt_gulfstream_c2_phy_l3_20161220_20170126.nc",
    "dt_gulfstream_alg_phy_l3_20161221_20170104.nc",
    "med_l3_adt_20140515_20140524.nc",
    "dt_blacksea_allsat_phy_l4_20160707.nc",
    "blacksea_ghrsst_sst_20160707.nc",
    "alboran_avhrr_sst_20170514.nc",
    "nemo_eorca1_tos_201501.nc",
]


@pytest.fixture(params=PRODUCTS)
def product(request):
    """Return each imitation in turn."""
    return PRODUCTS[request.param].copy(deep=True)


@pytest.fixture(params=REAL)
def real(request, shared_data):
    """Return the path of each real file in turn."""
    return shared_data(request.param)


def described(dataset: xr.Dataset, name: str, **attributes: str) -> xr.Dataset:
    """Return a dataset one of whose variables has other attributes."""
    return dataset.assign({name: dataset[name].assign_attrs(attributes)})


def said(dataset: xr.Dataset) -> list[str]:
    return harmonise(dataset).attrs["xdvarnet_harmonised"].split("; ")


def test_twice_is_once(product):
    """Harmonising again changes nothing, attributes and history included."""
    once = harmonise(product)
    xr.testing.assert_identical(harmonise(once), once)
    assert once.attrs["history"].count("harmonise") == 1


def test_the_argument_is_untouched(product):
    """Values, coordinates, attributes and encodings of the input stay."""
    before = product.copy(deep=True)
    encodings = {name: dict(v.encoding) for name, v in product.variables.items()}
    whole = dict(product.encoding)
    result = harmonise(product)
    assert not any("coordinates" in v.encoding for v in result.variables.values())
    assert "unlimited_dims" not in result.encoding and product.encoding == whole
    xr.testing.assert_identical(product, before)
    assert {name: v.encoding for name, v in product.variables.items()} == encodings


def test_the_convention_is_reached(product):
    """Coordinates have the names, the units and the longitudes of the convention."""
    result = harmonise(product)
    assert {"time", "lat", "lon"} <= set(result.coords)
    assert result["lon"].attrs["units"] == "degrees_east"
    assert result["lat"].attrs["standard_name"] == "latitude"
    assert (result["lon"].min() >= -180) and (result["lon"].min() < 180)
    units = {"ssh": "m", "sla": "m", "mdt": "m", "lwe": "m", "sst": "degC"}
    found = [name for name in units if name in result.data_vars]
    assert found and all(result[name].attrs["units"] == units[name] for name in found)
    assert not {"adt", "ADT", "SLA", "sla_filtered", "ssha", "zos"} & set(result.variables)


def test_the_package_reads_what_comes_out():
    """Points are found as points, and axes as a grid."""
    for name in ("along_track", "old_track", "swath_1", "swath_2"):
        product = PRODUCTS[name]
        assert find_points(harmonise(product)).axes.longitude == "lon"
    for name in ("maps", "temperature", "oisst"):
        grid = find_grid(harmonise(PRODUCTS[name]))
        assert grid.axes.dims == ("time", "lat", "lon")
        assert (np.diff(grid.longitude_order) == 1).all()


@pytest.mark.parametrize("name", PRODUCTS)
def test_lazy_equals_eager(name):
    """Data in chunks stay in chunks, none is computed, and the values are the same."""
    import dask

    product = PRODUCTS[name]
    data = {n: a for n, a in product.data_vars.items() if a.dtype.kind == "f" and a.ndim}
    positions = ("time", "l", "mask", "bounds")
    lazy = product.assign({n: a.chunk() for n, a in data.items() if not n.startswith(positions)})
    with dask.config.set(scheduler=_refuse):
        result = harmonise(lazy)
    main = "ssh" if name in HEIGHT else "sst"
    assert result[main].chunks is not None
    xr.testing.assert_equal(result.compute(), harmonise(product))
    assert result[main].dtype == harmonise(product)[main].dtype


def _refuse(*args, **kwargs):
    raise AssertionError("computed")


@pytest.mark.parametrize("name", PRODUCTS)
def test_both_ranges_of_longitude_give_the_same(name):
    """0..360 equals -180..180, on points, axes and curvilinear grids, with their bounds."""
    product = PRODUCTS[name]
    longitudes = [n for n in product.variables if "lon" in n]
    east = product.assign({n: product[n] % 360 for n in longitudes})
    west = product.assign({n: (product[n] + 180) % 360 - 180 for n in longitudes})
    east, west = (
        d.assign_coords({n: d[n].assign_attrs(product[n].attrs) for n in longitudes})
        for d in (east, west)
    )
    bounds = ["lon_bnds"]  # wrapped by hand they are no longer around their cells
    first, second = (
        harmonise(d).drop_vars([*bounds, "bounds_lon"], errors="ignore") for d in (east, west)
    )
    xr.testing.assert_allclose(first, second, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", PRODUCTS)
def test_files_read_back_the_same(name, tmp_path):
    """What comes out goes through netCDF, its coordinates being coordinates again."""
    result = harmonise(PRODUCTS[name])
    result.to_netcdf(tmp_path / "file.nc")
    with xr.open_dataset(tmp_path / "file.nc") as again:
        assert set(again.coords) == set(result.coords)
        again = again.assign_coords(time=again["time"].astype(result["time"].dtype))
        xr.testing.assert_equal(again.load(), result)
        xr.testing.assert_equal(harmonise(again), result)


@pytest.mark.parametrize("name", ["maps", "temperature", "along_track", "swath_2"])
def test_packed_values_are_decoded(name, tmp_path):
    """A file opened with and without decoding of its packed values gives the same."""
    packing = {"dtype": "int16", "scale_factor": 0.001, "_FillValue": -32767}
    product = PRODUCTS[name].drop_vars("quality_flag", errors="ignore")
    data = [n for n, a in product.data_vars.items() if a.dtype.kind == "f" and n != "lon_bnds"]
    offset = {"add_offset": 280.0 if name == "temperature" else 0.0}
    offsets = {n: offset if n == "analysed_sst" else {} for n in data}
    product.to_netcdf(tmp_path / "file.nc", encoding={n: packing | offsets[n] for n in data})
    with (
        xr.open_dataset(tmp_path / "file.nc") as decoded,
        xr.open_dataset(tmp_path / "file.nc", mask_and_scale=False) as packed,
    ):
        assert any("scale_factor" in a.attrs for a in packed.data_vars.values())
        xr.testing.assert_equal(harmonise(packed), harmonise(decoded))
        assert "packed values decoded" in said(packed)


@pytest.mark.parametrize(
    ("name", "anomaly"),
    [("along_track", "sla_unfiltered"), ("swath_1", "ssha"), ("swath_2", "ssha_unfiltered")],
)
def test_the_height_is_the_sum(name, anomaly):
    """The unfiltered anomaly and the mean topography, which both stay; the dtype too."""
    product = PRODUCTS[name]
    result = harmonise(product)
    expected = (product[anomaly] + product["mdt"]).where(product.get("quality_flag", 0) == 0)
    np.testing.assert_allclose(result["ssh"], expected, rtol=1e-6)
    xr.testing.assert_equal(result["ssh"], result["sla"] + result["mdt"])
    assert result["ssh"].dtype == "float32"
    assert result["ssh"].attrs["standard_name"] == "sea_surface_height_above_geoid"
    assert f"ssh = {anomaly} + mdt" in said(product)


def test_the_long_wavelength_correction_is_kept():
    """The anomaly is as delivered, and the correction is there to undo it."""
    result = harmonise(along_track())
    np.testing.assert_array_equal(result["sla"], along_track()["sla_unfiltered"])
    np.testing.assert_array_equal(result["lwe"], along_track()["lwe"])
    np.testing.assert_array_equal(result["cycle"], along_track()["cycle"])
    assert result.attrs["platform"] == "Jason-1"
    assert result.attrs["history"].splitlines()[0] == "made"
    assert "long-wavelength correction kept (lwe not subtracted)" in said(along_track())
    assert "sla_filtered left out" in said(along_track())


def test_unfiltered_heights_are_preferred():
    """Of both topographies the unfiltered one; of a filtered one and better terms their sum."""
    both = filtered_track()
    np.testing.assert_array_equal(harmonise(both)["ssh"], both["adt_unfiltered"])
    only = both.drop_vars("adt_unfiltered").assign(mdt=along_track()["mdt"])
    expected = along_track()["sla_unfiltered"] + along_track()["mdt"]
    np.testing.assert_array_equal(harmonise(only)["ssh"], expected)
    for worse in (only.drop_vars("mdt"), only.drop_vars("sla_unfiltered")):
        np.testing.assert_array_equal(harmonise(worse)["ssh"], both["adt_filtered"])


def test_the_sum_has_the_dtype_of_the_anomaly():
    """A mean topography in double precision does not widen it."""
    track = along_track()
    track["mdt"] = track["mdt"].astype(float)
    assert harmonise(track)["ssh"].dtype == "float32"


def test_an_anomaly_alone_is_no_height():
    """Without a mean topography there is no height above the geoid."""
    result = harmonise(along_track().drop_vars("mdt"))
    assert "sla" in result and "ssh" not in result


def test_old_tracks_are_converted():
    """Centimetres become metres; the dimension of the points and the mission stay."""
    result = harmonise(old_track())
    assert result["ssh"].dims == ("obs",) and result["time"].dims == ("obs",)
    np.testing.assert_allclose(result["ssh"], old_track()["ADT"] / 100, rtol=1e-6)
    np.testing.assert_allclose(result["lon"], [-5, -2.5, 0, 2.5, 5])
    np.testing.assert_array_equal(result["mission"], old_track()["mission"])
    assert "ADT: cm -> m" in said(old_track())


def test_points_without_time_or_position_are_left_out():
    """On a track they are dropped and counted; the others stay in place."""
    track = along_track()
    times = track["time"].values.copy()
    times[2] = np.datetime64("NaT", "ns")
    track = track.assign_coords(time=times)
    track["latitude"][4] = np.nan
    result = harmonise(track)
    assert "2 points without time or position left out" in said(track)
    kept = [0, 1, 3, 5, 6]
    np.testing.assert_array_equal(result["sla"], along_track()["sla_unfiltered"][kept])


def test_missions_one_after_the_other_are_accepted():
    """Times that go back or come again are counted, and left as they are."""
    track = along_track().isel(time=[4, 5, 6, 0, 1, 1, 2, 4])
    assert harmonise(track).sizes["time"] == 8
    assert {"times not in order (1 steps back)", "2 points repeated"} <= set(said(track))


def test_a_swath_stays_a_swath():
    """Lines and pixels stay, and heights whose flag is not good are missing."""
    result = harmonise(swath(2))
    assert result["ssh"].dims == ("num_lines", "num_pixels")
    bad = swath(2)["quality_flag"] != 0
    assert bad.sum() == 3
    assert result["sla"].where(bad).isnull().all()
    assert result["sla"].isnull().sum() == 3
    assert result["lon"].max() > 179 and result["lon"].min() < -179
    np.testing.assert_array_equal(result["mdt"], swath(2)["mdt"])


def test_maps_keep_what_else_is_there():
    """Bounds go with their axis, errors and velocities keep their names, dims their order."""
    result = harmonise(maps())
    np.testing.assert_array_equal(result["lon"], [-2, -1, 0, 1, 2])
    np.testing.assert_array_equal(result["lon_bnds"][:, 0], [-2.5, -1.5, -0.5, 0.5, 1.5])
    assert result["lon"].attrs["bounds"] == "lon_bnds"
    assert result["ssh"].dims == ("time", "lat", "lon") and result["ssh"].dtype == "float64"
    assert {"crs", "err_sla", "err_adt", "ugos", "sla"} <= set(result.data_vars)
    assert result["time"].dtype == maps()["time"].dtype
    assert result["lon"].dtype == "float32"


def test_fill_values_are_missing():
    """A fill value without its attribute is no height."""
    product = maps()
    product["adt"][0, 1, 2] = 9.96921e36
    with pytest.warns(
        XdvarnetWarning, match="'adt' has 1 value.* outside -200 to 200.*=2016-07-07"
    ):
        result = harmonise(product)
    assert "adt: 1 value(s) outside -200 to 200, such as 9.96921e+36 -> NaN" in result.attrs[DONE]
    assert result["ssh"][0, 1, 2].isnull()


def test_how_axes_were_stored_is_left_out():
    """A range of longitudes is not that of the shifted axis."""
    product = described(maps(), "longitude", valid_min=0.0, valid_max=360.0)
    assert "valid_max" not in harmonise(product)["lon"].attrs


@pytest.mark.parametrize("hour", [0, 9, 12])
def test_temperature(hour):
    """Kelvin become degrees, maps are stamped at midnight, and flags give the sea."""
    product = temperature(hour)
    result = harmonise(product)
    np.testing.assert_allclose(result["sst"], product["analysed_sst"] - 273.15, atol=3e-5)
    assert result["sst"].dtype == "float32"
    assert list(result["time"].values) == list(pd.date_range("2016-07-07", periods=2).values)
    sea = [True, False, False, True, False, False]  # lakes and rivers are water too
    np.testing.assert_array_equal(result["sea"], [sea] * 3)
    assert result["sea"].dims == ("lat", "lon") and result["sea"].dtype == bool
    assert (f"time {hour:02d}:00 -> 00:00" in said(product)) == (hour > 0)
    xr.testing.assert_equal(result["analysis_error"].variable, product["analysis_error"].variable)


def test_a_swath_of_temperatures():
    """Acceptable and best quality stay, kelvin become degrees, and no flag gives a mask."""
    product = sst_swath()
    result = harmonise(product)
    good = product["quality_level"] >= 4
    expected = (product["sea_surface_temperature"] - 273.15).where(good)
    np.testing.assert_allclose(result["sst"], expected, atol=3e-5)
    assert "sea" not in result.variables and "valid_min" not in result["sst"].attrs
    assert "temperatures where quality_level is not 4 or 5 -> NaN" in said(product)


def test_noon_of_other_data_stays():
    """Heights at noon, monthly means, orbits on pixels and times of day are not shifted."""
    noon = pd.date_range("2019-01-01T12:00", periods=3)
    month = np.datetime64("2020-01-01", "ns") + np.array([[0, 31]], "timedelta64[D]")
    others = [
        roms(),
        maps().assign_coords(time=noon),
        mom().assign_coords(time=noon[:2]),
        temperature(12).assign_coords(time=pd.date_range(noon[0], periods=2, freq="31D")),
        described(oisst().assign(edges=(("time", "nv"), month)), "time", bounds="edges"),
    ]
    for product in others:
        assert (harmonise(product)["time"].dt.hour == 12).all()
    assert (harmonise(temperature(15))["time"].dt.hour == 15).all()
    day = month - np.array([[0, 30]], "timedelta64[D]")
    daily = described(oisst().assign(edges=(("time", "nv"), day)), "time", bounds="edges")
    assert (harmonise(daily)["time"].dt.hour == 0).all()


def test_oisst():
    """The level of size one goes, the anomaly keeps its name, noon becomes midnight."""
    result = harmonise(oisst())
    assert result["sst"].dims == ("time", "lat", "lon")
    assert {"anom", "err", "ice"} <= set(result.data_vars)
    assert result["time"].values == np.datetime64("2020-01-01")


def test_curvilinear_models():
    """Dates are found beside an axis without dates; positions on the dimensions of the data."""
    result = harmonise(nemo())
    assert result["ssh"].dims == ("time", "y", "x")
    assert result.indexes["time"][0].calendar == "360_day"
    assert result["lon"].dims == ("y", "x") and result["lon"].max() < 180
    middle = result["bounds_lon"].mean("nvertex")
    np.testing.assert_allclose(middle, result["lon"])
    result = harmonise(roms())
    assert result["ssh"].dims == ("time", "eta_rho", "xi_rho")
    assert result["lon"].dims == ("eta_rho", "xi_rho") and "lon_u" in result.coords
    np.testing.assert_array_equal(result["sea"], roms()["mask_rho"] == 1)
    result = harmonise(mom())
    assert result["sst"].dims == ("time", "yh", "xh")
    np.testing.assert_array_equal(result["lon"][0], [60, 61, 62, 63])


def test_one_date_for_all():
    """A scalar time, as of a map taken out of its file, is the time."""
    result = harmonise(nemo().isel(time_counter=0))
    assert result["time"].ndim == 0 and result["ssh"].dims == ("y", "x")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (xr.Dataset(), "open one of them: xarray.open_dataset.path, group="),
        (along_track().drop_vars("longitude"), "no longitude found .* units 'degrees_east'"),
        (along_track().drop_vars("time"), "points along 'time' without a time coordinate"),
        (along_track().assign_coords(time=np.arange(7.0)), "no dates; .* decode_times=True"),
        (old_track()[["time", "mission", "longitude", "latitude"]], "recognised .* 'mission' .no"),
        (maps().rename(time="day").merge(temperature()), "2 time axes, 'day' and 'time'"),
        (described(maps().rename(adt="h", ugos="w"), "w", **GEOID), "'h', 'w' may each be 'ssh'"),
        (described(along_track(), "mdt", units="s"), "'mdt' has units 's', .* to 'm'"),
        (described(oisst(), "sst", units="m"), "'sst' is a temperature with units 'm'"),
        (described(maps(), "longitude", units="km"), "'lon' has units 'km'"),
    ],
)  # fmt: skip
def test_what_is_refused(dataset, message):
    """The reason and the remedy are said."""
    with pytest.raises(InvalidInputError, match=message):
        harmonise(dataset)


def test_other_objects_are_refused():
    """A tree of groups says how to pick a node."""
    tree = xr.DataTree.from_dict({"/data_01": along_track()})
    with pytest.raises(InvalidTypeError, match=r"nodes \['/', '/data_01'\]; pick one"):
        harmonise(tree)
    with pytest.raises(InvalidTypeError, match="to_dataset"):
        harmonise(along_track()["mdt"])


def test_real_files(real):
    """Real files come out, once and for all, and the same decoded or not, lazy or not."""
    with xr.open_dataset(real) as dataset:
        result = harmonise(dataset.load())
    xr.testing.assert_identical(harmonise(result), result)
    assert {"ssh", "sst"} & set(result.data_vars) and {"lat", "lon", "time"} <= set(result.coords)
    assert result["lon"].min() >= -180 and result["lon"].max() < 180
    with xr.open_dataset(real, mask_and_scale=False) as packed:
        xr.testing.assert_equal(harmonise(packed).load(), result)
    with xr.open_dataset(real, chunks={}) as lazy:
        xr.testing.assert_equal(harmonise(lazy).compute(), result)


def test_real_sum(shared_data):
    """The height of the challenge, the correction undone, is the challenge's own formula."""
    name = "dt_gulfstream_c2_phy_l3_20161220_20170126.nc"
    with xr.open_dataset(shared_data(name)) as dataset:
        result = harmonise(dataset)
        expected = dataset["sla_unfiltered"] + dataset["mdt"] - dataset["lwe"]
        np.testing.assert_allclose(result["ssh"] - result["lwe"], expected, atol=1e-6)


def test_real_maps(shared_data):
    """The height of the maps is their absolute topography, to the bit."""
    with xr.open_dataset(shared_data("dt_med_allsat_phy_l4_2005T2.nc"), chunks={}) as dataset:
        few = dataset.isel(time=slice(0, 3))
        np.testing.assert_array_equal(harmonise(few)["ssh"], few["adt"])


def test_a_real_variable_without_attributes_is_refused(shared_data):
    """The message says which variable is there, and what to do; done, it is accepted."""
    with xr.open_dataset(shared_data("oi_gulfstream_201701.nc")) as dataset:
        with pytest.raises(InvalidInputError, match=r"'c2' \(no standard_name\).*'ssh'"):
            harmonise(dataset)
        assert harmonise(dataset.rename(c2="ssh"))["ssh"].attrs["units"] == "m"


@pytest.mark.parametrize("order", ["in order", "mixed", "one after the other"])
def test_repeated_points_are_counted(order):
    """Against a count of distinct points; two missions at one time are two points."""
    rng = np.random.default_rng(1)
    days = np.repeat(np.arange(30), 2) * 1.0
    place = rng.integers(0, 2, 60) * 1.0
    if order == "mixed":
        days = rng.permutation(days)
    if order == "one after the other":
        days = np.concatenate([days[::2], days[1::2]])
    track = xr.Dataset(
        {"sla": ("time", rng.normal(size=60), {"units": "m"})},
        {
            "time": np.datetime64("2017-01-01", "ns") + days.astype("timedelta64[D]"),
            "lat": ("time", 40 + place),
            "lon": ("time", 5 + place),
        },
    )
    repeated = 60 - len(set(zip(days, place, strict=True)))
    assert repeated and f"{repeated} points repeated" in said(track)


def test_times_since_an_unknown_date():
    """The advice does not send in a circle, and works."""
    model = roms().drop_vars("ocean_time")
    seconds = {"units": "seconds since initialization", "axis": "T"}
    dataset = model.assign_coords(ocean_time=("ocean_time", [0.0, 86400.0], seconds))
    with pytest.raises(InvalidInputError, match="seconds since 'initialization'") as problem:
        harmonise(dataset)
    assert "decode_times=True" not in str(problem.value)
    advice = str(problem.value).split("decode: ")[1].removesuffix(".")
    names = {"dataset": dataset, "xarray": xr}
    exec(advice, names)  # as a user would type it
    times = harmonise(names["dataset"])["time"].values.astype("datetime64[D]")
    assert list(times) == [np.datetime64("2000-01-01"), np.datetime64("2000-01-02")]


def test_a_cyclic_column_is_left_out_of_all():
    """Of maps, bounds and masks; temperatures of low quality are left out too."""
    lon = np.arange(0.0, 361, 60)
    field = np.arange(14.0).reshape(1, 2, 7)
    product = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), field, {"units": "deg. C"}),
            "quality_level": (("time", "lat", "lon"), np.full((1, 2, 7), 5)),
            "lon_bnds": (("lon", "nv"), np.stack([lon - 30, lon + 30], -1)),
        },
        {"time": [np.datetime64("2020-01-01", "ns")], "lat": [0.0, 1.0], "lon": lon},
    )
    product["lon"].attrs["bounds"] = "lon_bnds"
    product["quality_level"][0, 1, 3] = 2
    result = harmonise(product)
    assert result["lon"].values.tolist() == list(range(0, 360, 60))
    assert result["lon_bnds"].shape == (6, 2)
    expected = field[..., :6].copy()
    expected[0, 1, 3] = np.nan
    np.testing.assert_array_equal(result["sst"], expected)
    assert find_grid(result).shape == (2, 6)
