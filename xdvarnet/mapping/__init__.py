"""Mapping: from labelled observations and a reconstructor to labelled maps."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
