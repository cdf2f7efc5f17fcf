"""Data that come with the package."""

from xdvarnet.datasets.mediterranean import mediterranean

__all__ = ["mediterranean"]
