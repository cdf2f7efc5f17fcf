"""Complete maps of any sea on the standard grid: a random piece of a simulated or Gaussian sea.

The standard grid has cells of 10 km and daily steps, for a sea whose correlation length and time
are 100 km and 8 days and whose heights have a standard deviation of 1. All fields here are arrays
(time, y, x) on a torus, so that waves are resampled without error.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from any_sea_seas import SIZE, Source
from scipy import fft

CELLS, STEPS = 10, 8
"""Correlation length and time of the standard grid, in cells and steps."""

OFF = 0.15
"""Largest error of the logarithm of a standard deviation, and of a length and a time that a fit
finds too small."""

TOO_LARGE = 0.35
"""Largest error of the logarithm of a length and a time that a fit finds too large. Records that
are short beside the correlation time, large fast scales and an unknown mean do that, by 1.4
(any_sea_control.py)."""


GAUSSIAN_SHARE = 0.2
"""Share of the truths that are Gaussian fields."""

FITTED_GAUSSIAN = 1.05, 1.05
"""Scales of a fitted interpolation over those at which the correlation of a Gaussian field is 1/e:
the mean of those that any_sea_scales.py finds for four."""

RECORD, LONGEST_DRAW = 64, 31
"""Steps of a Gaussian field, and days on the standard grid that it is long enough for."""


def random_truth(
    sources: Sequence[Source], days: int, side: int, rng: np.random.Generator
) -> np.ndarray:
    """Return maps (days, side, side) of about unit variance, of one of the seas or Gaussian.

    To a third of them a fast mode of large scales is added, to a third a mean that does not change,
    and in a third the variance is uneven.
    """
    if rng.random() < GAUSSIAN_SHARE:
        return dress(standard_maps(gaussian_source(rng), days, side, rng), rng)
    source = sources[rng.integers(len(sources))]
    return dress(mirror(standard_maps(source, days, side, rng), rng), rng)


def standard_maps(
    source: Source, days: int, side: int, rng: np.random.Generator, *, exact: bool = False
) -> np.ndarray:
    """Return a random piece of a source, whose scales are about those of the standard grid.

    Where the plane is smaller than the piece, it is repeated: it is periodic.
    """
    length, time = source.length, source.time
    if not exact:
        length *= np.exp(rng.uniform(-OFF, TOO_LARGE))
        longest = STEPS * (len(source.maps) - 1) / (days - 1)
        time = max(time, min(time * np.exp(rng.uniform(-OFF, TOO_LARGE)), longest))
    step = time / STEPS
    last = len(source.maps) - 1 - (days - 1) * step
    if last < 0:
        raise ValueError(f"the source has {len(source.maps)} steps, too few for {days} days")
    moments = rng.uniform(0, last) + step * np.arange(days)
    before = np.minimum(moments.astype(int), len(source.maps) - 2)
    share = (moments - before)[:, None, None].astype(np.float32)
    maps = (1 - share) * source.maps[before] + share * source.maps[before + 1]
    around = round(source.maps.shape[-1] * CELLS / length)
    maps = resample(maps, around)
    rows, columns = ((np.arange(side) + rng.integers(around)) % around for _ in range(2))
    return maps[:, rows][:, :, columns]


def resample(maps: np.ndarray, size: int) -> np.ndarray:
    """Return periodic maps (time, y, x) on another number of cells, by their Fourier series."""
    old = maps.shape[-1]
    spectrum = fft.fftshift(fft.fft2(maps.astype(np.float32)), axes=(1, 2))
    both = min(old, size) // 2
    kept = slice(old // 2 - both, old // 2 + both)
    put = slice(size // 2 - both, size // 2 + both)
    result = np.zeros((len(maps), size, size), spectrum.dtype)
    result[:, put, put] = spectrum[:, kept, kept]
    return fft.ifft2(fft.ifftshift(result, axes=(1, 2))).real * (size / old) ** 2


def mirror(maps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn south to north and heights upside down at once, or nothing, at random.

    Both together are another solution of the same equations. One alone is a sea of the other
    hemisphere, where eddies turn the other way: a network that sees both hemispheres and is not
    told which learns nothing of what eddies carry along. East and west stay: beta makes them
    different.
    """
    sign = rng.choice([-1, 1])
    return sign * maps[:, ::sign]


def dress(maps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add what a quasi-geostrophic sea on a plane does not have."""
    days, side = len(maps), maps.shape[-1]
    total = 1.0
    if rng.random() < 1 / 3:  # fast, of large scales
        size = rng.uniform(0.1, 0.8)
        scales = rng.uniform(10, 60), rng.uniform(0.8, 5)
        maps = maps + size * smooth_field((days, side, side), *scales, rng)
        total += size**2
    if rng.random() < 1 / 3:  # the mean that a user does not know
        size = rng.uniform(0.1, 1.0)
        maps = maps + size * smooth_field((1, side, side), rng.uniform(5, 20), 1, rng)
        total += size**2
    if rng.random() < 1 / 3:
        uneven = rng.uniform(0.1, 0.4) * smooth_field((1, side, side), rng.uniform(15, 50), 1, rng)
        maps = maps * np.exp(uneven)
    return (maps * np.exp(rng.uniform(-OFF, OFF)) / total**0.5).astype(np.float32)


def smooth_field(
    shape: tuple[int, int, int], length: float, time: float, rng: np.random.Generator
) -> np.ndarray:
    """Gaussian field of unit variance with the covariance ``exp(-(d / length)^2 - (t / time)^2)``.

    It is a piece of a periodic one that is two lengths and times longer.
    """
    sizes = [
        fft.next_fast_len(cells + int(3 * scale) if cells > 1 else 1)
        for cells, scale in zip(shape, (time, length, length), strict=True)
    ]
    waves = np.meshgrid(*(2 * np.pi * fft.fftfreq(size) for size in sizes), indexing="ij")
    scaled = (waves[0] * time) ** 2 + (waves[1] ** 2 + waves[2] ** 2) * length**2
    amplitude = np.exp(-scaled / 8)
    noise = rng.standard_normal(sizes, dtype=np.float32)
    field = fft.ifftn(fft.fftn(noise) * amplitude).real
    field /= np.sqrt(np.mean(amplitude**2))
    return field[tuple(slice(cells) for cells in shape)]


def gaussian_source(rng: np.random.Generator) -> Source:
    """Return a Gaussian field with a random spectrum, shape and propagation.

    The spectrum of the wave vector k, turned and stretched up to twice, is Gaussian or of the
    Matern kind, ``(1 + k^2)^-p`` with p of 2 to 5, and half of them have a gap at the largest
    scales. The memory in time falls with the wave number as ``k^-a``, a from 0 to 1. Waves travel
    with one velocity, or as Rossby waves.
    """
    frequency = 2 * np.pi * fft.fftfreq(RECORD)[:, None, None]
    k = 2 * np.pi * fft.fftfreq(SIZE)
    east, north = (part.astype(np.float32) for part in np.meshgrid(k, k))
    angle, stretch = rng.uniform(0, np.pi), np.exp(rng.uniform(-0.35, 0.35))
    along = stretch * (np.cos(angle) * east + np.sin(angle) * north)
    across = (np.cos(angle) * north - np.sin(angle) * east) / stretch
    squared = (along**2 + across**2) * 6.0**2
    gap, power = rng.random() < 0.5, rng.uniform(2, 5)
    gaussian = rng.random() < 0.25
    for _ in range(2):  # the second time with a correlation length of 12 cells
        spectrum = np.exp(-squared) if gaussian else (1 + squared) ** -power
        spectrum = spectrum * squared / (1 + squared) if gap else spectrum
        spectrum[0, 0] = 0
        length = _correlation_length(spectrum)
        squared = squared * (12 / length) ** 2
    ratio = rng.uniform(0, 1.5)
    memory = 10 * np.hypot(1, ratio) * (1e-3 + squared) ** (-rng.uniform(0, 1) / 2)
    speed = ratio * 12 / (10 * np.hypot(1, ratio))
    shift = _frequencies(east, north, speed, rng)
    in_time = np.exp(-(((frequency - shift) * np.clip(memory, 4, 40)) ** 2) / 8)
    in_time /= np.sqrt(np.sum(in_time**2, 0, keepdims=True))
    noise = rng.standard_normal((RECORD, SIZE, SIZE), dtype=np.float32)
    amplitude = (in_time * np.sqrt(spectrum)).astype(np.float32)
    maps = fft.ifftn(fft.fftn(noise) * amplitude).real
    maps /= maps.std()
    source = Source.of(maps).scaled(*FITTED_GAUSSIAN)
    longest = (RECORD - 2) * STEPS / LONGEST_DRAW * np.exp(-OFF)
    return replace(source, time=min(source.time, longest))


def two_drifting_scales(days: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Return a Gaussian sea of a kind that none of the others has: two drifting scales.

    Eddies of the correlation length go west, and those of 40 % of it, with a third of the standard
    deviation, go north with three times the speed.
    """
    moments = np.arange(days)
    total = np.zeros((days, side, side), np.float32)
    for size, length, speed, heading in ((0.94, 11.0, 0.6, (0, -1)), (0.34, 4.5, 1.8, (1, 0))):
        reach = int(speed * days) + 1
        wide = smooth_field((days, side + 2 * reach, side + 2 * reach), length, 14, rng)
        for day in moments:
            rows, columns = (reach - round(way * speed * day) for way in heading)
            total[day] += size * wide[day, rows : rows + side, columns : columns + side]
    return total


def _correlation_length(spectrum: np.ndarray) -> float:
    correlation = fft.ifft2(spectrum).real
    correlation /= correlation[0, 0]
    return float(np.sqrt(4 * np.sum(correlation > np.exp(-1)) / np.pi) / 2)


def _frequencies(
    east: np.ndarray, north: np.ndarray, speed: float, rng: np.random.Generator
) -> np.ndarray:
    """Frequency of each wave: of a drift in any direction, or of westward Rossby waves."""
    if rng.random() < 0.5:
        heading = rng.uniform(0, 2 * np.pi)
        return -speed * (np.cos(heading) * east + np.sin(heading) * north)
    radius = rng.uniform(3, 12)
    return speed * east / (1 + (east**2 + north**2) * radius**2)
