"""What a training sees: draws of one truth in turn, and a validation draw."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import check_dataset, check_kind, check_times, check_variable
from xdvarnet.grids.coords import find_axes, find_grid
from xdvarnet.grids.internal import to_internal
from xdvarnet.mapping.background import Background
from xdvarnet.mapping.cover import Window
from xdvarnet.mapping.observations import Analysis
from xdvarnet.mapping.windows import InWindows
from xdvarnet.observing.observer import Observer
from xdvarnet.training.draws import Augmentation, Draw, draw, random_windows, vary
from xdvarnet.training.fingerprint import hash_array, hash_of
from xdvarnet.training.spool import spool

Simulate = Callable[[np.random.Generator], xr.Dataset]
"""From a generator to complete maps."""


def check_maps(dataset: xr.Dataset, variables: Mapping[str, str], role: str) -> xr.Dataset:
    """Return the variables of complete daily maps.

    Parameters
    ----------
    dataset : xarray.Dataset
        What a user gives to train on.
    variables : mapping of str to str
        Names and units.
    role : str
        What the maps are, for the message.

    Raises
    ------
    InvalidTypeError, UnknownNameError
        If this is no Dataset, or lacks a variable.
    InvalidInputError
        If a day is missing, or a value on sea; without the coordinate ``sea``, all cells with a
        value on any day are sea.
    """
    check_dataset(dataset, role)
    for name in variables:
        check_variable(dataset, name)
    dataset = dataset[list(variables)]
    known = to_internal(dataset, variables)
    check_times(known["time"].values, str(find_axes(dataset).time), daily=True)
    for name in variables:
        finite: xr.DataArray = np.isfinite(known[name])  # type: ignore[assignment]  # numpy's stubs leave xarray out
        finite = finite.compute()
        if not finite.any():
            raise InvalidInputError(
                f"variable {name!r} has no finite value in the {role}; give maps with values on "
                "sea."
            )
        sea = known["sea"].compute() if "sea" in dataset.coords else finite.any("time")
        gaps = int((~finite & sea).sum())
        if gaps:
            raise InvalidInputError(
                f"variable {name!r} has {gaps} missing value(s) on sea in the {role} "
                f"({gaps / int(sea.sum() * finite.sizes['time']):.1%} of all); a training needs "
                "complete maps. Take those of a simulation or of a mapped product, or leave out "
                "the cells that are not always known: "
                f"dataset.where(dataset[{name!r}].notnull().all({find_axes(dataset).time!r}))"
                ".drop_vars('sea', errors='ignore')."
            )
    return dataset


def check_truths(
    truths: xr.Dataset | Sequence[xr.Dataset], variables: Mapping[str, str], *, least: int
) -> list[xr.Dataset]:
    """Return the training data, one truth or several on the same grid, as a list.

    Parameters
    ----------
    truths : xarray.Dataset or sequence of xarray.Dataset
        As given to a training.
    variables : mapping of str to str
        Names and units.
    least : int
        Days of the window.

    Raises
    ------
    InvalidTypeError, UnknownNameError, InvalidInputError
        As for `check_maps`; and if there is none, one is shorter than a window, or two are on
        different grids.
    """
    given = [truths] if isinstance(truths, xr.Dataset) else truths
    check_kind(
        isinstance(given, Sequence) and bool(given), "truth", truths, "a Dataset, or several"
    )
    checked = [check_maps(maps, variables, "training data") for maps in given]
    first = find_grid(checked[0])
    for number, maps in enumerate(checked):
        days = maps.sizes[find_axes(maps).time]
        if days < least:
            raise InvalidInputError(
                f"the training data have {days} day(s), fewer than the {least} of the window; "
                "train on a longer truth or with a shorter window."
            )
        grid = find_grid(maps)
        if not (
            np.array_equal(grid.latitude, first.latitude)
            and np.array_equal(grid.longitude, first.longitude)
        ):
            raise InvalidInputError(
                f"training data number {number} are on another grid than the first "
                f"({dict(maps.sizes)} and {dict(checked[0].sizes)}); put them on the same with "
                "xdvarnet.regrid."
            )
    return checked


class DrawPool:
    """The last draws of a training: each epoch adds one and forgets the oldest.

    Epoch k sees the same draws and windows however often it is asked for, and whatever came before:
    a training that goes on from a checkpoint sees what it would have seen. The draws are in
    temporary files, so that memory does not grow with their number.

    Parameters
    ----------
    make : callable
        From the number of a draw and a generator to the draw, such as `ObservedTruth`.
    window : Window
        What is cut out.
    augmentation : Augmentation
        How windows differ from the draws.
    pool : int
        Number of draws kept.
    seed : int
        Of all draws and windows.
    leads : int, optional
        Days at the end of every second window whose observations are hidden.
    """

    def __init__(
        self,
        make: Callable[[int, np.random.Generator], Draw],
        window: Window,
        augmentation: Augmentation,
        *,
        pool: int,
        seed: int,
        leads: int | None = None,
    ) -> None:
        self._make, self._window, self._augmentation = make, window, augmentation
        self._pool, self._seed, self._leads = pool, seed, leads
        self._draws: dict[int, Draw] = {}

    def windows(self, epoch: int, count: int) -> Iterator[Draw]:
        """Yield `count` random windows for an epoch."""
        wanted = range(max(0, epoch - self._pool + 1), epoch + 1)
        self._draws = {number: self._draw(number) for number in wanted}
        rng = np.random.default_rng([self._seed, 1, epoch])
        pool = list(self._draws.values())
        yield from random_windows(
            pool, self._window, count, self._augmentation, rng, leads=self._leads
        )

    def _draw(self, number: int) -> Draw:
        if number in self._draws:
            return self._draws[number]
        return spool(self._make(number, np.random.default_rng([self._seed, 0, number])))


@dataclass(frozen=True)
class ObservedTruth:
    """Draws of simulated observations of complete maps.

    Attributes
    ----------
    truths : sequence of xarray.Dataset
        Complete maps, taken in turn.
    simulate : callable or None
        Gives other complete maps from a generator, for every second draw.
    system : Observer
        What observes them.
    model : InWindows
        Its variables and its first guess are those of the draws, and the length of its window is
        that of the running basin mean.
    augmentation : Augmentation
        How draws differ from the truth.
    background : Background or None
        The same for all draws; None for the mean map of each.
    """

    truths: Sequence[xr.Dataset]
    simulate: Simulate | None
    system: Observer
    model: InWindows
    augmentation: Augmentation
    background: Background | None = None

    def __call__(self, number: int, rng: np.random.Generator) -> Draw:
        """Make draw `number`."""
        turn, simulated = (number, 0) if self.simulate is None else divmod(number, 2)
        if self.simulate is not None and simulated:
            truth = self.simulate(rng)
        else:
            truth = self.truths[turn % len(self.truths)]
        truth, mean_map = vary(truth, self.augmentation, self.model.window.time, rng)
        background = self.background or mean_map
        return draw(
            truth,
            self.system,
            self.model,
            rng,
            background=background,
            first_guess=self.model.first_guess,
        )


@dataclass(frozen=True)
class Validation:
    """The error of a model on one draw.

    Attributes
    ----------
    model : InWindows
        Scored with its present weights at each call.
    draw : Draw
        The observations, and what is known of the truth, NaN elsewhere.
    positions : slice or numpy.ndarray
        Positions of the days that are scored.
    """

    model: InWindows
    draw: Draw
    positions: slice | np.ndarray = slice(None)

    @property
    def days(self) -> np.ndarray:
        """The days that are scored, since 1950-01-01."""
        return self.draw.observations.days[self.positions]

    def rmse(self) -> float:
        """Root mean square error over sea of the first variable, in its units."""
        return self._rmse(self.model.solve(self.draw.observations))

    def first_guess_rmse(self) -> float | None:
        """Error of the first guess alone; None without one."""
        guess = self.draw.observations.first_guess
        return None if guess is None else self._rmse(guess)

    def _rmse(self, analysis: Analysis) -> float:
        name = next(iter(self.model.variables))
        errors = analysis.mean[name] - self.draw.truth[name]
        return float(
            np.sqrt(np.nanmean(np.square(errors[self.positions][:, self.draw.observations.sea])))
        )


def observed_validation(
    model: InWindows,
    truth: xr.Dataset,
    period: slice | None,
    system: Observer,
    seed: int,
) -> Validation:
    """Observe a truth of other days once.

    Parameters
    ----------
    model : InWindows
        Its background is used.
    truth : xarray.Dataset
        Complete maps.
    period : slice or None
        Times that are scored; None for all.
    system : Observer
        What observes the truth.
    seed : int
        Of the draw.

    Raises
    ------
    InvalidInputError
        If the truth has no day in the period.
    """
    positions = scored_days(truth, period)
    rng = np.random.default_rng(seed)
    drawn = draw(truth, system, model, rng, first_guess=model.first_guess)
    return Validation(model, drawn, positions)


def scored_days(truth: xr.Dataset, period: slice | None) -> np.ndarray:
    """Return the positions of the days of a period; of all if it is None.

    Raises
    ------
    InvalidInputError
        If the truth has no day in the period.
    """
    time = find_axes(truth).time
    days = xr.DataArray(np.arange(truth.sizes[time]), coords=[truth[time]], dims=[time])
    positions = days.sel({time: period or slice(None)}).values
    if positions.size == 0:
        raise InvalidInputError(
            f"no day of the validation data ({truth[time].values[0]} to "
            f"{truth[time].values[-1]}) is in the validation period {period}."
        )
    return positions


def span(dataset: xr.Dataset) -> str:
    """Title, if there is one, and first and last day of a dataset, for a model's provenance."""
    time = dataset[find_axes(dataset).time]
    dates = f"{str(time.values[0])[:10]} to {str(time.values[-1])[:10]}"
    return f"{dataset.attrs['title']}, {dates}" if dataset.attrs.get("title") else dates


def digest(dataset: xr.Dataset) -> str:
    """What tells a dataset from others: its span, its sizes and a hash of its values."""
    return f"{span(dataset)}, {dict(dataset.sizes)}, {hash_values(dataset)}"


def hash_values(dataset: xr.Dataset) -> str:
    """Return a hash of all values of a dataset."""
    named = sorted(dataset.variables.items(), key=lambda item: str(item[0]))
    parts = [f"{name} {variable.dims} {hash_array(variable.values)}" for name, variable in named]
    return hash_of(*(part.encode() for part in parts))


def warn_of_common_days(truths: Sequence[xr.Dataset], scored: np.ndarray) -> None:
    """Warn if scored validation days (days since 1950-01-01) are also training days."""
    known = np.concatenate([find_grid(truth).days for truth in truths])
    common = np.intersect1d(np.floor(known), np.floor(scored))
    if common.size:
        warn(
            f"{common.size} of the {scored.size} validation days that are scored are also in the "
            "training data: the validation RMSE is too low. Set validation_period to other days; "
            "if they are of another simulation, give them other times, with assign_coords."
        )
