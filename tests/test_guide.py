"""The guide from altimeter files to a scored map runs as it is written."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xdvarnet
from xdvarnet.observing.fly import fly

pytest.importorskip("cartopy")

FOLDERS = {"jason3": "j3", "sentinel3a": "s3a", "saral": "alg", "cryosat2": "c2"}
DOWNLOADS = ("copernicusmarine", "fcollections")


def blocks(guide: Path) -> list[str]:
    """Return the Python blocks of a guide, but those that download."""
    found = re.findall(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    return [block for block in found if not any(name in block for name in DOWNLOADS)]


def write_tracks(truth: xr.Dataset, folder: Path) -> None:
    """Write the truth along the tracks of four missions as files of the along-track product."""
    region = (0.5, 12.0, 36.0, 44.5)
    for mission, short in FOLDERS.items():
        (folder / short).mkdir(parents=True)
        for start, end in ((11, 15), (15, 19)):
            points = fly(mission, f"2017-05-{start}", f"2017-05-{end}", region=region)
            sla = truth.dvarnet.sample_tracks(points)["ssh"]
            product = points.assign_coords(longitude=points["longitude"] % 360).assign(
                sla_unfiltered=sla.assign_attrs(
                    units="m", standard_name="sea_surface_height_above_sea_level"
                ),
                mdt=(0 * sla).assign_attrs(units="m", standard_name=""),
                lwe=(0 * sla).assign_attrs(units="m", standard_name=""),
            )
            product = product.isel(time=np.isfinite(sla.values))
            product.to_netcdf(folder / short / f"dt_{short}_201705{start}.nc")


def write_model_output(folder: Path) -> None:
    """Write temperature on a turned grid, as models have."""
    row, column = np.meshgrid(np.arange(30.0), np.arange(40.0), indexing="ij")
    longitude = xr.Variable(("y", "x"), 2 + 0.2 * column - 0.05 * row)
    latitude = xr.Variable(("y", "x"), 37 + 0.15 * row + 0.03 * column)
    described = {"standard_name": "sea_surface_temperature", "units": "degC"}
    xr.Dataset(
        {"tos": (("time", "y", "x"), (15 + 0.1 * row + 0 * column)[None], described)},
        {"nav_lon": longitude, "nav_lat": latitude, "time": [np.datetime64("2017-05-15", "ns")]},
    ).to_netcdf(folder / "nemo.nc")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::xdvarnet.XdvarnetWarning")  # no segment of 1000 km
def test_the_guide_runs(repository, tmp_path, monkeypatch):
    """On the western Mediterranean, with files written as the product has them."""
    western = xdvarnet.datasets.mediterranean().isel(lat=slice(44, 124), lon=slice(48, 150))
    monkeypatch.setattr(xdvarnet.datasets, "mediterranean", lambda: western)
    monkeypatch.chdir(tmp_path)
    shifted = western.isel(time=slice(0, 12)).assign_coords(
        time=np.datetime64("2017-05-09", "ns") + np.arange(12) * np.timedelta64(1, "D")
    )
    write_tracks(shifted, tmp_path / "l3")
    write_model_output(tmp_path)
    names: dict = {}
    for block in blocks(repository / "docs" / "altimetry.md"):
        quick = block.replace(
            "progress=True",
            "schedule=xdvarnet.Schedule(epochs=1, steps_per_epoch=1, batch_size=2)",
        )
        exec(quick, names)
    assert names["obs"].sizes["time"] > 7
    assert 0.4 < float(names["scores"]["rmse"].max() / names["scores"]["rmse"].min()) < 2
    assert float(names["errors"]["error"].std()) < 0.6 * float(names["withheld"]["ssh"].std())
    assert np.isfinite(names["on_my_grid"]["sst"]).any()
    with xr.open_dataset(tmp_path / "maps.nc") as product:
        assert {"adt", "err_sla", "ugos", "vgos"} <= set(product)


@pytest.mark.slow
def test_the_guide_to_ensembles_runs(repository, monkeypatch):
    """On the western Mediterranean, where the members' spread is about the error."""
    western = xdvarnet.datasets.mediterranean().isel(lat=slice(44, 124), lon=slice(48, 150))
    monkeypatch.setattr(xdvarnet.datasets, "mediterranean", lambda: western)
    names: dict = {}
    for block in blocks(repository / "docs" / "ensembles.md"):
        exec(block.replace("members=50", "members=5"), names)
    ratio = names["spread_skill_ratio"](names["members"], names["sea"])
    assert 0.8 < float(ratio) < 1.2
    assert 0.5 < names["real"].errors["ssh"].slope / names["oi"].errors["ssh"].slope < 2
    assert dict(names["spread_of_currents"].sizes).keys() == {"time", "lat", "lon"}
    assert np.isfinite(names["kriged"]["ssh_std"]).any()


def test_the_guide_to_chaotic_dynamics_runs(repository, tmp_path, monkeypatch):
    """With short trainings; the methods that know the equations are as good as it says."""
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks(repository / "docs" / "chaos.md"):
        quick = re.sub(r"epochs=\([^)]*\)", "epochs=(1, 1)", block)
        quick = re.sub(r"iterations=\([^)]*\)", "iterations=(1, 2)", quick)
        exec(quick.replace("samples=1000", "samples=100"), names)
    assert names["scores"]["mse"] < 1
    rho = names["rho"]
    assert (np.abs(rho["state"] - 28) < 5 * rho["state_std"]).all()
    truth, maps = names["truth"].isel(names["some"]), names["maps"]
    errors = {name: float(((maps[name] - truth)["state"] ** 2).mean()) for name in maps}
    assert errors["4DVar"] < errors["smoother"] < errors["OI"]
    assert names["ensemble"]["state_members"].dims == ("member", "sample", "time", "component")
    assert names["whole"]["state"].dims == ("time", "component")
    assert names["windows"].sizes["sample"] == 2
    assert len(names["costs"]) == names["model"].solver.iterations
    again, model = (names["obs"].dvarnet.reconstruct(names[name]) for name in ("again", "model"))
    xr.testing.assert_equal(again, model)


@pytest.mark.filterwarnings("ignore::xdvarnet.XdvarnetWarning")  # no observation before the first
def test_the_guide_to_the_twin_ocean_runs(repository):
    """On toys; dynamics forecast better than a map that is held, currents are learned unseen."""
    names: dict = {}
    for block in blocks(repository / "docs" / "twin.md"):
        exec(block, names)
    heights = names["heights"]
    held = (heights[0] - heights[3]).std()
    assert (names["later"] - heights[3]).std() < 0.8 * held
    assert names["ageostrophic"].std() < 0.2 * names["geostrophic"].std()
    assert set(names["obs"]) == {"ssh", "sst"}
    explained = names["maps"].dvarnet.score(names["truth"])["explained_variance"]
    assert list(explained["variable"].values) == ["ssh", "sst", "u", "v"]
    assert (explained > 0).all()
    assert list(names["errors"]) == [0, 1, 2]
    assert names["forecast"].attrs["xdvarnet_lead"] == 2
    days = (names["tomorrow"]["time"] - names["truth"]["time"][-1]).dt.days
    assert days.values.tolist() == [1, 2]
    assert names["height"].observed == ("ssh",)


@pytest.mark.slow
def test_the_guide_to_a_learned_map_runs(repository, tmp_path, monkeypatch):
    """On a small part of the Mediterranean, with few trials."""
    monkeypatch.chdir(tmp_path)
    sea = xdvarnet.datasets.mediterranean().isel(
        time=slice(10), lat=slice(60, 90), lon=slice(80, 120)
    )
    region = tuple(float(getattr(sea[d], end)()) for d in ("lon", "lat") for end in ("min", "max"))
    parts, rng = [], np.random.default_rng(0)
    for mission in FOLDERS:
        points = fly(mission, sea["time"].values[0], sea["time"].values[-1], region=region)
        track = sea.dvarnet.sample_tracks(points)[["ssh"]].dropna("time")
        track["ssh"] += 0.02 * rng.standard_normal(track.sizes["time"])
        parts.append(track.assign(mission=("time", [mission] * track.sizes["time"])))
    xr.concat(parts, "time").drop_vars("sea", errors="ignore").to_netcdf("my_tracks.nc")
    sea.isel(time=0).to_netcdf("my_grid.nc")
    names: dict = {}
    for block in blocks(repository / "docs" / "my_region.md"):
        quick = block.replace("grid, progress=True", "grid, trials=6")
        exec(quick.replace("grid=grid, rng=0", "grid=grid, noise='2 cm', rng=0"), names)
    assert 0 <= xdvarnet.load_model("my_region.safetensors").model.weight <= 1
    assert names["maps"]["ssh_members"].sizes["member"] == 50
