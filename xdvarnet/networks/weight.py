"""How much of a network's change to take: as much as predicts withheld passes."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from xdvarnet._progress import track
from xdvarnet.mapping.observations import Observations
from xdvarnet.methods.optimal_interpolation.interpolation import OptimalInterpolation
from xdvarnet.training.passes import RemovedPasses, check_tracks, fold_passes

FOLDS = 4
"""Parts of the passes that are withheld in turn."""


def weight_on_withheld_passes(
    change: Callable[[Observations], np.ndarray],
    interpolation: OptimalInterpolation,
    tracks: xr.Dataset,
    grid: xr.Dataset,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the weight with which a change predicts best what an interpolation leaves.

    Parameters
    ----------
    change : callable
        From anomalies to what is added to the interpolation, shape (time, latitude, longitude).
    interpolation : OptimalInterpolation
        Of the passes that are left.
    tracks : xarray.Dataset
        Points of nadir altimeters.
    grid : xarray.Dataset
        Of the maps.
    rng : numpy.random.Generator
        Draws the parts.

    Returns
    -------
    weight, error : float
        Slope of a regression through zero, and its standard error.

    Raises
    ------
    InvalidInputError
        If these are no tracks, or have too few passes.
    """
    check_tracks(tracks, interpolation.variables)
    draws = RemovedPasses(
        tracks,
        grid,
        interpolation.variables,
        interpolation.background,
        None,
        1 / FOLDS,
        error_variables=interpolation.error_variables,
    )
    products, name = [], interpolation.variable
    for hidden, seen in track(fold_passes(tracks, FOLDS, rng), "part", FOLDS):
        draw = draws.draw(seen, hidden, rng)
        changed = change(draw.observations)
        rest = draw.truth[name] - interpolation.solve(draw.observations).mean[name]
        known = np.isfinite(rest) & draw.observations.sea
        products.append([np.sum((rest * changed)[known]), np.sum(changed[known] ** 2)])
    return slope_through_zero(np.array(products))


def slope_through_zero(products: np.ndarray) -> tuple[float, float]:
    """Return the slope of a regression through zero, and its standard error between parts.

    `products` has a row for each part: the sum of x y, and that of x squared. The error is that of
    a ratio estimator [1]_, infinite where x is zero.

    References
    ----------
    .. [1] Cochran, W. G. (1977). Sampling Techniques, 3rd edition, section 6.4. Wiley.
    """
    (along, square), parts = products.sum(0), len(products)
    if square == 0:
        return 0.0, np.inf
    slope = along / square
    residual = products @ [1, -slope]
    return float(slope), float(np.sqrt(parts / (parts - 1) * np.sum(residual**2)) / square)
