"""Scores along tracks by oceanic regime, as in the global mapping challenge 2023a.

https://github.com/ocean-data-challenges/2023a_SSH_mapping_OSE
"""

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from xdvarnet.errors import InvalidInputError, UnknownNameError, warn
from xdvarnet.grids.checks import check_times, units_factor
from xdvarnet.grids.coords import find_grid, unit_vectors
from xdvarnet.grids.points import find_points
from xdvarnet.grids.units import EARTH_RADIUS
from xdvarnet.grids.values import trusted_values
from xdvarnet.metrics.along_track import track_errors, warn_of_offset
from xdvarnet.metrics.challenges import combine
from xdvarnet.metrics.scores import label_scores
from xdvarnet.metrics.spectra import (
    SECONDS_PER_DAY,
    drop_missing,
    effective_resolution,
    median_spacing,
    track_windows,
    welch,
)
from xdvarnet.tracks.sample import sample_tracks

COASTAL_DISTANCE = 200.0
"""Distance to the coast, in km, within which the sea is coastal."""

HIGH_VARIANCE = 0.02
"""Variance of the sea level anomaly, in m2, above which its variability is high."""

EQUATORIAL_LATITUDE, POLAR_LATITUDE = 10.0, 70.0
"""Latitudes, in degrees, that bound the equatorial band and the two polar seas."""

BAND = (65.0, 500.0)
"""Wavelengths that the band-pass filter keeps, in km."""

ROUNDING = 1e-9
"""Difference of two distances on the unit sphere that is only rounding."""

WINDOW_LENGTH, GAP = "1500 km", "2 s"
"""Length of the windows of the spectra, and the interval at which a pass is cut."""

FEWEST_WINDOWS = 3
"""Number of windows that the effective resolution of a regime needs."""


def ose2023a(
    maps: xr.DataArray, tracks: xr.Dataset, *, variance: xr.DataArray | None = None
) -> xr.Dataset:
    """Score maps along the tracks of a withheld altimeter by oceanic regime.

    Parameters
    ----------
    maps : xarray.DataArray
        Maps of the sea level anomaly with time, latitude and longitude, interpolated linearly in
        space and time. Land is where the coordinate ``sea`` is false, or else where all days are
        missing.
    tracks : xarray.Dataset
        Points of one altimeter in the order of time, with ``sla_unfiltered`` (else ``sla``); if
        they have ``lwe``, errors are those against the anomaly without that correction.
    variance : xarray.DataArray, optional
        Variance in time of the sea level anomaly, in units of `maps` squared, with latitude and
        longitude; default that of `maps`, which depends on the method and the period. Give the
        same to all methods that are compared.

    Returns
    -------
    xarray.Dataset
        Along the dimension ``regime``: ``n_points``; ``explained_variance``, ``1 - var(error) /
        var(sla)``; ``explained_variance_band``, the same of both filtered to 65-500 km with
        `band_pass`; and ``lambda_x``, the wavelength (km) of windows of 1500 km at which the
        spectrum of the error is half that of the anomaly, the shortest if there are several; and
        the scalar ``n_outside``, points with an anomaly that were not scored. The regimes overlap:
        coastal (less than 200 km from the nearest cell of land), offshore with a variance above
        or below 0.02 m2, equatorial (to 10 degrees), arctic and antarctic (from 70 degrees on).

    Warns
    -----
    XdvarnetWarning
        If a regime with points has too few windows for a spectrum; its ``lambda_x`` is NaN.

    Raises
    ------
    UnknownNameError
        If `tracks` has no sea level anomaly.
    InvalidInputError
        If no point is inside, times are unsorted or repeated, or units do not convert.

    Notes
    -----
    The challenge finds the coast and the variance in files of its own, and the effective resolution
    in boxes of 10 degrees; it interpolates by inverse distances. A window belongs to the regime of
    its middle.
    """
    name = _anomaly_name(tracks)
    terms = {name: 1, "lwe": -1} if "lwe" in tracks.data_vars else {name: 1}
    truth = combine(tracks, terms)
    errors = track_errors(maps, tracks, truth)
    errors["anomaly"] = combine(tracks, {name: 1}).variable
    scored = errors.isel(drop_missing(errors, errors["error"]))
    points = find_points(scored)
    check_times(points.days, str(points.axes.time), daily=False)
    warn_of_offset(scored)
    filtered = _filtered(scored)
    regimes = find_regimes(maps, scored, variance=variance)
    scores = {
        "n_points": (regimes.sum("point"), "number of points scored", "1"),
        "explained_variance": (
            _explained_variance(regimes, scored["error"].values, scored["anomaly"].values),
            "explained variance",
            "1",
        ),
        "explained_variance_band": (
            _explained_variance(regimes, filtered["map"] - filtered["truth"], filtered["truth"]),
            "explained variance at {:g} to {:g} km".format(*BAND),
            "1",
        ),
        "lambda_x": (_resolutions(regimes, scored), "shortest wavelength resolved", "km"),
        "n_outside": (
            errors["truth"].count() - scored["error"].size,
            "number of points outside",
            "1",
        ),
    }
    return label_scores(scores).assign_attrs(truth=truth.attrs["truth"])


def find_regimes(
    maps: xr.DataArray, tracks: xr.Dataset, *, variance: xr.DataArray | None = None
) -> xr.DataArray:
    """Tell which points of a nadir track are in which regime of `ose2023a`.

    Parameters
    ----------
    maps, variance
        As of `ose2023a`.
    tracks : xarray.Dataset
        Longitude, latitude and time of the points.

    Returns
    -------
    xarray.DataArray
        Boolean, with the dimensions ``regime`` and ``point``.
    """
    maps, points = trusted_values(maps), find_points(tracks)
    distance = distance_to_coast(maps, points.latitude, points.longitude, farthest=COASTAL_DISTANCE)
    coastal = distance < COASTAL_DISTANCE
    if variance is None:
        variance = maps.astype(float).var(find_grid(maps).axes.time)
    plain = variance.reset_coords(drop=True).astype(float).drop_attrs(deep=False)  # it is no height
    gridded = plain.to_dataset(name="variance")
    sampled = points.flatten(sample_tracks(gridded, tracks)["variance"])
    variance_in_m2 = sampled * units_factor(maps, "m") ** 2
    regimes = {
        "coastal": coastal,
        "offshore_high_variability": ~coastal & (variance_in_m2 > HIGH_VARIANCE),
        "offshore_low_variability": ~coastal & (variance_in_m2 <= HIGH_VARIANCE),
        "equatorial": np.abs(points.latitude) <= EQUATORIAL_LATITUDE,
        "arctic": points.latitude >= POLAR_LATITUDE,
        "antarctic": points.latitude <= -POLAR_LATITUDE,
    }
    return xr.DataArray(
        np.array(list(regimes.values())), {"regime": list(regimes)}, ["regime", "point"]
    )


def distance_to_coast(
    maps: xr.DataArray,
    latitude: np.ndarray,
    longitude: np.ndarray,
    *,
    farthest: float = np.inf,
) -> np.ndarray:
    """Return the distance of points to the nearest cell of land, in km.

    Parameters
    ----------
    maps : xarray.DataArray
        Maps whose coordinate ``sea`` is false on land, or else which are missing there on all days.
    latitude, longitude : numpy.ndarray
        Degrees, shape (points,).
    farthest : float
        Distance in km beyond which none is sought, which is faster.

    Returns
    -------
    numpy.ndarray
        Distance to the centre of the cell, on the sphere; infinite beyond `farthest`, and where the
        maps have no land.
    """
    grid = find_grid(maps, time=False)
    sea = maps["sea"].astype(bool) if "sea" in maps.coords else maps.notnull()
    land = ~grid.arrange(sea.any([dim for dim in sea.dims if dim not in grid.axes.dims[-2:]]))
    rows, columns = np.nonzero(land.values)
    if not rows.size:
        return np.full(np.shape(latitude), np.inf)
    tree = cKDTree(unit_vectors(grid.latitude[rows], grid.longitude[columns]))
    angle = min(farthest / EARTH_RADIUS, np.pi)
    chords, _ = tree.query(
        unit_vectors(latitude, longitude), distance_upper_bound=2 * np.sin(angle / 2) + ROUNDING
    )
    found = np.isfinite(chords)
    return np.where(found, 2 * EARTH_RADIUS * np.arcsin(np.where(found, chords, 0) / 2), np.inf)


def band_pass(values: np.ndarray, seconds: np.ndarray, spacing: float) -> np.ndarray:
    """Keep the wavelengths of `BAND` along a track, as the challenge's code does.

    It is the difference of two weighted means with Lanczos weights ``sinc(t / T)**2`` at the
    interval of time t up to T, the time (in whole seconds, a point taking one) in which the
    altimeter goes by the wavelength.

    Parameters
    ----------
    values, seconds : numpy.ndarray
        Values and their increasing times, shape (points,).
    spacing : float
        Distance between points, in km.
    """
    short, long = (_lanczos(values, seconds, float(int(scale / spacing))) for scale in BAND)
    return short - long


def _lanczos(values: np.ndarray, seconds: np.ndarray, reach: float) -> np.ndarray:
    total, weights = values.copy(), np.ones(values.size)
    for lag in range(1, values.size):
        intervals = (seconds[lag:] - seconds[:-lag]) / reach
        weight = np.where(intervals < 1, np.sinc(intervals) ** 2, 0)
        if not weight.any():
            break
        total[lag:] += weight * values[:-lag]
        total[:-lag] += weight * values[lag:]
        weights[lag:] += weight
        weights[:-lag] += weight
    return total / weights


def _anomaly_name(tracks: xr.Dataset) -> str:
    for name in ("sla_unfiltered", "sla"):
        if name in tracks.data_vars:
            return name
    raise UnknownNameError(
        f"the tracks have {sorted(map(str, tracks.data_vars))}; accepted are 'sla_unfiltered' or "
        "'sla', the sea level anomaly, with or without 'lwe'. Rename yours with dataset.rename."
    )


def _filtered(tracks: xr.Dataset) -> dict[str, np.ndarray]:
    points = find_points(tracks)
    seconds, spacing = points.days * SECONDS_PER_DAY, median_spacing(tracks)
    if np.isnan(spacing):
        raise InvalidInputError("the tracks have no two points without a gap, and no wavelength.")
    return {name: band_pass(tracks[name].values, seconds, spacing) for name in ("map", "truth")}


def _explained_variance(
    regimes: xr.DataArray, error: np.ndarray, signal: np.ndarray
) -> xr.DataArray:
    variances = [xr.DataArray(a, dims="point").where(regimes).var("point") for a in (error, signal)]
    return 1 - variances[0] / variances[1]


def _resolutions(regimes: xr.DataArray, tracks: xr.Dataset) -> xr.DataArray:
    """Return the effective resolution of each regime, NaN where its windows are too few."""
    spacing = median_spacing(tracks)
    found = xr.full_like(regimes["regime"], np.nan, dtype=float)
    try:
        windows = track_windows(tracks, length=WINDOW_LENGTH, spacing=spacing, gap=GAP)
    except InvalidInputError as problem:
        warn(f"the effective resolution lambda_x is not known: {problem}")
        return found
    signal = tracks["anomaly"].values[windows]
    error = tracks["map"].values[windows] - signal
    problems = []
    for regime, members in zip(found["regime"].values, regimes.values, strict=True):
        inside = members[windows[:, windows.shape[1] // 2]]
        try:
            found.loc[regime] = _resolution(error[inside], signal[inside], spacing)
        except InvalidInputError as problem:
            if members.any():
                problems.append(f"{regime} ({problem})")
    if problems:
        warn(f"the effective resolution lambda_x is not known of {'; '.join(problems)}.")
    return found


def _resolution(error: np.ndarray, signal: np.ndarray, spacing: float) -> float:
    if len(error) < FEWEST_WINDOWS:
        raise InvalidInputError(
            f"{len(error)} windows of {WINDOW_LENGTH}, where {FEWEST_WINDOWS} are needed"
        )
    return float(effective_resolution(welch(error, spacing), welch(signal, spacing))["lambda_x"])
