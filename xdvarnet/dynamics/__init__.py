"""Dynamical models as tensors: their tendencies, and their integration in time."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
