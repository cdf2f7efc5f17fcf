"""Errors of members, or of a mean with a standard deviation, against a truth.

Members have the dimension ``member``. Maps are compared with gridded truth where their coordinates
agree, as in `xdvarnet.metrics.scores`; values at the points of tracks are compared with
measurements at the same points. A cell or point counts where the truth and all members are finite.
Errors are in the units of the truth, and lazy where the input is.
"""

from collections.abc import Hashable, Iterable

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.checks import units_factor
from xdvarnet.grids.coords import find_axes
from xdvarnet.grids.values import trusted_values
from xdvarnet.metrics.alignment import compare
from xdvarnet.metrics.scores import Dims


def member_errors(
    members: xr.DataArray, truth: xr.DataArray, dim: Dims = None
) -> tuple[xr.DataArray, list[Hashable]]:
    """Return members minus truth, and the dimensions to reduce.

    All scores follow from these errors, since a shift of members and truth by the same value
    changes none. Where a cell lacks the truth or one member, it lacks all.
    """
    check_members(members, least=2)
    errors, dims = _subtract(members, truth, dim)
    return errors.where(errors.notnull().all("member")), dims


def normal_errors(
    mean: xr.DataArray, std: xr.DataArray, truth: xr.DataArray, dim: Dims = None
) -> tuple[xr.DataArray, xr.DataArray, list[Hashable]]:
    """Return mean minus truth, the standard deviation in the same cells, and what to reduce."""
    error, dims = _subtract(mean, truth, dim)
    spread, _ = _subtract(std, xr.zeros_like(truth))
    return error, spread, dims


def known(errors: xr.DataArray) -> xr.DataArray:
    """Return where the truth and all members are finite, from errors of `member_errors`."""
    return errors.isel(member=0, drop=True).notnull()


def standardise(error: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return errors in standard deviations: 0 where both are 0; raise if one is negative."""
    check_std(std)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((error == 0) & (std == 0), 0, error / std)


def check_std(std: np.ndarray) -> None:
    """Raise if a standard deviation is negative."""
    if (std < 0).any():
        raise InvalidInputError(
            f"the standard deviation is negative, {np.nanmin(std):.3g} at the lowest; is it a "
            "variance, or the mean in its place? Give the standard deviation second."
        )


def whole(array: xr.DataArray, dims: Iterable[Hashable]) -> xr.DataArray:
    """Return lazy arrays in one chunk along `dims`, others as they are."""
    return array if array.chunks is None else array.chunk(dict.fromkeys(dims, -1))


def label(array: xr.DataArray, text: str, units: str) -> xr.DataArray:
    """Set the long name and the units of a new array, in place of other attributes and a name."""
    array.attrs = {"long_name": text, "units": units}
    return array.rename(None)


def check_members(members: xr.DataArray, *, least: int) -> None:
    """Raise unless this is a DataArray with `least` members or more."""
    _check_array(members)
    if "member" not in members.dims:
        raise InvalidInputError(
            f"the members have the dimensions {members.dims}, and no 'member'; rename theirs: "
            "members.rename({...: 'member'}). A mean and a standard deviation are scored with "
            "gaussian_crps."
        )
    if members.sizes["member"] < least:
        raise InvalidInputError(
            f"the dimension 'member' has size {members.sizes['member']}; give at least {least}."
        )


def check_points(array: xr.DataArray, other: xr.DataArray, name: str) -> None:
    """Raise unless `other`, called `name` in messages, is at the points of `array`."""
    missing = [str(dim) for dim in other.dims if dim not in array.dims]
    if missing:
        raise InvalidInputError(
            f"the {name} has the dimensions {missing}, which those it is compared with, "
            f"{array.dims}, lack. Both are on grids with longitude and latitude, or at the same "
            "points: sample maps with maps.dvarnet.sample_tracks(tracks)."
        )
    try:
        xr.align(array, other, join="exact", copy=False)
    except ValueError as error:
        raise InvalidInputError(
            f"the {name} is at other points: along {other.dims} the sizes or the coordinates "
            "differ. Select the same points in both; sample maps there with "
            "maps.dvarnet.sample_tracks(tracks)."
        ) from error


def _subtract(
    array: xr.DataArray, truth: xr.DataArray, dim: Dims = None
) -> tuple[xr.DataArray, list[Hashable]]:
    for value in (array, truth):
        _check_array(value)
    if "member" in truth.dims:
        raise InvalidInputError(
            f"the truth has the dimensions {truth.dims}; it has no members. Are the arguments "
            "swapped? The truth comes last."
        )
    array, truth = trusted_values(array), trusted_values(truth)
    units = str(truth.attrs.get("units", array.attrs.get("units", "1")))
    if _on_grid(array) and _on_grid(truth):
        error, truth = compare(array, truth)
    else:
        check_points(array, truth, "truth")
        error = array.astype(float) * units_factor(array, units) - truth
    error.attrs = {"units": units}
    return error, _check_dims(truth.dims if dim is None else dim, error)


def _on_grid(array: xr.DataArray) -> bool:
    try:
        axes = find_axes(array, time=False)
    except InvalidInputError:
        return False
    return all(set(array[name].dims) <= {name} for name in (axes.latitude, axes.longitude))


def _check_array(value: object) -> None:
    if not isinstance(value, xr.DataArray):
        raise InvalidTypeError(
            f"expected an xarray DataArray, got {type(value).__name__}; select one variable of a "
            "Dataset, such as dataset['ssh_members']."
        )


def _check_dims(dim: str | Iterable[Hashable], error: xr.DataArray) -> list[Hashable]:
    dims: list[Hashable] = [dim] if isinstance(dim, str) else list(dim)
    wrong = [name for name in dims if name not in error.dims or name == "member"]
    if wrong:
        accepted = [name for name in error.dims if name != "member"]
        raise InvalidInputError(f"no score is over the dimensions {wrong}; choose from {accepted}.")
    return dims
