"""The simulated seas that ``ssh-any`` learns from and is judged on, in units of their own.

    python docs/recipes/any_sea_seas.py FOLDER          simulate all, 8 MB each, a minute of a core
    python docs/recipes/any_sea_scales.py FOLDER        fit their scales

A sea is a two-layer flow (`xdvarnet.datasets.twin_ocean`) on 128 x 128 cells of 10 km with a
deformation radius of four cells. What differs are the numbers without dimension: the sign of the
shear U, beta R^2 / U, drag R / U and the ratio of the depths. All else is a matter of units, which
are taken from the correlation length and time of an interpolation that is fitted to observations
of the sea.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from xdvarnet.datasets import twin_ocean
from xdvarnet.dynamics.seas import Sea

RADIUS, SHEAR = 40e3, 0.15
"""Deformation radius (m) and size of the shear (m/s) of all seas."""

SIZE, DAYS = 128, 240
"""Cells of a side, and days that are stored."""

CELL = 10.0
"""Of the stored maps, km."""

# sign of the shear, beta R^2 / U, drag R / U, upper over lower depth
TRAINING = {
    "east-1": (1, 0.03, 0.45, 0.25),
    "east-2": (1, 0.04, 0.30, 0.25),
    "east-3": (1, 0.06, 0.20, 0.25),
    "east-4": (1, 0.06, 0.35, 0.35),
    "east-5": (1, 0.09, 0.15, 0.25),
    "east-6": (1, 0.09, 0.30, 0.25),
    "east-7": (1, 0.11, 0.25, 0.25),
    "east-8": (1, 0.11, 0.40, 0.30),
    "east-9": (1, 0.14, 0.15, 0.25),
    "east-10": (1, 0.14, 0.25, 0.30),
    "west-1": (-1, 0.12, 0.45, 0.25),
    "west-2": (-1, 0.15, 0.35, 0.25),
    "west-3": (-1, 0.15, 0.45, 0.35),
    "west-4": (-1, 0.20, 0.25, 0.25),
    "west-5": (-1, 0.20, 0.40, 0.30),
    "west-6": (-1, 0.25, 0.20, 0.25),
    "west-7": (-1, 0.25, 0.35, 0.35),
    "west-8": (-1, 0.30, 0.15, 0.25),
    "west-9": (-1, 0.30, 0.30, 0.30),
    "west-10": (-1, 0.35, 0.25, 0.25),
}
"""Seas to train on: both signs, beta R^2 / U over a factor of 12, drag over 3."""

HOME = {"home-1": 1, "home-2": 2}
"""Seeds of the sea that ``ssh-twin`` was trained on, `twin_ocean` with its default, and of that
training. They are at 5 km, averaged to `CELL`."""

VALIDATION = {
    "f-plane": (1, 0.001, 0.60, 0.25),
    "two equal layers": (1, 0.25, 0.30, 1.0),
    "strong westward beta": (-1, 0.50, 0.15, 0.25),
}
"""Seas of kinds that are not trained on: beta, drag or depths are outside the range above."""


@dataclass(frozen=True)
class Source:
    """Complete maps on a periodic plane, with the scales that make them standard.

    Attributes
    ----------
    maps : numpy.ndarray
        Heights of unit variance, shape (time, y, x).
    length : float
        Correlation length of a fitted interpolation, in cells.
    time : float
        Its correlation time, in steps.
    """

    maps: np.ndarray
    length: float
    time: float

    @classmethod
    def of(cls, maps: np.ndarray) -> "Source":
        """Take the scales of maps from their correlation: where it is 1/e."""
        return cls(maps, *correlation_scales(maps))

    def scaled(self, length: float, time: float) -> "Source":
        """Return the same maps with so many times the length and the time."""
        return Source(self.maps, length * self.length, time * self.time)


def own_sea(sign: int, beta: float, drag: float, layer_ratio: float) -> Sea:
    """Return the sea with these numbers."""
    return Sea(
        latitude=40.0,
        deformation_radius=RADIUS,
        shear=sign * SHEAR,
        drag=drag * SHEAR / RADIUS,
        beta=beta * SHEAR / RADIUS**2,
        layer_ratio=layer_ratio,
    )


def correlation_scales(maps: np.ndarray) -> tuple[float, float]:
    """Return where the correlation of periodic maps (time, y, x) falls to 1/e, in cells and steps.

    The length is the mean over all directions, by the area in which the correlation is larger.
    """
    anomaly = maps - maps.mean((1, 2), keepdims=True)
    power = np.mean(np.abs(np.fft.fft2(anomaly)) ** 2, 0)
    correlation = np.fft.ifft2(power).real
    correlation = np.fft.fftshift(correlation / correlation[0, 0])
    lags = [(anomaly[lag:] * anomaly[: len(anomaly) - lag]).mean() for lag in range(len(maps) // 2)]
    in_time = np.array(lags) / lags[0]
    after = int(np.argmax(in_time < np.exp(-1))) or len(in_time) - 1
    before = after - 1
    share = (in_time[before] - np.exp(-1)) / (in_time[before] - in_time[after])
    return _radius(correlation), before + float(np.clip(share, 0, 1))


def _radius(correlation: np.ndarray) -> float:
    """Mean distance from the middle of a map at which it falls to 1/e."""
    rows, columns = correlation.shape
    y, x = np.mgrid[:rows, :columns]
    distance = np.hypot(y - rows // 2, x - columns // 2)
    ring = np.rint(distance).astype(int).ravel()
    mean = np.bincount(ring, correlation.ravel()) / np.bincount(ring)
    after = int(np.argmax(mean < np.exp(-1)))
    before = after - 1
    return before + float((mean[before] - np.exp(-1)) / (mean[before] - mean[after]))


def simulate(name: str, folder: Path) -> Path:
    """Simulate a sea into a file of the folder, where it is not there yet."""
    path = file_of(name, folder)
    if path.exists():
        return path
    start = time.process_time()
    if name in HOME:
        ocean = twin_ocean(days=DAYS // 2, seed=HOME[name], cache=False)
        maps = ocean["ssh"].coarsen(lat=2, lon=2).mean().values
    else:
        sea, seed = own_sea(*(VALIDATION | TRAINING)[name]), sum(map(ord, name))
        maps = twin_ocean(sea, days=DAYS, seed=seed, size=SIZE, cache=False)["ssh"].values
    maps = (maps - maps.mean()) / maps.std()
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        np.save(file, maps.astype(np.float16))
    os.replace(temporary, path)
    seconds = time.process_time() - start
    source = Source.of(maps)
    print(f"{name}: {source.length:.1f} cells, {source.time:.1f} days, {seconds:.0f} s", flush=True)
    return path


def load(name: str, folder: Path) -> Source:
    """Return a sea of the folder, with the scales of any_sea_scales.py."""
    path = file_of(name, folder)
    source = Source.of(np.load(path).astype(np.float32))
    fitted = json.loads(path.with_suffix(".json").read_text())
    return source.scaled(fitted["length"], fitted["time"])


def names_in(folder: Path) -> list[str]:
    """Return the seas to train on that are in the folder, with their scales."""
    names = [*TRAINING, *HOME]
    return [name for name in names if file_of(name, folder).with_suffix(".json").exists()]


def file_of(name: str, folder: Path) -> Path:
    """Return where a sea is stored."""
    return folder / f"{name.replace(' ', '-')}.npy"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--names", nargs="+", default=[*VALIDATION, *TRAINING, *HOME])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in arguments.names:
        simulate(name, arguments.folder)


if __name__ == "__main__":
    main()
