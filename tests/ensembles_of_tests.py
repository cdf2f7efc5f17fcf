"""Small ensembles for tests, and brute force; sizes and steps differ in each dimension."""

import itertools

import numpy as np
import pandas as pd
import xarray as xr

DIMS = ("member", "time", "lat", "lon")


def gappy_truth() -> xr.DataArray:
    """Return five days with land and a gap, 6 x 8 cells, in metres."""
    values = 0.2 + 0.1 * np.random.default_rng(21).normal(size=(5, 6, 8))
    values[:, 1:3, 4:6] = np.nan
    values[3, 5, 7] = np.nan
    coords = {
        "time": pd.date_range("2005-06-10", periods=5),
        "lat": 36 + 0.25 * np.arange(6),
        "lon": -1 + 0.5 * np.arange(8),
    }
    return xr.DataArray(values, coords, DIMS[1:], name="ssh", attrs={"units": "m"})


def gappy_members() -> xr.DataArray:
    """Return seven members, one of which has a gap that the truth has not."""
    values = 0.2 + 0.1 * np.random.default_rng(22).normal(size=(7, 5, 6, 8))
    values[2, 4, 0, 3] = np.nan
    return xr.DataArray(
        values, gappy_truth().coords, DIMS, name="ssh_members", attrs={"units": "m"}
    )


def draw(points: int, size: int, *, spread: float = 1.0, seed: int = 5):
    """Draw members and a truth from one normal distribution in each point, a different one each.

    The distribution has the standard deviation 1, that of the members is `spread`.
    """
    rng = np.random.default_rng(seed)
    centre = 10 * rng.normal(size=points)
    truth = xr.DataArray(centre + rng.normal(size=points), dims="time")
    values = centre + spread * rng.normal(size=(size, points))
    return xr.DataArray(values, dims=("member", "time")), truth


def cells(members: xr.DataArray, truth: xr.DataArray) -> list[tuple[np.ndarray, float]]:
    """Return the members and the truth of each cell that counts, in a list."""
    flat = members.transpose(*DIMS).values.reshape(members.sizes["member"], -1).T
    pairs = zip(flat, truth.values.reshape(-1), strict=True)
    return [(x, y) for x, y in pairs if np.isfinite(x).all() and np.isfinite(y)]


def brute_crps(x: np.ndarray, y: float) -> float:
    """Sum over all pairs of members."""
    pairs = sum(abs(a - b) for a, b in itertools.permutations(x, 2))
    return np.mean([abs(a - y) for a in x]) - pairs / (2 * len(x) * (len(x) - 1))
