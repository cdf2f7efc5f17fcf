"""Gridded data: coordinates and checks, products, and from one grid to another.

`xdvarnet.grids.harmonise.harmonise` and `xdvarnet.grids.regrid.regrid` are in their own packages.
"""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Axes": "coords",
        "COORDINATES": "names",
        "Coordinate": "names",
        "Grid": "coords",
        "HorizontalGrid": "regrid.horizontal",
        "Points": "points",
        "Series": "series",
        "days_since_epoch": "coords",
        "find_axes": "coords",
        "find_grid": "coords",
        "find_horizontal": "regrid.horizontal",
        "find_points": "points",
        "find_series": "series",
        "units_factor": "checks",
    },
)
