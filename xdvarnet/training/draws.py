"""Draws of training data: simulated observations of a truth, and windows cut from them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import is_speed
from xdvarnet.grids.coords import find_axes
from xdvarnet.grids.internal import hide_unobserved, to_internal
from xdvarnet.mapping.anomalies import take_anomalies, units_of_input
from xdvarnet.mapping.background import Background, MeanMapBackground
from xdvarnet.mapping.cover import Window
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor, analyse
from xdvarnet.observing.observer import Observer

LEAST_SEA = 0.25
"""Fraction of sea of a training window."""


@dataclass(frozen=True)
class Augmentation:
    """How training draws differ from the truth that they are made of.

    Attributes
    ----------
    mixing : bool
        In half of the draws, replace the truth's anomaly by ``a x(t) + b x(T - t)`` with
        ``a^2 + b^2 = 1``: another field with the same local covariance.
    background_days : int or None
        Take the mean map of a draw from so many random consecutive days instead of all, so that
        anomalies drift away from the mean as they do in a new season. None for all days.
    flips : bool
        Flip windows in time, latitude and longitude, and change their sign, at random.
    amplitude : float
        Scale windows by ``exp(amplitude * normal)``.
    """

    mixing: bool = True
    background_days: int | None = 30
    flips: bool = True
    amplitude: float = 0.0


def check_flips(augmentation: Augmentation | None, variables: Mapping[str, str]) -> Augmentation:
    """Return the augmentation, or one that suits the variables where none is given.

    Raises
    ------
    InvalidInputError
        If currents are to be flipped, whose sign would have to change with their direction.
    """
    currents = [name for name, units in variables.items() if is_speed(units)]
    if augmentation is None:
        return Augmentation(flips=not currents)
    if augmentation.flips and currents:
        raise InvalidInputError(
            f"flips of {', '.join(currents)}: a current would have to turn with the map; give "
            "augmentation=Augmentation(flips=False)."
        )
    return augmentation


@dataclass(frozen=True)
class Draw:
    """One draw of observations of a truth, all as anomalies from the background."""

    observations: Observations
    truth: Mapping[str, np.ndarray]


def draw(
    truth: xr.Dataset,
    system: Observer,
    model: Reconstructor,
    rng: np.random.Generator,
    *,
    background: Background | None = None,
    first_guess: Reconstructor | None = None,
    error_variables: Mapping[str, str] | None = None,
) -> Draw:
    """Observe `truth` once for a model, and remove the background.

    Parameters
    ----------
    truth : xarray.Dataset
        Complete maps of the variables of the model.
    system : Observer
        What observes the truth.
    model : Reconstructor
        Its variables, and its background where no other is given.
    rng : numpy.random.Generator
        Source of the observations, and of what is random in the first guess.
    background : Background, optional
        Another one than the model's.
    first_guess : Reconstructor, optional
        Whose analysis is made at once, to be cut into windows with the observations.
    error_variables : mapping of str to str, optional
        Those that are taken along, of what `system` gives; by default those of the model.
    """
    variables = model.variables
    errors = model.error_variables if error_variables is None else error_variables
    seen = hide_unobserved(system.observe(truth, rng=rng), variables, model.observed)
    wanted = to_internal(truth, variables)
    observations, backgrounds = take_anomalies(
        to_internal(seen, units_of_input(variables, errors)),
        background or model.background,
        variables,
        errors,
    )
    return Draw(
        with_first_guess(observations, first_guess, rng),
        {name: (wanted[name] - mean).values for name, mean in backgrounds.items()},
    )


def with_first_guess(
    observations: Observations, model: Reconstructor | None, rng: np.random.Generator
) -> Observations:
    """Add the analysis of a first guess, where there is one."""
    if model is None:
        return observations
    return replace(observations, first_guess=analyse(model, observations, rng=rng))


def vary(
    truth: xr.Dataset, augmentation: Augmentation, days: int, rng: np.random.Generator
) -> tuple[xr.Dataset, MeanMapBackground]:
    """Make another truth with the same local covariance, and a background for it.

    Parameters
    ----------
    truth : xarray.Dataset
        Complete maps.
    augmentation : Augmentation
        Its `mixing` and `background_days` are used.
    days : int
        Length of the background's running basin mean.
    rng : numpy.random.Generator
        Source of the mixture and of the days of the mean map.
    """
    time = find_axes(truth).time
    if augmentation.mixing and rng.random() < 0.5:
        mean = truth.mean(time)
        anomaly = truth - mean
        backwards = anomaly.isel({time: slice(None, None, -1)}).assign_coords({time: truth[time]})
        angle = rng.uniform(0, 2 * np.pi)
        truth = (mean + np.cos(angle) * anomaly + np.sin(angle) * backwards).astype(np.float32)
    known = truth
    if augmentation.background_days is not None:
        length = min(augmentation.background_days, truth.sizes[time])
        start = int(rng.integers(truth.sizes[time] - length + 1))
        known = truth.isel({time: slice(start, start + length)})
    return truth, MeanMapBackground(known.mean(time), days=days)


def random_windows(
    pool: list[Draw],
    window: Window,
    count: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
    *,
    leads: int | None = None,
) -> Iterator[Draw]:
    """Cut random windows out of the draws of a pool, at least a quarter of each being sea.

    A window may reach beyond the period by a third of its length, into unobserved days. With
    `leads`, every second window has no observation in so many days at its end.

    Raises
    ------
    InvalidInputError
        If the domain is smaller than the window, or no place of the window has enough sea.
    """
    beyond = window.time // 3
    _check_places(pool[0].observations.sea, window)
    while count:
        chosen = pool[rng.integers(len(pool))]
        shape = chosen.observations.shape
        start = int(rng.integers(-beyond, max(shape[0] - window.time + beyond, -beyond) + 1))
        south = rng.integers(0, shape[1] - window.latitude + 1)
        west = rng.integers(0, shape[2] - window.longitude + 1)
        box = (slice(south, south + window.latitude), slice(west, west + window.longitude))
        if chosen.observations.sea[box].mean() < LEAST_SEA:
            continue
        count -= 1
        cut = _augment(_cut(chosen, start, window.time, box), augmentation, rng)
        yield cut if leads is None or count % 2 else _hide_end(cut, leads)


def _check_places(sea: np.ndarray, window: Window) -> None:
    if sea.shape[0] < window.latitude or sea.shape[1] < window.longitude:
        raise InvalidInputError(
            f"the training domain has {sea.shape[0]} latitudes x {sea.shape[1]} longitudes, fewer "
            f"than the window of {window.latitude} x {window.longitude} cells; train on a larger "
            "region or with a smaller window."
        )
    places = np.lib.stride_tricks.sliding_window_view(sea, (window.latitude, window.longitude))
    most = places.mean((-2, -1)).max()
    if most < LEAST_SEA:
        raise InvalidInputError(
            f"no window of {window.latitude} x {window.longitude} cells of the training domain has "
            f"{LEAST_SEA:.0%} sea (the best has {most:.0%}); use a smaller window."
        )


def _cut(whole: Draw, start: int, length: int, box: tuple[slice, slice]) -> Draw:
    days = np.arange(start, start + length)
    inside = (days >= 0) & (days < whole.observations.days.size)
    first, last = days[inside][[0, -1]]

    def cut(array: np.ndarray, fill: float | None) -> np.ndarray:
        part = array[first : last + 1, *box].astype(np.float32)
        if inside.all():
            return part
        padded = np.full(
            (length, *part.shape[1:]), array.max() if fill is None else fill, part.dtype
        )
        padded[inside] = part
        return padded

    def cut_all(arrays: Mapping[str, np.ndarray], fill: float | None) -> dict[str, np.ndarray]:
        return {name: cut(array, fill) for name, array in arrays.items()}

    given = whole.observations
    guess = given.first_guess
    if guess is not None:
        guess = Analysis(cut_all(guess.mean, 0.0), cut_all(guess.std, None))
    latitude, longitude = given.place
    observations = Observations(
        values=cut_all(given.values, np.nan),
        days=given.days[0] + days,
        latitude=latitude[box[0]],
        longitude=longitude[box[1]],
        sea=given.sea[box],
        first_guess=guess,
        errors=cut_all(given.errors, np.nan),
    )
    return Draw(observations, cut_all(whole.truth, np.nan))


def _hide_end(window: Draw, days: int) -> Draw:
    hidden = np.arange(window.observations.days.size) >= window.observations.days.size - days
    values = {
        name: np.where(hidden[:, None, None], np.float32(np.nan), array)
        for name, array in window.observations.values.items()
    }
    return replace(window, observations=replace(window.observations, values=values))


def _augment(window: Draw, augmentation: Augmentation, rng: np.random.Generator) -> Draw:
    reverse = tuple(slice(None, None, int(step)) for step in rng.choice([1, -1], 3))
    factor = rng.choice([1.0, -1.0]) * np.exp(augmentation.amplitude * rng.normal())
    if not augmentation.flips:
        reverse, factor = (slice(None),) * 3, abs(factor)

    def change(arrays: Mapping[str, np.ndarray], scale: float) -> dict[str, np.ndarray]:
        return {name: array[reverse] * np.float32(scale) for name, array in arrays.items()}

    given = window.observations
    guess = given.first_guess
    if guess is not None:
        guess = Analysis(change(guess.mean, factor), change(guess.std, abs(factor)))
    observations = Observations(
        values=change(given.values, factor),
        days=given.days,
        latitude=given.latitude,
        longitude=given.longitude,
        sea=given.sea[reverse[1:]],
        first_guess=guess,
        errors=change(given.errors, abs(factor)),
    )
    return Draw(observations, change(window.truth, factor))


def stack(arrays: list[np.ndarray], device: str) -> torch.Tensor:
    """Stack arrays along a new batch dimension, in memory as convolutions take them quickly."""
    batch = torch.from_numpy(np.stack(arrays).astype(np.float32, copy=False)).to(device)
    return batch.contiguous(memory_format=torch.channels_last)
