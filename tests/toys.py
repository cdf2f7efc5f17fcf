"""Small fields and models for tests; sizes and steps differ in each dimension."""

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter

import xdvarnet

DAYS = 5


def toy_truth(days: int = 14, rows: int = 22, columns: int = 30, seed: int = 0) -> xr.Dataset:
    """Smooth random sea surface height (m) with an island; daily, 0.25 x 0.4 degrees."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((days, rows, columns)), (2, 3, 3), mode="wrap")
    field = (0.05 * field / field.std() + 0.1).astype(np.float32)
    sea = np.ones((rows, columns), bool)
    sea[4:7, 9:14] = False
    return xr.Dataset(
        {"ssh": (("time", "lat", "lon"), np.where(sea, field, np.nan), {"units": "m"})},
        coords={
            "time": np.datetime64("2020-02-01", "ns") + np.arange(days) * np.timedelta64(1, "D"),
            "lat": ("lat", 36 + 0.25 * np.arange(rows), {"units": "degrees_north"}),
            "lon": ("lon", 2 + 0.4 * np.arange(columns), {"units": "degrees_east"}),
            "sea": (("lat", "lon"), sea),
        },
        attrs={"title": "toy sea"},
    )


def toy_system() -> xdvarnet.ObservingSystem:
    """Two altimeters."""
    return xdvarnet.ObservingSystem(["jason1", "envisat"], noise=0.01)


def toy_interpolation() -> xdvarnet.OptimalInterpolation:
    """Optimal interpolation that suits the toy truth."""
    return xdvarnet.OptimalInterpolation(
        "ssh",
        correlation_length="120 km",
        correlation_time="4 days",
        noise=0.01,
        time_window=DAYS,
        neighbours=12,
    )


def toy_model(*, first_guess: bool = True, seed: int = 0, trained: bool = True) -> xdvarnet.DVarNet:
    """Small 4DVarNet with random weights, whose step does something."""
    torch.manual_seed(seed)
    guess = toy_interpolation() if first_guess else None
    context = xdvarnet.DVarNet.context_channels(DAYS, guess)
    solver = xdvarnet.solver.VariationalSolver(
        xdvarnet.solver.BilinearAutoencoder(DAYS, hidden=6),
        xdvarnet.solver.MaskedObservation(noise=0.5),
        xdvarnet.solver.ConvLSTMStep(DAYS, hidden=7, context=context, downscale=2),
        iterations=3,
    )
    if trained:
        torch.nn.init.normal_(solver.step.decode.weight, std=0.1)
    return xdvarnet.DVarNet(
        solver,
        variables={"ssh": "m"},
        window=xdvarnet.mapping.Window(DAYS, 12, 16, stride=(2, 6, 7), halo=(0, 2, 2)),
        first_guess=guess,
        normalizer=xdvarnet.networks.Normalizer({"ssh": 0.05}) if trained else None,
    )


def toy_tracks(truth: xr.Dataset, *, noise: float = 0.0, seed: int = 0) -> xr.Dataset:
    """Return the truth along straight passes of three missions: one pass a day of each."""
    rng = np.random.default_rng(seed)
    parts = []
    for number, mission in enumerate(("one", "two", "three")):
        for day in truth["time"].values:
            count = 30 + 4 * number
            way = np.linspace(0.01, 0.99, count)
            west, east = np.sort(rng.uniform(2, 13.6, 2))
            seconds = 3600 * (3 * number + 1) + np.arange(count)
            parts.append(
                xr.Dataset(
                    {"mission": ("time", np.full(count, mission))},
                    {
                        "time": day + seconds.astype("timedelta64[s]"),
                        "longitude": ("time", west + (east - west) * way),
                        "latitude": ("time", 36 + 5.25 * way[:: (-1) ** number]),
                    },
                )
            )
    tracks = xr.concat(parts, "time")
    tracks["ssh"] = xdvarnet.sample_tracks(truth[["ssh"]], tracks)["ssh"]
    tracks["ssh"] += noise * rng.standard_normal(tracks.sizes["time"])
    tracks["ssh"].attrs["units"] = "m"
    return tracks.isel(time=np.isfinite(tracks["ssh"].values))
