"""Where a network was trained, and whether another grid is like it."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.coords import Grid

SPACING_TOLERANCE = 0.1
"""Relative departure from the spacing of the training grid that is accepted."""

LATITUDE_MARGIN = 10.0
"""Degrees beyond the trained latitudes at which a warning begins."""


@dataclass(frozen=True)
class TrainingGrid:
    """Where a model was trained: it is valid for this spacing and near these latitudes.

    Attributes
    ----------
    spacing : tuple of float
        Degrees of latitude and of longitude between cells.
    latitudes : tuple of float
        Southernmost and northernmost latitude.
    """

    spacing: tuple[float, float]
    latitudes: tuple[float, float]

    @classmethod
    def of(cls, maps: xr.Dataset) -> "TrainingGrid":
        """Take it from maps of `to_internal`."""
        latitude, longitude = (maps[name].values for name in ("latitude", "longitude"))
        return cls(
            spacing=(float(np.median(np.diff(latitude))), float(np.median(np.diff(longitude)))),
            latitudes=(float(latitude.min()), float(latitude.max())),
        )

    def check(self, grid: Grid) -> None:
        """Refuse a grid of another spacing, and warn of other latitudes.

        Raises
        ------
        InvalidInputError
            If the spacing departs by more than 10 %.
        """
        axes = ("latitude", "longitude")
        for axis, given, known in zip(axes, grid.spacing, self.spacing, strict=True):
            if abs(given / known - 1) > SPACING_TOLERANCE:
                raise InvalidInputError(
                    f"the grid's spacing in {axis} is {given:g} degrees and the model was trained "
                    f"at {known:g}; at most {SPACING_TOLERANCE:.0%} difference is accepted. Bin or "
                    f"interpolate the observations to {known:g} degrees, or train a model for this "
                    "grid."
                )
        south, north = self.latitudes
        first, last = grid.latitude[0], grid.latitude[-1]
        if first < south - LATITUDE_MARGIN or last > north + LATITUDE_MARGIN:
            warn(
                f"latitudes {first:g} to {last:g} reach more than {LATITUDE_MARGIN:g} degrees "
                f"beyond those of the training ({south:g} to {north:g}); scales of motion differ "
                "there, and so will the error."
            )
