"""Methods that map: interpolation, Gaussian fields, assimilation with a dynamical model."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
