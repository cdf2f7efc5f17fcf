"""Trained solvers of series: first guess, training, losses, files, and what is refused."""

import re
import warnings
from dataclasses import replace

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
from xdvarnet.networks.series_checks import interpolate
from xdvarnet.networks.series_inversion import SeriesInversion
from xdvarnet.solver.inversions.amortised import AmortisedFourDVar
from xdvarnet.solver.inversions.direct import DirectInversion
from xdvarnet.solver.inversions.fixed_point import FixedPoint
from xdvarnet.solver.layout import Layout
from xdvarnet.solver.losses import PriorLoss, VariationalLoss
from xdvarnet.solver.minimisation import Minimisation
from xdvarnet.solver.networks import StridedUNet
from xdvarnet.solver.observation import MaskedObservation
from xdvarnet.solver.priors.gibbs import GibbsPrior
from xdvarnet.solver.priors.ode import OdePrior
from xdvarnet.solver.steps import ConvLSTMStep, NetworkStep
from xdvarnet.solver.variational import VariationalSolver
from xdvarnet.training import Schedule, SeriesSchedule

STEPS = 24
ONCE = SeriesSchedule(epochs=1)


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


def make_direct() -> DirectInversion:
    return DirectInversion(StridedUNet(3, 1, hidden=4, layout=Layout(components=3)))


def make_model(truth, *, step=None, iterations=2) -> SeriesInversion:
    torch.manual_seed(0)
    prior = make_prior()
    step = step or NetworkStep(StridedUNet(4, 1, hidden=6, layout=Layout(components=3)))
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
        schedule = SeriesSchedule(epochs=8, batch_size=12, learning_rate=1e-2)
        data = {"observe": observe, "validation": held[1]}
        return error(model.fit(truth, **data, schedule=schedule, rng=0), held)

    after = run()
    assert after < before / 2
    assert run() == after


def test_iterations_grow_in_stages(truth, held):
    model = make_model(truth, step=ConvLSTMStep(1, layout=Layout(components=3), bound=1.0))
    schedule = SeriesSchedule(epochs=(2, 1), iterations=(1, 3), batch_size=24)
    trained = model.fit(truth, observe=observe, validation=held[1], schedule=schedule)
    assert trained.history.sizes["epoch"] == 3
    assert (trained.solver.iterations, model.solver.iterations) == (3, 2)


def test_unsupervised_training_uses_no_truth(truth, held):
    observed = observe(truth, 0)
    model = make_model(truth)
    loss = VariationalLoss(make_prior().requires_grad_(False), observation=1.0)
    trained = model.fit(
        None,
        observe=observed,
        validation=held[0],
        schedule=SeriesSchedule(epochs=6, batch_size=12, loss=loss),
        rng=1,
    )
    errors = trained.history["validation_rmse"]
    assert float(errors[-1]) < float(errors[0])
    for schedule in (ONCE, SeriesSchedule(loss=PriorLoss())):
        with pytest.raises(InvalidInputError, match="Loss compares with the truth; give one, or"):
            model.fit(None, observe=observed, validation=held[0], schedule=schedule)
    with pytest.raises(InvalidInputError, match="need a truth"):
        model.fit(None, observe=observe, validation=held[0], schedule=SeriesSchedule(loss=loss))


def test_a_loss_of_ones_own_sees_no_truth_where_there_is_none(truth, held):
    """Rather than the first guess in its place."""

    class Own:
        def evaluate(self, network, batch):
            state = network(batch.state, batch.data, batch.context)
            return (state - batch.truth).square().mean()

    schedule = SeriesSchedule(epochs=1, loss=Own())
    data = {"validation": held[0], "schedule": schedule}
    with pytest.raises(InvalidInputError, match="diverged"):
        make_model(truth).fit(None, observe=observe(truth, 0), **data)


def test_validation_is_observed_once_as_the_training_is(truth, held):
    """From `rng`; observations of it that were made so before are another training's."""
    seen = []

    def noted(known, rng):
        seen.append((known, observe(known, rng)))
        return seen[-1][1]

    schedule = SeriesSchedule(epochs=2, batch_size=24)
    drawn = make_model(truth).fit(
        truth, observe=noted, validation=held[1], schedule=schedule, rng=5
    )
    of_validation = [observed for known, observed in seen if known is held[1]]
    assert len(of_validation) == 1
    again = [each for known, each in seen if known is truth]
    xr.testing.assert_identical(again[0], again[1])  # of the first epoch: checked, then used
    best = xdvarnet.reconstruct(of_validation[0], drawn)["state"] - held[1]["state"]
    scaled = best.values / np.array(drawn.normalizer.std["state"])
    rmse = float(drawn.history["validation_rmse"].min())
    np.testing.assert_allclose(np.sqrt(np.mean(scaled**2)), rmse, rtol=1e-5)


def test_a_fixed_draw_is_a_training_too(truth, held):
    """A function that gives the same observations each time is that training."""
    fixed = {id(truth): observe(truth, 0), id(held[1]): held[0]}
    schedule = SeriesSchedule(epochs=2, batch_size=24)
    one, other = (
        make_model(truth).fit(truth, observe=how, validation=what, schedule=schedule, rng=3)
        for how, what in ((fixed[id(truth)], held), (lambda known, _: fixed[id(known)], held[1]))
    )
    xr.testing.assert_identical(one.history, other.history)


def test_prior_is_trained_alone(truth, held):
    model = make_model(truth)
    step = [weights.clone() for weights in model.solver.step.parameters()]
    inputs = torch.from_numpy(
        model.normalizer.normalize("state", held[1]["state"].values).astype("float32")[:, None]
    )
    before = model.solver.prior_cost(inputs).mean().item()
    schedule = SeriesSchedule(epochs=10, batch_size=12, learning_rate=3e-2, loss=PriorLoss())
    trained = model.fit(truth, observe=observe, validation=held[1], schedule=schedule, rng=0)
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
    schedule = SeriesSchedule(epochs=(2, 2), iterations=(1, 2), batch_size=16)
    options = dict(validation=held[1], schedule=schedule, rng=0)
    whole = make_model(truth).fit(truth, observe=observe, **options)

    calls = []

    def stop(known, rng):
        calls.append(0)
        if len(calls) == 6:  # two before the first epoch; the second of the last stage
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
    assert str(model.parameters) in loaded._repr_html_()


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
        model.fit(observed, observe=observed, validation=held)
    with pytest.raises(InvalidInputError, match="differ in shape"):
        model.fit(truth, observe=observed, validation=held)
    with pytest.raises(InvalidInputError, match="missing values"):
        model.fit(truth, observe=observe, validation=observed)


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
    with pytest.raises(InvalidInputError, match=message):
        model.fit(truth, observe=other, validation=held)
    with pytest.raises(InvalidInputError, match=message):
        model.fit(truth, observe=observe(truth, 0), validation=(change(held[0]), held[1]))
    for changed in (truth, held[1]):

        def draw(known, rng, changed=changed):
            observed = observe(known, rng)
            return change(observed) if known is changed else observed

        with pytest.raises(InvalidInputError, match=message):
            model.fit(truth, observe=draw, validation=held[1])


def test_samples_with_names_are_paired_by_them(truth, held):
    named = truth.assign_coords(sample=np.arange(48))
    observed = observe(named, 0)
    model = make_model(truth)
    model.fit(named, observe=observed, validation=held, schedule=ONCE)
    with pytest.raises(InvalidInputError, match="differ in the coordinate 'sample'"):
        model.fit(named, observe=observed.isel(sample=slice(None, None, -1)), validation=held)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": Schedule()}, r"schedule is .*; give SeriesSchedule\(...\)"),
        ({"schedule": SeriesSchedule}, "schedule is the class SeriesSchedule"),
        ({"observe": None}, "observe is None; give a Dataset of observations, or a function"),
        ({"validation": None}, "validation is None; give a Dataset of complete windows"),
    ],
)
def test_kinds_of_a_training(truth, held, options, message):
    given = {"observe": observe, "validation": held[1]} | options
    with pytest.raises(InvalidTypeError, match=message):
        make_model(truth).fit(truth, **given)


def test_validation_has_what_the_training_has(truth, held):
    """And what the message says to give is accepted."""
    observed, known = held
    blind = VariationalLoss(make_prior().requires_grad_(False))
    seen = observe(truth, 0)
    cases = {
        "a Dataset of complete windows": ((truth, observe, ONCE), known, [held, known["state"]]),
        "the tuple (observations, truth)": (
            (truth, seen, ONCE),
            held,
            [known, (observed, None), [observed, known]],
        ),
        "a Dataset of observations": (
            (None, seen, SeriesSchedule(epochs=1, loss=blind)),
            observed,
            [held, (observed, None)],
        ),
    }
    for wanted, ((whole, how, schedule), right, wrong) in cases.items():
        model = make_model(truth)
        for validation in wrong:
            with pytest.raises(InvalidTypeError, match=rf"validation is .*{re.escape(wanted)}"):
                model.fit(whole, observe=how, validation=validation, schedule=schedule)
        model.fit(whole, observe=how, validation=right, schedule=schedule)


def test_a_checkpoint_needs_a_seed(truth, held, tmp_path):
    with pytest.raises(InvalidInputError, match="without a seed; give one, such as rng=0"):
        make_model(truth).fit(
            truth, observe=observe, validation=held[1], checkpoint=tmp_path / "training"
        )


def test_another_training_does_not_go_on_from_a_checkpoint(truth, held, tmp_path):
    model = make_model(truth)
    model.solver.prior.requires_grad_(False)
    given = {"truth": truth, "observe": observe, "validation": held[1], "schedule": ONCE}
    always = {"checkpoint": tmp_path / "ck", "rng": 0}
    model.fit(**given, **always)
    others = {
        "learning_rate": {"schedule": replace(ONCE, learning_rate=0.01)},
        "loss": {"schedule": replace(ONCE, loss=VariationalLoss(model.solver.prior))},
        "batch_size": {"schedule": replace(ONCE, batch_size=7)},
        "stage": {"schedule": replace(ONCE, epochs=2)},
        "data": {"truth": truth + 1},
        "validation": {"validation": held[1] + 1},
        "seed": {"rng": 1},
        "data: .*validation": {"observe": lambda known, rng: observe(known, rng) + 0.5},
    }
    for name, changes in others.items():
        with pytest.raises(ModelFileError, match=f"other settings .*{name}"):
            model.fit(**(given | always | changes))


def test_another_network_does_not_go_on_from_a_checkpoint(truth, held, tmp_path):
    """Of another normalisation, other weights at its start, or with another stage before."""
    twice = replace(ONCE, epochs=(1, 1), iterations=(1, 2))

    def run(model, schedule=twice):
        return model.fit(
            truth,
            observe=observe,
            validation=held[1],
            schedule=schedule,
            checkpoint=tmp_path / "ck",
            rng=0,
        )

    model = make_model(truth)
    trained = run(model)
    std = {"state": np.multiply(1.1, model.normalizer.std["state"])}
    others = {
        "normalizer": model.replace(normalizer=Normalizer(std, model.normalizer.mean)),
        "first weights": trained,
    }
    for name, other in others.items():
        with pytest.raises(ModelFileError, match=rf"other settings \(.*{name}"):
            run(other)
    (tmp_path / "ck.0").unlink()
    with pytest.raises(ModelFileError, match=r"ck.1.*other settings \(stages"):
        run(model, replace(twice, epochs=(2, 1)))


def test_parts_of_a_model_are_of_their_kind(truth):
    normalizer, network = (
        Normalizer.from_series(truth),
        StridedUNet(3, 1, layout=Layout(components=3)),
    )
    for parts, message in (
        ((network, normalizer), r"solver is .*DirectInversion\(network\)"),
        ((make_direct(), None), r"normalizer is None; give Normalizer.from_series"),
    ):
        with pytest.raises(InvalidTypeError, match=message):
            SeriesInversion(*parts, dt=0.01, steps=STEPS)
    for numbers in ({"dt": 0}, {"steps": 1}, {"steps": 2.5}):
        with pytest.raises(InvalidInputError, match=next(iter(numbers))):
            SeriesInversion(make_direct(), normalizer, **{"dt": 0.01, "steps": STEPS} | numbers)


def test_iterations_are_for_a_solver_that_has_some(truth, held):
    model = wrap(make_direct(), truth)
    with pytest.raises(InvalidInputError, match="DirectInversion has no iterations"):
        schedule = SeriesSchedule(iterations=2)
        model.fit(truth, observe=observe, validation=held[1], schedule=schedule)


def test_a_training_needs_observations(truth, held):
    model, nothing = make_model(truth), held[0] * np.nan
    for observed, seen in ((truth * np.nan, held[0]), (observe(truth, 0), nothing)):
        with pytest.raises(InvalidInputError, match="nothing is observed"):
            model.fit(truth, observe=observed, validation=(seen, held[1]))
    with pytest.raises(InvalidInputError, match="nothing is observed"):
        model.fit(truth, observe=lambda known, rng: known * np.nan, validation=held[1])


def test_there_is_something_to_train(truth, held):
    frozen = make_model(truth).solver
    frozen.prior.requires_grad_(False)
    cases = [
        (Minimisation(make_prior(), MaskedObservation()), ONCE),
        (make_direct().requires_grad_(False), ONCE),
        (frozen, SeriesSchedule(loss=PriorLoss())),
        (make_direct(), SeriesSchedule(loss=PriorLoss())),
    ]
    data = {"observe": observe, "validation": held[1]}
    for solver, schedule in cases:
        with pytest.raises(InvalidInputError, match="nothing to train"):
            wrap(solver, truth).fit(truth, **data, schedule=schedule)


def test_a_fixed_point_and_its_prior_are_trained(truth, held):
    model = wrap(FixedPoint(make_prior(), iterations=2), truth)
    for schedule in (replace(ONCE, loss=PriorLoss()), ONCE):
        before = [weights.clone() for weights in model.solver.parameters()]
        model = model.fit(truth, observe=observe, validation=held[1], schedule=schedule)
        for old, new in zip(before, model.solver.parameters(), strict=True):
            assert not torch.equal(old, new)


def test_prior_that_would_give_way_is_refused(truth, held):
    """But not the equations that an amortised network shares with the loss."""
    model = make_model(truth)
    data = {"observe": observe(truth, 0), "validation": held[0]}
    schedule = SeriesSchedule(epochs=1, batch_size=24, loss=VariationalLoss(model.solver.prior))
    with pytest.raises(InvalidInputError, match=r"trivial solution.*requires_grad_\(False\)"):
        model.fit(None, **data, schedule=schedule)
    model.solver.prior.requires_grad_(False)
    model.fit(None, **data, schedule=schedule)

    dynamics = make_dynamics(truth, learned=True)
    before = dynamics.dynamics.coefficients.clone()
    amortised = wrap(AmortisedFourDVar(make_direct(), dynamics, 0.01, segment=6), truth)
    shared = replace(schedule, loss=VariationalLoss(OdePrior(dynamics, 0.01)))
    trained = amortised.fit(None, **data, schedule=shared)
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
            prior, MaskedObservation(), ConvLSTMStep(1, layout=Layout(components=3), bound=1.0)
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            wrap(solver, truth)
        told = [str(each.message) for each in caught if "Rescaled(equations" in str(each.message)]
        assert len(told) == isinstance(prior.dynamics, Lorenz63)


def test_time_step_of_a_loss_is_that_of_the_series(truth, held):
    loss = VariationalLoss(OdePrior(make_dynamics(truth), 0.05))
    data = {"observe": observe, "validation": held[1], "schedule": SeriesSchedule(loss=loss)}
    with pytest.raises(InvalidInputError, match=r"time step 0.05, .* dt=0.01"):
        make_model(truth).fit(truth, **data)


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
