"""What all maps share: what they show, the day, and the axes."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.plot.axes import (
    Frame,
    choose_colours,
    describe_period,
    frame_crs,
    map_axes,
    read_day,
    select_field,
)

ccrs = pytest.importorskip("cartopy.crs")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def closed():
    """Close the figures."""
    yield
    plt.close("all")


@pytest.fixture
def dataset() -> xr.Dataset:
    """Return two maps of 5 x 8 cells of 1 x 0.5 degrees, latitudes decreasing."""
    coords = {
        "time": pd.date_range("2005-06-19", periods=2),
        "lat": 44.0 - np.arange(5),
        "lon": 358 + 0.5 * np.arange(8),
    }
    values = np.arange(80.0).reshape(2, 5, 8)
    attrs = {"units": "cm", "standard_name": "sea_surface_height_above_geoid"}
    return xr.Dataset({"ssh": (("time", "lat", "lon"), values, attrs)}, coords)


def test_a_field_is_in_increasing_order_and_framed_by_its_cells(dataset):
    field = select_field(dataset, "ssh", "2005-06-20")
    np.testing.assert_array_equal(field.values[0], dataset["ssh"][1, ::-1])
    np.testing.assert_array_equal(field.latitude, [40, 41, 42, 43, 44])
    west, east, south, north = field.frame
    assert (west % 360, east - west, south, north) == (357.75, 4, 39.5, 44.5)
    assert field.label == "sea surface height above geoid (cm)"
    assert np.ptp(field.x) == 3.5 and field.x.mean() == pytest.approx(0)


def test_a_frame_ends_at_the_poles():
    lat, lon = np.arange(-90.0, 91, 30), np.arange(0.0, 360, 60)
    globe = xr.Dataset({"ssh": (("lat", "lon"), np.zeros((7, 6)))}, {"lat": lat, "lon": lon})
    assert select_field(globe, "ssh", None).frame == Frame(-30, 330, -90, 90)


@pytest.mark.parametrize(
    ("west", "east", "seam"),
    [(170, 190, True), (-190, -170, True), (160, 180, False), (-180, -160, False), (-6, 36, False)],
)
def test_a_seam_is_crossed_and_not_touched(west, east, seam):
    frame = Frame(west, east, -10, 10)
    ax = map_axes(frame, None)
    ax.figure.canvas.draw()
    assert ax.projection == (frame_crs(frame) if seam else ccrs.PlateCarree())
    shown = ax.get_extent()
    assert shown[1] - shown[0] == pytest.approx(east - west)


def test_axes_that_are_drawn_twice_have_one_set_of_labels():
    from cartopy.mpl.gridliner import Gridliner

    frame = Frame(-6, 36, 30, 46)
    ax = map_axes(frame, None)
    assert map_axes(frame._replace(east=20), ax) is ax
    assert sum(isinstance(artist, Gridliner) for artist in ax.artists) == 1
    assert ax.get_extent() == pytest.approx((-6, 20, 30, 46))


def test_days_are_read_from_dates_of_all_sorts(dataset):
    expected = np.datetime64("2005-06-20", "ns")
    for day in ("2005-06-20", pd.Timestamp("2005-06-20"), dataset["time"][1], expected):
        assert read_day(day) == expected
    with pytest.raises(InvalidInputError, match="time='noon' is no date; give one such as"):
        read_day("noon")


def test_one_date_or_two():
    assert describe_period("2005-06-20T00", "2005-06-20T12") == "2005-06-20"
    assert describe_period("2005-06-20", "2005-06-21") == "2005-06-20 to 2005-06-21"


def test_limits_given_and_chosen(dataset):
    field = select_field(dataset - 40, "ssh", None)
    low, high = choose_colours(field, None, None, None, None)[1:]
    assert low == -high
    assert choose_colours(field, "viridis", 1.0, 2.0, None) == ("viridis", 1.0, 2.0)
    assert choose_colours(field, None, None, 5.0, None)[1:] == (low, 5.0)
