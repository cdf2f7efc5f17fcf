"""Tables with one row for each value become points along a track."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xdvarnet
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.harmonise.product import harmonise


def track(mission: str, seed: int, start: str) -> xr.Dataset:
    """Return a track as its netCDF file has it."""
    rng, n = np.random.default_rng(seed), 40
    arrays = {
        name: ("time", rng.normal(0, 0.2, n), {"units": "m"})
        for name in ("sla_filtered", "sla_unfiltered", "mdt")
    }
    return xr.Dataset(
        arrays | {"mission": ("time", np.full(n, mission))},
        {
            "time": pd.date_range(start, periods=n, freq="s"),
            "longitude": ("time", 300 + 0.1 * np.arange(n)),
            "latitude": ("time", 40 - 0.05 * np.arange(n)),
        },
    )


def table_of(tracks: xr.Dataset) -> pd.DataFrame:
    """Return the table of the toolbox with the same values: variables one below the other."""
    wide = tracks.to_dataframe().reset_index().rename(columns={"mission": "platform_id"})
    names = ["sla_filtered", "sla_unfiltered", "mdt"]
    kept = ["platform_id", "time", "longitude", "latitude"]
    long = wide.melt(kept, names)
    return long.assign(platform_type="SL", depth=np.nan, pressure=np.nan, value_qc=np.nan)


FILES = xr.concat([track("j2", 0, "2015-01-01T00:00"), track("c2", 1, "2015-01-01T00:00")], "time")
FILES = FILES.isel(time=np.argsort(FILES["time"].values, kind="stable"))


def test_a_table_is_what_the_files_are():
    """Whatever the order of the rows, in the order of time."""
    table = table_of(FILES)
    expected = harmonise(FILES)
    for rows in (table, table.iloc[::-1], table.sample(frac=1, random_state=0)):
        result = harmonise(rows).sortby(["time", "mission"])
        xr.testing.assert_allclose(result, expected.sortby(["time", "mission"]), rtol=1e-15)
    assert (np.diff(harmonise(table)["time"]) >= np.timedelta64(0, "s")).all()


def test_an_index_is_a_column():
    """Also one without a name, if it holds dates."""
    table = table_of(FILES)
    for rows in (
        table.set_index("time"),
        table.set_index("time").rename_axis(None),
        table.set_index(["time", "platform_id"]),
    ):
        xr.testing.assert_identical(
            harmonise(rows).drop_attrs(deep=False), harmonise(table).drop_attrs(deep=False)
        )


def test_a_file_of_the_table_is_read_by_pandas(tmp_path):
    """Times of a CSV file are text, in UTC."""
    table = table_of(FILES)
    path = tmp_path / "tracks.csv"
    table.assign(time=table["time"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")).to_csv(path)
    xr.testing.assert_allclose(harmonise(pd.read_csv(path)), harmonise(table), rtol=1e-12)


def test_a_parquet_file_of_the_table(tmp_path):
    """It gives the same points."""
    pytest.importorskip("pyarrow")
    table_of(FILES).to_parquet(tmp_path / "tracks.parquet")
    read = pd.read_parquet(tmp_path / "tracks.parquet")
    xr.testing.assert_identical(harmonise(read), harmonise(table_of(FILES)))


def test_missing_rows_are_missing_values():
    """A point that lacks one variable keeps the others; bad values are left out, and said."""
    table = table_of(FILES)
    first = (table["variable"] == "sla_unfiltered") & (table["time"] == table["time"].min())
    flags = np.where(first, 4, 1)
    for rows in (table[~first], table.assign(value_qc=flags)):
        result = xdvarnet.harmonise(rows)
        assert int(result["sla"].isnull().sum()) == 2 and int(result["mdt"].isnull().sum()) == 0
        assert result.sizes["time"] == FILES.sizes["time"]
    assert "2 values of value_qc (3, 4, 9) left out" in result.attrs["xdvarnet_harmonised"]


def test_what_is_refused():
    """The message says what a table needs; following it works."""
    table = table_of(FILES)
    with pytest.raises(InvalidInputError, match=r"lacks \['variable', 'value'\].*to_xarray"):
        harmonise(table.drop(columns=["variable", "value"]))
    seconds = (table["time"] - pd.Timestamp("1970-01-01")) / pd.Timedelta("1s")
    with pytest.raises(InvalidInputError, match=r"numbers .*unit='s'"):
        harmonise(table.assign(time=seconds))
    followed = table.assign(time=pd.to_datetime(seconds, unit="s"))
    assert harmonise(followed).sizes["time"] == 80
    twice = pd.concat([table, table.assign(value=table["value"] + 1)])
    with pytest.raises(InvalidInputError, match="two values of 'sla_filtered' at 80 point"):
        harmonise(twice)
    once = twice.drop_duplicates(["platform_id", "time", "latitude", "longitude", "variable"])
    xr.testing.assert_identical(harmonise(once), harmonise(table))
    xr.testing.assert_equal(harmonise(pd.concat([table, table])), harmonise(table))


def test_fills_in_a_table_are_missing():
    """The rule of values is the same."""
    table = table_of(FILES)
    table.loc[0, "value"] = -9999.0
    with pytest.warns(xdvarnet.XdvarnetWarning, match="'sla_filtered' has 1 fill value"):
        harmonise(table)
