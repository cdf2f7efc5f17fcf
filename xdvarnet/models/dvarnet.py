"""The trained model: a variational solver with all that it needs to meet labelled data."""

import copy
import dataclasses
import html
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import nn

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_kind, check_known
from xdvarnet.grids.internal import to_internal
from xdvarnet.models.background import Background, MeanMapBackground, ObservedBackground
from xdvarnet.models.base import (
    Analysis,
    Observations,
    Reconstructor,
    TrainingGrid,
    no_members,
)
from xdvarnet.models.calibrating import calibrate
from xdvarnet.models.channels import check_channels, count_context, to_channels, to_inputs
from xdvarnet.models.draws import Augmentation, Draw, check_flips, stack
from xdvarnet.models.ensembles import Ensemble
from xdvarnet.models.fitting import (
    ObservedTruth,
    Simulate,
    Validation,
    check_maps,
    check_truths,
    lasting_repr,
    observed_validation,
    span,
    warn_of_common_days,
)
from xdvarnet.models.leads import check_lead, check_leads, tasks_of
from xdvarnet.models.learning import Schedule, learn
from xdvarnet.models.normalize import Normalizer
from xdvarnet.models.passes import RemovedPasses, check_share, check_tracks, split_passes
from xdvarnet.models.spde_parameters import estimate_parameters
from xdvarnet.models.weights import save_model
from xdvarnet.observing.observer import Observer
from xdvarnet.patches.cover import Window
from xdvarnet.solver.batch import Batch
from xdvarnet.solver.losses import ReconstructionLoss
from xdvarnet.solver.observation import Data
from xdvarnet.solver.training import Epoch, autocast
from xdvarnet.solver.variational import VariationalSolver

logger = logging.getLogger("xdvarnet")


class DVarNet:
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
        ahead: see `with_lead`. By default it maps within a record alone.
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
    ensemble : Ensemble, optional
        What gives the maps a standard deviation and members; `calibrate` makes it.
    provenance : mapping of str to str, optional
        Where the model comes from: training data, scores, citation.
    lead : int, optional
        As in `with_options`.
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
    >>> solver = xdvarnet.VariationalSolver(
    ...     xdvarnet.BilinearAutoencoder(days, hidden=8),
    ...     xdvarnet.MaskedObservation(),
    ...     xdvarnet.ConvLSTMStep(days, hidden=16, context=context, downscale=2),
    ...     iterations=4,
    ... )
    >>> model = xdvarnet.DVarNet(
    ...     solver, variables={"ssh": "m"}, window=xdvarnet.Window(days, 32, 32), first_guess=guess
    ... )
    """

    gives_std = False

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
        ensemble: Ensemble | None = None,
        provenance: Mapping[str, str] | None = None,
        lead: int | None = None,
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
        self.solver = solver
        self.variables = dict(variables)
        self.window = window
        self.observed = _check_observed(observed, self.variables)
        self.leads = check_leads(leads, window.time, first_guess)
        self.background: Background = ObservedBackground() if background is None else background
        self._learns_background = background is None
        self.first_guess = first_guess
        self.normalizer = normalizer
        self.training_grid = training_grid
        self.ensemble = ensemble
        self.provenance = dict(provenance or {})
        self.lead = None if lead is None else check_lead(self, lead)
        self._check_channels()
        self.device, self.precision = _check_options(device, precision)
        self.solver.to(self.device, memory_format=torch.channels_last)

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

    def _check_channels(self) -> None:
        names = list(self.variables)
        check_channels(self.solver, self.window.time, names, self.observed, self.first_guess)

    def __repr__(self) -> str:
        names = ", ".join(f"{name} [{units}]" for name, units in self.variables.items())
        parameters = sum(p.numel() for p in self.solver.parameters())
        lead = "" if self.lead is None else f", lead {self.lead}"
        return (
            f"DVarNet({names}; {parameters} parameters, {self.solver.iterations} iterations, "
            f"window {' x '.join(map(str, self.window.sizes))}{lead})"
        )

    def _repr_html_(self) -> str:
        rows = {
            "variables": ", ".join(f"{name} [{units}]" for name, units in self.variables.items()),
            "window": " x ".join(map(str, self.window.sizes)) + " (time, latitude, longitude)",
            "observed": ", ".join(self.observed),
            "tasks": tasks_of(self),
            "solver": f"{self._parts()}, "
            f"{sum(p.numel() for p in self.solver.parameters())} parameters",
            "first guess": self.first_guess,
            "background": self.background,
            "ensemble": self.ensemble and self.ensemble.method,
            "runs on": f"{self.device}, {self.precision}",
            **self.provenance,
        }
        cells = "".join(
            f"<tr><th>{html.escape(str(name))}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in rows.items()
        )
        return f"<table><caption>xdvarnet.DVarNet</caption>{cells}</table>"

    def _parts(self) -> str:
        if not hasattr(self.solver, "step"):
            return type(self.solver).__name__
        step, prior = type(self.solver.step).__name__, type(self.solver.prior).__name__
        return f"{self.solver.iterations} iterations of {step} with {prior}"

    def with_options(
        self,
        *,
        device: str | None = None,
        precision: str | None = None,
        background: Background | None = None,
        first_guess: Reconstructor | None = None,
        ensemble: str | Ensemble | None = None,
        lead: int | None = None,
    ) -> "DVarNet":
        """Return the same model with other options; None keeps an option.

        Parameters
        ----------
        device : str, optional
            Such as ``"cuda"``.
        precision : str, optional
            ``"float32"`` or ``"bfloat16"``.
        background : Background, optional
            Such as ``ObservedBackground()``, for a sea or a year that the mean map does not fit.
        first_guess : Reconstructor, optional
            Of the same kind as the present one, such as an optimal interpolation tuned elsewhere.
        ensemble : {"hybrid", "neural", "exact"} or Ensemble, optional
            How a calibrated model draws its members, or the ensemble of another one.
        lead : int, optional
            Map each day from the observations until so many days before alone, 0 being
            near-real-time: see `xdvarnet.with_lead`.

        Raises
        ------
        InvalidInputError
            If the device cannot be used, the first guess does not fit the solver, a method is
            named and the model has not been calibrated, or the lead is none of those that it was
            trained for.
        UnknownNameError
            If there is no such method.
        """
        other = copy.copy(self)
        other.device, other.precision = _check_options(
            device or self.device, precision or self.precision
        )
        other.background = background or self.background
        other._learns_background = background is None and self._learns_background
        other.first_guess = first_guess or self.first_guess
        other._check_channels()
        if isinstance(ensemble, str):
            other.ensemble = self._calibrated(ensemble)
        elif ensemble is not None:
            check_kind(isinstance(ensemble, Ensemble), "ensemble", ensemble, "one of a model")
            other.ensemble = ensemble
        if lead is not None:
            other.lead = check_lead(self, lead)
        if other.device != self.device:
            other.solver = copy.deepcopy(self.solver).to(other.device)
        return other

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Run the solver on one window.

        Raises
        ------
        InvalidInputError
            If members are asked for, or the model has not been trained.
        """
        if members is not None:
            raise no_members(self)
        days = self.window.time
        channels = self.states([observations])[0].float().cpu().numpy()
        return Analysis(
            {
                name: self._normalizer.restore(name, channels[i * days : (i + 1) * days])
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

    def _calibrated(self, method: str) -> Ensemble:
        if self.ensemble is None:
            raise InvalidInputError(
                f"ensemble={method!r} needs a calibration, and this model has none; call "
                "model.calibrate(validation, ...)."
            )
        return dataclasses.replace(self.ensemble, method=method)

    @property
    def _normalizer(self) -> Normalizer:
        if self.normalizer is None:
            raise InvalidInputError(
                "the model has not been trained and has no normalisation; call fit, or give "
                "normalizer=Normalizer({...})."
            )
        return self.normalizer

    def _inputs(self, windows: list[Observations]) -> tuple[torch.Tensor, list[Data], torch.Tensor]:
        """State, data and context of a batch of windows."""
        return to_inputs(windows, self.solver, self._normalizer, self.variables, self.first_guess)

    def fit(
        self,
        truth: xr.Dataset | Sequence[xr.Dataset],
        *,
        observe: Observer,
        validation: xr.Dataset,
        validation_period: slice | None = None,
        simulate: Simulate | None = None,
        epochs: int = 50,
        steps_per_epoch: int = 64,
        batch_size: int = 8,
        learning_rate: float = 1e-3,
        loss: ReconstructionLoss | None = None,
        augmentation: Augmentation | None = None,
        pool: int = 12,
        patience: int | None = None,
        checkpoint: str | Path | None = None,
        rng: RandomState = None,
        progress: bool = False,
    ) -> list[Epoch]:
        """Train the solver end to end on a truth, in place.

        Each epoch observes the truth anew; windows are cut at random from the last draws. Adam with
        gradient clipping, a cosine schedule; the weights with the lowest validation RMSE are kept.

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
        epochs, steps_per_epoch, batch_size : int
            Length of the training.
        learning_rate : float
            Of Adam, at the start.
        loss : ReconstructionLoss, optional
            Weighted MSE of the field and of its gradient, and the prior term.
        augmentation : Augmentation, optional
            How draws differ from the truth; the default has no flips where a variable is a current,
            which would have to turn with them.
        pool : int
            Number of draws kept.
        patience : int, optional
            Stop after so many epochs without a lower validation error; by default never.
        checkpoint : str or pathlib.Path, optional
            File that is written after each epoch; a training that was killed goes on from it when
            it is started again with the same settings.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of the draws and windows. A seed is needed with a checkpoint.
        progress : bool
            Whether to show a bar.

        Returns
        -------
        list of Epoch
            Training loss and validation RMSE, in the units of the (first) variable, of each epoch.

        Raises
        ------
        InvalidInputError
            If the truth is smaller than a window, days or values on sea are missing, several truths
            are on different grids, a number is not positive, there is a checkpoint but no seed, or
            currents are to be flipped.
        InvalidTypeError, UnknownNameError
            If truth, validation or observe are of another kind, or a variable is missing.
        ModelFileError
            If the checkpoint is damaged, or of a training with other settings.

        Warns
        -----
        XdvarnetWarning
            If days of the truth are scored.
        """
        wanted = "an ObservingSystem(...), or CombinedSystem({...}) for several variables"
        check_kind(isinstance(observe, Observer), "observe", observe, wanted)
        schedule = Schedule(
            epochs,
            steps_per_epoch,
            batch_size,
            learning_rate,
            loss or ReconstructionLoss(),
            check_flips(augmentation, self.variables),
            pool,
            patience,
            checkpoint,
            rng,
            progress,
        )
        truths = check_truths(truth, self.variables, least=self.window.time)
        validation = check_maps(validation, self.variables, "validation data")
        seeds = schedule.seeds()
        self._adopt(truths)
        scored = observed_validation(self, validation, validation_period, observe, seeds[1])
        warn_of_common_days(truths, scored.days)
        fixed = None if self._learns_background else self.background
        draws = ObservedTruth(truths, simulate, observe, self, schedule.augmentation, fixed)
        trained_on = "; ".join(dict.fromkeys(map(span, truths)))
        settings = {
            "truth": "; ".join(f"{span(maps)}, {dict(maps.sizes)}" for maps in truths),
            "observe": repr(observe),
            "validation": f"{span(validation)}, {dict(validation.sizes)}",
            "validation_period": str(validation_period),
            "simulate": "no" if simulate is None else "yes",
            "background": "mean map" if fixed is None else lasting_repr(fixed),
        }
        history = learn(self, draws, scored, schedule, seeds=seeds, settings=settings)
        self.ensemble = None  # of the weights before
        self.provenance |= {
            "training data": trained_on,
            "training": f"{len(history)} epochs of {steps_per_epoch} x {batch_size} windows",
            "observing system": str(observe),
            "validation data": span(validation),
            "validation RMSE": f"{min(epoch.validation_rmse for epoch in history):.5g}",
        }
        guess = scored.first_guess_rmse()
        if guess is not None:
            self.provenance["validation RMSE of the first guess"] = f"{guess:.5g}"
        return history

    def fine_tune(
        self,
        tracks: xr.Dataset,
        grid: xr.Dataset,
        *,
        removed: float = 0.25,
        validation: float = 0.2,
        epochs: int = 6,
        steps_per_epoch: int = 32,
        batch_size: int = 8,
        learning_rate: float = 1e-4,
        loss: ReconstructionLoss | None = None,
        augmentation: Augmentation | None = None,
        pool: int = 12,
        patience: int | None = None,
        checkpoint: str | Path | None = None,
        rng: RandomState = None,
        progress: bool = False,
    ) -> list[Epoch]:
        """Train a trained model further on real tracks, in place, without any truth.

        In each draw a share of the passes is removed from the observations, and the loss is the
        squared error of the maps in the cells of these passes, as Martin et al. (2023, doi
        10.1029/2022MS003589) train on withheld altimeters. The noise of the removed passes is
        independent of that of the others, so it adds a constant to the loss and no bias. Background
        and first guess are those of the model: choose them before, with `with_options`. The weights
        stay as they were if no epoch lowers the error along the passes set aside.

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
        epochs, steps_per_epoch, batch_size : int
            Length of the training.
        learning_rate : float
            Of Adam, at the start.
        loss : ReconstructionLoss, optional
            By default the error of the field alone: gradients of noisy tracks say little.
        augmentation : Augmentation, optional
            Its flips and amplitude are used.
        pool : int
            Number of draws kept.
        patience, checkpoint, rng, progress
            As in `fit`.

        Returns
        -------
        list of Epoch
            Training loss and the RMSE along the passes set aside, in the units of the variable.

        Raises
        ------
        InvalidInputError
            If the model has not been trained, the tracks have fewer than eight passes or are
            outside the grid, a share is not between 0 and 1, or there is a checkpoint but no seed.
        InvalidTypeError, UnknownNameError
            If tracks or grid are no Datasets, or a variable is missing.
        ModelFileError
            If the checkpoint is damaged, or of a training with other settings.
        """
        schedule = Schedule(
            epochs,
            steps_per_epoch,
            batch_size,
            learning_rate,
            loss or ReconstructionLoss(gradient=0.0, prior=0.0),
            augmentation or Augmentation(),
            pool,
            patience,
            checkpoint,
            rng,
            progress,
        )
        check_share(removed, "removed")
        check_share(validation, "validation")
        check_tracks(tracks, self.variables)
        seeds = schedule.seeds()
        hidden, seen = split_passes(tracks, validation, np.random.default_rng(seeds[1]))
        draws = RemovedPasses(
            seen, grid, self.variables, self.background, self.first_guess, removed
        )
        scored = Validation(self, draws.draw(seen, hidden))
        before = scored.rmse()
        logger.info("RMSE along the passes set aside, before: %s", before)
        settings = {
            "tracks": f"{span(tracks)}, {dict(tracks.sizes)}",
            "grid": str(dict(grid.sizes)),
            "background": lasting_repr(self.background),
            "removed": str(removed),
            "validation": str(validation),
        }
        history = learn(
            self, draws, scored, schedule, seeds=seeds, settings=settings, error_before=before
        )
        self.ensemble = None  # of the weights before
        after = min(before, *(epoch.validation_rmse for epoch in history))
        self.provenance |= {
            "fine-tuning data": span(tracks),
            "fine-tuning": f"{len(history)} epochs of {steps_per_epoch} x {batch_size} windows",
            "RMSE along the passes set aside": f"{after:.5g}, {before:.5g} before",
        }
        return history

    def calibrate(
        self,
        validation: xr.Dataset,
        *,
        observe: Observer | None = None,
        period: slice | None = None,
        grid: xr.Dataset | None = None,
        noise: float | None = None,
        spread: Reconstructor | None = None,
        method: str = "hybrid",
        draws: int = 4,
        rng: RandomState = None,
    ) -> None:
        """Give this model an ensemble whose spread is the error of its maps, in place.

        It is stored in the model file.

        Parameters
        ----------
        validation, observe, period, grid, noise, spread, method, draws, rng
            As in `xdvarnet.calibrate`, which says what is learned and which errors are raised.
        """
        self.ensemble = calibrate(
            self,
            validation,
            observe=observe,
            period=period,
            grid=grid,
            noise=noise,
            spread=spread,
            method=method,
            draws=draws,
            rng=rng,
        ).ensemble
        made = "missions withheld in turn" if observe is None else f"{draws} draws of {observe}"
        self.provenance |= {
            "calibration data": span(validation),
            "calibration": made if period is None else f"{made}, {period.start} to {period.stop}",
        }

    def _adopt(self, truths: Sequence[xr.Dataset]) -> None:
        """Take normalisation, grid and, where none was given, background from the training data."""
        known = [to_internal(truth, self.variables).load().drop_vars("sea") for truth in truths]
        if self._learns_background:
            mean_maps = xr.concat(known, "time").mean("time")
            self.background = MeanMapBackground(mean_maps, days=self.window.time)
        anomalies = [
            {name: (maps[name] - self.background.estimate(maps[name])).values for name in maps}
            for maps in known
        ]
        self.normalizer = Normalizer.fit(
            {name: np.concatenate([part[name] for part in anomalies]) for name in self.variables}
        )
        grid = known[0]
        self.training_grid = TrainingGrid(
            spacing=tuple(float(np.median(np.diff(grid[d]))) for d in ("latitude", "longitude")),
            latitudes=(float(grid["latitude"].min()), float(grid["latitude"].max())),
        )

    def save(self, path: str | Path) -> None:
        """Write the model to one `.safetensors` file, atomically.

        Parameters
        ----------
        path : str or pathlib.Path
            Read again by ``load_model(path)``. The device is not stored.
        """
        save_model(self.with_options(device="cpu"), path)

    def batch(self, windows: Sequence[Draw]) -> Batch:
        """Return what one step of a training sees of these windows, normalised."""
        state, data, context = self._inputs([window.observations for window in windows])
        truth = stack(
            [to_channels(window.truth, self._normalizer, self.variables) for window in windows]
        )
        sea = stack([window.observations.sea[None] for window in windows])
        known = torch.isfinite(truth) & (sea > 0)
        weights = known.to(truth.dtype)
        known = torch.where(known, truth, state[:, : truth.shape[1]])
        return Batch(state, known, data, context, weights)


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
