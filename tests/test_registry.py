"""Models by name."""

import pytest
from toys import toy_model

import xdvarnet
from xdvarnet.errors import InvalidTypeError, ModelFileError, UnknownNameError
from xdvarnet.models.description import build, describe
from xdvarnet.zoo.registry import CLASSES, SHIPPED


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown model 'med-sst'; known are med-ssh"):
        xdvarnet.load_model("med-sst")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_say_what_they_are(name):
    model = xdvarnet.load_model(name)
    assert model.variables == {"ssh": "m"}
    assert {"training data", "validation RMSE", "citation"} <= set(model.provenance)


@pytest.mark.parametrize(
    "part",
    [
        xdvarnet.UNetPrior(4, hidden=3, depth=1),
        xdvarnet.CNNStep(4, hidden=3, context=2, bound=0.5),
        xdvarnet.GradientStep(0.3),
        xdvarnet.MaskedObservation(noise=0.2, channels=slice(0, 2)),
        xdvarnet.ObservedBackground(length=90, days=7),
        xdvarnet.Window(5, 6, 7, stride=(2, 3, 4), halo=(1, 1, 0)),
        toy_model().solver,
    ],
    ids=lambda part: type(part).__name__,
)
def test_every_part_is_described_and_built(part):
    arrays = {}
    description = describe(part, arrays)
    again = build(description, arrays, CLASSES)
    assert type(again) is type(part)
    assert describe(again, {}) == description


def test_a_name_is_text_or_a_path():
    with pytest.raises(InvalidTypeError, match="path of a model, got NoneType; known .* med-ssh"):
        xdvarnet.load_model(None)


def test_data_are_no_model(tmp_path):
    (tmp_path / "maps.nc").write_bytes(b"CDF")
    for name in ("maps.nc", tmp_path / "maps.nc"):
        with pytest.raises(ModelFileError, match="maps.nc' is no model file.*open_dataset"):
            xdvarnet.load_model(name)
