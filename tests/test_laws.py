"""Laws that every method and model obeys, over a list that a new public one has to be in."""

import importlib
import inspect
import pickle
import pkgutil

import numpy as np
import pytest
import torch
import xarray as xr
from instances import (
    CLASSES,
    ERROR,
    MAKERS,
    SERIES,
    classes_of,
    interpolation,
    observed_maps,
    observed_series,
)

import xdvarnet
from xdvarnet.calibration import Calibrated
from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping import Lead, Reconstructor
from xdvarnet.mapping.reconstruct import reconstruct

pytestmark = pytest.mark.filterwarnings("ignore::xdvarnet.XdvarnetWarning")

MAPS = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
OF_SERIES = pytest.mark.parametrize("make", SERIES.values(), ids=SERIES)
ALL = pytest.mark.parametrize(
    ("make", "observe"),
    [(make, observed_maps) for make in MAKERS.values()]
    + [(make, observed_series) for make in SERIES.values()],
    ids=[*MAKERS, *SERIES],
)


def run(dataset: xr.Dataset, model: Reconstructor, **options) -> xr.Dataset:
    return reconstruct(dataset, model, rng=0, **options)


def close(maps: xr.Dataset, other: xr.Dataset, atol: float = 2e-6) -> None:
    """Require the same fields, whatever order the coordinates are in."""
    assert set(maps.data_vars) == set(other.data_vars)
    for name in maps.data_vars:
        np.testing.assert_allclose(maps[name].values, other[name].values, atol=atol)


def test_no_public_method_is_forgotten():
    """Every class that a subpackage exports and that reconstructs has an instance."""
    public = set()
    for info in pkgutil.iter_modules(xdvarnet.__path__):
        if info.ispkg:
            module = importlib.import_module(f"xdvarnet.{info.name}")
            found = [getattr(module, name) for name in vars(module).get("__all__", [])]
            public |= {each for each in found if inspect.isclass(each)}
    kinds = {
        kind for kind in public if issubclass(kind, Reconstructor) and not inspect.isabstract(kind)
    }
    assert len(kinds) > 12
    missing = kinds - classes_of(MAKERS | SERIES)
    assert not missing, f"add an instance to tests/instances.py: {missing}"


def test_every_method_of_the_package_is_public():
    """A concrete reconstructor of a module is exported by its subpackage."""
    hidden = []
    for part in ("mapping", "methods", "networks", "calibration"):
        package = importlib.import_module(f"xdvarnet.{part}")
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            for name, kind in vars(importlib.import_module(info.name)).items():
                own = inspect.isclass(kind) and kind.__module__ == info.name
                if not own or not issubclass(kind, Reconstructor) or inspect.isabstract(kind):
                    continue
                if name not in package.__all__ and not name.startswith("_"):
                    hidden.append(f"{info.name}.{name}")
    bases = {"SolvedWindows", "GaussianField", "SampledField", "LocalInterpolation"}
    bases |= {"ParameterChannels", "Trainable"}
    assert {name.split(".")[-1] for name in hidden} == bases


@ALL
def test_the_input_is_left_as_it_is_and_seeds_repeat(make, observe):
    dataset, model = observe(), make()
    before = dataset.copy(deep=True)
    found = run(dataset, model)
    xr.testing.assert_identical(dataset, before)
    xr.testing.assert_identical(run(dataset, model), found)


@MAPS
def test_seeds_repeat_members(make):
    """Of every method that is calibrated; and the mean does not depend on the members."""
    dataset, model = observed_maps(), make()
    if not isinstance(model, Calibrated):
        spread = None if model.gives_std else interpolation()
        model = Calibrated(model, {"ssh": ERROR}, spread=spread)
    first, second = (run(dataset, model, members=3, return_members=True) for _ in range(2))
    xr.testing.assert_identical(first, second)
    close(first[["ssh"]], run(dataset, model)[["ssh"]], atol=0)


@ALL
def test_pickles_and_files_give_the_same(make, observe, tmp_path):
    dataset, model = observe(), make()
    found = run(dataset, model)
    xr.testing.assert_identical(run(dataset, pickle.loads(pickle.dumps(model))), found)
    path = tmp_path / "model.safetensors"
    xdvarnet.save_model(model, path)
    loaded = xdvarnet.load_model(path, classes=CLASSES)
    xr.testing.assert_identical(run(dataset, loaded).drop_attrs(), found.drop_attrs())
    assert type(loaded) is type(model)


@ALL
def test_results_promise_what_they_have(make, observe):
    dataset, model = observe(), make()
    found = run(dataset, model)
    for name in model.variables:
        assert (f"{name}_std" in found) == model.gives_std
        assert found[name].dims == dataset[name].dims
        assert found[name].dtype == dataset[name].dtype
    for value in found.attrs.values():
        assert isinstance(value, str | int | float)
    assert found.attrs["xdvarnet_model"] == repr(model)
    page = model._repr_html_()
    assert type(model).__name__ in page and page.startswith("<table")


@ALL
def test_the_default_type_of_torch_does_not_matter(make, observe):
    """A model gives the same numbers in the same dtypes, whatever a notebook has set since.

    One that is built after that runs too.
    """
    dataset, model = observe(), make()
    found = run(dataset, model)
    torch.set_default_dtype(torch.float64)
    try:
        other, built = run(dataset, model), run(dataset, make())
    finally:
        torch.set_default_dtype(torch.float32)
    for name in found.data_vars:
        assert other[name].dtype == built[name].dtype == found[name].dtype
        assert built[name].notnull().equals(found[name].notnull())
        scale = float(abs(found[name]).max())
        np.testing.assert_allclose(other[name], found[name], atol=1e-3 * scale)


@ALL
def test_nothing_observed_is_refused(make, observe):
    dataset = observe()
    name = next(iter(make().variables))
    empty = dataset.assign({name: dataset[name].where(False).assign_attrs(dataset[name].attrs)})
    with pytest.raises(InvalidInputError, match="no observation at all|observations are missing"):
        run(empty, make())


@ALL
def test_order_of_dimensions_does_not_matter(make, observe):
    dataset, model = observe(), make()
    found = run(dataset, model)
    turned = dataset.transpose(*reversed(list(dataset.sizes)))
    other = run(turned, model)
    assert all(other[name].dims == turned[name].dims for name in model.variables)
    close(other.transpose(*dataset.sizes), found.transpose(*dataset.sizes))


@OF_SERIES
def test_samples_do_not_depend_on_each_other(make):
    dataset, model = observed_series(), make()
    changed = dataset.copy(deep=True)
    changed["state"][2] = 0.5 * changed["state"][2]
    found, other = run(dataset, model), run(changed, model)
    close(other.isel(sample=slice(2)), found.isel(sample=slice(2)), atol=1e-5)
    assert not np.allclose(other["state"][2], found["state"][2])


@MAPS
def test_latitude_may_fall(make):
    dataset, model = observed_maps(), make()
    flipped = run(dataset.isel(lat=slice(None, None, -1)), model)
    close(flipped.isel(lat=slice(None, None, -1)), run(dataset, model))


@MAPS
def test_longitudes_may_be_cut_elsewhere(make):
    """A basin at 357..4 degrees, in one piece or as a global file has it, in two."""
    dataset, model = observed_maps(), make()
    if any("mean_maps" in vars(each) for each in backgrounds(model)):
        pytest.skip("its background has a place of its own")
    whole = run(dataset, model)
    across = dataset.assign_coords(lon=(dataset["lon"] - 5) % 360)
    close(run(across, model), whole, atol=1e-5)
    halves = run(across.sortby("lon"), model)
    close(halves.sel(lon=across["lon"]), whole, atol=1e-5)


def backgrounds(model: Reconstructor) -> list:
    inner = [part for part in vars(model).values() if isinstance(part, Reconstructor)]
    return [model.background, *(each for part in inner for each in backgrounds(part))]


@MAPS
def test_centimetres_in_centimetres_out(make):
    dataset, model = observed_maps(), make()
    centimetres = dataset.assign(ssh=(100 * dataset["ssh"]).assign_attrs(units="cm"))
    maps = run(centimetres, model)
    assert all(field.attrs["units"] == "cm" for field in maps.values())
    close(maps, 100 * run(dataset, model), atol=2e-4)


@MAPS
def test_land_is_missing_sea_is_complete_and_values_on_land_are_not_used(make):
    dataset, model = observed_maps(), make()
    maps = run(dataset, model)
    for field in maps.values():
        np.testing.assert_array_equal(field.notnull().all("time"), dataset["sea"])
        np.testing.assert_array_equal(field.notnull().any("time"), dataset["sea"])
    polluted = dataset.assign(ssh=dataset["ssh"].where(dataset["sea"], 9).assign_attrs(units="m"))
    close(run(polluted, model), maps, atol=0)


@MAPS
def test_lazy_is_eager(make):
    dataset, model = observed_maps(), make()
    lazy = run(dataset.chunk(time=4), model)
    assert lazy.chunks
    close(lazy.compute(), run(dataset, model))


@MAPS
def test_a_lead_sees_nothing_that_comes_later(make, monkeypatch):
    """Where a model takes one; a network that was not trained for it says so."""
    monkeypatch.setattr("xdvarnet.mapping.protocol.PAST", 4)  # a long past takes long
    dataset, model = observed_maps(), make()
    if isinstance(model, Lead | Calibrated):
        reason = "without this lead"
        if isinstance(model, Lead) or "forecast" in make.__name__:
            reason = "has a lead already"
        elif "network" in make.__name__:
            reason = "trained for one task"
        with pytest.raises(InvalidInputError, match=reason):
            Lead(model, 1)
        return
    if "network" in make.__name__:
        with pytest.raises(InvalidInputError, match="trained for one task"):
            Lead(model, 1)
        return
    forecast = Lead(model, 1)
    small = dataset.isel(time=slice(4), lat=slice(0, None), lon=slice(0, None))
    changed = small.copy(deep=True)
    changed["ssh"][3] = 2 * changed["ssh"][3]
    maps, other = run(small, forecast), run(changed, forecast)
    close(maps, other, atol=0)
    assert maps.attrs["xdvarnet_lead"] == 1
    assert forecast.model is model
