"""The one table of the names of coordinates: what it says is what is found."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xdvarnet
from xdvarnet.grids.coords import Axes, find_axes
from xdvarnet.grids.harmonise.positions import find_positions, name_positions
from xdvarnet.grids.names import COORDINATES, DEGREES
from xdvarnet.grids.regrid.horizontal import find_horizontal

PACKAGE = Path(xdvarnet.__file__).parent
SPELLINGS = [str.lower, str.upper, str.title]


def names(use: str) -> list[tuple[str, str]]:
    """Return each coordinate with each of its names for one use."""
    return [(kind, name) for kind in COORDINATES for name in getattr(COORDINATES[kind], use)]


def maps(**renamed: str) -> xr.Dataset:
    """Return maps without any CF attribute, on coordinates with short names unless `renamed`."""
    called = {kind: COORDINATES[kind].short for kind in COORDINATES} | renamed
    time, latitude, longitude = (called[kind] for kind in ("time", "latitude", "longitude"))
    return xr.Dataset(
        {"ssh": ((time, latitude, longitude), np.zeros((2, 3, 4)))},
        {
            time: pd.date_range("2020-02-03", periods=2),
            latitude: [40.0, 41, 42],
            longitude: [10.0, 11, 12, 13],
        },
    )


@pytest.mark.parametrize("use", ["grid", "curvilinear", "product"])
def test_names_are_in_lower_case_and_mean_one_coordinate(use):
    """A name that stood for two coordinates would be found for the wrong one."""
    found = [name for _, name in names(use)]
    assert len(set(found)) == len(found)
    assert found == [name.lower() for name in found]


def test_short_names_are_those_that_products_prefer():
    """So what was harmonised is found again by the same names."""
    assert [c.product[0] for c in COORDINATES.values()] == [c.short for c in COORDINATES.values()]


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize(("kind", "name"), names("grid"))
def test_axes_of_a_grid_are_found_by_each_name(kind, name, spell):
    """Without attributes, in any case."""
    expected = Axes("time", "lat", "lon")
    found = find_axes(maps(**{kind: spell(name)}))
    assert vars(found) == vars(expected) | {kind: spell(name)}


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize(("kind", "name"), names("curvilinear"))
def test_curvilinear_positions_are_found_by_each_name(kind, name, spell):
    """Without attributes, in any case."""
    called = {"latitude": "lat", "longitude": "lon"} | {kind: spell(name)}
    rows, columns = np.meshgrid(np.arange(3.0), np.arange(4.0), indexing="ij")
    dataset = xr.Dataset(
        {"ssh": (("j", "i"), rows)},
        {
            called["latitude"]: (("j", "i"), 40 + rows + 0.1 * columns),
            called["longitude"]: (("j", "i"), 10 + columns - 0.1 * rows),
        },
    )
    assert find_horizontal(dataset).names == (called["latitude"], called["longitude"])


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize(("kind", "name"), names("product"))
def test_products_get_the_short_name_and_the_attributes(kind, name, spell):
    """Whatever the name in the product."""
    product = maps(**{kind: spell(name)})
    found = find_positions(product, ["ssh"])
    assert vars(found)[kind] == spell(name)
    named, _ = name_positions(product, found)
    assert named["ssh"].dims == ("time", "lat", "lon")
    for standard, coordinate in COORDINATES.items():
        attributes = {"standard_name": standard, "axis": coordinate.axis}
        assert named[coordinate.short].attrs == attributes | DEGREES.get(standard, {})


@pytest.mark.parametrize("kind", DEGREES)
def test_units_alone_tell_a_position(kind):
    """An axis of another name is found by the attribute that the table has."""
    dataset = maps(**{kind: "axis"})
    dataset["axis"].attrs = DEGREES[kind]
    assert vars(find_axes(dataset))[kind] == "axis"
    assert vars(find_positions(dataset, ["ssh"]))[kind] == "axis"


def test_the_advice_of_the_message_is_followed():
    """A grid without a longitude is told a name and an attribute; both help."""
    dataset = maps(longitude="where")
    with pytest.raises(xdvarnet.XdvarnetError, match="no longitude coordinate") as caught:
        find_axes(dataset)
    name, *_, units = re.findall(r"'(\w+)'", str(caught.value).split("name it ")[1])
    assert find_axes(dataset.rename(where=name)).longitude == name
    dataset["where"].attrs["units"] = units
    assert find_axes(dataset).longitude == "where"


def test_there_is_one_table():
    """No other module of the package spells a name that only the table knows."""
    only_there = {n for _, n in names("product")} | {n for _, n in names("grid")}
    only_there -= {"time", "lat", "latitude", "lon", "longitude", "x", "y"}
    pattern = re.compile(rf"[\"'`]({'|'.join(only_there)})[\"'`]", re.IGNORECASE)
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if pattern.search(path.read_text("utf-8"))
    }
    assert found == {"grids/names.py"}
