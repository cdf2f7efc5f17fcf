"""The models of Lorenz: their invariants and symmetries, fixed points, derivatives, parameters."""

import math

import pytest
import torch

from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.errors import InvalidInputError


def make_states(*shape: int) -> torch.Tensor:
    return 4 * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_lorenz63_rests_where_theory_says():
    """At the origin, and at the two centres of convection."""
    model = Lorenz63(sigma=9.0, rho=20.0, beta=2.5)
    side = math.sqrt(2.5 * 19)
    rest = torch.tensor([[0, 0, 0], [side, side, 19], [-side, -side, 19]], dtype=torch.float64)
    torch.testing.assert_close(model(rest), torch.zeros_like(rest), rtol=0, atol=1e-12)


def test_lorenz63_contracts_volumes_at_a_constant_rate():
    """The divergence of the tendency is -(sigma + 1 + beta) everywhere."""
    for state in make_states(4, 3):
        jacobian = torch.autograd.functional.jacobian(Lorenz63(), state)
        assert jacobian.trace().item() == pytest.approx(-(10 + 1 + 8 / 3), abs=1e-12)


def test_lorenz63_is_symmetric_about_its_axis():
    states, mirror = make_states(5, 3), torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(Lorenz63()(mirror * states), mirror * Lorenz63()(states))


def test_advection_of_lorenz96_conserves_energy_and_volume():
    """Without damping and forcing, x . dx/dt is zero; and the divergence is that of damping."""
    model, states = Lorenz96(components=7, forcing=5.0), make_states(6, 7)
    advection = model(states) + states - 5
    assert advection.abs().max() > 10
    torch.testing.assert_close(
        (states * advection).sum(-1), torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-10
    )
    jacobian = torch.autograd.functional.jacobian(model, states[0])
    assert jacobian.trace().item() == pytest.approx(-7)


def test_lorenz96_has_no_first_component():
    model, states = Lorenz96(components=9), make_states(2, 9)
    torch.testing.assert_close(model(states.roll(4, -1)), model(states).roll(4, -1))


def test_lorenz96_component_by_component():
    """The published formula, with indices in a circle."""
    state = make_states(6)
    x = state.tolist()
    expected = [(x[(i + 1) % 6] - x[i - 2]) * x[i - 1] - x[i] + 3.5 for i in range(6)]
    found = Lorenz96(components=6, forcing=3.5)(state)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("model", [Lorenz63(), Lorenz96(5)])
def test_a_batch_has_any_shape_and_dtype(model):
    states = make_states(2, 4, model.components)
    tendency = model(states)
    assert tendency.shape == states.shape
    torch.testing.assert_close(tendency[1, 2], model(states[1, 2]))
    for dtype in (torch.float32, torch.float64):
        assert model(states.to(dtype)).dtype == model(states[0, 0].to(dtype)).dtype == dtype


@pytest.mark.parametrize("model", [Lorenz63(learned=True), Lorenz96(5, learned=True)])
def test_derivatives_exist_twice(model):
    (parameter,) = model.parameters()
    states = make_states(2, model.components).requires_grad_()

    def tendency(states, values):
        (name,) = dict(model.named_parameters())
        return torch.func.functional_call(model, {name: values}, (states,))

    inputs = (states, parameter.detach().clone().requires_grad_())
    assert torch.autograd.gradcheck(tendency, inputs)
    assert torch.autograd.gradgradcheck(tendency, inputs)


def test_parameters_are_fixed_unless_learned():
    assert not any(p.requires_grad for m in (Lorenz63(), Lorenz96()) for p in m.parameters())
    model = Lorenz63(sigma=8.0, learned=True)
    state = torch.tensor([1.0, 3.0, 2.0])
    for _ in range(200):  # of one tendency, only that of x says anything of sigma
        error = (model(state)[0] - 20).square()
        (gradient,) = torch.autograd.grad(error, model.coefficients)
        with torch.no_grad():
            model.coefficients -= 0.05 * gradient
    assert model.sigma == pytest.approx(10, abs=1e-6)
    assert (model.rho, model.beta) == (28, pytest.approx(8 / 3))


def test_parameters_stay_with_the_weights():
    model = Lorenz96(6, forcing=4.0)
    model.load_state_dict(Lorenz96(6, forcing=7.25).state_dict())
    assert model.forcing == 7.25


def test_wrong_components_are_refused():
    with pytest.raises(InvalidInputError, match=r"Lorenz63 has 3 components.*\(2, 4\)"):
        Lorenz63()(torch.zeros(2, 4))
    with pytest.raises(InvalidInputError, match=r"Lorenz96 has 40 components"):
        Lorenz96()(torch.zeros(1))
    for number in (float("nan"), "28"):
        with pytest.raises(InvalidInputError, match="rho=.* give a finite number"):
            Lorenz63(rho=number)
        with pytest.raises(InvalidInputError, match="forcing=.* give a finite number"):
            Lorenz96(forcing=number)
    with pytest.raises(InvalidInputError, match="components=3; .* at least 4"):
        Lorenz96(3)
