"""What a device can do is said before it is used."""

import warnings

import pytest
import torch
from toys import toy_model

import xdvarnet
from xdvarnet.errors import XdvarnetWarning
from xdvarnet.solver.device import warn_of_emulation


def processor(monkeypatch, **instructions: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)


def test_bfloat16_on_a_processor_without_it_is_warned_of(monkeypatch):
    processor(monkeypatch, avx2=True, avx512_f=True, avx512_bf16=False)
    with pytest.warns(XdvarnetWarning, match="no instructions for bfloat16.*float32"):
        toy_model().with_options(precision="bfloat16")
    series = xdvarnet.load_model("lorenz63")
    with pytest.warns(XdvarnetWarning, match="no instructions for bfloat16"):
        series.with_options(precision="bfloat16")


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16"])
def test_bfloat16_with_instructions_is_not(monkeypatch, name):
    processor(monkeypatch, avx2=True, **{name: True})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        toy_model().with_options(precision="bfloat16")


def test_float32_and_other_devices_are_not(monkeypatch):
    processor(monkeypatch, avx2=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_emulation("cpu", "float32")
        warn_of_emulation("cuda:1", "bfloat16")


def test_a_torch_that_does_not_tell_is_believed(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_emulation("cpu", "bfloat16")
