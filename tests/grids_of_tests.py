"""Horizontal grids for the tests of regridding."""

import numpy as np

from xdvarnet.grids.regrid.horizontal import HorizontalGrid


def axes(latitude, longitude, bounds=None) -> HorizontalGrid:
    """Return a rectilinear grid."""
    latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
    return HorizontalGrid(("lat", "lon"), ("lat", "lon"), latitude, longitude, bounds)


def curved(latitude, longitude, bounds=None) -> HorizontalGrid:
    """Return a curvilinear grid."""
    return HorizontalGrid(("lat", "lon"), ("y", "x"), latitude, longitude, bounds)
