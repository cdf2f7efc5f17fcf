"""Draws of any sea for the training of ``ssh-any``: a truth, its observations and a first guess.

    python docs/recipes/any_sea_data.py FOLDER [--draws 20]       times and errors of some draws

A draw is made of a number and a generator, as `xdvarnet.training.data.DrawPool` asks: no draw is
stored, and a training that goes on sees what it would have seen. The first guess is an optimal
interpolation with the scales of the standard grid and the noise of the draw.
"""

import argparse
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from any_sea_seas import TRAINING, Source, load
from any_sea_tracks import Errors, observe, random_missions
from any_sea_truths import OFF, random_truth, smooth_field
from scipy import ndimage

import xdvarnet
from xdvarnet.mapping.protocol import Analysis, Observations, analyse
from xdvarnet.training.draws import Draw

SIDE, DAYS = 72, 15
"""Cells of a side of a draw, and days of one whose record is longer than a window."""

WINDOW = xdvarnet.mapping.Window(11, 64, 64, stride=(1, 40, 40), halo=(2, 8, 8))

SHORTEST = 4
"""Days with observations in the shortest record."""

LEAST_SEA = 0.3
"""Share of sea of a window."""

DEGREES = 10 / 111.195
"""Of a cell of 10 km."""

LAND = (0.05, 0.5)
"""Share of land of the draws that have any."""

POOL, DRAWS_A_STEP, MAKERS = 48, 2, 3
"""Draws that windows are cut from, new ones of each step of a training, and processes that make
them. With batches of 8, four windows of a draw are seen: with 32 of them, the network learned the
draws by heart."""


def interpolation(noise: float) -> xdvarnet.OptimalInterpolation:
    """Return the first guess of a standard sea whose cell means have this noise."""
    return xdvarnet.OptimalInterpolation(
        "ssh",
        correlation_length="100 km",
        correlation_time="8 days",
        std=1.0,
        noise=noise,
        units="1",
        neighbours=100,
        time_window=21,
    )


@dataclass(frozen=True)
class AnySea:
    """Draws of random seas.

    Attributes
    ----------
    sources : sequence of Source
        Simulated seas, beside the Gaussian ones that are made for each draw.
    """

    sources: Sequence[Source]

    def truth(self, days: int, rng: np.random.Generator) -> np.ndarray:
        """Return complete maps (days, SIDE, SIDE)."""
        return random_truth(self.sources, days, SIDE, rng)

    def __call__(self, number: int, rng: np.random.Generator) -> Draw:
        """Make a draw; every second one has a record that is shorter than a window."""
        days = DAYS if number % 2 else WINDOW.time
        truth = self.truth(days, rng)
        sea = random_sea_mask(rng) if rng.random() < 0.5 else np.ones((SIDE, SIDE), bool)
        seen = observe(truth, sea, random_missions(rng), Errors.random(rng), rng)
        if days == WINDOW.time:
            shown = int(rng.integers(SHORTEST, days + 1))
            first = int(rng.integers(days - shown + 1))
            seen[:first] = seen[first + shown :] = np.nan
        place = DEGREES * (np.arange(SIDE) - (SIDE - 1) / 2)
        observations = Observations({"ssh": seen}, np.arange(days) + 20000.0, place, place, sea)
        errors = (seen - truth)[np.isfinite(seen)]
        noise = float(np.sqrt(np.mean(errors**2))) if errors.size else 0.2
        oi = interpolation(max(noise, 0.03) * float(np.exp(rng.uniform(-OFF, OFF))))
        guess = analyse(oi, observations)
        known = np.where(sea, truth, np.float32(np.nan))
        return Draw(replace(observations, first_guess=guess), {"ssh": known})


@dataclass(frozen=True)
class OneKind(AnySea):
    """Draws of one kind of sea, to judge on.

    Attributes
    ----------
    kind : callable
        From days, cells of a side and a generator to maps.
    """

    kind: Callable[[int, int, np.random.Generator], np.ndarray]

    def truth(self, days: int, rng: np.random.Generator) -> np.ndarray:
        """Return complete maps of the kind."""
        return self.kind(days, SIDE, rng)


def random_sea_mask(rng: np.random.Generator) -> np.ndarray:
    """Return a mask of smooth random land, or of a piece of the real Mediterranean coast."""
    if rng.random() < 0.7:
        height = smooth_field((1, SIDE, SIDE), rng.uniform(6, 30), 1, rng)[0]
        return height > np.quantile(height, rng.uniform(*LAND))
    real = xdvarnet.datasets.mediterranean()["sea"].values
    while True:
        zoom = np.exp(rng.uniform(-0.4, 0.4))
        size = int(SIDE / zoom) + 1
        south, west = (int(rng.integers(n - size + 1)) for n in real.shape)
        piece = real[south : south + size, west : west + size].astype(float)
        mask = ndimage.zoom(piece, SIDE / size, order=1)[:SIDE, :SIDE] > 0.5
        mask = mask[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
        if mask.shape == (SIDE, SIDE) and mask.mean() > 1 - LAND[1]:
            return mask


def cut(whole: Draw, rng: np.random.Generator) -> Draw:
    """Cut a random window out of a draw, with enough sea, mirrored or not as in `mirror`."""
    observations = whole.observations
    while True:
        corner = [
            int(rng.integers(have - size + 1))
            for have, size in zip(observations.shape, WINDOW.sizes, strict=True)
        ]
        box = tuple(
            slice(start, start + size) for start, size in zip(corner, WINDOW.sizes, strict=True)
        )
        if observations.sea[box[1:]].mean() >= LEAST_SEA:
            break

    north = sign = int(rng.choice([-1, 1]))

    def part(fields: Mapping[str, np.ndarray], factor: int = sign) -> dict[str, np.ndarray]:
        return {name: factor * array[box][:, ::north] for name, array in fields.items()}

    guess = observations.first_guess
    assert guess is not None
    latitude, longitude = observations.place
    window = Observations(
        part(observations.values),
        observations.days[box[0]],
        latitude[box[1]],
        longitude[box[2]],
        observations.sea[box[1:]][::north],
        Analysis(part(guess.mean), part(guess.std, 1)),
    )
    return Draw(window, part(whole.truth))


class Pool:
    """The present draws of a training, some of which are replaced at each step.

    Other processes make the draws of later steps meanwhile.

    Parameters
    ----------
    make : AnySea
        Makes a draw of a number.
    seed : int
        Of all draws and windows.
    """

    def __init__(self, make: AnySea, seed: int) -> None:
        self._seed = seed
        self._draws: dict[int, Future[Draw]] = {}
        self._makers = ProcessPoolExecutor(MAKERS, get_context("spawn"), _begin, (make, seed))

    def windows(self, step: int, count: int) -> list[Draw]:
        """Return windows of the draws of a step."""
        first = step * DRAWS_A_STEP
        self._draws = {
            each: self._draws.get(each) or self._makers.submit(_make, each)
            for each in range(first, first + POOL + 4 * MAKERS)
        }
        rng = np.random.default_rng([self._seed, 1, step])
        chosen = first + rng.integers(POOL, size=count)
        return [cut(self._draws[int(each)].result(), rng) for each in chosen]


def _begin(make: AnySea, seed: int) -> None:
    """Give a process what it makes draws with."""
    global _maker  # a process has one
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _maker = make, seed


def _make(number: int) -> Draw:
    make, seed = _maker
    return make(number, np.random.default_rng([seed, 0, number]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=20)
    arguments = parser.parse_args()
    make = AnySea([load(name, arguments.folder) for name in TRAINING])
    for number in range(arguments.draws):
        start = time.process_time()
        whole = make(number, np.random.default_rng(number))
        seconds = time.process_time() - start
        truth, guess = whole.truth["ssh"], whole.observations.first_guess
        seen = whole.observations.values["ssh"]
        print(
            f"{number}: {seconds:.1f} s, std {np.nanstd(truth):.2f}, observed "
            f"{np.isfinite(seen).mean():.3f}, land {1 - whole.observations.sea.mean():.2f}, error "
            f"{np.nanstd(seen - truth):.2f}, of the first guess "
            f"{np.nanstd(guess.mean['ssh'] - truth):.2f}, formal {guess.std['ssh'].mean():.2f}"
        )


if __name__ == "__main__":
    main()
