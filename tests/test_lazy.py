"""dask-backed observations: the same maps, and nothing computed before it is asked for."""

import warnings

import cloudpickle
import dask
import numpy as np
import pytest
import xarray as xr
from instances import (
    ERROR,
    calibrated_interpolation,
    calibrated_network,
    gaussian_field,
    interpolation_on_a_mean_map,
    network_from_the_interpolation,
)
from reconstructors import (
    WINDOW,
    Count,
    Identity,
    Smoother,
    WholeIdentity,
    counted,
    explode,
    gappy,
    lazy,
)

from xdvarnet.calibration import Calibrated
from xdvarnet.errors import InvalidInputError, StoreError, XdvarnetWarning
from xdvarnet.grids.coords import days_since_epoch
from xdvarnet.mapping.background import NoBackground, ObservedBackground
from xdvarnet.mapping.cover import Window
from xdvarnet.mapping.lazy import blocks_of_days
from xdvarnet.mapping.lead import Lead
from xdvarnet.mapping.observations import Analysis
from xdvarnet.mapping.reconstruct import reconstruct
from xdvarnet.mapping.windows import Windowed
from xdvarnet.methods.optimal_interpolation.interpolation import OptimalInterpolation
from xdvarnet.methods.trivial import MeanMapOffset
from xdvarnet.zoo.registry import load_model, save_model

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore:chunks of"),
]

CHUNKS = [
    {"time": 4},
    {"time": (1, 3, 7)},
    {"lat": 5, "lon": 6},
    {"time": 5, "lat": 14, "lon": 7},
    {"time": -1},
]


def interpolation(**options) -> OptimalInterpolation:
    options = {"time_window": 7, "neighbours": 9} | options
    return OptimalInterpolation(
        "ssh", correlation_length=90, correlation_time=3, noise=0.02, **options
    )


@pytest.fixture
def dataset():
    return gappy()


def models():
    guess = interpolation()
    return {
        "mean only": Smoother(),
        "with std": Smoother(gives_std=True),
        "first guess with std": Smoother(gives_std=True, first_guess=guess),
        "first guess without": Smoother(first_guess=Smoother(None)),
        "windows in windows": Smoother(first_guess=Smoother(gives_std=True)),
        "all at once": Smoother(None, gives_std=True),
    }


@pytest.mark.parametrize(
    ("name", "chunks"),
    [("first guess with std", chunks) for chunks in CHUNKS]
    + [(name, CHUNKS[0]) for name in models()],
)
def test_lazy_equals_eager_to_the_bit(dataset, name, chunks):
    model = models()[name]
    maps = reconstruct(dataset.chunk(chunks), model)
    assert maps.chunks
    xr.testing.assert_identical(maps.compute(), reconstruct(dataset, model))


@pytest.mark.parametrize("chunks", [CHUNKS[0], CHUNKS[3]], ids=str)
@pytest.mark.parametrize(
    "model",
    [
        interpolation(),
        MeanMapOffset(gappy(unobserved=0.0, seed=4)),
        Smoother(background=ObservedBackground(days=5)),
    ],
    ids=["optimal interpolation", "mean map", "observed background"],
)
def test_lazy_equals_eager_with_a_background(dataset, model, chunks):
    maps = reconstruct(dataset.chunk(chunks), model).compute()
    xr.testing.assert_identical(maps, reconstruct(dataset, model))


def test_order_units_dtype_and_chunks_are_those_of_the_input(dataset):
    other = (100 * dataset.astype(float)).transpose("lon", "time", "lat")
    other = other.isel(lat=slice(None, None, -1)).assign_coords(sea=other["sea"].astype(bool))
    other["ssh"].attrs = dataset["ssh"].attrs | {"units": "cm"}
    other = other.assign_coords(lon=(other["lon"] - 5) % 360)
    chunked = other.chunk(time=4, lat=5, lon=6)
    maps = reconstruct(chunked, interpolation())
    for name in ("ssh", "ssh_std"):
        assert maps[name].dims == ("lon", "time", "lat")
        assert maps[name].chunks == chunked["ssh"].chunks
        assert maps[name].dtype == np.float64
    eager = reconstruct(other, interpolation())
    xr.testing.assert_allclose(maps.compute(), eager, atol=1e-4, rtol=0)


def test_fields_of_double_precision_become_single(dataset):
    """The dtype that dask was told is the dtype that comes."""
    model = Identity()
    model.see = lambda given, *_: Analysis(
        {"ssh": np.nan_to_num(given.values["ssh"]).astype(float)}
    )
    maps = reconstruct(dataset.chunk(time=4), model)
    assert maps["ssh"].dtype == maps["ssh"].compute().dtype == np.float32


# nothing is computed too early, or twice


@pytest.mark.parametrize(
    "model",
    [*models().values(), interpolation(), MeanMapOffset(gappy(unobserved=0.0))],
    ids=[*models(), "optimal interpolation", "mean map"],
)
def test_nothing_is_computed_before_it_is_asked_for(dataset, model):
    exploding = dataset.assign(ssh=explode(dataset["ssh"], time=4, lon=6))
    exploding = exploding.assign_coords(sea=explode(dataset["sea"], lat=5))
    maps = reconstruct(exploding, model)
    with pytest.raises(AssertionError, match="a value was computed"):
        maps.compute()


def test_each_block_of_days_is_analysed_once():
    dataset = gappy(days=40)
    model = Smoother(gives_std=True, first_guess=Smoother(gives_std=True))
    with Count() as built:
        maps = reconstruct(dataset.chunk(time=10, lat=7), model)
    assert built.keys == []
    with Count() as tasks, dask.config.set(scheduler="synchronous"):
        maps.compute(optimize_graph=False)
    assert tasks.count("_analyse_block") == 4


@pytest.mark.parametrize("days", [60, 120])
def test_the_work_grows_like_the_days(days):
    """Each chunk is read once, each block solved once; tasks are so many for each day."""
    reads: list[int] = []
    given = counted(gappy(days=days), reads, time=1)
    maps = reconstruct(given, interpolation())
    with Count() as tasks, dask.config.set(scheduler="synchronous"):
        maps.compute()
    assert len(reads) == days
    assert len(tasks.keys) < 40 * days
    assert tasks.count("_analyse_block") == days // 8


def test_blocks_are_as_long_as_the_halo():
    """A day is in three blocks with their halos at most; chunks are never cut."""
    generator = np.random.default_rng(0)
    for _ in range(50):
        chunks = tuple(generator.integers(1, 9, 12).tolist())
        times = np.arange(sum(chunks)) + 18000.0
        halo = float(generator.uniform(0, 12))
        blocks = blocks_of_days(halo, times, chunks)
        assert [block.start for block in blocks[1:]] == [block.stop for block in blocks[:-1]]
        assert {block.stop for block in blocks} <= set(np.cumsum(chunks).tolist())
        reach = np.array([[block.start - halo, block.stop - 1 + halo] for block in blocks])
        days = np.arange(times.size)
        seen = (reach[:, :1] <= days) & (days <= reach[:, 1:])
        assert seen.sum(0).max() <= 3
    assert blocks_of_days(None, times, chunks) == [slice(0, times.size)]


def times_solved(model) -> np.ndarray:
    """Return how often each of the windows that a model has seen was solved."""
    corners = [(seen.days[0], seen.latitude[0], seen.longitude[0]) for seen in model.seen]
    return np.unique(corners, axis=0, return_counts=True)[1]


@pytest.mark.parametrize("stored", [False, True], ids=["", "store"])
@pytest.mark.parametrize("chunks", [1, 14, (1, 3, 7, 30, 22), (16, 14, 14, 14, 5)], ids=str)
def test_no_window_is_solved_more_than_twice(tmp_path, chunks, stored):
    """And none more than once in memory; with a stride of a day, which asks the most."""
    dataset, window = gappy(days=63), Window(15, 8, 9, stride=(1, 6, 9))
    eager, model = Identity(window), Identity(window)
    reconstruct(dataset, eager)
    store = tmp_path / "maps.zarr" if stored else None
    reconstruct(dataset.chunk(time=chunks), model, store=store).compute(scheduler="synchronous")
    assert times_solved(eager).max() == 1
    assert times_solved(model).size == times_solved(eager).size
    assert times_solved(model).max() <= 2


def test_a_store_of_observations_in_memory_solves_no_window_more_than_twice(tmp_path):
    model = Identity(Window(15, 8, 9, stride=(1, 6, 9)))
    reconstruct(gappy(days=63), model, store=tmp_path / "maps.zarr")
    assert times_solved(model).max() == 2


def test_windows_of_a_first_guess_are_solved_three_times_at_most():
    """They are needed as far as those of the model see."""
    guess = Identity(Window(5, 8, 9, stride=(1, 6, 9)))
    model = Smoother(Window(7, 8, 9, stride=(1, 6, 9)), first_guess=guess)
    maps = reconstruct(gappy(days=80).chunk(time=1), model)
    maps.compute(scheduler="synchronous")
    assert times_solved(model).max() == 2
    assert times_solved(guess).max() == 3


def test_short_chunks_are_joined_with_a_warning(dataset):
    with pytest.warns(XdvarnetWarning, match=r"chunks of up to 1 days .* 4 days .*chunk\(time=8"):
        reconstruct(dataset.chunk(time=1), Smoother())
    reads: list[int] = []
    given = counted(gappy(days=40), reads, time=1)
    with pytest.warns(XdvarnetWarning, match=r"10 blocks of up to 4 days, and .* by 2.8 tasks"):
        maps = reconstruct(given, Smoother())
    for block in range(0, 40, 4):
        maps["ssh"][block : block + 4].compute(scheduler="synchronous")
    assert len(reads) == 2.8 * 40  # as the warning says


def test_chunks_that_become_one_are_warned_of(dataset):
    with pytest.warns(XdvarnetWarning, match="5 x 6 cells are joined .* reads 12 chunks for each"):
        reconstruct(dataset.chunk(lat=5, lon=6), Smoother())
    with pytest.warns(XdvarnetWarning, match="needs the whole record .* all 11 days are one task"):
        reconstruct(dataset.chunk(time=1), Smoother(None))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reconstruct(dataset.chunk(time=-1), Smoother(None))
        reconstruct(dataset.chunk(time=4), Smoother())


def test_only_the_days_that_are_asked_for_are_solved():
    dataset, model = gappy(days=30), Smoother()
    maps = reconstruct(dataset.chunk(time=5), model)
    maps.isel(time=slice(10, 15)).compute(scheduler="synchronous")
    days = np.concatenate([window.days for window in model.seen])
    first = days_since_epoch(dataset["time"])[0]
    assert 0 < days.min() - first <= 10
    assert 14 <= days.max() - first < 25


def test_chunks_that_differ_between_variables(dataset):
    two = dataset.assign(sst=(dataset["ssh"] + 280).assign_attrs(units="K"))
    model = Smoother(variables={"ssh": "m", "sst": "K"})
    eager = reconstruct(two, model)
    two["ssh"], two["sst"] = two["ssh"].chunk(time=4), two["sst"].chunk(time=3, lat=5)
    maps = reconstruct(two, model)
    assert maps["ssh"].chunksizes["time"] == (4, 4, 3)
    assert maps["sst"].chunksizes["time"] == (3, 3, 3, 2)
    xr.testing.assert_identical(maps.compute(), eager)
    two["ssh"] = two["ssh"].compute()
    xr.testing.assert_identical(reconstruct(two, model).compute(), eager)


def test_a_lazy_mask_with_observations_in_memory(dataset):
    eager = reconstruct(dataset, Smoother())
    dataset["sea"] = dataset["sea"].chunk(lat=5)
    xr.testing.assert_identical(reconstruct(dataset, Smoother()).compute(), eager.compute())


def test_graphs_go_to_other_processes(dataset):
    model = Smoother(gives_std=True, first_guess=interpolation())
    maps = reconstruct(dataset.chunk(time=6), model)
    maps = cloudpickle.loads(cloudpickle.dumps(maps))
    xr.testing.assert_identical(maps.compute(), reconstruct(dataset, model))


@pytest.mark.parametrize("change", ["deleted", "replaced", "overwritten"])
def test_a_model_file_that_changes_later_changes_no_map(dataset, tmp_path, change):
    """The model is an object from the call on, and other processes are sent that."""
    path, model = tmp_path / "model.safetensors", network_from_the_interpolation()
    save_model(model, path)
    maps = reconstruct(dataset.chunk(time=6), load_model(path))
    if change == "deleted":
        path.unlink()
    elif change == "replaced":
        save_model(interpolation_on_a_mean_map(), path)
    else:  # in its place on the disk, as by cp
        path.write_bytes(bytes(path.stat().st_size))
    maps = cloudpickle.loads(cloudpickle.dumps(maps))
    xr.testing.assert_identical(maps.compute(), reconstruct(dataset, model))


# values are checked when they are computed


@pytest.mark.parametrize("model", [Smoother(), interpolation()], ids=["windows", "at once"])
def test_infinities(dataset, model):
    dataset["ssh"][9, 3, 4] = -np.inf
    maps = reconstruct(dataset.assign(ssh=lazy(dataset["ssh"], time=4)), model)
    with pytest.raises(InvalidInputError, match="variable 'ssh' has 1 infinite value"):
        maps.compute()


@pytest.mark.parametrize(
    ("model", "days"),
    [(Smoother(), 11), (interpolation(), 4), (interpolation(std=0.1), 11)],
    ids=["windows", "a pass", "one block"],
)
def test_no_observation_at_all(dataset, model, days):
    """It is refused where the whole record is seen."""
    empty = dataset.assign(ssh=(dataset["ssh"] * np.nan).assign_attrs(dataset["ssh"].attrs))
    maps = reconstruct(empty.chunk(time=days), model)
    with pytest.raises(InvalidInputError, match="no observation at all of ssh: all values on sea"):
        maps.compute()


def test_a_day_reads_its_block_and_halo_alone():
    """Nothing of the whole record is asked for by a model that needs nothing of it."""
    reads: list[int] = []
    given = counted(gappy(days=120), reads, time=10)
    maps = reconstruct(given, interpolation(std=0.1, background=NoBackground()))
    maps["ssh"].isel(time=55).compute(scheduler="synchronous")
    assert sorted(reads) == [40, 50, 60]


def test_a_day_reads_each_chunk_once_for_what_is_learned():
    reads: list[int] = []
    given = counted(gappy(days=120), reads, time=10)
    maps = reconstruct(given, interpolation())
    maps["ssh"].isel(time=55).compute(scheduler="synchronous")
    assert sorted(reads) == list(range(0, 120, 10))


def test_no_sea_at_all(dataset):
    dry = dataset.assign_coords(sea=dataset["sea"] & False)
    maps = reconstruct(dry.chunk(time=4), Smoother())
    with pytest.raises(InvalidInputError, match="'sea' is False everywhere"):
        maps.compute()


def test_a_chunk_without_observation_among_others(dataset):
    dataset["ssh"][:5] = np.nan
    with warnings.catch_warnings(record=True) as eager_warnings:
        warnings.simplefilter("always")
        eager = reconstruct(dataset, Smoother())
    maps = reconstruct(dataset.chunk(time=5), Smoother())
    with warnings.catch_warnings(record=True) as lazy_warnings:
        warnings.simplefilter("always")
        maps = maps.compute(scheduler="synchronous")
    assert {warning.category for warning in eager_warnings} == {XdvarnetWarning}
    assert {warning.category for warning in lazy_warnings} == {XdvarnetWarning}
    xr.testing.assert_identical(maps, eager)


def test_what_is_known_at_once_is_checked_at_once(dataset):
    chunked = dataset.chunk(time=4)
    with pytest.raises(InvalidInputError, match="11 latitudes x 19 longitudes, fewer"):
        reconstruct(chunked.isel(lat=slice(11)), Smoother(type(WINDOW)(5, 12, 9)))
    with pytest.raises(InvalidInputError, match="steps by 2 days"):
        reconstruct(chunked.isel(time=[0, 1, 3]), Smoother())


class Noise(WholeIdentity):
    """Draw maps, whatever was observed; until a day, at which it is interrupted."""

    last = np.inf

    def solve(self, observations, *, members=None, rng=None) -> Analysis:
        if observations.days[0] > self.last:
            raise OSError("interrupted")
        return Analysis({"ssh": rng.standard_normal(observations.shape).astype(np.float32)})


@pytest.mark.parametrize(
    "model",
    [
        Lead(Noise(None), 1),
        Windowed(Noise(None), Window(3, 8, 9, stride=(3, 4, 5))),
        Lead(Windowed(Noise(None), Window(3, 8, 9, stride=(3, 8, 9))), 0),
    ],
    ids=["lead", "windows", "lead of windows"],
)
def test_blocks_draw_the_noise_of_the_memory(tmp_path, monkeypatch, model):
    """To the bit, in a job that was interrupted too; and no block repeats another."""
    dataset, size = gappy(days=140), 35
    eager = reconstruct(dataset, model, rng=3)
    blocks = reconstruct(dataset.chunk(time=size), model, rng=3)
    assert blocks.chunksizes["time"] == (size,) * 4
    xr.testing.assert_identical(blocks.compute(), eager)
    for lag in range(1, 4):
        first, other = (eager["ssh"].values[part] for part in (0, lag * size))
        assert abs(np.ma.corrcoef(*map(np.ma.masked_invalid, (first.flat, other.flat)))[0, 1]) < 0.5
    path = tmp_path / "maps.zarr"
    monkeypatch.setattr(Noise, "last", days_since_epoch(dataset["time"])[70])
    with pytest.raises(StoreError, match="interrupted"):
        reconstruct(dataset, model, store=path, rng=3)
    monkeypatch.undo()
    resumed = reconstruct(dataset, model, store=path, rng=3)
    np.testing.assert_array_equal(resumed["ssh"], eager["ssh"])


def test_maps_go_to_a_file_without_being_loaded(dataset, tmp_path):
    maps = reconstruct(dataset.chunk(time=4), Smoother(gives_std=True))
    maps.to_netcdf(tmp_path / "maps.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "maps.nc", engine="h5netcdf") as written:
        xr.testing.assert_equal(written, reconstruct(dataset, Smoother(gives_std=True)))


@pytest.mark.parametrize("task_bytes", [1, 2**28], ids=["a member a task", "all in one"])
@pytest.mark.parametrize("lead", [None, 1])
def test_lazy_members_are_those_in_memory(monkeypatch, lead, task_bytes):
    monkeypatch.setattr("xdvarnet.mapping.lazy.MEMBER_BYTES", task_bytes)
    oi = interpolation(std=0.05)
    model = Calibrated(oi if lead is None else Lead(oi, lead), {"ssh": ERROR})
    observed = gappy()
    options = {"members": 3, "return_members": True, "rng": 4}
    eager = reconstruct(observed, model, **options)
    maps = reconstruct(observed.chunk(time=4), model, **options)
    assert maps.chunksizes["member"] == ((1, 1, 1) if task_bytes == 1 else (3,))
    xr.testing.assert_allclose(maps, eager, rtol=1e-6, atol=1e-7)
    xr.testing.assert_equal(maps.compute(), maps.compute())  # no task uses up its generator
    assert maps.attrs["xdvarnet_ensemble"] == "hybrid, 3 members"


def test_members_that_are_not_asked_for_are_no_task():
    model, observed = calibrated_interpolation(), gappy()
    maps = reconstruct(observed.chunk(time=4), model, members=3, rng=4)
    assert set(maps) == {"ssh", "ssh_std"}
    xr.testing.assert_equal(maps.compute(), reconstruct(observed, model, members=3, rng=4))


@pytest.mark.parametrize("make", [calibrated_network, gaussian_field])
@pytest.mark.parametrize("keep", [True, False])
def test_members_that_need_the_whole_record_are_one_task(make, keep):
    model, options = make(), {"members": 3, "return_members": keep, "rng": 4}
    with pytest.warns(XdvarnetWarning, match="members of .* all 11 days, .* are one task"):
        maps = reconstruct(gappy().chunk(time=4), model, **options)
    assert ("ssh_members" in maps) == keep
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XdvarnetWarning)
        eager = reconstruct(gappy(), model, **options)
        xr.testing.assert_equal(maps.compute(), eager)
        xr.testing.assert_equal(maps.compute(), eager)  # no task uses up its generator


def test_lazy_members_of_what_has_none(dataset):
    with pytest.warns(XdvarnetWarning, match="members of"):
        maps = reconstruct(dataset.chunk(time=4), Smoother(), members=3)
    with pytest.raises(InvalidInputError, match="has no ensemble"):
        maps.compute()
