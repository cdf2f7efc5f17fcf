"""Figures; cartopy and matplotlib are imported when a figure is drawn."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
