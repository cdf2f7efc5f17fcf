"""Models that see one window at a time: cover a domain with windows, solve each, blend."""

import itertools
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from xdvarnet._progress import track
from xdvarnet._random import stream
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import check_kind, check_regular, check_times
from xdvarnet.grids.coords import Grid, is_ring
from xdvarnet.grids.internal import DIMS
from xdvarnet.mapping.background import Background
from xdvarnet.mapping.blend import blend
from xdvarnet.mapping.cover import Cover, Position, Window, cover
from xdvarnet.mapping.holding import Holding
from xdvarnet.mapping.lead import Lead
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import (
    Reconstructor,
    analyse,
    check_model,
    check_shapes,
    no_members,
)
from xdvarnet.mapping.ring import Ring

Field = tuple[str, str]
"""A field of an analysis: ``("mean" | "std", variable)``."""


class InWindows(Holding):
    """A model that sees one window at a time, such as a network.

    A domain is covered with overlapping windows that follow the first day of the record, each is
    solved, and the results are blended. Around a globe the first and the last are blended too. A
    subclass sets the attributes and defines `solve_windows`.

    Attributes
    ----------
    window : Window
        Sizes and halo of a window in cells.
    first_guess : Reconstructor or None
        Another model, solved before on the whole domain, whose analysis is handed to
        `solve_windows`; its background is not used.
    at_once : int
        Windows that `solve_windows` is given at once, at most.
    """

    window: Window
    first_guess: Reconstructor | None = None
    at_once: int = 1

    @abstractmethod
    def solve_windows(
        self, windows: Sequence[Observations], *, rng: np.random.Generator | None = None
    ) -> list[Analysis]:
        """Reconstruct the fields of each of some windows, with its first guess if it has one."""

    @property
    def held(self) -> list[Reconstructor]:
        """The first guess, where there is one."""
        return [] if self.first_guess is None else [self.first_guess]

    @property
    def halo(self) -> float | None:
        """Days of a window on either side, and those of the first guess."""
        before = super().halo
        return None if before is None else self.window.time - 1 + before

    @property
    def gives_formal_std(self) -> bool:
        """Whether it or its first guess has a standard deviation."""
        return self.gives_std or (self.first_guess is not None and self.first_guess.gives_std)

    def check(self, grid: Grid) -> None:
        """Refuse a grid on which windows cannot be counted in cells and days.

        Raises
        ------
        InvalidInputError
            If days are missing, steps differ, or the grid is smaller than a window.
        """
        assert grid.days is not None and grid.axes.time is not None
        check_times(grid.days, grid.axes.time, daily=True)
        reason = "this method has a window, which counts cells, and"
        check_regular(grid.latitude, grid.axes.latitude, reason)
        check_regular(grid.longitude, grid.axes.longitude, reason)
        cover((grid.days.size, *grid.shape), self.window)
        if self.first_guess is not None:
            self.first_guess.check(grid)

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Reconstruct the fields of a domain window by window.

        Raises
        ------
        InvalidInputError
            If members are asked for, the domain is smaller than a window, or `solve_windows`
            returns other fields than it should.
        """
        if members is not None:
            raise no_members(self)
        start = observations.offset + observations.used.start
        stop = observations.offset + observations.used.stop
        record = observations.days.size if observations.record is None else observations.record
        _, longitude = observations.place
        ring = Ring(longitude.size, self.window.longitude) if is_ring(longitude) else None
        columns = longitude.size + (2 * ring.width if ring else 0)
        covering = cover((record, observations.shape[1], columns), self.window)
        seen = covering.days(start, stop)
        days = slice(seen.start - observations.offset, seen.stop - observations.offset)
        if self.first_guess is not None and observations.first_guess is None:
            guess = analyse(self.first_guess, replace(observations, wanted=days), rng=rng)
            observations = replace(observations, first_guess=guess)
        fields: list[Field] = []
        domain = ring.unroll(observations) if ring else observations
        patches = self._solved(domain.take(days), covering, start, stop, fields, rng)
        slabs = np.concatenate(list(blend(patches, covering, start, stop)), axis=-3)
        slabs = ring.fold(slabs) if ring else slabs
        whole = np.zeros((len(fields), *observations.shape), slabs.dtype)
        whole[:, observations.used] = slabs
        found: dict[str, dict[str, np.ndarray]] = {"mean": {}, "std": {}}
        for (kind, name), field in zip(fields, whole, strict=True):
            found[kind][name] = field
        return Analysis(**found, first_guess=observations.first_guess)

    def _solved(
        self,
        observations: Observations,
        covering: Cover,
        start: int,
        stop: int,
        fields: list[Field],
        rng: np.random.Generator | None,
    ) -> Iterator[tuple[Position, np.ndarray]]:
        """Solve windows, those on land left out, and note in `fields` what the arrays hold."""
        patches = covering.patches(_to_dataset(observations), start, stop)
        total = len(covering.positions(start, stop))
        cut = (
            (position, _from_dataset(patch, observations))
            for position, patch in track(patches, "window", total)
        )
        on_sea = ((position, window) for position, window in cut if window.sea.any())
        empty = 0
        for group in itertools.batched(on_sea, self.at_once):
            own = stream(rng, *(axis.start for axis in group[0][0]))
            analyses = self.solve_windows([window for _, window in group], rng=own)
            for (position, window), solved in zip(group, analyses, strict=True):
                empty += not any(np.isfinite(values).any() for values in window.values.values())
                analysis = check_shapes(self, window, solved, None)
                stacked = {("mean", name): array for name, array in analysis.mean.items()}
                stacked |= {("std", name): array for name, array in analysis.std.items()}
                fields[:] = stacked
                yield position, np.stack(list(stacked.values()))
        if empty:
            warn(
                f"{empty} of {total} windows have no observation; there the maps are the "
                "background and what the model makes of it."
            )


class Windowed(InWindows):
    """Another method, solved in windows: for a domain that is too large for it, or too long.

    Each window has an analysis of its own, of its own observations, so that what is farther away
    than a window does not count. Means are blended, and standard deviations as well. A method
    without a `halo`, which needs a whole record, then has one: that of a window.

    Parameters
    ----------
    model : Reconstructor
        Such as an `SPDEField`. One that counts windows itself needs none.
    window : Window
        Several correlation lengths and times wide, with a halo of about one of each.

    Raises
    ------
    InvalidTypeError
        If an argument is of another kind.
    InvalidInputError
        If the model holds another or has windows of its own: what is put around a model is put
        around this, as in ``Lead(Windowed(model, window), days)``.

    Examples
    --------
    >>> import xdvarnet
    >>> from xdvarnet.mapping import Window, Windowed
    >>> field = xdvarnet.SPDEField(correlation_length=80, correlation_time=9, std=0.05, noise=0.02)
    >>> model = Windowed(field, Window(time=9, latitude=40, longitude=48, halo=(2, 6, 6)))
    >>> truth = xdvarnet.datasets.mediterranean().isel(time=slice(12), lon=slice(60, 160))
    >>> obs = xdvarnet.observe(truth, ["jason1", "envisat"], noise=0.02, rng=0)
    >>> maps = obs.dvarnet.reconstruct(model)
    """

    def __init__(self, model: Reconstructor, window: Window) -> None:
        check_model(model)
        check_kind(
            isinstance(window, Window), "window", window, "a Window such as Window(9, 40, 48)"
        )
        if isinstance(model, Holding | Lead):
            raise InvalidInputError(
                f"{model!r} holds another model, or has windows of its own: put windows around the "
                "innermost one, as in Lead(Windowed(model, window), days), or leave them out."
            )
        self.model, self.window = model, window
        self.variables, self.background = model.variables, model.background
        self.gives_std = model.gives_std

    def __repr__(self) -> str:
        return f"Windowed({self.model!r}, {self.window!r})"

    @property
    def observed(self) -> tuple[str, ...]:
        """Those of the model."""
        return tuple(self.model.observed)

    @property
    def error_variables(self) -> Mapping[str, str]:
        """Those of the model."""
        return self.model.error_variables

    def check(self, grid: Grid) -> None:
        """Refuse what windows do not fit, and what the model refuses."""
        super().check(grid)
        self.model.check(grid)

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
        stride: int | None = None,
    ) -> "Windowed":
        """Return the same windows of the model with other options: see its `with_options`."""
        model = self.model.with_options(
            background=background, device=device, precision=precision, stride=stride
        )
        return Windowed(model, self.window)

    def solve_windows(
        self, windows: Sequence[Observations], *, rng: np.random.Generator | None = None
    ) -> list[Analysis]:
        """Solve each window by itself."""
        return [analyse(self.model, window, rng=rng) for window in windows]


def check_first_guess(guess: Reconstructor | None, variables: dict[str, str]) -> None:
    """Refuse a first guess of variables that a model has not.

    Raises
    ------
    InvalidInputError
        With the variables of both.
    """
    if guess is not None and not guess.variables.items() <= variables.items():
        raise InvalidInputError(
            f"the first guess has the variables {dict(guess.variables)}, which are not among those "
            f"of the model, {variables}."
        )


def _to_dataset(observations: Observations) -> xr.Dataset:
    variables = {f"values/{name}": (DIMS, array) for name, array in observations.values.items()}
    variables |= {f"errors/{name}": (DIMS, array) for name, array in observations.errors.items()}
    if observations.first_guess is not None:
        for kind in ("mean", "std"):
            for name, array in observations.first_guess.kinds[kind].items():
                variables[f"{kind}/{name}"] = (DIMS, np.where(observations.sea, array, 0))
    axes = (observations.days, observations.latitude, observations.longitude)
    coords = dict(zip(DIMS, axes, strict=True))
    return xr.Dataset({**variables, "sea": (DIMS[1:], observations.sea)}, coords)


def _from_dataset(patch: xr.Dataset, whole: Observations) -> Observations:
    def fields(kind: str) -> dict[str, np.ndarray]:
        prefix = f"{kind}/"
        return {
            str(name).removeprefix(prefix): variable.values
            for name, variable in patch.variables.items()
            if str(name).startswith(prefix)
        }

    guess = None
    if whole.first_guess is not None:
        # days beyond the period have no first guess: the background, with its uncertainty
        means = {name: np.nan_to_num(values) for name, values in fields("mean").items()}
        stds = {
            name: np.nan_to_num(values, nan=float(np.nanmax(values, initial=0)))
            for name, values in fields("std").items()
        }
        guess = Analysis(means, stds)
    return Observations(
        values=fields("values"),
        days=patch["time"].values,
        latitude=patch["latitude"].values,
        longitude=patch["longitude"].values,
        sea=patch["sea"].values,
        first_guess=guess,
        errors=fields("errors"),
    )
