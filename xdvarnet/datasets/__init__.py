"""Data to start with: real maps in the package, and simulated ones."""

from xdvarnet._lazy import attach
from xdvarnet.datasets.mediterranean import mediterranean  # noqa: F401
from xdvarnet.datasets.random_sea import random_sea  # noqa: F401

__getattr__, __dir__, __all__ = attach(__name__, __file__)
