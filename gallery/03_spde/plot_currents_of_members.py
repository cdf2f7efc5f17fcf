"""
Errors of currents, from 200 members
====================================

A standard deviation of height says nothing of the error of the currents, which are differences
between neighbouring cells: that depends on how alike their errors are. Members have it built in:
what is computed of each of them has a spread.
"""

# %%
# Currents of each member
# -----------------------
# ``geostrophic`` takes the members as it takes one map.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import xdvarnet

known = xdvarnet.datasets.mediterranean().sel(lat=slice(30.5, 39), lon=slice(22, 36.5))
days = known.sel(time=slice("2005-06-06", "2005-06-24"))
obs = days.dvarnet.observe(["jason1", "envisat", "gfo", "topex_interleaved"], noise=0.02, rng=0)
maps = obs.dvarnet.reconstruct(
    xdvarnet.load_model("med-ssh"), members=200, return_members=True, rng=0
)
day = "2005-06-15"
members = maps[["ssh_members"]].sel(time=day).rename(ssh_members="ssh")
currents, truth = members.dvarnet.geostrophic(), days.sel(time=day).dvarnet.geostrophic()

# %%
# Maps of both spreads
# --------------------
# The spread of the height is small along the tracks of the month. That of the eastward current has
# its own pattern, and so has its error.
spread = members.std("member", ddof=1).rename(ssh="height")
spread["height"] = (100 * spread["height"]).assign_attrs(
    long_name="standard deviation of the height", units="cm"
)
spread["current"] = (100 * currents["ugos"].std("member", ddof=1)).assign_attrs(
    long_name="standard deviation of the eastward current", units="cm/s"
)
spread["error"] = (100 * (currents["ugos"].mean("member") - truth["ugos"])).assign_attrs(
    long_name="error of the eastward current", units="cm/s"
)
figure, axes = plt.subplots(
    1, 3, figsize=(16, 4), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
for name, ax in zip(("height", "current", "error"), axes, strict=True):
    limits = {"vmin": -15, "vmax": 15} if name == "error" else {"vmin": 0}
    spread.dvarnet.plot_map(name, ax=ax, title=spread[name].attrs["long_name"], **limits)
plt.show()

# %%
# Is it the right size?
# ---------------------
# Spread and error of the eastward current, root mean squares over the map, in cm/s. The members are
# a little rougher than the error. Members that have the same standard deviation of the height, but
# are independent from cell to cell, are wrong by far more.
independent = members["ssh"].mean("member") + maps["ssh_std"].sel(time=day) * xr.DataArray(
    np.random.default_rng(0).standard_normal(members["ssh"].shape), dims=members["ssh"].dims
)
wild = independent.to_dataset(name="ssh").dvarnet.geostrophic()["ugos"]
sizes = {
    "error": spread["error"],
    "spread of the members": spread["current"],
    "spread of independent cells": 100 * wild.std("member", ddof=1),
}
{name: round(float(np.sqrt((each**2).mean())), 1) for name, each in sizes.items()}
