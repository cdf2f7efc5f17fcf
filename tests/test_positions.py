"""Positions of products are found by attributes, then by name, and named."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import Axes
from xdvarnet.grids.harmonise.positions import (
    are_points,
    bounds_of,
    find_positions,
    name_positions,
)

TIMES = pd.date_range("2020-02-03", periods=2)


def grid(**names: str) -> xr.Dataset:
    """Return maps whose coordinates have CF attributes and any names."""
    dataset = xr.Dataset(
        {"h": (("t", "b", "a"), np.zeros((2, 3, 4)))},
        {
            "t": ("t", TIMES, {"standard_name": "time"}),
            "b": ("b", [40.0, 41, 42], {"units": "degrees_north"}),
            "a": ("a", [10.0, 11, 12, 13], {"units": "degrees_east"}),
        },
    )
    return dataset.rename(names)


def test_attributes_come_before_names():
    """Coordinates of any name are found, and of the right name without attributes too."""
    assert find_positions(grid(), ["h"]) == Axes("t", "b", "a")
    bare = grid(t="Time", b="Latitude", a="Longitude").drop_attrs()
    assert find_positions(bare, ["h"]) == Axes("Time", "Latitude", "Longitude")
    named, done = name_positions(grid(), find_positions(grid(), ["h"]))
    assert named["h"].dims == ("time", "lat", "lon")
    assert named["lon"].attrs == {"standard_name": "longitude", "axis": "X"} | {
        "units": "degrees_east"
    }
    assert done == ["t -> time", "b -> lat", "a -> lon"]


def test_odd_units_of_degrees():
    """Units that CF does not know, as 'degrees East', are found by name and corrected."""
    dataset = grid(t="time", b="lat", a="lon").drop_attrs()
    dataset["lon"].attrs["units"] = "degrees East"
    named, done = name_positions(dataset, find_positions(dataset, ["h"]))
    assert named["lon"].attrs["units"] == "degrees_east" and done == []


def test_bounds_are_no_positions():
    """Bounds of cells have the units of positions; they are left out, however they are linked."""
    dataset = grid().assign(edges=("b", [1.0, 2, 3], {"units": "degrees_north"}))
    with pytest.raises(InvalidInputError, match="'b', 'edges' may each be the latitude; rename"):
        find_positions(dataset, ["h"])
    dataset["b"].attrs["bounds"] = "edges"
    assert bounds_of(dataset["b"]) == "edges"
    assert find_positions(dataset, ["h"]).latitude == "b"
    dataset["b"].encoding["bounds"] = dataset["b"].attrs.pop("bounds")
    assert find_positions(dataset, ["h"]).latitude == "b"


def test_positions_lie_on_the_data():
    """Of staggered positions those of the data are meant, and the fuller ones."""
    dataset = grid()
    dataset["lon_u"] = (("b", "u"), np.zeros((3, 5)), {"standard_name": "longitude"})
    assert find_positions(dataset, ["h"]).longitude == "a"
    full = {"standard_name": "longitude"}, {"standard_name": "latitude"}
    dataset["glon"] = (("b", "a"), np.zeros((3, 4)), full[0])
    dataset["glat"] = (("b", "a"), np.zeros((3, 4)), full[1])
    assert find_positions(dataset, ["h"]) == Axes("t", "glat", "glon")


def test_a_dimension_gives_way_to_positions():
    """A curvilinear grid may call its dimensions lat and lon."""
    dataset = grid(b="lat", a="lon").drop_vars(["lat", "lon"])
    dataset["nav_lat"] = (("lat", "lon"), np.full((3, 4), 5.0))
    dataset["nav_lon"] = (("lat", "lon"), np.full((3, 4), 6.0))
    named, _ = name_positions(dataset, find_positions(dataset, ["h"]))
    assert named["lat"].dims == ("lat_index", "lon_index") == named["h"].dims[1:]
    assert (named["lon"] == 6).all()


def test_an_axis_without_dates_gives_way():
    """Dates beside the axis become the axis, and the numbers go."""
    dataset = grid().assign_coords(t=("t", [0.0, 1.0], {"axis": "T"}))
    dataset["dates"] = ("t", TIMES, {"standard_name": "time"})
    named, done = name_positions(dataset, find_positions(dataset, ["h"]))
    assert list(named.indexes["time"]) == list(TIMES) and "t" not in named.variables
    assert "dimension t -> time" in done


def test_the_axis_of_dates_is_preferred():
    """Other dates beside it, as of the start of a mean, are coordinates like others."""
    dataset = grid().assign(a_start=("t", TIMES, {"standard_name": "time"}))
    assert find_positions(dataset, ["h"]).time == "t"


def test_points_keep_their_dimension():
    """Along a track the dimension keeps its name, and time need not be the axis."""
    track = xr.Dataset(
        {
            "h": ("obs", [1.0, 2]),
            "t": ("obs", TIMES, {"standard_name": "time"}),
            "lon": ("obs", [1.0, 2]),
            "lat": ("obs", [1.0, 2]),
        }
    )
    axes = find_positions(track, ["h"])
    assert are_points(track, axes) and not are_points(grid(), find_positions(grid(), ["h"]))
    named, _ = name_positions(track, axes)
    assert named["time"].dims == ("obs",) and set(named.coords) == {"time", "lat", "lon"}


def test_a_swath_in_any_order():
    """Lines and pixels may be in another order for each, and time stays on the lines."""
    swath = xr.Dataset(
        {"h": (("line", "pixel"), np.zeros((2, 3)))},
        {
            "t": ("line", TIMES, {"standard_name": "time"}),
            "lon": (("line", "pixel"), np.zeros((2, 3))),
            "lat": (("pixel", "line"), np.zeros((3, 2))),
        },
    )
    named, _ = name_positions(swath, find_positions(swath, ["h"]))
    assert named["time"].dims == ("line",) and named["h"].dims == ("line", "pixel")


def test_a_mesh_is_no_track():
    """Cells of an unstructured mesh share their times."""
    mesh = xr.Dataset(
        {"h": (("time", "cell"), np.zeros((2, 3)))},
        {"time": TIMES, "lon": ("cell", [170.0, 190, 355]), "lat": ("cell", [1.0, 2, 3])},
    )
    axes = find_positions(mesh, ["h"])
    assert not are_points(mesh, axes)
    named, done = name_positions(mesh, axes)
    xr.testing.assert_equal(named, mesh)
    assert done == []


def test_shapes_that_fit_nothing():
    """A mooring has no positions along its data."""
    dataset = grid().isel(a=0, b=0)
    with pytest.raises(InvalidInputError, match="accepted are one dimension each"):
        find_positions(dataset, ["h"])
