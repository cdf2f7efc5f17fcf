"""The taper of covariances: the convolution that defines it, rings and lines, refusals."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.linalg import circulant, toeplitz

from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.methods.localisation import Localisation, gaspari_cohn


def cone_with_itself(distance: float) -> float:
    """Convolution in space of the cone ``1 - r``, r up to 1, with itself, up to a factor.

    In the distances u and v to the two summits, volumes are ``2 pi u v du dv / distance``.
    """

    def below(v):
        return v**2 / 2 - v**3 / 3

    def ring(u):
        far, near = min(distance + u, 1), min(abs(distance - u), 1)
        return u * (1 - u) * (below(far) - below(near))

    kinks = sorted({point for point in (distance, distance - 1, 1 - distance) if 0 < point < 1})
    return quad(ring, 0, 1, points=kinks)[0] / distance


def test_taper_is_the_convolution_of_a_cone_with_itself():
    distance = np.array([0.05, 0.4, 0.9, 1.0, 1.1, 1.6, 1.95])
    at_zero = 2 * (1 / 3 - 2 / 4 + 1 / 5)  # the limit: twice the integral of (r (1 - r))^2
    expected = [cone_with_itself(r) / at_zero for r in distance]
    found = gaspari_cohn(torch.from_numpy(distance))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("number", [12, 17])
def test_distances_are_those_on_a_ring_or_a_line(number):
    radius = 2.7
    along = gaspari_cohn(torch.arange(number, dtype=torch.float64) / radius).numpy()
    line = Localisation(radius, periodic=False).weights(number)
    np.testing.assert_allclose(line, toeplitz(along), atol=1e-14)
    back = np.concatenate([[0], along[:0:-1]])  # the support is shorter than half of the ring
    np.testing.assert_allclose(
        Localisation(radius).weights(number), circulant(np.maximum(along, back)), atol=1e-14
    )


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("radius", [3.5, 8, 14, 40, 1e9])
def test_a_tapered_covariance_remains_one(radius, periodic):
    """Of 4 members in 30 components: no variance changes, and none is negative anywhere."""
    members = np.random.default_rng(0).standard_normal((4, 30))
    covariance = np.cov(members.T)
    tapered = covariance * Localisation(radius, periodic=periodic).weights(30).numpy()
    np.testing.assert_allclose(np.diag(tapered), np.diag(covariance))
    assert np.linalg.matrix_rank(covariance) == 3
    assert np.linalg.eigvalsh(tapered).min() > (1e-6 if radius < 5 else -1e-12)


def test_a_wide_taper_leaves_all_as_it_is():
    np.testing.assert_allclose(Localisation(1e7).weights(7), np.ones((7, 7)), atol=1e-6)


def test_what_is_no_radius_is_refused():
    with pytest.raises(InvalidTypeError, match="radius"):
        Localisation("3")
    for radius in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InvalidInputError, match=f"radius={radius!r} is not accepted"):
            Localisation(radius)
    with pytest.raises(InvalidInputError, match=r"radius=0\.5 leaves no neighbour"):
        Localisation(0.5)
    assert Localisation(0.51).weights(3)[0, 1] > 0
