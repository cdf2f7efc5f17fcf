"""The command ``xdvarnet``: the same maps and scores as in Python, and exit codes."""

import re
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from instances import network_from_the_interpolation
from reconstructors import gappy

import xdvarnet
from xdvarnet.cli import _open, main
from xdvarnet.errors import MissingDependencyError

MODEL = xdvarnet.OptimalInterpolation(
    "ssh",
    correlation_length=90,
    correlation_time=3,
    noise=0.02,
    time_window=7,
    neighbours=9,
    background=xdvarnet.mapping.MeanMapBackground(gappy(unobserved=0.0).mean("time")),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = gappy(days=24)
    dataset.to_netcdf("observations.nc")
    dataset.isel(time=slice(9)).to_netcdf("part_1.nc")
    dataset.isel(time=slice(9, None)).to_netcdf("part_2.nc")
    gappy(days=24, unobserved=0.0).to_netcdf("truth.nc")
    xdvarnet.save_model(MODEL, "tuned.safetensors")
    return dataset


def test_maps_are_those_of_reconstruct(folder, capsys):
    options = ["--model", "tuned.safetensors", "--quiet"]
    assert main(["reconstruct", "observations.nc", "maps.zarr", *options]) == 0
    maps = xr.open_zarr("maps.zarr").load()
    with xr.open_dataset("observations.nc") as dataset:
        eager = xdvarnet.reconstruct(dataset.load(), MODEL)
    np.testing.assert_array_equal(maps["ssh"], eager["ssh"])
    np.testing.assert_array_equal(maps["ssh_std"], eager["ssh_std"])
    # the same command has nothing to do; several files are one input
    assert main(["reconstruct", "observations.nc", "maps.zarr", *options]) == 0
    assert main(["reconstruct", "part_*.nc", "parts.zarr", *options]) == 0
    np.testing.assert_array_equal(xr.open_zarr("parts.zarr")["ssh"], eager["ssh"])
    capsys.readouterr()
    assert main(["score", "maps.zarr", "truth.nc"]) == 0
    printed = dict(line.split()[:2] for line in capsys.readouterr().out.splitlines())
    with xr.open_dataset("truth.nc") as truth:
        scores = eager.dvarnet.score(truth.load())
    assert float(printed["rmse"]) == pytest.approx(float(scores["rmse"]), rel=1e-4)


def test_the_background_of_the_observations(folder):
    options = ["--model", "tuned.safetensors", "--background", "observed", "--quiet"]
    assert main(["reconstruct", "observations.nc", "maps.zarr", *options]) == 0
    other = MODEL.with_options(background=xdvarnet.mapping.ObservedBackground())
    eager = xdvarnet.reconstruct(folder, other)
    np.testing.assert_allclose(xr.open_zarr("maps.zarr")["ssh"], eager["ssh"], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["reconstruct", "none.nc", "maps.zarr", "--model", "tuned.safetensors"],
            "no file none.nc",
        ),
        (["reconstruct", "*.grib", "maps.zarr", "--model", "med-ssh"], r"no file \*.grib"),
        (["reconstruct", "truth.nc", "maps.nc", "--model", "tuned.safetensors"], "no zarr store"),
        (["reconstruct", "truth.nc", "maps.zarr", "--model", "med"], "unknown model 'med'"),
        (["reconstruct", "tuned.safetensors", "m.zarr", "--model", "med-ssh"], "cannot be read"),
        (["score", "truth.nc", "truth.nc", "--variable", "sst"], "sst"),
    ],
)
def test_what_fails_says_so_in_one_line(folder, capsys, arguments, message):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("xdvarnet: ")
    assert re.search(message, error)
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (["score", "renamed.nc", "tracks.nc", "--kind", "ose2021a"], "--variable sla"),
        (["score", "truth.nc", "tracks.nc"], "--kind ose2021a"),
        (["score", "truth.nc", "truth.nc", "--kind", "ose2021a"], "--kind osse2020a"),
        (
            ["reconstruct", "east.nc", "maps.zarr", "--model", "tuned.safetensors"],
            "--background observed",
        ),
    ],
)
def test_advice_works_in_a_shell(folder, capsys, command, advice):
    """It is an option of the command, and the command with it succeeds."""
    maps = gappy(days=24, unobserved=0.0)
    maps.rename(ssh="sla").to_netcdf("renamed.nc")
    folder.assign_coords(lon=folder["lon"] + 9).to_netcdf("east.nc")
    along = {"time": maps["time"], "lon": ("time", np.linspace(*maps["lon"].values[[0, -1]], 24))}
    along["lat"] = ("time", np.full(24, float(maps["lat"].mean())))
    maps["ssh"].drop_vars("sea").interp(along).to_dataset().to_netcdf("tracks.nc")
    assert main(command) == 2
    message = capsys.readouterr().err
    assert advice in message
    assert not re.search(r"\b(variable|kind|background)=", message)
    assert main([*command, *advice.split()]) == 0


def test_a_file_in_one_piece_is_read_in_some(tmp_path, monkeypatch):
    """Blocks follow the halo of the model, as in memory, and not the file."""
    monkeypatch.chdir(tmp_path)
    gappy(days=200).to_netcdf("whole.nc")
    xdvarnet.save_model(MODEL, "tuned.safetensors")
    options = ["--model", "tuned.safetensors", "--quiet"]
    assert main(["reconstruct", "whole.nc", "maps.zarr", *options]) == 0
    assert xr.open_zarr("maps.zarr").chunksizes["time"] == (10,) * 20
    opened = _open("whole.nc")
    assert opened.chunksizes["time"] == (10,) * 20
    encoding = {"ssh": {"chunksizes": (25, 14, 19)}}
    gappy(days=200).to_netcdf("chunks.nc", encoding=encoding)
    assert _open("chunks.nc").chunksizes["time"] == (25,) * 8


@pytest.mark.parametrize("pattern", ["part_*.nc", "part_?.nc", "part_[12].nc", "{}/part_*.nc"])
def test_patterns_are_those_of_a_shell(folder, tmp_path, pattern):
    xr.testing.assert_equal(_open(pattern.format(tmp_path)).load(), _open("observations.nc").load())


@pytest.mark.parametrize("missing", ["dask", "dask.array", "zarr"])
def test_an_extra_that_is_missing_is_named(folder, monkeypatch, capsys, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    remedy = re.escape('pip install "xdvarnet[scale]"')
    options = ["--model", "tuned.safetensors", "--quiet"]
    assert main(["reconstruct", "observations.nc", "maps.zarr", *options]) == 2
    assert re.search(remedy, capsys.readouterr().err)
    with pytest.raises(MissingDependencyError, match=remedy):
        xdvarnet.reconstruct(folder, MODEL, store="maps.zarr")


def test_a_damaged_file_is_no_traceback(folder, capsys):
    folder.chunk(time=6).to_zarr("damaged.zarr", consolidated=False)
    options = ["--model", "tuned.safetensors", "--quiet"]
    with open("damaged.zarr/ssh/c/2/0/0", "r+b") as chunk:
        chunk.write(b"0000000000000000")
    assert main(["reconstruct", "damaged.zarr", "maps.zarr", *options]) == 2
    assert re.search("(?m)^xdvarnet: .*was not begun, since .*", capsys.readouterr().err)
    assert main(["score", "damaged.zarr", "truth.nc"]) == 2
    assert re.search("^xdvarnet: ", capsys.readouterr().err)


def test_a_job_does_not_go_on_with_other_weights(folder, capsys):
    """The file has changed since the job began, in one weight."""
    command = ["reconstruct", "observations.nc", "maps.zarr", "--model", "net.safetensors"]
    network = network_from_the_interpolation()
    xdvarnet.save_model(network, "net.safetensors")
    assert main([*command, "--quiet"]) == 0
    network.solver.prior.encode.weight.data[0] += 0.01
    xdvarnet.save_model(network, "net.safetensors")
    before = xr.open_zarr("maps.zarr").load()
    capsys.readouterr()
    assert main([*command, "--quiet"]) == 2
    setting = r"model.solver/prior.encode.weight \(digest \S+\), and this call has \(digest \S+\)"
    assert re.search(f"^xdvarnet: .* was begun with {setting}. Give ", capsys.readouterr().err)
    xr.testing.assert_identical(xr.open_zarr("maps.zarr").load(), before)


def test_an_interruption_is_no_failure(folder, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("xdvarnet.mapping.reconstruct.reconstruct", interrupt)
    options = ["--model", "tuned.safetensors"]
    assert main(["reconstruct", "observations.nc", "maps.zarr", *options]) == 130


def test_the_command_of_a_shell():
    command = [sys.executable, "-m", "xdvarnet"]
    models = subprocess.run([*command, "models"], capture_output=True, text=True, check=True)
    assert models.stdout.split() == xdvarnet.list_models()
    page = subprocess.run([*command, "reconstruct", "--help"], capture_output=True, text=True)
    assert page.returncode == 0
    assert "examples:" in page.stdout
    wrong = subprocess.run([*command, "reconstruct"], capture_output=True, text=True)
    assert wrong.returncode == 2
