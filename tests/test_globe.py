"""A globe has no edge: not where its longitudes are cut, and not at the poles."""

import numpy as np
import pytest
import torch
import xarray as xr
from instances import MAKERS, Drift
from reconstructors import Smoother

import xdvarnet
from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.coords import find_grid, is_ring
from xdvarnet.grids.smoothing import local_mean
from xdvarnet.mapping import ObservedBackground, Window
from xdvarnet.mapping.background import NoBackground
from xdvarnet.mapping.reconstruct import reconstruct
from xdvarnet.methods import ETKF, Climatology, MeanMapOffset, Persistence
from xdvarnet.methods.gaussian_field.domain import extended_mesh
from xdvarnet.networks import Scaled
from xdvarnet.spde.chain import Chain, matern_chain

EAST = np.arange(0, 360, 6.0)
NORTH = np.arange(-90, 90.1, 5.0)


def test_longitudes_that_close_are_a_ring():
    assert is_ring(EAST) and is_ring(EAST - 183)
    assert not is_ring(EAST[:-1]) and not is_ring(EAST[:30])


@pytest.mark.parametrize("turn", [1, 17, 30])
def test_local_means_turn_with_the_globe(turn):
    rng = np.random.default_rng(0)
    count = rng.poisson(0.2, (NORTH.size, EAST.size))
    total = count * rng.normal(size=count.shape)
    mean = local_mean(total, count, NORTH, EAST, 900.0)
    turned = local_mean(*(np.roll(each, turn, 1) for each in (total, count)), NORTH, EAST, 900.0)
    np.testing.assert_allclose(turned, np.roll(mean, turn, 1), atol=1e-10)


def test_the_pole_is_one_place_seen_from_all_sides():
    """A value at 85 north is as near to the pole from every meridian, and to 85 north beyond it."""
    count = np.zeros((NORTH.size, EAST.size))
    count[-2, 0] = count[3, 30] = 1
    total = np.where(NORTH[:, None] > 0, count, 0)
    mean = local_mean(total, count, NORTH, EAST, 600.0)
    np.testing.assert_allclose(mean[-1], mean[-1, 0], atol=1e-12)
    assert mean[-1, 0] > 0.9 and mean[-2, 30] > 0.9  # 555 and 1110 km from it


def test_steps_of_latitude_do_not_matter():
    """Values on a Mercator grid are weighted by their distance in km, not in rows."""
    rows = np.rad2deg(np.arctan(np.sinh(np.deg2rad(np.arange(30, 60, 0.5)))))
    columns = 5 + 0.5 * np.arange(40)
    count = np.zeros((rows.size, columns.size))
    count[10, 20] = count[40, 20] = 1
    total = np.zeros_like(count)
    total[10, 20] = 1
    mean = local_mean(total, count, rows, columns, 300.0)[20, 20]
    km = 6371 * np.deg2rad(rows[20] - rows[[10, 40]])
    near, far = np.exp(-0.5 * (km / 300) ** 2)
    assert mean == pytest.approx(near / (near + far), abs=5e-3)


def globe(days=5, seed=0, step=8.0) -> xr.Dataset:
    """Return gappy heights of a globe with an island at the cut of its longitudes, daily."""
    rng = np.random.default_rng(seed)
    north, east = np.arange(-56, 57, step), np.arange(0, 360, step)
    waves = np.cos(np.deg2rad(3 * east)) * np.cos(np.deg2rad(north))[:, None]
    field = 0.1 * waves + 0.02 * rng.normal(size=(days, north.size, east.size))
    sea = np.ones(waves.shape, bool)
    sea[4:7, :3] = sea[4:7, -2:] = False
    field[(rng.random(field.shape) < 0.8) | ~sea] = np.nan
    return xr.Dataset(
        {"ssh": (("time", "lat", "lon"), field.astype(np.float32), {"units": "m"})},
        {
            "time": np.datetime64("2020-02-01", "ns") + np.arange(days) * np.timedelta64(1, "D"),
            "lat": ("lat", north, {"units": "degrees_north"}),
            "lon": ("lon", east, {"units": "degrees_east"}),
            "sea": (("lat", "lon"), sea),
        },
    )


def cut_at(dataset: xr.Dataset, column: int) -> xr.Dataset:
    """Return the same globe with longitudes that begin at another one."""
    return dataset.roll(lon=-column, roll_coords=True)


def signed(dataset: xr.Dataset) -> xr.Dataset:
    """Return the same globe with longitudes from -180 to 180."""
    return dataset.assign_coords(lon=(dataset["lon"] + 180) % 360 - 180).sortby("lon")


def unsigned(dataset: xr.Dataset) -> xr.Dataset:
    """Return the same globe with longitudes from 0 to 360."""
    return dataset.assign_coords(lon=dataset["lon"] % 360).sortby("lon")


def mesh_of(sea: np.ndarray, **options):
    """Return the mesh of a coarse globe."""
    north, east = np.arange(-60, 61, 15.0), np.arange(0, 360, 30.0)
    return extended_mesh(north, east, sea, 500e3)[0]


def chain_of(sea: np.ndarray) -> Chain:
    return matern_chain(
        mesh_of(sea),
        2,
        length=3e6,
        time=5.0,
        std=0.1,
        anisotropy=1.5,
        angle=0.4,
        propagation=(3e4, 1e4),
    )


SEA = np.ones((9, 12), bool)
SEA[3:6, 4:6] = False


def test_the_equation_of_a_ring_is_one_of_dense_matrices():
    """Products, draws and determinants of a ring are those of its precision."""
    chain = chain_of(SEA)
    assert chain.mesh.ring and chain.mesh.shape[1] == 12
    precision = chain.precision().to_dense()
    covariance = torch.linalg.inv(precision)
    shape = (2, *chain.mesh.shape)
    root = chain.colour(torch.eye(len(precision), dtype=torch.float64).view(-1, *shape))
    root = root.flatten(1).T
    np.testing.assert_allclose(root @ root.T, covariance, atol=1e-10 * covariance.abs().max())
    fields = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    energy = fields.flatten() @ precision @ fields.flatten()
    assert float(chain.quadratic(fields)) == pytest.approx(float(energy))
    determinant = torch.linalg.slogdet(precision).logabsdet
    assert float(chain.log_determinant()) == pytest.approx(float(determinant))
    adjoint = (root.T @ fields.flatten()).view(shape)
    np.testing.assert_allclose(chain.colour_adjoint(fields), adjoint, atol=1e-12)


@pytest.mark.parametrize("turn", [1, 5])
def test_the_equation_turns_with_the_globe(turn):
    fields = torch.randn((2, *chain_of(SEA).mesh.shape), dtype=torch.float64)
    turned = chain_of(np.roll(SEA, turn, 1)).quadratic(fields.roll(turn, -1))
    assert float(turned) == pytest.approx(float(chain_of(SEA).quadratic(fields)), rel=1e-12)


def test_a_margin_that_meets_itself_closes_the_ring():
    """From 0 to 330 east a margin on both sides would be more than the globe."""
    north, east = np.arange(-20, 21, 5.0), np.arange(0, 331, 5.0)
    mesh, margin = extended_mesh(north, east, np.ones((9, 67), bool), 2000e3)
    assert margin.ring and (margin.west, margin.east) == (2, 3)
    assert mesh.shape[1] * 5 == 360
    assert not extended_mesh(north, east, np.ones((9, 67), bool), 500e3)[1].ring


def test_rows_at_the_poles_are_caps():
    mesh, _ = extended_mesh(NORTH, EAST, np.ones((NORTH.size, EAST.size), bool), 500e3)
    assert mesh.shape == (NORTH.size, EAST.size)
    assert float(mesh.area.sum()) == pytest.approx(4 * np.pi * 6.371e6**2)


@pytest.mark.parametrize("engine", ["exact", "iterative"])
def test_observations_are_seen_across_the_cut(engine):
    """A measurement at 359 east tells of 1 east as one at 179 tells of 181."""
    field = xdvarnet.SPDEField(
        correlation_length="2000 km", correlation_time=5, std=0.2, noise=0.01, engine=engine
    )
    grid = globe(1)[["time", "lat", "lon"]].drop_vars("sea", errors="ignore")
    maps = []
    for longitude in (358.0, 182.0):
        track = xr.Dataset(
            {"ssh": ("time", [0.3, 0.3], {"units": "m"})},
            {
                "time": grid["time"].values.repeat(2),
                "latitude": ("time", [0.5, 0.5]),
                "longitude": ("time", [longitude, longitude]),
            },
        )
        maps.append(field.condition(track, grid, noise=0.01)["ssh"].values[0])
    turned = np.roll(maps[1], (358 - 182) // 8, 1)
    assert maps[0].max() > 0.2
    np.testing.assert_allclose(maps[0], turned, atol=1e-6 if engine == "exact" else 5e-3)
    assert maps[0][7, 0] > 0.2 and maps[0][7, -1] > 0.2


def test_parameters_of_a_globe_may_be_cut_elsewhere():
    length = 2000 + 500 * np.cos(np.deg2rad(globe()["lon"] + 0 * globe()["lat"]))
    other = length.assign_coords(lon=(length["lon"] + 180) % 360 - 180).sortby("lon")
    maps = [
        xdvarnet.SPDEField(correlation_length=each, correlation_time=5, std=0.2, noise=0.02)
        for each in (length, other)
    ]
    one, two = (globe().dvarnet.reconstruct(field)["ssh"] for field in maps)
    np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("guess", [False, True])
def test_windows_go_around_the_globe(guess):
    """No seam: what a window makes at the cut is what it makes elsewhere, and is blended there."""
    window = Window(3, 8, 9, stride=(2, 4, 5), halo=(0, 1, 2))
    model = Smoother(window, first_guess=Smoother(None) if guess else None)
    model = Smoother(window, first_guess=model.first_guess, background=NoBackground())
    dataset = globe().fillna(0.05)
    dataset["ssh"].attrs["units"] = "m"
    dataset = dataset.assign_coords(sea=dataset["sea"] | True)
    maps = dataset.dvarnet.reconstruct(model)["ssh"]
    for column in (1, 20, 44):
        other = cut_at(dataset, column).dvarnet.reconstruct(model)["ssh"]
        np.testing.assert_array_equal(other.sel(lon=maps["lon"]), maps)
    ridge = dataset.copy(deep=True)
    ridge["ssh"][:] = np.cos(np.deg2rad(2 * ridge["lon"])).values.astype("f4")
    smooth = ridge.dvarnet.reconstruct(model)["ssh"].isel(time=2, lat=7)
    steps = np.diff(smooth, append=smooth[0])
    opposite = np.roll(steps, steps.size // 2)
    assert np.abs(steps[-3:]).max() < 1.5 * np.abs(opposite[-3:]).max()


def test_altimeters_cross_the_cut():
    """Each point is bilinear between its neighbours on the ring, wherever the file begins."""
    truth = complete(2)
    seen = [
        each.dvarnet.observe(["jason1", "envisat"], noise=0.0, rng=0)["ssh"]
        for each in (truth, cut_at(truth, 11), cut_at(truth, 23))
    ]
    assert seen[0].isel(lon=[0, -1]).count() > 10
    for other in seen[1:]:
        np.testing.assert_allclose(other.sel(lon=truth["lon"]), seen[0], atol=1e-6)


def complete(days: int) -> xr.Dataset:
    """Return heights of a globe without gaps."""
    dataset = globe(days, seed=2, step=12.0)
    whole = dataset["ssh"].mean("time", skipna=True) + 0 * dataset["time"].dt.day
    noise = np.random.default_rng(3).normal(scale=0.02, size=dataset["ssh"].shape)
    field = whole.transpose(*dataset["ssh"].dims).fillna(0) + noise.astype("f4")
    return dataset.assign(ssh=field.where(dataset["sea"]).assign_attrs(units="m"))


def global_filter() -> ETKF:
    states = Climatology.from_maps(complete(40), {"ssh": "m"}, ridge=0.1)
    return ETKF(Drift(), noise=0.02, climatology=states, members=12)


PLACED = {
    "mean map": lambda: MeanMapOffset(complete(6)),
    "persistence": lambda: Persistence(complete(6)),
    "filter of heights": global_filter,
}
"""Methods that know a place, made for the globe."""

ELSEWHERE = [name for name in MAKERS if "a filter" in name or name == "calibrated filter"]
"""What holds a filter of a basin."""


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in ELSEWHERE])
@pytest.mark.filterwarnings("ignore::xdvarnet.XdvarnetWarning")
def test_the_globe_may_be_cut_anywhere(name):
    """A law of all methods: the same maps, whichever longitude is the first of the file."""
    model = PLACED.get(name, MAKERS[name])()
    if name not in PLACED:
        model = model.with_options(background=ObservedBackground())
    dataset = globe(6, step=12.0)
    if isinstance(model, Scaled):
        with pytest.raises(InvalidInputError, match="made for a basin"):
            reconstruct(dataset, model)
        return
    maps = reconstruct(dataset, model, rng=0)
    for cut in (cut_at(dataset, 17), signed(dataset)):
        other = unsigned(reconstruct(cut, model, rng=0))
        for field in maps.data_vars:
            np.testing.assert_allclose(other[field], maps[field], atol=2e-5)


@pytest.mark.parametrize("step", [0.1, 0.25, 1.0, 5.0])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_a_globe_begins_at_greenwich_inside(step, shift):
    """Also where the longitude 0 is one less rounding."""
    whole = step * (np.arange(round(360 / step)) + shift)
    for cut in (-180.0, -20.0, 0.0, 180.0):
        longitude = cut + (whole - cut) % 360
        dataset = xr.Dataset(coords={"lat": [0.0, 1.0], "lon": np.sort(longitude)})
        inside = find_grid(dataset, time=False).from_greenwich().longitude
        np.testing.assert_allclose(inside, whole, atol=1e-9)


@pytest.mark.filterwarnings("ignore::xdvarnet.XdvarnetWarning")
def test_members_do_not_depend_on_the_cut():
    field = xdvarnet.SPDEField(correlation_length=2500, correlation_time=3, std=0.05, noise=0.02)
    dataset = globe(3, step=12.0)
    members, others = (
        reconstruct(each, field, members=2, return_members=True, rng=0)["ssh_members"]
        for each in (dataset, signed(dataset))
    )
    np.testing.assert_allclose(unsigned(others), members, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        xdvarnet.OptimalInterpolation(
            "ssh", correlation_length="2000 km", correlation_time="3 days", noise=0.02
        ),
        xdvarnet.SPDEField(correlation_length=2500, correlation_time=3, std=0.05, noise=0.02),
    ],
    ids=lambda model: type(model).__name__,
)
def test_maps_turn_with_the_globe(model):
    """What is observed some columns farther east is mapped there: no meridian is a seam."""
    dataset, turn = globe(4, step=10.0), 7
    turned = dataset.copy(data={"ssh": np.roll(dataset["ssh"], turn, -1)})
    turned = turned.assign_coords(sea=(("lat", "lon"), np.roll(dataset["sea"], turn, -1)))
    maps, other = (reconstruct(each, model) for each in (dataset, turned))
    for name in ("ssh", "ssh_std"):
        np.testing.assert_allclose(other[name], np.roll(maps[name], turn, -1), atol=1e-6)
