"""Mesh: areas, lengths and distances of the cells, on the sphere and on the plane."""

import numpy as np
import pytest
import torch

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.units import EARTH_RADIUS as EARTH_RADIUS_KM
from xdvarnet.spde.mesh import EARTH_RADIUS, Mesh

LATITUDE = torch.tensor([30.0, 30.5, 31.25, 32.0])
LONGITUDE = torch.tensor([-3.0, -2.0, -1.25, -1.0, -0.5])


def test_radius_is_that_of_the_grids():
    assert EARTH_RADIUS == 1000 * EARTH_RADIUS_KM


def test_areas_sum_to_that_of_the_zone():
    """The cells fill the zone between their outer faces: R^2 dlon (sin north - sin south)."""
    mesh = Mesh.from_degrees(LATITUDE, LONGITUDE)
    south, north, west, east = np.radians([29.75, 32.375, -3.5, -0.25])
    zone = 6.371e6**2 * (east - west) * (np.sin(north) - np.sin(south))
    assert mesh.shape == mesh.area.shape == (4, 5)
    assert mesh.area.sum().item() == pytest.approx(zone, rel=1e-13)
    one = (np.sin(np.radians(31.625)) - np.sin(np.radians(30.875))) * np.radians(0.5)
    assert mesh.area[2, 2].item() == pytest.approx(6.371e6**2 * one, rel=1e-12)


def test_lengths_and_distances_are_arcs():
    """A face between rows is an arc of its own parallel, a step east one of the row's."""
    mesh = Mesh.from_degrees(LATITUDE, LONGITUDE)
    degree = 6.371e6 * np.pi / 180
    assert mesh.east_length.shape == mesh.east_distance.shape == (4, 6)
    assert mesh.north_length.shape == mesh.north_distance.shape == (5, 5)
    torch.testing.assert_close(mesh.east_length[1], torch.full((6,), 0.625 * degree).double())
    cosines = np.cos(np.radians([29.75, 30.25, 30.875, 31.625, 32.375]))
    np.testing.assert_allclose(mesh.north_length[:, 1], 0.875 * degree * cosines, rtol=1e-12)
    steps = np.array([1, 1, 0.75, 0.25, 0.5, 0.5])
    expected = degree * steps * np.cos(np.radians(31.25))
    np.testing.assert_allclose(mesh.east_distance[2], expected, rtol=1e-12)
    expected = degree * np.array([0.5, 0.5, 0.75, 0.75, 0.75])
    np.testing.assert_allclose(mesh.north_distance[:, 3], expected, rtol=1e-12)


def test_the_globe_has_its_area():
    """Faces end at the poles, also where half a step would go beyond."""
    mesh = Mesh.from_degrees(torch.linspace(-89, 89, 60), torch.arange(0, 360, 7.5))
    assert mesh.area.sum().item() == pytest.approx(4 * np.pi * 6.371e6**2, rel=1e-12)
    assert (mesh.north_length >= 0).all()


def test_the_plane_has_constant_spacing():
    mesh = Mesh.from_metres([0.0, 3e3, 6e3], [5e3, 7e3])
    assert mesh.area.unique().tolist() == [6e6]
    assert mesh.east_length.unique().tolist() == mesh.north_distance.unique().tolist() == [3e3]
    assert mesh.north_length.unique().tolist() == mesh.east_distance.unique().tolist() == [2e3]


def test_numpy_axes_and_masks_are_taken():
    """Axes and masks come from Datasets; without a mask, all is sea."""
    sea = np.ones((4, 5), dtype=bool)
    sea[1, 2] = False
    mesh = Mesh.from_degrees(LATITUDE.numpy(), LONGITUDE.numpy(), sea)
    assert mesh.sea.dtype == torch.bool and mesh.area.dtype == torch.float64
    assert mesh.sea.logical_not().nonzero().tolist() == [[1, 2]]
    assert Mesh.from_degrees(LATITUDE, LONGITUDE).sea.all()


@pytest.mark.parametrize(
    ("latitude", "longitude", "sea", "message"),
    [
        ([30.0], LONGITUDE, None, r"latitude has shape \(1,\); an axis of at least two"),
        (LATITUDE, LONGITUDE[None], None, r"longitude has shape \(1, 5\)"),
        (LATITUDE.flip(0), LONGITUDE, None, "latitude must be finite and increasing; sort it"),
        (LATITUDE, [0.0, 1.0, 1.0], None, "longitude must be finite and increasing"),
        (LATITUDE, [0.0, torch.nan, 1.0], None, "longitude must be finite"),
        ([-90.0, 0.0], LONGITUDE, None, "latitude goes from -90 to 0 degrees; .* poles"),
        (LATITUDE, [0.0, 180.0, 360.0], None, "longitude goes from 0 to 360 degrees; .* repeat"),
        (LATITUDE, LONGITUDE, torch.ones(5, 4), r"mask has shape \(5, 4\), and the grid \(4, 5\)"),
    ],
)
def test_what_is_no_grid_is_refused(latitude, longitude, sea, message):
    with pytest.raises(InvalidInputError, match=message):
        Mesh.from_degrees(latitude, longitude, sea)
    if "degrees" not in message:
        with pytest.raises(InvalidInputError):
            Mesh.from_metres(latitude, longitude, sea)
