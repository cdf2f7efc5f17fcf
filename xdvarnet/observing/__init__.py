"""What is observed, where, and with which noise."""

from xdvarnet._lazy import attach
from xdvarnet.observing.fly import fly  # noqa: F401

__getattr__, __dir__, __all__ = attach(__name__, __file__)
