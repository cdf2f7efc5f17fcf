"""Horizontal grids: found by attributes and names, with their bounds, or refused with a reason."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.coords import unit_vectors
from xdvarnet.grids.regrid.horizontal import (
    bounds_names,
    find_horizontal,
    from_vectors,
)


def curvilinear(ny: int = 4, nx: int = 5, dims=("y", "x"), **names: str) -> xr.Dataset:
    """Return a skewed grid of the given size with one variable."""
    j, i = np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij")
    coords = {"nav_lat": (dims, 40 + j + 0.1 * i), "nav_lon": (dims, 5 + 1.5 * i - 0.2 * j)}
    return xr.Dataset({"tos": (dims, 1.0 * i + j)}, coords).rename(names)


def test_axes_are_found_in_their_order():
    """A rectilinear grid keeps the order of its axes, whatever that of the dimensions."""
    dataset = xr.Dataset(
        {"ssh": (("lon", "time", "lat"), np.zeros((4, 2, 3)))},
        {"lat": [3.0, 2, 1], "lon": [350.0, 355, 0, 5], "time": [0, 1]},
    )
    grid = find_horizontal(dataset)
    assert grid.rectilinear and grid.dims == ("lat", "lon") and grid.shape == (3, 4)
    np.testing.assert_array_equal(grid.points[0].reshape(3, 4)[:, 0], [3, 2, 1])
    np.testing.assert_array_equal(grid.points[1].reshape(3, 4)[0], [350, 355, 0, 5])


def test_axes_may_be_no_index():
    """One-dimensional longitude and latitude on dimensions of other names are axes too."""
    dataset = xr.Dataset(
        {"ssh": (("j", "i"), np.zeros((2, 3)))}, {"lat": ("j", [1.0, 2]), "lon": ("i", [1.0, 2, 3])}
    )
    assert find_horizontal(dataset).dims == ("j", "i")


@pytest.mark.parametrize("names", [{}, {"nav_lat": "lat_rho", "nav_lon": "lon_rho"}])
def test_two_dimensional_positions_are_found_by_name(names):
    """NEMO's and ROMS's names do without attributes, as coordinates or as variables."""
    dataset = curvilinear(**names)
    for given in (dataset, dataset.reset_coords()):
        grid = find_horizontal(given)
        assert not grid.rectilinear and grid.dims == ("y", "x") and grid.shape == (4, 5)


def test_two_dimensional_positions_are_found_by_attributes():
    """CF attributes come before names, and axes in metres are no positions."""
    dataset = curvilinear(nav_lat="phi", nav_lon="lam").assign_coords(
        x=("x", 1e5 * np.arange(5), {"standard_name": "projection_x_coordinate"}),
        y=("y", 1e5 * np.arange(4), {"standard_name": "projection_y_coordinate"}),
    )
    dataset["phi"].attrs["standard_name"] = "latitude"
    dataset["lam"].attrs["units"] = "degrees_east"
    assert find_horizontal(dataset).names == ("phi", "lam")


def test_latitude_and_longitude_in_other_orders_agree():
    """Longitude is brought to the order of latitude."""
    dataset = curvilinear()
    turned = dataset.assign_coords(nav_lon=dataset["nav_lon"].variable.T)
    np.testing.assert_array_equal(
        find_horizontal(turned).longitude, find_horizontal(dataset).longitude
    )


def test_the_grid_that_carries_data_is_taken():
    """Of several staggered grids, that of the variables; of several with variables, none."""
    roms = xr.merge(
        [
            curvilinear(4, 5, ("eta_rho", "xi_rho"), nav_lat="lat_rho", nav_lon="lon_rho"),
            curvilinear(4, 4, ("eta_u", "xi_u"), nav_lat="lat_u", nav_lon="lon_u", tos="u"),
        ]
    )
    for name in ("lat_rho", "lat_u", "lon_rho", "lon_u"):
        units = "degree_north" if "lat" in name else "degree_east"
        roms[name].attrs["units"] = units
    with pytest.raises(InvalidInputError, match="several grids.*lat_rho.*lat_u.*select"):
        find_horizontal(roms)
    assert find_horizontal(roms.drop_vars("u")).dims == ("eta_rho", "xi_rho")
    assert find_horizontal(roms[["u"]]).dims == ("eta_u", "xi_u")


def test_nominal_axes_are_not_taken():
    """Axes that only stand for the rows and columns of a tripolar grid give way to positions."""
    dataset = curvilinear(nav_lat="geolat", nav_lon="geolon").assign_coords(
        y=("y", np.arange(40.0, 44), {"units": "degrees_north"}),
        x=("x", np.arange(5.0, 10), {"units": "degrees_east"}),
    )
    assert find_horizontal(dataset.drop_vars(["geolat", "geolon"])).rectilinear
    dataset["geolat"].attrs["units"] = "degrees_north"
    dataset["geolon"].attrs["units"] = "degrees_east"
    for given in (dataset, dataset.reset_coords(["geolat", "geolon"])):
        assert find_horizontal(given).names == ("geolat", "geolon")


def with_bounds(dataset: xr.Dataset, shape: tuple = (4, 5, 4), **options) -> xr.Dataset:
    """Add bounds whose values do not matter to the curvilinear dataset."""
    dims = options.get("dims", ("y", "x", "nvertex"))
    for name in ("nav_lat", "nav_lon"):
        dataset[name].attrs["bounds"] = f"{name}_bounds"
        values = np.arange(float(np.prod(shape))).reshape(shape)
        dataset[f"{name}_bounds"] = (dims, values)
    return dataset


def test_bounds_are_found():
    """By the CF attribute, with the vertices brought to the end; also from the encoding."""
    dataset = with_bounds(curvilinear())
    assert bounds_names(dataset) == {"nav_lat_bounds", "nav_lon_bounds"}
    expected = dataset["nav_lat_bounds"].values
    turned = dataset.transpose("nvertex", "y", "x")
    for given in (dataset, turned):
        np.testing.assert_array_equal(find_horizontal(given).bounds[0], expected)
    for name in ("nav_lat", "nav_lon"):
        dataset[name].encoding["bounds"] = dataset[name].attrs.pop("bounds")
    assert find_horizontal(dataset).bounds is not None
    assert find_horizontal(dataset.drop_vars("nav_lon_bounds")).bounds is None


def test_wrong_bounds_are_refused():
    """Bounds need one more dimension, of the vertices."""
    wrong = with_bounds(curvilinear(), (4, 5), dims=("y", "x"))
    with pytest.raises(InvalidInputError, match="nav_lat_bounds.*must have"):
        find_horizontal(wrong)


def test_vectors_are_inverted():
    """Degrees to vectors and back is the identity."""
    latitude, longitude = np.array([-80.0, 0, 12, 89.9]), np.array([-170.0, 0, 30, 179])
    back = from_vectors(3 * unit_vectors(latitude, longitude))
    np.testing.assert_allclose(back, [latitude, longitude], atol=1e-12)


def test_missing_positions_are_known():
    """A NaN in either position leaves the point without one."""
    dataset = curvilinear()
    dataset["nav_lon"][1, 2] = np.nan
    placed = find_horizontal(dataset).placed.reshape(4, 5)
    assert not placed[1, 2] and placed.sum() == 19


TRACK = xr.Dataset(
    coords={
        "time": pd.date_range("2020", periods=3),
        "lat": ("time", [1.0, 2, 3]),
        "lon": ("time", [1.0, 2, 3]),
    }
)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (TRACK, "points along a track.*sample_tracks.*bin_tracks"),
        (xr.Dataset({"a": ("x", [1.0])}), "no latitude"),
        (curvilinear().isel(x=0), "points along a track"),
        (curvilinear().isel(x=0, y=0), "has dimensions"),
        (xr.Dataset(coords={"lat": [10.0, 200], "lon": [1.0, 2]}), "swapped"),
    ],
)
def test_what_is_no_grid_is_refused(dataset, message):
    """Each message says what was found and what to do."""
    with pytest.raises(InvalidInputError, match=message):
        find_horizontal(dataset)


def test_impossible_positions_are_refused():
    """Swapped axes, fill values, zeros on land and no values at all."""
    swapped = curvilinear()
    swapped["nav_lat"] = swapped["nav_lat"] + 100
    with pytest.raises(InvalidInputError, match="'nav_lat' goes from 140 to.*swapped"):
        find_horizontal(swapped)
    zeros = curvilinear()
    for name in ("nav_lat", "nav_lon"):
        zeros[name] = zeros[name].where(zeros["tos"] > 2, 0.0)
    with pytest.raises(InvalidInputError, match="6 points.*0 N, 0 E.*mesh"):
        find_horizontal(zeros)
    nothing = curvilinear()
    nothing["nav_lon"] = nothing["nav_lon"] * np.nan
    with pytest.raises(InvalidInputError, match="'nav_lon' has no finite"):
        find_horizontal(nothing)


def test_units_of_positions_are_read():
    """Degrees in any spelling, radians, and nothing else, for axes and curved grids."""
    axes = xr.Dataset(coords={"lat": [30.0, 31], "lon": [5.0, 6, 7]})
    for given in (axes, curvilinear()):
        names = find_horizontal(given).names
        for units in (("degrees",) * 2, ("degree_north", "degree_east"), ("radians",) * 2):
            written = given.copy(deep=True)
            for name, unit in zip(names, units, strict=True):
                values = np.deg2rad(given[name]) if unit == "radians" else given[name]
                written[name] = values.assign_attrs(units=unit)
            found = find_horizontal(written)
            np.testing.assert_allclose(found.points, find_horizontal(given).points, rtol=1e-12)
        written[names[0]].attrs["units"] = "km"
        with pytest.raises(InvalidInputError, match=f"{names[0]!r} has the units 'km'.*degrees"):
            find_horizontal(written)


def test_bounds_have_the_units_of_their_coordinate():
    """As CF has it, unless they have their own."""
    axes = xr.Dataset(coords={"lat": [0.5, 0.6], "lon": [0.1, 0.2, 0.3]})
    for name, units in (("lat", "radian"), ("lon", "radian")):
        axes[name].attrs = {"units": units, "bounds": f"{name}_bnds"}
        sides = axes[name].values[:, None] + [-0.05, 0.05]
        axes[f"{name}_bnds"] = ((name, "nv"), sides)
    axes["lon_bnds"] = np.rad2deg(axes["lon_bnds"]).assign_attrs(units="degrees_east")
    latitude, longitude = find_horizontal(axes).bounds
    np.testing.assert_allclose(latitude, np.rad2deg([[0.45, 0.55], [0.55, 0.65]]))
    np.testing.assert_allclose(longitude[0], np.rad2deg([0.05, 0.15]))


def test_moving_positions_are_refused():
    """Positions that change in time are for one time each."""
    moving = curvilinear()
    moving["nav_lat"] = moving["nav_lat"].expand_dims(time=2)
    moving["nav_lon"] = moving["nav_lon"].expand_dims(time=2)
    with pytest.raises(InvalidInputError, match=r"dataset.isel\(time=0\)"):
        find_horizontal(moving)


def test_only_datasets_are_accepted():
    """A DataArray is told how to become one."""
    with pytest.raises(InvalidTypeError, match="to_dataset"):
        find_horizontal(curvilinear()["tos"])
