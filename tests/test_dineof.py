"""Gaps filled with the leading patterns: exact where there are few, and how many there are."""

import numpy as np
import pytest
import xarray as xr
from reconstructors import gappy

import xdvarnet
from xdvarnet.errors import InvalidInputError
from xdvarnet.mapping import NoBackground
from xdvarnet.methods import DINEOF
from xdvarnet.methods.dineof import fill


def patterns(modes: int, noise: float = 0.0) -> xr.Dataset:
    """Maps of so many patterns, of decreasing size."""
    rng = np.random.default_rng(4)
    like = gappy(days=30, unobserved=0.0)
    size = like["ssh"].shape
    days = rng.standard_normal((size[0], modes)) * 0.1 / np.arange(1, modes + 1)
    maps = rng.standard_normal((modes, size[1] * size[2]))
    values = (days @ maps).reshape(size) + noise * rng.standard_normal(size)
    return like.assign(
        ssh=(like["ssh"].dims, np.where(like["sea"], values, np.nan), {"units": "m"})
    )


def hide(truth: xr.Dataset, share: float) -> xr.Dataset:
    hidden = np.random.default_rng(1).random(truth["ssh"].shape) < share
    return truth.assign(ssh=truth["ssh"].where(~hidden).assign_attrs(units="m"))


def test_a_field_of_few_patterns_is_found_again():
    truth = patterns(3)
    maps = hide(truth, 0.4).dvarnet.reconstruct(DINEOF("ssh", modes=3, background=NoBackground()))
    error = float(np.sqrt(((maps - truth)["ssh"] ** 2).mean()))
    assert error < 0.01 * float(truth["ssh"].std())


def test_the_number_of_patterns_is_found():
    truth = patterns(4, noise=0.002)
    observed = hide(truth, 0.4)
    errors = {}
    for modes in (None, 1, 8):
        method = DINEOF("ssh", modes=modes, background=NoBackground())
        maps = observed.dvarnet.reconstruct(method)
        errors[modes] = float(np.sqrt(((maps - truth)["ssh"] ** 2).mean()))
    assert errors[None] < min(errors[1], errors[8])


def test_observations_stay_and_a_complete_field_is_itself():
    rng = np.random.default_rng(0)
    field, seen = rng.standard_normal((9, 14)), rng.random((9, 14)) < 0.7
    filled = fill(np.where(seen, field, 0), seen, 2)
    np.testing.assert_array_equal(filled[seen], field[seen])
    np.testing.assert_array_equal(fill(field, np.ones_like(seen), 2), field)


def test_what_is_refused():
    with pytest.raises(InvalidInputError, match="modes=0"):
        DINEOF("ssh", modes=0)
    few = gappy(days=3, unobserved=0.95)
    with pytest.raises(InvalidInputError, match=r"too few to choose.*DINEOF\(..., modes=3\)"):
        few.dvarnet.reconstruct(DINEOF("ssh"))
    with pytest.raises(InvalidInputError, match="has no ensemble"):
        gappy().dvarnet.reconstruct(DINEOF("ssh", modes=2), members=3)
    assert xdvarnet.methods.DINEOF is DINEOF


@pytest.mark.filterwarnings("error")
def test_days_without_observation_keep_the_background():
    nothing = np.zeros((4, 9), dtype=bool)
    np.testing.assert_array_equal(fill(np.zeros((4, 9)), nothing, 2), 0)


def test_another_background_is_an_option():
    """What it is told as an option is what it is told when it is made."""
    seen = hide(patterns(2), 0.5)
    found = seen.dvarnet.reconstruct(DINEOF("ssh", modes=2).with_options(background=NoBackground()))
    expected = seen.dvarnet.reconstruct(DINEOF("ssh", modes=2, background=NoBackground()))
    xr.testing.assert_equal(found, expected)
    assert not found["ssh"].equals(seen.dvarnet.reconstruct(DINEOF("ssh", modes=2))["ssh"])
