"""Networks on a device that is not there: no tensor is left on the CPU.

FakeTensorMode runs a network on shapes and devices alone, and refuses an operation on tensors of
two devices. The device that is faked is "lazy": derivatives on "cuda" need a GPU to be there.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from unittest import mock

import numpy as np
import pytest
import torch
from test_inversions import LEARNED, make_dynamics
from test_minimisation import make_prior
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from toys import DAYS, toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.calibration import Calibrated
from xdvarnet.solver import (
    BilinearAutoencoder,
    CNNStep,
    ConvLSTMStep,
    Data,
    DirectInversion,
    FeatureObservation,
    GibbsPrior,
    GradientStep,
    InitialBackground,
    Layout,
    LinearPrior,
    MaskedObservation,
    Minimisation,
    Network,
    NetworkStep,
    ObservationAge,
    ObservationTerm,
    OdePrior,
    Prior,
    Projection,
    ReconstructionLoss,
    RelativeLoss,
    Solver,
    SPDEPrior,
    Step,
    StridedUNet,
    UNet,
    UNetPrior,
    UNetStep,
    VariationalSolver,
)
from xdvarnet.training.draws import draw

DEVICE = "lazy"
MAP, SERIES = (2, DAYS, 12, 16), (2, 1, 20, 3)
COMPONENTS = Layout(components=3)
CONTEXT = xdvarnet.DVarNet.context_channels(DAYS)

AWAY = {SPDEPrior, Minimisation}
"""They read numbers back, to check them or to stop: they need true ones."""


def of_maps(prior: nn.Module, step: nn.Module, term: nn.Module | None = None, **options):
    return lambda: VariationalSolver(prior, term or MaskedObservation(), step, **options)


def of_series(step: nn.Module, prior: nn.Module | None = None, *terms: nn.Module):
    prior = prior or GibbsPrior(kernel=(3, 1), downscale=(2, 1), hidden=4, layout=COMPONENTS)
    return lambda: VariationalSolver(prior, [MaskedObservation(), *terms], step, iterations=2)


def autoencoder() -> BilinearAutoencoder:
    return BilinearAutoencoder(DAYS, hidden=3)


def corrected() -> DirectInversion:
    return DirectInversion(UNet(2 * DAYS + CONTEXT, DAYS, hidden=4), context=CONTEXT)


MAPS: dict[str, Callable[[], nn.Module]] = {
    "convolutional memory": of_maps(autoencoder(), ConvLSTMStep(DAYS, hidden=4, context=CONTEXT)),
    "last iteration": of_maps(autoencoder(), GradientStep(), graph="last"),
    "fixed point": of_maps(autoencoder(), GradientStep(), graph="implicit"),
    "attention": of_maps(
        UNetPrior(DAYS, hidden=4), UNetStep(DAYS, hidden=8, context=CONTEXT, attention=True)
    ),
    "ages": of_maps(
        autoencoder(),
        ObservationAge(UNetStep(DAYS, hidden=4, context=CONTEXT + 2 * DAYS), DAYS),
    ),
    "features": of_maps(
        autoencoder(), GradientStep(), FeatureObservation(slice(2), slice(2, 4), hidden=2)
    ),
    "corrected guess": of_maps(
        autoencoder(), ConvLSTMStep(DAYS, hidden=4, context=CONTEXT), first_guess=corrected()
    ),
    "direct": corrected,
}
SERIES_SOLVERS: dict[str, Callable[[], nn.Module]] = {
    "convolutions": of_series(CNNStep(1, hidden=4, kernel=(3, 1), layout=COMPONENTS)),
    "memory": of_series(ConvLSTMStep(1, hidden=4, layout=COMPONENTS, bound=1.0)),
    "network": of_series(NetworkStep(StridedUNet(4, 1, hidden=4, layout=COMPONENTS))),
    "equations": of_series(GradientStep(), OdePrior(make_dynamics(), 0.01), InitialBackground()),
    **LEARNED,
}
SHIPPED = {
    "med-ssh": (2, 31, 16, 24),
    "ssh-any": (2, 11, 16, 24),
    "ssh-twin": (2, 11, 16, 24),
    "lorenz63": SERIES,
    "lorenz96": (2, 1, 20, 40),
}


@contextmanager
def away() -> Iterator[None]:
    """Tensors are fake, and autocast, which knows no such device, is off."""
    with (
        mock.patch.object(torch, "autocast", lambda *_, **__: nullcontext()),
        FakeTensorMode(allow_non_fake_inputs=True),
    ):
        yield


def moved[Module: nn.Module](network: Module) -> Module:
    """Move what a network says it has, as `torch.nn.Module.to` does."""
    for part in network.modules():
        for name, weights in part._parameters.items():
            if weights is not None:
                part._parameters[name] = nn.Parameter(
                    weights.detach().to(DEVICE), weights.requires_grad
                )
        for name, buffer in part._buffers.items():
            part._buffers[name] = buffer.to(DEVICE)
    return network


def run(solver: nn.Module, shape: tuple[int, ...]) -> None:
    """Solve and take derivatives, as a training does, and solve without them."""
    with away():
        moved(solver)
        state = torch.zeros(shape).to(DEVICE)
        given = [term.channels for term in solver.terms] or [slice(None)]
        data = [Data(state[:, each], state[:, each]) for each in given]
        context = torch.zeros(shape[0], solver.context or 0, *shape[2:]).to(DEVICE)
        analysis = solver(state, data, context)
        assert (analysis.shape, analysis.device.type) == (state.shape, DEVICE)
        analysis.square().mean().backward()
        with torch.no_grad():
            assert solver(state, data, context).device.type == DEVICE


@pytest.mark.parametrize("name", MAPS)
def test_a_network_of_maps(name):
    run(MAPS[name](), MAP)


@pytest.mark.parametrize("name", SERIES_SOLVERS)
def test_a_network_of_series(name):
    run(SERIES_SOLVERS[name](), SERIES)


def test_a_linear_prior():
    prior = make_prior().float()
    run(VariationalSolver(prior, MaskedObservation(), GradientStep()), (2, *prior.shape))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network(name):
    model = xdvarnet.load_model(name)
    run(model.model.solver if isinstance(model, Calibrated) else model.solver, SHIPPED[name])


def test_all_shipped_networks_are_run():
    assert set(SHIPPED) == set(xdvarnet.list_models())


@pytest.mark.parametrize("first_guess", [False, True])
@pytest.mark.parametrize("loss", [ReconstructionLoss(), RelativeLoss()])
def test_the_windows_of_a_network_and_of_its_training(first_guess, loss):
    model = copy.copy(toy_model(first_guess=first_guess))
    rng = np.random.default_rng(0)
    truth = toy_truth(DAYS, rows=MAP[2], columns=MAP[3])
    windows = [draw(truth, toy_system(), model, rng, first_guess=model.first_guess)] * 2
    with away():
        model.solver, model.device = moved(model.solver), DEVICE
        states = model.states([window.observations for window in windows])
        batch = model.batch(windows)
        value = loss.evaluate(model.solver, batch)
        value.backward()
    for tensor in (states, batch.state, batch.truth, batch.weights, batch.context, value):
        assert tensor.device.type == DEVICE


def test_a_tensor_that_stays_behind_is_found():
    class Behind(GradientStep):
        def forward(self, gradient, context, memory):
            return gradient * torch.ones(gradient.shape[-1]), None

    with pytest.raises(RuntimeError, match="device"):
        run(of_maps(autoencoder(), Behind())(), MAP)


def test_all_public_parts_are_run():
    bases = {Network, ObservationTerm, Prior, Projection, Solver, Step}
    public = {getattr(xdvarnet.solver, name) for name in xdvarnet.solver.__all__}
    networks = {kind for kind in public if isinstance(kind, type) and issubclass(kind, nn.Module)}
    found = {LinearPrior}
    for make in (*MAPS.values(), *SERIES_SOLVERS.values()):
        found |= {type(part) for part in make().modules()}
    assert networks - bases - AWAY <= found
