"""Laws that all scores of ensembles share: what is compared, in what units, and when."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from ensembles_of_tests import DIMS, brute_crps, gappy_members, gappy_truth

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.metrics.calibration import (
    add_observation_noise,
    coverage,
    gaussian_pit,
    probability_integral_transform,
    rank_flatness,
    rank_histogram,
    spread_error_spectra,
    spread_skill_ratio,
)
from xdvarnet.metrics.proper_scores import energy_score, fair_crps, gaussian_crps
from xdvarnet.tracks.sample import sample_tracks

pytest.importorskip("scores")

REDUCED = {
    "ratio": spread_skill_ratio,
    "ranks": lambda members, truth, **dim: rank_histogram(members, truth, rng=3, **dim),
    "coverage": lambda members, truth, **dim: coverage(members, truth, level=0.6, **dim),
    "crps": fair_crps,
    "energy": lambda members, truth, dim=("time", "lat", "lon"): energy_score(
        members, truth, dim=dim
    ),
}
each_score = pytest.mark.parametrize("function", REDUCED.values(), ids=REDUCED)


@pytest.fixture
def truth():
    return gappy_truth()


@pytest.fixture
def members():
    return gappy_members()


@each_score
def test_the_order_of_members_changes_nothing(function, members, truth):
    mixed = members.isel(member=[4, 0, 6, 2, 1, 5, 3])
    xr.testing.assert_allclose(function(mixed, truth), function(members, truth))


@each_score
def test_missing_cells_are_left_out(function, members, truth):
    """A gap in the truth or in one member is as good as one in all."""
    known = (members - truth).notnull().all("member")
    everywhere = function(members.where(known), truth.where(known))
    xr.testing.assert_identical(function(members, truth), everywhere)
    changed = members.where(known, 99.0)
    xr.testing.assert_identical(function(changed, truth.where(known)), everywhere)


@each_score
def test_nothing_to_compare(function, members, truth):
    found = function(members.where(members.member < 0), truth)
    assert (found == 0).all() if "rank" in found.dims else np.isnan(found)


@each_score
@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.isel(lat=slice(None, None, -1)),
        lambda a: a.transpose("lon", ..., "time"),
        lambda a: a.assign_coords(lon=a.lon % 360).sortby("lon"),
        lambda a: a.assign_coords(time=a.time.astype("datetime64[us]")),
        lambda a: a.rename(lat="latitude", lon="longitude"),
        lambda a: (100 * a).assign_attrs(units="cm"),
    ],
    ids=["descending", "transposed", "0..360", "us", "names", "cm"],
)
def test_the_same_grid_written_otherwise(function, change, members, truth):
    """Members on another form of the grid are compared in that of the truth."""
    xr.testing.assert_allclose(function(change(members), truth), function(members, truth))


@pytest.mark.parametrize("dim", ["time", ("lat", "lon")])
@each_score
def test_lazy_equals_eager(function, dim, members, truth):
    dask = pytest.importorskip("dask")
    chunks = {"member": 3, "time": 2, "lat": 4}
    expected = function(members, truth, dim=dim)
    assert set(expected.dims) - {"rank"} == {*DIMS[1:]} - {*([dim] if dim == "time" else dim)}
    with dask.config.set(scheduler=_refuse):
        both = function(members.chunk(chunks), truth.chunk(time=3), dim=dim)
        one = function(members.chunk(chunks), truth, dim=dim)
    for found in (both, one):
        assert found.chunks is not None
        xr.testing.assert_allclose(found.compute(), expected)
        assert found.attrs == expected.attrs


def test_functions_that_do_not_reduce_are_lazy(members, truth):
    dask = pytest.importorskip("dask")
    mean, std = members.mean("member"), members.std("member")
    lazy = [array.chunk(time=2, lat=4) for array in (mean, std, members, truth)]
    with dask.config.set(scheduler=_refuse):
        found = [
            gaussian_crps(lazy[0], lazy[1], lazy[3], dim="time"),
            gaussian_pit(lazy[0], lazy[1], lazy[3]),
            probability_integral_transform(lazy[2], lazy[3], rng=1),
            rank_flatness(rank_histogram(lazy[2], lazy[3], rng=1)),
            add_observation_noise(lazy[2], 0.1, rng=1),
        ]
    expected = [
        gaussian_crps(mean, std, truth, dim="time"),
        gaussian_pit(mean, std, truth),
        probability_integral_transform(members, truth, rng=1),
        rank_flatness(rank_histogram(members, truth, rng=1)),
        add_observation_noise(members, 0.1, rng=1),
    ]
    assert found[-1].chunks == lazy[2].chunks
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.chunks is not None
        xr.testing.assert_allclose(ours.compute(), theirs)
        xr.testing.assert_equal(ours.compute(), ours.compute())


def _refuse(*args, **kwargs):
    raise AssertionError("something was computed")


def test_units_are_those_of_the_truth(members, truth):
    centimetres = (100 * truth).assign_attrs(units="cm")
    for function in (fair_crps, lambda *pair: energy_score(*pair, dim=DIMS[1:])):
        found = function(members, centimetres)
        assert found.attrs["units"] == "cm"
        assert float(found) == pytest.approx(100 * float(function(members, truth)))
    for function in (spread_skill_ratio, coverage, rank_histogram):
        found = function(members, centimetres)
        assert found.attrs["units"] == "1"
        xr.testing.assert_allclose(found, function(members, truth))
    mean, std = members.mean("member").assign_attrs(units="m"), 0.1 + 0 * truth
    expected = 100 * gaussian_crps(mean, std.assign_attrs(units="m"), truth)
    found = gaussian_crps(mean, std.assign_attrs(units="m"), centimetres)
    assert float(found) == pytest.approx(float(expected))
    assert found.attrs["units"] == "cm"


def test_arguments_are_untouched(members, truth):
    before = members.copy(deep=True), truth.copy(deep=True)
    for function in (*REDUCED.values(), probability_integral_transform, spread_error_spectra):
        function(members, truth)
    add_observation_noise(members, 0.1)
    xr.testing.assert_identical(members, before[0])
    xr.testing.assert_identical(truth, before[1])


@pytest.fixture
def track() -> xr.DataArray:
    """Return measurements along passes of two missions; two points have one time."""
    seconds = np.array([0, 1, 2, 2, 3, 4, 90, 91, 92])
    time = np.datetime64("2005-06-10T06:00:00", "ns") + seconds * np.timedelta64(1, "s")
    coords = {
        "time": time,
        "lat": ("time", 36 + 0.06 * np.arange(9)),
        "lon": ("time", -1 + 0.02 * np.arange(9)),
    }
    values = np.random.default_rng(10).normal(size=9)
    return xr.DataArray(values, coords, ["time"], attrs={"units": "m"})


def test_points_of_tracks(track):
    """They are compared one by one, not where times are near to each other."""
    rng = np.random.default_rng(11)
    values = rng.normal(size=(4, 9))
    members = xr.DataArray(values, track.coords, ("member", "time"), attrs={"units": "m"})
    expected = np.mean([brute_crps(x, y) for x, y in zip(values.T, track.values, strict=True)])
    assert float(fair_crps(members, track)) == pytest.approx(expected)
    if pd.__version__ >= "3":  # older versions of pandas hold equal times to be unequal
        coarser = members.assign_coords(time=members.time.astype("datetime64[us]"))
        assert float(fair_crps(coarser, track)) == pytest.approx(expected)
    swath = [array.expand_dims(across=2) for array in (members, track)]
    assert float(fair_crps(*swath)) == pytest.approx(expected)
    for other in (track[1:], track.assign_coords(time=track.time + np.timedelta64(1, "s"))):
        with pytest.raises(InvalidInputError, match="at other points.*Select the same points"):
            fair_crps(members, other)


def test_a_withheld_altimeter(shared_data):
    """Members made from real maps, at the points of Cryosat-2, in centimetres."""
    with (
        xr.open_dataset(shared_data("oi_gulfstream_201701.nc")) as maps,
        xr.open_dataset(shared_data("dt_gulfstream_c2_phy_l3_20161220_20170126.nc")) as tracks,
    ):
        draws = np.random.default_rng(15).normal(size=(6, *maps["c2"].shape))
        ensemble = (maps["c2"] + 0.05 * xr.DataArray(draws, dims=DIMS)).assign_attrs(units="m")
        members = sample_tracks(ensemble.to_dataset(name="ssh"), tracks)["ssh"]
        measured = 100 * (tracks["sla_unfiltered"] + tracks["mdt"] - tracks["lwe"]).load()
    measured.attrs = {"units": "cm"}
    noisy = add_observation_noise(members, 0.03, rng=16)
    pairs = zip(100 * noisy.values.T, measured.values, strict=True)
    known = [(x, y) for x, y in pairs if np.isfinite(x).all() and np.isfinite(y)]
    assert 400 < len(known) < 905
    crps = fair_crps(noisy, measured)
    assert float(crps) == pytest.approx(np.mean([brute_crps(x, y) for x, y in known]))
    assert int(rank_histogram(noisy, measured).sum()) == len(known)
    assert float(coverage(noisy, measured)) > float(coverage(members, measured))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda m, t: (m.rename(member="realization"), t),
            InvalidInputError,
            "no 'member'; rename",
        ),
        (lambda m, t: (m[:1], t), InvalidInputError, "has size 1; give at least 2"),
        (lambda m, t: (m, m), InvalidInputError, "arguments swapped"),
        (lambda m, t: (m.to_dataset(), t), InvalidTypeError, "got Dataset; select one variable"),
        (lambda m, t: (m, t.values), InvalidTypeError, "got ndarray"),
        (lambda m, t: (m, t.assign_attrs(units="degC")), InvalidInputError, "do not convert"),
        (lambda m, t: (m, t.assign_coords(lat=t.lat + 40)), InvalidInputError, "no latitude in"),
        (lambda m, t: (m.isel(time=0, lat=0), t), InvalidInputError, "sample maps with"),
    ],
    ids=["member", "one", "swapped", "dataset", "numpy", "units", "region", "points"],
)
@each_score
def test_wrong_input(function, change, error, message, members, truth):
    if message == "sample maps with":
        members = members.rename(lat="row", lon="column").drop_vars(["row", "column"])
        with pytest.raises(error, match=message):
            function(members.isel(row=0), truth)
        return
    with pytest.raises(error, match=message):
        function(*change(members, truth))


@pytest.mark.parametrize("dim", ["depth", ("time", "member")])
@each_score
def test_wrong_dims(function, dim, members, truth):
    with pytest.raises(InvalidInputError, match=r"choose from \['time', 'lat', 'lon'\]"):
        function(members, truth, dim=dim)
