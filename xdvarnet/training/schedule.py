"""Teach a 4DVarNet from draws: what a training on maps and one on tracks have in common."""

import itertools
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import xarray as xr

from xdvarnet._files import check_writable
from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_counts, check_kind, check_positive
from xdvarnet.mapping.cover import Window
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.contracts import Solver
from xdvarnet.solver.losses import Loss, ReconstructionLoss
from xdvarnet.training.data import DrawPool, Validation
from xdvarnet.training.draws import Augmentation, Draw, check_flips
from xdvarnet.training.fingerprint import fingerprint
from xdvarnet.training.loop import Epoch, train
from xdvarnet.training.processes import count_processes

logger = logging.getLogger("xdvarnet")


@dataclass(frozen=True)
class Schedule:
    """Length and means of a training.

    Attributes
    ----------
    epochs, steps_per_epoch, batch_size : int
        Length of the training, and windows of a step.
    learning_rate : float
        Of Adam, at the start; it falls as a cosine.
    loss : ReconstructionLoss
        Weighted MSE of the field and of its gradient, and the prior term.
    augmentation : Augmentation, optional
        How draws differ from the truth; the default has no flips where a variable is a current,
        which would have to turn with them.
    pool : int
        Number of draws kept.
    patience : int, optional
        Stop after so many epochs without a lower validation error; by default never.

    Raises
    ------
    InvalidInputError
        If a number is not positive.
    InvalidTypeError
        If the loss or the augmentation is of another kind.

    Examples
    --------
    >>> import xdvarnet
    >>> xdvarnet.Schedule(epochs=12, learning_rate=2e-3).batch_size
    8
    """

    epochs: int = 50
    steps_per_epoch: int = 64
    batch_size: int = 8
    learning_rate: float = 1e-3
    loss: ReconstructionLoss = field(default_factory=ReconstructionLoss)
    augmentation: Augmentation | None = None
    pool: int = 12
    patience: int | None = None

    def __post_init__(self) -> None:
        names = ("epochs", "steps_per_epoch", "batch_size", "pool")
        check_counts({name: vars(self)[name] for name in names})
        if self.patience is not None:
            check_counts({"patience": self.patience})
        check_positive(self.learning_rate, "learning_rate", "units of the weights")
        check_kind(
            isinstance(self.loss, ReconstructionLoss), "loss", self.loss, "ReconstructionLoss(...)"
        )
        check_kind(
            self.augmentation is None or isinstance(self.augmentation, Augmentation),
            "augmentation",
            self.augmentation,
            "Augmentation(...), or None",
        )

    def describe(self) -> dict[str, str]:
        """Return what another run must have too, to go on from a checkpoint."""
        known = {name: fingerprint(value) for name, value in vars(self).items()}
        return {name: value for name, value in known.items() if name != "patience"}

    def describe_length(self, history: xr.Dataset) -> str:
        """Say how long a training was."""
        steps = f"{self.steps_per_epoch} x {self.batch_size}"
        return f"{history.sizes['epoch']} epochs of {steps} windows"


@dataclass(frozen=True)
class FineTuning(Schedule):
    """The schedule of a training on real tracks: short, slow, with the loss of the field alone.

    Gradients of noisy tracks say little. All else is as in `Schedule`.

    Examples
    --------
    >>> from xdvarnet.training import FineTuning
    >>> FineTuning(epochs=2).learning_rate
    0.0001
    """

    epochs: int = 6
    steps_per_epoch: int = 32
    learning_rate: float = 1e-4
    loss: ReconstructionLoss = field(
        default_factory=lambda: ReconstructionLoss(gradient=0.0, prior=0.0)
    )


@dataclass(frozen=True)
class SeriesSchedule:
    """Length and means of a training of series, in one stage or several.

    An epoch sees each window once. Each stage goes on from the weights of the one before, at the
    full rate again.

    Attributes
    ----------
    epochs : int or sequence of int
        Number of epochs of each stage.
    iterations : int or sequence of int, optional
        Iterations of the solver in each stage, such as ``(5, 10, 20)``; it keeps the last number.
        Without it there is one stage, with those of the solver.
    batch_size : int
        Windows of a step.
    learning_rate : float
        Of Adam at the start of each stage; it falls to 1 %, and the prior has half of it.
    loss : Loss
        By default the mean squared error, with a prior term where the solver has a prior.

    Raises
    ------
    InvalidInputError
        If a number is not positive, or there are not as many epochs as iterations.
    InvalidTypeError
        If the loss is none.

    Examples
    --------
    >>> from xdvarnet.training import SeriesSchedule
    >>> SeriesSchedule(epochs=(4, 2), iterations=(5, 10)).stages
    [(4, 5), (2, 10)]
    """

    epochs: int | Sequence[int] = 10
    iterations: int | Sequence[int] | None = None
    batch_size: int = 128
    learning_rate: float = 1e-3
    loss: Loss = field(default_factory=lambda: ReconstructionLoss(gradient=0, prior=0.05))

    def __post_init__(self) -> None:
        for epochs, iterations in self.stages:
            check_counts({"epochs": epochs})
            if iterations is not None:
                check_counts({"iterations": iterations})
        check_counts({"batch_size": self.batch_size})
        check_positive(self.learning_rate, "learning_rate", "units of the weights")
        wanted = "a loss, such as VariationalLoss(prior)"
        check_kind(isinstance(self.loss, Loss), "loss", self.loss, wanted)

    @property
    def stages(self) -> list[tuple[int, int | None]]:
        """Epochs and iterations of each stage."""
        given, inner = self.epochs, self.iterations
        epochs = list(given) if isinstance(given, Iterable) else [given]
        iterations = list(inner) if isinstance(inner, Iterable) else [inner]
        if not epochs or len(epochs) != len(iterations):
            raise InvalidInputError(
                f"epochs={self.epochs} and iterations={self.iterations}; give as many of one as of "
                "the other, for at least 1 stage."
            )
        return list(zip(epochs, iterations, strict=True))

    def describe(self) -> dict[str, str]:
        """Return what all stages have in common, and a run that goes on must have too."""
        names = ("batch_size", "learning_rate", "loss")
        return {name: fingerprint(vars(self)[name]) for name in names}


def check_schedule(
    schedule: Schedule | None, default: Schedule, variables: Mapping[str, str]
) -> Schedule:
    """Return the schedule of a training, with an augmentation that suits the variables.

    Raises
    ------
    InvalidTypeError
        If it is none.
    InvalidInputError
        If currents are to be flipped.
    """
    check_kind(
        schedule is None or isinstance(schedule, Schedule), "schedule", schedule, "Schedule(...)"
    )
    chosen = default if schedule is None else schedule
    return replace(chosen, augmentation=check_flips(chosen.augmentation, variables))


def seeded(rng: RandomState, checkpoint: str | Path | None) -> np.random.Generator:
    """Return the generator of a training, which needs a seed for a checkpoint or processes.

    Raises
    ------
    InvalidInputError
        If it has none.
    InvalidTypeError, StoreError
        If the checkpoint is no path, or cannot be written.
    """
    if checkpoint is not None:
        check_writable(checkpoint, "checkpoint")
    if checkpoint is not None and rng is None:
        raise InvalidInputError(
            "a training with a checkpoint cannot go on from it without a seed; give one, such as "
            "rng=0."
        )
    if count_processes() > 1 and not isinstance(rng, int):
        raise InvalidInputError(
            f"a training on {count_processes()} processes needs the same seed in all of them; give "
            "one, such as rng=0."
        )
    return default_rng(rng)


def draw_seeds(rng: RandomState, checkpoint: str | Path | None) -> tuple[int, int]:
    """Draw the seeds of a training and of its validation.

    Raises
    ------
    InvalidInputError
        If there is a checkpoint but no seed.
    """
    training, validation = seeded(rng, checkpoint).integers(2**63, size=2)
    return int(training), int(validation)


class Learner(Protocol):
    """A model that can be taught, such as `xdvarnet.DVarNet`."""

    solver: Solver
    variables: Mapping[str, str]
    window: Window
    leads: int | None
    device: str
    precision: str

    def batch(self, windows: Sequence[Draw]) -> Batch:
        """Return what one step of a training sees of these windows."""
        ...


def learn(
    model: Learner,
    make: Callable[[int, np.random.Generator], Draw],
    scored: Validation,
    schedule: Schedule,
    *,
    seeds: tuple[int, int],
    settings: Mapping[str, str],
    checkpoint: str | Path | None,
    progress: bool,
    error_before: float = math.inf,
) -> xr.Dataset:
    """Train the solver of `model`, a copy that nobody else has, in place.

    Parameters
    ----------
    model : Learner
        With its normalisation.
    make : callable
        From the number of a draw and a generator to the draw.
    scored : Validation
        What decides which weights are kept.
    schedule : Schedule
        How long, and with what.
    seeds : tuple of int
        Of the training and of the validation.
    settings : mapping of str to str
        What else the training depends on.
    checkpoint, progress
        As in `DVarNet.fit`.
    error_before : float
        Validation error that an epoch has to reach for its weights to be kept.

    Returns
    -------
    xarray.Dataset
        ``loss`` and ``validation_rmse`` of each ``epoch``.
    """
    assert schedule.augmentation is not None  # of `check_schedule`
    draws = DrawPool(
        make,
        model.window,
        schedule.augmentation,
        pool=schedule.pool,
        seed=seeds[0],
        leads=model.leads,
    )

    def batches(epoch: int) -> Iterator[Batch]:
        windows = draws.windows(epoch, schedule.steps_per_epoch * schedule.batch_size)
        for group in itertools.batched(windows, schedule.batch_size):
            yield model.batch(group)

    logger.info("validation RMSE of the first guess: %s", scored.first_guess_rmse())
    history = train(
        model.solver,
        batches,
        scored.rmse,
        epochs=schedule.epochs,
        steps_per_epoch=schedule.steps_per_epoch,
        learning_rate=schedule.learning_rate,
        loss=schedule.loss,
        device=model.device,
        precision=model.precision,
        patience=schedule.patience,
        error_before=error_before,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        settings={
            **settings,
            **schedule.describe(),
            "seeds drawn from rng": " and ".join(map(str, seeds)),
        },
        progress=progress,
    )
    return label_history(history, next(iter(model.variables.values())))


def label_history(history: Sequence[Epoch], units: str) -> xr.Dataset:
    """Return the records of epochs as a Dataset.

    Parameters
    ----------
    history : sequence of Epoch
        In their order.
    units : str
        Of the validation error.
    """
    return xr.Dataset(
        {
            "loss": ("epoch", [epoch.loss for epoch in history], {"units": "1"}),
            "validation_rmse": (
                "epoch",
                [epoch.validation_rmse for epoch in history],
                {"units": units},
            ),
        },
        {"epoch": np.arange(1, len(history) + 1)},
    )
