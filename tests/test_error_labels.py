"""Maps and products say whether their standard deviation was calibrated."""

import warnings

import instances
import pytest
import xarray as xr
from gaussian_world import kriging, system, world

import xdvarnet
from xdvarnet.calibration import Calibrated
from xdvarnet.errors import XdvarnetWarning
from xdvarnet.export import to_duacs

MAKERS = {**instances.MAKERS, **instances.SERIES}


def says_so(maps: xr.Dataset, name: str, calibrated: bool) -> bool:
    """Whether a standard deviation and its Dataset say the same, and whether it is right."""
    comment = maps[f"{name}_std"].attrs["comment"]
    right = comment.startswith("calibrated") if calibrated else "not calibrated" in comment
    return right and maps.attrs["xdvarnet_errors"] == comment


@pytest.mark.filterwarnings("ignore::xdvarnet.XdvarnetWarning")
@pytest.mark.parametrize("name", MAKERS)
def test_every_standard_deviation_says_what_it_is(name):
    """Also where the input is made by a calibrated model and says so."""
    model = MAKERS[name]()
    series = name in instances.SERIES
    observed = instances.observed_series() if series else instances.observed_maps()
    observed = observed.assign_attrs(xdvarnet_errors="calibrated (hybrid)")
    maps = observed.dvarnet.reconstruct(model)
    (variable,) = model.variables
    if model.gives_std:
        assert says_so(maps, variable, isinstance(model, Calibrated))
    else:
        assert "xdvarnet_errors" not in maps.attrs


def test_a_conditioned_field_says_it_too():
    field, observed = instances.gaussian_field(), instances.observed_maps()
    assert says_so(field.condition(observed[["ssh"]].fillna(0.01)), "ssh", calibrated=False)


def test_a_calibration_says_what_it_was_learned_from():
    model = xdvarnet.calibrate(
        kriging(neighbours=12), world(days=6), observe=system(), draws=1, rng=0
    )
    observed = system().observe(world(days=4, seed=5), rng=0)
    comment = observed.dvarnet.reconstruct(model)["ssh_std"].attrs["comment"]
    assert comment.startswith("calibrated (hybrid), 2010-01-01 to 2010-01-06, 1 draws of ExactCell")
    exact = observed.dvarnet.reconstruct(model.with_options(method="exact"))
    assert says_so(exact, "ssh", calibrated=False)


def test_a_product_says_whether_its_error_was_calibrated():
    """One warning, whose advice works; an error of unknown origin is taken as it is."""
    observed = instances.observed_maps()
    formal = observed.dvarnet.reconstruct(instances.interpolation())
    with pytest.warns(XdvarnetWarning, match=r"never calibrated.*xdvarnet\.calibrate") as caught:
        product = to_duacs(formal.assign(sla=formal["ssh"]))
    assert len(caught) == 1
    assert "not calibrated; often too small" in product["err_sla"].attrs["comment"]
    calibrated = observed.dvarnet.reconstruct(instances.calibrated_interpolation())
    unknown = formal.drop_attrs().assign(
        {name: formal[name].drop_attrs().assign_attrs(units="m") for name in formal}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right = to_duacs(calibrated)["err_sla"].attrs
        bare = to_duacs(unknown)["err_sla"].attrs
    assert right["comment"] == "calibrated (hybrid)" and "mapping method" in bare["comment"]
    names = [attributes["long_name"] for attributes in (product["err_sla"].attrs, right, bare)]
    assert names == ["Formal mapping error", "Calibrated mapping error", "Mapping error"]
