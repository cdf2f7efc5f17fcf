"""Every part of a model is described in JSON and built again."""

import pytest
from toys import toy_model

import xdvarnet
from xdvarnet.models.description import build, describe
from xdvarnet.zoo.registry import CLASSES


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
