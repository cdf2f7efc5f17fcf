"""Windows of the chaotic models of Lorenz, and gappy noisy observations of such windows."""

from collections.abc import Hashable, Iterable, Sequence
from numbers import Real
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from xdvarnet._random import RandomState, default_rng
from xdvarnet.dynamics.integration import reference_trajectory
from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.grids.checks import check_counts, check_dataset, check_kind, check_positive

PARTS = ("training", "validation", "test")

SAMPLES_63 = {"training": 10_000, "validation": 1_000, "test": 2_000}
SAMPLES_96 = {"training": 2_000, "validation": 256, "test": 2_000}

SPIN_UP_63 = 50.0
"""Time to reach the attractor's statistics: orbits close to a fixed point leave it slowly."""

SPIN_UP_96 = 20.0

TOLERANCE = 1e-8
"""Error of a step: far below that of the usual RK4 steps, 4e-6 and 7e-4."""

DIMS = ("sample", "time", "component")


def lorenz63(
    part: str = "training",
    *,
    samples: int | None = None,
    steps: int = 200,
    dt: float = 0.01,
    rng: RandomState = 0,
) -> xr.Dataset:
    """Simulate windows of Lorenz-63 with its usual parameters.

    Each window is the end of a run of its own, from a random start and 50 units of time before
    it, so that windows are independent, within a part and between parts. The runs are integrated
    with adaptive steps of RK45 to an error of 1e-8 a step. The defaults are the experiment of
    Fablet et al. 2021 (doi 10.1029/2021MS002572).

    Chaos makes rounding errors grow: one `rng` with another number of windows, of threads, or on
    another machine may give other windows of the same statistics.

    Parameters
    ----------
    part : str
        ``"training"``, ``"validation"`` or ``"test"``: separate random numbers.
    samples : int, optional
        Number of windows; 10,000, 1,000 and 2,000 in the three parts by default.
    steps : int
        Times of a window, at least 2.
    dt : float
        Time between them, in the model's unit.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the starts.

    Returns
    -------
    xarray.Dataset
        ``state`` (sample, time, component), float64, without units. ``time`` counts from zero in
        the model's unit, ``component`` is ``x, y, z``, and ``sample`` has no coordinate.

    Raises
    ------
    UnknownNameError
        If the part is unknown.
    InvalidInputError
        If there is no sample, there are fewer than two steps or dt is not positive.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz63
    >>> dict(lorenz63("test", samples=5).sizes)
    {'sample': 5, 'time': 200, 'component': 3}
    """
    model = Lorenz63()
    number = _check(part, samples, SAMPLES_63, steps)
    starts = _draw(part, rng, (number, model.components))
    state = _simulate(model, starts, SPIN_UP_63, steps, dt)
    attributes = {"sigma": model.sigma, "rho": model.rho, "beta": model.beta}
    return _label(state, ["x", "y", "z"], dt, {"title": f"Lorenz-63, {part}"} | attributes)


def lorenz96(
    part: str = "training",
    *,
    samples: int | None = None,
    steps: int = 200,
    dt: float = 0.05,
    components: int = 40,
    forcing: float = 8.0,
    rng: RandomState = 0,
) -> xr.Dataset:
    """Simulate windows of Lorenz-96.

    Each window is the end of a run of its own, as in `lorenz63`, 20 units of time after a random
    start.

    Parameters
    ----------
    part : str
        ``"training"``, ``"validation"`` or ``"test"``: separate random numbers.
    samples : int, optional
        Number of windows; 2,000, 256 and 2,000 in the three parts by default.
    steps : int
        Times of a window, at least 2.
    dt : float
        Time between them, in the model's unit.
    components : int
        Number of components, at least 4.
    forcing : float
        F.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the starts.

    Returns
    -------
    xarray.Dataset
        ``state`` (sample, time, component), float64, without units. ``time`` counts from zero in
        the model's unit, ``component`` from 0, and ``sample`` has no coordinate.

    Raises
    ------
    UnknownNameError
        If the part is unknown.
    InvalidInputError
        If there is no sample, there are fewer than two steps or four components, or dt is not
        positive.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz96
    >>> dict(lorenz96("validation", samples=3, steps=50).sizes)
    {'sample': 3, 'time': 50, 'component': 40}
    """
    model = Lorenz96(components, forcing)
    number = _check(part, samples, SAMPLES_96, steps)
    starts = forcing + _draw(part, rng, (number, components))
    state = _simulate(model, starts, SPIN_UP_96, steps, dt)
    attributes = {"title": f"Lorenz-96, {part}", "forcing": forcing}
    return _label(state, list(range(components)), dt, attributes)


def cut_windows(run: xr.Dataset, *, steps: int, gap: int = 0) -> xr.Dataset:
    """Cut a long run into windows.

    Parameters
    ----------
    run : xarray.Dataset
        With the dimension ``time``, evenly spaced numbers in the model's unit.
    steps : int
        Times of a window.
    gap : int
        Times left out between two windows, so that they are independent.

    Returns
    -------
    xarray.Dataset
        The variables with a new first dimension ``sample``, and with times that count from zero.

    Raises
    ------
    InvalidInputError
        If the run has no time or is too short for a window, or a number is out of range.

    Examples
    --------
    >>> from xdvarnet.datasets import cut_windows, lorenz63
    >>> run = lorenz63("test", samples=1, steps=700).isel(sample=0)
    >>> dict(cut_windows(run, steps=200, gap=100).sizes)
    {'sample': 2, 'time': 200, 'component': 3}
    """
    if "time" not in run.coords:
        raise InvalidInputError(f"the run has no times; its coordinates are {list(run.coords)}.")
    if steps < 1 or gap < 0:
        raise InvalidInputError(f"steps={steps} and gap={gap}; give at least 1 and 0 of them.")
    length = run.sizes["time"]
    if length < steps:
        raise InvalidInputError(f"a run of {length} times is too short for a window of {steps}.")
    windows = [
        run.isel(time=slice(first, first + steps)).drop_vars("time")
        for first in range(0, length - steps + 1, steps + gap)
    ]
    times = run["time"].isel(time=slice(0, steps))
    return xr.concat(windows, "sample").assign_coords(
        time=(times - times[0]).assign_attrs(times.attrs)
    )


def observe_series(
    truth: xr.Dataset,
    *,
    every: int,
    components: int | str | Sequence[Hashable],
    noise: float,
    rng: RandomState = None,
) -> xr.Dataset:
    """Observe some components at some times, with noise.

    Parameters
    ----------
    truth : xarray.Dataset
        With ``state``, which has the dimensions ``time`` and ``component`` and may have others.
    every : int
        Times from one that is observed to the next; the first one is observed.
    components : int, label or sequence of labels
        Those that are observed, by their label; or how many, drawn anew at each time of each
        sample. A number is how many: labels that are numbers are to be given in a list.
    noise : float
        Standard deviation of the observation error, Gaussian and independent.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the components and of the noise.

    Returns
    -------
    xarray.Dataset
        ``state`` as observed, NaN where it is not, with everything else as in `truth`.

    Raises
    ------
    InvalidTypeError
        If the components or the noise are of another kind.
    InvalidInputError
        If ``state`` lacks a dimension, more components are asked for than there are or none, or a
        number is out of range.
    UnknownNameError
        If there is no ``state``, or no component of a label.

    Examples
    --------
    The observations of Fablet et al. 2021 have a variance of 2:

    >>> from xdvarnet.datasets import lorenz63, lorenz96, observe_series
    >>> truth = lorenz63("test", samples=5)
    >>> observed = observe_series(truth, every=8, components=["x"], noise=2**0.5, rng=0)
    >>> int(observed["state"].count())
    125
    >>> truth = lorenz96("test", samples=5)
    >>> observed = observe_series(truth, every=4, components=20, noise=2**0.5, rng=0)
    >>> int(observed["state"].count())
    5000
    """
    state = _find_state(truth)
    check_counts({"every": every})
    check_kind(isinstance(noise, Real), "noise", noise, "a number")
    check_positive(noise, "noise", "the units of the state", zero=True)
    ordered = state.transpose(..., "time", "component")
    generator = default_rng(rng)
    seen = _choose(ordered, components, generator)
    seen[..., np.arange(state.sizes["time"]) % every != 0, :] = False
    observed = ordered + noise * generator.standard_normal(ordered.shape)
    observed = observed.where(seen).astype(state.dtype).transpose(*state.dims)
    return truth.assign(state=observed.assign_attrs(state.attrs))


def _find_state(truth: xr.Dataset) -> xr.DataArray:
    check_dataset(truth, variable="state")
    if "state" not in truth:
        raise UnknownNameError(
            f"the dataset has no variable 'state'; it has {list(truth.data_vars)}."
        )
    missing = {"time", "component"} - set(truth["state"].dims)
    if missing:
        raise InvalidInputError(
            f"state needs the dimensions time and component; it has {truth['state'].dims}."
        )
    state = truth["state"]
    if state.dtype.kind not in "fiu":
        raise InvalidInputError(f"state has the dtype {state.dtype}; give real numbers.")
    return state if state.dtype.kind == "f" else state.astype(float)


def _choose(
    state: xr.DataArray, components: int | str | Sequence[Hashable], rng: np.random.Generator
) -> np.ndarray:
    """Return where components are observed, in the shape of the state (..., component)."""
    labels = state["component"].values
    if isinstance(components, int | np.integer):
        if not 1 <= components <= labels.size:
            raise InvalidInputError(
                f"components={components}; the state has {labels.size}: observe 1 to all of them."
            )
        return (
            rng.permuted(np.broadcast_to(np.arange(labels.size), state.shape), axis=-1) < components
        )
    check_kind(
        isinstance(components, Iterable), "components", components, "labels, or how many of them"
    )
    wanted = [components] if isinstance(components, str) else list(components)
    unknown = [label for label in wanted if label not in labels.tolist()]
    if unknown:
        raise UnknownNameError(f"there is no component {unknown}; there are {labels.tolist()}.")
    if not wanted:
        raise InvalidInputError("components is empty; name one at least.")
    chosen = np.isin(labels, cast(npt.ArrayLike, wanted))
    return np.broadcast_to(chosen, state.shape).copy()


def _check(part: str, samples: int | None, defaults: dict[str, int], steps: int) -> int:
    """Return the number of samples."""
    if part not in PARTS:
        raise UnknownNameError(f"part={part!r} is unknown; there are {', '.join(PARTS)}.")
    samples = defaults[part] if samples is None else samples
    check_counts({"samples": samples})
    check_counts({"steps": steps}, least=2)
    return samples


def _draw(part: str, rng: RandomState, shape: tuple[int, int]) -> torch.Tensor:
    """Standard normal numbers of a part."""
    own = default_rng(rng).spawn(len(PARTS))[PARTS.index(part)]
    return torch.from_numpy(own.standard_normal(shape))


def _simulate(
    model: Lorenz63 | Lorenz96, starts: torch.Tensor, spin_up: float, steps: int, dt: float
) -> np.ndarray:
    """Windows (sample, time, component) after a spin-up."""
    settled = reference_trajectory(model, starts, 1, spin_up, tolerance=1e-4)[:, -1]
    return reference_trajectory(model, settled, steps - 1, dt, tolerance=TOLERANCE).numpy()


def _label(state: np.ndarray, components: list, dt: float, attributes: dict) -> xr.Dataset:
    times = xr.Variable("time", dt * np.arange(state.shape[1]), {"long_name": "model time"})
    return xr.Dataset(
        {"state": (DIMS, np.ascontiguousarray(state), {"units": "1", "long_name": "state"})},
        coords={"time": times, "component": components},
        attrs=attributes,
    )
