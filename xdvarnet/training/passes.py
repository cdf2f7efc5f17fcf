"""Real tracks to learn from: some passes are removed, and are the truth."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_positive, check_variable
from xdvarnet.grids.internal import to_internal
from xdvarnet.grids.points import find_points
from xdvarnet.mapping.anomalies import take_anomalies, units_of_input
from xdvarnet.mapping.background import Background
from xdvarnet.mapping.binning import bin_observations
from xdvarnet.mapping.protocol import Reconstructor
from xdvarnet.tracks.dates import days_of_tracks
from xdvarnet.tracks.segments import segments
from xdvarnet.training.draws import Draw, with_first_guess

PASS_GAP = "60 s"
"""Longest gap inside a pass."""

LEAST_PASSES = 8
"""Fewest passes to learn from and to validate with."""


@dataclass(frozen=True)
class RemovedPasses:
    """Draws of real tracks, of which some passes are removed and are the truth.

    Attributes
    ----------
    tracks : xarray.Dataset
        Points of a harmonised Dataset, along one dimension.
    grid : xarray.Dataset
        Longitude and latitude of the maps, and the coordinate ``sea`` where it has one.
    variables : mapping of str to str
        Names and units.
    background : Background
        Estimated from what is left of the tracks.
    first_guess : Reconstructor or None
        Analysed for each draw.
    share : float
        Share of the passes that is removed.
    error_variables : mapping of str to str
        Errors to take along, beside those that the first guess reads.
    """

    tracks: xr.Dataset
    grid: xr.Dataset
    variables: Mapping[str, str]
    background: Background
    first_guess: Reconstructor | None
    share: float
    error_variables: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, number: int, rng: np.random.Generator) -> Draw:
        """Make draw `number`."""
        hidden, seen = split_passes(self.tracks, self.share, rng)
        return self.draw(seen, hidden, rng)

    def draw(self, seen: xr.Dataset, hidden: xr.Dataset, rng: np.random.Generator) -> Draw:
        """Make a draw whose truth is known along the tracks `hidden` alone."""
        observed, truth = (self._bin(tracks) for tracks in (seen, hidden))
        observations, backgrounds = take_anomalies(
            observed, self.background, self.variables, self._errors
        )
        return Draw(
            with_first_guess(observations, self.first_guess, rng),
            {name: (truth[name] - mean).values for name, mean in backgrounds.items()},
        )

    @property
    def _errors(self) -> Mapping[str, str]:
        guess = {} if self.first_guess is None else self.first_guess.error_variables
        return {**guess, **self.error_variables}

    def _bin(self, tracks: xr.Dataset) -> xr.Dataset:
        points = find_points(self.tracks)
        stamps = days_of_tracks(points, self.grid)
        binned = bin_observations(tracks, self.grid, self.variables, self._errors, stamps)
        return to_internal(binned, units_of_input(self.variables, self._errors))


def fold_passes(
    tracks: xr.Dataset, folds: int, rng: np.random.Generator
) -> Iterator[tuple[xr.Dataset, xr.Dataset]]:
    """Split tracks into a part of the passes and the others, each pass being once in the part.

    Raises
    ------
    InvalidInputError
        If there are fewer than eight passes.
    """
    passes, labels = _passes(tracks)
    for part in np.array_split(rng.permutation(labels), folds):
        yield _split(tracks, passes, part)


def split_passes(
    tracks: xr.Dataset, share: float, rng: np.random.Generator
) -> tuple[xr.Dataset, xr.Dataset]:
    """Split tracks into a random share of the passes, one at least, and the others.

    Raises
    ------
    InvalidInputError
        If there are fewer than eight passes.
    """
    passes, labels = _passes(tracks)
    count = min(max(round(share * labels.size), 1), labels.size - 1)
    return _split(tracks, passes, rng.choice(labels, count, replace=False))


def _passes(tracks: xr.Dataset) -> tuple[xr.DataArray, np.ndarray]:
    """Label the pass of each point; return the different labels too."""
    passes = segments(tracks, gap=PASS_GAP)
    labels = np.unique(passes)
    if labels.size < LEAST_PASSES:
        raise InvalidInputError(
            f"the tracks have {labels.size} pass(es) without a gap of {PASS_GAP}; learning from "
            f"tracks needs {LEAST_PASSES} at least, of which some are removed. Give more days."
        )
    return passes, labels


def _split(
    tracks: xr.Dataset, passes: xr.DataArray, part: np.ndarray
) -> tuple[xr.Dataset, xr.Dataset]:
    chosen = np.isin(passes.values, part)
    some, others = (tracks.isel({passes.dims[0]: each}) for each in (chosen, ~chosen))
    return some, others


def check_share(share: float, name: str) -> None:
    """Require a number between 0 and 1.

    Raises
    ------
    InvalidInputError
        If it is none.
    """
    if not 0 < check_positive(share, name, "shares of the passes") < 1:
        raise InvalidInputError(
            f"{name}={share!r} is not accepted; give a share of the passes between 0 and 1."
        )


def check_tracks(tracks: xr.Dataset, variables: Mapping[str, str]) -> None:
    """Require points along one dimension with all `variables`.

    Raises
    ------
    InvalidTypeError, UnknownNameError
        If this is no Dataset, or lacks a variable.
    InvalidInputError
        If these are no points along a track.
    """
    points = find_points(tracks)
    for name in variables:
        check_variable(tracks, name)
    if len(points.sizes) > 1:
        raise InvalidInputError(
            f"the points have the dimensions {tuple(points.sizes)}; learning from tracks takes "
            "nadir altimeters, along one dimension. Select one pixel of each line of a swath."
        )
