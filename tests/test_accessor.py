"""The accessor: each method is one call of the public function of the same name."""

import inspect
import xml.etree.ElementTree

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xdvarnet
from xdvarnet.accessor import DVarNetAccessor

METHODS = sorted(name for name in vars(DVarNetAccessor) if not name.startswith("_"))


@pytest.fixture
def dataset() -> xr.Dataset:
    """Return five days of a field that is constant on each, 12 x 16 cells."""
    values = np.ones((5, 12, 16)) * np.arange(5.0)[:, None, None]
    coords = {
        "time": pd.date_range("2005-06-10", periods=5),
        "lat": 36 + 0.25 * np.arange(12),
        "lon": 2 + 0.5 * np.arange(16),
    }
    return xr.Dataset({"ssh": (("time", "lat", "lon"), values, {"units": "m"})}, coords)


def parameters(function) -> list[inspect.Parameter]:
    """Return all parameters but the first, without annotations."""
    found = list(inspect.signature(function).parameters.values())[1:]
    return [parameter.replace(annotation=inspect.Parameter.empty) for parameter in found]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_the_parameters_of_its_function(name):
    assert parameters(getattr(DVarNetAccessor, name)) == parameters(getattr(xdvarnet, name))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_hands_all_its_parameters_on(name, dataset, monkeypatch):
    """Each argument reaches the function under its own name."""
    seen = {}

    def record(first, *args, **kwargs):
        seen.update(first=first, args=args, kwargs=kwargs)
        return "result"

    home = inspect.getmodule(getattr(xdvarnet, name))
    monkeypatch.setattr(home, name, record)
    wanted = parameters(getattr(DVarNetAccessor, name))
    plain = [p.name for p in wanted if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    named = {p.name: f"<{p.name}>" for p in wanted if p.kind is inspect.Parameter.KEYWORD_ONLY}
    assert getattr(dataset.dvarnet, name)(*plain, **named) == "result"
    assert seen == {"first": dataset, "args": tuple(plain), "kwargs": named}


def test_it_holds_the_dataset_and_nothing_else(dataset):
    assert list(vars(dataset.dvarnet)) == ["_dataset"]


@pytest.mark.parametrize(
    "change",
    [
        lambda ds: ds.isel(time=slice(1, 4)),
        lambda ds: ds.copy(deep=True),
        lambda ds: ds.assign(other=ds["ssh"]),
        lambda ds: ds.transpose("lon", "lat", "time"),
    ],
    ids=["isel", "copy", "assign", "transpose"],
)
def test_it_survives_operations_on_the_dataset(change, dataset):
    assert dataset.dvarnet is not None
    changed = change(dataset)
    assert float(changed.dvarnet.score(dataset, variable="ssh")["rmse"]) == 0
    assert changed.dvarnet._dataset is changed


@pytest.mark.parametrize("name", METHODS)
def test_a_method_points_to_its_function(name):
    assert f"As `xdvarnet.{name}`" in getattr(DVarNetAccessor, name).__doc__


def test_a_notebook_shows_its_methods(dataset):
    """Each in a row, with the first sentence of what it does."""
    rows = xml.etree.ElementTree.fromstring(dataset.dvarnet._repr_html_()).findall("tr")
    shown = {row.findtext("th"): row.findtext("td") for row in rows}
    assert set(shown) == set(METHODS)
    assert all(
        DVarNetAccessor.__dict__[name].__doc__.startswith(text) for name, text in shown.items()
    )
    assert shown["reconstruct"] == "Complete the observations to maps with a model."
