"""The one call that scores: each kind is the function of its name, on the right reference."""

import inspect

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.metrics.challenges import ose2021a, osse2020a
from xdvarnet.metrics.regimes import ose2023a
from xdvarnet.metrics.scores import mu, rmse
from xdvarnet.metrics.table import score

pytestmark = pytest.mark.filterwarnings("ignore:the effective resolution")
KINDS = {"osse2020a": osse2020a, "ose2021a": ose2021a, "ose2023a": ose2023a}


@pytest.fixture
def reference() -> xr.Dataset:
    """Return eight days of a field of 10 x 13 cells, `ssh` and `sla`."""
    rng = np.random.default_rng(51)
    coords = {
        "time": pd.date_range("2017-01-01", periods=8),
        "lat": 36 + 0.25 * np.arange(10),
        "lon": -1 + 0.25 * np.arange(13),
    }
    values = 0.3 + 0.1 * rng.normal(size=(8, 10, 13))
    arrays = {
        "ssh": (("time", "lat", "lon"), values, {"units": "m"}),
        "sla": (("time", "lat", "lon"), values - 0.3, {"units": "m"}),
    }
    return xr.Dataset(arrays, coords)


@pytest.fixture
def maps(reference) -> xr.Dataset:
    """Return the reference with an error."""
    rng = np.random.default_rng(52)
    return reference.map(lambda a: a + 0.03 * rng.normal(size=a.shape), keep_attrs=True)


@pytest.fixture
def tracks() -> xr.Dataset:
    """Return 160 points on four days, `ssh` and `sla`."""
    rng = np.random.default_rng(53)
    pieces = [np.arange(40) + 86400 * day + 5000 for day in range(4)]
    time = pd.Timestamp("2017-01-02") + pd.to_timedelta(np.concatenate(pieces), "s")
    values = 0.1 * rng.normal(size=160)
    return xr.Dataset(
        {"ssh": ("time", 0.3 + values, {"units": "m"}), "sla": ("time", values, {"units": "m"})},
        {
            "time": time,
            "longitude": ("time", np.tile(np.linspace(-0.5, 1.5, 40), 4)),
            "latitude": ("time", np.tile(np.linspace(36.4, 37.9, 40), 4)),
        },
    )


def test_each_kind_is_its_function(maps, reference, tracks):
    for kind, function in KINDS.items():
        name = "sla" if kind == "ose2023a" else "ssh"
        if kind == "osse2020a":
            expected = function(maps[name], reference[name])
            found = score(maps, reference, kind=kind)
        else:
            expected = function(maps[name], tracks)
            found = score(maps, tracks, kind=kind)
        xr.testing.assert_identical(found, expected)


def test_the_variable_of_the_maps_can_have_another_name(maps, reference, tracks):
    renamed = maps.rename(ssh="c2")
    expected = score(maps, tracks, kind="ose2021a")
    xr.testing.assert_identical(score(renamed, tracks, variable="c2", kind="ose2021a"), expected)
    found = score(renamed, reference.rename(ssh="c2"), variable="c2", kind="osse2020a")
    xr.testing.assert_identical(found, score(maps, reference, kind="osse2020a"))
    for kind, given in (("ose2021a", tracks), ("osse2020a", reference)):
        with pytest.raises(UnknownNameError, match="'ssh' is missing"):
            score(renamed, given, kind=kind)


def test_gridded_scores_are_the_default(maps, reference):
    found = score(maps, reference, variable="ssh")
    xr.testing.assert_identical(score(maps, reference, variable="ssh", kind="gridded"), found)
    assert float(found["rmse"]) == float(rmse(maps["ssh"], reference["ssh"]))
    assert float(found["mu"]) == float(mu(maps["ssh"], reference["ssh"]))
    assert float(found["mu"]) == float(score(maps, reference, kind="osse2020a")["mu"])
    assert list(inspect.signature(score).parameters) == ["maps", "reference", "variable", "kind"]


@pytest.mark.parametrize("kind", ["gridded", "osse2020a"])
def test_tracks_are_refused_by_kinds_for_grids(kind, maps, tracks):
    complaint = f"kind='{kind}' scores against maps.*give kind='ose2021a' or kind='ose2023a'"
    for given in (tracks, tracks.reset_coords(["longitude", "latitude"])):
        with pytest.raises(InvalidInputError, match=complaint):
            score(maps, given, kind=kind)


@pytest.mark.parametrize("kind", ["ose2021a", "ose2023a"])
def test_grids_are_refused_by_kinds_for_tracks(kind, maps, reference):
    complaint = f"kind='{kind}' scores against tracks.*give kind='gridded' or kind='osse2020a'"
    with pytest.raises(InvalidInputError, match=complaint):
        score(maps, reference, kind=kind)


def test_tracks_are_no_maps(tracks):
    with pytest.raises(InvalidInputError, match="points along a track, where a grid is meant"):
        score(tracks, tracks, kind="ose2021a")


def test_what_cannot_be_scored(maps, reference):
    with pytest.raises(UnknownNameError, match="kind of score 'ose'; known are gridded, ose2021a"):
        score(maps, reference, kind="ose")
    with pytest.raises(InvalidTypeError, match="expected an xarray Dataset"):
        score(maps, reference["ssh"], kind="osse2020a")
    with pytest.raises(InvalidTypeError, match="to_dataset"):
        score(maps["ssh"], reference, kind="osse2020a")


def test_a_raw_product_is_refused_and_scored_once_harmonised(maps, reference):
    """Its height has another name and would be left out; the anomaly alone would be scored."""
    raw = reference.rename(ssh="adt").assign_coords(reference.coords)
    raw["adt"].attrs["standard_name"] = "sea_surface_height_above_geoid"
    raw = raw.assign_coords(
        lat=raw["lat"].assign_attrs(units="degrees_north"),
        lon=raw["lon"].assign_attrs(units="degrees_east"),
    )
    with pytest.raises(InvalidInputError, match=r"'ssh'.*'adt'.*reference.dvarnet.harmonise"):
        score(maps, raw)
    scores = score(maps, raw.dvarnet.harmonise())
    assert list(scores["variable"].values) == ["ssh", "sla"]


def test_heights_are_no_anomalies_for_2023a():
    """Renaming them would be off by the mean topography."""
    maps = xr.Dataset(
        {"ssh": (("time", "lat", "lon"), np.zeros((2, 3, 4)))},
        {"time": pd.date_range("2017-01-01", periods=2), "lat": [1.0, 2, 3], "lon": [1.0, 2, 3, 4]},
    )
    tracks = xr.Dataset(
        {"sla_unfiltered": ("time", [0.1])},
        {
            "time": pd.date_range("2017-01-01", periods=1),
            "longitude": ("time", [2.0]),
            "latitude": ("time", [2.0]),
        },
    )
    with pytest.raises(UnknownNameError, match="take the mean dynamic topography off"):
        score(maps, tracks, kind="ose2023a")
