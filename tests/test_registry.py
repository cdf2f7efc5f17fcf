"""Models by name."""

import pytest

import xdvarnet
from xdvarnet.errors import InvalidInputError, InvalidTypeError, ModelFileError, UnknownNameError
from xdvarnet.zoo.registry import SHIPPED

INTERPOLATION = xdvarnet.OptimalInterpolation(
    "ssh", correlation_length="100 km", correlation_time="12 days", noise=0.02
)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        UnknownNameError, match="unknown model 'med-sst'; known are lorenz63, .*med-ssh"
    ):
        xdvarnet.load_model("med-sst")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_say_what_they_are(name):
    model = xdvarnet.load_model(name)
    if isinstance(model, xdvarnet.Calibrated):
        assert all(name.startswith("calibration") for name in model.provenance)
        model = model.model
    assert {"training data", "citation"} <= set(model.provenance)
    assert set(model.provenance) & {"validation RMSE", "validation", "test R"}


def test_a_name_is_text_or_a_path():
    with pytest.raises(InvalidTypeError, match="path of a model, got NoneType; known .* med-ssh"):
        xdvarnet.load_model(None)


def test_data_are_no_model(tmp_path):
    (tmp_path / "maps.nc").write_bytes(b"CDF")
    for name in ("maps.nc", tmp_path / "maps.nc"):
        with pytest.raises(ModelFileError, match="maps.nc' is no model file.*open_dataset"):
            xdvarnet.load_model(name)


def test_what_could_not_be_loaded_again_is_not_saved(tmp_path):
    for path in (tmp_path, tmp_path / "maps.nc"):
        with pytest.raises(InvalidInputError, match=r"give a file such as 'model.safetensors'"):
            xdvarnet.save_model(INTERPOLATION, path)
    with pytest.raises(InvalidTypeError, match="path is a int; give one such"):
        xdvarnet.save_model(INTERPOLATION, 3)
    with pytest.raises(InvalidTypeError, match="you gave the class OptimalInterpolation; call it"):
        xdvarnet.save_model(xdvarnet.OptimalInterpolation, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
