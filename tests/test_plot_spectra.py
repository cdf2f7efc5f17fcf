"""Spectra: the curves that were given, against the wavelength, and the scale that is resolved."""

import sys

import numpy as np
import pytest
import xarray as xr

from xdvarnet.errors import (
    InvalidInputError,
    InvalidTypeError,
    MissingDependencyError,
    UnknownNameError,
)
from xdvarnet.metrics.spectra import effective_resolution
from xdvarnet.plot.spectra import plot_spectra

plt = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("cartopy")


@pytest.fixture(autouse=True)
def closed():
    """Close the figures."""
    yield
    plt.close("all")


@pytest.fixture
def spectra() -> xr.Dataset:
    """Return spectra of 1000 to 12.5 km, of which 100 km and more are resolved."""
    wavenumber = np.arange(1, 81) / 1000
    truth = wavenumber**-2.0
    arrays = {
        "truth": truth,
        "error": truth * np.minimum(wavenumber / 0.02, 1),
        "map": truth * np.exp(-wavenumber / 0.02),
    }
    coords = {"wavenumber": ("wavenumber", wavenumber, {"units": "cycles/km"})}
    return xr.Dataset(
        {name: ("wavenumber", array, {"units": "m2 km"}) for name, array in arrays.items()}, coords
    )


def curves(ax) -> dict:
    """Return the curves with a label."""
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_all_spectra_are_drawn_with_units(spectra):
    power, _ = plot_spectra(spectra)
    assert list(curves(power)) == ["truth", "error", "map"]
    for name, line in curves(power).items():
        np.testing.assert_allclose(line.get_xdata(), 1 / spectra["wavenumber"])
        np.testing.assert_allclose(line.get_ydata(), spectra[name])
    assert power.get_ylabel() == "power spectral density (m2 km)"
    assert (power.get_xscale(), power.get_yscale()) == ("log", "log")


def test_wavelengths_go_from_long_to_short_in_plain_numbers(spectra):
    for ax in plot_spectra(spectra):
        ax.figure.canvas.draw()
        left, right = ax.get_xlim()
        assert left >= 1000 > 12.5 >= right
        labels = {tick.get_text() for tick in ax.get_xticklabels()}
        assert {"1000", "500", "200", "100", "50", "20"} <= labels
        assert ax.get_xlabel() == "wavelength (km)"


def test_the_crossing_is_marked_and_named(spectra):
    _, score = plot_spectra(spectra)
    resolved = float(effective_resolution(spectra["error"], spectra["truth"])["lambda_x"])
    assert resolved == pytest.approx(100)
    (marker,) = [line for line in score.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(marker.get_xydata(), [[resolved, 0.5]])
    assert score.texts[0].get_text() == "resolved down to\n100 km"
    np.testing.assert_allclose(
        score.lines[0].get_ydata(), 1 - np.minimum(spectra["wavenumber"] / 0.02, 1)
    )


def test_nothing_is_marked_where_all_is_resolved(spectra):
    _, score = plot_spectra(spectra.assign(error=0.1 * spectra["truth"]))
    assert score.texts[0].get_text() == "0.5 is crossed nowhere"
    assert not [line for line in score.lines if line.get_marker() == "o"]


def test_axes_may_be_given_and_the_argument_is_untouched(spectra):
    before = spectra.copy(deep=True)
    _, axes = plt.subplots(1, 2)
    assert plot_spectra(spectra[["truth", "error"]], ax=axes) == tuple(axes)
    xr.testing.assert_identical(spectra, before)


def test_what_cannot_be_drawn(spectra, monkeypatch):
    with pytest.raises(InvalidTypeError, match="Dataset, got DataArray"):
        plot_spectra(spectra["truth"])
    with pytest.raises(UnknownNameError, match="'error' is missing"):
        plot_spectra(spectra.drop_vars("error"))
    with pytest.raises(InvalidInputError, match="has the dimensions .*'frequency'"):
        plot_spectra(spectra.assign(map=spectra["map"].expand_dims(frequency=3)))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match="matplotlib"):
        plot_spectra(spectra)
