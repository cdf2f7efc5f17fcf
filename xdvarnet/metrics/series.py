"""Scores of reconstructed series."""

import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.series import STATE, find_series
from xdvarnet.metrics.scores import label_scores


def score_series(found: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    """Score series against their truth: `xdvarnet.score` with ``kind="series"``.

    Parameters
    ----------
    found, truth : xarray.Dataset
        With ``state`` (sample, time, component), and ``state_std`` in `found` where a method has
        one.

    Returns
    -------
    xarray.Dataset
        Scalars ``n_points`` (values compared), ``n_missing`` (where only the truth is finite),
        ``mse`` (mean squared error over samples, times and components: the R of Fablet et
        al. 2021, doi 10.1029/2021MS002572), ``rmse``, and with a standard deviation
        ``error_over_variance``: the mean squared error over the mean variance, 1 where the method
        knows its error.

    Raises
    ------
    UnknownNameError
        If a ``state`` is missing.
    InvalidInputError
        If these are no series, or differ in dimensions or coordinates, or have no value in
        common.

    Examples
    --------
    >>> from xdvarnet.datasets import lorenz63
    >>> from xdvarnet.metrics.series import score_series
    >>> truth = lorenz63("test", samples=3)
    >>> float(score_series(truth + 2, truth)["mse"].round(3))
    4.0
    """
    found, truth = (each.assign({STATE: find_series(each).like}) for each in (found, truth))
    try:
        state, known = xr.align(found[STATE], truth[STATE], join="exact")
    except ValueError as problem:
        raise InvalidInputError(
            f"the series and the truth differ in size or coordinates ({problem}); compare the same "
            "samples, times and components, such as truth.sel(time=found['time']) and "
            "found.sel(component=truth['component'])."
        ) from problem
    if set(state.dims) != set(known.dims):
        raise InvalidInputError(
            f"the series has the dimensions {state.dims}, and the truth {known.dims}; give both "
            "the same ones."
        )
    error = (state - known) ** 2
    count = error.count()
    if not count:
        raise InvalidInputError("the series and the truth have no finite value in common.")
    units = truth[STATE].attrs.get("units", "1")
    squared = "1" if units == "1" else f"({units})^2"
    scores = {
        "n_points": (count, "number of values compared", "1"),
        "n_missing": (known.count() - count, "number of values that only the truth has", "1"),
        "mse": (error.mean(), "mean squared error", squared),
        "rmse": (error.mean() ** 0.5, "root mean square error", units),
    }
    if f"{STATE}_std" in found:
        variance = (found[f"{STATE}_std"] ** 2).where(error.notnull()).mean()
        ratio = error.mean() / variance
        scores["error_over_variance"] = (ratio, "mean squared error over mean variance", "1")
    return label_scores(scores)
