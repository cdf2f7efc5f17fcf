"""
A learned map of another sea
============================

A network that was trained on many simulated seas maps one that it has never seen, in the units of
an interpolation that was fitted to the tracks. How much of the network to take is found on passes
that are withheld, and the map says so.
"""

# %%
# The sea is simulated, so that the truth is there to compare with: eddies of 5 cm, along the tracks
# of four altimeters with an error of 1 cm. With files of your own, the tracks are
# ``xarray.open_dataset(...).dvarnet.harmonise()``. The script takes a few minutes.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

import xdvarnet
from xdvarnet.networks import Scaled
from xdvarnet.observing.fly import fly

ocean = xdvarnet.datasets.twin_ocean("northeast-atlantic", days=24, seed=20, cache=False)
truth = ocean[["ssh"]].coarsen(lat=2, lon=2).mean()
truth["ssh"].attrs = {"units": "m", "long_name": "height"}
rng = np.random.default_rng(0)
ends = [float(getattr(truth[dim], end)()) for dim in ("lon", "lat") for end in ("min", "max")]


def measured(mission: str) -> xr.Dataset:
    """Return the points of a mission, with its errors."""
    points = fly(mission, "2020-01-01", "2020-01-25", phase=0.3, region=tuple(ends))
    track = truth.dvarnet.sample_tracks(points)[["ssh"]].dropna("time")
    track["ssh"] = track["ssh"] + 0.01 * rng.standard_normal(track.sizes["time"])
    return track.assign(mission=("time", np.full(track.sizes["time"], mission)))


missions = ["jason3", "sentinel3a", "sentinel3b", "saral"]
tracks = xr.concat([measured(mission) for mission in missions], "time").sortby("time")
tracks["ssh"].attrs = truth["ssh"].attrs

# %%
# The interpolation finds length, time and noise on the tracks. ``Scaled.fit`` withholds a quarter
# of the passes at a time, and finds how much of the change of the network predicts them best: 0
# would be the interpolation alone.
grid = truth.drop_vars("ssh").isel(time=0)
oi = xdvarnet.OptimalInterpolation.fit(tracks, grid, covariance="gaussian", trials=25)
network = xdvarnet.load_model("ssh-any")
model = Scaled.fit(network, tracks, grid, interpolation=oi)
print(f"{oi}\nweight of the network: {model.weight:.2f}")

# %%
# The maps are made as with any method. Days at both ends of the record, which know less, are left
# out of the scores.
obs = tracks[["ssh"]].dvarnet.bin_tracks(grid, time=truth["time"])
inner = {"time": slice("2020-01-04", "2020-01-21")}
maps = {
    name: obs.dvarnet.reconstruct(each)
    for name, each in {"interpolation": oi, "interpolation and network": model}.items()
}
scores = {
    name: each.sel(inner).dvarnet.score(truth.sel(inner)).to_pandas() for name, each in maps.items()
}
pd.DataFrame(scores).T.round(4)

# %%
day = "2020-01-12"
figure, axes = plt.subplots(
    2, 3, figsize=(13, 8), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
limits = {"vmin": -0.15, "vmax": 0.15}
truth.dvarnet.plot_map("ssh", time=day, ax=axes[0, 0], title="truth", **limits)
week = tracks.sel(time=slice("2020-01-09", "2020-01-15"))
week.dvarnet.plot_tracks("ssh", ax=axes[1, 0], **limits)
axes[1, 0].set_title("tracks of a week")
for column, (name, each) in enumerate(maps.items(), 1):
    each.dvarnet.plot_map("ssh", time=day, ax=axes[0, column], title=name, **limits)
    error = 100 * (each[["ssh"]] - truth[["ssh"]])
    error["ssh"].attrs = {"long_name": "error", "units": "cm"}
    error.dvarnet.plot_map(
        "ssh", time=day, ax=axes[1, column], title=f"error of {name}", vmin=-4, vmax=4
    )
plt.show()
