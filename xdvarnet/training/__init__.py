"""Training: what a network sees, how long, and the loop that keeps its best weights."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
