"""Pieces of tracks without a gap, and the labels of missions, cycles and passes."""

import numpy as np
import pandas as pd
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_known, quantity
from xdvarnet.grids.points import Points, find_points

LABELS = {
    "mission": ("mission", "platform", "satellite"),
    "cycle": ("cycle", "cycle_number"),
    "pass": ("track", "pass", "pass_number"),
}
"""Names of the variables or coordinates that label the points of tracks."""

ROUNDING = 1e-5
"""Difference of two time steps that is only rounding, in seconds."""


def find_label(tracks: xr.Dataset, kind: str) -> np.ndarray | None:
    """Find the mission, the cycle or the pass of each point.

    Parameters
    ----------
    tracks : xarray.Dataset
        With longitude, latitude and time of the points.
    kind : {"mission", "cycle", "pass"}
        The label: a variable or coordinate ``mission``, ``platform`` or ``satellite``; ``cycle`` or
        ``cycle_number``; ``track``, ``pass`` or ``pass_number``. Attributes of the Dataset are not
        looked at.

    Returns
    -------
    numpy.ndarray or None
        The labels, shape (points,), or None where the tracks have none.

    Raises
    ------
    UnknownNameError
        If `kind` is unknown.
    InvalidInputError
        If `tracks` has no points along a track.
    """
    check_known(kind, LABELS, "label")
    return _find_label(tracks, find_points(tracks), kind)


def find_missions(tracks: xr.Dataset) -> np.ndarray:
    """Find the mission of each point, of several missions.

    Returns
    -------
    numpy.ndarray
        The labels, shape (points,).

    Raises
    ------
    InvalidInputError
        If the tracks have no missions, or only one.
    """
    missions = find_label(tracks, "mission")
    if missions is None or np.unique(missions).size < 2:
        found = "there is none" if missions is None else f"it has {np.unique(missions).tolist()}"
        raise InvalidInputError(
            "leaving one mission out needs tracks of two missions at least, told apart by a "
            f"variable 'mission' along the points; {found}. Join files with "
            "xarray.concat([first.assign(mission=('time', ...)), ...], 'time')."
        )
    return missions


def segments(tracks: xr.Dataset, *, gap: str | float = "4 s") -> xr.DataArray:
    """Number the pieces of tracks without a gap.

    A segment ends where the time to the next point of the same mission is longer than `gap`, and
    where the mission, the cycle or the pass changes (see `find_label`). Missions may follow each
    other or be mixed: the points of one do not cut those of another.

    Parameters
    ----------
    tracks : xarray.Dataset
        Points of nadir tracks, along one dimension; the times of each mission increase.
    gap : str or float
        Longest time between two points of a segment, in seconds if a number.

    Returns
    -------
    xarray.DataArray
        ``segment``, integers from 0 along the points, one mission after the other.

    Raises
    ------
    InvalidTypeError
        If `tracks` is no Dataset.
    InvalidInputError
        If the points are on two dimensions, the times of a mission do not increase, or `gap` is no
        positive time.

    Examples
    --------
    >>> tracks = xr.Dataset(coords={
    ...     "time": pd.to_datetime(["2017-01-01T00:00:00", "2017-01-01T00:00:01",
    ...                             "2017-01-01T00:00:09"]),
    ...     "longitude": ("time", [1.0, 1.1, 1.2]), "latitude": ("time", [40.0, 40.1, 40.2])})
    >>> segments(tracks).values
    array([0, 0, 1])
    """
    longest = quantity(gap, "seconds", "gap")
    points = find_points(tracks)
    if len(points.sizes) != 1:
        raise InvalidInputError(
            f"the points have the dimensions {list(points.sizes)}; segments are those of nadir "
            "tracks, along one dimension. Select one pixel of the swath."
        )
    labels = {kind: _codes(tracks, points, kind) for kind in LABELS}
    order = np.argsort(labels["mission"], kind="stable")
    steps = np.diff(points.days[order]) * 86400
    changes = {kind: np.diff(codes[order]) != 0 for kind, codes in labels.items()}
    _check_order(steps[~changes["mission"]], points)
    cuts = (steps > longest + ROUNDING) | np.any(list(changes.values()), axis=0)
    numbers = np.empty(order.size, int)
    numbers[order] = np.cumsum(np.concatenate([[0], cuts]))[: order.size]
    segment = points.restore(numbers).assign_coords(tracks.set_coords(points.axes.dims).coords)
    return segment.rename("segment").assign_attrs(long_name="piece of a track without a gap")


def _find_label(tracks: xr.Dataset, points: Points, kind: str) -> np.ndarray | None:
    for name in LABELS[kind]:
        if name in tracks.variables and set(tracks[name].dims) <= set(points.sizes):
            return points.flatten(tracks[name])
    return None


def _codes(tracks: xr.Dataset, points: Points, kind: str) -> np.ndarray:
    label = _find_label(tracks, points, kind)
    return np.zeros(points.days.size, int) if label is None else pd.factorize(label)[0]


def _check_order(steps: np.ndarray, points: Points) -> None:
    name, dim = points.axes.time, next(iter(points.sizes))
    if (steps < 0).any():
        raise InvalidInputError(
            f"coordinate {name!r} goes backwards within a mission, {int((steps < 0).sum())} "
            f"time(s); sort with tracks.sortby({name!r}). If these are blocks of several missions, "
            f"label them: tracks.assign(mission=({dim!r}, ...))."
        )
    if (steps == 0).any():
        swap = "" if name == dim else f".swap_dims({dim}={name!r})"
        raise InvalidInputError(
            f"coordinate {name!r} has {int((steps == 0).sum())} duplicate time(s) within a "
            f"mission; drop them with tracks{swap}.drop_duplicates({name!r}), for each mission "
            f"apart. If these are several missions, label them: tracks.assign(mission=({dim!r}, "
            "...))."
        )
