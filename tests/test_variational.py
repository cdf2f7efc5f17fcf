"""The solver: its gradient, its descent, and that nothing but the arguments decides the result."""

import copy
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from xdvarnet.dynamics.lorenz import Lorenz63
from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.mapping.description import build, describe
from xdvarnet.solver.contracts import Step
from xdvarnet.solver.data import Data
from xdvarnet.solver.inversions.direct import DirectInversion
from xdvarnet.solver.layout import Layout
from xdvarnet.solver.networks import UNet
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.bilinear import BilinearAutoencoder
from xdvarnet.solver.priors.ode import OdePrior
from xdvarnet.solver.priors.projection import Projection
from xdvarnet.solver.priors.unet import UNetPrior
from xdvarnet.solver.steps import CNNStep, ConvLSTMStep, GradientStep, UNetStep
from xdvarnet.solver.variational import VariationalSolver
from xdvarnet.training.loop import autocast

BATCH, CHANNELS, CONTEXT, SIZE = 3, 4, 2, (7, 10)
SAME = {"rtol": 0, "atol": 1e-6}

PRIORS = {
    "bilinear": lambda: BilinearAutoencoder(CHANNELS, hidden=3),
    "unet": lambda: UNetPrior(CHANNELS, hidden=3, depth=2),
}
STEPS = {
    "gradient": lambda: GradientStep(0.1),
    "cnn": lambda: CNNStep(CHANNELS, hidden=5, context=CONTEXT),
    "lstm": lambda: ConvLSTMStep(CHANNELS, hidden=5, context=CONTEXT, downscale=2),
    "unet": lambda: UNetStep(CHANNELS, hidden=4, depth=1, context=CONTEXT),
}


class Linear(Projection):
    """A prior that is one matrix on all cells of a sample: the cost is quadratic."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(0.5 * torch.randn(cells, cells) / cells**0.5)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        return (state.flatten(1) @ self.matrix.T).view_as(state)


class Spy(Step):
    """A step that notes what it was given, and how much of the prior's graph is alive."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step, self.gradients, self.alive = step, [], []
        self.graph: weakref.WeakSet[Saved] = weakref.WeakSet()

    def forward(self, gradient, context, memory):
        self.gradients.append(gradient)
        self.alive.append(len(self.graph))
        return self.step(gradient, context, memory)


class Saved:
    """A tensor that a graph keeps for its derivative."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


def make_solver(prior: str = "bilinear", step: str = "lstm", **options: int) -> VariationalSolver:
    """Return a solver with two observation terms and no zero weight."""
    torch.manual_seed(0)
    terms = [MaskedObservation(noise=0.5), MaskedObservation(noise=2.0, channels=slice(1, 3))]
    solver = VariationalSolver(PRIORS[prior](), terms, STEPS[step](), **options)
    nn.init.normal_(solver.log_weights)
    nn.init.constant_(solver.rate, 0.2)
    if step == "lstm":
        nn.init.normal_(solver.step.decode.weight, std=0.1)
    if step == "unet":
        nn.init.normal_(solver.step.network.decode.weight, std=0.1)
    return solver


def make_inputs(
    dtype: torch.dtype = torch.float32, batch: int = BATCH, size: tuple[int, int] = SIZE
) -> tuple[torch.Tensor, list[Data], torch.Tensor]:
    """Return a first guess, gappy data of both terms, and a context."""
    random = torch.Generator().manual_seed(1)

    def draw(channels: int) -> torch.Tensor:
        return torch.randn(batch, channels, *size, generator=random, dtype=dtype)

    gappy = draw(CHANNELS)
    gappy[torch.rand(gappy.shape, generator=random) > 0.3] = torch.nan
    complete = draw(2)
    data = [Data.from_gappy(gappy), Data(complete, torch.ones_like(complete))]
    return draw(CHANNELS), data, draw(CONTEXT)


def select(data: list[Data], samples: slice | list[int]) -> list[Data]:
    """Return the data of some samples."""
    return [Data(part.values[samples], part.mask[samples]) for part in data]


ALL_PRIORS = pytest.mark.parametrize("prior", list(PRIORS))
ALL_STEPS = pytest.mark.parametrize("step", list(STEPS))


# The cost and its gradient


@ALL_PRIORS
@pytest.mark.parametrize("size", [(7, 10), (8, 5), (1, 6)])
def test_gradient_is_that_of_the_cost(prior, size):
    solver = make_solver(prior).double()
    state, data, _ = make_inputs(torch.float64, size=size)
    point = state.clone().requires_grad_()
    (expected,) = torch.autograd.grad(solver.cost(point, data).sum(), point)
    torch.testing.assert_close(solver.gradient(state, data), expected, rtol=1e-10, atol=1e-14)
    with torch.no_grad():
        torch.testing.assert_close(solver.gradient(state, data), expected, rtol=1e-10, atol=1e-14)


def test_gradient_can_be_differentiated():
    """Training needs the derivative of the gradient: the Hessian of the cost."""
    solver = make_solver().double()
    state, data, _ = make_inputs(torch.float64, batch=1, size=(2, 3))
    hessian = torch.autograd.functional.hessian(lambda x: solver.cost(x, data).sum(), state)
    jacobian = torch.autograd.functional.jacobian(lambda x: solver.gradient(x, data), state)
    torch.testing.assert_close(jacobian, hessian, rtol=1e-9, atol=1e-12)


def test_cost_is_the_weighted_sum_of_its_terms():
    solver = make_solver()
    state, data, _ = make_inputs()
    first, second, prior = solver.log_weights.exp()
    expected = (
        first * solver.observations[0].cost(state, data[0])
        + second * solver.observations[1].cost(state, data[1])
        + prior * (state - solver.prior(state)).square().mean((1, 2, 3))
    )
    assert solver.cost(state, data).shape == (BATCH,)
    torch.testing.assert_close(solver.cost(state, data), expected)


@pytest.mark.parametrize("term", [0, 1])
def test_every_observation_term_counts(term):
    solver = make_solver()
    state, data, context = make_inputs()
    result = solver(state, data, context)
    data[term] = Data(data[term].values + 1, data[term].mask)
    assert (solver(state, data, context) - result).abs().max() > 1e-3


def test_one_term_needs_no_list():
    prior, term = PRIORS["bilinear"](), MaskedObservation()
    alone, listed = (VariationalSolver(prior, terms, GradientStep()) for terms in (term, [term]))
    state, data, _ = make_inputs()
    assert torch.equal(alone(state, data[:1]), listed(state, data[:1]))


# The descent


def test_gradient_check():
    """Derivatives of the whole descent by the first guess, data, context, weights and rate."""
    solver = make_solver(iterations=2).double()
    state, data, context = make_inputs(torch.float64, batch=2, size=(2, 3))

    def solve(state, values, context, log_weights, rate):
        learned = {"log_weights": log_weights, "rate": rate}
        observed = [Data(values, data[0].mask), data[1]]
        return torch.func.functional_call(solver, learned, (state, observed, context))

    inputs = (state, data[0].values, context, solver.log_weights, solver.rate)
    assert torch.autograd.gradcheck(solve, [x.detach().requires_grad_() for x in inputs])


@ALL_PRIORS
@ALL_STEPS
def test_every_parameter_learns(prior, step):
    solver = make_solver(prior, step, iterations=2)
    state, data, context = make_inputs()
    solver(state, data, context).square().sum().backward()
    for name, parameter in solver.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@ALL_PRIORS
def test_an_untrained_solver_returns_the_first_guess(prior):
    solver = VariationalSolver(PRIORS[prior](), MaskedObservation(), ConvLSTMStep(CHANNELS))
    state, data, _ = make_inputs()
    assert torch.equal(solver(state, data[:1]), state)


@ALL_PRIORS
def test_gradient_descent_lowers_the_cost(prior):
    solver = make_solver(prior, "gradient")
    nn.init.zeros_(solver.rate)
    solver.step.rate = 0.05
    state, data, _ = make_inputs()
    costs = [solver.cost(state, data)]
    for solver.iterations in range(1, 6):
        with torch.no_grad():
            costs.append(solver.cost(solver(state, data), data))
    for before, after in zip(costs[:-1], costs[1:], strict=True):
        assert (after < before).all()


def test_gradient_descent_finds_the_minimum_of_a_quadratic_cost():
    """Against the normal equations, in dense algebra."""
    torch.manual_seed(0)
    shape, noise = (2, 2, 3, 4), 0.7
    cells = 2 * 3 * 4
    state, values = torch.randn(2, *shape, dtype=torch.float64)
    mask = (torch.rand(shape) > 0.5).double()
    solver = VariationalSolver(
        Linear(cells), MaskedObservation(noise=noise), GradientStep(0.0), iterations=1500
    ).double()
    nn.init.constant_(solver.log_weights, 0.3)
    data = [Data(values, mask)]
    residual = torch.eye(cells) - solver.prior.matrix.detach()
    with torch.no_grad():
        scale = solver.gradient(state, data).square().mean((1, 2, 3)).sqrt().min()
        weight = 2 * torch.tensor(0.3, dtype=torch.float64).exp() / cells
        largest = weight * (torch.linalg.matrix_norm(residual, 2) ** 2 + noise**-2)
        solver.rate.fill_(scale / largest)  # the largest that is stable in the last iteration
        analysis = solver(state, data)
    for i in range(shape[0]):
        seen = mask[i].flatten() / noise**2
        hessian = residual.T @ residual + torch.diag(seen)
        exact = torch.linalg.solve(hessian, seen * values[i].flatten())
        torch.testing.assert_close(analysis[i].flatten(), exact, rtol=0, atol=1e-8)


def test_first_gradient_has_unit_scale_in_every_sample():
    solver = make_solver(step="gradient", iterations=3)
    solver.step = Spy(solver.step)
    state, data, _ = make_inputs()
    amplitude = torch.tensor([1e-3, 1.0, 1e3]).view(-1, 1, 1, 1)
    data = [Data(amplitude * part.values, part.mask) for part in data]
    solver(amplitude * state, data)
    first, *_, last = (g.square().mean((1, 2, 3)).sqrt() for g in solver.step.gradients)
    torch.testing.assert_close(first, torch.ones(BATCH))
    assert (last - 1).abs().max() > 1e-2  # later ones are not scaled anew


def test_a_gradient_of_zero_can_be_learned_from():
    """Nothing observed and nothing that the prior changes: the derivative is no NaN."""
    torch.manual_seed(0)

    class Convolved(Projection):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)

        def forward(self, state):
            return self.layer(state)

    prior = Convolved()
    solver = VariationalSolver(prior, MaskedObservation(), CNNStep(CHANNELS), iterations=2)
    zero = torch.zeros(2, CHANNELS, *SIZE)
    analysis = solver(zero, [Data(zero, zero)])
    analysis.sum().backward()
    assert torch.isfinite(analysis).all()
    assert all(torch.isfinite(p.grad).all() for p in solver.parameters() if p.grad is not None)


def test_memory_goes_from_one_iteration_to_the_next():
    class Count(Step):
        def forward(self, gradient, context, memory):
            memory = 1 if memory is None else memory + 1
            return torch.full_like(gradient, memory), memory

    solver = VariationalSolver(PRIORS["bilinear"](), MaskedObservation(), Count(), iterations=4)
    state, data, _ = make_inputs()
    for _ in range(2):  # 1 / 1 + 2 / 2 + 3 / 3 + 4 / 4
        torch.testing.assert_close(solver(state, data[:1]), state - 4)


# Nothing but the arguments decides


@ALL_PRIORS
@ALL_STEPS
def test_samples_do_not_depend_on_their_neighbours(prior, step):
    solver = make_solver(prior, step, iterations=4).eval()
    state, data, context = make_inputs()
    with torch.no_grad():
        together = solver(state, data, context)
        for i in range(BATCH):
            one = slice(i, i + 1)
            alone = solver(state[one], select(data, one), context[one])
            torch.testing.assert_close(together[one], alone, **SAME)
        wild, order = state.clone(), [2, 0, 1]
        wild[0], wild[2] = torch.nan, 1e3 * wild[2]
        among = solver(wild[order], select(data, order), context[order])
    torch.testing.assert_close(among[2], together[1], **SAME)


@ALL_PRIORS
@ALL_STEPS
def test_modes_give_the_same(prior, step):
    """Training and evaluation, with and without gradients, and twice in a row."""
    solver = make_solver(prior, step, iterations=4)
    inputs = make_inputs()
    training = solver.train()(*inputs)
    evaluation = solver.eval()(*inputs)
    with torch.no_grad():
        without = solver(*inputs)
    with torch.inference_mode():
        inference = solver(*inputs)
        cloned = solver(inputs[0].clone(), inputs[1], inputs[2].clone())
    assert training.requires_grad
    for result in (evaluation, without, inference, cloned):
        torch.testing.assert_close(result.detach(), training.detach(), **SAME)
    assert not any(result.requires_grad for result in (without, inference, cloned))
    assert not torch.is_inference(without)


@pytest.mark.parametrize("step", ["cnn", "lstm"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_no_graph_is_kept_at_inference(step, mode):
    solver = make_solver("unet", step, iterations=3)
    spy = solver.step = Spy(solver.step)

    def pack(tensor: torch.Tensor) -> Saved:
        saved = Saved(tensor)
        spy.graph.add(saved)
        return saved

    inputs = make_inputs()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor), mode():
        solver(*inputs)
    if mode is torch.enable_grad:
        assert 0 < spy.alive[0] < spy.alive[1] < spy.alive[2]
        assert all(gradient.requires_grad for gradient in spy.gradients)
    else:
        assert spy.alive == [0, 0, 0]
        assert not any(gradient.requires_grad for gradient in spy.gradients)


def test_arguments_are_left_as_they_are():
    solver, (state, data, context) = make_solver(), make_inputs()
    tensors = [state, context, *(t for part in data for t in (part.values, part.mask))]
    before = [tensor.clone() for tensor in tensors]
    with torch.no_grad():
        solver(state, data, context)
    assert all(torch.equal(now, then) for now, then in zip(tensors, before, strict=True))
    assert not any(tensor.requires_grad for tensor in tensors)


def test_copies_and_threads_give_the_same():
    solver, inputs = make_solver(iterations=3), make_inputs()
    with torch.no_grad():
        expected = solver(*inputs)

    def solve(other: VariationalSolver) -> torch.Tensor:
        with torch.no_grad():
            return other(*inputs)

    copies = [copy.deepcopy(solver), pickle.loads(pickle.dumps(solver))]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(solve, [solver, solver, solver, solver, *copies]))
    assert all(torch.equal(result, expected) for result in results)


@ALL_PRIORS
def test_bfloat16_is_near_float32(prior):
    solver, inputs = make_solver(prior, iterations=4), make_inputs()
    exact = solver(*inputs)
    with autocast("cpu", "bfloat16"):
        rounded = solver(*inputs)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    error, change = rounded - exact, exact - inputs[0]
    assert error.square().mean().sqrt() < 0.05 * change.square().mean().sqrt()
    rounded.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in solver.parameters())


def test_an_unknown_precision_is_refused():
    with pytest.raises(InvalidInputError, match="'float16' is neither 'float32' nor 'bfloat16'"):
        autocast("cpu", "float16")


# A learned first guess


def make_direct(data: int = CHANNELS + 2) -> DirectInversion:
    """Return a direct inversion that sees the data of both terms."""
    torch.manual_seed(5)
    return DirectInversion(
        UNet(CHANNELS + data + CONTEXT, CHANNELS, hidden=3, depth=1), context=CONTEXT
    )


def test_descent_begins_at_the_learned_first_guess():
    solver, first_guess = make_solver(iterations=3), make_direct()
    state, data, context = make_inputs()
    expected = solver(first_guess(state, data, context), data, context)
    solver.first_guess = first_guess
    assert torch.equal(solver(state, data, context), expected)
    assert len(list(solver.iterates(state, data, context))) == 3
    solver(state, data, context).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in first_guess.parameters())


def test_learned_first_guess_of_another_context_is_refused():
    solver, (state, data, context) = make_solver(first_guess=make_direct()), make_inputs()
    solver.first_guess.context = 5
    with pytest.raises(InvalidInputError, match="takes 5 channels of the context, and 2 were"):
        solver(state, data, context)


def test_first_guess_and_graph_are_described_and_built():
    solver = make_solver(first_guess=make_direct(), graph="last", iterations=2)
    classes = {
        kind.__name__: kind
        for kind in (
            VariationalSolver,
            BilinearAutoencoder,
            MaskedObservation,
            ConvLSTMStep,
            Layout,
            DirectInversion,
            UNet,
        )
    }
    again = build(describe(solver, arrays := {}), arrays, classes)
    again.load_state_dict(solver.state_dict())
    assert again.graph == "last"
    with torch.no_grad():
        assert torch.equal(again(*make_inputs()), solver(*make_inputs()))


# Derivatives of one iteration

SHORT = pytest.mark.parametrize("graph", ["last", "implicit"])


def derivatives(solver: VariationalSolver, inputs: tuple) -> dict[str, torch.Tensor]:
    """Return the derivatives of a function of the analysis by all parameters."""
    solver.zero_grad()
    solver(*inputs).square().sum().backward()
    return {name: parameter.grad for name, parameter in solver.named_parameters()}


@SHORT
@ALL_STEPS
def test_iterates_do_not_depend_on_the_graph(graph, step):
    unrolled, short = make_solver(step=step), make_solver(step=step, graph=graph)
    inputs = make_inputs()
    for ours, expected in zip(short.iterates(*inputs), unrolled.iterates(*inputs), strict=True):
        torch.testing.assert_close(ours, expected, **SAME)
    assert ours.requires_grad
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            result = short(*inputs)
        torch.testing.assert_close(result, expected, **SAME)
        assert not result.requires_grad


@SHORT
def test_one_iteration_has_its_own_derivatives(graph):
    unrolled, short = (make_solver(graph=kind, iterations=1) for kind in ("unrolled", graph))
    expected = derivatives(unrolled, make_inputs())
    for name, derivative in derivatives(short, make_inputs()).items():
        torch.testing.assert_close(derivative, expected[name])


def test_last_is_the_derivative_at_the_iterate_before():
    """Of the plain gradient part: the rate times the gradient there, in units of the first."""
    solver = make_solver(step="gradient", iterations=4, graph="last").double()
    state, data, context = make_inputs(torch.float64)
    *_, before, _ = (iterate.detach() for iterate in solver.iterates(state, data, context))
    ours = derivatives(solver, (state, data, context))["rate"]
    scale = solver.gradient(state, data).square().mean((1, 2, 3), keepdim=True).sqrt()
    direction = (solver.gradient(before, data) / scale).detach()
    analysis = solver(state, data, context).detach()
    torch.testing.assert_close(ours, -(2 * analysis * direction).sum())


@SHORT
@pytest.mark.parametrize("step", ["cnn", "lstm", "unet"])
def test_graph_does_not_grow_with_the_iterations(graph, step):
    solver = make_solver("unet", step, graph=graph)

    def size(iterations: int) -> int:
        kept: weakref.WeakSet[Saved] = weakref.WeakSet()

        def pack(tensor: torch.Tensor) -> Saved:
            saved = Saved(tensor)
            kept.add(saved)
            return saved

        solver.iterations = iterations
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
            analysis = solver(*make_inputs())
        assert analysis.requires_grad  # it holds what is counted
        return sum(saved.tensor.numel() for saved in kept)

    assert size(6) == size(3)
    solver.graph = "unrolled"
    assert size(6) > 1.5 * size(3)


@SHORT
def test_every_parameter_learns_from_one_iteration(graph):
    for name, derivative in derivatives(make_solver(graph=graph), make_inputs()).items():
        assert torch.isfinite(derivative).all(), name
        assert derivative.abs().max() > 0, name


def test_implicit_derivatives_are_those_of_the_minimum():
    """Of a quadratic cost, against those of the normal equations; the last alone are biased."""
    torch.manual_seed(0)
    shape, noise, cells = (2, 2, 3, 4), 0.7, 24
    state, values = torch.randn(2, *shape, dtype=torch.float64)
    mask = (torch.rand(shape) > 0.5).double()
    solver = VariationalSolver(
        Linear(cells), MaskedObservation(noise=noise), GradientStep(0.0), iterations=600
    ).double()
    data = [Data(values, mask)]
    with torch.no_grad():
        scale = solver.gradient(state, data).square().mean((1, 2, 3)).sqrt().min()
        largest = 2 / cells * (2.5 + noise**-2)
        solver.rate.fill_(scale / largest)
    weights = solver.log_weights.detach().clone().requires_grad_()
    residual = torch.eye(cells) - solver.prior.matrix.detach()
    exact = []
    for i in range(shape[0]):
        seen = weights[0].exp() * mask[i].flatten() / noise**2
        hessian = weights[1].exp() * residual.T @ residual + torch.diag(seen)
        exact.append(torch.linalg.solve(hessian, seen * values[i].flatten()))
    torch.stack(exact).square().sum().backward()
    ours = {}
    for solver.graph in ("implicit", "last"):
        ours[solver.graph] = derivatives(solver, (state, data))["log_weights"]
    torch.testing.assert_close(ours["implicit"], weights.grad, rtol=1e-4, atol=1e-6)
    assert (ours["last"] - weights.grad).abs().max() > 0.1 * weights.grad.abs().max()


def test_an_unknown_graph_is_refused():
    with pytest.raises(InvalidInputError, match="graph='none' is none of 'unrolled', 'checkp"):
        make_solver(graph="none")


# Bad input


@pytest.mark.parametrize("iterations", [0, -3])
def test_iterations_are_at_least_one(iterations):
    with pytest.raises(InvalidInputError, match=f"iterations={iterations} is not .* from 1 to"):
        make_solver(iterations=iterations)


def test_only_observation_terms_are_taken_as_such():
    prior, step = BilinearAutoencoder(4), ConvLSTMStep(4)
    for other in (prior, OdePrior(Lorenz63(), 0.01)):
        with pytest.raises(InvalidTypeError, match=f"observation term is {type(other).__name__}"):
            VariationalSolver(prior, [MaskedObservation(), other], step)


def test_state_of_other_channels_is_refused():
    solver, (state, data, context) = make_solver(), make_inputs()
    with pytest.raises(InvalidInputError, match=r"takes 4 channels of the state, and 3 .*\(3, 3, "):
        solver(state[:, :3], data, context)


def test_step_of_other_channels_is_refused():
    solver = VariationalSolver(PRIORS["bilinear"](), MaskedObservation(), ConvLSTMStep(5))
    state, data, _ = make_inputs()
    with pytest.raises(InvalidInputError, match="takes 5 channels of the state, and 4 were given"):
        solver(state, data[:1])


def test_missing_context_is_refused():
    solver, (state, data, context) = make_solver(), make_inputs()
    with pytest.raises(
        InvalidInputError, match="takes 2 channels of the context, and 0 were given"
    ):
        solver(state, data)
    with pytest.raises(
        InvalidInputError, match="takes 2 channels of the context, and 1 were given"
    ):
        solver(state, data, context[:, :1])


def test_data_of_a_missing_term_are_refused():
    solver, (state, data, context) = make_solver(), make_inputs()
    for wrong in (data[:1], [*data, data[0]]):
        with pytest.raises(InvalidInputError, match="takes 2 data, one for each observation term"):
            solver(state, wrong, context)
