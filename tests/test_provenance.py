"""What files say of themselves: the maker, the inputs, and nothing of how the inputs were kept."""

import warnings

import numpy as np
import pytest
import xarray as xr

import xdvarnet
from xdvarnet import diagnostics
from xdvarnet.grids.provenance import derived, lasting
from xdvarnet.observing import CloudySST

PRODUCER = {
    "title": "DT Cryosat-2 Global Ocean Along track L3 product",
    "institution": "CLS, CNES",
    "contact": "servicedesk@somewhere",
    "creator_name": "a center",
    "product_version": "2019",
    "geospatial_lat_resolution": 0.125,
    "date_created": "2019-01-01",
    "references": "http://marine.copernicus.eu",
    "source": "Cryosat-2 measurements",
    "processing_level": "L3",
    "comment": "as delivered",
    "license": "free",
}
STORAGE = {
    "scale_factor": 1e-4,
    "add_offset": 0.0,
    "_FillValue": -32768,
    "missing_value": -32768,
    "valid_min": -15000,
    "valid_max": 15000,
    "valid_range": [-15000, 15000],
    "actual_range": [-1.0, 1.0],
    "cell_methods": "time: mean (interval: 1 s)",
    "ancillary_variables": "adt_quality",
}
HEIGHT = {"units": "m", "standard_name": "sea_surface_height_above_geoid"}
DAYS = np.datetime64("2020-02-01", "ns") + np.arange(4) * np.timedelta64(1, "D")
NORTH = {"standard_name": "latitude", "units": "degrees_north"}
EAST = {"standard_name": "longitude", "units": "degrees_east"}
OI = xdvarnet.OptimalInterpolation(
    "ssh", correlation_length="100 km", correlation_time="10 days", noise=0.02
)


def truth() -> xr.Dataset:
    """Return maps as a producer gives them, decoded, with attributes of their packing."""
    rng = np.random.default_rng(0)
    axes = {
        "time": ("time", DAYS, {"standard_name": "time"}),
        "lat": ("lat", 36 + 0.25 * np.arange(9), NORTH),
        "lon": ("lon", 2 + 0.25 * np.arange(12), EAST),
    }
    field = 0.1 * rng.normal(size=(4, 9, 12)).cumsum(-1)
    return xr.Dataset({"ssh": (("time", "lat", "lon"), field, HEIGHT | STORAGE)}, axes, PRODUCER)


def track() -> xr.Dataset:
    """Return points of a producer inside the maps."""
    rng = np.random.default_rng(1)
    time = np.datetime64("2020-02-01", "ns") + np.arange(300) * np.timedelta64(10, "m")
    place = {"latitude": ("time", rng.uniform(36.2, 37.8, 300))}
    place |= {"longitude": ("time", rng.uniform(2.2, 4.5, 300))}
    values = ("time", 0.1 * rng.normal(size=300), HEIGHT | STORAGE)
    return xr.Dataset({"ssh": values}, {"time": time} | place, PRODUCER)


def gappy() -> xr.Dataset:
    dataset = truth()
    dataset["ssh"].values[np.random.default_rng(2).random((4, 9, 12)) < 0.6] = np.nan
    return dataset


RESULTS = {
    "reconstruct": lambda: gappy().dvarnet.reconstruct(OI),
    "condition": lambda: xdvarnet.SPDEField(
        correlation_length="100 km", correlation_time=10, std=0.1, noise=0.02
    ).condition(gappy()),
    "bin": lambda: track().dvarnet.bin_tracks(truth()),
    "maps of bins": lambda: track().dvarnet.bin_tracks(truth()).dvarnet.reconstruct(OI),
    "geostrophic": lambda: truth().dvarnet.geostrophic(),
    "to_duacs": lambda: truth().dvarnet.to_duacs(),
    "to_duacs of maps": lambda: gappy().dvarnet.reconstruct(OI).dvarnet.to_duacs(),
    "observe": lambda: truth().dvarnet.observe(["jason1", "envisat", "gfo"], noise=0.02, rng=0),
    "clouds": lambda: CloudySST(noise=0.1, cover=0.3).observe(truth(), rng=0),
    "sample": lambda: truth().dvarnet.sample_tracks(track()),
}
"""What is made of a product."""

ELSEWHERE = {
    "regrid": lambda: truth().dvarnet.regrid(truth().isel(lat=slice(2, 6), lon=slice(2, 6))),
}
"""The product on another grid, whose cell methods still hold."""

SCORES = {
    "score": lambda: gappy().isel(lat=slice(1, 8)).dvarnet.score(truth()),
    "evaluate": lambda: xdvarnet.geostrophic(truth()).pipe(diagnostics.eddy_kinetic_energy),
}


@pytest.mark.parametrize("make", (RESULTS | ELSEWHERE).values(), ids=RESULTS | ELSEWHERE)
@pytest.mark.filterwarnings("ignore::xdvarnet.XdvarnetWarning")
def test_a_result_names_its_inputs_and_not_their_producer_as_its_own(make):
    found = make()
    for name in set(PRODUCER) - {"references", "source", "license", "processing_level"}:
        assert PRODUCER[name] != found.attrs.get(name)
    assert found.attrs.get("processing_level") != "L3"
    assert "DT Cryosat-2 Global Ocean Along track L3 product (CLS, CNES)" in found.attrs["source"]
    assert found.attrs["references"] == "http://marine.copernicus.eu"
    assert found.attrs["license"] == "free"
    assert f"xdvarnet {xdvarnet.__version__}" in found.attrs["history"]
    if "xdvarnet_model" in found.attrs:
        assert f"of xdvarnet {xdvarnet.__version__}, from " in found.attrs["source"]
        assert found.attrs["title"].endswith(" analysis")


@pytest.mark.parametrize("make", RESULTS.values(), ids=RESULTS)
@pytest.mark.filterwarnings("ignore::xdvarnet.XdvarnetWarning")
def test_nothing_of_packing_and_ranges_passes_on(make, tmp_path):
    """Nor do values change where the result is written and read again."""
    found = make()
    for name, array in found.data_vars.items():
        kept = {key for key in STORAGE if key in array.attrs}
        own = {"cell_methods"} if name == "ssh" and "history" in found.attrs else set()
        assert kept - own <= {"ancillary_variables"}
        assert array.attrs.get("cell_methods") != STORAGE["cell_methods"]
        assert array.attrs.get("ancillary_variables") != STORAGE["ancillary_variables"]
    found.to_netcdf(tmp_path / "result.nc")
    with xr.open_dataset(tmp_path / "result.nc") as read:
        for name, array in found.data_vars.items():
            np.testing.assert_allclose(read[name], array, atol=6e-5)


def test_a_title_of_ones_own_is_kept():
    """What is written over the title of maps is theirs, and goes into the product."""
    maps = gappy().dvarnet.reconstruct(OI).assign_attrs(title="My maps", institution="Mine")
    product = maps.dvarnet.to_duacs()
    assert (product.attrs["title"], product.attrs["institution"]) == ("My maps", "Mine")


def test_sources_are_told_in_any_form():
    assert derived({"source": "models"}, "a")["source"] == "models"
    assert derived({"institution": "CLS"}, "a", "x")["source"] == "x, from CLS"
    assert derived({}, "a", "x")["source"] == "x" and "source" not in derived({}, "a")
    assert derived({"creator_url": "http://u", "Platform": "p"}, "a")["references"] == "http://u"
    assert lasting({"units": "m", "valid_min": 0, "own": 1}) == {"units": "m", "own": 1}


@pytest.mark.parametrize("name", ["reconstruct", "bin", "to_duacs of maps"])
@pytest.mark.filterwarnings("ignore")
def test_the_checkers_of_cf_and_acdd_find_no_error(name, tmp_path):
    """Of CF nothing at all; of ACDD nothing that it highly recommends, for a product."""
    runner = pytest.importorskip("compliance_checker.runner")
    path, report = tmp_path / "result.nc", tmp_path / "report.txt"
    RESULTS[name]().to_netcdf(path)
    runner.CheckSuite.load_all_available_checkers()
    checks = ["cf:1.8", "acdd:1.3"] if "duacs" in name else ["cf:1.8"]
    for check in checks:
        runner.ComplianceChecker.run_checker(
            str(path), [check], 1, "normal", output_filename=str(report), output_format=["text"]
        )
        found = report.read_text()
        assert "Errors" not in found and "Highly Recommended" not in found, found
        assert check != "cf:1.8" or "All tests passed" in found, found


@pytest.mark.parametrize("make", (RESULTS | SCORES).values(), ids=RESULTS | SCORES)
@pytest.mark.parametrize(
    "options",
    [{"arithmetic_join": join} for join in ("left", "outer", "exact")]
    + [{"keep_attrs": keep} for keep in (True, False)],
    ids=str,
)
def test_options_of_the_user_change_no_result(make, options):
    """How xarray joins and labels is set for a whole session, by whoever wants it so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = make()
        with xr.set_options(**options):
            dataset = make()
    xr.testing.assert_identical(dataset, expected)
