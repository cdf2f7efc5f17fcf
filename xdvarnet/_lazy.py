"""Public names of a package that are imported when they are first used.

The names stand in the file ``__init__.pyi`` of the package, which type checkers read as well: one
line for each, ``from module import name as name``.
"""

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package with lazy names.

    A function that has the name of its module is to be imported by the package itself: imported
    later, the module would take its place.

    Parameters
    ----------
    package, file : str
        ``__name__`` and ``__file__`` of the package.

    Examples
    --------
    >>> import xdvarnet.zoo
    >>> get, _, names = attach("xdvarnet.zoo", xdvarnet.zoo.__file__)
    >>> names
    ['list_models', 'load_model', 'save_model']
    """
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    homes = {
        alias.name: str(line.module)
        for line in stub.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if homes[name] == package:
            return importlib.import_module(f"{package}.{name}")
        return getattr(importlib.import_module(homes[name]), name)

    names = sorted(homes)
    return get, lambda: [*names, "__all__"], names
