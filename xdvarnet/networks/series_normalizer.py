"""Scaling of series to the zero mean and unit variance that networks expect."""

from collections.abc import Hashable, Sequence
from typing import Any, Self

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.methods.climatology import Climatology


class SeriesNormalizer:
    """Mean and standard deviation of each component, or of all of them.

    Parameters
    ----------
    mean, std : float or sequence of float
        One number for all components, which are alike, or one for each.
    labels : sequence, optional
        Names of the components.

    Raises
    ------
    InvalidInputError
        If a number is not finite, a standard deviation is not positive, or lengths differ.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz63
    >>> from xdvarnet.networks.series_normalizer import SeriesNormalizer
    >>> len(SeriesNormalizer.from_series(lorenz63("training", samples=100)).std)
    3
    """

    def __init__(
        self,
        mean: float | Sequence[float],
        std: float | Sequence[float],
        *,
        labels: Sequence[Hashable] | None = None,
    ) -> None:
        if np.shape(mean) != np.shape(std):
            raise InvalidInputError(f"mean={mean} and std={std} have not the same length.")
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (np.array(std) > 0).all()):
            raise InvalidInputError(
                f"mean={mean} and std={std}; give finite numbers and positive deviations."
            )
        self.mean, self.std = _plain(mean), _plain(std)
        self.labels = None if labels is None else list(labels)

    def __repr__(self) -> str:
        return f"SeriesNormalizer({self.mean}, {self.std})"

    @classmethod
    def from_series(cls, truth: xr.Dataset, *, alike: bool = False) -> Self:
        """Measure mean and standard deviation of ``state``; with `alike`, of all components."""
        climate = Climatology.from_series(truth)
        mean, variance = climate.mean, np.diag(climate.covariance)
        if alike:
            std = float((variance.mean() + mean.var()) ** 0.5)
            return cls(float(mean.mean()), std, labels=climate.labels)
        return cls(mean.tolist(), (variance**0.5).tolist(), labels=climate.labels)

    def check(self, components: int) -> None:
        """Refuse another number of components than this has."""
        if isinstance(self.mean, tuple) and len(self.mean) != components:
            raise InvalidInputError(
                f"the model has {len(self.mean)} components, and the state has {components}; give "
                "the series that the model was made for."
            )

    def normalize(self, values: np.ndarray) -> np.ndarray:
        """Scale values (..., component)."""
        return (values - np.array(self.mean)) / np.array(self.std)

    def restore(self, values: np.ndarray) -> np.ndarray:
        """Undo `normalize`."""
        return values * np.array(self.std) + np.array(self.mean)


def _plain(numbers: Any) -> float | tuple[float, ...]:
    return tuple(map(float, numbers)) if np.ndim(numbers) else float(numbers)
