"""Scaling of anomalies to the unit variance that networks expect."""

from collections.abc import Mapping

import numpy as np

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_positive


class Normalizer:
    """Divide each variable's anomaly by a standard deviation.

    The mean needs no place here: it is removed with the background.

    Parameters
    ----------
    std : mapping of str to float
        Standard deviation of each variable's anomaly, in the model's units.

    Raises
    ------
    InvalidInputError
        If a standard deviation is not positive and finite.
    """

    def __init__(self, std: Mapping[str, float]) -> None:
        self.std = {
            name: check_positive(value, f"std[{name!r}]", "the model's units")
            for name, value in std.items()
        }

    def __repr__(self) -> str:
        return f"Normalizer({self.std})"

    @classmethod
    def fit(cls, anomalies: Mapping[str, np.ndarray]) -> "Normalizer":
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

    def normalize(self, name: str, values: np.ndarray) -> np.ndarray:
        """Scale `values` of the variable `name` to unit variance."""
        return values / np.asarray(self.std[name], values.dtype)

    def restore(self, name: str, values: np.ndarray) -> np.ndarray:
        """Undo `normalize`."""
        return values * np.asarray(self.std[name], values.dtype)
