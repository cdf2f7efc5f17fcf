"""Data to start with: real maps in the package, and simulated ones."""

from xdvarnet._lazy import attach
from xdvarnet.datasets.mediterranean import mediterranean  # noqa: F401
from xdvarnet.datasets.random_sea import random_sea  # noqa: F401

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "cut_windows": "lorenz",
        "lorenz63": "lorenz",
        "lorenz96": "lorenz",
        "observe_series": "lorenz",
        "twin_ocean": "twin",
    },
    "mediterranean",
    "random_sea",
)
