"""Power spectra of maps and of tracks, and the scales that maps resolve.

Spectra are Hann-windowed periodograms of anomalies from the mean, normalised such that their
integral is the variance (the window's own loss of power is made good). Wavenumbers and frequencies
are in cycles, not in radians.

Maps resolve the scales at which the spectrum of their error is less than half the spectrum of the
truth [1]_.

References
----------
.. [1] Ballarotta, M., et al. (2019). On the resolutions of ocean altimetry maps. Ocean Science, 15,
   1091-1109. https://doi.org/10.5194/os-15-1091-2019
"""

import itertools

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import (
    DAY_TOLERANCE,
    check_regular,
    check_times,
    check_variable,
    quantity,
)
from xdvarnet.grids.coords import find_grid, unit_vectors
from xdvarnet.grids.points import find_points
from xdvarnet.grids.units import EARTH_RADIUS
from xdvarnet.grids.values import trusted_values
from xdvarnet.tracks.segments import segments

LEVEL = 0.5
"""Score ``1 - error spectrum / reference spectrum`` down to which scales are resolved."""

OVERLAP = 0.75
"""Share of a window along a track that the next window has too."""

SECONDS_PER_DAY = 86400


def wavenumber_frequency_spectrum(array: xr.DataArray) -> xr.DataArray:
    """Power spectral density over time and longitude, averaged over latitude.

    Parameters
    ----------
    array : xarray.DataArray
        With time, latitude and longitude in equal steps; other dimensions are kept. A latitude
        with a missing value on any day is left out.

    Returns
    -------
    xarray.DataArray
        With the dimensions ``frequency`` (cycles/day) and ``wavenumber`` (cycles/degree of
        longitude), both with negative values, in units of `array` squared times day times degree.
        The integral over both is the variance. A positive frequency with a positive wavenumber is
        a westward phase speed.

    Raises
    ------
    InvalidInputError
        If an axis is missing or has unequal steps.
    """
    grid = find_grid(array)
    assert grid.days is not None
    time, longitude = str(grid.axes.time), grid.axes.longitude
    check_times(grid.days, time, daily=False)
    _check_equal_steps(grid.days, time)
    check_regular(grid.longitude, longitude, "the spectrum")
    steps = [float(np.diff(values).mean()) for values in (grid.days, grid.longitude)]
    core = {time: -1, longitude: -1}
    rows = trusted_values(array).isel({longitude: grid.longitude_order})
    spectra = xr.apply_ufunc(
        _periodogram,
        rows if rows.chunks is None else rows.chunk(core),
        kwargs={"steps": steps},
        input_core_dims=[list(core)],
        output_core_dims=[["frequency", "wavenumber"]],
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={
            "output_sizes": {"frequency": grid.days.size, "wavenumber": grid.longitude.size}
        },
        keep_attrs=False,
    )
    frequency, wavenumber = (
        np.fft.fftshift(np.fft.fftfreq(size, step))
        for size, step in zip((grid.days.size, grid.longitude.size), steps, strict=True)
    )
    spectrum = spectra.mean(grid.axes.latitude).assign_coords(
        frequency=("frequency", frequency, {"units": "cycles/day"}),
        wavenumber=("wavenumber", wavenumber, {"units": "cycles/degree"}),
    )
    return _label(spectrum, array, "day degree")


def power_spectrum_along_track(
    tracks: xr.Dataset,
    variable: str,
    *,
    length: str | float = "1000 km",
    spacing: str | float | None = None,
    gap: str | float = "4 s",
) -> xr.DataArray:
    """Power spectral density along a track, by the method of Welch.

    The tracks are cut into `segments`, where points are missing for longer than `gap`, and these
    into windows of `length` that overlap by three quarters; the spectra of all windows are
    averaged.

    Parameters
    ----------
    tracks : xarray.Dataset
        Points of an altimeter in the order of time; of several with a variable ``mission``.
    variable : str
        The variable; points where it is missing are left out before the passes are cut.
    length : str or float
        Length of a window, in km if a number: the longest wavelength of the spectrum.
    spacing : str or float, optional
        Distance between points, in km if a number; default the median distance.
    gap : str or float
        Longest time between two points of a segment, in seconds if a number.

    Returns
    -------
    xarray.DataArray
        With the dimension ``wavenumber`` (cycles/km, positive), in units of `variable` squared
        times km; its integral is the variance of the windows. The attribute ``n_windows`` is their
        number.

    Raises
    ------
    UnknownNameError
        If there is no such variable.
    InvalidInputError
        If the points are on no single dimension, times are unsorted or repeated, or no segment
        is as long as a window.

    Examples
    --------
    A wave of 100 km and amplitude 1 has the variance 1/2:

    >>> import pandas as pd
    >>> kilometres = 6.4 * np.arange(500)
    >>> tracks = xr.Dataset({"ssh": ("time", np.sin(2 * np.pi * kilometres / 100))}, {
    ...     "time": pd.date_range("2017-01-01", periods=500, freq="s"),
    ...     "longitude": ("time", np.zeros(500)), "latitude": ("time", 0.06 * np.arange(500))})
    >>> spectrum = power_spectrum_along_track(tracks, "ssh", spacing=6.4)
    >>> float(1 / spectrum.idxmax()), float(spectrum.integrate("wavenumber").round(2))
    (99.84, 0.5)
    """
    array = trusted_values(check_variable(tracks, variable, argument="variable"))
    known = tracks.isel(drop_missing(tracks, array))
    points = find_points(known)
    step = median_spacing(known) if spacing is None else quantity(spacing, "km", "spacing")
    windows = track_windows(known, length=length, spacing=step, gap=gap)
    spectrum = welch(points.flatten(known[variable]).astype(float)[windows], step)
    return _label(spectrum, tracks[variable], "km").assign_attrs(n_windows=len(windows))


def effective_resolution(error: xr.DataArray, reference: xr.DataArray) -> xr.Dataset:
    """Return the shortest wavelength and period that maps resolve.

    They are the smallest ones at which ``1 - error / reference`` is 0.5, linearly interpolated in
    wavelength and period between neighbours of the spectrum. In two dimensions that is a curve, of
    which the shortest wavelength and the shortest period are given.

    Parameters
    ----------
    error, reference : xarray.DataArray
        Spectra of the maps' error and of the truth, from `wavenumber_frequency_spectrum` or from
        `power_spectrum_along_track`. Of the former only the positive wavenumbers and frequencies
        count, as in the mapping challenge 2020a.

    Returns
    -------
    xarray.Dataset
        Scalars ``lambda_x``, in degrees or km, and ``lambda_t``, in days, where there is a
        frequency.

    Raises
    ------
    InvalidInputError
        If 0.5 is crossed nowhere, or the spectra have other dimensions.
    """
    dims = [dim for dim in ("frequency", "wavenumber") if dim in reference.dims]
    score = (1 - error / reference).transpose(..., *dims)
    if "wavenumber" not in dims or score.ndim > len(dims):
        raise InvalidInputError(
            f"the spectra have dimensions {score.dims}; the effective resolution is found for one "
            "spectrum over 'wavenumber', with or without 'frequency'. Select one of the others."
        )
    score = score.isel({dim: np.flatnonzero(score[dim] > 0) for dim in dims}).compute()
    curve = _level_curve(score.values, [1 / score[dim].values for dim in dims])
    if not curve.size:
        raise InvalidInputError(_no_crossing(score.values))
    names = {"wavenumber": ("lambda_x", "wavelength"), "frequency": ("lambda_t", "period")}
    scales = {}
    for dim, shortest in zip(dims, curve.min(0), strict=True):
        name, text = names[dim]
        units = reference[dim].attrs.get("units", "").removeprefix("cycles/")
        attributes = {"long_name": f"shortest {text} resolved", "units": units}
        scales[name] = xr.DataArray(shortest, attrs=attributes)
    return xr.Dataset(scales)


def track_windows(
    tracks: xr.Dataset, *, length: str | float, spacing: float, gap: str | float
) -> np.ndarray:
    """Return the positions of the points of each window, shape (windows, points of a window).

    Parameters
    ----------
    tracks : xarray.Dataset
        Points in the order of time, without missing ones.
    length, spacing, gap
        As of `power_spectrum_along_track`.

    Raises
    ------
    InvalidInputError
        If times are unsorted or repeated, or no segment is as long as a window.
    """
    labels = segments(tracks, gap=gap).values
    kilometres = quantity(length, "km", "length")
    if np.isnan(spacing):
        raise InvalidInputError("the tracks have no two points without a gap, and no spectrum.")
    size = int(kilometres / spacing)
    step = max(int(size * (1 - OVERLAP)), 1)
    order = np.argsort(labels, kind="stable")
    bounds = np.flatnonzero(np.diff(labels[order], prepend=-1, append=-1))
    starts = [
        start
        for first, last in itertools.pairwise(bounds)
        for start in range(first, last - size + 1, step)
    ]
    if not starts or size < 2:
        raise InvalidInputError(
            f"no segment is long enough for a spectrum: windows of {kilometres:g} km need {size} "
            f"points, {spacing:.3f} km apart, without a gap of more than {gap}, and the longest "
            f"segment has {np.diff(bounds).max(initial=0)}. Give longer tracks or a shorter length."
        )
    return order[np.add.outer(starts, np.arange(size))]


def welch(windows: np.ndarray, spacing: float) -> xr.DataArray:
    """Return the mean spectrum of `windows`, shape (windows, points), `spacing` km apart."""
    from scipy import signal  # slow to import

    wavenumber, power = signal.welch(
        windows, fs=1 / spacing, nperseg=windows.shape[-1], noverlap=0, detrend="constant"
    )
    coords = {"wavenumber": ("wavenumber", wavenumber[1:], {"units": "cycles/km"})}
    return xr.DataArray(power.mean(0)[1:], coords, ["wavenumber"])


def drop_missing(tracks: xr.Dataset, array: xr.DataArray) -> dict[str, np.ndarray]:
    """Return the positions of the points of a nadir track where `array` is finite, to select.

    Raises
    ------
    InvalidInputError
        If the points have several dimensions, as those of a swath have.
    """
    points = find_points(tracks)
    if len(points.sizes) != 1:
        raise InvalidInputError(
            f"the points have dimensions {tuple(points.sizes)}; a spectrum along the track needs "
            "one. Select one line of the swath."
        )
    (dim,) = points.sizes
    return {dim: np.flatnonzero(np.isfinite(points.flatten(array)))}


def median_spacing(tracks: xr.Dataset) -> float:
    """Return the median distance between consecutive points of a segment, in km."""
    points, labels = find_points(tracks), segments(tracks).values
    order = np.argsort(labels, kind="stable")
    places = unit_vectors(points.latitude[order], points.longitude[order])
    chords = np.linalg.norm(np.diff(places, axis=0), axis=-1)[np.diff(labels[order]) == 0]
    return float(2 * EARTH_RADIUS * np.arcsin(np.median(chords) / 2)) if chords.size else np.nan


def _periodogram(rows: np.ndarray, steps: list[float]) -> np.ndarray:
    from scipy import signal  # slow to import

    window = np.multiply.outer(*(signal.windows.hann(n, sym=False) for n in rows.shape[-2:]))
    anomalies = rows - rows.mean((-2, -1), dtype=float, keepdims=True)
    power = np.abs(np.fft.fft2(window * anomalies)) ** 2
    return np.fft.fftshift(power, axes=(-2, -1)) * np.prod(steps) / (window**2).sum()


def _level_curve(score: np.ndarray, positions: list[np.ndarray]) -> np.ndarray:
    """Return where `score` crosses its level between neighbours of an axis, shape (n, axes).

    These are the vertices of the contour line: where it crosses the lines of the grid.
    """
    places = np.stack(np.meshgrid(*positions, indexing="ij"), axis=-1)
    vertices = []
    for axis in range(score.ndim):
        (low, here), (high, there) = (
            [np.moveaxis(values, axis, 0)[part] for values in (score, places)]
            for part in (slice(None, -1), slice(1, None))
        )
        crossed = np.isfinite(low + high) & ((low > LEVEL) != (high > LEVEL))
        low, high = low[crossed][:, None], high[crossed][:, None]
        share = (LEVEL - low) / (high - low)
        vertices.append((1 - share) * here[crossed] + share * there[crossed])
    return np.concatenate(vertices)


def _no_crossing(score: np.ndarray) -> str:
    known = score[np.isfinite(score)]
    if not known.size:
        return (
            "the spectra have no finite values; of maps, only latitudes without a missing value "
            "count. Select a region and a period without gaps."
        )
    return (
        f"the score 1 - error / reference crosses {LEVEL} nowhere: it goes from {known.min():.3g} "
        f"to {known.max():.3g}, so that {'all' if known.min() > LEVEL else 'none'} of the scales "
        "of the spectrum are resolved, and no shortest one is known."
    )


def _check_equal_steps(days: np.ndarray, name: str) -> None:
    steps = np.diff(days)
    if not steps.size or np.ptp(steps) > DAY_TOLERANCE:
        found = f"from {steps.min():g} to {steps.max():g} days" if steps.size else "not at all"
        raise InvalidInputError(
            f"coordinate {name!r} steps {found}; a spectrum needs times in equal steps. Select "
            "such a period."
        )


def _label(spectrum: xr.DataArray, array: xr.DataArray, per_cycle: str) -> xr.DataArray:
    units = str(array.attrs.get("units", "1"))
    square = "1" if units == "1" else f"{units}2" if units.isalpha() else f"({units})2"
    return spectrum.rename("power_spectral_density").assign_attrs(
        long_name=f"power spectral density of {array.name}", units=f"{square} {per_cycle}"
    )
