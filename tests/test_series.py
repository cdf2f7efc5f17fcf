"""Reconstruction of series: dimensions, samples, order, members, and what is refused."""

import numpy as np
import pytest
import xarray as xr

import xdvarnet
from xdvarnet.datasets import lorenz63, observe_series
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.dynamical import DynamicalMethod, StateAnalysis


class Filled(DynamicalMethod):
    """Observations where there are some, elsewhere the number of the sample."""

    variables = {"state": "1"}
    labels = None

    def __init__(self, gives_std=False):
        self.gives_std = gives_std

    def solve_states(self, observations, *, members=None, rng=None):
        values = observations.values
        number = np.arange(len(values))[:, None, None]
        mean = np.where(np.isfinite(values), values, number)
        if members is None:
            return StateAnalysis(mean)
        draws = mean + rng.standard_normal((members, *mean.shape))
        return StateAnalysis(mean, draws.std(0), draws)

    def __repr__(self):
        return "Filled()"


@pytest.fixture(scope="module")
def observed():
    truth = lorenz63("test", samples=6, steps=9)
    return observe_series(truth, every=4, components=["x", "z"], noise=0.5, rng=0)


def test_observations_stay_and_the_rest_is_filled(observed):
    found = xdvarnet.reconstruct(observed, Filled())
    assert found["state"].dims == ("sample", "time", "component")
    xr.testing.assert_equal(found["state"].where(observed["state"].notnull()), observed["state"])
    assert (found["state"].isel(sample=3, time=1) == 3).all()
    assert found.attrs["xdvarnet_model"] == "Filled()"


def test_order_dtype_and_coordinates_are_those_of_the_input(observed):
    other = observed.transpose("component", "sample", "time").astype("float32")
    found = other.dvarnet.reconstruct(Filled())["state"]
    assert found.dims == ("component", "sample", "time")
    assert found.dtype == np.float32
    xr.testing.assert_allclose(
        found, xdvarnet.reconstruct(observed, Filled())["state"].transpose(*found.dims)
    )
    xr.testing.assert_equal(found["time"], observed["time"])


def test_samples_may_have_any_dimensions_or_none(observed):
    pairs = observed.coarsen(sample=2).construct(sample=("case", "draw"))
    found = xdvarnet.reconstruct(pairs, Filled())["state"]
    assert dict(found.sizes) == {"case": 3, "draw": 2, "time": 9, "component": 3}
    assert (found.isel(case=2, draw=1, time=1) == 5).all()
    single = xdvarnet.reconstruct(observed.isel(sample=4), Filled())["state"]
    assert single.dims == ("time", "component")


def test_members_come_first(observed):
    found = xdvarnet.reconstruct(observed, Filled(True), members=7, return_members=True, rng=0)
    assert found["state_members"].dims == ("member", "sample", "time", "component")
    xr.testing.assert_allclose(found["state_std"], found["state_members"].std("member"))
    again = xdvarnet.reconstruct(observed, Filled(True), members=7, return_members=True, rng=0)
    xr.testing.assert_identical(found["state_members"], again["state_members"])


def test_what_is_refused(observed):
    cases = [
        (observed.rename(state="x"), UnknownNameError, "no variable 'state'"),
        (observed.isel(component=0), InvalidInputError, "dimensions time and component"),
        (observed.where(False), InvalidInputError, "all observations are missing"),
        (observed.isel(time=[0, 1, 5]), InvalidInputError, "even steps"),
        (observed.isel(time=[0]), InvalidInputError, "too short"),
        (observed.isel(time=slice(None, None, -1)), InvalidInputError, "sortby"),
        (observed.drop_vars("time"), InvalidInputError, "no coordinate 'time'"),
        (observed.chunk(sample=2), InvalidInputError, "held by dask"),
        (observed.fillna(np.inf), InvalidInputError, "infinite"),
        (observed.isel(time=[0, 1, 1, 2]), InvalidInputError, "drop_duplicates"),
        (observed["state"], InvalidTypeError, "Dataset"),
    ]
    for dataset, error, message in cases:
        with pytest.raises(error, match=message):
            xdvarnet.reconstruct(dataset, Filled())


def test_samples_without_observation_are_counted(observed):
    emptied = observed.where(xr.DataArray(np.arange(6) != 2, dims="sample"))
    with pytest.warns(xdvarnet.XdvarnetWarning, match="1 of 6 samples"):
        xdvarnet.reconstruct(emptied, Filled())


def test_climatology_is_that_of_the_states():
    truth = lorenz63("test", samples=40)
    found = Climatology.from_series(truth)
    states = truth["state"].values.reshape(-1, 3)
    np.testing.assert_allclose(found.mean, states.mean(0))
    drawn = found.draw(200_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(states.T), atol=1.2)
    with pytest.raises(InvalidInputError, match="complete states"):
        Climatology.from_series(truth.where(truth["component"] == "x"))
    with pytest.raises(InvalidInputError, match="positive definite"):
        Climatology(np.zeros(2), np.ones((2, 2)))


def test_score_is_that_of_numpy_and_knows_the_spread(observed):
    truth = lorenz63("test", samples=6, steps=9)
    found = xdvarnet.reconstruct(observed, Filled(True), members=5, rng=0)
    scores = found.dvarnet.score(truth, kind="series")
    error = ((found["state"] - truth["state"]).values ** 2).mean()
    np.testing.assert_allclose(scores["mse"], error)
    np.testing.assert_allclose(scores["rmse"] ** 2, error)
    ratio = error / (found["state_std"].values ** 2).mean()
    np.testing.assert_allclose(scores["error_over_variance"], ratio)
    assert scores["n_points"] == 6 * 9 * 3
    with pytest.raises(InvalidInputError, match="kind='series'"):
        found.dvarnet.score(truth)
    for other, message in (
        (truth.assign_coords(time=truth["time"] + 7), "differ in size or coordinates"),
        (truth.isel(sample=slice(2)), "differ in size or coordinates"),
        (truth.isel(sample=0), "dimensions"),
        (truth.where(False), "no finite value"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            xdvarnet.score(found, other, kind="series")
    gappy = found.where(found["time"] > 0.005)
    assert gappy.dvarnet.score(truth, kind="series")["n_missing"] == 6 * 3


def test_times_may_be_rounded(observed):
    """Single precision has steps that differ by more than double precision would excuse."""
    long = lorenz63("test", samples=1, steps=400).astype("float32")
    rounded = long.assign_coords(time=long["time"].astype("float32") + np.float32(50))
    assert xdvarnet.reconstruct(rounded, Filled()).sizes["time"] == 400


def test_components_are_those_of_the_model(observed):
    model = Filled()
    model.labels = ["x", "y", "z"]
    assert xdvarnet.reconstruct(observed, model).sizes == observed.sizes
    assert xdvarnet.reconstruct(observed.drop_vars("component"), model).sizes == observed.sizes
    with pytest.raises(InvalidInputError, match=r"sel\(component=\['x', 'y', 'z'\]\)"):
        xdvarnet.reconstruct(observed.isel(component=[2, 1, 0]), model)
    with pytest.raises(InvalidInputError, match="rename"):
        xdvarnet.reconstruct(observed.assign_coords(component=["a", "b", "c"]), model)


def test_values_that_are_not_finite_are_an_error(observed):
    class Broken(Filled):
        def solve_states(self, observations, *, members=None, rng=None):
            mean = super().solve_states(observations).mean
            mean[2] = np.nan
            return StateAnalysis(mean)

    with pytest.raises(InvalidInputError, match=r"not finite: 27 of 162 \(mean of 'state'\)"):
        xdvarnet.reconstruct(observed, Broken())
