"""Trained solvers of series: first guess, training, losses, files, and what is refused."""

import warnings

import numpy as np
import pytest
import torch
import xarray as xr

import xdvarnet
from xdvarnet.datasets import lorenz63, observe_series
from xdvarnet.dynamics.lorenz import Lorenz63
from xdvarnet.dynamics.rescaled import Rescaled
from xdvarnet.errors import (
    InvalidInputError,
    InvalidTypeError,
    ModelFileError,
    XdvarnetWarning,
)
from xdvarnet.networks.normalizer import Normalizer
from xdvarnet.networks.series_checks import count_parameters, interpolate
from xdvarnet.networks.series_inversion import SeriesInversion
from xdvarnet.solver.inversions.amortised import AmortisedFourDVar
from xdvarnet.solver.inversions.direct import DirectNetwork
from xdvarnet.solver.inversions.fixed_point import FixedPoint
from xdvarnet.solver.layout import Layout
from xdvarnet.solver.losses import PriorLoss, VariationalLoss
from xdvarnet.solver.minimisation import Minimisation
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.gibbs import GibbsPrior
from xdvarnet.solver.priors.ode import OdePrior
from xdvarnet.solver.series_steps import NetworkStep, SeriesLSTMStep
from xdvarnet.solver.series_unet import SeriesUNet
from xdvarnet.solver.variational import VariationalSolver

STEPS = 24


def observe(truth, rng):
    return observe_series(truth, every=4, components=["x"], noise=1.0, rng=rng)


@pytest.fixture(scope="module")
def truth() -> xr.Dataset:
    return lorenz63("training", samples=48, steps=STEPS)


@pytest.fixture(scope="module")
def held() -> tuple[xr.Dataset, xr.Dataset]:
    known = lorenz63("validation", samples=32, steps=STEPS)
    return observe(known, 1), known


def make_prior() -> GibbsPrior:
    return GibbsPrior(kernel=(5, 1), downscale=(2, 1), hidden=6, layout=Layout(components=3))


def make_direct() -> DirectNetwork:
    return DirectNetwork(SeriesUNet(3, 1, hidden=4, layout=Layout(components=3)))


def make_model(truth, *, step=None, iterations=2) -> SeriesInversion:
    torch.manual_seed(0)
    prior = make_prior()
    step = step or NetworkStep(SeriesUNet(4, 1, hidden=6, layout=Layout(components=3)))
    solver = VariationalSolver(prior, MaskedObservation(), step, iterations=iterations)
    return wrap(solver, truth)


def wrap(solver, truth) -> SeriesInversion:
    return SeriesInversion(solver, Normalizer.from_series(truth), dt=0.01, steps=STEPS)


def make_dynamics(truth, *, learned=False) -> Rescaled:
    normalizer = Normalizer.from_series(truth)
    return Rescaled(Lorenz63(learned=learned), normalizer.mean["state"], normalizer.std["state"])


def error(model, held) -> float:
    observed, known = held
    return float(((xdvarnet.reconstruct(observed, model) - known)["state"] ** 2).mean())


def test_first_guess_is_that_of_numpy():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((3, 11, 2))
    values[rng.random(values.shape) < 0.6] = np.nan
    values[1, :, 0] = np.nan
    filled = interpolate(values)
    for sample, series in enumerate(values):
        for component in range(2):
            seen = np.flatnonzero(np.isfinite(series[:, component]))
            expected = np.interp(np.arange(11), seen, series[seen, component]) if seen.size else 0
            np.testing.assert_allclose(filled[sample, :, component], expected, atol=1e-12)


def test_training_reduces_the_error_and_repeats_itself(truth, held):
    before = error(make_model(truth), held)

    def run():
        model = make_model(truth)
        options = {"epochs": 8, "batch_size": 12, "learning_rate": 1e-2}
        return error(model.fit(truth, observe=observe, validation=held, **options), held)

    after = run()
    assert after < before / 2
    assert run() == after


def test_iterations_grow_in_stages(truth, held):
    model = make_model(truth, step=SeriesLSTMStep(layout=Layout(components=3)))
    trained = model.fit(
        truth, observe=observe, validation=held, epochs=(2, 1), iterations=(1, 3), batch_size=24
    )
    assert trained.history.sizes["epoch"] == 3
    assert (trained.solver.iterations, model.solver.iterations) == (3, 2)
    with pytest.raises(InvalidInputError, match="as many of one"):
        model.fit(truth, observe=observe, validation=held, epochs=2, iterations=(1, 3))


def test_unsupervised_training_uses_no_truth(truth, held):
    observed = observe(truth, 0)
    model = make_model(truth)
    loss = VariationalLoss(make_prior().requires_grad_(False), observation=1.0)
    trained = model.fit(
        None,
        observe=observed,
        validation=(held[0], None),
        loss=loss,
        epochs=6,
        batch_size=12,
        rng=1,
    )
    errors = trained.history["validation_rmse"]
    assert float(errors[-1]) < float(errors[0])
    with pytest.raises(InvalidInputError, match="compares with the truth"):
        model.fit(None, observe=observed, validation=held, epochs=1)
    with pytest.raises(InvalidInputError, match="need a truth"):
        model.fit(None, observe=observe, validation=(held[0], None), loss=loss, epochs=1)


def test_prior_is_trained_alone(truth, held):
    model = make_model(truth)
    step = [weights.clone() for weights in model.solver.step.parameters()]
    inputs = torch.from_numpy(
        model.normalizer.normalize("state", held[1]["state"].values).astype("float32")[:, None]
    )
    before = model.solver.prior_cost(inputs).mean().item()
    options = {"epochs": 10, "batch_size": 12, "learning_rate": 3e-2}
    trained = model.fit(truth, observe=observe, validation=held, loss=PriorLoss(), **options)
    assert trained.solver.prior_cost(inputs).mean().item() < before / 2
    assert model.solver.prior_cost(inputs).mean().item() == before
    for old, new in zip(step, trained.solver.step.parameters(), strict=True):
        assert torch.equal(old, new)


def test_variational_loss_is_that_of_its_terms(truth, held):
    model = make_model(truth)
    state, data, context = model.inputs(held[0])
    analysis = model.solver(state, data, context)
    misfit = model.solver.observations[0].cost(analysis, data[0])
    expected = (2.0 * misfit + 0.3 * model.solver.prior_cost(analysis)).mean()

    class One:
        pass

    batch = One()
    batch.state, batch.data, batch.context = state, data, context
    loss = VariationalLoss(model.solver.prior, observation=2.0, weight=0.3)
    torch.testing.assert_close(loss.evaluate(model.solver, batch), expected)
    alone = VariationalLoss(None, observation=2.0).evaluate(model.solver, batch)
    torch.testing.assert_close(alone, 2 * misfit.mean())


def test_killed_training_goes_on(truth, held, tmp_path):
    options = dict(validation=held, epochs=(2, 2), iterations=(1, 2), batch_size=16)
    whole = make_model(truth).fit(truth, observe=observe, **options)

    calls = []

    def stop(known, rng):
        calls.append(0)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return observe(known, rng)

    killed = make_model(truth)
    with pytest.raises(KeyboardInterrupt):
        killed.fit(truth, observe=stop, **options, checkpoint=tmp_path / "training")
    again = make_model(truth).fit(
        truth, observe=observe, **options, checkpoint=tmp_path / "training"
    )
    assert error(again, held) == error(whole, held)


def test_saved_model_gives_the_same(truth, held, tmp_path):
    model = make_model(truth).with_options(provenance={"trained on": "a test"})
    xdvarnet.save_model(model, tmp_path / "model.safetensors")
    loaded = xdvarnet.load_model(tmp_path / "model.safetensors")
    xr.testing.assert_identical(
        xdvarnet.reconstruct(held[0], loaded)["state"],
        xdvarnet.reconstruct(held[0], model)["state"],
    )
    assert loaded.provenance == {"trained on": "a test"}
    assert str(count_parameters(model.solver)) in loaded._repr_html_()


def test_what_is_refused(truth, held):
    model = make_model(truth)
    observed = held[0]
    cases = [
        (observed.isel(time=slice(0, 20)), "too short for the model's window of 24"),
        (observed.assign_coords(time=2 * observed["time"]), "time step"),
        (observed.isel(component=[0, 1]), "has 3 components"),
    ]
    for dataset, message in cases:
        with pytest.raises(InvalidInputError, match=message):
            xdvarnet.reconstruct(dataset, model)
    with pytest.raises(InvalidInputError, match="no ensemble"):
        xdvarnet.reconstruct(observed, model, members=3)
    with pytest.raises(InvalidInputError, match="missing values"):
        model.fit(observed, observe=observed, validation=held, epochs=1)
    with pytest.raises(InvalidInputError, match="differ in shape"):
        model.fit(truth, observe=observed, validation=held, epochs=1)
    with pytest.raises(InvalidInputError, match="missing values"):
        model.fit(truth, observe=observe, validation=(observed, observed), epochs=1)


REORDERED = {"component": [2, 1, 0]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda known: known.isel(REORDERED), r"reorder with dataset.sel\(component=\['x'"),
        (lambda known: known.assign_coords(component=["a", "b", "c"]), "rename them"),
        (lambda known: known.assign_coords(time=known["time"] + 5), "differ in their times"),
        (lambda known: known.isel(sample=slice(1, None)), "differ in shape"),
    ],
)
def test_observations_are_of_the_states_of_their_truth(truth, held, change, message):
    model = make_model(truth)
    other = change(observe(truth, 0))
    for seen in (other, lambda known, rng: other):
        with pytest.raises(InvalidInputError, match=message):
            model.fit(truth, observe=seen, validation=held, epochs=1)
    with pytest.raises(InvalidInputError, match=message):
        model.fit(truth, observe=observe, validation=(change(held[0]), held[1]), epochs=1)


def test_samples_with_names_are_paired_by_them(truth, held):
    named = truth.assign_coords(sample=np.arange(48))
    observed = observe(named, 0)
    model = make_model(truth)
    model.fit(named, observe=observed, validation=held, epochs=1)
    with pytest.raises(InvalidInputError, match="differ in the coordinate 'sample'"):
        model.fit(
            named, observe=observed.isel(sample=slice(None, None, -1)), validation=held, epochs=1
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mse"}, "loss is 'mse'; give a loss"),
        ({"loss": PriorLoss}, "loss is the class PriorLoss"),
        ({"validation": None}, "validation is a NoneType; give the tuple"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 is not accepted"),
    ],
)
def test_kinds_of_a_training(truth, held, options, message):
    given = {"validation": held, "epochs": 1} | options
    with pytest.raises((InvalidTypeError, InvalidInputError), match=message):
        make_model(truth).fit(truth, observe=observe, **given)


def test_another_training_does_not_go_on_from_a_checkpoint(truth, held, tmp_path):
    model = make_model(truth)
    model.solver.prior.requires_grad_(False)
    given = {"validation": held, "epochs": 1, "checkpoint": tmp_path / "ck"}
    model.fit(truth, observe=observe, **given)
    others = {
        "learning_rate": (truth, {"learning_rate": 0.01}),
        "loss": (truth, {"loss": VariationalLoss(model.solver.prior)}),
        "data": (truth + 1, {}),
        "batch_size": (truth, {"batch_size": 7}),
    }
    for name, (known, options) in others.items():
        with pytest.raises(ModelFileError, match=f"other settings .*{name}"):
            model.fit(known, observe=observe, **given, **options)


@pytest.mark.parametrize(
    "numbers",
    [{"epochs": 0}, {"epochs": (1, 0)}, {"epochs": 1, "batch_size": 0}]
    + [{"epochs": (), "iterations": ()}, {"epochs": 1, "iterations": 0}],
)
def test_numbers_of_a_training_are_at_least_one(truth, held, numbers):
    if numbers["epochs"] == (1, 0):
        numbers = numbers | {"iterations": (1, 1)}
    with pytest.raises(InvalidInputError, match="at least 1"):
        make_model(truth).fit(truth, observe=observe, validation=held, **numbers)


def test_parts_of_a_model_are_of_their_kind(truth):
    normalizer, network = (
        Normalizer.from_series(truth),
        SeriesUNet(3, 1, layout=Layout(components=3)),
    )
    for parts, message in (
        ((network, normalizer), r"solver is .*DirectNetwork\(network\)"),
        ((make_direct(), None), r"normalizer is None; give Normalizer.from_series"),
    ):
        with pytest.raises(InvalidTypeError, match=message):
            SeriesInversion(*parts, dt=0.01, steps=STEPS)
    for numbers in ({"dt": 0}, {"steps": 1}, {"steps": 2.5}):
        with pytest.raises(InvalidInputError, match=next(iter(numbers))):
            SeriesInversion(make_direct(), normalizer, **{"dt": 0.01, "steps": STEPS} | numbers)


def test_iterations_are_for_a_solver_that_has_some(truth, held):
    model = wrap(make_direct(), truth)
    with pytest.raises(InvalidInputError, match="DirectNetwork has no iterations"):
        model.fit(truth, observe=observe, validation=held, epochs=1, iterations=2)


def test_a_training_needs_observations(truth, held):
    model, nothing = make_model(truth), held[0] * np.nan
    for observed, seen in ((nothing.isel(sample=[0] * 48), held[0]), (observe, nothing)):
        with pytest.raises(InvalidInputError, match="nothing is observed"):
            model.fit(truth, observe=observed, validation=(seen, held[1]), epochs=1)
    with pytest.raises(InvalidInputError, match="nothing is observed"):
        model.fit(truth, observe=lambda known, rng: known * np.nan, validation=held, epochs=1)


def test_there_is_something_to_train(truth, held):
    frozen = make_model(truth).solver
    frozen.prior.requires_grad_(False)
    cases = [
        (Minimisation(make_prior(), MaskedObservation()), None),
        (make_direct().requires_grad_(False), None),
        (frozen, PriorLoss()),
        (make_direct(), PriorLoss()),
    ]
    for solver, loss in cases:
        with pytest.raises(InvalidInputError, match="nothing to train"):
            wrap(solver, truth).fit(truth, observe=observe, validation=held, epochs=1, loss=loss)


def test_a_fixed_point_and_its_prior_are_trained(truth, held):
    model = wrap(FixedPoint(make_prior(), iterations=2), truth)
    for loss in (PriorLoss(), None):
        before = [weights.clone() for weights in model.solver.parameters()]
        model = model.fit(truth, observe=observe, validation=held, epochs=1, loss=loss)
        for old, new in zip(before, model.solver.parameters(), strict=True):
            assert not torch.equal(old, new)


def test_prior_that_would_give_way_is_refused(truth, held):
    """But not the equations that an amortised network shares with the loss."""
    model = make_model(truth)
    options = {"validation": (held[0], None), "epochs": 1, "batch_size": 24}
    loss = VariationalLoss(model.solver.prior)
    with pytest.raises(InvalidInputError, match=r"trivial solution.*requires_grad_\(False\)"):
        model.fit(None, observe=observe(truth, 0), loss=loss, **options)
    model.solver.prior.requires_grad_(False)
    model.fit(None, observe=observe(truth, 0), loss=loss, **options)

    dynamics = make_dynamics(truth, learned=True)
    before = dynamics.dynamics.coefficients.clone()
    amortised = wrap(AmortisedFourDVar(make_direct(), dynamics, 0.01, segment=6), truth)
    loss = VariationalLoss(OdePrior(dynamics, 0.01))
    trained = amortised.fit(None, observe=observe(truth, 0), loss=loss, **options)
    assert not torch.equal(trained.solver.dynamics.dynamics.coefficients, before)
    assert torch.equal(dynamics.dynamics.coefficients, before)


def test_time_steps_agree(truth):
    dynamics = make_dynamics(truth)
    for solver in (
        Minimisation(OdePrior(dynamics, 0.05), MaskedObservation()),
        AmortisedFourDVar(make_direct(), dynamics, 0.05),
    ):
        with pytest.raises(InvalidInputError, match=r"time step 0.05, .* dt=0.01"):
            wrap(solver, truth)


def test_equations_are_those_of_normalised_states(truth):
    for prior in (OdePrior(Lorenz63(), 0.01), OdePrior(make_dynamics(truth), 0.01)):
        solver = VariationalSolver(
            prior, MaskedObservation(), SeriesLSTMStep(layout=Layout(components=3))
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            wrap(solver, truth)
        told = [str(each.message) for each in caught if "Rescaled(equations" in str(each.message)]
        assert len(told) == isinstance(prior.dynamics, Lorenz63)


def test_time_step_of_a_loss_is_that_of_the_series(truth, held):
    loss = VariationalLoss(OdePrior(make_dynamics(truth), 0.05))
    with pytest.raises(InvalidInputError, match=r"time step 0.05, .* dt=0.01"):
        make_model(truth).fit(truth, observe=observe, validation=held, epochs=1, loss=loss)


def test_a_class_of_ones_own_is_saved_and_named_to_be_read(truth, held, tmp_path):
    class Own(Lorenz63):
        def __init__(self):
            super().__init__()

    path = tmp_path / "model.safetensors"
    model = wrap(Minimisation(OdePrior(Own(), 0.01), MaskedObservation()), truth)
    xdvarnet.save_model(model, path)
    with pytest.raises(ModelFileError, match=r"needs the class 'Own'.*classes=\[Own\]"):
        xdvarnet.load_model(path)
    assert isinstance(xdvarnet.load_model(path, classes=[Own]).solver.prior.dynamics, Own)


def test_a_part_that_no_file_could_hold_is_refused_at_once(truth):
    prior = OdePrior(lambda state: -state, 0.01)
    with pytest.raises(InvalidTypeError, match=r"solver.prior.dynamics is <function .* cannot"):
        wrap(Minimisation(prior, MaskedObservation()), truth)


def test_other_units_are_warned_of(truth, held, recwarn):
    model = make_model(truth)
    xdvarnet.reconstruct(held[0], model)
    assert not [each for each in recwarn if issubclass(each.category, XdvarnetWarning)]
    with pytest.warns(XdvarnetWarning, match=r"reach \S+ standard deviations .* units"):
        xdvarnet.reconstruct(held[0] * 1000, model)
