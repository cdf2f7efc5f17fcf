"""Figures of calibration: what is drawn is what was given, beside what a perfect ensemble has."""

import sys

import numpy as np
import pytest
import xarray as xr
from ensembles_of_tests import draw

from xdvarnet.errors import (
    InvalidInputError,
    InvalidTypeError,
    MissingDependencyError,
    UnknownNameError,
)
from xdvarnet.metrics.calibration import rank_histogram
from xdvarnet.plot.ensembles import plot_ranks, plot_spread_skill

plt = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("cartopy")


@pytest.fixture(autouse=True)
def closed():
    """Close the figures."""
    yield
    plt.close("all")


@pytest.fixture
def binned() -> xr.Dataset:
    """Return four bins of 25 cells, in which the error grows less than the spread."""
    return xr.Dataset(
        {
            "spread": ("bin", [0.01, 0.02, 0.03, 0.05], {"units": "m"}),
            "error": ("bin", [0.02, 0.02, 0.03, 0.04], {"units": "m"}),
            "count": ("bin", [25, 25, 25, 25]),
        }
    )


def heights(ax) -> list:
    """Return the heights of the bars."""
    return [bar.get_height() for bar in ax.containers[0]]


def test_the_bars_are_the_counts():
    histogram = xr.DataArray([12, 7, 9, 11, 21], dims="rank")
    ax = plot_ranks(histogram)
    assert heights(ax) == [12, 7, 9, 11, 21]
    assert ax.lines[0].get_ydata()[0] == 12
    assert ax.get_xlabel() == "members below the truth, of 4"
    assert ax.get_ylabel() == "number of points, of 60"
    ticks = ax.get_xticks()
    np.testing.assert_array_equal(ticks, ticks.round())


def test_the_band_holds_95_percent_of_the_counts_of_a_perfect_ensemble():
    """Over 60 histograms of 41 ranks; counts are whole, so that the band holds a little more."""
    share = []
    for seed in range(60):
        members, truth = draw(4000, 40, seed=seed)
        ax = plot_ranks(rank_histogram(members, truth, rng=seed), ax=plt.figure().gca())
        low, high = np.sort(ax.patches[-1].get_corners()[:, 1])[[0, -1]]
        share.append(np.mean((np.array(heights(ax)) >= low) & (np.array(heights(ax)) <= high)))
        plt.close("all")
    assert 0.945 < np.mean(share) < 0.975


def test_the_curve_is_the_error_over_the_spread(binned):
    ax = plot_spread_skill(binned, label="OI")
    diagonal, curve = ax.lines
    np.testing.assert_array_equal(curve.get_xydata(), np.stack([binned.spread, binned.error], 1))
    assert diagonal.get_slope() == 1 and diagonal.get_xy1() == (0, 0)
    assert ax.get_xlim() == ax.get_ylim() == (0, pytest.approx(0.0525))
    assert ax.get_legend().get_texts()[0].get_text() == "OI"
    assert ax.get_xlabel() == "spread (m), in bins of 25 cells"
    assert ax.get_ylabel() == "RMSE of the mean (m)"


def test_methods_share_axes_that_hold_all_of_them(binned):
    before = binned.copy(deep=True)
    _, ax = plt.subplots()
    assert plot_spread_skill(binned, ax=ax) is ax
    plot_spread_skill(binned.assign(spread=3 * binned["spread"]), label="wide", ax=ax)
    plot_spread_skill(binned / 10, label="narrow", ax=ax)
    assert len(ax.lines) == 4  # with one diagonal
    assert ax.get_xlim() == ax.get_ylim() == (0, pytest.approx(0.1575))
    xr.testing.assert_identical(binned, before)


def test_what_cannot_be_drawn(binned, monkeypatch):
    histogram = xr.DataArray([3, 4, 5], dims="rank")
    with pytest.raises(InvalidTypeError, match="DataArray, got list"):
        plot_ranks([3, 4, 5])
    with pytest.raises(InvalidInputError, match="dimensions .*'time'.* over 'rank'"):
        plot_ranks(histogram.expand_dims(time=2))
    with pytest.raises(InvalidInputError, match="no point"):
        plot_ranks(0 * histogram)
    with pytest.raises(InvalidTypeError, match="Dataset, got DataArray"):
        plot_spread_skill(binned["spread"])
    with pytest.raises(UnknownNameError, match="'count' is missing"):
        plot_spread_skill(binned.drop_vars("count"))
    with pytest.raises(InvalidInputError, match="'error' has the dimensions .*'draw'"):
        plot_spread_skill(binned.assign(error=binned["error"].expand_dims(draw=2)))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for plot, given in ((plot_ranks, histogram), (plot_spread_skill, binned)):
        with pytest.raises(MissingDependencyError, match="matplotlib"):
            plot(given)
