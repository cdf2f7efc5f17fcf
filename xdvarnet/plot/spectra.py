"""Power spectra along tracks, and the scale that maps resolve."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_dataset, check_variable
from xdvarnet.metrics.spectra import LEVEL, effective_resolution
from xdvarnet.plot.axes import check_installed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS: dict[Hashable, str] = {"truth": "black", "map": "tab:blue", "error": "tab:red"}
"""Colours of the spectra by name; others take those of matplotlib."""

TICKS = (1, 2, 5)
"""First digits of the wavelengths that are labelled."""


def plot_spectra(spectra: xr.Dataset, *, ax: "Sequence[Axes] | None" = None) -> "tuple[Axes, Axes]":
    """Draw power spectra against the wavelength, and the share of the truth that maps resolve.

    The second panel shows the score ``1 - error spectrum / truth spectrum``, which is 1 where maps
    are perfect; the wavelength at which it is 0.5 is the effective resolution of the maps
    (`xdvarnet.metrics.spectra.effective_resolution`), marked where there is one.

    Parameters
    ----------
    spectra : xarray.Dataset
        Spectra over ``wavenumber`` (cycles/km) of ``truth`` and ``error``, and others to draw, such
        as ``map``: from `xdvarnet.metrics.spectra.power_spectrum_along_track`.
    ax : two of matplotlib.axes.Axes, optional
        Axes of the spectra and of the score; default new ones in a new figure.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        Both axes, to add to.

    Raises
    ------
    InvalidTypeError
        If `spectra` is no Dataset.
    UnknownNameError
        If ``truth`` or ``error`` is missing.
    InvalidInputError
        If a spectrum has other dimensions than ``wavenumber``.
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    With the errors of maps along tracks that they have not seen::

        errors = track_errors(maps["ssh"], withheld, withheld["ssh"])
        names = ["truth", "map", "error"]
        spectra = {name: power_spectrum_along_track(errors, name) for name in names}
        plot_spectra(xr.Dataset(spectra))
    """
    check_installed()
    import matplotlib.pyplot as plt

    check_dataset(spectra)
    truth, error = (_check_spectrum(spectra, name) for name in ("truth", "error"))
    if ax is None:
        _, ax = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    power, score = ax
    wavelength = 1 / spectra["wavenumber"].values
    for name in spectra:
        values = _check_spectrum(spectra, name).values
        power.loglog(wavelength, values, color=COLOURS.get(name), label=name)
    power.set_ylabel(f"power spectral density ({truth.attrs.get('units', '1')})")
    power.legend()
    score.semilogx(wavelength, 1 - error / truth, color="black")
    score.axhline(LEVEL, color="0.5", linewidth=0.8, linestyle="--")
    score.set(ylabel="1 - error / truth", ylim=(-0.05, 1.05))
    _mark_resolution(score, error, truth)
    units = str(spectra["wavenumber"].attrs.get("units", "cycles/km")).removeprefix("cycles/")
    for axes in (power, score):
        _wavelength_axis(axes, wavelength, units)
    return power, score


def _check_spectrum(spectra: xr.Dataset, name: Hashable) -> xr.DataArray:
    spectrum = check_variable(spectra, name)
    if spectrum.dims != ("wavenumber",):
        raise InvalidInputError(
            f"spectrum {name!r} has the dimensions {spectrum.dims}; drawn are spectra over "
            "'wavenumber'. Select one of the others, or take power_spectrum_along_track."
        )
    return spectrum


def _mark_resolution(axes: "Axes", error: xr.DataArray, truth: xr.DataArray) -> None:
    """Mark where the score is 0.5, or say that it is nowhere."""
    corner: dict[str, Any] = {
        "xy": (0.97, 0.94),
        "xycoords": "axes fraction",
        "ha": "right",
        "va": "top",
    }
    try:
        resolved = effective_resolution(error, truth)["lambda_x"]
    except InvalidInputError:
        axes.annotate(f"{LEVEL:g} is crossed nowhere", **corner)
        return
    axes.plot(float(resolved), LEVEL, "o", color="tab:red")
    axes.axvline(float(resolved), color="tab:red", linewidth=0.8)
    axes.annotate(f"resolved down to\n{float(resolved):.0f} {resolved.units}", **corner)


def _wavelength_axis(axes: "Axes", wavelength: np.ndarray, units: str) -> None:
    """Label plain wavelengths, from long to short."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    longest = wavelength.max() * 1.02  # a round number just above is labelled
    axes.set(xlabel=f"wavelength ({units})", xlim=(longest, wavelength.min()))
    axes.xaxis.set_major_locator(LogLocator(subs=TICKS))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(color="0.9")
