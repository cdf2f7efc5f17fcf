"""Attributes of the maps that a model makes."""

import pytest
import xarray as xr

from xdvarnet.grids.labels import field_attributes, model_attributes


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mean", {"units": "cm", "standard_name": "height", "long_name": "sea"}),
        (
            "std",
            {
                "units": "cm",
                "standard_name": "height standard_error",
                "long_name": "standard deviation of sea",
            },
        ),
        (
            "members",
            {"units": "cm", "standard_name": "height", "long_name": "members of sea"},
        ),
    ],
)
def test_each_kind_of_field_is_named(kind, expected):
    attrs = {"units": "cm", "standard_name": "height", "long_name": "sea", "source": "x"}
    assert field_attributes(xr.DataArray(0.0, attrs=attrs), "ssh", kind, "m") == expected


def test_observations_without_attributes_have_units_and_a_name():
    assert field_attributes(xr.DataArray(0.0), "ssh", "mean", "m") == {"units": "m"}
    found = field_attributes(xr.DataArray(0.0), "ssh", "std", "m")
    assert found == {"units": "m", "long_name": "standard deviation of ssh"}


def test_the_model_and_the_history_are_told():
    """What another model said of the input is not of these maps."""
    before = {"title": "t", "history": "observed", "xdvarnet_errors": "calibrated"}
    found = model_attributes(before, "condition", 7, {"xdvarnet_lead": 2})
    assert found["xdvarnet_lead"] == 2 and "xdvarnet_errors" not in found
    assert found["title"] == "int analysis" and found["xdvarnet_model"] == "7"
    assert found["source"] == f"int of xdvarnet {found['xdvarnet_version']}, from t"
    assert found["history"].startswith("observed\n")
    assert found["history"].endswith(f"xdvarnet {found['xdvarnet_version']}: condition 7")
