"""Scaling of states to the zero mean and unit variance that networks expect."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_positive
from xdvarnet.grids.series import STATE
from xdvarnet.methods.climatology import Climatology


class Normalizer:
    """Mean and standard deviation of each variable, or of each component of a series.

    Parameters
    ----------
    std : mapping of str to float or sequence of float
        Standard deviation of each variable, in the model's units; or one for each component.
    mean : mapping of str to float or sequence of float, optional
        Their means; by default zero, as of anomalies, which a background was removed from.
    labels : sequence, optional
        Names of the components.

    Raises
    ------
    InvalidInputError
        If a standard deviation is not positive and finite, a mean is not finite, or lengths differ.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz63
    >>> from xdvarnet.networks import Normalizer
    >>> len(Normalizer.from_series(lorenz63("training", samples=100)).std["state"])
    3
    """

    def __init__(
        self,
        std: Mapping[str, npt.ArrayLike],
        mean: Mapping[str, npt.ArrayLike] | None = None,
        *,
        labels: Sequence[Hashable] | None = None,
    ) -> None:
        self.std = {name: _check_std(value, f"std[{name!r}]") for name, value in std.items()}
        zero = {name: np.zeros(np.shape(value)) for name, value in std.items()}
        self.mean = {name: _plain(value) for name, value in {**zero, **(mean or {})}.items()}
        for name, value in self.mean.items():
            if name not in self.std or np.shape(value) != np.shape(self.std[name]):
                raise InvalidInputError(
                    f"the mean {value} and the standard deviation {self.std.get(name)} of {name!r} "
                    "have not the same length; give a number of each, or one for each component."
                )
            if not np.isfinite(value).all():
                raise InvalidInputError(
                    f"the mean {value} of {name!r} is not finite; give finite numbers."
                )
        self.labels = None if labels is None else list(labels)

    def __repr__(self) -> str:
        mean = f", {self.mean}" if any(np.any(value) for value in self.mean.values()) else ""
        return f"Normalizer({self.std}{mean})"

    @classmethod
    def fit(cls, anomalies: Mapping[str, np.ndarray]) -> Self:
        """Measure the standard deviations of anomalies, NaN left out.

        Raises
        ------
        InvalidInputError
            If a variable has no finite value.
        """
        for name, values in anomalies.items():
            if not np.isfinite(values).any():
                raise InvalidInputError(
                    f"variable {name!r} has no finite value; a truth with values on sea is needed."
                )
        return cls({name: float(np.nanstd(values)) for name, values in anomalies.items()})

    @classmethod
    def from_series(cls, truth: xr.Dataset, *, alike: bool = False) -> Self:
        """Measure mean and standard deviation of ``state``; with `alike`, of all components."""
        climate = Climatology.from_series(truth)
        mean, variance = climate.mean, np.diag(climate.covariance)
        if alike:
            std = (variance.mean() + mean.var()) ** 0.5
            return cls({STATE: std}, {STATE: mean.mean()}, labels=climate.labels)
        return cls({STATE: variance**0.5}, {STATE: mean}, labels=climate.labels)

    def normalize(self, name: str, values: np.ndarray) -> np.ndarray:
        """Scale `values` of the variable `name`; where it has components, they are last."""
        mean, std = (np.asarray(part[name], values.dtype) for part in (self.mean, self.std))
        return (values - mean) / std

    def restore(self, name: str, values: np.ndarray) -> np.ndarray:
        """Undo `normalize`."""
        mean, std = (np.asarray(part[name], values.dtype) for part in (self.mean, self.std))
        return values * std + mean


def _check_std(value: Any, name: str) -> Any:
    if np.ndim(value):
        return tuple(check_positive(number, name, "the model's units") for number in value)
    return check_positive(value, name, "the model's units")


def _plain(numbers: Any) -> Any:
    """Return what a file can hold: a number, or one for each component."""
    return tuple(map(float, numbers)) if np.ndim(numbers) else float(numbers)
