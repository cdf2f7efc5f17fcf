"""The form in which Datasets travel inside the package."""

from collections.abc import Callable, Collection, Mapping

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_variable, units_factor
from xdvarnet.grids.coords import Grid, find_grid
from xdvarnet.grids.values import lasting_attributes, trusted_values

DIMS = ("time", "latitude", "longitude")
"""Names and order of the dimensions inside the package."""


def internal_grid(dataset: xr.Dataset | xr.DataArray) -> Grid:
    """Return the grid of a Dataset in the order of `to_internal`: a globe begins at Greenwich.

    So it has the same columns wherever the longitudes of the Dataset are cut.

    Raises
    ------
    InvalidInputError
        As `find_grid` does.
    """
    return find_grid(dataset).from_greenwich()


def to_internal(dataset: xr.Dataset, variables: Mapping[str, str]) -> xr.Dataset:
    """Bring the variables to the internal order, names and units.

    Parameters
    ----------
    dataset : xarray.Dataset
        With time, latitude and longitude in any order.
    variables : mapping of str to str
        Names and the units of the result.

    Returns
    -------
    xarray.Dataset
        The variables as float32 with the attribute ``units``, and the boolean mask ``sea``, with
        the dimensions time (in days since 1950-01-01), latitude and longitude, both increasing (a
        globe from Greenwich on); lazy if the input is lazy, and then values are checked when they
        are computed. The mask is the coordinate ``sea`` of the input (True or False, or 1 or 0);
        without it all are sea.

    Raises
    ------
    InvalidInputError, UnknownNameError
        If axes, variables, units or values are not as they must be.
    """
    check_mask_is_coordinate(dataset)
    grid = internal_grid(dataset)
    names = dict(zip(grid.axes.dims, DIMS, strict=True))
    coords = dict(zip(DIMS, (grid.days, grid.latitude, grid.longitude), strict=True))

    def arrange(array: xr.DataArray) -> xr.DataArray:
        arranged = grid.arrange(array).reset_coords(drop=True)
        arranged = arranged.drop_vars([name for name in names if name in arranged.coords])
        renamed = arranged.rename({old: names[old] for old in map(str, arranged.dims)})
        return renamed.assign_coords({dim: coords[str(dim)] for dim in renamed.dims})

    arrays = {}
    for name, units in variables.items():
        array = trusted_values(check_variable(dataset, name))
        if set(array.dims) != set(names):
            raise InvalidInputError(
                f"variable {name!r} has dimensions {array.dims}; it must have {grid.axes.dims}, in "
                "any order."
            )
        if not np.issubdtype(array.dtype, np.floating):
            raise InvalidInputError(
                f"variable {name!r} holds {array.dtype} values, which have no NaN for unobserved "
                "cells; convert it with astype(float)."
            )
        converted = _convert(arrange(array), units_factor(array, units, argument=True))
        arrays[name] = converted.assign_attrs(units=units)
    if "sea" in dataset.coords:
        sea = arrange(_check_mask(dataset["sea"], grid))
    else:
        sea = xr.DataArray(np.ones(grid.shape, bool), dims=DIMS[1:])
    return xr.Dataset({**arrays, "sea": sea})


def hide_unobserved(
    dataset: xr.Dataset, variables: Mapping[str, str], observed: Collection[str]
) -> xr.Dataset:
    """Give a Dataset of observations the variables that are never observed, NaN everywhere.

    Parameters
    ----------
    dataset : xarray.Dataset
        With the `observed` variables. What it has of others is replaced: it is not used.
    variables : mapping of str to str
        Names and units of all variables.
    observed : collection of str
        Names of those that are observed.

    Raises
    ------
    InvalidTypeError, UnknownNameError
        If this is no Dataset, or an observed variable is missing.
    """
    like = [check_variable(dataset, name) for name in variables if name in observed]
    hidden = {}
    for name, units in variables.items():
        if name not in observed:
            known = lasting_attributes(dataset[name].attrs) if name in dataset else {}
            kind = np.result_type(like[0].dtype, np.float32)  # one that has NaN
            hidden[name] = xr.full_like(like[0], np.nan, dtype=kind)
            hidden[name].attrs = {"long_name": name, **known, "units": units}
    return dataset.assign(hidden)


def check_mask_is_coordinate(dataset: xr.Dataset) -> None:
    """Refuse the mask of the sea as a data variable, which would be overlooked.

    Raises
    ------
    InvalidInputError
        With how to make it a coordinate.
    """
    if "sea" in dataset.data_vars:
        raise InvalidInputError(
            "'sea' is a data variable, and the mask of the sea is a coordinate; make it one with "
            "dataset.set_coords('sea')."
        )


def _convert(array: xr.DataArray, factor: float) -> xr.DataArray:
    def convert(values: np.ndarray) -> np.ndarray:
        return (values * factor).astype(np.float32)

    return _apply(convert, array, np.float32)


def _check_mask(mask: xr.DataArray, grid: Grid) -> xr.DataArray:
    wanted = grid.axes.dims[1:]
    if set(mask.dims) != set(wanted):
        raise InvalidInputError(
            f"coordinate {mask.name!r} has dimensions {mask.dims}; a mask of the sea has {wanted}, "
            "in any order."
        )

    def check(values: np.ndarray) -> np.ndarray:
        if not np.isin(values, (False, True)).all():
            raise InvalidInputError(
                f"coordinate {mask.name!r} ({mask.dtype}) has other values than True and False, or "
                "1 and 0; make it with dataset.assign_coords(sea=...), True on sea."
            )
        return values.astype(bool)

    return _apply(check, mask, bool)


def _apply(kernel: Callable, array: xr.DataArray, dtype: type) -> xr.DataArray:
    return xr.apply_ufunc(
        kernel, array, dask="parallelized", output_dtypes=[dtype], keep_attrs=False
    )
