"""Data to start with: real maps in the package, and simulated ones."""

import importlib
from typing import Any

from xdvarnet.datasets.mediterranean import mediterranean
from xdvarnet.datasets.random_sea import random_sea

_MODULES = {
    "cut_windows": "lorenz",
    "lorenz63": "lorenz",
    "lorenz96": "lorenz",
    "observe_series": "lorenz",
    "twin_ocean": "twin",
}
"""What needs torch, and is imported when it is first used, with the module that it is in."""

__all__ = ["mediterranean", "random_sea", *_MODULES]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'xdvarnet.datasets' has no attribute {name!r}")
    return getattr(importlib.import_module(f"xdvarnet.datasets.{_MODULES[name]}"), name)
