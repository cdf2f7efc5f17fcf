"""Fixtures that several test modules share."""

import os
from collections.abc import Callable
from pathlib import Path

import matplotlib
import matplotlib.pyplot
import pytest

matplotlib.use("Agg")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return a function from the name of a real data file to its path; it skips without the file.

    These files are no part of the project. They lie in the folder that the environment variable
    XDVARNET_TEST_DATA names, or beside the repository in shared/data.
    """
    folder = Path(os.environ.get("XDVARNET_TEST_DATA", REPOSITORY.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.is_file():
            pytest.skip(f"{name} is not in {folder}; set XDVARNET_TEST_DATA to the folder it is in")
        return path

    return find


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Refuse downloads, start from an empty cache of cartopy, and close the figures."""
    cartopy = pytest.importorskip("cartopy")

    def refuse(*args, **kwargs):
        raise AssertionError("a plot asked for a download")

    monkeypatch.setattr("cartopy.io.Downloader._urlopen", refuse)
    for folder in ("data_dir", "pre_existing_data_dir"):
        monkeypatch.setitem(cartopy.config, folder, tmp_path)
    yield
    matplotlib.pyplot.close("all")
