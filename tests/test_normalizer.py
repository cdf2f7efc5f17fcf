import numpy as np
import pytest

from xdvarnet.errors import InvalidInputError
from xdvarnet.networks.normalizer import Normalizer


@pytest.fixture
def anomalies():
    rng = np.random.default_rng(0)
    ssh = rng.normal(0, 0.05, (5, 6, 7)).astype(np.float32)
    ssh[rng.random(ssh.shape) < 0.4] = np.nan
    return {"ssh": ssh, "sst": rng.normal(0, 2.0, (5, 6, 7))}


def test_fitted_anomalies_have_unit_variance(anomalies):
    normalizer = Normalizer.fit(anomalies)
    for name, values in anomalies.items():
        assert np.nanstd(normalizer.normalize(name, values)) == pytest.approx(1, rel=1e-5)


def test_restore_undoes_normalize(anomalies):
    normalizer = Normalizer.fit(anomalies)
    for name, values in anomalies.items():
        there = normalizer.normalize(name, values)
        back = normalizer.restore(name, there)
        assert there.dtype == back.dtype == values.dtype
        np.testing.assert_allclose(back, values, rtol=1e-6)


def test_zero_stays_zero():
    assert (Normalizer({"ssh": 0.07}).normalize("ssh", np.zeros((2, 3))) == 0).all()


def test_input_is_left_as_it_is(anomalies):
    before = {name: values.copy() for name, values in anomalies.items()}
    normalizer = Normalizer.fit(anomalies)
    for name, values in anomalies.items():
        normalizer.restore(name, normalizer.normalize(name, values))
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize("std", [0.0, -1, np.nan, np.inf, "wide", None])
def test_standard_deviations_that_are_not_accepted(std):
    with pytest.raises(InvalidInputError, match=r"std\['ssh'\]=.*give more than zero"):
        Normalizer({"ssh": std})


@pytest.mark.filterwarnings("error")
def test_fit_needs_values_that_vary(anomalies):
    with pytest.raises(InvalidInputError, match="'sst' has no finite value"):
        Normalizer.fit({**anomalies, "sst": np.full((2, 3), np.nan)})
    with pytest.raises(InvalidInputError, match=r"std\['sst'\]=0.0 is not accepted"):
        Normalizer.fit({"sst": np.ones((2, 3))})


def test_it_says_what_it_is():
    assert repr(Normalizer({"ssh": 0.05})) == "Normalizer({'ssh': 0.05})"
