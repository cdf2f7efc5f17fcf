"""Mean and covariance of the states of a model: what is known before any observation."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_positive
from xdvarnet.grids.internal import to_internal
from xdvarnet.grids.series import STATE, find_series


@dataclass(frozen=True, eq=False)
class Climatology:
    """A Gaussian distribution of single states.

    Attributes
    ----------
    mean : numpy.ndarray
        Shape (component,).
    covariance : numpy.ndarray
        Shape (component, component), symmetric and positive definite.
    labels : sequence, optional
        Names of the components.
    variables : mapping of str to str
        Names and units of what a state is made of, one after the other.

    Raises
    ------
    InvalidInputError
        If the shapes do not fit, a number is not finite, the covariance is not symmetric and
        positive definite, or there are labels and not one for each component.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz63
    >>> from xdvarnet.methods.climatology import Climatology
    >>> Climatology.from_series(lorenz63("training", samples=100)).mean.shape
    (3,)
    """

    mean: np.ndarray
    covariance: np.ndarray
    labels: Sequence[Hashable] | None = None
    variables: Mapping[str, str] = field(default_factory=lambda: {STATE: "1"})

    def __post_init__(self) -> None:
        for name in ("mean", "covariance"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=float))
        number = np.size(self.mean)
        if np.shape(self.mean) != (number,) or np.shape(self.covariance) != (number, number):
            raise InvalidInputError(
                f"a mean of shape {np.shape(self.mean)} and a covariance of shape "
                f"{np.shape(self.covariance)} do not fit; give (n,) and (n, n)."
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise InvalidInputError("the mean or the covariance has values that are not finite.")
        if self.labels is not None and len(self.labels) != number:
            raise InvalidInputError(
                f"there are {len(self.labels)} labels for {number} components; give one for each."
            )
        if not np.allclose(self.covariance, self.covariance.T):
            raise InvalidInputError("the covariance is not symmetric.")
        try:
            np.linalg.cholesky(self.covariance)
        except np.linalg.LinAlgError as error:
            raise InvalidInputError(
                "the covariance is not positive definite; take it from more states than there "
                "are components."
            ) from error

    @classmethod
    def from_series(cls, truth: xr.Dataset) -> Self:
        """Take mean and covariance of all complete states of a Dataset of series."""
        series = find_series(truth)
        values = series.values
        states = values.reshape(-1, values.shape[-1])
        states = states[np.isfinite(states).all(1)]
        if len(states) < 2:
            raise InvalidInputError(
                f"a climatology needs complete states; there are {len(states)}. Give the truth, "
                "not the observations."
            )
        return cls(states.mean(0), np.atleast_2d(np.cov(states.T)), series.labels)

    @classmethod
    def from_maps(
        cls, maps: xr.Dataset, variables: Mapping[str, str], *, ridge: float = 1e-3
    ) -> Self:
        """Take mean and covariance of all cells at sea over the days of complete maps.

        Parameters
        ----------
        maps : xarray.Dataset
            Days, latitude and longitude, complete at sea; more days than the covariance has
            degrees of freedom make it better.
        variables : mapping of str to str
            Names and units of what a state is made of.
        ridge : float
            Variance that is added on the diagonal, over the mean variance: few days leave a
            covariance singular.

        Raises
        ------
        InvalidInputError
            If there are less than two days, a value at sea is missing, or the ridge is not
            positive.
        """
        check_positive(ridge, "ridge", "the mean variance")
        known = to_internal(maps, variables)
        sea = known["sea"].values
        states = np.concatenate([known[name].values[:, sea] for name in variables], 1).astype(float)
        if len(states) < 2 or not np.isfinite(states).all():
            raise InvalidInputError(
                f"a climatology needs complete maps of two days at least; there are {len(states)} "
                f"days with {np.isnan(states).sum()} missing values. Give the truth, and a "
                "coordinate sea that is True where it has values."
            )
        covariance = np.cov(states.T)
        covariance[np.diag_indices_from(covariance)] += ridge * covariance.diagonal().mean()
        return cls(states.mean(0), covariance, None, dict(variables))

    @property
    def components(self) -> int:
        """Number of components."""
        return self.mean.size

    def draw(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """Draw states, shape (number, component)."""
        factor = np.linalg.cholesky(self.covariance)
        return self.mean + rng.standard_normal((number, self.components)) @ factor.T
