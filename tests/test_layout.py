"""Layouts of columns: convolutions of scipy, adjoints, what a cell depends on, refusals."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.layout import PLANE, Convolution, Fold, Layout, Wrap


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("periodic", "outside", "cell"),
    [
        (True, "wrap", (1, 1)),
        (True, "wrap", (2, 1)),
        (False, "constant", (1, 1)),
        (False, "constant", (3, 2)),
    ],
)
@pytest.mark.parametrize("kernel", [(3, 5), (5, 1), (1, 7)])
def test_convolution_is_that_of_scipy(kernel, periodic, outside, cell):
    """Zeros before and after the window; the ring or zeros beyond the ends; once for each cell."""
    torch.manual_seed(0)
    layer = Convolution(2, 3, kernel, Layout(periodic=periodic), cell=cell).double()
    fields = draw(4, 2, 9, 7)
    times, points = (size // 2 for size in kernel)
    wide = np.pad(fields.numpy(), [(0, 0), (0, 0), (0, 0), (points, points)], outside)
    wide = np.pad(wide, [(0, 0), (0, 0), (times, times), (0, 0)])
    found = layer(fields).detach()
    for feature, weight in enumerate(layer.weight.detach().numpy()):
        around = [correlate(sample, weight, "valid")[0] for sample in wide]
        expected = [every[:: cell[0], :: cell[1]] for every in around]
        np.testing.assert_allclose(found[:, feature] - layer.bias[feature].item(), expected)


@pytest.mark.parametrize("points", [1, 2, 5])
def test_folding_is_the_adjoint_of_wrapping(points):
    fields, wrapped = draw(2, 3, 4, 5), draw(2, 3, 4, 5 + 2 * points)
    one = (Wrap.apply(fields, points) * wrapped).sum()
    other = (fields * Fold.apply(wrapped, points)).sum()
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("points", [1, 3])
def test_ring_is_continued_as_torch_does(points):
    """The same values and derivatives, of first and second order, as circular padding."""
    fields = draw(2, 1, 3, 7).requires_grad_()
    expected = torch.nn.functional.pad(fields, (points, points, 0, 0), "circular")
    torch.testing.assert_close(Wrap.apply(fields, points), expected)
    assert torch.autograd.gradcheck(lambda x: Wrap.apply(x, points), fields)
    assert torch.autograd.gradgradcheck(lambda x: Wrap.apply(x, points) ** 2, fields)


def test_layout_is_inverted_and_keeps_channels_together():
    series, layout = draw(2, 4, 7, 3), Layout(components=3)
    fields = layout.to_fields(series)
    assert fields.shape == (2, 12, 7, 1)
    assert torch.equal(layout.to_state(fields), series)
    assert torch.equal(fields[:, 4:8, :, 0], series[..., 1])
    assert torch.equal(PLANE.to_fields(series), series)


def test_wrong_layouts_are_refused():
    for given in ({"components": 3, "periodic": True}, {"components": 0}):
        with pytest.raises(InvalidInputError, match=r"or they are channels.*give Layout\(periodic"):
            Layout(**given)
    with pytest.raises(InvalidInputError, match=r"for 3 components, .*\(2, 1, 8, 5\)"):
        Layout(components=3).to_fields(draw(2, 1, 8, 5))
    for kernel in ((4, 1), (3, 2), (3, -1), (5,), 5, (5.0, 1)):
        with pytest.raises(InvalidInputError, match="give two odd numbers"):
            Convolution(1, 1, kernel, PLANE)
    assert Convolution(1, 1, list(np.array([5, 3])), PLANE).kernel_size == (5, 3)
    with pytest.raises(InvalidInputError, match=r"in a plane; with Layout\(.*give \(3, 1\)"):
        Convolution(1, 1, (3, 3), Layout(periodic=True), cell=(3, 2))


def test_a_kernel_goes_once_around_a_ring_at_most():
    layer = Convolution(1, 1, (1, 9), Layout(periodic=True)).double()
    assert layer(draw(2, 1, 6, 4)).shape == (2, 1, 6, 4)
    with pytest.raises(InvalidInputError, match="9 columns goes more than once .* ring of 3"):
        layer(draw(2, 1, 6, 3))
