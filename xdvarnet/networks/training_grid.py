"""Where a network was trained, and whether another grid is like it."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import check_kind, check_positive
from xdvarnet.grids.coords import Grid
from xdvarnet.grids.units import EARTH_RADIUS

DEGREE = float(np.deg2rad(1.0)) * EARTH_RADIUS
"""Length of a degree of latitude, in km."""

SPACING_TOLERANCE = 0.1
"""Relative departure from the spacing of the training grid, in km, that is accepted."""

LATITUDE_MARGIN = 10.0
"""Degrees beyond the trained latitudes at which a warning begins."""


@dataclass(frozen=True)
class TrainingGrid:
    """Where a model was trained: it is valid for this spacing in km and near these latitudes.

    Attributes
    ----------
    spacing : tuple of float
        Degrees of latitude and of longitude between cells.
    latitudes : tuple of float
        Southernmost and northernmost latitude.

    Raises
    ------
    InvalidInputError
        If a spacing is not positive, or the latitudes are none.
    InvalidTypeError
        If these are not two numbers each.
    """

    spacing: tuple[float, float]
    latitudes: tuple[float, float]

    def __post_init__(self) -> None:
        for name in ("spacing", "latitudes"):
            numbers = vars(self)[name]
            right = isinstance(numbers, Sequence) and len(numbers) == 2
            check_kind(right, name, numbers, "two numbers of degrees")
            object.__setattr__(self, name, tuple(numbers))
        for degrees in self.spacing:
            check_positive(degrees, "spacing", "degrees")
        if not all(isinstance(degrees, Real) for degrees in self.latitudes) or not (
            -90 <= self.latitudes[0] <= self.latitudes[1] <= 90
        ):
            raise InvalidInputError(
                f"latitudes={self.latitudes} are not accepted; give the southernmost and the "
                "northernmost, from -90 to 90 degrees."
            )

    @classmethod
    def of(cls, maps: xr.Dataset) -> "TrainingGrid":
        """Take it from maps of `to_internal`."""
        latitude, longitude = (maps[name].values for name in ("latitude", "longitude"))
        return cls(
            spacing=(float(np.median(np.diff(latitude))), float(np.median(np.diff(longitude)))),
            latitudes=(float(latitude.min()), float(latitude.max())),
        )

    def check(self, grid: Grid) -> None:
        """Refuse a grid of another spacing in km, and warn of other latitudes.

        The spacing of a grid is that of its middle latitude; in longitude the training has seen
        those from its widest to its narrowest row.

        Raises
        ------
        InvalidInputError
            If the spacing departs by more than 10 %.
        """
        rows, columns = self.spacing
        middle = float(grid.latitude[0] + grid.latitude[-1]) / 2
        shrink = np.cos(np.deg2rad(middle))
        south, north = self.latitudes
        span = np.append([south, north], [0.0] if south < 0 < north else [])
        self._check_axis("latitude", grid.spacing[0], (rows, rows), 1.0)
        trained = columns * np.cos(np.deg2rad(span))
        self._check_axis("longitude", grid.spacing[1], (trained.min(), trained.max()), shrink)
        first, last = grid.latitude[0], grid.latitude[-1]
        if first < south - LATITUDE_MARGIN or last > north + LATITUDE_MARGIN:
            warn(
                f"latitudes {first:g} to {last:g} reach more than {LATITUDE_MARGIN:g} degrees "
                f"beyond those of the training ({south:g} to {north:g}); scales of motion differ "
                "there, and so will the error. xdvarnet.networks.Scaled takes a network such as "
                "load_model('ssh-any') to another sea."
            )

    def _check_axis(
        self, axis: str, degrees: float, trained: tuple[float, float], shrink: float
    ) -> None:
        """Refuse steps that are shorter or longer, as distances, than those of the training.

        Parameters
        ----------
        axis : str
            Its name.
        degrees : float
            Step of the grid.
        trained : tuple of float
            Shortest and longest step of the training, in degrees of latitude.
        shrink : float
            A degree of the axis, in degrees of latitude.
        """
        shortest, longest = trained
        step = degrees * shrink
        if shortest * (1 - SPACING_TOLERANCE) <= step <= longest * (1 + SPACING_TOLERANCE):
            return
        middle = (shortest + longest) / 2
        known = f"{DEGREE * middle:.3g} km"
        if longest > 1.01 * shortest:
            known = f"{DEGREE * shortest:.3g} to {DEGREE * longest:.3g} km"
        raise InvalidInputError(
            f"the grid's spacing in {axis} is {degrees:g} degrees, {DEGREE * step:.3g} km, and the "
            f"model was trained at {known}; at most {SPACING_TOLERANCE:.0%} difference is "
            f"accepted. Bin or interpolate the observations to {middle / shrink:.3g} degrees of "
            f"{axis}, or train a model for this grid."
        )
