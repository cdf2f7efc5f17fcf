"""Regridding weights computed by ESMF, through xESMF."""

from importlib import import_module

import cf_xarray
import numpy as np
import xarray as xr
from scipy import sparse

from xdvarnet.errors import InvalidInputError, MissingDependencyError
from xdvarnet.grids.regrid.cells import around_the_globe, axis_bounds, built_corners
from xdvarnet.grids.regrid.horizontal import HorizontalGrid
from xdvarnet.grids.regrid.weights import METHODS


def esmf_matrix(source: HorizontalGrid, target: HorizontalGrid, method: str) -> sparse.csr_array:
    """Compute the weights of `method` with ESMF, shape (target points, source points).

    Cells of ESMF have great circles as borders. A grid around the globe is periodic for it.

    Raises
    ------
    MissingDependencyError
        If xESMF or ESMPy is not installed.
    InvalidInputError
        If positions are missing, or neighbouring cells share no corners.
    """
    try:
        xesmf = import_module("xesmf")
    except ImportError as error:
        raise MissingDependencyError(
            "engine='xesmf' needs xESMF and ESMPy, which conda installs: "
            "conda install -c conda-forge xesmf. engine='native' needs neither."
        ) from error
    with_cells = method.startswith("conservative")
    regridder = xesmf.Regridder(
        _described(source, with_cells),
        _described(target, with_cells),
        METHODS[method].esmf,
        periodic=around_the_globe(source),
        ignore_degenerate=True,
        unmapped_to_nan=False,
    )
    weights = regridder.weights.data  # sparse.COO
    shape = (target.size, source.size)
    return sparse.csr_array((weights.data, tuple(weights.coords)), shape=shape)


def _described(grid: HorizontalGrid, with_cells: bool) -> xr.Dataset:
    """Centres and corners under the names of xESMF."""
    if not grid.placed.all():
        raise InvalidInputError(
            f"{int((~grid.placed).sum())} points of {grid.names[0]!r} and {grid.names[1]!r} have "
            "no position, which ESMF does not accept; take engine='native'."
        )
    latitude, longitude = (array.reshape(grid.shape) for array in grid.points)
    described = xr.Dataset({"lat": (("y", "x"), latitude), "lon": (("y", "x"), longitude)})
    if with_cells:
        for name, corners in zip(("lat_b", "lon_b"), _corners(grid), strict=True):
            described[name] = (("y_b", "x_b"), corners)
    return described


def _corners(grid: HorizontalGrid) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of the corners that cells share, shape (ny + 1, nx + 1)."""
    if not grid.rectilinear:
        if grid.bounds is None:
            return built_corners(grid)
        dims = ("y", "x", "vertex")
        given = (xr.DataArray(bounds, dims=dims) for bounds in grid.bounds)
        latitude, longitude = (
            cf_xarray.bounds_to_vertices(bounds, "vertex").values for bounds in given
        )
        return latitude, longitude
    latitude, longitude = (_edges(bounds) for bounds in axis_bounds(grid))
    latitude, longitude = np.meshgrid(latitude, longitude, indexing="ij")
    return latitude, longitude


def _edges(bounds: np.ndarray) -> np.ndarray:
    """Borders of cells that follow each other, in their order: (n, 2) to (n + 1,)."""
    ordered = bounds if bounds[0, 0] <= bounds[-1, 0] else bounds[:, ::-1]
    return np.append(ordered[:, 0], ordered[-1, 1])
