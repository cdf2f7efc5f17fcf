"""The simulated ocean: what it is made of, that seeds are other oceans, and its cache."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from xdvarnet.datasets import twin_ocean
from xdvarnet.datasets.twin import STORED_SIZE, _resample, _stored
from xdvarnet.diagnostics import geostrophic
from xdvarnet.dynamics.seas import LENGTH, SEAS, Sea
from xdvarnet.dynamics.spectral import SpectralGrid
from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError, XdvarnetWarning

DAYS, SIZE = 3, 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("oceans")


@pytest.fixture(scope="module")
def ocean(folder) -> xr.Dataset:
    return twin_ocean(days=DAYS, size=SIZE, cache=folder)


def test_what_it_holds(ocean):
    """Fields that are finite, with units, on an increasing grid around the sea's place."""
    assert dict(ocean.sizes) == {"time": DAYS, "lat": SIZE, "lon": SIZE}
    for name, units in {
        "ssh": "m",
        "sst": "degC",
        "u": "m/s",
        "v": "m/s",
        "ssh_lower": "m",
    }.items():
        assert ocean[name].dtype == np.float32
        assert ocean[name].attrs["units"] == units
        assert np.isfinite(ocean[name]).all()
        assert ocean[name][0].std() > 0
    assert ocean["sea"].dtype == bool
    assert ocean["sea"].all()
    assert (ocean["lat"].diff("lat") > 0).all()
    assert (ocean["lon"].diff("lon") > 0).all()
    assert float(ocean["lat"].mean()) == pytest.approx(37)
    assert str(ocean["time"].values[0])[:10] == "2020-01-01"


def test_the_attributes_say_what_made_it(ocean):
    assert {"references", "xdvarnet_version", "simulation_version"} <= set(ocean.attrs)
    assert ocean.attrs["sea"] == "gulf-stream"
    assert (ocean.attrs["seed"], ocean.attrs["size"], ocean.attrs["days"]) == (0, SIZE, DAYS)
    assert ocean["u"].attrs["mean_current"] == SEAS["gulf-stream"].shear


def test_cells_are_square_at_the_central_latitude(ocean):
    """And the plane is 1280 km wide."""
    step = np.radians(float(ocean["lat"].diff("lat").mean())) * 6371
    across = np.radians(float(ocean["lon"].diff("lon").mean())) * 6371
    assert step * SIZE == pytest.approx(1280)
    assert across * np.cos(np.radians(37)) == pytest.approx(step)


@pytest.mark.parametrize("name", SEAS)
def test_the_spun_up_state(name):
    """Heights, warm water on their southern side of the current, and speeds are of the sea."""
    sea, fields = SEAS[name], _stored(name)
    model = sea.model(STORED_SIZE).flow
    state = model.potential_vorticity(fields[:2])
    least, most = {"gulf-stream": (0.20, 0.30), "northeast-atlantic": (0.05, 0.08)}[name]
    assert least < float(model.pressure_height(state)[0].std()) < most
    correlation = np.corrcoef(fields[0].flatten(), fields[2].flatten())[0, 1]
    assert correlation > 0.5


def test_currents_are_geostrophic(monkeypatch):
    """Within a tenth at the central latitude, with the central differences of `geostrophic`."""
    monkeypatch.setattr("xdvarnet.datasets.twin.ADJUSTMENT", (1, 1))
    ocean = twin_ocean(days=1, size=128, cache=False)
    currents = geostrophic(ocean)
    middle = {"lat": slice(54, 74), "lon": slice(1, -1)}
    for name, of_height in {"u": "ugosa", "v": "vgosa"}.items():
        found, expected = ocean[name].isel(middle), currents[of_height].isel(middle)
        assert float((found - expected).std() / found.std()) < 0.1


def test_vorticity_is_of_the_height_and_divergence_is_small(ocean):
    """What is not geostrophic has no vorticity, and a divergence of some per cent of it."""
    grid = SpectralGrid(SIZE, SIZE, LENGTH / SIZE)
    ssh, u, v = (grid.to_spectrum(torch.from_numpy(ocean[k].values)) for k in ("ssh", "u", "v"))
    vorticity = grid.to_field(grid.d_dx(v) - grid.d_dy(u))
    divergence = grid.to_field(grid.d_dx(u) + grid.d_dy(v))
    expected = 9.81 / SEAS["gulf-stream"].f0 * grid.to_field(grid.laplacian(ssh))
    torch.testing.assert_close(vorticity, expected, rtol=0, atol=1e-3 * float(expected.std()))
    assert 0.01 < float(divergence.std() / vorticity.std()) < 0.2


def test_a_longer_one_begins_with_a_shorter_one(ocean):
    longer = twin_ocean(days=DAYS + 1, size=SIZE, cache=False)
    np.testing.assert_array_equal(longer["ssh"][:DAYS], ocean["ssh"])


def test_one_seed_is_one_ocean(ocean):
    xr.testing.assert_identical(twin_ocean(days=DAYS, size=SIZE, cache=False), ocean)


def test_another_seed_is_another_ocean(ocean):
    """Uncorrelated, as energetic."""
    others = [twin_ocean(days=1, size=SIZE, seed=seed, cache=False) for seed in (1, 2, 3, 4)]
    maps = [ocean["ssh"][0].values, *(other["ssh"][0].values for other in others)]
    correlations = np.corrcoef([each.ravel() for each in maps])[np.triu_indices(5, 1)]
    assert np.abs(correlations).mean() < 0.3
    spread = [each.std() for each in maps]
    assert max(spread) < 1.6 * min(spread)


def test_a_sea_of_ones_own(tmp_path, monkeypatch):
    """It is simulated with its settings, which the attributes and the cache tell from others'."""
    monkeypatch.setattr("xdvarnet.dynamics.spin_up.TURNOVERS", 5.0)
    sea = Sea(latitude=-35.0, deformation_radius=80e3, shear=-0.4, drag=1.5e-6, beta=1e-11)
    ocean = twin_ocean(sea, days=1, size=SIZE, cache=tmp_path)
    assert ocean.attrs["sea"] == "own"
    assert ocean.attrs["drag"] == sea.drag
    assert ocean["u"].attrs["mean_current"] == -0.4
    assert float(ocean["lat"].mean()) == pytest.approx(-35)
    xr.testing.assert_identical(twin_ocean(sea, days=1, size=SIZE, cache=tmp_path), ocean)
    changed = twin_ocean(replace(sea, drag=2e-6), days=1, size=SIZE, cache=tmp_path)
    assert float(abs(changed["ssh"] - ocean["ssh"]).max()) > 0


def test_resampling_keeps_waves():
    """What both grids hold is the same on both, at the common points."""
    x = torch.arange(16) * 2 * torch.pi / 16
    field = torch.sin(2 * x) + 0.5 * torch.cos(3 * x[:, None]) + 0.1
    fine = _resample(field, 32)
    torch.testing.assert_close(fine[::2, ::2], field, atol=1e-5, rtol=0)
    torch.testing.assert_close(_resample(fine, 16), field, atol=1e-5, rtol=0)


def test_the_cache_is_read(ocean, folder, monkeypatch):
    """The second call computes nothing and gives the same, by the folder or by the variable."""
    monkeypatch.setattr("xdvarnet.datasets.twin._simulate", lambda settings: 1 / 0)
    xr.testing.assert_identical(twin_ocean(days=DAYS, size=SIZE, cache=folder), ocean)
    monkeypatch.setenv("XDVARNET_CACHE", str(folder))
    xr.testing.assert_identical(twin_ocean(days=DAYS, size=SIZE), ocean)
    with pytest.raises(ZeroDivisionError):
        twin_ocean(days=DAYS, size=SIZE, seed=1, cache=folder)
    assert not list(folder.glob("*.part"))


def truncate(content: bytes, size: int) -> bytes:
    return content[:size]


def change(content: bytes, position: int) -> bytes:
    """Content with another byte, in one of the maps."""
    return content[:position] + bytes([content[position] ^ 255]) + content[position + 1 :]


@pytest.mark.parametrize(
    ("damage", "where"), [(truncate, 0), (truncate, 100), (truncate, 30_000), (change, 30_000)]
)
def test_a_damaged_file_is_made_anew(ocean, folder, tmp_path, monkeypatch, damage, where):
    """With a warning, once."""
    (whole,) = folder.iterdir()
    path = tmp_path / whole.name
    path.write_bytes(damage(whole.read_bytes(), where))
    monkeypatch.setattr("xdvarnet.datasets.twin._simulate", lambda settings: ocean)
    with pytest.warns(XdvarnetWarning, match="damaged"):
        twin_ocean(days=DAYS, size=SIZE, cache=tmp_path)
    xr.testing.assert_identical(twin_ocean(days=DAYS, size=SIZE, cache=tmp_path), ocean)


def test_a_folder_that_cannot_be_written_costs_no_ocean(ocean, tmp_path, monkeypatch):
    monkeypatch.setattr("xdvarnet.datasets.twin._simulate", lambda settings: ocean)
    (tmp_path / "file").touch()
    with pytest.warns(XdvarnetWarning, match="not kept"):
        found = twin_ocean(days=DAYS, size=SIZE, cache=tmp_path / "file")
    xr.testing.assert_identical(found, ocean)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sea": 1}, InvalidTypeError, "sea is 1; give a name, or Sea"),
        (
            {"sea": Sea(latitude=40, deformation_radius=40e3, shear=0.01, drag=1e-6)},
            InvalidInputError,
            "is stable",
        ),
        ({"sea": "dead"}, UnknownNameError, "known are gulf-stream, northeast-atlantic"),
        ({"days": 0}, InvalidInputError, "days=0"),
        ({"seed": -1}, InvalidInputError, "seed=-1"),
        ({"seed": 1.0}, InvalidInputError, "seed=1.0"),
        ({"size": 100}, InvalidInputError, "size=100 is not accepted; give one of 32, 64"),
        ({"start": "soon"}, InvalidInputError, "start='soon'"),
        ({"cache": 1}, InvalidTypeError, "cache is 1; give True, False or a path"),
    ],
)
def test_bad_input(arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        twin_ocean(**{"size": SIZE, "days": 1, "cache": tmp_path} | arguments)
