"""Tiny reconstructors and gappy data for tests; sizes and steps differ in each dimension."""

from collections.abc import Callable, Collection, Sequence

import numpy as np
import xarray as xr
from dask.callbacks import Callback
from scipy.ndimage import gaussian_filter

from xdvarnet.grids.coords import Grid
from xdvarnet.mapping.background import Background, NoBackground
from xdvarnet.mapping.cover import Window
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.mapping.windows import InWindows
from xdvarnet.networks.training_grid import TrainingGrid

WINDOW = Window(5, 8, 9, stride=(2, 4, 5), halo=(1, 1, 2))


class _Identity(Reconstructor):
    """Return the observations, and zero where there are none."""

    def __init__(
        self,
        window: Window | None,
        variables: dict[str, str] | None = None,
        background: Background | None = None,
        first_guess: Reconstructor | None = None,
        gives_std: bool = False,
        training_grid: TrainingGrid | None = None,
    ) -> None:
        self.window = window
        self.variables = {"ssh": "m"} if variables is None else variables
        self.background = NoBackground() if background is None else background
        self.first_guess, self.gives_std = first_guess, gives_std
        self.training_grid = training_grid
        self.seen: list[Observations] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __getstate__(self) -> dict:
        return {**vars(self), "seen": []}

    def see(self, observations: Observations, members=None, rng=None) -> Analysis:
        self.seen.append(observations)
        return Analysis({name: np.nan_to_num(observations.values[name]) for name in self.variables})

    def solve(self, observations: Observations, *, members=None, rng=None) -> Analysis:
        return self.see(observations, members, rng)

    def solve_windows(
        self, windows: Sequence[Observations], *, rng: np.random.Generator | None = None
    ) -> list[Analysis]:
        return [self.see(window) for window in windows]


class _Smoother(_Identity):
    """Smooth over the window, on top of the first guess; the spread grows with latitude."""

    def see(self, observations: Observations, members=None, rng=None) -> Analysis:
        self.seen.append(observations)
        mean, std, drawn = {}, {}, {}
        for name in self.variables:
            values = np.nan_to_num(observations.values[name])
            guess, spread = np.float32(0), np.float32(0)
            if observations.first_guess is not None:
                guess = observations.first_guess.mean[name]
                spread = observations.first_guess.std.get(name, spread)
            mean[name] = guess + gaussian_filter(values - guess, (1, 2, 1))
            std[name] = spread + np.broadcast_to(
                np.float32(0.01) * np.arange(values.shape[1], dtype=np.float32)[:, None],
                values.shape,
            )
            if members:
                noise = rng.standard_normal((members, *values.shape), dtype=np.float32)
                drawn[name] = mean[name] + np.float32(0.01) * noise
        return Analysis(mean, std if self.gives_std else {}, drawn)


class _InWindows(InWindows):
    def check(self, grid: Grid) -> None:
        super().check(grid)
        if self.training_grid is not None:
            self.training_grid.check(grid)


class WindowedIdentity(_Identity, _InWindows):
    solve = InWindows.solve


class WindowedSmoother(_Smoother, _InWindows):
    solve = InWindows.solve


class WholeIdentity(_Identity):
    pass


class WholeSmoother(_Smoother):
    pass


def Identity(window: Window | None = WINDOW, **options) -> _Identity:  # noqa: N802
    """Return what gives the observations back, by windows or at once."""
    return (WholeIdentity if window is None else WindowedIdentity)(window, **options)


def Smoother(window: Window | None = WINDOW, **options) -> _Smoother:  # noqa: N802
    """Return what smooths, by windows or at once."""
    return (WholeSmoother if window is None else WindowedSmoother)(window, **options)


def gappy(
    days: int = 11, rows: int = 14, columns: int = 19, *, seed: int = 0, unobserved: float = 0.6
) -> xr.Dataset:
    """Sea surface height (m) with gaps and an island; daily, 0.25 x 0.4 degrees, float32."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((days, rows, columns)), (1, 2, 2), mode="wrap")
    field = 0.05 * field / field.std() + 0.1
    sea = np.ones((rows, columns), bool)
    sea[3:6, 7:11] = False
    field[(rng.random(field.shape) < unobserved) | ~sea] = np.nan
    return xr.Dataset(
        {
            "ssh": (
                ("time", "lat", "lon"),
                field.astype(np.float32),
                {"units": "m", "standard_name": "sea_surface_height", "long_name": "height"},
            )
        },
        {
            "time": np.datetime64("2020-02-01", "ns") + np.arange(days) * np.timedelta64(1, "D"),
            "lat": ("lat", 36 + 0.25 * np.arange(rows), {"units": "degrees_north"}),
            "lon": ("lon", 2 + 0.4 * np.arange(columns), {"units": "degrees_east"}),
            "sea": (("lat", "lon"), sea, {"long_name": "true on sea"}),
        },
        {"title": "toy sea"},
    )


class Count(Callback):
    """Count the tasks that run, by what their names begin with."""

    def __init__(self):
        self.keys = []

    def _pretask(self, key, dsk, state):
        self.keys.append(str(key))

    def count(self, name: str) -> int:
        return len({key for key in self.keys if key.lstrip("('").startswith(name)})


def counted(
    dataset: xr.Dataset, reads: list[int], bad: Collection[int] = (), **chunks: int
) -> xr.Dataset:
    """Return a Dataset in chunks that note the first of their days when they are read.

    Chunks that begin at a day in `bad` cannot be read; it can change later.
    """

    def read(values, block_info=None):
        first = block_info[0]["array-location"][0][0]
        reads.append(first)
        if first in bad:
            raise RuntimeError("error during blosc decompression")
        return values

    heights = dataset["ssh"].chunk(chunks)
    data = heights.data.map_blocks(read, dtype="f4", meta=np.empty((0, 0, 0), "f4"))
    return dataset.assign(ssh=heights.copy(data=data))


def explode(array: xr.DataArray, **chunks: int) -> xr.DataArray:
    """Return `array` on dask, such that computing any of it fails."""

    def fail(block: np.ndarray) -> np.ndarray:
        raise AssertionError("a value was computed")

    return lazy(array, fail, **chunks)


def lazy(array: xr.DataArray, kernel: Callable | None = None, **chunks: int) -> xr.DataArray:
    """Return `array` on dask, with `kernel` applied to each block when it is computed."""
    chunked = array.chunk(chunks)
    if kernel is None:
        return chunked
    return chunked.copy(
        data=chunked.data.map_blocks(kernel, dtype=array.dtype, meta=array.data[:0])
    )
