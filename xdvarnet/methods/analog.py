"""Forecasts by analogs: what followed the most similar states of a catalogue."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import xarray as xr
from scipy.spatial import cKDTree

from xdvarnet.dynamics.forecast import Forecast
from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.grids.checks import check_counts
from xdvarnet.grids.series import EVEN, find_series

METHODS = ("local_linear", "local_constant")

RIDGE = 1e-3
"""Weight of the slopes' squares in a regression whose analogs are scaled to unit distance."""

BATCH = 20_000
"""Number of states that are forecast at once."""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """States, and what followed them.

    Attributes
    ----------
    inputs : numpy.ndarray
        What tells analogs, one row for each.
    increments : numpy.ndarray
        What was added to them a time step later.
    dt : float
        The time step.
    components : int
        Of a state.
    labels : sequence or None
        Names of the components.
    """

    inputs: np.ndarray
    increments: np.ndarray
    dt: float
    components: int
    labels: Sequence[Hashable] | None = None

    def __post_init__(self) -> None:
        check_counts({"components": self.components})

    @cached_property
    def tree(self) -> cKDTree:
        """For the search of neighbours."""
        return cKDTree(self.inputs)


class AnalogForecast(Forecast):
    """Analog forecast, which takes the place of a dynamical model.

    The k states of a catalogue that are nearest to a state (its analogs, at distances d) have the
    weights ``exp(-(d / median d)^2)``. The forecast is the state plus an increment, which is the
    value at the state of a weighted regression of the analogs' own increments: on the states with
    ``"local_linear"``, with slopes that are kept small where the analogs do not tell them, or their
    weighted mean with ``"local_constant"``.

    An ensemble filter or smoother with this forecast is the analog data assimilation of the
    references: ``EnsembleKalmanSmoother(EnKF(AnalogForecast().fit(training), ...))``. Nothing is
    random; the error of the forecast is the filter's `model_noise`.

    Parameters
    ----------
    k : int
        Number of analogs.
    method : str
        ``"local_linear"`` or ``"local_constant"``.
    neighbourhood : int, optional
        Components on either side of one that tell its analogs, where all components lie on a ring
        and follow the same law, as in Lorenz-96: then each is forecast alone, from a catalogue of
        all places. By default analogs are whole states, of which there are too few in more than
        some five dimensions.
    catalogue : Catalogue, optional
        Of the states; `fit` makes it.

    Raises
    ------
    InvalidInputError
        If a number is out of range.
    UnknownNameError
        If the method is unknown.

    References
    ----------
    Tandeo et al. 2015, doi 10.1007/978-3-319-17220-0_1; Lguensat et al. 2017,
    doi 10.1175/MWR-D-16-0441.1.

    Examples
    --------
    >>> import torch
    >>> from xdvarnet.datasets import lorenz63
    >>> from xdvarnet.methods.analog import AnalogForecast
    >>> analogs = AnalogForecast().fit(lorenz63("training", samples=100))
    >>> analogs.forecast(torch.tensor([[1.0, 2.0, 20.0]]), 0.01).shape
    torch.Size([1, 3])
    """

    def __init__(
        self,
        k: int = 40,
        *,
        method: str = "local_linear",
        neighbourhood: int | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        if method not in METHODS:
            raise UnknownNameError(f"method={method!r} is unknown; known are {', '.join(METHODS)}.")
        check_counts({"k": k}, least=2)
        if neighbourhood is not None:
            check_counts({"neighbourhood": neighbourhood})
        self.k, self.method, self.neighbourhood = k, method, neighbourhood
        self.catalogue = catalogue

    def __repr__(self) -> str:
        return (
            f"AnalogForecast(k={self.k}, method={self.method!r}, "
            f"neighbourhood={self.neighbourhood})"
        )

    @property
    def labels(self) -> Sequence[Hashable] | None:
        """Names of the components, once fitted."""
        return None if self.catalogue is None else self.catalogue.labels

    @property
    def known(self) -> Catalogue:
        """The catalogue of a fitted forecast; an error for another."""
        if self.catalogue is None:
            raise InvalidInputError(f"{self!r} has no catalogue yet; call fit(training) first.")
        return self.catalogue

    def fit(self, truth: xr.Dataset) -> "AnalogForecast":
        """Return this forecast with a catalogue of states and of those that follow.

        Parameters
        ----------
        truth : xarray.Dataset
            Series; states with missing values are left out.

        Raises
        ------
        InvalidInputError
            If the catalogue has fewer than k states, the neighbourhood is wider than the ring, or
            a linear regression has no more analogs than unknowns.
        """
        series = find_series(truth)
        values = series.values
        components = values.shape[-1]
        self._check_ring(components)
        inputs = self._inputs(values[:, :-1])
        increments = self._outputs(values[:, 1:] - values[:, :-1])
        complete = np.isfinite(inputs).all(1) & np.isfinite(increments).all(1)
        inputs, increments = inputs[complete], increments[complete]
        if len(inputs) < self.k:
            raise InvalidInputError(
                f"the catalogue has {len(inputs)} states, and k={self.k} analogs are needed; "
                "give more or longer series."
            )
        unknowns = inputs.shape[1] + 1
        if self.method == "local_linear" and self.k <= unknowns:
            raise InvalidInputError(
                f"k={self.k} analogs do not determine the {unknowns} unknowns of a linear "
                "regression; give more analogs, or method='local_constant'."
            )
        return AnalogForecast(
            self.k,
            method=self.method,
            neighbourhood=self.neighbourhood,
            catalogue=Catalogue(inputs, increments, series.dt, components, series.labels),
        )

    def forecast(self, states: torch.Tensor, dt: float) -> torch.Tensor:
        """Return states (..., component) after a time of `dt`.

        Raises
        ------
        InvalidInputError
            If there is no catalogue, it has other components, or `dt` is no multiple of its time
            step.
        """
        known = self.known
        if states.shape[-1] != known.components:
            raise InvalidInputError(
                f"the catalogue has {known.components} components, and the last dimension of the "
                f"states should be theirs; their shape is {tuple(states.shape)}."
            )
        steps = round(dt / known.dt)
        if steps < 1 or abs(dt / known.dt / steps - 1) > EVEN:
            raise InvalidInputError(
                f"dt={dt:g} is no multiple of the catalogue's time step {known.dt:g}; fit series "
                "of that step."
            )
        values = states.numpy()
        for _ in range(steps):
            values = values + self._increment(self._inputs(values)).reshape(values.shape)
        return torch.from_numpy(values)

    def _check_ring(self, components: int) -> None:
        if self.neighbourhood is not None and 2 * self.neighbourhood + 1 > components:
            raise InvalidInputError(
                f"neighbourhood={self.neighbourhood} on either side is more than the ring of "
                f"{components} components."
            )

    def _inputs(self, values: np.ndarray) -> np.ndarray:
        """What tells analogs, of states (..., component): one row for each forecast."""
        if self.neighbourhood is None:
            return values.reshape(-1, values.shape[-1])
        reach = np.arange(-self.neighbourhood, self.neighbourhood + 1)
        components = values.shape[-1]
        places = np.arange(components)[:, None] + reach
        return values[..., places % components].reshape(-1, reach.size)

    def _outputs(self, values: np.ndarray) -> np.ndarray:
        """What is forecast, of states (..., component): one row for each forecast."""
        return values.reshape(-1, values.shape[-1] if self.neighbourhood is None else 1)

    def _increment(self, inputs: np.ndarray) -> np.ndarray:
        """Forecast increment of each row."""
        batches = np.array_split(inputs, -(-len(inputs) // BATCH))
        return np.concatenate([self._regress(batch) for batch in batches])

    def _regress(self, inputs: np.ndarray) -> np.ndarray:
        known = self.known
        distances, found = known.tree.query(inputs, self.k, workers=-1)
        scale = np.maximum(np.median(distances, 1, keepdims=True), np.finfo(float).tiny)
        weights = np.exp(-np.square(distances / scale))[:, None]
        increments = known.increments[found]
        if self.method == "local_constant":
            return (weights @ increments)[:, 0] / weights.sum(2)
        apart = (known.inputs[found] - inputs[:, None]) / scale[:, None]
        design = np.concatenate([np.ones((*found.shape, 1)), apart], 2)
        normal = (design.mT * weights) @ design
        slopes = np.arange(1, design.shape[2])
        normal[:, slopes, slopes] += RIDGE * weights.sum(2)
        return np.linalg.solve(normal, (design.mT * weights) @ increments)[:, 0]
