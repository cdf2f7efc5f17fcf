"""Data to start with: real maps in the package, and simulated ones."""

from xdvarnet.datasets.mediterranean import mediterranean
from xdvarnet.datasets.random_sea import random_sea

__all__ = ["mediterranean", "random_sea"]
