"""Bring Datasets from one horizontal grid to another: linear, conservative or nearest.

All methods are one product with a sparse matrix of weights, which `regrid_weights` makes; they
differ in how the weights come about and in what a missing value (NaN) does.

- ``linear``: bilinear interpolation; NaN where a source point with weight is NaN, and outside.
- ``conservative``: sum over the source cells of value times overlap, divided by the area of the
  target cell (``dstarea`` in ESMF). It keeps integrals, so a target cell that is half sea has half
  the value of the sea.
- ``conservative_normed``: the same sum divided by the area of the overlap with valid source cells
  (``fracarea``): the mean value of the valid part. For maps.
- ``nearest``: the value of the nearest source point, however far it is.

Masks are those of each field, so they may change in time.

References
----------
Jones, P. W., 1999: First- and second-order conservative remapping schemes for grids in spherical
coordinates. Monthly Weather Review, 127, 2204-2210.
"""

from collections.abc import Hashable

import numpy as np
import xarray as xr
from scipy import sparse

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.categories import is_category
from xdvarnet.grids.checks import check_known
from xdvarnet.grids.provenance import passed_on
from xdvarnet.grids.regrid.cells import corners
from xdvarnet.grids.regrid.esmf import esmf_matrix
from xdvarnet.grids.regrid.horizontal import HorizontalGrid, bounds_names, find_horizontal
from xdvarnet.grids.regrid.interpolation import linear, nearest
from xdvarnet.grids.regrid.overlaps import duplicated_cells, overlaps
from xdvarnet.grids.regrid.weights import METHODS, read_weights, weighted, weights_dataset
from xdvarnet.grids.values import check_decoded, trusted_values

ENGINES = ("native", "xesmf")


def regrid(
    dataset: xr.Dataset,
    target: xr.Dataset,
    *,
    method: str = "linear",
    engine: str = "native",
    weights: xr.Dataset | None = None,
    na_thres: float | None = None,
) -> xr.Dataset:
    """Regrid the variables of `dataset` to the horizontal grid of `target`.

    Parameters
    ----------
    dataset : xarray.Dataset
        Longitude and latitude in degrees, as axes or on the same two dimensions (curvilinear, such
        as a tripolar or polar stereographic grid), found by CF attributes, then by name. NaN is
        missing. Other dimensions, such as time, are untouched. dask arrays stay lazy.
    target : xarray.Dataset
        Its longitude and latitude are the new grid, of either kind; its variables do not matter.
    method : {"linear", "conservative", "conservative_normed", "nearest"}
        See the module's description. The conservative ones take the cells from the CF ``bounds``
        of longitude and latitude, or build them from the centres.
    engine : {"native", "xesmf"}
        What computes the weights. `native` needs no further package (but shapely for conservative
        regridding with a curvilinear grid); its cells are polygons in the plane of longitude and
        sine of latitude (see `xdvarnet.grids.regrid.polygons`). `xesmf` is ESMF, whose cells
        have great circles as borders.
    weights : xarray.Dataset, optional
        Of `regrid_weights`, for the same grids and method, to compute them only once. They may come
        from a file, of either engine or of ESMF or xESMF. Where the file does not say by which
        method they were made, they are taken as those of `method`.
    na_thres : float, optional
        Largest part of the weights, 0 to 1, that may be on missing values. Up to it, a target point
        is the mean of the valid source points with their weights, and beyond NaN: ``skipna=True``
        with `na_thres` of xESMF. By default each method has its own rule (see the module's
        description): near 0 for `linear` and `nearest`, 1 for `conservative_normed`, while
        `conservative` counts a missing value as zero and keeps the integral, which it does not
        with `na_thres`.

    Returns
    -------
    xarray.Dataset
        Variables on both horizontal dimensions are regridded, in float64, and keep their name,
        attributes, dtype and order of dimensions; variables on neither are kept. Coordinates (and
        bounds) of the grid, among them a mask ``sea``, are those of `target`, as are the names of
        the dimensions. The attributes say the method and the engine (``xdvarnet_regrid_method``,
        ``xdvarnet_regrid_engine``) and, where they apply, that cells were built
        (``xdvarnet_cell_bounds``), how many cells repeat another one and were left out
        (``xdvarnet_duplicated_cells``) and how many points have no position
        (``xdvarnet_points_without_position``); ``history`` has one more line.

    Raises
    ------
    InvalidTypeError
        If `dataset`, `target` or `weights` is no Dataset.
    UnknownNameError
        If the method or the engine is unknown.
    InvalidInputError
        If a grid is not found or not valid, or `target` is a track; if the grids have no point in
        common; if no variable can be regridded, or none has a finite value (unless they are lazy);
        if one holds infinities, values where the position is missing, or, but with `nearest`,
        labels, flags or a type that has no NaN; if `weights` do not fit, or `na_thres` is not in
        0 to 1.
    MissingDependencyError
        If shapely or xesmf is needed and not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from xdvarnet.datasets import mediterranean
    >>> target = xr.Dataset(coords={"lat": np.arange(36.5, 40), "lon": np.arange(3.5, 8)})
    >>> regrid(mediterranean(), target, method="conservative_normed")["ssh"].dims
    ('time', 'lat', 'lon')
    """
    check_known(method, METHODS, "method")
    check_known(engine, ENGINES, "engine")
    _check_na_thres(na_thres)
    source, grid = _grids(dataset, target)
    names = _regridded_names(dataset, source, grid, method)
    if weights is None:
        weights = regrid_weights(dataset, target, method=method, engine=engine)
    matrix = read_weights(weights, method, source, grid)
    left_out = _left_out(source, method)
    arrays = {
        name: _regrid_variable(
            trusted_values(dataset[name]), matrix, method, source, grid, left_out, na_thres
        )
        for name in names
    }
    result = _without_grid(dataset, source).assign(arrays)
    result = _with_grid(result, target, grid)
    shape = " x ".join(map(str, grid.shape))
    result.attrs = passed_on(dataset.attrs, f"regrid to {shape} points, method={method!r}")
    if na_thres is not None:
        result.attrs["xdvarnet_regrid_na_thres"] = float(na_thres)
    kept = {name: value for name, value in weights.attrs.items() if name.startswith("xdvarnet_")}
    if left_out.any():
        kept["xdvarnet_points_without_position"] = int(left_out.sum())
    return result.assign_attrs({**kept, "xdvarnet_regrid_method": method})


def regrid_weights(
    source: xr.Dataset, target: xr.Dataset, *, method: str = "linear", engine: str = "native"
) -> xr.Dataset:
    """Compute the weights with which `regrid` goes from the grid of `source` to that of `target`.

    Parameters
    ----------
    source, target : xarray.Dataset
        As in `regrid`; only the coordinates matter.
    method, engine : str
        As in `regrid`.

    Returns
    -------
    xarray.Dataset
        In the layout of ESMF weight files: the weights ``S``, with ``row`` in the target and
        ``col`` in the source from 1, positions and shapes of both grids, and for the conservative
        methods the areas of the cells in steradians (``area_a``, ``area_b``) and the parts of them
        that the other grid covers (``frac_a``, ``frac_b``). Source cells that repeat another one,
        in the halo of a global model, have no weights and no area. Save it with ``to_netcdf``.

    Raises
    ------
    InvalidTypeError, UnknownNameError, InvalidInputError, MissingDependencyError
        As in `regrid`.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> fine = xr.Dataset(coords={"lat": np.arange(30, 34, 0.25), "lon": np.arange(0, 8, 0.25)})
    >>> coarse = xr.Dataset(coords={"lat": np.arange(31.0, 34), "lon": np.arange(1.0, 7)})
    >>> weights = regrid_weights(fine, coarse, method="conservative")
    >>> bool((abs(weights["frac_b"] - 1) < 1e-12).all())
    True
    """
    check_known(method, METHODS, "method")
    check_known(engine, ENGINES, "engine")
    grids = _grids(source, target)
    conservative = method.startswith("conservative")
    if engine == "xesmf":
        weights = weights_dataset(esmf_matrix(*grids, method), method, *grids)
    elif conservative:
        weights = _conservative_weights(*grids, method)
    else:
        compute = {"linear": linear, "nearest": nearest}[method]
        weights = weights_dataset(compute(*grids), method, *grids)
    if not weights.sizes["n_s"]:
        raise InvalidInputError(
            f"source and target have no point in common: the source has "
            f"{grids[0].describe_range()}, the target {grids[1].describe_range()}."
        )
    if conservative:
        weights.attrs.update(_built(*grids))
        repeated = int(duplicated_cells(grids[0]).sum())
        weights.attrs.update({"xdvarnet_duplicated_cells": repeated} if repeated else {})
    return weights.assign_attrs(xdvarnet_regrid_engine=engine)


def _grids(source: xr.Dataset, target: xr.Dataset) -> tuple[HorizontalGrid, HorizontalGrid]:
    grids = find_horizontal(source), find_horizontal(target)
    for name, array in target.coords.items():
        if set(array.dims) & set(grids[1].dims) and np.issubdtype(array.dtype, np.datetime64):
            raise InvalidInputError(
                f"the target is a track or a swath: its times {name!r} change along "
                f"{array.dims}. Maps are sampled at such points with sample_tracks; if a grid is "
                f"meant, drop the times with target.drop_vars({name!r})."
            )
    return grids


def _check_na_thres(na_thres: float | None) -> None:
    number = isinstance(na_thres, int | float | np.number)
    if na_thres is not None and not (number and 0 <= na_thres <= 1):
        raise InvalidInputError(
            f"na_thres={na_thres!r} is not accepted; give the largest part of missing weights, "
            "from 0 (none is missing) to 1 (some are left)."
        )


def _conservative_weights(
    source: HorizontalGrid, target: HorizontalGrid, method: str
) -> xr.Dataset:
    common = overlaps(source, target)
    covered = common.areas.sum(axis=1)
    norm = covered if METHODS[method].divides else common.target
    inverse = np.divide(1.0, norm, out=np.zeros(norm.size), where=covered > 0)
    matrix = sparse.csr_array(sparse.diags_array(inverse) @ common.areas)
    weights = weights_dataset(matrix, method, source, target)
    for side, area, part in (
        ("a", common.source, common.areas.sum(axis=0)),
        ("b", common.target, covered),
    ):
        fraction = np.divide(part, area, out=np.zeros(area.size), where=area > 0)
        weights[f"area_{side}"] = (f"n_{side}", area, {"units": "steradian"})
        weights[f"frac_{side}"] = (f"n_{side}", fraction, {"units": "1"})
    return weights


def _built(source: HorizontalGrid, target: HorizontalGrid) -> dict[str, str]:
    built = [role for role, grid in (("source", source), ("target", target)) if not grid.bounds]
    which = f" ({built[0]} only)" if len(built) == 1 else ""
    return {"xdvarnet_cell_bounds": f"built from centres{which}"} if built else {}


def _regridded_names(
    dataset: xr.Dataset, source: HorizontalGrid, target: HorizontalGrid, method: str
) -> list[Hashable]:
    skip = bounds_names(dataset) | set(source.names)
    kinds = "fbiu" if method == "nearest" and target.placed.all() else "f"
    names = []
    for name, array in dataset.data_vars.items():
        found = set(array.dims) & set(source.dims)
        if found:
            check_decoded(array)
        clash = (set(array.dims) - found) & set(target.dims)
        problem = None
        if name not in skip and len(found) == 1:
            problem = f"has only one of the dimensions {source.dims} of the grid"
        elif clash:
            problem = f"has the dimension {clash.pop()!r}, which is also one of the target's grid"
        elif name not in skip and found and array.dtype.kind not in kinds:
            problem = f"holds {array.dtype} values, which have no NaN (method='nearest' takes ints)"
        elif name not in skip and found and method != "nearest" and is_category(array):
            problem = "holds flags or labels, which have no mean (method='nearest' takes them)"
        if problem:
            raise InvalidInputError(
                f"variable {name!r} {problem}; convert or rename it, or drop it with "
                f"dataset.drop_vars({name!r})."
            )
        if name not in skip and found:
            names.append(name)
    if not names:
        raise InvalidInputError(
            f"no variable has the dimensions {source.dims}; the dataset has "
            f"{ {str(name): array.dims for name, array in dataset.data_vars.items()} }."
        )
    if all(_is_empty(dataset[name]) for name in names):
        raise InvalidInputError(
            f"no variable of {sorted(map(str, names))} has a finite value: nothing is left to "
            "regrid. Check the mask."
        )
    return names


def _is_empty(array: xr.DataArray) -> bool:
    """Return whether nothing is known; lazy values are not looked at."""
    floating = np.issubdtype(array.dtype, np.floating)
    return array.chunks is None and floating and bool(np.isnan(array.values).all())


def _left_out(source: HorizontalGrid, method: str) -> np.ndarray:
    """Source points without a position, or for conservative regridding without all corners."""
    if source.rectilinear or not method.startswith("conservative"):
        return ~source.placed
    return ~np.isfinite(corners(source)).all(axis=(0, 2))


def _regrid_variable(
    array: xr.DataArray,
    matrix: sparse.csr_array,
    method: str,
    source: HorizontalGrid,
    target: HorizontalGrid,
    left_out: np.ndarray,
    na_thres: float | None,
) -> xr.Variable:
    variable = array.variable
    if variable.chunks is not None:
        variable = variable.chunk(dict.fromkeys(source.dims, -1))
    new = ("target 0", "target 1")  # the names of source and target may be the same
    regridded = xr.apply_ufunc(
        weighted(matrix, method, str(array.name), left_out, target.shape, na_thres),
        variable,
        input_core_dims=[source.dims],
        output_core_dims=[new],
        dask="parallelized",
        output_dtypes=[variable.dtype],
        dask_gufunc_kwargs={"output_sizes": dict(zip(new, target.shape, strict=True))},
        keep_attrs=True,
    )
    place: dict[Hashable, str] = dict(zip(source.dims, new, strict=True))
    order = [place.get(dim, dim) for dim in variable.dims]
    names: dict[Hashable, str] = dict(zip(new, target.dims, strict=True))
    ordered = regridded.transpose(*order)
    return xr.Variable([names.get(dim, dim) for dim in order], ordered.data, ordered.attrs)


def _without_grid(dataset: xr.Dataset, source: HorizontalGrid) -> xr.Dataset:
    """Leave out all that is on the dimensions of the grid."""
    return dataset.drop_vars(
        [name for name, v in dataset.variables.items() if set(v.dims) & set(source.dims)]
    )


def _with_grid(result: xr.Dataset, target: xr.Dataset, grid: HorizontalGrid) -> xr.Dataset:
    """Give `result` the coordinates of the target's grid, and the bounds of its cells."""
    bounds = bounds_names(target, grid.names)
    on_grid = {
        name
        for name, array in target.coords.items()
        if array.dims and set(array.dims) <= set(grid.dims) and name not in result.data_vars
    }
    result = result.assign({name: target[name].variable for name in bounds - set(target.coords)})
    coords = on_grid | set(grid.names) | bounds & set(target.coords)
    return result.assign_coords({name: target[name].variable for name in coords})
