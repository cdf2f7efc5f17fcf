"""Heights on a plane, carried by a model: alone, and assimilated as maps."""

import numpy as np
import pytest
import torch
import xarray as xr

import xdvarnet
from xdvarnet.dynamics import (
    Gridded,
    Heights,
    ReducedGravityQG,
    ShallowWater,
    SpectralGrid,
    advance,
)
from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.methods import ETKF, Climatology, StrongFourDVar

ROWS, COLUMNS, SPACING, DAYS = 8, 12, 40e3, 6
NOISE = 0.01


def model() -> ReducedGravityQG:
    grid = SpectralGrid(ROWS, COLUMNS, SPACING, dtype=torch.float64)
    return ReducedGravityQG(grid, f0=9e-5, beta=1.8e-11, deformation_radius=50e3)


def smooth_heights(rng: np.random.Generator, number: int) -> torch.Tensor:
    """Random heights of 10 cm and long waves, shape (number, cells)."""
    waves = torch.fft.fft2(torch.from_numpy(rng.standard_normal((number, ROWS, COLUMNS))))
    ky, kx = torch.fft.fftfreq(ROWS)[:, None], torch.fft.fftfreq(COLUMNS)
    fields = torch.fft.ifft2(waves * torch.exp(-60 * (kx**2 + ky**2))).real
    fields = fields - fields.mean((1, 2), keepdim=True)
    return 0.1 * (fields / fields.std()).flatten(1)


def as_maps(states: torch.Tensor, first: str) -> xr.Dataset:
    """Daily maps (m) of states (day, cells)."""
    values = states.unflatten(1, (ROWS, COLUMNS)).numpy()
    days = np.datetime64(first, "ns") + np.arange(len(values)) * np.timedelta64(1, "D")
    return xr.Dataset(
        {"ssh": (("time", "lat", "lon"), values, {"units": "m"})},
        {"time": days, "lat": 35 + 0.36 * np.arange(ROWS), "lon": 300 + 0.45 * np.arange(COLUMNS)},
    )


@pytest.fixture(scope="module")
def sea() -> tuple[xr.Dataset, xr.Dataset, Climatology]:
    """A week of a sea, a quarter of it observed, and the climatology of others."""
    forecast = Heights(model())
    rng = np.random.default_rng(3)
    states = [smooth_heights(rng, 1)]
    for _ in range(DAYS - 1):
        states.append(forecast.forecast(states[-1], 1.0))
    truth = as_maps(torch.cat(states), "2020-01-01")
    seen = rng.random(truth["ssh"].shape) < 0.25
    noisy = truth["ssh"] + NOISE * rng.standard_normal(truth["ssh"].shape)
    observed = truth.assign(ssh=noisy.where(seen).assign_attrs(units="m"))
    earlier = as_maps(smooth_heights(rng, 300), "2010-01-01")
    return truth, observed, Climatology.from_maps(earlier, {"ssh": "m"})


def test_a_day_is_that_of_the_model():
    start = smooth_heights(np.random.default_rng(0), 3)
    ssh = start.unflatten(1, (1, ROWS, COLUMNS))
    expected = model().pressure_height(advance(model(), model().from_ssh(ssh), 86400.0, 10800.0))
    after = Heights(model(), steps=8).forecast(start, 1.0)
    torch.testing.assert_close(after, expected.flatten(1), rtol=0, atol=1e-12)
    assert (after - start).abs().max() > 1e-3


def test_fields_of_any_model_are_flat_states():
    """As the model's own run, with the same steps."""
    water = ShallowWater((6, 8), dx=20e3, dy=25e3, depth=1.0, coriolis=1e-4)
    bump = 0.01 * torch.from_numpy(np.random.default_rng(1).standard_normal((6, 8)))
    start = water.geostrophic_start(bump)
    expected = water.run(start, steps=24, dt=3600.0)[-1]
    after = Gridded(water, (3, 6, 8), steps=24).forecast(start.flatten()[None], 1.0)
    torch.testing.assert_close(after[0], expected.flatten())


METHODS = {
    "4DVar": lambda known: StrongFourDVar(
        Heights(model()), noise=NOISE, climatology=known, growth=5, iterations=5
    ),
    "ETKF": lambda known: ETKF(
        Heights(model()), noise=NOISE, climatology=known, members=80, inflation=1.02
    ),
}


@pytest.mark.parametrize("name", METHODS)
def test_assimilation_of_maps_beats_its_background(sea, name):
    truth, observed, known = sea
    maps = observed.dvarnet.reconstruct(METHODS[name](known), rng=0)
    assert maps["ssh"].dims == ("time", "lat", "lon")
    error = np.sqrt(((maps - truth)["ssh"] ** 2).mean(("lat", "lon")))
    background = np.sqrt((truth["ssh"] ** 2).mean(("lat", "lon")))
    assert float(error[-1]) < 0.4 * float(background[-1])
    assert float(error.mean()) < 0.7 * float(background.mean())
    spread = float(np.sqrt((maps["ssh_std"][-1] ** 2).mean()))
    assert spread == pytest.approx(float(error[-1]), rel=0.6)


def test_shallow_water_is_assimilated():
    """Heights alone are observed, and tell the currents."""
    water = ShallowWater((ROWS, COLUMNS), dx=SPACING, dy=SPACING, depth=1.0, coriolis=9e-5)
    rng = np.random.default_rng(5)

    def starts(number: int) -> torch.Tensor:
        heights = 0.05 * smooth_heights(rng, number).unflatten(1, (ROWS, COLUMNS))
        return torch.stack([water.geostrophic_start(each) for each in heights])

    def maps_of(states: torch.Tensor, first: str) -> xr.Dataset:
        maps = as_maps(states[:, 2].flatten(1), first)
        for number, name in enumerate(("u", "v")):
            maps[name] = maps["ssh"].copy(data=states[:, number].numpy()).assign_attrs(units="m/s")
        return maps

    units = {"u": "m/s", "v": "m/s", "ssh": "m"}
    forecast = Gridded(water, (3, ROWS, COLUMNS))
    states = [starts(1).flatten(1)]
    for _ in range(DAYS - 1):
        states.append(forecast.forecast(states[-1], 1.0))
    truth = maps_of(torch.cat(states).unflatten(1, (3, ROWS, COLUMNS)), "2020-01-01")
    noisy = truth["ssh"] + 5e-4 * rng.standard_normal(truth["ssh"].shape)
    seen = noisy.where(rng.random(noisy.shape) < 0.3).assign_attrs(units="m")
    unseen = {name: xr.full_like(truth[name], np.nan) for name in ("u", "v")}
    known = Climatology.from_maps(maps_of(starts(400), "2010-01-01"), units)
    method = StrongFourDVar(forecast, noise=5e-4, climatology=known, iterations=8)
    maps = truth.assign(ssh=seen, **unseen).dvarnet.reconstruct(method)
    for name in units:
        error, spread = ((maps - truth)[name] ** 2).mean(), (truth[name] ** 2).mean()
        assert float(error) < 0.25 * float(spread), name


def test_a_model_of_fields_needs_their_shape(sea):
    _, observed, known = sea
    water = ShallowWater((ROWS, COLUMNS), dx=SPACING, dy=SPACING, depth=1.0, coriolis=9e-5)
    method = StrongFourDVar(water, noise=NOISE, climatology=known)
    with pytest.raises(InvalidInputError, match=r"Gridded\(model, \(3, ny, nx\)\)"):
        observed.dvarnet.reconstruct(method)


def test_units_are_those_of_the_dataset(sea):
    truth, observed, known = sea
    method = METHODS["ETKF"](known)
    metres = observed.dvarnet.reconstruct(method, rng=0)
    centimetres = observed.assign(ssh=(100 * observed["ssh"]).assign_attrs(units="cm"))
    maps = centimetres.dvarnet.reconstruct(method, rng=0)
    np.testing.assert_allclose(maps["ssh"] / 100, metres["ssh"], atol=1e-5)


def test_what_does_not_fit_is_refused(sea):
    _, observed, known = sea
    with pytest.raises(InvalidTypeError, match=r"give a ReducedGravityQG"):
        Heights("qg")
    with pytest.raises(InvalidTypeError, match="is no model that gives a tendency"):
        Gridded(ShallowWater, (3, 6, 8))
    with pytest.raises(InvalidInputError, match="give at least 1"):
        Heights(model(), steps=0)
    with pytest.raises(InvalidInputError, match="the climatology has 96 components"):
        observed.isel(lon=slice(4)).dvarnet.reconstruct(METHODS["ETKF"](known), rng=0)
    with pytest.raises(InvalidInputError, match="give all cells of its grid"):
        Heights(model()).forecast(torch.zeros(1, 5), 1.0)
    with pytest.raises(InvalidInputError, match="needs one field a day|steps by 2 days"):
        observed.isel(time=[0, 1, 3]).dvarnet.reconstruct(METHODS["ETKF"](known), rng=0)
    gappy = as_maps(smooth_heights(np.random.default_rng(0), 4), "2010-01-01")
    gappy["ssh"][1, 2, 3] = np.nan
    with pytest.raises(InvalidInputError, match="complete maps of two days.*1 missing"):
        Climatology.from_maps(gappy, {"ssh": "m"})


def test_the_method_is_saved(sea, tmp_path):
    _, observed, known = sea
    method = METHODS["ETKF"](known)
    xdvarnet.save_model(method, tmp_path / "etkf.safetensors")
    again = xdvarnet.load_model(tmp_path / "etkf.safetensors")
    xr.testing.assert_identical(
        observed.dvarnet.reconstruct(again, rng=0)["ssh"],
        observed.dvarnet.reconstruct(method, rng=0)["ssh"],
    )
