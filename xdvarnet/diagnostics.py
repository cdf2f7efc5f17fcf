"""What follows from maps: geostrophic currents, their energy and vorticity, gradients.

Derivatives are taken on the sphere with central differences (`numpy.gradient`, which is of second
order on unequal steps too): one-sided at the borders of the domain, around the meridian where the
grid goes around the globe, and NaN where the cell or a neighbour is NaN, so next to land, and at
the poles. Longitudes in any convention, latitudes in any order and further dimensions such as
``member`` are accepted; dask arrays stay lazy.
"""

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, UnknownNameError, warn
from xdvarnet.grids.checks import (
    check_dataset,
    check_positive,
    check_variable,
    units_factor,
)
from xdvarnet.grids.coords import Grid, find_grid
from xdvarnet.grids.provenance import passed_on
from xdvarnet.grids.units import EARTH_RADIUS
from xdvarnet.grids.values import trusted_values

GRAVITY = 9.81
"""Acceleration of gravity in m s-2."""

ROTATION_RATE = 7.292115e-5
"""Angular velocity of the Earth in s-1."""

_ABOVE_SEA_LEVEL = ("sea_surface_height_above_sea_level", "sea_surface_height_above_mean_sea_level")
"""CF standard names of the sea level anomaly; one is an alias of the other."""

_AT_A_POLE = 1e-6
"""Cosine of the latitude below which longitude has no meaning."""

_AT_THE_EQUATOR = 1e-6
"""Degrees of latitude within which the Coriolis parameter is zero but for rounding."""


def geostrophic(
    dataset: xr.Dataset, variable: str = "ssh", *, min_latitude: float = 5.0
) -> xr.Dataset:
    """Surface geostrophic currents of sea surface height.

    ``u = -g/f d(ssh)/dy`` and ``v = g/f d(ssh)/dx`` with ``g = 9.81 m s-2`` and ``f = 2 Omega
    sin(latitude)`` (Gill 1982, Atmosphere-Ocean Dynamics, 7.6), by central differences. The DUACS
    products take a stencil of nine points (Arbic et al. 2012, doi:10.1029/2011JC007367), which
    attenuates the smallest scales less: on a grid of 1/8 degree their currents are a few per cent
    stronger.

    Parameters
    ----------
    dataset : xarray.Dataset
        Maps with latitude, longitude and any further dimensions, in any order.
    variable : str
        Sea surface height, in units that convert to m.
    min_latitude : float
        Degrees; nearer to the equator, where the balance fails, the currents are NaN.

    Returns
    -------
    xarray.Dataset
        ``ugos`` and ``vgos`` in m/s, eastward and northward, on the grid and in the order, dtype
        and chunks of the variable. For a sea level anomaly (CF ``standard_name``
        ``sea_surface_height_above_sea_level``, or without one the name ``sla``) they are ``ugosa``
        and ``vgosa``.

    Raises
    ------
    InvalidTypeError
        If `dataset` is no Dataset.
    UnknownNameError
        If `variable` is missing.
    InvalidInputError
        If `variable` is not on a grid, its units are no length, or it has infinite values.

    Warns
    -----
    XdvarnetWarning
        If `variable` has no attribute ``units``; m is assumed.

    Examples
    --------
    >>> from xdvarnet.datasets import mediterranean
    >>> currents = geostrophic(mediterranean().isel(time=[0]))
    >>> currents["ugos"].attrs["units"], currents["ugos"].dims
    ('m/s', ('time', 'lat', 'lon'))
    """
    check_positive(min_latitude, "min_latitude", "degrees", zero=True)
    height, grid = _on_grid(dataset, variable, "variable")
    metres = conversion_factor(height, "m")
    eastward, northward = _derivatives(height, grid)
    balance = GRAVITY * metres / 1000 / _coriolis(height, grid, min_latitude)
    anomaly = is_anomaly(height)
    suffix = "a" if anomaly else ""
    currents = {
        f"ugos{suffix}": (-balance * northward, "eastward", "zonal component"),
        f"vgos{suffix}": (balance * eastward, "northward", "meridian component"),
    }
    kind = "Geostrophic velocity anomalies" if anomaly else "Absolute geostrophic velocity"
    reference = "_assuming_sea_level_for_geoid" if anomaly else ""
    action = f"geostrophic currents of {variable!r}"
    fields = {}
    for name, (current, direction, component) in currents.items():
        fields[name] = _like(current, height)
        fields[name].attrs = {
            "standard_name": f"surface_geostrophic_{direction}_sea_water_velocity{reference}",
            "long_name": f"{kind}: {component}",
            "units": "m/s",
            "comment": f"central differences of {variable}; NaN within {min_latitude:g} degrees of "
            "the equator and next to land",
        }
    return xr.Dataset(fields, attrs=passed_on(dataset.attrs, action))


def eddy_kinetic_energy(currents: xr.Dataset) -> xr.DataArray:
    """Kinetic energy of the current anomalies, ``(u'^2 + v'^2) / 2`` in m2 s-2.

    Where the Dataset has ``ugosa`` and ``vgosa``, these are the anomalies, with the reference
    period of the sea level anomaly. Otherwise they are ``ugos`` and ``vgos`` less their mean over
    the times of the Dataset, which should then be many. The attribute ``comment`` says which.

    Parameters
    ----------
    currents : xarray.Dataset
        Such as `geostrophic` gives, in units that convert to m/s.

    Returns
    -------
    xarray.DataArray
        For each time and cell; its mean over time is the usual map of eddy kinetic energy.

    Raises
    ------
    UnknownNameError
        If there is neither pair of currents.
    InvalidInputError
        If anomalies are to be made and there are not two times at least.
    """
    names = _pair(currents, [("ugosa", "vgosa"), ("ugos", "vgos")])
    arrays = [_on_grid(currents, name) for name in names]
    anomalies = [array * conversion_factor(array, "m/s") for array, _ in arrays]
    how = f"of the anomalies {names[0]} and {names[1]}"
    if names[0] == "ugos":
        time = _time(*arrays[0])
        anomalies = [anomaly - anomaly.mean(time) for anomaly in anomalies]
        how = f"of {names[0]} and {names[1]} less their means over {currents.sizes[time]} times"
    energy = (anomalies[0] ** 2 + anomalies[1] ** 2) / 2
    found = _like(energy, arrays[0][0]).rename("eddy_kinetic_energy")
    found.attrs = {"long_name": "eddy kinetic energy", "units": "m2 s-2", "comment": how}
    return found


def relative_vorticity(currents: xr.Dataset) -> xr.DataArray:
    """Relative vorticity of currents over the Coriolis parameter, without units.

    ``zeta/f`` with ``zeta = dv/dx - du/dy + u tan(latitude)/R``, where the last term is that of the
    sphere. It is positive in cyclones of both hemispheres, and NaN on the equator.

    Parameters
    ----------
    currents : xarray.Dataset
        ``ugos`` and ``vgos``, else ``ugosa`` and ``vgosa``, such as `geostrophic` gives, in units
        that convert to m/s.

    Returns
    -------
    xarray.DataArray
        ``relative_vorticity``, in the order, dtype and chunks of the currents.

    Raises
    ------
    UnknownNameError
        If there is neither pair of currents.
    InvalidInputError
        If they are not on a grid, or their units are no velocity.
    """
    names = _pair(currents, [("ugos", "vgos"), ("ugosa", "vgosa")])
    (u, grid), (v, _) = (_on_grid(currents, name) for name in names)
    u = u * conversion_factor(u, "m/s")
    v = v * conversion_factor(v, "m/s")
    v_eastward, _ = _derivatives(v, grid)
    _, u_northward = _derivatives(u, grid)
    turning = u * np.tan(np.radians(_latitude(u, grid))) / EARTH_RADIUS
    zeta = (v_eastward - u_northward + turning) / 1000
    found = _like(zeta / _coriolis(u, grid, 0.0), u).rename("relative_vorticity")
    found.attrs = {
        "long_name": "relative vorticity over the Coriolis parameter",
        "units": "1",
        "comment": f"of {names[0]} and {names[1]}",
    }
    return found


def gradient(dataset: xr.Dataset, variable: str) -> xr.DataArray:
    """Magnitude of the horizontal gradient, in the units of the variable per km.

    Parameters
    ----------
    dataset : xarray.Dataset
        Maps with latitude, longitude and any further dimensions, in any order.
    variable : str
        Such as sea surface temperature, whose fronts the gradient shows.

    Returns
    -------
    xarray.DataArray
        ``<variable>_gradient``, in the order, dtype and chunks of the variable.

    Raises
    ------
    InvalidTypeError
        If `dataset` is no Dataset.
    UnknownNameError
        If `variable` is missing.
    InvalidInputError
        If `variable` is not on a grid, or has infinite values.
    """
    array, grid = _on_grid(dataset, variable, "variable")
    eastward, northward = _derivatives(array, grid)
    size: xr.DataArray = np.hypot(eastward, northward)  # type: ignore[assignment]  # numpy's stubs leave xarray out
    found = _like(size, array).rename(f"{variable}_gradient")
    units = array.attrs.get("units", "1")
    found.attrs = {
        "long_name": f"magnitude of the horizontal gradient of {variable}",
        "units": "km-1" if units == "1" else f"{units}/km",
    }
    return found


def is_anomaly(height: xr.DataArray) -> bool:
    """Whether `height` is above mean sea level, by its CF standard name, then by the name ``sla``.

    Otherwise it is taken to be above the geoid.
    """
    standard_name = height.attrs.get("standard_name")
    return standard_name in _ABOVE_SEA_LEVEL if standard_name else height.name == "sla"


def conversion_factor(array: xr.DataArray, units: str) -> float:
    """Return the factor from the units of `array` to `units`, with a warning where it has none."""
    if "units" not in array.attrs:
        warn(f"variable {array.name!r} has no attribute 'units'; {units!r} is assumed.")
    return units_factor(array, units)


def _on_grid(
    dataset: xr.Dataset, name: str, argument: str | None = None
) -> tuple[xr.DataArray, Grid]:
    """Return the variable `name`, which an argument may have named, and its grid."""
    check_dataset(dataset)
    array = trusted_values(check_variable(dataset, name, argument=argument))
    grid = find_grid(dataset, time=False)
    missing = {grid.axes.latitude, grid.axes.longitude} - set(array.dims)
    if missing:
        raise InvalidInputError(
            f"variable {name!r} has dimensions {array.dims} and lacks {sorted(missing)}; maps "
            "have latitude and longitude."
        )
    return array, grid


def _pair(currents: xr.Dataset, pairs: list[tuple[str, str]]) -> tuple[str, str]:
    check_dataset(currents)
    for names in pairs:
        if set(names) <= set(currents.data_vars):
            return names
    raise UnknownNameError(
        f"no pair of currents {' or '.join(map(str, pairs))}; the dataset has "
        f"{sorted(map(str, currents.data_vars))}. Make them of sea surface height with "
        "geostrophic(dataset), or rename yours with dataset.rename."
    )


def _time(array: xr.DataArray, grid: Grid) -> str:
    """Return the name of the time, of which `array` must have several."""
    time = grid.axes.time
    if time is None or time not in array.dims or array.sizes[time] < 2:
        raise InvalidInputError(
            f"variable {array.name!r} has sizes {dict(array.sizes)}; anomalies are departures "
            "from the mean over time, which needs two times at least. Give currents of a period, "
            "or the anomalies 'ugosa' and 'vgosa'."
        )
    return time


def _latitude(array: xr.DataArray, grid: Grid) -> xr.DataArray:
    """Latitudes in degrees, in the order of `array` and as float64."""
    name = grid.axes.latitude
    return xr.DataArray(array[name].values.astype(float), dims=name)


def _coriolis(array: xr.DataArray, grid: Grid, min_latitude: float) -> xr.DataArray:
    """Coriolis parameter in s-1, NaN nearer to the equator than `min_latitude` degrees."""
    latitude = _latitude(array, grid)
    far = np.abs(latitude) >= max(min_latitude, _AT_THE_EQUATOR)
    sine: xr.DataArray = np.sin(np.radians(latitude.where(far)))  # type: ignore[assignment]  # numpy's stubs leave xarray out
    return 2 * ROTATION_RATE * sine


def _derivatives(array: xr.DataArray, grid: Grid) -> tuple[xr.DataArray, xr.DataArray]:
    """Eastward and northward derivative of `array`, per km, as float64."""
    latitude, longitude = grid.axes.latitude, grid.axes.longitude
    arranged = array.isel({latitude: grid.latitude_order, longitude: grid.longitude_order})
    if array.chunks is not None:
        arranged = arranged.chunk({latitude: -1, longitude: -1})

    def kernel(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _differences(values.astype(float), grid.latitude, grid.longitude)

    horizontal = [latitude, longitude]
    eastward, northward = xr.apply_ufunc(
        kernel,
        arranged,
        input_core_dims=[horizontal],
        output_core_dims=[horizontal, horizontal],
        dask="parallelized",
        output_dtypes=[float, float],
    )
    return grid.restore(eastward, array), grid.restore(northward, array)


def _differences(
    values: np.ndarray, latitude: np.ndarray, longitude: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Eastward and northward derivative per km on increasing axes.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (..., latitude, longitude).
    """
    northward = np.gradient(values, EARTH_RADIUS * np.radians(latitude), axis=-2)
    steps = np.diff(longitude)
    wrap = int(longitude[0] + 360 - longitude[-1] < 1.5 * np.median(steps))  # around the globe
    columns = np.arange(-wrap, longitude.size + wrap)
    turns, columns = np.divmod(columns, longitude.size)
    position = EARTH_RADIUS * np.radians(longitude[columns] + 360 * turns)
    eastward = np.gradient(values[..., columns], position, axis=-1)
    eastward = eastward[..., wrap : wrap + longitude.size]
    cosine = np.cos(np.radians(latitude))[:, np.newaxis]
    inside = np.isfinite(values) & (cosine > _AT_A_POLE)
    return np.where(inside, eastward / cosine, np.nan), np.where(inside, northward, np.nan)


def _like(array: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Give `array` the order of dimensions, the dtype (floating) and the chunks of `like`."""
    array = array.transpose(*like.dims).astype(np.result_type(like.dtype, np.float32))
    return array if like.chunks is None else array.chunk(like.chunksizes)
