"""
One cycle of SWOT
=================

SWOT measures a swath of 10 to 60 km on both sides of its track, and the nadir below it. Here both
fly for one cycle of 21 days over the western Mediterranean Sea, with the noise of the
interferometer, KaRIn.
"""

# %%
# Where it measures
# -----------------
# ``fly`` gives the points of a mission without values: of an altimeter along its track, of a swath
# with the dimensions of lines and of pixels, 2 km apart. Both are on one satellite, and so have one
# ``phase``. Their values are those of the daily maps that come with the package, plus a noise. Real
# passes of the Level-3 product are opened with ``xarray.open_dataset``, and brought to one
# convention with ``harmonise``.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy as np

import xdvarnet
from xdvarnet.observing.fly import fly
from xdvarnet.observing.noise import KarinNoise

known = xdvarnet.datasets.mediterranean().sel(lon=slice(-6, 10), lat=slice(35, 45))
period = "2005-06-01", "2005-06-22"
region = (-6, 10, 35, 45)
swath = known.dvarnet.sample_tracks(fly("swot", *period, phase=0.4, region=region))
nadir = known.dvarnet.sample_tracks(fly("swot_nadir", *period, phase=0.4, region=region))
swath

# %%
# The noise of the pixels
# -----------------------
# It grows from the middle of each half of the swath to its borders, and with the waves. Here each
# pixel of 2 km has an independent error in waves of 2 m; the slow errors of the satellite's
# attitude (``roll``, ``phase``), which are correlated along the track, are left out.
karin = KarinNoise(significant_wave_height=2.0)
distance = swath["cross_track_distance"].values
rng = np.random.default_rng(0)
swath["ssh"] += rng.normal(0, karin.std(distance, area=4.0), swath["ssh"].shape)
nadir["ssh"] += rng.normal(0, 0.02, nadir["ssh"].shape)

figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for waves in (1.0, 2.0, 4.0):
    std = 100 * KarinNoise(significant_wave_height=waves).std(distance, area=4.0)
    for half in (distance < 0, distance > 0):
        label = f"waves of {waves:g} m" if half[0] else None
        ax.plot(distance[half], std[half], color=plt.cm.viridis(1 - waves / 4), label=label)
ax.set(
    xlabel="distance from the ground track (km)",
    ylabel="standard deviation (cm)",
    ylim=(0, None),
    title="KaRIn noise of a pixel of 2 km x 2 km",
)
ax.legend()
plt.show()

# %%
# One cycle
# ---------
# In 21 days the swaths see nearly all of the sea, but each place only a few times: these points are
# of different days, so neighbouring swaths do not fit together exactly. The nadir is drawn in the
# gap of the swath.
land = known.isel(time=0).where(False)  # points have none
figure, axes = plt.subplots(
    1, 2, figsize=(13, 4.8), layout="constrained", subplot_kw={"projection": ccrs.PlateCarree()}
)
limits = {"vmin": -0.25, "vmax": 0.25, "colorbar": False}
for ax, title, day in zip(axes, ["16 June", "1 to 21 June"], ["2005-06-16", None], strict=True):
    swath.dvarnet.plot_tracks("ssh", time=day, ax=ax, **limits)
    nadir.dvarnet.plot_tracks("ssh", time=day, ax=ax, **limits)
    land.dvarnet.plot_map("ssh", ax=ax, title=title, colorbar=False)
figure.colorbar(
    ax.collections[0], ax=axes, label="sea surface height (m)", extend="both", shrink=0.8
)
plt.show()
