"""Calibration: how wrong the maps of a model are, and ensembles that say so."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
