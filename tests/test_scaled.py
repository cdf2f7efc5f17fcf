"""A network on another sea: units, weights, and what must not change."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from instances import interpolation, network
from reconstructors import gappy

import xdvarnet
from xdvarnet.errors import InvalidInputError, InvalidTypeError, XdvarnetWarning
from xdvarnet.mapping import Window
from xdvarnet.mapping.observations import Observations
from xdvarnet.networks import Scaled, TrainingGrid
from xdvarnet.networks.weight import slope_through_zero
from xdvarnet.networks.work_grid import WorkGrid
from xdvarnet.zoo import load_model, save_model

pytestmark = pytest.mark.filterwarnings("ignore::xdvarnet.XdvarnetWarning")

HOME = TrainingGrid((0.25, 0.4), (36.0, 39.25))
"""The grid of `gappy`, where the toy network is at home."""


NETWORK = network(interpolation()).replace(training_grid=HOME)


def at_home() -> xdvarnet.DVarNet:
    return NETWORK.replace(solver=copy.deepcopy(NETWORK.solver))


def of_sea(factor: float = 1.0, **options) -> xdvarnet.OptimalInterpolation:
    """Interpolate a sea whose heights are as many times larger."""
    return interpolation(std=0.05 * factor, noise=0.02 * factor, **options)


def at_zero(dataset: xr.Dataset) -> xr.Dataset:
    return dataset.assign(ssh=(dataset["ssh"] - 0.1).assign_attrs(dataset["ssh"].attrs))


@pytest.fixture(scope="module")
def dataset():
    return at_zero(gappy())


NOTHING = xdvarnet.mapping.NoBackground()


def test_weight_zero_is_the_interpolation(dataset):
    oi = interpolation()
    maps = dataset.dvarnet.reconstruct(Scaled(at_home(), oi, weight=0))
    own = dataset.dvarnet.reconstruct(oi)
    np.testing.assert_array_equal(maps["ssh"], own["ssh"])
    np.testing.assert_array_equal(maps["ssh_std"], own["ssh_std"])
    assert maps.attrs["xdvarnet_scaled"].endswith("weight of the network 0")


def test_a_network_that_changes_nothing_gives_the_interpolation(dataset):
    still = at_home()
    still.solver.step.decode.weight.data.zero_()
    still.solver.step.decode.bias.data.zero_()
    oi = interpolation()
    maps = dataset.dvarnet.reconstruct(Scaled(still, oi))
    np.testing.assert_allclose(maps["ssh"], dataset.dvarnet.reconstruct(oi)["ssh"], atol=1e-5)


def test_a_record_has_as_many_steps_as_a_correlation_time_at_least():
    """However slow the sea: of a few steps a network makes nothing."""
    observations = replace(domain(), values={"ssh": np.zeros((7, 9, 12))})
    trained = NETWORK.first_guess.correlation_time
    steps = []
    for time in (14.0, 140.0, 1.75):
        slow = of_sea().replace(correlation_time=time)
        grid, *_ = Scaled(at_home(), slow).standardize(observations)
        steps.append(1 / np.diff(grid.days).mean())
    np.testing.assert_allclose(steps, np.array([1, 1, 4]) * trained / 7)


def test_the_change_is_in_proportion_to_the_weight(dataset):
    oi = interpolation()
    none, half, whole = (
        dataset.dvarnet.reconstruct(Scaled(at_home(), oi, weight=weight))["ssh"]
        for weight in (0, 0.5, 1)
    )
    assert float(abs(whole - none).max()) > 1e-4
    np.testing.assert_allclose(half, (none + whole) / 2, atol=1e-6)


def test_heights_in_other_units_are_the_same_sea(dataset):
    maps = dataset.dvarnet.reconstruct(Scaled(at_home(), of_sea(background=NOTHING)))
    larger = dataset.assign(ssh=(10 * dataset["ssh"]).assign_attrs(dataset["ssh"].attrs))
    other = larger.dvarnet.reconstruct(Scaled(at_home(), of_sea(10, background=NOTHING)))
    np.testing.assert_allclose(other["ssh"], 10 * maps["ssh"], rtol=1e-4, atol=1e-5)


def test_a_sea_of_other_lengths_and_times_is_the_same_sea(dataset):
    """Twice as far apart at the equator and twice as slow, with lengths and times along."""

    def sea(factor: int) -> xr.Dataset:
        axes = {name: dataset[name].values for name in ("lat", "lon")}
        grown = {name: factor * (axis - axis.mean()) for name, axis in axes.items()}
        days = np.datetime64("2020-02-01", "ns") + factor * np.arange(11) * np.timedelta64(1, "D")
        moved = dataset.assign_coords(time=days)
        for name, values in grown.items():
            moved = moved.assign_coords({name: (name, values, dataset[name].attrs)})
        return moved

    def oi(factor: int) -> xdvarnet.OptimalInterpolation:
        return xdvarnet.OptimalInterpolation(
            "ssh",
            correlation_length=20.0 * factor,
            correlation_time=3.0 * factor,
            noise=0.02,
            std=0.05,
            neighbours=2000,
            time_window=3 * factor,
            background=NOTHING,
        )

    one, two = (
        sea(factor).dvarnet.reconstruct(Scaled(at_home(), oi(factor)))["ssh"] for factor in (1, 2)
    )
    error = np.nanmax(abs(one.values - two.values))
    assert error < 0.02 * float(np.nanmax(abs(one.values)))


def test_a_sea_of_the_other_hemisphere_is_seen_upside_down():
    """The mirror image in the equator: the same heights, around which eddies turn the other way."""
    values = np.random.default_rng(0).normal(0, 0.1, (7, 9, 12))
    values[:, ::2] = np.nan
    north = replace(domain(), values={"ssh": values})
    south = replace(
        north,
        values={"ssh": values[:, ::-1]},
        latitude=-north.place[0][::-1],
        sea=north.sea[::-1],
    )
    model = Scaled(at_home(), of_sea(neighbours=2000))
    grids, units, seen = zip(*map(model.standardize, (north, south)), strict=True)
    np.testing.assert_allclose(grids[1].latitude, -grids[0].latitude[::-1])
    np.testing.assert_allclose(units[1], -units[0][::-1])
    known = [values[np.isfinite(values)] for values in (each.values["ssh"] for each in seen)]
    np.testing.assert_allclose(np.sort(known[1]), np.sort(-known[0]))
    first, other = (each.first_guess for each in seen)
    np.testing.assert_allclose(other.mean["ssh"], -first.mean["ssh"][:, ::-1], atol=1e-4)
    np.testing.assert_allclose(other.std["ssh"], first.std["ssh"][:, ::-1], atol=1e-4)


@pytest.mark.parametrize("chunk", [4, 11, 17])
def test_long_records_are_mapped_in_blocks(chunk):
    """The maps are those in memory; a task needs the days of a window and of its first guess."""
    long = at_zero(gappy(days=45))
    for model in (Scaled(at_home(), interpolation()), Scaled(at_home(), of_sea(), weight=0)):
        assert model.halo < 20
        eager = long.dvarnet.reconstruct(model)
        maps = long.chunk(time=chunk).dvarnet.reconstruct(model)
        assert len(maps.chunksizes["time"]) > 1
        xr.testing.assert_equal(maps.compute(), eager)


def test_land_is_sea_that_nobody_observes():
    """A network sees no coast, and a first guess that goes on where land is."""
    values = np.random.default_rng(0).normal(0, 0.1, (7, 9, 12))
    island = replace(domain(), values={"ssh": values})
    values[:, ~island.sea] = np.nan
    open_sea = replace(island, sea=np.ones_like(island.sea))
    model = Scaled(at_home(), of_sea())
    seen, expected = (model.standardize(each)[2] for each in (island, open_sea))
    assert seen.sea.all()
    np.testing.assert_array_equal(seen.values["ssh"], expected.values["ssh"])
    for kind in ("mean", "std"):
        np.testing.assert_array_equal(
            seen.first_guess.kinds[kind]["ssh"], expected.first_guess.kinds[kind]["ssh"]
        )
    changes = [model.change(each)[:, island.sea] for each in (island, open_sea)]
    np.testing.assert_array_equal(*changes)


def test_save_and_load(dataset, tmp_path):
    model = Scaled(at_home(), of_sea(), weight=0.4)
    save_model(model, tmp_path / "scaled.safetensors")
    loaded = load_model(tmp_path / "scaled.safetensors")
    assert loaded.weight == 0.4
    xr.testing.assert_equal(dataset.dvarnet.reconstruct(loaded), dataset.dvarnet.reconstruct(model))


def test_what_it_is_not_made_for():
    with pytest.raises(InvalidTypeError, match="network is 'ssh-twin'; give a DVarNet"):
        Scaled("ssh-twin", interpolation())
    with pytest.raises(InvalidTypeError, match=r"OptimalInterpolation.fit\(tracks, grid\)"):
        Scaled(at_home(), at_home())
    with pytest.raises(InvalidInputError, match="does not say in which units"):
        Scaled(network(None).replace(training_grid=HOME), interpolation())
    with pytest.raises(InvalidInputError, match="was not trained"):
        Scaled(network(interpolation()), interpolation())
    with pytest.raises(InvalidInputError, match="weight=1.5 is not accepted"):
        Scaled(at_home(), interpolation(), weight=1.5)
    with pytest.raises(InvalidInputError, match="has no ensemble"):
        gappy().dvarnet.reconstruct(Scaled(at_home(), interpolation()), members=3)


def test_warnings(dataset):
    with pytest.warns(XdvarnetWarning, match="noise of 0.04 is more than half of .* 0.05"):
        dataset.dvarnet.reconstruct(Scaled(at_home(), interpolation(std=0.05, noise=0.04)))
    slow = of_sea().replace(correlation_time="30 days")
    with pytest.warns(XdvarnetWarning, match="record has 11 days, .* time is 30: .* as long"):
        dataset.dvarnet.reconstruct(Scaled(at_home(), slow))
    fine = dict(correlation_length="400 km", correlation_time="3 days")
    with pytest.warns(XdvarnetWarning, match=r"the region has \d x \d cells of .* sees 8 x 9 at"):
        dataset.dvarnet.reconstruct(Scaled(at_home(), of_sea().replace(**fine)))
    tropical = dataset.assign_coords(lat=dataset["lat"] - dataset["lat"].mean())
    tropical["lat"].attrs = dataset["lat"].attrs
    with pytest.warns(XdvarnetWarning, match="within 5 degrees of the equator"):
        tropical.dvarnet.reconstruct(Scaled(at_home(), of_sea()))


@pytest.mark.filterwarnings("error:.*(equator|region has)")
def test_no_warning_without_a_network(dataset):
    tropical = dataset.assign_coords(lat=dataset["lat"] - dataset["lat"].mean())
    tropical["lat"].attrs = dataset["lat"].attrs
    tropical.dvarnet.reconstruct(Scaled(at_home(), of_sea(), weight=0))


def test_maps_say_what_the_sea_was_taken_for(dataset):
    maps = dataset.dvarnet.reconstruct(Scaled(at_home(), of_sea(), weight=0.4))
    assert maps.attrs["xdvarnet_scaled"] == (
        "correlation length 90 km, time 3 days, noise 0.02 m, standard deviation 0.05 m, given; "
        "weight of the network 0.4"
    )


# the work grid


def domain(days: int = 7, rows: int = 9, columns: int = 12) -> Observations:
    sea = np.ones((rows, columns), bool)
    sea[:3, :4] = False
    axes = 100.0 + np.arange(days), 30 + 0.5 * np.arange(rows), 5 + 0.5 * np.arange(columns)
    return Observations({}, *axes, sea)


def test_the_work_grid_covers_the_domain():
    grid = WorkGrid.over(domain(), 30.0, 0.7, Window(5, 4, 4))
    steps = np.diff(grid.days), np.diff(grid.latitude), np.diff(grid.longitude)
    np.testing.assert_allclose(steps[0], 0.7)
    kilometres = 111.2 * steps[1], 111.2 * np.cos(np.deg2rad(32)) * steps[2]
    for each in kilometres:
        np.testing.assert_allclose(each, 30, rtol=1e-3)
    whole = domain()
    for axis, known in zip(
        (grid.days, grid.latitude, grid.longitude), (whole.days, *whole.place), strict=True
    ):
        assert axis[0] <= known[0] + 1e-6 and axis[-1] >= known[-1] - 1e-6
    padded = WorkGrid.over(domain(), 30.0, 0.7, Window(40, 50, 60))
    assert padded.shape == (40, 50, 60)


def test_whole_windows_fit_into_the_work_grid():
    """So no window has an edge inside, which a network without coasts has never seen."""
    window = Window(5, 8, 9, stride=(2, 4, 5), halo=(1, 1, 2))
    for spacing in np.linspace(11, 40, 13):
        grid = WorkGrid.over(domain(), spacing, 0.83, window)
        for count, size, stride in zip(grid.shape, window.sizes, window.stride, strict=True):
            assert (count - size) % stride == 0


def test_fields_go_to_the_work_grid_and_back():
    whole = domain()
    grid = WorkGrid.over(whole, 11.0, 0.25, Window(5, 4, 4))
    days, rows, columns = np.meshgrid(grid.days, grid.latitude, grid.longitude, indexing="ij")
    linear = 0.3 * (days - 100) + 0.1 * rows - 0.2 * columns
    days, rows, columns = np.meshgrid(whole.days, *whole.place, indexing="ij")
    expected = 0.3 * (days - 100) + 0.1 * rows - 0.2 * columns
    inner = np.zeros(whole.sea.shape, bool)
    inner[4:-1, 5:-1] = True
    back = grid.sample(linear, whole)
    np.testing.assert_allclose(back[:, inner], expected[:, inner], atol=1e-9)
    binned = grid.bin(whole, np.where(np.arange(7)[:, None, None] == 3, expected, np.nan))
    assert np.isfinite(binned).sum() == whole.sea.sum()
    seen = np.isfinite(binned)
    assert np.abs(binned[seen] - linear[seen]).max() < 0.3 * 0.13 + 0.3 * 0.06


def test_several_observations_of_a_cell_are_averaged():
    whole = domain()
    values = np.random.default_rng(0).standard_normal((7, 9, 12))
    one = WorkGrid(np.array([103.0]), np.array([32.0]), np.array([8.0]))
    np.testing.assert_allclose(one.bin(whole, values), values[:, whole.sea].mean(), rtol=1e-5)


# the weight


def tracks_of(truth: xr.Dataset, noise: float, seed: int) -> xr.Dataset:
    """Points along straight lines, one pass a line, four a day."""
    rng = np.random.default_rng(seed)
    parts = []
    for day, field in enumerate(truth["ssh"]):
        for line in range(4):
            share = np.linspace(0, 1, 60)
            start, end = rng.uniform(2, 9, 2)
            latitude = 36 + 3.2 * share
            longitude = start + (end - start) * share
            values = field.drop_vars("time").interp(
                lat=xr.DataArray(latitude, dims="time"), lon=xr.DataArray(longitude, dims="time")
            )
            stamps = truth["time"].values[day] + np.timedelta64(3, "h") * line
            time = stamps + (1e9 * np.arange(60)).astype("timedelta64[ns]")
            part = xr.Dataset(
                {"ssh": ("time", values.values + noise * rng.standard_normal(60))},
                {
                    "time": time,
                    "latitude": ("time", latitude, {"units": "degrees_north"}),
                    "longitude": ("time", longitude, {"units": "degrees_east"}),
                },
            )
            parts.append(part.dropna("time"))
    tracks = xr.concat(parts, "time")
    tracks["ssh"].attrs = {"units": "m", "standard_name": "sea_surface_height"}
    return tracks


class Known(Scaled):
    """In place of the network, something of which the right weight is known."""

    share = 0.0

    def change(self, observations: Observations) -> np.ndarray:
        found = self.interpolation.solve(observations).mean["ssh"]
        truth = gappy(unobserved=0.0)["ssh"].fillna(0.1).values - 0.1
        return type(self).share * (truth - found)


@pytest.mark.parametrize(("share", "expected"), [(2.0, 0.5), (1.25, 0.8), (0.5, 1.0), (-1.0, 0.0)])
def test_the_weight_is_that_which_predicts_withheld_passes(monkeypatch, share, expected):
    truth = at_zero(gappy(unobserved=0.0))
    tracks = tracks_of(truth, 0.001, 0)
    monkeypatch.setattr(Known, "share", share)
    oi = of_sea(background=NOTHING)
    if expected == 0:
        with pytest.warns(XdvarnetWarning, match="does not surely help on withheld passes"):
            model = Known.fit(at_home(), tracks, gappy().drop_vars("ssh"), interpolation=oi)
    else:
        model = Known.fit(at_home(), tracks, gappy().drop_vars("ssh"), interpolation=oi)
    assert model.weight == pytest.approx(expected, abs=0.06)


def test_a_weight_of_which_the_parts_disagree_is_taken_with_caution():
    rng = np.random.default_rng(0)
    slopes, errors = [], []
    for _ in range(2000):  # parts of ten points each, y = x / 2 with large errors
        x = rng.standard_normal((4, 10))
        y = x / 2 + 2 * rng.standard_normal((4, 10))
        slope, error = slope_through_zero(np.stack([(x * y).sum(1), (x**2).sum(1)], 1))
        slopes.append(slope)
        errors.append(error)
    assert np.mean(slopes) == pytest.approx(0.5, abs=0.03)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(slopes), rel=0.1)


def test_gridded_observations_have_no_passes():
    with pytest.raises(InvalidInputError, match="no points along a track"):
        Scaled.fit(at_home(), gappy(), gappy(), interpolation=of_sea())


def test_too_few_passes_to_find_a_weight():
    truth = at_zero(gappy(unobserved=0.0)).isel(time=slice(1))
    with pytest.raises(InvalidInputError, match="learning from tracks needs 8 at least"):
        Scaled.fit(at_home(), tracks_of(truth, 0.01, 0), gappy(), interpolation=of_sea())
