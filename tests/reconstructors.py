"""Tiny reconstructors and gappy data for tests; sizes and steps differ in each dimension."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from xdvarnet.models.base import Analysis, Observations
from xdvarnet.patches.cover import Window

WINDOW = Window(5, 8, 9, stride=(2, 4, 5), halo=(1, 1, 2))


class NoBackground:
    """Remove nothing."""

    def estimate(self, observed: xr.DataArray) -> xr.DataArray:
        return xr.zeros_like(observed)


class Identity:
    """Return the observations, and zero where there are none."""

    def __init__(self, window: Window | None = WINDOW, **attributes: object) -> None:
        self.variables = {"ssh": "m"}
        self.window = window
        self.background = NoBackground()
        self.first_guess = None
        self.training_grid = None
        self.gives_std = False
        self.seen: list[Observations] = []
        vars(self).update(attributes)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __getstate__(self) -> dict:
        return {**vars(self), "seen": []}

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        self.seen.append(observations)
        return Analysis({name: np.nan_to_num(observations.values[name]) for name in self.variables})


class Smoother(Identity):
    """Smooth over the window, on top of the first guess; the spread grows with latitude."""

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
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
