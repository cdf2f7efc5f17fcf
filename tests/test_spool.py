"""Draws in files: the same windows, read as they are cut."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from toys import toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.errors import StoreError
from xdvarnet.training.draws import Augmentation, Draw, draw, random_windows
from xdvarnet.training.spool import spool

WINDOW = xdvarnet.mapping.Window(5, 12, 16)


@pytest.fixture
def whole() -> Draw:
    model = toy_model()
    rng = np.random.default_rng(0)
    return draw(toy_truth(), toy_system(), model, rng, first_guess=model.first_guess)


def fields(drawn: Draw) -> dict[str, np.ndarray]:
    """All maps of a draw or of a window."""
    guess = drawn.observations.first_guess
    kinds = {
        "values": drawn.observations.values,
        "truth": drawn.truth,
        "mean": guess.mean,
        "std": guess.std,
    }
    return {f"{kind} {name}": kinds[kind][name] for kind in kinds for name in kinds[kind]}


def test_windows_are_those_of_the_draw(whole):
    windows = [
        list(random_windows([each], WINDOW, 12, Augmentation(), np.random.default_rng(1)))
        for each in (whole, spool(whole))
    ]
    days = np.stack([window.observations.days for window in windows[0]])
    assert days.min() < whole.observations.days.min()  # some reach beyond the period
    for expected, found in zip(*windows, strict=True):
        for name, array in fields(expected).items():
            np.testing.assert_array_equal(fields(found)[name], array)
            assert array.dtype == fields(found)[name].dtype == np.float32


def test_files_are_mapped_and_leave_nothing_behind(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = spool(whole)
    assert all(isinstance(array, np.memmap) for array in fields(kept).values())
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(kept.truth["ssh"], np.float32(whole.truth["ssh"]))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_is_said(whole, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: open("/dev/full", "w+b"))
    with pytest.raises(StoreError, match=r"cannot be written to .*TMPDIR.*Schedule\(pool=\.\.\.\)"):
        spool(whole)
