"""The public names of the subpackages: there, listed, and imported when they are used."""

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys

import pytest

import xdvarnet

EXPORTING = ["datasets", "grids", "metrics", "observing", "plot", "tracks"]
SLOW = {"torch", "dask", "matplotlib", "cartopy"}


def subpackages() -> list[str]:
    """Return the dotted names of all packages in the package."""
    found = pkgutil.walk_packages(xdvarnet.__path__, "xdvarnet.")
    return sorted(module.name for module in found if module.ispkg)


def public_names(package: str) -> list[str]:
    """Return ``__all__`` of a package; a package of parts may have none."""
    return list(vars(importlib.import_module(package)).get("__all__", []))


NAMES = [(package, name) for package in subpackages() for name in public_names(package)]
CLASHES = [  # names that a module of the package has too
    (package, name)
    for package, name in NAMES
    if importlib.util.find_spec(f"{package}.{name}") is not None
]


def run_python(code: str) -> object:
    """Run `code` in a fresh interpreter and return what it printed, as JSON."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_subpackages_have_public_names():
    """Those that are for users."""
    assert set(EXPORTING) <= {package.removeprefix("xdvarnet.") for package, _ in NAMES}


def test_one_name_is_one_object():
    """A model file names a public class without its package."""
    objects: dict[str, set[int]] = {}
    for package, name in NAMES:
        objects.setdefault(name, set()).add(id(getattr(importlib.import_module(package), name)))
    assert {name for name, found in objects.items() if len(found) > 1} == set()


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_a_public_name_is_there_and_listed(package, name):
    """It is the object of that name, and no module."""
    module = importlib.import_module(package)
    public = getattr(module, name)
    assert name in dir(module)
    assert not inspect.ismodule(public)
    if inspect.isclass(public) or inspect.isfunction(public):
        assert public.__name__ == name
        assert public.__module__.startswith(f"{package}.")
        assert (public.__doc__ or "").strip()


@pytest.mark.parametrize("package", sorted({package for package, _ in NAMES}))
def test_star_imports_all_and_nothing_else(package):
    """The names are sorted, each once; a misspelt one is an attribute error."""
    namespace = {}
    exec(f"from {package} import *", namespace)
    names = public_names(package)
    assert set(namespace) - {"__builtins__"} == set(names)
    assert names == sorted(set(names))
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'misspelt'"):
        _ = importlib.import_module(package).misspelt


@pytest.mark.parametrize("package", [f"xdvarnet.{name}" for name in EXPORTING])
def test_a_package_is_light_to_import(package):
    """Neither torch nor dask nor the plotting libraries are needed to list its names."""
    code = f"import json, sys, {package} as p; dir(p); print(json.dumps(sorted(sys.modules)))"
    loaded = set(run_python(code))
    assert package in loaded
    assert loaded & SLOW == set()


def test_there_are_names_that_clash():
    """So the next test tests something."""
    assert ("xdvarnet.observing", "fly") in CLASHES


@pytest.mark.parametrize(("package", "name"), CLASHES)
def test_a_function_is_not_hidden_by_its_module(package, name):
    """Whichever is imported first; and both ways of importing give the same function."""
    from_package = f"from {package} import {name} as here"
    from_module = f"from {package}.{name} import {name} as there"
    for lines in ((from_package, from_module), (from_module, from_package)):
        code = "\n".join(["import json", *lines, f"import {package} as p"])
        assert run_python(f"{code}\nprint(json.dumps(here is there is p.{name}))") is True
