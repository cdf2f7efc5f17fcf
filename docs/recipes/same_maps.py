"""Write what the shipped models and methods make, or compare it with what an earlier version made.

Usage: python docs/recipes/same_maps.py write FILE.npz
       python docs/recipes/same_maps.py compare FILE.npz

For a change that should leave all maps as they are: write before it, compare after it, on the same
machine. Means, standard deviations and members are compared bit for bit. Two minutes of one core.
"""

import sys
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr

import xdvarnet
from xdvarnet.datasets import lorenz63, lorenz96, observe_series
from xdvarnet.networks import Scaled

MISSIONS = ["jason1", "envisat", "gfo", "topex_interleaved"]
LENGTHS = {"correlation_length": "68 km", "correlation_time": "13 days", "noise": 0.0135}


def sea() -> tuple[xr.Dataset, xr.Dataset]:
    """Return twenty days of a part of the Mediterranean, and what four altimeters see of it."""
    truth = xdvarnet.datasets.mediterranean().isel(time=slice(20), lon=slice(60, 160))
    return truth, truth.dvarnet.observe(MISSIONS, noise=0.02, rng=0)


def series(truth: xr.Dataset, components: list[str] | int) -> xr.Dataset:
    """Return what is observed of two samples of a chaotic system."""
    some = truth.isel(sample=slice(2))
    return observe_series(some, every=8, components=components, noise=2**0.5, rng=0)


def makers() -> dict[str, Callable[[], xr.Dataset]]:
    """Return what makes maps, by name."""
    truth, obs = sea()
    oi = xdvarnet.OptimalInterpolation("ssh", **LENGTHS)
    field = xdvarnet.SPDEField(**LENGTHS, std=0.06)
    system = xdvarnet.ObservingSystem(MISSIONS, noise=0.02)
    shipped, drawn = (
        xdvarnet.load_model("med-ssh"),
        {"members": 2, "return_members": True, "rng": 0},
    )
    return {
        "med-ssh": lambda: obs.dvarnet.reconstruct(shipped, **drawn),
        "interpolation": lambda: obs.dvarnet.reconstruct(oi),
        "interpolation, today": lambda: obs.dvarnet.reconstruct(xdvarnet.Lead(oi, 0)),
        "interpolation, calibrated": lambda: obs.dvarnet.reconstruct(
            xdvarnet.calibrate(oi, truth, observe=system, draws=1, rng=1), **drawn
        ),
        "SPDE": lambda: obs.isel(time=slice(5), lon=slice(40)).dvarnet.reconstruct(field, **drawn),
        "ssh-twin, scaled": lambda: obs.dvarnet.reconstruct(
            Scaled(xdvarnet.load_model("ssh-twin"), oi)
        ),
        "ssh-any, scaled": lambda: obs.dvarnet.reconstruct(
            Scaled(xdvarnet.load_model("ssh-any"), oi)
        ),
        "lorenz63": lambda: series(lorenz63("test", samples=2), ["x"]).dvarnet.reconstruct(
            xdvarnet.load_model("lorenz63")
        ),
        "lorenz96": lambda: series(lorenz96("test", samples=2), 20).dvarnet.reconstruct(
            xdvarnet.load_model("lorenz96")
        ),
    }


def main() -> None:
    """Write all, or compare all and tell what differs."""
    torch.set_num_threads(1)
    made = {
        f"{name}: {variable}": array.values
        for name, make in makers().items()
        for variable, array in make().data_vars.items()
    }
    task, path = sys.argv[1:]
    if task == "write":
        np.savez(path, **made)
        return
    before, different = np.load(path), 0
    for name, values in made.items():
        same = np.array_equal(values, before[name], equal_nan=True)
        different += not same
        print(name, "identical" if same else np.nanmax(np.abs(values - before[name])))
    print(f"{len(made) - different} of {len(made)} arrays are identical")
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
