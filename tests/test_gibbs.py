"""The two-scale prior: no point predicts itself, what it reaches, periodicity, derivatives."""

import copy

import pytest
import torch
from torch import nn

from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.layout import Layout
from xdvarnet.solver.priors.gibbs import GibbsPrior

KINDS = {
    "series": ({"kernel": (5, 1), "downscale": (4, 1), "layout": Layout(components=3)}, (1, 18, 3)),
    "space-time": (
        {"kernel": (3, 5), "downscale": (4, 2), "layout": Layout(periodic=True)},
        (1, 10, 12),
    ),
    "maps": ({"channels": 2, "kernel": (5, 3), "downscale": (2, 3)}, (2, 9, 7)),
}
EACH = pytest.mark.parametrize("kind", KINDS)


def make_prior(kind: str, *, hidden: int = 5, **changes) -> GibbsPrior:
    """Return a prior in double precision whose rectifiers are mostly on."""
    torch.manual_seed(0)
    prior = GibbsPrior(hidden=hidden, **{**KINDS[kind][0], **changes}).double()
    for block in (prior.fine, prior.coarse):
        nn.init.constant_(block.merge.bias, 0.5)
    return prior


def make_state(kind: str, batch: int = 2) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn((batch, *KINDS[kind][1]), generator=random, dtype=torch.float64)


def influence(prior: nn.Module, state: torch.Tensor) -> torch.Tensor:
    """Largest derivative of Phi at each point (row, column) by the state at each other.

    The dimensions are the row and column of Phi, and those of the state.
    """
    jacobian = torch.autograd.functional.jacobian(prior, state)[0, ..., 0, :, :, :]
    return jacobian.abs().amax((0, 3))


@EACH
def test_no_point_predicts_itself(kind):
    """Exactly zero, at every point, and other points do matter."""
    found = influence(make_prior(kind), make_state(kind, 1))
    rows, columns = found.shape[:2]
    own = torch.stack([found[i, j, i, j] for i in range(rows) for j in range(columns)])
    assert (own == 0).all()
    assert (found.amax((2, 3)) > 0).all()


def test_no_component_of_a_time_predicts_that_time():
    """Where components are channels, all of them are left out."""
    found = influence(make_prior("series"), make_state("series", 1))
    assert torch.stack([found[t, :, t] for t in range(18)]).max() == 0


@EACH
def test_no_point_predicts_itself_after_training(kind):
    """No update of the weights lets the identity in."""
    prior, state = make_prior(kind), make_state(kind)
    optimiser = torch.optim.Adam(prior.parameters(), 0.05)
    for _ in range(20):
        optimiser.zero_grad()
        (prior(state) - state).square().mean().backward()
        optimiser.step()
    found = influence(prior, state[:1])
    rows, columns = found.shape[:2]
    assert max(found[i, j, i, j] for i in range(rows) for j in range(columns)) == 0


@pytest.mark.parametrize("scale", ["fine", "coarse"])
def test_each_scale_leaves_the_point_out(scale):
    """One at a time; the coarse one leaves out the whole coarse cell, and reaches farther."""
    prior = make_prior("series", hidden=16)
    last = prior.up if scale == "fine" else prior.decode
    nn.init.zeros_(last.weight)
    found = influence(prior, make_state("series", 1))[:, :, :, 0].amax(1)  # time, time
    if scale == "fine":
        expected = [1 <= abs(t - s) <= 2 for t in range(18) for s in range(18)]
    else:
        expected = [1 <= abs(t // 4 - s // 4) <= 2 for t in range(18) for s in range(18)]
    assert (found > 0).flatten().tolist() == expected


def test_white_noise_cannot_be_predicted():
    """Trained to be the identity, the prior does no better on fresh noise than nothing does."""
    prior = make_prior("series", hidden=8).float()
    random = torch.Generator().manual_seed(2)
    optimiser = torch.optim.Adam(prior.parameters(), 0.01)
    errors = []
    for _ in range(150):
        noise = torch.randn(32, 1, 18, 3, generator=random)
        optimiser.zero_grad()
        error = (prior(noise) - noise).square().mean()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert sum(errors[-20:]) / 20 > 0.98


@EACH
@pytest.mark.parametrize("rows", [1, 3, 8, 9])
def test_projection_keeps_the_shape(kind, rows):
    state = make_state(kind)[:, :, :1].expand(-1, -1, rows, -1)
    projected = make_prior(kind)(state)
    assert projected.shape == state.shape
    assert torch.isfinite(projected).all()


@EACH
def test_samples_do_not_mix(kind):
    prior, state = make_prior(kind), make_state(kind, 3)
    torch.testing.assert_close(prior(state)[1:2], prior(state[1:2]))


@EACH
def test_derivatives_exist_twice(kind):
    """The solver differentiates the prior, and training differentiates the solver."""
    prior, state = make_prior(kind, hidden=2), make_state(kind, 1)[:, :, :5].requires_grad_()
    assert torch.autograd.gradcheck(prior, state)
    assert torch.autograd.gradgradcheck(prior, state)


def test_a_circle_has_no_first_column():
    """A turn by whole coarse cells turns the projection; without periodicity it does not."""
    state = make_state("space-time")
    prior, open_prior = make_prior("space-time"), make_prior("space-time", layout=Layout())
    torch.testing.assert_close(prior(state.roll(4, -1)), prior(state).roll(4, -1))
    assert not torch.allclose(open_prior(state.roll(4, -1)), open_prior(state).roll(4, -1))
    found = influence(prior, state[:1])
    assert found[5, 0, 5, 11] > 0
    assert influence(open_prior, state[:1])[5, 0, 5, 11] == 0


def test_a_smooth_series_can_be_learned():
    """Neighbours tell where a sine of any phase is."""
    prior = make_prior("series", hidden=8).float()
    random = torch.Generator().manual_seed(3)
    optimiser = torch.optim.Adam(prior.parameters(), 0.01)
    times = torch.arange(18.0)[:, None]
    for _ in range(150):
        phases = 6.3 * torch.rand(32, 1, 1, 3, generator=random)
        waves = torch.sin(0.7 * times + phases)
        optimiser.zero_grad()
        error = (prior(waves) - waves).square().mean()
        error.backward()
        optimiser.step()
    assert error.item() < 0.05 * waves.var().item()


def test_sizes_of_the_benchmark():
    """About 15,000 parameters for Lorenz-63 and 50,000 for Lorenz-96."""
    sizes = [
        sum(p.numel() for p in prior.parameters())
        for prior in (
            GibbsPrior(kernel=(11, 1), downscale=(4, 1), layout=Layout(components=3)),
            GibbsPrior(kernel=(5, 5), downscale=(4, 1), hidden=60, layout=Layout(periodic=True)),
        )
    ]
    assert sizes == [13_596, 47_222]


@EACH
def test_its_arguments_and_weights_make_it_again(kind):
    prior, state = make_prior(kind), make_state(kind)
    names = ("channels", "kernel", "downscale", "hidden", "layout")
    other = GibbsPrior(**{name: getattr(prior, name) for name in names}).double()
    other.load_state_dict(prior.state_dict())
    assert torch.equal(other(state), prior(state))
    assert torch.equal(copy.deepcopy(prior)(state), prior(state))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel": (4, 1)}, r"kernel=\(4, 1\); give two odd"),
        ({"kernel": (1, 1)}, "one at least 3"),
        ({"downscale": (0, 1)}, r"downscale=\(0, 1\)"),
        ({"kernel": (3, 3), "layout": Layout(components=3)}, "components=3"),
        ({"channels": 2, "layout": Layout(components=3)}, "components=3"),
    ],
)
def test_bad_sizes_are_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        GibbsPrior(**{"kernel": (5, 1), "downscale": (4, 1)} | changes)


def test_bad_states_are_refused():
    with pytest.raises(InvalidInputError, match=r"for 3 components.*\(2, 1, 9, 4\).* has 4"):
        make_prior("series")(torch.zeros(2, 1, 9, 4).double())
    for columns in (11, 4):  # no multiple of a coarse cell; fewer cells than the kernel reaches
        with pytest.raises(InvalidInputError, match="multiple of 2 columns, more than 4"):
            make_prior("space-time")(torch.zeros(2, 1, 9, columns).double())
