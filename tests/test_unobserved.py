"""Models with variables that nothing observes, and observation terms of single variables."""

import numpy as np
import pytest
import torch
import xarray as xr
from toys import DAYS, toy_interpolation, toy_system, toy_truth

import xdvarnet
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.solver.data import Data
from xdvarnet.training.draws import check_flips

VARIABLES = {"ssh": "m", "v": "m s-1", "sst": "K"}


def truth(seed: int = 0) -> xr.Dataset:
    """Height, its difference eastward as a current, and a temperature that follows the height."""
    sea = toy_truth(seed=seed)
    sea["v"] = (10 * sea["ssh"].differentiate("lon")).fillna(0).where(sea["sea"])
    sea["v"].attrs = {"units": "m s-1", "long_name": "northward current"}
    sea["sst"] = (20 * sea["ssh"]).assign_attrs(units="K")
    return sea.astype(np.float32)


def build(observed=("ssh", "sst"), terms=None, first_guess=None) -> xdvarnet.DVarNet:
    torch.manual_seed(0)
    channels = 3 * DAYS
    solver = xdvarnet.solver.VariationalSolver(
        xdvarnet.solver.BilinearAutoencoder(channels, hidden=6),
        terms or xdvarnet.solver.MaskedObservation(noise=0.5),
        xdvarnet.solver.ConvLSTMStep(
            channels,
            hidden=7,
            context=xdvarnet.DVarNet.context_channels(DAYS, first_guess, variables=3),
        ),
        iterations=3,
    )
    torch.nn.init.normal_(solver.step.decode.weight, std=0.1)
    return xdvarnet.DVarNet(
        solver,
        variables=VARIABLES,
        observed=observed,
        first_guess=first_guess,
        window=xdvarnet.mapping.Window(DAYS, 12, 16, stride=(2, 6, 7), halo=(0, 2, 2)),
        background=xdvarnet.mapping.MeanMapBackground(truth().drop_vars("sea").mean("time")),
        normalizer=xdvarnet.networks.Normalizer({"ssh": 0.05, "v": 0.3, "sst": 1.0}),
    )


@pytest.fixture(scope="module")
def observations() -> xr.Dataset:
    return toy_system().observe(truth()[["ssh", "sst"]], rng=3)


def test_a_variable_that_is_never_observed_is_mapped(observations):
    maps = observations.dvarnet.reconstruct(build())
    assert set(maps) == set(VARIABLES)
    assert np.isfinite(maps["v"]).all("time").equals(observations["sea"])
    assert maps["v"].dims == maps["ssh"].dims
    assert maps["v"].attrs["units"] == "m s-1"


def test_values_of_such_a_variable_are_not_used(observations):
    """A truth that was left in the Dataset does not leak into the maps."""
    expected = observations.dvarnet.reconstruct(build())
    maps = observations.assign(v=truth()["v"]).dvarnet.reconstruct(build())
    for name in VARIABLES:
        np.testing.assert_array_equal(maps[name], expected[name])
    assert maps["v"].attrs["long_name"] == "northward current"


def test_lazy_equals_eager(observations):
    lazy = observations.chunk(time=4).dvarnet.reconstruct(build())
    assert lazy["v"].chunks == lazy["ssh"].chunks
    xr.testing.assert_allclose(lazy.compute(), observations.dvarnet.reconstruct(build()), atol=1e-5)


def test_a_term_is_handed_its_own_channels(observations):
    """One term for all channels, and one for each observed variable, are the same cost."""
    single = [
        xdvarnet.solver.MaskedObservation(noise=0.5, channels=slice(i * DAYS, (i + 1) * DAYS))
        for i in (0, 2)
    ]
    whole, split = build(), build(terms=single)
    split.solver.prior, split.solver.step = whole.solver.prior, whole.solver.step
    one, three = (observations.dvarnet.reconstruct(model) for model in (whole, split))
    for name in VARIABLES:
        np.testing.assert_allclose(one[name], three[name], atol=1e-6)


def test_the_truth_of_all_variables_teaches(monkeypatch):
    """Nothing of the unobserved variable is seen in a training either."""
    model, seen = build(), []
    forward = xdvarnet.solver.VariationalSolver.forward
    monkeypatch.setattr(
        xdvarnet.solver.VariationalSolver,
        "forward",
        lambda self, state, data, context: (
            seen.append(data[0]) or forward(self, state, data, context)
        ),
    )
    before = model.solver.step.decode.weight[DAYS : 2 * DAYS].clone()
    trained = model.fit(
        truth(),
        observe=toy_system(),
        validation=truth(seed=1),
        schedule=xdvarnet.Schedule(epochs=1, steps_per_epoch=2, batch_size=2, pool=1),
        rng=0,
    )
    assert isinstance(seen[0], Data)
    assert not any(data.mask[:, DAYS : 2 * DAYS].any() for data in seen)
    assert any(data.mask[:, 2 * DAYS :].any() for data in seen)
    assert not torch.equal(before, trained.solver.step.decode.weight[DAYS : 2 * DAYS])
    assert torch.equal(before, model.solver.step.decode.weight[DAYS : 2 * DAYS])


def test_currents_are_not_flipped():
    """A mirrored height has currents of the other sign."""
    assert not check_flips(None, VARIABLES).flips
    assert check_flips(None, {"ssh": "m"}).flips
    with pytest.raises(InvalidInputError, match="flips of v: a current would have to turn"):
        build().fit(
            truth(),
            observe=toy_system(),
            validation=truth(seed=1),
            schedule=xdvarnet.Schedule(augmentation=xdvarnet.training.Augmentation()),
        )


def test_a_first_guess_of_one_variable(observations):
    """The others start at the background: an untrained step returns both."""
    guess = toy_interpolation()
    model = build(first_guess=guess)
    torch.nn.init.zeros_(model.solver.step.decode.weight)
    maps = observations.dvarnet.reconstruct(model)
    expected = observations.dvarnet.reconstruct(guess.with_options(background=model.background))
    np.testing.assert_allclose(maps["ssh"], expected["ssh"], atol=2e-6)
    assert abs(maps["v"] - model.background.mean_maps["v"].values).max() < 1e-5


def test_it_is_saved(tmp_path, observations):
    model = build()
    xdvarnet.save_model(model, tmp_path / "model.safetensors")
    loaded = xdvarnet.load_model(tmp_path / "model.safetensors")
    assert tuple(loaded.observed) == ("ssh", "sst")
    xr.testing.assert_allclose(
        observations.dvarnet.reconstruct(loaded), observations.dvarnet.reconstruct(model)
    )


def test_bad_input(observations):
    with pytest.raises(UnknownNameError, match="'sss'.*ssh"):
        build(observed=("ssh", "sss"))
    with pytest.raises(InvalidInputError, match="names no variable"):
        build(observed=())
    with pytest.raises(InvalidTypeError, match="give a list such as"):
        build(observed="ssh")
    for channels in (slice(20, 25), slice(10, 16)):
        with pytest.raises(InvalidInputError, match="the state has 15: 5 days of each"):
            build(terms=xdvarnet.solver.MaskedObservation(channels=channels))
    with pytest.raises(InvalidInputError, match=r"none .* day of an observed .*ssh, sst"):
        build(terms=xdvarnet.solver.MaskedObservation(channels=slice(5, 10)))
    with pytest.raises(InvalidInputError, match="no observation at all of ssh, sst:"):
        observations.where(False).dvarnet.reconstruct(build())
    with pytest.raises(UnknownNameError, match="sst"):
        observations[["ssh"]].dvarnet.reconstruct(build())
