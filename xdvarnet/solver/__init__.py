"""The variational solver and its parts: priors, observation terms, steps, losses."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
