"""
Heights from tracks, and from temperatures too
==============================================

The temperature of the surface shows fronts and eddies between the tracks of altimeters, wherever
there is no cloud. A network that maps heights and temperatures at once can use it.
"""

# %%
# Two networks, the same tracks
# -----------------------------
# ``ssh-twin`` is given the heights of four altimeters, ``ssh-sst-twin`` the same heights and the
# temperatures of clear sky. Temperature is no function of the height: it is stirred by the currents
# and remembers where the water came from. What they have to do with each other was learned from
# simulations of other oceans.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import xdvarnet
from xdvarnet.observing.clouds import CloudySST
from xdvarnet.observing.combined import CombinedSystem

ocean = xdvarnet.datasets.twin_ocean(days=30, seed=100)
truth = ocean[["ssh", "sst"]].isel(lat=slice(64, 192), lon=slice(64, 192))
truth["ssh"].attrs["long_name"] = "sea surface height"
nadirs = ["jason3", "sentinel3a", "sentinel3b", "saral"]
system = CombinedSystem(
    {"ssh": xdvarnet.ObservingSystem(nadirs, noise=0.02), "sst": CloudySST(noise=0.4)}
)
obs = system.observe(truth, rng=0)
maps = {
    "heights alone": obs[["ssh"]].dvarnet.reconstruct(xdvarnet.load_model("ssh-twin")),
    "heights and temperatures": obs.dvarnet.reconstruct(xdvarnet.load_model("ssh-sst-twin")),
}

# %%
# Scores of the height
# --------------------
# Of the days in the middle, which have observations before and after; errors are in cm, and cm per
# 100 km.
middle = slice(5, 25)
table = {}
for name, each in maps.items():
    scores = each.isel(time=middle).dvarnet.score(truth, variable="ssh")
    table[name] = {
        "error (cm)": 100 * float(scores["rmse"]),
        "error of the gradient": 100 * float(scores["gradient_rmse"]),
        "explained variance": float(scores["explained_variance"]),
    }
pd.DataFrame(table).T.round(3)

# %%
# A day, and all days
# -------------------
# Above what was seen, below the errors of both maps on one day, and at the right those of each day.
day = str(truth["time"].values[15])[:10]
near, clear = obs.isel(time=slice(12, 19)), obs.sel(time=[day])
figure, axes = plt.subplot_mosaic(
    [["tracks", "clear", "series"], ["heights alone", "heights and temperatures", "series"]],
    figsize=(15, 8),
    layout="constrained",
    per_subplot_kw={tuple(["tracks", "clear", *maps]): {"projection": ccrs.PlateCarree()}},
)
near.dvarnet.plot_tracks("ssh", ax=axes["tracks"], vmin=-0.8, vmax=0.8, title="tracks of 7 days")
clear.dvarnet.plot_map("sst", ax=axes["clear"], vmin=16, vmax=26, title=f"clear sky, {day}")
for name, each in maps.items():
    error = (100 * (each[["ssh"]] - truth[["ssh"]])).isel(time=middle)
    error["ssh"].attrs = {"long_name": "error of the height", "units": "cm"}
    error.dvarnet.plot_map("ssh", time=day, ax=axes[name], vmin=-20, vmax=20, title=name)
    daily = np.sqrt((error["ssh"] ** 2).mean(("lat", "lon")))
    axes["series"].plot(daily["time"].dt.day, daily, "o-", label=name)
axes["series"].set(
    xlabel="day of January", ylabel="root mean square error of the height (cm)", ylim=(0, None)
)
axes["series"].set_xticks(range(6, 26, 3))
axes["series"].legend()
plt.show()
