"""
Heights from tracks, and from temperatures too
==============================================

The temperature of the surface shows fronts and eddies between the tracks of altimeters, wherever
there is no cloud. Two small networks, with and without it, are trained here, for a minute each.
"""

# %%
# Three oceans
# ------------
# On cells of 20 km, which take seconds: one to train on, one to choose the best weights, and one
# that no network has seen. Four altimeters see heights, a radiometer temperatures of clear sky.
import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import pandas as pd
import torch
import xarray as xr

import xdvarnet
from xdvarnet.observing.clouds import CloudySST
from xdvarnet.observing.combined import CombinedSystem
from xdvarnet.solver.inversions.direct import DirectInversion
from xdvarnet.solver.networks import UNet
from xdvarnet.training import Augmentation

training = xdvarnet.datasets.twin_ocean(days=240, seed=50, size=64)
validation = xdvarnet.datasets.twin_ocean(days=21, seed=51, size=64, start="2022-01-01")
truth = xdvarnet.datasets.twin_ocean(days=60, seed=102, size=64)
nadirs = xdvarnet.ObservingSystem(["jason3", "sentinel3a", "sentinel3b", "saral"], noise=0.02)
instruments = {"ssh": nadirs, "sst": CloudySST(noise=0.4)}
truth["ssh"].attrs["long_name"] = "sea surface height"
obs = CombinedSystem(instruments).observe(truth[["ssh", "sst"]], rng=0)

# %%
# Two networks, about the same time
# ---------------------------------
# Each is one pass of a U-Net from the observations of eleven days to maps. The background is flat
# for heights, and for temperatures their mean along each latitude. A step with temperatures takes
# longer, so there are fewer. Flips would have the eddies drift the wrong way.
means = xr.zeros_like(training.isel(time=0, drop=True).drop_vars("sea"))
means["sst"] = (means["sst"] + training["sst"].mean(("time", "lon"))).assign_attrs(units="degC")


def train(names: list[str], steps: int) -> xdvarnet.DVarNet:
    """Return a network that maps these variables."""
    torch.manual_seed(0)
    context = xdvarnet.DVarNet.context_channels(11, variables=len(names))
    model = xdvarnet.DVarNet(
        DirectInversion(UNet(22 * len(names) + context, 11 * len(names)), context=context),
        variables={name: truth[name].attrs["units"] for name in names},
        window=xdvarnet.mapping.Window(11, 32, 32, stride=(5, 20, 20), halo=(2, 4, 4)),
        background=xdvarnet.mapping.MeanMapBackground(means[names], days=11),
        precision="bfloat16",
    )
    schedule = xdvarnet.Schedule(
        epochs=6,
        steps_per_epoch=steps,
        learning_rate=2e-3,
        loss=xdvarnet.solver.ReconstructionLoss(gradient=2.0),
        augmentation=Augmentation(mixing=False, background_days=None, flips=False),
    )
    return model.fit(
        training[names],
        observe=CombinedSystem({name: instruments[name] for name in names}),
        validation=validation[names],
        schedule=schedule,
        rng=0,
    )


models = {"heights": train(["ssh"], 170), "heights and temperatures": train(["ssh", "sst"], 150)}
maps = {name: obs.dvarnet.reconstruct(model) for name, model in models.items()}

# %%
# Scores of the height
# --------------------
# In cm, and for the gradient, of which currents are made, in cm per 100 km; of days that have
# observations before and after. With temperatures the height is a little better, and its gradient
# by a tenth: they show where the fronts are. Both networks have had six epochs, of one ocean
# alone; a longer training on more oceans is better.
middle = {name: each.isel(time=slice(5, 55)) for name, each in maps.items()}
scores = {name: each.dvarnet.score(truth, variable="ssh") for name, each in middle.items()}
table = pd.DataFrame({name: each.to_pandas() for name, each in scores.items()}).T
(100 * table[["rmse", "gradient_rmse"]]).round(2)

# %%
# A day
# -----
# Above what was seen, below the errors of both maps.
day = str(truth["time"].values[15])[:10]
projection = {"projection": ccrs.PlateCarree()}
figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained", subplot_kw=projection)
obs.isel(time=slice(12, 19)).dvarnet.plot_tracks("ssh", ax=axes[0, 0], title="tracks of 7 days")
obs.dvarnet.plot_map("sst", time=day, ax=axes[0, 1], title=f"clear sky, {day}")
for (name, each), ax in zip(maps.items(), axes[1], strict=True):
    error = (100 * (each["ssh"] - truth["ssh"])).assign_attrs(units="cm").to_dataset(name="ssh")
    error.dvarnet.plot_map("ssh", time=day, ax=ax, vmin=-20, vmax=20, title=f"error, {name}")
plt.show()
