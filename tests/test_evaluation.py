"""Leaving a mission out: what a model sees, and how the scores are made."""

import numpy as np
import pytest
import xarray as xr
from reconstructors import NoBackground, Smoother, WholeIdentity
from toys import toy_interpolation, toy_tracks, toy_truth

import xdvarnet
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.evaluation import evaluate, leaderboard, predict_withheld
from xdvarnet.mapping.observations import Analysis
from xdvarnet.tracks.crossovers import crossover_noise

TRUTH = toy_truth(days=6)
TRACKS = toy_tracks(TRUTH, noise=0.01)


class Oracle(WholeIdentity):
    """Return maps that it knows, whatever was observed."""

    def __init__(self, maps: xr.Dataset) -> None:
        super().__init__(window=None)
        self.maps = maps["ssh"].fillna(0.0).values

    def solve(self, observations, *, members=None, rng=None):
        return Analysis({"ssh": self.maps[: observations.days.size]})


def smoother(window=None) -> Smoother:
    return Smoother(window=window, background=NoBackground())


def predictions(errors: np.ndarray, passes: np.ndarray) -> xr.Dataset:
    """Return predictions with the given errors (model, point) of a field of zeros."""
    return xr.Dataset(
        {
            "ssh": ("point", np.zeros(passes.size), {"units": "m"}),
            "ssh_map": (("model", "point"), errors),
        },
        {
            "model": [f"model {number}" for number in range(len(errors))],
            "mission": ("point", passes % 2),
            "pass_number": ("point", passes),
        },
    )


def test_a_model_that_knows_the_truth_has_no_error():
    """Binned, mapped and sampled again, the points of all missions are found."""
    truth = TRUTH.isel(time=slice(0, 1)).drop_vars("time").squeeze()
    still = truth.expand_dims(time=TRUTH["time"]).transpose("time", "lat", "lon")
    tracks = toy_tracks(still)
    made = predict_withheld({"oracle": Oracle(still)}, tracks, still)
    assert made.sizes["point"] == tracks.sizes["time"]
    np.testing.assert_allclose(made["ssh_map"].sel(model="oracle"), made["ssh"], atol=1e-6)


def test_the_withheld_mission_is_not_seen():
    """Other values of the withheld mission change no map; those of another mission do."""

    def maps(changed: str) -> np.ndarray:
        other = TRACKS.copy()
        other["ssh"] = TRACKS["ssh"].where(TRACKS["mission"] != changed, 9.0)
        return predict_withheld({"oi": smoother()}, other, TRUTH, withhold="two")["ssh_map"].values

    np.testing.assert_array_equal(maps("two"), maps("nothing"))
    assert not np.array_equal(maps("one"), maps("nothing"), equal_nan=True)


def test_a_function_gets_the_tracks_that_are_not_withheld():
    seen = []

    def learn(tracks):
        seen.append(sorted(set(tracks["mission"].values.tolist())))
        return smoother()

    made = predict_withheld({"learned": learn, "same": smoother()}, TRACKS, TRUTH)
    assert seen == [["three", "two"], ["one", "two"], ["one", "three"]]
    np.testing.assert_array_equal(made["ssh_map"][0], made["ssh_map"][1])


def test_the_scores_are_those_of_the_errors():
    """Against sums by hand, with points that one model lacks left out for all."""
    rng = np.random.default_rng(1)
    errors, passes = rng.normal(0, [[0.03], [0.04]], (2, 60)), np.repeat(np.arange(12), 5)
    errors[1, :7] = np.nan
    scores = leaderboard(predictions(errors, passes), noise=0.01, rng=0)
    kept = errors[:, 7:]
    rms = np.sqrt((kept**2).mean(1))
    np.testing.assert_allclose(scores["rmse"], rms)
    np.testing.assert_allclose(scores["rmse_noise_removed"] ** 2 + 0.01**2, rms**2)
    odd = passes[7:] % 2 == 1
    np.testing.assert_allclose(
        scores["rmse_mission"].sel(mission=1), np.sqrt((kept[:, odd] ** 2).mean(1))
    )
    assert scores["n_points"] == 53 and scores["n_points_mission"].sum() == 53
    assert scores["n_passes"] == 11
    assert scores["rmse"].attrs["units"] == "m"


def test_a_constant_ratio_has_no_spread():
    """Errors 10 % larger at each point are 10 % larger in each bootstrap sample."""
    errors = np.random.default_rng(2).normal(size=(1, 90)) * [[1.0], [1.1]]
    scores = leaderboard(predictions(errors, np.repeat(np.arange(18), 5)), noise=0.0, rng=0)
    for name in ("change", "change_low", "change_high"):
        np.testing.assert_allclose(scores[name], [0, 10])


def test_the_interval_has_the_width_of_its_theory():
    """Independent models of equal error: the change is nearly normal with a known spread."""
    rng = np.random.default_rng(3)
    passes, points = 400, 6
    shared = rng.normal(size=(2, passes, points)).reshape(2, -1)
    scores = leaderboard(
        predictions(shared, np.repeat(np.arange(passes), points)), noise=0.0, rng=0
    )
    width = float((scores["change_high"] - scores["change_low"])[1])
    # the log of an RMSE over n normal errors has the variance 1 / (2 n), and there are two
    theory = 100 * 2 * 1.96 * np.sqrt(2 / (2 * passes * points))
    assert width == pytest.approx(theory, rel=0.15)


def test_errors_of_one_pass_count_as_one():
    """With errors constant along passes, more points in a pass do not narrow the interval."""
    rng = np.random.default_rng(4)
    by_pass = rng.normal(size=(2, 60, 1))

    def width(points: int) -> float:
        errors = np.broadcast_to(by_pass, (2, 60, points)).reshape(2, -1)
        made = predictions(errors, np.repeat(np.arange(60), points))
        scores = leaderboard(made, noise=0.0, rng=0)
        return float((scores["change_high"] - scores["change_low"])[1])

    assert width(9) == pytest.approx(width(1), rel=1e-6)


def test_evaluate_is_both_steps_with_the_noise_of_crossovers():
    models = {"oi": toy_interpolation(), "smoother": smoother()}
    scores = evaluate(models, TRACKS, TRUTH, rng=0)
    noise = crossover_noise(TRACKS, "ssh")
    made = predict_withheld(models, TRACKS, TRUTH)
    xr.testing.assert_identical(scores, leaderboard(made, noise=noise, rng=0))
    assert scores["mission"].values.tolist() == ["one", "three", "two"]
    xr.testing.assert_identical(scores, xdvarnet.evaluate(models, TRACKS, TRUTH, rng=0))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"models": {}}, InvalidTypeError, "no mapping of names"),
        ({"models": {"oi": WholeIdentity}}, InvalidTypeError, "a model such as"),
        ({"models": {"oi": 3}}, InvalidTypeError, "model 'oi' is 3"),
        ({"withhold": "four"}, UnknownNameError, "no mission 'four'.*'one'"),
        ({"variable": "sla"}, UnknownNameError, "'sla' is missing"),
        ({"tracks": TRACKS.drop_vars("mission")}, InvalidInputError, "variable 'mission'"),
        (
            {"tracks": TRACKS.isel(time=TRACKS["mission"].values == "one")},
            InvalidInputError,
            "two missions at least",
        ),
        ({"tracks": TRUTH}, InvalidInputError, "no points along a track"),
        ({"grid": TRUTH.assign_coords(lon=TRUTH["lon"] + 90)}, InvalidInputError, "no point"),
    ],
)
def test_bad_input_is_refused(change, error, message):
    given = {"models": {"oi": smoother()}, "tracks": TRACKS, "grid": TRUTH} | change
    options = {name: given.pop(name) for name in ("withhold", "variable") if name in given}
    with pytest.raises(error, match=message):
        predict_withheld(**given, **options)


def test_bad_scores_are_refused():
    made = predictions(np.full((1, 4), 0.01), np.arange(4))
    with pytest.raises(InvalidInputError, match="noise=0.02 is not smaller than an RMSE of 0.01"):
        leaderboard(made, noise=0.02)
    with pytest.raises(InvalidInputError, match="noise=-1"):
        leaderboard(made, noise=-1)
    with pytest.raises(InvalidInputError, match="samples=0"):
        leaderboard(made, noise=0.0, samples=0)
    with pytest.raises(InvalidInputError, match="none of the 4 withheld points.*sea mask"):
        leaderboard(made.assign(ssh_map=made["ssh_map"] * np.nan), noise=0.0)


def test_noise_that_crossovers_cannot_tell_is_asked_for():
    few = TRACKS.isel(time=slice(0, None, 9))
    with pytest.raises(InvalidInputError, match="cannot be estimated.*Or give it.*noise=0.02"):
        evaluate({"oi": smoother()}, few, TRUTH)
