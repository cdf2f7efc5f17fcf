"""Spin up the seas of xdvarnet.datasets.twin_ocean, and measure what they are like.

    python docs/recipes/spin_up_twin_ocean.py states SEA [DAYS]
    python docs/recipes/spin_up_twin_ocean.py measure SEA [DAYS]

The first writes xdvarnet/datasets/twin_ocean_SEA.nc: stream functions and temperature after DAYS
(800) from random eddies of seed 0, on 128 x 128 cells (10 km), as 16-bit integers. The second
prints the statistics of twin_ocean(SEA, days=DAYS) for two seeds. One core takes some minutes.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from xdvarnet.datasets import twin_ocean
from xdvarnet.dynamics.seas import SEAS, Sea
from xdvarnet.dynamics.spectral import DAY, SpectralGrid, advance
from xdvarnet.dynamics.spin_up import first_eddies

SIZE = 128
PACKAGE = Path(__file__).resolve().parents[2] / "xdvarnet" / "datasets"


def spin_up(sea: Sea, days: int) -> torch.Tensor:
    """State (two layers and temperature) after `days`."""
    model = sea.model(SIZE)
    flow = model.flow
    state = first_eddies(sea, model, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for day in range(days):
            state = advance(model, state, DAY)
            if day % 20 == 19:
                rms = float(flow.pressure_height(state[:2])[0].std())
                print(f"day {day + 1}: ssh {rms:.3f} m, sst {float(state[2].std()):.2f} K")
    return state


def store(sea: Sea, state: torch.Tensor, days: int, path: Path) -> None:
    """Write stream functions and temperature as 16-bit integers."""
    flow = sea.model(SIZE).flow
    fields = torch.cat([flow.streamfunction(state[:2]), state[2:]]).numpy()
    dims = ("field", "y", "x")
    scale = np.abs(fields).max((1, 2)) / 32767
    packed = np.round(fields / scale[:, None, None]).astype("int16")
    dataset = xr.Dataset(
        {"packed": (dims, packed), "scale": ("field", scale)},
        coords={"field": ["psi_upper", "psi_lower", "temperature"]},
        attrs={"title": f"spun-up state after {days} days", "settings": repr(sea)},
    )
    encoding = {"packed": {"zlib": True, "complevel": 9, "shuffle": True}}
    dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    print(f"{path}: {path.stat().st_size} bytes")


def spectral_slope(u: np.ndarray, v: np.ndarray, spacing: float) -> float:
    """Slope of the isotropic spectrum of kinetic energy between wavelengths of 150 and 30 km."""
    power = sum(np.abs(np.fft.fft2(a - a.mean((-2, -1), keepdims=True))) ** 2 for a in (u, v))
    frequency = np.fft.fftfreq(u.shape[-1], spacing)
    total = np.hypot(frequency[:, None], frequency[None, :])
    step = 1 / (u.shape[-1] * spacing)
    shell = np.round(total / step).astype(int).ravel()
    energy = np.bincount(shell, power.mean(0).ravel())
    wave = np.arange(energy.size) * step
    inside = (wave > 1 / 150e3) & (wave < 1 / 30e3)
    return float(np.polyfit(np.log(wave[inside]), np.log(energy[inside]), 1)[0])


def decorrelation(heights: np.ndarray) -> float:
    """Lag in days at which the correlation in time at a point falls to 1/e."""
    anomaly = heights - heights.mean()
    for lag in range(1, len(anomaly)):
        product = (anomaly[lag:] * anomaly[:-lag]).mean()
        norm = np.sqrt((anomaly[lag:] ** 2).mean() * (anomaly[:-lag] ** 2).mean())
        if product < norm / np.e:
            return lag
    return np.nan


def vorticity_and_divergence(
    u: np.ndarray, v: np.ndarray, spacing: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of currents (time, y, x), with the derivatives of the model."""
    grid = SpectralGrid(*u.shape[-2:], spacing, dtype=torch.float64)
    east, north = (grid.to_spectrum(torch.from_numpy(a)) for a in (u, v))
    vorticity = grid.to_field(grid.d_dx(north) - grid.d_dy(east))
    return vorticity, grid.to_field(grid.divergence(east, north))


def measure(name: str, days: int) -> None:
    """Print what the sea is like."""
    spacing = 5e3
    oceans = []
    for seed in (0, 1):
        start = time.process_time()
        ocean = twin_ocean(name, days=days, seed=seed, cache=False)
        seconds = time.process_time() - start
        oceans.append(ocean)
        ssh, u, v = (ocean[key].values.astype(float) for key in ("ssh", "u", "v"))
        rms = ssh.std((1, 2))
        anomaly = ocean.sst - ocean.sst.mean(["time", "lon"])
        slopes = [spectral_slope(u[:n], v[:n], spacing) for n in (1, days)]
        vorticity, divergence = vorticity_and_divergence(u, v, spacing)
        print(
            f"{name} seed {seed}: {seconds:.0f} s of one core for {days} days\n"
            f"  ssh rms {rms.mean():.3f} m (first day {rms[0]:.3f}, last {rms[-1]:.3f})\n"
            f"  sst anomaly rms {float(anomaly.std()):.2f} K\n"
            f"  eddy kinetic energy {(u**2 + v**2).mean() / 2 * 1e4:.0f} cm2 s-2\n"
            f"  largest speed {np.hypot(u, v).max():.2f} m/s\n"
            f"  rms vorticity over f {vorticity.std() / SEAS[name].f0:.3f}, "
            f"divergence over f {divergence.std() / SEAS[name].f0:.4f}\n"
            f"  slope of the kinetic energy spectrum, 150 to 30 km: first day "
            f"{slopes[0]:.2f}, all {slopes[1]:.2f}\n"
            f"  decorrelation time at a point {decorrelation(ssh)} days"
        )
    first, second = (ocean["ssh"].values for ocean in oceans)
    same_day = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, second, strict=True)]
    print(f"correlation of the seeds {np.mean(same_day):.3f}")


if __name__ == "__main__":
    task, chosen = sys.argv[1:3]
    length = int(sys.argv[3]) if len(sys.argv) > 3 else (800 if task == "states" else 60)
    if task == "states":
        target = PACKAGE / f"twin_ocean_{chosen.replace('-', '_')}.nc"
        store(SEAS[chosen], spin_up(SEAS[chosen], length), length, target)
    else:
        measure(chosen, length)
