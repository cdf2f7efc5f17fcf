"""Is an ensemble calibrated: ranks of the truth, and the error where the spread is small or large.

Both figures are flat, or on a diagonal, for a perfect ensemble
(`xdvarnet.metrics.calibration`).
"""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.checks import check_dataset, check_variable
from xdvarnet.plot.axes import check_installed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVEL = 0.95
"""Share of the counts of a perfect ensemble that the band of `plot_ranks` holds."""

ROOM = 1.05
"""Room beyond the largest spread or error, as a factor."""


def plot_ranks(histogram: xr.DataArray, *, ax: "Axes | None" = None) -> "Axes":
    """Draw a rank histogram, and the band that holds 95 % of the counts of a perfect ensemble.

    High at both ends: the members spread too little. High in the middle: too much. Sloping: they
    are too high or too low. The band is that of *independent* points: of neighbours in space and
    time a perfect ensemble leaves it too.

    Parameters
    ----------
    histogram : xarray.DataArray
        Counts over ``rank``, from `xdvarnet.metrics.calibration.rank_histogram`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw in; default new ones in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, to add to.

    Raises
    ------
    InvalidTypeError
        If `histogram` is no DataArray.
    InvalidInputError
        If it has other dimensions than ``rank``, or no point.
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    With points a correlation length and time apart::

        far = {"time": slice(None, None, 12), "lat": slice(0, None, 8), "lon": slice(0, None, 8)}
        members, reference = maps["ssh_members"].isel(far), truth["ssh"].isel(far)
        plot_ranks(rank_histogram(members, reference, rng=0))
    """
    check_installed()
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator
    from scipy.stats import binom

    _check_histogram(histogram)
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
    counts, ranks = histogram.values, histogram.sizes["rank"]
    points = int(counts.sum())
    low, high = binom.interval(LEVEL, points, 1 / ranks)
    ax.bar(np.arange(ranks), counts, width=0.9, color="tab:blue", alpha=0.8)
    ax.axhline(points / ranks, color="black", linewidth=0.8)
    ax.axhspan(low, high, color="0.5", alpha=0.3, label=f"{LEVEL:.0%} of a perfect ensemble")
    ax.set(
        xlabel=f"members below the truth, of {ranks - 1}",
        ylabel=f"number of points, of {points}",
        xlim=(-0.7, ranks - 0.3),
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(loc="lower center")
    return ax


def plot_spread_skill(
    binned: xr.Dataset, *, label: str | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Draw the error of the mean against the spread, bin by bin, and the line where they are equal.

    Above the line the spread is too small for the error, below it too large; a flat curve does not
    tell where the error is large. Several methods are compared by drawing in the same axes.

    Parameters
    ----------
    binned : xarray.Dataset
        ``spread``, ``error`` and ``count`` over ``bin``, from
        `xdvarnet.metrics.calibration.binned_spread_skill`.
    label : str, optional
        Name in the legend.
    ax : matplotlib.axes.Axes, optional
        Axes to draw in; default new ones in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, to add to.

    Raises
    ------
    InvalidTypeError
        If `binned` is no Dataset.
    UnknownNameError
        If ``spread``, ``error`` or ``count`` is missing.
    InvalidInputError
        If one has other dimensions than ``bin``.
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    ::

        spread = maps["ssh_members"].std("member", ddof=1)
        plot_spread_skill(binned_spread_skill(maps["ssh"], spread, truth["ssh"]))
    """
    check_installed()
    import matplotlib.pyplot as plt

    check_dataset(binned)
    spread, error, count = (_check_binned(binned, name) for name in ("spread", "error", "count"))
    if ax is None:
        _, ax = plt.subplots(figsize=(5, 5), layout="constrained")
    if not ax.lines:
        ax.axline((0, 0), slope=1, color="0.5", linewidth=0.8, linestyle="--")
        ax.set_aspect("equal")
    ax.plot(spread, error, "o-", markersize=4, label=label)
    reach = ROOM * max(np.max(np.asarray(curve.get_xydata())) for curve in ax.lines[1:])
    units = spread.attrs.get("units", "1")
    ax.set(
        xlabel=f"spread ({units}), in bins of {int(count.mean().round())} cells",
        ylabel=f"RMSE of the mean ({units})",
        xlim=(0, reach),
        ylim=(0, reach),
    )
    if label is not None:
        ax.legend(loc="upper left")
    return ax


def _check_histogram(histogram: xr.DataArray) -> None:
    if not isinstance(histogram, xr.DataArray):
        raise InvalidTypeError(
            f"expected an xarray DataArray, got {type(histogram).__name__}; give the counts of "
            "rank_histogram(members, truth)."
        )
    if histogram.dims != ("rank",):
        raise InvalidInputError(
            f"the histogram has the dimensions {histogram.dims}; drawn are counts over 'rank'. "
            "Select one of the others, or reduce them: rank_histogram(members, truth)."
        )
    if histogram.sum() == 0:
        raise InvalidInputError("the histogram has no point; all its counts are 0.")


def _check_binned(binned: xr.Dataset, name: str) -> xr.DataArray:
    array = check_variable(binned, name)
    if array.dims != ("bin",):
        raise InvalidInputError(
            f"{name!r} has the dimensions {array.dims}; drawn are values over 'bin', from "
            "binned_spread_skill(mean, std, truth)."
        )
    return array
