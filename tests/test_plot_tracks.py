"""Maps of observations: every observed cell is drawn once, and large enough to be seen."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.plot.tracks import SMALLEST_MARKER, plot_tracks

ccrs = pytest.importorskip("cartopy.crs")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """Refuse downloads, start from an empty cache of cartopy, and close the figures."""
    import cartopy

    def refuse(*args, **kwargs):
        raise AssertionError("a plot asked for a download")

    monkeypatch.setattr("cartopy.io.Downloader._urlopen", refuse)
    for folder in ("data_dir", "pre_existing_data_dir"):
        monkeypatch.setitem(cartopy.config, folder, tmp_path)
    yield
    plt.close("all")


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
