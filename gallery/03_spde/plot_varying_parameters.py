"""
A field whose parameters vary in space
======================================

Eddies are longer along a current than across it, and drift at a speed that depends on the latitude.
The parameters of ``SPDEField`` may be maps, so that one field is different things at different
places.
"""

# %%
# Maps of parameters
# ------------------
# An axis that turns around a point of the Ionian Sea, along which features are up to four times
# longer than across it; and a propagation, westward in the north and eastward in the south. Each is
# an array with latitude and longitude, on a grid of its own if need be: it is interpolated to that
# of the field.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

import xdvarnet
from xdvarnet import SPDEField

sea = xdvarnet.datasets.mediterranean()["sea"].sel(lat=slice(30, 39), lon=slice(14, 27))
sea = sea.isel(lat=slice(None, None, 2), lon=slice(None, None, 2))
east, north = sea["lon"].drop_attrs() - 19.5, sea["lat"].drop_attrs() - 34.5
distance = np.hypot(0.82 * east, north)  # degrees of latitude
parameters = xr.Dataset(
    {
        "anisotropy": 1 + 3 * np.exp(-(((distance - 2.5) / 1.5) ** 2)),
        "angle": 90 + np.rad2deg(np.arctan2(north, 0.82 * east)),
        "propagation": 0.08 * -np.tanh(north) + 0 * east,
    }
).transpose("lat", "lon")
parameters["anisotropy"].attrs["long_name"] = "anisotropy"
parameters["propagation"].attrs |= {"long_name": "eastward propagation", "units": "m/s"}
field = SPDEField(
    correlation_length="70 km",
    correlation_time="20 days",
    std=0.08,
    noise=0.02,
    anisotropy=parameters["anisotropy"],
    angle=parameters["angle"],
    advection=(parameters["propagation"], 0.0),
)

# %%
# Samples
# -------
# The bars are along the axis, and as long as the anisotropy. Coordinates suffice to sample; the
# standard deviation is 8 cm everywhere, also where the anisotropy is high and beside the coast.
# After five days the features in the south have moved to the east, and those in the north to the
# west, by some 35 km.
grid = xr.Dataset(coords={"time": pd.date_range("2005-06-01", periods=6), "sea": sea})
draws = field.sample(grid, members=2, rng=1)

figure, axes = plt.subplots(
    2, 3, figsize=(14, 7), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
shown = parameters.assign_coords(sea=sea)
shown.dvarnet.plot_map(
    "anisotropy", ax=axes[0, 0], cmap="cmo.amp", vmin=1, vmax=4, title="anisotropy and its axis"
)
thin = parameters.isel(lat=slice(1, None, 4), lon=slice(1, None, 4))
thin = thin.where(sea.isel(lat=slice(1, None, 4), lon=slice(1, None, 4)))
along = [thin["anisotropy"] * wave(np.deg2rad(thin["angle"])) for wave in (np.cos, np.sin)]
bars = {"pivot": "mid", "headwidth": 0, "headlength": 0, "headaxislength": 0, "scale": 60}
axes[0, 0].quiver(thin["lon"], thin["lat"], *along, zorder=4, width=0.004, **bars)
shown.dvarnet.plot_map(
    "propagation", ax=axes[1, 0], vmin=-0.1, vmax=0.1, title="eastward propagation"
)
height = {"vmin": -0.2, "vmax": 0.2, "colorbar": False}
for member, row in enumerate(axes[:, 1:]):
    for day, ax in zip(("2005-06-01", "2005-06-06"), row, strict=True):
        draw = draws.isel(member=member)
        draw.dvarnet.plot_map("ssh", time=day, ax=ax, title=f"sample {member + 1}, {day}", **height)
figure.colorbar(ax.collections[0], ax=axes[:, 1:], label="sample of the prior (m)", shrink=0.8)
plt.show()
