"""Calibration of ensembles, and of a mean with a standard deviation, against a truth.

Members have the dimension ``member``. Maps are compared with gridded truth where their coordinates
agree, as in `xdvarnet.metrics.scores`; values at the points of tracks are compared with
measurements at the same points, to which the members are made comparable by
`add_observation_noise`. A cell or point counts where the truth and all members are finite. Results
are in the units of the truth, and lazy where the input is.

In a perfect ensemble the truth is one more draw of what the members are drawn from: the two could
be swapped.

References
----------
Fortin, V., et al. (2014), Why should ensemble spread match the RMSE of the ensemble mean?,
J. Hydrometeorol. 15, 1708-1713, https://doi.org/10.1175/JHM-D-14-0008.1.

Hamill, T. M. (2001), Interpretation of rank histograms for verifying ensemble forecasts,
Mon. Wea. Rev. 129, 550-560.

Czado, C., Gneiting, T. and Held, L. (2009), Predictive model assessment for count data,
Biometrics 65, 1254-1261, https://doi.org/10.1111/j.1541-0420.2009.01191.x.

Hyndman, R. J. and Fan, Y. (1996), Sample quantiles in statistical packages, Am. Stat. 50, 361-365,
https://doi.org/10.1080/00031305.1996.10473566.
"""

import numpy as np
import xarray as xr

from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_counts, check_positive, units_factor
from xdvarnet.metrics.ensembles import (
    check_members,
    check_points,
    check_std,
    known,
    label,
    member_errors,
    normal_errors,
    standardise,
    whole,
)
from xdvarnet.metrics.scores import Dims
from xdvarnet.metrics.spectra import wavenumber_frequency_spectrum


def spread_skill_ratio(
    members: xr.DataArray, truth: xr.DataArray, *, dim: Dims = None
) -> xr.DataArray:
    r"""Spread of the members over the error of their mean: 1 for a perfect ensemble.

    .. math:: \sqrt{\frac{M + 1}{M} \frac{\overline{s^2}}{\overline{(\bar{x} - y)^2}}}

    with the truth :math:`y`, the mean :math:`\bar{x}` and the variance :math:`s^2` (divided by
    :math:`M - 1`) of the :math:`M` members; both averages are over `dim` (Fortin et al. 2014).
    Below 1 the ensemble is too confident.

    Parameters
    ----------
    members : xarray.DataArray
        With the dimension ``member``, at least two of them; on the grid of `truth`, or at its
        points. Other dimensions are kept.
    truth : xarray.DataArray
        Gridded truth, or measurements at the points of a track.
    dim : str or iterable of str, optional
        Dimensions to reduce; default all dimensions of `truth`.

    Returns
    -------
    xarray.DataArray
        Without units; NaN where no cell counts.

    Raises
    ------
    InvalidTypeError
        If an argument is no DataArray.
    InvalidInputError
        If the dimension ``member`` is missing or has one member only, `truth` has it, `dim` is
        unknown, the two have no cells in common or other points, or units do not convert.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=(21, 5000))
    >>> members = xr.DataArray(values[1:], dims=("member", "time"))
    >>> truth = xr.DataArray(values[0], dims="time")
    >>> float(spread_skill_ratio(members, truth).round(2))
    1.0
    """
    errors, dims = member_errors(members, truth, dim)
    size = errors.sizes["member"]
    spread = errors.var("member", ddof=1, skipna=False).mean(dims)
    skill = (errors.mean("member", skipna=False) ** 2).mean(dims)
    ratio: xr.DataArray = np.sqrt((size + 1) / size * spread / skill)  # type: ignore[assignment]  # numpy's stubs leave xarray out
    return label(ratio, "spread-skill ratio", "1")


def binned_spread_skill(
    mean: xr.DataArray, std: xr.DataArray, truth: xr.DataArray, *, bins: int = 10
) -> xr.Dataset:
    r"""Error of the mean where the spread is small, and where it is large.

    The cells are sorted by their standard deviation and cut into bins of equal numbers. If `std`
    tells where the error is large, the two are equal in each bin, and not only over all cells.

    Parameters
    ----------
    mean, std : xarray.DataArray
        Mean and standard deviation of each cell or point, compared with `truth` as the members are
        in `spread_skill_ratio`. That of :math:`M` members is
        ``members.std("member", ddof=1)`` times :math:`\sqrt{(M + 1) / M}`.
    truth : xarray.DataArray
        As of `spread_skill_ratio`.
    bins : int
        Number of bins.

    Returns
    -------
    xarray.Dataset
        Over ``bin``, from the smallest spread to the largest: the root mean squares ``spread`` and
        ``error``, in the units of `truth`, and ``count``, the number of cells.

    Raises
    ------
    InvalidTypeError, InvalidInputError
        As `spread_skill_ratio`; if a standard deviation is negative; if there are fewer cells than
        bins.
    """
    check_counts({"bins": bins})
    error, spread, _ = normal_errors(mean, std, truth)
    units = error.attrs["units"]
    spreads, errors = (each.transpose(*error.dims).values.ravel() for each in (spread, error))
    check_std(spreads)
    cells = np.flatnonzero(np.isfinite(spreads + errors))
    if cells.size < bins:
        raise InvalidInputError(
            f"there are {cells.size} cells with a truth and a standard deviation, fewer than the "
            f"{bins} bins; give fewer bins."
        )
    groups = np.array_split(cells[np.argsort(spreads[cells], kind="stable")], bins)
    described = {
        "spread": ([np.sqrt(np.mean(spreads[group] ** 2)) for group in groups], "spread", units),
        "error": (
            [np.sqrt(np.mean(errors[group] ** 2)) for group in groups],
            "RMSE of the mean",
            units,
        ),
        "count": ([group.size for group in groups], "number of cells", "1"),
    }
    return xr.Dataset(
        {
            name: label(xr.DataArray(values, dims="bin"), text, unit)
            for name, (values, text, unit) in described.items()
        }
    )


def spread_error_spectra(members: xr.DataArray, truth: xr.DataArray) -> xr.Dataset:
    """Power spectra of the spread and of the error of the mean: the spread-skill ratio by scale.

    Parameters
    ----------
    members, truth : xarray.DataArray
        Maps as of `spread_skill_ratio`, with time, in equal steps of time and longitude.

    Returns
    -------
    xarray.Dataset
        ``spread``, the spectrum of the members' anomalies times ``(M + 1) / (M - 1)``, and
        ``error``, that of the mean's error, as of
        `xdvarnet.metrics.spectra.wavenumber_frequency_spectrum`. The expectations of both are equal
        for a perfect ensemble.

    Raises
    ------
    InvalidTypeError, InvalidInputError
        As `spread_skill_ratio`; and if an axis is missing or has unequal steps.
    """
    errors, _ = member_errors(members, truth)
    size = errors.sizes["member"]
    mean = errors.mean("member", skipna=False, keep_attrs=True)
    error = wavenumber_frequency_spectrum(mean)
    anomalies = wavenumber_frequency_spectrum((errors - mean).assign_attrs(errors.attrs))
    spread = (size + 1) / (size - 1) * anomalies.mean("member")
    units = error.attrs["units"]
    return xr.Dataset(
        {
            "spread": label(spread, "power spectral density of the spread", units),
            "error": label(error, "power spectral density of the error of the mean", units),
        }
    )


def probability_integral_transform(
    members: xr.DataArray, truth: xr.DataArray, *, rng: RandomState = None
) -> xr.DataArray:
    """Place of the truth among the members, between 0 (below all) and 1 (above all).

    With a rank of ``r`` of ``M + 1`` it is drawn evenly between ``r / (M + 1)`` and
    ``(r + 1) / (M + 1)``, and so is uniform for a perfect ensemble of any size (Czado et
    al. 2009, sec. 2). `rng` is the source of the draws; other parameters and errors as in
    `spread_skill_ratio`. It is not reduced, and NaN where a value is missing.
    """
    errors, _ = member_errors(members, truth)
    values = _positions(errors, rng) / (errors.sizes["member"] + 1)
    return label(values, "probability integral transform", "1")


def rank_histogram(
    members: xr.DataArray, truth: xr.DataArray, *, dim: Dims = None, rng: RandomState = None
) -> xr.DataArray:
    """Count how often the truth is above 0, 1, ... M of the members (Hamill 2001).

    The counts of a perfect ensemble are equal but for chance. They are high at both ends where the
    members spread too little. Where the truth equals members, `rng` breaks the tie; other
    parameters and errors as in `spread_skill_ratio`.

    Returns
    -------
    xarray.DataArray
        Counts, with the dimension ``rank``, 0 to M, last.
    """
    errors, dims = member_errors(members, truth, dim)
    ranks = xr.DataArray(np.arange(errors.sizes["member"] + 1), dims="rank")
    counts = (np.floor(_positions(errors, rng)) == ranks).sum(dims)
    counts = counts.assign_coords(rank=("rank", ranks.data, {"long_name": "members below"}))
    return label(counts, "number of points", "1")


def rank_flatness(histogram: xr.DataArray) -> xr.DataArray:
    """Probability that a perfect ensemble has a rank histogram as uneven as this, or more.

    A chi-square test of equal counts. It is valid for *independent* points only: neighbours in
    space and time share their rank, so that a perfect ensemble would be rejected. Thin the points
    to a correlation length and time, with at least five to a rank on average.

    Parameters
    ----------
    histogram : xarray.DataArray
        From `rank_histogram`.

    Returns
    -------
    xarray.DataArray
        The p-value, without the dimension ``rank``; small where ranks are not flat, NaN where there
        is no point.

    Raises
    ------
    InvalidInputError
        If there is no dimension ``rank``.
    """
    from scipy.special import chdtrc

    if "rank" not in histogram.dims:
        raise InvalidInputError(
            f"the histogram has dimensions {histogram.dims}, and no 'rank'; give the counts of "
            "rank_histogram(members, truth)."
        )
    expected = histogram.mean("rank")
    statistic = ((histogram - expected) ** 2).sum("rank") / expected.where(expected > 0)
    p = xr.apply_ufunc(chdtrc, histogram.sizes["rank"] - 1.0, statistic, dask="parallelized")
    return label(p, "p-value of a flat rank histogram", "1")


def coverage(
    members: xr.DataArray, truth: xr.DataArray, *, level: float = 0.9, dim: Dims = None
) -> xr.DataArray:
    """Share of the truth in the central interval of the members.

    The interval, ends included, lies between the quantiles ``(1 - level) / 2`` and
    ``(1 + level) / 2`` of the members in each cell, interpolated linearly as by `numpy.quantile`
    (type 7 of Hyndman and Fan 1996). Compare with `expected_coverage`: a perfect ensemble of 100
    members covers 0.882 at the level 0.9.

    Parameters
    ----------
    members, truth, dim
        As of `spread_skill_ratio`.
    level : float
        Nominal coverage, between 0 and 1.

    Raises
    ------
    InvalidTypeError, InvalidInputError
        As `spread_skill_ratio`; and if `level` is not between 0 and 1.
    """
    level = _check_level(level)
    errors, dims = member_errors(members, truth, dim)
    lower, upper = (
        whole(errors, ["member"]).quantile(p, "member", skipna=False).drop_vars("quantile")
        for p in ((1 - level) / 2, (1 + level) / 2)
    )
    inside = ((lower <= 0) & (upper >= 0)).astype(float).where(known(errors))
    return label(inside.mean(dims), f"coverage at the level {level:g}", "1")


def expected_coverage(level: float, members: int) -> float:
    """Return the `coverage` of a perfect ensemble: ``level * (M - 1) / (M + 1)``.

    The truth falls into each of the ``M + 1`` gaps between, below and above the members with the
    same probability. The quantile ``p`` has ``1 + p (M - 1)`` gaps below it, so that the interval
    has ``level * (M - 1)``. This is exact where ``(M - 1) (1 - level) / 2`` is whole, and for
    uniform distributions; else the truth is not spread evenly over the gap that the quantile cuts.
    For normal distributions the result is then too low, by up to ``0.3 / (M + 1)``.

    Parameters
    ----------
    level : float
        Nominal coverage, between 0 and 1.
    members : int
        Number of members, at least two.

    Raises
    ------
    InvalidInputError
        If `level` is not between 0 and 1, or there are fewer than two members.

    Examples
    --------
    >>> round(expected_coverage(0.9, 100), 3)
    0.882
    """
    if members < 2:
        raise InvalidInputError(f"members={members!r} is not accepted; give at least two.")
    return _check_level(level) * (members - 1) / (members + 1)


def gaussian_pit(mean: xr.DataArray, std: xr.DataArray, truth: xr.DataArray) -> xr.DataArray:
    """Probability integral transform of a normal distribution: its probability below `truth`.

    Uniform between 0 and 1 if `mean` and `std` are right. Parameters and errors as in
    `xdvarnet.metrics.proper_scores.gaussian_crps`; not reduced.
    """
    error, spread, _ = normal_errors(mean, std, truth)
    pit = xr.apply_ufunc(_gaussian_pit, error, spread, dask="parallelized", output_dtypes=[float])
    return label(pit, "probability integral transform", "1")


def add_observation_noise(
    members: xr.DataArray, noise: float | xr.DataArray, *, rng: RandomState = None
) -> xr.DataArray:
    """Add errors of measurement to members, which makes them comparable with measurements.

    The errors are normal, and independent between members and between points.

    Parameters
    ----------
    members : xarray.DataArray
        With the dimension ``member``, at the points of a track.
    noise : float or xarray.DataArray
        Standard deviation of one measurement, in the units of `members`; a DataArray is converted
        to them, and may differ from point to point.
    rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
        Source of the errors. Each member has a generator of its own, spawned from this one.

    Returns
    -------
    xarray.DataArray
        As `members`, with errors.

    Raises
    ------
    InvalidTypeError
        If `members` is no DataArray.
    InvalidInputError
        If the dimension ``member`` is missing, or `noise` is negative, has dimensions that
        `members` lacks, or units that do not convert.
    """
    check_members(members, least=1)
    points = [dim for dim in members.dims if dim != "member"]
    sequence = default_rng(rng).bit_generator.seed_seq
    seeds = sequence.spawn(members.sizes["member"])  # type: ignore[attr-defined]  # a SeedSequence, of which numpy's stubs tell less
    draws = xr.apply_ufunc(
        _draw,
        xr.DataArray(np.arange(len(seeds)), dims="member"),
        whole(members, points).drop_vars("member", errors="ignore"),
        kwargs={"seeds": seeds},
        input_core_dims=[[], points],
        output_core_dims=[points],
        dask="parallelized",
        output_dtypes=[float],
    )
    errors = (_standard_deviation(noise, members) * draws).variable.transpose(*members.dims)
    noisy = members.copy(data=(members.variable + errors).astype(members.dtype).data)
    return noisy if members.chunks is None else noisy.chunk(members.chunksizes)


def _positions(errors: xr.DataArray, rng: RandomState) -> xr.DataArray:
    """Draw where zero is among the errors, from its rank to rank + 1; NaN where they are."""
    below, ties = (errors < 0).sum("member"), (errors == 0).sum("member")
    # the largest draw of float32 is so far below 1 that the sum in float64 is below rank + 1
    draws = ties.copy(data=default_rng(rng).random(ties.shape, dtype=np.float32))
    if ties.chunks is not None:
        draws = draws.chunk(ties.chunksizes)
    return (below + (ties + 1) * draws.astype(float)).where(known(errors))


def _gaussian_pit(error: np.ndarray, std: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr

    return ndtr(-standardise(error, std))


def _draw(
    positions: np.ndarray, members: np.ndarray, seeds: list[np.random.SeedSequence]
) -> np.ndarray:
    """Draw standard normal values for the members at these positions, shape (members, points)."""
    shape = members.shape[1:]
    return np.stack([np.random.default_rng(seeds[i]).standard_normal(shape) for i in positions])


def _standard_deviation(noise: float | xr.DataArray, members: xr.DataArray) -> xr.DataArray | float:
    if not isinstance(noise, xr.DataArray):
        return check_positive(noise, "noise", "the units of the members", zero=True)
    check_points(members, noise, "noise")
    if (noise < 0).any():
        raise InvalidInputError(
            f"the noise is negative, {float(noise.min()):.3g} at the lowest; give standard "
            "deviations."
        )
    return noise * units_factor(
        noise, str(members.attrs.get("units", noise.attrs.get("units", "1")))
    )


def _check_level(level: float) -> float:
    if not 0 < level < 1:
        raise InvalidInputError(f"level={level!r} is not accepted; give one between 0 and 1.")
    return float(level)
