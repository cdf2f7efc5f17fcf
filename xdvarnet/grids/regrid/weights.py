"""Regridding weights as a Dataset in the layout of ESMF weight files, and their application.

The variables ``S``, ``row`` and ``col`` (from 1) are the weights of source points (``_a``) in
target points (``_b``); both are counted along the rows of the grid. ESMF and xESMF read and write
such files.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import sparse

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.coords import unit_vectors
from xdvarnet.grids.regrid.horizontal import HorizontalGrid, in_degrees

_SAME_PLACE = 1e-5
"""Radians (60 m) between the positions of weights and of a grid that are the same."""

_ROUNDING = 1e-6
"""Part of the weights that is only rounding (as in xESMF)."""


@dataclass(frozen=True)
class Method:
    """How weights are named and applied.

    Attributes
    ----------
    map_method, esmf_method, normalization : str
        Attributes of ESMF weight files. ESMF itself writes the `map_method` of bilinear weights for
        nearest ones too, since SCRIP knew no others; its ``ESMF_regrid_method`` tells them apart.
    esmf : str
        Name in xESMF.
    least : float
        Sum of the weights of valid source points up to which the target is missing.
    divides : bool
        Whether the result is divided by that sum.
    """

    map_method: str
    esmf_method: str
    normalization: str
    esmf: str
    least: float
    divides: bool


METHODS = {
    "linear": Method("Bilinear remapping", "Bilinear", "destarea", "bilinear", 0.999, True),
    "nearest": Method(
        "Nearest remapping", "Nearest source to destination", "destarea", "nearest_s2d", 0.5, True
    ),
    "conservative": Method(
        "Conservative remapping", "First-order Conservative", "destarea", "conservative", 0.0, False
    ),
    "conservative_normed": Method(
        "Conservative remapping",
        "First-order Conservative",
        "fracarea",
        "conservative_normed",
        0.0,
        True,
    ),
}


def weights_dataset(
    matrix: sparse.csr_array, method: str, source: HorizontalGrid, target: HorizontalGrid
) -> xr.Dataset:
    """Write a matrix of shape (target points, source points) as an ESMF weight Dataset."""
    entries = matrix.tocoo()
    dataset = xr.Dataset(
        {
            "S": ("n_s", entries.data),
            "row": ("n_s", (entries.row + 1).astype(np.int32)),
            "col": ("n_s", (entries.col + 1).astype(np.int32)),
        },
        attrs={
            "title": "regridding weights",
            "normalization": METHODS[method].normalization,
            "map_method": METHODS[method].map_method,
            "ESMF_regrid_method": METHODS[method].esmf_method,
            "xdvarnet_regrid_method": method,
        },
    )
    for side, long, grid in (("a", "src", source), ("b", "dst", target)):
        latitude, longitude = grid.points
        dataset[f"yc_{side}"] = (f"n_{side}", latitude, {"units": "degrees"})
        dataset[f"xc_{side}"] = (f"n_{side}", longitude, {"units": "degrees"})
        sizes = np.array(grid.shape[::-1], dtype=np.int32)  # the fastest first
        dataset[f"{long}_grid_dims"] = (f"{long}_grid_rank", sizes)
    return dataset


def read_weights(
    weights: xr.Dataset, method: str, source: HorizontalGrid, target: HorizontalGrid
) -> sparse.csr_array:
    """Read weights back, after checks that they belong to the method and the grids.

    Raises
    ------
    InvalidTypeError
        If `weights` is no Dataset.
    InvalidInputError
        If it has not the variables of a weight file, or was made by another method, for another
        shape, or for other positions (where these are in the file).
    """
    if not isinstance(weights, xr.Dataset):
        raise InvalidTypeError(
            f"weights is a {type(weights).__name__}; give the Dataset of regrid_weights, read back "
            "from a file with xarray.open_dataset."
        )
    if not {"S", "row", "col"} <= set(weights.variables):
        raise InvalidInputError(
            f"weights has the variables {sorted(map(str, weights.variables))}; regridding weights "
            "have 'S', 'row' and 'col'. Make them with regrid_weights."
        )
    _check_method(weights, method)
    for side, long, grid, name in (("a", "src", source, "col"), ("b", "dst", target, "row")):
        _check_shape(weights, side, long, grid, name)
        _check_positions(weights, side, long, grid)
    index = (weights["row"].values - 1, weights["col"].values - 1)
    values = weights["S"].values.astype(float)
    return sparse.csr_array((values, index), shape=(target.size, source.size))


def weighted(
    matrix: sparse.csr_array,
    method: str,
    name: str,
    left_out: np.ndarray,
    shape: tuple[int, int],
    na_thres: float | None = None,
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that regrids the last two dimensions of an array.

    A target point is the sum of weights times values over the source points that are not NaN.
    That sum is divided by the sum of their weights, if the method says so, and NaN where this sum
    is too small.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array
        Shape (target points, source points).
    method, name : str
        A key of `METHODS`, and the variable's name for messages.
    left_out : numpy.ndarray
        Source points that have no position and may have no values either, shape (source points,).
    shape : tuple of int
        Shape of the target.
    na_thres : float, optional
        As in `regrid`: instead of the method's own rule, the sum is divided, and NaN where more
        than this part of the weights is missing.
    """

    def regrid(values: np.ndarray) -> np.ndarray:
        fields = values.reshape(-1, matrix.shape[1])
        _check_left_out(np.isfinite(fields[:, left_out]).any(axis=0), name)
        result = np.empty((len(fields), matrix.shape[0]), dtype=values.dtype)
        mask = divisor = None
        # one product a field: vectors in one piece are several times faster than all fields at once
        for field, regridded in zip(fields, result, strict=True):
            finite = np.isfinite(field)
            if mask is None or not np.array_equal(finite, mask):  # most masks do not change
                mask, divisor = finite, _divisor(matrix @ finite.astype(float), method, na_thres)
            regridded[:] = matrix @ np.where(finite, field.astype(float), 0.0) / divisor
        return result.reshape(*values.shape[:-2], *shape)

    return regrid


def _divisor(covered: np.ndarray, method: str, na_thres: float | None) -> np.ndarray:
    """What sums are divided by, where the weights of valid points sum to `covered`."""
    rule = METHODS[method]
    if na_thres is None:
        return np.where(covered > rule.least, covered if rule.divides else 1.0, np.nan)
    least = np.clip(1 - na_thres, _ROUNDING, 1 - _ROUNDING)
    return np.where(covered >= least, covered, np.nan)


def _check_method(weights: xr.Dataset, method: str) -> None:
    made_by = _made_by(weights)
    if made_by is not None and made_by not in METHODS:
        raise InvalidInputError(
            f"these weights were made by the method {made_by!r}, which is none of "
            f"{', '.join(METHODS)}; make other weights with regrid_weights."
        )
    if made_by not in (None, method):
        raise InvalidInputError(
            f"these weights were made by the method {made_by!r}, and method={method!r} is asked; "
            f"give method={made_by!r}, or make other weights with regrid_weights."
        )


def _made_by(weights: xr.Dataset) -> str | None:
    """Which of `METHODS` made the weights; another name if none of them did, None if unsaid."""
    if "xdvarnet_regrid_method" in weights.attrs:
        return str(weights.attrs["xdvarnet_regrid_method"])
    by_esmf = "ESMF_regrid_method" in weights.attrs
    written = weights.attrs.get("ESMF_regrid_method", weights.attrs.get("map_method"))
    if written is None:
        return None
    normalization = weights.attrs.get("normalization", "destarea")
    for name, rule in METHODS.items():
        normalized = normalization if name.startswith("conservative") else rule.normalization
        known = rule.esmf_method if by_esmf else rule.map_method
        if normalized == rule.normalization and _same_words(str(written), known, by_esmf):
            return name
    return str(written)


def _same_words(written: str, known: str, whole: bool) -> bool:
    """Whether two names of a method agree, as a whole or in the first word."""
    words, others = (name.casefold().split() for name in (written, known))
    return words == others if whole else words[:1] == others[:1]


def _check_shape(
    weights: xr.Dataset, side: str, long: str, grid: HorizontalGrid, index: str
) -> None:
    role = {"a": "source", "b": "target"}[side]
    sizes = f"{long}_grid_dims"
    shape = tuple(weights[sizes].values[::-1].tolist()) if sizes in weights else None
    if shape is not None and len(shape) == 2 and shape != grid.shape:
        raise InvalidInputError(
            f"these weights are for a {role} of shape {shape}, and the {role} has {grid.shape} "
            f"(dimensions {grid.dims}); make weights for it with regrid_weights."
        )
    size = weights.sizes.get(f"n_{side}", grid.size)
    largest = int(weights[index].max()) if weights.sizes["n_s"] else 0
    if size != grid.size or largest > grid.size:
        raise InvalidInputError(
            f"these weights are for a {role} of {max(size, largest)} points, and the {role} has "
            f"{grid.size}, of shape {grid.shape}; make weights for it with regrid_weights."
        )


def _check_positions(weights: xr.Dataset, side: str, long: str, grid: HorizontalGrid) -> None:
    names = (f"yc_{side}", f"xc_{side}")
    if not set(names) <= set(weights.variables):
        return
    given = unit_vectors(*(in_degrees(weights[name].variable, name) for name in names))
    distance = np.abs(given - unit_vectors(*grid.points))
    if np.nanmax(distance, initial=0.0) > _SAME_PLACE:
        role = {"a": "source", "b": "target"}[side]
        other = int((np.nanmax(distance, axis=1) > _SAME_PLACE).sum())
        raise InvalidInputError(
            f"these weights are for a {role} whose points are elsewhere: {other} of {grid.size} "
            f"differ, and the {role} has {grid.describe_range()}; make weights for it with "
            "regrid_weights."
        )


def _check_left_out(with_values: np.ndarray, name: str) -> None:
    if with_values.any():
        raise InvalidInputError(
            f"variable {name!r} has values at {int(with_values.sum())} points whose position (or a "
            "corner of whose cell) is missing. Complete the positions, e.g. from the model's mesh "
            "file, or mask these values with NaN to leave the points out."
        )
