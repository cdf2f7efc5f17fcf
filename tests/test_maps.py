"""Maps: the right values at the right place, labelled, with a coast that is never downloaded."""

import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import (
    InvalidInputError,
    InvalidTypeError,
    MissingDependencyError,
    UnknownNameError,
)
from xdvarnet.plot.axes import _on_disk
from xdvarnet.plot.maps import plot_map

ccrs = pytest.importorskip("cartopy.crs")
cmocean = pytest.importorskip("cmocean")
plt = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def dataset() -> xr.Dataset:
    """Return three days of an island in a sea with waves, 20 x 50 cells."""
    days, lat, lon = np.arange(3), 36 + 0.25 * np.arange(20), -2 + 0.25 * np.arange(50)
    values = 0.2 * np.sin(lon + days[:, None, None]) * np.cos(lat)[:, None]
    values[:, 8:12, 20:30] = np.nan
    attrs = {"units": "m", "long_name": "sea surface height"}
    coords = {"time": pd.date_range("2005-06-19", periods=3), "lat": lat, "lon": lon}
    return xr.Dataset({"ssh": (("time", "lat", "lon"), values, attrs)}, coords)


def mesh(ax):
    """Return the drawn field."""
    return ax.collections[0]


def colorbar_axes(ax):
    """Return the axes of the colour bar."""
    return [other for other in ax.figure.axes if other is not ax]


def test_the_day_is_drawn_with_title_and_units(dataset):
    ax = plot_map(dataset, "ssh", time="2005-06-20")
    assert ax.get_title() == "2005-06-20"
    assert isinstance(ax.projection, ccrs.PlateCarree)
    (bar,) = colorbar_axes(ax)
    assert "sea surface height (m)" in (bar.get_xlabel(), bar.get_ylabel())
    drawn = np.ma.filled(mesh(ax).get_array(), np.nan).reshape(20, 50)
    np.testing.assert_allclose(drawn, dataset["ssh"][1])
    ax.figure.canvas.draw()


def test_limits_are_symmetric_about_zero(dataset):
    drawn = mesh(plot_map(dataset, "ssh", time="2005-06-20"))
    assert drawn.norm.vmin == -drawn.norm.vmax < 0
    assert drawn.cmap.name == cmocean.cm.balance.name


def test_limits_are_symmetric_about_the_median_far_from_zero(dataset):
    drawn = mesh(plot_map(dataset + 3, "ssh", time="2005-06-20"))
    middle = (drawn.norm.vmin + drawn.norm.vmax) / 2
    assert middle == pytest.approx(float((dataset["ssh"][1] + 3).median()))


@pytest.mark.parametrize(
    ("name", "attrs", "cmap"),
    [
        ("sst", {"long_name": "sea surface temperature", "units": "K"}, "thermal"),
        ("sss", {"standard_name": "sea_surface_salinity"}, "haline"),
        ("ssh_std", {"units": "m"}, "amp"),
        ("u", {"long_name": "eastward velocity"}, "balance"),
    ],
)
def test_colours_by_the_name(name, attrs, cmap, dataset):
    array = (abs(dataset["ssh"]) + 1).drop_attrs().assign_attrs(attrs)
    drawn = mesh(plot_map(array.to_dataset(name=name), name, time="2005-06-20"))
    assert drawn.cmap.name == cmap
    assert (drawn.norm.vmin == 0) == (cmap == "amp")


def test_options_are_used(dataset):
    figure, axes = plt.subplots(1, 2, subplot_kw={"projection": ccrs.PlateCarree()})
    options = {"cmap": "viridis", "vmin": -1, "vmax": 2, "title": "truth", "colorbar": False}
    ax = plot_map(dataset, "ssh", time="2005-06-19", ax=axes[1], **options)
    assert ax is axes[1]
    assert ax.get_title() == "truth"
    assert len(figure.axes) == 2
    assert mesh(ax).cmap.name == "viridis"
    assert (mesh(ax).norm.vmin, mesh(ax).norm.vmax) == (-1, 2)


def test_another_projection_is_drawn(dataset):
    figure = plt.figure()
    ax = figure.add_subplot(projection=ccrs.Orthographic(4, 38))
    plot_map(dataset, "ssh", time="2005-06-19", ax=ax)
    figure.canvas.draw()


def test_the_coast_is_that_of_the_data(dataset):
    """Land is drawn on the cells of the island, also on a day when more is missing."""
    dataset["ssh"][1, :3, :4] = np.nan
    ax = plot_map(dataset, "ssh", time="2005-06-20")
    land = ~np.ma.getmaskarray(ax.collections[1].get_array()).reshape(20, 50)
    np.testing.assert_array_equal(land, dataset["ssh"].isnull().all("time"))
    assert len(ax.collections) == 4  # field, land cells, land, coast


def test_the_coordinate_sea_is_preferred(dataset):
    sea = np.ones((20, 50), bool)
    sea[:, 45:] = False
    ax = plot_map(dataset.assign_coords(sea=(("lat", "lon"), sea)), "ssh", time="2005-06-20")
    land = ~np.ma.getmaskarray(ax.collections[1].get_array()).reshape(20, 50)
    np.testing.assert_array_equal(land, ~sea)


def test_without_land_there_is_no_coast(dataset):
    assert len(plot_map(dataset.fillna(0), "ssh", time="2005-06-20").collections) == 1


def test_natural_earth_is_used_where_it_is_on_disk(tmp_path):
    folder = tmp_path / "shapefiles" / "natural_earth" / "physical"
    folder.mkdir(parents=True)
    assert not _on_disk("50m")
    for name in ("land", "coastline"):
        assert not _on_disk("50m")
        (folder / f"ne_50m_{name}.shp").touch()
    assert _on_disk("50m")
    assert not _on_disk("10m")


@pytest.mark.parametrize(
    "change",
    [
        lambda ds: ds.isel(lat=slice(None, None, -1)),
        lambda ds: ds.transpose("lon", "time", "lat"),
        lambda ds: ds.assign_coords(lon=ds.lon % 360).sortby("lon"),
        lambda ds: ds.rename(lat="latitude", lon="longitude"),
    ],
    ids=["descending", "transposed", "0..360", "names"],
)
def test_the_same_map_from_any_order(change, dataset):
    expected = plot_map(dataset, "ssh", time="2005-06-20")
    found = plot_map(change(dataset), "ssh", time="2005-06-20")
    np.testing.assert_allclose(mesh(found).get_array(), mesh(expected).get_array())
    assert found.get_extent(ccrs.PlateCarree()) == pytest.approx(
        expected.get_extent(ccrs.PlateCarree())
    )


def test_a_basin_across_the_date_line(dataset):
    pacific = dataset.assign_coords(lon=(dataset.lon + 176 + 180) % 360 - 180)
    ax = plot_map(pacific, "ssh", time="2005-06-20")
    west, east, *_ = ax.get_extent()
    assert east - west == pytest.approx(50 * 0.25)
    ax.figure.canvas.draw()


@pytest.mark.parametrize("west", [0, -179, -180])
def test_the_whole_globe(west):
    lat, lon = np.arange(-88, 90, 4.0), west + np.arange(0, 360, 3.0)
    values = np.cos(np.radians(lat))[:, None] * np.sin(np.radians(lon))
    globe = xr.Dataset({"ssh": (("lat", "lon"), values)}, {"lat": lat, "lon": lon})
    assert plot_map(globe, "ssh").get_extent() == pytest.approx((-180, 180, -90, 90), abs=0.01)


def test_a_single_day_needs_no_time(dataset):
    assert plot_map(dataset.isel(time=1), "ssh").get_title() == "2005-06-20"
    assert plot_map(dataset.isel(time=[1]), "ssh").get_title() == "2005-06-20"
    assert plot_map(dataset.mean("time"), "ssh").get_title() == ""


def test_days_of_other_calendars(dataset):
    pytest.importorskip("cftime")
    times = xr.date_range("2005-06-19", periods=3, calendar="noleap", use_cftime=True)
    ax = plot_map(dataset.assign_coords(time=times), "ssh", time=np.datetime64("2005-06-20"))
    assert ax.get_title() == "2005-06-20"


def test_the_day_is_found_at_any_hour(dataset):
    noon = dataset.assign_coords(time=dataset.time + np.timedelta64(12, "h"))
    assert plot_map(noon, "ssh", time="2005-06-20").get_title() == "2005-06-20"


def test_the_nearest_hour_of_the_day(dataset):
    hours = dataset.assign_coords(time=pd.date_range("2005-06-20", periods=3, freq="6h"))
    drawn = mesh(plot_map(hours, "ssh", time="2005-06-20T11:00")).get_array()
    np.testing.assert_allclose(np.ma.filled(drawn, np.nan).reshape(20, 50), dataset["ssh"][2])


def test_a_field_of_missing_values(dataset):
    ax = plot_map(dataset.where(False), "ssh", time="2005-06-20")
    ax.figure.canvas.draw()


def test_lazy_data_are_drawn_and_the_argument_untouched(dataset):
    pytest.importorskip("dask")
    lazy, before = dataset.chunk(time=1), dataset.copy(deep=True)
    np.testing.assert_array_equal(
        mesh(plot_map(lazy, "ssh", time="2005-06-20")).get_array(),
        mesh(plot_map(dataset, "ssh", time="2005-06-20")).get_array(),
    )
    assert lazy["ssh"].chunks is not None
    xr.testing.assert_identical(dataset, before)


@pytest.mark.parametrize(
    ("options", "error", "complaint"),
    [
        ({"variable": "sst"}, UnknownNameError, "'sst' is missing"),
        ({}, InvalidInputError, "has 3 days, 2005-06-19 to 2005-06-21; choose one"),
        ({"time": "2005-07-01"}, InvalidInputError, "days go from 2005-06-19 to 2005-06-21"),
        ({"time": "today?"}, InvalidInputError, "is no date"),
    ],
)
def test_what_cannot_be_drawn(options, error, complaint, dataset):
    with pytest.raises(error, match=complaint):
        plot_map(dataset, **{"variable": "ssh", **options})


def test_members_must_be_selected(dataset):
    members = xr.concat([dataset, dataset], pd.Index([0, 1], name="member"))
    with pytest.raises(InvalidInputError, match=r"isel\(member=0\)"):
        plot_map(members, "ssh", time="2005-06-20")


def test_a_day_of_a_field_without_time(dataset):
    with pytest.raises(InvalidInputError, match="has no time dimension"):
        plot_map(dataset.mean("time"), "ssh", time="2005-06-20")


def test_axes_need_a_projection(dataset):
    _, ax = plt.subplots()
    with pytest.raises(InvalidTypeError, match="has no projection"):
        plot_map(dataset, "ssh", time="2005-06-20", ax=ax)


@pytest.mark.parametrize("name", ["cartopy", "cmocean", "matplotlib"])
def test_a_missing_package_is_named(name, dataset, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=f'{name}.*pip install "xdvarnet'):
        plot_map(dataset, "ssh", time="2005-06-20")
    assert issubclass(MissingDependencyError, ImportError)


def test_a_time_of_the_dataset_is_a_day(dataset):
    title = plot_map(dataset, "ssh", time=dataset["time"][1]).get_title()
    assert title == str(dataset["time"].values[1])[:10]
    with pytest.raises(InvalidInputError, match="is no date"):
        plot_map(dataset, "ssh", time=dataset["time"])


def test_a_map_is_of_a_dataset(dataset):
    with pytest.raises(InvalidTypeError, match="Dataset, got DataArray.*to_dataset"):
        plot_map(dataset["ssh"], "ssh", time="2005-06-20")
