"""A domain in its margin: where its cells are, and how wide the margin is."""

import numpy as np
import pytest
import torch

from xdvarnet.methods.gaussian_field.domain import (
    Domain,
    Margin,
    extend,
    extended_mesh,
    torch_generator,
)
from xdvarnet.spde.chain import matern_chain
from xdvarnet.spde.field import Prior

LATITUDE, LONGITUDE = 36 + 0.25 * np.arange(4), 2 + 0.4 * np.arange(5)


def sea() -> np.ndarray:
    mask = np.ones((4, 5), bool)
    mask[0, 1] = mask[2, 4] = False
    return mask


def domain() -> Domain:
    mesh, margin = extended_mesh(LATITUDE, LONGITUDE, sea(), 60e3)
    prior = Prior(matern_chain(mesh, 2, length=80e3, time=5.0, std=0.05))
    return Domain(prior, (2, 4, 5), margin)


def test_the_margin_is_as_wide_as_asked_for():
    """In each direction, and by less than a cell more."""
    mesh, margin = extended_mesh(LATITUDE, LONGITUDE, sea(), 60e3)
    rows, columns = margin.south, margin.west
    assert margin == Margin(rows, rows, columns, columns)
    assert mesh.shape == (4 + 2 * rows, 5 + 2 * columns)
    north = float(mesh.north_distance[1, 0])
    east = float(mesh.east_distance[mesh.shape[0] // 2, 1])
    assert rows * north >= 60e3 > (rows - 1) * north
    assert columns * east >= 0.99 * 60e3 > (columns - 1.02) * east


def test_land_and_sea_go_on_beyond_the_edge():
    mesh, margin = extended_mesh(LATITUDE, LONGITUDE, sea(), 60e3)
    rows, columns = margin.south, margin.west
    inner = mesh.sea[rows : rows + 4, columns : columns + 5].numpy()
    np.testing.assert_array_equal(inner, sea())
    assert not mesh.sea[:rows, columns + 1].any()
    assert not mesh.sea[rows + 2, columns + 4 :].any()
    assert mesh.sea[:rows, columns + 2].all()


def test_the_margin_ends_at_the_pole():
    near = 88.0 + 0.25 * np.arange(5)
    mesh, margin = extended_mesh(near, LONGITUDE, np.ones((5, 5), bool), 300e3)
    assert margin.north < 4 < margin.south
    assert torch.isfinite(mesh.area).all() and (mesh.area > 0).all()


def test_places_are_those_that_crop_returns():
    """A one at the place of a cell is a one in that cell, and nowhere else."""
    whole = domain()
    field = torch.zeros(len(whole.prior.precision), dtype=torch.float64)
    field[whole.places(np.array([1]), np.array([2]), np.array([3]))] = 1
    cropped = whole.crop(field)
    assert cropped.shape == (2, 4, 5)
    assert cropped[1, 2, 3] == 1 and cropped.sum() == 1


def test_the_operator_weights_the_cells():
    whole = domain()
    places = whole.places(np.zeros((2, 3), int), np.array([[0, 1, 2], [1, 2, 3]]), np.ones(3, int))
    weights = np.array([[0.25, 0.5, 1.0], [0.75, 0.5, 0.0]])
    field = torch.arange(len(whole.prior.precision), dtype=torch.float64)
    expected = (weights * places).sum(0)
    result = whole.operator(places, weights) @ field
    np.testing.assert_allclose(result, expected)


def test_generators_follow_the_seed():
    one, other = (torch_generator(np.random.default_rng(3)) for _ in range(2))
    assert torch.equal(torch.randn(4, generator=one), torch.randn(4, generator=other))
    assert torch_generator(None).initial_seed() != torch_generator(None).initial_seed()


def test_one_member_is_no_ensemble():
    whole = domain()
    nothing = torch.zeros(0, dtype=torch.float64)
    operator = whole.operator(np.zeros((1, 0), int), np.zeros((1, 0)))
    posterior = whole.prior.condition(operator, nothing, nothing)
    with pytest.raises(ValueError, match="from 2 to"):
        whole.describe(posterior, 1, None)


def test_fields_go_on_into_the_margin():
    """As they are at the edge; a number stays a number."""
    values = np.arange(6.0).reshape(1, 2, 3)
    whole = extend(values, Margin(1, 1, 2, 2))
    assert whole.shape == (1, 4, 7)
    assert whole[0, 1:3, 2:5].equal(torch.as_tensor(values[0]))
    assert whole[0, 0, 0] == 0 and whole[0, 3, 6] == 5
    assert extend(np.array(2.5), Margin(1, 1, 2, 2)).item() == 2.5


def test_samples_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    whole, rng = domain(), np.random.default_rng
    at_once = whole.sample(5, rng(0))
    assert at_once.shape == (5, 2, 4, 5) and at_once.dtype == np.float32
    monkeypatch.setattr("xdvarnet.methods.gaussian_field.domain.CHUNK", 2 * whole.prior.unknowns)
    np.testing.assert_allclose(whole.sample(5, rng(0)), at_once, rtol=1e-6)


def test_observations_condition_by_either_engine():
    """One precise observation is met, and the members agree on it."""
    place = domain().places(np.array([0]), np.array([1]), np.array([2]))[None]
    for exact in (True, False):
        whole = Domain(domain().prior, (2, 4, 5), domain().margin, exact)
        one = np.ones(1)
        posterior = whole.condition(place, np.ones((1, 1)), 0.1 * one, 1e-4 * one)
        mean, std, drawn = whole.describe(posterior, 3, np.random.default_rng(0))
        assert mean[0, 1, 2] == pytest.approx(0.1, abs=1e-4) and std[0, 1, 2] < 2e-4
        assert np.abs(drawn[:, 0, 1, 2] - 0.1).max() < 1e-3 < np.abs(drawn[:, 1, 3, 0]).max()
