"""
From along-track files to scored maps
=====================================

Level-3 products hold sea surface height along the tracks of altimeters. Here the tracks of four
missions are brought to one convention, averaged on a grid, and mapped without one of the missions;
that one then scores the maps.
"""

# %%
# Real files are opened with ``xarray.open_mfdataset`` or ``copernicusmarine.open_dataset``. To run
# offline, this script simulates them: orbits of 2005 over the daily maps that come with the
# package, with a noise of 2 cm in each measurement, one a second. Names and longitudes are those of
# the products: the height is ``sla_unfiltered + mdt``, and the long-wavelength correction ``lwe``
# is zero here.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

import xdvarnet
from xdvarnet.observing.fly import fly

known = xdvarnet.datasets.mediterranean().sel(lon=slice(-6, 16))
fields = known.rename(ssh="adt").assign(mdt=known["ssh"].mean("time"))
rng = np.random.default_rng(0)


def simulate(mission: str) -> xr.Dataset:
    """Return the Level-3 points of a mission in June 2005, with the names of the products."""
    points = fly(mission, "2005-06-01", "2005-07-01", phase=0.3, region=(-6, 16, 30, 46))
    track = fields.dvarnet.sample_tracks(points).dropna("time")
    noise = rng.normal(0, 0.02, track.sizes["time"])
    metres = {"units": "m"}
    return xr.Dataset(
        {
            "sla_unfiltered": ("time", (track["adt"] - track["mdt"]).data + noise, metres),
            "mdt": ("time", track["mdt"].data, metres),
            "lwe": ("time", np.zeros_like(noise), metres),
            "mission": ("time", np.full(noise.size, mission)),
        },
        track.assign_coords(longitude=track["longitude"] % 360).coords,
    )


missions = ["jason1", "envisat", "gfo", "topex_interleaved"]
level3 = xr.concat([simulate(mission) for mission in missions], "time")
level3

# %%
# ``harmonise`` finds the variables, adds ``ssh = sla + mdt``, and says what it did.
tracks = level3.dvarnet.harmonise()
print(tracks.attrs["xdvarnet_harmonised"].replace("; ", "\n"))

# %%
# One mission is withheld. The others are averaged in the cells and days of a grid; a day lasts from
# noon to noon around its midnight, as in the maps of the Copernicus Marine Service.
withheld = tracks.isel(time=tracks["mission"] == "gfo")
june = known.sel(time="2005-06")
obs = tracks.isel(time=tracks["mission"] != "gfo").dvarnet.bin_tracks(june)[["ssh"]]

# %%
# The scores are those of the mapping challenge 2021a: ``mu`` is the mean over days of ``1 - rms
# error / rms of the truth``, and ``sigma`` its spread. The noise of the withheld mission, 2 cm, is
# part of ``rmse`` (m). Without it, both are about 1 cm from the simulated sea, itself a map and
# smoother than the ocean: small differences between methods are hard to see along noisy tracks.
# Lengths and noise of the interpolation are those that predict each pass best from the others.
background = xdvarnet.mapping.ObservedBackground()
seen = tracks.isel(time=tracks["mission"] != "gfo")
oi = xdvarnet.OptimalInterpolation.fit(seen, june, covariance="gaussian", background=background)
print(oi)
network = xdvarnet.load_model("med-ssh").with_options(background=background)
maps, scores = {}, {}
for name, model in {"optimal interpolation": oi, "4DVarNet": network}.items():
    maps[name] = obs.dvarnet.reconstruct(model).sel(time=slice("2005-06-08", "2005-06-23"))
    scores[name] = maps[name].dvarnet.score(withheld, kind="ose2021a").to_pandas()
pd.DataFrame(scores).T[["mu", "sigma", "rmse", "n_points", "n_days"]].round(4)

# %%
day, week = "2005-06-15", slice("2005-06-12", "2005-06-18")
limits = {"vmin": -0.25, "vmax": 0.25}
error = 100 * (maps["4DVarNet"].dvarnet.sample_tracks(withheld)[["ssh"]] - withheld[["ssh"]])
error["ssh"].attrs = {"long_name": "4DVarNet minus withheld mission", "units": "cm"}
figure, axes = plt.subplots(
    2, 2, figsize=(12, 7.5), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
tracks.sortby("time").sel(time=week).dvarnet.plot_tracks("ssh", ax=axes[0, 0], **limits)
obs.sel(time=week).dvarnet.plot_tracks("ssh", ax=axes[0, 1], **limits)
maps["4DVarNet"].dvarnet.plot_map("ssh", time=day, ax=axes[1, 0], **limits)
error.dvarnet.plot_tracks("ssh", ax=axes[1, 1], vmin=-10, vmax=10)
titles = ["points of a week", "cells, without one mission", "map of 15 June", "8 to 23 June"]
land = known.sel(time=day).where(False)  # points have none
for ax, title in zip(axes.flat, titles, strict=True):
    land.dvarnet.plot_map("ssh", ax=ax, title=title, colorbar=False)
plt.show()
