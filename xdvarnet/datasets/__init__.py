"""Data to start with: real maps in the package, and simulated ones."""

import importlib
from typing import Any

from xdvarnet.datasets.mediterranean import mediterranean
from xdvarnet.datasets.random_sea import random_sea

_LORENZ = ("cut_windows", "lorenz63", "lorenz96", "observe_series")
"""What needs torch, and is imported when it is first used."""

__all__ = ["mediterranean", "random_sea", *_LORENZ]


def __getattr__(name: str) -> Any:
    if name not in _LORENZ:
        raise AttributeError(f"module 'xdvarnet.datasets' has no attribute {name!r}")
    return getattr(importlib.import_module("xdvarnet.datasets.lorenz"), name)
