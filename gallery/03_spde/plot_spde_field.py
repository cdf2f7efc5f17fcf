"""
Samples and posteriors of a Gaussian field
==========================================

A Gaussian field may be given by the stochastic equation that it solves, instead of a covariance
function: advection, diffusion and damping, forced by noise. Land is then land, and anisotropy and
propagation are a matter of coefficients. ``SPDEField`` samples such fields, and conditions them on
observations exactly.
"""

# %%
# Samples of the prior
# --------------------
# All have a correlation length of 60 km, a correlation time of 10 days and a standard deviation of
# 8 cm, also beside the coast. The second is three times longer along an axis 30 degrees from east
# than across it; in the third, features go to the east by 20 cm/s.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy as np

import xdvarnet
from xdvarnet import SPDEField

sea = xdvarnet.datasets.mediterranean().isel(lat=slice(56, 94), lon=slice(60, 108))
days = sea.sel(time=slice("2005-06-14", "2005-06-16"))
scales = {"correlation_length": "60 km", "correlation_time": "10 days", "std": 0.08, "noise": 0.02}
fields = {
    "isotropic": SPDEField(**scales),
    "anisotropic": SPDEField(**scales, anisotropy=3.0, angle=30.0),
    "propagating": SPDEField(**scales, advection=(0.2, 0.0)),
}
shown = {"vmin": -0.2, "vmax": 0.2, "colorbar": False}
figure, axes = plt.subplots(
    2, 3, figsize=(13, 6.5), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
for (name, field), column in zip(fields.items(), axes.T, strict=True):
    draw = field.sample(days, members=1, rng=4).isel(member=0)
    for day, ax in zip(("2005-06-14", "2005-06-16"), column, strict=True):
        draw.dvarnet.plot_map("ssh", time=day, ax=ax, title=f"{name}, {day}", **shown)
figure.colorbar(axes[0, 0].collections[0], ax=axes, label="sample of the prior (m)", shrink=0.8)

# %%
# The posterior given tracks
# --------------------------
# Three altimeters observe the truth. As a reconstructor the field is kriging: mean, standard
# deviation and members are those of the exact Gaussian posterior. Where there was no track, the
# members differ from each other; on the tracks they agree.
obs = days.dvarnet.observe(["jason1", "envisat", "gfo"], noise=0.02, rng=5)
model = SPDEField(correlation_length="75 km", correlation_time="15 days", std=0.05, noise=0.02)
maps = obs.dvarnet.reconstruct(model, members=4, return_members=True, rng=0)

figure, axes = plt.subplots(
    2, 4, figsize=(15, 6), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
day, height = "2005-06-15", {"vmin": -0.25, "vmax": 0.25, "colorbar": False}
days.dvarnet.plot_map("ssh", time=day, ax=axes[0, 0], title="truth", **height)
obs.dvarnet.plot_tracks("ssh", ax=axes[0, 1], title="observations of 3 days", **height)
maps.dvarnet.plot_map("ssh", time=day, ax=axes[0, 2], title="posterior mean", **height)
std = {"vmin": 0, "vmax": 0.05, "colorbar": False}
maps.dvarnet.plot_map("ssh_std", time=day, ax=axes[0, 3], title="posterior spread", **std)
members = maps[["ssh_members"]].rename(ssh_members="ssh")
for number, ax in enumerate(axes[1]):
    member = members.isel(member=number)
    member.dvarnet.plot_map("ssh", time=day, ax=ax, title=f"member {number + 1}", **height)
for ax, row, label in (
    (axes[0, 3], axes[0], "standard deviation (m)"),
    (axes[0, 0], axes[1], "sea surface height (m)"),
):
    figure.colorbar(ax.collections[0], ax=row, label=label, shrink=0.8)

# %%
# Is the spread as large as the error?
# ------------------------------------
# In each cell, the error over the standard deviation should have the size 1. On one window of three
# days, and with scales that were not tuned for it, that is only a first look.
error = (maps["ssh"] - days["ssh"]) / maps["ssh_std"]
print(f"root mean square of error over standard deviation: {float(np.sqrt((error**2).mean())):.2f}")
plt.show()
