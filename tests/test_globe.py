"""A globe has no edge: not where its longitudes are cut, and not at the poles."""

import numpy as np
import pytest
import xarray as xr

from xdvarnet.grids.coords import is_ring
from xdvarnet.grids.smoothing import local_mean

EAST = np.arange(0, 360, 6.0)
NORTH = np.arange(-90, 90.1, 5.0)


def test_longitudes_that_close_are_a_ring():
    assert is_ring(EAST) and is_ring(EAST - 183)
    assert not is_ring(EAST[:-1]) and not is_ring(EAST[:30])


@pytest.mark.parametrize("turn", [1, 17, 30])
def test_local_means_turn_with_the_globe(turn):
    rng = np.random.default_rng(0)
    count = rng.poisson(0.2, (NORTH.size, EAST.size))
    total = count * rng.normal(size=count.shape)
    mean = local_mean(total, count, NORTH, EAST, 900.0)
    turned = local_mean(*(np.roll(each, turn, 1) for each in (total, count)), NORTH, EAST, 900.0)
    np.testing.assert_allclose(turned, np.roll(mean, turn, 1), atol=1e-10)


def test_the_pole_is_one_place_seen_from_all_sides():
    """A value at 85 north is as near to the pole from every meridian, and to 85 north beyond it."""
    count = np.zeros((NORTH.size, EAST.size))
    count[-2, 0] = count[3, 30] = 1
    total = np.where(NORTH[:, None] > 0, count, 0)
    mean = local_mean(total, count, NORTH, EAST, 600.0)
    np.testing.assert_allclose(mean[-1], mean[-1, 0], atol=1e-12)
    assert mean[-1, 0] > 0.9 and mean[-2, 30] > 0.9  # 555 and 1110 km from it


def test_steps_of_latitude_do_not_matter():
    """Values on a Mercator grid are weighted by their distance in km, not in rows."""
    rows = np.rad2deg(np.arctan(np.sinh(np.deg2rad(np.arange(30, 60, 0.5)))))
    columns = 5 + 0.5 * np.arange(40)
    count = np.zeros((rows.size, columns.size))
    count[10, 20] = count[40, 20] = 1
    total = np.zeros_like(count)
    total[10, 20] = 1
    mean = local_mean(total, count, rows, columns, 300.0)[20, 20]
    km = 6371 * np.deg2rad(rows[20] - rows[[10, 40]])
    near, far = np.exp(-0.5 * (km / 300) ** 2)
    assert mean == pytest.approx(near / (near + far), abs=5e-3)
