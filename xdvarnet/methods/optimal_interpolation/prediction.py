"""Withheld observations, predicted from the others: how true a covariance is."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree

from xdvarnet.methods.optimal_interpolation.blended import one_core_each
from xdvarnet.methods.optimal_interpolation.covariance import Correlation
from xdvarnet.methods.optimal_interpolation.local import LocalAnalysis, Sample, working_type

NEIGHBOURS = 200
"""Observations that each is predicted from, at most."""

MANY = 5
"""Observations of which the nearest that are not withheld are taken, in `NEIGHBOURS`: of maps that
are observed nearly everywhere, all the nearest are withheld."""

BATCH = 50
"""Observations that are predicted together."""

WITHHELD = 1e8
"""Variance of the error of an observation that is withheld, relative to the prior's."""


@dataclass(frozen=True)
class Score:
    """How well withheld observations are predicted.

    Attributes
    ----------
    errors : numpy.ndarray
        Observations less predictions, in the units of the observations, shape (c,).
    variances : numpy.ndarray
        What is expected of their squares, shape (c,).
    """

    errors: np.ndarray
    variances: np.ndarray

    @property
    def rmse(self) -> float:
        """Root mean square of the differences."""
        return float(np.sqrt(np.mean(self.errors**2)))

    @property
    def spread(self) -> float:
        """Expected standard deviation over the actual one: 1 where the errors are true."""
        return float(np.sqrt(np.mean(self.variances))) / self.rmse

    @property
    def log_scores(self) -> np.ndarray:
        """Negative logarithms of the predictive densities, less a constant, shape (c,).

        They are small where differences are small and what is expected of them is true (Gneiting
        and Raftery 2007, doi 10.1198/016214506000001437).
        """
        return (np.log(self.variances) + self.errors**2 / self.variances) / 2

    @property
    def log_score(self) -> float:
        """Their mean."""
        return float(self.log_scores.mean())

    def better_than(self, other: "Score") -> bool:
        """Whether it is lower than another by more than two standard errors of the difference."""
        gain = other.log_scores - self.log_scores
        return bool(gain.mean() > 2 * gain.std() / np.sqrt(gain.size))


def predict_withheld(
    sample: Sample,
    scale: np.ndarray,
    groups: np.ndarray,
    centres: np.ndarray,
    correlation: Correlation,
    half_window: float,
    radii: np.ndarray | None = None,
) -> Score:
    """Predict some observations, each from the others but those of its own group.

    Parameters
    ----------
    sample : Sample
        All observations.
    scale : numpy.ndarray
        Prior standard deviation at each, shape (n,).
    groups : numpy.ndarray
        Label of the pass of each, shape (n,).
    centres : numpy.ndarray
        Positions of those that are predicted, shape (c,).
    correlation, half_window
        As in `BlendedAnalysis`.
    radii : numpy.ndarray, optional
        Scaled distances up to which those of its group are withheld from each, shape (c,); by
        default all are.
    """
    points = torch.cat([sample.place, sample.time[:, None]], 1).numpy()
    number = min(NEIGHBOURS, len(points))
    some = number if radii is None else min(MANY * NEIGHBOURS, len(points))
    _, near = KDTree(points).query(points[centres], k=np.arange(1, some + 1))
    hidden = groups[near] == groups[centres, None]
    if radii is not None:
        apart = np.linalg.norm(points[near, :3] - points[centres, None, :3], axis=-1)
        hidden &= apart <= radii[:, None]
        first = np.argsort(hidden, axis=1, kind="stable")[:, :number]
        near, hidden = (np.take_along_axis(each, first, axis=1) for each in (near, hidden))
    hidden |= np.abs(points[near, 3] - points[centres, None, 3]) > half_window
    origin = torch.zeros(1, 1, 3, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)

    def predict(first: int) -> tuple[torch.Tensor, torch.Tensor]:
        batch = slice(first, first + BATCH)
        chosen, index = centres[batch], near[batch]
        local = sample.around(
            torch.from_numpy(index),
            sample.place[chosen, None],
            sample.time[chosen, None],
            torch.from_numpy(np.where(hidden[batch], WITHHELD, 1.0)),
            working_type(sample, number),
        )
        analysis = LocalAnalysis(local, correlation)
        place = origin[0].expand(chosen.size, 1, 3)
        error = sample.values[chosen] - analysis.mean(place, origin[1]).flatten()
        reduction = analysis.reduction(place, origin[1]).flatten().double()
        return error, 1 - reduction + sample.noise[chosen]

    errors, variances = zip(*one_core_each(predict, range(0, centres.size, BATCH)), strict=True)
    error = torch.cat(errors).numpy() * scale[centres]
    variance = torch.cat(variances).numpy() * scale[centres] ** 2
    return Score(error, variance)
