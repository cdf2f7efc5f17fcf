"""
Currents, and what nobody observes
==================================

A map may have variables that no satellite sees. ``currents-twin`` is given the heights along the
tracks of four altimeters, and gives heights, surface currents and the pressure of the deep layer:
what belongs to what was learned from simulated oceans.
"""

# %%
# One network, four variables
# ---------------------------
# The dataset has heights along tracks, and nothing else.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

import xdvarnet
from xdvarnet.dynamics.seas import SEAS

ocean = xdvarnet.datasets.twin_ocean(days=30, seed=100)
truth = ocean.drop_vars("sst").isel(lat=slice(64, 192), lon=slice(64, 192))
nadirs = ["jason3", "sentinel3a", "sentinel3b", "saral"]
obs = truth[["ssh"]].dvarnet.observe(nadirs, noise=0.02, rng=0)
maps = obs.dvarnet.reconstruct(xdvarnet.load_model("currents-twin"))
maps

# %%
# Geostrophic currents of a map
# -----------------------------
# They are what one has without such a network: ``geostrophic`` differentiates a map of heights.
# The twin ocean has the Coriolis parameter and the degree of longitude of its central latitude
# everywhere, so those of the rows are replaced by these.
sea = SEAS["gulf-stream"]
latitude, central = np.deg2rad(truth["lat"]), np.deg2rad(sea.latitude)


def geostrophic(fields: xr.Dataset) -> xr.Dataset:
    """Return u and v from heights, in the geometry of the twin ocean."""
    found = fields[["ssh"]].dvarnet.geostrophic() * np.sin(latitude) / np.sin(central)
    narrower = np.cos(latitude) / np.cos(central)
    return xr.Dataset({"u": found["ugosa"], "v": found["vgosa"] * narrower})


def divergence(each: xr.Dataset) -> xr.DataArray:
    """Return the divergence of currents over the Coriolis parameter."""
    eastward = each["u"].differentiate("lon") / np.cos(central)
    return (eastward + each["v"].differentiate("lat")) / 111.2e3 / sea.f0


# %%
# Errors
# ------
# The kinetic energy of the error, in percent of that of the truth, over the days in the middle; and
# the divergence, in percent of the Coriolis parameter. Geostrophic currents have none here. That of
# the truth is mostly an error of differences over 5 km. The network was not told that currents
# hardly diverge: it had to learn that.
middle = {"time": slice(5, 25)}
currents = {
    "truth": truth[["u", "v"]],
    "geostrophic, of the true height": geostrophic(truth),
    "geostrophic, of the mapped height": geostrophic(maps),
    "mapped": maps[["u", "v"]],
}
energy = (truth["u"] ** 2 + truth["v"] ** 2).isel(middle).mean()
table = {}
for name, each in currents.items():
    wrong = (each - truth[["u", "v"]]).isel(middle)
    lost = (wrong["u"] ** 2 + wrong["v"] ** 2).mean() / energy
    table[name] = {
        "kinetic energy of the error (%)": 100 * float(lost),
        "divergence (% of f)": 100 * float(divergence(each).isel(middle).std()),
    }
pd.DataFrame(table).T.round(1)

# %%
# Truth and maps of a day
# -----------------------
# Above, the speed of the surface currents. Below, the pressure of the deep layer, as a height.
day = str(truth["time"].values[15])[:10]
speeds = {"truth": truth, "geostrophic": geostrophic(maps), "mapped": maps}
figure, axes = plt.subplots(
    2, 3, figsize=(13, 8), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
for (name, each), ax in zip(speeds.items(), axes[0], strict=True):
    shown = np.hypot(each["u"], each["v"]).to_dataset(name="speed")
    colours = {"cmap": "cmo.speed", "vmin": 0, "vmax": 1.2, "colorbar": False}
    shown.dvarnet.plot_map("speed", time=day, ax=ax, title=f"speed, {name}", **colours)
for (name, each), ax in zip({"truth": truth, "mapped": maps}.items(), axes[1, ::2], strict=True):
    colours = {"vmin": -0.2, "vmax": 0.2, "colorbar": False}
    each.dvarnet.plot_map("ssh_lower", time=day, ax=ax, title=f"deep layer, {name}", **colours)
near = obs.isel(time=slice(12, 19))
tracks = {"vmin": -0.8, "vmax": 0.8, "title": "heights of 7 days, up to 0.8 m", "colorbar": False}
near.dvarnet.plot_tracks("ssh", ax=axes[1, 1], **tracks)
for row, text, ends in zip(axes, ("speed (m/s)", "deep layer (m)"), ("max", "both"), strict=True):
    figure.colorbar(row[0].collections[0], ax=row, label=text, extend=ends, shrink=0.9)
plt.show()
