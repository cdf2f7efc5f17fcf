"""Maps of observations: every observed cell is drawn once, and large enough to be seen."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.plot.tracks import SMALLEST_MARKER, plot_tracks

ccrs = pytest.importorskip("cartopy.crs")
plt = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def observations() -> xr.Dataset:
    """Return three days, 30 x 200 cells, with one oblique track on each of the first two."""
    values = np.full((3, 30, 200), np.nan)
    rows = np.arange(30)
    values[0, rows, 20 + rows] = 0.1
    values[1, rows, 60 - rows] = 0.3
    sea = np.ones((30, 200), bool)
    sea[:, 150:] = False
    coords = {
        "time": pd.date_range("2005-06-19", periods=3),
        "lat": 36 + 0.125 * rows,
        "lon": -2 + 0.125 * np.arange(200),
        "sea": (("lat", "lon"), sea),
    }
    attrs = {"units": "m", "long_name": "sea surface height"}
    return xr.Dataset({"ssh": (("time", "lat", "lon"), values, attrs)}, coords)


def points(ax):
    """Return the drawn observations, which lie above their outline."""
    return ax.collections[-1]


def test_the_observed_cells_of_the_day(observations):
    ax = plot_tracks(observations, "ssh", time="2005-06-20")
    places = points(ax).get_offsets() + [observations["lon"].mean().item(), 0]
    rows = np.arange(30)
    np.testing.assert_allclose(places[:, 0], observations["lon"][60 - rows])
    np.testing.assert_allclose(places[:, 1], observations["lat"])
    np.testing.assert_allclose(points(ax).get_array(), 0.3)
    assert ax.get_title() == "2005-06-20"
    assert ax.figure.axes[1].get_xlabel() == "sea surface height (m)"
    ax.figure.canvas.draw()


def test_all_days_together(observations):
    ax = plot_tracks(observations, "ssh")
    values = points(ax).get_array()
    assert ax.get_title() == "2005-06-19 to 2005-06-21"
    assert values.size == 59  # both tracks have the cell where they cross
    np.testing.assert_allclose(np.unique(values.round(6)), [0.1, 0.2, 0.3])


def test_markers_are_large_enough(observations):
    side = np.sqrt(points(plot_tracks(observations, "ssh")).get_sizes())
    assert (side >= SMALLEST_MARKER).all()
    few = observations.isel(lon=slice(0, 12), lat=slice(0, 10))
    assert (np.sqrt(points(plot_tracks(few, "ssh")).get_sizes()) > 10).all()


def test_limits_and_options(observations):
    options = {"vmin": -0.5, "vmax": 0.5, "cmap": "viridis", "title": "seen", "colorbar": False}
    _, ax = plt.subplots(subplot_kw={"projection": ccrs.PlateCarree()})
    assert plot_tracks(observations, "ssh", ax=ax, **options) is ax
    drawn = points(ax)
    assert (drawn.norm.vmin, drawn.norm.vmax, drawn.cmap.name) == (-0.5, 0.5, "viridis")
    assert ax.get_title() == "seen"
    assert len(ax.figure.axes) == 1


def test_land_is_drawn_where_it_is_known(observations):
    ax = plot_tracks(observations, "ssh")
    land = ~np.ma.getmaskarray(ax.collections[0].get_array()).reshape(30, 200)
    np.testing.assert_array_equal(land, ~observations["sea"])
    assert len(plot_tracks(observations.drop_vars("sea"), "ssh").collections) == 2


def test_a_day_without_observations(observations):
    ax = plot_tracks(observations, "ssh", time="2005-06-21")
    assert points(ax).get_offsets().shape[0] == 0
    ax.figure.canvas.draw()


def test_what_cannot_be_drawn(observations):
    with pytest.raises(UnknownNameError, match="'sla' is missing"):
        plot_tracks(observations, "sla")
    with pytest.raises(InvalidInputError, match="no field on"):
        plot_tracks(observations, "ssh", time="2006-01-01")


def test_tracks_are_of_a_dataset(observations):
    with pytest.raises(InvalidTypeError, match="Dataset, got DataArray.*to_dataset"):
        plot_tracks(observations["ssh"], "ssh")


@pytest.fixture
def track() -> xr.Dataset:
    """Return 40 points of a pass at 18:00 on 19 June, and 25 of another at 03:00 on the 21st."""
    first = pd.date_range("2005-06-19T18:00", periods=40, freq="s")
    second = pd.date_range("2005-06-21T03:00", periods=25, freq="s")
    count = np.arange(65)
    latitude, longitude = 36 + 0.05 * count, 5 - 0.03 * count
    values = np.where(count < 40, 0.1, 0.3)
    values[[3, 50]] = np.nan
    return xr.Dataset(
        {"sla_unfiltered": ("time", values, {"units": "m", "long_name": "sea level anomaly"})},
        {
            "time": first.append(second),
            "longitude": ("time", longitude),
            "latitude": ("time", latitude),
        },
    )


@pytest.fixture
def swath() -> xr.Dataset:
    """Return 30 lines of 7 pixels, 2 km apart, of an oblique pass."""
    line, pixel = np.arange(30)[:, None], np.arange(7)
    latitude = 40 + 0.018 * (line * 0.8 + pixel * 0.6)
    longitude = 5 + 0.018 * (pixel * 0.8 - line * 0.6) / np.cos(np.radians(40))
    dims = ("num_lines", "num_pixels")
    coords = {
        "time": ("num_lines", pd.date_range("2023-08-01T10:00", periods=30, freq="s")),
        "longitude": (dims, longitude),
        "latitude": (dims, latitude),
        "cross_track_distance": ("num_pixels", 2.0 * pixel),
    }
    return xr.Dataset({"ssha": (dims, 0.01 * line + 0.001 * pixel)}, coords)


def places(ax):
    """Return longitudes, -180 to 180, and latitudes of what was drawn."""
    offsets, transform = points(ax).get_offsets(), points(ax).get_offset_transform()
    geographic = (transform - ax.transData).transform(offsets)
    return ccrs.PlateCarree().transform_points(ax.projection, *np.asarray(geographic).T)[:, :2].T


def test_points_are_drawn_where_they_are(track):
    ax = plot_tracks(track, "sla_unfiltered")
    known = track.dropna("time")
    ax.figure.canvas.draw()
    np.testing.assert_allclose(places(ax), [known["longitude"], known["latitude"]], atol=1e-9)
    np.testing.assert_allclose(points(ax).get_array(), known["sla_unfiltered"])
    np.testing.assert_allclose(points(ax).get_sizes(), SMALLEST_MARKER**2)
    assert not points(ax).get_linewidths().any()
    assert ax.get_title() == "2005-06-19 to 2005-06-21"
    bar = ax.figure.axes[1]
    assert "sea level anomaly (m)" in (bar.get_xlabel(), bar.get_ylabel())
    west, east, south, north = ax.get_extent(ccrs.PlateCarree())
    assert west < 3.08 < 5 < east and south < 36 < 39.2 < north


@pytest.mark.parametrize(("day", "count"), [("2005-06-20", 39), ("2005-06-21T15:00", 24)])
def test_a_day_of_points_is_from_noon_to_noon(day, count, track):
    ax = plot_tracks(track, "sla_unfiltered", time=day)
    assert points(ax).get_offsets().shape[0] == count
    assert ax.get_title() == day[:10]
    whole = plot_tracks(track, "sla_unfiltered").get_extent(ccrs.PlateCarree())
    assert ax.get_extent(ccrs.PlateCarree()) == pytest.approx(whole)


def test_a_day_without_points_is_an_error(track):
    later = track.assign_coords(
        time=track["time"] + np.timedelta64(2, "D") * (track["time"].dt.day > 20)
    )
    with pytest.raises(InvalidInputError, match="the nearest day with points is 2005-06-20"):
        plot_tracks(later, "sla_unfiltered", time="2005-06-21")
    with pytest.raises(InvalidInputError, match="go from 2005-06-20 to 2005-06-21"):
        plot_tracks(track, "sla_unfiltered", time="2005-06-19")
    with pytest.raises(InvalidInputError, match="is no date"):
        plot_tracks(track, "sla_unfiltered", time="today?")


def test_days_of_points_in_other_calendars(track):
    pytest.importorskip("cftime")
    noleap = track.convert_calendar("noleap", use_cftime=True)
    ax = plot_tracks(noleap, "sla_unfiltered", time="2005-06-20")
    assert points(ax).get_offsets().shape[0] == 39


@pytest.mark.parametrize("shift", [-3.0, 176.0])
def test_points_in_any_convention_of_longitudes(shift, track):
    moved = track.assign_coords(longitude=track["longitude"] + shift)
    drawn = [
        plot_tracks(moved.assign_coords(longitude=(moved["longitude"] - start) % 360 + start), name)
        for start, name in ((0, "sla_unfiltered"), (-180, "sla_unfiltered"))
    ]
    for ax in drawn:
        west, east, *_ = ax.get_extent()
        assert east - west < 3
        ax.figure.canvas.draw()
    np.testing.assert_allclose(*map(places, drawn), atol=1e-9)


def test_tracks_around_the_globe():
    longitude = np.arange(0, 360, 1.5)
    globe = xr.Dataset(
        {"sla": ("time", np.sin(longitude))},
        {
            "time": pd.date_range("2005-06-19", periods=240, freq="s"),
            "longitude": ("time", longitude),
            "latitude": ("time", 60 * np.sin(np.radians(longitude))),
        },
    )
    extent = plot_tracks(globe, "sla").get_extent()
    assert extent == pytest.approx((-180, 180, -90, 90), abs=0.01)


def test_a_single_point_has_surroundings(track):
    ax = plot_tracks(track.isel(time=[10]), "sla_unfiltered")
    ax.figure.canvas.draw()
    west, east, *_ = ax.get_extent(ccrs.PlateCarree())
    assert 0.1 < east - west < 1


@pytest.mark.parametrize("dims", [("num_lines", "num_pixels"), ("num_pixels", "num_lines")])
def test_all_pixels_of_a_swath_touch(dims, swath):
    ax = plot_tracks(swath.transpose(*dims), "ssha")
    drawn = points(ax)
    assert drawn.get_offsets().shape[0] == 30 * 7
    np.testing.assert_allclose(np.sort(drawn.get_array()), np.sort(swath["ssha"].values.ravel()))
    ax.figure.canvas.draw()
    west, east, *_ = ax.get_extent(ccrs.PlateCarree())
    degree = ax.get_position().width * ax.figure.get_figwidth() * 72 / (east - west)
    assert 1 < np.sqrt(drawn.get_sizes()) / (0.018 * degree) < 2


def test_a_variable_of_the_pixels_alone(swath):
    across = swath["cross_track_distance"].reset_coords(drop=True)
    ax = plot_tracks(swath.assign(distance=across), "distance")
    np.testing.assert_array_equal(points(ax).get_array(), np.tile(2.0 * np.arange(7), 30))


def test_one_line_of_a_swath_is_a_track(swath):
    ax = plot_tracks(swath.isel(num_pixels=[3]), "ssha")
    np.testing.assert_allclose(points(ax).get_sizes(), SMALLEST_MARKER**2)
    assert points(ax).get_offsets().shape[0] == 30


def test_a_swath_finer_than_the_figure_is_thinned():
    line, pixel = np.arange(4000)[:, None], np.arange(20)
    dims = ("line", "pixel")
    long = xr.Dataset(
        {"ssha": (dims, np.ones((4000, 20)))},
        {
            "time": ("line", pd.date_range("2023-08-01", periods=4000, freq="s")),
            "latitude": (dims, -40 + 0.02 * line + 0 * pixel),
            "longitude": (dims, 0.02 * pixel + 0 * line),
        },
    )
    drawn = points(plot_tracks(long, "ssha"))
    assert drawn.get_offsets().shape[0] == np.ceil(4000 / 8) * np.ceil(20 / 8)
    assert (drawn.get_sizes() >= 1).all()


def test_positions_may_be_variables_and_data_lazy(track):
    pytest.importorskip("dask")
    raw = track.reset_coords(["longitude", "latitude"]).chunk(time=20)
    before = raw.copy(deep=True)
    drawn = [points(plot_tracks(each, "sla_unfiltered")).get_offsets() for each in (raw, track)]
    np.testing.assert_array_equal(*drawn)
    assert raw["sla_unfiltered"].chunks is not None
    xr.testing.assert_identical(raw, before)


def test_points_that_cannot_be_drawn(track):
    with pytest.raises(UnknownNameError, match="'ssh' is missing"):
        plot_tracks(track, "ssh")
    members = track.assign(ssh=track["sla_unfiltered"].expand_dims(member=2))
    with pytest.raises(InvalidInputError, match=r"isel\(member=0\)"):
        plot_tracks(members, "ssh")
    with pytest.raises(InvalidInputError, match="'mission' holds .* values; numbers"):
        plot_tracks(track.assign(mission=("time", np.full(65, "gfo"))), "mission")
    with pytest.raises(InvalidInputError, match="no point with a known position"):
        plot_tracks(track.assign_coords(latitude=track["latitude"] * np.nan), "sla_unfiltered")


def test_a_curvilinear_grid_is_no_track():
    latitude, longitude = np.meshgrid(np.arange(4.0), np.arange(6.0), indexing="ij")
    dims = ("y", "x")
    model = xr.Dataset(
        {"zos": (("time", *dims), np.zeros((2, 4, 6)))},
        {
            "time": pd.date_range("2005-06-19", periods=2),
            "nav_lat": (dims, latitude),
            "nav_lon": (dims, longitude),
        },
    )
    with pytest.raises(InvalidInputError, match="these are no points along a track"):
        plot_tracks(model, "zos")


def test_points_on_a_map_of_the_same_quantity_have_its_colours(track):
    """Agreement looks like agreement; another quantity, or given limits, have their own."""
    described = {"long_name": "height", "units": "m"}
    maps = xr.Dataset(
        {"ssh": (("lat", "lon"), np.linspace(-1, 1, 12).reshape(3, 4), described)},
        {"lat": [35.0, 38, 41], "lon": [0.0, 3, 6, 9]},
    )
    own = track.assign(ssh=track["sla_unfiltered"].assign_attrs(described))
    ax = maps.dvarnet.plot_map("ssh")
    limits = ax.collections[0].get_clim()
    assert points(plot_tracks(own, "ssh", ax=ax)).get_clim() == limits
    ax = maps.dvarnet.plot_map("ssh")
    assert points(plot_tracks(track, "sla_unfiltered", ax=ax)).get_clim() != limits
    ax = maps.dvarnet.plot_map("ssh")
    assert points(plot_tracks(own, "ssh", ax=ax, vmin=-3, vmax=3)).get_clim() == (-3, 3)
