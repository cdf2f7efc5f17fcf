"""A Gaussian sea with known covariance, for which optimal interpolation is exact kriging."""

import numpy as np
import xarray as xr
from reconstructors import NoBackground

import xdvarnet
from xdvarnet.grids.coords import unit_vectors
from xdvarnet.grids.units import EARTH_RADIUS

LENGTH, TIME, STD, NOISE = 80.0, 2.5, 0.1, 0.03


def world(days: int = 150, rows: int = 13, columns: int = 17, seed: int = 0) -> xr.Dataset:
    """Sea surface height (m), covariance ``std^2 exp(-(d / L)^2 - (dt / T)^2)``, with an island."""
    rng = np.random.default_rng(seed)
    latitude, longitude = 38 + 0.25 * np.arange(rows), 3 + 0.3 * np.arange(columns)
    places = EARTH_RADIUS * unit_vectors(*np.meshgrid(latitude, longitude, indexing="ij"))
    field = STD * np.einsum(
        "ts,ij,sj->ti",
        _root(np.arange(days)[:, None], TIME),
        _root(places.reshape(-1, 3), LENGTH),
        rng.standard_normal((days, rows * columns)),
        optimize=True,
    ).reshape(days, rows, columns)
    sea = np.ones((rows, columns), bool)
    sea[4:6, 8:12] = False
    return xr.Dataset(
        {"ssh": (("time", "lat", "lon"), np.where(sea, field, np.nan), {"units": "m"})},
        {
            "time": np.datetime64("2010-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D"),
            "lat": ("lat", latitude, {"units": "degrees_north"}),
            "lon": ("lon", longitude, {"units": "degrees_east"}),
            "sea": (("lat", "lon"), sea),
        },
    ).astype(np.float32)


def kriging(**options) -> xdvarnet.OptimalInterpolation:
    """Optimal interpolation with the covariance of the world and practically all observations."""
    options = {"std": STD, "background": NoBackground(), "neighbours": 130} | options
    return xdvarnet.OptimalInterpolation(
        "ssh",
        correlation_length=LENGTH,
        correlation_time=TIME,
        noise=NOISE,
        time_window=13,
        **options,
    )


class ExactCells(xdvarnet.ObservingSystem):
    """Altimeters that see the value of a whole cell, each with the same noise."""

    def observe(self, dataset: xr.Dataset, *, rng: object = None) -> xr.Dataset:
        rng = np.random.default_rng(rng)
        observed = super().observe(dataset, rng=rng)
        noise = self.noise * rng.standard_normal(observed["ssh"].shape).astype(np.float32)
        seen = (dataset["ssh"] + noise).where(observed["ssh"].notnull())
        return observed.assign(ssh=seen.assign_attrs(dataset["ssh"].attrs))


def system() -> ExactCells:
    """Two altimeters."""
    return ExactCells(["jason1", "envisat"], noise=NOISE)


def _root(positions: np.ndarray, scale: float) -> np.ndarray:
    squares = np.square(positions[:, None] - positions).sum(-1)
    covariance = np.exp(-squares / scale**2)
    return np.linalg.cholesky(covariance + 1e-6 * np.eye(len(covariance)))
