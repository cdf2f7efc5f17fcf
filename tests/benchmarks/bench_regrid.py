"""Time the weights and the regridding of two usual cases, and print them.

A sea on one grid of axes to another, and a tripolar ocean to one degree. Where xESMF is installed,
its weights are timed too. Run ``python tests/benchmarks/bench_regrid.py``.
"""

from importlib.util import find_spec
from time import perf_counter

import numpy as np
import xarray as xr

from xdvarnet.grids.regrid.fields import regrid, regrid_weights
from xdvarnet.grids.regrid.horizontal import from_vectors
from xdvarnet.grids.regrid.weights import METHODS

DAYS = 91


def axes(latitude: np.ndarray, longitude: np.ndarray) -> xr.Dataset:
    """Return masked fields on axes."""
    field = np.random.default_rng(0).normal(size=(DAYS, latitude.size, longitude.size))
    field[:, ::7, ::5] = np.nan
    coords = {"lat": latitude, "lon": longitude}
    return xr.Dataset({"ssh": (("time", "lat", "lon"), field.astype(np.float32))}, coords)


def tripolar(ny: int = 330, nx: int = 360) -> xr.Dataset:
    """Return one field on a grid of axes to 60 N and of ellipses, folded at a meridian, beyond."""
    south = ny * 3 // 4
    latitude, longitude = np.meshgrid(
        np.linspace(-80, 60, south), (np.arange(nx) + 0.5) * 360 / nx, indexing="ij"
    )
    u = np.deg2rad(longitude[0])
    v = np.linspace(1.1, 0, ny - south, endpoint=False)[:, None]
    height = np.full((ny - south, nx), 2.4)
    cap = from_vectors(np.stack([np.cos(u) * np.cosh(v), np.sin(u) * np.sinh(v), height], axis=-1))
    positions = [np.concatenate(pair) for pair in zip((latitude, longitude), cap, strict=True)]
    field = np.cos(np.deg2rad(positions[0]))
    return xr.Dataset(
        {"tos": (("y", "x"), field)},
        {"lat": (("y", "x"), positions[0]), "lon": (("y", "x"), positions[1])},
    )


def measure(name: str, source: xr.Dataset, target: xr.Dataset) -> None:
    """Print the seconds of each method."""
    engines = ["native"] + ["xesmf"] * (find_spec("xesmf") is not None)
    for method in METHODS:
        for engine in engines:
            start = perf_counter()
            weights = regrid_weights(source, target, method=method, engine=engine)
            made = perf_counter()
            regrid(source, target, method=method, weights=weights)
            print(
                f"{name:9} {method:20} {engine:7} weights {made - start:6.2f} s, "
                f"regridding {perf_counter() - made:6.2f} s"
            )


def main() -> None:
    sea = axes(np.linspace(30, 46, 128), np.linspace(-6, 37, 344))
    other = axes(np.linspace(30.1, 45.9, 121), np.linspace(-5.9, 36.9, 350))
    measure("sea", sea, other)
    measure("tripolar", tripolar(), axes(np.arange(-89.5, 90), np.arange(0.5, 360)))


if __name__ == "__main__":
    main()
