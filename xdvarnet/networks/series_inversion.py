"""Trained solvers of series: 4DVarNet and other learned inversions, from observations to states."""

import copy
import hashlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import nn

from xdvarnet._random import RandomState, default_rng
from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.dynamics.rescaled import Rescaled
from xdvarnet.errors import InvalidInputError, InvalidTypeError, warn
from xdvarnet.grids.checks import check_counts, check_kind, check_positive
from xdvarnet.grids.series import STATE, Series, check_labels, check_pair, find_series
from xdvarnet.mapping.background import Background
from xdvarnet.mapping.description import check_storable
from xdvarnet.methods.dynamical import DynamicalMethod, StateAnalysis, StateWindow
from xdvarnet.networks.series_normalizer import SeriesNormalizer
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.inversions.amortised import AmortisedFourDVar
from xdvarnet.solver.losses import Loss, PriorLoss, ReconstructionLoss, VariationalLoss
from xdvarnet.solver.minimisation import Minimisation
from xdvarnet.solver.observation import Data
from xdvarnet.solver.priors.ode import OdePrior
from xdvarnet.training.data import lasting_repr
from xdvarnet.training.loop import Epoch, autocast, train
from xdvarnet.training.schedule import label_history

CHUNK = 256
"""Samples that a solver takes at once."""

SAME_DT = 1e-3
"""Relative departure from a model's time step that is accepted."""

FAR = 10.0
"""Standard deviations from the mean beyond which an observation may have the wrong units."""

Observe = Callable[[xr.Dataset, np.random.Generator], xr.Dataset]
"""From a truth to observations of it, drawn anew at each call."""


class SeriesInversion(DynamicalMethod):
    """A learned solver of series, trained end to end.

    It normalises the observations, fills them in time by linear interpolation as a first guess,
    runs its solver and scales the result back. The solver may be a
    `xdvarnet.solver.VariationalSolver` (4DVarNet) with a prior and a step for series, or any
    network of `xdvarnet.solver.inversions`.

    Parameters
    ----------
    solver : torch.nn.Module
        Called as ``solver(first_guess, data, context)`` with normalised tensors (batch, 1, time,
        component); it has an attribute ``context``, which is 2 where it takes the observations and
        where they are as a context, and 0 otherwise.
    normalizer : SeriesNormalizer
        Mean and standard deviation of the state.
    dt : float
        Time between two states.
    steps : int
        Times of a window in the training; a shorter series is refused.
    precision : str
        ``"float32"``, or ``"bfloat16"`` for convolutions.
    provenance : mapping of str to str, optional
        How the model was trained, and its scores.
    history : xarray.Dataset, optional
        The epochs of the last training; `fit` makes it.

    Raises
    ------
    InvalidInputError
        If a number is out of range, or a dynamical model in the solver has another time step.
    InvalidTypeError
        If the solver or the normalizer is of another kind.

    Warns
    -----
    XdvarnetWarning
        If the solver has the equations of Lorenz for states that are not normalised.

    Examples
    --------
    >>> from xdvarnet.solver import MaskedObservation, VariationalSolver
    >>> from xdvarnet.datasets import lorenz63, observe_series
    >>> from xdvarnet.networks.series_inversion import SeriesInversion
    >>> from xdvarnet.networks.series_normalizer import SeriesNormalizer
    >>> from xdvarnet.solver.priors.gibbs import GibbsPrior
    >>> from xdvarnet.solver.series_steps import SeriesCNNStep
    >>> truth = lorenz63("training", samples=20)
    >>> obs = observe_series(truth, every=8, components=["x"], noise=2**0.5, rng=0)
    >>> prior = GibbsPrior(kernel=(11, 1), downscale=(4, 1), components=3)
    >>> solver = VariationalSolver(prior, MaskedObservation(), SeriesCNNStep(components=3))
    >>> model = SeriesInversion(solver, SeriesNormalizer.from_series(truth), dt=0.01, steps=200)
    >>> obs.dvarnet.reconstruct(model)["state"].dims
    ('sample', 'time', 'component')
    """

    variables = {STATE: "1"}

    def __init__(
        self,
        solver: nn.Module,
        normalizer: SeriesNormalizer,
        *,
        dt: float,
        steps: int,
        precision: str = "float32",
        provenance: Mapping[str, str] | None = None,
        history: xr.Dataset | None = None,
    ) -> None:
        check_kind(
            isinstance(solver, nn.Module) and hasattr(solver, "context"),
            "solver",
            solver,
            "one such as VariationalSolver(prior, MaskedObservation(), step), or "
            "DirectNetwork(network) for a network",
        )
        check_kind(
            isinstance(normalizer, SeriesNormalizer),
            "normalizer",
            normalizer,
            "SeriesNormalizer.from_series(truth)",
        )
        check_positive(dt, "dt", "the model's unit of time")
        check_counts({"steps": steps})
        if steps < 2:
            raise InvalidInputError(f"steps={steps}; a window has two times at least.")
        autocast("cpu", precision)
        _check_steps(solver, dt)
        _check_units(solver, normalizer)
        check_storable(solver, "solver")
        self.solver, self.normalizer = solver, normalizer
        self.dt, self.steps, self.precision = dt, steps, precision
        self.provenance, self.history = dict(provenance or {}), history

    def __repr__(self) -> str:
        return f"SeriesInversion({_summary(self.solver)}, dt={self.dt:g}, steps={self.steps})"

    def summary(self) -> dict[str, object]:
        """Return what a notebook shows of the model."""
        return {
            "solver": _summary(self.solver),
            "parameters": count_parameters(self.solver),
            "window": f"{self.steps} times, {self.dt:g} apart",
            "normalisation": self.normalizer,
            **self.provenance,
        }

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
        provenance: Mapping[str, str] | None = None,
    ) -> "SeriesInversion":
        """Return the same model with other options; None keeps an option."""
        super().with_options(background=background, device=device)
        return self._replace(
            precision=precision or self.precision, provenance=provenance or self.provenance
        )

    def _replace(self, **changes: object) -> "SeriesInversion":
        """Return another model, with some arguments of this one changed."""
        arguments = {
            "solver": self.solver,
            "normalizer": self.normalizer,
            "dt": self.dt,
            "steps": self.steps,
            "precision": self.precision,
            "provenance": self.provenance,
            "history": self.history,
        }
        return SeriesInversion(**{**arguments, **changes})

    @property
    def labels(self) -> Sequence[Hashable] | None:
        """Names of the components."""
        return self.normalizer.labels

    def solve_states(
        self,
        observations: StateWindow,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> StateAnalysis:
        """Reconstruct all samples.

        It warns of observations beyond 10 standard deviations from the mean of the training.

        Raises
        ------
        InvalidInputError
            If members are asked for, or the series has another time step, other components or
            fewer times than those of the training.
        """
        if members is not None:
            raise InvalidInputError(
                "SeriesInversion has no ensemble. Leave members=None, or use a method that has "
                "one, such as ETKF(...)."
            )
        self._check(observations.values.shape[1:], observations.dt)
        farthest = np.nan_to_num(np.abs(self.normalizer.normalize(observations.values))).max()
        if farthest > FAR:
            warn(
                f"observations reach {farthest:.3g} standard deviations from the mean of the "
                "training; check their units."
            )
        parts = [
            self._solve(self._inputs(observations.values[first : first + CHUNK]))
            for first in range(0, len(observations.values), CHUNK)
        ]
        return StateAnalysis(np.concatenate(parts))

    def _solve(self, inputs: tuple[torch.Tensor, list[Data], torch.Tensor | None]) -> np.ndarray:
        with torch.inference_mode(), autocast("cpu", self.precision):
            states = self.solver(*inputs)
        return self.normalizer.restore(states[:, 0].double().numpy())

    def fit(
        self,
        observed: xr.Dataset | Observe,
        truth: xr.Dataset | None = None,
        *,
        validation: tuple[xr.Dataset, xr.Dataset | None],
        epochs: int | Sequence[int],
        iterations: int | Sequence[int] | None = None,
        loss: Loss | None = None,
        learning_rate: float = 1e-3,
        batch_size: int = 128,
        rng: RandomState = 0,
        checkpoint: str | Path | None = None,
        progress: bool = False,
    ) -> "SeriesInversion":
        """Return this model, trained; this one stays as it is.

        The weights with the lowest validation error are kept: the root mean square error of the
        normalised state for a `ReconstructionLoss`, and the loss itself for others, which need no
        truth.

        Parameters
        ----------
        observed : xarray.Dataset or callable
            Observations, or how to draw them from the truth, anew at each epoch:
            ``observed(truth, generator)``.
        truth : xarray.Dataset, optional
            Complete windows of ``state``; needed where the loss or `observed` uses them.
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
            callable `observed` draws is not compared.
        """
        if loss is None:
            loss = ReconstructionLoss(gradient=0, prior=0.05 * hasattr(self.solver, "prior"))
        check_kind(
            hasattr(loss, "evaluate"), "loss", loss, "a loss, such as VariationalLoss(prior)"
        )
        _check_trained(self.solver, loss)
        if isinstance(loss, VariationalLoss) and loss.prior is not None:
            _check_steps(loss.prior, self.dt)
        stages = _stages(epochs, iterations)
        check_counts({"batch_size": batch_size})
        check_positive(learning_rate, "learning_rate", "units of the weights")
        if not isinstance(validation, tuple) or len(validation) != 2:
            raise InvalidTypeError(
                f"validation is a {type(validation).__name__}; give the tuple (observed, truth), "
                "or (observed, None) for a loss without truth."
            )
        if iterations is not None and not hasattr(self.solver, "iterations"):
            raise InvalidInputError(
                f"iterations={iterations}, and {type(self.solver).__name__} has no iterations; "
                "leave iterations=None."
            )
        if callable(observed) and truth is None:
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
        fixed = None if callable(observed) else self._seen(observed, whole)
        held = self._seen(validation[0], held_whole)
        (seed,) = default_rng(rng).bit_generator.seed_seq.generate_state(1)
        number = len(known if fixed is None else fixed)
        steps = -(-number // batch_size)

        def batches(epoch: int) -> Iterator[Batch]:
            generator = np.random.default_rng([int(seed), epoch])
            seen = fixed
            if seen is None:
                seen = self._seen(observed(truth, generator), whole)
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
                        error = loss.evaluate(solver, batch)
                errors.append(error.item() * len(batch.state))
            mean = sum(errors) / len(held)
            return mean**0.5 if supervised else mean

        # together: equations that the loss shares with the solver stay shared
        solver, loss = copy.deepcopy((self.solver, loss))
        data = _digest(known, fixed, held, held_truth)
        history: list[Epoch] = []
        for stage, (count, inner) in enumerate(stages):
            if inner is not None:
                solver.iterations = inner
            offset = len(history)
            history += train(
                solver,
                lambda epoch, offset=offset: batches(offset + epoch),
                validate,
                epochs=count,
                steps_per_epoch=steps,
                learning_rate=learning_rate,
                loss=loss,
                device="cpu",
                precision=self.precision,
                checkpoint=None if checkpoint is None else Path(f"{checkpoint}.{stage}"),
                settings={
                    "seed": str(seed),
                    "stage": f"{stage}: {count} of {inner}",
                    "batch_size": str(batch_size),
                    "learning_rate": str(learning_rate),
                    "loss": lasting_repr(loss),
                    "data": data,
                },
                progress=progress,
            )
        return self._replace(solver=solver, history=label_history(history, "1"))

    def inputs(self, observed: xr.Dataset) -> tuple[torch.Tensor, list[Data], torch.Tensor | None]:
        """Return what the solver is given for a Dataset of observations: the arguments of a call.

        First guess, data and context are normalised; for costs and iterates of the solver itself.
        """
        return self._inputs(self._find(observed).values)

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
        self.normalizer.check(components)

    def _batch(self, values: np.ndarray, truth: np.ndarray | None) -> Batch:
        state, data, context = self._inputs(values)
        known = state if truth is None else _tensor(self.normalizer.normalize(truth))
        return Batch(state, known, data, context, torch.ones(1, 1, 1, 1))

    def _inputs(self, values: np.ndarray) -> tuple[torch.Tensor, list[Data], torch.Tensor | None]:
        scaled = self.normalizer.normalize(values)
        data = Data.from_gappy(_tensor(scaled))
        terms = len(getattr(self.solver, "observations", [data]))
        context = torch.cat([data.values, data.mask], 1) if self.solver.context else None
        return _tensor(interpolate(scaled)), [data] * terms, context


def interpolate(values: np.ndarray) -> np.ndarray:
    """Fill gaps (sample, time, component) linearly in time, constantly at the ends.

    A component without observation is zero.
    """
    seen = np.isfinite(values)
    times = np.arange(values.shape[1])[:, None]
    before = np.maximum.accumulate(np.where(seen, times, -1), 1)
    after = np.minimum.accumulate(np.where(seen, times, times.size)[:, ::-1], 1)[:, ::-1]
    before, after = (
        np.where(before < 0, after, before),
        np.where(after == times.size, before, after),
    )
    none = ~seen.any(1, keepdims=True)
    start, end = (
        np.take_along_axis(values, np.clip(index, 0, times.size - 1), 1)
        for index in (before, after)
    )
    share = (times - before) / np.maximum(after - before, 1)
    return np.where(none, 0.0, start + np.clip(share, 0, 1) * (end - start))


def count_parameters(solver: nn.Module) -> int:
    """Number of parameters that a training changes."""
    return sum(p.numel() for p in solver.parameters() if p.requires_grad)


def _digest(*parts: np.ndarray | None) -> str:
    """What tells the data of one training from those of another."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(b"none" if part is None else np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32)[:, None])


def _stages(
    epochs: int | Sequence[int], iterations: int | Sequence[int] | None
) -> list[tuple[int, int | None]]:
    counts = [epochs] if isinstance(epochs, int) else list(epochs)
    inner = [iterations] if isinstance(iterations, int | None) else list(iterations)
    if len(counts) != len(inner):
        raise InvalidInputError(
            f"epochs={epochs} and iterations={iterations}; give as many of one as of the other."
        )
    if not counts or min(counts) < 1 or any(number is not None and number < 1 for number in inner):
        raise InvalidInputError(
            f"epochs={epochs} and iterations={iterations}; a stage has at least 1 of both."
        )
    return list(zip(counts, inner, strict=True))


def _check_steps(solver: nn.Module, dt: float) -> None:
    """Refuse a dynamical model with another time step than that of the series."""
    for module in solver.modules():
        if isinstance(module, OdePrior | AmortisedFourDVar) and abs(module.dt / dt - 1) > SAME_DT:
            name = type(module).__name__
            raise InvalidInputError(
                f"{name} has the time step {module.dt:g}, and the model dt={dt:g}; give both the "
                "same."
            )


def _check_units(solver: nn.Module, normalizer: SeriesNormalizer) -> None:
    """Warn of equations in the units of the state, where the solver works on normalised ones."""
    scaled = np.any(np.array(normalizer.mean) != 0) or np.any(np.array(normalizer.std) != 1)
    for module in solver.modules():
        own = getattr(module, "dynamics", None)
        if scaled and not isinstance(module, Rescaled) and isinstance(own, Lorenz63 | Lorenz96):
            warn(
                f"{type(module).__name__} has {type(own).__name__} in the units of the state, and "
                "the solver works on normalised states; give it "
                "Rescaled(equations, normalizer.mean, normalizer.std)."
            )


def _check_trained(solver: nn.Module, loss: Loss) -> None:
    """Refuse a training that changes nothing, or whose prior gives way to the cost."""
    prior = getattr(solver, "prior", nn.Module())
    trained = prior if isinstance(loss, PriorLoss) else solver
    if isinstance(trained, Minimisation) or not count_parameters(trained):
        raise InvalidInputError(
            f"there is nothing to train: no parameter of {_summary(solver)} is learned by "
            f"{type(loss).__name__}."
        )
    if isinstance(loss, VariationalLoss) and loss.prior is not None:
        own = set(prior.parameters())
        if any(weight.requires_grad and weight in own for weight in loss.prior.parameters()):
            raise InvalidInputError(
                "this training has a trivial solution, a prior to which any state is likely; "
                "freeze it with prior.requires_grad_(False)."
            )


def _summary(solver: nn.Module) -> str:
    parts = [type(solver).__name__]
    for name in ("prior", "step", "network"):
        if hasattr(solver, name):
            parts.append(f"{name} {type(getattr(solver, name)).__name__}")
    if hasattr(solver, "iterations"):
        parts.append(f"{solver.iterations} iterations")
    return ", ".join(parts)
