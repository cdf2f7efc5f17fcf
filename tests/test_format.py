"""Model files: what is saved is what is loaded, and nothing else is taken for a model."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors import safe_open
from safetensors.numpy import save_file
from toys import toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.errors import MissingFileError, ModelFileError
from xdvarnet.mapping.description import build, describe
from xdvarnet.networks import Normalizer, SeriesInversion
from xdvarnet.solver import CNNStep, DirectInversion, Layout, StridedUNet
from xdvarnet.zoo import format as storage
from xdvarnet.zoo.format_1 import upgrade
from xdvarnet.zoo.registry import public_classes

FROZEN = Path(__file__).parent / "data"


@pytest.fixture
def model():
    mean_map = toy_truth().drop_vars("sea").mean("time")
    model = toy_model().with_options(background=xdvarnet.mapping.MeanMapBackground(mean_map))
    model.provenance["citation"] = "a paper"
    return model


def test_save_then_load_gives_the_same_maps(model, tmp_path):
    path = tmp_path / "model.safetensors"
    xdvarnet.save_model(model, path)
    other = xdvarnet.load_model(path)
    observations = toy_system().observe(toy_truth(), rng=1)
    xr.testing.assert_identical(
        observations.dvarnet.reconstruct(other), observations.dvarnet.reconstruct(model)
    )
    assert repr(other.first_guess) == repr(model.first_guess)
    assert other.provenance == model.provenance
    xdvarnet.save_model(other, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_a_missing_folder_is_made(model, tmp_path):
    path = tmp_path / "new" / "folder" / "model.safetensors"
    xdvarnet.save_model(model, path)
    assert xdvarnet.load_model(path).variables == model.variables


def test_the_units_of_a_mean_map_are_saved(model, tmp_path):
    maps = toy_truth().drop_vars("sea").mean("time", keep_attrs=True)
    maps["ssh"] = (100 * maps["ssh"]).assign_attrs(units="cm")
    model = model.with_options(background=xdvarnet.mapping.MeanMapBackground(maps))
    xdvarnet.save_model(model, tmp_path / "model.safetensors")
    other = xdvarnet.load_model(tmp_path / "model.safetensors")
    observations = toy_system().observe(toy_truth(), rng=1)
    xr.testing.assert_identical(
        observations.dvarnet.reconstruct(other), observations.dvarnet.reconstruct(model)
    )


def test_the_description_is_json_that_needs_no_torch(model, tmp_path):
    path = tmp_path / "model.safetensors"
    xdvarnet.save_model(model, path)
    with safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["xdvarnet"])
    assert description["format"] == storage.FORMAT
    assert description["model"]["arguments"]["variables"] == {"ssh": "m"}
    assert description["model"]["arguments"]["window"]["arguments"]["latitude"] == 12


@pytest.mark.parametrize("version", range(1, storage.FORMAT + 1))
def test_the_frozen_file_of_each_format_is_still_read(version):
    """A file written once and its maps then; a change that breaks it needs a new format version."""
    frozen = xdvarnet.load_model(FROZEN / f"format_{version}.safetensors")
    observations = toy_system().observe(toy_truth(), rng=1)
    expected = np.load(FROZEN / f"format_{version}.npy")
    maps = observations.dvarnet.reconstruct(frozen)["ssh"]
    np.testing.assert_allclose(maps[7], expected, atol=1e-5)


def test_series_of_format_1_have_the_step_of_maps():
    """What was said of components in two arguments is a layout; the numbers stay."""
    kinds = {"components": 3, "periodic": False}
    old = {"class": "SeriesCNNStep", "arguments": {"hidden": 4, "kernel": [5, 1], **kinds}}
    scaling = {"mean": [0.0, 1.0, 2.0], "std": [1.0, 2.0, 3.0], "labels": ["x", "y", "z"]}
    arguments = {
        "solver": {"class": "VariationalSolver", "arguments": {"step": old}},
        "normalizer": {"class": "SeriesNormalizer", "arguments": scaling},
    }
    found, _ = upgrade({"model": {"class": "SeriesInversion", "arguments": arguments}}, {})
    new = found["model"]["arguments"]
    described, arrays = new["solver"]["arguments"]["step"], {}
    layout = Layout(components=3, periodic=False)
    describe(CNNStep(1, hidden=4, kernel=(5, 1), layout=layout), arrays)
    step = build(described, arrays, public_classes())
    assert step.layers(torch.zeros(1, 6, 8, 1)).shape == (1, 3, 8, 1)
    normalizer = build(new["normalizer"], {}, public_classes())
    assert (normalizer.mean["state"], normalizer.std["state"]) == ((0, 1, 2), (1, 2, 3))
    assert normalizer.labels == ["x", "y", "z"]


@pytest.fixture
def inversion() -> SeriesInversion:
    layout = Layout(components=3)
    network = StridedUNet(3, 1, patch=(2, 1), downscale=[(3, 1)], layout=layout, rng=0)
    normalizer = Normalizer({"state": 2.0})
    return SeriesInversion(DirectInversion(network), normalizer, dt=0.01, steps=20)


def to_old_names(description, _):
    solver = description["model"]["arguments"]["solver"]
    del solver["arguments"]["context"]
    network = solver["arguments"]["network"]
    solver["class"], network["class"] = "DirectNetwork", "SeriesUNet"
    network["arguments"] |= {"patch": 2, "downscale": [3]}


def test_classes_are_read_by_their_old_names(inversion, tmp_path):
    xdvarnet.save_model(inversion, path := tmp_path / "model.safetensors")
    rewrite(path, to_old_names)
    xdvarnet.save_model(xdvarnet.load_model(path), again := tmp_path / "again.safetensors")
    xdvarnet.save_model(inversion, path)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model.update({"class": "SeriesLSTMStep"}), r"with ConvLSTMStep\(1, "),
        (lambda model: model.update({"class": "SeriesUNet"}), "describes no model"),
        (lambda model: model.update({"class": ["SeriesUNet"]}), "describes no model"),
    ],
)
def test_old_names_that_fit_no_class_are_refused(change, message, inversion, tmp_path):
    xdvarnet.save_model(inversion, path := tmp_path / "model.safetensors")
    rewrite(path, lambda description, _: change(description["model"]))
    with pytest.raises(ModelFileError, match=message):
        xdvarnet.load_model(path)


def test_a_failed_write_leaves_the_old_file(model, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    xdvarnet.save_model(model, path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        xdvarnet.save_model(model, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_files_are_refused(model, tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(MissingFileError, match="no model file"):
        xdvarnet.load_model(path)
    path.write_bytes(b"")
    with pytest.raises(ModelFileError, match="is empty"):
        xdvarnet.load_model(path)
    xdvarnet.save_model(model, path)
    whole = path.read_bytes()
    for length in (4, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError, match="truncated or no safetensors file"):
            xdvarnet.load_model(path)
    path.write_text("a text that is no model" * 20)
    with pytest.raises(ModelFileError, match="truncated or no safetensors file"):
        xdvarnet.load_model(path)
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ModelFileError, match="without an xdvarnet description"):
        xdvarnet.load_model(path)


def rewrite(path, change):
    description, arrays = storage.read(path)
    change(description, arrays)
    save_file(arrays, path, metadata={"xdvarnet": json.dumps(description)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, _: d.update(format=3), "format version 3; this xdvarnet reads versions 1 to 2"),
        (lambda d, _: d["model"].update({"class": "System"}), "needs the class 'System'"),
        (lambda d, _: d["model"]["arguments"].pop("window"), "DVarNet cannot be built"),
        (
            lambda d, _: d.update(model=d["model"]["arguments"]["window"]),
            "describes no model of this package",
        ),
        (lambda _, a: a.pop("model.solver/rate"), "weights do not fit the network of model.solver"),
    ],
)
def test_files_that_do_not_fit_are_refused(model, tmp_path, change, message):
    path = tmp_path / "model.safetensors"
    xdvarnet.save_model(model, path)
    rewrite(path, change)
    with pytest.raises(ModelFileError, match=message):
        xdvarnet.load_model(path)
