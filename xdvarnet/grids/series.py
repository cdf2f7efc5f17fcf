"""Series of a dynamical model: find their dimensions, check them, give results the same form."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, UnknownNameError
from xdvarnet.grids.checks import check_dataset
from xdvarnet.grids.values import trusted_values

STATE = "state"
"""Name of the variable of a series."""

CORE = ("time", "component")
"""Dimensions that a series has; all others count samples."""

EVEN = 1e-6
"""Relative departure of a time step from the mean one that is accepted."""

SAME_TIME = 1e-3
"""Departure of a time of observation from that of the state that is accepted, in time steps."""


@dataclass(frozen=True)
class Series:
    """Series as arrays, and the way back to their Dataset.

    Attributes
    ----------
    values : numpy.ndarray
        Shape (sample, time, component), float64; NaN where unobserved.
    times : numpy.ndarray
        In the model's unit, increasing and evenly spaced, shape (time,).
    ordered : xarray.DataArray
        The variable, with time and component as its last dimensions.
    like : xarray.DataArray
        The variable as it was given.
    """

    values: np.ndarray
    times: np.ndarray
    ordered: xr.DataArray
    like: xr.DataArray

    @property
    def labels(self) -> list | None:
        """Names of the components, where there is a coordinate for them."""
        if "component" not in self.like.coords:
            return None
        return self.like["component"].values.tolist()

    @property
    def dt(self) -> float:
        """Time step."""
        return float(self.times[-1] - self.times[0]) / (self.times.size - 1)

    def restore(self, values: np.ndarray) -> xr.DataArray:
        """Give values (..., sample, time, component) the order, coordinates and dtype of the input.

        A dimension before these three is called ``member``.
        """
        shape, dims, order = self.ordered.shape, self.ordered.dims, self.like.dims
        if values.ndim > self.values.ndim:
            shape, dims = (len(values), *shape), ("member", *dims)
            order = ("member", *order)
        field = xr.DataArray(values.reshape(shape), dims=dims, coords=self.ordered.coords)
        return field.transpose(*order).astype(self.like.dtype)


def find_series(dataset: xr.Dataset) -> Series:
    """Find the series of a Dataset.

    Parameters
    ----------
    dataset : xarray.Dataset
        With ``state``, which has the dimensions ``time`` and ``component`` in any order, and any
        others, which count samples; and the coordinate ``time``, evenly spaced numbers in the
        model's unit.

    Raises
    ------
    InvalidTypeError
        If it is no Dataset.
    UnknownNameError
        If there is no ``state``.
    InvalidInputError
        If ``state`` lacks a dimension, has no sample or infinite values, is held by dask, or its
        times are not as above.
    """
    check_dataset(dataset, variable=STATE)
    if STATE not in dataset:
        raise UnknownNameError(
            f"this model takes series, and the dataset has no variable 'state'; it has "
            f"{list(dataset.data_vars)}. Rename yours with dataset.rename(...)."
        )
    like = trusted_values(dataset[STATE])
    missing = set(CORE) - set(like.dims)
    if missing:
        raise InvalidInputError(
            f"state needs the dimensions time and component; it has {tuple(like.dims)}."
        )
    if like.chunks:
        raise InvalidInputError("state is held by dask; load it first with dataset.load().")
    if not np.issubdtype(like.dtype, np.floating):
        raise InvalidInputError(
            f"state has the dtype {like.dtype}; give floating numbers, NaN where nothing was "
            "observed."
        )
    if like.size == 0:
        raise InvalidInputError(f"state is empty: its shape is {like.shape}.")
    ordered = like.transpose(..., *CORE)
    values = ordered.values.astype(float).reshape(-1, *ordered.shape[-2:])
    return Series(values, _find_times(like), ordered, like)


def check_labels(given: Sequence[Hashable] | None, known: Sequence[Hashable] | None) -> None:
    """Refuse components of other names, or in another order, than those that are known.

    Raises
    ------
    InvalidInputError
        If both have labels, as many, and these differ.
    """
    if given is None or known is None or len(given) != len(known) or list(given) == list(known):
        return
    same = set(given) == set(known)
    advice = f"reorder with dataset.sel(component={list(known)})" if same else "rename them"
    raise InvalidInputError(
        f"the components are {list(given)}, and the model was made for {list(known)}; {advice}."
    )


def check_pair(observed: Series, truth: Series) -> None:
    """Refuse observations that are not of the states of a truth, one by one.

    Raises
    ------
    InvalidInputError
        If they differ in shape, in their times or in a coordinate of their samples.
    """
    if observed.values.shape != truth.values.shape:
        raise InvalidInputError(
            f"truth and observations differ in shape (sample, time, component): "
            f"{truth.values.shape} and {observed.values.shape}."
        )
    step = truth.dt
    if np.abs(observed.times - truth.times).max() > SAME_TIME * step:
        raise InvalidInputError(
            f"truth and observations differ in their times: they begin at {truth.times[0]:g} and "
            f"{observed.times[0]:g}, with steps of {step:g} and {observed.dt:g}; give both the "
            "same."
        )
    samples = set(truth.ordered.dims[:-2]) & set(observed.ordered.dims[:-2])
    for dim in samples & set(truth.ordered.indexes) & set(observed.ordered.indexes):
        if not truth.ordered.indexes[dim].equals(observed.ordered.indexes[dim]):
            raise InvalidInputError(
                f"truth and observations differ in the coordinate {dim!r}: states are paired by "
                "their position; select the same ones, in the same order."
            )


def _find_times(state: xr.DataArray) -> np.ndarray:
    if "time" not in state.coords:
        raise InvalidInputError(
            "state has no coordinate 'time'; give times in the model's unit, such as "
            "dataset.assign_coords(time=0.01 * np.arange(200))."
        )
    times = state["time"].values
    if times.dtype.kind not in "iuf":
        raise InvalidInputError(
            f"time has the dtype {times.dtype}; the times of a series are numbers in the model's "
            "unit, such as 0.01 * np.arange(200)."
        )
    given, times = times, times.astype(float)
    if times.size < 2:
        raise InvalidInputError(f"a series of {times.size} time is too short; give two at least.")
    steps = np.diff(times)
    if not np.isfinite(times).all():
        raise InvalidInputError("times should be finite numbers, and some are not.")
    if (steps <= 0).any():
        advice = (
            "drop those that repeat with dataset.drop_duplicates('time')"
            if np.unique(times).size < times.size
            else "sort the series with dataset.sortby('time')"
        )
        raise InvalidInputError(f"times should increase; {advice}.")
    rounding = np.finfo(given.dtype).eps * np.abs(times).max() if given.dtype.kind == "f" else 0.0
    if np.abs(steps - steps.mean()).max() > EVEN * steps.mean() + 2 * rounding:
        raise InvalidInputError(
            f"times should increase by even steps; they are {steps.min():g} to {steps.max():g}. "
            "Reindex the series on even times, NaN where nothing was observed."
        )
    return times
