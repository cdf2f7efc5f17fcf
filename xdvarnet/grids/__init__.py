"""Gridded data: coordinates and checks, products, and from one grid to another.

`xdvarnet.grids.harmonise.harmonise` and `xdvarnet.grids.regrid.regrid` are in their own packages.
"""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
