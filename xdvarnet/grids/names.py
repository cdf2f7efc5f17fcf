"""Names and CF attributes of time, latitude and longitude: one table for the whole package."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Coordinate:
    """What one coordinate is called in files, and how CF describes it.

    Names of files are in lower case, the preferred first. They decide only where CF attributes do
    not. A grid may have nominal axes ``x`` and ``y``, which are no positions on a curvilinear grid;
    products name positions in more ways, and there the short name is preferred.

    Attributes
    ----------
    short : str
        Name in the convention of `xdvarnet.harmonise`.
    axis : str
        CF attribute ``axis`` where it is one.
    units : str or None
        CF attribute ``units``; None for time, whose units are in its encoding.
    grid : tuple of str
        Names of the axis of a grid.
    curvilinear : tuple of str
        Names of positions on two dimensions; none for time.
    product : tuple of str
        Names in products, of axes, of positions and of points.
    """

    short: str
    axis: str
    units: str | None
    grid: tuple[str, ...]
    curvilinear: tuple[str, ...]
    product: tuple[str, ...]


COORDINATES = {
    "time": Coordinate(
        short="time",
        axis="T",
        units=None,
        grid=("time", "time_counter", "ocean_time"),
        curvilinear=(),
        product=("time", "time_counter", "ocean_time", "time_centered"),
    ),
    "latitude": Coordinate(
        short="lat",
        axis="Y",
        units="degrees_north",
        grid=("latitude", "lat", "nav_lat", "y"),
        curvilinear=("latitude", "lat", "nav_lat", "lat_rho"),
        product=("lat", "latitude", "nav_lat", "lat_rho", "geolat", "geolat_t", "tlat"),
    ),
    "longitude": Coordinate(
        short="lon",
        axis="X",
        units="degrees_east",
        grid=("longitude", "lon", "nav_lon", "x"),
        curvilinear=("longitude", "lon", "nav_lon", "lon_rho"),
        product=("lon", "longitude", "nav_lon", "lon_rho", "geolon", "geolon_t", "tlon"),
    ),
}
"""The coordinates by their CF standard names."""

DEGREES = {
    name: {"units": coordinate.units}
    for name, coordinate in COORDINATES.items()
    if coordinate.units is not None
}
"""Attributes that tell latitude and longitude."""
