"""A model in other units: the same orbits, costs and parameters."""

import numpy as np
import pytest
import torch

from xdvarnet.dynamics.integration import integrate
from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.dynamics.rescaled import Rescaled
from xdvarnet.errors import InvalidInputError
from xdvarnet.solver.priors.ode import OdePrior

MEAN, STD = (0.5, -1.0, 23.5), (8.0, 9.0, 8.6)


def make_states(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def numbers(given: object) -> torch.Tensor:
    return torch.tensor(given, dtype=torch.float64)


@pytest.mark.parametrize(("mean", "std"), [(MEAN, STD), (2.0, 7.0), (MEAN, 7.0), ([1, 2, 3], STD)])
@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_residuals_are_those_of_the_model_over_the_scale(mean, std, method):
    normalised = make_states(2, 1, 6, 3)
    location, scale = numbers(mean), numbers(std)
    states = location + scale * normalised
    plain = OdePrior(Lorenz63(), 0.01, method=method)
    rescaled = OdePrior(Rescaled(Lorenz63(), mean, std), 0.01, method=method)
    torch.testing.assert_close(
        normalised[:, :, 1:] - rescaled(normalised), (states[:, :, 1:] - plain(states)) / scale
    )


def test_orbits_are_the_same():
    model = Rescaled(Lorenz63(), MEAN, STD)
    location, scale = numbers(MEAN), numbers(STD)
    start = make_states(4, 3)
    orbit = integrate(model, start, 100, 0.01)
    expected = integrate(Lorenz63(), location + scale * start, 100, 0.01)
    torch.testing.assert_close(location + scale * orbit, expected, rtol=1e-9, atol=1e-9)


def test_change_of_units_and_back_is_the_model():
    back = Rescaled(Rescaled(Lorenz96(5), 2.0, 3.5), -2 / 3.5, 1 / 3.5)
    states = make_states(4, 5)
    torch.testing.assert_close(back(states), Lorenz96(5)(states))
    assert back.components == 5


def test_parameters_are_those_of_the_model():
    inner = Lorenz63(learned=True)
    model = Rescaled(inner, MEAN, STD)
    assert [*model.parameters()] == [inner.coefficients]
    assert list(model.state_dict()) == ["dynamics.coefficients"]
    model(make_states(2, 3)).square().sum().backward()
    assert (inner.coefficients.grad != 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_precision_of_a_state_is_kept(dtype):
    assert Rescaled(Lorenz63(), MEAN, STD)(make_states(2, 3).to(dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.0, 1.0), 1.0, "mean has 2 numbers.*3 components"),
        (0.0, torch.ones(3, 1), r"std has 3 numbers, in the shape \(3, 1\)"),
        (0.0, (1.0,) * 4, "std has 4 numbers"),
        (0.0, 0.0, "positive"),
        (0.0, (1.0, -1.0, 1.0), "positive"),
        (float("nan"), 1.0, "finite"),
        (0.0, float("inf"), "finite"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(mean, std, message):
    with pytest.raises(InvalidInputError, match=message):
        Rescaled(Lorenz63(), mean, std)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_arrays_are_kept_as_numbers(kind):
    model = Rescaled(Lorenz63(), kind(MEAN), kind(2.0) if kind is not list else 2.0)
    assert model.mean == pytest.approx(MEAN)
    assert (type(model.mean), type(model.mean[0]), type(model.std)) == (tuple, float, float)


def test_changing_an_array_later_changes_nothing():
    mean = np.array(MEAN)
    model, state = Rescaled(Lorenz63(), mean, 2.0), make_states(3)
    before = model(state)
    mean[:] = 0
    torch.testing.assert_close(model(state), before)


def test_the_mean_may_tell_the_number_of_components():
    assert Rescaled(torch.nn.Linear(2, 2), (1.0, 2.0), 3.0).components == 2
    with pytest.raises(InvalidInputError, match="Linear does not say its number of components"):
        Rescaled(torch.nn.Linear(2, 2), 1.0, 3.0)


def test_states_of_other_components_are_refused():
    with pytest.raises(InvalidInputError, match="components"):
        Rescaled(Lorenz63(), 0.0, 2.0)(make_states(2, 4))
