"""The training of a network of series: with a truth, or on observations alone."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
import xarray as xr

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_kind
from xdvarnet.grids.series import STATE, Series, check_labels, check_pair, find_series
from xdvarnet.methods.dynamical import DynamicalMethod
from xdvarnet.networks.network import Inputs, NetworkModel
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.networks.series_checks import (
    SAME_DT,
    check_time_steps,
    interpolate,
    to_tensor,
)
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.contracts import Solver
from xdvarnet.solver.data import Data
from xdvarnet.solver.losses import Loss, PriorLoss, ReconstructionLoss, VariationalLoss
from xdvarnet.training.data import hash_values
from xdvarnet.training.loop import Epoch, autocast, train
from xdvarnet.training.schedule import SeriesSchedule, label_history, seeded

CHUNK = 256
"""Samples that a solver takes at once."""

Observe = Callable[[xr.Dataset, np.random.Generator], xr.Dataset]
"""From a truth to observations of it, drawn anew at each call."""


class TrainableSeries(NetworkModel, DynamicalMethod):
    """A network of series that can be trained: the base class of `SeriesInversion`."""

    normalizer: Normalizer
    dt: float
    steps: int

    def fit(
        self,
        truth: xr.Dataset | None,
        *,
        observe: xr.Dataset | Observe,
        validation: xr.Dataset | tuple[xr.Dataset, xr.Dataset],
        schedule: SeriesSchedule | None = None,
        checkpoint: str | Path | None = None,
        rng: RandomState = None,
        progress: bool = False,
    ) -> Self:
        """Return this model, trained; this one stays as it is.

        The weights with the lowest validation error are kept: the root mean square error of the
        normalised state for a `ReconstructionLoss`, and the loss itself for others.

        Parameters
        ----------
        truth : xarray.Dataset or None
            Complete windows of ``state``; None where neither the loss nor `observe` uses them.
        observe : callable or xarray.Dataset
            How to draw observations from the truth, anew at each epoch,
            ``observe(truth, generator)``; or the observations.
        validation : xarray.Dataset or tuple of xarray.Dataset
            Other windows, of what the training is given: complete ones where `observe` is a
            callable, which observes them once; observations where there is no truth; and where
            there are both, the tuple (observations, truth).
        schedule : SeriesSchedule, optional
            Stages, rate and loss; by default ``SeriesSchedule()``.
        checkpoint : str or pathlib.Path, optional
            File from which a killed training goes on; one for each stage, with its number.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of the order of the windows and of the draws of observations. A seed is needed
            with a checkpoint.
        progress : bool
            Whether to show a bar.

        Returns
        -------
        SeriesInversion
            With weights and ``history`` of its own: the loss and the validation error of each epoch
            of all stages.

        Raises
        ------
        InvalidInputError
            If the data are not as above, observations are not of the states of their truth (in
            shape, times, components, samples), nothing is observed, there is nothing to train, the
            loss needs a truth and there is none, the loss is the cost of the solver's own prior
            while that is trained, there is a checkpoint but no seed, or the training diverges.
        InvalidTypeError
            If the validation or the schedule is of another kind.
        ModelFileError
            If the checkpoint is damaged, or of a training of another model, with other data, draws
            or settings: from one generator, `observe` has to draw the same.
        """
        schedule = SeriesSchedule() if schedule is None else schedule
        self._check_schedule(schedule, truth)
        held_truth, held_observe = _validation(truth, observe, validation)
        sequence = seeded(rng, checkpoint).bit_generator.seed_seq
        seed, held_seed = sequence.generate_state(2).tolist()
        held = self._draw(held_truth, held_observe, np.random.default_rng(held_seed))
        first = self._draw(truth, observe, np.random.default_rng([seed, 0]))
        number, size = first.shape[1], schedule.batch_size

        def batches(before: int, epoch: int) -> Iterator[Batch]:
            generator = np.random.default_rng([seed, before + epoch])
            pairs = self._draw(truth, observe, generator)
            order = generator.permutation(number)
            for start in range(0, number, size):
                yield self._batch(pairs[:, order[start : start + size]])

        # together: equations that the loss shares with the solver stay shared
        solver, loss = copy.deepcopy((self.solver, schedule.loss))
        history: list[Epoch] = []
        for stage, (epochs, iterations) in enumerate(schedule.stages):
            if iterations is not None:
                solver.iterations = iterations
            history += train(
                solver,
                partial(batches, len(history)),
                partial(self._error, solver, loss, held),
                epochs=epochs,
                steps_per_epoch=-(-number // size),
                learning_rate=schedule.learning_rate,
                loss=loss,
                device="cpu",
                precision=self.precision,
                checkpoint=None if checkpoint is None else Path(f"{checkpoint}.{stage}"),
                settings={
                    "data": _hash(first),
                    "validation": _hash(held),
                    **self.settings,
                    **schedule.describe(),
                    "stages (epochs, iterations)": str(schedule.stages[: stage + 1]),
                    "seed drawn from rng": str(seed),
                },
                progress=progress,
            )
        return self.replace(solver=solver, history=label_history(history, "1"))

    def _check_schedule(self, schedule: SeriesSchedule, truth: xr.Dataset | None) -> None:
        check_kind(
            isinstance(schedule, SeriesSchedule), "schedule", schedule, "SeriesSchedule(...)"
        )
        loss = schedule.loss
        if isinstance(loss, VariationalLoss) and loss.prior is not None:
            check_time_steps(loss.prior, self.dt)
        if isinstance(loss, ReconstructionLoss | PriorLoss) and truth is None:
            raise InvalidInputError(
                f"{type(loss).__name__} compares with the truth; give one, or another loss, such "
                "as SeriesSchedule(loss=VariationalLoss(prior))."
            )
        if schedule.iterations is not None and self.solver.iterations is None:
            raise InvalidInputError(
                f"iterations={schedule.iterations}, and {type(self.solver).__name__} has no "
                "iterations; leave iterations=None."
            )

    def _error(self, solver: Solver, loss: Loss, held: np.ndarray) -> float:
        """Root mean square error of normalised states, or the mean of a loss that is no error."""
        errors = []
        supervised = isinstance(loss, ReconstructionLoss)
        for start in range(0, held.shape[1], CHUNK):
            batch = self._batch(held[:, start : start + CHUNK])
            with torch.no_grad(), autocast("cpu", self.precision):
                if supervised:
                    state = solver(batch.state, batch.data, batch.context)
                    error = (state - batch.truth).square().mean()
                else:
                    error = loss.evaluate(solver, batch)
            errors.append(error.item() * len(batch.state))
        mean = sum(errors) / held.shape[1]
        return mean**0.5 if supervised else mean

    def _find(self, dataset: xr.Dataset) -> Series:
        series = find_series(dataset)
        check_labels(series.labels, self.labels)
        self._check(series.values.shape[1:], series.dt)
        return series

    def _draw(
        self, truth: xr.Dataset | None, observe: xr.Dataset | Observe, rng: np.random.Generator
    ) -> np.ndarray:
        """Return observations and truth, NaN without one; shape (2, sample, time, component)."""
        whole = None if truth is None else self._find(truth)
        if whole is not None and not np.isfinite(whole.values).all():
            raise InvalidInputError(
                "the truth has missing values; a training and its validation need complete windows."
            )
        if callable(observe):
            assert truth is not None
            observe = observe(truth, rng)
        observed = self._find(observe)
        if np.isnan(observed.values).all():
            raise InvalidInputError(
                "nothing is observed: all values are NaN; a training needs observations."
            )
        if whole is None:
            return np.stack([observed.values, np.full_like(observed.values, np.nan)])
        check_pair(observed, whole)
        return np.stack([observed.values, whole.values])

    def _check(self, shape: tuple[int, ...], dt: float) -> None:
        times, components = shape
        if abs(dt / self.dt - 1) > SAME_DT:
            raise InvalidInputError(
                f"the time step of the series is {dt:g}, and the model was made for {self.dt:g}; "
                "interpolate, or train a model for this step."
            )
        if times < self.steps:
            raise InvalidInputError(
                f"a series of {times} times is too short for the model's window of {self.steps}; "
                "give longer ones, or train a model with fewer steps."
            )
        known = np.shape(self.normalizer.std[STATE])
        if known not in ((), (components,)):
            raise InvalidInputError(
                f"the model has {known[0]} components, and the state has {components}; give the "
                "series that the model was made for."
            )

    def _batch(self, pairs: np.ndarray) -> Batch:
        state, data, context = self._inputs(pairs[0])
        truth = to_tensor(self.normalizer.normalize(STATE, pairs[1]))
        return Batch(state, truth, data, context, torch.ones(1, 1, 1, 1))

    def _inputs(self, values: np.ndarray) -> Inputs:
        scaled = self.normalizer.normalize(STATE, values)
        data = Data.from_gappy(to_tensor(scaled))
        terms = len(self.solver.terms) or 1
        context = torch.cat([data.values, data.mask], 1) if self.solver.context else None
        return to_tensor(interpolate(scaled)), [data] * terms, context


def _validation(
    truth: xr.Dataset | None,
    observe: xr.Dataset | Observe,
    validation: xr.Dataset | tuple[xr.Dataset, xr.Dataset],
) -> tuple[xr.Dataset | None, xr.Dataset | Observe]:
    """Return the truth of the validation and what observes it, or its observations."""
    check_kind(
        callable(observe) or isinstance(observe, xr.Dataset),
        "observe",
        observe,
        "a Dataset of observations, or a function that draws them, observe(truth, generator)",
    )
    if truth is None and callable(observe):
        raise InvalidInputError("observations that are drawn need a truth to be drawn from.")
    if truth is None or callable(observe):
        right = isinstance(validation, xr.Dataset)
        wanted = "a Dataset of " + ("complete windows" if callable(observe) else "observations")
    else:
        right = isinstance(validation, tuple) and [*map(type, validation)] == [xr.Dataset] * 2
        wanted = "the tuple (observations, truth)"
    check_kind(right, "validation", validation, f"{wanted} of other windows, as the training has")
    if isinstance(validation, tuple):
        return validation[1], validation[0]
    return (validation, observe) if callable(observe) else (None, validation)


def _hash(pairs: np.ndarray) -> str:
    return hash_values(xr.DataArray(pairs).to_dataset(name=STATE))
