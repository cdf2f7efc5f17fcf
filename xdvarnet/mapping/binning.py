"""Tracks on a grid, as a model reads them: with the errors that it asks for."""

from collections.abc import Iterable, Mapping

import xarray as xr

from xdvarnet.grids.checks import check_variable
from xdvarnet.tracks.bin import bin_tracks
from xdvarnet.tracks.noise import SUFFIX


def bin_observations(
    tracks: xr.Dataset,
    grid: xr.Dataset,
    variables: Iterable[str],
    error_variables: Mapping[str, str],
    time: xr.DataArray,
) -> xr.Dataset:
    """Average measurements in cells and days, weighted by their errors where a model reads these.

    Parameters
    ----------
    tracks : xarray.Dataset
        Points with the variables, and with the errors of single measurements.
    grid, time
        As in `xdvarnet.bin_tracks`.
    variables : iterable of str
        What is binned.
    error_variables : mapping of str to str
        As `xdvarnet.mapping.Reconstructor` has them.

    Returns
    -------
    xarray.Dataset
        The variables, and the standard deviations of the errors of their means, under the names
        that those of single measurements have in `tracks`.

    Raises
    ------
    UnknownNameError
        If the tracks lack a variable.
    InvalidInputError
        As `xdvarnet.bin_tracks` does.
    """
    errors = {of: name for name, of in error_variables.items()}
    exact = [check_variable(tracks, name).name for name in variables if name not in errors]
    parts = [bin_tracks(tracks[exact], grid, time=time)] if exact else []
    for name, error in errors.items():
        both = [check_variable(tracks, each).name for each in (name, error)]
        part = bin_tracks(tracks[both], grid, time=time, noise=error)
        part[name].attrs["ancillary_variables"] = error
        parts.append(part.rename({name + SUFFIX: error}))
    return xr.merge(parts, join="exact", combine_attrs="override")
