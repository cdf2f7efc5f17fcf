"""Models by name."""

import pytest

import xdvarnet
from xdvarnet.errors import InvalidTypeError, ModelFileError, UnknownNameError
from xdvarnet.zoo.registry import SHIPPED


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
    assert set(model.provenance) & {"validation RMSE", "test R"}


def test_a_name_is_text_or_a_path():
    with pytest.raises(InvalidTypeError, match="path of a model, got NoneType; known .* med-ssh"):
        xdvarnet.load_model(None)


def test_data_are_no_model(tmp_path):
    (tmp_path / "maps.nc").write_bytes(b"CDF")
    for name in ("maps.nc", tmp_path / "maps.nc"):
        with pytest.raises(ModelFileError, match="maps.nc' is no model file.*open_dataset"):
            xdvarnet.load_model(name)
