"""
A week of satellites
====================

What is known of the ocean after a week: heights below four nadir altimeters, heights in the swath
of SWOT, and temperatures where there was no cloud.
"""

# %%
# Three observing systems
# -----------------------
# The missions fly their own orbits over the twin ocean. A nadir altimeter measures once a second,
# with an error of 2 cm; SWOT measures two strips of 50 km beside its track, and a line below it. An
# infrared radiometer sees the temperature of every cell, with an error of 0.4 K, unless there is
# a cloud: on average 70 % of the sea is cloudy, in systems that move and last some days.
# ``CombinedSystem`` puts the heights of the one and the temperatures of the other together.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import pandas as pd

import xdvarnet
from xdvarnet.observing.clouds import CloudySST
from xdvarnet.observing.combined import CombinedSystem

ocean = xdvarnet.datasets.twin_ocean(days=30, seed=100)
week = ocean.isel(time=slice(12, 19))
nadirs = ["jason3", "sentinel3a", "sentinel3b", "saral"]
altimeters = xdvarnet.ObservingSystem(nadirs, noise=0.02)
swath = xdvarnet.ObservingSystem([*nadirs, "swot_nadir", "swot"], noise=0.02)
clouds = CloudySST(noise=0.4, cover=0.7)

obs = CombinedSystem({"ssh": altimeters, "sst": clouds}).observe(week, rng=0)
with_swot = CombinedSystem({"ssh": swath}).observe(week, rng=0)

# %%
# The week in one picture
# -----------------------
# Cells that were seen on several days have the mean of these. White is what nobody saw.
day = str(week["time"].values[3])[:10]
height, warmth = {"vmin": -0.8, "vmax": 0.8}, {"vmin": 14, "vmax": 28}
figure, axes = plt.subplots(
    2, 3, figsize=(15, 8), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
plain = {"colorbar": False}
week.dvarnet.plot_map("ssh", time=day, ax=axes[0, 0], title=f"truth, {day}", **height, **plain)
obs.dvarnet.plot_tracks("ssh", ax=axes[0, 1], title="four nadirs, the week", **height, **plain)
with_swot.dvarnet.plot_tracks("ssh", ax=axes[0, 2], title="and SWOT", **height, **plain)
week.dvarnet.plot_map("sst", time=day, ax=axes[1, 0], title=f"truth, {day}", **warmth, **plain)
one_day = obs.sel(time=[day])
one_day.dvarnet.plot_map("sst", ax=axes[1, 1], title=f"clear sky, {day}", **warmth, **plain)
mean = obs[["sst"]].mean("time", keep_attrs=True)
mean.dvarnet.plot_map("sst", ax=axes[1, 2], title="clear sky, the week", **warmth, **plain)
for row, text in zip(axes, ("sea surface height (m)", "temperature (degC)"), strict=True):
    figure.colorbar(row[0].collections[0], ax=row, label=text, extend="both", shrink=0.9)
plt.show()

# %%
# How much is seen
# ----------------
# Percent of the cells: on a day, and at least once in the week. Heights are sparse, and no cloud
# hides them. Temperatures are dense, with gaps of days; this week is clearer than most.
seen = {
    "four nadirs": obs["ssh"].notnull(),
    "and SWOT": with_swot["ssh"].notnull(),
    "temperature": obs["sst"].notnull(),
}
shares = {name: (each.mean(), each.any("time").mean()) for name, each in seen.items()}
pd.DataFrame(shares, ["a day", "the week"]).astype(float).mul(100).round().T
