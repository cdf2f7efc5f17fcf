"""Scaling of series: one scale or one for each component, its inverse, what it refuses."""

import numpy as np
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.networks.series_normalizer import SeriesNormalizer


@pytest.fixture
def values():
    """Series (sample, time, component) of unlike means and deviations."""
    return np.random.default_rng(0).standard_normal((4, 50, 3)) * [1, 3, 0.2] + [5, -4, 0]


def make_series(values: np.ndarray) -> xr.Dataset:
    coords = {"time": np.arange(values.shape[1]), "component": list("xyz")}
    return xr.Dataset({"state": (("sample", "time", "component"), values)}, coords=coords)


def test_each_component_has_its_scale(values):
    found = SeriesNormalizer.from_series(make_series(values))
    scaled = found.normalize(values)
    np.testing.assert_allclose(scaled.mean((0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.var((0, 1), ddof=1), 1)
    np.testing.assert_allclose(
        np.corrcoef(scaled.reshape(-1, 3).T), np.corrcoef(values.reshape(-1, 3).T)
    )
    assert found.labels == ["x", "y", "z"]


def test_components_that_are_alike_have_the_scale_of_all_numbers(values):
    found = SeriesNormalizer.from_series(make_series(values), alike=True)
    assert found.mean == pytest.approx(values.mean())
    assert found.std == pytest.approx(values.std(), rel=1 / 200)
    scaled = found.normalize(values)
    np.testing.assert_allclose(np.diff(scaled) * found.std, np.diff(values))  # differences remain


@pytest.mark.parametrize("alike", [True, False])
def test_restoring_undoes_it_for_any_shape(values, alike):
    found = SeriesNormalizer.from_series(make_series(values), alike=alike)
    assert not np.allclose(found.normalize(values), values)
    for part in (values, values[0], values[1, 2], values[None, :, :1]):
        np.testing.assert_allclose(found.restore(found.normalize(part)), part, atol=1e-12)
    same = eval(repr(found), {"SeriesNormalizer": SeriesNormalizer})
    np.testing.assert_array_equal(same.normalize(values), found.normalize(values))


def test_it_knows_its_number_of_components():
    of_two = SeriesNormalizer([0, 1], np.array([1, 2]))
    of_two.check(2)
    with pytest.raises(InvalidInputError, match="the model has 2 components, and the state has 3"):
        of_two.check(3)
    SeriesNormalizer(0.5, 2).check(7)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.0, 1.0], [1.0, 1.0, 2.0], "have not the same length"),
        (0.0, [1.0, 2.0], "have not the same length"),
        ([0.0, np.nan], [1.0, 1.0], "give finite numbers"),
        (0.0, np.inf, "give finite numbers"),
        ([0.0, 0.0], [1.0, 0.0], "positive deviations"),
        (0.0, -1.0, "positive deviations"),
    ],
)
def test_what_is_no_scale_is_refused(mean, std, message):
    with pytest.raises(InvalidInputError, match=message):
        SeriesNormalizer(mean, std)
