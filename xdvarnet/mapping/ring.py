"""A globe for models that see windows: unrolled with columns twice at both ends, and folded."""

from dataclasses import dataclass, replace

import numpy as np

from xdvarnet.mapping.observations import Analysis, Observations


@dataclass(frozen=True)
class Ring:
    """Where the columns of an unrolled globe are on the ring.

    Attributes
    ----------
    columns : int
        Number of columns around the globe.
    width : int
        Number of columns that are there twice at each end.
    """

    columns: int
    width: int

    def unroll(self, observations: Observations) -> Observations:
        """Return observations of a domain that begins before the first column, and ends later."""
        turn, order = np.divmod(np.arange(-self.width, self.columns + self.width), self.columns)
        latitude, longitude = observations.place
        guess = observations.first_guess
        return replace(
            observations,
            values={name: array[..., order] for name, array in observations.values.items()},
            errors={name: array[..., order] for name, array in observations.errors.items()},
            longitude=longitude[order] + 360 * turn,
            sea=observations.sea[..., order],
            first_guess=None if guess is None else _take_columns(guess, order),
        )

    def fold(self, field: np.ndarray) -> np.ndarray:
        """Return a field of the unrolled globe (..., columns) on the ring.

        Half of the columns that were solved twice, those farther from the ends, are blended.
        """
        half, seam = self.width // 2, self.width + self.columns
        whole = field[..., self.width : seam].copy()
        weight = ((np.arange(2 * half) + 0.5) / max(2 * half, 1)).astype(field.dtype)
        west = field[..., self.width - half : self.width + half]
        both = weight * west + (1 - weight) * field[..., seam - half : seam + half]
        whole[..., self.columns - half :] = both[..., :half]
        whole[..., :half] = both[..., half:]
        return whole


def _take_columns(analysis: Analysis, order: np.ndarray) -> Analysis:
    mean, std, members = (
        {name: array[..., order] for name, array in fields.items()}
        for fields in analysis.kinds.values()
    )
    return Analysis(mean, std, members)
