"""What observing systems share: the way of maps through a kernel, variables, and the sea."""

import numpy as np
import pytest
import xarray as xr
from toys import toy_system, toy_truth

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import find_grid
from xdvarnet.observing.observer import Observer, add_sea, observe_maps, observed_variables

DAYS, ROWS, COLUMNS = 4, 5, 6


@pytest.fixture
def upside_down():
    """A sea whose every axis is in another order than inside: longitude, time, falling latitude."""
    truth = toy_truth(DAYS, ROWS, COLUMNS).drop_vars("sea")
    return truth.isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat")


@pytest.mark.parametrize("chunks", [None, {"time": 3, "lat": 2}])
def test_a_kernel_sees_increasing_axes_and_its_days(upside_down, chunks):
    """It adds what it is given for days and for cells, in an order that the Dataset has not."""
    array = upside_down["ssh"] if chunks is None else upside_down["ssh"].chunk(chunks)
    grid = find_grid(upside_down)
    of_days = 100.0 * np.arange(DAYS)
    of_cells = np.arange(float(DAYS * ROWS * COLUMNS)).reshape(DAYS, ROWS, COLUMNS)

    def kernel(maps, days, cells):
        assert maps.shape[1:] == cells.shape[1:] == (ROWS, COLUMNS)
        assert len(maps) == len(days) == len(cells)
        return maps + days[:, None, None] + cells

    found = observe_maps(kernel, array, grid, of_days, of_cells)
    assert found.chunks == array.chunks
    assert (found.dims, found.attrs) == (array.dims, array.attrs)
    added = xr.DataArray(
        of_days[:, None, None] + of_cells,
        dims=("time", "lat", "lon"),
        coords={"time": array["time"], "lat": np.sort(array["lat"]), "lon": array["lon"]},
    )
    xr.testing.assert_allclose(found.compute(), upside_down["ssh"] + added)  # matched by labels


def test_only_maps_are_observed(upside_down):
    dataset = upside_down.assign(depth=("lat", np.arange(ROWS)), sst=upside_down["ssh"] + 20)
    assert observed_variables(dataset, find_grid(dataset)) == ["ssh", "sst"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.mean("time").expand_dims(day=2).assign_coords(time=d["time"]), "no variable"),
        (lambda d: d.expand_dims(level=2, run=3), r"\['level', 'run'\]; .*isel\(level=0\)"),
        (lambda d: d.fillna(0).astype(int), "'ssh' holds int64 values, which have no NaN"),
    ],
)
def test_variables_that_cannot_be_observed_are_refused(upside_down, change, message):
    with pytest.raises(InvalidInputError, match=message):
        observed_variables(change(upside_down), find_grid(upside_down))


def test_sea_is_where_any_variable_has_a_value_on_any_day(upside_down):
    values = np.full((COLUMNS, DAYS, ROWS), np.nan)
    first, second = values.copy(), values.copy()
    first[1, 2, 3] = second[4, 0, 0] = second[1, 3, 3] = 0.0
    dims = ("lon", "time", "lat")
    dataset = upside_down.assign(ssh=(dims, first), sst=(dims, second))
    sea = add_sea(dataset, ["ssh", "sst"], find_grid(dataset))["sea"]
    assert sea.dims == ("lon", "lat")
    assert sea.dtype == bool
    assert set(map(tuple, np.argwhere(sea.values))) == {(1, 3), (4, 0)}
    given = dataset.assign_coords(sea=~sea)
    assert add_sea(given, ["ssh", "sst"], find_grid(dataset)) is given
    assert "sea" not in dataset.variables


def test_whatever_observes_is_an_observer():
    class Everything:
        def observe(self, dataset, *, rng=None):
            return dataset

    assert isinstance(Everything(), Observer)
    assert isinstance(toy_system(), Observer)
    assert not isinstance(toy_truth(), Observer)
