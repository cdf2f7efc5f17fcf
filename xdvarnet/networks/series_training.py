"""The training of a network of series: with a truth, or on observations alone."""

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
import xarray as xr

from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.checks import check_counts, check_kind, check_positive
from xdvarnet.grids.series import STATE, Series, check_labels, check_pair, find_series
from xdvarnet.methods.dynamical import DynamicalMethod
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.networks.series_checks import (
    SAME_DT,
    check_stages,
    check_time_steps,
    check_trained,
    hash_arrays,
    interpolate,
    to_tensor,
)
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.contracts import Solver
from xdvarnet.solver.data import Data
from xdvarnet.solver.losses import Loss, ReconstructionLoss, VariationalLoss
from xdvarnet.training.data import lasting_repr
from xdvarnet.training.loop import Epoch, autocast, train
from xdvarnet.training.schedule import label_history

CHUNK = 256
"""Samples that a solver takes at once."""

Observe = Callable[[xr.Dataset, np.random.Generator], xr.Dataset]
"""From a truth to observations of it, drawn anew at each call."""


class TrainableSeries(DynamicalMethod):
    """A network of series that can be trained: the base class of `SeriesInversion`."""

    solver: Solver
    normalizer: Normalizer
    dt: float
    steps: int
    precision: str

    @abstractmethod
    def replace(self, **changes: object) -> Self:
        """Return another model, with some constructor arguments of this one changed."""

    def fit(
        self,
        truth: xr.Dataset | None,
        *,
        observe: xr.Dataset | Observe,
        validation: tuple[xr.Dataset, xr.Dataset | None],
        epochs: int | Sequence[int],
        iterations: int | Sequence[int] | None = None,
        loss: Loss | None = None,
        learning_rate: float = 1e-3,
        batch_size: int = 128,
        rng: RandomState = 0,
        checkpoint: str | Path | None = None,
        progress: bool = False,
    ) -> Self:
        """Return this model, trained; this one stays as it is.

        The weights with the lowest validation error are kept: the root mean square error of the
        normalised state for a `ReconstructionLoss`, and the loss itself for others, which need no
        truth.

        Parameters
        ----------
        truth : xarray.Dataset or None
            Complete windows of ``state``; None where neither the loss nor `observe` uses them.
        observe : callable or xarray.Dataset
            How to draw observations from the truth, anew at each epoch,
            ``observe(truth, generator)``; or the observations.
        validation : tuple of xarray.Dataset
            Observations and, or None, their truth, of other windows.
        epochs : int or sequence of int
            Number of epochs of each stage.
        iterations : int or sequence of int, optional
            Iterations of the solver in each stage, such as ``(5, 10, 20)``; it keeps the last
            number. Without it there is one stage.
        loss : Loss, optional
            ``ReconstructionLoss(gradient=0, prior=0.05)`` by default where the solver has a prior,
            and without the prior's term elsewhere.
        learning_rate : float
            Of Adam at the start of each stage; it falls to 1 %, and the prior has half of it.
        batch_size : int
            Windows of a step.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of the order of the windows and of the draws of observations.
        checkpoint : str or pathlib.Path, optional
            File from which a killed training goes on; one for each stage, with its number.
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
            If the data or the numbers are not as above, observations are not of the states of
            their truth (in shape, times, components, samples), nothing is observed, there is
            nothing to train, the loss is the cost of the solver's own prior while that is trained,
            or the training diverges.
        InvalidTypeError
            If the loss or the validation is of another kind.
        ModelFileError
            If the checkpoint is damaged, or of a training with other data or settings. What a
            callable `observe` draws is not compared.
        """
        if loss is None:
            loss = ReconstructionLoss(gradient=0, prior=0.05)
        check_kind(isinstance(loss, Loss), "loss", loss, "a loss, such as VariationalLoss(prior)")
        check_trained(self.solver, loss)
        if isinstance(loss, VariationalLoss) and loss.prior is not None:
            check_time_steps(loss.prior, self.dt)
        stages = check_stages(epochs, iterations)
        check_counts({"batch_size": batch_size})
        check_positive(learning_rate, "learning_rate", "units of the weights")
        if not isinstance(validation, tuple) or len(validation) != 2:
            raise InvalidTypeError(
                f"validation is a {type(validation).__name__}; give the tuple (observed, truth), "
                "or (observed, None) for a loss without truth."
            )
        if iterations is not None and self.solver.iterations is None:
            raise InvalidInputError(
                f"iterations={iterations}, and {type(self.solver).__name__} has no iterations; "
                "leave iterations=None."
            )
        if callable(observe) and truth is None:
            raise InvalidInputError("observations that are drawn need a truth to be drawn from.")
        supervised = isinstance(loss, ReconstructionLoss)
        if supervised and (truth is None or validation[1] is None):
            raise InvalidInputError(
                f"{loss!r} compares with the truth; give truth and validation=(observed, truth), "
                "or another loss, such as VariationalLoss(prior)."
            )
        whole, held_whole = (
            None if given is None else self._whole(given) for given in (truth, validation[1])
        )
        known, held_truth = (None if each is None else each.values for each in (whole, held_whole))
        fixed = None if callable(observe) else self._seen(observe, whole)
        held = self._seen(validation[0], held_whole)
        (seed,) = default_rng(rng).bit_generator.seed_seq.generate_state(1)
        samples = known if fixed is None else fixed
        assert samples is not None
        number = len(samples)
        steps = -(-number // batch_size)

        def batches(epoch: int) -> Iterator[Batch]:
            generator = np.random.default_rng([int(seed), epoch])
            seen = fixed
            if seen is None:
                assert callable(observe) and truth is not None
                seen = self._seen(observe(truth, generator), whole)
            order = generator.permutation(number)
            for first in range(0, number, batch_size):
                chosen = order[first : first + batch_size]
                yield self._batch(seen[chosen], None if known is None else known[chosen])

        def validate() -> float:
            errors = []
            for first in range(0, len(held), CHUNK):
                part = slice(first, first + CHUNK)
                batch = self._batch(held[part], None if held_truth is None else held_truth[part])
                with torch.no_grad(), autocast("cpu", self.precision):
                    if supervised:
                        state = solver(batch.state, batch.data, batch.context)
                        error = (state - batch.truth).square().mean()
                    else:
                        error = minimised.evaluate(solver, batch)
                errors.append(error.item() * len(batch.state))
            mean = sum(errors) / len(held)
            return mean**0.5 if supervised else mean

        # together: equations that the loss shares with the solver stay shared
        solver, minimised = copy.deepcopy((self.solver, loss))
        data = hash_arrays(known, fixed, held, held_truth)
        history: list[Epoch] = []
        for stage, (count, inner) in enumerate(stages):
            if inner is not None:
                solver.iterations = inner

            def batches_of(epoch: int, offset: int = len(history)) -> Iterator[Batch]:
                return batches(offset + epoch)

            history += train(
                solver,
                batches_of,
                validate,
                epochs=count,
                steps_per_epoch=steps,
                learning_rate=learning_rate,
                loss=minimised,
                device="cpu",
                precision=self.precision,
                checkpoint=None if checkpoint is None else Path(f"{checkpoint}.{stage}"),
                settings={
                    "seed": str(seed),
                    "stage": f"{stage}: {count} of {inner}",
                    "batch_size": str(batch_size),
                    "learning_rate": str(learning_rate),
                    "loss": lasting_repr(minimised),
                    "data": data,
                },
                progress=progress,
            )
        return self.replace(solver=solver, history=label_history(history, "1"))

    def _find(self, dataset: xr.Dataset) -> Series:
        series = find_series(dataset)
        check_labels(series.labels, self.labels)
        self._check(series.values.shape[1:], series.dt)
        return series

    def _whole(self, truth: xr.Dataset) -> Series:
        series = self._find(truth)
        if not np.isfinite(series.values).all():
            raise InvalidInputError("the truth has missing values; a training needs whole series.")
        return series

    def _seen(self, observed: xr.Dataset, truth: Series | None) -> np.ndarray:
        series = self._find(observed)
        if np.isnan(series.values).all():
            raise InvalidInputError(
                "nothing is observed: all values are NaN; a training needs observations."
            )
        if truth is not None:
            check_pair(series, truth)
        return series.values

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

    def _batch(self, values: np.ndarray, truth: np.ndarray | None) -> Batch:
        state, data, context = self._inputs(values)
        known = state if truth is None else to_tensor(self.normalizer.normalize(STATE, truth))
        return Batch(state, known, data, context, torch.ones(1, 1, 1, 1))

    def _inputs(self, values: np.ndarray) -> tuple[torch.Tensor, list[Data], torch.Tensor | None]:
        scaled = self.normalizer.normalize(STATE, values)
        data = Data.from_gappy(to_tensor(scaled))
        terms = len(self.solver.terms) or 1
        context = torch.cat([data.values, data.mask], 1) if self.solver.context else None
        return to_tensor(interpolate(scaled)), [data] * terms, context
