"""Read along-track tables with one row for each value, as the Copernicus Marine Toolbox has them.

Its sparse datasets come as a DataFrame, a CSV or a parquet file, with the columns ``variable``,
``platform_id``, ``time``, ``longitude``, ``latitude``, ``value``, ``value_qc`` and further ones.
"""

import numpy as np
import pandas as pd
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.names import DEGREES

NEEDED = ("time", "latitude", "longitude", "variable", "value")
"""Columns of a table."""

NAMES = ("platform_id", "time", "latitude", "longitude")
"""Columns that tell points apart."""

BAD = (3, 4, 9)
"""Flags ``value_qc`` of values that are bad, and may be corrected, or missing (flags of the In Situ
Thematic Centre of the Copernicus Marine Service)."""


def read_table(table: pd.DataFrame) -> tuple[xr.Dataset, list[str]]:
    """Make points along a track of a table with one row for each value.

    Parameters
    ----------
    table : pandas.DataFrame
        With the columns of `NEEDED`, of which some may be its index; ``platform_id`` and
        ``value_qc`` are used where they are there, others are not.

    Returns
    -------
    xarray.Dataset, list of str
        One variable for each name in ``variable``, and ``mission`` where there are platforms, along
        ``time``, in its order; NaN where a point has no such value. And what was done.

    Raises
    ------
    InvalidInputError
        If a column is missing, times are numbers, or a point has two values of one variable.
    """
    if isinstance(table.index, pd.DatetimeIndex) and "time" not in table:
        table = table.rename_axis("time")
    if set(NEEDED) & set(table.index.names):
        table = table.reset_index()
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise InvalidInputError(
            f"the table has the columns {list(map(str, table.columns))} and lacks {missing}; "
            f"accepted are tables with one row for each value, with {list(NEEDED)}. A table with "
            "one column for each variable becomes a Dataset with "
            "table.set_index('time').to_xarray()."
        )
    table = table.assign(time=_times(table["time"]))
    done, rows = [], len(table)
    if "value_qc" in table:
        bad = pd.to_numeric(table["value_qc"], errors="coerce").isin(BAD)
        table = table[~bad]
        done += [f"{int(bad.sum())} values of value_qc {BAD} left out"] if bad.any() else []
    names = [name for name in NAMES if name in table]
    points = table.drop_duplicates(names).sort_values("time", kind="stable")
    number = pd.MultiIndex.from_frame(points[names]).get_indexer(
        pd.MultiIndex.from_frame(table[names])
    )
    coords = {name: ("time", points[name].to_numpy(float), DEGREES[name]) for name in DEGREES}
    dataset = xr.Dataset(coords={"time": points["time"].to_numpy(), **coords})
    for name, part in table.assign(number=number).groupby("variable", sort=False):
        _check_single(str(name), part)
        values = np.full(len(points), np.nan)
        values[part["number"]] = part["value"]
        dataset[str(name)] = ("time", values)
    if "platform_id" in names:
        dataset["mission"] = ("time", points["platform_id"].to_numpy(str))
    return dataset, [f"table of {rows} rows -> {len(points)} points", *done]


def _times(times: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(times):
        raise InvalidInputError(
            f"the times of the table are numbers ({times.dtype}); make dates of them, such as "
            "table.assign(time=pandas.to_datetime(table['time'], unit='s'))."
        )
    return pd.to_datetime(times, utc=True).dt.tz_localize(None)


def _check_single(name: str, part: pd.DataFrame) -> None:
    """Refuse two different values of one variable at one point."""
    several = part.drop_duplicates(["number", "value"])["number"].duplicated()
    if several.any():
        raise InvalidInputError(
            f"the table has two values of {name!r} at {int(several.sum())} point(s), such as "
            f"{part['time'].iloc[int(np.argmax(several))]}; keep one of each: "
            f"table.drop_duplicates({[*NAMES, 'variable']}). If these are several depths, select "
            "one."
        )
