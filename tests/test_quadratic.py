"""The learned quadratic model: it finds the equations of Lorenz from their trajectories."""

import pytest
import torch

from xdvarnet.dynamics.integration import integrate
from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.dynamics.quadratic import QuadraticDynamics
from xdvarnet.errors import InvalidInputError, InvalidTypeError


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_equations_of_lorenz_63_are_found():
    states = integrate(Lorenz63(), 5 * draw(30, 3), 60, 0.01)
    model = QuadraticDynamics(3).fit(states, 0.01)
    torch.testing.assert_close(
        model(3 * draw(7, 3)), Lorenz63()(3 * draw(7, 3)), atol=2e-3, rtol=1e-4
    )


def test_equations_of_lorenz_96_are_found():
    states = integrate(Lorenz96(11), 8 + draw(20, 11), 50, 0.05)
    model = QuadraticDynamics(11, reach=2).fit(states, 0.05)
    assert model.coefficients.numel() == 1 + 5 + 15
    torch.testing.assert_close(
        model(3 * draw(7, 11)), Lorenz96(11)(3 * draw(7, 11)), atol=1e-3, rtol=1e-4
    )


def test_ring_has_no_place_of_its_own():
    model = QuadraticDynamics(9, reach=2)
    torch.nn.init.normal_(model.coefficients)
    state = draw(4, 9).float()
    torch.testing.assert_close(model(state.roll(4, -1)), model(state).roll(4, -1))


def test_what_is_refused():
    with pytest.raises(InvalidInputError, match="do not determine 10"):
        QuadraticDynamics(3).fit(draw(1, 8, 3), 0.01)
    for dt in (0.0, -0.1, float("nan")):
        with pytest.raises(InvalidInputError, match="dt="):
            QuadraticDynamics(3).fit(draw(5, 90, 3), dt)
    with pytest.raises(InvalidInputError, match="give the truth"):
        QuadraticDynamics(3).fit(draw(5, 90, 3).masked_fill(draw(5, 90, 3) > 2, torch.nan), 0.01)
    with pytest.raises(InvalidTypeError, match="torch.from_numpy"):
        QuadraticDynamics(3).fit(draw(5, 90, 3).numpy(), 0.01)
    with pytest.raises(InvalidInputError, match="reach=3"):
        QuadraticDynamics(6, reach=3)
    with pytest.raises(InvalidInputError, match="has 3 components"):
        QuadraticDynamics(3)(draw(2, 4))


@pytest.mark.parametrize("reach", [None, 1])
@pytest.mark.parametrize(
    "states",
    [
        torch.zeros(5, 90, 3),
        torch.full((5, 90, 3), 7.0),
        draw(5, 90, 1).expand(-1, -1, 3),  # the components are all the same
        draw(5, 90, 3) * torch.tensor([1.0, 0.0, 1.0]) * 1e200,
    ],
)
def test_states_that_do_not_tell_coefficients_are_refused(states, reach):
    model = QuadraticDynamics(3, reach=reach)
    with pytest.raises(InvalidInputError, match="do not determine"):
        model.fit(states, 0.01)
    assert (model.coefficients == 0).all()
