"""Maps in a store: the same as without, in as many attempts as it takes."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import dask
import filelock
import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster
from reconstructors import Count, Smoother, counted, gappy

import xdvarnet
from xdvarnet.errors import InvalidInputError, InvalidTypeError, StoreError
from xdvarnet.mapping import store
from xdvarnet.mapping.background import ObservedBackground
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.mapping.store import finished_blocks

DAYS = 48


class Running(Reconstructor):
    """Sum the observations of three days; `broken` days cannot be computed."""

    variables = {"ssh": "m"}
    gives_std = True
    halo = 2.0

    def __init__(self, broken: float = -1.0, factor: float = 1.0) -> None:
        self.broken, self.factor = broken, factor
        self.background = ObservedBackground(days=5)
        self.seen: list[float] = []

    def __repr__(self) -> str:
        return "Running()"

    def solve(self, observations: Observations, *, members=None, rng=None) -> Analysis:
        days = observations.days[observations.used]
        self.seen += days.tolist()
        if days[0] <= self.broken <= days[-1]:
            raise OSError("no space left on device")
        values = self.factor * np.nan_to_num(observations.values["ssh"])
        around = np.pad(values, ((1, 1), (0, 0), (0, 0)))
        mean = around[:-2] + around[1:-1] + around[2:]
        return Analysis({"ssh": mean}, {"ssh": np.abs(mean)})


def interpolation(**options) -> xdvarnet.OptimalInterpolation:
    numbers = {"correlation_length": 90, "correlation_time": 3, "noise": 0.02, "time_window": 7}
    return xdvarnet.OptimalInterpolation("ssh", **numbers, neighbours=9, **options)


@pytest.fixture
def dataset():
    return gappy(days=DAYS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "maps.zarr"


def count_blocks(path) -> tuple[int, int]:
    done = finished_blocks(path)
    return int(done.sum()), done.size


@pytest.mark.parametrize(
    "model",
    [Running(), interpolation(), interpolation(std_length=200), Smoother(gives_std=True)],
    ids=["three days", "interpolation", "local std", "windows"],
)
@pytest.mark.parametrize("chunks", [None, {"time": (1, 14, 33)}, {"time": 7, "lat": 5}], ids=str)
def test_a_store_has_the_maps_of_the_memory(dataset, path, model, chunks):
    eager = xdvarnet.reconstruct(dataset, model)
    given = dataset if chunks is None else dataset.chunk(chunks)
    maps = xdvarnet.reconstruct(given, model, store=path)
    assert maps.chunks
    assert count_blocks(path)[1] > 1
    xr.testing.assert_identical(maps.compute().drop_encoding(), eager.drop_encoding())


def test_a_block_that_fails_leaves_the_others(dataset, path):
    eager = xdvarnet.reconstruct(dataset, model := Running())
    broken = Running(model.seen[0] + 25)
    with (
        dask.config.set(scheduler="synchronous"),
        pytest.raises(StoreError, match=r"OSError: no space left on device. \d of 5 blocks are"),
    ):
        xdvarnet.reconstruct(dataset, broken, store=path)
    written, _ = count_blocks(path)
    assert 0 < written < 5
    known = xr.open_zarr(path).load()
    assert "xdvarnet_unfinished" in known.attrs
    with pytest.warns(xdvarnet.XdvarnetWarning, match="not finished; only the days"):
        known.dvarnet.score(gappy(days=DAYS, unobserved=0.0))
    days = known["ssh"].notnull().any(["lat", "lon"]).values
    assert days.sum() == 10 * written - 2 * days[-1]  # the last block has eight days
    # the broken day is a setting of this model, and another one is refused; a full disk is none
    with pytest.raises(StoreError, match=r"model.broken .*, and this call has -1.0"):
        xdvarnet.reconstruct(dataset, Running(), store=path)
    broken.solve = Running().solve
    maps = xdvarnet.reconstruct(dataset, broken, store=path)
    xr.testing.assert_identical(maps.compute().drop_encoding(), eager.drop_encoding())


@pytest.mark.parametrize("chunks", [(20, 10), (12, 14), (16, 12), (10, 20), (10, None)], ids=str)
def test_any_chunks_of_the_input_go_on(dataset, path, chunks):
    """The blocks are those of the store, however the input comes the second time."""
    first, second = chunks
    eager = xdvarnet.reconstruct(dataset, model := Running())
    broken = Running(model.seen[0] + 25)
    with dask.config.set(scheduler="synchronous"), pytest.raises(StoreError, match="OSError"):
        xdvarnet.reconstruct(dataset.chunk(time=first), broken, store=path)
    written, total = count_blocks(path)
    assert 0 < written < total
    broken.solve = Running().solve
    given = dataset if second is None else dataset.chunk(time=second)
    maps = xdvarnet.reconstruct(given, broken, store=path)
    assert count_blocks(path) == (total, total)
    assert "xdvarnet_unfinished" not in maps.attrs
    xr.testing.assert_identical(maps.compute().drop_encoding(), eager.drop_encoding())


def test_no_day_is_analysed_for_two_blocks(path):
    """Blocks of a store are tasks, the last one too, which may be shorter than the halo."""
    model = Running()
    model.halo = 12.0
    maps = xdvarnet.reconstruct(gappy(days=43), model, store=path)
    assert maps.chunksizes["time"][-1] < model.halo
    assert sorted(model.seen) == sorted(set(model.seen))
    assert len(model.seen) == 43


@pytest.mark.parametrize("chunk", [1, 10, 60])
@pytest.mark.parametrize("model", [Running(), interpolation()], ids=["three days", "oi"])
def test_the_work_of_a_job_grows_like_the_days(path, model, chunk):
    """A chunk is read once to begin the job, and for two blocks at most; tasks are linear."""
    tasks = {}
    for days in (60, 120):
        reads: list[int] = []
        given = counted(gappy(days=days), reads, time=chunk)
        target = path.with_name(f"{days}.zarr")
        with Count() as count, dask.config.set(scheduler="synchronous"):
            xdvarnet.reconstruct(given, model, store=target)
        assert max(map(reads.count, reads)) <= 3
        assert len(set(reads)) == days // chunk
        tasks[days] = len(count.keys)
    assert tasks[120] <= 2.1 * tasks[60]
    assert tasks[120] < 60 * 120


def test_a_record_without_observation_begins_no_job(dataset, path):
    empty = dataset.assign(ssh=dataset["ssh"].where(False).assign_attrs(units="m"))
    with pytest.raises(InvalidInputError, match="no observation at all of ssh"):
        xdvarnet.reconstruct(empty.chunk(time=10), Running(), store=path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("chunk", "block"), [(None, 10), (1, 10), (4, 12), (20, 20), (200, 10), (67, 12)]
)
def test_blocks_follow_the_halo(path, chunk, block):
    """A chunk is a block where it is longer; one that is much longer is cut."""
    dataset = gappy(days=200)
    given = dataset if chunk is None else dataset.chunk(time=chunk)
    maps = xdvarnet.reconstruct(given, Running(), store=path)
    assert maps.chunksizes["time"][0] == block


def test_chunks_of_a_job_are_warned_of_once(dataset, path, tmp_path):
    """Only those that the user made."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", xdvarnet.XdvarnetWarning)
        xdvarnet.reconstruct(dataset, interpolation(), store=path)
    with pytest.warns(xdvarnet.XdvarnetWarning) as told:
        given = dataset.chunk(time=1, lat=5)
        xdvarnet.reconstruct(given, interpolation(), store=tmp_path / "chunks.zarr")
    said = [str(each.message) for each in told if each.category is xdvarnet.XdvarnetWarning]
    assert len(said) == 2
    assert "joined to whole maps" in said[0]
    assert "5 blocks of up to 10 days" in said[1]


@pytest.mark.parametrize("resumed", [False, True])
def test_blocks_that_can_be_read_are_written(path, resumed):
    """A chunk that is damaged while the job runs, or before it goes on, costs what needs it."""
    dataset, bad = gappy(days=120), set()
    given = counted(dataset, [], bad, time=10)
    if resumed:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(StoreError, match="0 of 12"):
            patch.setattr("xdvarnet.mapping.store._write", lambda *_, **__: 1 / 0)
            xdvarnet.reconstruct(given, Running(), store=path)
        bad.add(70)
    with pytest.MonkeyPatch.context() as patch:
        begun = store.begin
        patch.setattr("xdvarnet.mapping.job.begin", lambda *given: (begun(*given), bad.add(70))[0])
        with pytest.raises(StoreError, match=r"positions 60 to 69: RuntimeError: .* 9 of 12 .* 3 "):
            xdvarnet.reconstruct(given, Running(), store=path)
    assert np.flatnonzero(finished_blocks(path) == 0).tolist() == [6, 7, 8]  # it and its neighbors
    bad.clear()
    maps = xdvarnet.reconstruct(given, Running(), store=path)
    eager = xdvarnet.reconstruct(dataset, Running())
    xr.testing.assert_identical(maps.compute().drop_encoding(), eager.drop_encoding())


def test_a_disk_that_is_full_ends_the_job(dataset, path, monkeypatch):
    """No block is computed in vain."""
    model = Running()

    def full(*_, **__):
        raise OSError("no space left on device")

    begun = store.begin
    given = counted(dataset, [], time=4)

    def begin(*arguments):
        stored = begun(*arguments)
        monkeypatch.setattr(xr.Dataset, "to_zarr", full)
        return stored

    monkeypatch.setattr("xdvarnet.mapping.job.begin", begin)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with dask.config.set(scheduler="synchronous"), pytest.raises(StoreError, match="no space left"):
        xdvarnet.reconstruct(given, model, store=path)
    assert len(set(model.seen)) < DAYS / 2


def test_a_record_that_cannot_be_read_begins_no_job(dataset, path):
    with pytest.raises(StoreError, match="was not begun, since .*RuntimeError: error during blosc"):
        xdvarnet.reconstruct(counted(dataset, [], {20}, time=10), Running(), store=path)
    assert not path.exists()


def test_a_complete_store_computes_nothing(dataset, path):
    first = xdvarnet.reconstruct(dataset, Running(), store=path).compute()
    times = {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()}
    model = Running()
    second = xdvarnet.reconstruct(dataset, model, store=path).compute()
    assert model.seen == []
    assert times == {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()}
    xr.testing.assert_identical(first, second)


def test_the_background_is_that_of_the_beginning(dataset, path, monkeypatch):
    """What was found on the whole record is read from the store, and not estimated again."""
    whole = xdvarnet.reconstruct(dataset, Running())
    days: list[int] = []

    def broken(maps, *rest):
        days.append(maps.sizes["time"])
        raise OSError("read error")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="0 of 5 blocks"):
        patch.setattr("xdvarnet.mapping.store.write_block", broken)
        xdvarnet.reconstruct(dataset.chunk(time=10), Running(), store=path)
    assert days
    # another estimate would differ: that of the store is what the maps are made with
    other = {"ssh": lambda array: array + 1.0}
    job = xr.open_zarr(path, group="job").load()
    (job[["ssh"]].map(other["ssh"])).to_zarr(path, group="job", mode="a", consolidated=True)
    maps = xdvarnet.reconstruct(dataset.chunk(time=10), Running(), store=path)
    difference = (maps["ssh"] - whole["ssh"]).values[:, dataset["sea"].values]
    assert np.abs(difference).max() > 0.5


def test_other_settings_are_refused(dataset, path):
    xdvarnet.reconstruct(dataset, interpolation(), store=path)
    with pytest.raises(StoreError, match=r"begun with model.std None, and this call has 0.5. Give"):
        xdvarnet.reconstruct(dataset, interpolation(std=0.5), store=path)
    with pytest.raises(StoreError, match="begun with model's class OptimalInterpolation"):
        xdvarnet.reconstruct(dataset, Running(), store=path)
    with pytest.raises(StoreError, match=r"latitude 14 from 36.*, and this call has 9 from"):
        xdvarnet.reconstruct(dataset.isel(lat=slice(9)), interpolation(), store=path)
    changed = dataset.copy(deep=True)
    changed["ssh"][7] += 0.01
    with pytest.raises(StoreError, match=r"input of .* has changed .* 1 days differ .* position 7"):
        xdvarnet.reconstruct(changed, interpolation(), store=path)


def test_what_is_no_store_of_maps_is_refused(dataset, path, tmp_path):
    for wrong in ("maps.nc", "s3://bucket/maps.zarr"):
        with pytest.raises(InvalidInputError, match="is no zarr store in a folder"):
            xdvarnet.reconstruct(dataset, Running(), store=wrong)
    with pytest.raises(InvalidTypeError, match="store=True is no path"):
        xdvarnet.reconstruct(dataset, Running(), store=True)
    with pytest.raises(InvalidInputError, match="a store is of maps"):
        xdvarnet.reconstruct(dataset, Running(), store=path, members=3)
    dataset.to_zarr(path)
    with pytest.raises(StoreError, match="is no store that reconstruct"):
        xdvarnet.reconstruct(dataset, Running(), store=path)
    with pytest.raises(StoreError, match=r"is no folder that can be written to \(.*\). Make it"):
        xdvarnet.reconstruct(dataset, Running(), store=tmp_path / "typo" / "maps.zarr")
    assert not (tmp_path / "typo").exists()


def test_a_second_writer_is_refused(dataset, path):
    with (
        filelock.FileLock(path.with_name(".maps.zarr.lock")),
        pytest.raises(StoreError, match="another process writes to"),
    ):
        xdvarnet.reconstruct(dataset, Running(), store=path)
    xdvarnet.reconstruct(dataset, Running(), store=path)


def test_nothing_is_left_of_a_store_that_cannot_be_made(dataset, path):
    dataset["ssh"][9, 3, 4] = np.inf
    with pytest.raises(InvalidInputError, match="1 infinite value"):
        xdvarnet.reconstruct(dataset.chunk(time=10), Running(), store=path)
    assert os.listdir(path.parent) == []
    with pytest.raises(InvalidInputError, match="steps by 2 days"):
        xdvarnet.reconstruct(dataset.isel(time=[0, 1, 3]), Smoother(), store=path)
    assert os.listdir(path.parent) == []


SCRIPT = """
    import sys
    import xdvarnet
    from test_store import DAYS, Slow, gappy

    xdvarnet.reconstruct(gappy(days=DAYS).chunk(time=4), Slow(), store=sys.argv[1])
"""


def test_a_job_that_is_killed_goes_on(dataset, path):
    """Killed three times at random; what is there at the end is what one run writes."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(SCRIPT), str(path)]
    chance = random.Random(0)
    kills = 0
    while kills < 3:
        process = subprocess.Popen(command, cwd=os.path.dirname(__file__))
        while not path.exists() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.8))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    assert kills > 0
    maps = xdvarnet.reconstruct(dataset.chunk(time=4), Slow(), store=path)
    eager = xdvarnet.reconstruct(dataset, Slow())
    xr.testing.assert_identical(maps.compute().drop_encoding(), eager.drop_encoding())


class Slow(Running):
    """Take a while for each block."""

    def solve(self, observations: Observations, *, members=None, rng=None) -> Analysis:
        time.sleep(0.2)
        return super().solve(observations, members=members, rng=rng)


def test_a_worker_of_a_cluster_is_killed(dataset, path):
    eager = xdvarnet.reconstruct(dataset, Slow())
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        victim = next(iter(client.run(os.getpid).values()))
        threading.Timer(1.0, os.kill, (victim, signal.SIGKILL)).start()
        maps = xdvarnet.reconstruct(dataset.chunk(time=4), Slow(), store=path).load()
        assert victim not in client.run(os.getpid).values()
    xr.testing.assert_identical(maps.drop_encoding(), eager.drop_encoding())
