"""The trained model: a variational solver with all that it needs to meet labelled data."""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import torch
import xarray as xr

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_counts, check_history, check_kind, check_known
from xdvarnet.grids.coords import Grid
from xdvarnet.mapping.background import Background, ObservedBackground
from xdvarnet.mapping.cover import Window
from xdvarnet.mapping.description import check_storable
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.mapping.windows import check_first_guess
from xdvarnet.networks.channels import check_channels, count_context
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.networks.parameters import estimate_parameters
from xdvarnet.networks.tasks import check_lead, check_leads, describe_tasks
from xdvarnet.networks.trainable import Trainable
from xdvarnet.networks.training_grid import TrainingGrid
from xdvarnet.solver.contracts import Solver
from xdvarnet.solver.device import check_device, in_single_precision, warn_of_emulation


class DVarNet(Trainable):
    """A 4DVarNet: a learned variational solver, its normalisation, window and variables.

    The state of a window has one channel for each day of each variable, in the order of the
    variables, and after these the parameters of the prior where it is an augmented `SPDEPrior`. It
    starts at the first guess (zero, the background, without one). An observation term with an
    attribute ``channels`` is handed the observations of these channels, any other all. The step
    sees, as context, the mask of the observations, the first guess and its standard deviation, and
    the sea.

    Parameters
    ----------
    solver : Solver
        Its step and prior have ``len(variables) * window.time`` channels, and its step
        ``DVarNet.context_channels(window.time, first_guess)`` of context. Any other network that
        is called in the same way, such as
        `xdvarnet.solver.inversions.direct.DirectInversion`, is a solver too.
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
        If an argument is of another kind than these, or no model file could hold it.
    InvalidInputError
        If the channels of the solver do not fit the window, the variables and the first guess, no
        variable is observed, the leads leave no day of the window or come with a first guess (which
        saw the hidden days), or the device cannot be used.
    UnknownNameError
        If an observed variable is none of the variables.

    Warns
    -----
    XdvarnetWarning
        If bfloat16 is asked for on a processor that has no instructions for it.

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
        solver: Solver,
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
        _check_kinds(solver, variables, window, background, first_guess)
        parts = {"solver": solver, "background": background, "first_guess": first_guess}
        for name, part in parts.items():
            check_storable(part, name)
        self.variables = dict(variables)
        check_first_guess(first_guess, self.variables)
        self.window, self.first_guess = window, first_guess
        self._observed = _check_observed(observed, self.variables)
        self.leads = check_leads(leads, window.time, first_guess)
        self.background: Background = ObservedBackground() if background is None else background
        self.given_background = background
        self.normalizer, self.training_grid = normalizer, training_grid
        self.provenance, self.history = dict(provenance or {}), check_history(history)
        check_channels(solver, window.time, list(self.variables), self.observed, first_guess)
        self.device, self.precision = _check_options(device, precision)
        solver = in_single_precision(solver)
        if any(weights.device.type != self.device for weights in solver.parameters()):
            solver = copy.deepcopy(solver)  # who gave it keeps it where it is
        self.solver: Solver = solver.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch takes both

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
        sizes = " x ".join(map(str, self.window.sizes))
        return (
            f"DVarNet({names}; {self.parameters} parameters, "
            f"{self.solver.iterations or 1} iterations, window {sizes})"
        )

    def summary(self) -> dict[str, object]:
        """Return what a notebook shows of the model."""
        return {
            **super().summary(),
            "window": " x ".join(map(str, self.window.sizes)) + " (time, latitude, longitude)",
            "observed": ", ".join(self.observed),
            "tasks": describe_tasks(self.leads),
            "first guess": self.first_guess,
        }

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
        stride: int | None = None,
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
        stride : int, optional
            Days from one window to the next, at most. A day is the mean of fewer windows where it
            is larger: with 4 days in place of 1, the windows of ``"ssh-twin"`` take 28 % of the
            time, and the error grows by 2 %.

        Raises
        ------
        InvalidInputError
            If the device cannot be used, the first guess does not fit the solver, or the windows
            leave out a day.
        """
        window = self.window
        if stride is not None:
            check_counts({"stride": stride})
            assert window.stride is not None  # a window sets it
            window = dataclasses.replace(window, stride=(stride, *window.stride[1:]))
        return self.replace(
            background=background or self.given_background,
            device=device or self.device,
            precision=precision or self.precision,
            first_guess=first_guess or self.first_guess,
            window=window,
        )

    def replace(self, **changes: object) -> Self:
        """Return another model, with some arguments of this one changed."""
        return super().replace(**{"background": self.given_background, **changes})

    def check(self, grid: Grid) -> None:
        """Refuse a grid that the windows do not fit, or of another spacing than the training's.

        Warns of latitudes that are far from those of the training.
        """
        super().check(grid)
        if self.training_grid is not None:
            self.training_grid.check(grid)

    def days_around(self, lead: int) -> tuple[int, int]:
        """Return how many days of a window are before and after the last observed one.

        Raises
        ------
        InvalidInputError
            If the model was not trained for this lead.
        """
        check_lead(lead, self.leads, self)
        assert self.leads is not None
        return self.window.time - 1 - self.leads, self.leads

    def estimate_parameters(
        self, observations: xr.Dataset, *, rng: RandomState = None
    ) -> xr.Dataset:
        """Estimate the parameters of the prior, for a solver with an `SPDEPrior`.

        Windows are blended as those of the state are; the result is the mean over all days. The
        fields can be handed to `xdvarnet.SPDEField`, which then gives the exact posterior.

        Parameters
        ----------
        observations : xarray.Dataset
            The variable of the model on a grid, as for `xdvarnet.reconstruct`, in memory.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of the ensemble of a first guess that has one.

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
        return estimate_parameters(self, observations, rng=rng)


def _check_kinds(
    solver: object, variables: object, window: object, background: object, first_guess: object
) -> None:
    check_kind(isinstance(solver, Solver), "solver", solver, "a VariationalSolver")
    check_kind(
        isinstance(variables, Mapping) and bool(variables),
        "variables",
        variables,
        "names and units such as {'ssh': 'm'}",
    )
    check_kind(isinstance(window, Window), "window", window, "a Window such as Window(7, 32, 32)")
    check_kind(
        background is None or isinstance(background, Background),
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
    check_device(device)
    warn_of_emulation(device, precision)
    return device, precision
