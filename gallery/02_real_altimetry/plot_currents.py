"""
Currents, energy and a product file
===================================

From maps of sea surface height follow the geostrophic currents, their eddy kinetic energy and their
vorticity; and the maps are written in the form of the DUACS products.
"""

# %%
# Currents of a map
# -----------------
# These are daily maps that come with the package; those of ``reconstruct``, or of a product opened
# with ``xarray.open_dataset``, are treated in the same way.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt

import xdvarnet
from xdvarnet.diagnostics import eddy_kinetic_energy, relative_vorticity

maps = xdvarnet.datasets.mediterranean().sel(lon=slice(-6, 10), lat=slice(35, 45))
currents = maps.dvarnet.geostrophic()
currents

# %%
# The eddy kinetic energy is that of the departures from the mean current of the period. These are
# three months of spring; climatologies take years. The vorticity is divided by the Coriolis
# parameter, and positive in cyclones. Next to land the differences lack a neighbour, and there is
# no value. The energy at this resolution is that of the smooth maps, and less than that of the sea.
day = "2005-06-15"
energy = 1e4 * eddy_kinetic_energy(currents).mean("time")
fields = maps[[]].assign(
    vorticity=relative_vorticity(currents).sel(time=day),
    energy=energy.assign_attrs(long_name="eddy kinetic energy", units="cm$^2$ s$^{-2}$"),
)
figure, axes = plt.subplots(
    1, 3, figsize=(16, 4.6), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
maps.dvarnet.plot_map("ssh", time=day, ax=axes[0], title=f"height and currents, {day}")
thin = currents.sel(time=day).isel(lat=slice(None, None, 4), lon=slice(None, None, 4))
arrows = axes[0].quiver(*[thin[name] for name in ("lon", "lat", "ugos", "vgos")], scale=8, zorder=4)
axes[0].quiverkey(arrows, 0.1, 0.88, 0.5, "0.5 m/s")
fields.dvarnet.plot_map("vorticity", ax=axes[1], title=f"vorticity, {day}")
fields.dvarnet.plot_map("energy", ax=axes[2], cmap="cmo.amp", vmin=0, title="April to June 2005")
plt.show()

# %%
# A product file
# --------------
# Names, attributes and packing are those of the Level-4 files of the Copernicus Marine Service, so
# that other tools of altimetry read it: ``product.to_netcdf("maps.nc")``.
product = maps.sel(time=["2005-06-14", "2005-06-15"]).dvarnet.to_duacs()
product
