"""Scaling: unit variance, one scale or one for each component, its inverse, what it refuses."""

import numpy as np
import pytest
import xarray as xr

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


@pytest.fixture
def states():
    """Series (sample, time, component) of unlike means and deviations."""
    return np.random.default_rng(0).standard_normal((4, 50, 3)) * [1, 3, 0.2] + [5, -4, 0]


def make_series(values: np.ndarray) -> xr.Dataset:
    coords = {"time": np.arange(values.shape[1]), "component": list("xyz")}
    return xr.Dataset({"state": (("sample", "time", "component"), values)}, coords=coords)


def test_each_component_has_its_scale(states):
    found = Normalizer.from_series(make_series(states))
    scaled = found.normalize("state", states)
    np.testing.assert_allclose(scaled.mean((0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.var((0, 1), ddof=1), 1)
    np.testing.assert_allclose(
        np.corrcoef(scaled.reshape(-1, 3).T), np.corrcoef(states.reshape(-1, 3).T)
    )
    assert found.labels == ["x", "y", "z"]


def test_components_that_are_alike_have_the_scale_of_all_numbers(states):
    found = Normalizer.from_series(make_series(states), alike=True)
    assert found.mean["state"] == pytest.approx(states.mean())
    assert found.std["state"] == pytest.approx(states.std(), rel=1 / 200)
    differences = np.diff(found.normalize("state", states)) * found.std["state"]
    np.testing.assert_allclose(differences, np.diff(states))  # they remain


@pytest.mark.parametrize("alike", [True, False])
def test_restoring_series_undoes_it_for_any_shape(states, alike):
    found = Normalizer.from_series(make_series(states), alike=alike)
    assert not np.allclose(found.normalize("state", states), states)
    for part in (states, states[0], states[1, 2]):
        scaled = found.normalize("state", part)
        np.testing.assert_allclose(found.restore("state", scaled), part, atol=1e-12)
    same = eval(repr(found), {"Normalizer": Normalizer})
    np.testing.assert_array_equal(same.normalize("state", states), found.normalize("state", states))


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ({"state": [0.0, 1.0]}, [1.0, 1.0, 2.0], "have not the same length"),
        ({"state": 0.0}, [1.0, 2.0], "have not the same length"),
        ({"other": 0.0}, 1.0, "'other' have not the same length"),
        ({"state": [0.0, np.nan]}, [1.0, 1.0], "give finite numbers"),
        (None, np.inf, "give more than zero"),
        (None, [1.0, 0.0], "give more than zero"),
    ],
)
def test_what_is_no_scale_is_refused(mean, std, message):
    with pytest.raises(InvalidInputError, match=message):
        Normalizer({"state": std}, mean)
