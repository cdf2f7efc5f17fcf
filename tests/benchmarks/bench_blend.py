"""Time the blending of patches against accumulation by label, and print both.

Run ``python tests/benchmarks/bench_blend.py``.
"""

from time import perf_counter

import numpy as np
import xarray as xr

from xdvarnet.grids.internal import DIMS
from xdvarnet.mapping.blend import blend
from xdvarnet.mapping.cover import Cover, Position, Window, cover

SHAPE = (60, 128, 344)
WINDOW = Window(time=15, latitude=64, longitude=64, stride=(3, 24, 24), halo=(2, 4, 4))


def blend_by_label(
    patches: list[tuple[Position, xr.DataArray]], template: xr.DataArray, weight: np.ndarray
) -> xr.DataArray:
    """Add patches and weights where the labels of the coordinates are, and divide at the end."""
    total, weights = xr.zeros_like(template), xr.zeros_like(template)
    for _, patch in patches:
        labels = {dim: patch[dim] for dim in DIMS}
        total.loc[labels] = total.sel(labels) + patch * weight
        weights.loc[labels] = weights.sel(labels) + weight
    return total / weights


def main() -> None:
    domain: Cover = cover(SHAPE, WINDOW)
    field = np.random.default_rng(0).normal(size=domain.padded_shape).astype(np.float32)
    coords = {dim: np.arange(size) for dim, size in zip(DIMS, domain.padded_shape, strict=True)}
    template = xr.DataArray(field, coords, DIMS)
    patches = [
        (position, template.isel(dict(zip(DIMS, position, strict=True))).copy())
        for position in domain.positions()
    ]
    weight = np.ones(WINDOW.sizes, dtype=np.float32)

    start = perf_counter()
    by_label = blend_by_label(patches, template, weight)
    label_time = perf_counter() - start

    start = perf_counter()
    slabs = list(blend(((position, patch.values) for position, patch in patches), domain))
    slice_time = perf_counter() - start

    blended = np.concatenate(slabs)
    nt, ny, nx = SHAPE
    np.testing.assert_allclose(blended, by_label.values[:nt, :ny, :nx], atol=1e-5)
    print(f"{len(patches)} patches of {WINDOW.sizes} cells, domain {SHAPE}")
    print(f"by label:  {label_time:6.2f} s")
    print(f"by slices: {slice_time:6.2f} s, {label_time / slice_time:.0f} times faster")


if __name__ == "__main__":
    main()
