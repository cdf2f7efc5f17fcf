"""Time the application of weights that are there already, and print it.

A year of a sea and a month of a globe, with land that stays and with clouds that change, field by
field as the package does it, and in one product of all fields, as it did before. Run
``python tests/benchmarks/bench_weights.py``.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np
from scipy import sparse

from xdvarnet.grids.regrid.horizontal import HorizontalGrid
from xdvarnet.grids.regrid.interpolation import linear
from xdvarnet.grids.regrid.weights import weighted


def axes(latitude: np.ndarray, longitude: np.ndarray) -> HorizontalGrid:
    """Return a grid of axes."""
    return HorizontalGrid(("lat", "lon"), ("lat", "lon"), latitude, longitude, None)


def all_at_once(matrix: sparse.csr_array, fields: np.ndarray) -> np.ndarray:
    """Return the product with all fields as columns, and its division."""
    columns = fields.reshape(len(fields), -1).T.astype(float)
    finite = np.isfinite(columns)
    covered = matrix @ finite.astype(float)
    covered[covered <= 0.999] = np.nan
    return (matrix @ np.where(finite, columns, 0.0) / covered).T.astype(fields.dtype)


def best(work: Callable[[], object]) -> float:
    """Return the least seconds of three runs."""
    seconds = []
    for _ in range(3):
        start = perf_counter()
        work()
        seconds.append(perf_counter() - start)
    return min(seconds)


def measure(name: str, days: int, source: HorizontalGrid, target: HorizontalGrid) -> None:
    """Print the seconds with land alone and with clouds."""
    matrix = linear(source, target)
    rng = np.random.default_rng(0)
    fields = rng.normal(size=(days, *source.shape)).astype(np.float32)
    fields[:, rng.random(source.shape) < 0.3] = np.nan
    clouds = np.where(rng.random(fields.shape) < 0.1, np.nan, fields).astype(np.float32)
    regridded = weighted(matrix, "linear", "ssh", ~source.placed, target.shape)
    for missing, given in (("land", fields), ("clouds", clouds)):
        np.testing.assert_allclose(
            regridded(given).reshape(days, -1), all_at_once(matrix, given), rtol=1e-6, atol=1e-6
        )
        print(
            f"{name:6} {missing:7} field by field {best(lambda x=given: regridded(x)):6.2f} s, "
            f"all at once {best(lambda x=given: all_at_once(matrix, x)):6.2f} s"
        )


def main() -> None:
    sea = axes(np.linspace(30, 46, 128), np.linspace(-6, 37, 344))
    measure("sea", 365, sea, axes(np.linspace(30.1, 45.9, 121), np.linspace(-5.9, 36.9, 350)))
    globe = axes(np.arange(-89.875, 90, 0.25), np.arange(0.125, 360, 0.25))
    measure("globe", 30, globe, axes(np.arange(-89.8, 90, 0.4), np.arange(0.2, 360, 0.4)))


if __name__ == "__main__":
    main()
