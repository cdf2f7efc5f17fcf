"""Windows of the Lorenz models: their attractors, equations, independence; and observations."""

import numpy as np
import pytest
import torch
import xarray as xr

from xdvarnet.datasets import cut_windows, lorenz63, lorenz96, observe_series
from xdvarnet.datasets.lorenz import SAMPLES_63, SAMPLES_96
from xdvarnet.dynamics.integration import reference_trajectory
from xdvarnet.dynamics.lorenz import Lorenz63, Lorenz96
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError


@pytest.fixture(scope="module")
def windows63() -> xr.Dataset:
    return lorenz63("training", samples=2000, steps=30, dt=0.02)


@pytest.fixture(scope="module")
def windows96() -> xr.Dataset:
    return lorenz96("training", samples=150, steps=20)


def test_statistics_of_lorenz63_are_those_of_its_attractor(windows63):
    """Figures of one run of 40,000 units; each part of a window has them."""
    for state in (windows63["state"][:, 0], windows63["state"][:, -1]):
        assert float(state.sel(component="z").mean()) == pytest.approx(23.55, abs=0.6)
        assert float(state.sel(component="z").std()) == pytest.approx(8.63, abs=0.4)
        assert float(state.sel(component="x").mean()) == pytest.approx(0, abs=0.6)
        assert float(state.sel(component="x").std()) == pytest.approx(7.92, abs=0.3)
        distance = np.hypot(np.abs(state[:, 0]) - 72**0.5, state[:, 2] - 27)
        assert float((distance < 4).mean()) == pytest.approx(0.062, abs=0.025)


def test_statistics_of_lorenz96_are_those_of_its_attractor(windows96):
    state = windows96["state"]
    assert float(state.mean()) == pytest.approx(2.34, abs=0.05)
    assert float(state.std()) == pytest.approx(3.64, abs=0.06)
    assert np.allclose(state.mean(("sample", "time")), 2.34, atol=1.0)


def test_windows_solve_the_equations(windows63, windows96):
    """From each state, a far more accurate integration reaches the next."""
    for data, model, dt in ((windows63, Lorenz63(), 0.02), (windows96, Lorenz96(), 0.05)):
        states = torch.from_numpy(data["state"].values[:40])
        following = reference_trajectory(model, states[:, 7], 2, dt, tolerance=1e-12)
        torch.testing.assert_close(following, states[:, 7:10], rtol=0, atol=1e-5)


def test_windows_are_independent(windows63):
    """Neighbouring samples are uncorrelated."""
    heights = windows63["state"].values[:, 0, 2]
    assert abs(np.corrcoef(heights[1:], heights[:-1])[0, 1]) < 0.08


def test_a_seed_gives_the_same_windows_and_parts_differ():
    options = {"samples": 3, "steps": 4}
    test = lorenz63("test", **options)
    assert test.identical(lorenz63("test", **options))
    assert not test.equals(lorenz63("test", rng=1, **options))
    for part in ("training", "validation"):
        assert not np.isclose(lorenz63(part, **options)["state"], test["state"]).all((1, 2)).any()


def test_labels():
    data = lorenz63("validation", samples=2, steps=5, dt=0.03)
    assert data["state"].dims == ("sample", "time", "component")
    assert data["state"].dtype == np.float64
    assert np.allclose(data["time"], [0, 0.03, 0.06, 0.09, 0.12])
    assert data["component"].values.tolist() == ["x", "y", "z"]
    assert "sample" not in data.coords
    assert data.attrs["rho"] == 28
    data = lorenz96("validation", samples=2, steps=3, components=7, forcing=6.0)
    assert data["state"].shape == (2, 3, 7)
    assert data["component"].values.tolist() == list(range(7))
    assert data.attrs["forcing"] == 6
    for attributes in (data.attrs, data["state"].attrs, data["time"].attrs):
        assert all(isinstance(value, str | int | float) for value in attributes.values())


def test_sizes_are_those_of_the_benchmark():
    assert SAMPLES_63 == {"training": 10_000, "validation": 1_000, "test": 2_000}
    assert SAMPLES_96 == {"training": 2_000, "validation": 256, "test": 2_000}
    assert lorenz96("validation", steps=2, components=4).sizes["sample"] == 256


@pytest.mark.parametrize("make", [lorenz63, lorenz96])
def test_bad_windows_are_refused(make):
    with pytest.raises(UnknownNameError, match="'train' is unknown; there are training, val"):
        make("train")
    with pytest.raises(InvalidInputError, match="samples=0"):
        make(samples=0)
    with pytest.raises(InvalidInputError, match=r"samples=2\.5 is not accepted"):
        make(samples=2.5)
    with pytest.raises(InvalidInputError, match="steps=1"):
        make(samples=2, steps=1)
    with pytest.raises(InvalidInputError, match="dt=-0.1"):
        make(samples=2, dt=-0.1)
    with pytest.raises(InvalidInputError, match="no source of random numbers"):
        make(samples=2, rng="seed")


def test_cutting_gives_what_was_put_together():
    run = lorenz63("test", samples=1, steps=50).isel(sample=0).transpose("component", "time")
    cut = cut_windows(run, steps=15, gap=4)
    assert cut["state"].dims == ("sample", "component", "time")
    assert cut.sizes["sample"] == 2
    assert np.array_equal(cut["time"], run["time"][:15])
    assert np.array_equal(cut["state"][1], run["state"][:, 19:34])
    whole = cut_windows(run, steps=10)
    assert np.array_equal(np.concatenate(list(whole["state"].values), axis=1), run["state"])
    assert cut["time"].attrs == run["time"].attrs


def test_cutting_refuses_short_runs():
    run = lorenz63("test", samples=1, steps=12).isel(sample=0)
    with pytest.raises(InvalidInputError, match="12 times is too short for a window of 13"):
        cut_windows(run, steps=13)
    with pytest.raises(InvalidInputError, match="steps=5 and gap=-1"):
        cut_windows(run, steps=5, gap=-1)
    with pytest.raises(InvalidInputError, match="no times"):
        cut_windows(run.drop_vars("time"), steps=5)


def test_named_components_are_observed_at_every_nth_time(windows63):
    observed = observe_series(windows63, every=8, components=["x"], noise=2**0.5, rng=0)
    seen = observed["state"].notnull()
    assert seen.sel(component="x").isel(time=slice(0, None, 8)).all()
    assert int(seen.sum()) == 2000 * 4
    error = (observed["state"] - windows63["state"]).values[seen.values]
    assert error.mean() == pytest.approx(0, abs=0.06)
    assert error.var() == pytest.approx(2, abs=0.12)


def test_a_number_of_components_is_drawn_anew_each_time(windows96):
    observed = observe_series(windows96, every=4, components=20, noise=0.0, rng=0)
    seen = observed["state"].notnull()
    assert (seen.sum("component").isel(time=slice(0, None, 4)) == 20).all()
    assert int(seen.sum()) == 150 * 5 * 20
    assert np.allclose(seen[:, ::4].mean(("sample", "time")), 0.5, atol=0.1)
    assert not seen[0, 0].equals(seen[0, 4])
    assert not seen[0, 0].equals(seen[1, 0])
    assert np.array_equal(observed["state"].values[seen], windows96["state"].values[seen])


def test_observing_keeps_the_form_and_the_input(windows63):
    truth = windows63.isel(sample=slice(0, 3)).transpose("component", "sample", "time")
    truth["state"] = truth["state"].astype(np.float32)
    before = truth.copy(deep=True)
    options = {"every": 3, "components": 2, "noise": 0.5}
    observed = observe_series(truth, rng=1, **options)
    assert truth.identical(before)
    assert observed["state"].dims == truth["state"].dims
    assert observed["state"].dtype == np.float32
    assert observed["state"].attrs == truth["state"].attrs
    assert observed.attrs == truth.attrs
    assert observed.identical(observe_series(truth, rng=1, **options))
    assert not observed.equals(observe_series(truth, rng=2, **options))
    turned = observe_series(truth.transpose("sample", "time", "component"), rng=1, **options)
    assert np.array_equal(
        turned["state"].transpose(*truth["state"].dims), observed["state"], equal_nan=True
    )
    alone = observe_series(truth.isel(sample=0), rng=1, **options)
    assert alone["state"].dims == ("component", "time")


def test_a_plain_dataset_will_do():
    """Without coordinates, components are numbers from 0."""
    plain = xr.Dataset({"state": (("time", "component"), np.ones((5, 4)))})
    observed = observe_series(plain, every=2, components=[1, 3], noise=0.0)
    assert np.array_equal(np.nonzero(observed["state"].values)[1][-2:], [2, 3])
    assert observed["state"].notnull().values.tolist()[0] == [False, True, False, True]


def test_whole_numbers_are_observed_with_noise():
    whole = xr.Dataset({"state": (("time", "component"), np.ones((800, 2), int))})
    observed = observe_series(whole, every=1, components=2, noise=0.5, rng=0)["state"]
    assert observed.dtype == float
    assert float(observed.std()) == pytest.approx(0.5, rel=0.1)
    with pytest.raises(InvalidInputError, match="dtype complex128"):
        observe_series(whole * 1j, every=1, components=2, noise=0.5, rng=0)
    with pytest.raises(InvalidTypeError, match="name='state'"):
        observe_series(whole["state"], every=1, components=2, noise=0.5, rng=0)


def test_a_string_is_one_label(windows63):
    truth = windows63.isel(sample=[0]).assign_coords(component=["x", "y", "xy"])
    one, same = (
        observe_series(truth, every=8, components=given, noise=1.0, rng=0)
        for given in ("xy", ["xy"])
    )
    assert one.identical(same)


def test_bad_observations_are_refused(windows63):
    truth = windows63.isel(sample=[0])
    good = {"every": 8, "components": ["x"], "noise": 1.0}
    for error, match, change in (
        (UnknownNameError, r"no component \['w'\]; there are \['x', 'y', 'z'\]", ["x", "w"]),
        (InvalidInputError, "components=4; the state has 3", 4),
        (InvalidInputError, "components=0", 0),
        (UnknownNameError, r"no component \['temp'\]", "temp"),
        (InvalidTypeError, "components is None", None),
        (InvalidInputError, "empty", []),
    ):
        with pytest.raises(error, match=match):
            observe_series(truth, **good | {"components": change})
    with pytest.raises(InvalidInputError, match="every=0"):
        observe_series(truth, **good | {"every": 0})
    for noise in (-1, np.nan, np.inf):
        with pytest.raises(InvalidInputError, match=f"noise={noise}"):
            observe_series(truth, **good | {"noise": noise})
    for noise in ("1", None):
        with pytest.raises(InvalidTypeError, match=f"noise is {noise!r}"):
            observe_series(truth, **good | {"noise": noise})
    with pytest.raises(UnknownNameError, match=r"no variable 'state'; it has \['truth'\]"):
        observe_series(truth.rename(state="truth"), **good)
    with pytest.raises(InvalidInputError, match="dimensions time and component"):
        observe_series(truth.isel(time=0), **good)
