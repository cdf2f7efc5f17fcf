"""Layouts of columns: convolutions of scipy, adjoints, what a cell depends on, refusals.

The laws of the layout and of rings that steps rely on are in test_series_steps.
"""

import numpy as np
import pytest
import torch
from scipy.signal import correlate

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.layout import Convolution, Fold, Layout, Wrap
from xdvarnet.solver.series_unet import SeriesUNet, check_channels
from xdvarnet.solver.steps import CNNStep


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("periodic", "outside"), [(True, "wrap"), (False, "constant")])
@pytest.mark.parametrize("kernel", [(3, 5), (5, 1), (1, 7)])
def test_convolution_is_that_of_scipy(kernel, periodic, outside):
    """Zeros before and after the window; the ring or zeros beyond the ends of the components."""
    torch.manual_seed(0)
    layer = Convolution(2, 3, kernel, Layout(periodic=periodic)).double()
    fields = draw(4, 2, 9, 7)
    times, points = (size // 2 for size in kernel)
    wide = np.pad(fields.numpy(), [(0, 0), (0, 0), (0, 0), (points, points)], outside)
    wide = np.pad(wide, [(0, 0), (0, 0), (times, times), (0, 0)])
    found = layer(fields).detach()
    for feature, weight in enumerate(layer.weight.detach().numpy()):
        expected = [correlate(sample, weight, "valid")[0] for sample in wide]
        np.testing.assert_allclose(found[:, feature] - layer.bias[feature].item(), expected)


@pytest.mark.parametrize("points", [1, 2, 5])
def test_folding_is_the_adjoint_of_wrapping(points):
    fields, wrapped = draw(2, 3, 4, 5), draw(2, 3, 4, 5 + 2 * points)
    one = (Wrap.apply(fields, points) * wrapped).sum()
    other = (fields * Fold.apply(wrapped, points)).sum()
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("components", [4, None])
def test_a_cell_depends_on_its_patches_alone(components):
    """With kernels of one time, on 2 times 3 times; and on other components as channels only."""
    torch.manual_seed(0)
    network = SeriesUNet(
        1, 1, hidden=5, patch=2, downscale=(3,), kernel=(1, 1), layout=Layout(components=components)
    ).double()
    series = draw(2, 1, 21, 4)  # no multiple of a patch
    changed = series.clone()
    changed[1, 0, 7, 2] += 1
    with torch.no_grad():
        difference = (network(changed) - network(series)).abs() > 1e-12
    expected = torch.zeros_like(series, dtype=torch.bool)
    expected[1, 0, 6:12, slice(None) if components else 2] = True
    assert torch.equal(difference, expected)


def test_networks_for_other_channels_are_refused():
    names = ["values", "mask"]
    check_channels(SeriesUNet(2, 1), names)
    check_channels(torch.nn.Identity(), names)  # it says nothing of its channels
    for network, numbers in (
        (SeriesUNet(3, 1), "3 .* gives 1"),
        (SeriesUNet(2, 4), "2 .* gives 4"),
    ):
        with pytest.raises(
            InvalidInputError, match=rf"SeriesUNet takes {numbers}; .*2 channels \(values, mask\)"
        ):
            check_channels(network, names)


def test_numbers_out_of_range_are_refused():
    for name in ("hidden", "depth", "patch"):
        with pytest.raises(InvalidInputError, match=f"{name}=0"):
            SeriesUNet(1, 1, **{name: 0})
    with pytest.raises(InvalidInputError, match=r"downscale=\(2, 0\)"):
        SeriesUNet(1, 1, downscale=(2, 0))
    for kernel in ((4, 1), (3, 2), (3, -1), (5,), 5, (5.0, 1)):
        with pytest.raises(InvalidInputError, match="give two odd numbers"):
            SeriesUNet(1, 1, kernel=kernel)
    assert SeriesUNet(1, 1, kernel=list(np.array([5, 3]))).kernel == (5, 3)
    with pytest.raises(InvalidInputError, match=r"for 3 components, .*\(2, 1, 8, 5\)"):
        Layout(components=3).to_fields(draw(2, 1, 8, 5))


def test_a_kernel_goes_once_around_a_ring_at_most():
    layer = Convolution(1, 1, (1, 9), Layout(periodic=True)).double()
    assert layer(draw(2, 1, 6, 4)).shape == (2, 1, 6, 4)
    with pytest.raises(InvalidInputError, match="9 columns goes more than once .* ring of 3"):
        layer(draw(2, 1, 6, 3))


def test_a_step_on_a_circle_of_latitude_has_no_first_column():
    torch.manual_seed(0)
    step = CNNStep(2, hidden=4, context=1, layout=Layout(periodic=True)).double()
    gradient, context = draw(1, 2, 6, 9), draw(1, 1, 6, 9)
    update, _ = step(gradient, context, None)
    turned, _ = step(gradient.roll(4, -1), context.roll(4, -1), None)
    torch.testing.assert_close(turned, update.roll(4, -1))
    plain = CNNStep(2, hidden=4, context=1).double()
    plain.load_state_dict(step.state_dict())
    assert not torch.allclose(plain(gradient, context, None)[0], update)
