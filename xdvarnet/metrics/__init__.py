"""Scores of maps, of ensembles and of series against a reference."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
