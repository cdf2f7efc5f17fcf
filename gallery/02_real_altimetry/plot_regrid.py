"""
From a model's curvilinear grid to a regular one
================================================

Ocean models such as NEMO have longitudes and latitudes that depend on both indices. Conservative
regridding brings their fields to a regular grid, and keeps the integral over the sea.
"""

# %%
# A field on a turned grid
# ------------------------
# Model output is opened with ``xarray.open_dataset``. To run offline, a map of the Mediterranean
# Sea that comes with the package is interpolated to a grid of about 1/10 degree that is turned by
# 20 degrees, with the names of NEMO.
import cartopy.crs as ccrs
import cmocean
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import xdvarnet
from xdvarnet.grids.regrid.fields import regrid_weights

known = xdvarnet.datasets.mediterranean().sel(time="2005-06-15")
along, across = np.meshgrid(np.arange(-9, 9, 0.11), np.arange(-6, 6, 0.09))
turn, middle = np.deg2rad([20, 40])
latitude = 40 + along * np.sin(turn) + across * np.cos(turn)
longitude = 7 + (along * np.cos(turn) - across * np.sin(turn)) / np.cos(middle)
turned = {"nav_lat": (("y", "x"), latitude), "nav_lon": (("y", "x"), longitude)}
model = known.dvarnet.regrid(xr.Dataset(coords=turned), method="linear")
model

# %%
# To 1/4 degree
# -------------
# ``conservative_normed`` gives the mean of the part of a cell that is sea, which is what a map
# shows. ``conservative`` gives less where a cell is partly land, and keeps the integral: the volume
# of water above the geoid, here negative. The weights depend on the grids alone: compute them once,
# and keep them with ``to_netcdf``.
target = xr.Dataset(
    coords={"lat": np.arange(36.125, 44.5, 0.25), "lon": np.arange(0.125, 14, 0.25)}
)
normed = model.dvarnet.regrid(target, method="conservative_normed")

weights = regrid_weights(model, target, method="conservative")
conserved = model.dvarnet.regrid(target, method="conservative", weights=weights)
shared = weights["area_a"] * weights["frac_a"]  # steradians, as in the weight files of ESMF
before = (model["ssh"].values.ravel() * shared).sum().item()
after = (conserved["ssh"].values.ravel() * weights["area_b"]).sum().item()
volume = 6371.0**2 * before / 1000  # the radius of the Earth is 6371 km
print(f"volume {volume:.3f} km3, relative change {after / before - 1:.0e}")

# %%
# On the left, every tenth line of the turned grid; grey is land, and what is outside.
figure, axes = plt.subplots(
    1, 2, figsize=(13, 5), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
limits = {"vmin": -0.25, "vmax": 0.25}
axes[0].set_facecolor("0.72")
axes[0].set_title("turned grid, about 1/10 degree")
axes[0].gridlines(draw_labels=["left", "bottom"], color="none")
axes[0].pcolormesh(longitude, latitude, model["ssh"], cmap=cmocean.cm.balance, **limits)
for lines in ((longitude[::10].T, latitude[::10].T), (longitude[:, ::10], latitude[:, ::10])):
    axes[0].plot(*lines, color="0.4", linewidth=0.3)
normed.dvarnet.plot_map("ssh", ax=axes[1], title="1/4 degree", colorbar=False, **limits)
drawn = axes[1].collections[0]
figure.colorbar(drawn, ax=axes, label="sea surface height (m)", extend="both", shrink=0.8)
plt.show()
