"""Proper scores of ensembles, and of a mean with a standard deviation, against a truth.

The expectation of a proper score is best for the distribution that the truth is drawn from. A score
of members is fair if this holds for the distribution that they are drawn from, whatever their
number. Members and truth are compared as in `xdvarnet.metrics.calibration`.

References
----------
Ferro, C. A. T. (2014), Fair scores for ensemble forecasts, Q. J. R. Meteorol. Soc. 140, 1917-1923,
https://doi.org/10.1002/qj.2270.

Gneiting, T., et al. (2005), Calibrated probabilistic forecasting using ensemble model output
statistics and minimum CRPS estimation, Mon. Wea. Rev. 133, 1098-1118,
https://doi.org/10.1175/MWR2904.1.

Gneiting, T. and Raftery, A. E. (2007), Strictly proper scoring rules, prediction, and estimation,
J. Am. Stat. Assoc. 102, 359-378, https://doi.org/10.1198/016214506000001437.
"""

import numpy as np
import xarray as xr

from xdvarnet.errors import MissingDependencyError
from xdvarnet.metrics.ensembles import (
    known,
    label,
    member_errors,
    normal_errors,
    standardise,
    whole,
)
from xdvarnet.metrics.scores import Dims


def fair_crps(members: xr.DataArray, truth: xr.DataArray, *, dim: Dims = None) -> xr.DataArray:
    r"""Fair continuous ranked probability score, in the units of `truth`; lower is better.

    .. math:: \frac{1}{M} \sum_i |x_i - y| - \frac{1}{2 M (M - 1)} \sum_{i, j} |x_i - x_j|

    Its expectation does not depend on the number :math:`M` of members (Ferro 2014), and is that of
    the distribution which they are drawn from. One value can be negative. Parameters and errors as
    in `xdvarnet.metrics.calibration.spread_skill_ratio`.

    Raises
    ------
    MissingDependencyError
        If the package scores is not installed.
    """
    try:
        from scores.probability import crps_for_ensemble
    except ImportError as error:
        raise MissingDependencyError(
            "the CRPS of an ensemble needs scores, which cannot be imported; "
            'pip install "xdvarnet[verification]".'
        ) from error
    errors, dims = member_errors(members, truth, dim)
    filled = whole(errors, ["member"]).fillna(0)
    zero = xr.zeros_like(filled.isel(member=0, drop=True))
    crps = crps_for_ensemble(filled, zero, "member", method="fair", preserve_dims="all")
    mean = crps.where(known(errors)).mean(dims)
    return label(mean, "fair continuous ranked probability score", errors.attrs["units"])


def gaussian_crps(
    mean: xr.DataArray, std: xr.DataArray, truth: xr.DataArray, *, dim: Dims = None
) -> xr.DataArray:
    r"""Continuous ranked probability score of a normal distribution, in the units of `truth`.

    .. math:: \sigma \left[ z (2 \Phi(z) - 1) + 2 \varphi(z) - 1 / \sqrt{\pi} \right],
       \quad z = (y - \mu) / \sigma

    (Gneiting et al. 2005, eq. 5), and the absolute error where :math:`\sigma = 0`. For methods that
    give a mean and a standard deviation and no members.

    Parameters
    ----------
    mean, std : xarray.DataArray
        Mean and standard deviation of each cell or point, compared with `truth` as the members are
        in `xdvarnet.metrics.calibration.spread_skill_ratio`. Along a track `std` includes the
        error of the measurements.
    truth, dim
        As of `xdvarnet.metrics.calibration.spread_skill_ratio`.

    Raises
    ------
    InvalidTypeError, InvalidInputError
        As `xdvarnet.metrics.calibration.spread_skill_ratio`; and if a standard deviation is
        negative (of lazy arrays, when they are computed).
    """
    error, spread, dims = normal_errors(mean, std, truth, dim)
    crps = xr.apply_ufunc(_gaussian_crps, error, spread, dask="parallelized", output_dtypes=[float])
    text = "continuous ranked probability score"
    return label(crps.mean(dims), text, error.attrs["units"])


def energy_score(members: xr.DataArray, truth: xr.DataArray, *, dim: Dims) -> xr.DataArray:
    r"""Fair energy score, in the units of `truth`; lower is better.

    .. math:: \frac{1}{M} \sum_i \|x_i - y\| - \frac{1}{2 M (M - 1)} \sum_{i, j} \|x_i - x_j\|

    with the Euclidean norm over `dim`: the CRPS of whole maps or passes, which sees whether values
    at different places vary together (Gneiting and Raftery 2007, eq. 21; fair as
    the CRPS of Ferro 2014). It is larger for longer vectors: compare methods on the same points.
    Errors as in `xdvarnet.metrics.calibration.spread_skill_ratio`.

    Parameters
    ----------
    members, truth : xarray.DataArray
        As of `xdvarnet.metrics.calibration.spread_skill_ratio`.
    dim : str or iterable of str
        Dimensions that form a vector, such as ``("lat", "lon")``. Those of dask arrays are held in
        memory as a whole.

    Returns
    -------
    xarray.DataArray
        With the other dimensions, not averaged; NaN where a vector has no value.
    """
    errors, dims = member_errors(members, truth, dim)
    core = ["member", *dims]
    score = xr.apply_ufunc(
        _energy_score,
        whole(errors.fillna(0), core),
        kwargs={"vector_dims": len(dims)},
        input_core_dims=[core],
        dask="parallelized",
        output_dtypes=[float],
    )
    return label(score.where(known(errors).any(dims)), "fair energy score", errors.attrs["units"])


def _gaussian_crps(error: np.ndarray, std: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    z = standardise(error, std)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return error * erf(z / np.sqrt(2)) + std * (2 * density - 1 / np.sqrt(np.pi))


def _energy_score(errors: np.ndarray, vector_dims: int) -> np.ndarray:
    """Score errors of shape (..., members, vector dimensions); member by member, to save memory."""
    vectors = errors.reshape(*errors.shape[: errors.ndim - vector_dims], -1)
    size = vectors.shape[-2]
    apart = sum(
        np.linalg.norm(vectors[..., i + 1 :, :] - vectors[..., i : i + 1, :], axis=-1).sum(-1)
        for i in range(size - 1)
    )
    return np.linalg.norm(vectors, axis=-1).mean(-1) - apart / (size * (size - 1))
