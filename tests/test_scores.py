"""Scores against hand-made references, in every order of the axes, lazily and not."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdvarnet.errors import (
    InvalidInputError,
    InvalidTypeError,
    UnknownNameError,
    XdvarnetWarning,
)
from xdvarnet.metrics.scores import (
    area_weights,
    bias,
    explained_variance,
    gradient_rmse,
    mu,
    rmse,
    sigma,
)
from xdvarnet.metrics.table import score

DIMS = ("time", "lat", "lon")
NAMES = ["rmse", "bias", "explained_variance", "mu", "sigma", "gradient_rmse"]


@pytest.fixture
def reference() -> xr.Dataset:
    """Return six days of a field with land, 9 x 12 cells, in metres."""
    rng = np.random.default_rng(11)
    values = 0.3 + 0.1 * rng.normal(size=(6, 9, 12))
    values[:, 2:4, 5:7] = np.nan
    coords = {
        "time": pd.date_range("2005-06-10", periods=6),
        "lat": 36 + 0.25 * np.arange(9),
        "lon": -1 + 0.5 * np.arange(12),
    }
    return xr.Dataset({"ssh": (DIMS, values, {"units": "m"})}, coords)


@pytest.fixture
def maps(reference) -> xr.Dataset:
    """Return the reference with an error, and a gap on one day."""
    rng = np.random.default_rng(12)
    found = reference + 0.01 + 0.03 * rng.normal(size=(6, 9, 12))
    found["ssh"][4, 7, 9] = np.nan
    found["ssh"].attrs = reference["ssh"].attrs
    return found


def by_hand(maps: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Compute the scores in loops over days, shapes (time, latitude, longitude)."""
    errors, signals, daily = [], [], []
    for day, truth in zip(maps, reference, strict=True):
        both = np.isfinite(day) & np.isfinite(truth)
        error, signal = day[both] - truth[both], truth[both]
        errors.extend(error)
        signals.extend(signal)
        daily.append(1 - np.sqrt(np.mean(error**2)) / np.sqrt(np.mean(signal**2)))
    error, signal = np.array(errors), np.array(signals)
    return {
        "rmse": np.sqrt(np.mean(error**2)),
        "bias": np.mean(error),
        "explained_variance": 1 - np.var(error) / np.var(signal),
        "mu": 1 - np.sqrt(np.mean(error**2)) / np.sqrt(np.mean(signal**2)),
        "sigma": np.std(daily),
        "n_points": error.size,
    }


def test_scores_equal_those_by_hand(maps, reference):
    found = score(maps, reference)
    expected = by_hand(maps["ssh"].values, reference["ssh"].values)
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-12), name
    assert int(found["n_points"]) == 6 * (9 * 12 - 4) - 1
    assert int(found["n_missing"]) == 1


def test_scores_equal_those_of_the_package_scores(maps, reference):
    """An independent implementation, over all dimensions and over some."""
    continuous = pytest.importorskip("scores").continuous
    ours, theirs = maps["ssh"], reference["ssh"]
    for dim in (None, "time", ["lat", "lon"]):
        options = {"reduce_dims": "all" if dim is None else dim}
        np.testing.assert_allclose(
            rmse(ours, theirs, dim=dim), continuous.rmse(ours, theirs, **options)
        )
        np.testing.assert_allclose(
            bias(ours, theirs, dim=dim), continuous.additive_bias(ours, theirs, **options)
        )
    weights = area_weights(reference)
    np.testing.assert_allclose(
        rmse(ours, theirs, weights=weights),
        continuous.rmse(ours, theirs, reduce_dims="all", weights=weights),
    )


def test_gradient_equals_loops_over_cells(maps, reference):
    error = (maps["ssh"] - reference["ssh"]).values
    latitude, longitude = reference["lat"].values, reference["lon"].values
    squares = []
    for t in range(6):
        for j in range(1, 8):
            for i in range(1, 11):
                radius = 6371 * np.cos(np.radians(latitude[j]))
                dx = radius * np.radians(longitude[i + 1] - longitude[i - 1])
                dy = 6371 * np.radians(latitude[j + 1] - latitude[j - 1])
                east = (error[t, j, i + 1] - error[t, j, i - 1]) / dx
                north = (error[t, j + 1, i] - error[t, j - 1, i]) / dy
                if np.isfinite(east + north):
                    squares.append((100 * east) ** 2 + (100 * north) ** 2)
    expected = np.sqrt(np.mean(squares))
    assert float(gradient_rmse(maps["ssh"], reference["ssh"])) == pytest.approx(expected, rel=1e-9)


def test_gradient_of_a_uniform_slope(reference):
    """One metre per degree of latitude is 0.899 m per 100 km, everywhere."""
    slope = reference["ssh"] + reference["lat"] - 36
    expected = 100 / (6371 * np.pi / 180)
    assert float(gradient_rmse(slope, reference["ssh"])) == pytest.approx(expected)
    np.testing.assert_allclose(gradient_rmse(slope, reference["ssh"], dim=["lat", "lon"]), expected)


def test_perfect_maps(reference):
    found = score(reference, reference)
    expected = [0, 0, 1, 1, 0, 0]
    np.testing.assert_allclose([float(found[name]) for name in NAMES], expected, atol=1e-12)


def test_a_constant_error(reference):
    """The daily score of a 2020a challenge map that is 2 cm too high."""
    found = score(reference + 0.02, reference)
    power = float(np.sqrt((reference["ssh"] ** 2).mean()))
    assert float(found["rmse"]) == pytest.approx(0.02)
    assert float(found["bias"]) == pytest.approx(0.02)
    assert float(found["explained_variance"]) == pytest.approx(1)
    assert float(found["mu"]) == pytest.approx(1 - 0.02 / power)


def test_daily_scores_and_their_spread(maps, reference):
    daily = mu(maps["ssh"], reference["ssh"], dim=["lat", "lon"])
    assert daily.dims == ("time",)
    np.testing.assert_allclose(sigma(maps["ssh"], reference["ssh"]), daily.std("time"))


@pytest.mark.parametrize("function", [rmse, bias, explained_variance, mu, gradient_rmse])
def test_dimensions_that_are_kept(function, maps, reference):
    found = function(maps["ssh"], reference["ssh"], dim="time")
    assert set(found.dims) == {"lat", "lon"}
    day = function(maps["ssh"], reference["ssh"], dim=("lat", "lon"))
    assert day.dims == ("time",)
    one = function(maps["ssh"][2], reference["ssh"][2])
    assert float(day[2]) == pytest.approx(float(one))


@pytest.mark.parametrize("function", [rmse, bias, explained_variance, mu, sigma, gradient_rmse])
def test_equal_weights_change_nothing_and_areas_do(function, maps, reference):
    plain = function(maps["ssh"], reference["ssh"])
    equal = xr.full_like(area_weights(reference), 3.0)
    np.testing.assert_allclose(function(maps["ssh"], reference["ssh"], weights=equal), plain)
    steep = area_weights(reference) ** 8
    assert float(function(maps["ssh"], reference["ssh"], weights=steep)) != float(plain)


def test_weighted_mean_by_hand(maps, reference):
    error = (maps["ssh"] - reference["ssh"]).values
    weights = np.cos(np.radians(reference["lat"].values))[:, None] * np.isfinite(error)
    expected = np.nansum(error * weights) / weights.sum()
    found = bias(maps["ssh"], reference["ssh"], weights=area_weights(reference))
    assert float(found) == pytest.approx(expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda ds: ds.isel(lat=slice(None, None, -1)),
        lambda ds: ds.transpose("lon", "time", "lat"),
        lambda ds: ds.assign_coords(lon=ds.lon % 360),
        lambda ds: ds.assign_coords(lon=ds.lon % 360).sortby("lon"),
        lambda ds: ds.assign_coords(time=ds.time.astype("datetime64[us]")),
        lambda ds: ds.rename(lat="latitude", lon="longitude"),
        lambda ds: ds.assign_coords(lat=ds.lat.astype("float32")),
        lambda ds: (100 * ds).assign(ssh=(100 * ds.ssh).assign_attrs(units="cm")),
    ],
    ids=["descending", "transposed", "0..360", "0..360 cut", "us", "names", "float32", "cm"],
)
def test_the_same_grid_written_otherwise(change, maps, reference):
    expected = score(maps, reference)
    for name, value in score(change(maps), reference).items():
        assert float(value) == pytest.approx(float(expected[name]), rel=1e-6), name
    turned = change(reference)
    if turned["ssh"].attrs["units"] == "m":
        for name, value in score(maps, turned).items():
            assert float(value) == pytest.approx(float(expected[name]), rel=1e-6), name


def test_scores_are_in_the_units_of_the_reference(maps, reference):
    centimetres = (100 * reference).assign(ssh=(100 * reference.ssh).assign_attrs(units="cm"))
    found, expected = score(maps, centimetres), score(maps, reference)
    assert float(found["rmse"]) == pytest.approx(100 * float(expected["rmse"]))
    assert found["rmse"].attrs["units"] == "cm"
    assert found["gradient_rmse"].attrs["units"] == "cm/(100 km)"
    assert float(found["mu"]) == pytest.approx(float(expected["mu"]))


def test_common_days_and_cells_only(maps, reference):
    part = {"time": slice(1, 4), "lat": slice(2, 8), "lon": slice(0, 9)}
    few = maps.isel(part)
    expected = score(few, reference.isel(part))
    found = score(few, reference)
    xr.testing.assert_allclose(found.drop_vars("n_missing"), expected.drop_vars("n_missing"))
    xr.testing.assert_allclose(score(maps, reference.isel(part)), expected)
    assert found["n_points"] + found["n_missing"] == reference["ssh"].count()


def test_a_latitude_without_maps_is_missing(maps, reference):
    """Cells that the maps do not have count as those where they are NaN do."""
    cut = score(maps.isel(lat=slice(0, 8)), reference)
    hidden = score(maps.where(maps["lat"] < maps["lat"][8]).assign_attrs(maps.attrs), reference)
    for name in ("n_points", "n_missing"):
        assert cut[name] == hidden[name]
    assert cut["n_missing"] >= reference["ssh"].isel(lat=8).count()


@pytest.mark.parametrize("function", [score, lambda a, b: rmse(a["ssh"], b["ssh"])])
def test_days_of_two_calendars_are_not_compared(function, maps, reference):
    """Equal fields on equal dates are refused, and compared after what the message says."""
    pytest.importorskip("cftime")
    noleap = reference.convert_calendar("noleap")
    with pytest.raises(InvalidInputError, match="'noleap'.*dataset.convert_calendar") as problem:
        function(noleap, reference)
    calendar = re.search(r"convert_calendar\('(.*)'\)", str(problem.value)).group(1)
    function(noleap.convert_calendar(calendar), reference)
    assert float(rmse(noleap.convert_calendar(calendar)["ssh"], reference["ssh"])) == 0


def test_two_grids_are_not_compared_where_they_happen_to_meet(reference):
    """Every fifth cell of a fine grid is one of the coarse; regridding is what the message says."""
    fine = reference.interp(
        lat=np.arange(35, 37.01, 0.1), lon=np.arange(-1, 4.51, 0.1)
    ).assign_attrs(reference.attrs)
    fine["ssh"].attrs = reference["ssh"].attrs
    with pytest.raises(InvalidInputError, match="two grids.*0.1 degrees of latitude.*0.25"):
        score(fine, reference)
    scores = score(fine, reference.dvarnet.regrid(fine))
    assert scores["n_points"] > 0.5 * fine["ssh"].count()


def test_few_values_compared_are_told_with_their_share(maps, reference):
    """Only of the region and period of the maps: a reference may reach further."""
    with pytest.warns(XdvarnetWarning, match=r"compared: 33% of those of the reference"):
        score(maps.fillna(0).isel(time=[0, 5]), reference.fillna(0))
    few = maps.where(maps["lon"] < maps["lon"][2])
    few["ssh"].attrs = maps["ssh"].attrs
    with pytest.warns(XdvarnetWarning, match="are compared"):
        score(few, reference)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(maps.isel(time=[2], lat=slice(0, 3)), reference)


def test_one_selected_day_is_compared_with_that_day(maps, reference):
    found = score(maps.isel(time=2), reference)
    assert float(found["rmse"]) == pytest.approx(
        float(rmse(maps["ssh"], reference["ssh"], dim=["lat", "lon"])[2])
    )
    selected = score(maps, reference.isel(time=2))
    xr.testing.assert_allclose(selected.drop_vars("n_missing"), found.drop_vars("n_missing"))


def test_a_mean_map_without_time(reference):
    mean = reference.mean("time")
    found = score(mean, reference)
    expected = np.sqrt(((mean - reference)["ssh"] ** 2).mean())
    assert float(found["rmse"]) == pytest.approx(float(expected))
    assert "sigma" not in score(mean, mean)


def test_members_are_scored_one_by_one(maps, reference):
    members = xr.concat([maps, maps + 0.1], pd.Index([0, 1], name="member"))
    found = score(members, reference)
    assert found["rmse"].dims == ("member",)
    assert float(found["rmse"][0]) == pytest.approx(float(score(maps, reference)["rmse"]))


def test_several_variables(maps, reference):
    both = maps.assign(sst=maps.ssh + 280), reference.assign(sst=reference.ssh + 280.5)
    found = score(*both)
    assert list(found["variable"].values) == ["ssh", "sst"]
    xr.testing.assert_allclose(found.sel(variable="ssh", drop=True), score(*both, variable="ssh"))
    alone = both[0].assign(ssh_std=both[0].ssh), both[1]
    assert list(score(*alone)["variable"].values) == ["ssh", "sst"]


def test_scores_are_labelled(maps, reference, tmp_path):
    found = score(maps, reference)
    assert found["rmse"].attrs["units"] == "m"
    assert found["gradient_rmse"].attrs["units"] == "m/(100 km)"
    assert found["mu"].attrs["units"] == "1"
    assert all("long_name" in found[name].attrs for name in found)
    found.to_netcdf(tmp_path / "scores.nc", engine="h5netcdf")


def test_lazy_equals_eager(maps, reference):
    pytest.importorskip("dask")
    lazy = score(maps.chunk(time=2, lat=5), reference.chunk(time=3, lon=4))
    assert all(lazy[name].chunks is not None for name in lazy)
    xr.testing.assert_allclose(lazy.compute(), score(maps, reference), rtol=1e-12)


def test_the_arguments_are_untouched(maps, reference):
    before = maps.copy(deep=True), reference.copy(deep=True)
    score(maps, reference)
    xr.testing.assert_identical(maps, before[0])
    xr.testing.assert_identical(reference, before[1])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda ds: ds.assign_coords(time=ds.time + np.timedelta64(30, "D")), "no time in common"),
        (lambda ds: ds.assign_coords(lat=ds.lat + 20), "no latitude in common.*regrid"),
        (lambda ds: ds.assign_coords(lon=ds.lon + 0.2), "no longitude in common"),
        (lambda ds: ds.assign(ssh=ds.ssh.assign_attrs(units="kg")), "do not convert"),
        (lambda ds: ds.where(ds.lon > 90), "no cell that is finite in both"),
        (lambda ds: xr.concat([ds, ds], "time"), "repeated"),
        (lambda ds: ds.drop_vars("lat"), "no latitude coordinate"),
    ],
)
def test_maps_that_cannot_be_compared(change, complaint, maps, reference):
    with pytest.raises(InvalidInputError, match=complaint):
        score(change(maps), reference)


def test_sigma_needs_time(maps, reference):
    static = maps["ssh"].mean("time"), reference["ssh"].mean("time")
    with pytest.raises(InvalidInputError, match="no time coordinate"):
        sigma(*static)


def test_unknown_variables(maps, reference):
    with pytest.raises(UnknownNameError, match="'sst' is missing"):
        score(maps, reference, variable="sst")
    with pytest.raises(UnknownNameError, match="no gridded variable in common"):
        score(maps.rename(ssh="adt"), reference)


def test_no_xarray_object(reference):
    with pytest.raises(InvalidTypeError, match="expected an xarray"):
        score(reference["ssh"].values, reference)


def test_scores_have_attributes_of_their_own(maps, reference):
    for dataset in (maps, reference):
        dataset["ssh"].attrs |= {
            "standard_name": "sea_surface_height",
            "ancillary_variables": "ssh_std",
            "grid_mapping": "crs",
        }
    for name, array in score(maps, reference).items():
        assert set(array.attrs) == {"units", "long_name"}, name


def test_sigma_of_one_day_is_not_known(maps, reference):
    found = score(maps.isel(time=[2]), reference)
    assert np.isnan(found["sigma"]) and np.isfinite(found["mu"])
    assert np.isfinite(score(maps.isel(time=[2, 4]), reference)["sigma"])


def test_scores_are_of_datasets(maps, reference):
    for pair in ((maps["ssh"], reference), (maps, reference["ssh"])):
        with pytest.raises(InvalidTypeError, match="Dataset, got DataArray.*to_dataset"):
            score(*pair)
