"""The scores of maps, in one call: against gridded truth or along the tracks of an altimeter."""

from typing import Literal

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, UnknownNameError, warn
from xdvarnet.grids.checks import HARMONISED, check_dataset, check_known, check_variable
from xdvarnet.grids.coords import find_axes
from xdvarnet.grids.harmonise.roles import find_roles
from xdvarnet.grids.labels import UNFINISHED
from xdvarnet.grids.points import find_points
from xdvarnet.grids.values import trusted_values
from xdvarnet.metrics.alignment import compare, warn_if_few
from xdvarnet.metrics.challenges import ose2021a, osse2020a
from xdvarnet.metrics.regimes import ose2023a
from xdvarnet.metrics.scores import (
    bias,
    explained_variance,
    gradient_rmse,
    label_scores,
    mu,
    rmse,
    sigma,
)
from xdvarnet.metrics.series import score_series

AGAINST_GRIDS = {"gridded": None, "osse2020a": "ssh"}
"""Kinds of scores against a gridded reference, with the variable that they score by default."""

AGAINST_TRACKS = {"ose2021a": (ose2021a, "ssh"), "ose2023a": (ose2023a, "sla")}
"""Kinds of scores against tracks: function, and the variable that they score by default."""


def score(
    maps: xr.Dataset,
    reference: xr.Dataset,
    *,
    variable: str | None = None,
    kind: Literal["gridded", "osse2020a", "ose2021a", "ose2023a", "series"] = "gridded",
) -> xr.Dataset:
    """Score maps against a reference.

    Parameters
    ----------
    maps : xarray.Dataset
        Maps, such as `reconstruct` gives.
    reference : xarray.Dataset
        The truth, or better maps, on the same grid, for the kinds ``gridded`` and ``osse2020a``;
        only the common days and cells are compared. The tracks of a withheld altimeter for
        ``ose2021a`` and ``ose2023a``.
    variable : str, optional
        The variable of the maps to score; by default all gridded variables that both have, and for
        the challenges ``ssh``, or ``sla`` for ``ose2023a``. A gridded reference has it too.
    kind : {"gridded", "osse2020a", "ose2021a", "ose2023a", "series"}
        Which scores: those below, or those of a mapping challenge, which
        `xdvarnet.metrics.challenges.osse2020a`, `xdvarnet.metrics.challenges.ose2021a` and
        `xdvarnet.metrics.regimes.ose2023a` describe; for ``state`` (sample, time, component),
        those of `xdvarnet.metrics.series.score_series`.

    Returns
    -------
    xarray.Dataset
        For ``gridded``, scalars ``rmse`` and ``bias`` (units of the reference),
        ``explained_variance``, ``mu`` and ``sigma`` (1; the latter only with time, NaN for one
        day), ``gradient_rmse`` (units of the reference per 100 km), ``n_points`` (cells and days
        that are finite in both, on which all scores rest) and ``n_missing`` (all others where the
        reference is finite, also cells and days that the maps do not have; two methods are compared
        fairly where theirs agree). With several variables, along a dimension ``variable``.

    Warns
    -----
    XdvarnetWarning
        If the score of a challenge is not known, such as an effective resolution, and is NaN; if
        under half of a gridded reference, in the region and period of the maps, is compared (not
        for dask arrays); if the maps are of a store that is not finished.

    Raises
    ------
    InvalidTypeError
        If `maps` or `reference` is no Dataset.
    UnknownNameError
        If `kind`, `variable`, or any common variable, is unknown or missing.
    InvalidInputError
        If there is no common day or cell, no cell finite in both, calendars or grids differ, units
        do not convert, or the reference is of another sort than `kind` needs or is a product whose
        heights have other names; or values are packed, fills or infinite.

    Examples
    --------
    >>> import pandas as pd
    >>> grid = {"time": pd.date_range("2005-06-10", periods=3), "lat": [36.0, 36.5, 37.0],
    ...         "lon": [4.0, 4.5, 5.0, 5.5]}
    >>> truth = xr.Dataset({"ssh": (("time", "lat", "lon"), np.ones((3, 3, 4)))}, grid)
    >>> float(score(truth + 0.02, truth)["rmse"].round(3))
    0.02
    """
    check_known(kind, [*AGAINST_GRIDS, *AGAINST_TRACKS, "series"], "kind of score")
    check_dataset(maps)
    check_dataset(reference)
    if UNFINISHED in maps.attrs:
        warn("the store of these maps is not finished; only the days that are written are scored.")
    if kind == "series":
        return score_series(maps, reference)
    _check_sort(reference, kind)
    if kind == "gridded":
        return _gridded(maps, reference, variable)
    if kind in AGAINST_GRIDS:
        name = variable or AGAINST_GRIDS[kind]
        return osse2020a(
            check_variable(maps, name, argument="variable"), check_variable(reference, name)
        )
    function, usual = AGAINST_TRACKS[kind]
    if usual == "sla" and variable is None and "ssh" in maps and "sla" not in maps:
        raise UnknownNameError(
            f"kind={kind!r} scores maps of sea level anomaly, 'sla', and the maps have 'ssh'; take "
            "the mean dynamic topography off: maps.assign(sla=maps['ssh'] - mdt)."
        )
    return function(check_variable(maps, variable or usual, argument="variable"), reference)


def _check_sort(reference: xr.Dataset, kind: str) -> None:
    """Refuse tracks where a grid is meant, and other things where tracks are meant."""
    try:
        find_points(reference)
    except InvalidInputError as problem:
        if kind in AGAINST_GRIDS:
            return
        raise InvalidInputError(
            f"kind={kind!r} scores against tracks; {problem} To score against maps on a grid, give "
            f"kind={' or kind='.join(map(repr, AGAINST_GRIDS))}."
        ) from problem
    if kind in AGAINST_GRIDS:
        raise InvalidInputError(
            f"kind={kind!r} scores against maps on a grid, and the reference holds points along "
            f"tracks; for these give kind={' or kind='.join(map(repr, AGAINST_TRACKS))}."
        )


def _gridded(maps: xr.Dataset, reference: xr.Dataset, variable: str | None) -> xr.Dataset:
    if "component" in maps.dims:
        raise InvalidInputError("these are series and no maps; score them with kind='series'.")
    find_axes(maps, time=False)
    horizontal = set(find_axes(reference, time=False).dims[-2:])
    if variable is not None:
        return _score(check_variable(maps, variable), check_variable(reference, variable))
    _check_harmonised(maps, reference)
    names = [
        name
        for name, array in reference.data_vars.items()
        if name in maps.data_vars and horizontal <= set(array.dims)
    ]
    if not names:
        raise UnknownNameError(
            f"the maps {sorted(map(str, maps.data_vars))} and the reference "
            f"{sorted(map(str, reference.data_vars))} have no gridded variable in common; rename "
            "one of them with dataset.rename."
        )
    scores = [_score(maps[name], reference[name]) for name in names]
    if len(names) == 1:
        return scores[0]
    dim = xr.IndexVariable("variable", np.array(names))
    return xr.concat(scores, dim, combine_attrs="drop_conflicts")


def _check_harmonised(maps: xr.Dataset, reference: xr.Dataset) -> None:
    """Refuse a raw product as the reference, whose heights would be left out."""
    absent = {name for name in HARMONISED if name in maps and name not in reference}
    try:
        roles = find_roles(reference) if absent else {}
    except InvalidInputError:
        return
    hidden = {name: roles[name][0] for name in sorted(absent & set(roles))}
    if hidden:
        raise InvalidInputError(
            f"the maps have {list(hidden)}, which the reference calls {list(hidden.values())}: it "
            "is not in the convention. Score against reference.dvarnet.harmonise(), or rename."
        )


def _score(maps: xr.DataArray, reference: xr.DataArray) -> xr.Dataset:
    maps, reference = trusted_values(maps), trusted_values(reference)
    error, common = compare(maps, reference)
    units = reference.attrs.get("units", "1")
    count = error.notnull().sum(list(common.dims))
    if count.chunks is None and not count.all():
        raise InvalidInputError(
            f"variable {reference.name!r} has no cell that is finite in both maps and reference; "
            "compare days and regions where both have values."
        )
    if count.chunks is None:
        warn_if_few(maps, reference, int(count.min()))
    scores = {
        "n_points": (count, "number of cells and days compared", "1"),
        "n_missing": (
            reference.notnull().sum() - count,
            "number of cells and days that only the reference has",
            "1",
        ),
        "rmse": (rmse(maps, reference), "root mean square error", units),
        "bias": (bias(maps, reference), "mean error", units),
        "explained_variance": (explained_variance(maps, reference), "explained variance", "1"),
        "mu": (mu(maps, reference), "1 - rms error / rms of the reference", "1"),
        "gradient_rmse": (
            gradient_rmse(maps, reference),
            "root mean square error of the horizontal gradient",
            f"{units}/(100 km)",
        ),
    }
    if find_axes(common, time=False).time in common.dims:
        spread = sigma(maps, reference)
        scores["sigma"] = (spread, "standard deviation of the daily mu", "1")
    return label_scores(scores)
