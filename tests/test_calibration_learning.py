"""Calibration on maps that are known: in a Gaussian world, and what is stored of it."""

import numpy as np
import pytest
import xarray as xr
from gaussian_world import NOISE, STD, kriging, system, world
from reconstructors import Identity, gappy
from toys import toy_model, toy_system, toy_truth

import xdvarnet
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.metrics.calibration import coverage, expected_coverage, spread_skill_ratio
from xdvarnet.observing.combined import CombinedSystem


@pytest.fixture(scope="module")
def calibrated():
    """Exact kriging, calibrated on three draws of observations of one sea."""
    return xdvarnet.calibrate(kriging(), world(seed=1), observe=system(), draws=3, rng=0)


@pytest.fixture(scope="module")
def twins(calibrated):
    """Ensembles of other seas, and these."""
    pairs = []
    for seed in (10, 11):
        truth = world(seed=seed)
        observed = system().observe(truth, rng=seed)
        maps = observed.dvarnet.reconstruct(calibrated, members=40, return_members=True, rng=seed)
        maps["observed"] = observed["ssh"].notnull()
        maps["formal"] = observed.dvarnet.reconstruct(kriging())["ssh_std"]
        pairs.append((maps, truth["ssh"]))
    return pairs


def test_the_std_is_the_exact_one_of_kriging(twins):
    """Its formal error is the truth; what is learned is that nothing is to be changed."""
    for maps, _ in twins:
        sea = maps["formal"].notnull()
        for where in (sea, sea & maps["observed"]):
            learned, exact = ((maps[n] ** 2).where(where).mean() for n in ("ssh_std", "formal"))
            assert float(np.sqrt(learned / exact)) == pytest.approx(1, abs=0.03)


def test_spread_skill_over_all_cells_and_over_observed_cells(twins):
    members, truth, observed = (
        xr.concat(parts, "time").drop_vars("time")
        for parts in zip(
            *((maps["ssh_members"], truth, maps["observed"]) for maps, truth in twins),
            strict=True,
        )
    )
    assert float(spread_skill_ratio(members, truth)) == pytest.approx(1, abs=0.03)
    ratio = spread_skill_ratio(members.where(observed), truth.where(observed))
    assert float(ratio) == pytest.approx(1, abs=0.03)
    covered = coverage(members, truth, level=0.8)
    assert float(covered) == pytest.approx(expected_coverage(0.8, 40), abs=0.015)


def test_what_is_learned_is_what_the_world_has(calibrated):
    error = calibrated.errors["ssh"]
    assert error.noise == pytest.approx(NOISE, rel=0.03)
    assert error.signal_std == pytest.approx(STD, rel=0.05)
    assert error.signal_length == pytest.approx(80, rel=0.1)
    assert error.signal_time == pytest.approx(2.5, rel=0.1)
    assert 40 < error.length < 80  # observations correct what is large and slow
    assert error.time < 2.5
    assert error.factor == pytest.approx(1, abs=0.25)  # the simulated sea is rougher


def test_a_formal_error_that_is_wrong_is_corrected(calibrated):
    """Kriging with half the standard deviations has the same mean, and half the formal error."""
    half = xdvarnet.OptimalInterpolation(
        "ssh",
        correlation_length=80,
        correlation_time=2.5,
        noise=NOISE / 2,
        std=STD / 2,
        time_window=13,
        neighbours=40,
        background=kriging().background,
    )
    known = world(days=60, seed=2)
    options = {"observe": system(), "draws": 1, "rng": 0}
    wrong = xdvarnet.calibrate(half, known, **options).errors["ssh"]
    right = xdvarnet.calibrate(kriging(neighbours=40), known, **options).errors["ssh"]
    assert wrong.slope == pytest.approx(4 * right.slope, rel=1e-2)
    assert wrong.length == pytest.approx(right.length, rel=1e-2)


def small(model=None, **changes):
    options = {"observe": system(), "draws": 1, "rng": 0} | changes
    return xdvarnet.calibrate(model or kriging(neighbours=12), world(days=12, seed=4), **options)


def test_the_model_is_left_as_it_is_and_seeds_repeat():
    model = kriging(neighbours=12)
    first, second = small(model), small(model)
    assert first.model is model
    assert first.errors == second.errors
    assert first.errors != small(model, rng=1).errors
    assert small(model, method="neural").method == "neural"


def test_only_the_period_counts():
    """Days outside it are observed, and their errors are not looked at."""
    period = slice("2010-01-03", "2010-01-07")
    model = kriging(neighbours=12)
    known = world(days=12, seed=4)
    changed = known.copy(deep=True)
    changed["ssh"][8:] += 0.02 * np.random.default_rng(0).standard_normal((4, 13, 17))
    options = {"observe": system(), "draws": 1, "rng": 0}
    errors = [
        xdvarnet.calibrate(model, maps, period=each, **options).errors["ssh"].slope
        for maps in (known, changed)
        for each in (period, None)
    ]
    assert errors[2] == pytest.approx(errors[0], rel=0.05)
    assert abs(errors[3] / errors[1] - 1) > abs(errors[2] / errors[0] - 1)


def test_another_models_spread():
    spread = kriging(neighbours=12)
    model = Identity(window=None)
    calibrated = small(model, spread=spread)
    assert calibrated.spread is spread
    maps = system().observe(world(days=5, seed=5), rng=0).dvarnet.reconstruct(calibrated)
    assert float(maps["ssh_std"].min()) > 0


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"observe": None}, InvalidInputError, "give either observe=.*or grid="),
        ({"grid": gappy()}, InvalidInputError, "give either observe=.*or grid="),
        ({"observe": "jason1"}, InvalidTypeError, "observe"),
        ({"draws": 0}, InvalidInputError, "draws"),
        ({"method": "bootstrap"}, UnknownNameError, "hybrid"),
        ({"model": "med-ssh"}, InvalidTypeError, "model"),
        ({"spread": 0.1}, InvalidTypeError, "spread"),
        ({"model": Identity()}, InvalidInputError, "no standard deviation of ssh.*spread="),
        ({"spread": Identity()}, InvalidInputError, "no standard deviation of ssh.*spread="),
        ({"period": slice("1999", "2000")}, InvalidInputError, "no day of the validation data"),
        ({"period": "2010-01-02"}, InvalidTypeError, "period is '2010-01-02'; give a slice"),
        ({"noise": 0.02}, InvalidInputError, "give the noise to the observing system"),
        (
            {"model": xdvarnet.Lead(kriging(), 2), "method": "exact"},
            InvalidInputError,
            "take method='hybrid'",
        ),
    ],
)
def test_arguments_that_are_refused(changes, error, message):
    options = {"model": kriging(), "observe": system(), "rng": 0} | changes
    with pytest.raises(error, match=message):
        xdvarnet.calibrate(options.pop("model"), world(days=4), **options)


def test_any_observer_will_do():
    """The same altimeters for one variable, as a system of several variables."""
    alone, combined = system(), CombinedSystem({"ssh": system()})
    first, second = (small(observe=observe).errors["ssh"] for observe in (alone, combined))
    assert second.slope == pytest.approx(first.slope, rel=0.2)
    assert second.noise == pytest.approx(first.noise, rel=0.2)


def test_maps_say_which_ensemble_they_have():
    """Also where the input names another one, being the maps of an earlier run."""
    model = small()
    observed = system().observe(world(days=5, seed=5), rng=0)
    once = observed.dvarnet.reconstruct(model)
    assert once.attrs["xdvarnet_ensemble"] == "hybrid"
    drawn = observed.dvarnet.reconstruct(model, members=3, rng=0)
    assert drawn.attrs["xdvarnet_ensemble"] == "hybrid, 3 members"
    assert drawn.attrs["history"].splitlines()[-1].endswith(f"reconstruct with {model!r}")
    again = once[["ssh"]].dvarnet.reconstruct(kriging(neighbours=12))
    assert "xdvarnet_ensemble" not in again.attrs


def test_gaps_are_refused():
    with pytest.raises(InvalidInputError, match="missing value"):
        xdvarnet.calibrate(kriging(), gappy(), observe=system())


def test_a_calibration_notes_what_it_was_made_from():
    truth = toy_truth(seed=3)
    model = xdvarnet.calibrate(
        toy_model(),
        truth,
        observe=toy_system(),
        period=slice("2020-02-03", "2020-02-12"),
        draws=2,
        rng=0,
    )
    assert model.provenance["calibration data"] == "toy sea, 2020-02-01 to 2020-02-14"
    assert model.provenance["calibration"].startswith("2 draws of ObservingSystem")
    assert model.provenance["calibration"].endswith("2020-02-03 to 2020-02-12")
    maps = toy_system().observe(truth, rng=5).dvarnet.reconstruct(model)
    assert {"ssh", "ssh_std"} == set(maps)
