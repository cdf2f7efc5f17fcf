"""Bars of long loops, and the estimate of how long they take."""

import logging

import numpy as np
import pytest
from instances import MAKERS, SERIES, observed_maps, observed_series
from reconstructors import gappy

import xdvarnet
from xdvarnet import _progress
from xdvarnet._progress import count_up, show_progress, track


def test_the_outermost_of_nested_loops_has_the_bar(capsys):
    with show_progress(True):
        for _ in track(range(3), "day", 3):
            assert list(track(range(2), "window", 2)) == [0, 1]
        assert list(track(range(2), "member", 2)) == [0, 1]  # after it, another has one
    shown = capsys.readouterr().err
    assert "3/3" in shown and "day" in shown and "member" in shown
    assert "window" not in shown


def test_a_loop_that_ends_early_hides_no_later_bar(capsys):
    with show_progress(True):
        for _ in track(range(3), "day", 3):
            break
        with pytest.raises(ZeroDivisionError), count_up("member", 2):
            1 / 0  # noqa: B018
        list(track(range(2), "window", 2))
    assert "window" in capsys.readouterr().err


def test_a_failure_whose_traceback_is_kept_hides_no_later_bar(capsys):
    """As a notebook keeps the last one, and with it the loop that failed."""
    kept = []

    def work(fails: bool) -> None:
        with show_progress(True):
            days = track(range(2), "day", 2)
            for _ in days:
                if fails:
                    raise ValueError

    try:
        work(fails=True)
    except ValueError as error:
        kept.append(error)
    capsys.readouterr()
    work(fails=False)
    assert "2/2" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "estimates"), [(4.0, ["20 days take about 80 s"]), (1.0, [])])
def test_a_loop_of_more_than_a_minute_says_so(monkeypatch, caplog, seconds, estimates):
    clock = iter(np.arange(100) * seconds)
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO, "xdvarnet"):
        list(track(range(20), "day", 20))
    assert [record.getMessage() for record in caplog.records] == estimates


def counts(text: str, unit: str) -> tuple[int, int]:
    """Return what the last state of a bar shows: how many are done, and of how many."""
    last = [part for part in text.replace("\r", "\n").split("\n") if unit in part][-1]
    done, total = last.split("|")[-1].split("[")[0].split("/")
    return int(done), int(total)


@pytest.mark.parametrize("days", [slice(None), slice(20, 60)])
def test_the_bar_of_an_interpolation_ends_where_it_should(capsys, days):
    truth = xdvarnet.datasets.mediterranean().isel(time=days, lon=slice(0, 40))
    observed = xdvarnet.observe(truth, ["jason1"], noise=0.02, rng=0)
    oi = xdvarnet.OptimalInterpolation(
        "ssh", correlation_length=200, correlation_time=10, noise=0.02, neighbours=20
    )
    observed.dvarnet.reconstruct(oi, progress=True)
    done, total = counts(capsys.readouterr().err, "node")
    assert done == total > 0


@pytest.mark.parametrize(("engine", "unit"), [("exact", "front"), ("iterative", "iteration")])
def test_a_gaussian_field_shows_what_it_solves(capsys, engine, unit):
    truth = xdvarnet.datasets.mediterranean().isel(
        time=slice(3), lat=slice(50, 75), lon=slice(100, 130)
    )
    observed = xdvarnet.observe(truth, ["jason1", "gfo"], noise=0.02, rng=0)
    field = xdvarnet.SPDEField(
        correlation_length=80, correlation_time=8, std=0.05, noise=0.02, engine=engine
    )
    observed.dvarnet.reconstruct(field, progress=True, rng=0)
    assert unit in capsys.readouterr().err


AT_ONCE = ("mean map", "persistence", "series interpolation")
"""Methods that go through no loop."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*MAKERS, *SERIES])
def test_every_method_shows_what_it_goes_through(capsys, name):
    model = (MAKERS | SERIES)[name]()
    observed = observed_maps() if name in MAKERS else observed_series()
    xdvarnet.reconstruct(observed, model, rng=0, progress=True)
    assert (capsys.readouterr().err == "") == (name in AT_ONCE)


def test_the_search_for_the_number_of_modes_has_one_bar(capsys):
    """Fillings are counted in it, and only the last one has a bar of its own."""
    observed = gappy(days=20)
    xdvarnet.reconstruct(observed, xdvarnet.methods.DINEOF("ssh"), progress=True)
    search, last = capsys.readouterr().err.strip("\n").split("\n")
    assert "mode" in search and "turn" not in search
    assert "turn" in last
