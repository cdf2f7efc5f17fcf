"""What observing systems have in common: a protocol, and their way through a Dataset."""

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import xarray as xr

from xdvarnet._random import RandomState
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import Grid
from xdvarnet.grids.provenance import lasting
from xdvarnet.grids.values import check_decoded, trusted_values


@runtime_checkable
class Observer(Protocol):
    """What turns complete daily maps into observations on the same grid.

    `ObservingSystem`, `CloudySST` and `CombinedSystem` are observers.
    """

    def observe(self, dataset: xr.Dataset, *, rng: RandomState = None) -> xr.Dataset:
        """Return the variables of `dataset`, with errors, NaN where nothing is observed.

        The result has the names, grid, order of dimensions, dtypes and attributes of `dataset`,
        and a boolean coordinate ``sea``. Two calls with one seed are equal.
        """
        ...


def observed_variables(dataset: xr.Dataset, grid: Grid) -> list[Hashable]:
    """Return the names of the variables that have time, latitude and longitude.

    Raises
    ------
    InvalidInputError
        If there is none, or one has further dimensions or no floating-point values.
    """
    axes = set(grid.axes.dims)
    names = [name for name, array in dataset.data_vars.items() if axes <= set(array.dims)]
    if not names:
        raise InvalidInputError(
            f"no variable has the dimensions {grid.axes.dims}; the dataset has "
            f"{ {str(name): array.dims for name, array in dataset.data_vars.items()} }."
        )
    for name in names:
        check_decoded(dataset[name])
        if set(dataset[name].dims) != axes:
            extra = sorted(map(str, set(dataset[name].dims) - axes))
            raise InvalidInputError(
                f"variable {name!r} has the further dimensions {extra}; select one of each with "
                f"dataset.isel({extra[0]}=0)."
            )
        if not np.issubdtype(dataset[name].dtype, np.floating):
            raise InvalidInputError(
                f"variable {name!r} holds {dataset[name].dtype} values, which have no NaN for "
                "unobserved cells; convert it with astype(float), or drop it."
            )
    return names


def observe_maps(
    kernel: Callable[..., np.ndarray], array: xr.DataArray, grid: Grid, *of_days: np.ndarray
) -> xr.DataArray:
    """Apply `kernel` to the maps of a variable; a lazy one stays lazy.

    Parameters
    ----------
    kernel : callable
        From maps (days, latitude, longitude), on the increasing axes of `grid`, and the parts of
        `of_days` for the same days, to observed maps.
    array : xarray.DataArray
        With time, latitude and longitude, in any order.
    grid : Grid
        Its grid.
    of_days : numpy.ndarray
        Shape (time,), or (time, latitude, longitude) with increasing axes.

    Returns
    -------
    xarray.DataArray
        With the order of dimensions, the chunks and the attributes of `array`.
    """
    time, *horizontal = grid.axes.dims
    array = trusted_values(array)
    arranged = grid.arrange(array)
    if array.chunks is not None:
        arranged = arranged.chunk(dict.fromkeys(horizontal, -1))
    observed = xr.apply_ufunc(
        kernel,
        arranged,
        *(xr.DataArray(values, dims=grid.axes.dims[: values.ndim]) for values in of_days),
        input_core_dims=[horizontal, *(horizontal[: values.ndim - 1] for values in of_days)],
        output_core_dims=[horizontal],
        dask="parallelized",
        output_dtypes=[array.dtype],
        keep_attrs=False,
    )
    restored = grid.restore(observed, array).assign_attrs(lasting(array.attrs))
    return restored if array.chunks is None else restored.chunk(array.chunksizes)


def add_sea(dataset: xr.Dataset, names: Sequence[Hashable], grid: Grid) -> xr.Dataset:
    """Add the coordinate ``sea`` where there is none: True where a variable is finite on any day.

    Parameters
    ----------
    dataset : xarray.Dataset
        Complete maps.
    names : list of str
        The variables that tell sea from land.
    grid : Grid
        Grid of `dataset`.
    """
    if "sea" in dataset.variables:
        return dataset
    sea, *others = (trusted_values(dataset[name]).notnull().any(grid.axes.time) for name in names)
    for other in others:
        sea = sea | other
    sea = sea.transpose(*(dim for dim in dataset[names].dims if dim in sea.dims))
    sea = sea.drop_vars([name for name in sea.coords if name not in sea.dims])
    sea.attrs = {"long_name": "true where there are values on any day"}
    return dataset.assign_coords(sea=sea)
