"""The 4DVarNet and its relatives: networks with the scaling and the labels that data need."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
