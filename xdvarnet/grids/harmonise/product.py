"""Bring real products to one convention: names, units, longitudes, days and masks."""

import numpy as np
import pandas as pd
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.checks import check_dataset
from xdvarnet.grids.coords import days_since_epoch
from xdvarnet.grids.harmonise.conversion import build, decode
from xdvarnet.grids.harmonise.flags import find_sea
from xdvarnet.grids.harmonise.longitude import drop_repeated, wrap_longitude
from xdvarnet.grids.harmonise.positions import (
    are_points,
    bounds_of,
    find_positions,
    name_positions,
)
from xdvarnet.grids.harmonise.roles import drop_depth, find_roles
from xdvarnet.grids.harmonise.table import read_table
from xdvarnet.grids.history import add_history

DONE = "xdvarnet_harmonised"
"""Attribute that lists what `harmonise` did."""

_HOURS_OF_DAILY_MAPS = (9, 12)
_DAY = np.timedelta64(1, "D")


def harmonise(dataset: xr.Dataset | pd.DataFrame) -> xr.Dataset:
    """Bring a product of altimetry, temperature or a model to one convention.

    Along-track and swath products, gridded maps and model output differ in the names of variables
    and coordinates, in units, in the range of longitudes and in the stamps of days. What a variable
    is, is read from its CF attributes, and from its name where they are absent or ambiguous.

    Parameters
    ----------
    dataset : xarray.Dataset or pandas.DataFrame
        Points along a track, a swath, maps on a grid, or model output on a curvilinear grid. Packed
        integers are decoded. Or an along-track table with one row for each value, with the columns
        ``time``, ``latitude``, ``longitude``, ``variable`` and ``value``, as the Copernicus Marine
        Toolbox returns it and as ``pandas.read_parquet`` or ``read_csv`` reads its files.

    Returns
    -------
    xarray.Dataset
        With the coordinates ``time``, ``lat`` and ``lon`` and those of these variables that are
        there or follow:

        - ``ssh`` (m), sea surface height above the geoid: the absolute dynamic topography, or
          ``sla + mdt``;
        - ``sla`` (m), the anomaly as delivered, unfiltered if there is the choice; the
          long-wavelength correction ``lwe`` (m) stays in it and beside it;
        - ``mdt`` (m), mean dynamic topography;
        - ``sst`` (degC).

        Other variables keep name and values; further variants of the same quantity (filtered ones)
        are left out. Dimensions keep their order, values their dtype and chunks; of dask arrays
        only positions, times and flags of land are computed, and for a bare mask where there are
        values. Longitudes of points and of
        curvilinear grids are -180 <= lon < 180; an axis is shifted as a whole so that its western
        end is in that range.
        Points of a track without time or position are left out, and columns of a globe that come
        again after 360 degrees. Heights and temperatures whose quality flag is not good are NaN
        (``quality_flag``; of temperatures also ``quality_level`` and ``qual_sst``: acceptable and
        best quality are kept), and so are fills and what is outside the valid range. Attributes of
        packing and valid ranges are left out. Daily maps of temperature alone, stamped 09:00 or
        12:00, are stamped 00:00 of their date. Flags of land and water give the boolean coordinate
        ``sea``: by their ``flag_meanings`` or ``standard_name``; a bare mask of zeros and ones by
        where the quantities have no values, which is land.

        The attribute ``xdvarnet_harmonised`` lists what was done, and ``history`` has a line more.
        Harmonising again changes nothing.

    Raises
    ------
    InvalidTypeError
        If `dataset` is neither; of a DataTree, one node is to be chosen.
    InvalidInputError
        If it has no variables (a file of groups), no variable that is recognised, no longitude and
        latitude, two time axes, times that are no dates, several candidates of which none is
        preferred, or units that do not convert; or packed integers were made floating-point
        numbers without being decoded; or a table lacks a column, or has two values at one point.

    Warns
    -----
    XdvarnetWarning
        Of each variable with fills, infinities, implausible values or values outside its valid
        range, with their number and the place of the first; and if no value is of good quality.

    Examples
    --------
    >>> import numpy as np, pandas as pd, xarray as xr
    >>> track = xr.Dataset(
    ...     {"sla_unfiltered": ("time", [0.1, 0.2]), "mdt": ("time", [0.5, 0.5])},
    ...     {
    ...         "time": pd.date_range("2017-01-01", periods=2, freq="s"),
    ...         "longitude": ("time", [300.0, 300.1]),
    ...         "latitude": ("time", [36.0, 36.1]),
    ...     },
    ... )
    >>> harmonised = harmonise(track)
    >>> harmonised["ssh"].values.round(1).tolist(), harmonised["lon"].values.round(1).tolist()
    ([0.6, 0.7], [-60.0, -59.9])
    >>> harmonised.attrs["xdvarnet_harmonised"].split("; ")[-3]
    'sla = sla_unfiltered'
    """
    dataset, done = read_table(dataset) if isinstance(dataset, pd.DataFrame) else (dataset, [])
    _check(dataset)
    dataset, steps = decode(dataset)
    done += steps
    dataset, steps = drop_depth(dataset)
    done += steps
    roles = find_roles(dataset)
    chosen = [roles[role][0] for role in roles]
    axes = find_positions(dataset, chosen)
    points = are_points(dataset, axes)
    dataset, steps = name_positions(dataset, axes)
    done += steps
    for step in (_drop_unplaced, _describe_times) if points and dataset["lon"].ndim == 1 else ():
        dataset, steps = step(dataset)
        done += steps
    dataset, steps = drop_repeated(dataset) if "lon" in dataset.dims else (dataset, [])
    done += steps
    dataset, steps = wrap_longitude(dataset)
    done += steps
    dataset, steps = (dataset, []) if points else _add_sea(dataset, chosen)
    done += steps
    dataset, steps = build(dataset, roles)
    done += steps
    dataset, steps = (dataset, []) if points else _to_midnight(dataset)
    return _describe(dataset, done + steps)


def _check(dataset: xr.Dataset | xr.DataTree) -> None:
    if isinstance(dataset, xr.DataTree):
        raise InvalidTypeError(
            f"expected an xarray Dataset, got a DataTree with the nodes {list(dataset.groups)}; "
            "pick one of them: tree['/node'].to_dataset()."
        )
    check_dataset(dataset)
    if not dataset.variables:
        raise InvalidInputError(
            "the dataset has no variables; of a file that holds groups, open one of them: "
            "xarray.open_dataset(path, group=...). xarray.open_groups(path) lists them."
        )


def _drop_unplaced(track: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    known = track["time"].notnull() & np.isfinite(track["lon"]) & np.isfinite(track["lat"])
    missing = int((~known).sum())
    if not missing:
        return track, []
    (dim,) = track["lon"].dims
    kept = track.isel({dim: np.flatnonzero(known.values)})
    return kept, [f"{missing} points without time or position left out"]


def _describe_times(track: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    days = days_since_epoch(track["time"])
    back = int((np.diff(days) < 0).sum())
    notes = [f"times not in order ({back} steps back)"] if back else []
    repeated = _count_repeated(days, track["lon"].values, track["lat"].values)
    return track, notes + ([f"{repeated} points repeated"] if repeated else [])


def _count_repeated(days: np.ndarray, *positions: np.ndarray) -> int:
    """Count the points that come again; only those of one time are compared with each other."""
    order = np.argsort(days, kind="stable")  # of times in order it takes no time
    same = np.diff(days[order]) == 0
    tied = order[np.append(same, False) | np.insert(same, 0, False)] if same.any() else order[:0]
    points = np.stack([days[tied], *(values[tied] for values in positions)])
    return tied.size - np.unique(points, axis=1).shape[1] if tied.size else 0


def _to_midnight(maps: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Stamp daily maps of temperature at 00:00; a height at noon is a mean around noon, kept."""
    heights = {"ssh", "sla", "mdt"} & set(maps.data_vars)
    dated = "time" in maps.coords and maps["time"].dtype.kind == "M"
    if heights or not dated or "lon" not in maps.dims:
        return maps, []
    times = maps["time"]
    midnights = times.values.astype("datetime64[D]")
    hours = np.unique((times.values - midnights) / np.timedelta64(1, "h"))
    if hours.size != 1 or hours[0] not in _HOURS_OF_DAILY_MAPS or not _are_daily(maps):
        return maps, []
    moved = times.copy(data=midnights.astype(times.dtype)).variable
    return maps.assign_coords(time=moved), [f"time {hours[0]:02.0f}:00 -> 00:00"]


def _are_daily(maps: xr.Dataset) -> bool:
    bounds = bounds_of(maps["time"])
    if bounds in maps.variables and maps[bounds].dtype.kind == "M":
        lengths = np.ptp(maps[bounds].values, axis=-1) / _DAY
        return bool((np.abs(lengths - 1) < 0.5).all())
    steps = np.diff(np.atleast_1d(maps["time"].values))
    return not steps.size or bool(np.median(steps / _DAY) == 1)


def _add_sea(maps: xr.Dataset, chosen: list[str]) -> tuple[xr.Dataset, list[str]]:
    if "sea" in maps.variables:
        return maps, []
    sea, done = find_sea(maps, chosen)
    return (maps if sea is None else maps.assign_coords(sea=sea.variable)), done


def _describe(dataset: xr.Dataset, done: list[str]) -> xr.Dataset:
    dataset = dataset.copy()
    for variable in dataset.variables.values():
        variable.encoding.pop("coordinates", None)  # these name what was renamed
        variable.attrs.pop("coordinates", None)
    dataset.encoding.pop("unlimited_dims", None)
    before = dataset.attrs.get(DONE)
    known = before.split("; ") if before else []
    new = [step for step in dict.fromkeys(done) if step not in known]
    if before and not new:
        return dataset
    text = "; ".join(known + new) or "was in the convention"
    attributes = add_history(dataset.attrs, f"harmonise: {'; '.join(new) or text}")
    return dataset.assign_attrs({**attributes, DONE: text})
