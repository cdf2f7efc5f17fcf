"""Public names of a package that are imported when they are first used."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def attach(
    package: str, homes: Mapping[str, str], *present: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package with lazy names.

    Parameters
    ----------
    package : str
        Name of the package.
    homes : mapping of str to str
        For each lazy name, the module that has it, relative to the package. A name that is its
        own module is that module.
    *present : str
        Public names that the package imports itself. A function that has the name of its module
        is one of these: imported later, the module would take its place.

    Examples
    --------
    >>> get, _, names = attach("xdvarnet", {"warn": "errors"})
    >>> get("warn").__name__, names
    ('warn', ['warn'])
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{homes[name]}")
        return module if homes[name] == name else getattr(module, name)

    names = sorted({*homes, *present})
    return get, lambda: names, names
