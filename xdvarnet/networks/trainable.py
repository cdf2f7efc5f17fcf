"""The training of a network of maps: on truths that are observed, and on real tracks."""

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import xarray as xr

from xdvarnet._random import RandomState
from xdvarnet.grids.checks import check_kind
from xdvarnet.grids.internal import to_internal
from xdvarnet.mapping.background import Background, MeanMapBackground
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.networks.solving import SolvedWindows
from xdvarnet.networks.training_grid import TrainingGrid
from xdvarnet.observing.observer import Observer
from xdvarnet.training.data import (
    ObservedTruth,
    Simulate,
    Validation,
    check_maps,
    check_truths,
    digest,
    hash_values,
    observed_validation,
    span,
    warn_of_common_days,
)
from xdvarnet.training.fingerprint import fingerprint
from xdvarnet.training.passes import RemovedPasses, check_share, check_tracks, split_passes
from xdvarnet.training.schedule import FineTuning, Schedule, check_schedule, draw_seeds, learn

logger = logging.getLogger("xdvarnet")


class Trainable(SolvedWindows):
    """A network of maps that can be trained: the base class of `DVarNet`."""

    leads: int | None
    given_background: Background | None

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
    ) -> Self:
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
            it is started again with the same data and settings, and a model that began with the
            same weights: build networks with ``rng=``.
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
            are on different grids, there is a checkpoint but no seed, currents are to be flipped,
            or there is nothing to train.
        InvalidTypeError, UnknownNameError
            If truth, validation or observe are of another kind, or a variable is missing.
        ModelFileError
            If the checkpoint is damaged, or of a training of another model, with other data or
            settings.

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
        assert schedule.augmentation is not None
        draws = ObservedTruth(
            truths, simulate, observe, trained, schedule.augmentation, self.given_background
        )
        settings = {
            "truth": "; ".join(map(digest, truths)),
            "observe": fingerprint(observe),
            "validation": digest(validation),
            "validation_period": fingerprint(validation_period),
            "simulate": fingerprint(simulate),
            **self.settings,
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
        return trained.replace(provenance={**self.provenance, **provenance}, history=history)

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
    ) -> Self:
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
            By default ``FineTuning()``: 6 epochs of 32 steps at a rate of 1e-4, with the loss of
            the field alone. ``FineTuning(epochs=...)`` keeps the rest; ``Schedule(...)`` has the
            rate and the loss of `fit`.
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
            If the checkpoint is damaged, or of a training of another model, with other data or
            settings.
        """
        schedule = check_schedule(schedule, FineTuning(), self.variables)
        check_share(removed, "removed")
        check_share(validation, "validation")
        check_tracks(tracks, self.variables)
        seeds = draw_seeds(rng, checkpoint)
        generator = np.random.default_rng(seeds[1])
        hidden, seen = split_passes(tracks, validation, generator)
        draws = RemovedPasses(
            seen, grid, self.variables, self.background, self.first_guess, removed
        )
        trained = self.replace(solver=copy.deepcopy(self.solver))
        scored = Validation(trained, draws.draw(seen, hidden, generator))
        before = scored.rmse()
        logger.info("RMSE along the passes set aside, before: %s", before)
        settings = {
            "tracks": digest(tracks),
            "grid": hash_values(grid.coords.to_dataset()),
            "removed": str(removed),
            "validation": str(validation),
            **self.settings,
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
        return trained.replace(provenance={**self.provenance, **provenance}, history=history)

    @property
    def settings(self) -> dict[str, str]:
        """What its training depends on; a background that was not given comes from the truth."""
        return {**super().settings, "background": fingerprint(self.given_background)}

    def _adopt(self, truths: Sequence[xr.Dataset]) -> Self:
        """Return a model with the normalisation, grid and background of the training data."""
        known = [to_internal(truth, self.variables).load().drop_vars("sea") for truth in truths]
        background = self.given_background
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
        return self.replace(
            solver=copy.deepcopy(self.solver),
            background=background,
            normalizer=normalizer,
            training_grid=TrainingGrid.of(known[0]),
        )
