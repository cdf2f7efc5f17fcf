"""
An ensemble of maps
===================

A map of gappy observations has an error, and the error of one cell is that of its neighbours. An
ensemble says both how large it may be and what it may look like: each member is a sea that agrees
with the observations as well as the truth does.
"""

# %%
# Members of a trained model
# --------------------------
# ``med-ssh`` comes with its calibration, so members are there for the asking. They are drawn over
# the whole domain at once, and the same ``rng`` gives the same members.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy as np

import xdvarnet

known = xdvarnet.datasets.mediterranean().sel(lat=slice(35, 45), lon=slice(-1, 17))
days = known.sel(time=slice("2005-05-31", "2005-06-30"))
obs = days.dvarnet.observe(["jason1", "envisat", "gfo", "topex_interleaved"], noise=0.02, rng=0)
model = xdvarnet.load_model("med-ssh")
maps = obs.dvarnet.reconstruct(model, members=20, return_members=True, rng=0)

day = "2005-06-15"
figure, axes = plt.subplots(
    2, 4, figsize=(16, 5.4), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
height, std = {"vmin": -0.25, "vmax": 0.25, "colorbar": False}, {"vmin": 0, "vmax": 0.02}
near = obs.sel(time=slice("2005-06-14", "2005-06-16"))
near.dvarnet.plot_tracks("ssh", ax=axes[0, 0], title="observations of 3 days", **height)
days.dvarnet.plot_map("ssh", time=day, ax=axes[0, 1], title="truth", **height)
maps.dvarnet.plot_map("ssh", time=day, ax=axes[0, 2], title="mean", **height)
maps.dvarnet.plot_map(
    "ssh_std", time=day, ax=axes[0, 3], title="standard deviation", colorbar=False, **std
)
members = maps[["ssh_members"]].rename(ssh_members="ssh")
for number, ax in enumerate(axes[1]):
    member = members.isel(member=number)
    member.dvarnet.plot_map("ssh", time=day, ax=ax, title=f"member {number + 1}", **height)
for ax, row, label in (
    (axes[0, 3], axes[0], "standard deviation (m)"),
    (axes[0, 1], axes[1], "sea surface height (m)"),
):
    figure.colorbar(ax.collections[0], ax=row, label=label, extend="max", shrink=0.8)
plt.show()

# %%
# What the error looks like
# -------------------------
# In a square of 50 x 50 cells, the departures of three members from the mean. Truth minus mean is
# the error of the map, which only a twin experiment knows: it should look like one more member. It
# is somewhat smoother, and longer from west to east. The last two panels draw from the same
# standard deviation in each cell independently, which is all that can be done with methods that
# give no more: they have the size of the error, and nothing of its shape.
square = {"lat": slice(8, 58), "lon": slice(52, 102)}
mean, truth, spread = (
    each.sel(time=day).isel(square) for each in (maps["ssh"], days["ssh"], maps["ssh_std"])
)
rng = np.random.default_rng(0)
anomalies = [member - mean for member in members["ssh"].sel(time=day).isel(square)[:3]]
pixels = [spread * rng.standard_normal(spread.shape) for _ in range(2)]
shown = {f"member {number} minus mean": each for number, each in enumerate(anomalies, 1)}
shown |= {"truth minus mean": truth - mean}
shown |= {f"independent cells, draw {number}": each for number, each in enumerate(pixels, 1)}
figure, axes = plt.subplots(
    2, 3, figsize=(12, 7), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
for (title, each), ax in zip(shown.items(), axes.flat, strict=True):
    field = (100 * each).assign_attrs(long_name="departure").to_dataset(name="departure")
    field.dvarnet.plot_map("departure", ax=ax, vmin=-4, vmax=4, title=title, colorbar=False)
figure.colorbar(ax.collections[0], ax=axes, label="departure (cm)", extend="both", shrink=0.8)
plt.show()
