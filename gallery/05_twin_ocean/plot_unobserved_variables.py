"""
Currents, and what nobody observes
==================================

A map may have variables that no satellite sees. A small network is trained here, for a minute, that
is given the heights along the tracks of four altimeters, and gives heights, surface currents and
the pressure of the deep layer: what belongs to what it learned from a simulated ocean.
"""

# %%
# One network, four variables
# ---------------------------
# Oceans on cells of 20 km are simulated in seconds. The network learns from one, its best weights
# are chosen on another, and it maps a third, of which it is given heights along tracks and nothing
# else. A mirrored sea would have its currents turn the wrong way: ``flips=False``.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import xarray as xr

import xdvarnet
from xdvarnet.dynamics.seas import SEAS
from xdvarnet.observing.combined import CombinedSystem
from xdvarnet.solver.inversions.direct import DirectInversion
from xdvarnet.solver.networks import UNet

units = {"ssh": "m", "u": "m/s", "v": "m/s", "ssh_lower": "m"}
names = list(units)
training = xdvarnet.datasets.twin_ocean(days=240, seed=50, size=64)[names]
validation = xdvarnet.datasets.twin_ocean(days=21, seed=51, size=64, start="2022-01-01")[names]
truth = xdvarnet.datasets.twin_ocean(days=60, seed=100, size=64)[names]
nadirs = xdvarnet.ObservingSystem(["jason3", "sentinel3a", "sentinel3b", "saral"], noise=0.02)
system = CombinedSystem({"ssh": nadirs})
torch.manual_seed(0)
context = xdvarnet.DVarNet.context_channels(11, variables=4)
flat = xr.zeros_like(training.isel(time=0, drop=True).drop_vars("sea"))
network = xdvarnet.DVarNet(
    DirectInversion(UNet(88 + context, 44), context=context),
    variables=units,
    observed=["ssh"],
    window=xdvarnet.mapping.Window(11, 32, 32, stride=(5, 20, 20), halo=(2, 4, 4)),
    background=xdvarnet.mapping.MeanMapBackground(flat, days=11),
    precision="bfloat16",
)
schedule = xdvarnet.Schedule(
    epochs=6,
    steps_per_epoch=100,
    learning_rate=2e-3,
    loss=xdvarnet.solver.ReconstructionLoss(gradient=2.0),
    augmentation=xdvarnet.training.Augmentation(mixing=False, background_days=None, flips=False),
)
network = network.fit(training, observe=system, validation=validation, schedule=schedule, rng=0)
obs = system.observe(truth, rng=0)
maps = obs.dvarnet.reconstruct(network)

# %%
# Currents of two kinds
# ---------------------
# Without such a network, one differentiates a map of heights: ``geostrophic``. The twin ocean has
# the Coriolis parameter and the degree of longitude of its central latitude everywhere, so those of
# the rows are replaced by these. The table has the error variance in percent of that of the truth,
# of days with observations before and after: some of the error of geostrophic currents is mended by
# mapping currents, and two thirds of the variance of the deep layer are found by what the surface
# tells of it. The training was six epochs on one ocean; a longer one, on more oceans, is better.
latitude, central = np.deg2rad(truth["lat"]), np.deg2rad(SEAS["gulf-stream"].latitude)
found = maps.dvarnet.geostrophic() * np.sin(latitude) / np.sin(central)
narrower = np.cos(latitude) / np.cos(central)
derived = xr.Dataset({"u": found["ugosa"], "v": found["vgosa"] * narrower})
table = {}
for method, each in {"mapped": maps, "geostrophic, of the mapped height": derived}.items():
    wrong, known = ((x**2).isel(time=slice(5, 55)).mean() for x in (each - truth, truth))
    table[method] = (100 * wrong / known).to_pandas()
pd.DataFrame(table).reindex(names).T.round(1)

# %%
# Truth and maps of a day
# -----------------------
# Above, the speed of the surface currents. Below, the pressure of the deep layer, as a height.
day = str(truth["time"].values[15])[:10]
projection = {"projection": ccrs.PlateCarree()}
figure, axes = plt.subplots(2, 3, figsize=(13, 7), layout="constrained", subplot_kw=projection)
speeds = {"truth": truth, "geostrophic": derived, "mapped": maps}
for (name, each), ax in zip(speeds.items(), axes[0], strict=True):
    shown = np.hypot(each["u"], each["v"]).to_dataset(name="speed")
    colours = {"cmap": "cmo.speed", "vmin": 0, "vmax": 1.2, "colorbar": False}
    shown.dvarnet.plot_map("speed", time=day, ax=ax, title=f"speed, {name}", **colours)
for (name, each), ax in zip({"truth": truth, "mapped": maps}.items(), axes[1, ::2], strict=True):
    colours = {"vmin": -0.2, "vmax": 0.2, "colorbar": False}
    each.dvarnet.plot_map("ssh_lower", time=day, ax=ax, title=f"deep layer, {name}", **colours)
tracks = {"vmin": -0.8, "vmax": 0.8, "title": "heights of 7 days, up to 0.8 m", "colorbar": False}
obs.isel(time=slice(12, 19)).dvarnet.plot_tracks("ssh", ax=axes[1, 1], **tracks)
for row, text, ends in zip(axes, ("speed (m/s)", "deep layer (m)"), ("max", "both"), strict=True):
    figure.colorbar(row[0].collections[0], ax=row, label=text, extend=ends, shrink=0.9)
plt.show()
