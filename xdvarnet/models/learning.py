"""Teach a 4DVarNet from draws: what a training on maps and one on tracks have in common."""

import itertools
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_counts, check_positive
from xdvarnet.models.base import Reconstructor
from xdvarnet.models.draws import Augmentation, Draw
from xdvarnet.models.fitting import DrawPool, Validation, lasting_repr
from xdvarnet.patches.cover import Window
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.losses import ReconstructionLoss
from xdvarnet.solver.training import Epoch, train
from xdvarnet.solver.variational import VariationalSolver

logger = logging.getLogger("xdvarnet")


@dataclass(frozen=True)
class Schedule:
    """Length and means of a training, as `DVarNet.fit` and `DVarNet.fine_tune` describe them.

    Raises
    ------
    InvalidInputError
        If a number is not positive, or there is a checkpoint but no seed.
    """

    epochs: int
    steps_per_epoch: int
    batch_size: int
    learning_rate: float
    loss: ReconstructionLoss
    augmentation: Augmentation
    pool: int
    patience: int | None
    checkpoint: str | Path | None
    rng: RandomState
    progress: bool

    def __post_init__(self) -> None:
        names = ("epochs", "steps_per_epoch", "batch_size", "pool")
        check_counts({name: getattr(self, name) for name in names})
        check_positive(self.learning_rate, "learning_rate", "units of the weights")
        if self.checkpoint is not None and self.rng is None:
            raise InvalidInputError(
                "a training with a checkpoint cannot go on from it without a seed; give one, such "
                "as rng=0."
            )

    def seeds(self) -> tuple[int, int]:
        """Draw the seeds of the training and of the validation."""
        training, validation = default_rng(self.rng).integers(2**63, size=2)
        return int(training), int(validation)

    def describe(self) -> dict[str, str]:
        """Return what another run must have too, to go on from the checkpoint."""
        return {
            "epochs": str(self.epochs),
            "steps_per_epoch": str(self.steps_per_epoch),
            "batch_size": str(self.batch_size),
            "learning_rate": str(self.learning_rate),
            "loss": lasting_repr(self.loss),
            "augmentation": str(self.augmentation),
            "pool": str(self.pool),
        }


class Learner(Protocol):
    """A model that can be taught, such as `xdvarnet.DVarNet`."""

    solver: VariationalSolver
    variables: Mapping[str, str]
    window: Window
    first_guess: Reconstructor | None
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
    error_before: float = math.inf,
) -> list[Epoch]:
    """Train the solver of `model` in place.

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
    error_before : float
        Validation error that an epoch has to reach for its weights to be kept.

    Returns
    -------
    list of Epoch
        One record for each epoch.
    """
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
    return train(
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
        checkpoint=None if schedule.checkpoint is None else Path(schedule.checkpoint),
        settings={
            **settings,
            "variables": str(model.variables),
            "window": str(model.window),
            "leads": str(model.leads),
            "first_guess": lasting_repr(model.first_guess),
            **schedule.describe(),
            "seeds drawn from rng": " and ".join(map(str, seeds)),
        },
        progress=schedule.progress,
    )
