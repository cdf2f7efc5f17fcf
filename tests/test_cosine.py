"""The covariance by cosine transforms, against the inverse of the precision that it stands for."""

import pytest
import torch
from scipy import special

from xdvarnet.spde.chain import matern_chain
from xdvarnet.spde.cosine import CosineCovariance, smooth
from xdvarnet.spde.mesh import Mesh
from xdvarnet.spde.scales import LENGTH

SHAPE, SPACING = (3, 5, 7), (2e4, 3e4)
SCALES = {"length": 9e4, "time": 4.0, "std": 1.3, "step": 0.5}


def make(dtype: torch.dtype = torch.float64) -> CosineCovariance:
    return CosineCovariance(SHAPE, SPACING, **SCALES, like=torch.ones((), dtype=dtype))


def test_it_is_the_inverse_of_the_precision():
    """Walls and all: the cosines are the modes of the finite volumes."""
    north, east = (d * torch.arange(n) for d, n in zip(SPACING, SHAPE[1:], strict=True))
    chain = matern_chain(Mesh.from_metres(north, east), SHAPE[0], **SCALES)
    expected = torch.linalg.inv(chain.precision().to_dense())
    identity = torch.eye(len(expected), dtype=torch.float64).view(-1, *SHAPE)
    found = make().apply(identity).flatten(1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_smoothing_keeps_constants_and_sums():
    field = torch.randn(2, *SHAPE[1:], dtype=torch.float64)
    found = smooth(field, SPACING, 9e4)
    torch.testing.assert_close(found.sum((1, 2)), field.sum((1, 2)))
    constant = torch.full_like(field, 0.7)
    torch.testing.assert_close(smooth(constant, SPACING, 9e4), constant)
    assert found.var() < 0.2 * field.var()


def test_smoothing_is_as_wide_as_it_says():
    """A point becomes kappa d K_1(kappa d): 1/e of its height at 0.65 correlation lengths."""
    point = torch.zeros(81, 91, dtype=torch.float64)
    point[40, 45] = 1
    found = smooth(point, (1e3, 2e3), 20e3)
    for row, column in ((40, 45 + 6), (40 + 12, 45)):  # both 12 km away
        distance = LENGTH * 12 / 20
        expected = distance * special.k1(distance)
        assert (found[row, column] / found[40, 45]).item() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kind_and_batch_are_those_of_the_fields(dtype):
    fields = torch.randn(4, 2, *SHAPE, dtype=dtype)
    found = make(dtype).apply(fields)
    assert found.dtype == dtype
    assert found.shape == fields.shape
    torch.testing.assert_close(found[3, 1], make(dtype).apply(fields[3, 1]))
