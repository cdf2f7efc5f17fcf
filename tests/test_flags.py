"""Flags of products: which points are good, and which cells are sea."""

import numpy as np
import pytest
import xarray as xr

from xdvarnet.errors import XdvarnetWarning
from xdvarnet.grids.harmonise.flags import find_sea, keep_good

BITS = [1, 2, 4, 8, 16]
OSTIA = "water land optional_lake_surface sea_ice optional_river_surface"
MUR = (
    "1=open-sea, 2=land, 5=open-lake, 9=open-sea with ice in the grid, "
    "13=open-lake with ice in the grid"
)


def flagged(values: list, name: str = "mask", **attributes: object) -> xr.Dataset:
    """Return a dataset with a flag on two maps of one row."""
    array = np.array(values, float)[None, None]
    flag = xr.DataArray(array, dims=("time", "lat", "lon"), attrs=attributes)
    coords = {"lat": [40.0], "lon": np.arange(len(values))}
    return xr.Dataset({name: xr.concat([flag, flag * np.nan], "time")}, coords)


@pytest.mark.parametrize(
    ("attributes", "sea"),
    [
        ({"flag_masks": BITS, "flag_meanings": OSTIA}, [1, 9]),
        ({"flag_masks": "1b, 2b, 4b, 8b, 16b", "flag_meanings": OSTIA}, [1, 9]),
        ({"flag_masks": BITS, "flag_values": [1, 2, 5, 9, 13], "flag_meanings": MUR}, [1, 9]),
        ({"flag_values": [1, 2, 3, 4], "flag_meanings": "sea land lake ice"}, [1, 4]),
        ({"flag_values": [0, 1], "flag_meanings": "land water"}, [1]),
    ],
)
def test_spellings_of_the_mask(attributes, sea):
    """Bits, values and the spelling of MUR give the sea with its ice, and no lakes or rivers."""
    values = [0, 1, 2, 4, 5, 9, 13, 17, np.nan]
    mask, done = find_sea(flagged(values, **attributes))
    found = [value for value, is_sea in zip(values, mask.values[0], strict=True) if is_sea]
    assert found == sea
    assert mask.dtype == bool and mask.dims == ("lat", "lon")
    assert done == ["sea = mask"]


def test_the_documented_bits_of_an_analysis():
    """The mask of a GHRSST file needs no attributes; another variable of that name does."""
    dataset = flagged([1, 2, 5, 9])
    assert find_sea(dataset) == (None, [])
    mask, _ = find_sea(dataset.assign(analysed_sst=dataset["mask"] + 280))
    assert mask.values.tolist() == [[True, False, False, True]]


@pytest.mark.parametrize(
    "attributes",
    [
        {"flag_values": [0, 1, 2], "flag_meanings": "good land rain"},
        {"flag_masks": [1, 2], "flag_meanings": "land sea_ice"},
        {"long_name": "cloud"},
    ],
)
def test_other_flags_are_no_mask(attributes):
    """Flags that do not name both water and land say nothing about the sea."""
    assert find_sea(flagged([0, 1, 2], "flag", **attributes)) == (None, [])


def test_a_mask_of_another_grid_is_left_alone():
    """The mask has to lie on latitude and longitude."""
    dataset = flagged([1, 2], flag_masks=BITS, flag_meanings=OSTIA).rename(lon="xi_u")
    assert find_sea(dataset.assign_coords(lon=[1.0, 2.0, 3.0])) == (None, [])


def test_a_mask_without_values_is_not_used():
    """A mask that is missing everywhere would make land of all."""
    mask, done = find_sea(flagged([np.nan] * 3, flag_masks=BITS, flag_meanings=OSTIA))
    assert mask is None and "no values" in done[0]


@pytest.mark.parametrize("one_is", ["sea", "land"])
def test_a_binary_mask_is_read_by_its_standard_name(one_is):
    dataset = flagged([0, 1, np.nan], standard_name=f"{one_is}_binary_mask")
    mask, done = find_sea(dataset)
    assert mask.values.tolist() == [[one_is == "land", one_is == "sea", False]]
    assert done == ["sea = mask"]


def cloudy(one_is: str, days: int = 4) -> tuple[xr.Dataset, np.ndarray]:
    """Return temperatures under clouds with a mask that has no attributes, and the sea."""
    rng = np.random.default_rng(0)
    sea = rng.random((30, 40)) > 0.3
    values = np.where(sea & (rng.random((days, 30, 40)) > 0.6), 15.0, np.nan)
    mask = sea if one_is == "sea" else ~sea
    return xr.Dataset(
        {"SST": (("time", "lat", "lon"), values), "mask": (("lat", "lon"), mask.astype("f4"))},
        {"lat": np.arange(30.0), "lon": np.arange(40.0)},
    ), sea


@pytest.mark.parametrize("one_is", ["sea", "land"])
@pytest.mark.parametrize("days", [1, 4])
def test_a_bare_mask_is_read_by_where_the_quantity_has_values(one_is, days):
    dataset, sea = cloudy(one_is, days)
    mask, done = find_sea(dataset, ["SST"])
    assert (mask.values == sea).all() and done == ["sea = mask"]
    assert (find_sea(dataset.chunk(lat=7), ["SST"])[0].values == sea).all()
    row, column = np.argwhere(~sea)[0]
    dataset["SST"][0, row, column] = 15.0  # a stray value on land
    assert (find_sea(dataset, ["SST"])[0].values == sea).all()


def test_a_mask_that_may_be_one_of_clouds_or_quality_is_left_alone():
    dataset, _ = cloudy("sea", days=1)
    clear = dataset["SST"].notnull().isel(time=0)
    assert find_sea(dataset.assign(mask=clear.astype(float)), ["SST"]) == (None, [])
    half = dataset.assign(mask=(dataset["lat"] + 0 * dataset["lon"] > 14).astype(float))
    assert find_sea(half, ["SST"]) == (None, [])  # both have values
    assert find_sea(dataset.assign(mask=dataset["mask"] + 1), ["SST"]) == (None, [])


def heights() -> xr.Dataset:
    """Return heights of three lines and four pixels."""
    dims = ("line", "pixel")
    return xr.Dataset({"ssha": (dims, np.arange(12, dtype="float32").reshape(3, 4))})


@pytest.mark.parametrize("dims", [("line", "pixel"), ("pixel", "line"), ("line",)])
def test_only_good_points_stay(dims):
    """The flag may have any order of dimensions, or some of them only; dims and dtype stay."""
    dataset = heights()
    shape = [dataset.sizes[dim] for dim in dims]
    flag = np.zeros(shape)
    flag.flat[0], flag.flat[-1] = 5, np.nan
    dataset["quality_flag"] = (dims, flag)
    kept, done = keep_good(dataset["ssha"], dataset)
    expected = dataset["ssha"].where(dataset["quality_flag"] == 0)
    np.testing.assert_array_equal(kept, expected.transpose("line", "pixel"))
    assert kept.dims == ("line", "pixel") and kept.dtype == "float32"
    assert done == ["heights where quality_flag is not 0 -> NaN"]


def test_the_meaning_good_is_read():
    """Good is what the meanings say, whatever the name of the flag."""
    dataset = heights()
    attributes = {
        "standard_name": "quality_flag",
        "flag_values": [1, 2],
        "flag_meanings": "bad good",
    }
    dataset["qual"] = ("pixel", [2, 1, 2, 2], attributes)
    kept, _ = keep_good(dataset["ssha"], dataset)
    assert kept.isnull().sum("line").values.tolist() == [0, 3, 0, 0]


def test_no_flag_no_change():
    """Without a flag on the dimensions of the heights they are returned as they are."""
    dataset = heights().assign(quality_flag=("other", [0, 1]))
    kept, done = keep_good(dataset["ssha"], dataset)
    xr.testing.assert_identical(kept, dataset["ssha"])
    assert done == []


@pytest.mark.parametrize(
    ("meanings", "name"),
    [
        ("no_data bad_land useable acceptable best_quality", "quality_level"),
        ("no_data bad_land useable acceptable best_quality", "sst_flag"),
        ("good land_contamination undersea research overseas", "flag"),
        ("water land", "sst_quality"),
    ],
)
def test_a_flag_of_quality_is_no_mask(meanings, name):
    """Words are whole, and a flag of quality says nothing about the sea."""
    values = list(range(len(meanings.split())))
    flag = flagged(values, name, flag_values=values, flag_meanings=meanings)
    assert find_sea(flag) == (None, [])


def test_inland_waters_are_no_sea():
    """As in the classification of surfaces of SWOT."""
    meanings = "open_ocean land continental_water floating_ice salted_basin inland_water"
    mask, _ = find_sea(flagged(list(range(6)), flag_values=range(6), flag_meanings=meanings))
    assert mask.values.tolist() == [[True, False, False, True, False, False]]


GHRSST = "no_data bad_data worst_quality low_quality acceptable_quality best_quality"


@pytest.mark.parametrize(
    ("name", "attributes", "good"),
    [
        ("quality_level", {"flag_values": range(6), "flag_meanings": GHRSST}, [4, 5]),
        ("quality_level", {}, [4, 5]),
        ("qual_sst", {}, [0, 1]),
        (
            "quality_level",
            {"flag_values": [0, 1, 2, 3], "flag_meanings": "unprocessed bad useable best_quality"},
            [2, 3],
        ),
        (
            "l2_quality",
            {
                "standard_name": "quality_flag",
                "flag_values": [1, 2],
                "flag_meanings": "not_good good",
            },
            [2],
        ),
    ],
)
def test_temperatures_of_low_quality_are_left_out(name, attributes, good):
    """By the meanings, or by what the documents of the products say."""
    dims, values = ("line", "pixel"), np.arange(6.0).reshape(2, 3)
    dataset = xr.Dataset({"sst": (dims, 15 + values), name: (dims, values, attributes)})
    kept, done = keep_good(dataset["sst"], dataset, temperature=True)
    assert sorted(kept.values[np.isfinite(kept.values)] - 15) == good
    assert done == [f"temperatures where {name} is not {' or '.join(map(str, good))} -> NaN"]


def test_nothing_good_is_said():
    """All missing is no result to be silent about."""
    dataset = xr.Dataset({"sst": ("x", [1.0, 2.0]), "quality_level": ("x", [3, 3])})
    with pytest.warns(XdvarnetWarning, match="no value of 'sst' is good: 'quality_level' is no"):
        kept, _ = keep_good(dataset["sst"], dataset, temperature=True)
    assert kept.isnull().all()
    assert keep_good(dataset["sst"], dataset)[1] == []  # a level of temperatures, not of heights
