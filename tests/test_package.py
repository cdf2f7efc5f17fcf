"""The package as its users get it: the wheel, the public names, the accessor."""

import ast
import configparser
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import xarray as xr
from test_layers import imports, other_targets, source_files

import xdvarnet

MAX_WHEEL_MEGABYTES = 10
MAX_PUBLIC_NAMES = 30

PARTS = {each.name for each in pkgutil.iter_modules(xdvarnet.__path__)}
PUBLIC_NAMES = sorted(set(xdvarnet.__all__) - PARTS | {"datasets"})

# The accessor is closed: everything else is a plain function.
ACCESSOR_NAMES = {
    "harmonise",
    "observe",
    "reconstruct",
    "score",
    "regrid",
    "sample_tracks",
    "bin_tracks",
    "geostrophic",
    "to_duacs",
    "plot_map",
    "plot_tracks",
}


def signature(function) -> inspect.Signature:
    """Return the names, kinds and defaults of the parameters, without annotations."""
    full = inspect.signature(function)
    bare = [p.replace(annotation=p.empty) for p in full.parameters.values()]
    return full.replace(parameters=bare, return_annotation=full.empty)


def accessor_methods() -> dict[str, object]:
    """Return the public methods of the accessor."""
    accessor = type(xr.Dataset().dvarnet)
    return {name: f for name, f in vars(accessor).items() if not name.startswith("_")}


def test_public_names():
    """The names of the daily work are few, and there."""
    assert len(PUBLIC_NAMES) < MAX_PUBLIC_NAMES
    assert [n for n in xdvarnet.__all__ if not hasattr(xdvarnet, n)] == []
    assert {"__all__", *xdvarnet.__all__} <= set(dir(xdvarnet))


def test_an_unknown_name_is_an_attribute_error():
    """The lazy names do not hide a misspelt one."""
    with pytest.raises(AttributeError, match="OptimalExtrapolation"):
        _ = xdvarnet.OptimalExtrapolation


def test_the_accessor_is_closed():
    assert set(accessor_methods()) == ACCESSOR_NAMES


@pytest.mark.parametrize("name", sorted(ACCESSOR_NAMES & set(xdvarnet.__all__)))
def test_accessor_method_is_the_function(name):
    """An accessor's method has the parameters of the public function of its name."""
    method = list(signature(accessor_methods()[name]).parameters.values())[1:]
    function = list(signature(getattr(xdvarnet, name)).parameters.values())[1:]
    assert method == function


@pytest.mark.parametrize("name", [n for n in PUBLIC_NAMES if n != "datasets"])
def test_public_name_is_documented_and_typed(name):
    """A public class or function has a docstring, and annotations on all its parameters."""
    public = getattr(xdvarnet, name)
    assert (public.__doc__ or "").strip()
    if inspect.isclass(public) and issubclass(public, Exception | Warning):
        return
    untyped = [
        p.name for p in inspect.signature(public).parameters.values() if p.annotation is p.empty
    ]
    assert untyped == []


def run(arguments: list[str], folder: Path, **environment: str) -> str:
    """Run a command in `folder` and return what it printed."""
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


EXTRAS = ("plot", "tracks", "regrid", "verification", "scale")
"""Of the run time; the others are for those who work on the package."""


def requirements(repository: Path) -> dict[str, dict[str, str]]:
    """Return the lowest versions by name, of the package (under "") and of its extras."""
    config = configparser.ConfigParser()
    config.read(repository / "setup.cfg")
    texts = {"": config["options"]["install_requires"]}
    texts |= {extra: config["options.extras_require"][extra] for extra in EXTRAS}
    return {extra: dict(line.split(">=") for line in text.split()) for extra, text in texts.items()}


def test_what_is_imported_is_required(repository):
    """By modules, from the package itself; by functions, from an extra, but for dates of cftime."""
    required = requirements(repository)
    everywhere = set(required[""]) | set(sys.stdlib_module_names)
    somewhere = everywhere.union(*required.values(), {"cftime"})
    for path, file in source_files().items():
        for node, place in imports(ast.parse(file.read_text("utf-8"))):
            missing = other_targets(node) - (everywhere if place == "module" else somewhere)
            assert not missing, f"{path}:{node.lineno} imports {missing}, which is not required"


def test_environment_has_the_requirements(repository):
    """Conda calls three of them otherwise; and adds what pip cannot install."""
    text = (repository / "environment.yml").read_text("utf-8")
    found = dict(re.findall(r"^  - ([\w-]+)>=([\d.]+)$", text, re.MULTILINE))
    names = {"torch": "pytorch", "matplotlib": "matplotlib-base", "dask": "dask-core"}
    wanted = {
        names.get(name, name.lower()): version
        for extra in requirements(repository).values()
        for name, version in extra.items()
    }
    assert found == wanted | {name: found[name] for name in ("python", "xesmf")}


@pytest.fixture(scope="module")
def built(repository, tmp_path_factory) -> Path:
    """Build from a copy, so that neither old build folders nor new ones matter."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(repository / name, source)
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in ("xdvarnet", "tests"):
        shutil.copytree(repository / name, source / name, ignore=unwanted)
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", "."], source)
    return source


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    """Return the wheel, which is built from the archive of the sources."""
    (wheel,) = built.glob("*.whl")
    return wheel


def test_archive_of_the_sources_has_the_files_of_the_wheel(built, wheel):
    """And no tests, which could not run without the repository."""
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("xdvarnet/")}
    assert packed <= names
    assert not any(name.startswith("tests") for name in names)


def test_wheel_is_small_and_complete(wheel):
    """The wheel has the data, the weights, the types and both licences, and nothing else."""
    assert wheel.stat().st_size < MAX_WHEEL_MEGABYTES * 1e6
    names = zipfile.ZipFile(wheel).namelist()
    for suffix in (
        "xdvarnet/py.typed",
        "xdvarnet/zoo/weights/med-ssh.safetensors",
        "xdvarnet/datasets/DATA_LICENSE.md",
        "licenses/LICENSE",
        "licenses/xdvarnet/datasets/DATA_LICENSE.md",
    ):
        assert any(name.endswith(suffix) for name in names), suffix
    assert any(n.startswith("xdvarnet/datasets/") and n.endswith(".nc") for n in names)
    assert {name.split("/")[0] for name in names} == {
        "xdvarnet",
        f"xdvarnet-{xdvarnet.__version__}.dist-info",
    }


def test_installed_wheel_has_data_and_weights(wheel, tmp_path):
    """Installed elsewhere, the wheel loads its data and its trained model."""
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-compile"]
    run([*pip, "--target", str(site), str(wheel)], elsewhere)
    code = (
        "import xdvarnet\n"
        "print(xdvarnet.__file__)\n"
        "print(dict(xdvarnet.datasets.mediterranean()['ssh'].sizes))\n"
        "print(type(xdvarnet.load_model('med-ssh')).__name__)\n"
    )
    printed = run([sys.executable, "-c", code], elsewhere, PYTHONPATH=str(site)).splitlines()
    assert Path(printed[0]).is_relative_to(site)
    assert "91" in printed[1] and "128" in printed[1] and "344" in printed[1]
    assert printed[2] == "Calibrated"
