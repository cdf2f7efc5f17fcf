"""Maps in the form of the DUACS products, which other tools of altimetry read.

The names, dimensions, units and packing are those of the Level-4 files of the Copernicus Marine
Service (SEALEVEL_GLO_PHY_L4_MY_008_047, product user manual CMEMS-SL-PUM-008-032-068).
"""

import datetime

import numpy as np
import xarray as xr

from xdvarnet.diagnostics import conversion_factor, geostrophic, is_anomaly
from xdvarnet.errors import InvalidInputError, warn
from xdvarnet.grids.checks import check_dataset, check_times, check_variable
from xdvarnet.grids.coords import Grid, find_grid
from xdvarnet.grids.internal import DIMS
from xdvarnet.grids.labels import is_formal
from xdvarnet.grids.provenance import CONVENTIONS, passed_on
from xdvarnet.grids.values import trusted_values

_HEIGHTS = {
    "adt": {
        "standard_name": "sea_surface_height_above_geoid",
        "long_name": "Absolute dynamic topography",
    },
    "sla": {
        "standard_name": "sea_surface_height_above_sea_level",
        "long_name": "Sea level anomaly",
    },
}

_ERROR = {
    "long_name": "Mapping error",
    "comment": "standard error that the mapping method gives",
    "coverage_content_type": "qualityInformation",
}

_CONTENT = {
    "summary": "Maps of sea surface height and of the geostrophic currents that follow from it, in "
    "the form of the DUACS products, made with xdvarnet.",
    "keywords": "EARTH SCIENCE > OCEANS > OCEAN TOPOGRAPHY > SEA SURFACE HEIGHT, "
    "EARTH SCIENCE > OCEANS > OCEAN CIRCULATION > OCEAN CURRENTS",
    "keywords_vocabulary": "GCMD Science Keywords",
}
"""What the product is, for its discovery."""

_AXES = {
    "time": {"standard_name": "time", "long_name": "Time", "axis": "T"},
    "latitude": {
        "standard_name": "latitude",
        "long_name": "Latitude",
        "units": "degrees_north",
        "axis": "Y",
        "bounds": "lat_bnds",
    },
    "longitude": {
        "standard_name": "longitude",
        "long_name": "Longitude",
        "units": "degrees_east",
        "axis": "X",
        "bounds": "lon_bnds",
    },
}

_CRS = {
    "grid_mapping_name": "latitude_longitude",
    "semi_major_axis": 6378136.3,
    "inverse_flattening": 298.257,
}
"""Ellipsoid of TOPEX/Poseidon, to which altimetry products refer."""

_PACKED = {"dtype": "int32", "scale_factor": 1e-4, "_FillValue": -2147483647, "zlib": True}
"""Steps of 0.1 mm, and of 0.1 mm/s."""


def to_duacs(maps: xr.Dataset, *, variable: str = "ssh") -> xr.Dataset:
    """Bring maps of sea surface height to the form of the DUACS products.

    Parameters
    ----------
    maps : xarray.Dataset
        Maps, such as `reconstruct` gives, with time, latitude and longitude in any order.
    variable : str
        Sea surface height, in units that convert to m: above the geoid, or a sea level anomaly (CF
        ``standard_name`` ``sea_surface_height_above_sea_level``, or without one the name ``sla``).
        A variable ``sla`` is exported as well where there is one.

    Returns
    -------
    xarray.Dataset
        With the dimensions time, latitude and longitude, both increasing: ``adt`` with the
        geostrophic currents ``ugos`` and ``vgos`` of height above the geoid, ``sla`` with ``ugosa``
        and ``vgosa`` of a sea level anomaly (see `xdvarnet.diagnostics.geostrophic`; NaN within 5
        degrees of the equator), and ``err_sla`` where ``<variable>_std`` exists, with the
        ``comment`` of that, which says whether it was calibrated; the bounds of the cells and the
        ``crs``. Heights are in m, currents in m/s. The attributes are those that `reconstruct` gave
        to `maps`, and of other maps name their title and institution as the ``source``; with the
        extent in space and time, a map being valid half a step before and after its time (noon to
        noon for daily maps at midnight). Written with ``to_netcdf``, values are packed as in DUACS,
        to 0.05 mm. dask arrays stay lazy.

    Raises
    ------
    InvalidTypeError
        If `maps` is no Dataset.
    UnknownNameError
        If `variable` is missing.
    InvalidInputError
        If the maps are not on a grid, a variable has further dimensions such as ``member``, or
        units are no length; or values are packed, fills or infinite.

    Warns
    -----
    XdvarnetWarning
        If a variable has no attribute ``units``; m is assumed. If the error is a formal one that
        was never calibrated.

    Examples
    --------
    >>> from xdvarnet.datasets import mediterranean
    >>> product = to_duacs(mediterranean().isel(time=[0, 1]))
    >>> sorted(product)
    ['adt', 'crs', 'lat_bnds', 'lon_bnds', 'ugos', 'vgos']
    >>> product.attrs["time_coverage_start"]
    '2005-03-31T12:00:00Z'
    """
    check_dataset(maps)
    sources = _sources(maps, variable)
    grid = _check_grid(maps, list(sources.values()))
    coords = _coordinates(maps, grid)
    product = xr.Dataset(
        {name: _metres(maps[source], grid) for name, source in sources.items()}, coords
    )
    for name in [name for name in _HEIGHTS if name in sources]:
        product[name].attrs |= _HEIGHTS[name]
        if "err_sla" in sources:
            product[name].attrs["ancillary_variables"] = "err_sla"
        # as a mapping: xarray compares a Dataset with {}, which depends on options of its user
        product = product.assign(dict(geostrophic(product, name).data_vars))
    for array in product.values():
        array.attrs |= {"grid_mapping": "crs", "coverage_content_type": "modelResult"}
    if "err_sla" in sources:
        height = _HEIGHTS["sla" if "sla" in sources else "adt"]["standard_name"]
        origin = _origin(maps[sources["err_sla"]])
        named = {"standard_name": f"{height} standard_error"}
        product["err_sla"].attrs |= {**_ERROR, **origin, **named}
    for array in product.values():
        array.encoding = dict(_PACKED)
    product = product.assign(_cells(grid))
    product.attrs = _global_attributes(maps, grid)
    return product


def _origin(std: xr.DataArray) -> dict[str, str]:
    """Return what a standard deviation says of itself, and warn of one that was not calibrated."""
    said = {name: text for name, text in std.attrs.items() if name == "comment"}
    if str(said.get("comment", "")).startswith("calibrated"):
        return {"long_name": "Calibrated mapping error", **said}
    if is_formal(std):
        warn(
            f"{std.name!r}, which becomes err_sla, is a formal error that was never calibrated, "
            "often half of the true one or less; calibrate the model and map again: "
            "model = xdvarnet.calibrate(model, tracks, grid=grid)."
        )
        return {"long_name": "Formal mapping error", **said}
    return said


def _sources(maps: xr.Dataset, variable: str) -> dict[str, str]:
    """Return which variable of `maps` gives each variable of the product."""
    sources: dict[str, str] = {}
    for name in dict.fromkeys([variable, "sla"] if "sla" in maps.data_vars else [variable]):
        height = check_variable(maps, name, argument="variable")
        sources.setdefault("sla" if is_anomaly(height) else "adt", name)
    errors = [f"{sources[name]}_std" for name in ("sla", "adt") if name in sources]
    errors = [name for name in errors if name in maps.data_vars]
    return sources | ({"err_sla": errors[0]} if errors else {})


def _check_grid(maps: xr.Dataset, names: list[str]) -> Grid:
    grid = find_grid(maps)
    assert grid.days is not None
    if not grid.days.size:
        raise InvalidInputError(
            f"coordinate {grid.axes.time!r} is empty; there is no map to export."
        )
    check_times(grid.days, str(grid.axes.time), daily=False)
    for name in names:
        dims = maps[name].dims
        extra = [str(dim) for dim in dims if dim not in grid.axes.dims]
        if extra:
            raise InvalidInputError(
                f"variable {name!r} has the further dimensions {extra}; export one of each, "
                f"dataset.isel({extra[0]}=0), or the mean, dataset.mean({extra[0]!r})."
            )
        if len(dims) < len(DIMS):
            raise InvalidInputError(
                f"variable {name!r} has dimensions {dims}; it must have {grid.axes.dims}, in any "
                "order."
            )
    return grid


def _coordinates(maps: xr.Dataset, grid: Grid) -> dict[str, xr.Variable]:
    values = (maps[grid.axes.time].values, grid.latitude, grid.longitude)
    coords = {}
    for name, positions in zip(DIMS, values, strict=True):
        coords[name] = xr.Variable(name, positions, _AXES[name])
        coords[name].encoding = {"dtype": "float64", "_FillValue": None}
    coords["time"].encoding["units"] = "days since 1950-01-01"
    return coords


def _metres(array: xr.DataArray, grid: Grid) -> xr.DataArray:
    """Return `array` in m, in the order and with the dimensions of the product."""
    factor = conversion_factor(array, "m")
    dtype = np.result_type(array.dtype, np.float32)
    arranged = grid.arrange(trusted_values(array)).astype(dtype)
    return xr.DataArray((arranged * factor).data, dims=DIMS, attrs={"units": "m"})


def _cells(grid: Grid) -> dict[str, xr.Variable]:
    """Return the bounds of the cells, and the reference system."""
    cells = {
        "lat_bnds": xr.Variable(
            ("latitude", "nv"),
            np.clip(_bounds(grid.latitude), -90, 90),
            {"comment": "southern and northern bound of each cell", "units": "degrees_north"},
        ),
        "lon_bnds": xr.Variable(
            ("longitude", "nv"),
            _bounds(grid.longitude),
            {"comment": "western and eastern bound of each cell", "units": "degrees_east"},
        ),
        "crs": xr.Variable((), np.int32(0), _CRS),
    }
    for name in ("lat_bnds", "lon_bnds"):
        cells[name].encoding = {"dtype": "float64", "_FillValue": None}
    return cells


def _bounds(centres: np.ndarray) -> np.ndarray:
    """Borders of the cells around increasing `centres`, shape (n, 2)."""
    middle = (centres[1:] + centres[:-1]) / 2
    first, last = 2 * centres[0] - middle[0], 2 * centres[-1] - middle[-1]
    return np.stack([np.append(first, middle), np.append(middle, last)], axis=-1)


def _global_attributes(maps: xr.Dataset, grid: Grid) -> dict[str, str | float]:
    assert grid.days is not None
    times = maps[grid.axes.time].to_index()
    step = float(np.median(np.diff(grid.days))) if grid.days.size > 1 else 1.0
    half = datetime.timedelta(days=step / 2)
    attributes = {"title": "Maps of sea surface height"} | passed_on(maps.attrs, "to_duacs")
    return attributes | {
        **_CONTENT,
        "Conventions": f"{CONVENTIONS}, ACDD-1.3",
        "cdm_data_type": "Grid",
        "processing_level": "L4",
        "geospatial_lat_min": float(grid.latitude[0]),
        "geospatial_lat_max": float(grid.latitude[-1]),
        "geospatial_lat_resolution": grid.spacing[0],
        "geospatial_lat_units": "degrees_north",
        "geospatial_lon_min": float(grid.longitude[0]),
        "geospatial_lon_max": float(grid.longitude[-1]),
        "geospatial_lon_resolution": grid.spacing[1],
        "geospatial_lon_units": "degrees_east",
        "time_coverage_start": (times[0] - half).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "time_coverage_end": (times[-1] + half).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "time_coverage_resolution": f"P{step:g}D",
        "time_coverage_duration": f"P{grid.days[-1] - grid.days[0] + step:g}D",
    }
