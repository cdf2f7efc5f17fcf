"""Gallery scripts: short, with a title, and the demo writes what it promises."""

import ast
import runpy
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xdvarnet

plt = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("cartopy")

GALLERY = Path(__file__).resolve().parents[1] / "gallery"
SCRIPTS = sorted(GALLERY.rglob("*.py"))
QUICK = ["plot_swot_cycle", "plot_regrid", "plot_currents"]
METHODS = ["mean map + offset", "persistence of 9 June", "optimal interpolation", "4DVarNet"]


@pytest.fixture
def small_sea(monkeypatch):
    """Let the data be those of the sea between Sicily, Greece and Libya."""
    whole = xdvarnet.datasets.mediterranean()
    ionian = whole.isel(lat=slice(0, 66), lon=slice(150, 222))
    monkeypatch.setattr(xdvarnet.datasets, "mediterranean", lambda: ionian)
    yield ionian
    plt.close("all")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_short_and_say_what_they_do(script):
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    title, *rest = ast.get_docstring(ast.parse(text)).splitlines()
    if script.name.startswith("plot_"):
        assert set(rest[0]) == {"="} and len(rest[0]) == len(title)


def test_each_folder_has_a_header():
    folders = {script.parent for script in SCRIPTS} | {GALLERY}
    assert all((folder / "GALLERY_HEADER.rst").is_file() for folder in folders)


@pytest.mark.parametrize("name", QUICK)
def test_quick_scripts_draw_labelled_figures(name, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    runpy.run_path(str(GALLERY / "02_real_altimetry" / f"{name}.py"))
    figures = [plt.figure(number) for number in plt.get_fignums()]
    assert figures
    for figure in figures:
        figure.canvas.draw()
        maps = [ax for ax in figure.axes if hasattr(ax, "projection")]
        assert all(ax.get_title() for ax in maps)
        others = [ax for ax in figure.axes if ax not in maps]
        assert all(ax.get_xlabel() or ax.get_ylabel() for ax in others)
    plt.close("all")


@pytest.mark.slow
def test_the_demo_writes_maps_a_figure_and_scores(small_sea, tmp_path, capsys):
    demo = runpy.run_path(str(GALLERY / "01_first_map" / "demo.py"))
    demo["main"](tmp_path / "new" / "demo")
    with xr.open_dataset(tmp_path / "new" / "demo" / "maps.nc") as maps:
        assert maps["ssh"].sizes == {"time": 21, "lat": 66, "lon": 72}
        assert str(maps["time"].values[0])[:10] == "2005-06-10"
        np.testing.assert_array_equal(maps["ssh"].notnull().all("time"), small_sea["sea"])
        assert maps["ssh"].units == "m" and "DVarNet" in maps.xdvarnet_model
    image = plt.imread(tmp_path / "new" / "demo" / "maps.png")
    assert image.shape[1] > 1200 and image.std() > 0.1

    *maps, heights, errors = plt.gcf().axes
    titles = {ax.get_title() for ax in maps}
    assert len(maps) == 6 and {"truth", "error of 4DVarNet"} < titles
    assert "(m)" in heights.get_ylabel() and "(cm)" in errors.get_ylabel()
    limits = {ax.collections[0].get_clim() for ax in maps if "error" in ax.get_title()}
    ((low, high),) = limits
    assert low == -high

    printed = capsys.readouterr().out
    rmse = {name: float(printed.split(name)[1].split()[0]) for name in METHODS}
    assert max(rmse["optimal interpolation"], rmse["4DVarNet"]) < rmse["mean map + offset"] < 10
