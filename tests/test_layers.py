"""The layers of the package, read from its imports; and what `import xdvarnet` may load."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "xdvarnet"

# Lowest first. A module imports from its own part and from lower layers, never from a neighbour.
LAYERS = [
    {"errors"},
    {"_random", "_files", "_html", "_lazy", "_progress"},
    {"grids"},
    {"tracks"},
    {"observing", "metrics", "diagnostics", "dynamics", "spde"},
    {"solver"},
    {"mapping"},
    {"methods"},
    {"training"},
    {"networks"},
    {"calibration"},
    {"zoo"},
    {"export", "evaluation", "datasets", "plot"},
    {"accessor", "cli"},
    {"__init__", "__main__"},
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

TENSOR_PARTS = {"dynamics", "spde", "solver"}
LABEL_PARTS = {"grids", "tracks", "observing", "metrics", "diagnostics", "export"}
LABEL_LIBRARIES = {"xarray", "cf_xarray", "xbatcher", "dask", "pandas"}
PLOT_LIBRARIES = {"matplotlib", "cartopy", "cmocean"}


def imports(tree: ast.AST, *, place: str = "module") -> Iterator[tuple[ast.stmt, str]]:
    """Yield every import below `tree` and its place: ``module``, ``function`` or ``typing``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, place
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports(node, place="function")
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imports(node, place="typing")
        else:
            yield from imports(node, place=place)


def own_targets(node: ast.stmt) -> list[str]:
    """Return the modules of xdvarnet that one import names."""
    if isinstance(node, ast.Import):
        return [a.name for a in node.names if a.name.split(".")[0] == "xdvarnet"]
    if node.level or not node.module or node.module.split(".")[0] != "xdvarnet":
        return []
    return [node.module]


def other_targets(node: ast.stmt) -> set[str]:
    """Return the third-party libraries that one import names."""
    names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return {name.split(".")[0] for name in names} - {"xdvarnet", ""}


def breaches(path: str, source: str, modules: set[str]) -> list[str]:
    """Return what is wrong with the imports of one file.

    `path` is relative to the package, such as ``grids/coords.py``; `modules` are the dotted names
    of the files that exist.
    """
    part = Path(path).parts[0].removesuffix(".py")
    if part not in LEVEL:
        return [f"{path}: the part {part!r} stands in no layer; add it to LAYERS"]
    found = []
    for node, place in imports(ast.parse(source)):
        where = f"{path}:{node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.level:
            found.append(f"{where}: relative import")
        for target in own_targets(node):
            other = target.split(".")[1] if "." in target else "__init__"
            if other != part and LEVEL.get(other, len(LAYERS)) >= LEVEL[part]:
                found.append(f"{where}: {part} imports {other}, which is no lower layer")
            elif part in TENSOR_PARTS and other in LABEL_PARTS:
                found.append(f"{where}: {part} sees tensors only and imports {other}")
            if part != "__init__" and (isinstance(node, ast.Import) or target not in modules):
                found.append(f"{where}: write `from xdvarnet.<part>.<module> import name`")
        libraries = other_targets(node)
        if part in TENSOR_PARTS and libraries & LABEL_LIBRARIES:
            found.append(f"{where}: {part} imports {sorted(libraries & LABEL_LIBRARIES)}")
        if part in LABEL_PARTS and "torch" in libraries:
            found.append(f"{where}: {part} imports torch")
        drawn = part == "plot" and place == "function"
        if libraries & PLOT_LIBRARIES and not drawn and place != "typing":
            found.append(f"{where}: only functions of plot import {sorted(libraries)}")
    return found


def source_files() -> dict[str, Path]:
    """Return the files of the package by their path relative to it."""
    return {p.relative_to(PACKAGE).as_posix(): p for p in sorted(PACKAGE.rglob("*.py"))}


def dotted_modules(paths: list[str]) -> set[str]:
    """Return the dotted names of those files that are modules and no packages."""
    names = {"xdvarnet." + p.removesuffix(".py").replace("/", ".") for p in paths}
    return {name for name in names if not name.endswith(".__init__")}


def test_imports_respect_the_layers():
    """Every import of the package goes down."""
    files = source_files()
    assert len(files) > 1
    modules = dotted_modules(list(files))
    found = [b for p, f in files.items() for b in breaches(p, f.read_text("utf-8"), modules)]
    assert not found, "\n" + "\n".join(found)


def circle(sources: dict[str, str]) -> list[str]:
    """Return modules that import each other in a circle, or none; `sources` by dotted name.

    An import in a function counts: it would only hide the circle. One for types does not.
    """
    graph = {
        name: {
            target
            for node, place in imports(ast.parse(source))
            if place != "typing"
            for target in own_targets(node)
        }
        for name, source in sources.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_modules_import_each_other():
    """Inside a part too, there is an order from the lowest module to the highest."""
    names = {
        "xdvarnet." + path.removesuffix(".py").replace("/", "."): file.read_text("utf-8")
        for path, file in source_files().items()
        if not path.endswith("__init__.py")
    }
    assert circle(names) == []


def test_a_circle_is_found():
    there, back = "from xdvarnet.a.two import X", "def f():\n    from xdvarnet.a.one import Y"
    assert set(circle({"xdvarnet.a.one": there, "xdvarnet.a.two": back})) == {
        "xdvarnet.a.one",
        "xdvarnet.a.two",
    }
    assert circle({"xdvarnet.a.one": there, "xdvarnet.a.two": ""}) == []
    typed = "if TYPE_CHECKING:\n    from xdvarnet.a.one import Y"
    assert circle({"xdvarnet.a.one": there, "xdvarnet.a.two": typed}) == []


EXISTING = dotted_modules(
    ["errors.py", "grids/__init__.py", "grids/coords.py", "mapping/protocol.py"]
)


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("grids/coords.py", "from xdvarnet.mapping.protocol import X", "no lower layer"),
        (
            "grids/coords.py",
            "def f():\n    from xdvarnet.mapping.protocol import X",
            "no lower layer",
        ),
        ("metrics/scores.py", "from xdvarnet.mapping.blend import blend", "no lower layer"),
        ("plot/maps.py", "import xdvarnet", "no lower layer"),
        ("solver/losses.py", "from xdvarnet.grids.coords import X", "tensors only"),
        ("mapping/protocol.py", "from xdvarnet.grids import coords", "<module>"),
        ("mapping/protocol.py", "import xdvarnet.errors", "<module>"),
        ("mapping/protocol.py", "from .normalize import X", "relative"),
        ("mapping/protocol.py", "from xdvarnet.helpers.things import X", "no lower layer"),
        ("spde/operator.py", "import xarray as xr", "xarray"),
        ("grids/coords.py", "def f():\n    import torch.nn as nn", "torch"),
        ("plot/maps.py", "import cartopy.crs as ccrs", "cartopy"),
        ("grids/coords.py", "if TYPE_CHECKING:\n    import torch", "torch"),
        ("mapping/lazy.py", "def f():\n    from matplotlib import pyplot", "matplotlib"),
        ("helpers.py", "", "stands in no layer"),
    ],
)
def test_a_breach_is_found(path, source, complaint):
    """The reader of imports sees each kind of breach."""
    found = breaches(path, source, EXISTING)
    assert any(complaint in line for line in found), found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("grids/coords.py", "from xdvarnet.errors import X\nimport xarray as xr"),
        ("mapping/lazy.py", "from xdvarnet.mapping.protocol import X\nimport torch"),
        ("solver/losses.py", "import torch\nfrom xdvarnet.errors import X"),
        ("plot/maps.py", "def f():\n    import cartopy.crs as ccrs"),
        ("accessor.py", "if TYPE_CHECKING:\n    from cartopy.mpl.geoaxes import GeoAxes"),
        ("__init__.py", "from xdvarnet import grids\nfrom xdvarnet.mapping.protocol import X"),
    ],
)
def test_a_good_import_passes(path, source):
    """Downward imports of names raise no complaint."""
    assert breaches(path, source, EXISTING) == []


def run_python(code: str) -> str:
    """Run `code` in a fresh interpreter and return what it printed."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_import_is_light():
    """`import xdvarnet` loads neither torch nor dask nor the plotting libraries."""
    loaded = json.loads(
        run_python("import json, sys, xdvarnet; print(json.dumps(sorted(sys.modules)))")
    )
    assert "xdvarnet" in loaded
    assert sorted({"torch", "dask", "matplotlib", "cartopy"} & set(loaded)) == []


def test_import_leaves_the_global_generator_alone():
    """`import xdvarnet` draws no number and sets no seed."""
    code = (
        "import numpy as np; np.random.seed(7); before = np.random.get_state()[1].tolist()\n"
        "import xdvarnet; print(before == np.random.get_state()[1].tolist())"
    )
    assert run_python(code).strip() == "True"


def test_rooms_stay_small():
    """A module has one idea, and a class can be read at once."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        assert len(source.splitlines()) < 450, path
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                assert node.end_lineno - node.lineno < 300, f"{path}: {node.name}"
