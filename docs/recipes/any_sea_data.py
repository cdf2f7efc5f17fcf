"""Draws of any sea for the training of ``ssh-any``: truths, observations and first guesses.

    python docs/recipes/any_sea_data.py FOLDER [--draws 20]       times and errors of some draws

A network sees what `xdvarnet.Scaled` hands it: heights over a standard deviation that was
estimated from the observations, often less a mean that was estimated from them too, means of what a
user has binned before, domains that end inside of a window, coasts that are only sea without
observations, records that begin and end anywhere. A draw is a place, a constellation, land and a
record, with several truths that are observed there in the same way, because the first guess of
many truths takes hardly longer than that of one. It is made of a number and a generator: none is
stored, and a training that goes on sees what it would have seen.
"""

import argparse
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from any_sea_guess import Regression, Waves
from any_sea_seas import Source, load, names_in
from any_sea_tracks import ALTIMETERS, Cells, Errors, Passes, Place, fly
from any_sea_truths import random_truth, smooth_field
from scipy import ndimage

import xdvarnet
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.training.draws import Draw

STEPS, SIDE = 31, 88
"""Steps, and cells of a side, of a draw."""

WINDOW = xdvarnet.mapping.Window(11, 64, 64, stride=(1, 40, 40), halo=(2, 8, 8))

TRUTHS, WINDOWS = 8, 4
"""Truths of a draw, and windows of each."""

SHORTEST, SHORT = 3, 20
"""Steps of the shortest record, and of the longest that ends inside of a draw."""

MEAN = 150.0
"""Length of `xdvarnet.mapping.ObservedBackground`, km."""

MARGIN = 24
"""Most cells on each side of a draw that are beyond the domain."""

LEAST_SEA = 0.3
"""Share of a window that is sea of the domain."""

SPARSEST, DENSEST = 0.01, 0.2
"""Observations of a cell and step, between these."""

LAND = (0.05, 0.5)
"""Share of land of the draws that have any."""

LEAST_VARIANCE = 0.1
"""Smallest local variance over that of the whole domain, as in the interpolation."""

FITTED = (0.0, 0.6)
"""Logarithm of the noise of a fit over that of a cell mean: 1.5 to 2 times as large on seas whose
covariance is not Gaussian (any_sea_scales.py)."""

TRIALS = (1.0, 1.6, 2.5)
"""Noises that are tried where errors are alike along a pass, over that of a cell mean."""

POOL, STEPS_A_DRAW = 40, 12
"""Draws that windows are taken from, and steps of a training for which each is new."""


@cache
def waves() -> Waves:
    """Return those of the first guess."""
    return Waves((STEPS, SIDE, SIDE))


@dataclass(frozen=True)
class AnySea:
    """Draws of random seas.

    Attributes
    ----------
    sources : sequence of Source
        Simulated seas, beside the Gaussian ones that are made for each draw.
    """

    sources: Sequence[Source]

    def truth(self, rng: np.random.Generator) -> np.ndarray:
        """Return complete maps (STEPS, SIDE, SIDE)."""
        return random_truth(self.sources, STEPS, SIDE, rng)

    def __call__(self, rng: np.random.Generator) -> list[Draw]:
        """Make the windows of a draw."""
        sea = random_sea_mask(rng) if rng.random() < 0.4 else np.ones((SIDE, SIDE), bool)
        record, domain = random_record(rng), random_domain(rng)
        seen = np.zeros((STEPS, SIDE, SIDE), bool)
        seen[record] = sea & domain
        passes, cells = survey(seen, rng)
        errors = Errors.random(passes.place, passes.apart, rng)
        local = rng.random() < 0.6
        unknown = rng.random() < 0.4
        parts = [
            observe(self.truth(rng), passes, cells, errors, rng, local=local, unknown=unknown)
            for _ in range(TRUTHS)
        ]
        truths, observed = (np.stack(each) for each in zip(*parts, strict=True))
        means, std = first_guess(truths, observed, cells, errors, rng)
        windows = []
        for truth, values, mean in zip(truths, observed, means, strict=True):
            fields = cells.on_grid(values), mean, std, np.where(seen, truth, np.float32(np.nan))
            windows += [cut(fields, record, rng) for _ in range(WINDOWS)]
        return windows


@dataclass(frozen=True)
class OneKind(AnySea):
    """Draws of one kind of sea, to judge on.

    Attributes
    ----------
    kind : callable
        From steps, cells of a side and a generator to maps.
    """

    kind: Callable[[int, int, np.random.Generator], np.ndarray]

    def truth(self, rng: np.random.Generator) -> np.ndarray:
        """Return complete maps of the kind."""
        return self.kind(STEPS, SIDE, rng)


def survey(seen: np.ndarray, rng: np.random.Generator) -> tuple[Passes, Cells]:
    """Draw a place and a constellation that observe enough, and not nearly everything."""
    while True:
        place = Place.random(rng)
        missions = list(rng.choice(ALTIMETERS, rng.integers(2, 7), replace=False))
        passes = fly(place, missions, STEPS, SIDE, rng)
        cells = Cells(passes, seen)
        if SPARSEST < cells.places.shape[1] / seen.sum() < DENSEST:
            return passes, cells


def observe(
    truth: np.ndarray,
    passes: Passes,
    cells: Cells,
    errors: Errors,
    rng: np.random.Generator,
    *,
    local: bool,
    unknown: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the truth and the observations of a user over their standard deviation.

    Parameters
    ----------
    truth : numpy.ndarray
        Complete maps (STEPS, SIDE, SIDE).
    passes, cells, errors : Passes, Cells, Errors
        How it is observed.
    rng : numpy.random.Generator
        Draws the errors.
    local : bool
        Whether the standard deviation is a local one of a correlation length around each cell, or
        one of all that is observed.
    unknown : bool
        Whether the mean is unknown: the one of the observations around each cell is subtracted.
    """
    heights = sample(truth, passes.points)
    if unknown:
        mean, _ = around(cells.of_user(heights), cells, MEAN / passes.place.cell)
        truth, heights = truth - mean, heights - sample(mean, passes.points[1:])
    squares = cells.of_user(heights) ** 2
    unit = np.full(truth.shape[1:], squares.mean())
    if local:
        near, count = around(squares, cells, 10)
        unit = np.where(count > 1e-9, np.maximum(near, LEAST_VARIANCE * unit), unit)
    unit = np.sqrt(unit).astype(np.float32)
    heights = heights / sample(unit, passes.points[1:])
    return truth / unit, cells.of_user(errors.measure(heights, passes, rng))


def sample(field: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return a field at places (axis, place), between its cells by linear interpolation."""
    return ndimage.map_coordinates(field, places, order=1, mode="nearest")


def around(values: np.ndarray, cells: Cells, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a map of the mean of values of all steps, with a Gaussian weight, and its sum."""
    rows, columns = np.clip(np.rint(cells.places[1:]).astype(int), 0, SIDE - 1)
    sums = np.zeros((2, SIDE, SIDE))
    np.add.at(sums[0], (rows, columns), values)
    np.add.at(sums[1], (rows, columns), 1)
    total, count = ndimage.gaussian_filter(sums, (0, length, length), mode="constant")
    return total / count.clip(1e-9), count


def first_guess(
    truths: np.ndarray,
    observed: np.ndarray,
    cells: Cells,
    errors: Errors,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the analyses of all truths, and their formal error.

    The noise is that of the observations or larger; where errors are alike along a pass, that with
    which the first truth is mapped best.
    """
    exact = np.stack([sample(each, cells.places) for each in truths])
    noise = float(np.sqrt(np.mean((observed - exact) ** 2)).clip(0.03))
    gram = waves().gram(cells.places)
    if errors.along:
        trials = {}
        for factor in TRIALS:
            mean, _ = Regression(waves(), cells.places, gram, factor * noise).solve(observed[:1])
            trials[factor * noise] = float(np.mean((mean - truths[:1]) ** 2))
        noise = min(trials, key=trials.__getitem__)
    noise *= float(np.exp(rng.uniform(*FITTED)))
    return Regression(waves(), cells.places, gram, noise).solve(observed)


def random_record(rng: np.random.Generator) -> slice:
    """Draw the steps with observations; half of the records are short, and many very short."""
    length = STEPS
    if rng.random() < 0.5:
        length = int(np.exp(rng.uniform(*np.log([SHORTEST, SHORT]))))
    first = int(rng.integers(STEPS - length + 1))
    return slice(first, first + length)


def random_domain(rng: np.random.Generator) -> np.ndarray:
    """Draw where the domain is: at each side it may end before the cells do."""
    ends = np.where(rng.random(4) < 0.5, 0, rng.integers(MARGIN, size=4))
    domain = np.zeros((SIDE, SIDE), bool)
    domain[ends[0] : SIDE - ends[1], ends[2] : SIDE - ends[3]] = True
    return domain


def random_sea_mask(rng: np.random.Generator) -> np.ndarray:
    """Return a mask of smooth random land, or of a piece of the real Mediterranean coast."""
    if rng.random() < 0.7:
        height = smooth_field((1, SIDE, SIDE), rng.uniform(6, 30), 1, rng)[0]
        return height > np.quantile(height, rng.uniform(*LAND))
    real = xdvarnet.datasets.mediterranean()["sea"].values
    while True:
        zoom = np.exp(rng.uniform(0, 0.6))
        size = int(SIDE / zoom) + 1
        south, west = (int(rng.integers(n - size + 1)) for n in real.shape)
        piece = real[south : south + size, west : west + size].astype(float)
        mask = ndimage.zoom(piece, SIDE / size, order=1)[:SIDE, :SIDE] > 0.5
        mask = mask[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
        if mask.shape == (SIDE, SIDE) and mask.mean() > 1 - LAND[1]:
            return mask


def cut(fields: tuple[np.ndarray, ...], record: slice, rng: np.random.Generator) -> Draw:
    """Cut a random window, with enough sea, mirrored or not as in `mirror`.

    `Scaled` shows no coast: land is sea that nobody observes, and its truth is not known.

    Parameters
    ----------
    fields : tuple of numpy.ndarray
        Observations, first guess, its standard deviation, and truth, NaN beyond the domain and on
        land.
    record : slice
        Steps with observations. A shorter record than a window is in the middle of it.
    rng : numpy.random.Generator
        Draws the place and the mirror.
    """
    length = record.stop - record.start
    first = record.start - (WINDOW.time - length) // 2
    if length > WINDOW.time:
        first = record.start + int(rng.integers(length - WINDOW.time + 1))
    first = min(max(first, 0), STEPS - WINDOW.time)
    for _ in range(100):
        row, column = rng.integers(SIDE - WINDOW.latitude + 1, size=2)
        box = slice(row, row + WINDOW.latitude), slice(column, column + WINDOW.longitude)
        if np.isfinite(fields[3][record.start][box]).mean() >= LEAST_SEA:
            break
    sign = int(rng.choice([-1, 1]))
    values, mean, std, truth = (
        np.ascontiguousarray(each[first : first + WINDOW.time, *box][:, ::sign]) for each in fields
    )
    place = np.arange(WINDOW.latitude, dtype=float)
    window = Observations(
        {"ssh": sign * values},
        np.arange(WINDOW.time) + 20000.0,
        place,
        place,
        np.ones((WINDOW.latitude, WINDOW.longitude), bool),
        Analysis({"ssh": sign * mean}, {"ssh": std}),
    )
    return Draw(window, {"ssh": sign * truth})


def guess_of(window: Draw) -> Analysis:
    """Return the first guess of a window."""
    assert window.observations.first_guess is not None
    return window.observations.first_guess


class Pool:
    """The present draws of a training, one of which is replaced every few steps.

    Another process makes the draws of later steps meanwhile.

    Parameters
    ----------
    make : AnySea
        Makes a draw.
    seed : int
        Of all draws and windows.
    """

    def __init__(self, make: AnySea, seed: int) -> None:
        self._seed = seed
        self._draws: dict[int, Future[list[Draw]]] = {}
        self._maker = ProcessPoolExecutor(1, get_context("spawn"), _begin, (make, seed))

    def windows(self, step: int, count: int) -> list[Draw]:
        """Return windows of the draws of a step."""
        first = step // STEPS_A_DRAW
        self._draws = {
            each: self._draws.get(each) or self._maker.submit(_make, each)
            for each in range(first, first + POOL + 4)
        }
        rng = np.random.default_rng([self._seed, 1, step])
        chosen = first + rng.integers(POOL, size=count)
        return [_one_of(self._draws[int(each)].result(), rng) for each in chosen]


def _one_of(windows: list[Draw], rng: np.random.Generator) -> Draw:
    return windows[rng.integers(len(windows))]


def _begin(make: AnySea, seed: int) -> None:
    """Give a process what it makes draws with."""
    global _maker  # a process has one
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _maker = make, seed


def _make(number: int) -> list[Draw]:
    make, seed = _maker
    return make(np.random.default_rng([seed, 0, number]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    make = AnySea([load(name, arguments.folder) for name in names_in(arguments.folder)])
    for number in range(arguments.draws):
        start = time.process_time()
        windows = make(np.random.default_rng(number))
        seconds = time.process_time() - start
        seen = np.stack([one.observations.values["ssh"] for one in windows])
        guess = np.stack([guess_of(one).mean["ssh"] for one in windows])
        truth = np.stack([one.truth["ssh"] for one in windows])
        print(
            f"{number}: {seconds:.1f} s for {len(windows)} windows, std {np.nanstd(truth):.2f}, "
            f"observed {np.isfinite(seen).mean():.3f}, error {np.nanstd(seen - truth):.2f}, "
            f"of the first guess {np.nanstd(guess - truth):.2f}"
        )


if __name__ == "__main__":
    main()
