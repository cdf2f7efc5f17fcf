"""The trained model: a variational solver with all that it needs to meet labelled data."""

import copy
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import nn

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import check_kind, check_known
from xdvarnet.grids.coords import Grid
from xdvarnet.grids.internal import to_internal
from xdvarnet.mapping.background import Background, MeanMapBackground, ObservedBackground
from xdvarnet.mapping.cover import Window
from xdvarnet.mapping.description import check_storable
from xdvarnet.mapping.protocol import Analysis, Observations, Reconstructor
from xdvarnet.mapping.windows import Windowed, check_first_guess
from xdvarnet.networks.channels import check_channels, count_context, to_channels, to_inputs
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.networks.parameters import estimate_parameters
from xdvarnet.networks.tasks import check_lead, check_leads, describe_tasks
from xdvarnet.networks.training_grid import TrainingGrid
from xdvarnet.observing.observer import Observer
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.losses import ReconstructionLoss
from xdvarnet.solver.observation import Data
from xdvarnet.solver.variational import VariationalSolver
from xdvarnet.training.data import (
    ObservedTruth,
    Simulate,
    Validation,
    check_maps,
    check_truths,
    digest,
    hash_values,
    lasting_repr,
    observed_validation,
    span,
    warn_of_common_days,
)
from xdvarnet.training.draws import Draw, stack
from xdvarnet.training.loop import autocast
from xdvarnet.training.passes import RemovedPasses, check_share, check_tracks, split_passes
from xdvarnet.training.schedule import Schedule, check_schedule, draw_seeds, learn

logger = logging.getLogger("xdvarnet")

LARGEST_SIZE = 10.0
"""Anomalies over those of the training at which a warning begins."""

FINE_TUNING = Schedule(
    epochs=6,
    steps_per_epoch=32,
    learning_rate=1e-4,
    loss=ReconstructionLoss(gradient=0.0, prior=0.0),
)
"""How `DVarNet.fine_tune` trains by default."""


class DVarNet(Windowed):
    """A 4DVarNet: a learned variational solver, its normalisation, window and variables.

    The state of a window has one channel for each day of each variable, in the order of the
    variables, and after these the parameters of the prior where it is an augmented `SPDEPrior`. It
    starts at the first guess (zero, the background, without one). An observation term with an
    attribute ``channels`` is handed the observations of these channels, any other all. The step
    sees, as context, the mask of the observations, the first guess and its standard deviation, and
    the sea.

    Parameters
    ----------
    solver : VariationalSolver
        Its step and prior have ``len(variables) * window.time`` channels, and its step
        ``DVarNet.context_channels(window.time, first_guess)`` of context. Any other network that
        is called in the same way, such as
        `xdvarnet.solver.inversions.direct_map.DirectInversion`, is a solver too.
    variables : mapping of str to str
        Names and units of the state variables.
    window : Window
        What the solver sees at once.
    observed : sequence of str, optional
        Variables that observations are given of; by default all. The others, such as currents, are
        learned from the truth, and a Dataset to be reconstructed needs none of them.
    leads : int, optional
        Days at the end of a window whose observations are hidden in half of the training, so that
        the model also maps the last days of a record (lead 0) and forecasts up to so many days
        ahead: see `Lead`. By default it maps within a record alone.
    background : Background, optional
        Removed before, added after, in the training as well. By default `fit` sets the mean map of
        its training days, and before it is `ObservedBackground()`.
    first_guess : Reconstructor, optional
        A model whose analysis is the start of the descent, such as an optimal interpolation.
        Variables that it does not have start at zero.
    normalizer : Normalizer, optional
        `fit` measures it on the training anomalies.
    training_grid : TrainingGrid, optional
        `fit` notes it.
    provenance : mapping of str to str, optional
        Where the model comes from: training data, scores, citation.
    history : xarray.Dataset, optional
        The epochs of the last training; `fit` makes it.
    device, precision : str
        Where the solver runs (``"cpu"``, ``"cuda"``), and how ("float32" or "bfloat16").

    Raises
    ------
    InvalidTypeError
        If an argument is of another kind than these.
    InvalidInputError
        If the channels of the solver do not fit the window, the variables and the first guess, no
        variable is observed, the leads leave no day of the window or come with a first guess (which
        saw the hidden days), or the device cannot be used.
    UnknownNameError
        If an observed variable is none of the variables.

    Examples
    --------
    A trained model:

    >>> import xdvarnet
    >>> model = xdvarnet.load_model("med-ssh").with_options(precision="bfloat16")

    One that is yet to be trained with `fit`:

    >>> days = 7
    >>> guess = xdvarnet.OptimalInterpolation(
    ...     "ssh",
    ...     correlation_length="68 km",
    ...     correlation_time="13 days",
    ...     noise=0.0135,
    ...     time_window=days,
    ... )
    >>> context = xdvarnet.DVarNet.context_channels(days, guess)
    >>> solver = xdvarnet.solver.VariationalSolver(
    ...     xdvarnet.solver.BilinearAutoencoder(days, hidden=8),
    ...     xdvarnet.solver.MaskedObservation(),
    ...     xdvarnet.solver.ConvLSTMStep(days, hidden=16, context=context, downscale=2),
    ...     iterations=4,
    ... )
    >>> model = xdvarnet.DVarNet(
    ...     solver,
    ...     variables={"ssh": "m"},
    ...     window=xdvarnet.mapping.Window(days, 32, 32),
    ...     first_guess=guess,
    ... )
    """

    def __init__(
        self,
        solver: VariationalSolver,
        *,
        variables: Mapping[str, str],
        window: Window,
        observed: Sequence[str] | None = None,
        leads: int | None = None,
        background: Background | None = None,
        first_guess: Reconstructor | None = None,
        normalizer: Normalizer | None = None,
        training_grid: TrainingGrid | None = None,
        provenance: Mapping[str, str] | None = None,
        history: xr.Dataset | None = None,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        is_network = isinstance(solver, nn.Module) and hasattr(solver, "context")
        check_kind(is_network, "solver", solver, "a VariationalSolver")
        check_kind(
            isinstance(variables, Mapping) and bool(variables),
            "variables",
            variables,
            "names and units such as {'ssh': 'm'}",
        )
        check_kind(
            isinstance(window, Window), "window", window, "a Window such as Window(7, 32, 32)"
        )
        check_kind(
            background is None or hasattr(background, "estimate"),
            "background",
            background,
            "a background such as ObservedBackground()",
        )
        check_kind(
            first_guess is None or isinstance(first_guess, Reconstructor),
            "first_guess",
            first_guess,
            "a model such as OptimalInterpolation(...), or None",
        )
        for name, part in {"solver": solver, "first_guess": first_guess}.items():
            check_storable(part, name)
        self.variables = dict(variables)
        check_first_guess(first_guess, self.variables)
        self.window, self.first_guess = window, first_guess
        self._observed = _check_observed(observed, self.variables)
        self.leads = check_leads(leads, window.time, first_guess)
        self.background: Background = ObservedBackground() if background is None else background
        self._given_background = background
        self.normalizer, self.training_grid = normalizer, training_grid
        self.provenance, self.history = dict(provenance or {}), history
        check_channels(solver, window.time, list(self.variables), self.observed, first_guess)
        self.device, self.precision = _check_options(device, precision)
        if any(weights.device.type != self.device for weights in solver.parameters()):
            solver = copy.deepcopy(solver)  # who gave it keeps it where it is
        self.solver = solver.to(self.device, memory_format=torch.channels_last)

    @staticmethod
    def context_channels(
        days: int, first_guess: Reconstructor | None = None, *, variables: int = 1
    ) -> int:
        """Return the number of channels that the step sees as context.

        One for each day of each variable for the mask of the observations, as many for the first
        guess and for its standard deviation, where there are such, and one for the sea.

        Parameters
        ----------
        days : int
            Of the window.
        first_guess : Reconstructor, optional
            That of the model.
        variables : int
            Number of variables.

        Examples
        --------
        >>> DVarNet.context_channels(7)
        8
        """
        return count_context(days, variables, first_guess)

    def __repr__(self) -> str:
        names = ", ".join(f"{name} [{units}]" for name, units in self.variables.items())
        parameters = sum(p.numel() for p in self.solver.parameters())
        return (
            f"DVarNet({names}; {parameters} parameters, {self.solver.iterations} iterations, "
            f"window {' x '.join(map(str, self.window.sizes))})"
        )

    def summary(self) -> dict[str, object]:
        """Return what a notebook shows of the model."""
        return {
            **super().summary(),
            "window": " x ".join(map(str, self.window.sizes)) + " (time, latitude, longitude)",
            "observed": ", ".join(self.observed),
            "tasks": describe_tasks(self.leads),
            "solver": f"{self._parts()}, "
            f"{sum(p.numel() for p in self.solver.parameters())} parameters",
            "first guess": self.first_guess,
            "runs on": f"{self.device}, {self.precision}",
            **self.provenance,
        }

    def _parts(self) -> str:
        if not hasattr(self.solver, "step"):
            return type(self.solver).__name__
        step, prior = type(self.solver.step).__name__, type(self.solver.prior).__name__
        return f"{self.solver.iterations} iterations of {step} with {prior}"

    @property
    def observed(self) -> tuple[str, ...]:
        """Names of the variables that observations are given of."""
        return self._observed

    def with_options(
        self,
        *,
        background: Background | None = None,
        device: str | None = None,
        precision: str | None = None,
        first_guess: Reconstructor | None = None,
    ) -> "DVarNet":
        """Return the same model with other options; None keeps an option.

        Parameters
        ----------
        background : Background, optional
            Such as ``ObservedBackground()``, for a sea or a year that the mean map does not fit.
        device : str, optional
            Such as ``"cuda"``.
        precision : str, optional
            ``"float32"`` or ``"bfloat16"``.
        first_guess : Reconstructor, optional
            Of the same kind as the present one, such as an optimal interpolation tuned elsewhere.

        Raises
        ------
        InvalidInputError
            If the device cannot be used, or the first guess does not fit the solver.
        """
        return self._replace(
            background=background or self._given_background,
            device=device or self.device,
            precision=precision or self.precision,
            first_guess=first_guess or self.first_guess,
        )

    def _replace(self, **changes: object) -> "DVarNet":
        """Return another model, with some arguments of this one changed."""
        arguments = {
            "solver": self.solver,
            "variables": self.variables,
            "window": self.window,
            "observed": self.observed,
            "leads": self.leads,
            "background": self._given_background,
            "first_guess": self.first_guess,
            "normalizer": self.normalizer,
            "training_grid": self.training_grid,
            "provenance": self.provenance,
            "history": self.history,
            "device": self.device,
            "precision": self.precision,
        }
        return DVarNet(**{**arguments, **changes})

    def check(self, grid: Grid) -> None:
        """Refuse a grid that the windows do not fit, or of another spacing than the training's.

        Warns of latitudes that are far from those of the training.
        """
        super().check(grid)
        if self.training_grid is not None:
            self.training_grid.check(grid)

    def check_values(self, observations: Observations) -> None:
        """Warn of anomalies that are far larger than those of the training, as in other units."""
        if self.normalizer is None:
            return
        for name, array in observations.values.items():
            seen = array[np.isfinite(array)]
            size = float(np.sqrt(np.mean(np.square(seen)))) if seen.size else 0.0
            usual = self.normalizer.std[name]
            if size > LARGEST_SIZE * usual:
                warn(
                    f"observations of {name!r} differ from the background by {size:.3g} "
                    f"{self.variables[name]} (RMS), and those of the training by {usual:.3g}; are "
                    "their units those that they say?"
                )

    def days_around(self, lead: int) -> tuple[int, int]:
        """Return how many days of a window are before and after the last observed one.

        Raises
        ------
        InvalidInputError
            If the model was not trained for this lead.
        """
        check_lead(lead, self.leads, self)
        return self.window.time - 1 - self.leads, self.leads

    def solve_window(self, window: Observations) -> Analysis:
        """Run the solver on one window.

        Raises
        ------
        InvalidInputError
            If the model has not been trained.
        """
        days = self.window.time
        channels = self.states([window])[0].float().cpu().numpy()
        return Analysis(
            {
                name: self.scaling.restore(name, channels[i * days : (i + 1) * days])
                for i, name in enumerate(self.variables)
            }
        )

    def states(self, windows: list[Observations]) -> torch.Tensor:
        """Return the states of a batch of windows, without derivatives."""
        state, data, context = self._inputs(windows)
        with torch.no_grad(), autocast(self.device, self.precision):
            return self.solver(
                state.to(self.device),
                [Data(part.values.to(self.device), part.mask.to(self.device)) for part in data],
                context.to(self.device),
            )

    def estimate_parameters(self, observations: xr.Dataset) -> xr.Dataset:
        """Estimate the parameters of the prior, for a solver with an `SPDEPrior`.

        Windows are blended as those of the state are; the result is the mean over all days. The
        fields can be handed to `xdvarnet.SPDEField`, which then gives the exact posterior.

        Parameters
        ----------
        observations : xarray.Dataset
            The variable of the model on a grid, as for `xdvarnet.reconstruct`, in memory.

        Returns
        -------
        xarray.Dataset
            ``correlation_length`` (km), ``correlation_time`` (days), ``std`` (units of the model),
            ``anisotropy`` and ``angle`` (degrees counterclockwise from east), each on latitude and
            longitude; on land too, where they mean nothing.

        Raises
        ------
        InvalidInputError
            If the prior is another one, the model has not been trained, or the domain is smaller
            than a window.
        InvalidTypeError, UnknownNameError
            If this is no Dataset, or lacks the variable.
        """
        return estimate_parameters(self, observations)

    @property
    def scaling(self) -> Normalizer:
        """The normalizer of a trained model; an error for another."""
        if self.normalizer is None:
            raise InvalidInputError(
                "the model has not been trained and has no normalisation; call fit, or give "
                "normalizer=Normalizer({...})."
            )
        return self.normalizer

    def _inputs(self, windows: list[Observations]) -> tuple[torch.Tensor, list[Data], torch.Tensor]:
        """State, data and context of a batch of windows."""
        return to_inputs(windows, self.solver, self.scaling, self.variables, self.first_guess)

    def batch(self, windows: Sequence[Draw]) -> Batch:
        """Return what one step of a training sees of these windows, normalised."""
        state, data, context = self._inputs([window.observations for window in windows])
        truth = stack(
            [to_channels(window.truth, self.scaling, self.variables) for window in windows]
        )
        sea = stack([window.observations.sea[None] for window in windows])
        known = torch.isfinite(truth) & (sea > 0)
        weights = known.to(truth.dtype)
        known = torch.where(known, truth, state[:, : truth.shape[1]])
        return Batch(state, known, data, context, weights)

    def fit(
        self,
        truth: xr.Dataset | Sequence[xr.Dataset],
        *,
        observe: Observer,
        validation: xr.Dataset,
        validation_period: slice | None = None,
        simulate: Simulate | None = None,
        schedule: Schedule | None = None,
        checkpoint: str | Path | None = None,
        rng: RandomState = None,
        progress: bool = False,
    ) -> "DVarNet":
        """Return this model, trained end to end on a truth; this one stays as it is.

        Each epoch observes the truth anew; windows are cut at random from the last draws. Adam with
        gradient clipping, a cosine schedule; the weights with the lowest validation RMSE are kept.
        A model without a normalisation measures it, and one without a background takes the mean map
        of the training days; a trained one goes on from its weights, in its own scaling.

        Parameters
        ----------
        truth : xarray.Dataset or sequence of xarray.Dataset
            Complete maps of the variables, NaN on land, one a day, for a window at least. Several
            on the same grid, such as simulated years, are taken in turn.
        observe : Observer
            What observes the truth, such as an `ObservingSystem`.
        validation : xarray.Dataset
            Complete maps of other days, one a day, observed once.
        validation_period : slice, optional
            Times of `validation` that are scored; by default all. All days are observed.
        simulate : callable, optional
            Gives, from a `numpy.random.Generator`, other complete maps on the same grid, such as
            `xdvarnet.datasets.random_sea`: every second draw is of these. Few days of truth are
            soon learned by heart.
        schedule : Schedule, optional
            Length, rate, loss and augmentation; by default ``Schedule()``.
        checkpoint : str or pathlib.Path, optional
            File that is written after each epoch; a training that was killed goes on from it when
            it is started again with the same data and settings.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of the draws and windows. A seed is needed with a checkpoint.
        progress : bool
            Whether to show a bar.

        Returns
        -------
        DVarNet
            With weights, provenance and ``history`` of its own: the training loss and the
            validation RMSE, in the units of the (first) variable, of each epoch.

        Raises
        ------
        InvalidInputError
            If the truth is smaller than a window, days or values on sea are missing, several truths
            are on different grids, there is a checkpoint but no seed, or currents are to be
            flipped.
        InvalidTypeError, UnknownNameError
            If truth, validation or observe are of another kind, or a variable is missing.
        ModelFileError
            If the checkpoint is damaged, or of a training with other data or settings.

        Warns
        -----
        XdvarnetWarning
            If days of the truth are scored.
        """
        wanted = "an ObservingSystem(...), or CombinedSystem({...}) for several variables"
        check_kind(isinstance(observe, Observer), "observe", observe, wanted)
        schedule = check_schedule(schedule, Schedule(), self.variables)
        truths = check_truths(truth, self.variables, least=self.window.time)
        validation = check_maps(validation, self.variables, "validation data")
        seeds = draw_seeds(rng, checkpoint)
        trained = self._adopt(truths)
        scored = observed_validation(trained, validation, validation_period, observe, seeds[1])
        warn_of_common_days(truths, scored.days)
        draws = ObservedTruth(
            truths, simulate, observe, trained, schedule.augmentation, self._given_background
        )
        settings = {
            "truth": "; ".join(map(digest, truths)),
            "observe": repr(observe),
            "validation": digest(validation),
            "validation_period": str(validation_period),
            "simulate": "no" if simulate is None else "yes",
            "background": lasting_repr(self._given_background),
        }
        history = learn(
            trained,
            draws,
            scored,
            schedule,
            seeds=seeds,
            settings=settings,
            checkpoint=checkpoint,
            progress=progress,
        )
        provenance = {
            "training data": "; ".join(dict.fromkeys(map(span, truths))),
            "training": schedule.describe_length(history),
            "observing system": str(observe),
            "validation data": span(validation),
            "validation RMSE": f"{float(history['validation_rmse'].min()):.5g}",
        }
        guess = scored.first_guess_rmse()
        if guess is not None:
            provenance["validation RMSE of the first guess"] = f"{guess:.5g}"
        return trained._replace(provenance={**self.provenance, **provenance}, history=history)

    def fine_tune(
        self,
        tracks: xr.Dataset,
        grid: xr.Dataset,
        *,
        removed: float = 0.25,
        validation: float = 0.2,
        schedule: Schedule | None = None,
        checkpoint: str | Path | None = None,
        rng: RandomState = None,
        progress: bool = False,
    ) -> "DVarNet":
        """Return this model, trained further on real tracks, without any truth.

        In each draw a share of the passes is removed from the observations, and the loss is the
        squared error of the maps in the cells of these passes, as Martin et al. (2023, doi
        10.1029/2022MS003589) train on withheld altimeters. The noise of the removed passes is
        independent of that of the others, so it adds a constant to the loss and no bias. Background
        and first guess are those of the model: choose them before, with `with_options`. The weights
        are those of this model if no epoch lowers the error along the passes set aside.

        Parameters
        ----------
        tracks : xarray.Dataset
            Harmonised points of nadir altimeters with the variables of the model.
        grid : xarray.Dataset
            Longitude, latitude and ``sea`` of the maps.
        removed : float
            Share of the passes that is removed in each draw.
        validation : float
            Share of the passes that is set aside: the weights with the lowest error along these are
            kept. They are never learned from.
        schedule : Schedule, optional
            By default 6 epochs of 32 steps at a rate of 1e-4, with the loss of the field alone:
            gradients of noisy tracks say little.
        checkpoint, rng, progress
            As in `fit`.

        Returns
        -------
        DVarNet
            With weights, provenance and ``history`` of its own: the training loss and the RMSE
            along the passes set aside.

        Raises
        ------
        InvalidInputError
            If the model has not been trained, the tracks have fewer than eight passes or are
            outside the grid, a share is not between 0 and 1, or there is a checkpoint but no seed.
        InvalidTypeError, UnknownNameError
            If tracks or grid are no Datasets, or a variable is missing.
        ModelFileError
            If the checkpoint is damaged, or of a training with other data or settings.
        """
        schedule = check_schedule(schedule, FINE_TUNING, self.variables)
        check_share(removed, "removed")
        check_share(validation, "validation")
        check_tracks(tracks, self.variables)
        seeds = draw_seeds(rng, checkpoint)
        hidden, seen = split_passes(tracks, validation, np.random.default_rng(seeds[1]))
        draws = RemovedPasses(
            seen, grid, self.variables, self.background, self.first_guess, removed
        )
        trained = self._replace(solver=copy.deepcopy(self.solver))
        scored = Validation(trained, draws.draw(seen, hidden))
        before = scored.rmse()
        logger.info("RMSE along the passes set aside, before: %s", before)
        settings = {
            "tracks": digest(tracks),
            "grid": hash_values(grid.coords.to_dataset()),
            "background": lasting_repr(self.background),
            "removed": str(removed),
            "validation": str(validation),
        }
        history = learn(
            trained,
            draws,
            scored,
            schedule,
            seeds=seeds,
            settings=settings,
            checkpoint=checkpoint,
            progress=progress,
            error_before=before,
        )
        after = min(before, float(history["validation_rmse"].min()))
        provenance = {
            "fine-tuning data": span(tracks),
            "fine-tuning": schedule.describe_length(history),
            "RMSE along the passes set aside": f"{after:.5g}, {before:.5g} before",
        }
        return trained._replace(provenance={**self.provenance, **provenance}, history=history)

    def _adopt(self, truths: Sequence[xr.Dataset]) -> "DVarNet":
        """Return a model with the normalisation, grid and background of the training data."""
        known = [to_internal(truth, self.variables).load().drop_vars("sea") for truth in truths]
        background = self._given_background
        if background is None:
            mean_maps = xr.concat(known, "time").mean("time")
            background = MeanMapBackground(mean_maps, days=self.window.time)
        normalizer = self.normalizer
        if normalizer is None:
            anomalies = [
                {name: (maps[name] - background.estimate(maps[name])).values for name in maps}
                for maps in known
            ]
            normalizer = Normalizer.fit(
                {
                    name: np.concatenate([part[name] for part in anomalies])
                    for name in self.variables
                }
            )
        return self._replace(
            solver=copy.deepcopy(self.solver),
            background=background,
            normalizer=normalizer,
            training_grid=TrainingGrid.of(known[0]),
        )


def _check_observed(
    observed: Sequence[str] | None, variables: Mapping[str, str]
) -> tuple[str, ...]:
    check_kind(not isinstance(observed, str), "observed", observed, "a list such as ['ssh']")
    names = tuple(dict.fromkeys(variables if observed is None else observed))
    for name in names:
        check_known(name, variables, "observed variable")
    if not names:
        raise InvalidInputError("observed names no variable; a model needs one that is observed.")
    return names


def _check_options(device: str, precision: str) -> tuple[str, str]:
    check_known(precision, ("float32", "bfloat16"), "precision")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InvalidInputError(
            f"device {device!r} cannot be used here ({error}); 'cpu' always can."
        ) from error
    return device, precision
