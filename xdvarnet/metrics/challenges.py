"""Scores of the ocean data challenges on mapping sea surface height.

They follow the evaluation code of the challenges, so that figures can be compared with the
published ones:

- 2020a, observing system simulation experiment: https://doi.org/10.24400/527896/a01-2020.002,
  https://github.com/ocean-data-challenges/2020a_SSH_mapping_NATL60
- 2021a, observing system experiment: https://doi.org/10.24400/527896/a01-2021.005,
  https://github.com/ocean-data-challenges/2021a_SSH_mapping_OSE
"""

from collections.abc import Callable

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError, UnknownNameError, warn
from xdvarnet.grids.checks import units_factor
from xdvarnet.grids.coords import find_grid
from xdvarnet.grids.points import find_points
from xdvarnet.grids.values import trusted_values
from xdvarnet.metrics.alignment import compare, warn_if_few
from xdvarnet.metrics.along_track import daily_rms, track_errors, warn_of_offset
from xdvarnet.metrics.scores import label_scores, mu, rmse, sigma
from xdvarnet.metrics.spectra import (
    drop_missing,
    effective_resolution,
    power_spectrum_along_track,
    wavenumber_frequency_spectrum,
)
from xdvarnet.tracks.sample import wrap_longitude
from xdvarnet.tracks.segments import segments

MARGIN = 0.25
"""Distance of the points of 2021a to the border of the maps, in degrees."""

ROUNDING = 1e-5
"""Degrees; a border at 305 may be 304.99999 in single precision."""

FEWEST_POINTS = 10
"""Number of points that a day of 2021a needs to count."""

CRYOSAT_SPACING = 0.9434 * 6.77
"""Distance between the points of 2021a, in km: seconds between them times km/s."""


def osse2020a(maps: xr.DataArray, reference: xr.DataArray) -> xr.Dataset:
    """Score maps against a gridded truth as the mapping challenge 2020a does.

    The challenge scores 65-55W 33-43N on 2012-10-22 to 2012-12-02: select these before. Its score
    of each day is ``mu(maps, reference, dim=("lat", "lon"))`` of `xdvarnet.metrics.scores`.

    Parameters
    ----------
    maps, reference : xarray.DataArray
        With time, latitude and longitude in equal steps; the common days and cells are compared.
        The root mean square of `reference` itself is what errors are compared with, so both have
        the zero of the challenge's sea surface height.

    Returns
    -------
    xarray.Dataset
        Scalars ``mu`` (``1 - rms error / rms of the reference``, pooled), ``sigma`` (population
        standard deviation of the daily scores), ``lambda_x`` (degrees) and ``lambda_t`` (days): the
        shortest wavelength and period on the line where ``1 - spectrum of the error / spectrum of
        the reference`` is 0.5, with `wavenumber_frequency_spectrum`; ``rmse`` and ``n_points``.

    Warns
    -----
    XdvarnetWarning
        If no scale is found, which is then NaN; if under half of the reference, in the region and
        period of the maps, is compared.

    Raises
    ------
    InvalidInputError
        If there is no common day or cell, calendars or grids differ, or units do not convert.

    Notes
    -----
    The challenge's code reads the scales from the first contour line that matplotlib draws; here
    all lines count, should there be several. A latitude with a missing value is left out of both
    spectra.
    """
    maps, reference = trusted_values(maps), trusted_values(reference)
    error, common = compare(maps, reference)
    common = common.where(error.notnull()).assign_attrs(reference.attrs)
    if not error.notnull().any():
        raise InvalidInputError("the maps and the reference have no finite cell in common.")
    warn_if_few(maps, reference, int(error.notnull().sum()))

    def resolution() -> xr.Dataset:
        return effective_resolution(*map(wavenumber_frequency_spectrum, (error, common)))

    scales = scales_or_nan(resolution, {"lambda_x": "degree", "lambda_t": "day"})
    units = reference.attrs.get("units", "1")
    return label_scores(
        {
            "mu": (mu(maps, reference), "1 - rms error / rms of the reference", "1"),
            "sigma": (sigma(maps, reference), "standard deviation of the daily mu", "1"),
            **scales,
            "rmse": (rmse(maps, reference), "root mean square error", units),
            "n_points": (error.notnull().sum(), "number of cells and days compared", "1"),
        }
    )


def ose2021a(maps: xr.DataArray, tracks: xr.Dataset) -> xr.Dataset:
    """Score maps along the tracks of a withheld altimeter as the mapping challenge 2021a does.

    The challenge scores the box 295-305E 33-43N in 2017 with Cryosat-2; points count from the first
    to the last map, and at least 0.25 degree inside the border of the maps: so that several methods
    are scored on the same points, select the same box of each.

    Parameters
    ----------
    maps : xarray.DataArray
        Maps of the sea surface height above the geoid (absolute dynamic topography), interpolated
        linearly in space and time.
    tracks : xarray.Dataset
        Points of one altimeter in the order of time. The truth is ``sla_unfiltered + mdt - lwe``,
        which undoes the correction of long-wavelength errors; else ``ssh - lwe``; else ``ssh``. The
        attribute ``truth`` of the result says which.

    Returns
    -------
    xarray.Dataset
        Scalars ``mu`` and ``sigma``, mean and population standard deviation over calendar days with
        at least 10 points of ``1 - rms error / rms of the truth``; ``lambda_x`` (km), the
        wavelength at which ``1 - spectrum of the error / spectrum of the truth`` is 0.5, with
        `power_spectrum_along_track` in windows of 1000 km; ``rmse``; ``n_points``; ``n_outside``,
        the points with a truth that were not scored; and ``n_days``.

    Warns
    -----
    XdvarnetWarning
        If the tracks are too short for a spectrum, no scale is resolved or fewer than two days
        have enough points, and the score is NaN; and if maps and truth seem to have another zero.

    Raises
    ------
    UnknownNameError
        If `tracks` has no truth.
    InvalidInputError
        If no point is inside, times are unsorted or repeated, or units do not convert.

    Notes
    -----
    The points are taken to be 6.387 km apart, as those of Cryosat-2 are in the challenge.

    The challenge's code starts the windows of a pass at the last point before it, and leaves out
    the last pass of the file; here all windows that fit into a pass count, which changed
    ``lambda_x`` by less than 0.1 km on simulated years. Where the score does not fall steadily with
    the wavenumber, that code interpolates between the values next to 0.5, wherever they are; here
    the last crossing counts.
    """
    truth = _sea_surface_height(tracks)
    errors = track_errors(maps, tracks, truth)
    scored = errors.isel(drop_missing(errors, errors["error"].where(_well_inside(maps, errors))))
    n_points, n_known = scored["error"].size, int(errors["truth"].count())
    if not n_points:
        raise InvalidInputError(
            f"none of the {n_known} points of the tracks is at least {MARGIN} degree inside the "
            "maps and between their first and last time; select the same region and period."
        )
    segments(scored)  # refuses unsorted and repeated times
    warn_of_offset(scored)
    daily = _daily_scores(scored)

    def resolution() -> xr.Dataset:
        spectra = [
            power_spectrum_along_track(scored, name, spacing=CRYOSAT_SPACING)
            for name in ("error", "truth")
        ]
        return effective_resolution(*spectra)

    units = errors["error"].attrs["units"]
    rmse: xr.DataArray = np.sqrt((scored["error"] ** 2).mean())  # type: ignore[assignment]  # numpy's stubs leave xarray out
    return label_scores(
        {
            "mu": (daily.mean(), "mean over days of 1 - rms error / rms of the truth", "1"),
            "sigma": (daily.std().where(daily.size > 1), "standard deviation over days", "1"),
            **scales_or_nan(resolution, {"lambda_x": "km"}),
            "rmse": (rmse, "root mean square error", units),
            "n_points": (xr.DataArray(n_points), "number of points scored", "1"),
            "n_outside": (xr.DataArray(n_known - n_points), "number of points outside", "1"),
            "n_days": (xr.DataArray(daily.size), "number of days with enough points", "1"),
        }
    ).assign_attrs(truth=truth.attrs["truth"])


def _sea_surface_height(tracks: xr.Dataset) -> xr.DataArray:
    """Return the height above the geoid without the long-wavelength correction, and say how."""
    if {"sla_unfiltered", "mdt", "lwe"} <= set(tracks.data_vars):
        terms = {"sla_unfiltered": 1, "mdt": 1, "lwe": -1}
    elif "ssh" in tracks.data_vars:
        terms = {"ssh": 1, "lwe": -1} if "lwe" in tracks.data_vars else {"ssh": 1}
    else:
        raise UnknownNameError(
            f"the tracks have {sorted(map(str, tracks.data_vars))}; accepted are the variables "
            "'sla_unfiltered', 'mdt' and 'lwe', or 'ssh' with or without 'lwe'. Rename yours with "
            "dataset.rename."
        )
    return combine(tracks, terms)


def combine(tracks: xr.Dataset, terms: dict[str, int]) -> xr.DataArray:
    """Return the sum of variables times their signs, in the units of the first, and say of what."""
    first = tracks[next(iter(terms))]
    units = str(first.attrs.get("units", "m"))
    total = sum(
        sign * units_factor(tracks[name], units) * trusted_values(tracks[name]).astype(float)
        for name, sign in terms.items()
    )
    assert isinstance(total, xr.DataArray)
    text = " ".join(f"{'+' if sign > 0 else '-'} {name}" for name, sign in terms.items())
    return total.rename("truth").assign_attrs(units=units, truth=text.removeprefix("+ "))


def _daily_scores(errors: xr.Dataset) -> xr.DataArray:
    """Return the score of each day that has enough points, and warn if there are too few days."""
    error, truth = daily_rms(errors), daily_rms(errors, "truth")
    enough = (error["n_points"] >= FEWEST_POINTS).values
    daily = (1 - error["rms"] / truth["rms"])[enough]
    if daily.size < 2:
        unknown = "sigma, their spread, is" if daily.size else "mu and sigma are"
        warn(
            f"{daily.size} of {enough.size} day(s) have the {FEWEST_POINTS} points that the score "
            f"of a day needs, and {unknown} not known. Score a longer period."
        )
    return daily


def _well_inside(maps: xr.DataArray, tracks: xr.Dataset) -> xr.DataArray:
    """Tell which points are inside the border by the margin, and between first and last map."""
    grid, points = find_grid(maps, time=False), find_points(tracks)
    west, east = grid.longitude[[0, -1]]
    longitude = wrap_longitude(points.longitude, west)
    inside = (points.latitude >= grid.latitude[0] + MARGIN - ROUNDING) & (
        points.latitude <= grid.latitude[-1] - MARGIN + ROUNDING
    )
    if not grid.is_ring:
        inside &= (longitude >= west + MARGIN - ROUNDING) & (longitude <= east - MARGIN + ROUNDING)
    if grid.days is not None and grid.days.size > 1:
        inside &= (points.days >= grid.days[0]) & (points.days <= grid.days[-1])
    return points.restore(inside)


def scales_or_nan(
    resolution: Callable[[], xr.Dataset], units: dict[str, str]
) -> dict[str, tuple[xr.DataArray, str, str]]:
    """Return the scores of an effective resolution, NaN with a warning where there is none."""
    found: xr.Dataset | dict[str, xr.DataArray]
    try:
        found = resolution()
    except InvalidInputError as problem:
        warn(f"the effective resolution {' and '.join(units)} is not known: {problem}")
        found = dict.fromkeys(units, xr.DataArray(np.nan))
    names = {"lambda_x": "wavelength", "lambda_t": "period"}
    return {
        name: (found[name], f"shortest {names[name]} resolved", unit)
        for name, unit in units.items()
    }
