"""
An ocean where everything is known
==================================

``twin_ocean`` simulates eddies of the Gulf Stream region: two layers of fluid on a rotating plane,
which take their energy from a mean current, and stir the temperature of the surface. Heights,
temperatures and currents belong together, as they do in the ocean.
"""

# %%
# Thirty days on a grid of 5 km
# -----------------------------
# The square is 1280 km wide and has no coast. What leaves it in the east comes back in the west,
# and likewise in the north: its longitudes are only a label. Each ``seed`` makes another ocean of
# the same statistics. Simulated once, it is kept on disk.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation

import xdvarnet
from xdvarnet.diagnostics import relative_vorticity

ocean = xdvarnet.datasets.twin_ocean(days=30, seed=100)
ocean

# %%
# Fifteen of the days
# -------------------
# Cyclones, which turn counterclockwise, have a low height and a positive vorticity. They pinch off
# from the meanders, drift, merge, and pull threads of warm and cold water around them: the
# temperature shows the currents, but it is not a function of the height. The vorticity is that of
# the surface current, relative to the Coriolis parameter.
currents = ocean[["u", "v"]].rename(u="ugos", v="vgos")
shown = ocean[["ssh", "sst"]].assign(vorticity=relative_vorticity(currents))
shown["ssh"].attrs["long_name"] = "sea surface height"
shown["vorticity"].attrs["long_name"] = "relative vorticity / f"
shown = shown.isel(time=slice(0, 30, 2), lat=slice(None, None, 2), lon=slice(None, None, 2))
limits = {
    "ssh": {"vmin": -0.8, "vmax": 0.8},
    "sst": {"vmin": 14, "vmax": 28},
    "vorticity": {"vmin": -0.5, "vmax": 0.5, "cmap": "cmo.curl"},
}
projection = {"projection": ccrs.PlateCarree()}
figure, axes = plt.subplots(
    1, 3, figsize=(14, 4), dpi=75, layout="constrained", subplot_kw=projection
)
first = shown.isel(time=[0])
for name, ax in zip(limits, axes, strict=True):
    first.dvarnet.plot_map(name, ax=ax, **limits[name])


def draw(frame: int) -> list:
    """Show a day: the colours of the maps change, and nothing else."""
    day = shown.isel(time=frame)
    for name, ax in zip(limits, axes, strict=True):
        ax.collections[0].set_array(day[name].values)
        ax.set_title(str(day["time"].values)[:10])
    return [ax.collections[0] for ax in axes]


animation = FuncAnimation(figure, draw, frames=shown.sizes["time"], interval=250)
plt.show()

# %%
# Numbers to compare with the ocean
# ---------------------------------
# Standard deviations about the mean of each row. Heights vary by 23 cm and each component of the
# currents by more than 30 cm/s, as in the energetic part of the Gulf Stream region. The deep layer
# moves too; its pressure is given as a height, ``ssh_lower``, and no satellite sees it.
departure = ocean - ocean.mean(("time", "lon"))
{f"{name} ({ocean[name].units})": round(float(departure[name].std()), 2) for name in ocean}
